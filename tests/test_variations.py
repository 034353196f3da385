"""Variations as people run them: folds, members, heads, copies, queues, and the way back."""

import json
import sys

import pytest
from made_pipeline import BEHIND_TRAINING, make_corpus, make_run_project, metrics_of, ran, run, settings, stale
from ruamel.yaml import YAML


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return make_run_project(tmp_path_factory.mktemp("projects") / "own", tmp_path_factory)


@pytest.mark.slow
def test_another_fold_trains_alone(project):
    assert stale(project, ("  folds:\n  - 0\n  - 1\n", "  folds:\n  - 0\n  - 1\n  - 2\n")) == {
        *("train_model@2-a", "predict_blocks@2-a", "list_heads", "fit_baselines@2", "evaluate_model", "report")
    }


@pytest.mark.slow
def test_another_member_trains_alone(project):
    member = "  b:\n    seed: 1\n    model: {}\n    train: {}\n"
    changes = ("  members:\n  - a\n", "  members:\n  - a\n  - b\n"), ("\n# Heads: ", f"{member}\n# Heads: ")
    new = {f"{stage}@{fold}-b" for stage in ("train_model", "predict_blocks") for fold in (0, 1)}
    assert stale(project, *changes) == new | {"fetch_weights@b", "list_heads", "evaluate_model", "report"}


@pytest.mark.slow
def test_a_members_own_seed_retrains_that_member_only(project):
    changed = stale(
        project,
        ("    # Seeds starting weights", "    # seeds starting weights"),
        ("    seed: 0\n    # Keys", "    seed: 7\n    # Keys"),
    )
    assert {name.split("@")[0] for name in changed} == BEHIND_TRAINING


@pytest.mark.slow
def test_a_head_is_fitted_alone_and_reported_beside_its_member(project):
    before = metrics_of(project)
    assert "heads" not in before
    # a stage whose matrix has an empty list is none, and those behind it run all the same
    assert "train_head" not in run(project, "dvc", "stage", "list", "--name-only")
    assert json.loads((project / "data/processed/heads/sources/heads.json").read_text(encoding="utf-8")) == {}
    scores = "+heads={scores: {member: a, on: logits, kind: naive_bayes}}"
    output = run(project, "dvc", "exp", "run", *settings(), "-S", "runs.heads=[scores]", "-S", scores)
    behind = {"list_heads", "evaluate_model", "report"}
    assert ran(output) == behind | {"train_head@0-scores", "train_head@1-scores"}
    after = metrics_of(project)
    heads = after.pop("heads")
    assert after == before
    assert set(heads) == {"scores"}
    assert heads["scores"]["clip"]["n"]["total"] == 4
    assert "head: scores" in (project / "metrics/report.html").read_text(encoding="utf-8")
    # another head leaves the first as it is, and so does another value of a key that it does not have
    more = "+heads.deep={member: a, on: features, kind: svm, kernel: linear}"
    changes = ["-S", "runs.heads=[deep,scores]", "-S", more, "-S", "model.estimator.n_mixtures=7"]
    output = run(project, "dvc", "exp", "run", *settings(), *changes)
    assert ran(output) == behind | {"train_head@0-deep", "train_head@1-deep"}
    assert metrics_of(project)["heads"]["scores"] == heads["scores"]
    assert set(metrics_of(project)["heads"]) == {"deep", "scores"}
    # and without heads all is as before
    run(project, "git", "checkout", "-q", "params.yaml")
    run(project, "dvc", "exp", "run", *settings())
    assert metrics_of(project) == before


@pytest.mark.slow
@pytest.mark.parametrize("command", [("show",), ("diff", "HEAD", "workspace")])
def test_plots_are_titled_and_hold_every_fold(project, command):
    run(project, "dvc", "plots", *command)
    page = (project / "dvc_plots/index.html").read_text(encoding="utf-8")
    assert page.count('"title": {"text": "') == 6, "one plot for each table"
    for title in (
        "Blocks of the test sides",
        "Clips of the test sides (by evaluate.aggregate)",
        "Learning curves (mean",
        "From the first seconds of each clip alone",
        "Reliability (on the diagonal",
        "Recall of each class (95 % interval",
    ):
        assert f'"text": "{title}' in page
    assert "DVC_METRIC" not in page, "every place of the templates is filled"
    for run_key in ("0-a", "1-a"):
        assert f'"run": "{run_key}"' in page
    assert '"clip_id": "mine/high/' in page


@pytest.mark.slow
def test_bad_values_are_refused_before_any_work(project):
    output = run(project, "dvc", "exp", "run", "-S", "train.epochs=many", "-S", "image.height=0", code=255)
    assert "train.epochs" in output
    assert "image.height" in output
    assert "Traceback" not in output
    run(project, "git", "checkout", "-q", "params.yaml")
    assert ran(run(project, "dvc", "exp", "run", *settings())) == set()


@pytest.mark.slow
def test_a_run_in_a_copy_leaves_the_workspace_alone(project, tmp_path):
    make_corpus(tmp_path / "mine")
    before = (project / "metrics/metrics.json").read_bytes()
    changes = settings(data__root=str(tmp_path), evaluate__n_resamples="150")
    output = run(project, "dvc", "exp", "run", "--temp", "-n", "in-a-copy", *changes)
    assert "in-a-copy" in output
    assert (project / "metrics/metrics.json").read_bytes() == before
    refs = run(project, "git", "for-each-ref", "--format=%(refname)", "refs/exps").splitlines()
    (ref,) = [name for name in refs if name.endswith("/in-a-copy")]
    metrics = json.loads(run(project, "git", "show", f"{ref}:metrics/metrics.json"))
    assert metrics["clip"]["n"]["total"] == 4


