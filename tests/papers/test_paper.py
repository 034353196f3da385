"""The papers' files: they load, say what the papers print, and cannot rot."""

import copy
from pathlib import Path

import pytest
from papers.mini import committed
from ruamel.yaml import YAML

from pipeline.errors import PaperError, ParamsError
from pipeline.papers.paper import known_papers, lay_over, load_paper
from pipeline.params import parse_params

ROOT = Path(__file__).resolve().parents[2]
TEXTS = ROOT.parent / "shared" / "papers"
NAMES = ["anand2015", "badshah2017", "cerutti", "franzoni2019", "herron"]
TEXT_OF = {
    "anand2015": "anand2015_convoluting_feelings.txt",
    "badshah2017": "badshah2017_emodb.txt",
    "franzoni2019": "franzoni2019_crowd.txt",
    "herron": "herron_transfer.txt",
}
# Follow from the confusion matrices, or are said in words.
NOT_PRINTED = {
    ("badshah2017", "fresh", 0.568),
    ("badshah2017", "fresh", 0.562),
    ("badshah2017", "alexnet", 0.556),
    ("badshah2017", "alexnet", 0.564),
    ("franzoni2019", "random_blocks", 1.0),
}
MADE = """
title: Made
citation: Nobody (2000)
settings: {train: {epochs: 3}}
rows:
  one:
    title: first
    settings: {model: {name: resnet18}}
    reports: [{metric: block.accuracy, value: 0.5, where: table 1}]
  two:
    title: second
    like: one
    settings: {train: {epochs: 4}}
    reports: [{metric: clip.recall.anger, value: 0.25, where: table 1}]
    honest: {split: {by: speaker}}
"""


def made(folder, **changes):
    """Write the made paper with changes (a.b written a__b), and load it."""
    values = YAML(typ="safe", pure=True).load(MADE)
    for key, value in changes.items():
        *above, last = key.split("__")
        place = values
        for part in above:
            place = place[part]
        place[last] = value
    with (folder / "made.yaml").open("w", encoding="utf-8") as file:
        YAML(typ="safe", pure=True).dump(values, file)
    return load_paper("made", committed(), folder)


def test_there_are_five_papers():
    assert known_papers(ROOT / "papers") == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_row_is_valid_under_the_parameters_schema(name):
    paper = load_paper(name, committed(), ROOT / "papers")
    for row, about in paper.rows.items():
        for honest in (False, True) if about.honest else (False,):
            parse_params(lay_over(committed(), *paper.changes(row, honest=honest)))


@pytest.mark.parametrize("name", sorted(TEXT_OF))
def test_every_reported_number_stands_in_the_papers_text(name):
    path = TEXTS / TEXT_OF[name]
    if not path.is_file():
        pytest.skip(f"the paper's text is not here: {path}")
    text = path.read_text(encoding="utf-8")
    paper = load_paper(name, committed(), ROOT / "papers")
    for row, about in paper.rows.items():
        for report in about.reports:
            if report.value is None or report.minus or (name, row, report.value) in NOT_PRINTED:
                continue
            forms = {
                f"{report.value:.3f}",
                f"{report.value:g}",
                f"{100 * report.value:.2f}",
                f"{100 * report.value:g}%",
            }
            forms |= {f"{100 * report.value:g} %"}
            assert any(form in text for form in forms), (row, report)


def test_the_numbers_that_are_not_printed_follow_from_the_confusion_matrices():
    n = [57, 115, 79, 75, 88, 95, 130]  # of table 1, as its percentages imply
    paper = load_paper("badshah2017", committed(), ROOT / "papers")
    for row in ("fresh", "alexnet"):
        values = {report.metric: report.value for report in paper.rows[row].reports[-7:]}
        recalls = list(values.values())
        counts = [round(recall * size) for recall, size in zip(recalls, n, strict=True)]
        claims = {(report.metric, report.value) for report in paper.rows[row].reports}
        assert ("block.accuracy", round(sum(counts) / sum(n), 3)) in claims
        assert ("block.uar", round(sum(recalls) / 7, 3)) in claims


