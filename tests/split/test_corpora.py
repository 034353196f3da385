"""What split.json says of each corpus: what came of every recording."""

import dataclasses
import json

import pytest
from made import RATE, block, noise, store_blocks, store_clips
from plan.cases import params

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
