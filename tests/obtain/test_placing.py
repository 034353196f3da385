"""Unpacked files come to their place, and nothing that lies there is lost."""

import pytest
from obtain.archives import contents

from pipeline.errors import ObtainError
from pipeline.obtain.placing import place


def write(folder, files):
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


NEW = {"wav/a.wav": b"a", "wav/b.wav": b"b", "README": b"read"}


@pytest.fixture
def unpacked(tmp_path):
    return write(tmp_path / "unpacked", NEW)


def test_into_a_folder_that_is_not_there(tmp_path, unpacked):
    assert place(unpacked, tmp_path / "deep/emodb") == (3, 0)
    assert contents(tmp_path / "deep/emodb") == dict(sorted(NEW.items()))
    assert not unpacked.exists()


def test_beside_files_of_the_users_own(tmp_path, unpacked):
    folder = write(tmp_path / "emodb", {"wav/mine.wav": b"mine", "wav/a.wav": b"a"})
    kept = (folder / "wav/a.wav").stat().st_ino
    assert place(unpacked, folder) == (2, 1)
    assert contents(folder) == {**NEW, "wav/mine.wav": b"mine"}
    assert (folder / "wav/a.wav").stat().st_ino == kept
    assert not unpacked.exists()


@pytest.mark.parametrize("other", [b"x", b"longer"])
def test_a_file_with_other_content_is_named_and_nothing_is_moved(tmp_path, unpacked, other):
    folder = write(tmp_path / "emodb", {"wav/b.wav": other})
    with pytest.raises(ObtainError, match=r"emodb: wav/b\.wav: there with other content: move it away"):
        place(unpacked, folder)
    assert contents(folder) == {"wav/b.wav": other}
    assert contents(unpacked) == dict(sorted(NEW.items()))


def test_many_are_summed_up(tmp_path):
    unpacked = write(tmp_path / "unpacked", {f"{n}.wav": b"new" for n in range(8)})
    folder = write(tmp_path / "emodb", {f"{n}.wav": b"old" for n in range(8)})
    with pytest.raises(ObtainError, match=r"0\.wav, 1\.wav, 2\.wav, 3\.wav, 4\.wav and 3 more"):
        place(unpacked, folder)


def test_a_file_where_a_folder_should_be_and_the_other_way_round(tmp_path, unpacked):
    for name in ("wav", "README/inside"):
        folder = write(tmp_path / name.replace("/", "-"), {name: b"mine"})
        with pytest.raises(ObtainError, match="other content"):
            place(unpacked, folder)
        assert contents(folder) == {name: b"mine"}


def test_a_dangling_link_of_the_users_is_kept(tmp_path, unpacked):
    folder = tmp_path / "emodb"
    folder.mkdir()
    (folder / "README").symlink_to("nowhere")
    with pytest.raises(ObtainError, match="README"):
        place(unpacked, folder)
    assert contents(folder) == {"README": b"LINK"}
    assert not (folder / "nowhere").exists()


def test_a_file_under_the_corpuss_name(tmp_path, unpacked):
    (tmp_path / "emodb").write_bytes(b"mine")
    with pytest.raises(ObtainError):
        place(unpacked, tmp_path / "emodb")
    assert (tmp_path / "emodb").read_bytes() == b"mine"
