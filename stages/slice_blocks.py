"""Cut the clips of one corpus into blocks: clips/CORPUS -> blocks/CORPUS.csv, blocks/CORPUS.left_out.csv."""

from pathlib import Path

from pipeline.augment.variants import chosen_variants
from pipeline.console import StageItem, run_stage
from pipeline.params import load_params
from pipeline.slicing import slice_corpus
from pipeline.store.claims import claimed
from pipeline.store.paths import blocks_csv, left_out_csv


def main(corpus: StageItem, params: Path = Path("params.yaml")) -> None:
    p = load_params(params)
    with claimed(blocks_csv(corpus), left_out_csv(corpus)):
        slice_corpus(
            corpus,
            sample_rate=p.audio.sample_rate,
            whole_clips=p.slice.whole_clips,
            block_seconds=p.slice.block_seconds,
            slide_seconds=p.slice.slide_seconds,
            short_clips=p.slice.short_clips,
            tail=p.slice.tail,
            silent_below_lu=p.slice.silent_below_lu if p.slice.silent_blocks == "drop" else None,
            random_blocks=p.slice.random_blocks,
            seed=p.slice.seed,
            variants=chosen_variants(p.augment.chosen_sound),
        )


if __name__ == "__main__":
    run_stage(main)
