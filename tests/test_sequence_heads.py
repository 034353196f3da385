"""Recurrent heads: what only the order tells is learnt, saved and loaded, and what does not fit is refused."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from made_run import one_thread  # noqa: F401 - a fixture

from pipeline.errors import ModelError, SplitError
from pipeline.sequence_heads import SequenceHead, SequenceOptions, fit_sequences
from pipeline.store.folds import Fold
from pipeline.store.tables import SplitRow

SOURCES = Path(__file__).resolve().parents[1] / "src"
QUICK = SequenceOptions(units=6, epochs=2, batch_blocks=8)


def order_task(n_clips=72, seed=0):
    """Clips in pairs with the same blocks: of one the lower half comes first (rising), of the other last (falling).

    A block is one of two patterns and noise; a clip has an even number of blocks, and every third pair is tested.
    """
    rng = np.random.default_rng(seed)
    rows, values = [], []
    for pair in range(n_clips // 2):
        half = int(rng.integers(1, 4))
        low = rng.normal([-1.0, 0.0, 0.0], 0.3, (half, 3))
        high = rng.normal([1.0, 0.0, 0.0], 0.3, (half, 3))
        for label, blocks in (("rising", (low, high)), ("falling", (high, low))):
            clip_id = f"made/{label}{pair}"
            values.append(np.concatenate(blocks))
            rows += [
                SplitRow(
                    block_id=f"{clip_id}@{100 * step}",
                    clip_id=clip_id,
                    group=clip_id,
                    label=label,
                    fold=0,
                    side="train" if pair % 3 else "test",
                )
                for step in range(2 * half)
            ]
    return Fold(rows, ("falling", "rising")), np.concatenate(values).astype(np.float32) * [3, 40, 0.01] + [5, -9, 0]


def clip_accuracy(fold, logits):
    """By the mean of a clip's probabilities, over the test side."""
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    answers = {}
    for row, chance, label in zip(fold.rows, chances, fold.labels, strict=True):
        if row.side == "test":
            answers.setdefault((row.clip_id, label), []).append(chance)
    return np.mean([np.mean(own, axis=0).argmax() == label for (_, label), own in answers.items()])


@pytest.mark.parametrize("kind", ["lstm", "bilstm"])
def test_what_only_the_order_tells_is_learnt_and_the_mean_of_blocks_cannot(kind):
    from sklearn.linear_model import LogisticRegression

    fold, values = order_task()
    options = SequenceOptions(units=16, epochs=30, batch_blocks=32, learning_rate=0.01)
    head = fit_sequences(values, fold, kind=kind, options=options, seed=0)
    assert clip_accuracy(fold, head.logits(values, fold)) > 0.9
    there = fold.on("train")
    alone = LogisticRegression().fit(values[there], fold.labels[there])
    # Both clips of a pair hold the same blocks, so whatever single blocks say, one of the two is answered wrongly.
    assert clip_accuracy(fold, np.log(alone.predict_proba(values))) == 0.5


