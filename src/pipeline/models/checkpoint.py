"""A trained model as a folder: its weights, and all that is needed to use them on new sound."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from pipeline.errors import ModelError
from pipeline.models.networks import FLAT, Network
from pipeline.models.preparation import Preparation, load_preparation, save_preparation
from pipeline.models.recurrent import AnyNetwork, Recurrence, SequenceNetwork
from pipeline.store.files import read_json, sha256_of, write_json, written_whole

WEIGHTS, CARD, PREPARATION = "weights.safetensors", "model.json", "preparation.safetensors"


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What must be known of a trained network to use it."""

    network: str
    shape: tuple[int, ...]  # of one input: channels, height, width, or the number of features
    classes: tuple[str, ...]
    representation: dict[str, Any]  # how sound becomes its input: all parameters
    normalise: str  # how values enter the network
    start: dict[str, str]  # starting weights: where from, and their SHA-256
    seed: int
    fold: int
    images_sha256: dict[str, str]  # content of each corpus's images that it was trained on
    kept_iteration: int
    selected_on_test: bool
    options: dict[str, Any] = field(default_factory=dict)  # of one of our own networks
    kind: str = "image"  # of representation
    whiten: str = "none"
    sequence: dict[str, Any] = field(default_factory=dict)  # what runs over a clip's blocks; empty: nothing does
    n_anomalous: int = 0  # values of hand-built features of its training blocks that were replaced
    weights_sha256: str = ""
    preparation_sha256: str = ""  # of what was fitted of the way into the network; empty: nothing was


def save_model(folder: Path, network: AnyNetwork, card: ModelCard, preparation: Preparation) -> None:
    """Write weights, what was fitted beside them, and card, each whole or not at all; the card names the digests."""
    own = network.state_to_save() if isinstance(network, SequenceNetwork) else network.trunk.state_dict()
    state = {key: value.detach().cpu().contiguous() for key, value in sorted(own.items())}
    with written_whole(folder / WEIGHTS) as temporary:
        save_file(state, temporary)
    fitted = save_preparation(folder / PREPARATION, preparation)
    digests = {
        "weights_sha256": sha256_of(folder / WEIGHTS),
        "preparation_sha256": sha256_of(folder / PREPARATION) if fitted else "",
    }
    write_json(folder / CARD, {**asdict(card), **digests})


def load_model(folder: Path) -> tuple[AnyNetwork, ModelCard, Preparation]:
    """Load a trained network, in evaluation mode on the CPU, its card, and the way into it.

    Raises
    ------
    ModelError
        If a file is missing, is not the one that the card names, or does not fit its network, or if it is an
        estimator's.
    """
    values = dict(read_json(folder / CARD))  # a plain one: a key that it lacks is one of another version
    if "estimator" in values:
        raise ModelError(f"{folder}: holds an estimator ({values['estimator']}), and no network with layers")
    try:
        card = ModelCard(**{**values, "classes": tuple(values["classes"]), "shape": tuple(values["shape"])})
    except (TypeError, KeyError) as error:
        raise ModelError(f"{folder / CARD}: not a model card of this version ({error}): train again") from None
    refuse_other_files(folder, weights_sha256=card.weights_sha256, preparation_sha256=card.preparation_sha256)
    preparation = load_preparation(folder / PREPARATION, kind=card.kind, normalise=card.normalise, whiten=card.whiten)
    path = folder / WEIGHTS
    try:
        network = _load_network(path, card)
    except (SafetensorError, ModelError, TypeError, ValueError, LookupError, RuntimeError) as error:
        raise ModelError(f"{path}: does not fit {card.network}: {' '.join(str(error).split())[:200]}") from None
    return network.eval(), card, preparation


def refuse_other_files(folder: Path, *, weights_sha256: str, preparation_sha256: str) -> None:
    """Refuse files beside a card that are not those that it names; without a digest there is no preparation.

    Raises
    ------
    ModelError
        If one is missing, or is another.
    """
    digests = {folder / WEIGHTS: weights_sha256}
    if preparation_sha256:
        digests[folder / PREPARATION] = preparation_sha256
    for path, digest in digests.items():
        if not path.is_file() or sha256_of(path) != digest:
            raise ModelError(f"{path}: missing or damaged (its SHA-256 is not the card's): run `dvc repro`")


def _load_network(path: Path, card: ModelCard) -> AnyNetwork:
    n_classes = len(card.classes)
    network = None if card.network == FLAT else Network(card.network, n_classes, card.shape, card.options)
    if card.sequence:
        choice = dict(card.sequence)
        n_features = choice.pop("n_features", 0)
        sequence = SequenceNetwork(network, Recurrence(**choice), n_features=n_features, n_classes=n_classes)
        sequence.load_saved(load_file(path))
        return sequence
    if network is None:
        raise ModelError("its card names nothing that runs over the blocks")
    network.load_weights(load_file(path), with_head=True)
    return network
