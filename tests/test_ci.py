"""The workflow against the scripts it names, and .ci/gate with made commands: what goes where, and its exit status."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from made_results import ROOT
from ruamel.yaml import YAML

WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"
CI = YAML(typ="safe", pure=True).load(WORKFLOW.read_text(encoding="utf-8"))
STEPS = [(name, step) for name, job in CI["jobs"].items() for step in job["steps"]]
SCRIPTS = sorted(path for path in (ROOT / ".ci").iterdir() if path.is_file())


# the workflow


def test_the_workflow_runs_on_pushes_and_pull_requests():
    assert set(CI["on"]) == {"push", "pull_request"}
    assert set(CI["jobs"]) == {"check", "commands", "reproduce"}


def test_every_run_step_is_a_script_of_ours():
    scripts = [step["run"] for _, step in STEPS if "run" in step]
    assert sorted(scripts) == [".ci/commands", ".ci/gate", ".ci/run"]
    for script in scripts:
        assert os.access(ROOT / script, os.X_OK)


def test_every_step_either_runs_or_uses():
    assert all(("run" in step) != ("uses" in step) for _, step in STEPS)


def test_actions_are_pinned_by_major_version():
    for _, step in STEPS:
        if "uses" in step:
            assert re.fullmatch(r"[a-z]+/[a-z-]+@v\d+", step["uses"])


def test_permissions_are_the_least():
    assert CI["permissions"] == {"contents": "read"}
    assert "permissions" not in CI["jobs"]["check"]
    assert CI["jobs"]["reproduce"]["permissions"] == {"contents": "read", "pull-requests": "write"}


def test_every_job_ends_in_time_and_newer_runs_replace_older_ones():
    assert all(0 < job["timeout-minutes"] <= 60 for job in CI["jobs"].values())
    assert "github.ref" in CI["concurrency"]["group"]


def test_the_gate_has_the_history_and_is_told_what_to_compare_with():
    steps = CI["jobs"]["reproduce"]["steps"]
    assert steps[0]["with"]["fetch-depth"] == 0
    (gate,) = [step for step in steps if step.get("run") == ".ci/gate"]
    assert gate["env"]["GATE_AGAINST"] == "${{ github.event.pull_request.base.sha || github.event.before }}"


def test_no_text_of_a_stranger_reaches_a_shell():
    assert not any("${{" in step.get("run", "") for _, step in STEPS)


def test_the_cache_of_packages_follows_the_lock():
    for _, step in STEPS:
        if step.get("uses", "").startswith("actions/setup-python"):
            assert step["with"]["cache-dependency-path"] == "requirements.lock"
            assert (ROOT / "requirements.lock").is_file()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_runs_from_anywhere_and_parses(script):
    text = script.read_text(encoding="utf-8")
    assert text.startswith("#!/usr/bin/env bash\n")
    assert "BASH_SOURCE" in text
    subprocess.run(["bash", "-n", script], check=True)


# .ci/gate, with commands that only say that they ran

PAGE = "### Gate: page\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project whose `make setup` does nothing and whose commands are made below."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "gate", tmp_path / ".ci" / "gate")
    (tmp_path / "Makefile").write_text("setup:\n\t@true\n")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.delenv("GATE_AGAINST", raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    return tmp_path


def command(project, name, script):
    path = project / ".venv" / "bin" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/bash\necho "ran: {name} $*" >> {project}/ran.txt\n{script}\n')
    path.chmod(0o755)


def run_gate(project, *, locked=0, repro=0, gate=0, cml=None, page=True):
    writes = f"printf '{PAGE[:-1]}\\n' > \"$5\"" if page else ":"
    command(
        project,
        "emospec",
        f'if [[ $1 == locked ]]; then echo "why it is stale"; exit {locked}; fi\n{writes}\nexit {gate}',
    )
    command(project, "dvc", f'[[ $1 == repro ]] && exit {repro}\necho "| a | b |"')
    if cml is not None:
        command(project, "cml", f'cp "$3" {project}/posted.md\nexit {cml}')
    done = subprocess.run([project / ".ci" / "gate"], cwd="/", capture_output=True, text=True, check=False)
    ran = (project / "ran.txt").read_text().splitlines()
    return done, [re.sub(r"/\S+/gate\.md", "PAGE", line.removeprefix("ran: ")) for line in ran]


@pytest.mark.parametrize("status", [0, 1, 2, 3])
def test_the_exit_status_is_that_of_the_gate(project, status):
    done, ran = run_gate(project, gate=status)
    assert done.returncode == status
    assert ran == [
        "emospec locked",
        "dvc repro",
        "emospec gate --against HEAD --markdown PAGE",
        "dvc params diff --md -- HEAD",
        "dvc metrics diff --md -- HEAD",
    ]
    assert done.stdout.count(PAGE) == 1
    assert "<details><summary>Metrics that differ</summary>\n\n| a | b |\n" in done.stdout


@pytest.mark.parametrize(("named", "used"), [("main", "main"), ("0" * 40, "HEAD"), ("", "HEAD"), ("-x y", "-x y")])
def test_the_revision_is_the_one_that_is_named(project, monkeypatch, named, used):
    monkeypatch.setenv("GATE_AGAINST", named)
    assert f"emospec gate --against {used} --markdown PAGE" in run_gate(project)[1]


@pytest.mark.parametrize("status", [0, 1])
def test_cml_posts_where_it_is_installed(project, monkeypatch, status):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project / "summary.md"))
    done, ran = run_gate(project, gate=status, cml=0)
    assert done.returncode == status
    assert ran[-1] == "cml comment create PAGE"
    assert (project / "posted.md").read_text().startswith(PAGE)
    assert not (project / "summary.md").exists()


@pytest.mark.parametrize("status", [0, 1])
def test_where_cml_fails_the_summary_has_the_page_and_the_status_stays(project, monkeypatch, status):
    (project / "summary.md").write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project / "summary.md"))
    done, _ = run_gate(project, gate=status, cml=1)
    assert done.returncode == status
    assert "warning: cml could not post" in done.stderr
    assert (project / "summary.md").read_text().startswith(f"before\n{PAGE}")


def test_a_summary_that_cannot_be_written_changes_no_status(project, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project / "nowhere" / "summary.md"))
    done, _ = run_gate(project, gate=1)
    assert done.returncode == 1
    assert "could not be written" in done.stderr
    assert PAGE in done.stdout


def test_a_lock_out_of_date_stops_before_anything_runs(project):
    done, ran = run_gate(project, locked=1)
    assert (done.returncode, ran) == (2, ["emospec locked"])
    assert "### Gate: dvc.lock is out of date: run `dvc repro`" in done.stdout
    assert "```\nwhy it is stale\n```" in done.stdout


def test_a_pipeline_that_fails_is_no_regression(project):
    done, ran = run_gate(project, repro=1)
    assert (done.returncode, ran[-1]) == (2, "dvc repro")
    assert "### Gate: the pipeline failed" in done.stdout
    assert "stale" not in done.stdout.split("###")[1]


def test_no_page_is_no_regression(project):
    done, _ = run_gate(project, gate=1, page=False)
    assert done.returncode == 2
    assert "no verdict (exit status 1)" in done.stdout


def test_without_an_environment_nothing_is_compared(project):
    (project / "Makefile").write_text("setup:\n\t@false\n")
    done = subprocess.run([project / ".ci" / "gate"], capture_output=True, text=True, check=False)
    assert done.returncode == 2


def test_nothing_is_left_behind(project, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(project / "tmp"))
    Path(project / "tmp").mkdir()
    run_gate(project)
    assert list((project / "tmp").iterdir()) == []
