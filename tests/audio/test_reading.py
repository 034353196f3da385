"""Recordings that are sound: decoded to the right length, value, digest and rate."""

import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from pipeline.audio.reading import BLOCK_FRAMES, NO_SOUND, read_sound
from pipeline.errors import AudioError

CROWD = Path(__file__).resolve().parents[2] / "../shared/corpora/crowd"

# Container, coding, suffix, and by how much a sample may differ: about a step of the coding.
LOSSLESS = [
    ("WAV", "PCM_U8", "wav", 1 / 128),
    ("WAV", "PCM_16", "wav", 2.0**-15),
    ("WAV", "PCM_24", "wav", 2.0**-22),
    ("WAV", "PCM_32", "wav", 2.0**-22),
    ("WAV", "FLOAT", "wav", 1e-7),
    ("WAV", "DOUBLE", "wav", 1e-7),
    ("WAV", "ULAW", "wav", 0.02),
    ("WAV", "ALAW", "wav", 0.02),
    ("WAVEX", "PCM_16", "wav", 2.0**-15),
    ("RF64", "PCM_16", "rf64", 2.0**-15),
    ("W64", "PCM_24", "w64", 2.0**-22),
    ("AIFF", "PCM_S8", "aif", 1 / 128),
    ("AIFF", "PCM_16", "aiff", 2.0**-15),
    ("AIFF", "FLOAT", "aifc", 1e-7),
    ("AIFF", "ULAW", "aifc", 0.02),
    ("FLAC", "PCM_S8", "flac", 1 / 128),
    ("FLAC", "PCM_16", "flac", 2.0**-15),
    ("FLAC", "PCM_24", "flac", 2.0**-22),
]


def sine(hz: float, *, rate: int, n_samples: int, amplitude: float = 0.5) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * hz * np.arange(n_samples) / rate)


@pytest.mark.parametrize(("container", "coding", "suffix", "error"), LOSSLESS)
@pytest.mark.parametrize("channels", [1, 2, 3, 8])
def test_codings_and_channels_give_the_mean_of_the_channels(
    tmp_path: Path, container: str, coding: str, suffix: str, error: float, channels: int
) -> None:
    sound = np.stack([sine(300 + 50 * k, rate=22_050, n_samples=3002) for k in range(channels)], axis=1)
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, sound, 22_050, format=container, subtype=coding)
    read = read_sound(path, sample_rate=22_050)
    assert (read.source_rate, read.channels, read.notes) == (22_050, channels, ())
    assert read.samples.shape == (3002,)
    assert read.samples.dtype == np.float32
    np.testing.assert_allclose(read.samples, sound.mean(axis=1), atol=error)


