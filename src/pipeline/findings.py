"""metrics.json and split.json in sentences: what was run, how to read it, and what a reader must be warned of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.corpora import count_missing

LEVELS = ("clip", "block")  # in the order in which people are shown them
LARGE_ECE = 0.1
MOST_NAMED = 3  # labels in one sentence
# What the audit of every split checks; fields of clips.csv come on top, where a corpus has them.
CHECKED = {
    "overlaps_training": "overlap in time",
    "clip_in_training": "clip",
    "near_duplicate_in_training": "near duplicates",
    "unit_in_training": "unit of the split",
    "augmented_in_training": "altered copies",
}


@dataclass(frozen=True)
class Finding:
    """One sentence about a result."""

    text: str
    warns: bool = True  # False: it was looked for and there is nothing to be wary of


def what_was_run(metrics: Mapping[str, Any], split: Mapping[str, Any]) -> str:
    """Name corpora, networks, starting weights and the split."""
    each = [_start_in_words(start) for start in metrics["start"].values()]
    starts = ", ".join(f"{each.count(one)} x {one}" if each.count(one) > 1 else one for one in dict.fromkeys(each))
    how = metrics["split"]
    n_run, n_folds = len(how["folds"]), how["n_folds"]
    folds = count_of(n_folds, "fold") if n_run == n_folds else f"{n_run} of {count_of(n_folds, 'fold')}"
    size = f"{count_of(split['clips'], 'clip')}, {count_of(split['blocks'], 'block')}"
    return f"{', '.join(metrics['corpora'])}: {size}; {starts}; split by {how['by']} ({how['method']}, {folds})"


def _start_in_words(start: Mapping[str, str]) -> str:
    """Name a network and its starting weights; an estimator has none."""
    if start["weights"] == "none":
        return f"{start['network']} on the blocks' values"
    over = f"{start['sequence']} over " if "sequence" in start else ""
    return f"{over}{start['network']} from {start['weights']} weights"


def chance_of(metrics: Mapping[str, Any]) -> float:
    """UAR of guessing, 0 to 1: one over the number of classes that were tested."""
    return 1 / sum(recall is not None for recall in metrics["clip"]["recall"].values())


def how_to_read(metrics: Mapping[str, Any]) -> str:
    """Say what UAR is, what guessing gives, and what the baselines know."""
    thumbnail = "; a 14 x 14 thumbnail" if "thumbnail" in metrics["baselines"] else ""
    return (
        f"UAR is the mean of the classes' recalls: {chance_of(metrics):.2f} is what guessing gives. Baselines, on the "
        f"same split: the most frequent class; length, loudness, bandwidth, noise floor and padding{thumbnail}."
    )


def members_alone(metrics: Mapping[str, Any]) -> list[str]:
    """Name each member's score and their spread; nothing where there is one member only."""
    if len(metrics["members"]) == 1:
        return []
    each = ", ".join(f"{name} {figure(member['clip']['uar'])}" for name, member in metrics["members"].items())
    uar = metrics["spread"]["clip"]["uar"]
    return [f"Members alone, UAR per clip: {each}; mean {figure(uar['mean'])}, standard deviation {figure(uar['sd'])}."]


def heads_in_words(metrics: Mapping[str, Any]) -> list[str]:
    """Say of each head what it is, and its score; nothing where there are none."""
    heads = metrics.get("heads", {})
    if not heads:
        return []
    each = "; ".join(
        f"{name} ({about['kind']} on the {about['on']} of {about['member']}, fitted on {about['fitted_on']}) "
        f"{figure(head['clip']['uar'])}"
        for name, head in heads.items()
        for about in [head["about"]]
    )
    return [f"Heads alone, UAR per clip: {each}."]


def _fitted_on_test(metrics: Mapping[str, Any]) -> list[Finding]:
    """Name the heads that learned from the test side, also where something of the members was chosen on it."""
    is_all = metrics["selected_on_test"]  # then a head may say so of its member's weights alone
    chosen = [
        name
        for name, head in metrics.get("heads", {}).items()
        if head["about"]["selected_on_test"] and not (is_all and head["about"]["fitted_on"] == "train")
    ]
    if not chosen:
        return []
    joined = [name for name, scores in metrics.get("ensembles", {}).items() if scores.get("selected_on_test")]
    within = f" (and with them the ensembles {', '.join(joined)})" if joined and not is_all else ""
    text = f"fitted on the test side itself (selected_on_test): {', '.join(chosen)}{within}"
    return [Finding(f"Warning: {text}; such numbers flatter the head.")]


def find_caveats(metrics: Mapping[str, Any], split: Mapping[str, Any]) -> list[Finding]:
    """Say what of a result a reader must be warned of, and what the split was audited for."""
    found = [*_verdict(metrics), _leakage(metrics["split"])]
    if metrics["selected_on_test"]:
        scaling = metrics.get("temperature_scaling", {})
        what = "weights or temperatures" if scaling.get("fitted_on") == "test" else "weights"
        found += [
            Finding(
                f"Warning: {what} were chosen on the test side (selected_on_test): these numbers flatter the model."
            )
        ]
    found += _fitted_on_test(metrics)
    found += _uncalibrated(metrics["block"], advice="temperature_scaling" not in metrics)
    found += _few_units(metrics["clip"])
    found += _without_error(metrics["clip"]) + _untrained(metrics["split"].get("untrained", []))
    found += _missing(split["corpora"])
    rejected = {name: corpus["rejected"] for name, corpus in split["corpora"].items() if corpus["rejected"]}
    return found + [
        Finding(
            f"{count_of(n, 'file')} of {name} {'was' if n == 1 else 'were'} rejected: reasons in "
            f"data/processed/clips/{name}/rejected.csv"
        )
        for name, n in rejected.items()
    ]


