"""params.yaml: what is refused, that it is refused at once and by name, and that the file documents itself."""

import copy
import dataclasses
import io
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline.augment.attach import LEAK
from pipeline.augment.variants import RANGES, Variant, chosen_variants
from pipeline.errors import ParamsError
from pipeline.models import estimators
from pipeline.models.estimators import Options
from pipeline.params import load_params, parse_params
from pipeline.params.fitted import USED
from pipeline.params.sections import ESTIMATORS, RECURRENT, Estimator, SoundVariant

FILE = Path(__file__).resolve().parents[1] / "params.yaml"
VALUES = YAML(typ="safe", pure=True).load(FILE.read_text(encoding="utf-8"))


def changed(**keys):
    values = copy.deepcopy(VALUES)
    for key, value in keys.items():
        *sections, last = key.split("__")
        place = values
        for section in sections:
            place = place[section]
        place[last] = value
    return values


LAYER = {"filters": 4, "height": 0, "width": 3}


def keys_of(values, prefix=""):
    for key, value in values.items():
        yield f"{prefix}{key}", value
        if isinstance(value, dict):
            yield from keys_of(value, f"{prefix}{key}.")


def test_layers_are_read_as_written():
    layers = [{**LAYER, "padding": "same", "pool": [1, 2]}, {**LAYER, "stride": 2, "padding": [0, 1], "pool_stride": 0}]
    model = parse_params(changed(model__convolutions=layers, model__hidden=[64, 32], model__frozen=["a.0", "b"])).model
    own = {"stride": 1, "padding": 0, "batch_norm": False, "pool": 0, "pool_stride": 0}
    assert model.options == {
        "convolutions": (
            {**own, **LAYER, "padding": "same", "pool": (1, 2)},
            {**own, **LAYER, "stride": 2, "padding": (0, 1)},
        ),
        "hidden": (64, 32),
    }
    assert model.frozen == ("a.0", "b")
    assert load_params(FILE).model.options == {}
    params = parse_params(changed(members__a__model={"frozen": "all", "leaky_slope": 0.0}))
    model, _, _ = params.of_member("a")
    assert (model.frozen, model.options) == ("all", {"leaky_slope": 0.0})


