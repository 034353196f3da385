"""A small made project on disk, as the stages before training leave it: clips, blocks, loudness, images, a split."""

import contextlib
import dataclasses
import json

import numpy as np
import pytest
import torch

from pipeline.learning.recipe import Recipe
from pipeline.models.recurrent import NO_RECURRENCE
from pipeline.models.weights import fetch_weights
from pipeline.runs import Compute, train_run
from pipeline.split.choices import Choices
from pipeline.split.corpora import split_corpora
from pipeline.store.arrays import digest_of, encode_texts, new_arrays, open_arrays
from pipeline.store.folds import write_outputs
from pipeline.store.paths import (
    DUPLICATES,
    SPECTROGRAMS_LIST,
    baselines_h5,
    blocks_csv,
    clips_csv,
    curves_csv,
    left_out_csv,
    loudness_csv,
    missing_csv,
    outputs_h5,
    rejected_csv,
    run_key,
    spectrograms_h5,
    weights_folder,
)
from pipeline.store.tables import (
    Block,
    Clip,
    CurvePoint,
    Duplicate,
    Gain,
    LeftOut,
    Missing,
    Rejected,
    SpectrogramFile,
    read_rows,
    write_rows,
)

CLASSES = ("anger", "joy", "neutral")
CORPUS = "made"
HEIGHT, WIDTH = 24, 20
RATE, CLIPS_PER_CLASS, BLOCKS_PER_CLIP = 1000, 4, 3
SMALL = "shufflenet_v2_x0_5"  # 0.3 million weights, no dropout
ON_CPU = Compute(device="cpu", threads=1, deterministic=True)
SPLIT = {
    "by": "clip",
    "method": "kfold",
    "n_folds": 3,
    "test_fraction": 0.3,
    "stratify": True,
    "balance": "none",
    "validation": "none",
    "validation_fraction": 0.3,
    "seed": 0,
}
ABOUT = {"classes": list(CLASSES), "selected_on_test": False, "start": {"network": SMALL, "weights": "random"}}


def recipe(**changed):
    return Recipe(
        **{
            "epochs": 2,
            "batch_images": 8,
            "optimizer": "adamw",
            "learning_rate": 0.001,
            "head_rate_factor": 1.0,
            "momentum": 0.0,
            "weight_decay": 0.0,
            "validate_every": 2,
            "keep": "last",
            "normalise": "unit",
            "seed": 0,
            **changed,
        }
    )


@contextlib.contextmanager
def torch_as_before():
    """Put back what `prepare_torch` sets for the whole process."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    filling, benchmark = torch.utils.deterministic.fill_uninitialized_memory, torch.backends.cudnn.benchmark
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)
        torch.utils.deterministic.fill_uninitialized_memory = filling
        torch.backends.cudnn.benchmark = benchmark


def coloured(labels, *, height=HEIGHT, width=WIDTH, seed=0):
    """Noise images (n, height, width, 3) in which the channel of the class is the brightest."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 100, (len(labels), height, width, 3), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[..., label] += 120
    return images


@pytest.fixture(autouse=True)
def one_thread():
    """For the modules that import it: small networks lose by threads, much on a busy machine."""
    with torch_as_before():
        torch.set_num_threads(1)
        yield


