"""Keys of `train` that contradict one another or the split; how docs/training.md sets them."""

import copy
import re
import shlex
import shutil
from pathlib import Path
from typing import get_args

import pytest
from dvc.utils.hydra import apply_overrides
from ruamel.yaml import YAML

from pipeline.errors import ParamsError
from pipeline.learning.recipe import Recipe
from pipeline.params import load_params, parse_params
from pipeline.params.sections import Train
from pipeline.params.training import USED, idle_keys

ROOT = Path(__file__).resolve().parents[1]
VALUES = YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text(encoding="utf-8"))


def changed(balance="none", validation="none", **train):
    values = copy.deepcopy(VALUES)
    values["split"] |= {"balance": balance, "validation": validation}
    values["train"] |= train
    return values


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (
            {"schedule": "cyclical", "half_cycle_iterations": 5},
            "train.half_cycle_epochs: give it or half_cycle_iterations, and leave the other empty",
        ),
        ({"schedule": "cyclical", "half_cycle_epochs": None}, "train.half_cycle_epochs: give it or half"),
        (
            {"schedule": "cyclical", "lowest_rate": 0.01},
            "train.lowest_rate: 0.01 is above train.learning_rate 0.0001, the highest of a cycle: lower it",
        ),
        (
            {"schedule": "cosine", "warmup_epochs": 10},
            "train.warmup_epochs: 10.0 leaves none of train.epochs 10 for the cosine: lower it",
        ),
        (
            {"loss": "hinge", "label_smoothing": 0.1},
            "train.label_smoothing: is for cross_entropy, and train.loss is hinge: set it to 0",
        ),
        ({"stop_after": 3}, "train.stop_after: needs a validation side: set split.validation, or set it to 0"),
        (
            {"class_weights": "balanced", "balance": "train"},
            "train.class_weights: balanced does nothing where split.balance train has made classes equal already: set "
            "split.balance to none",
        ),
        ({"sampling": "balanced", "balance": "all"}, "train.sampling: balanced does nothing where split.balance all"),
        (
            {"sampling": "balanced", "class_weights": "balanced"},
            "train.class_weights: weighs classes that train.sampling draws equally often: set one of the two back",
        ),
        ({"precision": "fp16"}, "train.precision: input should be 'float32' or 'bf16', not 'fp16'"),
        ({"rate_factor": 0}, "train.rate_factor: input should be greater than 0, not 0"),
        ({"label_smoothing": 1}, "train.label_smoothing: input should be less than or equal to 0.99, not 1"),
    ],
)
def test_what_cannot_be_is_refused_by_name(keys, said):
    with pytest.raises(ParamsError) as caught:
        parse_params(changed(**keys))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "keys",
    [
        {"schedule": "cyclical", "half_cycle_epochs": None, "half_cycle_iterations": 5, "lowest_rate": 0.0001},
        {"lowest_rate": 0.01, "warmup_epochs": 99, "half_cycle_iterations": 5},  # of schedules that are not chosen
        {"schedule": "cosine", "warmup_epochs": 9.5},
        {"stop_after": 3, "validation": "fraction"},
        {"sampling": "balanced"},
        {"class_weights": "balanced", "label_smoothing": 0.1},
    ],
)
def test_what_can_be_is_taken(keys):
    parse_params(changed(**keys))


def test_members_are_looked_at_one_by_one():
    values = changed()
    values["members"]["a"]["train"] = {"stop_after": 3}
    with pytest.raises(ParamsError, match=r"train\.stop_after: needs a validation side"):
        parse_params(values)
    values["members"]["a"]["model"] = {"name": "svm"}  # an estimator has no loop
    parse_params(values)


def test_a_recipe_has_every_key_and_defaults_that_are_committed():
    elsewhere = {"device", "threads", "processes", "deterministic"}
    assert set(Train.model_fields) - elsewhere <= set(Recipe.__dataclass_fields__)
    committed = parse_params(VALUES).train.model_dump()
    for name, field in Recipe.__dataclass_fields__.items():
        if name in committed and not repr(field.default).startswith("<dataclasses._MISSING"):
            assert committed[name] == field.default, name


@pytest.mark.parametrize(
    ("keys", "idle"),
    [
        (
            {},
            {
                "step_epochs",
                "rate_factor",
                "lowest_rate",
                "half_cycle_epochs",
                "half_cycle_iterations",
                "final_fraction",
                "warmup_epochs",
                "hinge_margin",
                "momentum",
            },
        ),
        (
            {"schedule": "cyclical", "loss": "hinge", "optimizer": "sgd"},
            {
                "step_epochs",
                "rate_factor",
                "half_cycle_iterations",  # it is empty
                "final_fraction",
                "warmup_epochs",
                "label_smoothing",
            },
        ),
    ],
)
def test_keys_that_nothing_looks_at(keys, idle):
    assert idle_keys(parse_params(changed(**keys)).train.model_dump()) == idle


def test_every_choice_has_its_keys():
    for choice, used in USED.items():
        assert set(used) == set(get_args(Train.model_fields[choice].annotation))
        assert set().union(*used.values()) <= set(Train.model_fields)


PAGE = (ROOT / "docs/training.md").read_text(encoding="utf-8")
SETTINGS = dict(re.findall(r"```settings (\w+)\n(.*?)```", PAGE, flags=re.DOTALL))


def of_page(name, folder):
    shutil.copy(ROOT / "params.yaml", folder / "params.yaml")
    words = shlex.split(SETTINGS[name])
    assert words[::2] == ["-S"] * (len(words) // 2)
    apply_overrides(folder / "params.yaml", words[1::2])
    return load_params(folder / "params.yaml")


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_of_the_page_are_taken(name, tmp_path):
    of_page(name, tmp_path)


def test_recipes_of_the_papers(tmp_path):
    badshah = of_page("train_badshah", tmp_path).train
    assert (badshah.epochs, badshah.batch_images, badshah.learning_rate) == (30, 100, 0.01)
    assert (badshah.schedule, badshah.step_epochs, badshah.rate_factor) == ("step", 10, 0.1)
    herron = of_page("train_herron", tmp_path).train
    assert (herron.epochs, herron.batch_images, herron.learning_rate, herron.weight_decay) == (50, 24, 0.001, 0.001)
    assert (herron.schedule, herron.step_epochs, herron.optimizer) == ("step", 20, "adamw")
    assert of_page("train_anand", tmp_path).train.epochs == 400


def test_the_page_names_every_key_of_the_loop():
    keys = set(Train.model_fields) - {"device", "threads"}
    assert {key for key in keys if not re.search(rf"`train\.{key}[`=]", PAGE)} == set()
