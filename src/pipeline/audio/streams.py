"""Containers made of frames or pages (FLAC, Ogg, MP3): see that the stream is whole.

A decoder resynchronises after what is missing and gives fewer samples without an error; so the stream is walked first.
"""

import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from pipeline.audio.chunks import STREAMED_NOTE, Header
from pipeline.errors import AudioError

# kbit/s by index, of MPEG-1 and of MPEG-2/2.5 Layer III (ISO/IEC 11172-3, 2.4.2.3 and ISO/IEC 13818-3, 2.4.2.3).
_KBPS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBPS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_MPEG_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # by version bits
_LYRICS_BYTES = 1 << 17  # how far the end of a Lyrics3 tag is looked for
_END_TAGS = (b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"ID3", b"3DI")
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(frozen=True)
class FlacInfo:
    """STREAMINFO of a FLAC file: bits per sample, and the MD5 of the decoded samples (b"" where it is left out)."""

    bits: int
    md5: bytes


def read_flac_info(file: BinaryIO, *, start: int) -> tuple[Header, FlacInfo]:
    """Read the STREAMINFO block of a FLAC stream that begins at byte `start`.

    The layout is RFC 9639, 8.2. Whether the stream is whole shows in decoding: by the frames and by the MD5.

    Raises
    ------
    AudioError
        If the file ends within the block.
    """
    file.seek(start)
    head = file.read(42)
    if len(head) < 42 or head[4] & 0x7F != 0:
        raise AudioError("truncated FLAC: its STREAMINFO block is not whole; fetch it again")
    packed = int.from_bytes(head[18:26], "big")  # 20 bits rate, 3 channels - 1, 5 bits - 1, 36 total samples
    n_frames = packed & ((1 << 36) - 1)
    md5 = head[26:42] if any(head[26:42]) else b""
    header = Header(n_frames) if n_frames else Header(None, (STREAMED_NOTE,))
    return header, FlacInfo(bits=(packed >> 36 & 0x1F) + 1, md5=md5)


def check_ogg(file: BinaryIO, *, size: int) -> Header:
    """Walk the pages of an Ogg file of `size` bytes (RFC 3533).

    Returns
    -------
    Header
        With the sample frames of a Vorbis stream, where it begins at 0: the decoder leaves out what it cannot use,
        and counts the rest.

    Raises
    ------
    AudioError
        If a page is cut, damaged (checksum) or missing (number), the last page does not end the stream, or there is
        more than one stream, of which the decoder would give the first only.
    """
    position, number, serial, flags = 0, 0, None, 0
    place = _VorbisPlace()
    while position < size:
        file.seek(position)
        page = _read_page(file, position=position, n_pages=number)
        flags, page_serial, page_number = struct.unpack("<xxxxxB8xII", page[:22])
        if serial is not None and page_serial != serial:
            raise AudioError("an Ogg file of several streams: split or convert it to one stream of sound")
        if number and page_number != number:
            raise AudioError(f"damaged Ogg: page {number} is missing; fetch it again")
        place.pass_page(page, is_first=position == 0)
        serial, number, position = page_serial, page_number + 1, position + len(page)
        if flags & 4:
            break
    if not flags & 4:
        raise AudioError(f"truncated Ogg: after {number} pages no end-of-stream mark; fetch it again")
    file.seek(position)
    rest = file.read(64)
    if rest.startswith(b"OggS"):
        raise AudioError("an Ogg file of several streams one after the other: split or convert it to one")
    notes = (f"{size - position} bytes after the end of the stream ignored",) if rest else ()
    return Header(place.n_frames, notes)


class _VorbisPlace:
    """How many samples a Vorbis stream holds, by the place that its pages tell (Vorbis I, A.2)."""

    def __init__(self) -> None:
        self._longest = 0  # samples that a packet can bring; 0 where it is no Vorbis
        self._last: int | None = None

    def pass_page(self, page: bytes, *, is_first: bool) -> None:
        table = page[27 : 27 + page[26]]
        body = page[27 + len(table) :]
        if is_first:
            # The larger of two block lengths, of which half comes out, stands in the upper bits of byte 28.
            self._longest = 1 << (body[28] >> 4) >> 1 if body[:7] == b"\1vorbis" and len(body) > 28 else 0
            return
        place: int = struct.unpack("<q", page[6:14])[0]
        if not self._longest or place <= 0:  # headers; no packet ends
            return
        n_packets = sum(length < 255 for length in table)
        if self._last is None and place > n_packets * self._longest:
            self._longest = 0  # cut out of a longer stream: where it began is not told
        else:
            self._last = place

    @property
    def n_frames(self) -> int | None:
        return self._last if self._longest else None


