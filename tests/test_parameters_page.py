"""The page of parameters: one row for every key, its range from the schema, its meaning from params.yaml."""

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline.params.page import parameters_page
from pipeline.params.sections import Params

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "params.yaml").read_text(encoding="utf-8")
PAGE = parameters_page(TEXT)
ROWS = {
    line.split(" | ")[0].strip("|` "): [cell.strip() for cell in re.split(r" \| ", line.strip("| "))]
    for line in PAGE.splitlines()
    if line.startswith("| `")
}


def leaves(values, schema, prefix=""):
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, schema, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def test_the_committed_page_is_the_one_that_is_made():
    assert (ROOT / "docs/parameters.md").read_text(encoding="utf-8") == PAGE, (
        "run `emospec parameters > docs/parameters.md`"
    )


def test_every_key_has_a_row_and_no_other():
    values = YAML(typ="safe", pure=True).load(TEXT)
    assert list(ROWS) == list(leaves(values, Params))


@pytest.mark.parametrize(
    ("key", "cells"),
    [
        ("corpora", ["`[demo]`", "a list, each text"]),
        ("runs.folds", ["`[0, 1, 2]`", "a list, each a whole number, 0 or more"]),
        ("members.a.seed", ["`0`", "a whole number, 0 to 4294967295"]),
        ("audio.max_hours", ["`12.0`", "a number, above 0, up to 48"]),
        ("slice.tail", ["`drop`", "`drop` or `align`"]),
        ("spectrogram.window_seconds", ["(empty)", "a number, 0.001 to 1, or empty"]),
        ("train.deterministic", ["`true`", "true or false"]),
    ],
)
def test_default_and_range_stand_in_the_row(key, cells):
    assert ROWS[key][1:3] == cells


def test_every_key_that_a_page_names_is_one():
    """`section.key` in README, CONTRIBUTING, docs/ and the comments of params.yaml, but for members and heads."""
    sections = "|".join({key.partition(".")[0] for key in ROWS} - {"members", "heads"})
    inside = tuple(f"{key}." for key in ROWS)  # of what is a mapping with names of one's own
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "params.yaml", *(ROOT / "docs").glob("*.md")]
    for page in pages:
        named = re.findall(rf"(?<![\w./-])(?:{sections})\.[a-z_]+\b(?![/(])", page.read_text(encoding="utf-8"))
        files = {name for name in named if name.partition(".")[2] in {"html", "json", "csv", "yaml", "h5", "md", "py"}}
        keys = {*ROWS, *(key.rpartition(".")[0] for key in ROWS)}
        unknown = [name for name in set(named) - files - keys if not name.startswith(inside)]
        assert unknown == [], page.name


def test_the_meaning_is_the_comment_above_the_key():
    assert ROWS["train.epochs"][3] == "Times through the training side. 1 to 10000."
    assert ROWS["demo.anger"][3] == "as the key above"


@pytest.mark.parametrize(
    "key", [key for key, cells in ROWS.items() if "number" in cells[2] and "key above" not in cells[3]]
)
def test_the_comment_says_the_same_range_as_the_schema(key):
    meaning = ROWS[key][3]
    for bound in re.findall(r"-?\d+(?:\.\d+)?", ROWS[key][2]):
        words = "2**32 - 1" if bound == "4294967295" else bound
        assert words in meaning or "half of audio.sample_rate" in meaning, f"{key}: {bound} is not in: {meaning}"


def test_a_bar_in_a_comment_does_not_end_the_cell():
    page = parameters_page(TEXT.replace("Times through the training side.", "Times | through."))
    assert "Times \\| through." in page
