"""What a setting ranges over: `key=a,b`, choice, uniform, loguniform or integers, read from text and drawn from."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from pipeline.errors import SearchError
from pipeline.experiments.values import as_text, show
from pipeline.params.plain import load_plain

FORMS = "a,b,c, choice(a,b,c), uniform(low,high), loguniform(low,high) or integers(low,high)"
CALL = re.compile(r"(?P<name>[A-Za-z_]\w*)\((?P<inside>.*)\)", flags=re.DOTALL)
CLOSES = {"[": "]", "{": "}", "(": ")"}
DIGITS = 3  # a drawn number is a multiple of a power of ten, about a thousandth of itself or of its range
DRAWS_PER_RUN = 1000


@dataclass(frozen=True)
class Choice:
    """One of some values, each as likely as the others."""

    values: tuple[Any, ...]

    def draw(self, rng: np.random.Generator) -> Any:
        """One of the values, with its own type."""
        return self.values[rng.integers(len(self.values))]


@dataclass(frozen=True)
class Integers:
    """A whole number from `low` to `high`, both included."""

    low: int
    high: int

    @property
    def values(self) -> range:
        """All of them."""
        return range(self.low, self.high + 1)

    def draw(self, rng: np.random.Generator) -> int:
        """One of them."""
        return int(rng.integers(self.low, self.high, endpoint=True))


@dataclass(frozen=True)
class Interval:
    """A number from `low` to `high`, uniform, or uniform in its logarithm."""

    low: float
    high: float
    log: bool

    def draw(self, rng: np.random.Generator) -> float:
        """Draw a number, rounded so that it can be read and typed; never outside."""
        if self.log:
            value = math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
            scale = min(value, self.high - self.low)
        else:
            value = rng.uniform(self.low, self.high)
            scale = self.high - self.low
        return min(max(round(value, DIGITS - math.floor(math.log10(scale))), self.low), self.high)


Space = Choice | Integers | Interval


def parse_setting(setting: str) -> tuple[str, Space]:
    """Read `key=SPACE`; a single value is a space of one.

    Raises
    ------
    SearchError
        Saying what of it cannot be read.
    """
    key, sign, text = (part.strip() for part in setting.partition("="))
    if not sign or not key:
        raise SearchError(f"-S {setting}: give section.key=values, the values as {FORMS}")
    try:
        return key, _parse_space(text)
    except ValueError as error:
        raise SearchError(f"-S {setting}: {error}") from None


def _parse_space(text: str) -> Space:
    call = CALL.fullmatch(text)
    if call is None:
        return _choice(text)
    name, inside = call["name"], call["inside"]
    if name == "choice":
        return _choice(inside)
    if name not in ("uniform", "loguniform", "integers"):
        raise ValueError(f"{name}(...) is not known: give {FORMS}")
    ends = [_parse_value(part) for part in _split(inside)]
    kind = int if name == "integers" else (int, float)
    if len(ends) != 2 or not all(isinstance(end, kind) and not isinstance(end, bool) for end in ends):
        what = "whole numbers" if name == "integers" else "numbers"
        raise ValueError(f"{name} needs two {what}, the lower one first: {name}(low,high)")
    low, high = ends
    if name == "integers":
        if low > high:
            raise ValueError(f"integers: {low} is above {high}: give the lower one first")
        return Integers(low, high)
    if not low < high:
        raise ValueError(f"{name}: {low} is not below {high}: give the lower one first")
    if name == "loguniform" and low <= 0:
        raise ValueError(f"loguniform: {low} has no logarithm: begin above 0, or use uniform")
    return Interval(float(low), float(high), log=name == "loguniform")


def _choice(text: str) -> Choice:
    values = tuple(_parse_value(part) for part in _split(text))
    for number, value in enumerate(values):
        if any(_same(value, other) for other in values[:number]):
            raise ValueError(f"{show(value)} is given twice: leave one out")
    return Choice(values)


def _same(one: object, other: object) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _split(text: str) -> list[str]:
    """Split at the commas that stand in no brackets and no quotes."""
    parts, expected, quote = [""], [], ""
    for sign in text:
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign in CLOSES:
            expected.append(CLOSES[sign])
        elif sign in CLOSES.values():
            if not expected or expected.pop() != sign:
                raise ValueError(f"a {sign} closes nothing")
        elif sign == "," and not expected:
            parts.append("")
            continue
        parts[-1] += sign
    if quote or expected:
        raise ValueError(f"a closing {quote or expected[-1]} is missing")
    if empty := [part for part in parts if not part.strip()]:
        raise ValueError(f"{len(empty)} of {len(parts)} values {'is' if len(empty) == 1 else 'are'} empty: write null")
    return [part.strip() for part in parts]


def _parse_value(text: str) -> Any:
    try:
        value = load_plain(text)
    except ValueError as error:
        raise ValueError(f"{text}: not valid YAML: {error}") from None
    as_text(value)  # what cannot be handed to DVC is refused here
    return value


def count_grid(spaces: Mapping[str, Space]) -> int:
    """How many combinations a grid has.

    Raises
    ------
    SearchError
        If a space has no list of values.
    """
    for key, space in spaces.items():
        if isinstance(space, Interval):
            raise SearchError(f"-S {key}: a grid needs values, not a range: list them, or use `emospec search random`")
    return math.prod(len(space.values) for space in spaces.values() if not isinstance(space, Interval))


def grid(spaces: Mapping[str, Space]) -> Iterator[dict[str, Any]]:
    """Every combination, the last key's values changing fastest."""
    lists = [space.values for space in spaces.values() if not isinstance(space, Interval)]
    for values in product(*lists):
        yield dict(zip(spaces, values, strict=True))


def draw_all(spaces: Mapping[str, Space], *, n: int, seed: int) -> list[dict[str, Any]]:
    """Draw `n` different combinations; with the same seed, fewer are the first of more.

    Raises
    ------
    SearchError
        If there are not as many.
    """
    if not any(isinstance(space, Interval) for space in spaces.values()) and (there := count_grid(spaces)) < n:
        raise SearchError(f"--runs {n}: there are {there} combinations: ask for fewer, or use `emospec search grid`")
    rng = np.random.default_rng(seed)
    found: dict[str, dict[str, Any]] = {}
    for _ in range(n * DRAWS_PER_RUN):
        values = {key: space.draw(rng) for key, space in spaces.items()}
        found.setdefault(as_text(list(values.values())), values)
        if len(found) == n:
            return list(found.values())
    raise SearchError(
        f"--runs {n}: only {len(found)} different combinations were drawn: widen a range, or ask for fewer"
    )
