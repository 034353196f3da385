"""A trained model as a folder: its weights, and all that is needed to use them on new sound."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from pipeline.errors import ModelError
from pipeline.models.networks import Network
from pipeline.store.files import read_json, sha256_of, write_json, written_whole

WEIGHTS, CARD = "weights.safetensors", "model.json"


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What must be known of a trained network to use it."""

    network: str
    classes: tuple[str, ...]
    representation: dict[str, Any]  # how sound becomes an image: all parameters of the spectrogram and the image
    normalise: str  # how pixels enter the network
    start: dict[str, str]  # starting weights: where from, and their SHA-256
    seed: int
    fold: int
    images_sha256: dict[str, str]  # content of each corpus's images that it was trained on
    kept_iteration: int
    selected_on_test: bool
    weights_sha256: str = ""


def save_model(folder: Path, network: Network, card: ModelCard) -> None:
    """Write weights and card, each whole or not at all; the card names the weights' digest."""
    state = {key: value.detach().cpu().contiguous() for key, value in sorted(network.trunk.state_dict().items())}
    with written_whole(folder / WEIGHTS) as temporary:
        save_file(state, temporary)
    write_json(folder / CARD, {**asdict(card), "weights_sha256": sha256_of(folder / WEIGHTS)})


def load_model(folder: Path) -> tuple[Network, ModelCard]:
    """Load a trained network, in evaluation mode on the CPU, and its card.

    Raises
    ------
    ModelError
        If the weights are missing, are not those that the card names, or do not fit its network.
    """
    values = read_json(folder / CARD)
    try:
        card = ModelCard(**{**values, "classes": tuple(values["classes"])})
    except (TypeError, KeyError) as error:
        raise ModelError(f"{folder / CARD}: not a model card of this version ({error}): train again") from None
    path = folder / WEIGHTS
    if not path.is_file() or sha256_of(path) != card.weights_sha256:
        raise ModelError(f"{path}: missing or damaged (its SHA-256 is not the card's): run `dvc repro`")
    network = Network(card.network, len(card.classes))
    try:
        network.load_weights(load_file(path), with_head=True)
    except (SafetensorError, ModelError) as error:
        raise ModelError(f"{path}: does not fit {card.network}: {' '.join(str(error).split())[:200]}") from None
    return network.eval(), card
