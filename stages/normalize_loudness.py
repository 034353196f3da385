"""Measure the blocks of one corpus and choose their gains: clips/CORPUS, blocks/CORPUS.csv -> loudness/CORPUS.csv."""

from pathlib import Path

from pipeline.augment.variants import chosen_variants
from pipeline.console import StageItem, n_workers, run_stage
from pipeline.normalize import normalize_corpus
from pipeline.params import load_params
from pipeline.store.claims import claimed
from pipeline.store.paths import loudness_csv


def main(corpus: StageItem, params: Path = Path("params.yaml")) -> None:
    p = load_params(params)
    with claimed(loudness_csv(corpus)):
        normalize_corpus(
            corpus,
            sample_rate=p.audio.sample_rate,
            scope=p.loudness.scope,
            method=p.loudness.method,
            target_db=p.loudness.target_db,
            max_gain_db=p.loudness.max_gain_db,
            limit_peak=p.loudness.over_full_scale == "limit",
            n_workers=n_workers(p.machine.workers),
            variants=chosen_variants(p.augment.chosen_sound),
            seed=p.augment.seed,
        )


if __name__ == "__main__":
    run_stage(main)
