"""One fold of the split, and arrays over its blocks."""

import numpy as np
import pytest

from pipeline.errors import SplitError, StoreError
from pipeline.store.folds import Fold, read_fold, read_outputs, write_outputs
from pipeline.store.paths import SPLIT
from pipeline.store.tables import SplitRow, write_rows


def row(name, label, side, fold=0):
    return SplitRow(block_id=f"{name}@0", clip_id=name, group=name, label=label, fold=fold, side=side)


ROWS = [row("c", "joy", "test"), row("a", "anger", "train"), row("b", "neutral", "dropped"), row("d", "joy", "train")]
OTHER = [row("c", "joy", "train", fold=1), row("a", "anger", "test", fold=1)]
FOLD = Fold(ROWS, ("anger", "joy", "neutral"))


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_fold_has_its_own_rows_in_the_order_of_the_table():
    write_rows(SPLIT, SplitRow, [ROWS[0], OTHER[0], *ROWS[1:], OTHER[1]])
    assert read_fold(0) == FOLD
    # of all folds' classes, so that a class has the same place in each
    assert read_fold(1) == Fold(OTHER, ("anger", "joy", "neutral"))


def test_labels_are_places_among_the_sorted_classes():
    assert FOLD.labels.tolist() == [1, 0, 2, 1]


def test_blocks_are_found_by_one_side_or_several():
    assert FOLD.on("train").tolist() == [False, True, False, True]
    assert FOLD.on("train", "test").tolist() == [True, True, False, True]
    assert not FOLD.on("validation").any()


def test_a_fold_that_is_not_there_is_refused():
    write_rows(SPLIT, SplitRow, [*ROWS, *OTHER])
    with pytest.raises(SplitError, match="no fold 2: this split has folds 0 to 1"):
        read_fold(2)


def test_arrays_are_read_back_with_names_and_sides_in_the_order_of_the_fold(tmp_path):
    logits = np.arange(12, dtype=np.float32).reshape(4, 3)
    features = np.arange(4 * 2 * 5, dtype=np.float64).reshape(4, 2, 5)
    about = {"classes": ["anger", "joy"], "text": "é" * 50_000}  # longer than what HDF5 keeps beside an object
    write_outputs(tmp_path / "o.h5", FOLD, {"logits": logits, "features": features}, about=about)
    outputs = read_outputs(tmp_path / "o.h5", "features", "logits")
    assert outputs.block_ids == ["c@0", "a@0", "b@0", "d@0"]
    assert outputs.sides == ["test", "train", "dropped", "train"]
    assert outputs.about == about
    np.testing.assert_array_equal(outputs.values["logits"], logits)
    np.testing.assert_array_equal(outputs.values["features"], features)
    assert set(read_outputs(tmp_path / "o.h5", "logits").values) == {"logits"}


def test_an_array_that_is_not_there_is_named(tmp_path):
    write_outputs(tmp_path / "o.h5", FOLD, {"logits": np.zeros((4, 3))}, about={})
    with pytest.raises(StoreError, match=r"o\.h5: holds no features"):
        read_outputs(tmp_path / "o.h5", "logits", "features")
