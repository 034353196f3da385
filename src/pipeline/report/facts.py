"""What was run, in words: the corpora, how sound became images, the split, the training, and what computed it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.features.representations import stack_of
from pipeline.params.fitted import USED
from pipeline.params.training import idle_keys
from pipeline.report.axes import text_of
from pipeline.report.spectrograms import CONTENTS, Sound
from pipeline.store.files import read_json
from pipeline.store.paths import model_folder, rejected_csv, run_key
from pipeline.store.tables import Rejected, SpectrogramFile, read_rows

Values = Mapping[str, Any]
CLIP_ANSWERS = {
    "mean": "mean of probabilities",
    "product": "product of probabilities",
    "vote": "vote",
    "belief": "belief, updated in the order of time",
    "last": "last one's",
}
MOST_REASONS = 10  # for rejecting recordings; the rest are counted together


@dataclass(frozen=True)
class Table:
    """A table with a heading for each column and each row."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    figures: bool = False  # of numbers, set right


@dataclass(frozen=True)
class Facts:
    """Terms and what they are."""

    heading: str
    items: Sequence[tuple[str, str]]


def corpora_table(corpora: Sequence[str], split: Values, sound: Sound) -> Table:
    """What each corpus brought and what of it was rejected."""
    rows = []
    for corpus in corpora:
        own = split["corpora"][corpus]
        licences = Counter(clip.licence for clip in sound.clips.values() if clip.corpus == corpus)
        counts = [str(sum(own[name].values())) for name in ("clips", "blocks")]
        rows.append([corpus, *counts, f"{own['seconds']:.1f}", str(own["rejected"]), ", ".join(sorted(licences))])
    return Table("Corpora", ["corpus", "clips", "blocks", "seconds", "rejected", "licence"], rows, figures=True)


def classes_table(corpora: Sequence[str], split: Values) -> Table:
    """Clips and blocks of each label, over all corpora, as the corpora name it."""
    clips, blocks = (
        sum((Counter(split["corpora"][corpus][name]) for corpus in corpora), Counter()) for name in ("clips", "blocks")
    )
    rows = [[label, str(clips[label]), str(blocks[label])] for label in sorted({*clips, *blocks})]
    return Table("Clips and blocks of each class", ["class", "clips", "blocks"], rows, figures=True)


def rejected_table(corpora: Sequence[str]) -> Table:
    """Why recordings were rejected, the commonest reasons first."""
    reasons: Counter[tuple[str, str]] = Counter()
    for corpus in corpora:
        reasons.update((corpus, row.reason) for row in read_rows(rejected_csv(corpus), Rejected))
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    rows = [[corpus, str(n), reason] for (corpus, reason), n in ordered[:MOST_REASONS]]
    if rest := ordered[MOST_REASONS:]:
        rows.append(["all", str(sum(n for _, n in rest)), f"{len(rest)} further reasons"])
    return Table("Rejected recordings", ["corpus", "recordings", "reason"], rows)


def left_out_table(corpora: Sequence[str], split: Values) -> Table:
    """What slicing left out of the accepted clips."""
    rows = []
    for corpus in corpora:
        for reason, classes in sorted(split["corpora"][corpus]["left_out"].items()):
            blocks = sum(entry["blocks"] for entry in classes.values())
            seconds = sum(entry["seconds"] for entry in classes.values())
            rows.append([corpus, str(blocks), f"{seconds:.1f}", reason])
        if filled := sum(split["corpora"][corpus]["filled_blocks"].values()):
            rows.append([corpus, str(filled), "", "not left out, but filled up: the clip is shorter than the block"])
    return Table("Left out when slicing", ["corpus", "blocks", "seconds", "reason"], rows)


def seen_as(representation: Values) -> str:
    """What the pictures of the page show, in a sentence or two."""
    kind = representation.get("kind", "image")
    if kind == "features":
        return "Hand-built features are no pictures: none is shown."
    if kind == "faces":
        return "The frame of the clip's video at the middle of the block."
    n_samples = representation.get("resample_samples", 0)
    relative = f" Blocks of {n_samples} samples, resampled: frequencies and times are relative." if n_samples else ""
    if kind == "stack":
        spec = stack_of(representation)
        first = spec.channels[0].spectrogram
        names = f"{len(spec.channels)} channel{'' if len(spec.channels) == 1 else 's'}"
        has_mfcc = any(channel.contents in ("mfcc", "delta_mfcc") for channel in spec.channels)
        middle = " (MFCC and deltas: of it the 1st to 99th percentile)" if has_mfcc else ""
        return (
            f"A stack of {names}, each drawn over its own range{middle} before whitening and scaling; axis: "
            f"{first.axis}, {first.n_bands} bands.{relative}"
        )
    return f"Axis: {representation['axis']}, {representation['n_bands']} bands.{relative}"