def make_project(**split):
    """Write a project into the working folder: 3 classes x 4 clips x 3 blocks."""
    clips = [
        Clip(
            clip_id=f"{CORPUS}/{label}{number}.wav",
            path=f"{label}{number}.wav",
            label=label,
            corpus=CORPUS,
            offset=0,
            n_samples=4 * RATE,
            seconds=4.0 + number,
            start_seconds=0.0,
            pcm_sha256=f"{label}{number}",
            source_rate=RATE,
            bandwidth_hz=400.0 + number,
            floor_db=-60.0,
            channels=1,
            licence="CC0-1.0",
            fields={"speaker": f"s{number}"},
        )
        for label in CLASSES
        for number in range(CLIPS_PER_CLASS)
    ]
    blocks = [
        Block(
            block_id=f"{clip.clip_id}@{start}",
            clip_id=clip.clip_id,
            variant=0,
            start=start,
            n_samples=2 * RATE,
            fill="none",
        )
        for clip in clips
        for start in range(0, BLOCKS_PER_CLIP * RATE, RATE)
    ]
    write_rows(clips_csv(CORPUS), Clip, clips)
    write_rows(rejected_csv(CORPUS), Rejected, [])
    write_rows(missing_csv(CORPUS), Missing, [])
    write_rows(blocks_csv(CORPUS), Block, blocks)
    write_rows(left_out_csv(CORPUS), LeftOut, [])
    gains = [
        Gain(block_id=block.block_id, lufs=-30.0 - i % 5, gain_db=7.0, offset=0.0, peak=0.5, flag="")
        for i, block in enumerate(blocks)
    ]
    write_rows(loudness_csv(CORPUS), Gain, gains)
    label_of = {clip.clip_id: CLASSES.index(clip.label) for clip in clips}
    write_images([block.block_id for block in blocks], coloured([label_of[block.clip_id] for block in blocks]))
    write_rows(DUPLICATES, Duplicate, [])
    split_corpora([CORPUS], Choices(**(SPLIT | split)), audit_fields=["speaker"])


def write_images(block_ids, images, **attributes):
    with new_arrays(spectrograms_h5(CORPUS)) as arrays:
        arrays.create("images", row_shape=images.shape[1:], dtype=np.uint8)
        arrays.append("images", images)
        texts = encode_texts(block_ids)
        arrays.create("block_id", row_shape=(), dtype=texts.dtype, rows_in_chunk=64)
        arrays.append("block_id", texts)
        arrays.finish({"max_hz": 500.0, "colormap": "jet", "sound_sha256": "0" * 64, **attributes})
    list_images()


def list_images():
    path = spectrograms_h5(CORPUS)
    with open_arrays(path) as file:
        row = SpectrogramFile(corpus=CORPUS, path=path.as_posix(), sha256=digest_of(file, "images"))
    write_rows(SPECTROGRAMS_LIST, SpectrogramFile, [row])


def train(
    fold,
    member="a",
    *,
    network=SMALL,
    validation="none",
    dropout=None,
    options=None,
    frozen=0,
    recurrence=NO_RECURRENCE,
    balanced=False,
    minutes=0.0,
    **changed,
):
    """Fetch random starting weights and train one member on one fold; keep its state every so many minutes."""
    fetch_weights(network, "random", expected_sha256=None, folder=weights_folder(member))
    train_run(
        fold,
        member,
        network_name=network,
        init="kaiming",
        dropout=dropout,
        options=options,
        frozen=frozen,
        recipe=recipe(**changed),
        validation=validation,
        compute=dataclasses.replace(ON_CPU, checkpoint_minutes=minutes),
        recurrence=recurrence,
        balanced=balanced,
    )


def write_made_outputs(fold_index, fold, member, logits, **about):
    """Write a member's outputs as `predict_run` does, with given logits (n, 3), and a curve of one point."""
    key = run_key(fold_index, member)
    values = {"logits": np.asarray(logits, dtype=np.float32), "features": np.zeros((len(logits), 2), np.float32)}
    write_outputs(outputs_h5(key), fold, values, about={**ABOUT, **about})
    point = CurvePoint(iteration=1, epoch=1.0, side="train", loss=1.0 + fold_index, accuracy=0.5, uar=0.5)
    write_rows(curves_csv(key), CurvePoint, [point])


def write_made_baselines(fold_index, fold, **about):
    """Baselines that know nothing: all classes alike."""
    alike = np.full((len(fold.rows), 3), 1 / 3)
    names = ("majority", "nuisance", "thumbnail")
    write_outputs(baselines_h5(fold_index), fold, dict.fromkeys(names, alike), about={**ABOUT, **about})


def curve_of(fold, member="a"):
    return read_rows(curves_csv(run_key(fold, member)), CurvePoint)


def files_under(folder):
    """Bytes of every file, by its path."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def changed_json(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
