"""Many names, found by a digest of each: 24 bytes a name, however long it is."""

from collections.abc import Iterable, Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

DIGEST_BYTES = 16  # of two different names they are never equal, for all that is known


class Names:
    """Names in some order."""

    def __init__(self, names: Iterable[str]) -> None:
        digests = _digests(names)
        self._places = np.argsort(digests, kind="stable")
        self._digests = digests[self._places]

    def find(self, names: Sequence[str]) -> NDArray[np.intp]:
        """Give the place of each of some names (n,), of equal ones the first; -1 where it is not among them."""
        if not len(self._digests):
            return np.full(len(names), -1)
        wanted = _digests(names)
        at = np.minimum(np.searchsorted(self._digests, wanted), len(self._digests) - 1)
        return np.where(self._digests[at] == wanted, self._places[at], -1)


def _digests(names: Iterable[str]) -> NDArray[np.bytes_]:
    joined = bytearray()
    for name in names:
        joined += blake2b(name.encode("utf-8", "surrogateescape"), digest_size=DIGEST_BYTES).digest()
    return np.frombuffer(joined, dtype=f"S{DIGEST_BYTES}")
