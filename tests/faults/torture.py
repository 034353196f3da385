"""Kill every stage and DVC itself at every kind of moment, fill disks, flip bits: python tests/faults/torture.py."""

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(Path(__file__).resolve().parent)]

from forked import EVENTS, preload, run_stage
from kills import RANDOM, kill_stage, make_both, seeded
from made_workspace import STAGES, make_workspace

COLUMNS = (*EVENTS, RANDOM)


def main():
    options = _options()
    folder = Path(tempfile.mkdtemp(prefix="torture-", dir=options.folder))
    os.environ["DVC_NO_ANALYTICS"] = "1"
    print(f"emospec torture: {options.kills} kills a stage, seed {options.seed}", flush=True)
    try:
        preload()
        old, new = make_both(folder, make_workspace, run_stage)
        failed = _kill_stages(folder, old, new, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if failed else 0)


def _options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="of each stage")
    parser.add_argument("--dvc-kills", type=int, default=50, help="of dvc repro")
    parser.add_argument("--stages", nargs="*", default=list(STAGES), choices=list(STAGES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", default=None, help="where to work")
    return parser.parse_args()


def _kill_stages(folder, old, new, options):
    print(f"{'stage':21}{'kills':>6}" + "".join(f"{name:>17}" for name in COLUMNS), end="")
    print(f"{'temporary':>11}{'old':>6}{'new':>6}{'part':>6}{'rerun equal':>13}{'s':>7}", flush=True)
    faults, rng = [], seeded(options.seed)
    for stage in options.stages:
        workspace = folder / "killed"
        shutil.copytree(new, workspace, symlinks=True)
        start = time.monotonic()
        one = kill_stage(stage, old=old, new=new, workspace=workspace, kills=options.kills, rng=rng)
        print(f"{stage:21}{one.n:>6}" + "".join(f"{one.moments[name]:>17}" for name in COLUMNS), end="")
        print(f"{one.with_temporary:>11}{one.as_before:>6}{one.as_after:>6}{one.partly:>6}", end="")
        print(f"{one.recovered:>13}{time.monotonic() - start:>7.0f}", flush=True)
        faults += [f"{stage}: {fault}" for fault in one.faults]
        shutil.rmtree(workspace)
    for fault in faults:
        print(f"FAULT: {fault}")
    return faults


if __name__ == "__main__":
    main()
