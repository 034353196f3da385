"""What is changed of all rows of a paper - another corpus, fewer epochs, any key - and how that is said beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import PaperError
from pipeline.experiments.trials import CHANGES_NO_SCORE, change
from pipeline.experiments.values import as_text, show
from pipeline.params.plain import load_plain
from pipeline.params.values import NAME

# Where a run takes place is no difference from the paper.
OF_THE_MACHINE = ("data.root", "data.missing", "train.device", "train.threads", "evaluate.n_resamples")
EPOCHS = ("epochs", "step_epochs", "half_cycle_epochs", "warmup_epochs")


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """How a paper is run other than as it stands.

    Attributes
    ----------
    corpus_as
        Corpora in the place of a paper's, by the name of the latter.
    without
        Corpora that are left out.
    epochs_scale
        Factor on all epochs; schedules are scaled with them.
    settings
        Further `key=value`, laid over every row last.
    """

    corpus_as: Mapping[str, str]
    without: Sequence[str]
    epochs_scale: float
    settings: Sequence[str]

    def apply(self, values: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """Change a row's parameters; return them, and what of it that changed, in words.

        Raises
        ------
        PaperError
            If a setting cannot be read.
        ExperimentError
            If one names no key.
        """
        before_it, words = self._with_corpora(dict(values))
        changed = _scaled(before_it, self.epochs_scale)
        before, after = values["train"]["epochs"], changed["train"]["epochs"]
        if before != after:
            words.append(f"{before} -> {after} epochs")
        elif changed != before_it:
            words.append(f"epochs x {self.epochs_scale:g}")
        for setting in self.settings:
            key, value = read_setting(setting)
            before_it = changed
            changed = change(changed, {key: value})
            if changed != before_it and not is_of_the_machine(key):
                words.append(say_setting(key, value))
        return changed, words

    def _with_corpora(self, values: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        listed = [name for name in values["corpora"] if name not in self.without]
        words = [f"without {name}" for name in values["corpora"] if name in self.without]
        words += [f"{self.corpus_as[name]} for {name}" for name in listed if name in self.corpus_as]
        taken = sorted({self.corpus_as.get(name, name) for name in listed})
        use = values["split"]["use"]
        own = {self.corpus_as.get(name, name): how for name, how in use.items() if name in listed}
        return {**values, "corpora": taken, "split": {**values["split"], "use": own}}, words


def read_setting(setting: str) -> tuple[str, Any]:
    """Read one `key=value`.

    Raises
    ------
    PaperError
        If it is none, or its value is not valid YAML, or none that DVC can be told.
    """
    key, sign, text = (part.strip() for part in setting.partition("="))
    if not sign or not key:
        raise PaperError(f"-S {setting}: give section.key=value")
    try:
        value = load_plain(text)
    except ValueError as error:
        raise PaperError(f"-S {setting}: not valid YAML: {error}") from None
    try:
        as_text(value)
    except ValueError as error:
        raise PaperError(f"-S {setting}: {error}") from None
    return key, value


def read_replacements(replacements: Sequence[str]) -> dict[str, str]:
    """Read `CORPUS=OTHER`, several separated by commas.

    Raises
    ------
    PaperError
        If one is no such pair, or names no folder, or a corpus is replaced twice.
    """
    found: dict[str, str] = {}
    for pair in ",".join(replacements).split(",") if replacements else []:
        old, sign, new = (part.strip() for part in pair.partition("="))
        if not (old and sign and new):
            raise PaperError(f"--corpus-as {pair}: give CORPUS=OTHER, as emodb=emodb_2s")
        if not NAME.fullmatch(new) or new == old:
            what = "the same corpus" if new == old else "a corpus's name is made of a-z, 0-9 and _"
            raise PaperError(f"--corpus-as {pair}: {what}: give CORPUS=OTHER, as emodb=emodb_2s")
        if found.setdefault(old, new) != new:
            raise PaperError(f"--corpus-as: {old} is replaced by {found[old]} and by {new}: choose one")
    return found


def is_of_the_machine(key: str) -> bool:
    """Whether a key says where a run takes place, and nothing of what is run."""
    plain = key.lstrip("+")
    return plain in OF_THE_MACHINE or plain.partition(".")[0] in CHANGES_NO_SCORE


def say_setting(key: str, value: object) -> str:
    """Say what a key was changed to."""
    return f"{key.lstrip('+')}={_without_folders(value)}"


def _without_folders(value: object) -> str:
    """Show a value; of an absolute path only its last part, for where a file lies says nothing elsewhere."""
    return Path(value).name if isinstance(value, str) and value.startswith("/") else show(value)


def _scaled(values: dict[str, Any], factor: float) -> dict[str, Any]:
    """Scale the epochs of the training, of each member's own and of each head."""
    if factor == 1:
        return values
    members = {
        name: {**member, "train": _scaled_section(member["train"], factor)}
        for name, member in values["members"].items()
    }
    heads = {name: _scaled_section(head, factor) for name, head in values["heads"].items()}
    return {**values, "train": _scaled_section(values["train"], factor), "members": members, "heads": heads}


def _scaled_section(section: Mapping[str, Any], factor: float) -> dict[str, Any]:
    return {key: _scaled_value(value, factor) if key in EPOCHS else value for key, value in section.items()}


def _scaled_value(value: float | None, factor: float) -> float | None:
    if value is None:
        return None
    return max(1, round(value * factor)) if isinstance(value, int) else value * factor
