"""Containers of video (AVI, MP4 and QuickTime, Matroska and WebM): see that the file is whole before it is decoded.

A demultiplexer skips what it does not understand and gives less sound without an error; so the container is walked.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from pipeline.audio.chunks import Header
from pipeline.errors import AudioError

_LINEAR_TAGS = frozenset({1, 3, 6, 7, 0xFFFE})  # PCM, float, A-law, mu-law, extensible: bytes / block align = frames
_EBML_SEGMENT = 0x18538067
_MOST_LEVELS = 8  # of lists within lists: AVI has three
_FIXED = "fetch it again"
_UNTOLD = "its header does not tell its length (an unfinished recording or a stream): convert it to wav or flac"


@dataclass(frozen=True)
class _Chunk:
    name: bytes
    start: int  # of the body, in bytes from the file's beginning
    end: int  # where the body ends as claimed


def check_video(file: BinaryIO, *, kind: str, size: int) -> Header:
    """Check a file of `size` bytes.

    Parameters
    ----------
    kind
        "avi", "mp4" (QuickTime too) or "matroska" (WebM too).

    Returns
    -------
    Header
        With the sample frames of the first sound track, where the container is AVI and the coding linear.

    Raises
    ------
    AudioError
        If the file is cut, its parts do not follow one another, or it does not tell its own length.
    """
    return {"avi": _check_avi, "mp4": _check_mp4, "matroska": _check_matroska}[kind](file, size)


def _check_avi(file: BinaryIO, size: int) -> Header:
    """Walk an AVI file, its further RIFF chunks (OpenDML) too, down to the chunks of sound."""
    tracks: list[tuple[bytes, int]] = []  # kind and block align (0: not linear) of each track
    n_bytes: dict[bytes, int] = {}  # of each track's sound
    for chunk in _walk_avi(file, start=0, end=size):
        if chunk.name == b"strh":
            tracks.append((_read(file, chunk, 4), 0))
        elif chunk.name == b"strf" and tracks and tracks[-1][0] == b"auds":
            tag, align = struct.unpack("<H10xH", _read(file, chunk, 14))
            tracks[-1] = (b"auds", align if tag in _LINEAR_TAGS else 0)
        elif chunk.name[2:] == b"wb":
            n_bytes[chunk.name[:2]] = n_bytes.get(chunk.name[:2], 0) + chunk.end - chunk.start
    for number, (kind, align) in enumerate(tracks):
        if kind == b"auds":
            held = n_bytes.get(b"%02d" % number, 0)
            if not held:
                raise AudioError(f"an AVI whose sound track is empty: {_FIXED}")
            return Header(held // align if align else None)
    return Header()


def _walk_avi(file: BinaryIO, *, start: int, end: int, level: int = 0) -> Iterator[_Chunk]:
    """Yield the chunks between two bytes, those within lists too; refuse what is no chunk or goes past the end."""
    if level > _MOST_LEVELS:
        raise AudioError(f"damaged AVI: more than {_MOST_LEVELS} lists within one another; {_FIXED}")
    position, top = start, level == 0
    while position + 8 <= end:
        file.seek(position)
        name, length = struct.unpack("<4sI", file.read(8))
        if not _is_name(name):
            if top and position:  # after the last RIFF chunk: padding, or what a wrong length hides
                _refuse_rest(file, position=position, end=end)
                return
            raise AudioError(f"damaged AVI: no chunk at byte {position}; {_FIXED}")
        if top and length in {0, 0xFFFFFFFF}:
            raise AudioError(f"an AVI video: {_UNTOLD}")
        chunk = _Chunk(name, position + 8, position + 8 + length)
        if chunk.end > end:
            raise AudioError(f"truncated AVI: a chunk claims {length} bytes, {end - chunk.start} are there: {_FIXED}")
        if name in {b"RIFF", b"LIST"}:
            yield from _walk_avi(file, start=chunk.start + 4, end=chunk.end, level=level + 1)
        else:
            yield chunk
        position = chunk.end + length % 2


def _refuse_rest(file: BinaryIO, *, position: int, end: int) -> None:
    file.seek(position)
    while block := file.read(min(1 << 20, end - file.tell())):
        if block.strip(b"\0"):
            raise AudioError(f"damaged AVI: bytes that are no chunks follow at byte {position}; {_FIXED}")


def _check_mp4(file: BinaryIO, size: int) -> Header:
    """Walk the boxes of an MP4 or QuickTime file (ISO/IEC 14496-12, 4.2)."""
    position, names = 0, set()
    while position < size:
        file.seek(position)
        head = file.read(16).ljust(16, b"\0")
        length, name, long_length = struct.unpack(">I4sQ", head)
        length = {0: size - position, 1: long_length}.get(length, length)
        if not _is_name(name) or length < 8:
            raise AudioError(f"damaged MP4: no box at byte {position}; {_FIXED}")
        if position + length > size:
            raise AudioError(f"truncated MP4: a box claims {length} bytes, {size - position} are there: {_FIXED}")
        names.add(name)
        position += length
    if b"moov" not in names:
        raise AudioError(f"an MP4 without its table of contents (moov): the file is cut or unfinished; {_FIXED}")
    return Header()


def _check_matroska(file: BinaryIO, size: int) -> Header:
    """Compare the lengths of a Matroska file's outermost elements (RFC 8794, 4 to 6) with the file."""
    position, has_segment = 0, False
    while position < size:
        file.seek(position)
        name = _read_vint(file, keeps_marker=True)
        length = _read_vint(file)
        has_segment = has_segment or name == _EBML_SEGMENT
        if length is None:
            raise AudioError(f"a Matroska video: {_UNTOLD}")
        end = file.tell() + length
        if name is None or end > size:
            held = size - file.tell()
            raise AudioError(f"truncated Matroska: an element claims {length} bytes, {held} are there: {_FIXED}")
        position = end
    if not has_segment:
        raise AudioError(f"a Matroska header without a segment: the file is cut; {_FIXED}")
    return Header()


def _read_vint(file: BinaryIO, *, keeps_marker: bool = False) -> int | None:
    """Read a number whose first set bit tells its length; None where all its bits are set: unknown."""
    first = file.read(1)
    if not first or not first[0]:
        raise AudioError(f"truncated or damaged Matroska: no element at byte {file.tell()}; {_FIXED}")
    n_bytes = 9 - first[0].bit_length()
    rest = file.read(n_bytes - 1)
    if len(rest) < n_bytes - 1:
        raise AudioError(f"truncated Matroska: it ends within an element's head; {_FIXED}")
    value = int.from_bytes(first + rest, "big")
    largest = (1 << 7 * n_bytes) - 1
    if keeps_marker:
        return value
    return None if value & largest == largest else value & largest


def _is_name(name: bytes) -> bool:
    return len(name) == 4 and all(0x20 <= byte < 0x7F or byte == 0xA9 for byte in name)


def _read(file: BinaryIO, chunk: _Chunk, n_bytes: int) -> bytes:
    file.seek(chunk.start)
    body = file.read(min(n_bytes, chunk.end - chunk.start))
    if len(body) < n_bytes:
        raise AudioError(f"damaged AVI: its {chunk.name.decode('ascii').strip()} chunk is too short; {_FIXED}")
    return body
