"""Arrays: the same bytes for the same rows, and a refusal for whatever is not as it was written."""

import hashlib
import itertools
import os
import time

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import StoreError
from pipeline.store.arrays import (
    attributes_of,
    decode_texts,
    digest_of,
    encode_texts,
    new_arrays,
    open_arrays,
    read_span,
)

# 2.5 chunks of rows that are not square, with every value different
ROWS = np.arange(50 * 3 * 7, dtype=np.float32).reshape(50, 3, 7)
IMAGES = np.random.default_rng(0).integers(0, 256, (4, 5, 6, 3), dtype=np.uint8)
TEXTS = ["made/a.wav@0", "made/é 😀.wav@8000", "caf\udce9"]


def write(path, *, pieces=(50,), attributes=None):
    with new_arrays(path) as arrays:
        arrays.create("rows", row_shape=(3, 7), dtype="<f4", rows_in_chunk=20)
        arrays.create("images", row_shape=(5, 6, 3), dtype=np.uint8)
        texts = encode_texts(TEXTS)
        arrays.create("texts", row_shape=(), dtype=texts.dtype, rows_in_chunk=1024)
        done = 0
        for n in pieces:
            assert arrays.append("rows", ROWS[done : done + n]) == done
            done += n
        for image in IMAGES:
            arrays.append("images", image[None])
        arrays.append("texts", texts)
        arrays.finish(attributes or {"axis": "mél", "rate": 44100, "low_db": -130.5, "on": True})
    return path


def read(path):
    with open_arrays(path) as file:
        arrays = {name: file[name][:] for name in file}
        return arrays, {name: digest_of(file, name) for name in file}, attributes_of(file)


def test_values_and_attributes_are_read_back(tmp_path):
    arrays, _, attributes = read(write(tmp_path / "a.h5"))
    np.testing.assert_array_equal(arrays["rows"], ROWS)
    np.testing.assert_array_equal(arrays["images"], IMAGES)
    assert decode_texts(arrays["texts"]) == TEXTS
    assert attributes == {"axis": "mél", "rate": 44100, "low_db": -130.5, "on": True, "complete": True}
    assert {type(value) for value in attributes.values()} == {str, int, float, bool}


def test_the_digest_is_of_the_type_the_shape_and_the_values(tmp_path):
    _, digests, _ = read(write(tmp_path / "a.h5"))
    assert digests["rows"] == hashlib.sha256(b"<f4(3, 7)" + ROWS.tobytes()).hexdigest()


def test_two_runs_give_the_same_bytes(tmp_path):
    one = write(tmp_path / "one.h5")
    time.sleep(1.1)  # HDF5 would note times, in seconds
    two = write(tmp_path / "folder" / "another name.h5")
    assert one.read_bytes() == two.read_bytes()


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 50), max_size=6))
def test_however_rows_are_grouped_values_and_digest_are_the_same(tmp_path_factory, cuts):
    edges = [0, *sorted(cuts), 50]
    pieces = [after - before for before, after in itertools.pairwise(edges)]  # some are empty
    folder = tmp_path_factory.mktemp("grouped")
    arrays, digests, _ = read(write(folder / "pieces.h5", pieces=pieces))
    np.testing.assert_array_equal(arrays["rows"], ROWS)
    assert digests == read(write(folder / "whole.h5"))[1]


def test_values_of_another_type_are_converted_and_digested_as_stored(tmp_path):
    for name, dtype in (("double", np.float64), ("single", np.float32)):
        with new_arrays(tmp_path / name) as arrays:
            arrays.create("x", row_shape=(2,), dtype="<f4")
            arrays.append("x", np.array([[0.1, 0.2]], dtype=dtype))
            arrays.finish({})
    assert read(tmp_path / "double")[1] == read(tmp_path / "single")[1]


@pytest.mark.parametrize("shape", [(2, 7, 3), (2, 1, 7), (2, 3)])
def test_rows_of_another_shape_are_not_spread_out(tmp_path, shape):
    with pytest.raises(ValueError, match=r"needed \(3, 7\)"), new_arrays(tmp_path / "a.h5") as arrays:
        arrays.create("rows", row_shape=(3, 7), dtype="<f4")
        arrays.append("rows", np.zeros(shape))
    assert not list(tmp_path.iterdir())


def test_an_error_half_way_keeps_the_old_file(tmp_path):
    path = write(tmp_path / "a.h5")
    before = path.read_bytes()
    with pytest.raises(RuntimeError, match="mine"), new_arrays(path) as arrays:
        arrays.create("rows", row_shape=(), dtype="<f4")
        arrays.append("rows", np.zeros(10))
        raise RuntimeError("mine")
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["a.h5"]


def refusal(path):
    with pytest.raises(StoreError) as error:
        read(path)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def test_a_missing_file_is_refused(tmp_path):
    assert "missing: run `dvc repro`" in refusal(tmp_path / "a.h5")


def test_an_unfinished_file_is_refused(tmp_path):
    with new_arrays(tmp_path / "a.h5") as arrays:
        arrays.create("rows", row_shape=(), dtype="<f4")
        arrays.append("rows", np.zeros(10))
    assert "not complete" in refusal(tmp_path / "a.h5")


