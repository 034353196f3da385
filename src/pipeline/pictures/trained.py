"""Which runs have been trained, and on which side of their folds a clip lies."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import ShowError, StoreError
from pipeline.store.paths import MODELS, SPLIT, model_folder, parse_run_key
from pipeline.store.tables import SplitRow, read_rows

CARD = "model.json"


def trained_runs() -> list[str]:
    """Keys of the runs whose models are here, by fold and member.

    Raises
    ------
    ShowError
        If there is none.
    """
    keys = keys_among([path.parent.name for path in MODELS.glob(f"*/{CARD}")])
    if not keys:
        raise ShowError(f"{MODELS}/: no trained model here: run `dvc repro`, or `dvc pull` or `dvc checkout` one")
    return keys


def keys_among(names: Sequence[str]) -> list[str]:
    """Those of some names that are keys of runs, by fold and member."""
    keys = []
    for name in names:
        try:
            keys.append((*parse_run_key(name), name))
        except StoreError:
            continue
    return [name for _, _, name in sorted(keys)]


def refuse_untrained(key: str) -> Path:
    """Where the model of a run lies.

    Raises
    ------
    ShowError
        If it is not there.
    """
    parse_run_key(key)
    folder = model_folder(key)
    if not (folder / CARD).is_file():
        raise ShowError(f"{folder}/: no trained model of run {key} here: there is {', '.join(trained_runs())}")
    return folder


def rows_of(clip_id: str) -> list[SplitRow]:
    """A clip's rows of the split, all folds; none if there is no split, or no such clip in it."""
    return [row for row in read_rows(SPLIT, SplitRow) if row.clip_id == clip_id] if SPLIT.is_file() else []


def choose_run(keys: Sequence[str], rows: Sequence[SplitRow]) -> str:
    """The first run on whose test side a clip with these rows is; of a clip that none tests, the first."""
    tested = {row.fold for row in rows if row.side == "test"}
    return next((key for key in keys if parse_run_key(key)[0] in tested), keys[0])
