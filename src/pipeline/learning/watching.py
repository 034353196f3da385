"""What a network makes of a side, to watch how it learns and to predict."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pipeline.learning.feed import Blocks
from pipeline.learning.progress import Tally
from pipeline.learning.sides import Side
from pipeline.learning.team import Team
from pipeline.models.inference import Answering, batches, outputs_of, outputs_of_clips
from pipeline.models.preparation import Preparation
from pipeline.models.recurrent import SequenceNetwork
from pipeline.sequences import cut

OUTPUT_BATCH = 64  # images; fixed, because sums in another order give other last digits
Outputs = tuple[NDArray[np.float32], NDArray[np.float32]]


def outputs_of_side(
    network: Answering,
    images: Blocks,
    side: Side,
    *,
    preparation: Preparation,
    device: torch.device,
) -> Iterator[Outputs]:
    """Logits and last features of a side's blocks, in its order: OUTPUT_BATCH at a time, or one of its clips."""
    if side.lengths is None or not isinstance(network, SequenceNetwork):
        values = (images.batch(ids) for ids in batches(side.block_ids, OUTPUT_BATCH))
        return outputs_of(network, values, preparation=preparation, device=device)
    clips = ((images.batch(ids) for ids in batches(own, OUTPUT_BATCH)) for own in cut(side.block_ids, side.lengths))
    return outputs_of_clips(network, clips, preparation=preparation, device=device)


def validate(
    network: Answering,
    images: Blocks,
    side: Side,
    *,
    preparation: Preparation,
    device: torch.device,
    n_classes: int,
    team: Team,
) -> Tally:
    """Losses and answers on a side; every process of a team goes through some of the parts, and all get them all."""
    indices = range(len(side.labels))
    parts = list(batches(indices, OUTPUT_BATCH) if side.lengths is None else cut(indices, side.lengths))
    own = _of_parts(side, parts[team.deal(len(parts))])
    outputs = outputs_of_side(network, images, own, preparation=preparation, device=device)
    answered = [logits for given in team.gather([logits for logits, _ in outputs]) for logits in given]
    tally = Tally(n_classes)
    for index, logits in zip(parts, answered, strict=True):
        labels = side.labels[list(index)]
        losses = nn.functional.cross_entropy(torch.from_numpy(logits), torch.from_numpy(labels), reduction="none")
        tally.add(losses.double().numpy(), labels, logits.argmax(1))
    return tally


def _of_parts(side: Side, parts: Sequence[Sequence[int]]) -> Side:
    rows = slice(parts[0][0], parts[-1][-1] + 1) if parts else slice(0)
    lengths = None if side.lengths is None else tuple(len(part) for part in parts)
    return Side(block_ids=side.block_ids[rows], labels=side.labels[rows], lengths=lengths)
