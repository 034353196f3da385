"""What a run scored, on its test side and on its validation side; and ranking by one of these."""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Self

from pipeline.errors import SearchError
from pipeline.findings import LEVELS
from pipeline.params import Params
from pipeline.store.paths import METRICS, PLOTS, run_key

CURVES = PLOTS / "learning_curves.csv"
MEASURES = ("uar", "accuracy", "macro_f1")
VALIDATION = ("validation.uar", "validation.loss")
ON_TEST = tuple(f"{level}.{measure}" for level in LEVELS for measure in MEASURES)
LESS_IS_BETTER = {"validation.loss"}


@dataclass(frozen=True)
class Scores:
    """The scores of one run.

    Attributes
    ----------
    values
        `validation.uar` and `validation.loss` (nats) of the weights that are kept, means over folds and members, of
        blocks; `clip.uar` and so on of the test sides. None: there is none.
    interval
        Of `clip.uar`, 95 %.
    """

    values: Mapping[str, float | None]
    interval: tuple[float | None, float | None]

    def as_json(self) -> dict[str, Any]:
        """Give what a record keeps."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what a record keeps."""
        return cls(dict(value["values"]), (value["interval"][0], value["interval"][1]))


def read_scores(read: Callable[[Path], bytes | None], params: Params, *, name: str) -> Scores:
    """Read the scores of an experiment.

    Parameters
    ----------
    read
        Gives a file of it.

    Raises
    ------
    SearchError
        If it lacks its metrics or they cannot be read.
    """
    metrics, curves = read(METRICS), read(CURVES)
    try:
        found = json.loads(metrics or b"")
        values = {f"{level}.{measure}": found[level][measure] for level in LEVELS for measure in MEASURES}
        interval = found["clip"]["interval"]["uar"]
        values |= validation_scores((curves or b"").decode(), params)
        return Scores(values, (interval["low"], interval["high"]))
    except (ValueError, KeyError, TypeError):
        raise SearchError(
            f"its {METRICS} or {CURVES} is missing or cannot be read: dvc exp remove {name}, and search with --retry"
        ) from None


def validation_scores(curves: str, params: Params) -> dict[str, float | None]:
    """UAR and loss on the validation side of the weights that each run kept, as means over folds and members.

    Those are the best of the curve with train.keep best, else the last. None where a run has no validation side of its
    own: none at all, or the test side.
    """
    points: dict[str, list[tuple[float, float]]] = {}
    for row in csv.DictReader(curves.splitlines()):
        if row["side"] == "validation":
            points.setdefault(row["run"], []).append((float(row["uar"]), float(row["loss"])))
    kept = []
    for member in params.runs.members:
        keeps_best = params.of_member(member)[1].keep == "best"
        for fold in params.runs.folds:
            of_run = points.get(run_key(fold, member))
            if not of_run or params.split.validation != "fraction":
                return dict.fromkeys(VALIDATION)
            kept.append(max(of_run, key=lambda point: (point[0], -point[1])) if keeps_best else of_run[-1])
    return {
        "validation.uar": round(fmean(uar for uar, _ in kept), 6),
        "validation.loss": round(fmean(loss for _, loss in kept), 6),
    }


def choose_score(by: str | None, *, select_on_test: bool, params: Sequence[Params]) -> str:
    """Say what the runs are ranked by; the test side chooses only where that was asked for.

    Raises
    ------
    SearchError
        If the score is unknown, or belongs to the test side and that was not asked for, or no validation side is there.
    """
    chosen = by or ("clip.uar" if select_on_test else "validation.uar")
    if chosen not in VALIDATION + ON_TEST:
        raise SearchError(f"--by {chosen}: is no score: give one of {', '.join(VALIDATION + ON_TEST)}")
    if chosen in ON_TEST:
        if not select_on_test:
            raise SearchError(
                f"--by {chosen}: is a score of the test side, and the best of several on it is optimistic: rank by "
                "validation.uar, or say --select-on-test"
            )
        return chosen
    if select_on_test:
        raise SearchError(f"--by {chosen}: belongs to the validation side: leave --select-on-test out")
    if without := sum(one.split.validation != "fraction" for one in params):
        raise SearchError(
            f"{without} of {len(params)} runs have no validation side to be ranked by: add "
            "-S split.validation=fraction, or rank by the test side, which is optimistic, with --select-on-test"
        )
    return chosen


def rank(scores: Mapping[str, Scores], by: str) -> list[str]:
    """Names from the best to the worst; of equals the lower validation loss, then the first; last those without one."""
    sign = 1 if by in LESS_IS_BETTER else -1

    def place(name: str) -> tuple[bool, float, float, str]:
        value, loss = scores[name].values.get(by), scores[name].values.get("validation.loss")
        return value is None, sign * (value or 0.0), loss or 0.0, name

    return sorted(scores, key=place)
