"""The page: its figures are those computed by hand, it warns when it must, and no name can break it."""

import itertools
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from made_report import (
    MADE_BY,
    REPRESENTATION,
    change_metrics,
    evaluate,
    make_results,
    read_page,
    report,
    write_answers,
)
from made_run import CORPUS

from pipeline.errors import StoreError
from pipeline.report.page import printable, spectrogram_svg
from pipeline.report.spectrograms import picture_of
from pipeline.store.files import read_json, write_json
from pipeline.store.folds import read_fold
from pipeline.store.paths import METRICS, PLOTS, REPORT, SPECTROGRAMS_LIST, SPLIT_METRICS, rejected_csv
from pipeline.store.rendered import open_rendered
from pipeline.store.tables import OverClip, Rejected, SpectrogramFile, read_rows, write_rows

ROOT = Path(__file__).resolve().parents[2]
# One clip of anger is answered joy by all of its blocks, one block of a clip of joy is answered neutral.
WRONG = {
    f"{CORPUS}/anger0.wav@0": [0.3, 0.6, 0.1],
    f"{CORPUS}/anger0.wav@1000": [0.1, 0.8, 0.1],
    f"{CORPUS}/anger0.wav@2000": [0.2, 0.7, 0.1],
    f"{CORPUS}/joy1.wav@0": [0.1, 0.2, 0.7],
}
NOTHING = {"low": None, "high": None}
WARNING = "Before you read the numbers"


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def results(monkeypatch):
    make_results(monkeypatch, answer=WRONG)


def cells(row):
    return [" ".join(cell.split()) for cell in row]


# numbers


def test_scores_are_those_computed_by_hand(results):
    page = report()
    head, model, majority, *_ = page.tables["Scores per clip, with 95 % intervals"]
    assert head[:3] == ["classifier", "UAR", "interval"]
    assert model[0] == "this model"
    assert model[1::2] == ["0.92", "0.92", "0.92"]  # (3/4 + 1 + 1) / 3; 11/12; F1 of 6/7, 8/9, 1: 0.915
    assert majority[:2] == ["baseline: majority", "0.33"]  # all alike: the first class
    _, model, *_ = page.tables["Scores per block, with 95 % intervals"]
    assert model[1::2] == ["0.89", "0.89", "0.89"]  # (9/12 + 11/12 + 1) / 3; 32/36


def test_intervals_are_those_of_the_metrics(results):
    between = read_json(METRICS)["clip"]["interval"]["uar"]
    row = report().tables["Scores per clip, with 95 % intervals"][1]
    assert row[2] == f"{between['low']:.2f} to {between['high']:.2f}"
    assert between["low"] < 0.9167 <= between["high"]


def test_recall_of_each_class_stands_beside_the_baselines(results):
    page = report()
    rows = page.tables["Recall of each class per block; the last columns are those of the baselines"]
    assert [(row[0], *row[1:4]) for row in rows[1:]] == [
        ("anger", "12", "4", "0.75"),
        ("joy", "12", "4", "0.92"),
        ("neutral", "12", "4", "1.00"),
    ]
    assert rows[0][5:] == ["majority", "nuisance", "thumbnail"]
    assert rows[1][5:] == ["1.00", "1.00", "1.00"]


def test_confusions_count_and_share_the_rows(results):
    tables = report().tables
    assert [cells(row) for row in tables["Per clip"][1:]] == [
        ["anger", "3 75 %", "1 25 %", "0 0 %"],
        ["joy", "0 0 %", "4 100 %", "0 0 %"],
        ["neutral", "0 0 %", "0 0 %", "4 100 %"],
    ]
    assert cells(tables["Per block"][2]) == ["joy", "0 0 %", "11 92 %", "1 8 %"]


