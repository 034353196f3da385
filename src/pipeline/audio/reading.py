"""Read one recording as mono float32 at the rate asked for, or say in one line why not.

Decoders give fewer samples, none, or plausible nonsense for a damaged file, mostly without an error. So the container
is checked before decoding (sniffing, chunks, streams), the samples while decoding, and their number after it.
"""

import contextlib
import errno
import hashlib
import math
import os
import stat
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
import soundfile
import soxr

from pipeline.audio.chunks import Header, check_aiff, check_wave
from pipeline.audio.kept import Kept, Mono
from pipeline.audio.resampling import n_resampled
from pipeline.audio.sniffing import HEAD_BYTES, VIDEO, sniff_container
from pipeline.audio.spool import Spool
from pipeline.audio.streams import FlacInfo, check_mpeg, check_ogg, id3_length, read_flac_info
from pipeline.audio.video import SoundTrack
from pipeline.errors import AudioError

MIN_RATE, MAX_RATE = 4000, 384_000  # Hz
MAX_CHANNELS = 8
MAX_PEAK = 8.0  # 18 dB over full scale: beyond it the samples are no sound in -1..1
CANCELLED_POWER = 0.01  # 20 dB; of eight channels that have nothing in common, 9 dB are lost
CANCELLED = "its channels cancel each other: their mean, which is used, is more than 20 dB below them"
NO_SOUND = "no sound: every sample is the same"
BLOCK_FRAMES = 1 << 18
RESAMPLE_QUALITY = "HQ"
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@dataclass(frozen=True)
class Sound:
    """One recording, or one event cut from it.

    Attributes
    ----------
    pieces
        The samples, float32, mono, at the rate asked for, in arrays (n,) one after the other; full scale is -1..1.
    source_rate
        Hz, as in the file.
    channels
        As in the file.
    pcm_sha256
        Of the source rate (4 bytes, little-endian) and the mono float32 samples at that rate (little-endian, without
        negative zeros): the same sound in WAV and FLAC, or in a mono and a dual-mono file, gives the same.
    notes
        What was tolerated in the file; and that its channels cancel each other, or that it is all of one value.
    """

    pieces: Spool
    source_rate: int
    channels: int
    pcm_sha256: str
    notes: tuple[str, ...]

    @property
    def samples(self) -> np.ndarray:
        """All samples at once, float32 (n_samples,): for short recordings."""
        return np.concatenate(list(self.pieces))


class Pieces(Protocol):
    """Where samples go while they are read."""

    def append(self, samples: np.ndarray) -> None:
        """Take samples (n,) at the end."""

    def resize(self, n_samples: int) -> None:
        """Drop samples from the end, or fill up with zeros."""


