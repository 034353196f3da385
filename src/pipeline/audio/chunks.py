"""Containers made of chunks (WAV, RIFX, RF64, Wave64, AIFF): compare the lengths in the header with the file's.

The decoder believes the header and gives fewer samples, or none, without an error; so this is done first.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from pipeline.errors import AudioError

# A writer that cannot seek back leaves one of these as the length: the standard's own, SoX's, and two of recorders.
_STREAMED = frozenset({0xFFFFFFFF, 0x7FFFF000, 0x7FFFFFFF, 0x80000000})
_LINEAR_TAGS = frozenset({1, 3, 6, 7, 0xFFFE})  # PCM, float, A-law, mu-law, extensible: bytes / block align = frames
_LINEAR_AIFF = frozenset(b"NONE sowt twos in24 in32 fl32 FL32 fl64 FL64 ulaw ULAW alaw ALAW".split()) | {b"raw "}
_JUNK_BYTES = 128  # what may lie after the last chunk: an ID3v1 tag, padding; more may be sound that the header hides
_COMMON_BYTES = 1 << 10  # how much of a header chunk is read, whatever length it claims
STREAMED_NOTE = "length in header unknown (streamed)"


@dataclass(frozen=True)
class Header:
    """What a container's header promises.

    Attributes
    ----------
    n_frames
        Sample frames that must come out of the decoder; None where the header cannot tell.
    least_frames
        Sample frames that must come out at the least, where a walk through the stream tells that only.
    notes
        What was tolerated.
    """

    n_frames: int | None = None
    notes: tuple[str, ...] = ()
    least_frames: int = 0


@dataclass(frozen=True)
class _Chunk:
    name: bytes
    start: int  # of the body, in bytes from the file's beginning
    length: int  # of the body as claimed


def check_wave(file: BinaryIO, *, size: int) -> Header:
    """Check a WAV, RIFX, RF64 or Wave64 file of `size` bytes.

    Returns
    -------
    Header
        With the frames that the data chunk holds, where its coding is linear.

    Raises
    ------
    AudioError
        If no fmt chunk comes before the data chunk, or the latter is missing, empty, longer than the file, or followed
        by bytes that are no chunks.
    """
    file.seek(0)
    head = file.read(4)
    order = ">" if head == b"RIFX" else "<"
    walk = _walk_w64(file, size=size) if head == b"riff" else _walk_chunks(file, size=size, order=order)
    has_format, block_align, data, end = False, 0, None, 0
    for chunk in walk:
        end = chunk.start + chunk.length
        if chunk.name == b"fmt ":
            has_format = True
            tag, block_align = struct.unpack(order + "H10xH", _body(file, chunk, 14))
            block_align = block_align if tag in _LINEAR_TAGS else 0
        elif chunk.name == b"data":
            if not has_format:
                raise AudioError("a WAV that does not tell its format (no fmt chunk before the sound): export it again")
            if data is not None:
                raise AudioError("a WAV with two data chunks: convert it to one with a single data chunk")
            data = chunk
    return _judge_wave(file, data, block_align=block_align, end=end, size=size, is_riff=head in (b"RIFF", b"RIFX"))


def _judge_wave(file: BinaryIO, data: _Chunk | None, *, block_align: int, end: int, size: int, is_riff: bool) -> Header:
    """Compare the data chunk with the file; `end` is where the last chunk that was walked ends, in bytes."""
    if data is None:
        raise AudioError("a WAV header without a data chunk: the file is cut or no sound was written; fetch it again")
    held = size - data.start
    notes: tuple[str, ...] = ()
    n_bytes = data.length
    if is_riff and n_bytes in _STREAMED and n_bytes > held:
        n_bytes, notes = held, (STREAMED_NOTE,)
    elif n_bytes > held:
        raise AudioError(
            f"truncated WAV: the header claims {n_bytes} bytes of sound, the file holds {held}: fetch it again"
        )
    else:
        notes = _judge_rest(file, end=end, size=size, claimed=f"the data chunk claims {n_bytes} bytes")
    if n_bytes == 0:
        raise AudioError("a WAV header with no sound after it (data length 0): fetch or export the recording again")
    return Header(n_bytes // block_align if block_align else None, notes)


def check_aiff(file: BinaryIO, *, size: int) -> Header:
    """Check an AIFF or AIFF-C file of `size` bytes.

    Returns
    -------
    Header
        With the frames that the COMM chunk claims, where its coding is linear.

    Raises
    ------
    AudioError
        If COMM or SSND is missing, SSND is empty or longer than the file, or bytes that are no chunks follow.
    """
    n_frames, has_common, sound, end = None, False, None, 0
    for chunk in _walk_chunks(file, size=size, order=">"):
        end = chunk.start + chunk.length
        if chunk.name == b"COMM":
            has_common = True
            body = _body(file, chunk, 18)
            n_frames = struct.unpack(">I", body[2:6])[0]
            if body[18:22] and body[18:22] not in _LINEAR_AIFF:
                n_frames = None
        elif chunk.name == b"SSND":
            sound = chunk
            if end > size:
                held = size - sound.start
                raise AudioError(
                    f"truncated AIFF: the header claims {sound.length} bytes of sound, the file holds {held}: "
                    "fetch it again"
                )
    if sound is None or not has_common:
        raise AudioError("an AIFF without a COMM or an SSND chunk: the file is cut; fetch it again")
    notes = _judge_rest(file, end=end, size=size, claimed=f"the sound chunk claims {sound.length} bytes")
    if sound.length <= 8 or n_frames == 0:
        raise AudioError("an AIFF header that claims no sound (length 0): fetch or export the recording again")
    return Header(n_frames, notes)


def _judge_rest(file: BinaryIO, *, end: int, size: int, claimed: str) -> tuple[str, ...]:
    """Refuse much after the last chunk that is no chunk: it is the sound that a wrong length hides."""
    file.seek(min(end, size))
    n_junk = max(0, size - end)
    if n_junk <= _JUNK_BYTES:
        return (f"{n_junk} bytes after the last chunk ignored",) if n_junk > 1 else ()  # one byte is padding
    while block := file.read(1 << 20):
        if block.strip(b"\0"):
            raise AudioError(
                f"wrong length in the header: {claimed}, and {n_junk} bytes that are no chunks follow: export it again"
            )
    return (f"{n_junk} zero bytes after the last chunk ignored",)


def _walk_chunks(file: BinaryIO, *, size: int, order: str) -> Iterator[_Chunk]:
    """Yield the chunks of a RIFF or FORM file up to the first that is none; one with sound may go past the end."""
    position, long_length = 12, 0
    while position + 8 <= size:
        file.seek(position)
        name, length = struct.unpack(order + "4sI", file.read(8))
        if name == b"data" and length == 0xFFFFFFFF and long_length:
            length = long_length
        chunk = _Chunk(name, position + 8, length)
        has_sound = name in (b"data", b"SSND")
        if not _is_name(name) or (chunk.start + length > size and not has_sound):
            return
        yield chunk
        if name == b"ds64":
            long_length = struct.unpack("<8xQ", _body(file, chunk, 16))[0]
        position = chunk.start + length
        if length % 2 and position < size:  # a pad byte, which some writers leave out
            file.seek(position)
            following = file.read(4)
            position += 0 if _is_name(following) and following[:1] != b"\0" else 1


def _walk_w64(file: BinaryIO, *, size: int) -> Iterator[_Chunk]:
    """Yield the chunks of a Wave64 file: a GUID that opens with the name, and a 64-bit length, header included."""
    position = 40
    while position + 24 <= size:
        file.seek(position)
        name, length = struct.unpack("<4s12xQ", file.read(24))
        if length < 24 or not _is_name(name) or (position + length > size and name != b"data"):
            return
        yield _Chunk(name, position + 24, length - 24)
        position += (length + 7) // 8 * 8


def _is_name(name: bytes) -> bool:
    return len(name) == 4 and all(0x20 <= byte < 0x7F for byte in name)


def _body(file: BinaryIO, chunk: _Chunk, at_least: int) -> bytes:
    """Read the opening of a chunk's body."""
    file.seek(chunk.start)
    body = file.read(min(chunk.length, _COMMON_BYTES))
    if len(body) < at_least:
        raise AudioError(
            f"damaged header: its {chunk.name.decode('ascii').strip()} chunk is too short; fetch the recording again"
        )
    return body[: max(at_least, 22)] if chunk.name == b"COMM" else body[:at_least]
