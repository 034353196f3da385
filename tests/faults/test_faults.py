"""A few of each fault, quickly; `make torture` does many: python tests/faults/torture.py."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

TORTURE = Path(__file__).resolve().parent / "torture.py"


def torture(tmp_path, *options):
    """Run the harness on cheap stages in an interpreter of its own, which it forks."""
    command = [sys.executable, TORTURE, "--folder", tmp_path, "--parts", "disks", "bits", "kills"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAULT" not in done.stdout
    return done.stdout


@pytest.mark.slow
def test_killed_halted_and_cramped_stages_leave_the_old_or_the_new_and_flipped_bits_are_seen(tmp_path):
    kills, flips = 6, 3
    few = ["--until", "normalize_loudness", "--without", "synthesize_demo", "--stages", "collect_clips", "slice_blocks"]
    said = torture(tmp_path, "--kills", str(kills), "--flips", str(flips), *few)
    for stage in ("collect_clips", "slice_blocks"):
        n, *moments, with_temporary, old, new, partly, recovered, _ = map(
            int, re.search(rf"{stage} +(.+)", said)[1].split()
        )
        assert n == recovered == old + new + partly == sum(moments) == kills
        assert with_temporary >= kills / 2
        assert old > 0
    assert "two at once, 2 stages: {'refused, naming the first; the first ends well': 2}" in said
    assert "skipped" in said or re.search(r"full disks.*'one error, the old kept': [1-9]", said)
    assert "skipped" in said or "read-only disk, 2 stages: {'one line before any work': 2}" in said
    of_a_stage, by_hand = (
        {kind: tuple(map(int, counts.split())) for kind, counts in re.findall(r"^  (\.\w+) +(.+)", part, re.MULTILINE)}
        for part in said.split("flipped bits")[1:]
    )
    # refused by name, refused, no effect, another result, a traceback
    n_tables = 2  # clips.csv and blocks.csv: stages that read the others were not run
    assert of_a_stage[".csv"] == (flips * n_tables, 0, 0, 0, 0)
    assert sum(by_hand[".csv"]) == flips * n_tables
    assert by_hand[".csv"][4] == 0
    for counts in (of_a_stage, by_hand):
        refused, unnamed, harmless, other, crashed = counts[".h5"]
        assert refused + harmless == flips
        assert refused > 0
        assert other == crashed == unnamed == 0
