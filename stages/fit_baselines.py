"""Fit the baselines on one fold: clips/, blocks/, loudness/, images, split.csv -> baselines/FOLD.h5."""

from pathlib import Path

from pipeline.console import StageItem, run_stage
from pipeline.fold_baselines import fit_baselines
from pipeline.params import load_params
from pipeline.store.claims import claimed
from pipeline.store.paths import baselines_h5


def main(fold: StageItem, params: Path = Path("params.yaml")) -> None:
    with claimed(baselines_h5(int(fold))):
        fit_baselines(int(fold), load_params(params).corpora)


if __name__ == "__main__":
    run_stage(main)