def test_dots_and_whiskers_are_drawn_in_proportion(results):
    change_metrics(lambda metrics: metrics["clip"]["interval"].update(uar={"low": 0.25, "high": 0.75}))
    change_metrics(lambda metrics: metrics["clip"].update(uar=0.5))
    report()
    svg = ET.fromstring(re.search(r"<svg class=\"chart\" [^>]*UAR per clip.*?</svg>", REPORT.read_text(), re.S)[0])
    row = svg.find("g")
    track = row.find("line[@class='grid']")
    left, right = float(track.get("x1")), float(track.get("x2"))

    def at(x):
        return (float(x) - left) / (right - left)

    assert at(row.find("circle").get("cx")) == pytest.approx(0.5, abs=1e-3)
    whisker = row.find("line[@class='whisker']")
    assert (at(whisker.get("x1")), at(whisker.get("x2"))) == pytest.approx((0.25, 0.75), abs=1e-3)
    assert at(row.find("line[@class='chance']").get("x1")) == pytest.approx(1 / 3, abs=1e-3)


def test_what_was_run_is_said(results):
    page = report()
    assert "made: 12 clips, 36 blocks; squeezenet1_1 from random weights; split by clip (kfold, 3 folds)." in page.text
    assert page.tables["Corpora"][1] == [CORPUS, "12", "36", "66.0", "0", "CC0-1.0"]
    assert ["learning rate", "0.0001"] in page.tables["Networks and training"]
    made = page.tables["Device and versions that trained it"]
    assert ["device", "cpu"] in made
    assert ["torch", MADE_BY["packages"]["torch"]] in made
    listed = read_rows(SPECTROGRAMS_LIST, SpectrogramFile)
    assert page.tables["Rendered blocks, by content"][1:] == [[row.corpus, row.sha256] for row in listed]


def test_members_are_shown_with_their_mean(monkeypatch):
    make_results(monkeypatch, members=("a", "b"), answer=WRONG)
    page = report(members=("a", "b"))
    assert [row[0] for row in page.tables["Scores per clip, with 95 % intervals"][1:4]] == [
        "mean of 2 members",
        "member a",
        "member b",
    ]
    assert "Members alone, UAR per clip: a 0.92, b 0.92; mean 0.92, standard deviation 0.00." in page.text
    assert page.text.count("fold 2, member b.") == 1


def test_each_rule_stands_in_a_row(results):
    page = report()
    rows = page.tables["Scores per clip by each rule, with 95 % intervals"]
    assert [row[0] for row in rows[1:]] == ["mean", "product", "vote", "belief", "last"]
    assert rows[1][1::2] == ["0.92", "0.92"]
    assert page.text.count("mean: UAR 0.83 from the first block, 0.92 from all") == 1  # joy1 begins wrong
    lines = [one["class"] for one in page.all("polyline") if one["points"].count(" ") >= 3]
    for rule in ("mean", "product", "vote", "belief", "last"):
        assert lines.count(rule) >= 2  # UAR and probability of the actual class
    assert lines.count("going") == 1


def test_whole_clips_have_no_curve_over_the_clip(results):
    rows = [row for row in read_rows(PLOTS / "over_clip.csv", OverClip) if row.blocks == 1]
    write_rows(PLOTS / "over_clip.csv", OverClip, rows)
    assert "Each clip is one block: there is no curve over the clip to draw." in report().text


def test_the_reliability_diagram_says_the_calibration_error(results):
    page = report()
    metrics = read_json(METRICS)
    for level in ("clip", "block"):
        assert f"Per {level}: ECE {metrics[level]['calibration']['ece']:.2f}" in page.text
    rows = {row[0]: row[1:] for row in page.tables["Calibration"][1:]}
    assert rows.keys() == {"this model, per clip", "this model, per block"}
    # 32 blocks are sure by 0.9333, the others by 0.6, 0.8, 0.7 and 0.7
    assert rows["this model, per block"][0] == f"{(32 * 0.93333 + 0.6 + 0.8 + 0.7 + 0.7) / 36:.2f}"
    assert "Temperatures" not in " ".join(page.tables)


