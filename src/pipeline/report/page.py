"""The page itself: everything about a run put into its template, as one file that needs nothing else."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline.errors import StoreError
from pipeline.findings import (
    LEVELS,
    chance_of,
    figure,
    find_caveats,
    heads_in_words,
    how_to_read,
    members_alone,
    what_was_run,
)
from pipeline.report import facts
from pipeline.report.curves import curves_page
from pipeline.report.over_clip import over_clip_page, rule_rows
from pipeline.report.reliability import calibration_table, reliability_panels, temperature_table
from pipeline.report.scores import SUMMARIES, confusion_rows, level_page
from pipeline.report.spectrograms import Picture, Sound, show_classes, show_wrong
from pipeline.store.files import read_json, written_whole
from pipeline.store.paths import ANSWERS, METRICS, PLOTS, REPORT, SPECTROGRAMS_LIST, SPLIT_METRICS
from pipeline.store.rendered import open_rendered
from pipeline.store.tables import Answer, ClipAnswer, Curve, OverClip, Reliability, SpectrogramFile, read_rows

# Control characters, surrogates, line separators: none has a glyph, and XML allows few of them.
UNPRINTABLE = {"Cc", "Cs", "Zl", "Zp"}
# What turns the direction of the text after it, so that a name could look like another; and what XML forbids.
MISLEADING = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff]")


def write_report(
    corpora: Sequence[str],
    *,
    sections: Mapping[str, Mapping[str, Any]],
    members: Mapping[str, Mapping[str, Any]],
    wrong_clips: int,
) -> None:
    """Write metrics/report.html from what the stages before it left behind.

    Parameters
    ----------
    sections
        The sections slice, loudness, split and evaluate of params.yaml.
    members
        Of each member that was run: its sections model and train, and its seed.
    wrong_clips
        How many of the clips answered wrong are shown.

    Raises
    ------
    StoreError
        If a file is missing or damaged, or files are not of one run.
    """
    metrics, split = read_json(METRICS), read_json(SPLIT_METRICS)
    _refuse_other_runs(corpora, list(members), metrics, split)
    answers = read_rows(ANSWERS, ClipAnswer)
    listed = read_rows(SPECTROGRAMS_LIST, SpectrogramFile)
    sound = Sound.of(corpora)
    with open_rendered(listed) as images:
        classes = show_classes(sound, images)
        wrong = show_wrong(sound, images, answers, at_most=wrong_clips)
    page = _templates().get_template("page.html.jinja")
    text = page.render(
        **_numbers(metrics, split),
        classes=classes,
        wrong=wrong,
        as_seen=facts.seen_as(images.representation),
        n_wrong=sum(answer.predicted != answer.actual for answer in answers),
        n_answers=len(answers),
        tables=_tables(corpora, metrics, split, sound, members, listed),
        facts=[
            facts.representation_facts(images.representation, sections),
            facts.split_facts(metrics, split, sections),
        ],
    )
    with written_whole(REPORT) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _refuse_other_runs(
    corpora: Sequence[str], members: Sequence[str], metrics: Mapping[str, Any], split: Mapping[str, Any]
) -> None:
    missing = [
        f"{SPLIT_METRICS} has no fold {fold}" for fold in metrics["split"]["folds"] if str(fold) not in split["folds"]
    ]
    missing += [f"{SPLIT_METRICS} has no corpus {corpus}" for corpus in corpora if corpus not in split["corpora"]]
    missing += [f"{METRICS} has no member {member}" for member in members if member not in metrics["start"]]
    if missing:
        raise StoreError(f"{missing[0]}: it is of another run: run `dvc repro`")


def spectrogram_svg(picture: Picture, name: str) -> str:
    """Draw one picture with its axes as an SVG file of its own, on a light plate.

    Parameters
    ----------
    name
        What it shows, for those who do not see it.
    """
    figures = _templates().get_template("figures.jinja").module
    return str(figures.spectrogram(picture, name, standalone=True)) + "\n"  # type: ignore[attr-defined]


def _numbers(metrics: Mapping[str, Any], split: Mapping[str, Any]) -> dict[str, Any]:
    classes, over_clip = split["classes"], read_rows(PLOTS / "over_clip.csv", OverClip)
    return {
        "metrics": metrics,
        "summary": what_was_run(metrics, split),
        "how_to_read": how_to_read(metrics),
        "members_alone": members_alone(metrics) + heads_in_words(metrics),
        "findings": find_caveats(metrics, split),
        "chance": chance_of(metrics),
        "summaries": SUMMARIES,
        "levels": [level_page(metrics, level) for level in LEVELS],
        "confusions": {
            level: confusion_rows(read_rows(PLOTS / f"confusion_{level}.csv", Answer), classes) for level in LEVELS
        },
        "over_clip": over_clip_page(over_clip, chosen=metrics["aggregate"]),
        "rules": rule_rows(metrics, over_clip),
        "reliability": reliability_panels(read_rows(PLOTS / "reliability.csv", Reliability), metrics, LEVELS),
        "calibration": calibration_table(metrics, LEVELS),
        "temperatures": temperature_table(metrics),
        "curves": curves_page(read_rows(PLOTS / "learning_curves.csv", Curve), n_classes=len(classes)),
    }


def _tables(
    corpora: Sequence[str],
    metrics: Mapping[str, Any],
    split: Mapping[str, Any],
    sound: Sound,
    members: Mapping[str, Any],
    listed: Sequence[SpectrogramFile],
) -> dict[str, facts.Table]:
    return {
        "corpora": facts.corpora_table(corpora, split, sound),
        "classes": facts.classes_table(corpora, split),
        "rejected": facts.rejected_table(corpora),
        "left_out": facts.left_out_table(corpora, split),
        "folds": facts.folds_table(metrics, split),
        "members": facts.members_table(metrics, members),
        "provenance": facts.provenance_table(metrics["split"]["folds"], list(members)),
        "content": facts.content_table(listed),
    }


def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=printable,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["figure"] = figure
    return environment


def printable(value: Any) -> Any:
    r"""Spell out what a text holds that cannot be seen, e.g. `\n`, `\xff` for a byte of no UTF-8; the rest stays."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return "".join(_spelt(character) for character in value)


def _spelt(character: str) -> str:
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    if unicodedata.category(character) in UNPRINTABLE or MISLEADING.match(character):
        return character.encode("unicode_escape").decode("ascii")
    return character
