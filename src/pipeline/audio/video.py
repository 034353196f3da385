"""The sound track of a video, decoded with PyAV, which the extra `video` installs."""

from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from pipeline.audio.boxes import check_video
from pipeline.errors import AudioError

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream

WHAT = {"avi": "an AVI video", "mp4": "an MP4 or QuickTime file", "matroska": "a Matroska or WebM file"}
FORMATS = {"avi": "avi", "mp4": "mov", "matroska": "matroska"}  # as libavformat calls them
_LEAST_BLOCK = 1 << 16  # frames: those of a coding are too few to go on one by one
# By how much a coded track may miss the length that the file tells: frames of the coding, which an encoder's delay and
# padding fill, and one in a hundred, to which writers round.
_EDGE_FRAMES = 3
# Of each sample format: the value of full scale; unsigned ones are around the middle.
_FULL_SCALE = {"u1": 2.0**7, "i2": 2.0**15, "i4": 2.0**31, "i8": 2.0**63, "f4": 1.0, "f8": 1.0}


def load_pyav(what: str) -> ModuleType:
    """Import PyAV to read what is named.

    Raises
    ------
    AudioError
        If it is not installed.
    """
    try:
        import av
    except ImportError:
        raise AudioError(f"{what}, which needs PyAV to be read: pip install 'emospec[video]'") from None
    return av


class SoundTrack:
    """The first sound track of a video that was checked, to be gone through once.

    Parameters
    ----------
    file
        Open for reading; the track reads from it until it is closed.
    kind
        As `sniffing.sniff_container` names it.
    size
        Of the file, bytes.

    Attributes
    ----------
    header
        What the container promises.
    rate, channels
        As in the file.

    Raises
    ------
    AudioError
        If the file is cut or damaged, holds no sound, or PyAV is not installed.
    """

    def __init__(self, file: BinaryIO, *, kind: str, size: int) -> None:
        self._what = WHAT[kind]
        self.header = check_video(file, kind=kind, size=size)
        self._told = self.header.n_frames  # sample frames that must come out; None where nothing tells them exactly
        self._in_packets = 0  # the same by the packets' own durations, in the track's time base
        av = load_pyav(self._what)
        self._errors: tuple[type[Exception], ...] = (av.FFmpegError, ValueError)
        file.seek(0)
        try:
            self._container = av.open(file, "r", format=FORMATS[kind], options={"err_detect": "explode"})
            streams = self._container.streams.audio
            if not streams:
                raise AudioError(f"{self._what} without a sound track: take it out of the list")
            self._stream: AudioStream = streams[0]
            if self._stream.codec_context is None:
                raise AudioError(f"{self._what} whose sound is of an unknown coding: convert it to wav or flac")
            self._stream.codec_context.options = {"err_detect": "explode"}
            self.rate: int
            self.channels: int
            self.rate, self.channels = self._stream.codec_context.sample_rate, self._stream.codec_context.channels
        except self._errors as error:
            raise self._damage(error) from error

    def __enter__(self) -> "SoundTrack":
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield all samples, float32 (frames, channels), full scale -1..1.

        Raises
        ------
        AudioError
            If the sound does not decode, changes its rate or channels, or is not as long as the file says.
        """
        held: list[np.ndarray] = []
        n_held = n_frames = longest = 0
        for frame in self._frames():
            if (frame.sample_rate, frame.layout.nb_channels) != (self.rate, self.channels):
                raise AudioError("its sound track changes its sample rate or channels: convert it to wav or flac")
            held.append(_as_floats(frame))
            n_held, longest = n_held + frame.samples, max(longest, frame.samples)
            if n_held >= _LEAST_BLOCK:
                n_frames += n_held
                yield np.concatenate(held)
                held, n_held = [], 0
        if held:
            n_frames += n_held
            yield np.concatenate(held)
        self._check_number(n_frames, longest=longest)

    def expected_frames(self) -> int:
        """Tell how many sample frames the container promises, of a coded track about so many; 0 where it does not."""
        if self._told is not None:
            return self._told
        if ticks := self._stream.duration or self._in_packets:
            return round(ticks * (self._stream.time_base or 0) * self.rate)
        return round((self._container.duration or 0) * self.rate / 1_000_000)

    def _frames(self) -> Iterator["AudioFrame"]:
        try:
            for packet in self._container.demux(self._stream):
                if packet.is_corrupt:
                    raise AudioError(f"damaged {self._what.split(' ', 1)[1]}: a piece of its sound is cut")
                self._in_packets += packet.duration or 0
                yield from packet.decode()
        except self._errors as error:
            raise self._damage(error) from error

    def _check_number(self, n_frames: int, *, longest: int) -> None:
        """Compare the frames that came out with the container's own number, or with the length that it tells."""
        if n_frames == 0:
            raise AudioError(f"{self._what} whose sound track holds no sound: fetch or export it again")
        expected = self.expected_frames()
        tolerance = _EDGE_FRAMES * longest + expected // 100 if self._told is None else 0
        if abs(n_frames - expected) > tolerance:
            raise AudioError(
                f"truncated or damaged {self._what.split(' ', 1)[1]}: {expected} samples are in it, {n_frames} "
                "came out: fetch it again"
            )

    def _damage(self, error: Exception) -> AudioError:
        reason = getattr(error, "strerror", None) or str(error)
        return AudioError(f"{self._what} whose sound does not decode ({reason}): it is damaged; fetch it again")


def _as_floats(frame: "AudioFrame") -> np.ndarray:
    """Give a frame's samples as float32 (frames, channels)."""
    array: np.ndarray[Any, Any] = frame.to_ndarray()  # planar: (channels, frames); packed: (1, frames * channels)
    samples = array.T if frame.format.is_planar else array.reshape(frame.samples, -1)
    scale = _FULL_SCALE[samples.dtype.str[1:]]
    if samples.dtype.kind == "u":
        return ((samples.astype(np.float32) - scale) / scale).astype(np.float32)
    return (samples / samples.dtype.type(scale) if scale == 1.0 else samples / scale).astype(np.float32)
