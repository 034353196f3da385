"""Every command that README, CONTRIBUTING and docs/ show is run, as written, in a small copy of the project.

In the order of the pages, each where the one before left the project; minutes, so `make test-commands` runs them.
"""

import os
import re
import shlex
import subprocess
import time

import pytest
from made_pipeline import ROOT, make_corpus, make_project, make_speech, run, settings
from ruamel.yaml import YAML

from pipeline.cli import app
from pipeline.experiments.trials import change, read_base
from pipeline.params import parse_params

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = ("git", "make", "dvc", "emospec", "pre-commit", "source", "for", "cml")

# What the text says in words, and where a test finds it.
STANDS_FOR = {"<this repository>": ".", "/where/they/are": "{elsewhere}", "REV": "HEAD"}
# What is not run as written, and why.
ONLY_PLANNED = {
    "make test": "it is what runs this test",
    "make lint": "it is run on the whole project, before the tests, by .ci/run",
    "make setup": "it installs from the package registry",
    "pre-commit install": "it changes the repository's hooks",
    "emospec corpora get emodb": "it downloads 40 MB",
    "emospec gap --on speaker": "it trains fifteen times; tests/gap runs it",
    "emospec gap --on group -S split.test_fraction=0.25": "it trains fifteen times; tests/gap runs it",
    "emospec search table": "no search was made; tests/search shows one",
    "emospec papers table": "it writes into docs/; tests/papers runs it",
    "source .venv/bin/activate": "each command here starts with that environment",
}
# What says by its exit status that something is not as it should be, and what that is in the made project.
FINDS = {"emospec corpora check emodb": "the made corpus holds two emotions of four speakers"}
NEEDS_DOWNLOAD = "model.weights=imagenet"


def shown_commands():
    """Yield (page, command) in the order of the pages: lines of code blocks that begin with a command's name."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        blocks = re.findall(r"^```([^\n]*)\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
        for block in [body for language, body in blocks if language in ("", "bash", "sh", "console")]:
            for line in block.replace("\\\n", " ").splitlines():
                command = re.sub(r"\s+#.*", "", line).strip()
                if command.split(" ")[0] in COMMANDS:
                    yield page.name, command


def _once(commands):
    """Each command once, but for the one that brings the project back before what follows."""
    seen = set()
    for page, command in commands:
        if command == "make restore" or (page, command) not in seen:
            seen.add((page, command))
            yield page, command


SHOWN = list(_once(shown_commands()))


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    make_project(folder)
    for corpus in ("mine", "crowd"):
        make_corpus(elsewhere / corpus)
        rows = [f"{label}/{n}.{'wav' if n % 2 else 'flac'},{label},g{n}" for label in ("high", "low") for n in range(4)]
        (elsewhere / corpus / "clips.csv").write_text("\n".join(["path,label,group", *rows]) + "\n", encoding="utf-8")
    make_speech(folder / "data/raw")
    (folder / "data/raw/mine/clips.csv").write_bytes((elsewhere / "mine/clips.csv").read_bytes())
    run(folder, "dvc", "exp", "run", *settings(corpora="[demo]"))
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-qm", "results")
    return folder, elsewhere


def as_run(command, elsewhere):
    for words, meaning in STANDS_FOR.items():
        command = command.replace(words, meaning.format(elsewhere=shlex.quote(str(elsewhere))))
    if command in ONLY_PLANNED:
        return f"{command.replace('make ', 'make -n ')}" if command.startswith("make ") else "true"
    if NEEDS_DOWNLOAD in command:
        return f"{command} --queue && dvc queue remove --all"
    if re.match(r"emospec search (grid|random) ", command):
        return f"{command} --dry"  # every run is checked, none is queued; tests/search runs them
    if command.startswith("emospec papers run "):
        return f"{command} --dry"  # every row is checked, none is queued; tests/papers runs some, make papers-smoke all
    # the environment is there: nothing to install
    return re.sub(r"^make ", "make -o .venv/.ready ", command)


def test_there_are_commands_on_the_front_page():
    shown = [command for page, command in SHOWN if page == "README.md"]
    assert len(shown) > 15
    assert {"make repro", "make test", "make show", "emospec gate", "emospec plan"} <= set(shown)


def wait_for_queue(folder, seconds=240):
    """Wait until the queue's worker has run everything, and see that nothing failed."""
    end = time.monotonic() + seconds
    while "Queued" in (status := run(folder, "dvc", "queue", "status")) or "Running" in status:
        assert time.monotonic() < end, status
        time.sleep(2)
    assert "Failed" not in status, status
    assert status.count("Success") == 2, status


def test_every_sub_command_that_a_page_names_is_there():
    known = {command.name or command.callback.__name__ for command in app.registered_commands}
    known |= {group.name for group in app.registered_groups}
    pages = [*PAGES, ROOT / "CHANGELOG.md"]
    named = {name for page in pages for name in re.findall(r"`emospec ([a-z]+)", page.read_text(encoding="utf-8"))}
    assert named
    assert named <= known


def test_what_the_front_page_says_may_be_added_is_allowed():
    added = re.findall(r"`(\+[\w.]+)=([^`]+)`", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert added
    base = read_base(ROOT / "params.yaml")
    for key, value in added:
        parse_params(change(base, {key: YAML(typ="safe", pure=True).load(value)}))


@pytest.mark.commands
@pytest.mark.parametrize(("page", "command"), SHOWN, ids=[command[:60] for _, command in SHOWN])
def test_a_command_that_is_shown_runs(project, page, command):
    folder, elsewhere = project
    done = subprocess.run(
        ["bash", "-c", as_run(command, elsewhere)],
        cwd=folder,
        env={**os.environ, "PATH": f"{folder}/.venv/bin:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    if command == "dvc queue start":
        wait_for_queue(folder)
    assert done.returncode == int(command in FINDS), (
        f"{page}: {command}: exit status {done.returncode}\n{done.stdout}{done.stderr}"
    )