@dataclass(frozen=True)
class Told:
    """What is known of a recording beside its samples: see `Sound`."""

    source_rate: int
    channels: int
    pcm_sha256: str
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is to be read of a recording, and as what: see `read_sound`."""

    sample_rate: int
    start_seconds: float | None = None
    end_seconds: float | None = None
    max_seconds: float = 12 * 3600


def _go_on(n_values: int) -> None:
    """Count nothing."""


class _Stream(soundfile.SoundFile):  # type: ignore[misc]
    """A SoundFile read from front to back: a seekable one seeks after every read, which fails past a wrong length."""

    def seekable(self) -> bool:
        return False


def read_sound(
    path: Path,
    *,
    sample_rate: int,
    start_seconds: float | None = None,
    end_seconds: float | None = None,
    max_seconds: float = 12 * 3600,
    folder: Path | None = None,
) -> Sound:
    """Read a recording, or the event between two times of it.

    Channels are averaged (in float64, rounded to float32 once). An event is cut at the source rate, sample =
    round(seconds * rate), and then resampled: n samples become round(n * sample_rate / rate), halves upwards. The whole
    file is decoded and checked even where an event is cut from it. Memory holds a block, and of the result as much as
    `spool.MOST_BYTES`.

    Parameters
    ----------
    path
        A regular file, or a link to one. Its content decides, not its name: WAV (RIFX, RF64 and Wave64 too), FLAC, Ogg
        (Vorbis, Opus), MP3 or AIFF; of a video (AVI, MP4, QuickTime, Matroska, WebM) the first sound track, where PyAV
        is installed. An event's times are those of the sound track.
    sample_rate
        Of the result, Hz.
    start_seconds, end_seconds
        Of the event, in the file's time; None is the file's own start or end.
    max_seconds
        Longest recording accepted.
    folder
        Where what is too long for memory lies meanwhile; by default where the system keeps such files.

    Raises
    ------
    AudioError
        If the recording cannot be used; the message names the file and the reason.
    StoreError
        If `folder` has no room for it.
    """
    pieces = Spool(folder)
    wanted = Wanted(
        sample_rate=sample_rate, start_seconds=start_seconds, end_seconds=end_seconds, max_seconds=max_seconds
    )
    told = read_into(pieces, path, wanted)
    return Sound(pieces, told.source_rate, told.channels, told.pcm_sha256, told.notes)


def read_into(
    pieces: Pieces,
    path: Path,
    wanted: Wanted,
    *,
    on_block: Callable[[int], None] = _go_on,
    kept: Kept | None = None,
    folder: Path | None = None,
) -> Told:
    """Read a recording as `read_sound` does, into `pieces`.

    Parameters
    ----------
    on_block
        Called with the number of values, of all channels, of each block that was decoded.
    kept
        What was kept by earlier calls: of events of one recording that follow each other, the third and later ones are
        cut without decoding it again.
    folder
        Where what is kept lies.
    """
    name = shown_name(path)
    try:
        check_file(path)
        with path.open("rb") as file:
            return _read(file, pieces, wanted, on_block, kept, folder)
    except AudioError as error:
        raise AudioError(f"{name}: {error}") from None
    except soundfile.SoundFileError as error:
        reason = getattr(error, "error_string", str(error)).removeprefix("Error : ").strip().rstrip(".")
        raise AudioError(
            f"{name}: it does not decode ({reason}): damaged, or of a coding that is not read: fetch it again, or "
            "convert it to flac or wav"
        ) from error
    except OSError as error:
        raise AudioError(f"{name}: it cannot be read ({error.strerror}): check the disk and permissions") from error


def shown_name(path: Path) -> str:
    """Give a file's name as it may stand in a one-line message: what does not print is escaped."""
    return "".join(
        mark if mark.isprintable() else mark.encode("unicode_escape").decode("ascii") for mark in path.name or str(path)
    )


def check_file(path: Path) -> None:
    """Refuse what is not a regular file, without opening it: a pipe would block for ever.

    Raises
    ------
    AudioError
        Saying what it is.
    """
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        raise AudioError("its name is not valid UTF-8: rename it") from None
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if path.is_symlink():
            target = shown_name(path.readlink())
            raise AudioError(f"a dangling link: its target {target} does not exist; restore it") from None
        advice = "write its path with /" if "\\" in path.name else "restore it"
        raise AudioError(f"the file is missing: {advice}, or take it out of the list") from None
    except ValueError as error:
        raise AudioError(f"no valid file name ({error}): correct the list") from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise AudioError(f"a looping link ({error.strerror}): make it point at the recording") from None
        raise
    if not stat.S_ISREG(mode):
        raise AudioError(f"{_KINDS.get(stat.S_IFMT(mode), 'a special file')}, not a regular file: give a sound file")


def _read(
    file: BinaryIO,
    pieces: Pieces,
    wanted: Wanted,
    on_block: Callable[[int], None],
    kept: Kept | None,
    folder: Path | None,
) -> Told:
    is_event = (wanted.start_seconds, wanted.end_seconds) != (None, None)
    if kept is not None and is_event and kept.is_asked_again(_identity(file, wanted)):
        if (mono := kept.found) is None:
            with _decoded(file, wanted, on_block) as whole:
                mono = kept.keep(whole, folder)
        if mono is not None:
            return _collect(mono, pieces, wanted)
    with _decoded(file, wanted, on_block) as mono:
        return _collect(mono, pieces, wanted)


def _identity(file: BinaryIO, wanted: Wanted) -> tuple[object, ...]:
    """What two requests for the same recording have in common, as long as nobody writes to the file."""
    status = os.fstat(file.fileno())
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, wanted.max_seconds


@contextlib.contextmanager
def _decoded(file: BinaryIO, wanted: Wanted, on_block: Callable[[int], None]) -> Iterator[Mono]:
    """Check the container, and decode and mix down its sound, block by block."""
    size = os.fstat(file.fileno()).st_size
    file.seek(0)
    kind, start = _sniff(file, size=size)
    if kind in VIDEO:
        with SoundTrack(file, kind=kind, size=size) as track:
            _check_format(rate=track.rate, channels=track.channels)
            yield _mixed(_counted(track.blocks(), on_block), wanted, track.rate, track.channels, track.header.notes)
        return
    header, flac = _check_container(file, kind=kind, start=start, size=size)
    os.lseek(file.fileno(), 0, os.SEEK_SET)  # libsndfile takes the descriptor's own position for the beginning
    with _Stream(file.fileno(), closefd=False) as stream:
        rate, channels = stream.samplerate, stream.channels
        _check_format(rate=rate, channels=channels)
        decoded = _counted(_decode(stream, header=header, flac=flac), on_block)
        yield _mixed(decoded, wanted, rate, channels, header.notes)


