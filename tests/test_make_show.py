"""`make show`: of all metrics only the scores that experiments are compared by."""

import re
from pathlib import Path

from made_report import evaluate, make_results

from pipeline.params import load_params
from pipeline.store.files import read_json
from pipeline.store.paths import METRICS, SPLIT_METRICS

ROOT = Path(__file__).resolve().parents[1]


def not_shown():
    """The pattern that DVC matches the start of a column's name with."""
    lines = re.findall(r"^NOT_SHOWN := (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    return re.compile("".join(line.removeprefix("$(NOT_SHOWN)") for line in lines).replace("$$", "$"))


def names_in(value, before=""):
    for key, inner in value.items():
        if isinstance(inner, dict):
            yield from names_in(inner, f"{before}{key}.")
        else:
            yield f"{before}{key}"


def test_of_the_metrics_two_scores_are_shown_and_what_else_says_how_they_came_about(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_results(monkeypatch, validation="test")
    evaluate(aggregate="vote", calibrate="validation", ensembles={"alone": ("a",)})
    columns = {*names_in(read_json(METRICS)), *names_in(read_json(SPLIT_METRICS))}
    shown = {name for name in columns if not not_shown().match(name)}
    assert {name for name in shown if not name.startswith("split.")} == {
        "block.uar",
        "clip.uar",
        "corpora",
        "selected_on_test",
    }
    assert len(shown) <= 10


def test_no_parameter_is_left_out():
    names = {*names_in(load_params(ROOT / "params.yaml").model_dump())}
    assert not [name for name in names if not_shown().match(name)]
