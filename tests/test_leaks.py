"""`emospec leaks`: the audit in split.json as people see it."""

import copy

from pipeline.leaks import leaks_page

NOTHING = {
    "overlaps_training": 0.0,
    "clip_in_training": 0.0,
    "near_duplicate_in_training": 0.0,
    "unit_in_training": 0.0,
}
PAIR = {
    "clip_id": "a/1.wav",
    "other_id": "b/2.mp3",
    "kind": "near",
    "offset_seconds": -1.5,
    "seconds": 3.0,
    "similarity": 0.987,
    "across_folds": [0, 2],
}
SPLIT = {
    "by": "clip",
    "method": "kfold",
    "n_folds": 2,
    "units": 12,
    "merged_units": 0,
    "folds": {"0": {"leakage": NOTHING | {"speaker_in_training": 1.0}}, "1": {"leakage": NOTHING}},
    "leakage": NOTHING | {"speaker_in_training": 0.5, "speaker_known": 0.75},
    "duplicates": {"exact": 0, "near": 0, "across_sides": 0, "pairs": []},
}


def page(change=None, *, all_pairs=False):
    split = copy.deepcopy(SPLIT)
    if change:
        change(split)
    return leaks_page(split, all_pairs=all_pairs)


def test_a_clean_split_says_so():
    lines = page().splitlines()
    assert lines[0] == "split by clip (kfold, 2 folds), 12 units"
    assert [line.split("  ")[0] for line in lines[4:9]] == [
        "sound that overlaps in time",
        "the same clip",
        "a near duplicate",
        "the same unit of the split",
        "the same speaker (known for 75 %)",
    ]
    assert lines[-1] == "No two clips hold the same sound, exactly or nearly."


def test_columns_line_up():
    lines = page().splitlines()
    column = lines[2].index("all folds")
    assert {line[column - 2 : column] for line in lines[2:9]} == {"  ", "--"}
    assert lines[8][column:].split() == ["50", "%", "100", "%", "0", "%"]
    assert lines[8].startswith("the same speaker (known for 75 %)")


def test_of_many_folds_the_worst_is_shown():
    def many(split):
        split["folds"] = {str(fold): {"leakage": NOTHING | {"clip_in_training": fold / 100}} for fold in range(40)}
        split["leakage"] = NOTHING | {"clip_in_training": 0.195}

    lines = page(many).splitlines()
    assert lines[2].endswith("all folds  worst fold")
    assert next(line for line in lines if line.startswith("the same clip")).split()[-4:] == ["20", "%", "39", "%"]


def test_pairs_are_named_with_where_they_lie():
    def paired(split):
        split["duplicates"] = {
            "exact": 1,
            "near": 1,
            "across_sides": 1,
            "pairs": [PAIR, PAIR | {"kind": "exact", "across_folds": []}],
        }

    text = page(paired)
    assert "Pairs of clips that hold the same sound: 1 exact, 1 near; 1 on two sides of a fold" in text
    rows = [line.split("  ") for line in text.splitlines() if line.startswith("a/1.wav")]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert cells[0] == ["a/1.wav", "b/2.mp3", "near", "3.00 s", "-1.50 s", "0.99", "fold 0, 2"]
    assert cells[1][2:] == ["exact", "3.00 s", "-1.50 s", "0.99", "-"]


def test_a_long_list_is_cut_and_said_to_be():
    def paired(split):
        split["duplicates"] = {"exact": 0, "near": 30, "across_sides": 0, "pairs": [PAIR] * 25}

    assert page(paired).splitlines()[-1] == "... and 10 more: data/processed/duplicates.csv"
    assert page(paired, all_pairs=True).splitlines()[-1] == "... and 5 more: data/processed/duplicates.csv"


def test_a_split_from_before_says_that_it_was_not_looked_at():
    assert page(lambda split: split.pop("duplicates")).endswith("Duplicates were not looked for.")


def test_a_little_is_not_nothing():
    def little(split):
        split["leakage"]["clip_in_training"] = 0.001

    assert "the same clip" in page(little)
    assert "under 1 %" in page(little)


def test_one_recording_under_two_labels_is_warned_of():
    def change(split, labels=("joy", "anger")):
        split["duplicates"] = {
            "exact": 0,
            "near": 2,
            "across_sides": 0,
            "pairs": [PAIR | {"labels": list(labels)}, PAIR | {"labels": ["joy", "joy"]}],
        }

    warning = "Warning: 1 pair with two labels, of which one must be wrong: a/1.wav (joy) and b/2.mp3 (anger)"
    assert page(change).splitlines()[-1] == warning
    assert "Warning" not in page(lambda split: change(split, labels=("joy", "joy")))
