"""What lies in the corpora's folders, by the files' headers alone: clips to come, their seconds and rates."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.audio.readers import Readers
from pipeline.audio.reading import MAX_CHANNELS, MAX_RATE, MIN_RATE
from pipeline.audio.resampling import n_resampled
from pipeline.audio.sniffing import HEAD_BYTES, VIDEO, sniff_container
from pipeline.audio.video import SoundTrack
from pipeline.console import track
from pipeline.corpora import Recording, list_corpus, refuse_missing
from pipeline.corpora.demo import draw_conditions
from pipeline.corpora.recording import shown
from pipeline.errors import AudioError, CorpusError
from pipeline.params.sections import Demo, Params
from pipeline.store.paths import DEMO, corpus_folder


@dataclass(frozen=True, kw_only=True)
class ExpectedClip:
    """One clip that collecting is expected to accept."""

    corpus: str
    recording: Recording
    n_samples: int  # at audio.sample_rate
    source_rate: int  # Hz
    channels: int
    decoded_seconds: float  # of the whole file, from which an event may be cut
    file_bytes: int


@dataclass(frozen=True, kw_only=True)
class Survey:
    """All recordings of a run: those that can be expected to be used, and those that cannot, with reasons."""

    clips: tuple[ExpectedClip, ...]
    doubtful: tuple[str, ...]  # CORPUS/PATH: what is wrong with it

    @property
    def seconds(self) -> float:
        """Sound of the files of all clips, that of a file for each of its events."""
        return sum(clip.decoded_seconds for clip in self.clips)


def collected_seconds(clips: Sequence[ExpectedClip], *, workers: int) -> float:
    """Sound that collecting decodes: each worker decodes a file for the first two of its events (`audio.kept`)."""
    of_file: dict[tuple[str, str], list[ExpectedClip]] = {}
    for clip in clips:
        of_file.setdefault((clip.corpus, clip.recording.path), []).append(clip)
    return sum(min(len(own), 2 * workers) * own[0].decoded_seconds for own in of_file.values())


@dataclass(frozen=True)
class _Header:
    n_frames: int
    rate: int  # Hz
    channels: int
    file_bytes: int


def survey_corpora(params: Params) -> Survey:
    """Look at every recording of every corpus of a run, without decoding any.

    The demo's clips are drawn from its parameters, whether or not it lies there already: its stage would make them.

    Raises
    ------
    CorpusError
        As `list_corpus` does, if a corpus has no recording that can be opened, and if files are missing that must not.
    """
    clips: list[ExpectedClip] = []
    doubtful: list[str] = []
    for corpus in params.corpora:
        folder = corpus_folder(params.data.root, corpus)
        own: list[ExpectedClip]
        bad: list[str]
        if folder == DEMO:
            own, bad = _demo_clips(params.demo, sample_rate=params.audio.sample_rate), []
        else:
            own, bad = _survey(corpus, folder, params)
        if not own:
            raise CorpusError(f"{folder}: none of its {len(bad)} recordings can be used; the first: {bad[0]}")
        clips += own
        doubtful += bad
    return Survey(clips=tuple(clips), doubtful=tuple(doubtful))


def _survey(corpus: str, folder: Path, params: Params) -> tuple[list[ExpectedClip], list[str]]:
    clips, doubtful = [], []
    sample_rate, max_seconds = params.audio.sample_rate, 3600 * params.audio.max_hours
    headers: dict[str, _Header | AudioError] = {}  # events of one recording share its header
    listing = list_corpus(corpus, folder)
    if params.data.missing == "error":
        refuse_missing(corpus, listing)
    recordings = listing.recordings
    with Readers() as readers:
        for recording in track(recordings, label=f"survey {corpus}", total=len(recordings), unit="recordings"):
            path = recording.path
            if path not in headers:
                headers[path] = _header_or_error(readers, folder / path)
            try:
                clips.append(
                    _expect(corpus, recording, headers[path], sample_rate=sample_rate, max_seconds=max_seconds)
                )
            except AudioError as error:
                doubtful.append(f"{corpus}/{shown(path)}: {error}")
    return clips, doubtful


def _header_or_error(readers: Readers, path: Path) -> _Header | AudioError:
    """Read what a file says of itself; what is no regular file is not opened, for a pipe would block for ever."""
    try:
        if not path.is_file():
            return AudioError("the file is missing or not a regular file")
        header = readers.read_header(path)
        if not header.sample_rate:
            return _video_header_or_error(path)
        return _Header(header.n_frames, header.sample_rate, header.channels, path.stat().st_size)
    except AudioError as error:
        return AudioError(str(error).partition(": ")[2])
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL, or bytes that are not UTF-8
        return AudioError(f"it cannot be read ({getattr(error, 'strerror', None) or error})")


def _video_header_or_error(path: Path) -> _Header | AudioError:
    """Read what a video says of its sound track."""
    size = path.stat().st_size
    with path.open("rb") as file:
        try:
            kind = sniff_container(file.read(HEAD_BYTES))
        except AudioError:
            kind = ""
        if kind not in VIDEO:
            return AudioError("it cannot be opened as sound")
        try:
            with SoundTrack(file, kind=kind, size=size) as video:
                return _Header(video.expected_frames(), video.rate, video.channels, size)
        except AudioError as error:
            return error


def _expect(
    corpus: str, recording: Recording, header: _Header | AudioError, *, sample_rate: int, max_seconds: float
) -> ExpectedClip:
    """Tell what collecting will make of a recording, with its roundings, or raise why it will not take it."""
    if isinstance(header, AudioError):
        raise header
    _refuse_format(header, max_seconds=max_seconds)
    rate = header.rate
    first = round((recording.start_seconds or 0.0) * rate)
    stop = header.n_frames if recording.end_seconds is None else round(recording.end_seconds * rate)
    # A last sample that rounding adds is forgiven, as in reading.
    if first >= header.n_frames or stop > header.n_frames + 1:
        raise AudioError(f"an event up to {stop / rate:g} s in a file of {header.n_frames / rate:g} s")
    n_samples = n_resampled(min(stop, header.n_frames) - first, rate, sample_rate)
    if n_samples == 0:
        raise AudioError(f"less than one sample at {sample_rate} Hz")
    return ExpectedClip(
        corpus=corpus,
        recording=recording,
        n_samples=n_samples,
        source_rate=rate,
        channels=header.channels,
        decoded_seconds=header.n_frames / rate,
        file_bytes=header.file_bytes,
    )


def _refuse_format(header: _Header, *, max_seconds: float) -> None:
    if not MIN_RATE <= header.rate <= MAX_RATE:
        raise AudioError(f"sample rate {header.rate} Hz")
    if not 1 <= header.channels <= MAX_CHANNELS:
        raise AudioError(f"{header.channels} channels")
    if header.n_frames <= 0:
        raise AudioError("no sound in it (0 samples)")
    if header.n_frames >= 2**62:  # how libsndfile says that a stream does not tell
        raise AudioError("its header tells no length: it may be used, and is not counted here")
    if header.n_frames > max_seconds * header.rate:
        raise AudioError(f"longer than audio.max_hours ({header.n_frames / header.rate / 3600:.1f} h)")


def _demo_clips(demo: Demo, *, sample_rate: int) -> list[ExpectedClip]:
    counts = {"joy": demo.joy, "anger": demo.anger, "neutral": demo.neutral}
    conditions = draw_conditions(counts, seed=demo.seed, min_seconds=demo.min_seconds, max_seconds=demo.max_seconds)
    bytes_of = {"wav16": 2.0, "wav24": 3.0, "flac16": 1.5, "flac24": 2.4}  # a sample; of noise FLAC saves little
    return [
        ExpectedClip(
            corpus="demo",
            recording=Recording(condition.path, condition.label, fields={"event": condition.event}),
            n_samples=n_resampled(condition.n_samples, condition.sample_rate, sample_rate),
            source_rate=condition.sample_rate,
            channels=condition.channels,
            decoded_seconds=condition.seconds,
            file_bytes=math.ceil(condition.n_samples * condition.channels * bytes_of[condition.encoding]),
        )
        for condition in conditions
    ]


def sample_of(clips: Sequence[ExpectedClip], *, seconds: float) -> list[ExpectedClip]:
    """Pick clips from all over the list that together decode in about `seconds` of sound: at least one.

    Recordings longer than `seconds` are passed over; empty where there is nothing else.
    """
    short = [clip for clip in clips if clip.decoded_seconds <= seconds]
    picked: list[ExpectedClip] = []
    total = 0.0
    for clip in _spread(short):
        if picked and total + clip.decoded_seconds > seconds:
            break
        picked.append(clip)
        total += clip.decoded_seconds
    return picked


def _spread(clips: Sequence[ExpectedClip]) -> Iterator[ExpectedClip]:
    """Yield the middle one first, then the middles of the halves, and so on: neighbours in the list are alike."""
    spans = [(0, len(clips))]
    for low, high in spans:
        if low < high:
            middle = (low + high) // 2
            yield clips[middle]
            spans += [(low, middle), (middle + 1, high)]
