"""What a setting ranges over: how it is read, drawn from, and written for DVC."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from pipeline.errors import SearchError
from pipeline.experiments.values import as_text
from pipeline.search.spaces import Choice, Integers, Interval, count_grid, draw_all, grid, parse_setting


@pytest.mark.parametrize(
    ("setting", "values"),
    [
        ("train.learning_rate=1e-3,1e-4", (0.001, 0.0001)),
        ("train.epochs=10", (10,)),
        ("a.b=choice(1, 2.5 ,three)", (1, 2.5, "three")),
        ("runs.folds=[0],[0, 1]", ([0], [0, 1])),
        ("split.use={emodb: {role: train}},{}", ({"emodb": {"role": "train"}}, {})),
        ("model.dropout=null,0.5", (None, 0.5)),
        ("slice.whole_clips=true,false", (True, False)),
        ("a.b='x,y',\"no\"", ("x,y", "no")),
        ("a.b=no,010,1_000", ("no", 10, 1000)),  # YAML 1.2: no is a word, 010 is ten
        ("a.b=a=b", ("a=b",)),
    ],
)
def test_values_keep_the_types_of_yaml(setting, values):
    _, space = parse_setting(setting)
    assert space == Choice(values)
    assert [type(one) for one in space.values] == [type(one) for one in values]


def test_ranges_are_read():
    assert parse_setting("a.b=uniform(0, 0.5)") == ("a.b", Interval(0.0, 0.5, log=False))
    assert parse_setting("a.b = loguniform(1e-5,1e-2)") == ("a.b", Interval(1e-5, 1e-2, log=True))
    assert parse_setting("+a.b=integers(-2,3)") == ("+a.b", Integers(-2, 3))


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("train.epochs", "give section.key=values"),
        ("=3", "give section.key=values"),
        ("a.b=", "1 of 1 values is empty: write null"),
        ("a.b=1,,2,", "2 of 4 values are empty"),
        ("a.b=1,2,1.0", "1.0 is given twice"),
        ("a.b=[1,2", "a closing ] is missing"),
        ("a.b=1],2", "a ] closes nothing"),
        ("a.b='x", "a closing ' is missing"),
        ("a.b={x: [1}", "not valid YAML|closes nothing"),
        ("a.b=normal(0,1)", r"normal\(...\) is not known: give a,b,c"),
        ("a.b=uniform(1)", "uniform needs two numbers"),
        ("a.b=uniform(a,b)", "uniform needs two numbers"),
        ("a.b=uniform(true,3)", "uniform needs two numbers"),
        ("a.b=uniform(2,1)", "2 is not below 1"),
        ("a.b=uniform(1,1)", "1 is not below 1"),
        ("a.b=loguniform(0,1)", "0 has no logarithm: begin above 0"),
        ("a.b=integers(1,2.5)", "integers needs two whole numbers"),
        ("a.b=integers(3,2)", "3 is above 2"),
        ("a.b=.inf", "inf is no number"),
        ("a.b=2001-02-03", "put it in quotes"),
        ('a.b="it\'s"', "cannot be handed to DVC"),
        ("a.b='${data.root}'", "cannot be handed to DVC"),
    ],
)
def test_what_cannot_be_read_says_what_and_how(setting, said):
    with pytest.raises(SearchError, match=said) as caught:
        parse_setting(setting)
    assert str(caught.value).startswith(f"-S {setting}: ")


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.sampled_from('abz019 _-.,:=/[]{}()#&*!|>%@+~"`'), max_size=8)
    | st.sampled_from(["null", "true", "no", "NaN", "Inf", "1e-5", "0x1", "~", "-", "?", "a: b", " a "])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]{0,4}x", fullmatch=True), inner)
    ),
    max_leaves=6,
)


@given(VALUES)
def test_dvc_and_yaml_read_what_was_meant(value):
    from hydra.core.override_parser.overrides_parser import OverridesParser  # what dvc exp run -S uses

    text = as_text(value)
    assert repr(YAML(typ="safe", pure=True).load(text)) == repr(value)
    (override,) = OverridesParser.create().parse_overrides([f"a.b={text}"])
    assert not override.is_sweep_override()
    assert repr(override.value()) == repr(value)


def test_a_grid_is_the_product_with_the_last_key_fastest():
    spaces = dict(map(parse_setting, ["a.x=2,1", "a.y=integers(5,6)", "a.z=u"]))
    assert count_grid(spaces) == 4
    assert list(grid(spaces)) == [
        {"a.x": 2, "a.y": 5, "a.z": "u"},
        {"a.x": 2, "a.y": 6, "a.z": "u"},
        {"a.x": 1, "a.y": 5, "a.z": "u"},
        {"a.x": 1, "a.y": 6, "a.z": "u"},
    ]


def test_a_grid_refuses_a_range():
    with pytest.raises(SearchError, match=r"-S a\.x: a grid needs values, not a range"):
        count_grid(dict([parse_setting("a.x=uniform(0,1)")]))


def test_draws_stay_inside_and_follow_their_distribution():
    spaces = dict(
        map(parse_setting, ["a.u=uniform(-2,6)", "a.l=loguniform(1e-5,1e-1)", "a.i=integers(3,5)", "a.c=7,x"])
    )
    drawn = draw_all(spaces, n=4000, seed=3)
    uniform, log = [one["a.u"] for one in drawn], [math.log10(one["a.l"]) for one in drawn]
    assert min(uniform) >= -2
    assert max(uniform) <= 6
    assert min(log) >= -5
    assert max(log) <= -1
    # quarters of the range are hit equally often: 1000 of 4000, standard deviation 27
    for values, low, width in ((uniform, -2, 2), (log, -5, 1)):
        counts = [sum(low + k * width <= one < low + (k + 1) * width for one in values) for k in range(4)]
        assert all(abs(count - 1000) < 5 * 27.4 for count in counts), counts
    assert {one["a.i"] for one in drawn} == {3, 4, 5}
    assert {type(one["a.i"]) for one in drawn} == {int}
    assert {one["a.c"] for one in drawn} == {7, "x"}


def test_drawn_numbers_are_short_and_never_rounded_outside():
    narrow = dict([parse_setting("a.x=uniform(0.99991,0.99992)"), parse_setting("a.y=loguniform(123456,123457)")])
    drawn = draw_all(narrow, n=50, seed=0)
    assert all(0.99991 <= one["a.x"] <= 0.99992 and 123456 <= one["a.y"] <= 123457 for one in drawn)
    assert len({one["a.x"] for one in drawn}) > 40
    wide = draw_all(dict([parse_setting("a.x=loguniform(1e-5,1e-2)")]), n=50, seed=0)
    assert all(len(f"{one['a.x']:e}".split("e")[0].rstrip("0")) <= 5 for one in wide)  # four digits and a point


def test_no_draw_is_repeated_and_more_begin_with_the_fewer():
    spaces = dict(map(parse_setting, ["a.x=integers(1,4)", "a.y=a,b,c"]))
    all_of_them = draw_all(spaces, n=12, seed=1)
    assert len({(one["a.x"], one["a.y"]) for one in all_of_them}) == 12
    assert draw_all(spaces, n=5, seed=1) == all_of_them[:5]
    assert draw_all(spaces, n=5, seed=2) != all_of_them[:5]


def test_more_draws_than_there_are_combinations_are_refused():
    spaces = dict(map(parse_setting, ["a.x=1,2", "a.y=a,b,c"]))
    with pytest.raises(SearchError, match="--runs 7: there are 6 combinations"):
        draw_all(spaces, n=7, seed=0)
