"""A made corpus: files under the publisher's names, empty but for those that are read."""

from collections import Counter
from pathlib import Path

import soundfile
from made import RATE, noise


def touch(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()


def write_sound(path: Path, *, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, noise(-20, 0.3, seed=seed), RATE)


def labels(listing) -> Counter:
    return Counter(recording.label for recording in listing.recordings)


def values(listing, field: str) -> Counter:
    return Counter(recording.fields[field] for recording in listing.recordings)
