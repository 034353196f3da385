"""Altered sound through the stages as they run: what each fold learns from, and that nothing else meets it."""

import dataclasses
import importlib.util
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from made import RATE, noise, store_clips
from made_run import SMALL, one_thread  # noqa: F401 - a fixture
from ruamel.yaml import YAML

from pipeline.errors import CorpusError, ParamsError, SplitError, StoreError
from pipeline.leaks import leaks_page
from pipeline.models.weights import fetch_weights
from pipeline.params import load_params
from pipeline.store.arrays import decode_texts, open_arrays
from pipeline.store.folds import read_fold, read_outputs
from pipeline.store.paths import (
    DUPLICATES,
    METRICS,
    REPORT,
    SPLIT,
    SPLIT_METRICS,
    VARIANTS,
    blocks_csv,
    left_out_csv,
    loudness_csv,
    missing_csv,
    model_folder,
    outputs_h5,
    rejected_csv,
    spectrograms_h5,
    weights_folder,
)
from pipeline.store.tables import Block, Duplicate, Gain, Missing, Rejected, SplitRow, read_rows, write_rows
from pipeline.summary import summarise

ROOT = Path(__file__).resolve().parents[2]
CLIPS = {"joy": 7, "anger": 6}  # of each class: four speakers, three sentences
NOISY = [{"semitones": -1.5, "noise_snr_db": 6.0, "noise_colour": "pink"}, {"time_factor": 1.25, "gain_db": -3.0}]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A collected corpus of 3.5 s clips, which all of the nine variants cut into three blocks, and its stages."""
    monkeypatch.chdir(tmp_path)
    names = [f"{label}{i}.wav" for label, n in CLIPS.items() for i in range(n)]
    number = {name: int(name[-5]) for name in names}
    store_clips(
        "made",
        {name: noise(-20 - number[name], 3.5, seed=seed) for seed, name in enumerate(names)},
        label={name: name[:-5] for name in names},
        pcm_sha256={name: name for name in names},
        fields={name: {"speaker": f"s{number[name] % 4}", "sentence": f"t{number[name] % 3}"} for name in names},
    )
    write_rows(DUPLICATES, Duplicate, [])
    write_rows(rejected_csv("made"), Rejected, [])
    write_rows(missing_csv("made"), Missing, [])
    return tmp_path


def set_params(**changes):
    """Write params.yaml: the committed one, small, with changes (a.b written a__b)."""
    values = YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    small = {
        "corpora": ["made"],
        "audio__sample_rate": RATE,
        "slice__block_seconds": 1.0,
        "spectrogram__window_samples": 128,
        "spectrogram__hop_seconds": 0.02,
        "spectrogram__fft_length": 256,
        "spectrogram__n_bands": 24,
        "spectrogram__max_hz": 4000.0,
        "spectrogram__n_columns": 32,
        "image__height": 24,
        "image__width": 32,
        "model__name": SMALL,
        "train__epochs": 1,
        "train__threads": 1,
        "train__device": "cpu",
        "machine__workers": 1,
        "split__balance": "none",
    }
    for key, value in {**small, **changes}.items():
        *sections, last = key.split("__")
        place = values
        for section in sections:
            place = place[section]
        place[last] = value
    with Path("params.yaml").open("w", encoding="utf-8") as file:
        YAML(typ="safe", pure=True).dump(values, file)


def stage(name, *item):
    """Run a stage's script as DVC does."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "stages" / f"{name}.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.main(*item, Path("params.yaml"))


def prepare():
    for name in ("slice_blocks", "normalize_loudness", "render_spectrograms"):
        stage(name, "made")
    stage("list_spectrograms")


def trained_on(monkeypatch, fold):
    """What the training loop is given of a fold: the training and the validation side."""
    seen = []
    monkeypatch.setattr("pipeline.runs.train_network", lambda _net, _images, *sides, **_: seen.append(sides) or 1)
    fetch_weights(SMALL, "random", expected_sha256=None, folder=weights_folder("a"))
    stage("train_model", f"{fold}-a")
    return seen[0]


