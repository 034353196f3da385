"""Made results in a made git repository: metrics.json, split.json and tables of answers that agree with one another."""

import json
import subprocess
from pathlib import Path

import numpy as np

from pipeline.metrics import evaluate_level
from pipeline.store.paths import METRICS, PLOTS, SPLIT_METRICS
from pipeline.store.tables import Answer, write_rows

ROOT = Path(__file__).resolve().parents[1]
CLASSES = ("anger", "joy", "neutral")
CLIPS_PER_CLASS, BLOCKS = 10, 4
LEAKAGE = {"clip_in_training": 0.0, "event_in_training": 0.5, "overlaps_training": 0.0, "unit_in_training": 0.0}


def git(*arguments, cwd="."):
    identity = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.org", "-c", "init.defaultBranch=main")
    done = subprocess.run(["git", *identity, *arguments], cwd=cwd, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(message="results"):
    git("add", "-A")
    git("commit", "--quiet", "--allow-empty", "-m", message)
    return git("rev-parse", "HEAD")


def other(label):
    return CLASSES[(CLASSES.index(label) + 1) % len(CLASSES)]


def made_answers(wrong=(), clips_per_class=CLIPS_PER_CLASS):
    """Rows of both levels; all blocks of the clips numbered in `wrong`, and the clip itself, are answered wrongly."""
    clips = [(f"made/{label}{i}.wav", label) for label in CLASSES for i in range(clips_per_class)]

    def rows(n):
        return [
            Answer(
                clip_id=clip,
                unit=clip,
                actual=label,
                predicted=other(label) if number in set(wrong) else label,
                n=n,
            )
            for number, (clip, label) in enumerate(clips)
        ]

    return {"clip": rows(1), "block": rows(BLOCKS)}


def level_of(rows, unit="clip", untrained=()):
    """Metrics of a table, by the package's own function."""
    times = [row.n for row in rows]
    actual = np.repeat([CLASSES.index(row.actual) for row in rows], times)
    predicted = np.repeat([CLASSES.index(row.predicted) for row in rows], times)
    _, units = np.unique([row.unit for row in rows], return_inverse=True)
    return evaluate_level(
        actual,
        np.eye(len(CLASSES))[predicted],
        np.repeat(units, times),
        classes=CLASSES,
        unit_name=unit,
        n_resamples=100,
        seed=0,
        learned=np.array([name not in untrained for name in CLASSES]),
    )


def write_results(
    wrong=(), *, answers=None, metrics=None, split=None, corpora=None, how=None, untrained=(), folder="."
):
    """Write one result into a folder; keywords change parts of metrics.json, split.json and of their inner mappings."""
    folder = Path(folder)
    how = {**({"untrained": list(untrained)} if untrained else {}), **(how or {})}
    answers = made_answers(wrong) if answers is None else answers
    counts = {
        level: {name: n for name, n in level_of(rows)["n"].items() if name != "total"}
        for level, rows in answers.items()
    }
    made = {
        **{level: level_of(rows, untrained=untrained) for level, rows in answers.items()},
        "corpora": ["made"],
        "seed": {"split": 0, "members": {"a": 0}},
        "selected_on_test": False,
        "split": {"by": "clip", "method": "kfold", "n_folds": 3, "folds": [0, 1, 2], "leakage": LEAKAGE, **how},
        **(metrics or {}),
    }
    corpus = {
        "clips": counts["clip"],
        "blocks": counts["block"],
        "seconds": 300.04,
        "rejected": 0,
        "missing": 0,
        "unused_clips": {},
        **(corpora or {}),
    }
    (folder / PLOTS).mkdir(parents=True, exist_ok=True)
    (folder / METRICS).write_text(json.dumps(made))
    (folder / SPLIT_METRICS).write_text(
        json.dumps({"clips": 1, "blocks": 1, "corpora": {"made": corpus}, **(split or {})})
    )
    for level, rows in answers.items():
        write_rows(folder / PLOTS / f"confusion_{level}.csv", Answer, rows)


def make_repository(wrong=(), **options):
    """Make the working folder a repository with params.yaml and one committed result."""
    git("init", "--quiet")
    Path("params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    write_results(wrong, **options)
    return commit()
