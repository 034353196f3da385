"""The sections of params.yaml, frozen and typed; params.yaml itself says what each key means."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
)

from pipeline.errors import ParamsError
from pipeline.params.values import (
    Colormap,
    Crossed,
    Extent,
    Folds,
    Frozen,
    Label,
    Name,
    Names,
    NamesOrNone,
    Padding,
    Seed,
    Texts,
    as_tuple,
    named_or_listed,
)

EstimatorKind = Literal["svm", "softmax_regression", "naive_bayes", "lda", "qda", "gmm"]
RecurrentKind = Literal["lstm", "bilstm"]
ESTIMATORS, RECURRENT = get_args(EstimatorKind), get_args(RecurrentKind)


class Section(BaseModel):
    """A block of params.yaml: frozen, no unknown keys, no silent conversion of types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Runs(Section):
    """Which folds and members are trained, and which heads on them."""

    folds: Folds
    members: Names
    heads: NamesOrNone


class Data(Section):
    """Where the recordings lie, and what they lack."""

    root: str
    missing: Literal["warn", "error"]


class Demo(Section):
    """The synthetic corpus."""

    seed: Seed
    joy: int = Field(ge=1, le=1000)
    anger: int = Field(ge=1, le=1000)
    neutral: int = Field(ge=1, le=1000)
    min_seconds: float = Field(ge=4, le=600)
    max_seconds: float = Field(ge=4, le=600)


class Audio(Section):
    """The canonical copy of the sound."""

    sample_rate: int = Field(ge=8000, le=192000)
    max_hours: float = Field(gt=0, le=48)


class Slice(Section):
    """Clips -> blocks."""

    whole_clips: bool
    block_seconds: float = Field(ge=0.1, le=60)
    slide_seconds: float = Field(ge=0.01, le=60)
    short_clips: Literal["repeat", "pad", "reject"]
    tail: Literal["drop", "align"]
    random_blocks: int = Field(ge=0, le=10_000)
    seed: Seed
    silent_blocks: Literal["keep", "drop"]
    silent_below_lu: float = Field(ge=10, le=100)


class Loudness(Section):
    """Blocks -> gains."""

    scope: Literal["none", "block", "clip", "corpus"]
    method: Literal["lufs", "rms", "peak", "zscore"]
    target_db: float = Field(ge=-70, le=0)
    max_gain_db: float = Field(ge=0, le=100)
    over_full_scale: Literal["keep", "limit"]


Window = Literal["hamming", "hann", "blackman", "boxcar"]
Axis = Literal["mel", "slaney", "bark", "erb", "log", "linear"]


class Representation(Section):
    """What a block becomes."""

    kind: Literal["image", "stack", "features", "faces"]
    resample_samples: int = Field(ge=0, le=10_000_000)


class Spectrogram(Section):
    """Blocks -> dB matrices."""

    window: Window
    window_samples: Annotated[int, Field(ge=16, le=65536)] | None
    window_seconds: Annotated[float, Field(ge=0.001, le=1)] | None
    hop_seconds: float = Field(ge=0.0001, le=1)
    fft_length: int = Field(ge=64, le=65536)
    axis: Axis
    n_bands: int = Field(ge=8, le=2048)
    min_hz: float = Field(ge=0, le=96000)
    max_hz: float = Field(gt=0, le=96000)
    low_db: float = Field(ge=-300, le=100)
    high_db: float = Field(ge=-300, le=100)
    n_columns: int = Field(ge=0, le=4096)

    def window_length(self, sample_rate: int) -> int:
        """Window length in samples, however it was given."""
        if self.window_samples is not None:
            return self.window_samples
        return round((self.window_seconds or 0.0) * sample_rate)


class Image(Section):
    """dB matrices -> pixels."""

    colormap: Colormap
    n_colours: int = Field(ge=2, le=256)
    height: int = Field(ge=16, le=1024)
    width: int = Field(ge=16, le=1024)
    range: Literal["fixed", "own"]
    low_percentile: float = Field(ge=0, le=100)
    high_percentile: float = Field(ge=0, le=100)
    most_db: float = Field(ge=1, le=300)


