"""A search from what is asked to its record, with a made queue and experiments as git keeps them."""

import json
import shutil
import subprocess

import pytest
from ruamel.yaml import YAML
from search.made_project import ROOT
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.errors import ExperimentError, SearchError
from pipeline.experiments.trials import change
from pipeline.params import load_params
from pipeline.search.conduct import search
from pipeline.search.plan import Asked, planned
from pipeline.search.record import load_record
from pipeline.search.scores import read_scores
from pipeline.store.paths import METRICS, PLOTS

SIDE = "split.validation=fraction"


def git(*arguments, text=None):
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True, input=text)
    return done.stdout.strip()


class GitQueue:
    """Runs an experiment at once, when it is queued, and keeps it as DVC does; more dropout is worse."""

    def __init__(self, fails=()):
        self.fails, self.failed, self.added = set(fails), {}, []

    def add(self, name, settings):
        self.added.append(name)
        self.failed.pop(name, None)
        yaml = YAML(typ="safe", pure=True)
        given = {key: yaml.load(value) for key, value in (one.split("=", 1) for one in settings)}
        values = change(yaml.load(git("show", "HEAD:params.yaml")), given)
        if name in self.fails:
            self.failed[name] = f"error: {name} broke"
            return
        uar = round(0.5 - values["model"]["dropout"] / 2 + values["train"]["epochs"] / 1000, 4)
        level = {"uar": 1 - uar, "accuracy": 0.5, "macro_f1": 0.5, "interval": {"uar": {"low": 0.0, "high": 1.0}}}
        curve = "run,side,iteration,loss,uar\n" + "".join(
            f"{fold}-a,validation,3,0.5,{uar}\n" for fold in values["runs"]["folds"]
        )
        files = {
            "params.yaml": json.dumps(values),
            str(METRICS): json.dumps({"clip": level, "block": level}),
            str(PLOTS / "learning_curves.csv"): curve,
        }
        lines = [f"100644 {git('hash-object', '-w', '--stdin', text=text)}\t{path}" for path, text in files.items()]
        git("read-tree", "--empty")
        git("update-index", "--index-info", text="\n".join(lines) + "\n")
        tree, head = git("write-tree"), git("rev-parse", "HEAD")
        git("read-tree", "HEAD")
        git("update-ref", f"refs/exps/{head[:2]}/{head[2:]}/{name}", git("commit-tree", tree, "-p", head, "-m", name))

    def start(self, jobs):
        pass

    def states(self):
        return dict.fromkeys(self.failed, "Failed")

    def is_at_work(self):
        return True

    def reason(self, name):
        return self.failed[name]

    def kill(self, names):
        raise AssertionError(f"{names} were not running")

    def remove(self, names):
        for name in names:
            del self.failed[name]


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pipeline.experiments.follow.PAUSE", 0.0)
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "made")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "made@example.org")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    (tmp_path / "dvc.yaml").write_text("stages: {}\n", encoding="utf-8")
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "made")
    return tmp_path


def ranked(record):
    states = {name: entry.as_json()["state"] for name, entry in record.first.items()}
    return states, {name: entry.as_json()["state"] for name, entry in record.long.items()}


def test_a_grid_is_run_recorded_and_not_run_again(project, capsys):
    queue = GitQueue(fails=["s-002"])
    asked = Asked(settings=[SIDE, "model.dropout=0.5,0.25,0.0"], name="s")
    states, _ = ranked(search(asked, queue=queue))
    assert states == {"s-001": "done", "s-002": "failed", "s-003": "done"}
    assert queue.added == ["s-001", "s-002", "s-003"]
    said = capsys.readouterr().err
    assert "search: 1 of 3: s-001 (model.dropout=0.5): validation.uar 0.26\n" in said
    assert "s-002 (model.dropout=0.25): failed: error: s-002 broke\n" in said
    search(asked, queue=queue)
    assert len(queue.added) == 3
    queue.fails.clear()
    states, _ = ranked(search(Asked(settings=asked.settings, name="s", retry=True), queue=queue))
    assert states["s-002"] == "done"
    assert queue.added[3:] == ["s-002"]


