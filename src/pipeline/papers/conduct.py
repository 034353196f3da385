"""A paper from what is asked to its record: what is missing is run through DVC's queue, what is there is read."""

import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.console import say
from pipeline.errors import PaperError, ParamsError
from pipeline.experiments.alone import only_one
from pipeline.experiments.follow import Outcome, Queue, run_missing
from pipeline.experiments.queue import DvcQueue, find_experiments
from pipeline.experiments.trials import PARAMS, Trial, are_those_of, describe, read_base
from pipeline.gate.revision import Version, find_revision
from pipeline.papers.conditions import Conditions
from pipeline.papers.jobs import Jobs, make_jobs
from pipeline.papers.paper import Paper, lay_over, load_paper
from pipeline.papers.record import Record, Runs, load_record, record_json
from pipeline.papers.scores import Scores, read_scores
from pipeline.params import parse_params
from pipeline.params.plain import load_plain
from pipeline.words import amount

# Of params.yaml as it stands, what says where things are and runs, and nothing of a result.
KEPT = (("data", "root"), ("data", "missing"), ("train", "device"), ("train", "threads"), ("machine", None))


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked of a paper.

    Attributes
    ----------
    rows
        None: all.
    honest
        Whether rows on a leaky split are run under an honest one, too.
    retry
        Run again what has failed.
    """

    name: str
    rows: Sequence[str] | None
    seeds: int
    conditions: Conditions
    honest: bool = True
    jobs: int = 1
    retry: bool = False


def prepare(asked: Asked) -> tuple[Paper, Jobs]:
    """Check what is asked and every run of it.

    Raises
    ------
    PaperError
        If the paper or a row is unknown or not valid under these conditions.
    """
    present = read_base()
    committed = _committed(present)
    paper = load_paper(asked.name, committed)
    if asked.rows is not None and not asked.rows:
        raise PaperError(f"--rows: names none; {asked.name} has {', '.join(paper.rows)}")
    if unknown := [row for row in asked.rows or () if row not in paper.rows]:
        raise PaperError(f"--rows: {asked.name} has no row {unknown[0]!r}; it has {', '.join(paper.rows)}")
    rows = list(paper.rows) if asked.rows is None else [row for row in paper.rows if row in asked.rows]
    used = {name for row in rows for name in _corpora(paper, row, committed)}
    named = [*asked.conditions.corpus_as, *asked.conditions.without]
    if unknown := [name for name in named if name not in used]:
        raise PaperError(f"{unknown[0]}: no corpus of these rows; they use {', '.join(sorted(used))}")
    jobs = make_jobs(
        asked.name,
        paper,
        committed=committed,
        present=present,
        rows=rows,
        seeds=asked.seeds,
        conditions=asked.conditions,
        with_honest=asked.honest,
    )
    return paper, jobs


def run_paper(asked: Asked, *, queue: Queue | None = None) -> tuple[Paper, Record, list[str]]:
    """Run what of some rows is missing, and write metrics/papers/NAME.json; return it, and which rows were asked for.

    Raises
    ------
    PaperError
        As `prepare`; or if another command is at work on the same paper.
    """
    paper, jobs = prepare(asked)
    with only_one("papers", asked.name):
        record = load_record(asked.name)
        for row, reason in jobs.reasons.items():
            entry = record.entry(row, tuple(jobs.chosen[row]))
            if not entry.paper.scores:  # else it has been run, and what came out stays
                entry.begin(paper.stated(row), jobs.code)
                entry.reason = reason
            say(f"papers {asked.name}: {row}: not run: {reason}")
        record.save()
        _run(asked, paper, jobs, record, queue or DvcQueue())
    rows = [row for row in paper.rows if asked.rows is None or row in asked.rows]
    return paper, record, rows


def _run(asked: Asked, paper: Paper, jobs: Jobs, record: Record, queue: Queue) -> None:
    label = f"papers {asked.name}"
    of_trial: dict[str, list[tuple[Runs, int]]] = {}  # with the seed of the row whose runs they are
    for job in jobs.jobs:
        if job.row in jobs.reasons:
            continue
        entry = record.entry(job.row, tuple(jobs.chosen[job.row]))
        entry.reason = ""
        entry.begin(paper.stated(job.row), jobs.code)
        of_trial.setdefault(job.trial.name, []).append((entry.honest if job.honest else entry.paper, job.seed))
        record.drop_reasons(job.row)
    metrics = list(dict.fromkeys(report.metric for row in paper.rows.values() for report in row.reports))
    n_done, trials = 0, [trial for trial in jobs.trials if trial.name in of_trial]

    def tell(trial: Trial, outcome: Outcome[Scores]) -> None:
        nonlocal n_done
        n_done += 1
        for runs, seed in of_trial[trial.name]:
            runs.scores.pop(seed, None)
            runs.reasons.pop(seed, None)
            if outcome.scores is None:
                runs.reasons[seed] = outcome.reason
            else:
                runs.scores[seed] = outcome.scores
        record.save()
        said = f"not run: {outcome.reason}" if outcome.scores is None else _brief(outcome.scores)
        say(f"{label}: {n_done} of {len(trials)}: {trial.name}: {said}")

    def read(waiting: Iterable[Trial]) -> Mapping[str, Outcome[Scores]]:
        return _read(waiting, metrics)

    waiting = [trial for trial in trials if asked.retry or not _has_failed(of_trial[trial.name])]
    if left_out := len(trials) - len(waiting):
        say(f"{label}: {amount(left_out, 'run')} failed before and {'is' if left_out == 1 else 'are'} left: --retry")
        trials = waiting
    say(f"{label}: {amount(len(trials), 'run')}; recorded in {record_json(asked.name)}")
    run_missing(waiting, queue=queue, read=read, tell=tell, jobs=asked.jobs, label=label)


def _has_failed(of: Sequence[tuple[Runs, int]]) -> bool:
    return any(seed in runs.reasons for runs, seed in of)


def _brief(scores: Scores) -> str:
    shown = (f"{metric.replace('.', ' ')} {scores.values[metric].value:.3f}" for metric in ("block.uar", "clip.uar"))
    return ", ".join(shown)


def _read(trials: Iterable[Trial], metrics: Sequence[str]) -> dict[str, Outcome[Scores]]:
    """How those trials ended whose experiments are there."""
    there, found = find_experiments(), {}
    for trial in trials:
        versions = [find_revision(commit) for commit in there.get(trial.name, [])]
        own = [version for version in versions if are_those_of(trial, version.read(PARAMS) or b"")]
        if own:
            found[trial.name] = _outcome(own[0], trial, metrics)
    return found


def _outcome(version: Version, trial: Trial, metrics: Sequence[str]) -> Outcome[Scores]:
    try:
        return Outcome(scores=read_scores(version.read, metrics, name=trial.name))
    except PaperError as error:
        return Outcome(reason=str(error))


def as_list(asked: Asked) -> str:
    """List the runs, all checked, with what each changes of params.yaml; queue nothing."""
    _, jobs = prepare(asked)
    lines = [f"{row}: not run: {reason}" for row, reason in jobs.reasons.items()]
    own = {trial.name: trial for trial in jobs.trials}
    lines += [f"{name}: {describe(trial.values)}" for name, trial in own.items()]
    return "\n".join([f"papers {asked.name}: {amount(len(own), 'run')}", *lines])


def _corpora(paper: Paper, row: str, base: Mapping[str, Any]) -> list[str]:
    return list(lay_over(base, *paper.changes(row))["corpora"])


def _committed(present: Mapping[str, Any]) -> dict[str, Any]:
    """Read params.yaml as committed, but for what says where things are: a paper is not what is being tried out."""
    try:
        done = subprocess.run(["git", "show", f"HEAD:./{PARAMS}"], capture_output=True, check=False)
    except FileNotFoundError:
        raise PaperError("git is not installed, without which no experiment can run: install it") from None
    if done.returncode:
        raise PaperError(f"{PARAMS} is not committed here: run in a clone of the project")
    try:
        values: dict[str, Any] = load_plain(done.stdout.decode())
    except ValueError as error:
        raise ParamsError(f"{PARAMS} as committed cannot be read ({error}): commit one that can") from None
    try:
        for section, key in KEPT:
            if key is None:
                values[section] = present[section]
            else:
                values[section][key] = present[section][key]
        parse_params(values)
    except ParamsError as error:
        raise ParamsError(f"{str(error).replace(':', ' as committed:', 1)}: commit a valid one") from None
    except (KeyError, TypeError):
        raise ParamsError(f"{PARAMS} as committed lacks a section: commit a whole one") from None
    return values