class StackChannel(Section):
    """One spectrogram of a stack."""

    window_samples: Annotated[int, Field(ge=16, le=65536)] | None = None
    window_seconds: Annotated[float, Field(ge=0.001, le=1)] | None = None
    hop_samples: Annotated[int, Field(ge=1, le=65536)] | None = None
    hop_seconds: Annotated[float, Field(ge=0.0001, le=1)] | None = None
    fft_length: int = Field(ge=64, le=65536)

    def window_length(self, sample_rate: int) -> int:
        """Window length in samples, however it was given."""
        return self.window_samples or round((self.window_seconds or 0.0) * sample_rate)

    def hop(self, sample_rate: int) -> float:
        """Seconds from frame to frame, however they were given."""
        return self.hop_samples / sample_rate if self.hop_samples else self.hop_seconds or 0.0


class Stack(Section):
    """Blocks -> matrices as channels."""

    channels: Annotated[tuple[StackChannel, ...], BeforeValidator(as_tuple), Field(min_length=1, max_length=64)]
    contents: Literal["spectrograms", "mfcc"]
    values: Literal["log", "power"]
    window: Window
    axis: Axis
    n_bands: int = Field(ge=8, le=2048)
    min_hz: float = Field(ge=0, le=96000)
    max_hz: float = Field(gt=0, le=96000)
    height: int = Field(ge=16, le=1024)
    width: int = Field(ge=16, le=1024)
    n_coefficients: int = Field(ge=0, le=2048)
    delta_frames: int = Field(ge=3, le=99)


class Features(Section):
    """Blocks -> hand-built features."""

    frame_seconds: float = Field(ge=0.02, le=1)
    hop_seconds: float = Field(ge=0.001, le=1)
    min_pitch_hz: float = Field(ge=20, le=1000)
    max_pitch_hz: float = Field(ge=50, le=4000)


class Faces(Section):
    """Video frames -> pixels."""

    crop: Literal["none", "square"]


class Use(Section):
    """What is used of one corpus."""

    role: Literal["both", "train", "test"] = "both"
    train_clips: Annotated[int, Field(ge=1)] | None = None
    test_clips: Annotated[int, Field(ge=1)] | None = None
    labels: Mapping[str, Label | None] = Field(default_factory=dict)


class SoundVariant(Section):
    """One way of altering the sound of clips; the ranges are those of `pipeline.augment.variants`."""

    semitones: float = Field(default=0.0, ge=-12, le=12)
    time_factor: float = Field(default=1.0, ge=0.5, le=2)
    noise_snr_db: Annotated[float, Field(ge=-20, le=100)] | None = None
    noise_colour: Literal["white", "pink"] = "white"
    gain_db: float = Field(default=0.0, ge=-60, le=60)

    @property
    def alters(self) -> frozenset[str]:
        """What it alters: pitch, time, noise, gain."""
        changes = {
            "pitch": self.semitones != 0,
            "time": self.time_factor != 1,
            "noise": self.noise_snr_db is not None,
            "gain": self.gain_db != 0,
        }
        return frozenset(name for name, is_there in changes.items() if is_there)


class Augment(Section):
    """Altered sound and altered images, for training only."""

    sound: Annotated[
        Annotated[Literal["none", "nine"], Tag("[named]")]
        | Annotated[tuple[SoundVariant, ...], BeforeValidator(as_tuple), Tag("[listed]")],
        Discriminator(named_or_listed),
    ]
    seed: Seed
    brightness: float = Field(ge=0, le=1)
    contrast: float = Field(ge=0, le=1)
    grey: float = Field(ge=0, le=1)

    @property
    def chosen_sound(self) -> str | list[dict[str, Any]]:
        """The choice of sound, each variant as a mapping."""
        return self.sound if isinstance(self.sound, str) else [variant.model_dump() for variant in self.sound]

    @property
    def of_images(self) -> dict[str, float]:
        """How far images are altered."""
        return {"brightness": self.brightness, "contrast": self.contrast, "grey": self.grey}


