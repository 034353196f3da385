"""Kill every stage and DVC itself at every kind of moment, fill disks, flip bits: python tests/faults/torture.py.

A part alone: python tests/faults/torture.py --parts bits
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(Path(__file__).resolve().parent)]

from disks import LEFT, Disk, can_mount, full_disks, read_only, two_at_once
from dvc_kills import MOMENTS, kill_dvc
from flips import HOW, flip_bits
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
        old, new = make_both(folder, make_workspace, run_stage, _made(options))
        faults = [fault for part in options.parts for fault in PARTS[part](folder, old, new, options)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if faults else 0)


def _made(options):
    """The stages that are run at all."""
    return [stage for stage in list(STAGES)[: list(STAGES).index(options.until) + 1] if stage not in options.without]


def _options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="*", default=list(PARTS), choices=list(PARTS), help="what to do to them")
    parser.add_argument("--kills", type=int, default=50, help="of each stage")
    parser.add_argument("--dvc-kills", type=int, default=50, help="of dvc repro")
    parser.add_argument("--flips", type=int, default=10, help="of bits of each file")
    parser.add_argument("--stages", nargs="*", default=list(STAGES), choices=list(STAGES))
    parser.add_argument("--until", default=list(STAGES)[-1], choices=list(STAGES), help="make no results of later ones")
    parser.add_argument("--without", nargs="*", default=[], choices=list(STAGES), help="nor of these")
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
    return _say(faults)


def _on_disks(folder, old, new, options):
    shutil.copytree(new, folder / "twice")
    counts, faults = two_at_once(folder / "twice", old, new, options.stages)
    print(f"two at once, {len(options.stages)} stages: {dict(counts)}")
    if lacking := can_mount(folder):
        print(f"full and read-only disks: skipped: {lacking}", flush=True)
        return _say(faults)
    disk = Disk(folder / "disk", new)
    try:
        counts, more = full_disks(disk, old, new, options.stages)
        print(f"full disks, {len(options.stages)} stages with {', '.join(map(str, LEFT))} bytes left: {dict(counts)}")
        counts, others = read_only(disk, options.stages)
        print(f"read-only disk, {len(options.stages)} stages: {dict(counts)}", flush=True)
    finally:
        disk.close()
    return _say(faults + more + others)


def _flip(folder, _, new, options):
    return [fault for by_hand in (False, True) for fault in _flip_files(folder, new, options, by_hand=by_hand)]


def _flip_files(folder, new, options, *, by_hand):
    workspace = folder / "flipped"
    shutil.copytree(new, workspace)
    some = {"readers": _made(options), "flips": options.flips, "rng": seeded(options.seed)}
    counts, faults = flip_bits(workspace, new, options.stages, **some, by_hand=by_hand)
    whose = "made by hand" if by_hand else "of a stage"
    print(f"flipped bits, {options.flips} in each file {whose:13}" + "".join(f"{name:>17}" for name in HOW))
    for kind, found in sorted(counts.items()):
        print(f"  {kind:41}" + "".join(f"{found[name]:>17}" for name in HOW), flush=True)
    shutil.rmtree(workspace)
    return _say(faults)


def _kill_dvc(folder, _old, _new, options):
    start = time.monotonic()
    one = kill_dvc(folder, kills=options.dvc_kills, rng=seeded(options.seed))
    n = sum(one.moments[name] for name in MOMENTS)
    print(f"\ndvc repro: {n} kills in {time.monotonic() - start:.0f} s")
    for name in MOMENTS:
        print(f"  {name:20}{one.moments[name]:>5}")
    print(f"  {one.stuck} left a file that DVC cannot read; in {one.outlived} a stage outlived DVC")
    print(f"  mended by the doctor: {dict(sorted(one.said.items()))}")
    print(
        f"  {one.recovered} of {n}: after `emospec doctor` and `dvc repro` all bytes are an undisturbed run's",
        flush=True,
    )
    return _say([f"dvc repro: {fault}" for fault in one.faults])


def _say(faults):
    for fault in faults:
        print(f"FAULT: {fault}", flush=True)
    return faults


PARTS = {"disks": _on_disks, "bits": _flip, "kills": _kill_stages, "dvc": _kill_dvc}

if __name__ == "__main__":
    main()
