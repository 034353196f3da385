"""Whether what the stages need is there: disk, memory, the GPU's memory; and what no stage would accept."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.altered import MOST_SECONDS
from pipeline.corpora.demo import COLUMNS
from pipeline.errors import CorpusError, SplitError
from pipeline.features.chosen import representation_of
from pipeline.features.representations import reached_hz
from pipeline.features.scales import refuse_unequal_bands
from pipeline.params.sections import Split
from pipeline.plan.job import Job, Need
from pipeline.plan.machine import Machine
from pipeline.plan.survey import ExpectedClip, Survey
from pipeline.render import limit_of
from pipeline.split.refusals import MAX_ROWS, refuse_empty_side
from pipeline.split.selection import Use, refuse_unknown_names
from pipeline.words import size

# What to change, besides the machine, where a stage needs too much.
LESS_DISK = {
    "collect_clips": "lower audio.sample_rate",
    "fingerprint_clips": "name fewer corpora",
    "slice_blocks": "raise slice.slide_seconds",
    "render_spectrograms": "lower height and width of image or stack, or raise slice.slide_seconds",
    "sample_frames": "lower image.height and image.width, or raise slice.slide_seconds",
    "split_blocks": "lower split.n_folds or raise slice.slide_seconds",
    "train_model": "name fewer runs.folds or runs.members, or choose a smaller model.name",
    "predict_blocks": "name fewer runs.folds or runs.members, or raise slice.slide_seconds",
    "train_head": "name fewer runs.folds or runs.heads, or fit heads on logits",
}
LESS_MEMORY = {
    "collect_clips": "lower machine.workers, or cut the recordings into shorter ones",
    "fingerprint_clips": "lower machine.workers, or cut the recordings into shorter ones",
    "match_clips": "name fewer corpora",
    "normalize_loudness": "lower machine.workers or raise slice.slide_seconds",
    "render_spectrograms": "lower machine.workers, or height and width of image or stack",
    "sample_frames": "lower machine.workers, or image.height and image.width",
    "train_model": "lower train.batch_images, or choose a smaller model.name",
    "predict_blocks": "raise slice.slide_seconds, or choose a smaller model.name",
    "train_head": "fit heads on logits, or with covariance diagonal",
}
FEWER_BLOCKS = "raise slice.slide_seconds"


def misfits(needs: Sequence[Need], machine: Machine, *, are_drawn: bool = False) -> list[str]:
    """Name, a line each, what does not fit: the stage, what it needs, what is there and what to change.

    `are_drawn` says that blocks lie at random places, so that fewer of them are a matter of another parameter.
    """
    found = [*_disk_misfits(needs, machine), *_memory_misfits(needs, machine)]
    return [line.replace(FEWER_BLOCKS, "lower slice.random_blocks") if are_drawn else line for line in found]


def cached_bytes(needs: Sequence[Need], machine: Machine) -> int:
    """Bytes that DVC's cache holds beside the outputs: none where these are links to it, on the same disk."""
    if machine.one_disk and not machine.copies:
        return 0
    return sum(need.disk for need in needs if need.in_cache)


def _disk_misfits(needs: Sequence[Need], machine: Machine) -> list[str]:
    outputs, cached = sum(need.disk for need in needs), cached_bytes(needs, machine)
    here = outputs + cached if machine.one_disk else outputs * machine.copies
    lacks = [(here, machine.free_disk, machine.project)]
    if not machine.one_disk:
        lacks.append((cached, machine.free_cache_disk, machine.cache))
    largest = max(needs, key=lambda need: need.disk)
    factor = 1 + (cached > 0)
    with_cache = f" ({size(factor * largest.disk)} with DVC's cache)" if cached and machine.one_disk else ""
    fix = LESS_DISK.get(largest.stage, FEWER_BLOCKS)
    return [
        f"{largest.stage} needs {size(largest.disk)} of disk{with_cache}, all stages {size(wanted)}, {size(free)} are "
        f"free on {place}: use a disk with more space, {fix}"
        for wanted, free, place in lacks
        if wanted > free
    ]


def _memory_misfits(needs: Sequence[Need], machine: Machine) -> list[str]:
    found = []
    for need in needs:
        if need.memory > machine.free_memory:
            fix = LESS_MEMORY.get(need.stage, FEWER_BLOCKS)
            found.append(
                f"{need.stage} needs {size(need.memory)} of memory, {size(machine.free_memory)} are free: "
                f"use a machine with more, {fix}"
            )
        if machine.free_gpu is not None and need.gpu > machine.free_gpu:
            found.append(
                f"{need.stage} needs {size(need.gpu)} of the GPU's memory, {size(machine.free_gpu)} are free: "
                f"{LESS_MEMORY['train_model']}, or set train.device to cpu"
            )
    return found


