"""Memory that is used again from block to block: the system takes fresh pages longer to give than blocks to draw."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


class Scratch:
    """Arrays by name, for one thread at a time."""

    def __init__(self) -> None:
        self._arrays: dict[str, NDArray[Any]] = {}
        self._parts: dict[str, Scratch] = {}

    def take(self, name: str, shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> NDArray[Any]:
        """An array that holds what it last held under this name, or zeros where it has not had this shape."""
        array = self._arrays.get(name)
        if array is None or array.shape != shape:
            array = self._arrays[name] = np.zeros(shape, dtype)
        return array

    def part(self, name: str) -> "Scratch":
        """Scratch memory within this: for things done by turns, whose arrays have the same names and other shapes."""
        return self._parts.setdefault(name, Scratch())