def tables():
    return {block.block_id: block for block in read_rows(blocks_csv("made"), Block)}


def images_by_id():
    with open_arrays(spectrograms_h5("made")) as file:
        return dict(zip(decode_texts(file["block_id"][:]), file["images"][:], strict=True))


# what each fold learns from


@pytest.mark.parametrize(
    "split",
    [
        {},
        {"validation": "fraction", "validation_fraction": 0.3},
        {"validation": "test", "balance": "train"},
        {"by": "speaker", "n_folds": 2, "validation": "fraction", "validation_fraction": 0.5, "balance": "all"},
        {"by": "speaker+sentence", "n_folds": 2, "absent_classes": "keep"},
        {"by": "speaker", "method": "leave_one_out"},
        {"method": "holdout", "test_fraction": 0.3},
    ],
)
def test_no_altered_copy_is_judged_nor_made_from_what_is(project, monkeypatch, split):
    validation = split.get("validation", "none")
    folds = {"leave_one_out": 4, "holdout": 1}.get(split.get("method"), 4 if "+" in split.get("by", "") else 0)
    folds = list(range(folds or split.get("n_folds", 3)))
    set_params(augment__sound="nine", runs__folds=folds, **{f"split__{key}": value for key, value in split.items()})
    prepare()
    stage("split_blocks")
    blocks = tables()
    for fold in folds:
        rows = [row for row in read_rows(SPLIT, SplitRow) if row.fold == fold]
        assert {blocks[row.block_id].variant for row in rows} == {0}  # what is predicted, and what baselines see
        training, watched = trained_on(monkeypatch, fold)
        judged = {row.clip_id for row in rows if row.side in ("validation", "test")}
        assert judged
        learned = [blocks[name] for name in training.block_ids]
        assert {block.clip_id for block in learned} & judged == set()
        assert {block.variant for block in learned} == set(range(9))
        assert len({block.block_id for block in learned}) == len(learned)
        if validation != "none":
            side = {"fraction": "validation", "test": "test"}[validation]
            assert list(watched.block_ids) == [row.block_id for row in rows if row.side == side]


@pytest.mark.parametrize("balance", ["none", "train", "all"])
def test_nine_variants_are_nine_times_the_training_blocks_and_as_balanced(project, monkeypatch, balance):
    sides = {}
    for sound in ("none", "nine"):
        set_params(augment__sound=sound, split__balance=balance)
        prepare()
        stage("split_blocks")
        sides[sound], _ = trained_on(monkeypatch, 1)
    plain, nine = sides["none"], sides["nine"]
    assert list(nine.block_ids[: len(plain.block_ids)]) == list(plain.block_ids)
    counts = np.bincount(plain.labels)
    assert (len(set(counts.tolist())) == 1) == (balance != "none")
    dropped = any(row.side == "dropped" for row in read_rows(SPLIT, SplitRow) if row.fold == 1)
    assert dropped == (balance != "none")
    assert np.bincount(nine.labels).tolist() == (9 * counts).tolist()


def test_a_label_is_that_of_the_clip(project, monkeypatch):
    set_params(augment__sound=NOISY)
    prepare()
    stage("split_blocks")
    training, _ = trained_on(monkeypatch, 0)
    classes = read_fold(0).classes
    for name, label in zip(training.block_ids, training.labels, strict=True):
        assert name.startswith(f"made/{classes[label]}")


# what no split, table or setting gets past


def test_a_split_by_block_is_refused_before_work_and_at_training(project, monkeypatch):
    set_params(augment__sound="nine", split__by="block")
    with pytest.raises(ParamsError, match=r"augment\.sound: with split\.by block .*augmented_before_split"):
        load_params(Path("params.yaml"))
    set_params(augment__sound="nine")
    prepare()
    set_params(split__by="block")  # the blocks are of other parameters: not what `dvc repro` would run
    stage("split_blocks")
    with pytest.raises(SplitError, match=r"fold 0: made/.* would hold what is judged"):
        trained_on(monkeypatch, 0)


