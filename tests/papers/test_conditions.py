"""What is changed of all rows, and the words in which that is said."""

import re

import pytest
from papers.mini import committed

from pipeline.errors import ExperimentError, PaperError
from pipeline.papers.conditions import Conditions, read_replacements, read_setting
from pipeline.papers.paper import lay_over


def conditions(**changes):
    return Conditions(**{"corpus_as": {}, "without": (), "epochs_scale": 1.0, "settings": ()} | changes)


def values(**changes):
    base = lay_over(committed(), {"corpora": ["emodb", "savee"], "split": {"use": {"emodb": {"role": "train"}}}})
    return lay_over(base, changes)


def test_nothing_changed_is_no_word():
    assert conditions().apply(values()) == (values(), [])


def test_a_corpus_takes_the_place_of_another_with_what_is_said_of_it():
    changed, words = conditions(corpus_as={"emodb": "zeta"}).apply(values())
    assert changed["corpora"] == ["savee", "zeta"]
    assert changed["split"]["use"] == {"zeta": {"role": "train"}}
    assert words == ["zeta for emodb"]


def test_a_corpus_is_left_out_with_what_is_said_of_it():
    changed, words = conditions(without=("emodb", "other")).apply(values())
    assert (changed["corpora"], changed["split"]["use"], words) == (["savee"], {}, ["without emodb"])


def test_all_corpora_left_out_leaves_none():
    assert conditions(without=("emodb", "savee")).apply(values())[0]["corpora"] == []


def test_epochs_and_schedules_are_scaled_of_members_and_heads_too():
    changed, words = conditions(epochs_scale=0.1).apply(
        values(
            train={"epochs": 30, "step_epochs": 10, "half_cycle_epochs": 2.0, "warmup_epochs": 1.0},
            members={"b": {"seed": 1, "model": {}, "train": {"epochs": 4}}},
            heads={"h": {"member": "a", "kind": "lstm", "epochs": 50}},
        )
    )
    train = changed["train"]
    assert (train["epochs"], train["step_epochs"]) == (3, 1)
    assert (train["half_cycle_epochs"], train["warmup_epochs"]) == pytest.approx((0.2, 0.1))
    assert changed["members"]["b"]["train"]["epochs"] == 1  # never none
    assert changed["heads"]["h"]["epochs"] == 5
    assert words == ["30 -> 3 epochs"]


def test_schedules_that_are_scaled_are_said_where_the_epochs_stay():
    cyclical = values(train={"epochs": 10, "schedule": "cyclical", "half_cycle_epochs": 5.0})
    changed, words = conditions(epochs_scale=1.04).apply(cyclical)
    assert (changed["train"]["epochs"], changed["train"]["half_cycle_epochs"]) == (10, pytest.approx(5.2))
    assert words == ["epochs x 1.04"]


def test_what_says_where_a_run_takes_place_is_no_difference_and_a_folder_is_not_shown():
    settings = ("train.device=cpu", "train.threads=2", "machine.workers=1", "model.weights=/home/me/secret/w.pth")
    changed, words = conditions(settings=settings).apply(values())
    assert changed["model"]["weights"] == "/home/me/secret/w.pth"
    assert words == ["model.weights=w.pth"]


def test_a_setting_that_changes_nothing_is_no_difference():
    assert conditions(settings=("split.by=clip",)).apply(values())[1] == []
    assert conditions(settings=("split.by=block",)).apply(values())[1] == ["split.by=block"]


def test_what_cannot_be_set_is_refused():
    with pytest.raises(ExperimentError, match=r"train\.epoch: is no key .* did you mean train\.epochs"):
        conditions(settings=("train.epoch=3",)).apply(values())
    with pytest.raises(PaperError, match="give section"):
        read_setting("epochs")
    with pytest.raises(PaperError, match="not valid YAML"):
        read_setting("a.b=[")
    for setting in ("a.b=it's", "a.b=1e999", "a.b=2020-01-01", 'a.b=["it\'s"]', 'a.b={"it\'s": 1}'):
        with pytest.raises(PaperError, match=f"-S {re.escape(setting)}: "):
            read_setting(setting)


def test_replacements_are_pairs():
    assert read_replacements(["a=b,c=d", "e=f"]) == {"a": "b", "c": "d", "e": "f"}
    assert read_replacements([]) == {}
    with pytest.raises(PaperError, match="give CORPUS=OTHER"):
        read_replacements(["a"])
    for pair in ("a=../b", "a=B", "a=/b", "a=a"):
        with pytest.raises(PaperError, match=f"--corpus-as {re.escape(pair)}: .*give CORPUS=OTHER"):
            read_replacements([pair])
    with pytest.raises(PaperError, match="a is replaced by b and by c"):
        read_replacements(["a=b", "a=c"])
