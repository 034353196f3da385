"""Predictions of all folds and members -> metrics.json and the tables behind its plots."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.answerers import Answerer, join, read_answerer, read_outputs_of
from pipeline.answers import AnsweredBlocks, clip_answers, confusions
from pipeline.errors import MetricsError
from pipeline.levels import LEVELS, Scorer, recalls
from pipeline.metrics import Floats, Integers, spread
from pipeline.store.columns import Table, read_table
from pipeline.store.files import read_json, write_json
from pipeline.store.folds import VALIDATION_SIDE, Fold, read_fold
from pipeline.store.paths import (
    ANSWERS,
    BLOCKS,
    METRICS,
    PLOTS,
    SPLIT_METRICS,
    baselines_h5,
    blocks_csv,
    curves_csv,
    head_outputs_h5,
    run_key,
)
from pipeline.store.tables import (
    Answer,
    Block,
    ClipAnswer,
    Curve,
    CurvePoint,
    OverClip,
    Recall,
    Reliability,
    SplitRow,
    read_rows,
    write_rows,
)
from pipeline.store.texts import Index

BASELINES = ("majority", "nuisance")
OPTIONAL_BASELINES = ("thumbnail",)  # of what has pictures


@dataclass(frozen=True, kw_only=True)
class How:
    """How outputs become answers; each attribute as the key of that name in the section evaluate."""

    aggregate: str = "mean"
    members_mean: str = "probabilities"
    ensembles: Mapping[str, Sequence[str]] = field(default_factory=dict)
    calibrate: str = "none"


def evaluate_runs(
    folds: Sequence[int],
    members: Sequence[str],
    *,
    n_resamples: int,
    seed: int,
    sample_rate: int,
    run: Mapping[str, Any],
    how: How | None = None,
    heads: Sequence[str] = (),
) -> dict[str, Any]:
    """Evaluate all members on the pooled test sides of all folds, and write metrics.json and the plots' tables.

    Heads are evaluated as members are, each by itself, and have no part in the members' mean.

    Parameters
    ----------
    n_resamples, seed
        Of the bootstrap, over the units that split.json names (clip answers of a block split: clips).
    sample_rate
        Of the blocks' starts and lengths, Hz.
    run
        What else metrics.json says of the run: corpora, parameters of the model, seeds.

    Raises
    ------
    MetricsError
        If an output is not of the present split, or holds what is no prediction, no tested class was learned, or an
        ensemble names what was not run.
    """
    how = how or How()
    split = read_json(SPLIT_METRICS)
    sides = {fold: read_fold(fold) for fold in folds}
    blocks = _test_blocks(sides, run["corpora"], sample_rate=sample_rate)
    learned = np.logical_or.reduce([_learned(fold) for fold in sides.values()])
    _refuse_nothing_learned(blocks, learned)
    fitted_on = _calibration_side(how, split["validation"])
    answerers = {member: read_answerer(sides, member, calibrate_on=fitted_on) for member in members}
    answerers |= {head: read_answerer(sides, head, path_of=head_outputs_h5, calibrate_on=fitted_on) for head in heads}
    guesses = _baselines(sides)
    del sides  # of all blocks; the scores are of the tested ones

    scorer = Scorer(
        blocks=blocks, by=split["unit"], rule=how.aggregate, n_resamples=n_resamples, seed=seed, learned=learned
    )
    baselines = {name: scorer.levels(guesses.pop(name)) for name in list(guesses)}
    logits = {name: one.logits(scaled=fitted_on is not None) for name, one in answerers.items()}
    ensembles = _ensembles(how, logits)
    mean = join([logits[member] for member in members], how.members_mean)
    each = {name: scorer.levels(join([values], "probabilities")) for name, values in logits.items()}
    together = scorer.levels(mean)
    metrics = {
        **together,
        "aggregate": how.aggregate,
        "members_mean": how.members_mean,
        "aggregations": scorer.aggregations(mean),
        "members": {member: each[member] for member in members},
        "spread": {level: spread([each[member][level] for member in members]) for level in LEVELS},
        "baselines": baselines,
        "selected_on_test": any(_is_chosen(answerers[member]) for member in members) or fitted_on == "test",
        "start": {member: answerers[member].about[0]["start"] for member in members},
        "split": _split_summary(split, folds) | _untrained(blocks.classes, learned),
        **run,
    }
    if heads:
        metrics["heads"] = {name: {**each[name], "about": _about_head(answerers[name])} for name in heads}
    if ensembles:
        chosen = {one for one in how.ensembles if any(_is_chosen(answerers[name]) for name in how.ensembles[one])}
        metrics["ensembles"] = {
            name: scorer.levels(values) | ({"selected_on_test": True} if name in chosen else {})
            for name, values in ensembles.items()
        }
    if fitted_on is not None:
        raw = [answerers[member].logits() for member in members]
        before = scorer.levels(join(raw, how.members_mean))
        metrics["temperature_scaling"] = _scaling(answerers, split["validation"], before, together)
    write_json(METRICS, metrics)
    _write_tables(scorer, mean, together)
    _write_curves(folds, members)
    return metrics


def _calibration_side(how: How, validation: str) -> str | None:
    """Name of the side that temperatures are fitted on; None where none are."""
    if how.calibrate == "none":
        return None
    if (side := VALIDATION_SIDE[validation]) is None:
        raise MetricsError(
            "evaluate.calibrate: validation needs a validation side: set split.validation, or calibrate to none"
        )
    return side


def _scaling(
    answerers: Mapping[str, Answerer], validation: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> dict[str, Any]:
    """What metrics.json says of the temperatures: each, and the mean's calibration error without and with them."""
    return {
        "fitted_on": validation,
        "runs": {
            run_key(fold, name): {"temperature": one.value, "n": one.n, "found": one.found}
            for name, answerer in answerers.items()
            for fold, one in answerer.temperatures.items()
        },
        "ece": {
            level: {when: of[level]["calibration"]["ece"] for when, of in (("before", before), ("after", after))}
            for level in LEVELS
        },
    }


