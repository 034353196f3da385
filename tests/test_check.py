"""`emospec check`: what is wrong in params.yaml, and networks that are not there or unfit, before any work."""

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


@pytest.mark.parametrize("name", ["squeezenet1_1", "anand_r1", "regnet_y_400mf", "svm"])
def test_networks_and_estimators_are_known(tmp_path, name):
    small = [("  height: 227", "  height: 64"), ("  width: 227", "  width: 64")]
    assert check(tmp_path, ("  name: alexnet", f"  name: {name}"), *small).exit_code == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([("  name: alexnet", "  name: alexnett")], "model.name: there is no classification network 'alexnett'"),
        ([("    model: {}", "    model: {name: nope}")], "model.name: there is no classification network 'nope'"),
        ([("  hidden:\n", "  hidden: [64]\n")], "model.hidden: alexnet is as it is"),
        ([("  name: alexnet", "  name: vit_b_32")], "model.name: vit_b_32 cannot take images of 227 x 227 pixels"),
        ([("  name: alexnet", "  name: cnn"), ("  frozen: 0", "  frozen: 4")], "model.frozen: 4 layers of cnn"),
        ([("  name: alexnet", "  name: densenet121"), ("  dropout: 0.0", "  dropout: 0.5")], "model.dropout: 0.5"),
        ([("  name: alexnet", "  name: svm")], "model.name: svm takes at most 16384 values of a block"),
        (
            [("  name: alexnet", "  name: qda"), ("  height: 227", "  height: 64"), ("  width: 227", "  width: 64")],
            "model.estimator: qda: 2 covariances of 12288 columns hold over",
        ),
        ([("  device: auto", "  device: gpu")], "train.device: 'gpu' is no device"),
    ],
)
def test_what_a_network_is_not_is_said_in_one_line(tmp_path, changes, said):
    result = check(tmp_path, *changes)
    assert isinstance(result.exception, ModelError)
    assert str(result.exception).startswith(said)