def _read_page(file: BinaryIO, *, position: int, n_pages: int) -> bytes:
    """Read one page and check its length and checksum."""
    head = file.read(27)
    if len(head) == 27 and head[:4] != b"OggS":
        raise AudioError(f"damaged Ogg: no page at byte {position}; fetch it again")
    table = file.read(head[26]) if len(head) == 27 else b""
    body = file.read(sum(table))
    if len(head) < 27 or len(table) < head[26] or len(body) < sum(table):
        raise AudioError(f"truncated Ogg: it ends within page {n_pages}; fetch it again")
    page = head + table + body
    if _ogg_checksum(page) != struct.unpack("<I", page[22:26])[0]:
        raise AudioError(f"damaged Ogg: the checksum of page {n_pages} is wrong; fetch it again")
    return page


def _ogg_checksum(page: bytes) -> int:
    """Give the page's CRC-32: zlib's polynomial, the bits the other way round, start and end value 0 (RFC 3533, 6)."""
    blank = page[:22] + bytes(4) + page[26:]
    mirrored = zlib.crc32(blank.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)


@dataclass(frozen=True)
class _MpegFrame:
    n_bytes: int
    n_samples: int
    info_offset: int  # where the side information ends: an Xing or Info header lies there
    stream: tuple[int, int, bool]  # version, rate and whether it is mono, which do not change within a stream


def check_mpeg(file: BinaryIO, *, start: int, size: int) -> Header:
    """Walk the frames of an MP3 stream that begins at byte `start` of a file of `size` bytes.

    Returns
    -------
    Header
        With the least number of sample frames where no header tells it: the decoder guesses from the first bit
        rates, and stops there. With a header the decoder knows how much is the encoder's delay and takes it away.

    Raises
    ------
    AudioError
        If a frame is cut or damaged, the first frame's Xing, Info or VBRI header tells another number of frames, or the
        coding is not Layer III.
    """
    file.seek(start)
    first = file.read(1 << 12)
    n_zeros = len(first) - len(first.lstrip(b"\0"))  # padding of a tag
    file.seek(start + n_zeros)
    first = file.read(1 << 12)
    frame = _parse_frame(first[:4])
    if frame is None:
        raise AudioError("bytes of no known sound format: give wav, flac, ogg, mp3 or aiff")
    claimed, is_exact = _claimed_frames(first, frame)
    file.seek(max(start, size - 128))
    sound_size = size - 128 if file.read(3) == b"TAG" else size  # an ID3v1 tag: a cut frame must not reach into it
    n_frames, end = _count_frames(file, position=start + n_zeros, size=sound_size, stream=frame.stream)
    n_frames -= claimed is not None  # the frame that holds the header holds no sound
    if n_frames < 1:
        raise AudioError("an MP3 without one whole frame of sound: fetch it again")
    if claimed is not None and not claimed - (not is_exact) <= n_frames <= claimed:
        word = "truncated" if n_frames < claimed else "damaged"
        raise AudioError(f"{word} MP3: the header tells {claimed} frames, the file holds {n_frames}; fetch it again")
    notes = (f"{size - end} bytes after the last frame ignored",) if end < size else ()
    # The first frames of a stream that was cut out of a longer one need bits that are gone: two may be missing.
    return Header(None, notes, least_frames=0 if claimed and is_exact else max(1, (n_frames - 2) * frame.n_samples))


