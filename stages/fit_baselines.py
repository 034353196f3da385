"""Fit the baselines on one fold: clips/, blocks/, loudness/, images, split.csv -> baselines/FOLD.h5."""

from pathlib import Path

from pipeline.console import StageItem, run_stage
from pipeline.fold_baselines import fit_baselines
from pipeline.params import load_params


def main(fold: StageItem, params: Path = Path("params.yaml")) -> None:
    fit_baselines(int(fold), load_params(params).corpora)


if __name__ == "__main__":
    run_stage(main)
