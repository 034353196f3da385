"""params.yaml and the schema behind it -> docs/parameters.md: each key, its default, what it may be, what it means."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.params.sections import Params

HEAD = """# Parameters

Every choice is a key of [params.yaml](../params.yaml). This page is made from that file and from the schema that checks
it (`emospec parameters > docs/parameters.md`); a test keeps it true. Change a key for one run with
`dvc exp run -S section.key=value`, for good in the file. `emospec check` says what is wrong without doing any work."""
KINDS = {"string": "text", "boolean": "true or false", "object": "a mapping", "null": "empty"}


@dataclass
class Entry:
    """A key of params.yaml as written: its path, its value (empty for a section) and the comment above it."""

    path: tuple[str, ...]
    value: str
    comment: str
    items: list[str] = field(default_factory=list)

    @property
    def default(self) -> str:
        """The value as one would write it on one line."""
        return f"[{', '.join(self.items)}]" if self.items else self.value


def parameters_page(text: str) -> str:
    """Describe every key of `text` (a params.yaml as committed: block style, two spaces a level) in Markdown."""
    schema = Params.model_json_schema()
    lines = [HEAD]
    for entry in _entries(text):
        section, *rest = entry.path
        place = _find(schema, entry.path)
        if place is not None and _kind(place, schema) == "object" and not entry.value:
            if not rest:
                lines += ["", f"## `{section}`", "", *([entry.comment, ""] if entry.comment else []), *_header()]
            continue
        if not rest:
            lines += ["", f"## `{section}`", "", *_header()]
        meaning = entry.comment or "as the key above"
        cells = (f"`{'.'.join(entry.path)}`", _code(entry.default), _values(place or {}, schema), meaning)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _header() -> list[str]:
    return ["| key | as committed | may be | meaning |", "|---|---|---|---|"]


def _code(text: str) -> str:
    return f"`{text}`" if text else "(empty)"


def _entries(text: str) -> Iterator[Entry]:
    """Yield the keys in the order of the file, each with the comment lines that stand directly above it."""
    above: list[str] = []
    path: list[str] = []
    current: Entry | None = None
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("#"):
            above.append(stripped.lstrip("# "))
        elif stripped.startswith("- ") and current is not None:
            current.items.append(stripped[2:])
        elif stripped:
            if current is not None:
                yield current
            key, _, value = stripped.partition(":")
            path = [*path[: (len(line) - len(line.lstrip())) // 2], key]
            current = Entry(tuple(path), value.strip(), " ".join(above))
            above = []
        else:
            above = []
    if current is not None:
        yield current


def _find(schema: Mapping[str, Any], path: tuple[str, ...]) -> Mapping[str, Any] | None:
    """Find the schema of a key; a name of the user's own (a member's) has the schema of its mapping's values."""
    place: Mapping[str, Any] = schema
    for key in path:
        place = _resolved(place, schema)
        inner = place.get("properties", {}).get(key, place.get("additionalProperties"))
        if not isinstance(inner, Mapping):
            return None
        place = inner
    return _resolved(place, schema)


def _resolved(place: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" in place:
        found: Mapping[str, Any] = schema["$defs"][place["$ref"].rpartition("/")[2]]
        return found
    return place


def _kind(place: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    return str(_resolved(place, schema).get("type", ""))


def _values(place: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Say what a key may be, from its JSON schema."""
    place = _resolved(place, schema)
    for several in ("anyOf", "oneOf"):
        if several in place:
            return ", or ".join(_values(choice, schema) for choice in place[several])
    if "const" in place:
        return f"`{place['const']}`"
    if "enum" in place:
        return " or ".join(f"`{choice}`" for choice in place["enum"])
    kind = place.get("type", "")
    if kind == "array":
        return f"a list, each {_values(place['items'], schema)}"
    if kind in ("integer", "number"):
        return ("a whole number" if kind == "integer" else "a number") + _range(place)
    return KINDS.get(str(kind), str(kind))


def _range(place: Mapping[str, Any]) -> str:
    low = f", {place['minimum']}" if "minimum" in place else ""
    low = f", above {place['exclusiveMinimum']}" if "exclusiveMinimum" in place else low
    up_to = ", up to" if "exclusiveMinimum" in place else " to"
    high = f"{up_to} {place['maximum']}" if "maximum" in place else ""
    high = f" to {place['exclusiveMaximum'] - 1}" if "exclusiveMaximum" in place else high
    return low + (high or (" or more" if low else ""))
