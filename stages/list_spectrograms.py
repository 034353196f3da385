"""List what has been rendered, by content: spectrograms/ -> spectrograms.csv."""

from pathlib import Path

from pipeline.console import run_stage
from pipeline.listing import list_spectrograms
from pipeline.params import load_params


def main(params: Path = Path("params.yaml")) -> None:
    list_spectrograms(load_params(params).corpora)


if __name__ == "__main__":
    run_stage(main)
