"""List which outputs each head is fitted to, by content: outputs/ -> heads/sources."""

from pathlib import Path

from pipeline.console import run_stage
from pipeline.head_sources import HeadRecipe, list_heads
from pipeline.params import load_params
from pipeline.store.claims import claimed
from pipeline.store.paths import HEAD_SOURCES


def main(params: Path = Path("params.yaml")) -> None:
    p = load_params(params)
    with claimed(HEAD_SOURCES):
        list_heads(p.runs.folds, {name: HeadRecipe(**p.heads[name].recipe) for name in p.runs.heads})


if __name__ == "__main__":
    run_stage(main)
