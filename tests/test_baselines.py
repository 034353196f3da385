"""Baselines against values by hand, exact fractions, planted facts and chance."""

import dataclasses
import math
import subprocess
import sys
import warnings
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.preprocessing import StandardScaler

from pipeline import baselines
from pipeline.baselines import all_baselines, fit_predict, majority, thumbnails
from pipeline.errors import MetricsError, PipelineError, SplitError, StoreError
from pipeline.nuisances import NUISANCES, nuisance_facts
from pipeline.store.tables import Block, Clip, Gain

CLIP = Clip(
    clip_id="demo/a.wav",
    path="a.wav",
    label="joy",
    corpus="demo",
    offset=0,
    n_samples=44100,
    seconds=1.0,
    start_seconds=0.0,
    pcm_sha256="0" * 64,
    source_rate=44100,
    bandwidth_hz=16000.0,
    floor_db=-60.0,
    channels=1,
    licence="CC0",
)
BLOCK = Block(block_id="demo/a.wav@0", clip_id="demo/a.wav", variant=0, start=0, n_samples=88200, fill="none")
GAIN = Gain(block_id="demo/a.wav@0", lufs=-30.0, gain_db=7.0, offset=0.0, peak=0.5, flag="")


def uar(probabilities, labels, rows):
    return balanced_accuracy_score(labels[rows], probabilities[rows].argmax(axis=1))


def facts_of(clips, blocks, gains):
    return nuisance_facts([block.block_id for block in blocks], clips, blocks, gains)


def joined(parts):
    parts = list(parts)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


# nuisance facts


def test_facts_by_hand():
    long_clip = dataclasses.replace(
        CLIP, clip_id="demo/b.wav", n_samples=88200 * 3, seconds=6.0, bandwidth_hz=8000.0, floor_db=-90.0
    )
    blocks = [
        dataclasses.replace(BLOCK, block_id="b@0", clip_id="demo/b.wav"),
        dataclasses.replace(BLOCK, fill="repeat"),
        dataclasses.replace(BLOCK, block_id="b@9", clip_id="demo/b.wav", start=9, fill="pad"),
    ]
    gains = [
        GAIN,
        *(dataclasses.replace(GAIN, block_id=name, lufs=lufs) for name, lufs in (("b@9", -math.inf), ("b@0", -12.5))),
    ]
    facts = facts_of([CLIP, long_clip], blocks, gains)
    assert facts.dtype == np.float64
    np.testing.assert_allclose(
        facts,
        [[math.log(6), -12.5, 8000, -90, 0], [0, -30, 16000, -60, 0.5], [math.log(6), -70, 8000, -90, 0]],
    )


def test_facts_have_a_column_per_name():
    assert NUISANCES == ("clip_seconds", "block_lufs", "bandwidth_hz", "floor_db", "padding")
    assert facts_of([CLIP], [BLOCK], [GAIN]).shape == (1, 5)
    assert facts_of([CLIP], [], [GAIN]).shape == (0, 5)


@pytest.mark.parametrize(
    ("clips", "gains", "message"),
    [
        ([], [GAIN], "no clip of this block"),
        ([CLIP], [], "no loudness of this block"),
        ([dataclasses.replace(CLIP, seconds=0.0)], [GAIN], "clip_seconds is -inf"),
        ([dataclasses.replace(CLIP, bandwidth_hz=math.nan)], [GAIN], "bandwidth_hz is nan"),
        ([CLIP], [dataclasses.replace(GAIN, lufs=math.nan)], "block_lufs is nan"),
    ],
)
def test_facts_refuse_tables_that_do_not_fit(clips, gains, message):
    with pytest.raises(StoreError, match=message):
        facts_of(clips, [BLOCK], gains)


# thumbnails


def cells(thumbnail):
    return thumbnail.reshape(14, 14, 3)