def test_the_best_go_on_under_their_numbers(project):
    queue = GitQueue()
    asked = Asked(settings=[SIDE, "model.dropout=0.5,0.0,0.125"], name="s", then=2, then_settings=["train.epochs=400"])
    record = search(asked, queue=queue)
    assert ranked(record)[1] == {"s-long-002": "done", "s-long-003": "done"}
    assert record.long["s-long-002"].values == {
        "split.validation": "fraction",
        "model.dropout": 0.0,
        "train.epochs": 400,
    }
    assert record.long["s-long-002"].outcome.scores.values["validation.uar"] == 0.9
    search(asked, queue=queue)
    assert len(queue.added) == 5
    with pytest.raises(SearchError, match=r"went on with train\.epochs=400: choose another --name"):
        search(Asked(settings=asked.settings, name="s", then=2, then_settings=["train.epochs=300"]), queue=queue)


def test_the_best_on_validation_and_not_on_test_goes_on(project):
    """The made test scores are the reverse of the validation scores."""
    given = {"settings": [SIDE, "model.dropout=0.5,0.0"], "then": 1, "then_settings": ["train.epochs=20"]}
    assert list(search(Asked(name="s", **given), queue=GitQueue()).long) == ["s-long-002"]
    assert list(search(Asked(name="t", select_on_test=True, **given), queue=GitQueue()).long) == ["t-long-001"]


def test_more_draws_add_to_the_first(project):
    queue = GitQueue()
    asked = {"settings": [SIDE, "model.dropout=uniform(0,0.9)"], "seed": 4}
    first = search(Asked(runs=3, **asked), queue=queue)
    more = search(Asked(runs=5, **asked), queue=queue)
    assert more.name == first.name
    assert len(queue.added) == len(set(queue.added)) == 5
    assert {name: more.first[name] for name in first.first} == first.first
    assert len(search(Asked(runs=2, **asked), queue=queue).first) == 5
    assert search(Asked(runs=2, **{**asked, "seed": 5}), queue=queue).name != first.name


def test_other_parameters_or_sources_are_another_search(project):
    queue = GitQueue()
    asked = {"settings": [SIDE, "model.dropout=0.5,0.0"]}
    first, named = search(Asked(**asked), queue=queue), search(Asked(name="s", **asked), queue=queue)
    (project / "dvc.yaml").write_text("stages: {} # changed\n", encoding="utf-8")
    assert search(Asked(**asked), queue=queue).name != first.name
    with pytest.raises(SearchError, match="search s was made with other sources or params"):
        search(Asked(name="s", **asked), queue=queue)
    assert load_record("s") == named
    with pytest.raises(SearchError, match="search s was made with other settings and"):
        search(Asked(name="s", settings=[SIDE, "model.dropout=0.5,0.1"]), queue=queue)


def test_what_changes_no_score_changes_no_search(project):
    asked = Asked(settings=[SIDE, "model.dropout=0.5,0.0"])
    first = search(asked, queue=GitQueue())
    path = project / "params.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("workers: 0", "workers: 3"), encoding="utf-8")
    queue = GitQueue()
    assert search(asked, queue=queue) == first
    assert queue.added == []


