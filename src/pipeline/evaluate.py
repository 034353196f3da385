"""Predictions of all folds and members -> metrics.json and the tables behind its plots."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.answers import AnsweredBlocks, clip_answers, confusions
from pipeline.errors import MetricsError
from pipeline.metrics import evaluate_level, pool_by_clip, softmax, spread
from pipeline.store.files import read_json, write_json
from pipeline.store.folds import Fold, Outputs, read_fold, read_outputs
from pipeline.store.paths import (
    ANSWERS,
    METRICS,
    PLOTS,
    SPLIT_METRICS,
    baselines_h5,
    curves_csv,
    head_outputs_h5,
    outputs_h5,
    run_key,
)
from pipeline.store.tables import Answer, ClipAnswer, Curve, CurvePoint, read_rows, write_rows

BASELINES = ("majority", "nuisance")
OPTIONAL_BASELINES = ("thumbnail",)  # of what has pictures
Floats = NDArray[np.float64]


def evaluate_runs(
    folds: Sequence[int],
    members: Sequence[str],
    *,
    n_resamples: int,
    seed: int,
    run: Mapping[str, Any],
    heads: Sequence[str] = (),
) -> dict[str, Any]:
    """Evaluate all members on the pooled test sides of all folds, and write metrics.json and the plots' tables.

    Heads are evaluated as members are, each by itself, and have no part in the members' mean.

    Parameters
    ----------
    n_resamples, seed
        Of the bootstrap, over the units that split.json names (clip answers of a block split: clips).
    run
        What else metrics.json says of the run: corpora, parameters of the model, seeds.

    Raises
    ------
    MetricsError
        If an output is not of the present split, or holds what is no prediction, or no tested class was learned.
    """
    by = read_json(SPLIT_METRICS)["unit"]
    sides = {fold: read_fold(fold) for fold in folds}
    blocks = _test_blocks(sides)
    outputs = {
        (fold, member): _read(side, outputs_h5(run_key(fold, member)), "logits")
        for fold, side in sides.items()
        for member in members
    }
    of_member = {
        member: np.concatenate(
            [softmax(_of_test(sides[fold], outputs[fold, member].values["logits"])) for fold in folds]
        )
        for member in members
    }

    learned = np.logical_or.reduce([_learned(fold) for fold in sides.values()])
    _refuse_nothing_learned(blocks, learned)

    def levels(probabilities: Floats) -> dict[str, Any]:
        return _levels(blocks, probabilities, by=by, n_resamples=n_resamples, seed=seed, learned=learned)

    mean = np.mean([of_member[member] for member in members], axis=0)
    each = {member: levels(of_member[member]) for member in members}
    baselines = {name: levels(probabilities) for name, probabilities in _baselines(sides).items()}
    about = [output.about for output in outputs.values()]
    metrics = {
        **levels(mean),
        "members": each,
        "spread": {level: spread([each[member][level] for member in members]) for level in ("block", "clip")},
        "baselines": baselines,
        "selected_on_test": any(card["selected_on_test"] for card in about),
        "start": {member: outputs[folds[0], member].about["start"] for member in members},
        "split": _split_summary(folds) | _untrained(blocks.classes, learned),
        **run,
    }
    if heads:
        metrics["heads"] = {
            name: {**levels(probabilities), "about": of} for name, (probabilities, of) in _heads(sides, heads).items()
        }
    write_json(METRICS, metrics)
    _write_tables(blocks, mean, folds, members, by=by)
    return metrics


def _read(fold: Fold, path: Path, *names: str, optional: Sequence[str] = ()) -> Outputs:
    """Read outputs of a fold, and refuse those of another split."""
    outputs = read_outputs(path, *names, optional=optional)
    now = [row.block_id for row in fold.rows], [row.side for row in fold.rows], list(fold.classes)
    if (outputs.block_ids, outputs.sides, list(outputs.about["classes"])) != now:
        raise MetricsError(f"{path}: predicts other blocks, sides or classes than the present split: run `dvc repro`")
    return outputs


def _learned(fold: Fold) -> NDArray[np.bool_]:
    """Which classes the fold's training side has, (k,)."""
    return np.isin(np.arange(len(fold.classes)), fold.labels[fold.on("train")])


def _refuse_nothing_learned(blocks: AnsweredBlocks, learned: NDArray[np.bool_]) -> None:
    if not learned[blocks.labels].any():
        tested = ", ".join(blocks.classes[label] for label in np.unique(blocks.labels))
        raise MetricsError(
            f"the test sides have only {tested}, which no training side has: there is no recall to average; run other "
            "folds (runs.folds), or set split.absent_classes to refuse"
        )


def _untrained(classes: Sequence[str], learned: NDArray[np.bool_]) -> dict[str, list[str]]:
    """Classes that no fold could learn; nothing where there are none."""
    lacking = [name for name, known in zip(classes, learned, strict=True) if not known]
    return {"untrained": lacking} if lacking else {}


