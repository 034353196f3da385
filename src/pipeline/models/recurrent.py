"""Recurrent networks over a clip's blocks: what another network makes of each block, an LSTM over them, the classes.

The LSTM is that of Hochreiter and Schmidhuber (1997) with forget gates (Gers et al. 2000), as torch computes it: with
x of a block, and h and c of the block before (zeros before the first),

    i = sigmoid(W_xi x + W_hi h + b_i)    f = sigmoid(W_xf x + W_hf h + b_f)    o = sigmoid(W_xo x + W_ho h + b_o)
    g = tanh(W_xg x + W_hg h + b_g)       c' = f c + i g                        h' = o tanh(c')

A linear layer gives logits for every block. One direction (lstm) is causal: a block's answer rests on it and on those
before it. Two directions (bilstm) look at the whole clip, so no answer is there before the clip has ended.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from pipeline.errors import ModelError
from pipeline.models.networks import FLAT, HEAD_DEVIATION, Network, enough_memory, seeded, start_network

RECURRENT = ("lstm", "bilstm")


@dataclass(frozen=True, kw_only=True)
class Recurrence:
    """What runs over the blocks of a clip.

    Attributes
    ----------
    kind
        none, lstm, or bilstm (both directions).
    units
        Of each direction of each layer.
    """

    kind: str = "none"
    units: int = 128
    layers: int = 1


class Recurrent(nn.Module):
    """An LSTM over sequences of any length, and a linear layer at every step."""

    def __init__(self, recurrence: Recurrence, *, n_features: int, n_classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        if recurrence.kind not in RECURRENT:
            raise ModelError(f"model.sequence: {recurrence.kind!r} is none of {', '.join(RECURRENT)}")
        is_bidirectional = recurrence.kind == "bilstm"
        self.lstm = nn.LSTM(
            n_features,
            recurrence.units,
            num_layers=recurrence.layers,
            batch_first=True,
            bidirectional=is_bidirectional,
            dropout=dropout if recurrence.layers > 1 else 0.0,  # torch's is between layers
        )
        self.classes = nn.Linear(recurrence.units * (1 + is_bidirectional), n_classes)

    def forward(self, features: Tensor, lengths: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Logits (n, n_classes) and hidden states (n, n_units) of sequences laid end to end (n, n_features)."""
        if len(lengths) == 1:  # nothing to fill up
            hidden = self.lstm(features[None])[0][0]
            return self.classes(hidden), hidden
        padded = pad_sequence(
            list(torch.split(features, list(lengths))), batch_first=True
        )  # (batch, steps, n_features)
        states = self.states(padded, lengths)
        hidden = torch.cat([own[:length] for own, length in zip(states, lengths, strict=True)])
        return self.classes(hidden), hidden

    def states(self, padded: Tensor, lengths: Sequence[int]) -> Tensor:
        """Hidden states (batch, steps, n_units) of padded sequences; what is after a sequence's end is not looked at.

        Both directions start at a sequence's own ends. States after the end are zeros.
        """
        packed = pack_padded_sequence(padded, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
        states: Tensor = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=padded.shape[1])[0]
        return states

    def draw(self) -> None:
        """Draw weights: from the input Glorot's, between states orthogonal, biases zero but the forget gates' one.

        The sources: Glorot and Bengio (2010), Saxe et al. (2014), Jozefowicz et al. (2015). torch adds two biases; one
        of them is one. The linear layer is drawn as every new head is.
        """
        n_units = self.lstm.hidden_size
        for name, parameter in self.lstm.named_parameters():
            if name.startswith("bias"):
                nn.init.zeros_(parameter)
                if name.startswith("bias_ih"):
                    nn.init.ones_(parameter.data[n_units : 2 * n_units])  # gates lie in the order i, f, g, o
                continue
            draw = nn.init.xavier_uniform_ if name.startswith("weight_ih") else nn.init.orthogonal_
            for gate in torch.split(parameter.data, n_units):
                draw(gate)
        nn.init.normal_(self.classes.weight, 0.0, HEAD_DEVIATION)
        nn.init.zeros_(self.classes.bias)


