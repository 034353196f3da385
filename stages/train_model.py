"""Train one member on one fold: images, split.csv, weights/MEMBER -> models/FOLD-MEMBER, curves/FOLD-MEMBER.csv."""

from pathlib import Path

from pipeline.augment.images import Jitter
from pipeline.console import StageItem, run_stage
from pipeline.params import load_params
from pipeline.runs import Compute, train_run
from pipeline.store.paths import parse_run_key
from pipeline.train import Recipe


def main(key: StageItem, params: Path = Path("params.yaml")) -> None:
    p = load_params(params)
    fold, member = parse_run_key(key)
    model, train, seed = p.of_member(member)
    chosen = train.model_dump(exclude={"device", "threads", "deterministic"})
    train_run(
        fold,
        member,
        network_name=model.name,
        options=model.options,
        **model.model_dump(include={"init", "dropout", "frozen"}),
        recipe=Recipe(
            seed=seed, normalise=model.normalise, whiten=model.whiten, jitter=Jitter(**p.augment.of_images), **chosen
        ),
        validation=p.split.validation,
        balanced=p.split.balance != "none",
        seed=p.augment.seed,
        compute=Compute(train.device, train.threads, train.deterministic),
    )


if __name__ == "__main__":
    run_stage(main)
