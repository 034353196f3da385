"""Bring a member's starting weights into the project: model.*, members.MEMBER.model -> models/weights/MEMBER."""

from pathlib import Path

from pipeline.console import StageItem, run_stage
from pipeline.models.weights import fetch_weights
from pipeline.params import load_params
from pipeline.store.claims import claimed
from pipeline.store.paths import weights_folder


def main(member: StageItem, params: Path = Path("params.yaml")) -> None:
    model, _, _ = load_params(params).of_member(member)
    with claimed(weights_folder(member)):
        fetch_weights(model.name, model.weights, expected_sha256=model.weights_sha256, folder=weights_folder(member))


if __name__ == "__main__":
    run_stage(main)
