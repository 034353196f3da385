"""Sound files of every container, damaged at random from a seed; and what their headers tell, read anew here."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import soundfile

RATE = 16_000
N_SAMPLES = 6000
KINDS = {
    "wav 16 bit": ("WAV", "PCM_16"),
    "wav 24 bit": ("WAVEX", "PCM_24"),
    "wav float": ("WAV", "FLOAT"),
    "wav mu-law": ("WAV", "ULAW"),
    "wav ADPCM": ("WAV", "IMA_ADPCM"),
    "rf64": ("RF64", "PCM_16"),
    "w64": ("W64", "PCM_16"),
    "aiff": ("AIFF", "PCM_16"),
    "aiff float": ("AIFF", "FLOAT"),
    "flac": ("FLAC", "PCM_16"),
    "flac 24 bit": ("FLAC", "PCM_24"),
    "ogg vorbis": ("OGG", "VORBIS"),
    "ogg opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}
TAGGED = ("mp3 with tag", "wav with list")
VIDEOS = {"video avi": ("avi", "pcm_s16le"), "video mkv": ("mkv", "pcm_s16le"), "video mp4": ("mp4", "aac")}
EXTREMES = [0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF]

Rng = np.random.Generator


def made(folder: Path) -> dict[str, bytes]:
    """One whole file of each kind: stereo noise, 6000 samples at 16 kHz."""
    path, files = folder / "whole.bin", {}
    samples = np.random.default_rng(1).uniform(-0.3, 0.3, (N_SAMPLES, 2))
    for kind, (container, coding) in KINDS.items():
        soundfile.write(path, samples, RATE, format=container, subtype=coding)
        files[kind] = path.read_bytes()
    # the rest of a file's life: a tag before, a list of what it is within
    files["mp3 with tag"] = b"ID3\4\0\0\0\0\1\0" + b"\0" * 128 + files["mp3"] + b"TAG" + b" " * 125
    wave = files["wav 16 bit"]
    extra = b"LIST" + struct.pack("<I", 26) + b"INFOISFT" + struct.pack("<I", 14) + b"Lavf60.16.100\0"
    files["wav with list"] = wave[:4] + struct.pack("<I", len(wave) - 8 + len(extra)) + wave[8:36] + extra + wave[36:]
    path.unlink()
    return files | _videos(folder)


def _videos(folder: Path) -> dict[str, bytes]:
    """Three videos, where PyAV is installed."""
    if not find_spec("av"):
        return {}
    from audio.made_video import write_video

    samples, files = np.random.default_rng(1).integers(-9000, 9000, (N_SAMPLES, 2)).astype(np.int16), {}
    for kind, (suffix, codec) in VIDEOS.items():
        path = folder / f"whole.{suffix}"
        write_video(path, samples, rate=RATE, codec=codec, layout="stereo")
        files[kind] = path.read_bytes()
    return files


def _at(data: bytes, rng: Rng) -> int:
    """Some place: half of the time among the first 200 bytes, where headers are."""
    return int(rng.integers(0, min(len(data), 200) if rng.random() < 0.5 else len(data)))


def _flip(data: bytearray, rng: Rng, _: bytes) -> None:
    for _n in range(int(rng.integers(1, 9))):
        data[_at(data, rng)] ^= 1 << int(rng.integers(8))


def _overwrite(data: bytearray, rng: Rng, _: bytes) -> None:
    at, n = _at(data, rng), int(rng.integers(1, 20))
    data[at : at + n] = rng.bytes(len(data[at : at + n]))


def _set_field(data: bytearray, rng: Rng, _: bytes) -> None:
    """Put a number that is at an edge where a header may have one."""
    width = int(rng.choice([1, 2, 4, 8]))
    at = int(rng.integers(0, min(len(data), 120))) // 2 * 2
    value = EXTREMES[rng.integers(len(EXTREMES))] & ((1 << 8 * width) - 1)
    data[at : at + width] = value.to_bytes(width, "little" if rng.random() < 0.5 else "big")


def _cut(data: bytearray, rng: Rng, _: bytes) -> None:
    del data[max(20, _at(data, rng)) :]


def _insert(data: bytearray, rng: Rng, _: bytes) -> None:
    at = _at(data, rng)
    data[at:at] = rng.bytes(int(rng.integers(1, 300)))


def _remove(data: bytearray, rng: Rng, _: bytes) -> None:
    at = _at(data, rng)
    del data[at : at + int(rng.integers(1, 300))]


def _repeat(data: bytearray, rng: Rng, _: bytes) -> None:
    at = _at(data, rng)
    data[at:at] = data[at : at + int(rng.integers(1, 3000))]


def _blank(data: bytearray, rng: Rng, _: bytes) -> None:
    at = _at(data, rng)
    data[at : at + 300] = bytes([int(rng.choice([0, 255]))]) * len(data[at : at + 300])


def _splice(data: bytearray, rng: Rng, other: bytes) -> None:
    """Go on with another file."""
    data[_at(data, rng) :] = other[_at(other, rng) :]


MUTATIONS: dict[str, Callable[[bytearray, Rng, bytes], None]] = {
    "flip bits": _flip,
    "overwrite": _overwrite,
    "set a field": _set_field,
    "cut": _cut,
    "insert": _insert,
    "remove": _remove,
    "repeat": _repeat,
    "blank": _blank,
    "splice": _splice,
}


@dataclass(frozen=True)
class Mutant:
    """A damaged file, and how it was damaged."""

    kind: str
    how: str
    data: bytes


def mutants(files: dict[str, bytes], kind: str, n: int, *, seed: int) -> list[Mutant]:
    """Damage a file in one of the ways; of three one is damaged in several, and every second Ogg is sealed anew."""
    rng = np.random.default_rng([seed, list(files).index(kind)])
    others, names, made_so = list(files.values()), list(MUTATIONS), []
    for number in range(n):
        data = bytearray(files[kind])
        ways = [names[number % len(names)]] + [names[rng.integers(len(names))] for _ in range(number % 3 // 2 * 2)]
        for way in ways:
            if data:
                MUTATIONS[way](data, rng, others[rng.integers(len(others))])
        is_sealed = data.startswith(b"OggS") and rng.random() < 0.5
        how = ways[0] if len(ways) == 1 else "several"
        made_so.append(Mutant(kind, how, sealed(bytes(data)) if is_sealed else bytes(data)))
    return made_so


def sealed(data: bytes) -> bytes:
    """Give an Ogg file's pages the checksums of what is in them, so that the damage reaches the decoder."""
    pages, position = bytearray(data), 0
    while pages[position : position + 4] == b"OggS" and position + 27 <= len(pages):
        n_segments = pages[position + 26]
        end = position + 27 + n_segments + sum(pages[position + 27 : position + 27 + n_segments])
        pages[position + 22 : position + 26] = bytes(4)
        pages[position + 22 : position + 26] = struct.pack("<I", _crc(bytes(pages[position:end])))
        position = end
    return bytes(pages[: len(data)])


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value & 0x80000000 else 0)) & 0xFFFFFFFF
        table.append(value)
    return table


