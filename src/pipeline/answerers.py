"""What answers to the blocks of a fold: reads its logits, sets its temperature, and joins several to one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.calibration import Temperature, fit_temperature
from pipeline.errors import MetricsError
from pipeline.metrics import Floats, softmax
from pipeline.store.folds import Fold, Outputs, read_outputs
from pipeline.store.paths import outputs_h5, run_key


@dataclass(frozen=True)
class Answerer:
    """A member, or anything else that gives logits for every block of every fold that was run."""

    outputs: Mapping[int, Outputs]  # of each fold

    @property
    def about(self) -> list[dict[str, Any]]:
        """What each fold's outputs say of themselves."""
        return [output.about for output in self.outputs.values()]

    def logits(self, sides: Mapping[int, Fold], temperatures: Mapping[int, Temperature] | None = None) -> Floats:
        """Logits of the test blocks of all folds (n, k), divided by each fold's temperature.

        Raises
        ------
        MetricsError
            If one is NaN or infinite.
        """
        parts = []
        for fold, side in sides.items():
            values = self.outputs[fold].values["logits"][side.on("test")].astype(np.float64)
            softmax(values)  # refuses what is not finite
            parts.append(values if temperatures is None else values / temperatures[fold].value)
        return np.concatenate(parts)

    def temperatures(self, sides: Mapping[int, Fold], *, side: str) -> dict[int, Temperature]:
        """Fit a temperature for each fold on one of its sides, without the classes that training lacks."""
        found = {}
        for fold, rows in sides.items():
            learned = np.isin(rows.labels, rows.labels[rows.on("train")])
            chosen = rows.on(side) & learned
            logits = self.outputs[fold].values["logits"][chosen]
            if len(logits):
                softmax(logits)  # refuses what is not finite
            found[fold] = fit_temperature(logits, rows.labels[chosen])
        return found


def read_answerer(sides: Mapping[int, Fold], name: str, *, path_of: Callable[[str], Path] = outputs_h5) -> Answerer:
    """Read the outputs of a member (or of whatever `path_of` finds by FOLD-NAME) for each fold."""
    return Answerer(
        {fold: read_outputs_of(side, path_of(run_key(fold, name)), "logits") for fold, side in sides.items()}
    )


def read_outputs_of(fold: Fold, path: Path, *names: str, optional: Sequence[str] = ()) -> Outputs:
    """Read outputs of a fold, and refuse those of another split."""
    outputs = read_outputs(path, *names, optional=optional)
    now = [row.block_id for row in fold.rows], [row.side for row in fold.rows], list(fold.classes)
    if (outputs.block_ids, outputs.sides, list(outputs.about["classes"])) != now:
        raise MetricsError(f"{path}: predicts other blocks, sides or classes than the present split: run `dvc repro`")
    return outputs


def join(logits: Sequence[NDArray[Any]], mean: str) -> Floats:
    """Probabilities (n, k) of several answerers together, from the logits (n, k) of each.

    Parameters
    ----------
    mean
        probabilities: the mean of their probabilities. logits: the probabilities of the mean of their logits, which
        is their normalised geometric mean.
    """
    if mean == "logits":
        return softmax(np.mean(logits, axis=0))
    joined: Floats = np.mean([softmax(one) for one in logits], axis=0)
    return joined
