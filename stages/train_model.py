"""Train one member on one fold: images, split.csv, weights/MEMBER -> models/FOLD-MEMBER, curves/FOLD-MEMBER.csv."""

from pathlib import Path

from pipeline.augment.images import Jitter
from pipeline.console import StageItem, run_stage
from pipeline.learning.launch import use_processes
from pipeline.learning.recipe import Recipe
from pipeline.models.recurrent import Recurrence
from pipeline.params import load_params
from pipeline.runs import Compute, train_run
from pipeline.store.claims import claimed
from pipeline.store.paths import curves_csv, model_folder, parse_run_key


def main(key: StageItem, params: Path = Path("params.yaml")) -> None:
    p = load_params(params)
    model, train, seed = p.of_member(parse_run_key(key)[1])
    chosen = train.model_dump(exclude={"device", "threads", "processes", "deterministic"})
    with claimed(model_folder(key), curves_csv(key), writes=use_processes(train.processes)):
        train_run(
            *parse_run_key(key),
            network_name=model.name,
            options=model.options,
            **model.model_dump(include={"init", "dropout", "frozen"}) | p.split.of_training,
            recurrence=Recurrence(**model.of_sequence),
            recipe=Recipe(seed=seed, jitter=Jitter(**p.augment.of_images), **model.of_entry, **chosen),
            estimator=model.estimator.model_dump(),
            seed=p.augment.seed,
            compute=Compute(train.device, train.threads, train.deterministic, p.machine.checkpoint_minutes),
        )


if __name__ == "__main__":
    run_stage(main)
