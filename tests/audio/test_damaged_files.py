"""Files that are not the sound they claim to be: every one is refused by name, with the reason."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pipeline.audio.reading import read_sound
from pipeline.errors import AudioError

RATE = 16_000
STREAMINFO_TOTAL = slice(18, 26)  # of a FLAC file: its lower 36 bits are the number of samples


def noise(n_samples: int = 12_000, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(1).uniform(-0.3, 0.3, (n_samples, channels))


def made(folder: Path, container: str, coding: str | None = None, *, sound: np.ndarray | None = None) -> bytes:
    path = folder / "made.bin"
    soundfile.write(path, noise() if sound is None else sound, RATE, format=container, subtype=coding)
    return path.read_bytes()


def refusal(path: Path, **options: float) -> str:
    with pytest.raises(AudioError) as error:
        read_sound(path, sample_rate=8000, **options)  # type: ignore[arg-type]
    message = str(error.value)
    assert message.isprintable(), "a message is one line"
    return message


def refuse(folder: Path, data: bytes, name: str = "dog.wav") -> str:
    (folder / name).write_bytes(data)
    message = refusal(folder / name)
    assert message.startswith(f"{name}: ")
    return message


def wave_with_length(data: bytes, length: int) -> bytes:
    """Write another length into the data chunk of a plain WAV; its header is 44 bytes."""
    assert data[36:40] == b"data"
    return data[:40] + struct.pack("<I", length) + data[44:]


def flac_with_total(data: bytes, total: int) -> bytes:
    packed = int.from_bytes(data[STREAMINFO_TOTAL], "big") >> 36 << 36 | total
    return data[:18] + packed.to_bytes(8, "big") + data[26:]


@pytest.mark.parametrize("coding", ["PCM_16", "FLOAT", "ULAW"])
@pytest.mark.parametrize("container", ["WAV", "RF64", "W64", "AIFF"])
def test_truncated_chunk_files_are_refused(tmp_path: Path, container: str, coding: str) -> None:
    data = made(tmp_path, container, coding)
    for kept in (0.99, 0.5):
        assert "truncated" in refuse(tmp_path, data[: int(len(data) * kept)])


@pytest.mark.parametrize(
    ("container", "coding"), [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", None), ("FLAC", "PCM_16"), ("FLAC", "PCM_24")]
)
@pytest.mark.parametrize("kept", [0.3, 0.5, 0.9, -40])
def test_truncated_streams_are_refused(tmp_path: Path, container: str, coding: str | None, kept: float) -> None:
    data = made(tmp_path, container, coding, sound=noise(120_000))
    message = refuse(tmp_path, data[: int(len(data) * kept) if kept > 0 else int(kept)])
    assert any(word in message for word in ("truncated", "damaged"))


def test_ogg_cut_between_pages_lacks_its_end_of_stream(tmp_path: Path) -> None:
    data = made(tmp_path, "OGG", "VORBIS", sound=noise(120_000))
    assert "no end-of-stream mark" in refuse(tmp_path, data[: data.rindex(b"OggS")])


def test_ogg_with_a_flipped_bit_a_missing_page_or_a_second_stream_is_refused(tmp_path: Path) -> None:
    data = made(tmp_path, "OGG", "VORBIS", sound=noise(120_000))
    middle = len(data) // 2
    flipped = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
    assert "checksum" in refuse(tmp_path, flipped)
    start = data.index(b"OggS", middle)
    assert "is missing" in refuse(tmp_path, data[:start] + data[data.index(b"OggS", start + 1) :])
    assert "several streams" in refuse(tmp_path, data + data)


def test_mp3_cut_between_frames_has_fewer_than_its_header_tells(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.mp3", noise(48_000), 48_000, bitrate_mode="CONSTANT", compression_level=0.5)
    data = (tmp_path / "a.mp3").read_bytes()
    length = data.index(data[:3], 4)  # at 48 kHz every frame is equally long
    assert len(data) % length == 0
    assert "truncated MP3: the header tells" in refuse(tmp_path, data[:-length])
    assert "the header tells" in refuse(tmp_path, data + data)
    headless = data[length:]
    assert read_sound_length(tmp_path, headless) > 0
    assert "ends within frame" in refuse(tmp_path, headless[:-100])
    assert "ends within frame" in refuse(tmp_path, headless[:-100] + b"TAG" + bytes(125))
    assert "no frame at byte" in refuse(tmp_path, headless[: 5 * length] + b"junk" + headless[5 * length :])


@pytest.mark.parametrize(
    "between",
    [
        b"ID3\4\0\0\0\0\1\0" + bytes(128),
        b"TAG" + bytes(125),
        b"APETAGEX" + struct.pack("<IIIIQ", 2000, 40, 0, 0xA0000000, 0) + bytes(40),
        b"LYRICSBEGINLa la laLYRICSEND",
        b"LYRICSBEGININD00002000000028LYRICS200TAG" + bytes(125) + b"ID3\3\0\0\0\0\0\5abcde",
    ],
    ids=["ID3v2", "ID3v1", "APE", "Lyrics3", "several"],
)
def test_mp3_files_one_after_the_other_with_tags_between_are_refused(tmp_path: Path, between: bytes) -> None:
    """The header frame of the first tells its own length only, so that all else would be left out."""
    data = made(tmp_path, "MP3")
    assert "several one after the other" in refuse(tmp_path, data + between + data)
    assert read_sound_length(tmp_path, data + between) == 6000


def read_sound_length(folder: Path, data: bytes) -> int:
    (folder / "ok.bin").write_bytes(data)
    return len(read_sound(folder / "ok.bin", sample_rate=8000).samples)


def test_wave_lengths_of_zero_and_half_are_refused(tmp_path: Path) -> None:
    data = made(tmp_path, "WAV", "PCM_16")
    assert len(data) == 44 + 24_000
    assert "no chunks follow" in refuse(tmp_path, wave_with_length(data, 0))
    assert "no chunks follow" in refuse(tmp_path, wave_with_length(data, 12_000))
    assert "truncated WAV: the header claims 24002 bytes of sound, the file holds 24000" in refuse(
        tmp_path, wave_with_length(data, 24_002)
    )


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFF000])
@pytest.mark.parametrize("riff_length", [0, 24_036, 0xFFFFFFFF])
def test_streamed_wave_is_read_whole_and_noted(tmp_path: Path, length: int, riff_length: int) -> None:
    data = wave_with_length(made(tmp_path, "WAV", "PCM_16"), length)
    (tmp_path / "a.wav").write_bytes(data[:4] + struct.pack("<I", riff_length) + data[8:])
    read = read_sound(tmp_path / "a.wav", sample_rate=RATE)
    assert read.notes == ("length in header unknown (streamed)",)
    assert read.samples.shape == (12_000,)


def test_wave_header_only_is_refused(tmp_path: Path) -> None:
    data = made(tmp_path, "WAV", "PCM_16")
    assert "no sound after it" in refuse(tmp_path, wave_with_length(data[:44], 0))
    assert "without a data chunk" in refuse(tmp_path, data[:36])
    assert "no sound" in refuse(tmp_path, made(tmp_path, "WAV", sound=np.zeros((0, 1))))
    assert "no sound" in refuse(tmp_path, made(tmp_path, "AIFF", sound=np.zeros((0, 1))))
    refuse(tmp_path, made(tmp_path, "FLAC", sound=np.zeros((0, 1))))


def test_wave_that_does_not_tell_its_format_is_refused(tmp_path: Path) -> None:
    data = made(tmp_path, "WAV", "PCM_16")
    head, form, sound = data[:12], data[12:36], data[36:]
    assert form[:4] == b"fmt "
    assert "does not tell its format" in refuse(tmp_path, head + sound)
    assert "does not tell its format" in refuse(tmp_path, head + sound + form)


def test_wave_of_a_coding_that_is_not_read_says_to_convert_it(tmp_path: Path) -> None:
    data = made(tmp_path, "WAV", "PCM_16")
    for tag in (0x0055, 0x0161, 0x1234):  # MP3, WMA, none
        message = refuse(tmp_path, data[:20] + struct.pack("<H", tag) + data[22:])
        assert "of a coding that is not read: fetch it again, or convert it to flac or wav" in message


def test_wave_with_chunks_before_and_after_the_sound_is_read(tmp_path: Path) -> None:
    data = made(tmp_path, "WAV", "PCM_16")
    extra = b"LIST" + struct.pack("<I", 301) + b"INFO" + b"x" * 297
    for after in (extra, extra + b"\0", extra + b"\0" + extra, bytes(5000), b"TAG" + b"x" * 125):
        assert read_sound_length(tmp_path, data[:12] + extra + b"\0" + data[12:] + after) == 6000
    odd = made(tmp_path, "WAV", "PCM_U8", sound=noise(5001))
    assert read_sound_length(tmp_path, odd + extra + b"\0") == 2501
    for container in ("RF64", "W64"):
        assert read_sound_length(tmp_path, made(tmp_path, container)) == 6000


def test_aiff_that_claims_less_than_it_holds_is_refused(tmp_path: Path) -> None:
    data = made(tmp_path, "AIFF", "PCM_16")
    at = data.index(b"COMM") + 10
    assert struct.unpack(">I", data[at : at + 4]) == (12_000,)
    for claimed in (0, 6000, 12_001):
        message = refuse(tmp_path, data[:at] + struct.pack(">I", claimed) + data[at + 4 :])
        assert "header" in message


@pytest.mark.parametrize("total", [0, 6000, 12_001, 2**36 - 1])
def test_flac_lengths_that_lie_are_never_allocated(tmp_path: Path, total: int) -> None:
    data = flac_with_total(made(tmp_path, "FLAC", "PCM_16"), total)
    if total == 0:
        (tmp_path / "a.flac").write_bytes(data)
        read = read_sound(tmp_path / "a.flac", sample_rate=RATE)
        assert read.samples.shape == (12_000,)
        assert read.notes == ("length in header unknown (streamed)",)
    else:
        assert "FLAC" in refuse(tmp_path, data)


def test_flac_whose_samples_do_not_match_its_digest_is_refused(tmp_path: Path) -> None:
    data = made(tmp_path, "FLAC", "PCM_24")
    assert "MD5" in refuse(tmp_path, data[:26] + bytes([data[26] ^ 1]) + data[27:])
    assert read_sound_length(tmp_path, data[:26] + bytes(16) + data[42:]) == 6000


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "an empty file"),
        (bytes(9000), "zero bytes"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 1\n",
            "a Git LFS pointer.*run `git lfs pull`",
        ),
        (b"\n<!DOCTYPE html><html><body>404</body></html>", "an HTML page"),
        (b"\xef\xbb\xbf<HTML lang=en>" + b"x" * 9000, "an HTML page"),
        (b'<?xml version="1.0"?><Error/>', "an XML document"),
        (b'{"error": "not found"}', "a JSON document"),
        (b'[{"a": "' + b"x" * 9000 + b'"}]', "a JSON document"),
        (b"[not json, a text]", "a text file"),
        ("Ce n'est pas un son: été\n".encode() * 900, "a text file"),
        (b"PK\x03\x04" + bytes(90), "a zip archive"),
        (b"PK\x05\x06" + bytes(18), "an empty zip archive"),
        (b"BZh91AY&SY" + bytes(90), "a bzip2 archive.*unpack it"),
        (b"\xfd7zXZ\0" + bytes(90), "an xz archive.*unpack it"),
        (b"\x28\xb5\x2f\xfd" + bytes(90), "a Zstandard archive.*unpack it"),
        (b"dog.wav".ljust(257, b"\0") + b"ustar\x0000" + bytes(248), "a tar archive.*unpack it"),
        (b"/annex/objects/SHA256E-s12--ab.wav\n", "a git-annex pointer.*run `git annex get`"),
        ("no sound\n".encode("utf-16"), "a text file in UTF-16"),
        (b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X" + bytes(90), "what macOS keeps beside a file.*take it out"),
        (b"%PDF-1.7 ", "a PDF document"),
        (b"\0\0\0\x20ftypM4A \0\0\0\0", "truncated MP4: a box claims 32 bytes, 16 are there"),
        (b"\x1f\x8b\x08" + bytes(90), "a gzip archive"),
        (b"\xff\xf1\x50\x80" + bytes(90), "an AAC stream"),
        (b"RIFF\x24\0\0\0AVI " + bytes(90), "damaged AVI: no chunk at byte 12"),
        (b"\x1aE\xdf\xa3\x84abcd", "a Matroska header without a segment"),
        (b"\x80\xfe\x13\x9d" * 99, "bytes of no known sound format"),
        (np.random.default_rng(3).bytes(5000), "bytes of no known sound format"),
        (b"\xff\xfb\x94\x64" + np.random.default_rng(4).bytes(5000), "damaged MP3"),
        (b"ID3\x04\0\0\0\0\x02\0" + bytes(10), "ID3 tag with no sound"),
    ],
)
def test_what_is_no_sound_is_named(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "dog.wav").write_bytes(data)
    with pytest.raises(AudioError, match=f"^dog.wav: .*{reason}"):
        read_sound(tmp_path / "dog.wav", sample_rate=8000)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("at", [0, -1])
def test_samples_that_are_no_numbers_are_refused(tmp_path: Path, value: float, at: int) -> None:
    sound = noise(300_000, 2)
    sound[at, 1] = value
    assert "NaN or infinite" in refuse(tmp_path, made(tmp_path, "WAV", "FLOAT", sound=sound))


def test_peaks_over_eight_are_refused_and_up_to_eight_read(tmp_path: Path) -> None:
    sound = noise()
    sound[70] = -8.0
    assert read_sound_length(tmp_path, made(tmp_path, "WAV", "FLOAT", sound=sound)) == 6000
    sound[70] = -8.1
    assert "its peak is 8.1, needed at most 8" in refuse(tmp_path, made(tmp_path, "WAV", "FLOAT", sound=sound))
    assert "NaN or infinite" in refuse(tmp_path, made(tmp_path, "WAV", "DOUBLE", sound=sound * 1e40))


@pytest.mark.parametrize("rate", [1, 3999, 384_001, 2_000_000])
def test_rates_out_of_range_are_refused(tmp_path: Path, rate: int) -> None:
    soundfile.write(tmp_path / "a.wav", noise(), rate)
    assert f"sample rate {rate} Hz, needed 4000 to 384000 Hz" in refusal(tmp_path / "a.wav")


def test_nine_channels_are_refused(tmp_path: Path) -> None:
    assert "9 channels, needed 1 to 8" in refuse(tmp_path, made(tmp_path, "WAV", sound=noise(500, 9)))


def test_what_is_too_long_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", noise(16_001), RATE)
    assert "longer than 1 s" in refusal(tmp_path / "a.flac", max_seconds=1)


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    assert refusal(tmp_path / "pipe.wav").startswith("pipe.wav: a named pipe, not a regular file")
    (tmp_path / "folder.wav").mkdir()
    assert "a folder, not a regular file" in refusal(tmp_path / "folder.wav")
    assert "a device, not a regular file" in refusal(Path("/dev/zero"))


def test_missing_files_and_links_are_told_apart(tmp_path: Path) -> None:
    assert "the file is missing: restore it" in refusal(tmp_path / "none.wav")
    assert "the file is missing: write its path with /" in refusal(tmp_path / "joy\\none.wav")
    (tmp_path / "dangling.wav").symlink_to(tmp_path / "gone.wav")
    assert "a dangling link: its target gone.wav does not exist" in refusal(tmp_path / "dangling.wav")
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    assert "a looping link" in refusal(tmp_path / "loop.wav")
    assert "no valid file name" in refusal(tmp_path / "nul\0.wav")
    assert "cannot be read" in refusal(tmp_path / ("x" * 256))
    (tmp_path / "good.wav").write_bytes(made(tmp_path, "WAV"))
    (tmp_path / "link.wav").symlink_to("good.wav")
    assert read_sound(tmp_path / "link.wav", sample_rate=8000).samples.shape == (6000,)


@pytest.mark.parametrize("name", ["a b.wav", "dog 😀.wav", "two\nlines\x1b[31m.wav", "-rf.wav", "é" * 125 + ".wavx"])
def test_odd_names_are_read_and_stand_in_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(made(tmp_path, "WAV"))
    assert read_sound(tmp_path / name, sample_rate=8000).samples.shape == (6000,)
    (tmp_path / name).write_bytes(b"")
    assert "an empty file" in refusal(tmp_path / name)


def test_name_that_is_not_utf8_is_refused_escaped(tmp_path: Path) -> None:
    message = refusal(tmp_path / os.fsdecode(b"\xff\xfe.wav"))
    assert message.startswith(r"\udcff\udcfe.wav: its name is not valid UTF-8")


def test_mp3_whose_first_frame_is_mono_among_stereo_is_refused(tmp_path: Path) -> None:
    """The decoder would miss the header that lies in it, and give the encoder's delay as sound."""
    data = bytearray(made(tmp_path, "MP3", sound=noise(6000, 2)))
    assert data[3] >> 6 == 1, "joint stereo"
    data[3] |= 0b1100_0000
    assert "after 1 frames no frame" in refuse(tmp_path, bytes(data), "dog.mp3")


def test_ogg_whose_packets_are_spoilt_but_whose_checksums_are_right_is_refused(tmp_path: Path) -> None:
    """The decoder leaves out what it cannot use, and takes what it gave for the length."""
    from audio.mutations import sealed

    data = made(tmp_path, "OGG", "VORBIS")
    third = data.index(b"OggS", data.index(b"OggS", 4) + 4)
    body = third + 27 + data[third + 26]
    spoilt = data[:body] + b"\xff" * 400 + data[body + 400 :]
    assert "the header tells 12000 samples" in refuse(tmp_path, sealed(spoilt), "dog.ogg")


def test_lengths_of_64_bits_are_no_fault_of_the_disk(tmp_path: Path) -> None:
    data = made(tmp_path, "RF64", "PCM_16")
    at = data.index(b"ds64") + 8 + 8
    huge = data[:at] + struct.pack("<Q", 2**64 - 1) + data[at + 8 :]
    data_at = huge.index(b"data")
    assert "claims 18446744073709551615 bytes" in refuse(
        tmp_path, huge[: data_at + 4] + b"\xff" * 4 + huge[data_at + 8 :]
    )
