"""Deal the blocks of all corpora to folds and sides: clips/, blocks/ -> split.csv, metrics/split.json."""

from pathlib import Path

from pipeline.console import run_stage
from pipeline.params import load_params
from pipeline.split.corpora import split_corpora


def main(params: Path = Path("params.yaml")) -> None:
    p = load_params(params)
    split_corpora(p.corpora, **p.split.model_dump())


if __name__ == "__main__":
    run_stage(main)
