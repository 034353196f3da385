"""What `make soak` calls flat and straight."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

SOAK = Path(__file__).resolve().parents[2] / "benchmarks/soak.py"


@pytest.fixture(scope="module")
def soak():
    spec = importlib.util.spec_from_file_location("soak", SOAK)
    module = importlib.util.module_from_spec(spec)
    sys.modules["soak"] = module  # its dataclass looks for its own module
    before = list(sys.path)
    spec.loader.exec_module(module)
    sys.path[:] = before
    yield module
    del sys.modules["soak"]


def found(soak, little, much):
    costs = {"stage": soak.Cost(*little)}, {"stage": soak.Cost(*much)}
    return {10.0: (costs[1], 36000), 1.0: (costs[0], 3600)}


@pytest.mark.parametrize(
    ("little", "much", "is_flat"),
    [
        ((100, 5, 4), (109, 40, 31), True),  # 3 s a further hour
        ((100, 5, 4), (111, 40, 31), False),  # 11 % more memory
        ((100, 5, 4), (100, 80, 58), False),  # 6 s a further hour, where the first took 4
        ((100, 5, 4), (90, 5, 4), True),
    ],
)
def test_memory_may_grow_by_a_tenth_and_time_by_as_much_an_hour(soak, little, much, is_flat):
    text, flat = soak.table(found(soak, little, much))
    assert flat is is_flat
    assert ("!" in text) is not is_flat
    assert "1 h: 3600 blocks; 10 h: 36000 blocks" in text


def test_growth_is_told_in_bytes_a_block(soak):
    text, _ = soak.table(found(soak, (100, 5, 4), (200, 5, 4)))
    assert f"| {round(100 * 2**20 / 32400)} |" in text


def test_as_much_sound_is_made_as_was_asked_for_and_no_clip_twice(soak, tmp_path):
    soak.make_sound(tmp_path, 0.1)
    files = sorted(tmp_path.rglob("*.wav"))
    assert {path.parent.name for path in files} == {"high", "low"}
    assert sum(soundfile.info(path).duration for path in files) == pytest.approx(360)
    assert len({path.read_bytes() for path in files}) == len(files)


def test_a_stage_that_fails_ends_the_soak_with_what_it_said(soak, tmp_path):
    with pytest.raises(SystemExit, match=r"slice_blocks: exit 1: error: params.yaml"):
        soak.run_stage(tmp_path, "slice_blocks", "mine")


def test_a_stage_is_measured(soak, tmp_path):
    soak.write_params(tmp_path / "w")
    soak.make_sound(tmp_path / "w/data/raw/mine", 0.02)
    # In a process of its own, as `make soak` is: what a large parent holds at the start counts as its child's peak.
    code = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[1]); import soak\n"
        "cost = soak.run_stage(pathlib.Path(sys.argv[2]), 'collect_clips', 'mine'); print(cost.mib, cost.cpu_seconds)"
    )
    command = [sys.executable, "-c", code, str(SOAK.parent), str(tmp_path / "w")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    mib, cpu_seconds = map(float, done.stdout.split())
    assert 20 < mib < 1000
    assert cpu_seconds > 0
    assert (tmp_path / "w/data/processed/clips/mine/clips.csv").is_file()