@pytest.mark.parametrize("content", [b"", b"block_id,lufs\na,1\n", b"\x89HDF\r\n\x1a\n", b"\0" * 5000])
def test_what_is_no_hdf5_is_refused(tmp_path, content):
    (tmp_path / "a.h5").write_bytes(content)
    assert "damaged" in refusal(tmp_path / "a.h5")


def test_a_folder_is_refused(tmp_path):
    (tmp_path / "a.h5").mkdir()
    refusal(tmp_path / "a.h5")


@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.999])
def test_a_truncated_file_is_refused(tmp_path, share):
    path = write(tmp_path / "a.h5")
    os.truncate(path, int(share * path.stat().st_size))
    assert "damaged" in refusal(path)


def test_a_flipped_bit_among_the_values_is_refused_where_it_is_read(tmp_path):
    path = write(tmp_path / "a.h5")
    content = bytearray(path.read_bytes())
    place = content.index(IMAGES[2].tobytes())
    content[place + 11] ^= 1
    path.write_bytes(content)
    with open_arrays(path) as file:
        np.testing.assert_array_equal(file["images"][1], IMAGES[1])  # its neighbours are whole
        np.testing.assert_array_equal(file["rows"][:], ROWS)
    with pytest.raises(StoreError, match="damaged"), open_arrays(path) as file:
        file["images"][2]


def test_a_bit_flipped_anywhere_is_refused_or_changes_nothing(tmp_path):
    # One flip made HDF5 read for ever while texts lay in its heap without a checksum.
    path = write(tmp_path / "a.h5")
    good, content = read(path), path.read_bytes()
    damaged = tmp_path / "damaged.h5"
    rng = np.random.default_rng(0)
    n_refused = 0
    for place in rng.integers(0, len(content), 300):
        changed = bytearray(content)
        changed[place] ^= 1 << rng.integers(8)
        damaged.write_bytes(changed)
        try:
            arrays, *rest = read(damaged)
        except StoreError:
            n_refused += 1
            continue
        assert rest == list(good[1:])
        for name, values in arrays.items():
            np.testing.assert_array_equal(values, good[0][name])
    assert n_refused > 200


def test_texts_are_not_kept_in_the_heap_that_has_no_checksum(tmp_path):
    assert b"GCOL" not in write(tmp_path / "a.h5").read_bytes()  # its signature in the format


def soft_link(file):
    file["more"] = h5py.SoftLink("/rows")


def external_link(file):
    file["more"] = h5py.ExternalLink("other.h5", "/rows")


def external_storage(file):
    file.create_dataset("more", shape=(4,), dtype="u1", external=[("/etc/hostname", 0, 4)])


def virtual_dataset(file):
    layout = h5py.VirtualLayout(shape=(50,), dtype="f4")
    layout[:] = h5py.VirtualSource("other.h5", "rows", shape=(50,))
    file.create_virtual_dataset("more", layout)


def group(file):
    file.create_group("more")["link"] = h5py.ExternalLink("other.h5", "/rows")


@pytest.mark.parametrize("foreign", [soft_link, external_link, external_storage, virtual_dataset, group])
def test_what_leads_out_of_the_file_is_refused_on_opening(tmp_path, foreign):
    path = write(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        foreign(file)
    with pytest.raises(StoreError, match=r"a\.h5: more "), open_arrays(path):
        pytest.fail("it was opened")


def test_a_span_is_the_slice(tmp_path):
    with open_arrays(write(tmp_path / "a.h5")) as file:
        np.testing.assert_array_equal(read_span(file["rows"], 18, 41), ROWS[18:41])


def test_a_span_beyond_the_end_is_refused_not_shortened(tmp_path):
    path = write(tmp_path / "a.h5")
    with pytest.raises(StoreError, match=r"a\.h5: has 50 rows.*51"), open_arrays(path) as file:
        read_span(file["rows"], 40, 51)


def test_damage_is_laid_to_the_file_that_is_read_not_to_the_one_that_is_written(tmp_path):
    path = write(tmp_path / "read.h5")
    content = bytearray(path.read_bytes())
    content[content.index(IMAGES[0].tobytes())] ^= 1
    path.write_bytes(content)
    with (
        pytest.raises(StoreError, match=r"read\.h5: damaged"),
        open_arrays(path) as file,
        new_arrays(tmp_path / "written.h5"),
    ):
        read_span(file["images"], 0, 2)


@pytest.mark.parametrize("texts", [[], [""], ["a", "", "é😀"]])
def test_texts_are_read_back(texts):
    assert decode_texts(encode_texts(texts)) == texts


def test_an_error_with_another_file_is_not_laid_at_the_door_of_the_open_one(tmp_path):
    with new_arrays(tmp_path / "a.h5") as arrays:
        arrays.create("x", row_shape=(), dtype=np.uint8)
        arrays.append("x", np.zeros(1, np.uint8))
        arrays.finish({})
    with pytest.raises(FileNotFoundError, match="elsewhere"), open_arrays(tmp_path / "a.h5"):
        (tmp_path / "elsewhere").read_bytes()