def representation_facts(representation: Values, sections: Mapping[str, Values]) -> Facts:
    """How a recording becomes blocks, and a block an image, a stack or features."""
    how, cut, loud = representation, sections["slice"], sections["loudness"]
    level = "levels as recorded"
    if loud["scope"] != "none":
        unit = {"lufs": "LUFS", "rms": "dB RMS", "peak": "dB peak"}.get(loud["method"])
        target = f"to {text_of(loud['target_db'])} {unit}" if unit else "to zero mean and unit variance"
        level = f"each {loud['scope']} {target}, at most {loud['max_gain_db']:g} dB of gain"
    blocks = [
        ("Blocks", f"{cut['block_seconds']:g} s, one every {cut['slide_seconds']:g} s"),
        ("Shorter clips", f"{cut['short_clips']}; rest of a clip: {cut['tail']}; silent: {cut['silent_blocks']}"),
    ]
    if n_random := cut.get("random_blocks", 0):
        blocks = [
            ("Blocks", f"{cut['block_seconds']:g} s, {n_random} of each clip at random (seed {cut['seed']})"),
            ("Shorter clips", f"{cut['short_clips']}; silent: {cut['silent_blocks']}"),
        ]
    if cut.get("whole_clips"):
        blocks = [("Blocks", f"whole clips; silent: {cut['silent_blocks']}")]
    if n_samples := how.get("resample_samples", 0):
        blocks.append(("Resampled", f"each block to {n_samples} samples: frequencies and times below are relative"))
    kind = how.get("kind", "image")
    if kind == "faces":
        return Facts("From video to image", [*blocks, *_face_facts(how)])
    of_kind = {"image": _image_facts, "stack": _stack_facts, "features": _feature_facts}[kind]
    return Facts(
        {"image": "From sound to image", "stack": "From sound to stack"}.get(kind, "From sound to features"),
        [("Sound", f"mono, {how['sample_rate']} Hz"), *blocks, ("Loudness", level), *of_kind(how)],
    )


def _frames(window: str, window_length: int, sample_rate: int, hop_seconds: float) -> str:
    ms = 1000 * window_length / sample_rate
    return f"{window} window of {window_length} samples ({ms:.3g} ms), a frame every {1000 * hop_seconds:g} ms"


def _image_facts(how: Values) -> list[tuple[str, str]]:
    columns = f"resampled to {how['n_columns']} columns" if how["n_columns"] else "a column for each frame"
    if how.get("range") == "own":
        percentiles = f"percentiles {how['low_percentile']:g} to {how['high_percentile']:g}"
        span = f"over each picture's own values ({percentiles}, at most {how['most_db']:g} dB)"
    else:
        span = f"from {text_of(how['low_db'])} to {text_of(how['high_db'])} dB re 1/Hz"
    return [
        ("Frames", _frames(how["window"], how["window_length"], how["sample_rate"], how["hop_seconds"])),
        ("Spectrum", f"power spectral density, dB re 1/Hz; FFT of {how['fft_length']} samples"),
        ("Frequency axis", f"{how['axis']}, {how['n_bands']} bands from {how['min_hz']:g} to {how['max_hz']:g} Hz"),
        ("Time axis", columns),
        ("Colours", f"{how['n_colours']} of {how['colormap']}, {span}"),
        ("Image", f"{how['width']} \N{MULTIPLICATION SIGN} {how['height']} pixels"),
    ]


def _face_facts(how: Values) -> list[tuple[str, str]]:
    seen = "the largest square in its middle" if how["crop"] == "square" else "all of it, whatever its proportions"
    return [
        ("Frame", "that which the clip's video shows at the block's middle"),
        ("Of a frame", seen),
        ("Image", f"{how['width']} \N{MULTIPLICATION SIGN} {how['height']} pixels"),
    ]


def _stack_facts(how: Values) -> list[tuple[str, str]]:
    spec = stack_of(how)
    first = spec.channels[0].spectrogram
    rows = []
    for number, channel in enumerate(spec.channels, start=1):
        own = channel.spectrogram
        frames = _frames(own.window, own.window_length, own.sample_rate, own.hop_seconds)
        rows.append((f"Channel {number}", f"{CONTENTS[channel.contents]}; {frames}; FFT of {own.fft_length} samples"))
    return [
        *rows,
        ("Frequency axis", f"{first.axis}, {first.n_bands} bands from {first.min_hz:g} to {first.max_hz:g} Hz"),
        ("Stack", f"{spec.n_columns} \N{MULTIPLICATION SIGN} {spec.n_bands} values in each channel"),
    ]


def _feature_facts(how: Values) -> list[tuple[str, str]]:
    return [
        ("Features", how["columns"].replace("_", "\N{NO-BREAK SPACE}")),
        ("Frames", f"{1000 * how['frame_seconds']:g} ms, one every {1000 * how['hop_seconds']:g} ms"),
        ("Pitch", f"looked for from {how['min_pitch_hz']:g} to {how['max_pitch_hz']:g} Hz"),
    ]


