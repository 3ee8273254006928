"""What a handler raises to say no."""

from __future__ import annotations


class Refuse(Exception):
    """An expected no: the player is told ``code`` as ``errorCode``, and nothing that the handler did leaves a trace. Nothing
    is wrong, so nothing is logged. ``text`` is ``message`` in the response."""

    def __init__(self, code: str, text: str = "") -> None:
        super().__init__(code, text or code)
        self.code = code
        self.text = text or code

    def __str__(self) -> str:
        return self.code if self.text == self.code else f"{self.code}: {self.text}"


class BadParams(Refuse, LookupError):
    """A field of a request that is missing, or of another type: the code is ``badParams``."""

    def __init__(self, text: str) -> None:
        super().__init__("badParams", text)
