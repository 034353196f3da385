"""Tables as columns: the rows that went in come out, at a few tens of bytes each."""

import dataclasses
import math
import pickle
import tracemalloc
import typing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import StoreError
from pipeline.store import tables
from pipeline.store import texts as packed
from pipeline.store.columns import Keyed, Table, read_table
from pipeline.store.tables import Block, Clip, Gain, Recall, SplitRow, read_rows, write_rows
from pipeline.store.texts import Coded, Index, Texts, number, pack, rank

KINDS = [kind for kind in vars(tables).values() if dataclasses.is_dataclass(kind)]
HARD_TEXTS = [
    "",
    "a",
    "a\x00",
    "a\x00b",
    "ab",
    "é",
    "caf\udce9",
    "\ue000",
    "\uffff",
    "😀",
    "=1+1",
    "two\nlines",
    "'",
    "x" * 300,
]
TEXT = st.text(st.characters(exclude_categories=()), max_size=20) | st.sampled_from(HARD_TEXTS)
VALUES = {
    str: TEXT,
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False),
    float | None: st.none() | st.floats(allow_nan=False),
    typing.get_type_hints(Clip)["fields"]: st.dictionaries(TEXT, TEXT, max_size=3),
}


def rows_of(kind):
    return st.builds(kind, **{name: VALUES[hint] for name, hint in typing.get_type_hints(kind).items()})


def block(clip, start, *, variant=0):
    return Block(
        block_id=f"made/clip {clip:06}.wav@{start}",
        clip_id=f"made/clip {clip:06}.wav",
        variant=variant,
        start=start,
        n_samples=16000,
        fill="none",
    )


def blocks(n_clips, *, of_each=30):
    return [block(clip, 8000 * start) for clip in range(n_clips) for start in range(of_each)]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=20)
@given(data=st.data())
def test_rows_come_out_as_they_went_in(kind, data):
    rows = data.draw(st.lists(rows_of(kind), max_size=4))
    table = Table.of(kind, rows)
    assert list(table) == rows == table
    assert [repr(row) for row in table] == [repr(row) for row in rows]  # -0.0 is no 0.0, and 1.0 no 1
    assert Table.of(kind, table) is table


@pytest.mark.parametrize(("few", "part"), [(0, 1), (2, 3), (1024, 1024)])
@given(texts=st.lists(TEXT))
def test_texts_come_out_in_whichever_way_they_are_held(few, part, texts):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed, "FEW", few)
        patch.setattr(packed, "PART", part)
        for held in (Texts.of(texts), pack(texts), pack(texts * 3).take(np.arange(len(texts)))):
            assert list(held) == texts == held
            assert held[1:3] == texts[1:3]
            assert [held[at] for at in range(-len(texts), 0)] == texts


@given(texts=st.lists(TEXT, min_size=1))
def test_texts_are_numbered_and_ranked_in_the_order_of_their_characters(texts):
    names = ["not there", *dict.fromkeys(texts)]
    coded = Coded(names, np.array([names.index(text, 1) for text in texts]))
    for values in (texts, Texts.of(texts), coded):
        names, which = number(values)
        assert list(names) == sorted(set(texts))
        assert [names[at] for at in which] == texts
        order, differs = rank(values)
        assert order.tolist() == sorted(range(len(texts)), key=lambda at: texts[at])
        assert differs.sum() == len(set(texts))
        assert differs[0]


@given(texts=st.lists(TEXT), others=st.lists(TEXT))
def test_a_text_is_found_where_it_stands_last(texts, others):
    index = Index(pack(texts))
    for text in [*texts, *others]:
        assert index.find(text) == next((at for at in reversed(range(len(texts))) if texts[at] == text), None)


def test_texts_of_one_hash_are_told_apart(monkeypatch):
    monkeypatch.setattr(packed, "hash", lambda text: len(text), raising=False)
    index = Index(["ab", "cd", "e", "ab"])
    assert [index.find(text) for text in ("ab", "cd", "e", "ef", "")] == [3, 1, 2, None, None]