_TABLE = _crc_table()


def _crc(data: bytes) -> int:
    """CRC-32 of RFC 3533: polynomial 0x04C11DB7, bits from the top, bytes as they come."""
    value = 0
    for byte in data:
        value = (value << 8 & 0xFFFFFFFF) ^ _TABLE[value >> 24 ^ byte]
    return value


def told_frames(data: bytes, rate: int) -> int | None:
    """How many sample frames a file's own header tells; None where it does not, or only its coding could say.

    Opus counts at 48 kHz whatever `rate` it is decoded at (RFC 7845, 4), and from before its preskip.
    """
    while data.startswith(b"ID3"):
        data = data[10 + (data[6] << 21 | data[7] << 14 | data[8] << 7 | data[9]) :]
    if data[4:8] == b"ftyp" or data.startswith(b"\x1aE\xdf\xa3") or data[8:12] == b"AVI ":
        return None
    for magic, reader in READERS.items():
        if data.startswith(magic):
            told = reader(data)
            is_opus = data[28:36] == b"OpusHead"
            return told * rate // 48_000 if is_opus and told is not None else told
    return _mp3(data.lstrip(b"\0"))


def _wave(data: bytes) -> int | None:
    order = ">" if data.startswith(b"RIFX") else "<"
    at, align, long = 12, 0, 0
    while at + 8 <= len(data):
        name, n_bytes = data[at : at + 4], struct.unpack(order + "I", data[at + 4 : at + 8])[0]
        if name == b"ds64":
            long = struct.unpack("<Q", data[at + 16 : at + 24])[0]
        if name == b"fmt ":
            tag, align = struct.unpack(order + "H10xH", data[at + 8 : at + 22])
            align = align if tag in (1, 3, 6, 7, 0xFFFE) else 0
        if name == b"data":
            held = len(data) - at - 8
            n_bytes = long if long and n_bytes == 0xFFFFFFFF else min(n_bytes, held)
            return n_bytes // align if align else None
        at += 8 + n_bytes
        if n_bytes % 2 and not (data[at : at + 4].isascii() and data[at : at + 1].isalpha()):
            at += 1
    return None