def _mixed(blocks: Iterator[np.ndarray], wanted: Wanted, rate: int, channels: int, notes: tuple[str, ...]) -> Mono:
    balance = _Balance()
    mono = _mono(blocks, balance, most=wanted.max_seconds * rate, max_seconds=wanted.max_seconds)
    return Mono(rate=rate, channels=channels, between=lambda *_: (0, mono), notes=lambda: (*notes, *balance.notes))


def _counted(blocks: Iterator[np.ndarray], on_block: Callable[[int], None]) -> Iterator[np.ndarray]:
    for block in blocks:
        on_block(block.size)
        yield block


def _sniff(file: BinaryIO, *, size: int) -> tuple[str, int]:
    """Name the container, and say at which byte it begins: tags may stand before it."""
    start = 0
    kind = sniff_container(file.read(HEAD_BYTES))
    while kind == "id3":
        file.seek(start)
        length = id3_length(file.read(10))
        if not length or start + length >= size:
            raise AudioError("an ID3 tag with no sound after it: the file is cut; fetch it again")
        start += length
        file.seek(start)
        head = file.read(HEAD_BYTES)
        kind = sniff_container(head) if head[:4].strip(b"\0") else "mpeg"
    if start and kind not in {"flac", "mpeg"}:
        raise AudioError(f"an ID3 tag before {kind.upper()} sound: remove the tag, or convert it to wav or flac")
    return kind, start


def _check_container(file: BinaryIO, *, kind: str, start: int, size: int) -> tuple[Header, FlacInfo | None]:
    """Check the container by its own rules; what STREAMINFO says comes with a FLAC only."""
    if kind == "flac":
        return read_flac_info(file, start=start)
    if kind == "mpeg":
        return check_mpeg(file, start=start, size=size), None
    if kind == "ogg":
        return check_ogg(file, size=size), None
    return (check_aiff if kind == "aiff" else check_wave)(file, size=size), None


def _check_format(*, rate: int, channels: int) -> None:
    if not MIN_RATE <= rate <= MAX_RATE:
        raise AudioError(
            f"sample rate {rate} Hz, needed {MIN_RATE} to {MAX_RATE} Hz: resample it or correct its header"
        )
    if not 1 <= channels <= MAX_CHANNELS:
        raise AudioError(f"{channels} channels, needed 1 to {MAX_CHANNELS}: mix it down")


def _span_samples(span: tuple[float | None, float | None], *, rate: int) -> tuple[int, int | None]:
    """Turn an event's times (s) into samples at the source rate; no end stays None."""
    start, end = span
    for value in span:
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise AudioError(f"event from {start} to {end} s: needed times of 0 or more; correct the list")
    first = round((start or 0.0) * rate)
    stop = None if end is None else round(end * rate)
    if stop is not None and first >= stop:
        raise AudioError(f"event from {start or 0} to {end} s holds no sample at {rate} Hz: correct its times")
    return first, stop