def test_temperatures_and_another_rule_are_said(monkeypatch):
    make_results(monkeypatch, answer=WRONG, validation="test")
    evaluate(aggregate="vote", calibrate="validation", ensembles={"alone": ("a",)})
    page = report()
    assert "comes from its blocks by the rule vote" in page.text
    assert "(vote over 3 blocks)" in page.text
    assert [row[0] for row in page.tables["Temperatures, by fold and member"][1:]] == ["0-a", "1-a", "2-a"]
    assert "fitted on the validation side (here the test side itself); without it ECE was" in page.text
    assert "weights or temperatures were chosen on the test side" in page.text
    assert page.tables["Scores per clip, with 95 % intervals"][2][0] == "ensemble alone"
    metrics = read_json(METRICS)
    for run in metrics["temperature_scaling"]["runs"].values():
        run["found"] = "too_few"
    write_json(METRICS, metrics)
    text = report().text
    assert "No temperature was fitted" in text
    assert "Logits were divided" not in text


# wrong clips


def test_the_wrong_clip_is_shown_with_its_probabilities_and_its_worst_block(results):
    text = report().text
    assert "1 of 12 tested clips is answered wrong; shown: 1," in text
    # means of 0.3, 0.1, 0.2 and of 0.6, 0.8, 0.7; the worst block starts after 1000 samples at 1000 Hz
    assert "anger, answered joy. Probability of anger 0.20, of joy 0.70 (mean over 3 blocks)." in text
    assert "made/anger0.wav, 1.00 to 3.00 s." in text


def test_no_wrong_clip_is_said_plainly(monkeypatch):
    make_results(monkeypatch)
    assert "None: each of the 12 tested clips is answered right." in report().text


def test_wrong_clips_that_are_not_wanted_are_counted_all_the_same(results):
    page = report(wrong_clips=0)
    assert "1 of 12 tested clips is answered wrong; report.wrong_clips is 0, so none is shown here." in page.text


# warnings


def calm(metrics):
    metrics["clip"]["few_units"] = False
    metrics["split"]["leakage"] = dict.fromkeys(metrics["split"]["leakage"], 0.0)


def test_a_plain_result_has_no_warning(results):
    change_metrics(calm)
    page = report()
    assert WARNING not in page.text
    assert "Warning" not in page.text
    assert "Leakage: none found between test side and training" in page.text
    assert "No recording was rejected." in page.text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: m.update(selected_on_test=True), "weights were chosen on the test side (selected_on_test)"),
        (lambda m: m["clip"].update(few_units=True), "Only 12 units (clip) were tested"),
        (lambda m: m["clip"].update(uar=0.3), "Warning: the baseline majority does as well per clip"),
        (lambda m: m["split"]["leakage"].update(speaker_in_training=0.5), "50 % share their speaker with training"),
    ],
)
def test_every_warning_is_given_where_it_must_be(results, change, said):
    change_metrics(calm)
    assert said not in report().text
    change_metrics(change)
    page = report()
    assert WARNING in page.text
    assert said in page.text


def test_rejected_recordings_are_warned_of_and_their_reasons_counted(results):
    split = read_json(SPLIT_METRICS)
    split["corpora"][CORPUS]["rejected"] = 2
    write_json(SPLIT_METRICS, split)
    rejected = [Rejected(path=f"{i}.wav", label="joy", reason="silent: <nothing> in it") for i in range(2)]
    write_rows(rejected_csv(CORPUS), Rejected, rejected)
    page = report()
    assert "2 files of made were rejected: reasons in data/processed/clips/made/rejected.csv" in page.text
    assert page.tables["Rejected recordings"][1] == [CORPUS, "2", "silent: <nothing> in it"]


# names, bytes, addresses


HOSTILE = ("<script>alert(1)</script>", "joy\"'>&\n</style>", "neu\udcfftral\u202e")


