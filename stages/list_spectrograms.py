"""List what has been rendered or sampled, by content: spectrograms/ or frames/ -> spectrograms.csv."""

from pathlib import Path

from pipeline.console import run_stage
from pipeline.listing import list_spectrograms
from pipeline.params import load_params


def main(params: Path = Path("params.yaml")) -> None:
    p = load_params(params)
    list_spectrograms(p.corpora, kind=p.representation.kind)


if __name__ == "__main__":
    run_stage(main)
