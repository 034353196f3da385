"""The baselines of one fold, from files to files."""

import contextlib
import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from pipeline.baselines import all_baselines, shrink
from pipeline.nuisances import nuisance_facts
from pipeline.store.arrays import SMALL_CACHE
from pipeline.store.folds import read_fold, write_outputs_in_parts
from pipeline.store.paths import SPECTROGRAMS_LIST, baselines_h5, blocks_csv, clips_csv, loudness_csv
from pipeline.store.rendered import open_rendered
from pipeline.store.scratch import ScratchRows
from pipeline.store.tables import Block, Clip, Gain, SpectrogramFile, each_row, read_rows

BATCH_BYTES = 2**20  # of images that are shrunk


def fit_baselines(fold_index: int, corpora: Sequence[str]) -> None:
    """Fit the baselines on a fold's training side and write their probabilities for every block.

    Raises
    ------
    StoreError
        If a block of the split is in no table.
    """
    fold = read_fold(fold_index)
    block_ids = fold.rows.texts("block_id")
    path = baselines_h5(fold_index)
    each = itertools.chain.from_iterable
    facts = nuisance_facts(
        block_ids,
        each(each_row(clips_csv(corpus), Clip) for corpus in corpora),
        each(each_row(blocks_csv(corpus), Block) for corpus in corpora),
        each(each_row(loudness_csv(corpus), Gain) for corpus in corpora),
    )
    with contextlib.ExitStack() as files:
        kept = files.enter_context(ScratchRows(path.parent, facts.dtype, facts.shape[1:]))
        kept.append(facts)
        del facts
        parts = all_baselines(
            kept,
            _small_images(block_ids, path.parent, files),
            fold.labels,
            train=fold.on("train"),
            train_before_balance=fold.on("train", "dropped"),
            n_classes=len(fold.classes),
            folder=path.parent,
        )
        write_outputs_in_parts(path, fold, parts, about={"classes": fold.classes})


def _small_images(block_ids: Sequence[str], folder: Path, files: contextlib.ExitStack) -> ScratchRows | None:
    """Thumbnails of some blocks, on disk until `files` closes; None where blocks are no pictures."""
    kept: ScratchRows | None = None
    rendered = read_rows(SPECTROGRAMS_LIST, SpectrogramFile)
    with open_rendered(rendered, cache_bytes=SMALL_CACHE) as images, threadpool_limits(limits=1, user_api="blas"):
        if images.kind == "features":
            return None
        n_at_once = max(1, BATCH_BYTES // (4 * math.prod(images.shape)))
        for first in range(0, len(block_ids), n_at_once):
            batch = images.batch(block_ids[first : first + n_at_once])
            small = np.stack([shrink(block) for block in batch])
            if kept is None:
                kept = files.enter_context(ScratchRows(folder, small.dtype, small.shape[1:]))
            kept.append(small)
    return kept
