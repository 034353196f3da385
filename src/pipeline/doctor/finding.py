"""One thing that was looked at: well, worth knowing, mended, or still to be mended."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What was found, as one line for people."""

    text: str
    state: str  # ok, note, mended or fault

    @property
    def is_well(self) -> bool:
        """Whether there is nothing left to do."""
        return self.state != "fault"

    def __str__(self) -> str:
        return f"{self.state + ':':8}{' '.join(self.text.split())}"


def well(text: str) -> Finding:
    """Nothing is wrong."""
    return Finding(text, "ok")


def noted(text: str) -> Finding:
    """Nothing is wrong, but a person should know."""
    return Finding(text, "note")


def found(text: str) -> Finding:
    """Something is wrong, and a person has to do something."""
    return Finding(text, "fault")


def mended(text: str, *, done: bool) -> Finding:
    """Say that something was wrong and is mended, or, if that was not to be done, that it can be."""
    return Finding(text, "mended") if done else Finding(f"{text} (to be mended by `emospec doctor`)", "fault")