def exact_mean(image, row, column, channel):
    """Average one cell in exact fractions, pixel by pixel."""
    height, width, _ = image.shape
    total = Fraction(0)
    for y in range(height):
        for x in range(width):
            down = min(Fraction((row + 1) * height, 14), Fraction(y + 1)) - max(Fraction(row * height, 14), Fraction(y))
            across = min(Fraction((column + 1) * width, 14), Fraction(x + 1)) - max(
                Fraction(column * width, 14), Fraction(x)
            )
            total += max(down, Fraction(0)) * max(across, Fraction(0)) * int(image[y, x, channel])
    return float(total / Fraction(height * width, 14 * 14) / 255)


def test_thumbnail_of_whole_cells_is_their_mean():
    # 28 x 42: two rows and three columns a cell
    image = np.random.default_rng(0).integers(0, 256, (28, 42, 3), dtype=np.uint8)
    means = image.reshape(14, 2, 14, 3, 3).mean(axis=(1, 3)) / 255
    np.testing.assert_allclose(cells(thumbnails([image])[0]), means, atol=1e-6)


def test_thumbnail_of_a_gradient():
    # value = column: the cell c of 14 columns of 16 pixels holds 16c..16c+15, mean 16c + 7.5
    image = np.broadcast_to(np.arange(224, dtype=np.uint8)[None, :, None], (30, 224, 3))
    expected = np.broadcast_to(((16 * np.arange(14) + 7.5) / 255)[None, :, None], (14, 14, 3))
    np.testing.assert_allclose(cells(thumbnails([image])[0]), expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(227, 227, 3), (17, 31, 3), (5, 14, 3), (1, 1, 3), (16, 1024, 3)])
def test_thumbnail_keeps_the_mean_of_an_image_of_any_size(shape):
    image = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    found = cells(thumbnails([image])[0]).mean(axis=(0, 1), dtype=np.float64)
    np.testing.assert_allclose(found, image.mean(axis=(0, 1)) / 255, atol=1e-6)


@pytest.mark.parametrize("shape", [(17, 31, 3), (9, 20, 3)])
def test_thumbnail_splits_pixels_exactly(shape):
    image = np.random.default_rng(2).integers(0, 256, shape, dtype=np.uint8)
    found = cells(thumbnails([image])[0])
    for row, column, channel in [(0, 0, 0), (0, 13, 1), (13, 0, 2), (6, 7, 0), (13, 13, 1), (3, 11, 2)]:
        assert found[row, column, channel] == pytest.approx(exact_mean(image, row, column, channel), abs=1e-6)


def test_a_bright_pixel_lands_in_its_cell_and_channel():
    # of 227 x 240: a cell is 16.2 x 17.1 pixels; row 3 is in the top cells, column 230 in the last
    image = np.zeros((227, 240, 3), dtype=np.uint8)
    image[3, 230, 1] = 255
    found = cells(thumbnails([image])[0])
    assert np.argwhere(found).tolist() == [[0, 13, 1]]
    assert found[0, 13, 1] == pytest.approx(14 * 14 / (227 * 240))


def test_a_pixel_across_an_edge_is_shared_by_area():
    # 21 columns: a cell is 1.5 wide, so half of pixel 1 is in cell 0 and half in cell 1
    image = np.zeros((14, 21, 3), dtype=np.uint8)
    image[2, 1] = 255
    found = cells(thumbnails([image])[0])[2, :, 0]
    np.testing.assert_allclose(found[:3], [1 / 3, 1 / 3, 0], atol=1e-7)


@pytest.mark.parametrize("value", [0, 255])
@pytest.mark.parametrize("shape", [(227, 227, 3), (299, 299, 3), (129, 517, 3)])  # float32 sums of 299 weights exceed 1
def test_constant_images_give_their_value(shape, value):
    found = thumbnails([np.full(shape, value, dtype=np.uint8)])
    np.testing.assert_allclose(found, value / 255, atol=1e-6)
    assert 0 <= found.min() <= found.max() <= 1


def test_images_and_batches_of_them_give_the_same_rows():
    images = np.random.default_rng(3).integers(0, 256, (7, 37, 50, 3), dtype=np.uint8)
    one_by_one = thumbnails(images)
    assert one_by_one.shape == (7, 588)
    assert one_by_one.dtype == np.float32
    np.testing.assert_array_equal(thumbnails([images[:3], images[3:]]), one_by_one)
    np.testing.assert_array_equal(thumbnails(image for image in images), one_by_one)


