"""papers/NAME.yaml: a paper's rows, each as settings of params.yaml and the numbers that it reports."""

import copy
import difflib
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipeline.errors import PaperError, ParamsError
from pipeline.params import Params, parse_params
from pipeline.params.contradictions import one_line_each
from pipeline.params.plain import load_plain

FOLDER = Path("papers")
NAME = re.compile(r"[a-z0-9][a-z0-9_]*")
# Mappings whose keys are names of one's own: entries are added, and null takes one out.
OWN_NAMES = ("members", "heads", "split.use", "evaluate.ensembles")
LEVELS, MEASURES = ("block", "clip"), ("accuracy", "uar", "macro_f1")
METRIC = re.compile(
    rf"((members|heads|ensembles)\.[a-z0-9_]+\.)?({'|'.join(LEVELS)})\.({'|'.join(MEASURES)}|recall\.[a-z0-9_ ]+)"
)


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must be one line without control characters")
    return text


Text = Annotated[str, Field(min_length=1), AfterValidator(_one_line)]
Tree = Mapping[str, Any]


class Part(BaseModel):
    """A part of a paper's file; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Report(Part):
    """One number of a row.

    Attributes
    ----------
    metric
        Its path in metrics.json, e.g. block.accuracy, clip.uar, block.recall.anger, heads.lda.block.accuracy.
    value
        As reported, 0 to 1, or -1 to 1 of a difference; None where the paper prints no number.
    where
        In the paper.
    minus
        A row whose score is subtracted: the paper reports a difference.
    """

    metric: Annotated[str, Field(pattern=f"^{METRIC.pattern}$")]
    value: Annotated[float, Field(ge=-1, le=1)] | None = None
    where: Text
    minus: str | None = None


class Row(Part):
    """One line of a paper's results.

    Attributes
    ----------
    like
        A row whose settings come first.
    settings
        What it changes of the paper's settings, as params.yaml is built.
    reports
        Its numbers.
    honest
        What makes an honest split of a leaky one; the row is run a second time with it.
    notes
        Where the paper is silent or contradicts itself, and what was chosen.
    """

    title: Text
    like: str | None = None
    settings: Tree = {}
    reports: Annotated[list[Report], Field(min_length=1)]
    honest: Tree | None = None
    notes: list[Text] = []


class Paper(Part):
    """A paper.

    Attributes
    ----------
    stands_for
        Corpora that were never published, by the name of the folder in their place, and what that folder may hold: rows
        on them are not comparable with the paper.
    settings
        What all of its rows change of params.yaml.
    """

    title: Text
    citation: Text
    stands_for: Mapping[str, Text] = {}
    notes: list[Text] = []
    settings: Tree
    rows: Annotated[dict[str, Row], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_fit(self) -> "Paper":
        for name, row in self.rows.items():
            if not NAME.fullmatch(name):
                raise ValueError(f"rows.{name}: a row's name is made of a-z, 0-9 and _")
            for other in (row.like, *(report.minus for report in row.reports)):
                if other is not None and (other not in self.rows or other == name):
                    raise ValueError(f"rows.{name}: {other!r} is no other row of this paper")
            self._settings_above(name)
        return self

    def _settings_above(self, name: str) -> list[Tree]:
        """Settings of a row and of those that it is like, the last first."""
        seen: list[str] = []
        at: str | None = name
        while at is not None:
            if at in seen:
                raise ValueError(f"rows.{name}: like goes round in a circle ({' -> '.join([*seen, at])})")
            seen.append(at)
            at = self.rows[at].like
        return [self.rows[one].settings for one in seen]

    def changes(self, name: str, *, honest: bool = False) -> list[Tree]:
        """Trees that make the row of params.yaml, in the order in which they are laid over it."""
        own = [self.settings, *reversed(self._settings_above(name))]
        return [*own, self.rows[name].honest or {}] if honest else own

    def stated(self, name: str) -> str:
        """Give what stands for all that the file says of how a row is run: other settings, another text."""
        said = json.dumps([self.changes(name), self.rows[name].honest], sort_keys=True, default=str)
        return hashlib.sha256(said.encode()).hexdigest()[:16]


def known_papers(folder: Path = FOLDER) -> list[str]:
    """Names of all papers that have a file, sorted."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def load_paper(name: str, base: Tree, folder: Path = FOLDER) -> Paper:
    """Read a paper's file and check every row, laid over `base`, against the parameters' schema.

    Raises
    ------
    PaperError
        If there is no such file, or naming the row and the key of what is not valid.
    """
    path = folder / f"{name}.yaml"
    if not NAME.fullmatch(name) or not path.is_file():
        raise PaperError(f"{path}: no such paper; there are {', '.join(known_papers(folder)) or 'none'}")
    try:
        values = load_plain(path.read_text(encoding="utf-8"))
        if not isinstance(values, Mapping):
            raise PaperError(f"{path}: holds no paper: title, citation, settings and rows are needed")
        paper = Paper.model_validate(values)
    except ValidationError as error:
        of_all = [one["msg"].removeprefix("Value error, ") for one in error.errors() if not one["loc"]]
        raise PaperError(f"{path}: {'; '.join(of_all or one_line_each(error))}") from None
    except (OSError, ValueError) as error:
        raise PaperError(f"{path}: cannot be read: {' '.join(str(error).split())}") from None
    for row_name, row in paper.rows.items():
        for honest in (False, True) if row.honest else (False,):
            what = f"{path}: row {row_name}{', honest split' if honest else ''}"
            try:
                params = parse_params(lay_over(base, *paper.changes(row_name, honest=honest)))
            except ParamsError as error:
                raise PaperError(f"{what}: {str(error).removeprefix('params.yaml: ')}") from None
            _refuse_unknown_answers(row, params, what)
    return paper


def _refuse_unknown_answers(row: Row, params: Params, what: str) -> None:
    known = {"members": params.runs.members, "heads": params.runs.heads, "ensembles": tuple(params.evaluate.ensembles)}
    for report in row.reports:
        kind, _, rest = report.metric.partition(".")
        if kind in known and rest.partition(".")[0] not in known[kind]:
            raise PaperError(
                f"{what}: {report.metric}: the row runs no such {kind}: {', '.join(known[kind]) or 'none'}"
            )


def lay_over(base: Tree, *changes: Tree) -> dict[str, Any]:
    """Lay trees of settings over params.yaml, one after the other; the base stays as it is.

    Mappings are merged key by key, lists and values replaced. Entries of `members`, `heads`, `split.use` and
    `evaluate.ensembles`, which have names of their own, are added, and taken out by null.

    Raises
    ------
    ParamsError
        If another key is none of params.yaml.
    """
    merged = copy.deepcopy(dict(base))
    for change in changes:
        _merge(merged, change, "")
    return merged


def _merge(place: dict[str, Any], change: Tree, above: str) -> None:
    has_own_names = above in OWN_NAMES
    inside_own = any(above.startswith(f"{one}.") for one in OWN_NAMES)
    for key, value in change.items():
        path = f"{above}.{key}" if above else str(key)
        if not (key in place or has_own_names or inside_own):
            near = difflib.get_close_matches(str(key), [str(one) for one in place], n=1)
            raise ParamsError(f"{path}: no key of params.yaml{f': did you mean {near[0]}?' if near else ''}")
        if has_own_names and value is None:
            place.pop(key, None)
        elif isinstance(place.get(key), dict) and isinstance(value, Mapping):
            _merge(place[key], value, path)
        else:
            place[key] = copy.deepcopy(value)
