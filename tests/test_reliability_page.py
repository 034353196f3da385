"""docs/reliability.md names tests: each is there."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")


def named_tests():
    """File and function of every test that the page names; `...` stands for the file named last."""
    file, found = "", []
    for name, function in re.findall(r"`((?:[\w/]+/)?test_\w+\.py|\.\.\.(?=::))(?:::(test_\w+))?`", PAGE):
        file = file if name == "..." else name
        found.append((file, function))
    return found


def test_every_test_that_the_page_names_is_there():
    named = named_tests()
    assert len(named) > 50
    for file, function in named:
        text = (ROOT / "tests" / file).read_text(encoding="utf-8")
        assert not function or f"def {function}(" in text, f"{file}::{function}"


def test_all_five_sections_are_there():
    sections = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    assert sections == ["Loudness", "Bad input", "Faults", "Long and large", "Security"]


def test_every_kind_and_way_of_the_fuzz_is_counted():
    from audio.mutations import KINDS, MUTATIONS, TAGGED, VIDEOS

    assert f"{len(KINDS) + len(TAGGED) + len(VIDEOS)} kinds" in PAGE
    assert len(MUTATIONS) == 9
    assert "in nine ways" in PAGE.replace("\n", " ")