def _parse_frame(head: bytes) -> _MpegFrame | None:
    """Read a frame header of four bytes; None where it is none."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    kbps_index, rate_index = head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or layer == 0 or rate_index == 3 or kbps_index == 15:
        return None
    if layer != 1 or kbps_index == 0:
        raise AudioError("MPEG sound that is not an MP3 of a stated bit rate (layer I, II or free): convert it to wav")
    rate = _MPEG_RATES[version][rate_index]
    is_first_version, is_mono = version == 3, head[3] >> 6 == 3
    kbps = (_KBPS_1 if is_first_version else _KBPS_2)[kbps_index]
    n_samples = 1152 if is_first_version else 576
    side = (17 if is_mono else 32) if is_first_version else (9 if is_mono else 17)
    n_bytes = n_samples // 8 * kbps * 1000 // rate + (head[2] >> 1 & 1)
    return _MpegFrame(n_bytes, n_samples, 4 + side, (version, rate, is_mono))


def _claimed_frames(first: bytes, frame: _MpegFrame) -> tuple[int | None, bool]:
    """Give the frames of sound that the first frame's header tells, and whether its encoder is known to count exactly.

    Others than LAME and libavcodec may count the header's own frame too.
    """
    at = frame.info_offset
    if first[at : at + 4] in (b"Xing", b"Info") and len(first) >= at + 12:
        flags, claimed = struct.unpack(">II", first[at + 4 : at + 12])
        # Flags say which fields are there: frames, bytes, table of contents, quality; the encoder's name follows.
        skipped = 8 + sum(length for bit, length in ((1, 4), (2, 4), (4, 100), (8, 4)) if flags & bit)
        encoder = first[at + skipped : at + skipped + 4]
        # Without the number of frames the header is still no frame of sound, but there is nothing to compare.
        return (claimed, encoder in (b"LAME", b"Lavc", b"Lavf")) if flags & 1 else (None, False)
    if first[36:40] == b"VBRI" and len(first) >= 54:
        return struct.unpack(">I", first[50:54])[0], False
    return None, False


def _count_frames(file: BinaryIO, *, position: int, size: int, stream: tuple[int, int, bool]) -> tuple[int, int]:
    """Count the whole frames up to a tag, padding or the end of the file; and say at which byte they end."""
    n_frames = 0
    while position < size:
        file.seek(position)
        head = file.read(12)
        frame = _parse_frame(head[:4])
        if frame is None or frame.stream != stream:
            if head.startswith(_END_TAGS) or _is_padding(file, position):
                _refuse_second(file, _after_tags(file, position))
                break
            raise AudioError(f"damaged MP3: after {n_frames} frames no frame at byte {position}; fetch it again")
        if position + frame.n_bytes > size:
            raise AudioError(f"truncated MP3: it ends within frame {n_frames + 1}; fetch it again")
        position += frame.n_bytes
        n_frames += 1
    return n_frames, min(position, size)


def _after_tags(file: BinaryIO, position: int) -> int:
    """Say where the tags that begin at a byte end, as far as they tell their lengths."""
    while True:
        file.seek(position)
        head = file.read(_LYRICS_BYTES)
        length = id3_length(head[:10])
        if head.startswith(b"TAG"):
            length = 128
        elif head.startswith(b"APETAGEX") and len(head) >= 32:
            length = 32 + int.from_bytes(head[12:16], "little")
        elif head.startswith(b"LYRICSBEGIN"):
            ends = [at + 9 for mark in (b"LYRICSEND", b"LYRICS200") if (at := head.find(mark)) > 0]
            length = min(ends, default=0)
        if not length:
            return position
        position += length


def _refuse_second(file: BinaryIO, position: int) -> None:
    """Refuse frames behind a tag, two of them to be sure: of files one after the other a decoder may give the first."""
    for _ in range(2):
        file.seek(position)
        frame = _parse_frame(file.read(4))
        if frame is None:
            return
        position += frame.n_bytes
    raise AudioError("an MP3 of several one after the other, a tag between them: split it or convert it to one wav")


def _is_padding(file: BinaryIO, position: int) -> bool:
    """Tell whether nothing but zero bytes follow."""
    file.seek(position)
    return not any(block.strip(b"\0") for block in iter(lambda: file.read(1 << 20), b""))


def id3_length(head: bytes) -> int:
    """Give the length of the ID3v2 tag that `head` (10 bytes) opens, header and footer included; 0 where it is none."""
    if len(head) < 10 or head[:3] != b"ID3" or any(byte & 0x80 for byte in head[6:10]):
        return 0
    length = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]  # seven bits a byte
    return 10 + length + (10 if head[5] & 0x10 else 0)
