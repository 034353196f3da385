"""The page of text: its figures are those of the metrics, and what a reader must not miss is said."""

import copy

import pytest

from pipeline.summary import summarise


def level(uar, *, unit="clip", n_units=30, n=30, few=False, low=0.5, high=0.7):
    bounds = {"low": low, "high": high}
    return {
        "accuracy": 0.6321,
        "uar": uar,
        "macro_f1": 0.6,
        "recall": {"anger": 0.912, "joy": None, "neutral": 0.25},
        "n": {"total": n, "anger": n - 10, "joy": 0, "neutral": 10},
        "interval": {"accuracy": bounds, "uar": bounds, "macro_f1": bounds, "recall": {}},
        "unit": unit,
        "n_units": n_units,
        "n_units_by_class": {},
        "few_units": few,
    }


def both(uar, **changed):
    return {"clip": level(uar, **changed), "block": level(uar, **{**changed, "n": 300})}


METRICS = {
    **both(0.58, low=0.4567, high=0.7),
    "members": {"a": both(0.58)},
    "spread": {"clip": {"uar": {"mean": 0.58, "sd": None}}},
    "baselines": {"majority": both(0.5), "nuisance": both(0.4412), "thumbnail": both(0.4)},
    "selected_on_test": False,
    "start": {"a": {"network": "alexnet", "weights": "random"}},
    "split": {
        "by": "clip",
        "method": "kfold",
        "n_folds": 3,
        "folds": [0, 1, 2],
        "leakage": {"overlaps_training": 0.0, "clip_in_training": 0.0, "unit_in_training": 0.0},
    },
    "corpora": ["demo"],
    "seed": {},
}
SPLIT = {
    "clips": 30,
    "blocks": 300,
    "corpora": {
        "demo": {"clips": {"anger": 12, "neutral": 18}, "blocks": {"anger": 100, "neutral": 200}, "rejected": 0}
    },
}


def text(change=None, split=SPLIT):
    metrics = copy.deepcopy(METRICS)
    if change:
        change(metrics)
    return summarise(metrics, split)


def line_with(words, page):
    (found,) = [line for line in page.splitlines() if words in line]
    return found


def leakage(page):
    return line_with("Leakage", page)


def test_what_was_run_is_the_first_line():
    assert text().splitlines()[0] == (
        "demo: 30 clips, 300 blocks; alexnet from random weights; split by clip (kfold, 3 folds)"
    )


def test_some_of_the_folds_are_said_to_be_some():
    page = text(lambda metrics: metrics["split"].update(folds=[0]))
    assert page.splitlines()[0].endswith("split by clip (kfold, 1 of 3 folds)")


def test_the_scores_stand_in_their_rows():
    clip, block = text().split("per block")
    row = line_with("this model", clip)
    assert row.split() == (
        ["this", "model", "0.58", "0.46", "to", "0.70", "0.63", "anger", "0.91", "joy", "-", "neutral", "0.25"]
    )
    assert line_with("baseline: nuisance", clip).split()[2] == "0.44"
    assert line_with("tested", clip) == "tested: 30 clips (anger 20, joy 0, neutral 10)"
    assert line_with("tested", block) == "tested: 300 blocks (anger 290, joy 0, neutral 10)"


def test_columns_stay_columns_for_long_names_and_missing_intervals():
    def change(metrics):
        metrics["baselines"]["a_very_long_name_of_a_baseline"] = both(0.3, low=None, high=None)

    lines = text(change).splitlines()
    head = next(line for line in lines if line.startswith("per clip"))
    end = head.index("UAR") + 3
    rows = [line for line in lines if "recall" not in line and "anger 0.91" in line]
    assert len(rows) == 10
    assert all(row[end - 4 : end] in ("0.58", "0.50", "0.44", "0.40", "0.30") for row in rows)
    assert "None" not in "".join(lines)
    assert " - to - " not in "".join(lines)