def _w64(data: bytes) -> int | None:
    at, align = 40, 0
    while at + 24 <= len(data):
        name, n_bytes = data[at : at + 4], struct.unpack("<Q", data[at + 16 : at + 24])[0]
        if name == b"fmt ":
            tag, align = struct.unpack("<H10xH", data[at + 24 : at + 38])
            align = align if tag in (1, 3, 6, 7, 0xFFFE) else 0
        if name == b"data":
            return (n_bytes - 24) // align if align else None
        at += (n_bytes + 7) // 8 * 8
    return None


def _aiff(data: bytes) -> int | None:
    at = data.find(b"COMM")
    coding = data[at + 26 : at + 30] if data[8:12] == b"AIFC" else b"NONE"
    is_linear = coding in (b"NONE", b"sowt", b"fl32", b"FL32", b"fl64", b"FL64", b"ulaw", b"alaw", b"in24", b"in32")
    return int(struct.unpack(">I", data[at + 10 : at + 14])[0]) if is_linear else None


def _flac(data: bytes) -> int | None:
    return int.from_bytes(data[21:26], "big") & (1 << 36) - 1 or None


def _ogg(data: bytes) -> int | None:
    """The last page's place, in samples."""
    at = last = 0
    while data[at : at + 4] == b"OggS":
        last, n_segments = at, data[at + 26]
        at += 27 + n_segments + sum(data[at + 27 : at + 27 + n_segments])
        if data[last + 5] & 4:
            break
    granule = int(struct.unpack("<q", data[last + 6 : last + 14])[0])
    if data[28:36] != b"OpusHead":
        return granule
    return granule - int(struct.unpack("<H", data[38:40])[0])


def _mp3(data: bytes) -> int | None:
    """The frames of an Info header, less the encoder's delay and padding."""
    at = max(data[:200].find(b"Info"), data[:200].find(b"Xing"))
    if at < 0 or not data[at + 7] & 1:
        return None
    n_frames = struct.unpack(">I", data[at + 8 : at + 12])[0]
    flags = data[at + 7]
    lame = at + 8 + 4 * (flags & 1) + 2 * (flags & 2) + 25 * (flags & 4) + (flags & 8) // 2
    packed = int.from_bytes(data[lame + 21 : lame + 24], "big")
    per_frame = 1152 if data[1] >> 3 & 3 == 3 else 576
    # A decoder is late by 529 samples itself, which the padding has to give.
    told = n_frames * per_frame - (packed >> 12) - max(packed & 0xFFF, 529)
    return told if data[lame : lame + 4] == b"LAME" else None


READERS: dict[bytes, Callable[[bytes], int | None]] = {
    b"RIFF": _wave,
    b"RIFX": _wave,
    b"RF64": _wave,
    b"riff": _w64,
    b"FORM": _aiff,
    b"fLaC": _flac,
    b"OggS": _ogg,
}
