"""YAML 1.2 as plain values and nothing else: no objects, no more than is there to be read, never without end."""

from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

MOST_BYTES = 1 << 18
MOST_VALUES = 50_000  # with every alias counted as what it stands for
MOST_DEPTH = 50
MOST_DIGITS = 400  # of a number
_OPENING, _CLOSING = "[{", "]}"


def load_plain(text: str, *, most_bytes: int = MOST_BYTES, most_values: int = MOST_VALUES) -> Any:
    """Read one YAML document.

    Raises
    ------
    ValueError
        In one line: it is not valid, names a type that is none of YAML's own, is too large or deep, or holds itself.
    """
    if len(text) > most_bytes:
        raise ValueError(f"{len(text)} characters, at most {most_bytes} are read")
    _refuse_depth(text)
    yaml = YAML(typ="safe", pure=True)

    class Constructor(SafeConstructor):
        def construct_document(self, node: Node) -> Any:
            _count(node, {}, most_values)
            return super().construct_document(node)

    yaml.Constructor = Constructor
    try:
        return yaml.load(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except (YAMLError, ValueError, LookupError, TypeError, AttributeError) as error:  # what YAML's own types let slip
        raise ValueError(" ".join(str(error).split())) from None


def _refuse_depth(text: str) -> None:
    """Refuse many brackets opened in one line before any is closed: reading would take the square of their number."""
    for line in text.splitlines():
        depth = 0
        for mark in line if line.count("[") + line.count("{") > MOST_DEPTH else "":
            depth += (mark in _OPENING) - (mark in _CLOSING)
            if depth > MOST_DEPTH:
                raise ValueError(f"nested more than {MOST_DEPTH} deep")


def _count(node: Node, known: dict[int, int], most: int, depth: int = 0) -> int:
    """Count the values below a node, those behind an alias each time; refuse too many, too deep, and circles."""
    if isinstance(node, ScalarNode):
        if len(node.value) > MOST_DIGITS and (node.tag or "").endswith((":int", ":float")):
            raise ValueError(f"a number of {len(node.value)} digits")
        return 1
    if depth > MOST_DEPTH:
        raise ValueError(f"nested more than {MOST_DEPTH} deep, or holds itself")
    if id(node) not in known:
        inner = [one for pair in node.value for one in pair] if isinstance(node, MappingNode) else node.value
        known[id(node)] = 1 + sum(_count(one, known, most, depth + 1) for one in inner)
    if known[id(node)] > most:
        raise ValueError(f"more than {most} values, aliases counted as what they stand for")
    return known[id(node)]
