"""Compare predictions with labels: outputs/, heads/, baselines/, curves/, split.csv -> metrics.json, metrics/plots."""

from pathlib import Path

from pipeline.console import run_stage
from pipeline.evaluate import evaluate_runs
from pipeline.params import load_params


def main(params: Path = Path("params.yaml")) -> None:
    p = load_params(params)
    seeds = {"split": p.split.seed, "members": {name: p.members[name].seed for name in p.runs.members}}
    run = {"corpora": list(p.corpora), "seed": seeds}
    evaluate_runs(
        p.runs.folds,
        p.runs.members,
        n_resamples=p.evaluate.n_resamples,
        seed=p.evaluate.seed,
        run=run,
        heads=p.runs.heads,
    )


if __name__ == "__main__":
    run_stage(main)
