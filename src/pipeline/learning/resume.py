"""The state of a run that is not finished, so that it can go on after a kill as if nothing had happened.

A folder of its own holds it, outside of what a stage writes: DVC deletes that before the stage starts. There is a file
of tensors and plain values, and a note that names it, its SHA-256, and the digest of all that defines the run. The note
is renamed into place after the file, so a kill at any moment leaves a whole state, the new one or the one before.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

import pipeline
from pipeline.console import say
from pipeline.errors import StoreError
from pipeline.store.files import read_json, sha256_of, write_json, written_whole

NOTE = "note.json"
MOST_SHARE = 0.01  # of the time, that keeping may take
# What a run's bytes rest on, of this package.
SOURCES = ("augment", "features", "learning", "models", "store", "runs.py", "sequences.py", "train.py")


@dataclass
class Keeper:
    """Keeps the state of one run in a folder.

    Attributes
    ----------
    label
        What the run is called in what is said.
    digest
        Of all that defines the run: see `digest_of_run`.
    every_seconds
        From the end of one keeping to the start of the next; longer where keeping takes long (MOST_SHARE). 0: never.
    """

    folder: Path
    label: str
    digest: str
    every_seconds: float
    _last: float = field(default_factory=time.monotonic, init=False)
    _cost: float = field(default=0.0, init=False)

    def load(self) -> dict[str, Any] | None:
        """Read the state back; None, with a note of why, if there is none that can be used."""
        self._last = time.monotonic()
        if not (self.folder / NOTE).is_file():
            return None
        try:
            return self._read()
        except (StoreError, OSError, KeyError, TypeError, ValueError, RuntimeError, EOFError, UnpicklingError) as error:
            reason = " ".join(str(error).split())[:200]
            say(f"note: {self.label}: {self.folder} cannot be gone on from ({reason}): starting anew")
            return None

    def _read(self) -> dict[str, Any]:
        note = read_json(self.folder / NOTE)
        if note["digest"] != self.digest:
            raise StoreError("it is of a run with other parameters, data, code, versions, threads or device")
        path = self.folder / Path(str(note["file"])).name
        if not path.is_file() or sha256_of(path) != note["sha256"]:
            raise StoreError(f"{path.name} is missing or damaged: its SHA-256 is not the note's")
        # weights_only is given, not left to the default: an environment variable can switch the default off.
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        return state

    def offer(self, make: Callable[[], dict[str, Any]]) -> None:
        """Keep what `make` gives, if it is time. Where that cannot be written, say so and never try again."""
        now = time.monotonic()
        if not self.every_seconds or now - self._last < max(self.every_seconds, self._cost / MOST_SHARE):
            return
        try:
            self._write(make())
        except StoreError as error:
            say(f"note: {self.label}: {error}; the run goes on, and after a kill would start anew")
            self.every_seconds = 0.0
        self._last = time.monotonic()
        self._cost = self._last - now

    def _write(self, state: Mapping[str, Any]) -> None:
        path = self.folder / f"state-{state['iteration']}.pt"
        with written_whole(path) as temporary:
            try:
                torch.save(dict(state), temporary)
            except RuntimeError as error:  # what torch makes of a full disk
                reason = " ".join(str(error).split())[:100]
                raise StoreError(f"{path}: cannot be written ({reason}): is the disk full?") from error
        write_json(self.folder / NOTE, {"digest": self.digest, "file": path.name, "sha256": sha256_of(path)})
        for other in self.folder.iterdir():
            if other.name not in (NOTE, path.name):
                other.unlink(missing_ok=True)

    def remove(self) -> None:
        """Forget the state: the run is finished."""
        shutil.rmtree(self.folder, ignore_errors=True)


def digest_of_run(about: Mapping[str, Any]) -> str:
    """SHA-256 of all that defines a run, as JSON holds it, and of the code that it runs."""
    text = json.dumps({**about, "code": _digest_of_code()}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _digest_of_code() -> str:
    digest = hashlib.sha256()
    root = Path(pipeline.__file__).parent
    for name in SOURCES:
        for path in sorted((root / name).rglob("*.py")) if (root / name).is_dir() else [root / name]:
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def random_states(device: torch.device) -> dict[str, torch.Tensor]:
    """States of torch's random numbers: the CPU's, and the device's own."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        states["mps"] = torch.mps.get_rng_state()
    return states


def set_random_states(states: Mapping[str, torch.Tensor], device: torch.device) -> None:
    """Set what `random_states` gave."""
    torch.set_rng_state(states["cpu"])
    if "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
    elif "mps" in states:
        torch.mps.set_rng_state(states["mps"])
