"""The numbers of one run that a paper's table needs, read from its experiment."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from pipeline.corpora import count_missing
from pipeline.errors import PaperError
from pipeline.papers.paper import LEVELS
from pipeline.store.paths import METRICS, SPLIT_METRICS
from pipeline.words import amount

ALWAYS = ("block.accuracy", "block.uar", "clip.accuracy", "clip.uar")


class Value(BaseModel):
    """A score with its 95 % interval; no bounds where too little was tested."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    value: float
    low: float | None
    high: float | None


class Extent(BaseModel):
    """How much a run tested on one level: items, and how many units of what, in all and by class."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    n: int
    n_units: int
    n_units_by_class: Mapping[str, int] = {}
    unit: str


@dataclass(frozen=True)
class Scores:
    """What a run scored.

    Attributes
    ----------
    values
        By metric, those that the run has.
    tested
        Per level.
    lacks
        What of the corpora was not there or could not be used, in words.
    """

    values: Mapping[str, Value]
    tested: Mapping[str, Extent]
    lacks: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Give what a record keeps."""
        values = {metric: value.model_dump() for metric, value in self.values.items()}
        tested = {level: about.model_dump() for level, about in self.tested.items()}
        return {"values": values, "tested": tested, "lacks": list(self.lacks)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what a record keeps."""
        values = TypeAdapter(dict[str, Value]).validate_python(value["values"])
        tested = {level: Extent.model_validate(value["tested"][level]) for level in LEVELS}
        return cls(values, tested, tuple(str(lack) for lack in value["lacks"]))


def read_scores(read: Callable[[Path], bytes | None], metrics: Iterable[str], *, name: str) -> Scores:
    """Read some metrics of an experiment.

    Parameters
    ----------
    read
        Gives a file of it.

    Raises
    ------
    PaperError
        If its files are missing or cannot be read.
    """
    try:
        found, split = (json.loads(read(path) or b"") for path in (METRICS, SPLIT_METRICS))
        values = {
            metric: value for metric in dict.fromkeys((*ALWAYS, *metrics)) if (value := find_value(found, metric))
        }
        tested = {
            level: Extent(
                n=found[level]["n"]["total"],
                n_units=found[level]["n_units"],
                n_units_by_class=found[level].get("n_units_by_class", {}),
                unit=found[level]["unit"],
            )
            for level in LEVELS
        }
        return Scores(values, tested, tuple(_lacking(split["corpora"])))
    except (ValueError, KeyError, TypeError, AttributeError, ValidationError):
        raise PaperError(
            f"its {METRICS} or {SPLIT_METRICS} is missing or cannot be read: dvc exp remove {name}, and run it again"
        ) from None


def find_value(metrics: Mapping[str, Any], metric: str) -> Value | None:
    """Find a score by its path; None if the run has none: a class that was not tested, a head that was not fitted."""
    level, recall, label = metric.partition(".recall.")
    above, names = (
        (level.split("."), ("recall", label)) if recall else (metric.split(".")[:-1], (level.split(".")[-1],))
    )
    value: Any = metrics
    for key in above:
        value = value.get(key)
        if value is None:
            return None
    interval = value["interval"]
    for key in names:
        value, interval = value.get(key), (interval or {}).get(key)
    if value is None:
        return None
    low, high = (None, None) if interval is None else (interval["low"], interval["high"])
    return Value(value=float(value), low=low, high=high)


def _lacking(corpora: Mapping[str, Any]) -> Iterable[str]:
    for corpus, about in corpora.items():
        if about.get("missing"):
            yield count_missing(corpus, about["missing"])
        if about.get("rejected"):
            yield f"{amount(about['rejected'], 'recording')} of {corpus} could not be used"