def test_uar_is_explained_with_what_guessing_gives():
    # of three classes two were tested
    assert "UAR is the mean of the classes' recalls: 0.50 is what guessing gives" in text()


def test_a_plain_result_has_no_warning():
    page = text()
    assert "Warning" not in page
    assert "Only" not in page
    assert "rejected" not in page
    assert "Members" not in page


# members


def test_members_are_named_with_their_spread():
    def change(metrics):
        metrics["members"] = {"a": both(0.5), "b": both(0.62)}
        metrics["start"]["b"] = metrics["start"]["a"]
        metrics["spread"]["clip"]["uar"] = {"mean": 0.56, "sd": 0.0849}

    page = text(change)
    assert "2 x alexnet from random weights;" in page
    assert page.count("mean of 2 members  ") == 2
    assert "this model" not in page
    assert "Members alone, UAR per clip: a 0.50, b 0.62; mean 0.56, standard deviation 0.08." in page


def test_members_of_other_networks_are_both_named():
    def change(metrics):
        metrics["members"]["b"] = both(0.62)
        metrics["start"]["b"] = {"network": "resnet18", "weights": "mine.pth"}
        metrics["spread"]["clip"]["uar"] = {"mean": 0.6, "sd": 0.02}

    assert "; alexnet from random weights, resnet18 from mine.pth weights;" in text(change)


# warnings


@pytest.mark.parametrize("uar", [0.5, 0.3])
def test_a_model_that_beats_no_baseline_is_said_to(uar):
    page = text(lambda metrics: metrics["clip"].update(uar=uar))
    assert "Warning: the baseline majority does as well per clip" in page


def test_weights_chosen_on_the_test_side_are_warned_of():
    page = text(lambda metrics: metrics.update(selected_on_test=True))
    assert line_with("selected_on_test", page).startswith("Warning: weights were chosen on the test side")


def test_few_units_are_warned_of():
    page = text(lambda metrics: metrics["clip"].update(few_units=True, n_units=12, unit="speaker"))
    assert "Only 12 units (speaker) were tested: the intervals are too narrow." in page


@pytest.mark.parametrize(("n", "said"), [(1, "1 file of demo was rejected"), (7, "7 files of demo were rejected")])
def test_rejected_recordings_are_counted_and_where_to_look_is_said(n, said):
    split = copy.deepcopy(SPLIT)
    split["corpora"]["demo"]["rejected"] = n
    assert f"{said}: reasons in data/processed/clips/demo/rejected.csv" in text(split=split)


# leakage


def audit(by="clip", **shares):
    return text(
        lambda metrics: metrics["split"].update(
            by=by, leakage={"overlaps_training": 0.0, "clip_in_training": 0.0, "unit_in_training": 0.0, **shares}
        )
    )


def test_no_leakage_names_what_was_checked():
    assert leakage(audit(speaker_in_training=0.0)) == (
        "Leakage: none found between test side and training (checked: overlap in time, clip, speaker)."
    )


def test_what_leaks_is_said_first_and_what_does_not_after():
    assert leakage(audit(speaker_in_training=0.42)) == (
        "Leakage: of the test blocks, 42 % share their speaker with training "
        "(also checked, none found: overlap in time, clip)."
    )


def test_a_leaky_split_says_so():
    page = audit(by="block", overlaps_training=0.934, clip_in_training=1.0)
    assert leakage(page) == (
        "Leakage: of the test blocks, 93 % overlap training sound in time; 100 % share their clip with training "
        "(also checked, none found: unit of the split)."
    )


def test_a_field_that_is_known_of_some_blocks_only_is_said_to_be():
    page = audit(speaker_in_training=0.0, speaker_known=0.25, event_in_training=0.1, event_known=0.5)
    assert leakage(page) == (
        "Leakage: of the test blocks, 10 % share their event (known for 50 % of them) with training "
        "(also checked, none found: overlap in time, clip, speaker (known for 25 % of them))."
    )


