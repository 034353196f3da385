"""The sound tracks of videos: read sample by sample, and refused by name where the file is damaged or silent."""

import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pipeline.audio.reading import read_sound
from pipeline.errors import AudioError

pytest.importorskip("av", reason="PyAV, the extra `video`, is not installed")

from audio.made_video import write_video

RATE = 16_000


def noise(n_samples: int = 8001, channels: int = 1, *, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(-20_000, 20_000, (n_samples, channels)).astype(np.int16)


def sine(n_samples: int, *, rate: int) -> np.ndarray:
    return np.round(12_000 * np.sin(2 * np.pi * 440 * np.arange(n_samples) / rate)).astype(np.int16)[:, None]


def refuse(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(AudioError) as error:
        read_sound(path, sample_rate=RATE)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(f"{path.name}: ")
    return str(error.value)


@pytest.mark.parametrize("suffix", ["avi", "mkv", "mov"])
@pytest.mark.parametrize(("channels", "layout"), [(1, "mono"), (2, "stereo"), (6, "5.1")])
def test_a_linear_track_gives_the_samples_that_were_put_in(
    tmp_path: Path, suffix: str, channels: int, layout: str
) -> None:
    sound = noise(channels=channels)
    write_video(tmp_path / f"a.{suffix}", sound, rate=RATE, layout=layout)
    read = read_sound(tmp_path / f"a.{suffix}", sample_rate=RATE)
    assert (read.source_rate, read.channels, read.notes) == (RATE, channels, ())
    np.testing.assert_allclose(read.samples, (sound / 32768).mean(axis=1), atol=1e-7)


@pytest.mark.parametrize(
    ("suffix", "codec", "step"),
    [
        ("avi", "pcm_u8", 1 / 128),
        ("avi", "pcm_mulaw", 0.03),
        ("mkv", "pcm_u8", 1 / 128),
        ("mkv", "pcm_s24le", 1e-6),
        ("mkv", "pcm_s32le", 1e-6),
        ("mkv", "pcm_f32le", 1e-6),
        ("mkv", "pcm_f64le", 1e-6),
    ],
)
def test_codings_of_whole_samples(tmp_path: Path, suffix: str, codec: str, step: float) -> None:
    sound = noise()
    path = tmp_path / f"a.{suffix}"
    write_video(path, sound, rate=RATE, codec=codec)
    np.testing.assert_allclose(read_sound(path, sample_rate=RATE).samples, sound[:, 0] / 32768, atol=step)


@pytest.mark.parametrize(("suffix", "codec"), [("mp4", "aac"), ("mov", "aac"), ("mkv", "aac"), ("avi", "mp2")])
def test_a_lossy_track_is_as_long_as_it_was_and_nearly_the_same(tmp_path: Path, suffix: str, codec: str) -> None:
    sound = sine(22_050, rate=44_100)
    write_video(tmp_path / f"a.{suffix}", sound, rate=44_100, codec=codec)
    samples = read_sound(tmp_path / f"a.{suffix}", sample_rate=44_100).samples
    assert abs(len(samples) - 22_050) <= 2 * 1152
    wanted = sound[4000:18_000, 0] / 32768
    errors = [np.abs(samples[4000 + lag : 18_000 + lag] - wanted).max() for lag in range(-1200, 1200, 1)]
    assert min(errors) < 0.03


def test_the_same_sound_in_a_video_and_in_a_wav_has_the_same_digest(tmp_path: Path) -> None:
    sound = noise(70_003, 2)
    write_video(tmp_path / "a.avi", sound, rate=RATE, layout="stereo")
    soundfile.write(tmp_path / "a.wav", sound, RATE, subtype="PCM_16")
    digests = {read_sound(tmp_path / name, sample_rate=8000).pcm_sha256 for name in ("a.avi", "a.wav")}
    assert len(digests) == 1


def test_an_event_is_cut_at_the_tracks_own_rate(tmp_path: Path) -> None:
    sound = noise(16_000)
    write_video(tmp_path / "a.avi", sound, rate=RATE)
    read = read_sound(tmp_path / "a.avi", sample_rate=RATE, start_seconds=0.25, end_seconds=0.5)
    np.testing.assert_array_equal(read.samples, sound[4000:8000, 0] / np.float32(32768))
    with pytest.raises(AudioError, match=r"event from 0.25 s to 2 s, but the file lasts 1 s"):
        read_sound(tmp_path / "a.avi", sample_rate=RATE, start_seconds=0.25, end_seconds=2.0)


def test_a_track_without_pictures_and_a_name_that_says_another_format(tmp_path: Path) -> None:
    sound = noise(3000)
    write_video(tmp_path / "a.wav", sound, rate=RATE, container="matroska", with_pictures=False)
    assert read_sound(tmp_path / "a.wav", sample_rate=RATE).samples.shape == (3000,)


def test_a_long_track_is_refused_as_any_other(tmp_path: Path) -> None:
    write_video(tmp_path / "a.avi", noise(16_001), rate=RATE)
    with pytest.raises(AudioError, match=r"^a.avi: longer than 1 s"):
        read_sound(tmp_path / "a.avi", sample_rate=RATE, max_seconds=1.0)


@pytest.mark.parametrize(("suffix", "what"), [("avi", "AVI"), ("mp4", "MP4"), ("mkv", "Matroska")])
def test_a_video_without_sound_is_refused(tmp_path: Path, suffix: str, what: str) -> None:
    write_video(tmp_path / f"a.{suffix}", None, rate=RATE)
    with pytest.raises(AudioError, match=f"^a.{suffix}: an? {what}.* without a sound track"):
        read_sound(tmp_path / f"a.{suffix}", sample_rate=RATE)


def test_a_track_of_no_samples_is_refused(tmp_path: Path) -> None:
    write_video(tmp_path / "a.avi", noise(0), rate=RATE)
    with pytest.raises(AudioError, match=r"^a.avi: .*(empty|holds no sound)"):
        read_sound(tmp_path / "a.avi", sample_rate=RATE)


@pytest.mark.parametrize(
    ("suffix", "codec"), [("avi", "pcm_s16le"), ("mp4", "aac"), ("mov", "pcm_s16le"), ("mkv", "aac")]
)
def test_a_cut_file_is_refused_wherever_it_is_cut(tmp_path: Path, suffix: str, codec: str) -> None:
    write_video(tmp_path / f"whole.{suffix}", noise(20_000), rate=RATE, codec=codec)
    data = (tmp_path / f"whole.{suffix}").read_bytes()
    for length in [12, 60, 300, *np.linspace(400, len(data) - 2, 24).astype(int)]:
        refuse(tmp_path / f"cut.{suffix}", data[:length])


@pytest.mark.parametrize(("suffix", "codec"), [("avi", "pcm_s16le"), ("avi", "mp2"), ("mp4", "aac"), ("mkv", "aac")])
def test_damage_is_refused_or_leaves_the_length_as_it_was(tmp_path: Path, suffix: str, codec: str) -> None:
    rng = np.random.default_rng(7)
    write_video(tmp_path / f"whole.{suffix}", noise(20_000), rate=RATE, codec=codec)
    data = (tmp_path / f"whole.{suffix}").read_bytes()
    length = len(read_sound(tmp_path / f"whole.{suffix}", sample_rate=RATE).samples)
    n_refused = 0
    for _ in range(60):
        start = int(rng.integers(0, len(data) - 40))
        broken = data[:start] + rng.bytes(40) + data[start + 40 :]
        (tmp_path / "broken").write_bytes(broken)
        try:
            read = read_sound(tmp_path / "broken", sample_rate=RATE)
        except AudioError:
            n_refused += 1
        else:
            assert abs(len(read.samples) / read.source_rate - length / RATE) < 0.3
    assert n_refused > 0


def test_an_avi_gives_what_its_chunks_hold_whatever_length_its_header_intended(tmp_path: Path) -> None:
    write_video(tmp_path / "a.avi", noise(20_000), rate=RATE)
    data = (tmp_path / "a.avi").read_bytes()
    at = data.index(b"01wb", data.index(b"movi"))
    length = 8 + struct.unpack("<I", data[at + 4 : at + 8])[0]
    movi = data.index(b"movi") - 8
    shorter = data[:at] + data[at + length :]
    for place in (0, movi):
        size = struct.unpack("<I", shorter[place + 4 : place + 8])[0]
        shorter = shorter[: place + 4] + struct.pack("<I", size - length) + shorter[place + 8 :]
    (tmp_path / "b.avi").write_bytes(shorter)
    n_samples = len(read_sound(tmp_path / "b.avi", sample_rate=RATE).samples)
    assert n_samples == 20_000 - (length - 8) // 2


def test_lengths_that_are_not_told_are_refused(tmp_path: Path) -> None:
    write_video(tmp_path / "a.avi", noise(), rate=RATE)
    data = (tmp_path / "a.avi").read_bytes()
    for claimed in (0, 0xFFFFFFFF):
        message = refuse(tmp_path / "b.avi", data[:4] + struct.pack("<I", claimed) + data[8:])
        assert "does not tell its length" in message


def test_lists_within_lists_without_end_are_refused(tmp_path: Path) -> None:
    data = b""
    for _ in range(3000):
        data = b"LIST" + struct.pack("<I", len(data) + 4) + b"movi" + data
    data = b"RIFF" + struct.pack("<I", len(data) + 4) + b"AVI " + data
    assert "lists within one another" in refuse(tmp_path / "a.avi", data)


def test_bytes_after_an_avi_are_refused_unless_they_are_zero(tmp_path: Path) -> None:
    write_video(tmp_path / "a.avi", noise(), rate=RATE)
    data = (tmp_path / "a.avi").read_bytes()
    (tmp_path / "zeros.avi").write_bytes(data + bytes(3000))
    assert len(read_sound(tmp_path / "zeros.avi", sample_rate=RATE).samples) == 8001
    assert "no chunks follow" in refuse(tmp_path / "more.avi", data + b"\x01\x02" * 600)


def test_without_pyav_the_message_says_what_to_install(tmp_path: Path) -> None:
    write_video(tmp_path / "a.avi", noise(), rate=RATE)
    program = f"""
import sys
sys.modules["av"] = None
from pathlib import Path
from pipeline.audio.reading import read_sound
from pipeline.errors import AudioError
try:
    read_sound(Path({str(tmp_path / "a.avi")!r}), sample_rate=8000)
except AudioError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd="src")
    assert done.stdout == "a.avi: an AVI video, which needs PyAV to be read: pip install 'emospec[video]'\n"


@pytest.mark.parametrize(
    ("suffix", "codec", "name"),
    [("mp4", "aac", b"mp4a"), ("mkv", "pcm_s16le", b"A_PCM/INT/LIT"), ("avi", "mp2", b"\x50\x00\x01\x00\x80\x3e")],
)
def test_sound_of_an_unknown_coding_is_refused(tmp_path: Path, suffix: str, codec: str, name: bytes) -> None:
    path = tmp_path / f"a.{suffix}"
    write_video(path, noise(), rate=RATE, codec=codec)
    data = path.read_bytes()
    assert name in data
    message = refuse(path, data.replace(name, b"zz" + name[2:]).replace(b"esds", b"zsds"))
    assert any(what in message for what in ("unknown coding", "does not decode", "without a sound track")), message
