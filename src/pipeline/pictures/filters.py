"""The filters of a trained network's first convolution, ranked by what in the sound they answer to.

After Anand and Verma (2015), Figure 5: of every filter the mean activation over a block (`pictures.first_layer`) is
correlated with measures of the block's sound (`pictures.measures`) over blocks of the test side. A high correlation
says that filter and measure rise together over these blocks, no more: the highest of many filters is high by selection,
blocks of one clip are alike, and what varies together with the measure is answered to as well.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.console import track
from pipeline.errors import ShowError
from pipeline.features.hand_built import HandBuiltSpec
from pipeline.features.scratch import Scratch
from pipeline.models.checkpoint import load_model
from pipeline.models.inference import batches
from pipeline.models.recurrent import SequenceNetwork
from pipeline.params import load_params
from pipeline.pictures.first_layer import first_convolution, mean_activations
from pipeline.pictures.measures import MEASURES, measure_block, rank_correlations
from pipeline.pictures.tiles import HOW, Best, draw_filters
from pipeline.pictures.trained import refuse_untrained
from pipeline.show.page import save_page
from pipeline.store.arrays import open_arrays
from pipeline.store.folds import read_fold
from pipeline.store.paths import SPECTROGRAMS_LIST, blocks_csv, clips_csv, clips_h5, parse_run_key
from pipeline.store.rendered import open_rendered
from pipeline.store.sound import read_run
from pipeline.store.tables import Block, Clip, SpectrogramFile, read_all, read_keyed, read_rows, write_rows

Doubles = NDArray[np.float64]
LEAST_BLOCKS = 3
SHOWN = 6  # filters of each measure
BATCH = 32  # blocks


@dataclass(frozen=True, kw_only=True)
class FilterRank:
    """Where one filter of a network's first layer stands by one measure of the sound."""

    measure: str
    rank: int  # from 1
    filter: int  # from 0, in the order of the layer
    correlation: float  # Spearman's, of mean activation and measure, over the blocks that have the measure
    n_blocks: int  # which those are


def show_filters(
    key: str, *, n_blocks: int, params: Path = Path("params.yaml"), out: Path | None = None, table: Path | None = None
) -> str:
    """Draw the filters of a run's first convolution and the best of each measure; write all ranks as a table.

    Parameters
    ----------
    n_blocks
        At most so many blocks of the test side are looked at, evenly over it.
    params
        Its section `features` says how pitch is found.
    out, table
        By default named after the run, in the current folder.

    Raises
    ------
    ShowError
        If the run is not there, has too few test blocks, or was not trained on spectrograms.
    ModelError
        If the network has no convolution.
    """
    trained, card, preparation = load_model(refuse_untrained(key))
    network = trained.blocks if isinstance(trained, SequenceNetwork) else trained
    if network is None:
        raise ShowError(f"run {key}: {card.sequence['kind']} on {card.network} values has no filters of a spectrogram")
    if card.kind not in HOW:
        raise ShowError(f"run {key} was trained on {card.kind}: its network has no filters of a spectrogram")
    name, layer = first_convolution(network.trunk)
    ids = _test_blocks(key, n_blocks)
    listed = read_rows(SPECTROGRAMS_LIST, SpectrogramFile)
    with open_rendered(listed) as rendered:
        if rendered.representation != card.representation:
            raise ShowError(f"run {key} was trained on another representation of the blocks: run `dvc repro`")
        parts = (rendered.batch(part) for part in batches(ids, BATCH))
        activations = mean_activations(network.trunk, parts, preparation=preparation)
    chosen = load_params(params)
    spec = HandBuiltSpec(sample_rate=chosen.audio.sample_rate, **chosen.features.model_dump())
    ranks = rank_filters(activations, measure_blocks(ids, [row.corpus for row in listed], spec))
    target = out or Path(f"filters_{key}.png")
    table = table or target.with_suffix(".csv")
    about = f"{card.network}, run {key}: layer {name}, {layer.out_channels} filters; {len(ids)} blocks of the test side"
    weights = layer.weight.detach().float().numpy()
    save_page(draw_filters(about, weights, best_of(ranks), kind=card.kind), target)
    write_rows(table, FilterRank, ranks)
    return f"{target}, {table}: {about}"


def measure_blocks(ids: Sequence[str], corpora: Sequence[str], spec: HandBuiltSpec) -> dict[str, Doubles]:
    """Every measure (n,) of some blocks, in their order, from the sound that was collected."""
    blocks = {block.block_id: block for block in read_all([blocks_csv(corpus) for corpus in corpora], Block)}
    clips = {name: clip for corpus in corpora for name, clip in read_keyed(clips_csv(corpus), Clip, "clip_id").items()}
    scratch, rows = Scratch(), []
    with contextlib.ExitStack() as stack:
        sound = {corpus: stack.enter_context(open_arrays(clips_h5(corpus)))["audio"] for corpus in corpora}
        for block_id in track(ids, label="measure", total=len(ids), unit="blocks"):
            clip = clips[blocks[block_id].clip_id]
            (samples,) = read_run(sound[clip.corpus], clip, [blocks[block_id]])
            rows.append(measure_block(samples, spec, scratch=scratch))
    return {name: np.array([row[name] for row in rows]) for name in MEASURES}


def rank_filters(activations: Doubles, measures: dict[str, Doubles]) -> list[FilterRank]:
    """Rank all filters by each measure, the highest correlation first, of equals in the order of the layer.

    Filters without a correlation, because they never answer or always the same, are not ranked.
    """
    rows = []
    for name, measure in measures.items():
        correlations, n_blocks = rank_correlations(activations, measure)
        if n_blocks < LEAST_BLOCKS:
            continue
        order = [index for index in np.argsort(-correlations, kind="stable") if np.isfinite(correlations[index])]
        rows += [
            FilterRank(
                measure=name,
                rank=rank,
                filter=int(index),
                correlation=round(float(correlations[index]), 6),
                n_blocks=n_blocks,
            )
            for rank, index in enumerate(order, start=1)
        ]
    return rows


def best_of(ranks: Sequence[FilterRank]) -> list[Best]:
    """The first of each measure."""
    found = []
    for name, definition in MEASURES.items():
        own = [row for row in ranks if row.measure == name][:SHOWN]
        said = f"{own[0].n_blocks} blocks" if own else "no filter is ranked: too few blocks have it, or all the same"
        found.append(Best(f"{name}: {definition} ({said})", [(row.filter, row.correlation) for row in own]))
    return found


def _test_blocks(key: str, n_blocks: int) -> list[str]:
    fold, _ = parse_run_key(key)
    ids = [row.block_id for row in read_fold(fold).rows if row.side == "test"]
    if len(ids) < LEAST_BLOCKS:
        raise ShowError(f"run {key}: {len(ids)} blocks on its test side, fewer than {LEAST_BLOCKS}: nothing to rank by")
    chosen = np.unique(np.linspace(0, len(ids) - 1, min(n_blocks, len(ids))).round().astype(int))
    return [ids[index] for index in chosen]
