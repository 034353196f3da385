"""params.yaml -> frozen, typed sections; unknown keys and bad values are refused, all at once, before any work."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.errors import ParamsError

Seed = Annotated[int, Field(ge=0, lt=2**32)]
NAME = re.compile(r"[a-z0-9][a-z0-9_]*")


def _sorted_once(items: tuple[Any, ...]) -> tuple[Any, ...]:
    if not items:
        raise ValueError("must not be empty: nothing would run")
    if list(items) != sorted(set(items)):
        raise ValueError(f"must be sorted and without repeats: {sorted(set(items))}")
    return items


def _plain_name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} must be made of a-z, 0-9 and _ (it names files and DVC stages)")
    return name


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


Name = Annotated[str, AfterValidator(_plain_name)]
Names = Annotated[tuple[Name, ...], BeforeValidator(_as_tuple), AfterValidator(_sorted_once)]
Folds = Annotated[
    tuple[Annotated[int, Field(ge=0)], ...],
    BeforeValidator(_as_tuple),
    AfterValidator(_sorted_once),
]


class Section(BaseModel):
    """A block of params.yaml: frozen, no unknown keys, no silent conversion of types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Runs(Section):
    """Which folds and members are trained."""

    folds: Folds
    members: Names


class Data(Section):
    """Where the recordings lie."""

    root: str


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

    block_seconds: float = Field(ge=0.1, le=60)
    slide_seconds: float = Field(ge=0.01, le=60)
    short_clips: Literal["repeat", "pad", "reject"]
    tail: Literal["drop", "align"]
    silent_blocks: Literal["keep", "drop"]
    silent_below_lu: float = Field(ge=10, le=100)


class Loudness(Section):
    """Blocks -> gains."""

    scope: Literal["none", "block", "clip", "corpus"]
    method: Literal["lufs", "rms", "peak", "zscore"]
    target_db: float = Field(ge=-70, le=0)
    max_gain_db: float = Field(ge=0, le=100)
    over_full_scale: Literal["keep", "limit"]


class Spectrogram(Section):
    """Blocks -> dB matrices."""

    window: Literal["hamming", "hann", "blackman", "boxcar"]
    window_samples: Annotated[int, Field(ge=16, le=65536)] | None
    window_seconds: Annotated[float, Field(ge=0.001, le=1)] | None
    hop_seconds: float = Field(ge=0.0001, le=1)
    fft_length: int = Field(ge=64, le=65536)
    axis: Literal["mel", "slaney", "log", "linear"]
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

    colormap: Literal["jet", "grey"]
    n_colours: int = Field(ge=2, le=256)
    height: int = Field(ge=16, le=1024)
    width: int = Field(ge=16, le=1024)


class Split(Section):
    """Blocks -> sides of folds."""

    by: Name
    method: Literal["holdout", "kfold", "leave_one_out"]
    n_folds: int = Field(ge=2, le=1000)
    test_fraction: float = Field(ge=0.01, le=0.9)
    stratify: bool
    balance: Literal["train", "all", "none"]
    validation: Literal["none", "fraction", "test"]
    validation_fraction: float = Field(ge=0.01, le=0.9)
    seed: Seed
    audit_fields: Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]


class Model(Section):
    """The network and where it starts."""

    name: Name
    weights: str = Field(min_length=1)
    weights_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None
    init: Literal["kaiming", "torchvision"]
    normalise: Literal["imagenet", "unit"]


class Train(Section):
    """The training loop."""

    epochs: int = Field(ge=1, le=10000)
    batch_images: int = Field(ge=1, le=4096)
    optimizer: Literal["adamw", "sgd"]
    learning_rate: float = Field(gt=0, le=10)
    head_rate_factor: float = Field(ge=0.001, le=1000)
    momentum: float = Field(ge=0, le=0.999)
    weight_decay: float = Field(ge=0, le=1)
    validate_every: int = Field(ge=1, le=1000000)
    keep: Literal["last", "best"]
    device: str = Field(pattern=r"^[a-z]+(:[0-9]+)?$")
    threads: int = Field(ge=0, le=1024)
    deterministic: bool


class Evaluate(Section):
    """Predictions -> metrics."""

    n_resamples: int = Field(ge=100, le=100000)
    seed: Seed


class Machine(Section):
    """What changes speed and no byte."""

    workers: int = Field(ge=0, le=1024)


class Member(Section):
    """One network of an ensemble: its seed and its own values of `model` and `train`."""

    seed: Seed
    model: Mapping[str, Any]
    train: Mapping[str, Any]


