"""Recordings read in processes of their own, so that none can crash, stop or fill the process that wants them."""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path
from typing import Any, Self, cast

import numpy as np

from pipeline.audio.decoder import (
    FAILED,
    HEAD,
    MOST_BYTES,
    PROGRESS,
    READY,
    REFUSED,
    SAMPLES,
    TOLD,
    Limits,
    Request,
)
from pipeline.audio.reading import Sound, Wanted, shown_name
from pipeline.audio.spool import Spool
from pipeline.errors import AudioError, PipelineError

COMMAND = (sys.executable, "-m", "pipeline.audio.decoder")
_PIPE_BYTES = 1 << 20
_SET_PIPE_SIZE = 1031  # F_SETPIPE_SZ of Linux
# Memory that one recording leaves is kept for the next: to ask the system anew each time takes as long as decoding. No
# linear algebra is done there.
_ENVIRONMENT = {
    "MALLOC_TRIM_THRESHOLD_": str(1 << 28),
    "MALLOC_MMAP_THRESHOLD_": str(1 << 25),
    "OPENBLAS_NUM_THREADS": "1",
}
_KINDS = frozenset({READY, SAMPLES, PROGRESS, TOLD, REFUSED, FAILED})
_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
_TRIES = 2  # where it was killed from outside: the file is not at fault
_AGAIN = "damaged, or made to do so: fetch it again, or convert it to wav"


class _EndedError(Exception):
    """The process ended, by a signal or with a status; perhaps before it could begin."""

    def __init__(self, status: int, *, has_begun: bool) -> None:
        super().__init__(status)
        self.status, self.has_begun = status, has_begun


@dataclass(frozen=True, kw_only=True)
class FileHeader:
    """What a sound file says of itself; sample rate 0 where it is none."""

    n_frames: int
    sample_rate: int
    channels: int


class Readers:
    """Processes that decode; as many as are asked at a time, begun when first needed and kept until the end.

    Parameters
    ----------
    limits
        Of each recording.
    command
        Of such a process.
    """

    def __init__(self, limits: Limits | None = None, command: Sequence[str] = COMMAND) -> None:
        self._limits = limits or Limits()
        self._command = tuple(command)
        self._idle: list[_Process] = []
        self._lock = threading.Lock()
        self._is_over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End them all; those that are busy end when they are done."""
        with self._lock:
            self._is_over = True
        while self._idle:
            self._idle.pop().end()

    def read_sound(
        self,
        path: Path,
        *,
        sample_rate: int,
        start_seconds: float | None = None,
        end_seconds: float | None = None,
        max_seconds: float = 12 * 3600,
        folder: Path | None = None,
    ) -> Sound:
        """Read a recording as `reading.read_sound` does, in another process; may be called by several threads.

        Raises
        ------
        AudioError
            If the recording cannot be used, or decoding it crashes, never ends or takes too much memory; the message
            names the file and the reason.
        PipelineError
            If the process was killed from outside, twice; the message names the file.
        StoreError
            If `folder` has no room for it.
        """
        wanted = Wanted(
            sample_rate=sample_rate, start_seconds=start_seconds, end_seconds=end_seconds, max_seconds=max_seconds
        )
        pieces, told = self._ask(path, wanted, folder)
        pieces.resize(told["n_samples"])
        return Sound(pieces, told["source_rate"], told["channels"], told["pcm_sha256"], tuple(told["notes"]))

    def read_header(self, path: Path) -> FileHeader:
        """Read what a file says of itself.

        Raises
        ------
        AudioError, PipelineError
            As `read_sound` does; but what is no sound file has a rate of 0.
        """
        _, told = self._ask(path, None, None)
        return FileHeader(**told)

    def _ask(self, path: Path, wanted: Wanted | None, folder: Path | None) -> tuple[Spool, dict[str, Any]]:
        name = shown_name(path)
        held = None if folder is None else str(folder.absolute())
        request = Request(path=str(path.absolute()), wanted=wanted, limits=self._limits, folder=held)
        for _ in range(_TRIES):
            process = self._take()
            pieces = Spool(folder)
            try:
                told = process.ask(request, pieces)
            except _EndedError as ended:
                process.end()
                if not ended.has_begun:
                    raise PipelineError(
                        f"{name}: the process that is to read it ends with status {ended.status} before it begins: "
                        f"run `{' '.join(COMMAND)}` to see why"
                    ) from None
                if -ended.status not in _FROM_OUTSIDE:
                    raise _fault(name, ended.status) from None
            except AudioError:
                self._give_back(process)
                raise
            except TimeoutError as error:
                process.end()
                raise AudioError(f"{name}: nothing came of decoding it for {error} s: {_AGAIN}") from None
            except BaseException:
                process.end()
                raise
            else:
                self._give_back(process)
                return pieces, told
        raise PipelineError(
            f"{name}: the process that was reading it was killed from outside, twice: see that there is enough memory "
            "(machine.workers), then run again"
        )

    def _take(self) -> "_Process":
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return _Process(self._command)

    def _give_back(self, process: "_Process") -> None:
        with self._lock:
            if not self._is_over:
                self._idle.append(process)
                return
        process.end()


def _fault(name: str, status: int) -> AudioError:
    """What a process's end says of the file that it was decoding."""
    if -status == signal.SIGXCPU:
        return AudioError(f"{name}: decoding it takes too much computing time for its size: {_AGAIN}")
    how = f"status {status}" if status >= 0 else f"signal {-status}"
    with contextlib.suppress(ValueError):
        how = signal.Signals(-status).name
    return AudioError(f"{name}: decoding it crashes the decoder ({how}): {_AGAIN}")