def split_facts(metrics: Values, split: Values, sections: Mapping[str, Values]) -> Facts:
    """How blocks came to their sides, and what the intervals are."""
    how, own = sections["split"], metrics["split"]
    share = f" ({how['test_fraction']:g} of the blocks)" if how["method"] == "holdout" else ""
    watched = {"none": "none", "test": "the test side itself"}.get(
        how["validation"], f"{how['validation_fraction']:g} of the training side's blocks"
    )
    resamples, unit = sections["evaluate"]["n_resamples"], metrics["clip"]["unit"]
    return Facts(
        "Split and intervals",
        [
            ("Unit", f"{own['by']}: never on two sides; {split['units']} units"),
            ("Method", f"{own['method']}{share}; {len(own['folds'])} of {own['n_folds']} folds run"),
            ("Stratified", "yes" if how["stratify"] else "no"),
            (
                "Classes balanced",
                {"train": "on the training side", "all": "before the split"}.get(own["balance"], "no"),
            ),
            ("Validation side", watched),
            ("Seed", str(how["seed"])),
            ("Clip's answer", f"its blocks' {CLIP_ANSWERS[metrics['aggregate']]}"),
            ("Members' mean", f"of their {metrics['members_mean']}"),
            ("Intervals", f"95 %, percentile bootstrap over units ({unit} for clips), {resamples} resamples"),
        ],
    )


def folds_table(metrics: Values, split: Values) -> Table:
    """Blocks on each side of each fold that was run."""
    rows = []
    for fold in metrics["split"]["folds"]:
        own = split["folds"][str(fold)]
        sides = [str(sum(own[side].values())) for side in ("train", "validation", "test", "dropped")]
        rows.append([str(fold), *sides, str(own["train_units"]), str(own["test_units"])])
    columns = ["fold", "train", "validation", "test", "dropped", "units, train", "units, test"]
    return Table("Blocks on each side", columns, rows, figures=True)


def members_table(metrics: Values, members: Mapping[str, Values]) -> Table:
    """Network, starting weights and training of each member: a column each, a row for each setting."""
    columns = []
    for name, member in members.items():
        model, train, start = member["model"], member["train"], metrics["start"][name]
        idle = {"threads", *idle_keys(train)}
        if start["weights"] == "none":
            columns.append(_estimator_settings(model, member["seed"]))
            continue
        columns.append(
            {
                "network": start["network"],
                "over the blocks of a clip": _sequence(model),
                "starting weights": start["weights"],
                "their SHA-256": start.get("sha256", ""),
                "random weights drawn by": model["init"],
                "dropout": "the network's own" if model["dropout"] is None else f"{model['dropout']:g}",
                "values enter as": model["normalise"],
                "whitening": model["whiten"] if model["whiten"] != "none" else "",
                "seed": str(member["seed"]),
                **{key.replace("_", " "): _setting(train[key]) for key in train if key not in idle},
            }
        )
    keys = dict.fromkeys(key for column in columns for key in column)
    rows = [[key, *(column.get(key, "") for column in columns)] for key in keys]
    rows = [row for row in rows if any(row[1:])]
    return Table("Networks and training", ["setting", *(f"member {name}" for name in members)], rows)


def _estimator_settings(model: Values, seed: int) -> dict[str, str]:
    """What was chosen of an estimator: the keys that its kind looks at."""
    chosen = {key: value for key, value in model["estimator"].items() if key in USED[model["name"]]}
    return {
        "network": f"{model['name']} (no network)",
        "values enter as": model["normalise"],
        "whitening": model["whiten"] if model["whiten"] != "none" else "",
        "seed": str(seed),
        **{key.replace("_", " "): "" if value is None else _setting(value) for key, value in chosen.items()},
    }


def _sequence(model: Values) -> str:
    """What runs over the blocks; nothing where nothing does."""
    if model["sequence"] == "none":
        return ""
    n = model["sequence_layers"]
    layers = f"{n} layer{'s' * (n != 1)}"
    stretch = f", learnt in stretches of {model['sequence_blocks']} blocks" if model["sequence_blocks"] else ""
    return f"{model['sequence']}, {model['sequence_units']} units, {layers}{stretch}"


def _setting(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def provenance_table(folds: Sequence[int], members: Sequence[str]) -> Table:
    """Device and versions that trained each run; runs made alike share a column."""
    made: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for fold in folds:
        for member in members:
            said = read_json(model_folder(run_key(fold, member)) / "provenance.json")
            packages = said.pop("packages", {})
            flat = {**{key: str(value) for key, value in said.items()}, **packages}
            made.setdefault(tuple(flat.items()), []).append(run_key(fold, member))
    columns = [dict(items) for items in made]
    names = dict.fromkeys(name for column in columns for name in column)
    heads = ["all runs"] if len(made) == 1 else [", ".join(runs) for runs in made.values()]
    rows = [[name, *(column.get(name, "") for column in columns)] for name in names]
    return Table("Device and versions that trained it", ["", *heads], rows)


def content_table(listed: Sequence[SpectrogramFile]) -> Table:
    """Digest of what each corpus's blocks became: what exactly the networks saw."""
    return Table(
        "Rendered blocks, by content", ["corpus", "SHA-256 of the values"], [[row.corpus, row.sha256] for row in listed]
    )
