"""One flipped bit in a file between two stages: does the stage that reads it notice?"""

import shutil
from collections import Counter, defaultdict
from pathlib import Path

from disks import one_error
from forked import run_stage
from made_workspace import ITEMS, PIPELINE, STAGES, files_under, outputs_of

from pipeline.store.paths import LOCKS

# Who reads the values of a file, where another stage looks at it before, but not at these. None: no stage.
READERS = {
    "data/processed/spectrograms/mine.h5": "train_model",
    "data/processed/outputs/0-a.h5": "evaluate_model",
    "data/processed/frames/mine.h5": None,  # there are no videos: it is empty
    "data/processed/clips/mine/rejected.csv": "split_blocks",
    "data/processed/clips/mine/missing.csv": "split_blocks",
    "data/processed/clips/mine/noted.csv": None,
    "models/0-a/provenance.json": "report",
    "data/processed/heads/sources/heads.json": None,
    "data/processed/heads/0-h/head.safetensors": None,
    "data/processed/heads/0-h/head.json": None,
    "data/processed/heads/0-h/provenance.json": None,
}
DIGESTED = (".h5", ".safetensors")  # kinds of files that carry digests of their values: bits between them say nothing
HOW = ("refused by name", "refused", "no effect", "another result", "crash")


def reader_of(writer, name):
    """The first stage after another that reads one of its files."""
    if name in READERS:
        return READERS[name]
    later = list(STAGES)[list(STAGES).index(writer) + 1 :]
    for stage in later:
        deps = [dep for dep in PIPELINE[stage].get("deps", []) if not dep.startswith(("src/", "stages/"))]
        for key, value in ITEMS.items():
            deps = [dep.replace(f"${{item.{key}}}", value) for dep in deps]
        if any(name == dep or name.startswith(f"{dep}/") for dep in deps):
            return stage
    return None


def flip_bits(workspace, new, stages, *, readers, flips, rng, by_hand=False):
    """Flip bits of every file that stages write, one at a time; count what became of each, by kind of file.

    `readers`: stages that were run, and can be run again to read them.
    `by_hand`: nothing says what stages wrote, as where people made the files; their readers alone see the damage.
    """
    counts, faults = defaultdict(Counter), []
    for writer in stages:
        for name, content in files_under(new, outputs_of(writer)).items():
            reader, kind = reader_of(writer, name), Path(name).suffix
            if reader not in readers or not content:
                continue
            for _ in range(flips):
                bit = rng.randrange(8 * len(content))
                damaged = bytearray(content)
                damaged[bit // 8] ^= 1 << bit % 8
                (workspace / name).write_bytes(damaged)
                for record in (workspace / LOCKS).glob("*.known") if by_hand else ():
                    record.unlink()
                how = _outcome(workspace, new, reader, name)
                counts[kind][how.partition(":")[0]] += 1
                if how.partition(":")[0] not in _allowed(kind, by_hand=by_hand):
                    faults.append(f"{name}, bit {bit}, read by {reader}: {how}")
            (workspace / name).write_bytes(content)
    return counts, faults


def _allowed(kind, *, by_hand):
    if kind in DIGESTED:
        return ("refused by name", "no effect")
    return HOW[:-1] if by_hand else HOW[:1]


def _outcome(workspace, new, reader, name):
    done = run_stage(workspace, reader, STAGES[reader])
    there, wanted = (files_under(place, outputs_of(reader)) for place in (workspace, new))
    if there != wanted:
        for path in outputs_of(reader):
            shutil.rmtree(workspace / path, ignore_errors=True)
        for path, content in wanted.items():
            (workspace / path).parent.mkdir(parents=True, exist_ok=True)
            (workspace / path).write_bytes(content)
    if done.code == 0:
        return "no effect" if there == wanted else "another result"
    if one_error(done, name) or one_error(done, Path(name).parent.as_posix()):
        return "refused by name"
    return "refused" if one_error(done) else f"crash: exit {done.code}: {done.said[-300:]}"
