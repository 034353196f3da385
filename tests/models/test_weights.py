"""Starting weights: what is written, what is refused and never run, and what is downloaded from a server made here."""

import hashlib
import http.server
import pickle
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from made_run import one_thread  # noqa: F401 - a fixture
from safetensors.torch import load_file, save_file
from torch import nn
from torchvision import models

from pipeline.errors import ModelError
from pipeline.models.networks import OWN_NETWORKS, start_network
from pipeline.models.weights import fetch_weights, read_weights

REAL = Path(__file__).resolve().parents[3] / "shared/weights/squeezenet1_1-imagenet-fp16.pth"
REAL_SHA256 = "1b57ec179cadfade467ebaaac3d09eb7de61197fe4515d4bf3d8490279391bce"
NAME = "squeezenet1_1"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "weights"


@pytest.fixture
def state():
    generator = torch.Generator().manual_seed(0)
    return {"b.weight": torch.randn(4, 3, generator=generator), "a.n": torch.tensor(5), "a.bias": torch.zeros(4)}


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fetch(weights, folder, expected=None, name=NAME):
    return fetch_weights(name, str(weights), expected_sha256=expected, folder=folder)


def same(one, other):
    return one.keys() == other.keys() and all(
        torch.equal(one[key], other[key]) and one[key].dtype == other[key].dtype for key in one
    )


# random


def test_random_writes_the_note_only(folder, state, tmp_path):
    assert fetch("random", folder) == {"network": NAME, "weights": "random"}
    assert [path.name for path in folder.iterdir()] == ["source.json"]
    assert read_weights(folder, NAME) == (None, {"network": NAME, "weights": "random"})
    # and leaves nothing of what was there before
    torch.save(state, tmp_path / "w.pth")
    fetch(tmp_path / "w.pth", folder)
    fetch("random", folder)
    assert [path.name for path in folder.iterdir()] == ["source.json"]


def test_an_unknown_network_is_refused_before_anything_is_written(folder):
    with pytest.raises(ModelError, match=r"no classification network 'resnet19'"):
        fetch("random", folder, name="resnet19")
    assert not folder.exists()


# a path


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
def test_a_file_comes_in_unchanged_with_its_digest(folder, state, tmp_path, suffix):
    path = tmp_path / f"mine{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(state, path)
    note = fetch(path, folder, expected=sha256(path))
    assert {key: note[key] for key in ("network", "weights", "sha256")} == {
        "network": NAME,
        "weights": path.name,  # where it lay on this machine is nobody's business
        "sha256": sha256(path),
    }
    assert same(load_file(folder / "weights.safetensors"), state)
    read, said = read_weights(folder, NAME)
    assert same(read, state)
    assert said == {"network": NAME, "weights": path.name, "sha256": sha256(path)}


def test_the_same_weights_are_written_as_the_same_bytes(state, tmp_path):
    torch.save(state, tmp_path / "one.pth")
    torch.save(dict(reversed(state.items())), tmp_path / "two.pth")
    for name in ("one", "two"):
        fetch(tmp_path / f"{name}.pth", tmp_path / name)
    assert sha256(tmp_path / "one/weights.safetensors") == sha256(tmp_path / "two/weights.safetensors")


def test_half_precision_weights_start_a_float32_network(folder, tmp_path):
    own = models.squeezenet1_1(weights=None).half().state_dict()
    torch.save(own, tmp_path / "half.pth")
    fetch(tmp_path / "half.pth", folder)
    read, _ = read_weights(folder, NAME)
    network = start_network(NAME, n_classes=3, weights=read, init="kaiming", seed=0)
    weight = network.trunk.state_dict()["features.0.weight"]
    assert weight.dtype == torch.float32
    assert torch.equal(weight, own["features.0.weight"].float())


def test_another_digest_than_the_one_asked_for_is_refused(folder, state, tmp_path):
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(ModelError, match=f"{sha256(tmp_path / 'w.pth')}, not model.weights_sha256 {'0' * 64}"):
        fetch(tmp_path / "w.pth", folder, expected="0" * 64)
    assert not folder.exists()


@pytest.mark.parametrize("path", ["nowhere.pth", ".", "Imagenet"])
def test_what_is_no_file_is_refused(folder, path):
    with pytest.raises(ModelError, match=r"no such file: give random, imagenet or the path of a state dict"):
        fetch(path, folder)