@pytest.mark.parametrize("side", ["train", "validation", "test", "dropped"])
def test_an_altered_block_that_was_written_into_the_split_is_refused(project, monkeypatch, side):
    set_params(augment__sound=NOISY)
    prepare()
    stage("split_blocks")
    rows = read_rows(SPLIT, SplitRow)
    altered = read_rows(VARIANTS, Block)[0]
    changed = {"block_id": altered.block_id, "clip_id": altered.clip_id, "fold": 0, "side": side}
    write_rows(SPLIT, SplitRow, [*rows, SplitRow(**{**dataclasses.asdict(rows[0]), **changed})])
    with pytest.raises(SplitError, match="is in the split or listed twice"):
        trained_on(monkeypatch, 0)


@pytest.mark.parametrize("side", ["validation", "test"])
def test_a_clip_that_was_written_onto_a_second_side_is_refused(project, monkeypatch, side):
    set_params(augment__sound=NOISY)
    prepare()
    stage("split_blocks")
    rows = read_rows(SPLIT, SplitRow)
    (at, torn) = next((i, row) for i, row in enumerate(rows) if row.side == "train" and row.fold == 2)
    rows[at] = SplitRow(**{**dataclasses.asdict(torn), "side": side})
    write_rows(SPLIT, SplitRow, rows)
    with pytest.raises(SplitError, match=f"fold 2: {torn.clip_id}: .* would hold what is judged"):
        trained_on(monkeypatch, 2)


def test_blocks_of_variants_that_are_no_longer_chosen_are_refused(project):
    set_params(augment__sound="nine")
    stage("slice_blocks", "made")
    set_params(augment__sound=NOISY)
    for name in ("normalize_loudness", "render_spectrograms"):
        if name == "render_spectrograms":
            write_rows(loudness_csv("made"), Gain, [])
        with pytest.raises(StoreError, match=r"made/joy0\.wav: blocks of variant 3, .*dvc repro"):
            stage(name, "made")


# recordings are as they are without


@pytest.mark.parametrize("scope", ["block", "clip", "corpus", "none"])
def test_recordings_are_cut_normalised_and_rendered_as_without_augmentation(project, scope):
    found = {}
    for sound in ("none", NOISY):
        set_params(augment__sound=sound, loudness__scope=scope, slice__tail="align")
        prepare()
        stage("split_blocks")
        own = {name for name, block in tables().items() if block.variant == 0}
        found[str(sound)] = (
            [block for block in tables().values() if block.block_id in own],
            [gain for gain in read_rows(loudness_csv("made"), Gain) if gain.block_id in own],
            {name: image.tobytes() for name, image in images_by_id().items() if name in own},
            left_out_csv("made").read_bytes(),
            SPLIT.read_bytes(),
            SPLIT_METRICS.read_bytes(),
        )
    plain, augmented = found.values()
    assert augmented == plain
    assert len(tables()) > 2 * len(plain[0])


def test_with_one_gain_for_a_corpus_altered_sound_keeps_its_change_of_level(project):
    set_params(augment__sound=[{"gain_db": -6.0}], loudness__scope="corpus")
    prepare()
    gains = read_rows(loudness_csv("made"), Gain)
    assert len({gain.gain_db for gain in gains}) == 1
    lufs = {gain.block_id: gain.lufs for gain in gains}
    assert all(lufs[name] == pytest.approx(lufs[f"{name}~1"] + 6, abs=1e-3) for name in lufs if "~" not in name)


# the same bytes


def test_two_workers_write_the_bytes_of_one(project):
    written = []
    for workers in (1, 2):
        set_params(augment__sound=NOISY, augment__seed=3, machine__workers=workers)
        prepare()
        written.append([path("made").read_bytes() for path in (blocks_csv, loudness_csv, spectrograms_h5)])
    assert written[0] == written[1]
    set_params(augment__sound=NOISY, augment__seed=4)
    prepare()
    assert spectrograms_h5("made").read_bytes() != written[0][2]


