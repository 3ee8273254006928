# Written by scripts/stubs.py from the package's sources.
"""The decorators of a modMain."""

from collections.abc import Callable
from typing import Any, TypeVar, overload


_F = TypeVar("_F", bound=Callable[..., Any])
_T = TypeVar("_T", bound=type)

class Mod:
    """Decorators of a modMain."""

    @staticmethod
    def Binding(name: str = "", version: str = "", **others: Any) -> Callable[[_T], _T]:
        """Binds a mod's main class; ``name`` and ``version`` are for people."""

    @staticmethod
    @overload
    def InitServer(func: None = None) -> Callable[[_F], _F]:
        """The method that the mod starts with where it runs on the side Server. With brackets or without."""
    @staticmethod
    @overload
    def InitServer(func: _F) -> _F: ...

    @staticmethod
    @overload
    def DestroyServer(func: None = None) -> Callable[[_F], _F]:
        """The method that ends the mod where it runs on the side Server. With brackets or without."""
    @staticmethod
    @overload
    def DestroyServer(func: _F) -> _F: ...

    @staticmethod
    @overload
    def InitClient(func: None = None) -> Callable[[_F], _F]:
        """The method that the mod starts with where it runs on the side Client. With brackets or without."""
    @staticmethod
    @overload
    def InitClient(func: _F) -> _F: ...

    @staticmethod
    @overload
    def DestroyClient(func: None = None) -> Callable[[_F], _F]:
        """The method that ends the mod where it runs on the side Client. With brackets or without."""
    @staticmethod
    @overload
    def DestroyClient(func: _F) -> _F: ...

    @staticmethod
    @overload
    def InitService(func: None = None) -> Callable[[_F], _F]:
        """The method that the mod starts with where it runs on the side Service. With brackets or without."""
    @staticmethod
    @overload
    def InitService(func: _F) -> _F: ...

    @staticmethod
    @overload
    def DestroyService(func: None = None) -> Callable[[_F], _F]:
        """The method that ends the mod where it runs on the side Service. With brackets or without."""
    @staticmethod
    @overload
    def DestroyService(func: _F) -> _F: ...

    @staticmethod
    @overload
    def InitMaster(func: None = None) -> Callable[[_F], _F]:
        """The method that the mod starts with where it runs on the side Master. With brackets or without."""
    @staticmethod
    @overload
    def InitMaster(func: _F) -> _F: ...

    @staticmethod
    @overload
    def DestroyMaster(func: None = None) -> Callable[[_F], _F]:
        """The method that ends the mod where it runs on the side Master. With brackets or without."""
    @staticmethod
    @overload
    def DestroyMaster(func: _F) -> _F: ...
