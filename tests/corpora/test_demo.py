"""The demo corpus: its bytes, its table, and that nothing but the sound tells the label."""

import csv
import dataclasses
import hashlib
import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pipeline.corpora import crowd_recording, crowd_sounds, crowd_voices, demo
from pipeline.errors import CorpusError

SEED = 7
SHORT = {"min_seconds": 1.2, "max_seconds": 2.0}  # the demo's real clips last ten times that


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "demo"
    demo.synthesize_demo(folder, seed=SEED, **SHORT)
    return folder


@pytest.fixture(scope="module")
def rows(corpus: Path) -> list[dict[str, str]]:
    with (corpus / "clips.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_default_counts_are_those_of_the_paper(rows: list[dict[str, str]]) -> None:
    labels = [row["label"] for row in rows]
    assert {label: labels.count(label) for label in set(labels)} == {"joy": 9, "anger": 6, "neutral": 3}


def test_table_lists_exactly_the_files_with_label_event_and_licence(corpus: Path, rows: list[dict[str, str]]) -> None:
    assert list(rows[0])[:4] == ["path", "label", "event", "licence"]
    assert sorted(row["path"] for row in rows) == sorted(set(digests(corpus)) - {"clips.csv"})
    for row in rows:
        assert row["path"].startswith(f"{row['label']}/{row['event']}_")
        assert row["licence"] == "CC0-1.0"


def test_every_class_has_three_events_and_shares_none(rows: list[dict[str, str]]) -> None:
    events = {label: {row["event"] for row in rows if row["label"] == label} for label in demo.DEMO_CLIPS}
    assert [len(found) for found in events.values()] == [3, 3, 3]
    assert len(set.union(*events.values())) == 9


def test_files_hold_what_was_drawn(corpus: Path) -> None:
    conditions = demo.draw_conditions(demo.DEMO_CLIPS, seed=SEED, **SHORT)
    for condition in conditions:
        info = soundfile.info(corpus / condition.path)
        sound, rate = soundfile.read(corpus / condition.path, always_2d=True)
        assert (info.format, info.subtype) == demo.ENCODINGS[condition.encoding]
        assert rate == condition.sample_rate
        assert sound.shape == (condition.n_samples, condition.channels)
        assert 1.2 <= condition.seconds <= 2.0
        assert np.all(np.isfinite(sound))
        assert np.max(np.abs(sound)) < 1.0
        found = pyloudnorm.Meter(rate).integrated_loudness(sound)
        assert found == pytest.approx(condition.target_lufs, abs=0.3), condition.path


def test_corpus_mixes_formats_rates_and_channels(corpus: Path) -> None:
    infos = [soundfile.info(path) for path in corpus.glob("*/*")]
    assert {info.format for info in infos} == {"WAV", "FLAC"}
    assert {info.subtype for info in infos} == {"PCM_16", "PCM_24"}
    assert {info.samplerate for info in infos} == {44100, 48000}
    assert {info.channels for info in infos} == {1, 2}


def test_same_seed_gives_the_same_bytes_in_another_process_with_other_threads_and_workers(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from pipeline.corpora.demo import synthesize_demo;"
        "clips = {'joy': 2, 'anger': 1, 'neutral': 2};"
        f"synthesize_demo(Path('there'), seed={SEED}, clips=clips, min_seconds=1.2, max_seconds=2.0)"
    )
    env = {"PYTHONPATH": str(Path(demo.__file__).parents[2]), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, check=True, capture_output=True)
    demo.synthesize_demo(tmp_path / "here", seed=SEED, clips={"joy": 2, "anger": 1, "neutral": 2}, n_workers=2, **SHORT)
    assert digests(tmp_path / "here") == digests(tmp_path / "there")


def test_other_seed_gives_another_corpus(corpus: Path, tmp_path: Path) -> None:
    demo.synthesize_demo(tmp_path / "demo", seed=SEED + 1, clips={"joy": 1}, **SHORT)
    assert not set(digests(tmp_path / "demo").values()) & set(digests(corpus).values())


def test_a_clip_sounds_the_same_whatever_else_is_drawn() -> None:
    few = demo.draw_conditions({"anger": 2}, seed=SEED, **SHORT)[1]
    many = demo.draw_conditions({"joy": 5, "anger": 6}, seed=SEED, **SHORT)[6]
    assert (few.event, few.path.split(".")[0]) == (many.event, many.path.split(".")[0])
    recorded_alike = dataclasses.replace(few, take=many.take, event=many.event)
    np.testing.assert_array_equal(demo.render_clip(few, seed=SEED), demo.render_clip(recorded_alike, seed=SEED))


def test_clips_added_to_a_full_class_leave_its_first_nine_as_they_were() -> None:
    nine = demo.draw_conditions({"joy": 9}, seed=SEED, **SHORT)
    assert demo.draw_conditions({"joy": 14}, seed=SEED, **SHORT)[:9] == nine


def test_another_class_count_leaves_a_class_conditions_alone() -> None:
    alone = demo.draw_conditions({"neutral": 3}, seed=SEED, **SHORT)
    beside = demo.draw_conditions({"joy": 4, "neutral": 3}, seed=SEED, **SHORT)
    assert beside[4:] == alone


def test_second_call_replaces_the_first(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    demo.synthesize_demo(folder, seed=1, clips={"joy": 2, "neutral": 1}, **SHORT)
    table = demo.synthesize_demo(folder, seed=1, clips={"neutral": 1}, **SHORT)
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]  # nothing half-made is left beside it
    assert [path.parent.name for path in folder.glob("*/*")] == ["neutral"]
    assert not (folder / "joy").exists()
    assert table == folder / "clips.csv"


@pytest.mark.parametrize("surplus", ["notes.txt", "joy/my_own.wav", ".hidden"])
def test_strange_file_is_named_and_nothing_is_deleted(tmp_path: Path, surplus: str) -> None:
    folder = tmp_path / "demo"
    demo.synthesize_demo(folder, seed=1, clips={"joy": 1}, **SHORT)
    (folder / surplus).write_bytes(b"precious")
    before = digests(folder)
    with pytest.raises(CorpusError, match=Path(surplus).name):
        demo.synthesize_demo(folder, seed=2, clips={"joy": 1}, **SHORT)
    assert digests(folder) == before


@pytest.mark.parametrize(
    "table",
    [
        "path,label\njoy/mine.wav,joy\n",  # somebody's corpus
        f"path,source\n../outside.wav,{demo.SOURCE}\njoy/mine.wav,someone\n",
    ],
)
def test_table_of_another_corpus_is_not_taken_for_the_demo(tmp_path: Path, table: str) -> None:
    folder = tmp_path / "demo"
    (folder / "joy").mkdir(parents=True)
    (folder / "joy" / "mine.wav").write_bytes(b"precious")
    (folder / "clips.csv").write_text(table)
    with pytest.raises(CorpusError, match=r"mine\.wav|clips\.csv"):
        demo.synthesize_demo(folder, seed=1, clips={"joy": 1}, **SHORT)
    assert (folder / "joy" / "mine.wav").read_bytes() == b"precious"


def test_table_that_points_outside_the_folder_deletes_nothing_there(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    folder.mkdir()
    (tmp_path / "outside.wav").write_bytes(b"precious")
    (folder / "clips.csv").write_text(f"path,source\n../outside.wav,{demo.SOURCE}\n")
    with pytest.raises(CorpusError, match="outside"):
        demo.synthesize_demo(folder, seed=1, clips={"joy": 1}, **SHORT)
    assert (tmp_path / "outside.wav").read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("clips", "seconds", "message"),
    [
        ({"fear": 1}, (1.0, 2.0), "'fear'"),
        ({"joy": 0}, (1.0, 2.0), "1 clip"),
        ({}, (1.0, 2.0), "1 clip"),
        ({"joy": 1}, (2.0, 1.0), "max_seconds"),
        ({"joy": 1}, (0.1, 1.0), "min_seconds"),
        ({"joy": 1}, (1.0, float("nan")), "max_seconds"),
    ],
)
def test_what_cannot_be_synthesised_is_refused(
    tmp_path: Path, clips: dict[str, int], seconds: tuple[float, float], message: str
) -> None:
    with pytest.raises(CorpusError, match=message):
        demo.synthesize_demo(tmp_path / "demo", seed=1, clips=clips, min_seconds=seconds[0], max_seconds=seconds[1])
    assert not list(tmp_path.iterdir())


def nuisance_table(conditions: list[demo.Condition]) -> np.ndarray:
    formats = list(demo.ENCODINGS)
    return np.array(
        [
            [c.target_lufs, c.seconds, c.sample_rate, c.channels, c.bandwidth_hz, c.tilt_db_per_octave, c.noise_db]
            + [c.encoding == name for name in formats[1:]]
            for c in conditions
        ],
        dtype=float,
    )


def guess_labels(features: np.ndarray, labels: np.ndarray, *, n_folds: int = 5, seed: int = 0) -> float:
    """Cross-validated UAR of a logistic regression."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    return float(recall_score(labels, cross_val_predict(model, features, labels, cv=folds), average="macro"))


def test_drawn_nuisances_do_not_tell_the_label() -> None:
    rng = np.random.default_rng(0)
    drawn, shuffled = [], []
    for seed in range(8):
        conditions = demo.draw_conditions(dict.fromkeys(demo.MIX_DB, 60), seed=seed, min_seconds=14, max_seconds=36)
        features, labels = nuisance_table(conditions), np.array([c.label for c in conditions])
        drawn.append(guess_labels(features, labels))
        shuffled += [guess_labels(features, rng.permutation(labels)) for _ in range(10)]
    lower, upper = np.quantile(shuffled, [0.025, 0.975])
    assert 0.2 < lower < upper < 0.44  # the test itself can tell chance from knowledge
    assert lower < np.mean(drawn) < upper
    assert np.median(drawn) < np.quantile(shuffled, 0.9)


def test_every_class_draws_each_nuisance_evenly() -> None:
    conditions = demo.draw_conditions(demo.DEMO_CLIPS, seed=3, min_seconds=14, max_seconds=36)
    for label, count in demo.DEMO_CLIPS.items():
        mine = [c for c in conditions if c.label == label]
        for values, (low, high) in (
            ([c.target_lufs for c in mine], demo.LUFS),
            ([c.tilt_db_per_octave for c in mine], demo.TILT_DB_PER_OCTAVE),
            ([c.noise_db for c in mine], demo.NOISE_DB),
            ([c.seconds for c in mine], (14.0, 36.0)),
        ):
            strata = np.clip((np.array(values) - low) / (high - low) * count, 0, count - 1e-9)
            assert np.max(np.abs(np.sort(strata) - np.arange(count) - 0.5)) < 0.55  # one in each n-th of the range
        assert abs(sum(c.channels == 2 for c in mine) - count / 2) <= 0.5
        assert abs(sum(c.sample_rate == 48000 for c in mine) - count / 2) <= 0.5


def measure_recording(sound: np.ndarray, rate: int) -> list[float]:
    """Loudness (LUFS), slope (dB an octave, 125 Hz to 8 kHz) and the share of power above 15 kHz (dB) of a sound."""
    spectrum = np.mean(np.abs(np.fft.rfft(sound, axis=0)) ** 2, axis=1)
    freqs = np.fft.rfftfreq(len(sound), 1 / rate)
    edges = 125.0 * 2.0 ** (np.arange(-1, 38, 2) / 6)
    pairs = itertools.pairwise(edges)
    bands = [10 * np.log10(np.mean(spectrum[(freqs >= low) & (freqs < high)])) for low, high in pairs]
    slope = float(np.polyfit(np.arange(len(bands)) / 3, bands, 1)[0])
    loudness = float(pyloudnorm.Meter(rate).integrated_loudness(sound))
    high_db = [10 * np.log10(np.mean(spectrum[freqs > low]) / np.mean(spectrum)) for low in (15500, 17000, 19000)]
    return [loudness, slope, *map(float, high_db)]


def test_nuisances_measured_on_the_files_are_the_drawn_ones_and_do_not_tell_the_label(corpus: Path) -> None:
    conditions = demo.draw_conditions(demo.DEMO_CLIPS, seed=SEED, **SHORT)
    recordings = [soundfile.read(corpus / c.path, always_2d=True) for c in conditions]
    measured = np.array([[*measure_recording(sound, rate), *sound.shape, rate] for sound, rate in recordings])
    np.testing.assert_allclose(measured[:, 0], [c.target_lufs for c in conditions], atol=0.3)
    np.testing.assert_allclose(measured[:, 1], [c.tilt_db_per_octave for c in conditions], atol=0.7)
    labels = np.array([c.label for c in conditions])
    rng = np.random.default_rng(0)
    shuffled = [guess_labels(measured, rng.permutation(labels), n_folds=3, seed=k) for k in range(60)]
    assert np.mean([guess_labels(measured, labels, n_folds=3, seed=k) for k in range(5)]) < np.quantile(shuffled, 0.975)


def test_bandwidth_cuts_what_lies_above_it() -> None:
    base = demo.draw_conditions({"joy": 1}, seed=1, **SHORT)[0]
    for rate, bandwidth in ((44100, 15000), (48000, 18000)):
        condition = dataclasses.replace(base, sample_rate=rate, bandwidth_hz=bandwidth, target_lufs=-30.0)
        sound = demo.render_clip(condition, seed=1)
        power = np.abs(np.fft.rfft(sound[:, 0] * np.hanning(len(sound)))) ** 2
        freqs = np.fft.rfftfreq(len(sound), 1 / rate)
        below = np.mean(power[(freqs > 0.85 * bandwidth) & (freqs < 0.95 * bandwidth)])
        above = np.mean(power[freqs > 1.05 * bandwidth])
        assert above < 1e-4 * below


def test_limiter_turns_down_only_the_peak_and_both_channels_alike() -> None:
    sound = np.full((1000, 2), 0.5) * [1.0, -0.5]
    sound[500] = [3.0, 1.0]
    limited = crowd_recording.limit_peaks(sound, frame=50)
    assert np.max(np.abs(limited)) <= crowd_recording.CEILING + 1e-12
    np.testing.assert_array_equal(limited[:450], sound[:450])
    np.testing.assert_array_equal(limited[600:], sound[600:])
    assert limited[500, 0] == pytest.approx(3.0 * limited[500, 1])


def test_saw_has_the_pitch_it_was_asked_for() -> None:
    rng = np.random.default_rng(0)
    frames = 200
    style = dataclasses.replace(crowd_voices.STYLES["boo"], rough=0.0, breath=0.0)
    formants = np.tile(crowd_voices.VOWELS["u"], (frames, 1))
    voice = crowd_voices.render_voice(
        rng, np.full(frames, 220.0), formants, np.ones(frames), style=style, sample_rate=44100
    )
    spectrum = np.abs(np.fft.rfft(voice * np.hanning(len(voice))))
    freqs = np.fft.rfftfreq(len(voice), 1 / 44100)
    assert voice.shape == (frames * 256,)
    assert np.mean(voice**2) == pytest.approx(1.0)
    assert freqs[np.argmax(spectrum)] % 220.0 == pytest.approx(0.0, abs=5) or freqs[np.argmax(spectrum)] % 220 > 215
    harmonic, between = (np.max(spectrum[np.abs(freqs - f) < 8]) for f in (220.0, 330.0))
    assert harmonic > 10 * between


def test_scatter_lays_grains_where_asked_and_cuts_them_at_the_ends() -> None:
    out = crowd_sounds.scatter(np.random.default_rng(0), [np.ones(4)], np.array([-2, 5, 9]), n_samples=10, vary=0.0)
    np.testing.assert_array_equal(np.flatnonzero(out), [0, 1, 5, 6, 7, 8, 9])


@pytest.mark.parametrize("style", crowd_voices.STYLES)
def test_every_style_utters_at_both_rates(style: str) -> None:
    for rate in demo.SAMPLE_RATES:
        sound = crowd_voices.utter(
            np.random.default_rng(1), style=crowd_voices.STYLES[style], high_share=0.5, sample_rate=rate
        )
        assert np.all(np.isfinite(sound))
        assert np.mean(sound**2) == pytest.approx(1.0, rel=1e-3)
        low, high = crowd_voices.STYLES[style].seconds
        assert low - 0.05 <= len(sound) / rate <= high + 0.05


def test_import_is_cheap() -> None:
    code = (
        "import sys, pipeline.corpora.demo;"
        "print([m for m in ('torch', 'librosa', 'sklearn', 'pandas') if m in sys.modules])"
    )
    env = {"PYTHONPATH": str(Path(demo.__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