def test_altered_sound_depends_on_no_other_clip_nor_on_their_order(project):
    set_params(augment__sound=NOISY)
    prepare()
    before = images_by_id()
    names = ["joy3.wav", "joy1.wav"]
    store_clips("made", {name: noise(-20 - int(name[3]), 3.5, seed=int(name[3])) for name in names})
    prepare()
    after = images_by_id()
    assert {name.partition("@")[0] for name in after} == {f"made/{name}" for name in names}
    assert {"made/joy1.wav@0~1", "made/joy3.wav@0~2"} <= after.keys()
    for name, image in after.items():
        np.testing.assert_array_equal(image, before[name], err_msg=name)


def test_a_clip_too_long_to_be_altered_is_refused_by_name(project, monkeypatch):
    monkeypatch.setattr("pipeline.altered.MOST_SECONDS", 3.0)
    set_params(augment__sound="nine")
    with pytest.raises(CorpusError, match=r"made/joy0\.wav and 12 more: 4 s, .* up to 3 s .*augment\.sound"):
        stage("slice_blocks", "made")
    set_params()
    stage("slice_blocks", "made")


# the leak, by name


@pytest.mark.parametrize("by", ["block", "clip"])
def test_augmenting_before_the_split_runs_as_a_leak_and_is_said_to_be_one(project, by):
    set_params(augment__sound=NOISY, split__by=by, split__allow_leaks=["augmented_before_split"])
    prepare()
    stage("split_blocks")
    blocks = tables()
    rows = read_rows(SPLIT, SplitRow)
    sides = Counter((row.side, blocks[row.block_id].variant > 0) for row in rows if row.fold == 0)
    n_altered = sum(block.variant > 0 for block in blocks.values())
    assert sides["train", True] + sides["test", True] == n_altered
    share = sides["test", False] / (len(blocks) - n_altered)  # a third, as far as whole clips allow
    assert sides["test", True] == pytest.approx(share * n_altered, abs=3)
    assert read_rows(VARIANTS, Block) == []
    said = json.loads(SPLIT_METRICS.read_text())
    met = tested = 0
    for fold in range(3):
        own = [row for row in rows if row.fold == fold]
        learned = {(row.clip_id, blocks[row.block_id].variant > 0) for row in own if row.side == "train"}
        judged = [row for row in own if row.side == "test"]
        met_here = sum(
            any(
                clip_id == row.clip_id and (altered or blocks[row.block_id].variant > 0) for clip_id, altered in learned
            )
            for row in judged
        )
        entry = said["folds"][str(fold)]
        assert entry["leakage"]["augmented_in_training"] == pytest.approx(met_here / len(judged), abs=1e-4)
        assert sum(entry["augmented"]["test"].values()) == sum(blocks[row.block_id].variant > 0 for row in judged)
        met, tested = met + met_here, tested + len(judged)
    assert said["leakage"]["augmented_in_training"] == pytest.approx(met / tested, abs=1e-4)
    assert met / tested > 0.5
    assert said["blocks"] == len(blocks) - n_altered


def test_the_leak_is_trained_and_predicted(project):
    leak = {"split__by": "block", "split__allow_leaks": ["augmented_before_split"]}
    set_params(augment__sound=NOISY, runs__folds=[0], evaluate__n_resamples=100, **leak)
    prepare()
    stage("split_blocks")
    stage("fetch_weights", "a")
    stage("train_model", "0-a")
    stage("predict_blocks", "0-a")
    stage("fit_baselines", "0")
    stage("evaluate_model")
    stage("report")
    outputs = read_outputs(outputs_h5("0-a"), "logits")
    assert set(outputs.block_ids) == set(tables())
    metrics, split = (json.loads(path.read_text()) for path in (METRICS, SPLIT_METRICS))
    assert metrics["block"]["n"]["total"] == outputs.sides.count("test")
    for page in (summarise(metrics, split), leaks_page(split, all_pairs=False), REPORT.read_text(encoding="utf-8")):
        assert "altered copy" in page
    said = json.loads((model_folder("0-a") / "provenance.json").read_text())
    assert said["packages"]["python-stretch"]
