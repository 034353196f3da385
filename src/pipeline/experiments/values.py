"""Values of parameters as text: for `dvc exp run -S`, and for people."""

import datetime
import math
import re

PLAIN = re.compile(r"[a-z][a-z0-9_]*")  # text that needs no quotes; the words below do
WORDS = {"null", "true", "false", "nan", "inf", "yes", "no", "on", "off"}
KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
NO_KEYS = {"null", "true", "false", "nan", "inf"}  # which `-S` reads as values, in any case


def as_text(value: object) -> str:
    """Write a value so that `dvc exp run -S` and YAML 1.2 read it as the same.

    Raises
    ------
    ValueError
        If they would not.
    """
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is no number that a parameter can have")
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        if PLAIN.fullmatch(value) and value not in WORDS:
            return value
        if not value.isprintable() or re.search(r"['\\$]", value):
            raise ValueError(f"{value!r}: a quote, backslash, dollar or control character cannot be handed to DVC")
        return f"'{value}'"
    if isinstance(value, list):
        return f"[{', '.join(as_text(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_plain_key(key)}: {as_text(item)}' for key, item in value.items())}}}"
    hint = ": put it in quotes" if isinstance(value, datetime.date) else ""
    raise ValueError(f"{value} is neither number, text, list nor mapping{hint}")


def _plain_key(key: object) -> str:
    if not isinstance(key, str) or not KEY.fullmatch(key) or key.lower() in NO_KEYS:
        raise ValueError(f"{key!r}: a mapping's keys must be made of letters, 0-9 and _")
    return key


def show(value: object) -> str:
    """Write a value for people: as YAML, text without quotes."""
    return value if isinstance(value, str) else as_text(value)