def test_the_seed_decides_and_outside_nothing_changes():
    fold, values = order_task(12)
    before = torch.get_rng_state()
    first, again, other = (
        fit_sequences(values, fold, kind="lstm", options=QUICK, seed=seed).to_arrays() for seed in (3, 3, 4)
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert all(first[key].tobytes() == again[key].tobytes() for key in first)
    assert any(not np.array_equal(first[key], other[key]) for key in first)


def test_only_the_chosen_side_is_learnt_from():
    fold, values = order_task(12)
    there = fold.on("train")
    changed = np.where(there[:, None], values, values[::-1] * 7 + 1)
    one, same = (
        fit_sequences(each, fold, kind="bilstm", options=QUICK, seed=0).to_arrays() for each in (values, changed)
    )
    assert all(np.array_equal(one[key], same[key]) for key in one)
    np.testing.assert_allclose(one["scale.mean"], values[there].mean(axis=0))
    renamed = [
        SplitRow(**{**dataclasses.asdict(row), "side": "validation" if row.side == "test" else row.side})
        for row in fold.rows
    ]
    own = fit_sequences(values, Fold(renamed, fold.classes), kind="lstm", options=QUICK, seed=0, side="validation")
    np.testing.assert_allclose(own.scale.mean, values[~there].mean(axis=0))


def test_constant_columns_are_no_matter():
    fold, values = order_task(12)
    values[:, 1] = 0.1
    head = fit_sequences(values, fold, kind="lstm", options=QUICK, seed=0)
    assert head.scale.deviation[1] == 1
    assert np.isfinite(head.logits(values, fold)).all()


def test_logits_are_in_the_order_of_the_fold():
    fold, values = order_task(12)
    head = fit_sequences(values, fold, kind="lstm", options=QUICK, seed=0)
    logits = head.logits(values, fold)
    order = np.random.default_rng(0).permutation(len(values))
    shuffled = Fold([fold.rows[index] for index in order.tolist()], fold.classes)
    np.testing.assert_allclose(head.logits(values[order], shuffled), logits[order], atol=1e-6)


IN_A_NEW_PROCESS = """
import json, pickle, sys, numpy
from pathlib import Path
from pipeline.sequence_heads import SequenceHead
from pipeline.store.folds import Fold
from pipeline.store.tables import SplitRow
folder = Path(sys.argv[1])
told = json.loads((folder / "told.json").read_text())
head = SequenceHead.from_arrays(dict(numpy.load(folder / "head.npz")), told["about"])
fold = Fold([SplitRow(**row) for row in told["rows"]], tuple(told["classes"]))
numpy.save(folder / "logits.npy", head.logits(numpy.load(folder / "values.npy"), fold))
"""


def test_another_process_gives_the_same_logits(tmp_path):
    import json

    fold, values = order_task(12)
    head = fit_sequences(values, fold, kind="bilstm", options=QUICK, seed=0)
    np.savez(tmp_path / "head.npz", **head.to_arrays())
    np.save(tmp_path / "values.npy", values)
    told = {"about": head.about, "rows": [dataclasses.asdict(row) for row in fold.rows], "classes": fold.classes}
    (tmp_path / "told.json").write_text(json.dumps(told))
    subprocess.run(
        [sys.executable, "-c", IN_A_NEW_PROCESS, tmp_path], env={"PYTHONPATH": str(SOURCES)}, check=True, timeout=120
    )
    np.testing.assert_allclose(np.load(tmp_path / "logits.npy"), head.logits(values, fold), atol=1e-7)


# refusals


def test_arrays_that_do_not_fit_are_refused():
    fold, values = order_task(12)
    head = fit_sequences(values, fold, kind="lstm", options=QUICK, seed=0)
    arrays = head.to_arrays()
    for missing in ("scale.mean", "recurrent.classes.weight"):
        with pytest.raises(ModelError, match=missing.replace(".", r"\.")):
            SequenceHead.from_arrays({key: value for key, value in arrays.items() if key != missing}, head.about)
    broken = {**arrays, "recurrent.classes.bias": np.full(2, np.inf, np.float32)}
    with pytest.raises(ModelError, match=r"a recurrent head whose recurrent\.classes\.bias is not finite"):
        SequenceHead.from_arrays(broken, head.about)
    with pytest.raises(ModelError, match="a recurrent head whose units is 'many', no whole number above 0"):
        SequenceHead.from_arrays(arrays, {**head.about, "units": "many"})
    for wrong in ({"units": 7}, {"n_features": 4}, {"kind": "gru"}, {"n_classes": 3}, {"layers": 0}, {"kind": None}):
        with pytest.raises(ModelError):
            SequenceHead.from_arrays(arrays, {**head.about, **wrong})


def test_what_cannot_be_fitted_or_answered_is_refused():
    fold, values = order_task(12)
    with pytest.raises(ModelError, match="there is no recurrent head 'gru': lstm, bilstm"):
        fit_sequences(values, fold, kind="gru", options=QUICK, seed=0)
    with pytest.raises(SplitError, match="fold 0 has no block on the validation side to fit a head on"):
        fit_sequences(values, fold, kind="lstm", options=QUICK, seed=0, side="validation")
    broken = values.copy()
    broken[fold.on("train").argmax(), 1] = np.nan
    with pytest.raises(ModelError, match="values to fit a head on hold NaN or infinity"):
        fit_sequences(broken, fold, kind="lstm", options=QUICK, seed=0)
    head = fit_sequences(values, fold, kind="lstm", options=QUICK, seed=0)
    for wrong in (values[:, :2], values[:-1]):
        with pytest.raises(ModelError, match="a recurrent head was fitted to 3 columns, and fold 0 has"):
            head.logits(wrong, fold)


def test_a_split_that_tears_clips_is_refused():
    fold, values = order_task(12)
    rows = [
        SplitRow(**{**dataclasses.asdict(row), "side": "dropped"}) if index == 1 else row
        for index, row in enumerate(fold.rows)
    ]
    with pytest.raises(SplitError, match=r"blocks of made/rising0 are on the sides dropped and test"):
        fit_sequences(values, Fold(rows, fold.classes), kind="lstm", options=QUICK, seed=0)
