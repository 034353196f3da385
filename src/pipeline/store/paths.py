"""Where every file between stages lies, relative to the project's folder. dvc.yaml spells the same paths once more."""

from pathlib import Path

from pipeline.errors import StoreError

DEMO = Path("data/raw/demo")
CLIPS = Path("data/processed/clips")
BLOCKS = Path("data/processed/blocks")
LOUDNESS = Path("data/processed/loudness")
FINGERPRINTS = Path("data/processed/fingerprints")
DUPLICATES = Path("data/processed/duplicates.csv")
SPECTROGRAMS = Path("data/processed/spectrograms")
FRAMES = Path("data/processed/frames")
SPECTROGRAMS_LIST = Path("data/processed/spectrograms.csv")
SPLIT = Path("data/processed/split.csv")
SPLIT_METRICS = Path("metrics/split.json")
VARIANTS = Path("data/processed/variants.csv")
WEIGHTS = Path("models/weights")
MODELS = Path("models")
CURVES = Path("data/processed/curves")
OUTPUTS = Path("data/processed/outputs")
HEADS = Path("data/processed/heads")
HEAD_SOURCES = HEADS / "sources"
BASELINES = Path("data/processed/baselines")
RESUME = Path("data/processed/resume")  # no stage's output: DVC deletes those before a stage starts
LOCKS = Path("data/processed/locks")  # and records of what was written; no stage's output either
ANSWERS = Path("data/processed/answers.csv")
METRICS = Path("metrics/metrics.json")
REPORT = Path("metrics/report.html")
PLOTS = Path("metrics/plots")
PLOT_TABLES = tuple(
    PLOTS / f"{name}.csv"
    for name in ("confusion_block", "confusion_clip", "learning_curves", "over_clip", "reliability", "recall")
)


def corpus_folder(root: str, corpus: str) -> Path:
    """Folder of a corpus's recordings."""
    return Path(root) / corpus


def clips_folder(corpus: str) -> Path:
    """What is collected of a corpus."""
    return CLIPS / corpus


def clips_h5(corpus: str) -> Path:
    """Sound of every accepted clip of a corpus."""
    return clips_folder(corpus) / "clips.h5"


def clips_csv(corpus: str) -> Path:
    """What is known of each accepted clip."""
    return clips_folder(corpus) / "clips.csv"


def rejected_csv(corpus: str) -> Path:
    """The recordings that were not accepted, with reasons."""
    return clips_folder(corpus) / "rejected.csv"


def missing_csv(corpus: str) -> Path:
    """The files of the publisher's list that are not there."""
    return clips_folder(corpus) / "missing.csv"


def noted_csv(corpus: str) -> Path:
    """What was tolerated in recordings of a corpus that were accepted."""
    return clips_folder(corpus) / "noted.csv"


def blocks_csv(corpus: str) -> Path:
    """The blocks of a corpus."""
    return BLOCKS / f"{corpus}.csv"


def left_out_csv(corpus: str) -> Path:
    """What slicing left out, with reasons."""
    return BLOCKS / f"{corpus}.left_out.csv"


def loudness_csv(corpus: str) -> Path:
    """Loudness and gain of each block."""
    return LOUDNESS / f"{corpus}.csv"


def fingerprints_h5(corpus: str) -> Path:
    """Fingerprints of every clip of a corpus."""
    return FINGERPRINTS / f"{corpus}.h5"


def spectrograms_h5(corpus: str) -> Path:
    """Rendered blocks of a corpus, in the order of its blocks."""
    return SPECTROGRAMS / f"{corpus}.h5"


def frames_h5(corpus: str) -> Path:
    """Frames that the videos of a corpus show, in the order of its blocks."""
    return FRAMES / f"{corpus}.h5"


def run_key(fold: int, member: str) -> str:
    """Name of one training run; also the name of its DVC matrix item."""
    return f"{fold}-{member}"


def parse_run_key(key: str) -> tuple[int, str]:
    """Invert `run_key`: the fold and the member of a DVC matrix item.

    Raises
    ------
    StoreError
        If it is not such a name.
    """
    fold, _, member = key.partition("-")
    if not (fold.isdecimal() and member):
        raise StoreError(f"{key!r} names no training run: give FOLD-MEMBER, e.g. 0-a")
    return int(fold), member


def model_folder(key: str) -> Path:
    """Weights of a training run and all that is needed to use them."""
    return MODELS / key


def weights_folder(member: str) -> Path:
    """A member's starting weights."""
    return WEIGHTS / member


def curves_csv(key: str) -> Path:
    """Learning curves of a training run."""
    return CURVES / f"{key}.csv"


def resume_folder(key: str) -> Path:
    """State of a training run that is not finished."""
    return RESUME / key


def outputs_h5(key: str) -> Path:
    """Logits and last features of every block under a training run's model."""
    return OUTPUTS / f"{key}.h5"


def head_source(key: str) -> Path:
    """Which outputs a head is fitted to, by content."""
    return HEAD_SOURCES / f"{key}.json"


def head_folder(key: str) -> Path:
    """A fitted head, named as a training run with the head in the place of the member."""
    return HEADS / key


def head_outputs_h5(key: str) -> Path:
    """Logits of every block under a fitted head."""
    return head_folder(key) / "outputs.h5"


def baselines_h5(fold: int) -> Path:
    """Class probabilities of every block under each baseline, fitted on a fold's training side."""
    return BASELINES / f"{fold}.h5"


def lock_of(output: Path) -> Path:
    """The lock of a stage's output."""
    return LOCKS / f"{'+'.join(output.parts)}.lock"


def record_of(path: Path) -> Path:
    """The record of what was written to a file's path."""
    return LOCKS / f"{'+'.join(path.parts)}.known"