def _of_test(fold: Fold, values: NDArray[Any]) -> NDArray[Any]:
    return values[fold.on("test")]


def _test_blocks(sides: Mapping[int, Fold]) -> AnsweredBlocks:
    rows = [row for fold in sides.values() for row in fold.rows if row.side == "test"]
    return AnsweredBlocks(
        classes=next(iter(sides.values())).classes,
        labels=np.concatenate([_of_test(fold, fold.labels) for fold in sides.values()]),
        names=[row.block_id for row in rows],
        clips=[row.clip_id for row in rows],
        groups=[row.group for row in rows],
    )


def _baselines(sides: Mapping[int, Fold]) -> dict[str, Floats]:
    """Probabilities of every test block under each baseline."""
    outputs = {
        fold: _read(side, baselines_h5(fold), *BASELINES, optional=OPTIONAL_BASELINES) for fold, side in sides.items()
    }
    names = [
        name for name in (*BASELINES, *OPTIONAL_BASELINES) if all(name in output.values for output in outputs.values())
    ]
    return {
        name: np.concatenate([_of_test(side, outputs[fold].values[name]) for fold, side in sides.items()])
        for name in names
    }


def _heads(sides: Mapping[int, Fold], heads: Sequence[str]) -> dict[str, tuple[Floats, dict[str, Any]]]:
    """Probabilities of every test block under each head, and what metrics.json says of it beside its scores."""
    found = {}
    for name in heads:
        outputs = {fold: _read(side, head_outputs_h5(run_key(fold, name)), "logits") for fold, side in sides.items()}
        logits = [_of_test(side, outputs[fold].values["logits"]) for fold, side in sides.items()]
        cards = [output.about for output in outputs.values()]
        about = {key: cards[0][key] for key in ("member", "on", "kind", "fitted_on")}
        chosen = any(card["selected_on_test"] for card in cards)
        found[name] = np.concatenate([softmax(part) for part in logits]), {**about, "selected_on_test": chosen}
    return found


def _levels(
    blocks: AnsweredBlocks,
    probabilities: Floats,
    *,
    by: str,
    n_resamples: int,
    seed: int,
    learned: NDArray[np.bool_],
) -> dict[str, Any]:
    """Metrics of the blocks, and of the clips by the mean of their blocks' probabilities."""
    options: dict[str, Any] = {
        "classes": blocks.classes,
        "n_resamples": n_resamples,
        "seed": seed,
        "learned": None if learned.all() else learned,
    }
    _, units = np.unique(blocks.groups, return_inverse=True)
    block = evaluate_level(blocks.labels, probabilities, units, unit_name=by, **options)
    _, first, clip = np.unique(blocks.clips, return_index=True, return_inverse=True)
    unit_of_clip, unit_name = (np.arange(len(first)), "clip") if by == "block" else (units[first], by)
    pooled = pool_by_clip(probabilities, clip)
    return {
        "block": block,
        "clip": evaluate_level(blocks.labels[first], pooled, unit_of_clip, unit_name=unit_name, **options),
    }


def _split_summary(folds: Sequence[int]) -> dict[str, Any]:
    """What of split.json belongs beside every number, of the folds that were run."""
    split = read_json(SPLIT_METRICS)
    return {
        **{name: split[name] for name in ("by", "method", "balance", "validation", "n_folds")},
        "leakage": split["leakage"] if len(folds) == split["n_folds"] else _leakage(split["folds"], folds),
        "folds": list(folds),
    }


def _leakage(of_fold: Mapping[str, Any], folds: Sequence[int]) -> dict[str, float]:
    """Shares of the test blocks of some folds: each fold's share weighs as much as it has test blocks."""
    parts = [(of_fold[str(fold)]["leakage"], sum(of_fold[str(fold)]["test"].values())) for fold in folds]
    names = sorted({name for shares, _ in parts for name in shares})
    total = sum(n for _, n in parts)
    # That all test blocks have a field is not written, so a missing FIELD_known stands for 1.
    return {
        name: round(sum(shares.get(name, float(name.endswith("_known"))) * n for shares, n in parts) / total, 4)
        for name in names
    }


def _write_tables(
    blocks: AnsweredBlocks, probabilities: Floats, folds: Sequence[int], members: Sequence[str], *, by: str
) -> None:
    for level, rows in confusions(blocks, probabilities, by=by).items():
        write_rows(PLOTS / f"confusion_{level}.csv", Answer, rows)
    write_rows(ANSWERS, ClipAnswer, clip_answers(blocks, probabilities))
    curves = [
        Curve(run=run_key(fold, member), side=point.side, iteration=point.iteration, loss=point.loss, uar=point.uar)
        for fold in folds
        for member in members
        for point in read_rows(curves_csv(run_key(fold, member)), CurvePoint)
    ]
    write_rows(PLOTS / "learning_curves.csv", Curve, curves)
