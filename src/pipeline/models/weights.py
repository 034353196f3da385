"""Starting weights: none, ImageNet's, or a file's; copied into the project's models/ with their SHA-256."""

import os
from pathlib import Path
from urllib.error import URLError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from pipeline.errors import ModelError
from pipeline.models.networks import _torchvision_models, network_names
from pipeline.store.files import read_json, sha256_of, write_json, written_whole

SOURCE, WEIGHTS = "source.json", "weights.safetensors"


def fetch_weights(name: str, weights: str, *, expected_sha256: str | None, folder: Path) -> dict[str, str]:
    """Bring a network's starting weights into `folder`, with a note of where they came from.

    Parameters
    ----------
    weights
        random (only the note is written), imagenet (torchvision's, from its cache or downloaded), or a path.
    expected_sha256
        What a path's file must have, if given.

    Raises
    ------
    ModelError
        If the weights cannot be had, are not what they should be, or are not a plain state dict.
    """
    if name not in network_names():
        raise ModelError(f"model.name: torchvision has no classification network {name!r}; e.g. alexnet, squeezenet1_1")
    note = {"network": name, "weights": "random"}
    if weights != "random":
        state, note = _imagenet(name) if weights == "imagenet" else _from_path(name, Path(weights), expected_sha256)
        with written_whole(folder / WEIGHTS) as temporary:
            save_file(state, temporary)
    write_json(folder / SOURCE, note)
    return note


def _imagenet(name: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    models = _torchvision_models()
    weights = models.get_model_weights(name).DEFAULT  # type: ignore[attr-defined]
    try:
        # check_hash compares the file with the digest in its name.
        state = weights.get_state_dict(progress=True, check_hash=True, map_location="cpu", weights_only=True)
    except (URLError, OSError, RuntimeError) as error:
        raise ModelError(
            f"model.weights: imagenet: {weights.url} could not be had ({error}): download it elsewhere into "
            f"{Path(torch.hub.get_dir()) / 'checkpoints'}, or set model.weights to its path, or to random"
        ) from None
    cached = Path(torch.hub.get_dir()) / "checkpoints" / os.path.basename(weights.url)  # noqa: PTH119 - a URL
    return _plain(name, state), {"network": name, "weights": f"imagenet ({weights})", "sha256": sha256_of(cached)}


def _from_path(name: str, path: Path, expected: str | None) -> tuple[dict[str, Tensor], dict[str, str]]:
    if not path.is_file():
        raise ModelError(f"model.weights: {path}: no such file: give random, imagenet or the path of a state dict")
    digest = sha256_of(path)
    if expected is not None and digest != expected:
        raise ModelError(f"model.weights: {path} has SHA-256 {digest}, not model.weights_sha256 {expected}")
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            # weights_only is given, not left to the default: an environment variable can switch the default off.
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, ValueError, EOFError, _unpickling_error()) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"model.weights: {path}: not a state dict that can be loaded safely: {reason}") from None
    return _plain(name, state), {"network": name, "weights": path.name, "sha256": digest}


def _unpickling_error() -> type[Exception]:
    from pickle import UnpicklingError

    return UnpicklingError


def _plain(name: str, state: object) -> dict[str, Tensor]:
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise ModelError(
            f"model.weights: not a plain state dict of {name}: a mapping of layer names to tensors is needed"
        )
    return {str(key): value.contiguous().clone() for key, value in sorted(state.items())}


def read_weights(folder: Path, name: str) -> tuple[dict[str, Tensor] | None, dict[str, str]]:
    """Read back what `fetch_weights` wrote: the state (None for random weights) and the note.

    Raises
    ------
    ModelError
        If they are another network's.
    """
    note = read_json(folder / SOURCE)
    if note["network"] != name:
        raise ModelError(f"{folder}: weights of {note['network']}, not of {name}: run `dvc repro`")
    return (None if note["weights"] == "random" else load_file(folder / WEIGHTS)), note