def test_no_images_give_no_rows():
    assert thumbnails([]).shape == (0, 588)
    assert thumbnails([np.zeros((0, 20, 20, 3), dtype=np.uint8)]).shape == (0, 588)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((20, 20, 3)),
        np.zeros((20, 20), dtype=np.uint8),
        np.zeros((20, 20, 1), dtype=np.uint8),
        np.zeros((0, 20, 3), dtype=np.uint8),
    ],
)
def test_what_is_no_rgb_image_is_refused(image):
    with pytest.raises(StoreError, match="need uint8"):
        thumbnails([image])


# fit_predict


def planted(n=400, n_classes=4, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_classes, n)
    return labels, rng.random(n) < 0.7, rng


def test_the_optimum_of_few_rows_and_many_columns_is_reached_without_a_warning():
    labels = np.repeat([0, 1], 10)
    for seed in (*range(4), 19, 30):  # of 19 and 30 the line search ends in rounding errors
        features = np.random.default_rng(seed).standard_normal((20, 300)) + (1 if seed % 2 else 8) * labels[:, None]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            said = fit_predict(features, labels, np.ones(20, bool), n_classes=2)
        assert not caught
        assert (said.argmax(axis=1) == labels).all()


def test_a_planted_fact_is_found():
    labels, train, rng = planted()
    facts = rng.normal(size=(400, 5)) * [1, 10, 5000, 20, 0.1]
    facts[:, 2] = 8000 + 4000 * (labels % 2) + rng.normal(size=400)  # the band tells two halves apart
    facts[:, 3] = -90 + 20 * (labels // 2) + rng.normal(size=400)
    probabilities = fit_predict(facts, labels, train, n_classes=4)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=2e-6)
    assert uar(probabilities, labels, ~train) > 0.98


def test_random_labels_stay_near_chance():
    labels, train, rng = planted(n=2000)
    probabilities = fit_predict(rng.normal(size=(2000, 5)), labels, train, n_classes=4)
    assert abs(uar(probabilities, labels, ~train) - 0.25) < 0.08  # four sd of 600 rows


def test_rare_classes_weigh_as_much_as_frequent_ones():
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1], [950, 50])
    features = rng.normal(size=(1000, 1)) + labels[:, None]
    answers = fit_predict(features, labels, np.ones(1000, dtype=bool), n_classes=2).argmax(axis=1)
    # equal weights put the border near 0.5, where each side is right 69 % of the time
    assert 0.55 < (answers[labels == 1] == 1).mean() < 0.85
    assert 0.55 < (answers[labels == 0] == 0).mean() < 0.85


def test_regression_is_the_one_it_says():
    labels, train, rng = planted(n=120, n_classes=3)
    features = rng.normal(3, 7, size=(120, 4))
    scaler = StandardScaler().fit(features[train])
    oracle = LogisticRegression(C=1.0, class_weight="balanced", tol=1e-10, solver="newton-cholesky")
    oracle.fit(scaler.transform(features[train]), labels[train])
    expected = oracle.predict_proba(scaler.transform(features))
    np.testing.assert_allclose(fit_predict(features, labels, train, n_classes=3), expected, atol=1e-6)


def test_only_training_rows_are_learnt_from():
    labels, train, rng = planted()
    features = rng.normal(size=(400, 3))
    before = fit_predict(features, labels, train, n_classes=4)
    others = np.where(train, labels, -1)
    changed = np.where(train[:, None], features, 1000 * features)
    after = fit_predict(changed, others, train, n_classes=4)
    np.testing.assert_array_equal(before[train], after[train])


def test_what_is_constant_in_training_tells_nothing():
    labels, train, rng = planted()
    features = rng.normal(size=(400, 2))
    constant = np.where(train, 0.1, rng.normal(size=400))
    noisy = np.where(train, 1 + 1e-8 * rng.normal(size=400), 0)  # as float32 sums leave it
    wider = np.column_stack([features, constant, noisy])
    alone = fit_predict(features, labels, train, n_classes=4)
    np.testing.assert_array_equal(fit_predict(wider, labels, train, n_classes=4), alone)


