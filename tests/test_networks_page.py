"""docs/networks.md: its table is of the networks that there are, its settings are taken as DVC takes them."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
import torch
from dvc.utils.hydra import apply_overrides

from pipeline.models.networks import OWN_NETWORKS, Network, start_network
from pipeline.params import load_params

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/networks.md").read_text(encoding="utf-8")
SETTINGS = dict(re.findall(r"```settings (\w+)\n(.*?)```", PAGE, flags=re.DOTALL))
ROWS = re.findall(r"^\| `(\w+)` \|(.*?)\|(.*?)\| ([\d ]+) \| ([\dx ]+), (\d+) \|", PAGE, flags=re.MULTILINE)


def on_meta(name, shape, n_classes, **more):
    with torch.device("meta"):
        return Network(name, n_classes, shape, **more)


def test_the_table_lists_every_network_of_ours():
    assert [row[0] for row in ROWS] == list(OWN_NETWORKS)


@pytest.mark.parametrize(("name", "convolutions", "hidden", "weights", "shape", "n_classes"), ROWS)
def test_a_row_is_true(name, convolutions, hidden, weights, shape, n_classes):
    network = on_meta(name, tuple(int(n) for n in shape.split(" x ")), int(n_classes))
    assert sum(own.numel() for own in network.parameters()) == int(weights.replace(" ", ""))
    assert network.options["hidden"] == [int(n) for n in re.findall(r"\d+", hidden)]
    layers = network.options["convolutions"]
    filters = re.findall(r"(?:^|; |and )(\d+)", convolutions.strip())
    assert [layer["filters"] for layer in layers] == [int(n) for n in filters]
    assert all((layer["padding"] == "same") == ("same" in convolutions) for layer in layers)
    assert all((layer["height"] == 0) == ("full" in convolutions) for layer in layers)


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_build_a_network(name, tmp_path):
    shutil.copy(ROOT / "params.yaml", tmp_path / "params.yaml")
    words = shlex.split(SETTINGS[name])
    assert words[::2] == ["-S"] * (len(words) // 2)
    apply_overrides(tmp_path / "params.yaml", words[1::2])
    model = load_params(tmp_path / "params.yaml").model
    with torch.device("meta"):
        network = start_network(
            model.name,
            n_classes=3,
            weights=None,
            init=model.init,
            seed=0,
            dropout=model.dropout,
            shape=(3, 227, 227),
            options=model.options,
            frozen=model.frozen,
        )
    frozen = {key for key, own in network.trunk.named_parameters() if not own.requires_grad}
    expected = {f"features.{n}.{what}" for n in (0, 3, 6, 8, 10) for what in ("weight", "bias")}
    assert frozen == (expected if name == "frozen" else set())
    assert network(torch.empty(2, 3, 227, 227, device="meta")).shape == (2, 3)


def test_a_network_of_ones_own_has_the_layers_that_are_written():
    # 3 x 227 x 227: 16 filters of all rows, 227 columns, maxima of 4: 56; 32 of 1 x 5 / 2: (56 - 5) // 2 + 1 = 26
    values = re.search(r"model\.convolutions=(\[.*\])'", SETTINGS["own"])[1]
    assert "height: 0, width: 7, padding: same" in values
    layers = [
        {"filters": 16, "height": 0, "width": 7, "padding": "same", "batch_norm": True, "pool": [1, 4]},
        {"filters": 32, "height": 1, "width": 5, "stride": [1, 2]},
    ]
    network = on_meta("cnn", (3, 227, 227), 3, options={"convolutions": layers, "hidden": []})
    assert network.head.in_features == 32 * 26