def test_no_name_can_break_the_page(monkeypatch):
    wrong = {f"{CORPUS}/{HOSTILE[0]}0.wav@{start}": [0.1, 0.8, 0.1] for start in (0, 1000, 2000)}
    make_results(monkeypatch, classes=HOSTILE, answer=wrong)
    page = report()
    assert page.all("script") == []
    assert [label[0] for label in page.tables["Per clip"][1:]] == [
        "<script>alert(1)</script>",
        "joy\"'>&\\n</style>",
        "neu\\xfftral\\u202e",
    ]
    assert "made/<script>alert(1)</script>0.wav, 0.00 to 2.00 s." in page.text
    assert all(len(attributes) < 12 for _, attributes in page.elements)
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        ("plain ärger 怒り 😀", "plain ärger 怒り 😀"),
        ("a\nb\tc\x00", "a\\nb\\tc\\x00"),
        ("\udcff", "\\xff"),
        ("\ud800", "\\ud800"),
        ("a\u202eb", "a\\u202eb"),
        ("\ufffe", "\\ufffe"),
        (3, 3),
        (None, None),
    ],
)
def test_what_cannot_be_seen_is_spelt_out(value, printed):
    assert printable(value) == printed


def test_the_same_inputs_give_the_same_bytes(results):
    report()
    first = REPORT.read_bytes()
    REPORT.unlink()
    report()
    assert REPORT.read_bytes() == first


def test_the_page_needs_nothing_else_and_names_no_place_of_this_machine(results, tmp_path):
    page = report()
    text = REPORT.read_text(encoding="utf-8")
    addresses = [
        attributes[name]
        for _, attributes in page.elements
        for name in ("src", "href", "xlink:href")
        if name in attributes
    ]
    assert addresses
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert "url(" not in text
    assert "@import" not in text
    assert "://" not in text
    assert str(tmp_path) not in text
    targets = {attributes.get("id") for _, attributes in page.elements}
    assert {address[1:] for address in addresses if address.startswith("#")} <= targets


def test_the_page_can_be_heard_and_found_one_s_way_on(results):
    page = report()
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == 1
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert all(svg.get("aria-label") or svg.get("aria-hidden") for svg in page.all("svg"))
    assert all(head["scope"] in ("row", "col") for head in page.all("th"))
    assert len(page.tables) == len(page.all("table")), "a table without a caption of its own"
    assert page.all("meta")[1]["content"] == "width=device-width, initial-scale=1"
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {attributes["aria-labelledby"] for _, attributes in page.elements if "aria-labelledby" in attributes} <= set(
        ids
    )


# colours


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


def blend(over, under, share):
    return "#" + "".join(
        f"{round(share * over[i] + (1 - share) * int(under[2 * i + 1 : 2 * i + 3], 16)):02x}" for i in range(3)
    )


