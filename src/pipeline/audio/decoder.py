"""A process that decodes recordings for another (`readers`), with a bound on memory and on computing time.

Recordings come from anywhere, and decoders are written in C: what makes one crash or loop ends this process only.
"""

import json
import math
import os
import resource
import signal
import struct
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import numpy as np
import soundfile

from pipeline.audio.kept import Kept
from pipeline.audio.reading import Wanted, check_file, read_into, shown_name
from pipeline.errors import AudioError

HEAD = struct.Struct("<cI")  # of every message: what it is, and how many bytes follow
READY, SAMPLES, PROGRESS, TOLD, REFUSED, FAILED = b"y", b"s", b"p", b"t", b"r", b"f"
MOST_BYTES = 1 << 28  # of a message: a block that is resampled from the lowest rate to the highest is less


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What decoding one recording may take.

    Computing time grows with what there is to do: a part for each MiB of the file, and one for each value that has
    come out, so that no length of sound is too long for it and nothing can go on without any coming out.
    """

    memory_bytes: int = 2**30  # beside what the process has anyhow
    seconds: float = 60.0
    seconds_per_mib: float = 1.0
    seconds_per_value: float = 5e-6  # a hundred times what slow codings take
    stall_factor: float = 10.0  # for so many times the computing time no word may come, on a machine that is busy

    def of_file(self, n_bytes: int) -> float:
        """Computing time, seconds, before anything has come out."""
        return self.seconds + self.seconds_per_mib * n_bytes / 2**20


@dataclass(frozen=True, kw_only=True)
class Request:
    """One recording to be read, or with no `wanted` its header only; what is kept of it lies in `folder`."""

    path: str
    wanted: Wanted | None
    limits: Limits
    folder: str | None = None

    @property
    def file_bytes(self) -> int:
        """Size of the file; 0 where that cannot be asked: reading it tells why."""
        try:
            return Path(self.path).stat().st_size
        except (OSError, ValueError):
            return 0

    def to_line(self) -> bytes:
        """Give it as one line; bytes of a name that are not UTF-8 pass as escapes."""
        return json.dumps(asdict(self)).encode("ascii") + b"\n"


def _from_line(line: bytes) -> Request:
    values = json.loads(line)
    wanted = None if values["wanted"] is None else Wanted(**values["wanted"])
    return Request(path=values["path"], wanted=wanted, limits=Limits(**values["limits"]), folder=values["folder"])


class _Pipe:
    """Samples and progress on their way to the other process; each sign of progress allows more computing time."""

    def __init__(self, results: IO[bytes], request: Request) -> None:
        self._results, self._limits = results, request.limits
        self._allowed = time.process_time() + request.limits.of_file(request.file_bytes)
        self.n_samples = 0
        self._limit()

    def _limit(self) -> None:
        _, most = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(self._allowed), most))

    def progress(self, n_values: int) -> None:
        self._allowed += n_values * self._limits.seconds_per_value
        self._limit()
        self.send(PROGRESS, b"")

    def append(self, samples: np.ndarray) -> None:
        self.send(SAMPLES, samples.astype("<f4", copy=False).data.cast("B"))

    def resize(self, n_samples: int) -> None:
        self.n_samples = n_samples

    def send(self, kind: bytes, body: bytes | memoryview) -> None:
        self._results.write(HEAD.pack(kind, len(body)))
        self._results.write(body)
        self._results.flush()


def answer(request: Request, results: IO[bytes], kept: Kept) -> None:
    """Read one recording and send its samples, then what is known of it; or why it is refused."""
    pipe = _Pipe(results, request)
    path = Path(request.path)
    try:
        if request.wanted is None:
            told = _header(path)
        else:
            folder = None if request.folder is None else Path(request.folder)
            read = read_into(pipe, path, request.wanted, on_block=pipe.progress, kept=kept, folder=folder)
            told = {**asdict(read), "n_samples": pipe.n_samples}
    except AudioError as error:
        pipe.send(REFUSED, str(error).encode("utf-8", "backslashreplace"))
    except MemoryError:
        text = f"{shown_name(path)}: it asks for more memory than decoding may take: damaged; fetch it again"
        pipe.send(REFUSED, text.encode())
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told where it can be seen
        pipe.send(FAILED, f"{type(error).__name__}: {error}".encode("utf-8", "backslashreplace"))
    else:
        pipe.send(TOLD, json.dumps(told).encode("ascii"))


def _header(path: Path) -> dict[str, int]:
    """What libsndfile makes of a file's header; all 0 where it is none to it."""
    try:
        check_file(path)
        info = soundfile.info(str(path))
    except AudioError as error:
        raise AudioError(f"{shown_name(path)}: {error}") from None
    except soundfile.SoundFileError:
        return {"n_frames": 0, "sample_rate": 0, "channels": 0}
    return {"n_frames": info.frames, "sample_rate": info.samplerate, "channels": info.channels}


def _limit_memory(n_bytes: int) -> None:
    """Bound the address space, on Linux: elsewhere there is no such bound, or it is not kept."""
    if sys.platform != "linux":
        return
    now = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    wanted = now + n_bytes
    resource.setrlimit(resource.RLIMIT_AS, (wanted if most == resource.RLIM_INFINITY else min(wanted, most), most))


def serve() -> None:
    """Answer requests, one a line, until there are no more."""
    requests, results = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):  # decoders write to them as they like
        os.dup2(nowhere, number)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other process ends this one
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    results.write(HEAD.pack(READY, 0))
    results.flush()
    is_limited = False
    kept = Kept()
    while line := requests.readline():
        request = _from_line(line)
        if not is_limited:
            _limit_memory(request.limits.memory_bytes)
            is_limited = True
        try:
            answer(request, results, kept)
        except BrokenPipeError:
            os._exit(0)  # nobody is there; what is buffered cannot be flushed


if __name__ == "__main__":
    serve()
