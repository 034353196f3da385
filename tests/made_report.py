"""A small made project as evaluation leaves it, and a reader for the page that is made of it."""

from html.parser import HTMLParser

import made_run
import numpy as np
from made_run import CORPUS, RATE, coloured, write_images

from pipeline.evaluate import How, evaluate_runs
from pipeline.report.page import write_report
from pipeline.store.files import read_json, write_json
from pipeline.store.folds import read_fold, write_outputs
from pipeline.store.paths import (
    METRICS,
    REPORT,
    baselines_h5,
    blocks_csv,
    curves_csv,
    model_folder,
    outputs_h5,
    run_key,
)
from pipeline.store.tables import Block, CurvePoint, read_rows, write_rows

REPRESENTATION = {
    "sample_rate": RATE,
    "window": "hann",
    "window_length": 64,
    "hop_seconds": 0.02,
    "fft_length": 128,
    "axis": "mel",
    "n_bands": 40,
    "min_hz": 20.0,
    "max_hz": 500.0,
    "n_columns": 50,
    "low_db": -130.0,
    "high_db": -22.0,
    "colormap": "jet",
    "n_colours": 64,
    "height": 24,
    "width": 20,
}
SECTIONS = {
    "slice": {
        "block_seconds": 2.0,
        "slide_seconds": 1.0,
        "short_clips": "repeat",
        "tail": "drop",
        "silent_blocks": "keep",
        "silent_below_lu": 40.0,
    },
    "loudness": {
        "scope": "block",
        "method": "lufs",
        "target_db": -23.0,
        "max_gain_db": 60.0,
        "over_full_scale": "keep",
    },
    "split": {**made_run.SPLIT, "audit_fields": ["speaker"]},
    "evaluate": {"n_resamples": 100, "seed": 0},
}
MEMBER = {
    "model": {
        "name": "squeezenet1_1",
        "init": "kaiming",
        "dropout": None,
        "normalise": "unit",
        "whiten": "none",
        "sequence": "none",
    },
    "train": {"epochs": 12, "optimizer": "adamw", "learning_rate": 0.0001, "keep": "last", "deterministic": True},
    "seed": 7,
}
MADE_BY = {"device": "cpu", "threads": 2, "python": "3.11.7", "packages": {"torch": "2.14.0", "numpy": "2.2.1"}}


def sure_of(labels, n_classes):
    """Probabilities (n, n_classes) that are right throughout."""
    return np.eye(n_classes)[labels] * 0.9 + 0.1 / n_classes


def make_results(
    monkeypatch,
    *,
    classes=made_run.CLASSES,
    folds=(0, 1, 2),
    members=("a",),
    answer=None,
    representation=REPRESENTATION,
    **split,
):
    """Write all that the report reads.

    `answer` changes the probabilities (n, n_classes) of a fold's blocks; `about` goes into the outputs.
    """
    monkeypatch.setattr(made_run, "CLASSES", classes)
    monkeypatch.setattr(made_run, "coloured", lambda labels: coloured([label % 3 for label in labels]))
    made_run.make_project(**split)
    blocks = read_rows(blocks_csv(CORPUS), Block)
    label_of = [next(i for i, label in enumerate(classes) if f"/{label}" in block.block_id) for block in blocks]
    write_images([block.block_id for block in blocks], made_run.coloured(label_of), **representation)
    for index in folds:
        fold = read_fold(index)
        for member in members:
            write_answers(index, fold, member, answer)
    write_baselines(folds)
    evaluate(folds, members)


def write_answers(index, fold, member, answer=None, *, validation=False, loss=2.0, **about):
    key = run_key(index, member)
    probabilities = sure_of(fold.labels, len(fold.classes))
    for row, block in zip(probabilities, fold.rows, strict=True):
        if answer and block.block_id in answer:
            row[:] = answer[block.block_id]
    start = {"network": "squeezenet1_1", "weights": "random"}
    card = {"classes": list(fold.classes), "selected_on_test": False, "start": start, **about}
    values = {"logits": np.log(probabilities).astype(np.float32), "features": np.zeros((len(probabilities), 2))}
    write_outputs(outputs_h5(key), fold, values, about=card)
    sides = ("train", "validation") if validation else ("train",)
    curve = [
        CurvePoint(iteration=3 * i, epoch=i, side=side, loss=loss / i, accuracy=0.5, uar=i / 4)
        for side in sides
        for i in (1, 2, 3)
    ]
    write_rows(curves_csv(key), CurvePoint, curve)
    write_json(model_folder(key) / "provenance.json", MADE_BY)


def write_baselines(folds):
    for index in folds:
        fold = read_fold(index)
        alike = np.full((len(fold.rows), len(fold.classes)), 1 / len(fold.classes))
        about = {"classes": list(fold.classes)}
        write_outputs(
            baselines_h5(index), fold, dict.fromkeys(("majority", "nuisance", "thumbnail"), alike), about=about
        )


def evaluate(folds=(0, 1, 2), members=("a",), **how):
    run = {"corpora": [CORPUS], "seed": {"split": 0, "members": dict.fromkeys(members, 7)}}
    return evaluate_runs(folds, members, n_resamples=100, seed=0, sample_rate=RATE, run=run, how=How(**how))


def report(members=("a",), wrong_clips=6, **sections):
    """Write the page and read it."""
    write_report(
        [CORPUS],
        sections={**SECTIONS, **sections},
        members=dict.fromkeys(members, MEMBER),
        wrong_clips=wrong_clips,
    )
    return read_page()


def read_page():
    page = Page()
    page.feed(REPORT.read_text(encoding="utf-8"))
    page.close()
    assert page.open == [], "tags that were never closed"
    return page


def change_metrics(change):
    """Change metrics.json through a function of its content."""
    metrics = read_json(METRICS)
    change(metrics)
    write_json(METRICS, metrics)


VOID = {"meta", "link", "br", "img", "hr", "input"}


class Page(HTMLParser):
    """What a reader finds on a page: texts by tag, tables by caption, every element with its attributes."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.tables, self.texts = [], [], {}, []
        self._table = None

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self._table = {"caption": "", "rows": []}
        elif tag == "tr":
            self._table["rows"].append([])
        elif tag in ("th", "td"):
            self._table["rows"][-1].append("")
        self.texts.append((tag, ""))

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag
        if tag == "table":
            self.tables[self._table["caption"]] = self._table["rows"]
            self._table = None

    def handle_data(self, data):
        inside = self.open[-1] if self.open else ""
        if inside in ("style", "script"):
            return
        self.texts.append((inside, data))
        if self._table is not None and "caption" in self.open:
            self._table["caption"] += data
        elif self._table is not None and {"th", "td"} & set(self.open):
            self._table["rows"][-1][-1] += data if self.open[-1] != "span" or "thead" in self.open else f" {data}"

    @property
    def text(self):
        """All that is to be read, with single spaces."""
        return " ".join("".join(data if data.strip() else " " for _, data in self.texts).split())

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]