@pytest.mark.parametrize("scheme", [0, 1])
def test_colours_keep_the_contrast_of_wcag_aa_in_light_and_dark(scheme):
    style = (ROOT / "src/pipeline/report/style.css").read_text(encoding="utf-8")
    names = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", style.split(":root {")[scheme + 1]))
    tint = [int(value) for value in re.findall(r"--tint: (\d+) (\d+) (\d+)", style)[scheme]]
    for text, plate in [
        ("text", "page"),
        ("quiet", "page"),
        ("text", "plate"),
        ("text", "warning-plate"),
        ("warning", "warning-plate"),
        ("train", "page"),
    ]:
        assert contrast(names[text], names[plate]) >= 4.5, (text, plate)
    for line in ("validation", "third", "fourth"):
        assert contrast(names[line], names["page"]) >= 3
    strongest = float(re.search(r"calc\(var\(--share\) \* ([.\d]+)\)", style)[1])
    assert contrast(names["text"], blend(tint, names["page"], strongest)) >= 4.5


# shapes of a run


def test_one_fold_with_a_validation_side(monkeypatch):
    make_results(monkeypatch, folds=(0,))
    write_answers(0, read_fold(0), "a", validation=True)
    evaluate(folds=(0,))
    page = report()
    assert "(kfold, 1 of 3 folds)" in page.text
    assert len([one for one in page.all("polyline") if one["class"] == "validation"]) == 3  # key, loss, UAR
    assert [row[0] for row in page.tables["Blocks on each side"][1:]] == ["0"]


def test_without_a_validation_side_the_page_says_so(results):
    page = report()
    assert "there is no validation side" in page.text
    assert "validation" not in {one["class"] for one in page.all("polyline")}


def test_one_class_that_was_tested(results):
    def change(metrics):
        for level in (metrics["clip"], metrics["block"]):
            level["recall"].update(anger=None, neutral=None)
            level["interval"]["recall"].update(anger=NOTHING, neutral=NOTHING)

    change_metrics(change)
    page = report()
    rows = page.tables["Recall of each class per clip; the last columns are those of the baselines"]
    assert rows[1][3:5] == ["-", "no interval"]
    assert "1.00 is what guessing gives" in page.text


def test_twenty_classes(monkeypatch):
    classes = tuple(f"{letter}-class of a long name" for letter in "abcdefghijklmnopqrst")
    make_results(monkeypatch, classes=classes, folds=(0,))
    page = report()
    assert len(page.tables["Per clip"]) == 21
    assert {len(row) for row in page.tables["Per block"]} == {21}
    assert page.text.count("Spectrogram") == 0  # in attributes only
    assert len([one for one in page.all("svg") if "of the class" in one.get("aria-label", "")]) == 20


# the figure on its own


def test_a_figure_stands_alone_as_a_file(results):
    with open_rendered(read_rows(SPECTROGRAMS_LIST, SpectrogramFile)) as images:
        picture = picture_of(images.batch([f"{CORPUS}/joy0.wav@0"])[0], REPRESENTATION, n_samples=2000)
    svg = spectrogram_svg(picture, "joy & <joy>")
    root = ET.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.find("{*}title").text == "joy & <joy>"
    plate = root.find("{*}rect")
    assert root.get("viewBox").split() == [plate.get(name) for name in ("x", "y", "width", "height")]
    assert plate.get("fill") == "#ffffff"
    texts = [one.text for one in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"Hz", "seconds", "dB re 1/Hz", "100", "200", "1"} <= set(texts)
    assert svg.count("data:image/png") == 2
    # low frequencies are drawn lower: y grows downwards
    y = {one.text: float(one.get("y")) for one in root.iter("{http://www.w3.org/2000/svg}text")}
    assert y["100"] > y["200"]


# from the stage


def run_stage(tmp_path):
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    (tmp_path / "params.yaml").write_text(text.replace("- demo\n", f"- {CORPUS}\n", 1), encoding="utf-8")
    return subprocess.run(
        [sys.executable, str(ROOT / "stages/report.py")],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT / "src"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_stage_writes_the_page(results, tmp_path):
    done = run_stage(tmp_path)
    assert done.returncode == 0, done.stderr
    page = read_page()
    assert "UAR per clip 0.92" in page.text
    assert ["batch images", "10"] in page.tables["Networks and training"]


def test_the_stage_says_in_one_line_what_is_missing(results, tmp_path):
    (tmp_path / "data/processed/answers.csv").unlink()
    done = run_stage(tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["error: data/processed/answers.csv: missing: run `dvc repro`"]
    assert not REPORT.exists()


def test_a_page_of_another_run_is_refused(results):
    change_metrics(lambda metrics: metrics["split"].update(folds=[0, 1, 2, 3]))
    with pytest.raises(StoreError, match="has no fold 3"):
        report()
    change_metrics(lambda metrics: metrics["split"].update(folds=[0]))
    with pytest.raises(StoreError, match="has no member z"):
        report(members=("z",))