class Touches:
    """Unpickled with code allowed, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.mark.parametrize("switched_off", [False, True])
@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_file_is_refused_and_not_run(folder, state, tmp_path, monkeypatch, switched_off, legacy):
    if switched_off:
        monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    path, mark = tmp_path / "evil.pth", tmp_path / "ran"
    torch.save({**state, "x": Touches(str(mark))}, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(ModelError, match=r"evil\.pth: damaged, or holds more than tensors.*state_dict\(\) alone"):
        fetch(path, folder)
    assert not mark.exists()
    assert not folder.exists()
    torch.load(path, weights_only=False)["x"].close()  # it would have
    assert mark.exists()


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_bare_pickle_is_refused_and_not_run(folder, tmp_path, protocol):
    path, mark = tmp_path / "evil.pth", tmp_path / "ran"
    path.write_bytes(pickle.dumps(Touches(str(mark)), protocol=protocol))
    with pytest.raises(ModelError, match="damaged, or holds more"):
        fetch(path, folder)
    assert not mark.exists()


@pytest.mark.parametrize(
    "content",
    [torch.zeros(3), {}, {"state_dict": {"a": torch.zeros(1)}}, [torch.zeros(1)], {"a": torch.zeros(1), "n": 3}],
)
def test_what_is_no_state_dict_is_refused(folder, tmp_path, content):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(ModelError, match=r"w\.pth: not a plain state dict of squeezenet1_1"):
        fetch(tmp_path / "w.pth", folder)


def test_a_whole_network_is_refused(folder, tmp_path):
    torch.save(nn.Linear(2, 2), tmp_path / "w.pth")
    with pytest.raises(ModelError, match=r"damaged, or holds more"):
        fetch(tmp_path / "w.pth", folder)


def test_weights_that_are_not_numbers_are_refused(folder, state, tmp_path):
    state["b.weight"][1, 2] = float("nan")
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(ModelError, match=r"NaN or infinity in b\.weight"):
        fetch(tmp_path / "w.pth", folder)


def refusal(path, folder):
    try:
        fetch(path, folder)
    except ModelError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_damaged_file_is_refused_in_one_line_or_loads_whole(folder, state, tmp_path, suffix):
    path = tmp_path / f"w{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(state, path)
    good, rng = path.read_bytes(), np.random.default_rng(0)
    refused = 0
    for trial in range(60):
        bad = bytearray(good[: rng.integers(len(good))] if trial % 3 == 0 else good)
        for place in rng.integers(len(bad) or 1, size=0 if trial % 3 == 0 else 8):
            bad[place] ^= 1 << rng.integers(8)
        path.write_bytes(bad)
        said = refusal(path, folder)
        refused += bool(said)
        assert "\n" not in said
        assert said == "" or path.name in said
    assert refused >= 20  # every truncated one at least; a flipped number alone is caught by weights_sha256
    for junk in (b"", b"<html>404</html>", b"version https://git-lfs.github.com/spec/v1\n", bytes(1000), b"PK\x03\x04"):
        path.write_bytes(junk)
        with pytest.raises(ModelError):
            fetch(path, folder)


# what was fetched, read back


def test_a_copy_that_was_damaged_later_is_refused(folder, state, tmp_path):
    torch.save(state, tmp_path / "w.pth")
    fetch(tmp_path / "w.pth", folder)
    copy = folder / "weights.safetensors"
    content = bytearray(copy.read_bytes())
    content[-1] ^= 1
    copy.write_bytes(content)
    with pytest.raises(ModelError, match=r"weights\.safetensors: missing or damaged .*dvc repro"):
        read_weights(folder, NAME)
    copy.unlink()
    with pytest.raises(ModelError, match=r"weights\.safetensors: missing or damaged .*dvc repro"):
        read_weights(folder, NAME)


def test_the_weights_of_another_network_are_refused(folder):
    fetch("random", folder)
    with pytest.raises(ModelError, match=r"weights of squeezenet1_1, not of alexnet: run `dvc repro`"):
        read_weights(folder, "alexnet")


# imagenet


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server on this machine, torchvision's address turned to it, and an empty cache."""
    served = tmp_path / "served"
    served.mkdir()
    requests = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *rest):
            super().__init__(*rest, directory=str(served))

        def log_message(self, *_):
            requests.append(self.path)

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")

    def publish(content, digest):
        name = f"squeezenet1_1-{digest[:8]}.pth"
        (served / name).write_bytes(content)
        address = f"http://127.0.0.1:{running.server_address[1]}/{name}"
        monkeypatch.setattr(models.WeightsEnum, "url", property(lambda _: address))
        return address

    publish.requests, publish.stop = requests, running.shutdown
    publish.cached = lambda: sorted(path.name for path in (tmp_path / "cache").rglob("*") if path.is_file())
    yield publish
    running.shutdown()
    running.server_close()
    thread.join()


