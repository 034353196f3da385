"""Layers that look at a whole batch, where each process has a part of it: batch normalisation, and random draws."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.utils._python_dispatch import TorchDispatchMode


class _Sum(torch.autograd.Function):
    """The sum over processes; so is the gradient."""

    @staticmethod
    def forward(_ctx: Any, own: Tensor) -> Tensor:
        """Sum values of the same shape over the processes."""
        total = own.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_ctx: Any, *gradients: Tensor) -> Tensor:
        """Sum the gradients over the processes."""
        total = gradients[0].clone()
        dist.all_reduce(total)
        return total


class SyncedNorm(_BatchNorm):
    """Batch normalisation over the rows of all processes, by its definition: torch's own is for GPUs only.

    Attributes
    ----------
    has_whole
        Whether this process has all rows of the batch already.
    """

    has_whole = False

    def forward(self, values: Tensor) -> Tensor:
        """Normalise values (n, n_channels, ...)."""
        if self.training and not self.has_whole:
            return self._by_definition(values)
        normalised: Tensor = super().forward(values)
        return normalised

    def _check_input_dim(self, values: Tensor) -> None:
        """Take any number of positions."""

    def _by_definition(self, values: Tensor) -> Tensor:
        over = [0, *range(2, values.dim())]
        shape = [1, -1, *[1] * (values.dim() - 2)]
        wide = values.float()
        own_count = wide.new_tensor([wide.numel() // wide.shape[1]], dtype=torch.float64)
        totals = _Sum.apply(torch.cat([wide.sum(over, dtype=torch.float64), own_count]))
        count = totals[-1].detach()
        mean = totals[:-1] / count
        centred = wide - mean.float().view(shape)
        variance = _Sum.apply(centred.square().sum(over, dtype=torch.float64)) / count
        self._note(mean.detach(), variance.detach() * (count / (count - 1)))
        scale = torch.rsqrt(variance + self.eps).float()
        if self.affine:
            scale = scale * self.weight
        normalised: Tensor = centred * scale.view(shape)
        if self.affine:
            normalised = normalised + self.bias.view(shape)
        return normalised.to(values.dtype)

    @torch.no_grad()
    def _note(self, mean: Tensor, variance: Tensor) -> None:
        """Take a batch into the running mean and variance."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean += share * (mean.to(self.running_mean.dtype) - self.running_mean)
        self.running_var += share * (variance.to(self.running_var.dtype) - self.running_var)


class SyncedNormOfGpus(nn.SyncBatchNorm):
    """torch's own; ordinary batch normalisation where `has_whole` is set, which is as of `SyncedNorm`."""

    has_whole = False

    def forward(self, values: Tensor) -> Tensor:
        """Normalise values (n, n_channels, ...)."""
        normalised: Tensor = _BatchNorm.forward(self, values) if self.has_whole else super().forward(values)
        return normalised


SYNCED = (SyncedNorm, SyncedNormOfGpus)


def sync_norms(network: nn.Module, device: torch.device) -> None:
    """Have every batch normalisation of a network go over the rows of all processes; its weights stay what they are."""
    kind = SyncedNorm if device.type == "cpu" else SyncedNormOfGpus
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, _BatchNorm) and not isinstance(child, SYNCED):
                setattr(module, name, _as(kind, child))


def _as(kind: type[_BatchNorm], norm: _BatchNorm) -> _BatchNorm:
    own = kind(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
    own.weight, own.bias = norm.weight, norm.bias
    own.running_mean, own.running_var = norm.running_mean, norm.running_var
    own.num_batches_tracked = norm.num_batches_tracked
    own.training = norm.training
    return own


def draws_at_random(network: nn.Module) -> bool:
    """Whether a network drops values or branches out at random while it learns."""
    return any(
        (isinstance(layer, _DropoutNd) or type(layer).__name__ == "StochasticDepth") and getattr(layer, "p", 0.0) > 0
        for layer in network.modules()
    )


class WholeDraws(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Random masks of rows are drawn for the whole batch inside of the block, and this process's rows of them used.

    So the random numbers of all processes stay in step, and on the CPU every row gets the mask that one process would
    have given it. (One GPU draws its masks in another way: there they are as random, and others.)

    Parameters
    ----------
    rows
        Of this process.
    n
        Rows of the whole batch.
    """

    def __init__(self, rows: slice, n: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.rows, self.n = rows, n

    def __torch_dispatch__(
        self, func: Any, types: Sequence[Any], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Do what torch does, but for draws."""
        if func is torch.ops.aten.bernoulli_.float and self._is_of_rows(args[0]):
            own: Tensor = args[0]
            return own.copy_(self._drawn(own, func, args[1:], kwargs or {}))
        if func is torch.ops.aten.native_dropout.default and args[2] is not False and self._is_of_rows(args[0]):
            values, share = args[0], 1 - args[1]
            mask = self._drawn(values, torch.ops.aten.bernoulli_.float, (share,), {})
            return values * mask / share if share else values * 0, mask.bool()
        return func(*args, **(kwargs or {}))

    def _is_of_rows(self, values: Tensor) -> bool:
        return values.dim() > 0 and values.shape[0] == self.rows.stop - self.rows.start

    def _drawn(self, like: Tensor, draw: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
        last = not like.is_contiguous() and like.is_contiguous(memory_format=torch.channels_last)
        whole = torch.empty(
            (self.n, *like.shape[1:]),
            dtype=like.dtype,
            device=like.device,
            memory_format=torch.channels_last if last else torch.contiguous_format,
        )
        mask: Tensor = draw(whole, *args, **kwargs)[self.rows]
        return mask
