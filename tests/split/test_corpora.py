"""What split.json says of each corpus: what came of every recording."""

import dataclasses
import json

import pytest
from made import RATE, block, noise, store_blocks, store_clips
from plan.cases import params

from pipeline.errors import SplitError
from pipeline.split.choices import Choices
from pipeline.split.corpora import split_corpora
from pipeline.store.paths import DUPLICATES, SPLIT_METRICS, left_out_csv, missing_csv, rejected_csv
from pipeline.store.tables import Duplicate, LeftOut, Missing, Rejected, write_rows


@pytest.mark.parametrize("n_missing", [0, 3])
def test_the_account_of_a_corpus_adds_up(tmp_path, monkeypatch, n_missing):
    monkeypatch.chdir(tmp_path)
    paths = [f"{label}{i}.wav" for label in ("anger", "joy") for i in range(6)]
    labels = {name: name.rstrip("0123456789.wav") for name in paths}
    hashes = {name: f"{i:064x}" for i, name in enumerate(paths)}
    store_clips("made", {name: noise(-20, 2, seed=3) for name in paths}, label=labels, pcm_sha256=hashes)
    store_blocks("made", [block(f"made/{name}", n_samples=2 * RATE) for name in paths])
    write_rows(left_out_csv("made"), LeftOut, [])
    write_rows(rejected_csv("made"), Rejected, [Rejected(path="x.wav", label="joy", reason="empty")] * 2)
    write_rows(missing_csv("made"), Missing, [Missing(path=f"{i}.wav") for i in range(n_missing)])
    write_rows(DUPLICATES, Duplicate, [])
    names = {field.name for field in dataclasses.fields(Choices)}
    split_corpora(["made"], Choices(**params().split.model_dump(include=names)), audit_fields=[])
    account = json.loads(SPLIT_METRICS.read_text(encoding="utf-8"))["corpora"]["made"]
    assert account["clips"] == {"anger": 6, "joy": 6}
    assert account["seconds"] == 24
    assert account["rejected"] == 2
    assert account["missing"] == n_missing


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A corpus of which one clip of joy is the near duplicate of another."""
    monkeypatch.chdir(tmp_path)
    paths = [f"{label}{i}.wav" for label in ("anger", "joy") for i in range(6)]
    labels = {name: name.rstrip("0123456789.wav") for name in paths}
    hashes = {name: f"{i:064x}" for i, name in enumerate(paths)}
    store_clips("made", {name: noise(-20, 2, seed=3) for name in paths}, label=labels, pcm_sha256=hashes)
    store_blocks("made", [block(f"made/{name}", n_samples=2 * RATE) for name in paths])
    write_rows(left_out_csv("made"), LeftOut, [])
    write_rows(rejected_csv("made"), Rejected, [])
    write_rows(missing_csv("made"), Missing, [])
    pair = {"offset_seconds": 0.0, "seconds": 2.0, "similarity": 0.9, "kind": "near"}
    write_rows(DUPLICATES, Duplicate, [Duplicate(clip_id="made/joy0.wav", other_id="made/joy5.wav", **pair)])
    names = {field.name for field in dataclasses.fields(Choices)}
    options = params().split.model_dump(include=names)

    def run(by="clip", **leaks):
        # leave_one_out: the two are on two sides, whatever is drawn
        choices = Choices(**(options | {"by": by, "method": "leave_one_out"}))
        rows = split_corpora(["made"], choices, audit_fields=[], **leaks)
        return rows, json.loads(SPLIT_METRICS.read_text(encoding="utf-8"))

    return run


def test_near_duplicates_on_two_sides_are_refused_by_name(copied):
    with pytest.raises(SplitError) as caught:
        copied()
    assert str(caught.value) == (
        "split: 1 pair of clips holds the same sound on two sides of a fold: made/joy0.wav and made/joy5.wav (2 s) "
        "(all in data/processed/duplicates.csv): set split.near_duplicates to join, or name clips, or near_duplicates "
        "for all, in split.allow_leaks"
    )
    assert not SPLIT_METRICS.exists()


@pytest.mark.parametrize("allowed", ["made/joy0.wav", "made/joy5.wav", "near_duplicates"])
def test_a_leak_that_is_allowed_is_reported(copied, allowed):
    _, found = copied(allow_leaks=[allowed])
    assert found["duplicates"]["across_sides"] == 1
    assert found["leakage"]["near_duplicate_in_training"] > 0


def test_another_clips_name_allows_nothing_and_an_unknown_one_is_refused(copied):
    with pytest.raises(SplitError, match="1 pair of clips holds the same sound"):
        copied(allow_leaks=["made/joy1.wav"])
    with pytest.raises(SplitError, match=r"split.allow_leaks: 'joy0.wav' is no clip_id of these corpora: name one as"):
        copied(allow_leaks=["joy0.wav"])


def test_joined_they_are_one_unit(copied):
    rows, found = copied(near_duplicates="join")
    assert found["duplicates"]["across_sides"] == 0
    assert found["units"] == 11
    assert {row.group for row in rows if row.clip_id == "made/joy5.wav"} == {"made/joy0.wav+made/joy5.wav"}


def test_a_split_by_block_lets_sound_leak_anyway(copied):
    _, found = copied(by="block")
    assert found["duplicates"]["across_sides"] == 1