def test_nothing_but_constants_gives_chance():
    labels, train, _ = planted()
    probabilities = fit_predict(np.zeros((400, 5)), labels, train, n_classes=4)
    np.testing.assert_array_equal(probabilities, 0.25)


def test_a_fit_repeats_itself_and_leaves_its_input():
    labels, train, rng = planted()
    features = rng.normal(size=(400, 30)).astype(np.float32)
    kept = features.copy()
    first = fit_predict(features, labels, train, n_classes=4)
    np.testing.assert_array_equal(first, fit_predict(features, labels, train, n_classes=4))
    np.testing.assert_array_equal(features, kept)


def test_a_class_without_training_rows_has_no_probability_and_the_others_do_without_it():
    labels, train, rng = planted(n_classes=3)
    features = rng.normal(size=(400, 3)) + labels[:, None]
    alone = fit_predict(features, labels, train, n_classes=3)
    # the same classes, numbered 0, 2, 3 of five; class 4 occurs on the other side only
    renumbered = np.array([0, 2, 3])[labels]
    others = np.where(~train & (np.arange(400) % 2 == 0), 4, renumbered)
    found = fit_predict(features, others, train, n_classes=5)
    np.testing.assert_array_equal(found[:, [0, 2, 3]], alone)
    np.testing.assert_array_equal(found[:, [1, 4]], 0)


@pytest.mark.parametrize("n_classes", [1, 3])
def test_the_only_class_of_training_is_the_answer(n_classes):
    labels = np.array([n_classes - 1, n_classes - 1, 0, 0])
    train = np.array([True, True, False, False])
    features = np.random.default_rng(0).normal(size=(4, 2))
    expected = np.zeros((4, n_classes))
    expected[:, -1] = 1
    np.testing.assert_array_equal(fit_predict(features, labels, train, n_classes=n_classes), expected)


def test_all_baselines_do_without_a_class():
    labels = np.array([0, 0, 2, 2, 2, 1])
    train = np.arange(6) < 5
    pictures = labels[:, None].astype(np.float32)
    parts = all_baselines(
        pictures.astype(float), pictures, labels, train=train, train_before_balance=train, n_classes=3
    )
    found = joined(parts)
    assert {name: values[:, 1].max() for name, values in found.items()} == {
        "majority": 0,
        "nuisance": 0,
        "thumbnail": 0,
    }
    assert found["thumbnail"][:5].argmax(axis=1).tolist() == [0, 0, 2, 2, 2]


# the same bytes

PROBE = """
import hashlib, sys
import numpy as np
from pipeline.baselines import all_baselines, thumbnails
rng = np.random.default_rng(0)
labels = np.arange(240) % 3
images = rng.integers(0, 256, (240, 61, 83, 3), dtype=np.uint8) // 2 + (40 * labels[:, None, None, None]).astype("u1")
facts = rng.normal(size=(240, 5)) + labels[:, None]
small = thumbnails(images)
train = rng.random(240) < 0.7
parts = all_baselines(facts, small, labels, train=train, train_before_balance=train, n_classes=3)
found = [values for part in parts for values in part.values()]
print([hashlib.md5(values.tobytes()).hexdigest() for values in (small, *found)])
"""


def test_the_bytes_depend_neither_on_threads_nor_on_the_processor():
    source = str(Path(baselines.__file__).parents[1])
    plain = {"PYTHONPATH": source, "PATH": "/usr/bin:/bin"}
    settings = [
        {},
        {"OMP_NUM_THREADS": "1"},
        {"OPENBLAS_NUM_THREADS": "3"},
        # other kernels of OpenBLAS, those of other processors; where numpy has another BLAS these change nothing
        {"OPENBLAS_CORETYPE": "Prescott"},
        {"OPENBLAS_CORETYPE": "Haswell", "FILLER": "x" * 4999},
    ]
    found = {
        subprocess.run(
            [sys.executable, "-c", PROBE], env={**plain, **more}, capture_output=True, text=True, check=True
        ).stdout
        for more in settings
    }
    assert len(found) == 1, found


