"""Render the blocks of one corpus as chosen: clips, blocks, loudness of CORPUS -> spectrograms/CORPUS.h5; no faces."""

from pathlib import Path

from pipeline.augment.variants import chosen_variants
from pipeline.console import StageItem, n_workers, run_stage
from pipeline.features.chosen import choose_representation
from pipeline.params import load_params
from pipeline.render import render_corpus
from pipeline.store.claims import claimed
from pipeline.store.paths import spectrograms_h5


def main(corpus: StageItem, params: Path = Path("params.yaml")) -> None:
    p = load_params(params)
    representation = choose_representation(
        p.representation, p.spectrogram, p.image, p.stack, p.features, p.faces, sample_rate=p.audio.sample_rate
    )
    with claimed(spectrograms_h5(corpus)):
        render_corpus(
            corpus,
            representation,
            n_workers=n_workers(p.machine.workers),
            variants=chosen_variants(p.augment.chosen_sound),
            seed=p.augment.seed,
        )


if __name__ == "__main__":
    run_stage(main)
