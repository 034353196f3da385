"""How a network is trained, as values."""

from dataclasses import dataclass, field

from pipeline.augment.images import Jitter


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to train; the fields are explained in params.yaml's section `train`."""

    epochs: int
    batch_images: int
    optimizer: str
    learning_rate: float
    head_rate_factor: float
    momentum: float
    weight_decay: float
    validate_every: int
    keep: str
    normalise: str
    seed: int
    schedule: str = "constant"
    step_epochs: int = 10
    rate_factor: float = 0.1
    lowest_rate: float = 0.0
    half_cycle_epochs: float | None = 2.0
    half_cycle_iterations: int | None = None
    final_fraction: float = 0.0
    warmup_epochs: float = 0.0
    loss: str = "cross_entropy"
    hinge_margin: float = 1.0
    class_weights: str = "none"
    label_smoothing: float = 0.0
    sampling: str = "shuffle"
    clip_norm: float = 0.0
    stop_after: int = 0
    precision: str = "float32"
    channels_last: bool = True
    reuse_frozen: bool = True
    whiten: str = "none"
    sequence_blocks: int = 0
    jitter: Jitter = field(default_factory=Jitter)
