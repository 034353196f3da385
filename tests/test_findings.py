"""What warns and what does not; the sentences themselves are tested where they are printed."""

import pytest

from pipeline.findings import chance_of, count_of, find_caveats

SPLIT = {"corpora": {"demo": {"rejected": 0}}}


def metrics(**changed):
    return {
        "block": {"accuracy": 0.6},
        "clip": {
            "uar": 0.6,
            "accuracy": 0.6,
            "n_units": 30,
            "few_units": False,
            "recall": {"a": 0.5, "b": 0.7, "c": None},
        },
        "baselines": {"majority": {"clip": {"uar": 0.5}}},
        "selected_on_test": False,
        "split": {"by": "clip", "leakage": {"clip_in_training": 0.0, "unit_in_training": 0.0}},
        **changed,
    }


def warnings(account=SPLIT, **changed):
    return [finding.text for finding in find_caveats(metrics(**changed), account) if finding.warns]


def test_a_plain_result_warns_of_nothing_and_says_what_was_looked_for():
    (found,) = find_caveats(metrics(), SPLIT)
    assert not found.warns
    assert found.text.startswith("Leakage: none found")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"baselines": {"majority": {"clip": {"uar": 0.6}}}}, "baseline majority does as well"),
        (
            {"split": {"by": "session", "leakage": {"speaker_in_training": 0.1, "unit_in_training": 0.0}}},
            "10 % share their speaker",
        ),
        ({"selected_on_test": True}, "chosen on the test side"),
    ],
)
def test_each_caveat_warns_alone(changed, said):
    (text,) = warnings(**changed)
    assert said in text


def test_a_choice_of_temperatures_on_the_test_side_is_named():
    (text,) = warnings(selected_on_test=True, temperature_scaling={"fitted_on": "test"})
    assert "weights or temperatures were chosen on the test side" in text


@pytest.mark.parametrize(("low", "warns"), [(0.11, True), (0.1, False), (0.0, False), (None, False)])
def test_probabilities_that_surely_mislead_warn(low, warns):
    ece = {"ece": {"low": low, "high": 0.4}}
    block = {"accuracy": 0.6, "calibration": {"confidence": 0.9, "ece": 0.3, "interval": ece}}
    said = [
        "The probabilities are no measure of certainty: per block the mean confidence is 0.90, the accuracy 0.60 "
        "(calibration error 0.30): see evaluate.calibrate."
    ]
    assert warnings(block=block) == (said if warns else [])
    scaled = warnings(block=block, temperature_scaling={"fitted_on": "fraction"})
    assert scaled == [text.replace(": see evaluate.calibrate.", ", temperatures and all.") for text in said if warns]


@pytest.mark.parametrize(("n_units", "least"), [(1, "0.03"), (18, "0.81"), (100, "0.96")])
def test_no_error_is_no_certainty(n_units, least):
    # p ** n = 0.025: the least accuracy under which n right answers of n are not rarer than one in forty
    clip = {**metrics()["clip"], "uar": 1.0, "accuracy": 1.0, "n_units": n_units}
    (text,) = warnings(clip=clip)
    assert text.startswith("No clip is answered wrong")
    assert text.endswith(f"begins at {least}.")


def test_rejected_recordings_warn():
    (text,) = warnings(account={"corpora": {"demo": {"rejected": 1}, "other": {"rejected": 0}}})
    assert text.startswith("1 file of demo was rejected")


def test_what_a_published_corpus_lacks_warns():
    accounts = {
        "ravdess_speech": {"rejected": 0, "missing": 1200},
        "emodb": {"rejected": 0, "missing": 1},
        "demo": {"rejected": 0, "missing": 0},
    }
    assert warnings(account={"corpora": accounts}) == [
        "1200 of the 1440 files that ravdess_speech should hold are missing.",
        "1 of the 535 files that emodb should hold is missing.",
    ]


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (
            ["fear"],
            "No training side has fear: it has no recall and no part in UAR and macro-F1, and is wrong in accuracy.",
        ),
        (
            ["fear", "joy"],
            "No training side has fear, joy: they have no recall and no part in UAR and macro-F1, and are wrong in "
            "accuracy.",
        ),
    ],
)
def test_classes_that_no_training_side_has_warn(classes, said):
    assert warnings(split={**metrics()["split"], "untrained": classes}) == [said]


def test_guessing_is_about_the_classes_that_were_tested():
    assert chance_of(metrics()) == 0.5


@pytest.mark.parametrize(("n", "said"), [(0, "0 clips"), (1, "1 clip"), (2, "2 clips")])
def test_counts_have_their_noun(n, said):
    assert count_of(n, "clip") == said
