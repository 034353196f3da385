"""What turns rendered values into a network's input; what of it is learnt, is learnt on training blocks only.

Pictures lose the means of ImageNet's channels, or none. Everything else goes through these steps, those that apply:

- features: anomalous values are replaced (`features.anomalies`), fitted on the training blocks;
- stacks: whitening over bands (`features.whitening`), fitted on the training blocks (zca) or on each block (own);
- any: each channel, or column, loses its mean over the training blocks and, if that is chosen, is divided by its
  standard deviation there; what is constant there is divided by one.
"""

import contextlib
import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]
from torch import Tensor

from pipeline.errors import ModelError
from pipeline.features.anomalies import Replacements, fit_replacements
from pipeline.features.whitening import Whitening, fit_whitening, whiten_each
from pipeline.store.files import written_whole
from pipeline.store.rendered import PIXEL_KINDS, Rendered

Doubles = NDArray[np.float64]

# What is subtracted from pixels of 0 to 1, channel by channel, and what they are divided by.
NORMALISATIONS = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "unit": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}
FITTED = ("standard", "mean")  # normalisations that are learnt
FIT_BATCH = 64  # blocks


@dataclass(frozen=True, kw_only=True)
class Scale:
    """What is taken from each channel or column (n,), and what it is divided by."""

    mean: Doubles
    deviation: Doubles


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """The way from rendered values to a network's input, with all that was fitted."""

    kind: str = "image"  # of what was rendered: image, stack, features or faces
    normalise: str
    whiten: str = "none"
    scale: Scale | None = None
    whitening: Whitening | None = None
    replacements: Replacements | None = None
    channels_last: bool = False  # how the input lies in memory; its values are the same

    def to_input(self, values: NDArray[Any] | Tensor, device: torch.device) -> Tensor:
        """Rendered values (batch, ...) as floats: (batch, n_channels, height, width), or features (batch, n).

        A tensor is what `on_host` gave, and lies on the device already.

        Raises
        ------
        ModelError
            If the normalisation is none, or has not been fitted.
        """
        if isinstance(values, Tensor):
            return self.on_device(values)
        return self.on_device(torch.from_numpy(self.on_host(values)).to(device))

    def on_host(self, values: NDArray[Any]) -> NDArray[Any]:
        """Do what is done with numpy: nothing to pixels, so that they move as bytes."""
        if self.kind in PIXEL_KINDS:
            return values
        entering = self.before_scale(values)
        if self.kind == "features" and self.scale is not None:
            # in double precision: a column may vary little beside its mean
            standard = (entering - self.scale.mean) / self.scale.deviation
            return np.asarray(standard.astype(np.float32))
        return entering

    def on_device(self, values: Tensor) -> Tensor:
        """Do the rest, on the device: what `on_host` gave becomes a new tensor of floats."""
        if self.kind in PIXEL_KINDS:
            return self._pixels(values)
        if self.kind == "features" and self.scale is not None:
            return values
        return self._scaled(values)

    def _pixels(self, images: Tensor) -> Tensor:
        mean, deviation = (value.to(images.device) for value in self._of_channels())
        if not self.channels_last:
            pixels = images.permute(0, 3, 1, 2).float().contiguous()
            return pixels.sub_(mean.view(1, -1, 1, 1)).div_(deviation.view(1, -1, 1, 1))
        n, height, width, n_channels = images.shape
        rows = images.reshape(n * height, width * n_channels).float()  # long ones: three values at a time are slow
        rows = rows.sub_(mean.repeat(width)).div_(deviation.repeat(width))
        return rows.view(n, height, width, n_channels).permute(0, 3, 1, 2)

    def _of_channels(self) -> tuple[Tensor, Tensor]:
        """What is taken from pixels, channel by channel, and what they are divided by, (n_channels,) each."""
        if self.normalise in FITTED:
            return self._fitted()
        if self.normalise not in NORMALISATIONS:
            known = ", ".join([*NORMALISATIONS, *FITTED])
            raise ModelError(f"model.normalise: {self.normalise!r} is none of {known}")
        mean, deviation = NORMALISATIONS[self.normalise]
        return torch.tensor(mean) * 255, torch.tensor(deviation) * 255

    def before_scale(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values of the same shape after all steps but the last."""
        if self.replacements is not None:
            return self.replacements.apply(values)[0]
        if self.whiten == "none":
            return values
        with _one_thread():
            return whiten_each(values) if self.whitening is None else self.whitening.apply(values)

    def _scaled(self, batch: Tensor) -> Tensor:
        shape = (1, -1, *[1] * (batch.dim() - 2))
        mean, deviation = (value.to(batch.device).view(shape) for value in self._fitted())
        scaled = (batch - mean) / deviation
        if self.channels_last and scaled.dim() == 4:
            return scaled.contiguous(memory_format=torch.channels_last)
        return scaled

    def _fitted(self) -> tuple[Tensor, Tensor]:
        if self.scale is None:
            raise ModelError(
                f"model.normalise: {self.normalise!r} is nothing that {self.kind} can enter by unfitted: use standard"
            )
        mean, deviation = (torch.from_numpy(v.astype(np.float32)) for v in (self.scale.mean, self.scale.deviation))
        return mean, deviation


def input_shape_of(kind: str, shape: Sequence[int]) -> tuple[int, ...]:
    """Shape in which rendered values enter a network: (n_channels, height, width), or (n,) of features."""
    return (shape[2], shape[0], shape[1]) if kind in PIXEL_KINDS else tuple(shape)


def n_channels_of(kind: str, shape: Sequence[int]) -> int:
    """Channels, or columns of features, of rendered values of some shape."""
    return input_shape_of(kind, shape)[0]


def blank_preparation(kind: str, shape: Sequence[int], *, normalise: str) -> Preparation:
    """A preparation that has learnt nothing and changes no float: to see whether a network can take such a shape."""
    n = n_channels_of(kind, shape)
    scale = None if normalise in NORMALISATIONS else Scale(mean=np.zeros(n), deviation=np.ones(n))
    return Preparation(kind=kind, normalise=normalise, scale=scale)


def fit_preparation(
    rendered: Rendered, block_ids: Sequence[str], *, normalise: str, whiten: str, seed: int
) -> tuple[Preparation, int]:
    """Fit on training blocks; return also how many of their hand-built features were anomalous.

    Raises
    ------
    ModelError
        If whitening is asked for where there are no bands, or values cannot be fitted on.
    """
    kind = rendered.kind
    if kind != "stack" and whiten != "none":
        raise ModelError(f"model.whiten: {whiten} is for representation.kind stack, not {kind}: set it to none")
    own = Preparation(kind=kind, normalise=normalise, whiten=whiten)
    n_anomalous = 0
    if kind == "features":
        values = rendered.batch(block_ids)
        replacements = fit_replacements(values, np.random.default_rng(seed))
        n_anomalous = int(replacements.apply(values)[1].sum())
        own = replace(own, replacements=replacements)
    elif whiten == "zca":
        with _one_thread():
            own = replace(own, whitening=fit_whitening(_parts(rendered, block_ids)))
    if normalise not in FITTED:
        return own, n_anomalous
    axis = -1 if kind in PIXEL_KINDS else 1
    batches = (np.moveaxis(own.before_scale(part), axis, 0) for part in _parts(rendered, block_ids))
    return replace(own, scale=_fit_scale(batches, divides=normalise == "standard")), n_anomalous


@functools.cache
def _libraries() -> Any:
    return ThreadpoolController()


def _one_thread() -> contextlib.AbstractContextManager[Any]:
    """Products of matrices in one thread: their last digits depend on how many share them."""
    limit: contextlib.AbstractContextManager[Any] = _libraries().limit(limits=1, user_api="blas")
    return limit


def _parts(rendered: Rendered, block_ids: Sequence[str]) -> Iterator[NDArray[Any]]:
    for start in range(0, len(block_ids), FIT_BATCH):
        yield rendered.batch(block_ids[start : start + FIT_BATCH])


def _fit_scale(batches: Iterable[NDArray[Any]], *, divides: bool) -> Scale:
    """Mean and deviation of each channel over batches (n_channels, ...), in one pass."""
    count, mean, scatter = 0, np.zeros(0), np.zeros(0)
    for batch in batches:
        values = batch.reshape(len(batch), -1).astype(np.float64)
        own_mean = values.mean(axis=1)
        own_scatter = np.square(values - own_mean[:, None]).sum(axis=1)
        added = values.shape[1]
        if not count:
            count, mean, scatter = added, own_mean, own_scatter
            continue
        # Chan, Golub and LeVeque (1983), Am. Stat. 37, 242-247
        total, shift = count + added, own_mean - mean
        scatter = scatter + own_scatter + np.square(shift) * (count * added / total)
        mean, count = mean + shift * (added / total), total
    if not np.isfinite(scatter).all():
        raise ModelError("training blocks hold values that are not finite: run `dvc repro -f` on render_spectrograms")
    deviation = np.sqrt(scatter / max(count, 1))
    # what float32 made of equal values is constant; scaled up, its rounding would be noise
    varies = deviation > 1e-5 * np.abs(mean)
    return Scale(
        mean=mean, deviation=np.where(varies & (deviation > 0), deviation, 1.0) if divides else np.ones_like(mean)
    )


def save_preparation(path: Path, preparation: Preparation) -> bool:
    """Write what was fitted; nothing, where nothing was. Return whether there is a file."""
    arrays: dict[str, Doubles] = {}
    if preparation.scale is not None:
        arrays |= {"mean": preparation.scale.mean, "deviation": preparation.scale.deviation}
    if preparation.whitening is not None:
        arrays |= {f"whitening.{name}": value for name, value in preparation.whitening.to_arrays().items()}
    if (own := preparation.replacements) is not None:
        arrays |= {"anomalies.low": own.low, "anomalies.high": own.high, "anomalies.median": own.median}
    if not arrays:
        path.unlink(missing_ok=True)
        return False
    with written_whole(path) as temporary:
        save_file({name: np.ascontiguousarray(value) for name, value in sorted(arrays.items())}, temporary)
    return True


def load_preparation(path: Path, *, kind: str, normalise: str, whiten: str) -> Preparation:
    """Read back what `save_preparation` wrote.

    Raises
    ------
    ModelError
        If the file is damaged, or an array is missing.
    """
    try:
        arrays = load_file(path) if path.is_file() else {}
        scale = Scale(mean=arrays["mean"], deviation=arrays["deviation"]) if normalise in FITTED else None
        whitening = None
        if whiten == "zca":
            whitening = Whitening.from_arrays({name: arrays[f"whitening.{name}"] for name in ("mean", "matrix")})
        replacements = None
        if kind == "features":
            replacements = Replacements(*(arrays[f"anomalies.{name}"] for name in ("low", "high", "median")))
    except (KeyError, SafetensorError) as error:
        raise ModelError(f"{path}: missing or damaged ({' '.join(str(error).split())}): run `dvc repro`") from None
    return Preparation(
        kind=kind,
        normalise=normalise,
        whiten=whiten,
        scale=scale,
        whitening=whitening,
        replacements=replacements,
    )