def test_the_committed_file_is_valid():
    assert load_params(FILE).split.by == "clip"


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("train__epochs", "12", "train.epochs: input should be a valid integer, not '12'"),
        ("train__epochs", True, "train.epochs"),
        ("train__epochs", 2.5, "train.epochs"),
        ("train__epochs", 0, "train.epochs: input should be greater than or equal to 1, not 0"),
        ("train__learning_rate", float("nan"), "train.learning_rate"),
        ("train__epoch", 3, "train.epoch: unknown key"),
        ("slice__short_clips", "no", "slice.short_clips: input should be 'repeat', 'pad' or 'reject', not 'no'"),
        ("image", None, "image"),
        ("corpora", [], "corpora: must name one or more, not []"),
        ("corpora", "demo", "corpora"),
        ("corpora", ["../x"], "'../x' must be made of a-z, 0-9 and _"),
        ("corpora", ["b", "a"], "corpora: must be sorted and without repeats: ['a', 'b']"),
        ("runs__folds", [], "runs.folds: must name one or more, not []"),
        ("runs__folds", [0, 0], "runs.folds: must be sorted and without repeats: [0]"),
        ("runs__folds", [0, 3], "runs.folds: 3 is not one of split.n_folds = 3 folds"),
        ("runs__members", ["b"], "runs.members: 'b' has no entry under members"),
        ("members__a__train", {"epochs": "x"}, "members.a.train.epochs: input should be a valid integer, not 'x'"),
        ("members__a__model", {"nam": "x"}, "members.a.model.nam: unknown key"),
        ("runs__heads", ["h"], "runs.heads: 'h' has no entry under heads"),
        ("runs__heads", ["b", "a"], "runs.heads: must be sorted and without repeats: ['a', 'b']"),
        ("heads", {"h": {"kind": "svm"}}, "heads.h.member: missing"),
        ("heads", {"h": {"member": "a", "kind": "forest"}}, "heads.h.kind: input should be 'svm', "),
        ("heads", {"h": {"member": "a", "kind": "svm", "C": 0}}, "heads.h.C: input should be greater than 0, not 0"),
        ("heads", {"h": {"member": "b", "kind": "svm"}}, "heads.h.member: 'b' has no entry under members"),
        ("heads", {"h": {"member": "a", "kind": "svm", "on": "pixels"}}, "heads.h.on: input should be 'logits' or"),
        (
            "heads",
            {"h": {"member": "a", "kind": "svm", "n_mixtures": 2}},
            "h.n_mixtures: svm does not look at it",
        ),
        (
            "heads",
            {"h": {"member": "a", "kind": "svm", "kernel": "linear", "gamma": 0.1}},
            "heads.h.gamma: svm does not look at it with kernel linear: leave it out",
        ),
        ("heads", ["h"], "heads: must be keys with values, such as {key: value}, not ['h']"),
        ("model__hidden", 64, "model.hidden: must be a list, such as [64] or [a, b], not 64"),
        ("model__convolutions", [16], "model.convolutions.0: must be keys with values, such as {key: value}, not 16"),
        (
            "model__convolutions",
            [{"filters": 2, "height": 3, "width": 3, "pool_stride": 2}],
            "convolutions.0.pool_stride: steps of a pool, and pool is 0: set pool, or leave it out",
        ),
        (
            "members__a__model",
            {"name": "svm", "hidden": [64]},
            "members.a.model.hidden: svm has no layers: leave it",
        ),
        (
            "members__a__model",
            {"name": "svm", "normalise": "standard", "estimator": {"n_mixtures": 2}},
            "members.a.model.estimator.n_mixtures: svm does not look at it: leave it out",
        ),
        (
            "members__a__model",
            {"estimator": {"C": 2.0}},
            "members.a.model.estimator: alexnet is a network and does not look at it: leave it out",
        ),
        ("members__a__train", {"keep": "best"}, "members.a.train.keep: best needs a validation side"),
        ("members__a__model", {"name": "svm", "frozen": "all"}, "model.frozen: svm has no layers"),
        ("members__a__model", {"estimator": {"c": 1}}, "members.a.model.estimator.c: unknown key"),
        ("members__a__model", {"name": "svm", "weights": "imagenet"}, "model.weights: svm starts from nothing"),
        ("members__a__model", {"hidden": [0]}, "members.a.model.hidden.0: input should be greater than or equal to 1"),
        ("model__hidden", 64, "model.hidden"),
        ("model__leaky_slope", 1.5, "model.leaky_slope: input should be less than or equal to 1, not 1.5"),
        ("model__frozen", -1, "model.frozen: must be a number of layers from 0, a list of their names, or all, not -1"),
        ("model__frozen", "features", "model.frozen: must be a number of layers from 0, a list of their names, or all"),
        ("model__frozen", [1], "model.frozen: must be a number of layers"),
        ("model__frozen", True, "model.frozen: must be a number of layers"),
        ("model__convolutions", [{"height": 3, "width": 3}], "model.convolutions.0.filters: missing"),
        ("model__convolutions", [{**LAYER, "depth": 3}], "model.convolutions.0.depth: unknown key"),
        ("model__convolutions", [{**LAYER, "stride": 0}], "model.convolutions.0.stride: must be a whole number from 1"),
        (
            "model__convolutions",
            [{**LAYER, "stride": [1, 2, 3]}],
            "model.convolutions.0.stride: must be a whole number",
        ),
        ("model__convolutions", [{**LAYER, "pool": [0, 2]}], "or height and width in a list, from 1, not [0, 2]"),
        ("model__convolutions", [{**LAYER, "padding": "full"}], "model.convolutions.0.padding: must be a whole number"),
        ("split__method", "holdout", "split.method holdout has fold 0 only"),
        ("split__method", "matched", "split.method matched has fold 0 only"),
        ("split__by", "Speaker", "'Speaker' must be made of a-z, 0-9 and _: rename the column of clips.csv"),
        ("split__by", "speaker+", "'' must be made of a-z, 0-9 and _"),
        ("split__by", "clip+speaker", "'clip+speaker' must cross different fields"),
        ("split__by", "speaker+speaker", "'speaker+speaker' must cross different fields"),
        ("split__use", {"crowd": {}}, "split.use.crowd: is not one of corpora"),
        ("split__use", {"demo": {"rol": "train"}}, "split.use.demo.rol: unknown key"),
        ("split__use", {"demo": {"role": "train"}}, "split.use: no corpus has the role both or test: that side"),
        ("split__use", {"demo": {"role": "test"}}, "split.use: no corpus has the role both or train: that side"),
        ("split__classes", ["joy"], "split.classes: only 'joy': there is nothing to tell apart: name two or more"),
        ("split__use", {"demo": {"labels": {"joy": "total"}}}, "split.use.demo.labels.joy: must be another name than"),
        ("split__use", {"demo": {"train_clips": 0}}, "split.use.demo.train_clips: input should be greater than"),
        ("split__absent_classes", "ignore", "split.absent_classes: input should be 'refuse', 'drop' or 'keep'"),
        ("data__root", "data/other", "data.root: must be data/raw or an absolute path, not 'data/other'"),
        ("demo__max_seconds", 5.0, "demo.max_seconds: 5.0 is below demo.min_seconds 14.0"),
        ("spectrogram__max_hz", 22051.0, "spectrogram.max_hz: 22051.0 is above half of audio.sample_rate"),
        ("spectrogram__min_hz", 20000.0, "spectrogram.min_hz: 20000.0 is not below max_hz 20000.0"),
        ("spectrogram__fft_length", 1000, "spectrogram.fft_length: must be a power of two, not 1000"),
        ("spectrogram__fft_length", 256, "spectrogram.fft_length: 256 is shorter than the window of 400 samples"),
        ("spectrogram__window_seconds", 0.01, "give one of the two, and leave the other empty"),
        ("spectrogram__window_samples", None, "give one of the two, and leave the other empty"),
        ("spectrogram__low_db", -22.0, "spectrogram.low_db: -22.0 is not below high_db -22.0"),
        ("spectrogram__n_columns", 5, "spectrogram.n_columns: 5 is neither 0 nor 8 to 4096"),
        ("train__keep", "best", "train.keep: best needs a validation side"),
        ("model__weights_sha256", "abc", "model.weights_sha256"),
    ],
)
def test_bad_values_are_refused_by_name(key, value, words):
    with pytest.raises(ParamsError, match=re.escape(words)) as caught:
        parse_params(changed(**{key: value}))
    assert "\n" not in str(caught.value)


