"""Compare predictions with labels: outputs/, heads/, baselines/, curves/, blocks/, split.csv -> metrics.json, plots."""

from pathlib import Path

from pipeline.console import run_stage
from pipeline.evaluate import How, evaluate_runs
from pipeline.params import load_params
from pipeline.store.claims import claimed
from pipeline.store.paths import ANSWERS, METRICS, PLOT_TABLES


def main(params: Path = Path("params.yaml")) -> None:
    p = load_params(params)
    seeds = {"split": p.split.seed, "members": {name: p.members[name].seed for name in p.runs.members}}
    run = {"corpora": list(p.corpora), "seed": seeds}
    how = How(
        aggregate=p.evaluate.aggregate,
        members_mean=p.evaluate.members_mean,
        ensembles=p.evaluate.ensembles,
        calibrate=p.evaluate.calibrate,
    )
    with claimed(METRICS, ANSWERS, *PLOT_TABLES):
        evaluate_runs(
            p.runs.folds,
            p.runs.members,
            n_resamples=p.evaluate.n_resamples,
            seed=p.evaluate.seed,
            sample_rate=p.audio.sample_rate,
            run=run,
            heads=p.runs.heads,
            how=how,
        )


if __name__ == "__main__":
    run_stage(main)