@pytest.mark.slow
def test_a_sweep_is_queued_and_run_one_after_the_other(project, tmp_path):
    make_corpus(tmp_path / "mine")
    changes = settings(data__root=str(tmp_path), runs__folds="[0]", evaluate__seed="1,2")
    run(project, "dvc", "exp", "run", "--queue", *changes)
    assert run(project, "dvc", "queue", "status").count("Queued") == 2
    run(project, "dvc", "exp", "run", "--run-all")
    table = json.loads(run(project, "dvc", "exp", "show", "--json").splitlines()[-1])
    shown = [row for row in table[-1]["experiments"] or [] for row in row["revs"]]
    seeds = [row["data"]["params"]["params.yaml"]["data"]["evaluate"]["seed"] for row in shown]
    assert sorted(seeds)[-2:] == [1, 2]


@pytest.mark.slow
def test_recurrent_members_on_flat_values_and_over_a_network(project):
    member = "+members.b={seed: 1, model: {name: cnn, sequence: bilstm}, train: {}}"
    changes = {"runs__folds": "[0]", "runs__members": "[a,b]", "split__balance": "none", "train__epochs": "2"}
    sequence = {"model__name": "flat", "model__sequence": "lstm", "model__sequence_units": "8"}
    head = "+heads={over_time: {member: b, on: features, kind: lstm, epochs: 2}}"
    changes["runs__heads"] = "[over_time]"
    said = run(project, "dvc", "exp", "run", *settings(**changes, **sequence), "-S", member, "-S", head)
    assert "train 0-a: 6 clips of 2 to 2 blocks as sequences" in said
    metrics = metrics_of(project)
    assert set(metrics["members"]) == {"a", "b"}
    assert set(metrics["heads"]) == {"over_time"}
    assert metrics["clip"]["n"] == {"high": 1, "low": 1, "total": 2}
    for name, network, kind in (("a", "flat", "lstm"), ("b", "cnn", "bilstm")):
        card = json.loads((project / f"models/0-{name}/model.json").read_text(encoding="utf-8"))
        assert (card["network"], card["sequence"]["kind"], card["sequence"]["units"]) == (network, kind, 8)


def restore(project, code=0):
    program = "from pipeline.cli import main; main()"
    return run(project, "env", "PYTHONPATH=src", sys.executable, "-c", program, "restore", code=code)


@pytest.mark.slow
def test_to_the_demo_and_back_leaves_git_clean_and_reruns_nothing(project):
    run(project, "git", "checkout", "-q", "params.yaml")
    assert ran(run(project, "dvc", "exp", "run", *settings())) == set()
    run(project, "git", "add", ".")
    run(project, "git", "commit", "-q", "-m", "results of mine", "--allow-empty")
    run(project, "dvc", "exp", "run", "-S", "corpora=[demo]", "-S", "runs.folds=[0]")
    assert metrics_of(project)["corpora"] == ["demo"]
    assert run(project, "git", "status", "--porcelain") != ""
    assert restore(project) == "Restored: parameters, results and files are as committed.\n"
    assert run(project, "git", "status", "--porcelain") == ""
    assert ran(run(project, "dvc", "repro")) == set()
    assert run(project, "git", "status", "--porcelain") == ""
    assert metrics_of(project)["corpora"] == ["mine"]


@pytest.mark.slow
def test_results_of_another_machine_give_way_to_those_of_this_one(project):
    """Trained weights, and all that is made from them, have other digests in the committed dvc.lock."""
    run(project, "git", "checkout", "-q", "params.yaml", "dvc.lock", "metrics")
    made = {name: (project / name).read_bytes() for name in ("dvc.lock", "metrics/metrics.json")}
    assert (project / "models/0-a").is_dir()
    yaml = YAML()
    lock = yaml.load(made["dvc.lock"])
    (own,) = [out["md5"] for out in lock["stages"]["train_model@0-a"]["outs"] if out["path"] == "models/0-a"]
    elsewhere = made["dvc.lock"].replace(own.encode(), own[::-1].removeprefix("rid.").encode() + b".dir")
    (project / "dvc.lock").write_bytes(elsewhere)
    run(project, "git", "commit", "-qam", "trained elsewhere")
    (project / "params.yaml").write_bytes((project / "params.yaml").read_bytes().replace(b"epochs: 1", b"epochs: 9"))
    said = restore(project)
    assert said.endswith("another machine or other sources made: dvc.lock\n")
    assert (project / "metrics/metrics.json").read_bytes() == made["metrics/metrics.json"]
    assert yaml.load((project / "dvc.lock").read_bytes()) == yaml.load(made["dvc.lock"])  # in whatever order
    assert ran(run(project, "dvc", "repro")) == set()
    # and where this machine has run nothing
    for name in ("files", "runs"):
        (project / ".dvc/cache" / name).rename(project / ".dvc" / f"{name}.kept")
    said = restore(project, code=1)
    assert said.startswith("error: ")
    assert "run `make repro`" in said
    assert run(project, "git", "status", "--porcelain", "--", "params.yaml", "dvc.lock", "metrics") == ""
