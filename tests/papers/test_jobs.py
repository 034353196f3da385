"""Rows, seeds and twins -> experiments: shared where they are alike, and made by what DVC is told."""

import subprocess
from pathlib import Path

import pytest
from papers.mini import MAKERS, committed
from papers.test_paper import made
from ruamel.yaml import YAML

from pipeline.errors import PaperError
from pipeline.experiments.values import as_text
from pipeline.papers.conditions import Conditions
from pipeline.papers.jobs import RELEASED, difference, find_missing, make_jobs, with_seed
from pipeline.papers.paper import lay_over
from pipeline.params import parse_params
from pipeline.params.plain import load_plain


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("src", "stages"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "empty.py").touch()
    (tmp_path / "dvc.yaml").write_text("stages: {}\n", encoding="utf-8")
    who = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    for command in (("init", "-q"), ("add", "-A"), (*who, "commit", "-qm", "made")):
        subprocess.run(["git", *command], check=True)
    return tmp_path


def jobs_of(paper, **changes):
    plain = Conditions(corpus_as={}, without=(), epochs_scale=1.0, settings=())
    asked = {"rows": list(paper.rows), "seeds": 1, "conditions": plain, "with_honest": True, "present": committed()}
    return make_jobs("made", paper, committed=committed(), **(asked | changes))


def test_rows_with_the_same_parameters_share_an_experiment(project):
    paper = made(project, rows__two__settings={})
    jobs = jobs_of(paper)
    assert [(job.row, job.honest) for job in jobs.jobs] == [("one", False), ("two", False), ("two", True)]
    assert jobs.jobs[0].trial.name == jobs.jobs[1].trial.name != jobs.jobs[2].trial.name
    assert [trial.name.rpartition("-")[0] for trial in jobs.trials] == ["made-one-0", "made-two-honest-0"]


def test_a_name_depends_on_the_sources_and_on_nothing_that_is_tried_out(project):
    paper = made(project)
    names = [trial.name for trial in jobs_of(paper).trials]
    present = lay_over(committed(), {"train": {"epochs": 77}, "report": {"wrong_clips": 1}})
    assert [trial.name for trial in jobs_of(paper, present=present).trials] == names
    assert [trial.name for trial in jobs_of(paper, rows=["two"]).trials] == names[1:]
    (project / "src/empty.py").write_text("x = 1\n", encoding="utf-8")
    assert not set(names) & {trial.name for trial in jobs_of(paper).trials}


def test_every_experiment_is_told_what_makes_its_row_of_what_lies_there(project):
    from dvc.utils.hydra import apply_overrides

    present = lay_over(committed(), {"train": {"epochs": 77}, "image": {"colormap": "grey"}})
    for job in jobs_of(made(project), present=present, seeds=2).jobs:
        path = project / "params.yaml"
        with path.open("w", encoding="utf-8") as file:
            YAML().dump(present, file)
        apply_overrides(path, [f"{key}={as_text(value)}" for key, value in job.trial.values.items()])
        told = parse_params(YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8")))
        wanted = lay_over(committed(), *made(project).changes(job.row, honest=job.honest))
        assert told == parse_params(with_seed(wanted, job.seed)) == job.trial.params


def test_seeds_change_the_split_and_every_member():
    values = lay_over(
        committed(),
        {"members": {"b": {"seed": 1, "model": {}, "train": {}}}, "runs": {"members": ["a", "b"]}},
    )
    seeds = [
        (one["split"]["seed"], one["members"]["a"]["seed"], one["members"]["b"]["seed"])
        for one in (with_seed(values, seed) for seed in range(3))
    ]
    assert seeds == [(0, 0, 1), (1, 2, 3), (2, 4, 5)]


def test_an_entry_that_is_not_committed_is_refused():
    present = lay_over(committed(), {"members": {"mine": {"seed": 1, "model": {}, "train": {}}}})
    with pytest.raises(PaperError, match=r"params\.yaml has members\.mine, which is not committed: `make restore`"):
        difference(present, committed())


def test_corpora_that_are_not_here_are_a_reason_with_what_to_do(tmp_path):
    paper = made(tmp_path, stands_for={"crowd": "any crowd"})
    root = {"data": {"root": str(tmp_path)}}
    values = lay_over(committed(), root, {"corpora": ["crowd", "emodb", "savee"]})
    MAKERS["savee"](tmp_path / "savee")
    (tmp_path / "emodb").mkdir()  # and nothing in it
    assert find_missing(paper, values) == "not here: crowd: any crowd; emodb (emospec corpora get emodb)"
    assert find_missing(paper, lay_over(committed(), root, {"corpora": ["savee"]})) == ""
    assert find_missing(paper, lay_over(committed(), root, {"corpora": ["demo"]})) == ""
    assert find_missing(paper, lay_over(committed(), {"corpora": []})) == "no corpus of it is left"


def test_what_a_setting_changes_is_said_though_the_honest_split_has_it_already(project):
    paper = made(project)  # whose second row is by clip, and by speaker under its honest split
    plain = Conditions(corpus_as={}, without=(), epochs_scale=1.0, settings=("split.by=speaker",))
    assert jobs_of(paper, rows=["two"], conditions=plain).chosen == {"two": ["split.by=speaker"]}


def test_the_rows_are_written_for_params_yaml_as_it_is():
    released = load_plain(RELEASED.read_text(encoding="utf-8"))
    assert released == committed(), f"{RELEASED}: has to say what params.yaml says"


def test_what_is_committed_otherwise_than_released_is_said(project):
    paper = made(project)  # which says nothing of clipping
    other = {"train": {"clip_norm": 5.0, "device": "cpu", "epochs": 77}, "machine": {"workers": 3}}
    other["members"] = {"unused": {"seed": 1, "model": {}, "train": {}}}
    base = lay_over(committed(), other)
    jobs = make_jobs(
        "made",
        paper,
        committed=base,
        present=base,
        rows=["one", "two"],
        seeds=1,
        conditions=Conditions(corpus_as={}, without=(), epochs_scale=1.0, settings=()),
        with_honest=True,
    )
    words = ["params.yaml as committed: train.clip_norm=5.0"]
    assert jobs.chosen == {"one": words, "two": words}
    assert jobs_of(paper).chosen == {"one": [], "two": []}


@pytest.mark.parametrize(
    "setting",
    ["corpora=5", "corpora=null", "corpora=[5]", "split=null", "data=null", "members=null", "members.a=3", "runs=null"],
)
def test_a_setting_of_another_kind_is_refused_with_its_row(project, setting):
    odd = Conditions(corpus_as={}, without=(), epochs_scale=1.0, settings=(setting,))
    with pytest.raises(PaperError, match=f"made: row one: {setting.partition('=')[0]}"):
        jobs_of(made(project), conditions=odd)


def test_a_row_that_cannot_run_is_left_out_with_its_reason(project):
    paper = made(project, rows__one__settings={"corpora": ["nowhere"]}, rows__two__like=None)
    jobs = jobs_of(paper)
    assert jobs.reasons == {"one": "not here: nowhere (emospec corpora get nowhere)"}
    assert {job.row for job in jobs.jobs} == {"two"}
    assert not Path("params.yaml").exists()
