"""A published corpus of four recordings, small enough to be made."""

from pathlib import Path

import soundfile
from made import RATE, tone

from pipeline.corpora import CORPORA, Corpus, Download, Recording
from pipeline.corpora.named import list_named

LICENCE = "CC BY-NC-SA 4.0, for research that is published with its data only"
PATHS = {name: f"wav/{name}.wav" for name in ("s1_anger", "s1_joy", "s2_anger", "s2_joy")}


def read_name(path: str) -> tuple[str, Recording] | None:
    name = path.rpartition("/")[2].rpartition(".")[0]
    if name not in PATHS:
        return None
    speaker, label = name.split("_")
    return name, Recording(path, label, licence=LICENCE, fields={"speaker": speaker})


def toy(*downloads: Download, **changes) -> Corpus:
    card = {
        "title": "Toy, a corpus that never was",
        "page": "https://example.org/toy",
        "citation": "A. Nobody (2001): Toy. Proc. Nowhere.",
        "licence": LICENCE,
        "how_to_get": "Ask a.nobody@example.org for toy.zip and unpack it into the corpus's folder.",
        "classes": ("anger", "joy"),
        "n_files": 4,
        "n_speakers": 2,
        "sample_rate": RATE,
        "channels": 1,
        "list_files": lambda folder: list_named(folder, read_name, PATHS),
        "downloads": downloads,
    }
    return Corpus(**{**card, **changes})


def only(monkeypatch, **cards: Corpus) -> None:
    """Make these the only known corpora."""
    for name in list(CORPORA):
        monkeypatch.delitem(CORPORA, name)
    for name, card in cards.items():
        monkeypatch.setitem(CORPORA, name, card)


def write_sound(path: Path, hz: float, *, seconds: float = 0.2, rate: int = RATE, **how) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tone(-6, seconds, hz=hz, rate=rate), rate, **how)
    return path


def write_toy(folder: Path, *, without: tuple[str, ...] = ()) -> Path:
    for number, (name, path) in enumerate(PATHS.items()):
        if name not in without:
            write_sound(folder / path, 300 + 100 * number)
    return folder
