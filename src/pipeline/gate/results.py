"""What the gate needs of one result: metrics.json, split.json and the answers, checked before any number is used."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from pipeline.errors import StoreError
from pipeline.findings import LEVELS
from pipeline.gate.answer_tables import find_contradiction, parse_answers
from pipeline.gate.revision import Version
from pipeline.params.contradictions import one_line_each
from pipeline.store.paths import METRICS, PLOTS, SPLIT_METRICS
from pipeline.store.tables import Answer

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


def _with_total(counts: dict[str, int]) -> dict[str, int]:
    if "total" not in counts:
        raise ValueError("must have a total")
    return counts


Counts = Annotated[dict[str, Count], AfterValidator(_with_total)]  # total, and of each class


class Part(BaseModel):
    """A part of a JSON file; what the gate does not need of it is passed over."""

    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)


class Level(Part):
    """Scores of the blocks or of the clips."""

    accuracy: Share
    uar: Share
    macro_f1: Share
    n: Counts
    unit: str


class How(Part):
    """How the sides were made."""

    by: str
    method: str
    n_folds: Count
    folds: list[int]
    leakage: dict[str, Share]
    untrained: list[str] = []  # classes that no training side has; not stated where there are none


class Seeds(Part):
    """Of the split; the members' may differ."""

    split: Count


class Metrics(Part):
    """metrics.json."""

    corpora: list[str]
    split: How
    seed: Seeds
    selected_on_test: bool
    clip: Level
    block: Level


class Corpus(Part):
    """The sound of one corpus, by its size."""

    clips: dict[str, Count]
    blocks: dict[str, Count]
    seconds: Annotated[float, Field(ge=0)]
    rejected: Count
    missing: Count | None = None  # files of a published list that are not there; None: not counted yet then
    unused_clips: dict[str, Count] | None = None  # left out of the split, by label; None as above


class Split(Part):
    """split.json."""

    corpora: dict[str, Corpus]
    clips: Count | None = None  # that take part in the split


@dataclass(frozen=True)
class Result:
    """One state of the project's results."""

    name: str
    metrics: Metrics
    split: Split
    answers: dict[str, list[Answer]]  # of the levels that have a table
    without_answers: dict[str, str]  # level: why there is no table that tells clips apart


Kind = TypeVar("Kind", bound=Part)


def read_result(version: Version) -> Result:
    """Read what a version says of itself, and refuse what is broken or contradicts itself.

    Raises
    ------
    StoreError
        Naming the file and the version, what was found, and what to do.
    RevisionError
        If git cannot read a file that it lists.
    """
    metrics = _read_part(version, METRICS, Metrics)
    split = _read_part(version, SPLIT_METRICS, Split)
    answers, without = {}, {}
    for level in LEVELS:
        path = PLOTS / f"confusion_{level}.csv"
        content = version.read(path)
        if content is None:
            without[level] = f"{path} is missing at {version.name}"
        elif content.startswith(b"actual,predicted"):
            without[level] = f"{path} at {version.name} is of an earlier version, which did not name the clips"
        else:
            try:
                answers[level] = parse_answers(content)
            except ValueError as error:
                _refuse(path, version, str(error))
            stated: Level = getattr(metrics, level)
            if contradiction := _contradiction(answers[level], stated, metrics):
                _refuse(path, version, f"{contradiction}, and {METRICS} says otherwise")
    return Result(version.name, metrics, split, answers, without)


def _contradiction(rows: list[Answer], stated: Level, metrics: Metrics) -> str | None:
    return find_contradiction(rows, stated.model_dump(), untrained=metrics.split.untrained)


def _read_part(version: Version, path: Path, kind: type[Kind]) -> Kind:
    content = version.read(path)
    if content is None:
        raise StoreError(f"{path} is missing at {version.name}: {version.advice}")
    try:
        value = json.loads(content, parse_constant=_refuse_constant)
        if not isinstance(value, dict):
            _refuse(path, version, "holds no JSON mapping")
        return kind.model_validate(value)
    except ValidationError as error:
        _refuse(path, version, "; ".join(one_line_each(error)))
    except (ValueError, RecursionError) as error:
        _refuse(path, version, str(error))


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"holds {name}, which is no number")


def _refuse(path: Path, version: Version, found: str) -> NoReturn:
    brief = found if len(found) <= 300 else f"{found[:300]} ..."
    raise StoreError(f"{path} at {version.name} cannot be used ({brief}): {version.advice}") from None