@pytest.mark.parametrize(
    ("share", "said"), [(0.0004, "under 1 %"), (0.01, "1 %"), (0.996, "over 99 %"), (0.99, "99 %"), (1.0, "100 %")]
)
def test_a_little_is_not_nothing_and_nearly_all_is_not_all(share, said):
    assert f"of the test blocks, {said} share their speaker" in leakage(audit(speaker_in_training=share))


def test_heads_have_rows_and_say_what_they_are():
    about = {"member": "a", "on": "logits", "kind": "gmm", "fitted_on": "validation", "selected_on_test": False}

    def add(metrics, **changed):
        metrics["heads"] = {"scores": {**both(0.77), "about": {**about, **changed}}}

    page = text(add)
    assert page.count("\nhead: scores") == 2
    assert "Heads alone, UAR per clip: scores (gmm on the logits of a, fitted on validation) 0.77." in page
    assert "selected_on_test" not in page
    assert "Warning: fitted on the test side itself (selected_on_test): scores;" in text(
        lambda metrics: add(metrics, selected_on_test=True)
    )

    def joined(metrics):
        add(metrics, selected_on_test=True)
        metrics["ensembles"] = {"with": {**both(0.8), "selected_on_test": True}, "without": both(0.7)}

    page = text(joined)
    assert "(selected_on_test): scores (and with them the ensembles with); such" in page
    assert page.count("\nensemble: with ") == page.count("\nensemble: without ") == 2
    # where temperatures were fitted there, the head is named all the same; one that learned from training is not
    for fitted_on, is_named in (("validation", True), ("train", False)):

        def chosen(metrics, fitted_on=fitted_on):
            add(metrics, selected_on_test=True, fitted_on=fitted_on)
            metrics["selected_on_test"] = True

        assert ("fitted on the test side itself (selected_on_test): scores;" in text(chosen)) == is_named
    assert "head" not in text()


def test_ensembles_have_rows():
    page = text(lambda metrics: metrics.update(ensembles={"er2": both(0.66)}))
    assert [line.split()[2] for line in page.splitlines() if line.startswith("ensemble: er2")] == ["0.66", "0.66"]


def test_what_runs_over_a_networks_features_is_named():
    start = {"network": "flat", "weights": "random", "sequence": "lstm"}
    page = text(lambda metrics: metrics.update(start={"a": start}))
    assert "lstm over flat from random weights; split by clip" in page


def test_an_estimator_is_no_network_with_weights():
    page = text(lambda metrics: metrics.update(start={"a": {"network": "svm", "weights": "none"}}))
    assert "svm on the blocks' values; split by clip" in page


def test_of_many_classes_the_span_is_told_and_no_line_is_endless():
    names = [f"class {number:02}" for number in range(60)]

    def many(metrics):
        for scores in (metrics, *metrics["members"].values(), *metrics["baselines"].values()):
            for name in ("clip", "block"):
                scores[name]["recall"] = {label: k / 100 for k, label in enumerate(names)} | {"class 59": None}
                scores[name]["n"] = {"total": 179, **dict.fromkeys(names, 3), "class 59": 2}

    page = text(many)
    assert "0.00 to 0.58, median 0.29, of 59 classes (each: metrics/report.html)" in page
    assert "tested: 179 clips (60 classes, 2 to 3 each)" in page
    tables = page.partition("\n\nUAR is")[0]
    assert max(map(len, tables.splitlines())) < 140


def test_classes_of_which_one_unit_was_tested_are_named():
    def single(metrics):
        metrics["clip"]["n_units_by_class"] = {"anger": 1, "joy": 0, "neutral": 29}

    warning = "Only one unit (clip) was tested of anger: the intervals of UAR and macro-F1 are too narrow."
    assert warning in text(single)
    assert "Only one unit" not in text()

    def many(metrics):
        metrics["clip"]["n_units_by_class"] = dict.fromkeys("abcde", 1)

    assert "tested of a, b, c and 2 more: the" in text(many)
