"""Synthesise the demo corpus: demo.* -> data/raw/demo."""

from pathlib import Path

from pipeline.console import n_workers, run_stage
from pipeline.corpora.demo import synthesize_demo
from pipeline.params import load_params
from pipeline.store.claims import claimed
from pipeline.store.paths import DEMO


def main(params: Path = Path("params.yaml")) -> None:
    p = load_params(params)
    demo = p.demo
    with claimed(DEMO):
        synthesize_demo(
            DEMO,
            seed=demo.seed,
            clips={"joy": demo.joy, "anger": demo.anger, "neutral": demo.neutral},
            min_seconds=demo.min_seconds,
            max_seconds=demo.max_seconds,
            n_workers=n_workers(p.machine.workers),
        )


if __name__ == "__main__":
    run_stage(main)
