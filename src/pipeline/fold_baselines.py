"""The baselines of one fold, from files to files."""

from collections.abc import Sequence

from pipeline.baselines import all_baselines, nuisance_facts, thumbnails
from pipeline.errors import StoreError
from pipeline.store.folds import read_fold, write_outputs
from pipeline.store.paths import SPECTROGRAMS_LIST, baselines_h5, blocks_csv, clips_csv, loudness_csv
from pipeline.store.rendered import open_rendered
from pipeline.store.tables import Block, Clip, Gain, SpectrogramFile, read_all, read_rows


def fit_baselines(fold_index: int, corpora: Sequence[str]) -> None:
    """Fit the baselines on a fold's training side and write their probabilities for every block.

    Raises
    ------
    StoreError
        If a block of the split is in no table.
    """
    fold = read_fold(fold_index)
    clips = read_all([clips_csv(corpus) for corpus in corpora], Clip)
    blocks = {block.block_id: block for block in read_all([blocks_csv(corpus) for corpus in corpora], Block)}
    gains = read_all([loudness_csv(corpus) for corpus in corpora], Gain)
    if unknown := [row.block_id for row in fold.rows if row.block_id not in blocks]:
        raise StoreError(
            f"{len(unknown)} of {len(fold.rows)} blocks of the split are in no table of blocks, the first "
            f"{unknown[0]}: run `dvc repro`"
        )
    facts = nuisance_facts(clips, [blocks[row.block_id] for row in fold.rows], gains)
    with open_rendered(read_rows(SPECTROGRAMS_LIST, SpectrogramFile)) as images:
        has_thumbnails = images.kind != "features"
        small = thumbnails(images.batch([row.block_id]) for row in fold.rows) if has_thumbnails else None
    probabilities = all_baselines(
        facts,
        small,
        fold.labels,
        train=fold.on("train"),
        train_before_balance=fold.on("train", "dropped"),
        n_classes=len(fold.classes),
    )
    write_outputs(baselines_h5(fold_index), fold, probabilities, about={"classes": fold.classes})
