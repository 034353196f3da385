"""The file under HDF5 while it is written: a full disk becomes one clear error instead of a crash."""

import io
import os
from pathlib import Path
from typing import Any, Self


class Sink(io.RawIOBase):
    """A new file that never fails towards HDF5, which after a failed write can neither close its file nor exit cleanly.

    The first error is kept, what is written after it is dropped, and `check` raises it.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o666)
        self._position = self._size = 0
        self._error: OSError | None = None

    def check(self) -> None:
        """Raise the first error, if there was one."""
        if self._error is not None:
            raise self._error

    def write(self, data: Any) -> int:
        """Write all of `data` at the position, or drop it after an error."""
        left, place = memoryview(data).cast("B"), self._position
        n_bytes = len(left)
        try:
            while left and self._error is None:
                n_written = os.pwrite(self._handle, left, place)
                left, place = left[n_written:], place + n_written
        except OSError as error:
            self._error = error
        self._position += n_bytes
        self._size = max(self._size, self._position)
        return n_bytes

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` from the position, with zeros where nothing was written."""
        data = os.pread(self._handle, len(buffer), self._position)
        buffer[:] = data + bytes(len(buffer) - len(data))
        self._position += len(buffer)
        return len(buffer)

    def truncate(self, size: int | None = None) -> int:
        """Cut or lengthen the file."""
        self._size = self._position if size is None else size
        try:
            os.ftruncate(self._handle, self._size)
        except OSError as error:
            self._error = self._error or error
        return self._size

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position."""
        self._position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        return self._position

    def tell(self) -> int:
        """Give the position."""
        return self._position

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            os.close(self._handle)
        super().close()

    def __enter__(self) -> Self:
        return self
