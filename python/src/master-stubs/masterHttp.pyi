# Written by scripts/stubs.py from the package's sources.
"""Urls of the master's control port."""

from collections.abc import Callable
from typing import Any

def RegisterMasterHttp(url: str, instance: object, func: Callable[[int, Any], object]) -> None:
    """Calls ``func(clientId, requestBody)`` for each POST to ``url``; unanswered for 10 s gives 504."""

def SendHttpRequestToService(serverId: int, requestUrl: str, body: str | bytes) -> None:
    """POSTs to a url of a service that has an ``http_port``; what comes of it is in the log when it is an error."""

def SendHttpResponse(clientId: int, body: str | bytes) -> bool:
    """Answers a request, at once or later; False for a second or late answer, which is dropped with a warning."""