@pytest.mark.parametrize("rate", [8000, 11_025, 16_000, 44_100, 48_000, 96_000, 192_000])
def test_rates_from_8_to_192_khz(tmp_path: Path, rate: int) -> None:
    soundfile.write(tmp_path / "a.wav", sine(440, rate=rate, n_samples=rate // 2), rate)
    read = read_sound(tmp_path / "a.wav", sample_rate=rate)
    np.testing.assert_allclose(read.samples, sine(440, rate=rate, n_samples=rate // 2), atol=2e-4)


@pytest.mark.parametrize(
    ("container", "coding", "error"), [("OGG", "VORBIS", 0.05), ("OGG", "OPUS", 0.05), ("MP3", "MPEG_LAYER_III", 0.05)]
)
@pytest.mark.parametrize("channels", [1, 2])
def test_lossy_codings_keep_the_length_and_nearly_the_value(
    tmp_path: Path, container: str, coding: str, error: float, channels: int
) -> None:
    sound = np.repeat(sine(440, rate=48_000, n_samples=30_011)[:, None], channels, axis=1)
    soundfile.write(tmp_path / "a.bin", sound, 48_000, format=container, subtype=coding)
    read = read_sound(tmp_path / "a.bin", sample_rate=48_000)
    assert read.samples.shape == (30_011,)
    np.testing.assert_allclose(read.samples[2000:-2000], sound[2000:-2000, 0], atol=error)


def write_mp3(path: Path, *, mode: str) -> bytes:
    """Write one second of MP3; give it without its first frame, the one that tells the length."""
    sound = sine(440, rate=44_100, n_samples=44_100)
    soundfile.write(path, sound, 44_100, bitrate_mode=mode, compression_level=0.5)
    data = path.read_bytes()
    return data[data.index(data[:2], 4) :]


@pytest.mark.parametrize("mode", ["CONSTANT", "AVERAGE", "VARIABLE"])
def test_mp3_of_every_bit_rate_mode(tmp_path: Path, mode: str) -> None:
    write_mp3(tmp_path / "a.mp3", mode=mode)
    assert read_sound(tmp_path / "a.mp3", sample_rate=44_100).samples.shape == (44_100,)


def test_mp3_of_varying_bit_rate_that_the_decoder_would_cut_short_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_bytes(write_mp3(tmp_path / "with_header.mp3", mode="VARIABLE"))
    with pytest.raises(AudioError, match="of varying bit rate without a header"):
        read_sound(tmp_path / "a.mp3", sample_rate=44_100)


def test_mp3_without_a_header_frame_between_tags(tmp_path: Path) -> None:
    stripped = write_mp3(tmp_path / "a.mp3", mode="CONSTANT")
    tagged = b"ID3\x04\x00\x00\x00\x00\x02\x00" + bytes(256) + stripped + b"TAG" + b"x" * 125
    (tmp_path / "b.mp3").write_bytes(tagged)
    read = read_sound(tmp_path / "b.mp3", sample_rate=44_100)
    # LAME: 576 samples before, padded to whole frames of 1152, and nothing tells the decoder to take them off again.
    assert 44_100 + 576 <= len(read.samples) <= 44_100 + 3 * 1152
    assert len(read.samples) % 1152 == 0
    assert read.notes == ("128 bytes after the last frame ignored",)


@pytest.mark.parametrize(
    ("factor", "is_noted"), [(-1.0, True), (-0.85, True), (-0.8, False), (0.0, False), (1.0, False)]
)
def test_channels_that_cancel_each_other_are_noted(tmp_path: Path, factor: float, is_noted: bool) -> None:
    """Of x and f x the mean has (1 + f)^2 / 4 of the power of x, the channels (1 + f^2) / 2: 0.0065, 0.012 of that."""
    left = np.random.default_rng(0).uniform(-0.3, 0.3, 300_000)
    soundfile.write(tmp_path / "a.wav", np.stack([left, factor * left], axis=1), 16_000, subtype="FLOAT")
    notes = read_sound(tmp_path / "a.wav", sample_rate=16_000).notes
    assert ("its channels cancel each other" in {note.partition(":")[0] for note in notes}) is is_noted


@pytest.mark.parametrize("sample_rate", [8000, 16_000])
def test_sound_of_one_value_is_noted_at_any_rate_and_of_any_length(tmp_path: Path, sample_rate: int) -> None:
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, (4000, 8))
    late = np.r_[np.zeros(BLOCK_FRAMES + 10), 0.5]
    for sound, notes in ((np.zeros((4000, 2)), [NO_SOUND]), (np.full(4000, 0.5), [NO_SOUND]), (noise, []), (late, [])):
        soundfile.write(tmp_path / "a.wav", sound, 16_000)
        assert list(read_sound(tmp_path / "a.wav", sample_rate=sample_rate).notes) == notes


def test_content_decides_not_the_extension(tmp_path: Path) -> None:
    sound = sine(440, rate=16_000, n_samples=1000)
    for container, suffix in [("AIFF", "wav"), ("FLAC", "mp3"), ("WAV", "flac"), ("OGG", "wav"), ("WAV", "txt")]:
        path = tmp_path / f"{container}.{suffix}"
        soundfile.write(path, sound, 16_000, format=container)
        assert read_sound(path, sample_rate=16_000).samples.shape == (1000,)


def test_equal_sound_has_an_equal_digest_in_every_container(tmp_path: Path) -> None:
    mono = np.round(sine(440, rate=16_000, n_samples=5000) * 32768).astype(np.int16)
    stereo = np.stack([mono, mono], axis=1)
    for name, sound in [("m.wav", mono), ("m.flac", mono), ("m.aiff", mono), ("d.wav", stereo), ("d.flac", stereo)]:
        soundfile.write(tmp_path / name, sound, 16_000, subtype="PCM_16")
    soundfile.write(tmp_path / "f.wav", np.where(mono == 0, -0.0, mono / 32768), 16_000, subtype="FLOAT")
    digests = {read_sound(path, sample_rate=rate).pcm_sha256 for path in tmp_path.iterdir() for rate in (16_000, 8000)}
    assert digests == {hashlib.sha256(struct.pack("<I", 16_000) + (mono / 32768).astype("<f4").tobytes()).hexdigest()}


def test_equal_samples_at_another_rate_have_another_digest(tmp_path: Path) -> None:
    for rate in (16_000, 22_050):
        soundfile.write(tmp_path / f"{rate}.wav", np.zeros(999), rate)
    digests = {read_sound(path, sample_rate=16_000).pcm_sha256 for path in tmp_path.iterdir()}
    assert len(digests) == 2


def test_resampled_sine_is_the_sine_at_the_other_rate(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", sine(1000, rate=48_000, n_samples=48_000), 48_000, subtype="FLOAT")
    read = read_sound(tmp_path / "a.wav", sample_rate=44_100)
    assert read.samples.shape == (44_100,)
    assert read.source_rate == 48_000
    expected = sine(1000, rate=44_100, n_samples=44_100)
    np.testing.assert_allclose(read.samples[500:-500], expected[500:-500], atol=1e-3)


@pytest.mark.parametrize(
    ("n_source", "rate", "sample_rate", "n_samples"),
    [
        (3, 16_000, 8000, 2),  # 1.5: halves go up
        (1, 16_000, 8000, 1),
        (1, 8000, 44_100, 6),  # 5.5125
        (1001, 48_000, 44_100, 920),  # 919.67
        (12_345, 11_025, 48_000, 53_747),  # 53746.94
        (100_003, 192_000, 4000, 2083),  # 2083.40
        (999, 4000, 384_000, 95_904),
    ],
)
def test_length_after_resampling_is_rounded(
    tmp_path: Path, n_source: int, rate: int, sample_rate: int, n_samples: int
) -> None:
    soundfile.write(tmp_path / "a.wav", np.full(n_source, 0.25), rate)
    assert read_sound(tmp_path / "a.wav", sample_rate=sample_rate).samples.shape == (n_samples,)


def test_resampling_by_blocks_equals_resampling_the_whole(tmp_path: Path) -> None:
    noise = np.random.default_rng(5).uniform(-0.5, 0.5, 2 * BLOCK_FRAMES + 777).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", noise, 48_000, subtype="FLOAT")
    for rate in (44_100, 16_000, 96_000):
        whole = soxr.resample(noise, 48_000, rate, "HQ")
        read = read_sound(tmp_path / "a.wav", sample_rate=rate).samples
        np.testing.assert_allclose(read, whole[: len(read)], atol=1e-6)


def test_event_is_cut_at_the_source_rate_and_digested(tmp_path: Path) -> None:
    ramp = np.arange(20_000, dtype=np.float32) / 32768
    soundfile.write(tmp_path / "a.wav", ramp, 8000, subtype="FLOAT")
    read = read_sound(tmp_path / "a.wav", sample_rate=8000, start_seconds=0.5, end_seconds=1.25)
    np.testing.assert_array_equal(read.samples, ramp[4000:10_000])
    soundfile.write(tmp_path / "cut.flac", ramp[4000:10_000], 8000, subtype="PCM_16")
    assert read.pcm_sha256 == read_sound(tmp_path / "cut.flac", sample_rate=8000).pcm_sha256
    assert read_sound(tmp_path / "a.wav", sample_rate=4000, start_seconds=2.0).samples.shape == (2000,)
    assert read_sound(tmp_path / "a.wav", sample_rate=8000, end_seconds=0.25).samples.shape == (2000,)
    # One sample past the end is rounding in somebody's table.
    assert (
        read_sound(tmp_path / "a.wav", sample_rate=8000, start_seconds=2, end_seconds=20_001 / 8000).samples.size
        == 4000
    )


def test_event_across_blocks(tmp_path: Path) -> None:
    ramp = np.arange(2 * BLOCK_FRAMES + 9) % 32768 / 32768
    soundfile.write(tmp_path / "a.flac", ramp, 8000, subtype="PCM_16")
    start, stop = BLOCK_FRAMES - 5, 2 * BLOCK_FRAMES + 4
    read = read_sound(tmp_path / "a.flac", sample_rate=8000, start_seconds=start / 8000, end_seconds=stop / 8000)
    np.testing.assert_array_equal(read.samples, ramp[start:stop].astype(np.float32))


@pytest.mark.parametrize(
    ("start", "end", "reason"),
    [
        (0.5, 0.5, "holds no sample"),
        (0.6, 0.5, "holds no sample"),
        (0.5, 1.01, "the file lasts 1 s"),
        (1.0, None, "the file lasts 1 s"),
        (5.0, 6.0, "the file lasts 1 s"),
        (-0.1, 0.5, "times of 0 or more"),
        (float("nan"), 0.5, "times of 0 or more"),
        (0.0, float("inf"), "times of 0 or more"),
    ],
)
def test_impossible_events_are_refused(tmp_path: Path, start: float, end: float | None, reason: str) -> None:
    soundfile.write(tmp_path / "a.wav", np.full(8000, 0.1), 8000)
    with pytest.raises(AudioError, match=reason):
        read_sound(tmp_path / "a.wav", sample_rate=8000, start_seconds=start, end_seconds=end)


def test_silence_and_one_sample_are_sound(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(100), 8000)
    assert not read_sound(tmp_path / "a.wav", sample_rate=16_000).samples.any()
    soundfile.write(tmp_path / "b.wav", np.array([0.5]), 8000)
    np.testing.assert_array_equal(read_sound(tmp_path / "b.wav", sample_rate=8000).samples, [0.5])


def test_less_than_one_sample_at_the_asked_rate_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.array([0.5]), 96_000)
    with pytest.raises(AudioError, match="less than one at 8000 Hz"):
        read_sound(tmp_path / "a.wav", sample_rate=8000)


def test_result_can_be_written_to(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.full(10, 0.5), 8000)
    samples = read_sound(tmp_path / "a.wav", sample_rate=8000).samples
    samples *= 2
    np.testing.assert_array_equal(samples, np.ones(10))


@pytest.mark.skipif(not CROWD.is_dir(), reason="the real crowd recordings are not beside this checkout")
def test_real_crowds_all_read() -> None:
    paths = [path for path in sorted(CROWD.rglob("*")) if path.suffix in (".wav", ".mp3", ".ogg")]
    assert len(paths) >= 20
    for path in paths:
        read = read_sound(path, sample_rate=44_100)
        info = soundfile.info(path)
        assert abs(len(read.samples) / 44_100 - info.frames / info.samplerate) < 1e-3, path.name
