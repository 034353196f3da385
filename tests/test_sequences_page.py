"""docs/sequences.md: its settings are taken as DVC takes them, and choose what the page says."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from dvc.utils.hydra import apply_overrides

from pipeline.params import load_params

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/sequences.md").read_text(encoding="utf-8")
SETTINGS = dict(re.findall(r"```settings (\w+)\n(.*?)```", PAGE, flags=re.DOTALL))


def chosen(name, folder):
    shutil.copy(ROOT / "params.yaml", folder / "params.yaml")
    words = shlex.split(SETTINGS[name])
    assert words[::2] == ["-S"] * (len(words) // 2)
    apply_overrides(folder / "params.yaml", words[1::2])
    return load_params(folder / "params.yaml")


def test_an_lstm_on_the_values_of_blocks_as_anand(tmp_path):
    p = chosen("sequence_flat", tmp_path)
    assert (p.model.name, p.model.sequence) == ("flat", "lstm")
    assert p.slice.block_seconds == p.slice.slide_seconds == 0.512
    assert p.representation.kind == "stack"


def test_end_to_end(tmp_path):
    p = chosen("sequence_end_to_end", tmp_path)
    assert (p.model.name, p.model.sequence, p.model.sequence_blocks) == ("squeezenet1_1", "bilstm", 16)


def test_in_two_steps(tmp_path):
    p = chosen("sequence_head", tmp_path)
    assert p.runs.heads == ("over_time",)
    assert p.heads["over_time"].recipe["options"]["units"] == 64


@pytest.mark.parametrize("key", ["split.by=block", "split.balance=train", "split.method=matched"])
def test_what_the_page_says_is_refused_stands_there(key):
    assert f"`{key}`" in PAGE