def test_a_row_is_its_papers_settings_then_those_it_is_like_then_its_own(tmp_path):
    paper = made(tmp_path)
    values = lay_over(committed(), *paper.changes("two"))
    assert (values["model"]["name"], values["train"]["epochs"], values["split"]["by"]) == ("resnet18", 4, "clip")
    assert lay_over(committed(), *paper.changes("one"))["train"]["epochs"] == 3
    assert lay_over(committed(), *paper.changes("two", honest=True))["split"]["by"] == "speaker"


def test_what_lies_below_stays_as_it_is():
    base = committed()
    before = copy.deepcopy(base)
    changed = lay_over(
        base, {"split": {"use": {"demo": {"labels": {"joy": None}}}}}, {"split": {"use": {"demo": None}}}
    )
    assert base == before
    assert changed == before
    with_head = lay_over(base, {"heads": {"one": {"member": "a", "kind": "lda"}}})
    assert with_head["heads"] == {"one": {"member": "a", "kind": "lda"}}


def test_null_is_a_value_where_keys_are_params_own():
    assert lay_over(committed(), {"model": {"dropout": None}})["model"]["dropout"] is None
    use = {"emodb": {"labels": {"boredom": None}}}
    assert lay_over(committed(), {"split": {"use": use}})["split"]["use"] == use


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"settings__train": {"epoch": 3}}, r"row one: train\.epoch: no key of params\.yaml: did you mean epochs\?"),
        ({"rows__two__settings": {"train": {"epochs": "four"}}}, r"row two: train\.epochs: .*'four'"),
        ({"rows__two__honest": {"split": {"n_folds": 1}}}, r"row two, honest split: split\.n_folds"),
        ({"rows__one__like": "two"}, r"like goes round in a circle \(one -> two -> one\)"),
        ({"rows__one__like": "three"}, "'three' is no other row"),
        ({"rows__one__reports": []}, r"rows\.one\.reports"),
        ({"rows__one__reports": [{"metric": "block.auc", "where": "x"}]}, r"rows\.one\.reports\.0\.metric"),
        ({"rows__one__reports": [{"metric": "block.uar", "value": 55, "where": "x"}]}, "less than or equal to 1"),
        ({"rows__one__reports": [{"metric": "heads.lda.block.uar", "where": "x"}]}, "the row runs no such heads: none"),
        ({"rows__one__minus": "two"}, r"rows\.one\.minus: unknown key"),
        ({"title": "red \x1b[31m"}, "title: must be one line without control characters"),
        ({"rows__two__notes": ["one\ntwo"]}, r"rows\.two\.notes\.0: must be one line"),
        (
            {"rows": {"A": {"title": "a", "reports": [{"metric": "clip.uar", "where": "x"}]}}},
            r"made\.yaml: rows\.A: a row's name",
        ),
    ],
)
def test_what_is_not_valid_is_refused_by_row_and_key(tmp_path, changes, said):
    with pytest.raises(PaperError, match=said):
        made(tmp_path, **changes)


def test_a_file_that_is_no_yaml_and_a_paper_that_is_not_there_are_named(tmp_path):
    (tmp_path / "broken.yaml").write_text("title: [", encoding="utf-8")
    (tmp_path / "empty.yaml").touch()
    with pytest.raises(PaperError, match=r"empty\.yaml: holds no paper: title,"):
        load_paper("empty", committed(), tmp_path)
    (tmp_path / "empty.yaml").unlink()
    with pytest.raises(PaperError, match=r"broken\.yaml: cannot be read"):
        load_paper("broken", committed(), tmp_path)
    with pytest.raises(PaperError, match=r"other\.yaml: no such paper; there are broken"):
        load_paper("other", committed(), tmp_path)
    with pytest.raises(PaperError, match="no such paper"):
        load_paper("../papers/herron", committed(), tmp_path)


def test_a_key_below_a_name_of_ones_own_is_left_to_the_schema():
    values = lay_over(committed(), {"members": {"b": {"seed": 1, "model": {"name": "resnet18"}, "train": {}}}})
    assert values["members"]["b"]["model"] == {"name": "resnet18"}
    with pytest.raises(ParamsError, match=r"members\.b\.sead"):
        parse_params(lay_over(values, {"members": {"b": {"sead": 1}}}))