def _decode(stream: _Stream, *, header: Header, flac: FlacInfo | None) -> Iterator[np.ndarray]:
    """Yield the recording in blocks, float32 (frames, channels); refuse a number that is not the header's."""
    md5 = hashlib.md5(usedforsecurity=False) if flac and flac.md5 and flac.bits in (8, 16, 24) else None
    buffer = np.empty((BLOCK_FRAMES, stream.channels), dtype=np.int32 if md5 else np.float32)
    n_frames = 0
    while n_read := len(block := stream.read(out=buffer)):
        n_frames += n_read
        if md5 and flac:  # FLAC's MD5 is of the samples in whole bytes; libsndfile puts them at the top of the 32 bits
            md5.update(block.astype("<i4").view("u1").reshape(-1, 4)[:, 4 - flac.bits // 8 :].tobytes())
            block = block.astype(np.float32) * np.float32(2.0**-31)
        yield block
    _check_number(stream, n_frames=n_frames, header=header)
    if md5 and flac and md5.digest() != flac.md5:
        raise AudioError("damaged FLAC: its samples do not match its own MD5; fetch it again")


class _Balance:
    """How much of the channels' power is left in their mean."""

    def __init__(self) -> None:
        self._of_channels = self._of_mean = 0.0

    def add(self, block: np.ndarray, mean: np.ndarray) -> None:
        n_channels = block.shape[1]
        if n_channels > 1:
            self._of_channels += float(np.vdot(block, block)) / n_channels
            self._of_mean += float(np.vdot(mean, mean))

    @property
    def notes(self) -> tuple[str, ...]:
        return (CANCELLED,) if self._of_mean < CANCELLED_POWER * self._of_channels else ()


def _mono(blocks: Iterator[np.ndarray], balance: _Balance, *, most: float, max_seconds: float) -> Iterator[np.ndarray]:
    """Yield the mean of the channels, float32 (frames,); refuse samples that are no sound, and more than `most`."""
    n_frames = 0
    for block in blocks:
        n_frames += len(block)
        if n_frames > most:
            raise AudioError(f"longer than {max_seconds:g} s: cut it into shorter recordings")
        peak = float(np.abs(block).max())
        if not math.isfinite(peak):
            raise AudioError("it holds NaN or infinite samples: export it again")
        if peak > MAX_PEAK:
            raise AudioError(f"its peak is {peak:g}, needed at most {MAX_PEAK:g} (full scale is 1): scale it down")
        mean = block.mean(axis=1, dtype=np.float64).astype(np.float32) + np.float32(0)  # + 0 makes -0.0 a plain zero
        balance.add(block, mean)
        yield mean


def _check_number(stream: _Stream, *, n_frames: int, header: Header) -> None:
    """Compare the frames that were decoded with what the checks and the decoder's own header say."""
    if n_frames == 0:
        raise AudioError("no sound in it (0 samples): fetch or export the recording again")
    expected = stream.frames if header.n_frames is None else header.n_frames
    # The decoder's own number is a guess where only a least one is known, and the largest where the header tells none.
    is_known = header.n_frames is not None or not (header.least_frames or stream.frames == np.iinfo(np.int64).max)
    if is_known and n_frames != expected:
        raise AudioError(
            f"truncated or damaged {stream.format}: the header tells {expected} samples, {n_frames} came out: "
            "fetch it again"
        )
    if n_frames < header.least_frames:
        raise AudioError(
            f"{n_frames} of at least {header.least_frames} samples came out (an MP3 of varying bit rate without a "
            "header that tells its length): convert it to wav or flac"
        )


def _cut(mono: Mono, *, start: int, stop: int | None) -> Iterator[np.ndarray]:
    """Yield what lies in [start, stop) samples; takes all pieces, so that the checks of the whole file are made."""
    rate = mono.rate
    position, blocks = mono.between(start, stop)
    for block in blocks:
        wanted = block[max(0, start - position) : len(block) if stop is None else max(0, stop - position)]
        position += len(block)
        if len(wanted):
            yield wanted
    if start >= position or (stop is not None and stop > position + 1):
        end = "the end" if stop is None else f"{stop / rate:g} s"
        raise AudioError(
            f"event from {start / rate:g} s to {end}, but the file lasts {position / rate:g} s: correct it"
        )


def _collect(mono: Mono, pieces: Pieces, wanted: Wanted) -> Told:
    """Cut, digest and resample block by block into `pieces`."""
    rate, sample_rate = mono.rate, wanted.sample_rate
    digest = hashlib.sha256(struct.pack("<I", rate))
    start, stop = _span_samples((wanted.start_seconds, wanted.end_seconds), rate=rate)
    resampler = None if rate == sample_rate else soxr.ResampleStream(rate, sample_rate, 1, "float32", RESAMPLE_QUALITY)
    n_source, same = 0, None
    for block in _cut(mono, start=start, stop=stop):
        digest.update(block.astype("<f4", copy=False).data)
        if n_source == 0:
            same = block[0]
        if same is not None and (block != same).any():
            same = None
        n_source += len(block)
        pieces.append(block if resampler is None else resampler.resample_chunk(block))
    if resampler is not None:
        pieces.append(resampler.resample_chunk(np.empty(0, dtype=np.float32), last=True))
    n_samples = n_resampled(n_source, rate, sample_rate)
    if n_samples == 0:
        raise AudioError(f"{n_source} samples at {rate} Hz are less than one at {sample_rate} Hz: leave it out")
    pieces.resize(n_samples)
    notes = mono.notes() if same is None else (*mono.notes(), NO_SOUND)
    return Told(rate, mono.channels, digest.hexdigest(), notes)