def _few_units(scores: Mapping[str, Any]) -> list[Finding]:
    """Say where intervals rest on too few units: in all, or of a class, whose recall then never varies."""
    if scores["few_units"]:
        return [
            Finding(f"Only {scores['n_units']} units ({scores['unit']}) were tested: the intervals are too narrow.")
        ]
    single = [label for label, n in scores.get("n_units_by_class", {}).items() if n == 1]
    if not single:
        return []
    named = ", ".join(single[:MOST_NAMED]) + (f" and {len(single) - MOST_NAMED} more" if single[MOST_NAMED:] else "")
    return [
        Finding(
            f"Only one unit ({scores['unit']}) was tested of {named}: the intervals of UAR and macro-F1 are too narrow."
        )
    ]


def count_of(n: int, what: str) -> str:
    """Give a number with its noun in the right form."""
    return f"{n} {what}{'' if n == 1 else 's'}"


def figure(value: float | None) -> str:
    """Round a score to two decimals; a dash for none."""
    return "-" if value is None else f"{value:.2f}"


def _verdict(metrics: Mapping[str, Any]) -> list[Finding]:
    baselines = {name: value["clip"]["uar"] for name, value in metrics["baselines"].items()}
    best = max(baselines, key=lambda name: baselines[name])
    if metrics["clip"]["uar"] > baselines[best]:
        return []
    return [
        Finding(
            f"Warning: the baseline {best} does as well per clip: these numbers are no evidence of more than it sees."
        )
    ]


def _uncalibrated(block: Mapping[str, Any], *, advice: bool) -> list[Finding]:
    """Say that probabilities are not to be trusted, where the calibration error of the blocks surely is large."""
    how = block.get("calibration")
    if how is None or (how["interval"]["ece"]["low"] or 0) <= LARGE_ECE:
        return []
    return [
        Finding(
            f"The probabilities are no measure of certainty: per block the mean confidence is "
            f"{figure(how['confidence'])}, the accuracy {figure(block['accuracy'])} (calibration error "
            f"{figure(how['ece'])}){': see evaluate.calibrate' if advice else ', temperatures and all'}."
        )
    ]


def _untrained(classes: list[str]) -> list[Finding]:
    if not classes:
        return []
    lacks, is_wrong = ("it has", "is") if len(classes) == 1 else ("they have", "are")
    return [
        Finding(
            f"No training side has {', '.join(classes)}: {lacks} no recall and no part in UAR and macro-F1, and "
            f"{is_wrong} wrong in accuracy."
        )
    ]


def _missing(corpora: Mapping[str, Mapping[str, Any]]) -> list[Finding]:
    """Which published corpora were used in part; accounts from before that was counted say nothing."""
    counts = {name: account.get("missing", 0) for name, account in corpora.items()}
    return [Finding(f"{count_missing(name, n)}.") for name, n in counts.items() if n]


def _without_error(clip: Mapping[str, Any]) -> list[Finding]:
    """What a bootstrap cannot say where no clip is answered wrong: Clopper and Pearson (1934), all of n right."""
    if clip["accuracy"] < 1:
        return []
    least = 0.025 ** (1 / clip["n_units"])
    return [
        Finding(
            "No clip is answered wrong, so resampling has nothing to vary: an exact 95 % interval of the accuracy, "
            f"over {count_of(clip['n_units'], 'unit')}, begins at {figure(least)}."
        )
    ]


def _leakage(split: Mapping[str, Any]) -> Finding:
    """What of the test side training has met, and what was looked for and not found."""
    shares = {name: share for name, share in split["leakage"].items() if not name.endswith("_known")}
    if f"{split['by']}_in_training" in shares:
        shares.pop("unit_in_training")  # the same by another name
    met = [_met(name, share, split["leakage"]) for name, share in shares.items() if share]
    not_met = ", ".join(_checked(name, split["leakage"]) for name, share in shares.items() if not share)
    if not met:
        return Finding(f"Leakage: none found between test side and training (checked: {not_met}).", warns=False)
    also = f" (also checked, none found: {not_met})" if not_met else ""
    return Finding(f"Leakage: of the test blocks, {'; '.join(met)}{also}.")


def _checked(name: str, leakage: Mapping[str, float]) -> str:
    """The check in words, with the share of blocks that it knows something of where that is not all."""
    field = name.removesuffix("_in_training")
    known = leakage.get(f"{field}_known", 1.0)
    return CHECKED.get(name, field) + ("" if known == 1 else f" (known for {_percent(known)} of them)")


def _met(name: str, share: float, leakage: Mapping[str, float]) -> str:
    if name == "overlaps_training":
        return f"{_percent(share)} overlap training sound in time"
    if name == "near_duplicate_in_training":
        return f"{_percent(share)} have a near duplicate of their clip in training"
    if name == "augmented_in_training":
        return f"{_percent(share)} have an altered copy of their clip in training"
    return f"{_percent(share)} share their {_checked(name, leakage)} with training"


def _percent(share: float) -> str:
    if 0 < share < 0.01:
        return "under 1 %"
    return "over 99 %" if 0.99 < share < 1 else f"{100 * share:.0f} %"
