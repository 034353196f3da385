"""Put a run on one page: metrics, plots, answers.csv, images, provenance -> metrics/report.html."""

from pathlib import Path

from pipeline.console import run_stage
from pipeline.params import load_params
from pipeline.report.page import write_report
from pipeline.store.claims import claimed
from pipeline.store.paths import REPORT


def main(params: Path = Path("params.yaml")) -> None:
    p = load_params(params)
    sections = {
        "slice": p.slice.model_dump(),
        "loudness": p.loudness.model_dump(),
        "split": p.split.model_dump(),
        "evaluate": p.evaluate.model_dump(),
    }
    chosen = {name: p.of_member(name) for name in p.runs.members}
    members = {
        name: {"model": model.model_dump(), "train": train.model_dump(), "seed": seed}
        for name, (model, train, seed) in chosen.items()
    }
    with claimed(REPORT):
        write_report(p.corpora, sections=sections, members=members, wrong_clips=p.report.wrong_clips)


if __name__ == "__main__":
    run_stage(main)
