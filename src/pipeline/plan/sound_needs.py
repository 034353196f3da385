"""What the stages need that come before the split: from recordings to images."""

from collections.abc import Sequence

from pipeline.audio.fingerprint import FRAME, HOP, LAG, RATE
from pipeline.audio.reading import BLOCK_FRAMES
from pipeline.duplicates.fingerprints import PRINTS_IN_CHUNK
from pipeline.duplicates.index import ENTRIES_AT_ONCE, MOST_NEIGHBOURS, VOTES_AT_ONCE
from pipeline.features.chosen import representation_of
from pipeline.parallel import JOBS_PER_WORKER
from pipeline.plan.job import FILE_BYTES, ROW_MEMORY, ROW_SECONDS, Job, Need, block_bytes, rows_in_chunks
from pipeline.plan.survey import collected_seconds
from pipeline.sampling import RUN_BYTES
from pipeline.store.arrays import SOUND_CHUNK
from pipeline.store.sound import PIECE_SAMPLES, RUN_BLOCKS, RUN_SAMPLES
from pipeline.words import amount, duration

DEMO_RATE = 48000  # Hz, the highest of the demo's
SCIPY_BYTES = 25_000_000  # of Fourier transforms and resampling, beside a process that collects
PRINT_BYTES = 5  # of a sub-fingerprint: 32 bits, and whether it tells anything
PRINTING_BYTES = 8_000_000  # of the frames and spectra that a worker has at hand, beside the sound
# Measured once, on 34 minutes of speech and other sounds, and 50 hours made of them: what a sub-fingerprint takes while
# it is sorted, and what two take that agree by chance.
SORTING_BYTES, CHANCE_BYTES = 70, 120
CHANCE = 7e-9  # such pairs, by the square of the number of sub-fingerprints
CHANCE_SECONDS = 1e-6
READER_BYTES = 45_000_000  # of a process that decodes sound for a worker, beside its blocks
DECODER_BYTES = 100_000_000  # of a worker that decodes a video of 1920 x 1080 pixels: frames that wait for their turn


def sound_needs(job: Job) -> list[Need]:
    """Estimate the stages up to the images, in the order in which they run."""
    demo = [_synthesize(job)] if any(clip.corpus == "demo" for clip in job.survey.clips) else []
    return [
        *demo,
        _collect(job),
        _fingerprint(job),
        _match(job),
        _slice(job),
        _normalize(job),
        _render(job),
        _sample(job),
    ]


def _synthesize(job: Job) -> Need:
    clips = [clip for clip in job.survey.clips if clip.corpus == "demo"]
    seconds = sum(clip.decoded_seconds for clip in clips)
    return Need(
        stage="synthesize_demo",
        runs=1,
        items=amount(len(clips), "clip"),
        seconds=job.sound.start_seconds + seconds * job.sound.demo_per_second,
        disk=sum(clip.file_bytes for clip in clips),
        memory=job.sound.base_bytes + round(max(clip.decoded_seconds for clip in clips) * DEMO_RATE * 2 * 8 * 12),
    )


def _collect(job: Job) -> Need:
    n_samples = dict.fromkeys(job.params.corpora, 0)
    for clip in job.survey.clips:
        n_samples[clip.corpus] += clip.n_samples
    disk = sum(4 * rows_in_chunks(n, SOUND_CHUNK) + FILE_BYTES for n in n_samples.values())
    seconds = collected_seconds(job.survey.clips, workers=job.workers) * job.sound.collect_per_second
    decoding = job.workers * BLOCK_FRAMES * 2 * (4 + 8 + 4)  # a block of the decoder: read, averaged, rounded
    sizes = [4 * clip.n_samples for clip in job.survey.clips]
    work = [clip.decoded_seconds for clip in job.survey.clips]
    return Need(
        stage="collect_clips",
        runs=len(job.params.corpora),
        items=f"{amount(len(sizes), 'clip')}, {duration(sum(n_samples.values()) / job.params.audio.sample_rate)}",
        seconds=len(n_samples) * job.sound.start_seconds + job.together(seconds, disk),
        disk=disk + 300 * len(sizes),
        # What has been read grows by an eighth at a time.
        memory=job.sound.base_bytes
        + decoding
        + job.workers * READER_BYTES
        + round(9 / 8 * held_at_once(sizes, work, job.workers))
        + ROW_MEMORY["clip"] * len(sizes),
    )


