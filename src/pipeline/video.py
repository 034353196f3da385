"""The frames of a video that are shown at some times of its sound, decoded with PyAV."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from pipeline.audio.boxes import check_video
from pipeline.audio.reading import check_file, shown_name
from pipeline.audio.sniffing import HEAD_BYTES, VIDEO, sniff_container
from pipeline.audio.video import FORMATS, WHAT, load_pyav
from pipeline.errors import AudioError

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

MOST_PIXELS = 2**26  # of a frame, 67 million: a decoder holds several, of some bytes for each
HELD_SECONDS = 1.0  # for which a last frame may be shown without a word about it in the file
TOLERANCE = 1e-6  # seconds: a frame that appears at the very time is there, whatever the last digit


@dataclass(frozen=True)
class Frame:
    """One frame of a video, turned as it is to be shown.

    Attributes
    ----------
    seconds
        When it appears, in the time of the sound; below 0 where the pictures begin before the sound.
    pixels
        uint8 (height, width, 3).
    aspect
        Width of a pixel over its height, where it is shown.
    """

    seconds: float
    pixels: NDArray[np.uint8]
    aspect: float


def read_frames(path: Path, seconds: Sequence[float], *, threads: int = 1) -> Iterator[Frame]:
    """Yield the frame that is shown at each of some times: the last that appears by then, or else the first of all.

    The video is decoded from its beginning up to the last frame that is asked for; a frame that is asked for several
    times is the same object. Times are those of the sound track, whose first sample is at 0, whatever the container
    calls that moment.

    Parameters
    ----------
    seconds
        Not decreasing.
    threads
        With which one video is decoded.

    Raises
    ------
    AudioError
        If the file is no video that can be read, has no pictures, or none at these times; the message names the file.
    """
    name = shown_name(path)
    try:
        check_file(path)
        with path.open("rb") as file:
            yield from _read(file, seconds, threads)
    except AudioError as error:
        raise AudioError(f"{name}: {error}") from None
    except OSError as error:
        raise AudioError(f"{name}: it cannot be read ({error.strerror}): check the disk and permissions") from error


def _read(file: BinaryIO, seconds: Sequence[float], threads: int) -> Iterator[Frame]:
    kind = sniff_container(file.read(HEAD_BYTES))
    if kind not in VIDEO:
        raise AudioError(
            "sound without pictures: give a video (avi, mp4, mov, mkv or webm), or set another representation.kind"
        )
    check_video(file, kind=kind, size=os.fstat(file.fileno()).st_size)
    av = load_pyav(WHAT[kind])
    try:
        with _open(av, file, kind) as container:
            start = _sound_start(container)
        with _open(av, file, kind) as container:
            stream = _picture_track(av, container, WHAT[kind])
            stream.codec_context.options = {"err_detect": "explode"}
            stream.codec_context.thread_type = "AUTO"
            stream.codec_context.thread_count = threads
            yield from _shown_at(container, stream, seconds, start)
    except (av.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise AudioError(f"its pictures do not decode ({reason}): it is damaged; fetch it again") from error


def _open(av: Any, file: BinaryIO, kind: str) -> Any:
    file.seek(0)
    return av.open(file, "r", format=FORMATS[kind], options={"err_detect": "explode"})


def _sound_start(container: Any) -> float:
    """When the first sample of the sound is due, in the container's time."""
    if not container.streams.audio:
        return 0.0
    first = next(container.decode(audio=0), None)
    return 0.0 if first is None or first.time is None else float(first.time)


def _picture_track(av: Any, container: Any, what: str) -> "VideoStream":
    """Find the first track of moving pictures: a cover is none."""
    cover = av.stream.Disposition.attached_pic
    streams: list[VideoStream] = [one for one in container.streams.video if not one.disposition & cover]
    if not streams:
        raise AudioError(f"{what} without pictures: take it out of the list, or set another representation.kind")
    track = streams[0].codec_context
    if track is None:
        raise AudioError(f"{what} whose pictures are of an unknown coding: encode it anew")
    if not 0 < track.width * track.height <= MOST_PIXELS:
        raise AudioError(
            f"pictures of {track.width} x {track.height} pixels, at most {MOST_PIXELS // 10**6} million can be read: "
            "scale the video down"
        )
    return streams[0]


@dataclass(frozen=True)
class _Timed:
    """A frame as it was decoded, and when it appears."""

    frame: "VideoFrame"
    seconds: float
    until: float  # where it is the last


def _shown_at(container: Any, stream: "VideoStream", seconds: Sequence[float], start: float) -> Iterator[Frame]:
    aspect = float(stream.sample_aspect_ratio or 1) or 1.0
    frames = _timed_frames(container, stream, start)
    last = next(frames, None)
    if last is None:
        raise AudioError("its picture track holds no frame: fetch or export it again")
    following, made = next(frames, None), None
    for time in seconds:
        while following is not None and following.seconds <= time + TOLERANCE:
            last, made, following = following, None, next(frames, None)
        if following is None and time > last.until:
            raise AudioError(
                f"its last picture appears at {last.seconds:.2f} s and counts until {last.until:.2f} s, and its sound "
                f"goes on beyond {time:.2f} s: list the part that has pictures in clips.csv, or take it out of the list"
            )
        if made is None:
            made = _shown(last, aspect)
        yield made


def _timed_frames(container: Any, stream: "VideoStream", start: float) -> Iterator[_Timed]:
    """Yield the frames in the order in which they are shown; one without a time follows at the mean rate.

    A frame that is said to appear before the one that precedes it appears with that one, as players have it.
    """
    usual = float(1 / stream.average_rate) if stream.average_rate else 0.0
    at: float | None = None
    longest = 0.0
    for frame in container.decode(stream):
        told = None if frame.time is None else float(frame.time) - start
        before, at = at, told if told is not None else 0.0 if at is None else at + usual
        if before is not None:
            at = max(at, before)
            longest = max(longest, at - before)
        own = float((frame.duration or 0) * (frame.time_base or 0))
        yield _Timed(frame, at, at + max(HELD_SECONDS, longest, own))


def _shown(timed: _Timed, aspect: float) -> Frame:
    """Turn a decoded frame into colours, the right way up."""
    frame = timed.frame
    if frame.is_corrupt:
        raise AudioError(f"the frame at {timed.seconds:.2f} s does not decode whole: it is damaged; fetch it again")
    if frame.width * frame.height > MOST_PIXELS:
        raise AudioError(f"a frame of {frame.width} x {frame.height} pixels: scale the video down")
    quarters, odd = divmod(round(frame.rotation), 90)
    if odd:
        raise AudioError(
            f"its pictures are to be turned by {frame.rotation} degrees, needed a multiple of 90: encode it anew"
        )
    pixels = frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
    turned = np.ascontiguousarray(np.rot90(pixels, quarters))
    return Frame(timed.seconds, turned, 1 / aspect if quarters % 2 else aspect)
