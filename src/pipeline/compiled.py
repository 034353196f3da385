"""Functions of arrays and numbers compiled to machine code where first called, and kept on disk for later processes."""

import contextlib
from collections.abc import Callable
from typing import Any

import numba
from numba.core.caching import FunctionCache

# Multiplications and additions may fuse; sums keep their order, so that a result depends on nothing but the sound.
_FUSED = {"contract", "nsz", "arcp"}


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function when it is first called; other threads run while it works.

    What is compiled lies beside the source or, where that cannot be written, in the user's cache; where neither can, it
    is compiled by every process anew, and once more where what lies there is damaged. Functions that call each other
    stand in one module: the cache looks at one file.
    """
    dispatcher = numba.njit(nogil=True, fastmath=_FUSED, error_model="numpy")(function)
    with contextlib.suppress(RuntimeError):  # there is no folder for the cache
        dispatcher._cache = _Cache(function)  # as cache=True does, with numba's own
    return dispatcher  # type: ignore[no-any-return]


class _Cache(FunctionCache):  # type: ignore[misc]
    """Numba's cache, for which a damaged file and a full disk are errors: here it compiles anew, or keeps nothing."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # noqa: BLE001 - whatever reading a damaged pickle raises
            with contextlib.suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        with contextlib.suppress(OSError):
            super().save_overload(sig, data)
