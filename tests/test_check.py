"""`emospec check`: what is wrong in params.yaml, and networks that there are not, before any work."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.errors import ModelError

ROOT = Path(__file__).resolve().parents[1]


def check(folder, *changes):
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    for old, new in changes:
        assert text.count(old) == 1
        text = text.replace(old, new)
    (folder / "params.yaml").write_text(text, encoding="utf-8")
    return CliRunner().invoke(app, ["check", str(folder / "params.yaml")])


def test_what_is_committed_is_right(tmp_path):
    assert check(tmp_path).exit_code == 0


@pytest.mark.parametrize("name", ["squeezenet1_1", "anand_r1", "svm"])
def test_networks_and_estimators_are_known(tmp_path, name):
    assert check(tmp_path, ("  name: alexnet", f"  name: {name}")).exit_code == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([("  name: alexnet", "  name: alexnett")], "model.name: there is no classification network 'alexnett'"),
        ([("    model: {}", "    model: {name: nope}")], "model.name: there is no classification network 'nope'"),
        ([("  hidden:\n", "  hidden: [64]\n")], "model.hidden: alexnet is as it is"),
    ],
)
def test_what_a_network_is_not_is_said_in_one_line(tmp_path, changes, said):
    result = check(tmp_path, *changes)
    assert isinstance(result.exception, ModelError)
    assert str(result.exception).startswith(said)
