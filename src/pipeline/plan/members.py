"""Members as shapes alone: what cannot take the blocks that the parameters make is refused before any work."""

import contextlib
import functools
import math
from collections.abc import Callable, Sequence

import torch

from pipeline.errors import ModelError
from pipeline.estimator_runs import refuse_many_values
from pipeline.features.chosen import representation_of
from pipeline.models.fitting import refuse_large
from pipeline.models.inference import choose_device, explained_unfit
from pipeline.models.networks import refuse_options
from pipeline.models.preparation import input_shape_of
from pipeline.models.recurrent import AnyNetwork, Recurrence, start_classifier
from pipeline.params import Params
from pipeline.params.sections import Model


def refuse_unfit_members(params: Params) -> None:
    """Refuse members that training would refuse, as far as the parameters say it.

    Raises
    ------
    ModelError
        If there is no such network or device, an option or a frozen layer is not the network's, or it cannot take
        blocks of the shape that `representation` makes.
    """
    chosen = representation_of(params)
    for name in params.runs.members:
        model, train, _ = params.of_member(name)
        choose_device(train.device)
        if model.is_estimator:
            _refuse_large(model, chosen.shape, kind=chosen.kind)
            continue
        refuse_options(model.name, model.options)
        blank = without_memory(starter(model, chosen.shape, kind=chosen.kind, n_classes=2))
        if blank is not None:
            _refuse_unfit(blank, chosen.shape, kind=chosen.kind)


def _refuse_large(model: Model, shape: Sequence[int], *, kind: str) -> None:
    """Refuse an estimator of more values than it takes, or whose covariances of two classes alone are too large."""
    refuse_many_values(model.name, shape, of_kind=kind)
    n_least = {"lda": 1, "qda": 2, "gmm": 2 * (model.estimator.covariance == "full")}.get(model.name, 0)
    try:
        refuse_large(n_least, math.prod(shape), model.name)
    except ModelError as error:
        raise ModelError(f"model.estimator: {error}") from None


def starter(model: Model, shape: Sequence[int], *, kind: str, n_classes: int) -> Callable[[], AnyNetwork]:
    """What starts a member's network, with random weights, for rendered blocks of a shape."""
    return functools.partial(
        start_classifier,
        model.name,
        Recurrence(**model.of_sequence),
        n_classes=n_classes,
        weights=None,
        init="torchvision",
        seed=0,
        dropout=model.dropout,
        shape=input_shape_of(kind, shape),
        options=model.options,
        frozen=model.frozen,
    )


def without_memory(start: Callable[[], AnyNetwork]) -> AnyNetwork | None:
    """Build a network of shapes alone; None where it reads a value while it is built, as RegNets do."""
    try:
        with torch.device("meta"):
            return start()
    except (RuntimeError, NotImplementedError):
        return None


def _refuse_unfit(blank: AnyNetwork, shape: Sequence[int], *, kind: str) -> None:
    """Put values without memory through a network of shapes alone."""
    batch = torch.empty(2, *input_shape_of(kind, shape), device="meta")
    blank.eval()
    reads_values = contextlib.suppress(NotImplementedError)
    with explained_unfit(blank.name, shape, kind=kind), reads_values, torch.inference_mode():
        blank.logits_and_features(batch)
