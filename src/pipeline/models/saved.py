"""Arrays and a JSON text beside them in one file of safetensors: what was fitted, saved without pickle."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from pipeline.errors import ModelError
from pipeline.store.files import written_whole

ABOUT = "about"  # key of the JSON text; one key only, for safetensors keeps no order of several


def save_fitted(path: Path, arrays: Mapping[str, NDArray[Any]], about: Mapping[str, Any]) -> None:
    """Write arrays and what is to be known of them whole or not at all; the same give the same bytes."""
    rows = {name: np.array(value, order="C") for name, value in sorted(arrays.items())}
    with written_whole(path) as temporary:
        save_file(rows, temporary, metadata={ABOUT: json.dumps(about, sort_keys=True, allow_nan=False)})


def load_fitted(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read back what `save_fitted` wrote; nothing of it is run, and a pickle is refused unread.

    Raises
    ------
    ModelError
        If it is missing or damaged, no safetensors, or without the text.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            about = json.loads((file.metadata() or {})[ABOUT])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise unfit(path, error) from None
    if not isinstance(about, dict):
        raise unfit(path, ModelError("its text is no mapping"))
    return arrays, about


def unfit(path: Path, error: Exception) -> ModelError:
    """Say of a file that it is missing, damaged, or that its arrays and its text do not fit together."""
    reason = " ".join(str(error).split())[:200]
    return ModelError(f"{path}: missing, damaged or not of this version ({reason}): run `dvc repro`")
