"""Functions of arrays and numbers compiled to machine code where first called, and kept on disk for later processes."""

from collections.abc import Callable
from typing import Any

import numba

# Multiplications and additions may fuse; sums keep their order, so that a result depends on nothing but the sound.
_FUSED = {"contract", "nsz", "arcp"}


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function when it is first called; other threads run while it works.

    What is compiled lies beside the source or, where that cannot be written, in the user's cache; where neither can, it
    is compiled by every process anew. Functions that call each other stand in one module: the cache looks at one file.
    """
    options = {"nogil": True, "fastmath": _FUSED, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)  # type: ignore[no-any-return]
    except RuntimeError:  # there is no folder for the cache
        return numba.njit(**options)(function)  # type: ignore[no-any-return]
