"""Starting weights: none, ImageNet's, or a file's; copied into the project's models/ with their SHA-256."""

import re
import warnings
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from pickle import UnpicklingError
from urllib.parse import urlsplit

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from pipeline.errors import ModelError
from pipeline.models.estimators import ESTIMATORS
from pipeline.models.networks import FLAT, OWN_NETWORKS, refuse_unknown, torchvision_models
from pipeline.store.files import read_json, sha256_of, write_json, written_whole

SOURCE, WEIGHTS = "source.json", "weights.safetensors"
COPY_SHA256 = "copy_sha256"  # in the note: of the copy, beside the SHA-256 of what was copied
DIGEST_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.[a-z]+$")


def fetch_weights(name: str, weights: str, *, expected_sha256: str | None, folder: Path) -> dict[str, str]:
    """Bring a network's starting weights into `folder`, with a note of where they came from.

    Parameters
    ----------
    weights
        random (only the note is written; an estimator's says none), imagenet (torchvision's, from its cache or
        downloaded), or a path.
    expected_sha256
        What a path's file must have, if given.

    Raises
    ------
    ModelError
        If the weights cannot be had, are not what they should be, or are not a plain state dict.
    """
    if name not in ESTIMATORS:
        refuse_unknown(name)
    elif weights != "random":
        raise ModelError(f"model.weights: {name} starts from nothing: set it to random")
    note = {"network": name, "weights": "none" if name in ESTIMATORS else "random"}
    if weights == "random":
        (folder / WEIGHTS).unlink(missing_ok=True)
    else:
        state, note = _imagenet(name) if weights == "imagenet" else _from_path(name, Path(weights), expected_sha256)
        with written_whole(folder / WEIGHTS) as temporary:
            save_file(state, temporary)
        note[COPY_SHA256] = sha256_of(folder / WEIGHTS)
    write_json(folder / SOURCE, note)
    return note


def _imagenet(name: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Take torchvision's weights from its cache, or download them; the file's name holds the start of its digest."""
    if name in OWN_NETWORKS or name == FLAT:
        raise ModelError(f"model.weights: there are no imagenet weights of {name}: give random or a path")
    weights = torchvision_models().get_model_weights(name).DEFAULT
    cached = Path(torch.hub.get_dir()) / "checkpoints" / PurePosixPath(urlsplit(weights.url).path).name
    named = DIGEST_IN_NAME.search(cached.name)
    digest = named[1] if named else ""
    if not cached.is_file():
        try:
            cached.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(weights.url, str(cached), hash_prefix=digest or None)
        except (OSError, RuntimeError, ValueError, HTTPException) as error:
            raise ModelError(
                f"model.weights: imagenet: {weights.url} could not be had ({error}): download it elsewhere into "
                f"{cached.parent}, or set model.weights to its path, or to random"
            ) from None
    found = sha256_of(cached)
    if not found.startswith(digest):
        raise ModelError(f"model.weights: imagenet: {cached} is damaged (its SHA-256 is {found}): delete it, try again")
    return _load(name, cached), {"network": name, "weights": f"imagenet ({weights})", "sha256": found}


def _from_path(name: str, path: Path, expected: str | None) -> tuple[dict[str, Tensor], dict[str, str]]:
    if not path.is_file():
        raise ModelError(f"model.weights: {path}: no such file: give random, imagenet or the path of a state dict")
    digest = sha256_of(path)
    if expected is not None and digest != expected:
        raise ModelError(f"model.weights: {path} has SHA-256 {digest}, not model.weights_sha256 {expected}")
    return _load(name, path), {"network": name, "weights": path.name, "sha256": digest}


def _load(name: str, path: Path) -> dict[str, Tensor]:
    """Load a state dict; what only running the file's own code would load is refused."""
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # on odd formats; what does not load is refused below
                # weights_only is given, not left to the default: an environment variable can switch the default off.
                state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, UnpicklingError, OSError, RuntimeError, ValueError, LookupError, TypeError, EOFError):
        raise ModelError(
            f"model.weights: {path}: damaged, or holds more than tensors, and nothing else is loaded, for it could run "
            "code: save the network's state_dict() alone"
        ) from None
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise ModelError(
            f"model.weights: {path}: not a plain state dict of {name}: a mapping of layer names to tensors is needed"
        )
    if bad := [key for key, value in state.items() if not torch.isfinite(value).all()]:
        raise ModelError(f"model.weights: {path}: NaN or infinity in {bad[0]}: these weights are broken")
    return {str(key): value.contiguous().clone() for key, value in sorted(state.items())}


def read_weights(folder: Path, name: str) -> tuple[dict[str, Tensor] | None, dict[str, str]]:
    """Read back what `fetch_weights` wrote: the state (None for random weights), and the note of where it came from.

    Raises
    ------
    ModelError
        If they are another network's, or missing or damaged.
    """
    note = {key: str(value) for key, value in read_json(folder / SOURCE).items()}
    if note.get("network") != name:
        raise ModelError(f"{folder}: weights of {note.get('network')}, not of {name}: run `dvc repro`")
    copy_sha256 = note.pop(COPY_SHA256, None)
    if copy_sha256 is None:
        return None, note
    path = folder / WEIGHTS
    if not path.is_file() or sha256_of(path) != copy_sha256:
        raise ModelError(f"{path}: missing or damaged (its SHA-256 is not that of its note): run `dvc repro`")
    return load_file(path), note