class Params(Section):
    """All of params.yaml."""

    corpora: Names
    runs: Runs
    members: Mapping[Name, Member]
    data: Data
    demo: Demo
    audio: Audio
    slice: Slice
    loudness: Loudness
    spectrogram: Spectrogram
    image: Image
    split: Split
    model: Model
    train: Train
    evaluate: Evaluate
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
        model = Model.model_validate({**self.model.model_dump(), **member.model})
        train = Train.model_validate({**self.train.model_dump(), **member.train})
        return model, train, member.seed

    def problems(self) -> list[str]:
        """Contradictions between keys that are each valid alone, one line each."""
        found = _band_problems(self.spectrogram, self.audio.sample_rate, self.slice.block_seconds)
        if not (self.data.root == "data/raw" or Path(self.data.root).is_absolute()):
            found.append(f"data.root: must be data/raw or an absolute path, not {self.data.root!r}")
        if self.demo.max_seconds < self.demo.min_seconds:
            found.append(f"demo.max_seconds: {self.demo.max_seconds} is below demo.min_seconds {self.demo.min_seconds}")
        if self.slice.slide_seconds > self.slice.block_seconds and self.slice.tail == "align":
            found.append("slice.tail: align would overlap blocks that slice.slide_seconds keeps apart: use drop")
        for name in self.runs.members:
            if name not in self.members:
                found.append(f"runs.members: {name!r} has no entry under members")
        if self.split.method == "holdout" and self.runs.folds != (0,):
            found.append(f"runs.folds: split.method holdout has fold 0 only, not {list(self.runs.folds)}")
        if self.split.method == "kfold" and max(self.runs.folds) >= self.split.n_folds:
            found.append(f"runs.folds: {max(self.runs.folds)} is not one of split.n_folds = {self.split.n_folds} folds")
        return found + [problem for name in self.members for problem in self._member_problems(name)]

    def _member_problems(self, name: str) -> list[str]:
        try:
            _, train, _ = self.of_member(name)
        except ValidationError as error:
            return [f"members.{name}.{error.title.lower()}.{line}" for line in _lines(error)]
        if train.keep == "best" and self.split.validation == "none":
            return ["train.keep: best needs a validation side: set split.validation, or keep the last weights"]
        return []


def _band_problems(spectrogram: Spectrogram, sample_rate: int, block_seconds: float) -> list[str]:
    found = []
    nyquist = sample_rate / 2
    if (spectrogram.window_samples is None) == (spectrogram.window_seconds is None):
        found.append("spectrogram.window_samples, window_seconds: give one of the two, and null for the other")
    elif spectrogram.window_length(sample_rate) > spectrogram.fft_length:
        found.append(
            f"spectrogram.fft_length: {spectrogram.fft_length} is shorter than the window of "
            f"{spectrogram.window_length(sample_rate)} samples"
        )
    elif spectrogram.window_length(sample_rate) > round(block_seconds * sample_rate):
        found.append("spectrogram.window_samples, window_seconds: the window is longer than a block")
    if spectrogram.fft_length & (spectrogram.fft_length - 1):
        found.append(f"spectrogram.fft_length: must be a power of two, not {spectrogram.fft_length}")
    if spectrogram.max_hz > nyquist:
        found.append(f"spectrogram.max_hz: {spectrogram.max_hz} is above half of audio.sample_rate: at most {nyquist}")
    if spectrogram.min_hz >= spectrogram.max_hz:
        found.append(f"spectrogram.min_hz: {spectrogram.min_hz} is not below max_hz {spectrogram.max_hz}")
    if spectrogram.axis == "log" and spectrogram.min_hz <= 0:
        found.append("spectrogram.min_hz: a log axis starts above 0 Hz")
    if spectrogram.low_db >= spectrogram.high_db:
        found.append(f"spectrogram.low_db: {spectrogram.low_db} is not below high_db {spectrogram.high_db}")
    if 0 < spectrogram.n_columns < 8:
        found.append(f"spectrogram.n_columns: {spectrogram.n_columns} is neither 0 nor 8 to 4096")
    return found


def _lines(error: ValidationError) -> list[str]:
    """One line per problem: the key, what was found, what is needed."""
    lines = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"] if part not in ("[key]",))
        if problem["type"] == "extra_forbidden":
            lines.append(f"{key}: unknown key")
        elif problem["type"] == "missing":
            lines.append(f"{key}: missing")
        else:
            message = problem["msg"].removeprefix("Value error, ")
            lines.append(f"{key}: {message[0].lower()}{message[1:]}, not {problem['input']!r}")
    return lines


def parse_params(values: object) -> Params:
    """Check `values` (what a YAML reader returned) and freeze them.

    Raises
    ------
    ParamsError
        Naming every key that is unknown, missing, of the wrong type or out of range, or else every contradiction.
    """
    if not isinstance(values, Mapping):
        raise ParamsError("params.yaml: no mapping of sections in it; restore it with `git checkout params.yaml`")
    try:
        params = Params.model_validate(values)
    except ValidationError as error:
        raise ParamsError("params.yaml: " + "; ".join(_lines(error))) from None
    problems = params.problems()
    if problems:
        raise ParamsError("params.yaml: " + "; ".join(problems))
    return params


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read `path` as YAML 1.2 and check it whole.

    Raises
    ------
    ParamsError
        If the file cannot be read or is not valid YAML, and as `parse_params` says.
    """
    try:
        values = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ParamsError(f"{path}: {error.strerror}: run from the project's folder, where params.yaml is") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    return parse_params(values)