def test_a_text_that_the_message_names_is_not_named_again():
    with pytest.raises(ParamsError, match=r"image\.colormap: colormap 'coper': .* did you mean copper\?$"):
        parse_params(changed(image__colormap="coper"))


def test_every_bad_key_is_named_at_once():
    values = changed(train__epochs=0, image__height=1, split__by=3, demo__colour="red")
    with pytest.raises(ParamsError) as caught:
        parse_params(values)
    for key in ("train.epochs", "image.height", "split.by", "demo.colour"):
        assert key in str(caught.value)


def test_crossed_fields_make_all_pairs_of_folds():
    split = {"split__by": "speaker+sentence", "split__n_folds": 3}
    assert parse_params(changed(runs__folds=[0, 8], **split)).split.folds == 9
    with pytest.raises(ParamsError, match="9 is not one of the 9 crossed folds"):
        parse_params(changed(runs__folds=[9], **split))


def test_a_matched_split_needs_one_field_to_match_on_and_whole_corpora():
    matched = {"split__method": "matched", "runs__folds": [0], "split__by": "block"}
    with pytest.raises(ParamsError, match=r"split\.matched_on: method matched needs the widest field"):
        parse_params(changed(**matched))
    with pytest.raises(ParamsError, match=r"split\.use: method matched takes every corpus whole"):
        parse_params(changed(split__matched_on="event", split__use={"demo": {"train_clips": 3}}, **matched))
    renamed = {"demo": {"labels": {"joy": "happiness"}}}
    assert parse_params(changed(split__matched_on="event", split__use=renamed, **matched)).split.folds == 1