@pytest.fixture
def published(state, tmp_path):
    """Bytes of a state dict, and their digest."""
    torch.save(state, tmp_path / "published.pth")
    content = (tmp_path / "published.pth").read_bytes()
    return content, hashlib.sha256(content).hexdigest()


def test_imagenet_weights_are_downloaded_once_and_checked(server, published, folder, state):
    content, digest = published
    server(content, digest)
    note = fetch("imagenet", folder)
    assert note["sha256"] == digest
    assert note["weights"] == "imagenet (SqueezeNet1_1_Weights.IMAGENET1K_V1)"
    assert same(read_weights(folder, NAME)[0], state)
    assert server.cached() == [f"squeezenet1_1-{digest[:8]}.pth"]
    fetch("imagenet", folder)
    assert len(server.requests) == 1


def test_a_download_that_is_not_what_its_name_says_is_refused(server, published, folder):
    content, digest = published
    address = server(content[:-1] + b"x", digest)
    with pytest.raises(ModelError) as caught:
        fetch("imagenet", folder)
    assert f"{address} could not be had (invalid hash value" in str(caught.value)
    assert server.cached() == []
    assert not folder.exists()


def test_a_damaged_file_in_the_cache_is_refused(server, published, folder, tmp_path):
    content, digest = published
    server(content, digest)
    fetch("imagenet", folder)
    (cached,) = (tmp_path / "cache").rglob("*.pth")
    cached.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ModelError, match=r"squeezenet1_1-.* is damaged .* delete it, try again"):
        fetch("imagenet", folder)


def test_without_the_network_the_error_says_what_to_do(server, published, folder, monkeypatch):
    address = server(*published)
    missing = address.replace("squeezenet1_1", "absent")
    nobody = "http://127.0.0.1:1/squeezenet1_1-00000000.pth"
    for unreachable in (missing, nobody, "nonsense://x/squeezenet1_1-00000000.pth"):
        monkeypatch.setattr(models.WeightsEnum, "url", property(lambda _, url=unreachable: url))
        with pytest.raises(ModelError) as caught:
            fetch("imagenet", folder)
        text = str(caught.value)
        assert unreachable in text
        assert "download it elsewhere into" in text
        assert "or set model.weights to its path, or to random" in text
    assert not folder.exists()


# the real ones


@pytest.mark.skipif(not REAL.is_file(), reason=f"needs {REAL.name} in shared/weights beside the project")
def test_the_real_imagenet_weights_see_what_torchvision_sees(folder):
    note = fetch(REAL, folder, expected=REAL_SHA256)
    assert note["sha256"] == REAL_SHA256
    own = models.squeezenet1_1(weights=None)
    own.load_state_dict(torch.load(REAL, weights_only=True))
    own.eval()
    weights, _ = read_weights(folder, NAME)
    ours = start_network(NAME, n_classes=1000, weights=weights, init="kaiming", seed=0).eval()
    images = torch.randn(2, 3, 227, 240, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(ours.logits_and_features(images)[1], own.features(images).mean(dim=(2, 3)))
        # the same head makes the same network
        ours.head.load_state_dict(own.classifier[1].state_dict())
        assert torch.equal(ours(images), own(images))


def test_a_network_of_our_own_has_no_imagenet_weights(tmp_path, monkeypatch):
    monkeypatch.setitem(OWN_NETWORKS, "own", lambda: torch.nn.Linear(3, 1000))
    with pytest.raises(ModelError, match="no imagenet weights of own: give random or a path"):
        fetch_weights("own", "imagenet", expected_sha256=None, folder=tmp_path)