def held_at_once(sizes: Sequence[int], work: Sequence[float], workers: int) -> int:
    """Most bytes that are held while workers make results of some sizes and hand them on in their order.

    A worker takes the next job when it is done with one; a result waits until all before it are there.
    """
    free = [0.0] * workers
    most, handed_on = 0, 0.0
    waiting: list[tuple[float, int]] = []
    for size, seconds in zip(sizes, work, strict=True):
        first = min(range(workers), key=free.__getitem__)
        start = free[first]
        free[first] = start + seconds
        handed_on = max(handed_on, free[first])
        waiting = [(until, n) for until, n in waiting if until > start]
        waiting.append((handed_on, size))
        most = max(most, sum(n for _, n in waiting))
    return most


def n_prints(n_samples: int, sample_rate: int) -> int:
    """How many sub-fingerprints a clip has."""
    return max(0, (n_samples * RATE // sample_rate - FRAME) // HOP + 1 - LAG)


def _fingerprint(job: Job) -> Need:
    rate, clips = job.params.audio.sample_rate, job.survey.clips
    disk = 0
    for corpus in job.params.corpora:
        own = [n_prints(clip.n_samples, rate) for clip in clips if clip.corpus == corpus]
        names = rows_in_chunks(len(own), 1024) * (job.counts.name_bytes + 8)
        disk += rows_in_chunks(sum(own), PRINTS_IN_CHUNK) * PRINT_BYTES + names + FILE_BYTES
    seconds = sum(clip.n_samples for clip in clips) / rate
    longest = max(clip.n_samples for clip in clips)
    # A piece of sound, what it becomes at another rate, and both joined; a clip's numbers, twice while they are joined.
    worker = PRINTING_BYTES + 12 * min(PIECE_SAMPLES, longest) + 24 * n_prints(longest, rate)
    waiting = JOBS_PER_WORKER * job.workers * PRINT_BYTES * n_prints(longest, rate)
    return Need(
        stage="fingerprint_clips",
        runs=len(job.params.corpora),
        items=f"{amount(len(clips), 'clip')}, {duration(seconds)}",
        seconds=len(job.params.corpora) * job.sound.start_seconds
        + job.together(seconds * job.sound.fingerprint_per_second, disk),
        disk=disk,
        memory=job.sound.base_bytes + SCIPY_BYTES + job.workers * worker + waiting + ROW_MEMORY["clip"] * len(clips),
    )


def _match(job: Job) -> Need:
    """Estimate the search; listening comes on top where many clips are alike, and one thread looks for candidates."""
    clips = job.survey.clips
    n = sum(n_prints(clip.n_samples, job.params.audio.sample_rate) for clip in clips)
    by_chance = min(CHANCE * n**2, MOST_NEIGHBOURS * n)
    sorting = SORTING_BYTES * min(n, ENTRIES_AT_ONCE) + round(CHANCE_BYTES * min(by_chance, VOTES_AT_ONCE))
    return Need(
        stage="match_clips",
        runs=1,
        items=amount(len(clips), "clip"),
        seconds=job.sound.start_seconds + n * job.sound.match_per_print + by_chance * CHANCE_SECONDS,
        disk=100,
        memory=job.sound.base_bytes + SCIPY_BYTES + sorting + ROW_MEMORY["clip"] * len(clips),
    )


def _slice(job: Job) -> Need:
    n = job.n_rendered
    looking = n * job.sound.loudness_per_block if job.params.slice.silent_blocks == "drop" else 0.0
    n_corpora = len(job.params.corpora)
    return Need(
        stage="slice_blocks",
        runs=len(job.params.corpora),
        items=_blocks(job),
        seconds=n_corpora * job.sound.start_seconds + looking + n * ROW_SECONDS,
        disk=n * (2 * job.counts.name_bytes + 20),
        memory=job.sound.base_bytes + ROW_MEMORY["clip"] * len(job.counts.of_clip),
    )


def _normalize(job: Job) -> Need:
    n = job.n_rendered
    rows = n * (ROW_MEMORY["block"] + ROW_MEMORY["gain"] + ROW_MEMORY["measurement"])
    # Of a piece of sound and of what is computed from it in double precision; of the gates of one clip's blocks.
    pieces = job.workers * (PIECE_SAMPLES * 40 + 4 * RUN_SAMPLES)
    gates_of_block = 10 * job.longest_block / job.params.audio.sample_rate + 1
    gates = max(job.counts.of_clip) * gates_of_block * 50 * job.workers
    return Need(
        stage="normalize_loudness",
        runs=len(job.params.corpora),
        items=amount(n, "block"),
        seconds=len(job.params.corpora) * job.sound.start_seconds
        + job.together(n * job.sound.loudness_per_block + job.altering_seconds, 0),
        disk=n * (job.counts.name_bytes + 35),
        memory=job.sound.base_bytes + rows + pieces + round(gates) + job.altering_memory,
    )


def _render(job: Job) -> Need:
    if job.is_of_video:
        return _nothing(job, "render_spectrograms", job.sound.start_torch_seconds)
    n, image = job.n_rendered, block_bytes(job.params)
    disk = _rendered_bytes(job)
    return Need(
        stage="render_spectrograms",
        runs=len(job.params.corpora),
        items=amount(n, job.item),
        seconds=len(job.params.corpora) * job.sound.start_torch_seconds
        + job.together(n * job.sound.render_per_block + job.altering_seconds, disk),
        disk=disk,
        memory=job.sound.base_torch_bytes
        + n * (ROW_MEMORY["block"] + ROW_MEMORY["gain"] + 2 * job.counts.name_bytes)
        + _held_while_rendering(job, image)
        + job.altering_memory,
    )


def _sample(job: Job) -> Need:
    if not job.is_of_video:
        return _nothing(job, "sample_frames", job.sound.start_seconds)
    n = job.counts.n_blocks
    waiting = min(n * block_bytes(job.params), job.workers * JOBS_PER_WORKER * RUN_BYTES)
    return Need(
        stage="sample_frames",
        runs=len(job.params.corpora),
        items=amount(n, job.item),
        seconds=len(job.params.corpora) * job.sound.start_seconds
        + job.together(job.survey.seconds * job.sound.frames_per_second, _rendered_bytes(job)),
        disk=_rendered_bytes(job),
        memory=job.sound.base_bytes
        + n * (ROW_MEMORY["block"] + ROW_MEMORY["place"] + 2 * job.counts.name_bytes)
        + waiting
        + job.workers * DECODER_BYTES,
    )


def _nothing(job: Job, stage: str, start_seconds: float) -> Need:
    """A stage that writes a file without blocks for each corpus: they become something else."""
    n = len(job.params.corpora)
    memory = job.sound.base_bytes
    return Need(stage=stage, runs=n, items="none", seconds=n * start_seconds, disk=n * FILE_BYTES, memory=memory)


def _rendered_bytes(job: Job) -> int:
    """Bytes of all blocks as they are rendered, with their names."""
    n = job.n_rendered
    names = 1024 * job.counts.name_bytes * len(job.params.corpora)
    return n * (block_bytes(job.params) + 24) + rows_in_chunks(n, 1024) * job.counts.name_bytes + names


def _held_while_rendering(job: Job, image: int) -> int:
    """A round of jobs with its sound, and its pictures until they are written; and what each worker computes with."""
    params = job.params
    rate = params.audio.sample_rate
    block, slide = job.longest_block, params.slice.slide_seconds * rate
    in_run = max(1, min(RUN_BLOCKS, int((RUN_SAMPLES - block) / slide) + 1, max(job.counts.of_clip)))
    n_runs = sum(-(-n // in_run) for n in job.counts.of_clip)
    round_of_runs = min(JOBS_PER_WORKER * job.workers, n_runs)
    chosen = representation_of(params)
    length = chosen.resample_samples or block
    # Per frame: its window, twice, and per bin a complex number, a power and a copy of it.
    frames = sum(
        ((length - one.window_length) / (one.hop_seconds * rate) + 1) * (8 * one.window_length + 8 * one.fft_length)
        for one in chosen.spectrograms
    )
    sound = 4 * (block + (in_run - 1) * min(slide, block))
    if params.slice.random_blocks:
        sound = 4 * max(block, RUN_SAMPLES)
    return round(round_of_runs * (sound + in_run * image) + job.workers * (frames + 8 * image))


def _blocks(job: Job) -> str:
    at_most = "at most " if job.params.slice.silent_blocks == "drop" else ""
    return at_most + amount(job.n_rendered, "block")