@pytest.mark.parametrize("name", ["", " joy", "joy ", "two\nlines", "x" * 101])
def test_a_label_map_gives_names_that_a_label_may_have(name):
    with pytest.raises(ParamsError, match=r"split\.use\.demo\.labels\.joy: must be a name of 1 to 100 characters"):
        parse_params(changed(split__use={"demo": {"labels": {"joy": name}}}))
    assert parse_params(changed(split__use={"demo": {"labels": {"joy": "schöne Freude", "anger": None}}}))


def test_every_contradiction_is_named_at_once():
    with pytest.raises(ParamsError) as caught:
        parse_params(changed(spectrogram__fft_length=1000, data__root="here", train__keep="best"))
    for key in ("spectrogram.fft_length", "data.root", "train.keep"):
        assert key in str(caught.value)


def test_a_contradiction_that_members_share_is_named_once():
    members = {name: {"seed": 0, "model": {}, "train": {}} for name in ("a", "b", "c")}
    with pytest.raises(ParamsError) as caught:
        parse_params(changed(members=members, train__keep="best"))
    assert str(caught.value).count("train.keep: best needs a validation side") == 1


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (
            {"evaluate__calibrate": "validation"},
            "evaluate.calibrate: validation needs a validation side: set split.validation, or set calibrate to none",
        ),
        (
            {"evaluate__ensembles": {"er2": ["a", "r3"]}},
            "evaluate.ensembles.er2: 'r3' is not run: name some of a, or add it to runs.members or heads",
        ),
        ({"evaluate__ensembles": {"er2": []}}, "evaluate.ensembles.er2: must name one or more"),
        ({"evaluate__ensembles": {"er2": ["a", "a"]}}, "evaluate.ensembles.er2: must be sorted and without repeats"),
        ({"evaluate__ensembles": {"ER 2": ["a"]}}, "'ER 2' must be made of a-z, 0-9 and _"),
        ({"evaluate__aggregate": "median"}, "evaluate.aggregate"),
    ],
)
def test_an_evaluation_that_the_runs_do_not_give_is_refused(keys, said):
    with pytest.raises(ParamsError) as caught:
        parse_params(changed(**keys))
    assert said in str(caught.value)


def test_an_evaluation_that_the_runs_give_is_taken():
    given = parse_params(
        changed(evaluate__calibrate="validation", split__validation="fraction", evaluate__ensembles={"alone": ["a"]})
    ).evaluate
    assert (given.ensembles, given.calibrate, given.aggregate) == ({"alone": ("a",)}, "validation", "mean")


@pytest.mark.parametrize("section", [key for key, value in VALUES.items() if value and isinstance(value, dict)])
def test_a_missing_key_is_named(section):
    values = copy.deepcopy(VALUES)
    name = next(iter(values[section]))
    del values[section][name]
    if section == "members":
        assert "a" not in values["members"]
    with pytest.raises(ParamsError, match=name):
        parse_params(values)


def test_whole_numbers_serve_as_floats_and_window_may_be_in_seconds():
    params = parse_params(
        changed(slice__block_seconds=2, spectrogram__window_samples=None, spectrogram__window_seconds=0.01)
    )
    assert params.slice.block_seconds == 2.0
    assert params.spectrogram.window_length(44100) == 441


def test_yaml_is_read_as_version_1_2(tmp_path):
    # YAML 1.1 would make these False, 8 and a text
    text = FILE.read_text(encoding="utf-8")
    text = text.replace("epochs: 10", "epochs: 010").replace("learning_rate: 0.0001", "learning_rate: 1e-3")
    path = tmp_path / "params.yaml"
    path.write_text(text.replace("short_clips: repeat", "short_clips: no"), encoding="utf-8")
    with pytest.raises(ParamsError, match="not 'no'"):
        load_params(path)
    path.write_text(text, encoding="utf-8")
    params = load_params(path)
    assert params.train.epochs == 10
    assert params.train.learning_rate == 0.001


