"""One file a family of mistakes; each gives functions from the network to findings."""

from collections.abc import Callable, Iterator

from ..finding import Finding
from ..network import Network
from .events import unheard_events, unsent_events
from .handlers import handlers
from .ids import mixed_ids
from .imports import imports
from .names import names
from .notification_form import misformed
from .notifications import unhandled
from .requests import requests
from .roles import calls_of_roles
from .systems import systems

RULES: tuple[Callable[[Network], Iterator[Finding]], ...] = (
    imports, names, systems, calls_of_roles, handlers, unsent_events, unheard_events, requests, misformed, unhandled, mixed_ids,
)