def test_probabilities_have_six_decimals():
    labels, train, rng = planted()
    found = fit_predict(rng.normal(size=(400, 30)), labels, train, n_classes=4)
    np.testing.assert_array_equal(found, found.round(6))
    assert len(np.unique(found)) > 1000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": np.zeros((3, 2))}, "3 rows of features for 4 labels"),
        ({"features": np.full((4, 2), np.nan)}, "4 of 4 rows of features"),
        ({"train": np.ones(3, dtype=bool)}, "one bool per label"),
        ({"train": np.array([0, 1, 2, 3])}, "one bool per label"),
        ({"train": np.zeros(4, dtype=bool)}, "none of 4 blocks"),
        ({"labels": np.array([0, 1, 1, 2])}, "training labels 0 to 2"),
        ({"labels": np.array([0, 1, 1, -1])}, "training labels -1 to 1"),
    ],
)
def test_unusable_rows_are_refused(changes, message):
    usable = {"features": np.zeros((4, 2)), "labels": np.array([0, 1, 0, 1]), "train": np.ones(4, dtype=bool)}
    given = {**usable, **changes}
    with pytest.raises((MetricsError, SplitError), match=message) as caught:
        fit_predict(given["features"], given["labels"], given["train"], n_classes=2)
    assert isinstance(caught.value, PipelineError)


# majority and all


def test_majority_counts_training_rows_only():
    labels = np.array([2, 2, 1, 0, 0, 0])
    train = np.array([True, True, True, False, False, False])
    assert majority(labels, train, n_classes=4).tolist() == [0, 0, 1, 0]


def test_majority_of_equals_is_the_first_class():
    labels = np.array([2, 1, 2, 1, 0])
    assert majority(labels, np.ones(5, dtype=bool), n_classes=3).tolist() == [0, 1, 0]


def test_majority_of_no_training_is_refused():
    with pytest.raises(SplitError, match="none of 2 blocks"):
        majority(np.array([0, 1]), np.zeros(2, dtype=bool), n_classes=2)


def test_all_baselines_use_the_rows_that_each_should():
    # class 1 is the majority until balancing drops its surplus (rows 8 and 9)
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 1])
    train = np.arange(12) < 8
    before = np.arange(12) < 10
    facts = np.column_stack([labels, np.arange(12) % 3])
    pictures = np.column_stack([np.arange(12) % 5, 1 - labels]).astype(np.float32)
    found = joined(all_baselines(facts, pictures, labels, train=train, train_before_balance=before, n_classes=2))
    assert list(found) == ["majority", "nuisance", "thumbnail"]
    np.testing.assert_array_equal(found["majority"], np.tile([0, 1], (12, 1)))
    np.testing.assert_array_equal(found["nuisance"], fit_predict(facts, labels, train, n_classes=2))
    np.testing.assert_array_equal(found["thumbnail"], fit_predict(pictures, labels, train, n_classes=2))
    assert all(uar(found[name], labels, ~train) == 1 for name in ("nuisance", "thumbnail"))


# thumbnails of stacks


def test_a_stack_is_shrunk_channel_by_channel():
    stack = np.random.default_rng(0).normal(-60, 20, (2, 28, 42)).astype(np.float32)
    (small,) = thumbnails([stack])
    cells = stack.reshape(2, 14, 2, 14, 3).mean(axis=(2, 4))  # whole pixels in every cell
    assert small.shape == (14 * 14 * 2,)
    np.testing.assert_allclose(small.reshape(14, 14, 2), np.moveaxis(cells, 0, -1), rtol=1e-5)


def test_a_batch_of_stacks_is_the_stacks_one_by_one():
    stacks = np.random.default_rng(1).normal(size=(3, 2, 30, 17)).astype(np.float32)
    np.testing.assert_array_equal(thumbnails([stacks]), np.stack([thumbnails([one])[0] for one in stacks]))


def test_without_thumbnails_there_is_no_such_baseline():
    facts = np.random.default_rng(0).normal(size=(12, 5))
    labels, train = np.arange(12) % 3, np.arange(12) < 9
    found = joined(all_baselines(facts, None, labels, train=train, train_before_balance=train, n_classes=3))
    assert list(found) == ["majority", "nuisance"]
