# Written by scripts/stubs.py from the package's sources.
"""Urls of a service's own HTTP port (``http_port`` in deploy.json)."""

from collections.abc import Callable
from typing import Any

def RegisterServiceHttp(url: str, instance: object, func: Callable[[int, Any], object]) -> None:
    """Calls ``func(clientId, requestBody)`` for each POST to ``url``; unanswered for 10 s gives 504.

    Raises RuntimeError when deploy.json gives this node no ``http_port``, OSError when it is taken."""

def SendHttpRequestToMaster(requestUrl: str, message: str | bytes) -> None:
    """POSTs to a url of the master; what comes of it is in the log when it is an error."""

def SendHttpResponse(clientId: int, body: str | bytes) -> bool:
    """Answers a request, at once or later; False for a second or late answer, which is dropped with a warning."""
