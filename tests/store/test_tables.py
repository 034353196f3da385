"""Tables read back exactly as written, or are refused by name."""

import csv
import dataclasses
import math
import os
import re
import typing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import StoreError
from pipeline.store import tables
from pipeline.store.tables import (
    Clip,
    CurvePoint,
    Gain,
    LiveTable,
    Recall,
    Rejected,
    growing_of,
    guard,
    read_all,
    read_growing,
    read_keyed,
    read_rows,
    tables_in,
    unguard,
    write_rows,
)

KINDS = [kind for kind in vars(tables).values() if dataclasses.is_dataclass(kind)]
HARD_TEXTS = [
    "a,b",
    'said "no"',
    "two\nlines",
    "a\rreturn",
    "both\r\n",
    "😀",
    "caf\udce9",
    " spaces ",
    "",
    "'",
    "\x00",
    "\u2028",
    "#t=1,2",
    "=1+1",
]
HARD_FLOATS = [-math.inf, 0.1, -0.0, 1e-320, 1 / 3, 12345678.901234567, 5e300]


def made(kind, text, number):
    values = {str: text, float: number, int: -(2**53) - 1, float | None: number}
    hints = typing.get_type_hints(kind)
    return kind(**{item.name: values[hints[item.name]] for item in dataclasses.fields(kind) if item.name != "fields"})


def gain(**changes):
    usual = {"block_id": "a@0", "lufs": -23.5, "gain_db": 0.5, "offset": 0.0, "peak": 0.25, "flag": ""}
    return Gain(**{**usual, **changes})


def test_there_are_row_types_to_test():
    assert {Clip, Gain, Rejected} <= set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_row_type_is_read_back_exactly(kind, tmp_path):
    rows = [made(kind, text, number) for text in HARD_TEXTS for number in HARD_FLOATS]
    write_rows(tmp_path / "t.csv", kind, rows)
    again = read_rows(tmp_path / "t.csv", kind)
    assert [repr(row) for row in again] == [repr(row) for row in rows]  # repr: 0.0 is not -0.0


def test_a_number_that_is_not_there_is_an_empty_cell(tmp_path):
    row = Recall(level="clip", label="joy", recall=0.5, low=None, high=None, n=3)
    write_rows(tmp_path / "t.csv", Recall, [row])
    assert (tmp_path / "t.csv").read_text().splitlines()[1] == "clip,joy,0.5,,,3"
    assert read_rows(tmp_path / "t.csv", Recall) == [row]


@given(st.lists(st.tuples(*[st.text(st.characters(codec=None), max_size=9)] * 3), max_size=5))
def test_any_text_is_read_back_exactly(tmp_path_factory, rows):
    # surrogates other than those of undecodable bytes cannot come from a file's name
    rows = [tuple("".join(c for c in text if not 0xD800 <= ord(c) <= 0xDFFF) for text in row) for row in rows]
    rows = [Rejected(path=path, label=label, reason=reason) for path, label, reason in rows]
    path = tmp_path_factory.mktemp("any") / "t.csv"
    write_rows(path, Rejected, rows)
    assert read_rows(path, Rejected) == rows


@given(st.text(st.sampled_from("=+-@\t\r'1.x"), max_size=6))
def test_no_text_is_a_formula_to_a_spreadsheet_and_each_is_read_back(text):
    cell = guard(text)
    assert unguard(cell) == text
    assert cell[:1] not in {"=", "@", "\t", "\r"}
    if cell[:1] in {"+", "-"}:
        assert re.fullmatch(r"[+-][0-9]+(\.[0-9]+)?", cell), "only plain numbers stay bare"
    assert cell in {text, f"'{text}"}


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "@SUM(1)", "-2+3+cmd", "+1+1", "\t=1", "-rf.wav"])
def test_formulas_stand_behind_an_apostrophe_in_every_column(tmp_path, text):
    clip = dataclasses.replace(made(Clip, text, 1.0), fields={"speaker": text, "=1+1": "x"})
    write_rows(tmp_path / "t.csv", Clip, [clip])
    with (tmp_path / "t.csv").open(newline="") as file:
        header, row = csv.reader(file)
    assert all(
        f"'{text}" == cell for name, cell in zip(header, row, strict=True) if name in {"path", "label", "speaker"}
    )
    assert "'=1+1" in header
    assert read_rows(tmp_path / "t.csv", Clip) == [clip]


