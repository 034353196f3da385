"""A search from what is asked to its record: what is missing is run, what is there is read."""

from collections.abc import Iterable, Sequence

from pipeline.console import say
from pipeline.errors import SearchError
from pipeline.experiments.alone import only_one
from pipeline.experiments.follow import Outcome, Queue, run_missing
from pipeline.experiments.queue import DvcQueue, find_experiments
from pipeline.experiments.trials import PARAMS, Trial, are_those_of, describe, make_trials, varying
from pipeline.gate.revision import Version, find_revision
from pipeline.search.page import best_of
from pipeline.search.plan import Asked, Plan, make_plan
from pipeline.search.record import Entry, Record, load_record, record_json
from pipeline.search.scores import Scores, read_scores
from pipeline.words import amount


def search(asked: Asked, *, queue: Queue | None = None) -> Record:
    """Run what of a search is missing, write its record, and return it.

    Raises
    ------
    SearchError
        If it cannot be made as asked, before anything is queued.
    ParamsError
        If params.yaml is not valid as it stands.
    """
    plan = make_plan(asked)
    record, queue = plan.record, queue or DvcQueue()
    with only_one("search", record.name):
        _continue(record, asked)
        record.save()
        _announce(record, plan.trials)
        _run(plan.trials, record.first, record, queue, asked)
        if asked.then:
            _run_longer(plan, asked, queue)
    return record


def _run_longer(plan: Plan, asked: Asked, queue: Queue) -> None:
    """Run the best again, each under its own number, with other settings on top."""
    record = plan.record
    best = best_of(record.first, record.by, n=asked.then)
    if not best:
        say(f"search {record.name}: no run can be ranked, so none is run for longer")
        return
    values = {_long_name(name): {**record.first[name].values, **plan.longer} for name in sorted(best)}
    record.long_settings = list(asked.then_settings)
    record.long = {name: Entry(dict(one)) for name, one in values.items()} | record.long
    record.save()
    _run(make_trials(plan.base, values), record.long, record, queue, asked)


def _continue(record: Record, asked: Asked) -> None:
    """Take over what a record of the same search holds."""
    before = load_record(record.name)
    if before is None:
        return
    what = {"kind": "kind", "settings": "settings", "seed": "seed", "state": "sources or params.yaml"}
    if other := [word for key, word in what.items() if before.asked.get(key) != record.asked[key]]:
        raise SearchError(
            f"search {record.name} was made with other {' and '.join(other)}: choose another --name, or remove "
            f"{record_json(record.name)} and its experiments (dvc exp remove)"
        )
    if asked.then and before.long and before.long_settings != list(asked.then_settings):
        raise SearchError(
            f"search {record.name} went on with {' '.join(before.long_settings)}: choose another --name; what is the "
            "same comes from DVC's cache"
        )
    first = {name: before.first.get(name, entry) for name, entry in record.first.items()}
    record.first = {**before.first, **first}
    record.long_settings, record.long = before.long_settings, before.long


def _run(trials: Sequence[Trial], entries: dict[str, Entry], record: Record, queue: Queue, asked: Asked) -> None:
    def is_missing(entry: Entry) -> bool:
        return entry.outcome is None or (asked.retry and entry.outcome.scores is None)

    def tell(trial: Trial, outcome: Outcome[Scores]) -> None:
        entries[trial.name].outcome = outcome
        record.save()
        n_done = sum(entry.outcome is not None for entry in entries.values())
        score = outcome.scores.values.get(record.by) if outcome.scores else None
        result = f"failed: {outcome.reason}" if outcome.scores is None else f"{record.by} {score}"
        differs = describe({key: trial.values[key] for key in keys if key in trial.values})
        say(f"search: {n_done} of {len(entries)}: {trial.name}{differs and f' ({differs})'}: {result}")

    keys = varying([entry.values for entry in entries.values()])
    missing = [trial for trial in trials if is_missing(entries[trial.name])]
    for trial in missing:
        entries[trial.name].outcome = None
    run_missing(missing, queue=queue, read=_read, tell=tell, jobs=asked.jobs)


def _read(trials: Iterable[Trial]) -> dict[str, Outcome[Scores]]:
    """How those trials ended whose experiments are there; one of the name with other parameters is an error."""
    there, found = find_experiments(), {}
    for trial in trials:
        versions = [find_revision(commit) for commit in there.get(trial.name, [])]
        own = [version for version in versions if are_those_of(trial, version.read(PARAMS) or b"")]
        if versions and not own:
            raise SearchError(
                f"an experiment {trial.name} is there with other parameters: remove it (dvc exp remove {trial.name}), "
                "or choose another --name"
            )
        if own:
            found[trial.name] = _outcome(own[0], trial)
    return found


def _outcome(version: Version, trial: Trial) -> Outcome[Scores]:
    try:
        return Outcome(scores=read_scores(version.read, trial.params, name=trial.name))
    except SearchError as error:
        return Outcome(reason=str(error))


def _announce(record: Record, trials: Sequence[Trial]) -> None:
    n_missing = sum(entry.outcome is None for entry in record.first.values())
    runs, path = amount(len(record.first), "run"), record_json(record.name)
    say(f"search {record.name}: {runs}, {n_missing} to run; recorded in {path}")
    given = trials[0].settings[len(trials[0].values) :]
    if given:
        say(f"search: runs are made in copies of the project, so each is given {' '.join(given)}")


def _long_name(name: str) -> str:
    """Name of the longer run of a trial: the same number."""
    start, _, number = name.rpartition("-")
    return f"{start}-long-{number}"
