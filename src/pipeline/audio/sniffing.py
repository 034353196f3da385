"""What a file is, by its first bytes; its name's extension is never asked."""

import json
import re
from collections.abc import Callable

from pipeline.errors import AudioError

HEAD_BYTES = 4096  # enough for every signature below, and for a text to show that it is one

W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")  # the GUIDs that open a Sony Wave64 file
W64_WAVE = bytes.fromhex("77617665f3acd3118cd100c04f8edb8a")

VIDEO = frozenset({"avi", "mp4", "matroska"})
_MP4_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"skip"})  # that may open a file; QuickTime has no ftyp
_KINDS: dict[str, Callable[[bytes], bool]] = {
    "riff": lambda head: head[:4] in {b"RIFF", b"RIFX", b"RF64"} and head[8:12] == b"WAVE",
    "w64": lambda head: head[:16] == W64_RIFF and head[24:40] == W64_WAVE,
    "aiff": lambda head: head[:4] == b"FORM" and head[8:12] in {b"AIFF", b"AIFC"},
    "flac": lambda head: head.startswith(b"fLaC"),
    "ogg": lambda head: head.startswith(b"OggS"),
    "id3": lambda head: head.startswith(b"ID3"),
    "avi": lambda head: head[:4] == b"RIFF" and head[8:12] == b"AVI ",
    "mp4": lambda head: head[4:8] in _MP4_BOXES,
    "matroska": lambda head: head.startswith(b"\x1aE\xdf\xa3"),
}

# Signature at a byte offset -> what the file is and what to do about it. The first that fits is named.
_CONVERT = "convert it to wav or flac"
_UNPACK = "unpack it"
_FETCH = "fetch the recording again"
_FOREIGN: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"version https://git-lfs", "a Git LFS pointer", "run `git lfs pull`"),
    (0, b"/annex/objects/", "a git-annex pointer", "run `git annex get`"),
    (0, b"\xff\xfe", "a text file in UTF-16", _FETCH),
    (0, b"\x00\x05\x16\x07", "what macOS keeps beside a file (AppleDouble)", "take it out"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a Windows Media (ASF) container", _CONVERT),
    (0, b".snd", "an AU file", _CONVERT),
    (0, b"caff", "a Core Audio (CAF) file", _CONVERT),
    (0, b"NIST_1A", "a NIST SPHERE file", _CONVERT),
    (0, b"#!AMR", "an AMR recording", _CONVERT),
    (0, b"wvpk", "a WavPack file", _CONVERT),
    (0, b"ADIF", "an AAC stream", _CONVERT),
    (0, b"MThd", "a MIDI file", "render it to sound first"),
    (0, b"PK\x03\x04", "a zip archive", _UNPACK),
    (0, b"\x1f\x8b", "a gzip archive", _UNPACK),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (0, b"Rar!", "a RAR archive", _UNPACK),
    (0, b"PK\x05\x06", "an empty zip archive", _FETCH),
    (0, b"BZh", "a bzip2 archive", _UNPACK),
    (0, b"\xfd7zXZ\0", "an xz archive", _UNPACK),
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard archive", _UNPACK),
    (257, b"ustar", "a tar archive", _UNPACK),
    (0, b"%PDF", "a PDF document", _FETCH),
    (0, b"\x89PNG", "a PNG picture", _FETCH),
    (0, b"\xff\xd8\xff", "a JPEG picture", _FETCH),
    (0, b"GIF8", "a GIF picture", _FETCH),
    (8, b"WEBP", "a WebP picture", _FETCH),
)


def sniff_container(head: bytes) -> str:
    """Name the container that a file's first bytes open.

    Parameters
    ----------
    head
        The first `HEAD_BYTES` of the file, or all of it where it is shorter.

    Returns
    -------
    str
        One of "riff" (WAV, RIFX, RF64), "w64", "aiff", "flac", "ogg", "mpeg" or "id3" (a tag; what follows it decides);
        of those that may hold video, one of `VIDEO`: "avi", "mp4" (QuickTime too) or "matroska" (WebM too).

    Raises
    ------
    AudioError
        If it is anything else; the message says what it looks like.
    """
    for kind, is_one in _KINDS.items():
        if is_one(head):
            return kind
    what, fix = _describe_foreign(head)
    # Frame sync and a layer: too weak a mark to go before the signatures above. Layer bits of zero are AAC.
    if what.startswith("bytes of no known") and len(head) >= 4 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        if head[1] & 0x06:
            return "mpeg"
        what, fix = "an AAC stream", _CONVERT
    raise AudioError(f"{what}, not sound that can be read: {fix}")


def _describe_foreign(head: bytes) -> tuple[str, str]:
    """Say what bytes that are no sound look like, and what to do."""
    if not head:
        return "an empty file", _FETCH
    if not head.strip(b"\0"):
        return "nothing but zero bytes", _FETCH
    for offset, magic, what, fix in _FOREIGN:
        if head[offset : offset + len(magic)] == magic:
            return what, fix
    return _describe_text(head) or ("bytes of no known sound format", "give wav, flac, ogg, mp3 or aiff")


def _describe_text(head: bytes) -> tuple[str, str] | None:
    """Say which kind of text the bytes are, or nothing where they are none."""
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3 or len(head) < HEAD_BYTES:  # a character cut by the end of the head is no fault
            return None
        text = head[: error.start].decode("utf-8-sig")
    if re.search(r"[\x00-\x08\x0e-\x1f]", text):
        return None
    start = text.lstrip()
    if re.match(r"<(!doctype\s+html|html|head|body)\b", start, re.IGNORECASE):
        return "an HTML page", "the download gave a web page: fetch the recording itself"
    if start.startswith("<?xml"):
        return "an XML document", _FETCH
    if _looks_like_json(start, whole=len(head) < HEAD_BYTES):
        return "a JSON document", "the download gave a reply instead of sound: fetch the recording itself"
    return "a text file", _FETCH


def _looks_like_json(text: str, *, whole: bool) -> bool:
    """Tell whether a text is JSON; one that goes on past the head is judged by its opening."""
    if not whole:
        return re.match(r'(\{\s*"|\[\s*[\[{"\d-])', text) is not None
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False