@pytest.mark.parametrize("text", ["-1", "+2.5", "'tis", "a=b", "made/-rf.wav", ""])
def test_what_is_no_formula_stays_as_it_is(text):
    assert guard(text) == text


def test_lines_end_in_a_newline_and_floats_are_their_shortest_decimals(tmp_path):
    write_rows(tmp_path / "t.csv", Gain, [gain(lufs=-math.inf, gain_db=0.1)])
    expected = b"block_id,lufs,gain_db,offset,peak,flag\na@0,-inf,0.1,0.0,0.25,\n"
    assert (tmp_path / "t.csv").read_bytes() == expected


def test_rewriting_what_was_read_gives_the_same_bytes(tmp_path):
    rows = [made(Rejected, text, 0.0) for text in HARD_TEXTS]
    write_rows(tmp_path / "one.csv", Rejected, rows)
    write_rows(tmp_path / "two.csv", Rejected, read_rows(tmp_path / "one.csv", Rejected))
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()


def test_further_fields_are_columns_sorted_by_name_and_empty_ones_are_not_there(tmp_path):
    clip = made(Clip, "x", 1.0)
    rows = [
        dataclasses.replace(clip, fields={"speaker": "s1", "group": "a,b"}),
        dataclasses.replace(clip, fields={"event": "goal\r"}),
        clip,
    ]
    write_rows(tmp_path / "t.csv", Clip, rows)
    assert (tmp_path / "t.csv").read_text().splitlines()[0].endswith(",licence,event,group,speaker")
    assert read_rows(tmp_path / "t.csv", Clip) == rows


def test_a_further_field_cannot_hide_a_column(tmp_path):
    clip = dataclasses.replace(made(Clip, "x", 1.0), fields={"seconds": "9"})
    with pytest.raises(StoreError, match="two columns seconds"):
        write_rows(tmp_path / "t.csv", Clip, [clip])


def test_an_empty_table_has_its_header(tmp_path):
    write_rows(tmp_path / "t.csv", Rejected, [])
    assert (tmp_path / "t.csv").read_bytes() == b"path,label,reason\n"
    assert read_rows(tmp_path / "t.csv", Rejected) == []


FAULTY = {
    "no file": (None, "missing: run `dvc repro`"),
    "empty": (b"", "no column block_id, lufs, gain_db, offset, peak, flag"),
    "a column lacks": (b"block_id,lufs,gain_db,offset,flag\na,1,1,1,\n", "no column peak"),
    "no number": (b"block_id,lufs,gain_db,offset,peak,flag\na,loud,1,1,1,\n", "loud"),
    "an empty number": (b"block_id,lufs,gain_db,offset,peak,flag\na,,1,1,1,\n", "float"),
    "a short line": (b"block_id,lufs,gain_db,offset,peak,flag\na,1,1\n", "cannot be read"),
    "a long line": (b"block_id,lufs,gain_db,offset,peak,flag\na,1,1,1,1,,,\n", "cannot be read"),
    "a huge cell": (b"block_id,lufs,gain_db,offset,peak,flag\n" + b"a" * 200_000 + b",1,1,1,1,\n", "field limit"),
}


@pytest.mark.parametrize("case", FAULTY)
def test_a_faulty_table_is_refused_in_one_line_that_names_it(case, tmp_path):
    content, reason = FAULTY[case]
    path = tmp_path / "t.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StoreError) as error:
        read_rows(path, Gain)
    assert str(error.value).startswith(f"{path}: ")
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


