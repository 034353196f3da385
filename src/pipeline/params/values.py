"""Values of params.yaml that are more than a number in a range: names, lists, labels, extents of layers."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo

from pipeline.colormaps import check_colormap
from pipeline.errors import ParamsError

Seed = Annotated[int, Field(ge=0, lt=2**32)]
NAME = re.compile(r"[a-z0-9][a-z0-9_]*")


def _not_empty(items: tuple[Any, ...]) -> tuple[Any, ...]:
    if not items:
        raise ValueError("must name one or more")
    return items


def _sorted_once(items: tuple[Any, ...]) -> tuple[Any, ...]:
    if list(items) != sorted(set(items)):
        raise ValueError(f"must be sorted and without repeats: {sorted(set(items))}")
    return items


def _plain_name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} must be made of a-z, 0-9 and _ (it names files and DVC stages)")
    return name


def as_tuple(value: object) -> object:
    """Make a list, as YAML has it, a tuple, as frozen sections have it; leave all else to the checks behind."""
    return tuple(value) if isinstance(value, list) else value


def named_or_listed(value: object) -> str:
    """Tag of what is a list of values of its own, or the name of a known one."""
    return "[listed]" if isinstance(value, list | tuple) else "[named]"


def _crossed_names(names: str) -> str:
    fields = names.split("+")
    if unfit := [name for name in fields if not NAME.fullmatch(name)]:
        raise ValueError(f"{unfit[0]!r} must be made of a-z, 0-9 and _: rename the column of clips.csv")
    if len(fields) > 1 and (len(set(fields)) < len(fields) or {"block", "clip"} & set(fields)):
        raise ValueError(f"{names!r} must cross different fields of clips.csv, such as speaker+sentence")
    return names


def _known_colormap(name: str) -> str:
    try:
        return check_colormap(name)
    except ParamsError as error:
        raise ValueError(str(error)) from None


def _checked_label(label: str) -> str:
    if not label or len(label) > 100 or not label.isprintable() or label != label.strip():
        raise ValueError("must be a name of 1 to 100 characters that print, without spaces around it, or null")
    if label == "total":
        raise ValueError("must be another name than total, which metrics.json has for all classes together")
    return label


Label = Annotated[str, AfterValidator(_checked_label)]
Name = Annotated[str, AfterValidator(_plain_name)]
Crossed = Annotated[str, AfterValidator(_crossed_names)]
Texts = Annotated[tuple[str, ...], BeforeValidator(as_tuple)]
NamesOrNone = Annotated[tuple[Name, ...], BeforeValidator(as_tuple), AfterValidator(_sorted_once)]
Names = Annotated[NamesOrNone, AfterValidator(_not_empty)]
Folds = Annotated[
    tuple[Annotated[int, Field(ge=0)], ...],
    BeforeValidator(as_tuple),
    AfterValidator(_sorted_once),
    AfterValidator(_not_empty),
]
Colormap = Annotated[str, AfterValidator(_known_colormap)]


def _checked_extent(value: object, info: ValidationInfo) -> object:
    """Whole numbers: one, or a list of height and width."""
    least = 0 if info.field_name in ("padding", "pool", "pool_stride") else 1
    least_of_two = 0 if info.field_name == "padding" else 1
    pair = as_tuple(value)
    if isinstance(pair, tuple):
        fits = len(pair) == 2 and all(type(number) is int and least_of_two <= number <= 1024 for number in pair)
    else:
        fits = type(pair) is int and least <= pair <= 1024
    if not fits:
        raise ValueError(
            f"must be a whole number from {least} to 1024, or height and width in a list, from {least_of_two}"
        )
    return pair


def _checked_padding(value: object, info: ValidationInfo) -> object:
    return value if value == "same" else _checked_extent(value, info)


def _checked_frozen(value: object) -> object:
    is_list = isinstance(value, list | tuple) and all(isinstance(name, str) and name for name in value)
    if not (is_list or value == "all" or (type(value) is int and value >= 0)):
        raise ValueError("must be a number of layers from 0, a list of their names, or all")
    return as_tuple(value)


Extent = Annotated[int | tuple[int, int], BeforeValidator(_checked_extent)]
Padding = Annotated[int | tuple[int, int] | Literal["same"], BeforeValidator(_checked_padding)]
Frozen = Annotated[int | Literal["all"] | Texts, BeforeValidator(_checked_frozen)]
