"""What was run, in words: counts by hand, and every choice named."""

import pytest
from made_report import MADE_BY, MEMBER, REPRESENTATION, SECTIONS
from made_run import CORPUS

from pipeline.features.hand_built import HandBuiltSpec
from pipeline.features.representations import HandBuilt, Stack
from pipeline.features.spectrogram import SpectrogramSpec
from pipeline.features.stack import ChannelSpec, StackSpec
from pipeline.report import facts
from pipeline.store.files import write_json
from pipeline.store.paths import model_folder, rejected_csv
from pipeline.store.tables import Rejected, write_rows

SPLIT = {
    "units": 12,
    "corpora": {
        "one": {
            "clips": {"anger": 3, "joy": 2},
            "blocks": {"anger": 30, "joy": 21},
            "seconds": 61.25,
            "rejected": 4,
            "left_out": {"tail": {"anger": {"blocks": 1, "seconds": 1.5}, "joy": {"blocks": 0, "seconds": 0.75}}},
            "filled_blocks": {"joy": 2},
        },
        "two": {
            "clips": {"joy": 5},
            "blocks": {"joy": 9},
            "seconds": 10.0,
            "rejected": 0,
            "left_out": {},
            "filled_blocks": {},
        },
    },
    "folds": {
        "0": {
            "train": {"anger": 10, "joy": 20},
            "validation": {},
            "test": {"anger": 5, "joy": 6},
            "dropped": {"joy": 3},
            "train_units": 8,
            "test_units": 4,
        }
    },
}
METRICS = {
    "split": {"by": "clip", "method": "kfold", "balance": "train", "n_folds": 3, "folds": [0]},
    "clip": {"unit": "clip"},
    "aggregate": "belief",
    "members_mean": "logits",
    "start": {"a": {"network": "alexnet", "weights": "imagenet (V1)", "sha256": "ab" * 32}},
}


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_labels_are_counted_over_all_corpora():
    assert facts.classes_table(["one", "two"], SPLIT).rows == [["anger", "3", "30"], ["joy", "7", "30"]]


def test_corpora_are_counted_with_what_they_lost():
    rows = facts.corpora_table(["one", "two"], SPLIT, facts.Sound({}, {})).rows
    assert rows == [["one", "5", "51", "61.2", "4", ""], ["two", "5", "9", "10.0", "0", ""]]


def test_what_slicing_left_out_is_summed_over_classes():
    assert facts.left_out_table(["one", "two"], SPLIT).rows == [
        ["one", "1", "2.2", "tail"],
        ["one", "2", "", "not left out, but filled up: the clip is shorter than the block"],
    ]


def test_reasons_for_rejection_are_counted_the_commonest_first_and_the_rest_together():
    reasons = ["rare"] + 2 * ["common"] + [f"other {i:02}" for i in range(10)]
    write_rows(
        rejected_csv(CORPUS), Rejected, [Rejected(path=f"{i}", label="", reason=r) for i, r in enumerate(reasons)]
    )
    rows = facts.rejected_table([CORPUS]).rows
    assert rows[0] == [CORPUS, "2", "common"]
    assert rows[-1] == ["all", "2", "2 further reasons"]
    assert len(rows) == 11
    assert sum(int(row[1]) for row in rows) == 13


def test_sides_of_a_fold_are_counted():
    (row,) = facts.folds_table(METRICS, SPLIT).rows
    assert row == ["0", "30", "0", "11", "3", "8", "4"]


def test_every_choice_of_the_representation_is_named():
    said = dict(facts.representation_facts(REPRESENTATION, SECTIONS).items)
    assert said["Sound"] == "mono, 1000 Hz"
    assert said["Blocks"] == "2 s, one every 1 s"
    assert said["Loudness"] == "each block to \N{MINUS SIGN}23 LUFS, at most 60 dB of gain"
    assert said["Frames"] == "hann window of 64 samples (64 ms), a frame every 20 ms"
    assert said["Frequency axis"] == "mel, 40 bands from 20 to 500 Hz"
    assert said["Time axis"] == "resampled to 50 columns"
    assert said["Colours"] == "64 of jet, from \N{MINUS SIGN}130 to \N{MINUS SIGN}22 dB re 1/Hz"
    assert said["Image"] == "20 \N{MULTIPLICATION SIGN} 24 pixels"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"scope": "none"}, "levels as recorded"),
        ({"method": "zscore", "scope": "clip"}, "each clip to zero mean and unit variance, at most 60 dB of gain"),
        ({"method": "rms"}, "each block to \N{MINUS SIGN}23 dB RMS, at most 60 dB of gain"),
    ],
)
def test_loudness_in_words(changed, said):
    sections = {**SECTIONS, "loudness": {**SECTIONS["loudness"], **changed}}
    assert dict(facts.representation_facts({**REPRESENTATION, "n_columns": 0}, sections).items)["Loudness"] == said


@pytest.mark.parametrize(
    ("validation", "said"),
    [("none", "none"), ("test", "the test side itself"), ("fraction", "0.3 of the training side's blocks")],
)
def test_the_split_in_words(validation, said):
    sections = {**SECTIONS, "split": {**SECTIONS["split"], "validation": validation}}
    items = dict(facts.split_facts(METRICS, SPLIT, sections).items)
    assert items["Validation side"] == said
    assert items["Method"] == "kfold; 1 of 3 folds run"
    assert items["Unit"] == "clip: never on two sides; 12 units"
    assert items["Clip's answer"] == "its blocks' belief, updated in the order of time"
    assert items["Members' mean"] == "of their logits"
    assert items["Intervals"] == "95 %, percentile bootstrap over units (clip for clips), 100 resamples"


