"""Fingerprint the clips of one corpus: clips/CORPUS -> fingerprints/CORPUS.h5."""

from pathlib import Path

from pipeline.console import StageItem, n_workers, run_stage
from pipeline.duplicates.fingerprints import fingerprint_corpus
from pipeline.params import load_params
from pipeline.store.claims import claimed
from pipeline.store.paths import fingerprints_h5


def main(corpus: StageItem, params: Path = Path("params.yaml")) -> None:
    p = load_params(params)
    with claimed(fingerprints_h5(corpus)):
        fingerprint_corpus(corpus, sample_rate=p.audio.sample_rate, n_workers=n_workers(p.machine.workers))


if __name__ == "__main__":
    run_stage(main)
