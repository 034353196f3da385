"""Put every block through one trained model: models/FOLD-MEMBER, images, split.csv -> outputs/FOLD-MEMBER.h5."""

from pathlib import Path

from pipeline.console import StageItem, run_stage
from pipeline.params import load_params
from pipeline.runs import Compute, predict_run
from pipeline.store.claims import claimed
from pipeline.store.paths import outputs_h5, parse_run_key


def main(key: StageItem, params: Path = Path("params.yaml")) -> None:
    fold, member = parse_run_key(key)
    _, train, _ = load_params(params).of_member(member)
    with claimed(outputs_h5(key)):
        predict_run(fold, member, compute=Compute(train.device, train.threads, train.deterministic))


if __name__ == "__main__":
    run_stage(main)