def test_a_member_is_named_with_its_start_and_its_settings():
    rows = {row[0]: row[1:] for row in facts.members_table(METRICS, {"a": MEMBER}).rows}
    assert rows["network"] == ["alexnet"]
    assert rows["starting weights"] == ["imagenet (V1)"]
    assert rows["their SHA-256"] == ["ab" * 32]
    assert rows["dropout"] == ["the network's own"]
    assert rows["learning rate"] == ["0.0001"]
    assert rows["deterministic"] == ["yes"]
    assert rows["seed"] == ["7"]


def test_what_runs_over_the_blocks_of_a_clip_is_named():
    assert "over the blocks of a clip" not in [row[0] for row in facts.members_table(METRICS, {"a": MEMBER}).rows]
    own = {"sequence": "bilstm", "sequence_units": 64, "sequence_layers": 1, "sequence_blocks": 0}
    for changed, said in (
        ({}, "bilstm, 64 units, 1 layer"),
        ({"sequence_layers": 2, "sequence_blocks": 30}, "bilstm, 64 units, 2 layers, learnt in stretches of 30 blocks"),
    ):
        member = {**MEMBER, "model": {**MEMBER["model"], **own, **changed}}
        rows = {row[0]: row[1:] for row in facts.members_table(METRICS, {"a": member}).rows}
        assert rows["over the blocks of a clip"] == [said]


def test_random_weights_have_no_digest():
    metrics = {**METRICS, "start": {"a": {"network": "alexnet", "weights": "random"}}}
    assert "their SHA-256" not in [row[0] for row in facts.members_table(metrics, {"a": MEMBER}).rows]


def test_runs_made_alike_share_a_column_and_others_have_their_own():
    for key in ("0-a", "1-a", "0-b", "1-b"):
        write_json(model_folder(key) / "provenance.json", {**MADE_BY, "device": "gpu" if key == "1-b" else "cpu"})
    alike = facts.provenance_table([0, 1], ["a"])
    assert alike.columns == ["", "all runs"]
    assert ["device", "cpu"] in alike.rows
    assert ["torch", "2.14.0"] in alike.rows
    differ = facts.provenance_table([0, 1], ["a", "b"])
    assert differ.columns == ["", "0-a, 0-b, 1-a", "1-b"]
    assert ["device", "cpu", "gpu"] in differ.rows


# other representations


def of_kind(representation):
    return dict(facts.representation_facts(representation, SECTIONS).items)


def test_a_stack_is_said_channel_by_channel():
    spec = SpectrogramSpec(16000, "hamming", 640, 0.002, 2048, "linear", 64, 1.0, 2000.0, 0)
    stack = StackSpec((ChannelSpec(spec), ChannelSpec(spec, "delta_mfcc")), n_bands=48, n_columns=32)
    items = of_kind(Stack(stack, resample_samples=100_000).attributes())
    frames = "hamming window of 640 samples (40 ms), a frame every 2 ms; FFT of 2048 samples"
    assert items["Channel 1"] == f"decibels; {frames}"
    assert items["Channel 2"] == f"deltas of MFCC; {frames}"
    assert items["Frequency axis"] == "linear, 64 bands from 1 to 2000 Hz"
    assert items["Stack"] == "32 \N{MULTIPLICATION SIGN} 48 values in each channel"
    assert "100000 samples" in items["Resampled"]
    said = facts.seen_as(Stack(stack, resample_samples=100_000).attributes())
    assert said.startswith(
        "A stack of 2 channels, each drawn over its own range (MFCC and deltas: of it the 1st to 99th"
    )
    assert said.endswith("frequencies and times are relative.")


def test_features_are_named_and_have_no_pictures():
    attributes = HandBuilt(HandBuiltSpec(16000)).attributes()
    items = of_kind(attributes)
    assert len(items["Features"].split(" ")) == 26
    assert items["Frames"] == "40 ms, one every 10 ms"
    assert "none is shown" in facts.seen_as(attributes)


def test_an_own_range_and_whole_clips_are_said():
    how = {name: value for name, value in REPRESENTATION.items() if name not in ("low_db", "high_db")}
    how |= {"range": "own", "low_percentile": 5.0, "high_percentile": 95.0, "most_db": 60.0}
    sections = {**SECTIONS, "slice": {**SECTIONS["slice"], "whole_clips": True}}
    items = dict(facts.representation_facts(how, sections).items)
    assert items["Colours"] == "64 of jet, over each picture's own values (percentiles 5 to 95, at most 60 dB)"
    assert items["Blocks"] == "whole clips; silent: keep"
    assert "Shorter clips" not in items


def test_an_estimator_shows_the_keys_that_it_looks_at_beside_a_networks_training():
    estimator = {"kernel": "rbf", "C": 10.0, "gamma": None, "n_mixtures": 7, "regularisation": 0.01, "priors": "equal"}
    model = {"name": "svm", "normalise": "standard", "whiten": "none", "estimator": estimator}
    metrics = {**METRICS, "start": {**METRICS["start"], "b": {"network": "svm", "weights": "none"}}}
    table = facts.members_table(metrics, {"a": MEMBER, "b": {"model": model, "train": MEMBER["train"], "seed": 3}})
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["network"] == ["alexnet", "svm (no network)"]
    assert rows["seed"] == ["7", "3"]
    assert rows["epochs"] == ["12", ""]
    assert rows["C"] == ["", "10"]
    assert rows["priors"] == ["", "equal"]
    assert not {"gamma", "n mixtures", "regularisation"} & set(rows)
