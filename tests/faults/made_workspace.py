"""A tiny project on disk in which every stage runs in a fraction of a second, and what each stage writes."""

import re
import shutil
from pathlib import Path

import numpy as np
import soundfile
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
RATE = 8000
SMALL = {
    "corpora": ["mine"],
    "runs.folds": [0],
    "runs.heads": ["h"],
    "heads": {
        "h": {
            "member": "a",
            "on": "logits",
            "kind": "softmax_regression",
            "fitted_on": "train",
            "seed": 0,
        }
    },
    "demo.joy": 1,
    "demo.anger": 1,
    "demo.neutral": 1,
    "demo.min_seconds": 4.0,
    "demo.max_seconds": 4.0,
    "audio.sample_rate": RATE,
    "spectrogram.fft_length": 512,
    "spectrogram.n_bands": 16,
    "spectrogram.max_hz": 4000.0,
    "spectrogram.n_columns": 16,
    "image.height": 16,
    "image.width": 16,
    "split.n_folds": 2,
    "model.name": "softmax",
    "train.epochs": 2,
    "train.threads": 1,
    "train.device": "cpu",
    "evaluate.n_resamples": 100,
    "machine.workers": 1,
}
# The stages in the order of the data, and the item that each works on here.
STAGES = {
    "synthesize_demo": "",
    "collect_clips": "mine",
    "fingerprint_clips": "mine",
    "match_clips": "",
    "slice_blocks": "mine",
    "normalize_loudness": "mine",
    "render_spectrograms": "mine",
    "sample_frames": "mine",
    "list_spectrograms": "",
    "split_blocks": "",
    "fetch_weights": "a",
    "train_model": "0-a",
    "predict_blocks": "0-a",
    "list_heads": "",
    "train_head": "0-h",
    "fit_baselines": "0",
    "evaluate_model": "",
    "report": "",
}
ITEMS = {"corpus": "mine", "fold": "0", "member": "a", "head": "h"}
PIPELINE = YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]


def outputs_of(stage):
    """Paths of what a stage writes, as dvc.yaml names them."""
    entry = PIPELINE[stage]
    listed = [*entry.get("outs", []), *entry.get("metrics", []), *entry.get("plots", [])]
    names = [next(iter(one)) if isinstance(one, dict) else one for one in listed]
    return [Path(re.sub(r"\$\{item\.(\w+)\}", lambda found: ITEMS[found[1]], name)) for name in names]


def write_params(folder, **changes):
    """Write the small parameters and changes to them (a.b written a__b)."""
    folder.mkdir(parents=True)
    params = YAML().load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for key, value in {**SMALL, **{name.replace("__", "."): value for name, value in changes.items()}}.items():
        *outer, last = key.split(".")
        section = params
        for name in outer:
            section = section[name]
        section[last] = value
    with (folder / "params.yaml").open("w", encoding="utf-8") as file:
        YAML().dump(params, file)


def make_workspace(folder, *, seed=0, clips_per_class=3, **changes):
    """Write params.yaml and recordings: two classes of noises of 4 s, high and low, and a file that is no sound."""
    write_params(folder, **changes)
    for label, slope in (("high", 1), ("low", -1)):
        for number in range(clips_per_class):
            noise = np.random.default_rng([seed, number, slope + 1]).standard_normal(4 * RATE + 1)
            path = folder / "data/raw/mine" / label / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, 0.05 * (noise[1:] - slope * 0.95 * noise[:-1]), RATE, subtype="PCM_16")
    (folder / "data/raw/mine/low/broken.wav").write_text("<html>not found</html>", encoding="utf-8")
    return folder


def files_under(workspace, paths):
    """Content of every file of some outputs, by its path in the workspace; temporary files are left out."""
    found = {}
    for path in paths:
        own = workspace / path
        for file in sorted(own.rglob("*")) if own.is_dir() else [own]:
            if file.is_file() and not file.name.endswith(".part"):
                found[file.relative_to(workspace).as_posix()] = file.read_bytes()
    return found


def temporary_files(workspace):
    """What a killed process left: half-written files, and folders in the making."""
    return sorted(
        path.relative_to(workspace).as_posix()
        for path in workspace.rglob(".*")
        if path.name.endswith(".part") or ".making-" in path.name or ".before-" in path.name
    )


def put_outputs(source, workspace, paths):
    """Make some outputs of a workspace those of another, and remove temporary files."""
    for name in temporary_files(workspace):
        own = workspace / name
        if own.is_dir():
            shutil.rmtree(own)
        else:
            own.unlink(missing_ok=True)
    for path in paths:
        own = workspace / path
        if own.is_dir():
            shutil.rmtree(own)
        own.unlink(missing_ok=True)
        if (source / path).is_dir():
            shutil.copytree(source / path, own)
        elif (source / path).is_file():
            own.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / path, own)