def _ensembles(how: How, logits: Mapping[str, Floats]) -> dict[str, Floats]:
    """Probabilities of the test blocks under each named ensemble."""
    for name, listed in how.ensembles.items():
        if unknown := [one for one in listed if one not in logits]:
            raise MetricsError(
                f"evaluate.ensembles.{name}: {unknown[0]!r} was not run: name some of {', '.join(sorted(logits))}"
            )
    return {name: join([logits[one] for one in listed], how.members_mean) for name, listed in how.ensembles.items()}


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


def _test_blocks(sides: Mapping[int, Fold], corpora: Sequence[str], *, sample_rate: int) -> AnsweredBlocks:
    tested = (fold.rows.take(fold.on("test")) for fold in sides.values())
    rows = next(tested) if len(sides) == 1 else Table.of(SplitRow, itertools.chain.from_iterable(tested))
    starts, ends = _times(rows, corpora)
    return AnsweredBlocks(
        classes=next(iter(sides.values())).classes,
        labels=np.concatenate([fold.labels[fold.on("test")] for fold in sides.values()]),
        names=rows.texts("block_id"),
        clips=rows.texts("clip_id"),
        groups=rows.texts("group"),
        starts=starts / sample_rate,
        ends=ends / sample_rate,
    )


def _times(rows: Table[SplitRow], corpora: Sequence[str]) -> tuple[Integers, Integers]:
    """Where the blocks of some rows start and end in their clips, samples (n,) each."""
    blocks = read_table([blocks_csv(corpus) for corpus in corpora], Block)
    index, names = Index(blocks.texts("block_id")), rows.texts("block_id")
    found = (index.find(name) for name in names)
    places = np.fromiter((-1 if place is None else place for place in found), dtype=np.int64, count=len(names))
    if (places < 0).any():
        unknown = min(names.take(places < 0))
        raise MetricsError(f"{BLOCKS}: no block {unknown}: it was made from other sources: run `dvc repro`")
    starts = blocks.numbers("start")[places]
    return starts, starts + blocks.numbers("n_samples")[places]


def _baselines(sides: Mapping[int, Fold]) -> dict[str, Floats]:
    """Probabilities of every test block under each baseline."""
    outputs = {
        fold: read_outputs_of(side, baselines_h5(fold), *BASELINES, optional=OPTIONAL_BASELINES, only=("test",))
        for fold, side in sides.items()
    }
    names = [
        name for name in (*BASELINES, *OPTIONAL_BASELINES) if all(name in output.values for output in outputs.values())
    ]
    return {name: np.concatenate([output.values[name] for output in outputs.values()]) for name in names}


def _about_head(head: Answerer) -> dict[str, Any]:
    """What metrics.json says of a head beside its scores."""
    own = {key: head.about[0][key] for key in ("member", "on", "kind", "fitted_on")}
    return {**own, "selected_on_test": _is_chosen(head)}


def _is_chosen(answerer: Answerer) -> bool:
    """Whether its weights were chosen, or a head fitted, on the test side of a fold."""
    return any(card["selected_on_test"] for card in answerer.about)


def _split_summary(split: Mapping[str, Any], folds: Sequence[int]) -> dict[str, Any]:
    """What of split.json belongs beside every number, of the folds that were run."""
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


def _write_tables(scorer: Scorer, probabilities: Floats, levels: Mapping[str, Any]) -> None:
    """Write what the plots and the page show of the members' mean."""
    blocks, rule = scorer.blocks, scorer.rule
    for level, rows in confusions(blocks, probabilities, by=scorer.by, rule=rule).items():
        write_rows(PLOTS / f"confusion_{level}.csv", Answer, rows)
    write_rows(ANSWERS, ClipAnswer, clip_answers(blocks, probabilities, rule=rule))
    write_rows(PLOTS / "over_clip.csv", OverClip, scorer.over_clip(probabilities))
    write_rows(PLOTS / "reliability.csv", Reliability, scorer.reliability(probabilities))
    write_rows(PLOTS / "recall.csv", Recall, recalls(levels))


def _write_curves(folds: Sequence[int], members: Sequence[str]) -> None:
    curves = [
        Curve(run=run_key(fold, member), side=point.side, iteration=point.iteration, loss=point.loss, uar=point.uar)
        for fold in folds
        for member in members
        for point in read_rows(curves_csv(run_key(fold, member)), CurvePoint)
    ]
    write_rows(PLOTS / "learning_curves.csv", Curve, curves)