class Split(Section):
    """Blocks -> sides of folds."""

    use: Mapping[Name, Use]
    classes: Texts
    by: Crossed
    method: Literal["holdout", "kfold", "leave_one_out", "matched"]
    n_folds: int = Field(ge=2, le=1000)
    test_fraction: float = Field(ge=0.01, le=0.9)
    stratify: bool
    balance: Literal["train", "all", "none"]
    validation: Literal["none", "fraction", "test"]
    validation_fraction: float = Field(ge=0.01, le=0.9)
    matched_on: Name | None
    absent_classes: Literal["refuse", "drop", "keep"]
    near_duplicates: Literal["refuse", "join"]
    allow_leaks: Texts
    seed: Seed
    audit_fields: Texts

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that `by` crosses; mostly one."""
        return tuple(self.by.split("+"))

    @property
    def folds(self) -> int | None:
        """How many folds it makes, where that does not depend on the recordings."""
        return {"kfold": self.n_folds ** len(self.fields), "holdout": 1, "matched": 1}.get(self.method)

    @property
    def of_training(self) -> dict[str, Any]:
        """What training has to know of the split."""
        return {"validation": self.validation, "balanced": self.balance != "none"}


class Estimator(Section):
    """What can be chosen of estimators; each looks at its own keys only."""

    kernel: Literal["rbf", "linear"] = "rbf"
    C: float = Field(1.0, gt=0, le=1000000)
    gamma: Annotated[float, Field(gt=0, le=1000000)] | None = None
    n_mixtures: int = Field(7, ge=1, le=1000)
    covariance: Literal["full", "diagonal"] = "full"
    regularisation: float = Field(0.01, ge=0, le=1)
    priors: Literal["empirical", "equal"] = "empirical"


def _of_pool(value: object, info: ValidationInfo) -> object:
    if value and info.data.get("pool") == 0:
        raise ValueError("steps of a pool, and pool is 0: set pool, or leave it out")
    return value


class ConvolutionLayer(Section):
    """A convolution of one of our own networks, and what follows it; see `pipeline.models.convnets`."""

    filters: int = Field(ge=1, le=65536)
    height: int = Field(ge=0, le=1024)
    width: int = Field(ge=0, le=1024)
    stride: Extent = 1
    padding: Padding = 0
    batch_norm: bool = False
    pool: Extent = 0
    pool_stride: Annotated[Extent, AfterValidator(_of_pool)] = 0


class Model(Section):
    """The network and where it starts, or the estimator."""

    name: Name
    weights: str = Field(min_length=1)
    weights_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None
    init: Literal["kaiming", "torchvision"]
    dropout: Annotated[float, Field(ge=0, le=0.9)] | None
    convolutions: Annotated[tuple[ConvolutionLayer, ...], BeforeValidator(as_tuple), Field(max_length=64)] | None
    hidden: (
        Annotated[tuple[Annotated[int, Field(ge=1, le=65536)], ...], BeforeValidator(as_tuple), Field(max_length=64)]
        | None
    )
    leaky_slope: Annotated[float, Field(ge=0, le=1)] | None
    frozen: Frozen
    normalise: Literal["imagenet", "unit", "standard", "mean"]
    whiten: Literal["none", "zca", "own"]
    sequence: Literal["none", RecurrentKind]
    sequence_units: int = Field(ge=1, le=8192)
    sequence_layers: int = Field(ge=1, le=16)
    sequence_blocks: int = Field(ge=0, le=100000)
    estimator: Estimator

    @property
    def is_estimator(self) -> bool:
        """Whether it is fitted in one go, and is no network."""
        return self.name in ESTIMATORS

    @property
    def of_entry(self) -> dict[str, Any]:
        """How blocks enter the network."""
        return self.model_dump(include={"normalise", "whiten", "sequence_blocks"})

    @property
    def of_sequence(self) -> dict[str, Any]:
        """What runs over the blocks of a clip."""
        return {"kind": self.sequence, "units": self.sequence_units, "layers": self.sequence_layers}

    @property
    def options(self) -> dict[str, Any]:
        """What is changed of one of our own networks."""
        return self.model_dump(include={"convolutions", "hidden", "leaky_slope"}, exclude_none=True)


class Train(Section):
    """The training loop."""

    epochs: int = Field(ge=1, le=10000)
    batch_images: int = Field(ge=1, le=4096)
    optimizer: Literal["adamw", "sgd"]
    learning_rate: float = Field(gt=0, le=10)
    head_rate_factor: float = Field(ge=0.001, le=1000)
    schedule: Literal["constant", "step", "exponential", "cyclical", "cosine"]
    step_epochs: int = Field(ge=1, le=10000)
    rate_factor: float = Field(gt=0, le=1)
    lowest_rate: float = Field(ge=0, le=10)
    half_cycle_epochs: Annotated[float, Field(gt=0, le=10000)] | None
    half_cycle_iterations: Annotated[int, Field(ge=1, le=1000000)] | None
    final_fraction: float = Field(ge=0, le=1)
    warmup_epochs: float = Field(ge=0, le=10000)
    momentum: float = Field(ge=0, le=0.999)
    weight_decay: float = Field(ge=0, le=1)
    clip_norm: float = Field(ge=0, le=1000000)
    loss: Literal["cross_entropy", "hinge"]
    hinge_margin: float = Field(gt=0, le=1000)
    class_weights: Literal["none", "balanced"]
    label_smoothing: float = Field(ge=0, le=0.99)
    sampling: Literal["shuffle", "balanced"]
    precision: Literal["float32", "bf16"]
    channels_last: bool
    reuse_frozen: bool
    validate_every: int = Field(ge=1, le=1000000)
    keep: Literal["last", "best"]
    stop_after: int = Field(ge=0, le=1000000)
    device: str = Field(pattern=r"^[a-z]+(:[0-9]+)?$")
    threads: int = Field(ge=0, le=1024)
    processes: int = Field(ge=1, le=1024)
    deterministic: bool


class Evaluate(Section):
    """Predictions -> metrics."""

    n_resamples: int = Field(ge=100, le=100000)
    seed: Seed
    aggregate: Literal["mean", "product", "vote", "belief", "last"]
    members_mean: Literal["probabilities", "logits"]
    ensembles: Mapping[Name, Names]
    calibrate: Literal["none", "validation"]


class Report(Section):
    """Metrics -> a page."""

    wrong_clips: int = Field(ge=0, le=100)


Tolerance = Annotated[float, Field(ge=0, le=1)]


class Gate(Section):
    """How far each score may fall before it is a regression; None: not gated."""

    clip_uar: Tolerance | None
    clip_accuracy: Tolerance | None
    clip_macro_f1: Tolerance | None
    block_uar: Tolerance | None
    block_accuracy: Tolerance | None
    block_macro_f1: Tolerance | None


class Machine(Section):
    """What changes speed and no byte."""

    workers: int = Field(ge=0, le=1024)
    checkpoint_minutes: float = Field(ge=0, le=10000)


class Member(Section):
    """One network of an ensemble: its seed and its own values of `model` and `train`."""

    seed: Seed
    model: Mapping[str, Any]
    train: Mapping[str, Any]


class RecurrentHead(Section):
    """What can be chosen of a recurrent network on outputs."""

    units: int = Field(64, ge=1, le=8192)
    layers: int = Field(1, ge=1, le=16)
    epochs: int = Field(50, ge=1, le=10000)
    batch_blocks: int = Field(64, ge=1, le=100000)
    learning_rate: float = Field(0.001, gt=0, le=10)
    weight_decay: float = Field(0.0001, ge=0, le=1)


class Head(Estimator, RecurrentHead):
    """What is fitted to a member's outputs: whose, which, on which side, and the keys of its kind."""

    member: Name
    on: Literal["logits", "features"] = "logits"
    kind: Literal[EstimatorKind, RecurrentKind]
    fitted_on: Literal["train", "validation"] = "train"
    seed: Seed = 0

    @property
    def recipe(self) -> dict[str, Any]:
        """Its keys, those that are not of every kind apart."""
        of_all = {"member", "on", "kind", "fitted_on", "seed"}
        of_kind = {*(RecurrentHead if self.kind in RECURRENT else Estimator).model_fields}
        return {**self.model_dump(include=of_all), "options": self.model_dump(include=of_kind)}


class Params(Section):
    """All of params.yaml."""

    corpora: Names
    runs: Runs
    members: Mapping[Name, Member]
    heads: Mapping[Name, Head]
    data: Data
    demo: Demo
    audio: Audio
    slice: Slice
    loudness: Loudness
    representation: Representation
    spectrogram: Spectrogram
    image: Image
    stack: Stack
    features: Features
    faces: Faces
    augment: Augment
    split: Split
    model: Model
    train: Train
    evaluate: Evaluate
    report: Report
    gate: Gate
    machine: Machine

    def of_member(self, name: str) -> tuple[Model, Train, int]:
        """Return the `model` and `train` sections with member `name`'s own values, and its seed.

        Raises
        ------
        ParamsError
            If there is no such member.
        """
        if name not in self.members:
            raise ParamsError(f"members.{name}: no such member; params.yaml has {', '.join(sorted(self.members))}")
        member = self.members[name]
        own = dict(member.model)
        if isinstance(own.get("estimator"), Mapping):
            own["estimator"] = {**self.model.estimator.model_dump(), **own["estimator"]}
        model = Model.model_validate({**self.model.model_dump(), **own})
        train = Train.model_validate({**self.train.model_dump(), **member.train})
        return model, train, member.seed
