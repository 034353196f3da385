"""Fit one head on one fold to a member's outputs: heads/sources, outputs, split.csv -> heads/FOLD-HEAD."""

from pathlib import Path

from pipeline.console import StageItem, run_stage
from pipeline.head_sources import HeadRecipe
from pipeline.heads import train_head
from pipeline.params import load_params
from pipeline.store.claims import claimed
from pipeline.store.paths import head_folder, parse_run_key


def main(key: StageItem, params: Path = Path("params.yaml")) -> None:
    p = load_params(params)
    fold, head = parse_run_key(key)
    with claimed(head_folder(key)):
        train_head(fold, head, HeadRecipe(**p.heads[head].recipe), validation=p.split.validation)


if __name__ == "__main__":
    run_stage(main)