@pytest.mark.parametrize("text", ["a: [", "- 1", "", "\x00", "a: !!python/object/apply:os.system [ls]"])
def test_a_file_that_is_no_mapping_is_refused_in_one_line(tmp_path, text):
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ParamsError) as caught:
        load_params(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_says_where_to_run(tmp_path):
    with pytest.raises(ParamsError, match="run from the project's folder"):
        load_params(tmp_path / "params.yaml")


def test_members_change_their_own_keys_only():
    members = {"a": VALUES["members"]["a"], "b": {"seed": 7, "model": {"name": "resnet18"}, "train": {"epochs": 3}}}
    params = parse_params(changed(members=members))
    model, train, seed = params.of_member("b")
    assert (model.name, train.epochs, seed) == ("resnet18", 3, 7)
    assert model.weights == params.model.weights
    assert params.of_member("a")[0].name == "alexnet"
    with pytest.raises(ParamsError, match=re.escape("members.c: no such member; params.yaml has a, b")):
        params.of_member("c")


def test_a_member_changes_single_keys_of_its_estimator():
    own = {"seed": 7, "model": {"name": "svm", "estimator": {"C": 10}}, "train": {}}
    model, _, _ = parse_params(changed(members={"a": VALUES["members"]["a"], "b": own})).of_member("b")
    assert model.is_estimator
    assert model.estimator.model_dump() == {**VALUES["model"]["estimator"], "C": 10.0}


def test_a_head_has_the_committed_values_of_estimators_where_it_gives_none():
    params = parse_params(changed(heads={"h": {"member": "a", "kind": "gmm", "n_mixtures": 3}}))
    assert params.heads["h"].recipe["options"] == {**VALUES["model"]["estimator"], "n_mixtures": 3}
    assert (params.heads["h"].on, params.heads["h"].fitted_on, params.heads["h"].seed) == ("logits", "train", 0)


def test_kinds_of_estimators_are_those_that_are_fitted_with_their_options():
    assert tuple(estimators.ESTIMATORS) == ESTIMATORS
    assert set(USED) == {*ESTIMATORS, *RECURRENT}
    used = set().union(*(USED[kind] for kind in ESTIMATORS))
    assert used == {*Estimator.model_fields} == {item.name for item in dataclasses.fields(Options)}
    assert Estimator().model_dump() == dataclasses.asdict(Options()) == VALUES["model"]["estimator"]


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"heads__h__fitted_on": "validation"}, "heads.h.fitted_on: validation needs a validation side"),
        ({"runs__members": ["b"]}, "heads.h.member: 'a' is not among runs.members"),
        ({"heads": {"a": {"member": "a", "kind": "lda"}}, "runs__heads": ["a"]}, "runs.heads: 'a' is a member's name"),
    ],
)
def test_heads_that_cannot_be_fitted_are_refused(keys, words):
    usual = {
        "members": {"a": VALUES["members"]["a"], "b": VALUES["members"]["a"]},
        "heads": {"h": {"member": "a", "kind": "lda"}},
        "runs__heads": ["h"],
    }
    parse_params(changed(**usual))
    with pytest.raises(ParamsError, match=re.escape(words)):
        parse_params(changed(**{**usual, **keys}))
    # what is not run may be unfinished
    if "heads" not in keys:
        parse_params(changed(**{**usual, "runs__heads": [], **keys}))


def test_images_altered_in_every_epoch_are_not_for_estimators():
    own = {"a": {"seed": 0, "model": {"name": "lda"}, "train": {}}}
    parse_params(changed(members=own))
    with pytest.raises(ParamsError, match=r"augment\.grey: alters images anew in every epoch, and lda is fitted once"):
        parse_params(changed(members=own, augment__grey=0.5))


def test_sections_are_frozen():
    params = parse_params(VALUES)
    with pytest.raises(ValueError, match="frozen"):
        params.train.epochs = 3


def test_no_key_has_a_name_that_dvc_leaves_out_of_its_run_cache():
    names = {key.rpartition(".")[2] for key, _ in keys_of(VALUES)}
    assert not names & {"size", "nfiles"}


def test_every_key_has_a_comment():
    lines = FILE.read_text(encoding="utf-8").splitlines()
    commented = False
    for number, line in enumerate(lines, start=1):
        stripped = line.strip()
        is_section = re.fullmatch(r"[a-z_]+:", line) or stripped == "a:"
        if stripped.startswith("#"):
            commented = True
        elif not stripped:
            commented = False
        elif not is_section and not stripped.startswith("- "):
            # several keys in a row may share the comment above the first
            assert commented, f"params.yaml:{number}: {stripped} has no comment above it"


