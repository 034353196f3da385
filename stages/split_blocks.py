"""Deal all blocks to folds and sides: clips/, blocks/, duplicates.csv -> split.csv, metrics/split.json."""

import dataclasses
from pathlib import Path

from pipeline.console import run_stage
from pipeline.params import load_params
from pipeline.split.choices import Choices
from pipeline.split.corpora import split_corpora
from pipeline.split.selection import Use
from pipeline.store.claims import claimed
from pipeline.store.paths import SPLIT, SPLIT_METRICS, VARIANTS


def main(params: Path = Path("params.yaml")) -> None:
    p = load_params(params)
    names = {field.name for field in dataclasses.fields(Choices)}
    with claimed(SPLIT, VARIANTS, SPLIT_METRICS):
        split_corpora(
            p.corpora,
            Choices(**p.split.model_dump(include=names)),
            use={corpus: Use(**use.model_dump()) for corpus, use in p.split.use.items()},
            classes=p.split.classes,
            near_duplicates=p.split.near_duplicates,
            allow_leaks=p.split.allow_leaks,
            audit_fields=p.split.audit_fields,
        )


if __name__ == "__main__":
    run_stage(main)
