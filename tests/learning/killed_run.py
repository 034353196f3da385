"""A training run in a process of its own, that tests kill: python killed_run.py KIND [ITERATION | in-write | in-note].

With ITERATION it kills itself after so many steps, with in-write in the middle of writing its state, with in-note
between the state and the note that names it.
"""

import os
import signal
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from made_run import SMALL, train

from pipeline.augment.images import Jitter
from pipeline.learning import resume
from pipeline.learning.progress import Progress
from pipeline.models.recurrent import Recurrence

EPOCHS = int(os.environ.get("EPOCHS", "6"))
COSINE = {"schedule": "cosine", "warmup_epochs": 2.0}
KINDS = {
    "small": {"network": "flat", "recurrence": Recurrence(kind="lstm", units=4)},
    "blocks": {
        "network": "squeezenet1_1",  # its dropout draws random numbers in every step
        "validation": "fraction",
        "keep": "best",
        "head_rate_factor": 5.0,
        **COSINE,
    },
    "sequences": {
        "network": SMALL,
        "recurrence": Recurrence(kind="bilstm", units=8, layers=2),
        "dropout": 0.3,
        "optimizer": "sgd",
        "momentum": 0.9,
        "schedule": "cyclical",
    },
    "frozen": {"network": "squeezenet1_1", "frozen": "all"},
    "bf16": {"network": SMALL, "precision": "bf16", "clip_norm": 0.5, "schedule": "exponential", "rate_factor": 0.9},
    "balanced": {
        "network": SMALL,
        "sampling": "balanced",
        "jitter": Jitter(brightness=0.3),
        "validation": "fraction",
        "stop_after": 1000,
        "loss": "hinge",
    },
}


def run(kind, *, minutes=1e-9, epochs=EPOCHS):
    """Train, the state being kept after every step."""
    resume.MOST_SHARE = 1e9
    train(0, epochs=epochs, minutes=minutes, **KINDS[kind])


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def _kill_when(when):
    save, write_json, n_saved = torch.save, resume.write_json, [0]
    if when == "in-note":
        resume.write_json = lambda *note: kill() if n_saved[0] > 3 else write_json(*note)
    elif when != "in-write":
        offer = resume.Keeper.offer

        def then_kill(self, make):
            offer(self, make)
            if make()["iteration"] >= int(when):
                kill()

        resume.Keeper.offer = then_kill

    def half(state, path):
        n_saved[0] += 1
        save(state, path)
        if when == "in-write" and n_saved[0] > 3:
            whole = Path(path).read_bytes()
            Path(path).write_bytes(whole[: len(whole) // 2])
            kill()

    torch.save = half


if __name__ == "__main__":
    start = Progress.__init__

    def say_so(self, *args, **options):
        start(self, *args, **options)
        print("begins", flush=True)

    Progress.__init__ = say_so
    if len(sys.argv) > 2:
        _kill_when(sys.argv[2])
    run(sys.argv[1])
