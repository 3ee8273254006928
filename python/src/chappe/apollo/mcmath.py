"""``common.utils.mcmath``: the vectors of the game's scripts. Nothing of them needs the game."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any


class Vector3:
    """Three numbers: ``Vector3(x, y, z)``, ``Vector3((x, y, z))`` or ``Vector3(another)``."""

    __slots__ = ("x", "y", "z")

    def __init__(self, *args: Any) -> None:
        self.Set(*args) if args else self.Set(0.0, 0.0, 0.0)

    def Set(self, *args: Any) -> None:
        """Takes three numbers, or one triple of them."""
        x, y, z = args if len(args) == 3 else args[0]
        self.x, self.y, self.z = float(x), float(y), float(z)

    def __iter__(self) -> Iterator[float]:
        return iter((self.x, self.y, self.z))

    def __len__(self) -> int:
        return 3

    def __getitem__(self, at: Any) -> Any:
        return (self.x, self.y, self.z)[at]

    def __setitem__(self, at: int, value: float) -> None:
        setattr(self, "xyz"[at], float(value))

    def __add__(self, other: Any) -> Vector3:
        x, y, z = other
        return Vector3(self.x + x, self.y + y, self.z + z)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Vector3:
        x, y, z = other
        return Vector3(self.x - x, self.y - y, self.z - z)

    def __rsub__(self, other: Any) -> Vector3:
        return -self + other

    def __mul__(self, by: Any) -> Vector3:
        x, y, z = (by, by, by) if isinstance(by, (int, float)) else by
        return Vector3(self.x * x, self.y * y, self.z * z)

    __rmul__ = __mul__

    def __truediv__(self, by: Any) -> Vector3:
        x, y, z = (by, by, by) if isinstance(by, (int, float)) else by
        return Vector3(self.x / x, self.y / y, self.z / z)

    __div__ = __truediv__

    def __neg__(self) -> Vector3:
        return Vector3(-self.x, -self.y, -self.z)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (Vector3, tuple, list)) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]  # it can be changed

    def __repr__(self) -> str:
        return f"Vector3({self.x}, {self.y}, {self.z})"

    def ToTuple(self) -> tuple[float, float, float]:
        """(x, y, z)."""
        return (self.x, self.y, self.z)

    def LengthSquared(self) -> float:
        """The square of its length."""
        return self.x * self.x + self.y * self.y + self.z * self.z

    def Length(self) -> float:
        """Its length."""
        return math.sqrt(self.LengthSquared())

    def Normalized(self) -> Vector3:
        """The same direction, of the length 1; a vector without a direction stays as it is."""
        length = self.Length()
        return self / length if length else Vector3(self)

    def Normalize(self) -> None:
        """Makes its length 1."""
        self.Set(*self.Normalized())

    @staticmethod
    def Dot(a: Any, b: Any) -> float:
        """The scalar product."""
        return float(sum(left * right for left, right in zip(a, b)))

    @staticmethod
    def Cross(a: Any, b: Any) -> Vector3:
        """The vector product."""
        (ax, ay, az), (bx, by, bz) = a, b
        return Vector3(ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx)

    @staticmethod
    def One() -> Vector3:
        """(1, 1, 1)."""
        return Vector3(1, 1, 1)

    @staticmethod
    def Up() -> Vector3:
        """(0, 1, 0)."""
        return Vector3(0, 1, 0)

    @staticmethod
    def Down() -> Vector3:
        """(0, -1, 0)."""
        return Vector3(0, -1, 0)

    @staticmethod
    def Left() -> Vector3:
        """(1, 0, 0)."""
        return Vector3(1, 0, 0)

    @staticmethod
    def Right() -> Vector3:
        """(-1, 0, 0)."""
        return Vector3(-1, 0, 0)

    @staticmethod
    def Forward() -> Vector3:
        """(0, 0, 1)."""
        return Vector3(0, 0, 1)

    @staticmethod
    def Backward() -> Vector3:
        """(0, 0, -1)."""
        return Vector3(0, 0, -1)