def test_a_change_by_dvc_leaves_every_other_byte():
    yaml = YAML()
    yaml.preserve_quotes = True
    text = FILE.read_text(encoding="utf-8")
    loaded = yaml.load(text)
    loaded["train"]["epochs"] = 11
    out = io.StringIO()
    yaml.dump(loaded, out)
    assert out.getvalue() == text.replace(" epochs: 10", " epochs: 11")


# augmentation


def test_ranges_of_altered_sound_are_those_of_what_alters_it():
    properties = SoundVariant.model_json_schema()["properties"]
    assert set(properties) == {item.name for item in dataclasses.fields(Variant)} - {"number"}
    for name, (low, high) in RANGES.items():
        entry = properties[name]
        entry = entry["anyOf"][0] if "anyOf" in entry else entry
        assert (entry["minimum"], entry["maximum"]) == (low, high)
    assert Variant(number=1, gain_db=1).noise_colour == SoundVariant().noise_colour
    for name in set(properties) - {"noise_colour"}:
        assert getattr(Variant(number=1, gain_db=1), name) in (getattr(SoundVariant(), name), 1)


def test_listed_variants_are_those_that_the_stages_take():
    listed = [{"semitones": -2, "noise_snr_db": 10}, {"time_factor": 1.25}]
    params = parse_params(changed(augment__sound=listed))
    assert chosen_variants(params.augment.chosen_sound) == (
        Variant(number=0),
        Variant(number=1, semitones=-2.0, noise_snr_db=10.0),
        Variant(number=2, time_factor=1.25),
    )
    assert len(chosen_variants(parse_params(changed(augment__sound="nine")).augment.chosen_sound)) == 9
    assert chosen_variants(parse_params(changed(augment__sound="none")).augment.chosen_sound) == (Variant(number=0),)
    assert chosen_variants(parse_params(changed(augment__sound=[])).augment.chosen_sound) == (Variant(number=0),)


@pytest.mark.parametrize(
    ("sound", "words"),
    [
        ([{"semitones": 1}, {}], r"augment\.sound: variant 2 alters nothing"),
        ([{"semitones": 1}, {"semitones": 1.0}], r"augment\.sound: variants 1 and 2 are the same"),
        ([{"gain_db": 3}], r"variant 1 changes the gain only, which loudness\.scope block undoes"),
        ([{"semitones": 13}], r"augment\.sound\.0\.semitones: [^;]*12, not 13$"),
        ([{"pitch": 1}], r"augment\.sound\.0\.pitch: unknown key$"),
        ("ten", r"augment\.sound: [^;]*, not 'ten'$"),
        (None, r"augment\.sound: [^;]*, not None$"),
    ],
)
def test_altered_sound_that_cannot_be_is_refused(sound, words):
    with pytest.raises(ParamsError, match=words):
        parse_params(changed(augment__sound=sound))


def test_a_gain_alone_is_taken_where_nothing_undoes_it():
    parse_params(changed(augment__sound=[{"gain_db": 3}], loudness__scope="corpus"))
    parse_params(changed(augment__sound=[{"gain_db": 3, "noise_snr_db": 3}]))


def test_altered_sound_with_single_blocks_needs_the_leak_by_name():
    with pytest.raises(ParamsError, match=r"name augmented_before_split in split\.allow_leaks"):
        parse_params(changed(augment__sound="nine", split__by="block"))
    parse_params(changed(augment__sound="nine", split__by="block", split__allow_leaks=[LEAK]))
    parse_params(changed(split__by="block"))


