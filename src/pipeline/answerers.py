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

    about: Sequence[Mapping[str, Any]]  # what each fold's outputs say of themselves
    tested: Mapping[int, NDArray[Any]]  # logits of each fold's test blocks (n, k)
    temperatures: Mapping[int, Temperature]  # of each fold, fitted on one of its sides; empty: not asked for

    def logits(self, *, scaled: bool = False) -> Floats:
        """Logits of the test blocks of all folds (n, k), `scaled` divided by each fold's temperature.

        Raises
        ------
        MetricsError
            If one is NaN or infinite.
        """
        parts = []
        for fold, own in self.tested.items():
            values = own.astype(np.float64)
            softmax(values)  # refuses what is not finite
            parts.append(values / self.temperatures[fold].value if scaled else values)
        return np.concatenate(parts)


def read_answerer(
    sides: Mapping[int, Fold],
    name: str,
    *,
    path_of: Callable[[str], Path] = outputs_h5,
    calibrate_on: str | None = None,
) -> Answerer:
    """Read the outputs of a member (or of whatever `path_of` finds by FOLD-NAME) for each fold.

    With `calibrate_on`, a temperature is fitted for each fold on that side, without the classes that training lacks.

    Raises
    ------
    MetricsError
        If they are not of the present split, or a logit of that side is NaN or infinite.
    """
    about, tested, temperatures = [], {}, {}
    for fold, side in sides.items():
        only = ("test",) if calibrate_on is None else None
        outputs = read_outputs_of(side, path_of(run_key(fold, name)), "logits", only=only)
        about.append(outputs.about)
        tested[fold] = logits = outputs.values["logits"]
        if calibrate_on is not None:
            temperatures[fold] = _fit(logits, side, calibrate_on)
            tested[fold] = logits[side.on("test")]
    return Answerer(about, tested, temperatures)


def _fit(logits: NDArray[Any], fold: Fold, side: str) -> Temperature:
    learned = np.isin(fold.labels, fold.labels[fold.on("train")])
    chosen = fold.on(side) & learned
    if chosen.any():
        softmax(logits[chosen])  # refuses what is not finite
    return fit_temperature(logits[chosen], fold.labels[chosen])


def read_outputs_of(
    fold: Fold, path: Path, *names: str, optional: Sequence[str] = (), only: Sequence[str] | None = None
) -> Outputs:
    """Read outputs of a fold, as `read_outputs` does, and refuse those of another split."""
    outputs = read_outputs(path, *names, optional=optional, only=only)
    if not fold.is_answered_by(outputs):
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
