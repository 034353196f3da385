"""Find the same recording twice among the clips of all corpora: clips/, fingerprints/ -> duplicates.csv."""

from pathlib import Path

from pipeline.console import n_workers, run_stage
from pipeline.duplicates.matching import match_clips
from pipeline.params import load_params
from pipeline.store.claims import claimed
from pipeline.store.paths import DUPLICATES


def main(params: Path = Path("params.yaml")) -> None:
    p = load_params(params)
    with claimed(DUPLICATES):
        match_clips(p.corpora, n_workers=n_workers(p.machine.workers))


if __name__ == "__main__":
    run_stage(main)
