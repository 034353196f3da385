"""Images by block, whatever file they lie in; none that is not the one that was listed."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import StoreError
from pipeline.store.arrays import digest_of, encode_texts, new_arrays, open_arrays
from pipeline.store.rendered import open_rendered
from pipeline.store.tables import SpectrogramFile

HEIGHT, WIDTH = 4, 6


def pictures(corpus, n):
    """Pictures (n, HEIGHT, WIDTH, 3) that all differ."""
    return np.random.default_rng(len(corpus)).integers(0, 256, (n, HEIGHT, WIDTH, 3), dtype=np.uint8)


def render(corpus, n, **changes):
    path = Path(f"{corpus}.h5")
    texts = encode_texts([f"{corpus}/é@{i}" for i in range(n)])
    with new_arrays(path) as arrays:
        arrays.create("images", row_shape=(HEIGHT, WIDTH, 3), dtype=np.uint8)
        arrays.create("block_id", row_shape=(), dtype=texts.dtype, rows_in_chunk=1024)
        arrays.append("images", pictures(corpus, n))
        arrays.append("block_id", texts)
        about = {"axis": "mel", "low_db": -130.0, "sound_sha256": corpus, "least_source_rate": n, "most_source_rate": n}
        arrays.finish({**about, **changes})
    with open_arrays(path) as file:
        return SpectrogramFile(corpus=corpus, path=path.as_posix(), sha256=digest_of(file, "images"))


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_batch_is_in_the_order_asked_for_across_corpora():
    files = [render("a", 3), render("bb", 5)]
    with open_rendered(files) as images:
        assert images.shape == (HEIGHT, WIDTH, 3)
        batch = images.batch(["bb/é@4", "a/é@0", "bb/é@0", "a/é@2", "a/é@0"])
    a, b = pictures("a", 3), pictures("bb", 5)
    np.testing.assert_array_equal(batch, np.stack([b[4], a[0], b[0], a[2], a[0]]))


def test_an_empty_batch_is_empty():
    with open_rendered([render("a", 1)]) as images:
        assert images.batch([]).shape == (0, HEIGHT, WIDTH, 3)


def test_the_representation_is_what_was_rendered_not_from_which_sound():
    with open_rendered([render("a", 1), render("bb", 2)]) as images:
        assert images.representation == {"axis": "mel", "low_db": -130.0}


def test_other_content_than_listed_is_refused():
    row = dataclasses.replace(render("a", 3), sha256="0" * 64)
    with pytest.raises(StoreError, match=r"a\.h5: not the content"), open_rendered([row]):
        pytest.fail("it was opened")


def test_corpora_rendered_with_other_parameters_are_refused():
    files = [render("a", 1), render("bb", 1, axis="linear")]
    with pytest.raises(StoreError, match=r"bb\.h5: rendered with other parameters"), open_rendered(files):
        pytest.fail("it was opened")


def test_a_block_that_was_not_rendered_is_named():
    with open_rendered([render("a", 1)]) as images, pytest.raises(StoreError, match="block a/é@7 was split"):
        images.batch(["a/é@0", "a/é@7"])


def test_a_listed_file_that_is_missing_is_named():
    row = render("a", 1)
    Path("a.h5").unlink()
    with pytest.raises(StoreError, match=r"a\.h5: missing"), open_rendered([row]):
        pytest.fail("it was opened")


@pytest.mark.parametrize("damaged", ["a", "bb"])
def test_a_damaged_image_is_laid_to_its_own_file(damaged):
    files = [render("a", 2), render("bb", 2)]
    path = Path(f"{damaged}.h5")
    content = bytearray(path.read_bytes())
    content[content.index(pictures(damaged, 2)[1].tobytes())] ^= 128
    path.write_bytes(content)
    with pytest.raises(StoreError, match=rf"^{damaged}\.h5: damaged"), open_rendered(files) as images:
        images.batch([f"{damaged}/é@0"])
        images.batch([f"{damaged}/é@1"])
