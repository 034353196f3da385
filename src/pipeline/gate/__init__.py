"""The gate: whether the result in this folder is worse than that of another revision."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import PipelineError, StoreError
from pipeline.findings import LEVELS, count_of
from pipeline.gate.differences import find_differences
from pipeline.gate.page import Page, explain, write_markdown
from pipeline.gate.results import Result, read_result
from pipeline.gate.revision import find_revision, working_folder
from pipeline.gate.verdict import REGRESSION, judge
from pipeline.params import Params, load_params

PASSED, REGRESSED, NOT_DECIDED = 0, 1, 2


@dataclass(frozen=True)
class Outcome:
    """What the gate says, and the command's exit status."""

    page: Page
    status: int  # 0 passed, 1 regression, 2 not comparable or not readable


def run_gate(against: str, *, params: Path = Path("params.yaml")) -> Outcome:
    """Compare the metrics in the working folder with those of a revision, under the tolerances of params.yaml.

    Whatever keeps the two from being compared is a status of its own, never a regression.
    """
    try:
        tolerances = load_params(params)
        old, new = read_result(find_revision(against)), _read_present()
    except PipelineError as error:
        return Outcome(Page("Gate: nothing could be compared", [], [" ".join(str(error).split())]), NOT_DECIDED)
    if reasons := find_differences(old, new):
        return Outcome(Page(f"Gate: not comparable with {old.name}", [], reasons), NOT_DECIDED)
    return _decide(old, new, tolerances)


def _read_present() -> Result:
    present = read_result(working_folder())
    if present.without_answers:
        raise StoreError(f"{'; '.join(present.without_answers.values())}: run `dvc repro`")
    return present


def _decide(old: Result, new: Result, params: Params) -> Outcome:
    evaluate = params.evaluate
    verdicts = judge(old, new, params.gate.model_dump(), n_resamples=evaluate.n_resamples, seed=evaluate.seed)
    regressed = [verdict for verdict in verdicts if verdict.verdict == REGRESSION]
    word = f"{count_of(len(regressed), 'regression')} against" if regressed else "no regression against"
    page = Page(f"Gate: {word} {old.name}", verdicts, [*_how_paired(old, new), *explain(verdicts)])
    return Outcome(page, REGRESSED if regressed else PASSED)


def _how_paired(old: Result, new: Result) -> list[str]:
    """Say what the intervals rest on, or why there are none."""
    notes = []
    for level in LEVELS:
        if level in old.without_answers:
            notes.append(f"{level}s are not paired, a fall alone decides: {old.without_answers[level]}")
            continue
        n_units = len({row.unit for row in new.answers[level]})
        unit = getattr(new.metrics, level).unit
        alone = ", too few for an interval: a fall alone decides" if n_units == 1 else ""
        notes.append(f"{level}s are paired over {count_of(n_units, 'unit')} ({unit}){alone}")
    return notes


__all__ = ["Outcome", "run_gate", "write_markdown"]
