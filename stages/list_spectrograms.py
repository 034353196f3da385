"""List what has been rendered or sampled, by content: spectrograms/ or frames/ -> spectrograms.csv."""

from pathlib import Path

from pipeline.console import run_stage
from pipeline.listing import list_spectrograms
from pipeline.params import load_params
from pipeline.store.claims import claimed
from pipeline.store.paths import SPECTROGRAMS_LIST


def main(params: Path = Path("params.yaml")) -> None:
    p = load_params(params)
    with claimed(SPECTROGRAMS_LIST):
        list_spectrograms(p.corpora, kind=p.representation.kind)


if __name__ == "__main__":
    run_stage(main)