class SequenceNetwork(nn.Module):
    """A network whose features of each block an LSTM runs over; gradients go through both.

    It is used as a `Network` is, on the blocks of clips instead of single blocks.

    Attributes
    ----------
    blocks
        The network that each block goes through; its own head answers nothing. None: a block's values, flattened.
    recurrent
        What is new: the LSTM and the linear layer.
    """

    def __init__(
        self,
        blocks: Network | None,
        recurrence: Recurrence,
        *,
        n_features: int,
        n_classes: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.about = {**asdict(recurrence), "n_features": n_features}  # what the weights fit, for the model's card
        self.blocks = blocks
        self.name = FLAT if blocks is None else blocks.name
        for parameter in blocks.head_parameters() if blocks else ():
            parameter.requires_grad_(False)
        self.recurrent = Recurrent(recurrence, n_features=n_features, n_classes=n_classes, dropout=dropout)

    def features_of(self, values: Tensor) -> Tensor:
        """What of each block (n, ...) the LSTM sees, (n, n_features)."""
        return values.flatten(1) if self.blocks is None else self.blocks.logits_and_features(values)[1]

    def forward(self, values: Tensor, lengths: Sequence[int] | None = None) -> Tensor:
        """Class logits (n, n_classes) of the blocks of clips, one clip after the other, each in its order.

        `lengths` are the clips' numbers of blocks; None: all are one clip's.
        """
        logits: Tensor = self.recurrent(self.features_of(values), lengths or [len(values)])[0]
        return logits

    def logits_and_features(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (n, n_classes) and hidden states (n, n_units) of the blocks of one clip, in their order."""
        logits, hidden = self.recurrent(self.features_of(values), [len(values)])
        return logits, hidden

    def head_parameters(self) -> list[nn.Parameter]:
        """Parameters of what is new, those of the linear layer first."""
        return [*self.recurrent.classes.parameters(), *self.recurrent.lstm.parameters()]

    def trunk_parameters(self) -> list[nn.Parameter]:
        """Parameters of what each block goes through."""
        return [] if self.blocks is None else self.blocks.trunk_parameters()

    @property
    def options(self) -> dict[str, Any]:
        """Of the network of each block, if it is one of our own."""
        return {} if self.blocks is None else self.blocks.options

    def state_to_save(self) -> dict[str, Tensor]:
        """All weights but those of the head that answers nothing."""
        state = {f"recurrent.{key}": value for key, value in self.recurrent.state_dict().items()}
        if self.blocks is not None:
            own = self.blocks.head_name + "."
            trunk = self.blocks.trunk.state_dict().items()
            state |= {f"blocks.{key}": value for key, value in trunk if not key.startswith(own)}
        return state

    def load_saved(self, state: Mapping[str, Tensor]) -> None:
        """Set the weights that `state_to_save` gave.

        Raises
        ------
        ModelError
            If a layer is missing, of another shape, or not the network's.
        """
        own = self.state_to_save()
        wrong = sorted(
            {key for key in own if key not in state or state[key].shape != own[key].shape} | set(state) - set(own)
        )
        if wrong:
            raise ModelError(
                f"{len(wrong)} of {len(own)} layers are missing, unknown or of another shape, the first {wrong[0]}"
            )
        parts = {
            part: {key.removeprefix(part): value for key, value in state.items() if key.startswith(part)}
            for part in ("blocks.", "recurrent.")
        }
        self.recurrent.load_state_dict(parts["recurrent."])
        if self.blocks is not None:
            self.blocks.load_weights(parts["blocks."], with_head=False)


AnyNetwork = Network | SequenceNetwork
NO_RECURRENCE = Recurrence()


def start_classifier(name: str, recurrence: Recurrence = NO_RECURRENCE, **options: Any) -> AnyNetwork:
    """Start the network `name`, or if there is a recurrence that over it: see `start_network` and `start_sequence`.

    Raises
    ------
    ModelError
        As they do, and where `dropout` is asked of what has no layer that drops anything.
    """
    alone = recurrence.kind == "none"
    network = start_network(name, **options) if alone else start_sequence(name, recurrence, **options)
    if (dropout := options.get("dropout")) and not any(_drops(layer) for layer in network.modules()):
        over = "" if alone else f" with {recurrence.kind}"
        raise ModelError(f"model.dropout: {dropout}: {name}{over} has no layer with dropout: set it to 0")
    return network


def _drops(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Dropout) or (isinstance(layer, nn.RNNBase) and layer.dropout > 0)


def start_sequence(
    name: str,
    recurrence: Recurrence,
    *,
    n_classes: int,
    weights: Mapping[str, Tensor] | None,
    init: str,
    seed: int,
    shape: Sequence[int],
    dropout: float | None = None,
    options: Mapping[str, Any] | None = None,
    frozen: int | str | Sequence[str] = 0,
) -> SequenceNetwork:
    """Build an LSTM over the features of the network `name`, and set its starting weights.

    The parameters are those of `start_network`. `init` kaiming draws the LSTM as `Recurrent.draw` says, torchvision as
    torch does (uniform up to 1 / sqrt(units)). `dropout` is between the layers of the LSTM too, where None means none.

    Raises
    ------
    ModelError
        As `start_network` does, and for weights, options or frozen layers of `flat`, which has none.
    """
    blocks = None
    if name == FLAT:
        given = {"weights": weights is not None, "frozen": frozen not in (0, ()), **dict.fromkeys(options or {}, True)}
        if wrong := [key for key, is_given in given.items() if is_given]:
            raise ModelError(
                f"model.{wrong[0]}: {FLAT} passes a block's values on and has no layers: set model.weights to random, "
                "model.frozen to 0, and leave the others empty"
            )
        n_features = int(np.prod(shape))
    else:
        blocks = start_network(
            name,
            n_classes=n_classes,
            weights=weights,
            init=init,
            seed=seed,
            dropout=dropout,
            shape=shape,
            options=options,
            frozen=frozen,
        )
        n_features = entering(blocks)
    with seeded(seed), enough_memory(name):
        network = SequenceNetwork(
            blocks, recurrence, n_features=n_features, n_classes=n_classes, dropout=dropout or 0.0
        )
        if init == "kaiming":
            network.recurrent.draw()
    return network


def entering(network: Network) -> int:
    """Number of features that enter a network's head."""
    head = network.head
    return int(head.in_features if isinstance(head, nn.Linear) else head.in_channels)  # type: ignore[arg-type]
