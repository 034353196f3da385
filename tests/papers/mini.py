"""Small made corpora under the publishers' names, and the stages run one after the other on them."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import soundfile
from corpora.test_cal500 import write_tables
from made_film import write_film
from ruamel.yaml import YAML

from pipeline.corpora.emodb import expected_paths
from pipeline.papers.paper import lay_over
from pipeline.params import parse_params

ROOT = Path(__file__).resolve().parents[2]
RATE = 16000
EIGHT = ("anger", "calm", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
SONGS = {"anger": 0, "calm": 2, "happiness": 3, "sadness": 6}  # by the column of their tag in cal500's made table
N_COLUMNS = 8


def sound(label, number, *, seconds=2.2):
    """A noise whose colour is the label's: (n,)."""
    rng = np.random.default_rng([number, *label.encode()])
    noise = rng.standard_normal(round(seconds * RATE) + 1)
    slope = (sum(label.encode()) % 19) / 10 - 0.9
    return 0.05 * (noise[1:] - slope * noise[:-1])


def write(path, label, number, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound(label, number, **how), RATE)


def make_emodb(folder):
    first = {}
    for name in sorted(expected_paths()):
        first.setdefault((name[:2], name[5]), name)  # speaker, emotion
    for (speaker, letter), name in first.items():
        write(folder / f"{name}.wav", letter, int(speaker))


def make_savee(folder):
    for number, speaker in enumerate(("DC", "JE", "JK", "KL")):
        for letters in ("a", "d", "f", "h", "n", "sa", "su"):
            write(folder / speaker / f"{letters}01.wav", letters, number)


def make_enterface05(folder):
    for speaker in range(1, 6):
        for number, (letters, label) in enumerate(
            {"an": "anger", "di": "disgust", "fe": "fear", "ha": "happiness", "sa": "sadness", "su": "surprise"}.items()
        ):
            path = folder / f"subject {speaker}" / label / "sentence 1" / f"s{speaker}_{letters}_1.mkv"
            write_film(path, seconds=3.0, seed=10 * speaker + number, rate=RATE)


def make_ravdess(folder, *, channel, emotions):
    for actor in range(1, 5):
        for emotion in emotions:
            for take in (1, 2):
                name = f"03-{channel:02}-{emotion:02}-01-01-{take:02}-{actor:02}.wav"
                write(folder / f"Actor_{actor:02}" / name, f"{emotion}", 10 * actor + take, seconds=4.1)


def make_tess(folder):
    for number, speaker in enumerate(("OAF", "YAF")):
        for word in ("back", "bar"):
            for label in ("angry", "disgust", "fear", "happy", "neutral", "ps", "sad"):
                write(folder / f"{speaker}_{word}_{label}.wav", label + word, number)


def make_crema_d(folder):
    for actor in range(1001, 1005):
        for label in ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD"):
            write(folder / f"{actor}_DFA_{label}_XX.wav", label, actor)


def make_cal500(folder):
    songs = {}
    for label, column in SONGS.items():
        for number in range(3):
            name = f"artist{number}-{label}_{number}"
            songs[name] = ([float(i == column) for i in range(N_COLUMNS)], label)
            write(folder / f"{name}.wav", label, number, seconds=8.5)
    write_tables(folder, songs=songs, place=".")


def make_folder(folder, labels, *, n_groups, field, seconds=2.2):
    """A folder corpus, each label twice in each group."""
    rows = [f"path,label,{field}"]
    for group in range(n_groups):
        for label in labels:
            for take in (0, 1):
                path = f"{label}/{group}_{take}.wav"
                write(folder / path, label, 10 * group + take, seconds=seconds)
                rows.append(f"{path},{label},g{group}")
    (folder / "clips.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


MAKERS = {
    "cal500": make_cal500,
    "crema_d": make_crema_d,
    "crowd": lambda folder: make_folder(folder, ("anger", "joy", "neutral"), n_groups=5, field="group", seconds=4.0),
    "emodb": make_emodb,
    "enterface05": make_enterface05,
    "goals": lambda folder: make_folder(folder, ("goal", "no_goal"), n_groups=5, field="group", seconds=4.0),
    "ravdess_song": lambda folder: make_ravdess(folder, channel=2, emotions=range(1, 7)),
    "ravdess_speech": lambda folder: make_ravdess(folder, channel=1, emotions=range(1, 9)),
    "savee": make_savee,
    "tess": make_tess,
    "uf_class": lambda folder: make_folder(folder, EIGHT, n_groups=5, field="speaker"),
}
# What makes a row's run a matter of seconds, whatever the row: one pass, small pictures, no download.
SMOKE = {
    "train": {"epochs": 1, "threads": 2, "device": "cpu", "warmup_epochs": 0.0, "validate_every": 1000},
    "runs": {"folds": [0]},
    "evaluate": {"n_resamples": 100},
    "model": {"weights": "random"},
    "machine": {"workers": 1},
}


def committed():
    return YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text(encoding="utf-8"))


def smoke_values(paper, row, root, *, honest=False):
    """Parameters of a row on made corpora, for a few steps."""
    values = lay_over(committed(), *paper.changes(row, honest=honest), SMOKE, {"data": {"root": str(root)}})
    for section in ("image", "stack"):
        values[section]["height"] = min(values[section]["height"], 128 if section == "image" else 64)
        values[section]["width"] = min(values[section]["width"], 128)
    return values


def run_row(values, monkeypatch):
    """Run all stages in the working folder; return metrics.json."""
    p = parse_params(values)
    with Path("params.yaml").open("w", encoding="utf-8") as file:
        YAML(typ="safe", pure=True).dump(values, file)
    corpora = list(p.corpora)
    runs = [f"{fold}-{member}" for fold in p.runs.folds for member in p.runs.members]
    heads = [f"{fold}-{head}" for fold in p.runs.folds for head in p.runs.heads]
    for name, items in {
        "collect_clips": corpora,
        "fingerprint_clips": corpora,
        "match_clips": None,
        "slice_blocks": corpora,
        "normalize_loudness": corpora,
        "render_spectrograms": corpora,
        "sample_frames": corpora,
        "list_spectrograms": None,
        "split_blocks": None,
        "fetch_weights": list(p.runs.members),
        "train_model": runs,
        "predict_blocks": runs,
        "list_heads": None,
        "train_head": heads,
        "fit_baselines": [str(fold) for fold in p.runs.folds],
        "evaluate_model": None,
    }.items():
        for item in [None] if items is None else items:
            run_one(name, item, monkeypatch)
    return json.loads(Path("metrics/metrics.json").read_text(encoding="utf-8"))


def run_one(name, item, monkeypatch):
    spec = importlib.util.spec_from_file_location(name, ROOT / "stages" / f"{name}.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setenv("DVC_STAGE", name if item is None else f"{name}@{item}")
    arguments = [] if item is None else [int(item) if name == "fit_baselines" else item]
    script.main(*arguments, Path("params.yaml"))
