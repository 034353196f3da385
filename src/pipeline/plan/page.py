"""The plan as a page of text: a row for each stage, what it rests on, and what cannot fit."""

from collections.abc import Sequence
from textwrap import fill

from pipeline.plan.fit import cached_bytes
from pipeline.plan.job import EFFICIENCY, Job, Need
from pipeline.plan.machine import Machine
from pipeline.words import amount, duration, size

WIDTH = 100
DVC_SECONDS = 0.5  # of DVC itself, for each stage that it runs
NAMED = 3  # recordings that may be rejected


def page(needs: Sequence[Need], job: Job, machine: Machine, *, misfits: Sequence[str], refusals: Sequence[str]) -> str:
    """Write the page, at most 100 columns wide but for the lines that say what cannot fit."""
    notes = [
        _sentence_of_corpora(job),
        *_doubtful(job),
        _how_measured(job),
        _assumptions(job, machine),
        _free(machine),
    ]
    verdict = [
        *(f"cannot fit: {line}" for line in misfits),
        *(f"cannot run: {line}" for line in refusals),
    ] or ["Everything fits."]
    return "\n".join([*_table(needs, job, machine), "", *(fill(note, WIDTH) for note in notes), "", *verdict])


def dvc_seconds(needs: Sequence[Need], job: Job, machine: Machine) -> float:
    """Seconds that DVC itself takes: to start each stage, to hash what is read and made, and to copy what is kept."""
    made = sum(need.disk for need in needs)
    read = sum(clip.file_bytes for clip in job.survey.clips)
    hashing = (made + read) / job.sound.hashed_per_second
    copying = made / job.sound.written_per_second if machine.copies else 0.0
    return DVC_SECONDS * sum(need.runs for need in needs) + hashing + copying


def _table(needs: Sequence[Need], job: Job, machine: Machine) -> list[str]:
    rows = [(need.stage, need.items, duration(need.seconds), size(need.disk), _memory(need)) for need in needs]
    dvc = dvc_seconds(needs, job, machine)
    cached = cached_bytes(needs, machine)
    runs = amount(sum(need.runs for need in needs), "stage run")
    rows.append(("DVC and its cache", runs, duration(dvc), size(cached), ""))
    total = (
        "total",
        "",
        duration(sum(need.seconds for need in needs) + dvc),
        size(sum(need.disk for need in needs) + cached),
        size(max(need.memory for need in needs)),
    )
    header = ("stage", "items", "time", "disk", "peak memory")
    widths = [max(len(row[column]) for row in (header, *rows, total)) for column in range(len(header))]
    lines = [_line(row, widths) for row in (header, *rows, total)]
    rule = "-" * len(lines[0])
    return [lines[0], rule, *lines[1:-1], rule, lines[-1]]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Words to the left, figures to the right."""
    words = [cell.ljust(width) for cell, width in zip(cells[:2], widths, strict=False)]
    figures = [cell.rjust(width) for cell, width in zip(cells[2:], widths[2:], strict=True)]
    return "  ".join(words + figures)


def _memory(need: Need) -> str:
    return size(need.memory) + (f" + {size(need.gpu)} GPU" if need.gpu else "")


def _sentence_of_corpora(job: Job) -> str:
    counts, params = job.counts, job.params
    classes = ", ".join(f"{label} {n}" for label, n in counts.by_label.items())
    parts = [
        f"{', '.join(params.corpora)}: {amount(len(job.survey.clips), 'clip')}, "
        f"{'at most ' if params.slice.silent_blocks == 'drop' else ''}{amount(counts.n_blocks, 'block')} ({classes})"
    ]
    if params.slice.silent_blocks == "drop":
        parts.append("silent blocks are dropped, which only the sound can tell")
    if counts.too_short:
        parts.append(f"{amount(counts.too_short, 'clip')} shorter than a block left out (slice.short_clips: reject)")
    learning = f"a fold trains on about {amount(job.n_learned, job.item)}"
    watching = f" and watches {amount(job.sides.watched, job.item)}" if job.sides.watched else ""
    return "; ".join([*parts, learning + watching]) + "."


def _doubtful(job: Job) -> list[str]:
    doubtful = job.survey.doubtful
    if not doubtful:
        return []
    more = f"; and {len(doubtful) - NAMED} more" if len(doubtful) > NAMED else ""
    total = len(doubtful) + len(job.survey.clips)
    return [
        f"Not counted: {len(doubtful)} of {amount(total, 'recording')} that collecting will probably reject: "
        f"{'; '.join(doubtful[:NAMED])}{more}."
    ]


def _how_measured(job: Job) -> str:
    sound = job.sound
    heard = "recordings" if sound.on_real_sound else "made noise (no recording of a minute or less is there yet)"
    networks = "; ".join(
        _measured_as(job, name, costs.timed_images, costs.device) for name, costs in job.networks.items()
    )
    return (
        f"Measured just now, with the stages' own code: {duration(sound.measured_seconds)} of {heard} "
        f"collected and fingerprinted, {amount(sound.measured_blocks, 'block')} normalised and rendered, and for "
        f"each member a few training steps and forward passes from random weights ({networks}). Whatever else the "
        "machine does meanwhile is in it."
    )


def _measured_as(job: Job, name: str, n_timed: int, device: str) -> str:
    """Name a member's network or estimator, and how many blocks it was timed on."""
    model, _, _ = job.params.of_member(name)
    if model.is_estimator:
        return f"{name}: {model.name}, fitted to {amount(n_timed, 'made block')}"
    if not n_timed:
        how = "not tried but counted layer by layer, for its weights are more than the free memory takes"
        return f"{name}: {model.name} on {device}, {how}"
    return f"{name}: {model.name} on {device}, steps of {amount(n_timed, job.item)}"


def _assumptions(job: Job, machine: Machine) -> str:
    workers = f"{job.workers} workers, each at {EFFICIENCY:.0%} beside the others" if job.workers > 1 else "one worker"
    cache = (
        "keeps a copy of every output (cache.type)"
        if machine.copies
        else f"keeps outputs as {machine.cache_link}s (cache.type)"
    )
    download = any(job.params.of_member(name)[0].weights == "imagenet" for name in job.networks)
    return (
        f"Assumed: {workers}; regressions that converge as on noise; few clips alike; sides dealt in proportion, as "
        f"units allow. DVC {cache}. The plan is of a run from nothing: what DVC has already is not run again, and what "
        f"is on the disk already is not subtracted.{' Downloading weights is not in the times.' if download else ''}"
    )


def _free(machine: Machine) -> str:
    gpu = "" if machine.free_gpu is None else f", {size(machine.free_gpu)} of the GPU's memory"
    cache = "" if machine.one_disk else f", {size(machine.free_cache_disk)} for DVC's cache on {machine.cache}"
    return (
        f"Free: {size(machine.free_disk)} of disk on {machine.project}{cache}, "
        f"{size(machine.free_memory)} of memory{gpu}."
    )