class _Process:
    """One decoding process, asked for one recording after the other."""

    def __init__(self, command: Sequence[str]) -> None:
        packages = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        environment = {**os.environ, **_ENVIRONMENT, **packages}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, env=environment
        )
        self._requests = cast("RawIOBase", self._process.stdin)  # unbuffered pipes
        self._results = cast("RawIOBase", self._process.stdout)
        self._has_begun = False
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._results, selectors.EVENT_READ)
        with contextlib.suppress(ImportError, OSError):
            import fcntl

            fcntl.fcntl(self._results, _SET_PIPE_SIZE, _PIPE_BYTES)

    def end(self) -> None:
        """Kill it, and wait for it."""
        self._process.kill()
        self._process.wait()
        self._selector.close()
        self._requests.close()
        self._results.close()

    def ask(self, request: Request, pieces: Spool) -> dict[str, Any]:
        """Have one recording read: samples into `pieces`, and what is known of it."""
        patience = request.limits.stall_factor * request.limits.of_file(request.file_bytes)
        with contextlib.suppress(BrokenPipeError):  # why it ended, its status tells
            self._requests.write(request.to_line())
        while True:
            kind, n_bytes = HEAD.unpack(self._receive(HEAD.size, patience))
            if kind not in _KINDS or n_bytes > MOST_BYTES:  # no message: its memory is overwritten
                raise _EndedError(-signal.SIGILL, has_begun=True)
            body = self._receive(n_bytes, patience)
            if kind == READY:
                self._has_begun = True
            elif kind == SAMPLES:
                pieces.append(np.frombuffer(body, "<f4"))
            elif kind == TOLD:
                told: dict[str, Any] = json.loads(bytes(body))
                return told
            elif kind == REFUSED:
                raise AudioError(bytes(body).decode("utf-8"))
            elif kind == FAILED:
                raise RuntimeError(f"{shown_name(Path(request.path))}: {bytes(body).decode('utf-8')}")

    def _receive(self, n_bytes: int, patience: float) -> memoryview:
        """Wait for so many bytes, as long as some come within `patience` seconds."""
        body = np.empty(n_bytes, np.uint8).data
        n_done = 0
        while n_done < n_bytes:
            if not self._selector.select(patience):
                raise TimeoutError(f"{patience:g}")
            n_new = self._results.readinto(body[n_done:])
            if not n_new:
                raise _EndedError(self._ended(), has_begun=self._has_begun)
            n_done += n_new
        return body

    def _ended(self) -> int:
        """Give the status of a process that sends no more."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(1.0)
        self._process.kill()  # it closed its end and goes on: it is no longer ours
        self._process.wait()
        return -signal.SIGILL