def refusals(job: Job) -> list[str]:
    """Name what a stage would refuse that can be known now: the message that it would give, after hours of work."""
    found = []
    used = [clip for clip, n in zip(job.survey.clips, job.counts.of_clip, strict=True) if n]
    rates = {f"{clip.corpus}/{clip.recording.path}": clip.source_rate for clip in used}
    chosen = representation_of(job.params)
    lengths = {clip.n_samples for clip in used} if job.params.slice.whole_clips else {job.longest_block}
    try:
        reached = max((reached_hz(chosen, n) for n in lengths), default=0.0)
        refuse_unequal_bands(rates, max_hz=reached, limit=limit_of(chosen))
    except CorpusError as error:
        found.append(f"render_spectrograms: {error}")
    rate, most = job.params.audio.sample_rate, MOST_SECONDS
    if long := [clip for clip in used if job.counts.n_altered and clip.n_samples > most * rate]:
        name = f"{long[0].corpus}/{long[0].recording.path}"
        found.append(
            f"slice_blocks: {len(long)} of {len(used)} clips, the first {name}, last longer than the {most:g} s that "
            "can be altered: set augment.sound to none, or list shorter events of the recordings in clips.csv"
        )
    for field in job.params.split.fields:
        found += _lacking_field(used, field)
    found += _missing_weights(job)
    if unknown := unknown_names(job.survey, job.params.split):
        found.append(f"split_blocks: {unknown}")
    found += _empty_side(job)
    labels = list(job.counts.by_label)
    if len(labels) < 2:
        found.append(
            f"split_blocks: only one class, {labels[0]!r}: there is nothing to tell apart; name corpora with two "
            "classes or more"
        )
    if job.split_rows > MAX_ROWS:
        found.append(
            f"split_blocks: {job.sides.n_folds} folds of {job.counts.n_blocks} blocks make more than {MAX_ROWS} rows: "
            f"use split.method kfold with split.n_folds of at most {MAX_ROWS // job.counts.n_blocks}"
        )
    if max(job.params.runs.folds) >= job.sides.n_folds:
        found.append(
            f"train_model: there is no fold {max(job.params.runs.folds)}: this split has folds 0 to "
            f"{job.sides.n_folds - 1}: change runs.folds"
        )
    return found


def _lacking_field(used: Sequence[ExpectedClip], by: str) -> list[str]:
    """What split_blocks would say of a field that clips lack."""
    if by in ("block", "clip", "corpus"):
        return []
    # The demo's table has more columns than a survey of it draws.
    drawn = by in COLUMNS
    lacking = [
        clip for clip in used if not clip.recording.fields.get(by, "").strip() and not (drawn and clip.corpus == "demo")
    ]
    if not lacking:
        return []
    first = f"{lacking[0].corpus}/{lacking[0].recording.path}"
    return [
        f"split_blocks: split.by: {len(lacking)} of {len(used)} clips have no {by!r} (first: {first}): fill it in, "
        "leave those corpora out, or split by another field"
    ]


def unknown_names(survey: Survey, split: Split) -> str | None:
    """What split_blocks would say of labels and classes that no clip has."""
    labels_of: dict[str, set[str]] = {}
    for clip in survey.clips:
        labels_of.setdefault(clip.corpus, set()).add(clip.recording.label)
    use = {corpus: Use(**own.model_dump()) for corpus, own in split.use.items()}
    try:
        refuse_unknown_names(labels_of, use=use, classes=split.classes)
    except SplitError as error:
        return str(error)
    return None


def _empty_side(job: Job) -> list[str]:
    """What split_blocks would say of roles that leave a side without a block."""
    if job.params.split.method == "matched":  # roles have no part in it
        return []
    both, train, test = (sum(job.counts.by_role[role].values()) for role in ("both", "train", "test"))
    try:
        refuse_empty_side(to_test=both + test > 0, to_train=both + train > 0)
    except SplitError as error:
        return [f"split_blocks: {error}"]
    return []


def _missing_weights(job: Job) -> list[str]:
    """What fetch_weights would say of starting weights from a path."""
    models = {name: job.params.of_member(name)[0] for name in job.params.runs.members}
    return [
        f"fetch_weights@{name}: model.weights: {model.weights}: no such file: give random, imagenet or a path"
        for name, model in models.items()
        if model.weights not in ("random", "imagenet") and not Path(model.weights).is_file()
    ]