def test_a_fraction_is_no_whole_number(tmp_path):
    header = ",".join(item.name for item in dataclasses.fields(tables.LeftOut))
    (tmp_path / "t.csv").write_text(f"{header}\na,joy,short,1.5,2.0\n")
    with pytest.raises(StoreError, match=r"1\.5"):
        read_rows(tmp_path / "t.csv", tables.LeftOut)


def test_rows_are_looked_up_by_a_column_and_a_missing_one_is_named(tmp_path):
    write_rows(tmp_path / "t.csv", Gain, [gain(block_id="a@0"), gain(block_id="a@9", peak=0.5)])
    rows = read_keyed(tmp_path / "t.csv", Gain, "block_id")
    assert rows["a@9"].peak == 0.5
    with pytest.raises(StoreError, match=r"t\.csv: has no row b@0"):
        rows["b@0"]


def test_several_tables_are_read_one_after_the_other(tmp_path):
    for name in ("b", "a"):
        write_rows(tmp_path / f"{name}.csv", Gain, [gain(block_id=f"{name}@{i}") for i in range(2)])
    rows = read_all([tmp_path / "b.csv", tmp_path / "a.csv"], Gain)
    assert [row.block_id for row in rows] == ["b@0", "b@1", "a@0", "a@1"]


def point(**changes):
    return CurvePoint(
        **{"iteration": 1, "epoch": 0.5, "side": "train", "loss": 1.5, "accuracy": 0.5, "uar": 0.5, **changes}
    )


def test_a_live_table_can_be_read_after_every_row(tmp_path):
    path = tmp_path / "curves" / "live.csv"
    with LiveTable(path, CurvePoint) as table:
        assert read_growing(path, CurvePoint) == []
        for i in range(3):
            table.append(point(iteration=i))
            assert read_growing(path, CurvePoint) == [point(iteration=k) for k in range(i + 1)]
            assert not path.exists()  # it stands for a whole table
    assert read_rows(path, CurvePoint) == [point(iteration=k) for k in range(3)]
    assert [one.name for one in path.parent.iterdir()] == ["live.csv"]


def test_a_live_table_that_breaks_off_keeps_the_whole_one_before_and_can_be_read(tmp_path):
    path = tmp_path / "live.csv"
    with LiveTable(path, CurvePoint) as table:
        table.append(point(loss=1.0))
    with pytest.raises(ValueError, match="mine"), LiveTable(path, CurvePoint) as table:
        table.append(point(loss=2.0))
        raise ValueError("mine")
    assert read_rows(path, CurvePoint) == [point(loss=1.0)]
    assert read_growing(path, CurvePoint) == [point(loss=2.0)]
    assert tables_in(tmp_path) == [path]


def test_a_live_table_starts_anew(tmp_path):
    for loss in (1.0, 2.0):
        with LiveTable(tmp_path / "live.csv", CurvePoint) as table:
            table.append(point(loss=loss))
    assert read_rows(tmp_path / "live.csv", CurvePoint) == [point(loss=2.0)]


def test_a_live_table_that_cannot_be_started_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="live"), LiveTable(tmp_path / "file" / "live.csv", CurvePoint):
        pytest.fail("there is nowhere to write")


def test_a_live_table_that_cannot_be_begun_on_a_full_disk_is_named(tmp_path):
    growing_of(tmp_path / "live.csv").symlink_to("/dev/full")
    with pytest.raises(StoreError, match=r"live\.csv: cannot be written \(No space left on device\)"):
        LiveTable(tmp_path / "live.csv", CurvePoint).__enter__()


def test_a_live_table_whose_disk_fills_up_is_named(tmp_path):
    with LiveTable(tmp_path / "live.csv", CurvePoint) as table:
        table.append(point())
        with Path("/dev/full").open("w") as full:
            os.dup2(full.fileno(), table._file.fileno())
        with pytest.raises(StoreError, match=r"live\.csv: cannot be written \(No space left on device\)"):
            table.append(point(iteration=2))
    assert read_growing(tmp_path / "live.csv", CurvePoint) == [point()]
