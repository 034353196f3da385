"""Confidence against accuracy, as points to draw, and the calibration of each classifier in a table."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import StoreError
from pipeline.findings import figure
from pipeline.report.axes import Tick, linear_ticks
from pipeline.report.facts import Table
from pipeline.report.scores import Score, classifiers, score_of
from pipeline.store.paths import PLOTS
from pipeline.store.tables import Reliability

LEAST_RADIUS, RADIUS = 2.0, 7.0


@dataclass(frozen=True)
class Point:
    """One bin of the diagram."""

    at: tuple[float, float]  # confidence and accuracy
    radius: float  # its square grows with the answers in the bin


@dataclass(frozen=True)
class ReliabilityPanel:
    """The diagram of one level."""

    level: str
    points: Sequence[Point]
    ticks: Sequence[Tick]
    ece: Score
    confidence: float
    accuracy: float
    most: int  # answers in the fullest bin


def reliability_panels(
    rows: Sequence[Reliability], metrics: Mapping[str, Any], levels: Sequence[str]
) -> list[ReliabilityPanel]:
    """Arrange the rows of reliability.csv, a panel for each level.

    Raises
    ------
    StoreError
        If it has no answers of a level.
    """
    panels = []
    for level in levels:
        own = [row for row in rows if row.level == level]
        most = max((row.n for row in own), default=0)
        if most < 1:
            raise StoreError(f"{PLOTS / 'reliability.csv'}: has no {level}s: run `dvc repro -f evaluate_model`")
        how = metrics[level]["calibration"]
        panels.append(
            ReliabilityPanel(
                level=level,
                points=[
                    Point((row.confidence, row.accuracy), max(LEAST_RADIUS, RADIUS * math.sqrt(row.n / most)))
                    for row in own
                ],
                ticks=linear_ticks(0, 1, at_most=6),
                ece=score_of(how, "ece"),
                confidence=how["confidence"],
                accuracy=metrics[level]["accuracy"],
                most=most,
            )
        )
    return panels


def calibration_table(metrics: Mapping[str, Any], levels: Sequence[str]) -> Table:
    """Calibration of the model, its members and ensembles, per level."""
    rows = []
    for level in levels:
        for name, _, scores in classifiers(metrics, level, baselines=False):
            how = scores["calibration"]
            ece = score_of(how, "ece")
            rows.append(
                [
                    f"{name}, per {level}",
                    *(figure(value) for value in (how["confidence"], scores["accuracy"], how["ece"])),
                    ece.interval,
                    *(figure(how[key]) for key in ("adaptive_ece", "brier", "log_loss")),
                ]
            )
    columns = ["classifier", "confidence", "accuracy", "ECE", "interval", "adaptive ECE", "Brier", "log loss"]
    return Table("Calibration", columns, rows, figures=True)


def temperature_table(metrics: Mapping[str, Any]) -> Table | None:
    """Name the temperature of each run; None where there are none."""
    scaling = metrics.get("temperature_scaling")
    if scaling is None:
        return None
    words = {
        "fitted": "",
        "at_bound": "the best lies outside 0.2 to 100",
        "too_few": "fewer than 10 blocks: not fitted",
    }
    rows = [
        [key, f"{run['temperature']:.3g}", str(run["n"]), words[run["found"]]] for key, run in scaling["runs"].items()
    ]
    return Table("Temperatures, by fold and member", ["run", "temperature", "blocks", ""], rows, figures=True)
