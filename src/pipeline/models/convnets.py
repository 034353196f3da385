"""Our own networks as data: convolutions, hidden affine layers and a head, built for the shape of what enters them.

A convolution is followed by batch normalisation if that is asked for, by ReLU or leaky ReLU, and by a maximum over
windows (pooling) if there is one. What they leave is flattened. Each hidden affine layer is followed by ReLU or leaky
ReLU and by dropout. The head is the last, linear layer. Convolutions are never followed by dropout.

Badshah et al. (2017), "Speech emotion recognition from spectrograms with deep convolutional neural network", section
III and Figure 2, for 256 x 256 x 3: three convolutions without padding, 11 x 11 / 4, 5 x 5 and 3 x 3, two hidden layers
of 2048, each followed by dropout of 0.5. The text pools (3 x 3 / 2) after the first convolution only, which gives the
first hidden layer 453 million weights (`badshah_printed`); `badshah` pools after each, which gives it 12.6 million.

Anand and Verma (2015), "Convoluting feelings: CNN and RNN based methods for emotion detection from speech", Table 4,
for 64 x 64 x 2: one or two times convolution, ReLU, pooling, then affine layers of 64 units (S4: 128) and of the
classes. The table says how many filters, how high and wide, how many hidden units. What it does not say:

- Padding, stride and pooling. Windows of 2 x 2 without overlap and a stride of 1. Square filters keep the size (padding
  same). Filters as high as the spectrogram leave one row: they are not padded, and pooling goes along time.
- R3 names two widths (16/32) beside one layer, R4 one width (128) beside two layers, as if the two rows were swapped.
  The widths count here: R3 has two layers, R4 one. A second filter of full height is as high as what comes in: one row.
- R6's rates. Dropout of 0.5; a slope of 0.01 (Maas et al. 2013).

R7 is R1 on augmented sound (`augment.sound`). The paper's fully connected networks on 26 hand-built features (its
Table 2) have tuned widths that it does not print: 64 here, as in its convolutional ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from torch import Tensor, nn

from pipeline.errors import ModelError

Extent = int | tuple[int, int]  # one number for both, or of height and width


@dataclass(frozen=True, kw_only=True)
class Convolution:
    """A convolution and what follows it; sizes in rows and columns of what comes in."""

    filters: int
    height: int  # 0: as high as what comes in, and not padded in height
    width: int  # 0: as wide as what comes in, and not padded in width
    stride: Extent = 1
    padding: Extent | str = 0  # zeros on each side, or same: ceil(size / stride) comes out
    batch_norm: bool = False
    pool: Extent = 0  # window of the maximum, cut to what there is; 0: none
    pool_stride: Extent = 0  # 0: as the window


@dataclass(frozen=True, kw_only=True)
class Design:
    """A network from its input to its head."""

    convolutions: tuple[Convolution, ...] = ()
    hidden: tuple[int, ...] = ()  # units of the affine layers before the head
    leaky_slope: float = 0.0  # of ReLU below zero
    dropout: float = 0.0  # after each hidden layer


def _badshah(*, pools: Sequence[int]) -> Design:
    sizes = ((120, 11, 4), (256, 5, 1), (384, 3, 1))
    return Design(
        convolutions=tuple(
            Convolution(
                filters=filters, height=side, width=side, stride=stride, pool=pool, pool_stride=2 if pool else 0
            )
            for (filters, side, stride), pool in zip(sizes, pools, strict=True)
        ),
        hidden=(2048, 2048),
        dropout=0.5,
    )


def _square(*filters: int, hidden: int = 64) -> Design:
    layers = (Convolution(filters=n, height=5, width=5, padding="same", pool=2) for n in filters)
    return Design(convolutions=tuple(layers), hidden=(hidden,))


def _full_height(*filters: int, width: int = 5) -> Design:
    return Design(
        convolutions=tuple(Convolution(filters=n, height=0, width=width, pool=2) for n in filters), hidden=(64,)
    )


DESIGNS = {
    "softmax": Design(),
    "fc2": Design(hidden=(64,)),
    "fc3": Design(hidden=(64, 64)),
    "cnn": Design(
        convolutions=tuple(Convolution(filters=n, height=3, width=3, padding="same", pool=2) for n in (16, 32)),
        hidden=(64,),
    ),
    "badshah": _badshah(pools=(3, 3, 3)),
    "badshah_printed": _badshah(pools=(3, 0, 0)),
    "anand_s1": _square(16),
    "anand_s2": _square(32),
    "anand_s3": _square(16, 32),
    "anand_s4": _square(256, hidden=128),
    "anand_r1": _full_height(1024),
    "anand_r2": _full_height(32),
    "anand_r3": _full_height(16, 32),
    "anand_r4": _full_height(128, width=10),
    "anand_r5": _full_height(1024, width=10),
    "anand_r6": replace(_full_height(1024), leaky_slope=0.01, dropout=0.5),
}
OPTIONS = ("convolutions", "hidden", "leaky_slope")  # that parameters change in a design


def changed_design(name: str, design: Design, options: Mapping[str, Any]) -> Design:
    """Change a design by options as params.yaml and model cards hold them.

    Raises
    ------
    ModelError
        If an option is none, or the network would no longer be what its name says.
    """
    known = {field.name for field in fields(Convolution)}
    changes = dict(options)
    if "convolutions" in changes:
        entries = [dict(entry) for entry in changes["convolutions"]]
        if unknown := sorted({key for entry in entries for key in entry} - known):
            raise ModelError(f"model.convolutions: unknown key {unknown[0]}: there are {', '.join(sorted(known))}")
        changes["convolutions"] = tuple(map(_convolution, entries))
    if "hidden" in changes:
        changes["hidden"] = tuple(changes["hidden"])
    if unknown := sorted(changes.keys() - set(OPTIONS)):
        raise ModelError(f"model.{unknown[0]}: no option of {name}: there are {', '.join(OPTIONS)}")
    own = replace(design, **changes)
    if own.leaky_slope and not (own.convolutions or own.hidden):
        raise ModelError(f"model.leaky_slope: {name} has no layer with a ReLU here: leave it empty")
    if not design.convolutions:
        if own.convolutions:
            raise ModelError(f"model.convolutions: {name} has none: leave it empty, or set model.name to cnn")
        if len(own.hidden) != len(design.hidden):
            n = len(design.hidden)
            raise ModelError(
                f"model.hidden: {name} has {n or 'no'} hidden layer{'s' * (n != 1)}, not {len(own.hidden)}: "
                "give as many widths, or set model.name to softmax (none), fc2 (one) or fc3 (two)"
            )
    return own


def _convolution(entry: Mapping[str, Any]) -> Convolution:
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
    return Convolution(**values)


def options_of(design: Design) -> dict[str, Any]:
    """All options of a design as JSON holds them: `changed_design` makes the same design of them again."""
    listed = [
        {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(layer).items()}
        for layer in design.convolutions
    ]
    return {"convolutions": listed, "hidden": list(design.hidden), "leaky_slope": design.leaky_slope}


class ConvNet(nn.Module):
    """A design for inputs of one shape."""

    def __init__(self, name: str, design: Design, shape: Sequence[int], n_outputs: int) -> None:
        """Build the layers for inputs (n_channels, height, width), or (n,) where there is no convolution.

        Raises
        ------
        ModelError
            If a convolution is larger than what comes into it.
        """
        super().__init__()
        if design.convolutions and len(shape) != 3:
            raise ModelError(
                f"model.name: {name} convolves images and stacks: it cannot take {shape[0]} hand-built features: "
                "use softmax, fc2 or fc3"
            )
        self.convolutions = nn.Sequential()
        entering = tuple(shape)
        for number, layer in enumerate(design.convolutions):
            stage, entering = _stage(name, number, layer, entering, design.leaky_slope, of=shape)
            self.convolutions.append(stage)
        self.flatten = nn.Flatten()
        n = 1
        for size in entering:
            n *= size
        self.hidden = nn.Sequential()
        for units in design.hidden:
            stage = nn.Sequential()
            stage.add_module("affine", nn.Linear(n, units))
            stage.add_module("relu", _relu(design.leaky_slope))
            stage.add_module("dropout", nn.Dropout(design.dropout))
            self.hidden.append(stage)
            n = units
        self.head = nn.Linear(n, n_outputs)

    def forward(self, values: Tensor) -> Tensor:
        """Outputs (batch, n_outputs) of inputs (batch, ...)."""
        outputs: Tensor = self.head(self.hidden(self.flatten(self.convolutions(values))))
        return outputs


def _relu(slope: float) -> nn.Module:
    return nn.LeakyReLU(slope) if slope else nn.ReLU()


def _stage(
    name: str, number: int, layer: Convolution, entering: tuple[int, ...], slope: float, *, of: Sequence[int]
) -> tuple[nn.Sequential, tuple[int, ...]]:
    """One convolution with what follows it, and the shape that leaves it."""
    n_channels, *sizes = entering
    windows = [given or size for given, size in zip((layer.height, layer.width), sizes, strict=True)]
    strides = _pair(layer.stride)
    padding = [
        (0, 0) if not given else _padding(size, window, stride, pad)
        for given, size, window, stride, pad in zip(
            (layer.height, layer.width), sizes, windows, strides, _pair(layer.padding), strict=True
        )
    ]
    room = [size + sum(pads) for size, pads in zip(sizes, padding, strict=True)]
    if any(window > there for window, there in zip(windows, room, strict=True)):
        raise ModelError(
            f"model.name: {name}: its convolution {number + 1} ({_times(windows)}) is larger than what comes in "
            f"({_times(entering)}) of an input of {_times(of)}: use larger images or stacks, or change "
            "model.convolutions"
        )
    stage = nn.Sequential()
    (top, bottom), (left, right) = padding
    even = top == bottom and left == right
    if not even:
        stage.add_module("pad", nn.ZeroPad2d((left, right, top, bottom)))
    stage.add_module(
        "convolution",
        nn.Conv2d(n_channels, layer.filters, (windows[0], windows[1]), strides, (top, left) if even else 0),
    )
    if layer.batch_norm:
        stage.add_module("norm", nn.BatchNorm2d(layer.filters))
    stage.add_module("relu", _relu(slope))
    sizes = [(there - window) // stride + 1 for there, window, stride in zip(room, windows, strides, strict=True)]
    if layer.pool:
        wide = [min(window, size) for window, size in zip(_pair(layer.pool), sizes, strict=True)]
        steps = list(_pair(layer.pool_stride)) if layer.pool_stride else wide
        stage.add_module("pool", nn.MaxPool2d((wide[0], wide[1]), (steps[0], steps[1])))
        sizes = [(size - window) // step + 1 for size, window, step in zip(sizes, wide, steps, strict=True)]
    return stage, (layer.filters, *sizes)


def _pair(extent: Any) -> tuple[Any, Any]:
    return extent if isinstance(extent, tuple) else (extent, extent)


def _padding(size: int, window: int, stride: int, wanted: int | str) -> tuple[int, int]:
    """Zeros before and after; with `same` one more after than before, if they are odd in number."""
    if isinstance(wanted, int):
        return wanted, wanted
    lacking = max(0, (-(-size // stride) - 1) * stride + window - size)
    return lacking // 2, lacking - lacking // 2


def _times(sizes: Sequence[int]) -> str:
    return " x ".join(str(size) for size in sizes)
