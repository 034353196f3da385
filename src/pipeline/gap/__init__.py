"""The optimism gap: what a split that lets sound leak adds to the score of the same model on the same test blocks."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import GapError
from pipeline.findings import LEVELS
from pipeline.gap.measure import Condition, measure
from pipeline.gap.page import as_markdown, as_text
from pipeline.gap.runs import Run, do_runs
from pipeline.params import Params
from pipeline.store.files import write_json

__all__ = ["GAP", "Gap", "as_markdown", "as_text", "measure_gap"]

GAP = Path("metrics/gap.json")


@dataclass(frozen=True)
class Gap:
    """The same model under several splits.

    Attributes
    ----------
    what
        Corpora, network and starting weights, in words.
    on
        The widest unit, whose split is the honest one; intervals resample it.
    seeds
        How often all was repeated, each time with another test side and another start.
    levels
        Per level (clip, block) the conditions, from the leakiest to the honest one.
    """

    what: str
    on: str
    seeds: int
    levels: dict[str, list[Condition]]


def measure_gap(params: Params, *, on: str, by: Sequence[str], seeds: int, settings: Sequence[str]) -> Gap:
    """Train and test under each split and seed, what was done before excepted, and compare.

    Every run is a DVC experiment of its own (method `matched`: the same test blocks and as many training blocks
    whatever the split is by), made beside the workspace, which stays as it is. metrics/gap.json is written.

    Parameters
    ----------
    on
        The field that is compared with: group, speaker, ...
    by
        The other splits: block, clip.
    settings
        Further `key=value` for every run.

    Raises
    ------
    GapError
        If the settings contradict the comparison, or a run fails.
    """
    _refuse(params, on=on, by=by, seeds=seeds, settings=settings)
    splits = [*dict.fromkeys(name for name in by if name != on), on]
    runs = [Run(by=name, on=on, seed=seed) for seed in range(seeds) for name in splits]
    results = do_runs(runs, params, settings=settings)
    levels = {level: [measure(results, level, name, honest=on, params=params) for name in splits] for level in LEVELS}
    first = results[runs[0]].metrics
    starts = {f"{start['network']} from {start['weights']} weights" for start in first["start"].values()}
    gap = Gap(f"{', '.join(first['corpora'])}; {', '.join(sorted(starts))}", on, seeds, levels)
    write_json(GAP, _as_json(gap))
    return gap


def _refuse(params: Params, *, on: str, by: Sequence[str], seeds: int, settings: Sequence[str]) -> None:
    if on in ("block", "clip", "corpus", "label"):
        raise GapError(f"--on {on}: name a field of clips.csv that is wider than a clip, such as group or speaker")
    if not by or set(by) <= {on}:
        raise GapError("--by: name at least one split to compare with, such as block,clip")
    if seeds < 1:
        raise GapError(f"--seeds {seeds}: at least 1")
    if any(use.role != "both" for use in params.split.use.values()):
        raise GapError("split.use: a corpus for training or testing only cannot be split by block: give it role both")
    own = ("split.by", "split.method", "split.matched_on", "split.seed", "runs.folds", "members.")
    if taken := [one for one in settings if one.lstrip("+~").startswith(own)]:
        raise GapError(f"--set {taken[0]}: the comparison sets this itself")


def _as_json(gap: Gap) -> dict[str, Any]:
    levels = {
        level: {one.by: {k: v for k, v in asdict(one).items() if k != "by"} for one in conditions}
        for level, conditions in gap.levels.items()
    }
    return {"what": gap.what, "on": gap.on, "seeds": gap.seeds, **levels}
