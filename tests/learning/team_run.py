"""Training in several processes, in a process of its own: python team_run.py N KIND... trains each kind in N of them.

Each kind lies in a folder of its own name, a made project. What comes after a colon happens to process 1: die or fail
after its second step.
"""

import contextlib
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from made_run import SMALL, train

from pipeline import runs
from pipeline.augment.images import Jitter
from pipeline.console import one_line_errors
from pipeline.errors import ModelError
from pipeline.learning import resume
from pipeline.learning.launch import use_processes
from pipeline.learning.stepping import Stepper
from pipeline.learning.team import joined, team_of_environment
from pipeline.models.recurrent import Recurrence

SGD = {"optimizer": "sgd", "learning_rate": 0.01}
LAYER = {"height": 3, "width": 3, "padding": "same", "pool": 2, "batch_norm": True}
NORMED = {"convolutions": [{"filters": 8, **LAYER}, {"filters": 12, **LAYER}], "hidden": []}
BEST = {"validation": "fraction", "keep": "best"}
KINDS = {
    # blocks in batches of 7, the last one shorter
    "norms": {"network": "cnn", "options": NORMED, "batch_images": 7, **SGD, **BEST},
    "dropout": {"network": "squeezenet1_1", "batch_images": 5, "clip_norm": 0.5, "channels_last": False},
    "weights": {
        "network": "cnn",
        "class_weights": "balanced",
        "label_smoothing": 0.1,
        "sampling": "balanced",
        "jitter": Jitter(brightness=0.3, grey=0.5),
        "batch_images": 23,  # one is left over
    },
    "stops": {"network": "cnn", "stop_after": 1, "epochs": 9, "learning_rate": 1e-6, **BEST},
    "clips": {"network": "cnn", "recurrence": Recurrence(kind="bilstm", units=8), "batch_images": 6, **BEST},
    "one": {"network": SMALL, "recurrence": Recurrence(kind="lstm", units=4), "batch_images": 3, **SGD},
    "frozen": {"network": SMALL, "frozen": "all", **BEST},
}


def go(kind, **more):
    train(0, **{"epochs": 2, "validate_every": 1, **KINDS[kind], **more})


def _at_second_step(what):
    take = Stepper.take

    def then(self, *args):
        watched = take(self, *args)
        if self.run.iteration == 2 and self.team.rank == 1:
            if what == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            raise ModelError("the second step is one too many")
        return watched

    Stepper.take = then


def main(n, *kinds):
    use_processes(int(n))
    resume.MOST_SHARE = 1e9
    team = team_of_environment()
    if len(kinds) == 1:
        kind, _, what = kinds[0].partition(":")
        if what:
            _at_second_step(what)
        os.chdir(kind)
        go(kind, minutes=1e-9)
        return
    top = Path.cwd()
    with joined(team):  # once, for all kinds
        runs.joined = lambda _team: contextlib.nullcontext()
        for kind in kinds:
            os.chdir(top / kind)
            go(kind)


if __name__ == "__main__":
    with one_line_errors():
        main(*sys.argv[1:])