def test_rows_are_taken_by_a_mask_or_by_their_places_and_looked_up_by_a_column():
    rows = [block(clip, start) for clip, start in ((2, 0), (1, 0), (1, 300), (1, 70000))]
    table = Table.of(Block, rows)
    assert table.take(np.array([True, False, True, False])) == [rows[0], rows[2]]
    assert table.take(np.array([3, 0, 3])) == [rows[3], rows[0], rows[3]]
    assert table.take(np.ones(4, dtype=bool)) is table
    assert table.take(np.zeros(4, dtype=bool)) == []
    assert table.where("clip_id", lambda name: name.endswith("2.wav")).tolist() == [True, False, False, False]
    keyed = Keyed(table, "block_id")
    assert keyed.table[keyed.find(rows[2].block_id)] == rows[2]
    assert keyed.find("made/other@0") is None
    assert pickle.loads(pickle.dumps(table)) == rows


def test_numbers_are_wide_again_when_they_are_taken_out():
    table = Table.of(Block, [block(0, 250), block(0, 7)])
    starts = table.numbers("start")
    assert (starts + 250 * 2**40).tolist() == [250 + 250 * 2**40, 7 + 250 * 2**40]
    assert table.numbers("start") is not starts
    gains = Table.of(Gain, [Gain(block_id="a", lufs=-math.inf, gain_db=0.1, offset=-0.0, peak=1e-320, flag="")])
    assert gains.numbers("lufs").tolist() == [-math.inf]
    assert gains.numbers("peak").dtype == np.float64


def test_a_table_is_read_as_rows_are(tmp_path):
    first, second = blocks(2), [block(9, 0, variant=3)]
    write_rows(tmp_path / "a.csv", Block, first)
    write_rows(tmp_path / "b.csv", Block, second)
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    assert read_table(paths, Block) == [row for path in paths for row in read_rows(path, Block)] == [*first, *second]
    recall = [Recall(level="block", label="x", recall=1 / 3, low=None, high=1.0, n=1)]
    write_rows(tmp_path / "c.csv", Recall, recall)
    assert read_table([tmp_path / "c.csv"], Recall) == recall
    with pytest.raises(StoreError, match=r"d\.csv: missing: run `dvc repro`"):
        read_table([tmp_path / "d.csv"], Block)
    wide = "block_id,clip_id,variant,start,n_samples,fill\na,a,0,99999999999999999999,1,none\n"
    (tmp_path / "a.csv").write_text(wide, encoding="utf-8")
    with pytest.raises(StoreError, match=r"a\.csv: cannot be read \(99999999999999999999 takes more than 64 bits\)"):
        read_table(paths[:1], Block)


def bytes_a_row(make, n_rows):
    """What an object takes, and the most that was taken while it was made, over so many rows."""
    tracemalloc.start()
    made = make()
    now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(made) == n_rows
    return now / n_rows, peak / n_rows


def test_a_row_takes_tens_of_bytes(tmp_path):
    rows = blocks(150)
    write_rows(tmp_path / "a.csv", Block, rows)
    bytes_a_row(lambda: read_table([tmp_path / "a.csv"], Block), len(rows))  # what is made once and for all
    held, most = bytes_a_row(lambda: read_table([tmp_path / "a.csv"], Block), len(rows))
    assert held < 60  # of them 28 are the name
    assert most < 120
    assert bytes_a_row(lambda: read_rows(tmp_path / "a.csv", Block), len(rows))[0] > 3 * held


def test_rows_are_written_one_by_one(tmp_path):
    def made():
        return (
            SplitRow(block_id=f"b@{number}", clip_id="c", group="c", label="joy", fold=0, side="train")
            for number in range(20_000)
        )

    tracemalloc.start()
    assert write_rows(tmp_path / "a.csv", SplitRow, made()) == 20_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000