def test_experiments_are_found_where_the_record_is_lost(project):
    queue = GitQueue()
    asked = Asked(settings=[SIDE, "model.dropout=0.5,0.0"], name="s")
    record = search(asked, queue=queue)
    (project / "metrics/search/s.json").unlink()
    assert search(asked, queue=queue) == record
    assert len(queue.added) == 2
    (project / "metrics/search/s.json").unlink()
    with pytest.raises(SearchError, match="an experiment s-001 is there with other parameters: remove it"):
        search(Asked(settings=[SIDE, "model.dropout=0.0,0.5"], name="s"), queue=queue)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"settings": []}, "nothing to search over"),
        ({"settings": ["train.epochs=3", "+train.epochs=4"]}, "is given twice|already"),
        ({"settings": ["train.epoch=3,4"]}, "did you mean train.epochs?"),
        ({"settings": [SIDE, "train.epochs=3,0"]}, "nothing was queued: 1 of 2 runs"),
        ({"settings": ["train.epochs=3,4"]}, "2 of 2 runs have no validation side"),
        ({"settings": [SIDE, "train.epochs=integers(1,201)"]}, "the grid has 201 runs: .* --most 201"),
        ({"settings": [SIDE, "train.epochs=3,4"], "then": 1}, "--then 1: say what those are run with"),
        ({"settings": [SIDE], "then_settings": ["train.epochs=5"]}, "--then-set: say how many"),
        ({"settings": [SIDE], "then": 1, "then_settings": ["train.epochs=5,6"]}, "give one value"),
        ({"settings": [SIDE], "then": 1, "then_settings": ["train.epochs=0"]}, "nothing was queued"),
        ({"settings": [SIDE], "then": 1, "then_settings": ["train.epoch=5"]}, "did you mean train.epochs?"),
        ({"settings": [SIDE, "machine.workers=1,2"]}, "-S machine.workers: changes no score"),
        ({"settings": [SIDE, "train.epochs=3,4"], "name": "No"}, "a search's name is made of"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_anything_is_queued(project, keys, said):
    queue = GitQueue()
    with pytest.raises(ExperimentError, match=said):
        search(Asked(**keys), queue=queue)
    assert queue.added == []
    assert not (project / "metrics").exists()
    assert git("status", "--porcelain") == ""


def test_a_key_that_every_member_sets_itself_is_not_searched(project):
    path = project / "params.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("    train: {}\n", "    train: {epochs: 3}\n"), encoding="utf-8")
    with pytest.raises(
        SearchError, match=r"-S train\.epochs: every member has its own.*over members\.a\.train\.epochs"
    ):
        planned(Asked(settings=[SIDE, "train.epochs=3,4"]))
    assert planned(Asked(settings=[SIDE, "members.a.train.epochs=3,4"])).count("members.a.train.epochs=") == 2
    assert "2 runs" in planned(Asked(settings=[SIDE, "train.epochs=3", "model.dropout=0.0,0.5"]))


def test_the_plan_lists_runs_and_queues_nothing(project):
    listed = planned(Asked(settings=[SIDE, "model.dropout=0.5,0.0"], name="s"))
    assert listed.splitlines() == [
        "search s: 2 runs, none queued; in all: split.validation=fraction",
        "s-001  model.dropout=0.5",
        "s-002  model.dropout=0.0",
    ]
    assert git("status", "--porcelain") == ""


def test_the_commands_print_and_write_the_tables(project):
    search(Asked(settings=[SIDE, "model.dropout=0.5,0.0"], name="s"), queue=GitQueue())
    runner = CliRunner()
    done = runner.invoke(app, ["search", "table", "--markdown", "t.md", "--csv", "t.csv"])
    assert done.exit_code == 0
    assert done.stdout.startswith("Search s: 2 runs tried; ranked by validation.uar\n")
    assert (project / "t.md").read_text(encoding="utf-8").count("\n| ") == 3
    assert (project / "t.csv").read_text(encoding="utf-8").count("\n") == 3
    assert runner.invoke(app, ["search", "table", "--csv", "t.txt"]).exit_code == 2
    assert runner.invoke(app, ["search", "table", "--csv", "gone/t.csv"]).exit_code == 2  # not after hours of runs
    (project / "u.csv").mkdir()
    failed = runner.invoke(app, ["search", "table", "--csv", "u.csv"]).exception
    assert str(failed) == "u.csv: cannot be written (Is a directory): `emospec search table s` takes another"
    listed = runner.invoke(
        app, ["search", "random", "--dry", "-S", SIDE, "-S", "train.epochs=integers(1,9)", "--runs", "4"]
    )
    assert "4 runs, none queued" in listed.stdout


def test_the_scores_of_a_real_run_are_read():
    """The committed results: the layout that the pipeline writes."""
    found = read_scores(lambda path: (ROOT / path).read_bytes(), load_params(ROOT / "params.yaml"), name="committed")
    metrics = json.loads((ROOT / METRICS).read_text(encoding="utf-8"))
    assert found.values["clip.uar"] == metrics["clip"]["uar"]
    assert found.interval == tuple(metrics["clip"]["interval"]["uar"][end] for end in ("low", "high"))
    assert found.values["validation.uar"] is None  # the committed run has no validation side
