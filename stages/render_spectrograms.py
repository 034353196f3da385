"""Render the blocks of one corpus as images: clips, blocks, loudness of CORPUS -> spectrograms/CORPUS.h5."""

from pathlib import Path

from pipeline.augment.variants import chosen_variants
from pipeline.console import StageItem, n_workers, run_stage
from pipeline.features.spectrogram import SpectrogramSpec
from pipeline.params import load_params
from pipeline.render import ImageSpec, render_corpus


def main(corpus: StageItem, params: Path = Path("params.yaml")) -> None:
    p = load_params(params)
    rate = p.audio.sample_rate
    chosen = p.spectrogram.model_dump(exclude={"window_samples", "window_seconds", "low_db", "high_db"})
    spectrogram = SpectrogramSpec(sample_rate=rate, window_length=p.spectrogram.window_length(rate), **chosen)
    image = ImageSpec(low_db=p.spectrogram.low_db, high_db=p.spectrogram.high_db, **p.image.model_dump())
    render_corpus(
        corpus,
        spectrogram=spectrogram,
        image=image,
        n_workers=n_workers(p.machine.workers),
        variants=chosen_variants(p.augment.chosen_sound),
        seed=p.augment.seed,
    )


if __name__ == "__main__":
    run_stage(main)
