"""The recording that events are being cut from: decoded once, however many they are."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from pipeline.audio.spool import Spool
from pipeline.errors import AudioError, StoreError

Identity = tuple[object, ...]


@dataclass(frozen=True, kw_only=True)
class Mono:
    """The mean of a recording's channels at its own rate.

    Attributes
    ----------
    rate, channels
        Of the file; Hz.
    between
        Takes two places in samples, the second None for the end. Gives pieces (n,), float32, that hold at least what
        lies between, and the place of the first.
    notes
        Says what was tolerated in the file; to be asked after the last piece.
    """

    rate: int
    channels: int
    between: Callable[[int, int | None], tuple[int, Iterator[np.ndarray]]]
    notes: Callable[[], tuple[str, ...]]


class Kept:
    """The last recording of which more than one event was asked for, or why it cannot be used.

    A corpus of whole recordings, or of one event each, costs nothing here: only the second event of a recording makes
    it be kept.
    """

    def __init__(self) -> None:
        self._identity: Identity | None = None
        self._found: Mono | Exception | None = None
        self._pieces: Spool | None = None
        self._has_room = True

    def is_asked_again(self, identity: Identity) -> bool:
        """Whether the event before this one was of the same recording; from now on this one is the one before."""
        if identity == self._identity:
            return self._has_room
        if self._pieces is not None:
            self._pieces.close()
        self._identity, self._found, self._pieces, self._has_room = identity, None, None, True
        return False

    @property
    def found(self) -> Mono | None:
        """What is kept of the recording; None where it has not been decoded for keeping.

        Raises
        ------
        AudioError, soundfile.SoundFileError
            As decoding it did.
        """
        if isinstance(self._found, Exception):
            raise self._found
        return self._found

    def keep(self, mono: Mono, folder: Path | None) -> Mono | None:
        """Decode a recording to its end, where it is long into a file in `folder`; None where there is no room.

        Raises
        ------
        AudioError, soundfile.SoundFileError
            If it cannot be used; the next event of it hears the same without decoding.
        """
        pieces = Spool(folder)
        try:
            for block in mono.between(0, None)[1]:
                pieces.append(block)
        except StoreError:
            pieces.close()
            self._has_room = False
            return None
        except (AudioError, soundfile.SoundFileError) as error:
            pieces.close()
            self._found = error
            raise
        notes = mono.notes()
        self._pieces = pieces
        self._found = Mono(rate=mono.rate, channels=mono.channels, between=pieces.between, notes=lambda: notes)
        return self._found
