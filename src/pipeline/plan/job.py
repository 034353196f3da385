"""What each stage needs under the present parameters: seconds, bytes of disk, bytes of memory.

Times are those of a run of every stage from nothing. Bytes of disk are those of the outputs, in HDF5's whole chunks; of
memory those of the largest moment of one process, which is what has to fit.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.altered import ALTERED_AHEAD
from pipeline.augment.attach import LEAK
from pipeline.features.chosen import representation_of
from pipeline.params.sections import Params
from pipeline.plan.counts import Counts, Sides
from pipeline.plan.estimator_costs import EstimatorCosts
from pipeline.plan.network_counts import NetworkCosts
from pipeline.plan.sound_costs import SoundCosts
from pipeline.plan.survey import Survey
from pipeline.render import row_bytes

EFFICIENCY = 0.8  # of every worker beside others
FILE_BYTES = 4_000  # of an HDF5 file beside its arrays
# Measured once, with names of 55 bytes: what a row takes in memory once it is read, and to be read or written. Rows of
# a split, and blocks that are `held`, stand in columns; the others are objects.
ROW_MEMORY = {  # bytes
    "clip": 1240,
    "block": 450,
    "held": 90,
    "gain": 350,
    "split": 90,
    "measurement": 480,
    "place": 95,
}
ROW_SECONDS = 6e-6
ALTERING_BYTES, ALTERING_COPIES = 120_000_000, 6  # of a process that alters sound, beside copies of the clip


@dataclass(frozen=True, kw_only=True)
class Need:
    """What one stage needs, all its items together."""

    stage: str  # as in dvc.yaml
    runs: int  # items of its matrix
    items: str
    seconds: float
    disk: int  # bytes that it leaves
    memory: int  # bytes of its largest process
    gpu: int = 0  # bytes on a CUDA device
    in_cache: bool = True  # whether DVC keeps a copy


@dataclass(frozen=True, kw_only=True)
class Job:
    """All that the estimates rest on."""

    params: Params
    survey: Survey
    counts: Counts
    sides: Sides
    sound: SoundCosts
    networks: Mapping[str, NetworkCosts]  # by member
    weights_bytes: Mapping[str, int]  # of each member's starting weights; 0 where they are random
    workers: int
    heads: Mapping[str, EstimatorCosts] = field(default_factory=dict)

    @property
    def item(self) -> str:
        """What a block is called once it is rendered."""
        return {"image": "image", "faces": "frame"}.get(self.params.representation.kind, "block")

    @property
    def is_of_video(self) -> bool:
        """Whether blocks become frames of their videos."""
        return self.params.representation.kind == "faces"

    @property
    def longest_block(self) -> int:
        """Samples."""
        if self.params.slice.whole_clips:
            return max(clip.n_samples for clip in self.survey.clips)
        return round(self.params.slice.block_seconds * self.params.audio.sample_rate)

    @property
    def n_rendered(self) -> int:
        """Blocks of recordings and of altered sound."""
        return self.counts.n_blocks + self.counts.n_altered

    @property
    def n_learned(self) -> int:
        """About how many blocks a fold trains on: altered ones too."""
        if self.is_augmented_before:
            return self.sides.train
        return round(self.sides.train * self.n_rendered / self.counts.n_blocks)

    @property
    def is_augmented_before(self) -> bool:
        """Whether altered sound is dealt to all sides, as a leak: the sides then count it."""
        return LEAK in self.params.split.allow_leaks

    @property
    def altering_seconds(self) -> float:
        """To alter every clip once."""
        return self.counts.altered_seconds * self.sound.alter_per_second

    @property
    def altering_memory(self) -> int:
        """Bytes of the processes that alter, and of altered clips that wait."""
        longest = 4 * self.counts.altered_samples
        if not longest:
            return 0
        return self.workers * (ALTERING_BYTES + ALTERING_COPIES * longest + 2 * ALTERED_AHEAD * longest)

    @property
    def split_rows(self) -> int:
        """Rows of split.csv: every fold of the split, run or not."""
        n_blocks = self.n_rendered if self.is_augmented_before else self.counts.n_blocks
        return self.sides.n_folds * n_blocks

    @property
    def split_seconds(self) -> float:
        """To read split.csv once, as every run does."""
        return self.split_rows * ROW_SECONDS

    @property
    def split_memory(self) -> int:
        """Bytes of one fold of split.csv once it is read."""
        return self.sides.rows * ROW_MEMORY["split"]

    def together(self, seconds: float, n_bytes: int) -> float:
        """Seconds of work that workers share and one writer stores as `n_bytes`: the slower of the two."""
        sharing = self.workers * EFFICIENCY if self.workers > 1 else 1
        return max(seconds / sharing, n_bytes / self.sound.written_per_second)


def rows_in_chunks(n_rows: int, chunk: int) -> int:
    """Rows of a dataset on disk: HDF5 stores whole chunks."""
    return -(-n_rows // chunk) * chunk


def block_bytes(params: Params) -> int:
    """Bytes of what one block becomes."""
    return row_bytes(representation_of(params))


def input_bytes(params: Params) -> int:
    """Bytes of one block while the network's input is made of it: as it is stored, and twice as floats."""
    return block_bytes(params) + 8 * math.prod(representation_of(params).shape)