@pytest.mark.parametrize("key", ["brightness", "contrast", "grey"])
def test_altered_images_need_images(key):
    parse_params(changed(**{f"augment__{key}": 0.5}))
    with pytest.raises(ParamsError, match=rf"augment\.{key}: alters pixels, and representation\.kind is stack"):
        parse_params(changed(**{f"augment__{key}": 0.5}, representation__kind="stack", model__normalise="standard"))


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"split__by": "block"}, "split.by block deals them to several sides: set it to clip or a wider field"),
        ({"split__balance": "train"}, "split.balance train drops random ones: set it to none"),
        ({"split__balance": "all"}, "split.balance all drops random ones: set it to none"),
        (
            {"split__method": "matched", "split__matched_on": "speaker", "runs__folds": [0]},
            "split.method matched draws random ones: set it to kfold, holdout or leave_one_out",
        ),
        (
            {"augment__sound": "nine", "split__allow_leaks": [LEAK]},
            f"{LEAK} in split.allow_leaks deals altered ones to all sides: leave it out",
        ),
    ],
)
@pytest.mark.parametrize("kind", ["lstm", "bilstm"])
def test_what_tears_clips_is_refused_where_their_order_counts(kind, keys, words):
    own = {"split__balance": "none", **keys}
    parse_params(changed(**own, model__sequence="none"))
    with pytest.raises(ParamsError) as caught:
        parse_params(changed(**own, model__sequence=kind))
    text = f"params.yaml: model.sequence: {kind} needs a clip's blocks together and in their order, and {words}"
    assert str(caught.value).startswith(text)
    with pytest.raises(ParamsError, match=f"model.sequence: {kind} needs"):
        parse_params(changed(**own, members__a__model={"sequence": kind}))


HEAD = {"member": "a", "kind": "lstm"}


def test_a_recurrent_head_needs_whole_clips_too():
    own = {"runs__heads": ["h"], "heads": {"h": HEAD}}
    parse_params(changed(**own, split__balance="none"))
    parse_params(changed(heads={"h": HEAD}))  # it is not run
    with pytest.raises(ParamsError, match=r"heads\.h\.kind: lstm needs .* split\.balance train drops random ones"):
        parse_params(changed(**own))
    with pytest.raises(ParamsError, match=r"heads\.h\.kind: lstm needs .* split\.by block deals them to several sides"):
        parse_params(changed(**own, split__balance="none", split__by="block"))


def test_a_recurrent_head_has_keys_of_its_own():
    keys = {"units": 8, "epochs": 3, "learning_rate": 0.01}
    params = parse_params(changed(heads={"h": {**HEAD, **keys}}))
    rest = {"layers": 1, "batch_blocks": 64, "weight_decay": 0.0001}
    assert params.heads["h"].recipe == {
        **HEAD,
        "on": "logits",
        "fitted_on": "train",
        "seed": 0,
        "options": {**keys, **rest},
    }
    for kind, key in (("lstm", "C"), ("svm", "units")):
        with pytest.raises(ParamsError, match=rf"heads\.h\.{key}: {kind} does not look at it: leave it out"):
            parse_params(changed(heads={"h": {"member": "a", "kind": kind, key: 2}}))


def test_an_estimator_is_no_network_of_blocks():
    with pytest.raises(ParamsError, match=r"model\.sequence: lstm learns with a network, and svm is an estimator"):
        parse_params(changed(split__balance="none", model__name="svm", model__sequence="lstm"))


def test_sequences_of_whole_clips_are_taken():
    for sound in ("none", "nine"):
        model = parse_params(changed(split__balance="none", model__sequence="bilstm", augment__sound=sound)).model
        assert model.of_sequence == {"kind": "bilstm", "units": 128, "layers": 1}


def test_flat_values_need_a_sequence_and_have_no_weights():
    own = {"split__balance": "none", "model__name": "flat"}
    parse_params(changed(**own, model__sequence="lstm"))
    with pytest.raises(ParamsError, match=r"model\.name: flat answers nothing by itself: set model\.sequence to lstm"):
        parse_params(changed(**own))
    with pytest.raises(ParamsError, match=r"model\.weights: flat has no weights of its own: set it to random"):
        parse_params(changed(**own, model__sequence="lstm", model__weights="imagenet"))


def test_whole_clips_are_never_on_two_sides():
    parse_params(changed(augment__sound="nine", split__by="block", slice__whole_clips=True))


def test_a_contradiction_of_several_members_is_said_once():
    members = {name: {"seed": 0, "model": {}, "train": {}} for name in ("a", "b")}
    with pytest.raises(ParamsError) as caught:
        parse_params(changed(members=members, train__keep="best"))
    assert str(caught.value).count("train.keep: best needs a validation side") == 1
    assert "members." not in str(caught.value)
