"""Folder corpora: a clips.csv, or a sub-folder for each label."""

import os
import pickle
from pathlib import Path

import pytest

from pipeline.audio.reading import read_sound
from pipeline.corpora import Recording, list_corpus
from pipeline.errors import AudioError, CorpusError


def write_table(folder: Path, text: str | bytes) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "clips.csv").write_bytes(text if isinstance(text, bytes) else text.encode())


def touch(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"")


def fault(folder: Path) -> str:
    with pytest.raises(CorpusError) as error:
        list_corpus("any", folder)
    message = str(error.value)
    assert message.isprintable(), "a message is one line"
    return message


def test_table_gives_recordings_by_path_and_start(tmp_path: Path) -> None:
    write_table(
        tmp_path,
        "path,label,start_seconds,end_seconds,licence,speaker,note\n"
        'b/two.wav,anger,,,CC0,s2,"said ""no"", twice"\n'
        "a/one.wav,joy,2.5,3,CC BY 4.0,s1,\n"
        "\n"
        "./a//one.wav, joy ,0.5,1.5,CC BY 4.0,s1,\n",
    )
    assert list(list_corpus("demo", tmp_path).recordings) == [
        Recording("a/one.wav", "joy", 0.5, 1.5, "CC BY 4.0", {"speaker": "s1", "note": ""}),
        Recording("a/one.wav", "joy", 2.5, 3.0, "CC BY 4.0", {"speaker": "s1", "note": ""}),
        Recording("b/two.wav", "anger", None, None, "CC0", {"speaker": "s2", "note": 'said "no", twice'}),
    ]


def test_recordings_pass_between_processes() -> None:
    recording = Recording("a.wav", "joy", fields={"speaker": "1"})
    assert pickle.loads(pickle.dumps(recording)) == recording


def test_byte_order_mark_windows_lines_and_odd_names_are_read(tmp_path: Path) -> None:
    write_table(tmp_path, '\ufeffpath,label\r\n-dog 😀 é.wav,joy\r\n"two\nlines.wav",joy\r\n')
    paths = [recording.path for recording in list_corpus("x", tmp_path).recordings]
    assert paths == ["-dog 😀 é.wav", "two\nlines.wav"]


def test_columns_of_the_pipelines_own_table_are_kept_as_given(tmp_path: Path) -> None:
    write_table(tmp_path, "path,label,seconds,corpus,channels\na.wav,joy,3.5,mine,2\n")
    fields = list_corpus("x", tmp_path).recordings[0].fields
    assert fields == {"given_seconds": "3.5", "given_corpus": "mine", "given_channels": "2"}


def test_files_that_are_listed_and_missing_are_left_to_reading(tmp_path: Path) -> None:
    write_table(tmp_path, "path,label\ngone.wav,joy\n")
    (recording,) = list_corpus("x", tmp_path).recordings
    with pytest.raises(AudioError, match=r"gone\.wav: the file is missing"):
        read_sound(tmp_path / recording.path, sample_rate=8000)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (",joy,,,", "line 3: empty path"),
        ("/etc/a.wav,joy,,,", "line 3: path /etc/a.wav is absolute"),
        ("C:\\a.wav,joy,,,", "is absolute"),
        ("C:a.wav,joy,,,", "is absolute"),
        ("a/../../b.wav,joy,,,", "leads out of the corpus folder"),
        ("a\\..\\b.wav,joy,,,", "leads out of the corpus folder"),
        (".,joy,,,", "is the folder itself"),
        ("a.wav,,,,", "label '' is empty"),
        ("a.wav, ,,,", "label '' is empty"),
        (f"a.wav,{'x' * 101},,,", "is 101 characters long, needed at most 100"),
        ('a.wav,"jo\ny",,,', "control character"),
        ("a.wav,joy,,,s\x07", "a control character in speaker"),
        ("a.wav,joy,soon,,", "start_seconds 'soon' is not a number"),
        ("a.wav,joy,1_0,,", "start_seconds '1_0' is not a number"),
        ("a.wav,joy,-1,,", "start_seconds -1 is not a time"),
        ("a.wav,joy,,nan,", "end_seconds nan is not a time"),
        ("a.wav,joy,,inf,", "end_seconds inf is not a time"),
        ("a.wav,joy,2,2,", "end_seconds 2 is not after start_seconds 2"),
        ("a.wav,joy,,0,", "end_seconds 0 is not after start_seconds 0"),
        ("a.wav,joy,,", "4 cells, needed 5"),
        ("a.wav,joy,,,s,more", "6 cells, needed 5"),
        ("ok.wav,joy,,,", "line 3: the same path and times as line 2"),
        ("./ok.wav,anger,,,", "line 3: the same path and times as line 2"),
    ],
)
def test_faulty_lines_are_named(tmp_path: Path, line: str, reason: str) -> None:
    write_table(tmp_path, f"path,label,start_seconds,end_seconds,speaker\nok.wav,joy,,,s1\n{line}\n")
    message = fault(tmp_path)
    assert reason in message
    assert message.startswith(f"{tmp_path.name}/clips.csv: line 3")


def test_faults_are_told_at_once_and_at_most_twenty(tmp_path: Path) -> None:
    write_table(tmp_path, "path,label\n" + '"a\nb.wav",joy\n' + "x.wav,\n" * 23)
    message = fault(tmp_path)
    # The first recording takes lines 2 and 3; the faulty ones are lines 4 to 26.
    assert [f"line {n}:" in message for n in (2, 3, 4, 23, 24)] == [False, False, True, True, False]
    assert "and 3 more" in message


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("file,label\na.wav,joy\n", "no column path"),
        ("file,emotion\na.wav,joy\n", "no column path and no column label"),
        ("path;label\na.wav;joy\n", "no column path and no column label, but path;label: add it; commas part columns"),
        ("", "no column path"),
        ("path,label,\na.wav,joy,\n", "column 3 has no name"),
        ("path,label,label\na.wav,joy,joy\n", "two columns label"),
        ("path,label,seconds,given_seconds\na.wav,joy,1,2\n", "two columns given_seconds"),
        ("path,label\n", "names no recording"),
        ('path,label\n"a.wav,joy\n', "no valid CSV"),
        (b"path,label\nok.wav,joy\n\xe9.wav,joy\n", "line 3: not UTF-8"),
        ("path,label\na.wav," + "x" * 200_000, "no valid CSV"),
    ],
)
def test_unusable_tables_are_refused(tmp_path: Path, text: str | bytes, reason: str) -> None:
    write_table(tmp_path, text)
    assert reason in fault(tmp_path)


@pytest.mark.parametrize(
    ("put", "reason"),
    [
        (os.mkfifo, "not a regular file"),
        (os.mkdir, "not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
        (lambda path: path.symlink_to("nowhere.csv"), "cannot be read"),
        (lambda path: path.symlink_to("clips.csv"), "cannot be read"),
    ],
    ids=["pipe", "folder", "device", "dangling", "loop"],
)
def test_a_table_that_is_no_file_is_refused_unopened_and_never_passed_over(tmp_path: Path, put, reason: str) -> None:
    touch(tmp_path, "joy/a.wav")
    put(tmp_path / "clips.csv")
    assert reason in fault(tmp_path)


def test_folders_are_labels_at_any_depth(tmp_path: Path) -> None:
    touch(tmp_path, "joy/a.WAV", "joy/deep/er/b.mp3", "anger/c.opus", "anger/d.aifc", "anger/notes.txt", "top.wav")
    touch(tmp_path, ".git/x.wav", "joy/.hidden/x.wav", "joy/._a.wav", "joy/__MACOSX/x.wav", "joy/Thumbs.db")
    listing = list_corpus("x", tmp_path)
    assert [(recording.path, recording.label) for recording in listing.recordings] == [
        ("anger/c.opus", "anger"),
        ("anger/d.aifc", "anger"),
        ("joy/a.WAV", "joy"),
        ("joy/deep/er/b.mp3", "joy"),
    ]
    assert listing.surplus == {
        "anger/notes.txt": "its name does not end as those of sound files or videos do: "
        "if it is sound, rename it or convert it to flac",
        "top.wav": "in no sub-folder, whose name would be its label",
    }
    assert listing.missing == ()


@pytest.mark.parametrize(
    "other",
    ["Joy", "jo\u200by", "\u202ejoy", "j oy", "ｊｏｙ"],
    ids=["case", "zero width", "direction", "space", "full width"],
)
def test_labels_that_look_alike_are_refused(tmp_path: Path, other: str) -> None:
    touch(tmp_path / "folders", "joy/a.wav", f"{other}/b.wav", "anger/c.wav")
    write_table(tmp_path / "table", f"path,label\na.wav,joy\nb.wav,{other}\nc.wav,anger\n")
    for corpus in ("folders", "table"):
        assert "two labels that look alike" in fault(tmp_path / corpus)


def test_labels_of_two_unicode_forms_are_told_apart_in_the_refusal(tmp_path: Path) -> None:
    write_table(tmp_path, "path,label\na.wav,fro\u0308hlich\nb.wav,fr\u00f6hlich\n")
    assert r"fro\u0308hlich" in (message := fault(tmp_path))
    assert r"fr\xf6hlich" in message


def test_labels_that_differ_are_none_alike(tmp_path: Path) -> None:
    touch(tmp_path, "joy/a.wav", "joys/b.wav", "goal/c.wav", "no_goal/d.wav", "-joy/e.wav", "jöy/f.wav", "喜/g.wav")
    assert len(list_corpus("x", tmp_path).recordings) == 7


def test_one_label_is_a_corpus(tmp_path: Path) -> None:
    touch(tmp_path, "joy/a.wav")
    assert len(list_corpus("x", tmp_path).recordings) == 1


def test_sound_that_the_table_does_not_name_is_told(tmp_path: Path) -> None:
    write_table(tmp_path, "path,label\n./joy/a.wav,joy\n")
    touch(tmp_path, "joy/a.wav", "joy/b.flac", "c.ogg", "README.txt", ".d.wav")
    assert sorted(list_corpus("x", tmp_path).surplus) == ["c.ogg", "joy/b.flac"]


@pytest.mark.parametrize(
    ("paths", "reason"),
    [
        ((), "holds no recordings"),
        (("joy/a.txt",), "holds no recordings"),
        (("a.wav", "b.wav"), "holds 2 recordings beside no label folder"),
        (("jo\ny/a.wav",), "holds a control character"),
        ((f"{'x' * 101}/a.wav",), "101 characters"),
        ((" joy/a.wav",), "has a space"),
    ],
)
def test_folders_without_labels_or_recordings_are_refused(tmp_path: Path, paths: tuple[str, ...], reason: str) -> None:
    touch(tmp_path, *paths)
    assert reason in fault(tmp_path)


def test_missing_folder_and_a_file_in_its_place_are_refused(tmp_path: Path) -> None:
    assert "is missing" in fault(tmp_path / "none")
    touch(tmp_path, "file")
    assert "is not a folder" in fault(tmp_path / "file")


def test_links_are_followed_but_never_in_a_circle(tmp_path: Path) -> None:
    touch(tmp_path / "elsewhere", "a.wav")
    corpus = tmp_path / "corpus"
    touch(corpus, "joy/b.wav")
    (corpus / "anger").symlink_to(tmp_path / "elsewhere")
    (corpus / "joy/back").symlink_to(corpus)
    (corpus / "joy/self.wav").symlink_to(corpus / "joy/self.wav")
    (corpus / "joy/dangling.wav").symlink_to(corpus / "none.wav")
    paths = [recording.path for recording in list_corpus("x", corpus).recordings]
    # Links that lead nowhere are recordings too: reading rejects them by name.
    assert paths == ["anger/a.wav", "joy/b.wav", "joy/dangling.wav", "joy/self.wav"]


def test_pipes_are_left_to_reading(tmp_path: Path) -> None:
    (tmp_path / "joy").mkdir()
    os.mkfifo(tmp_path / "joy/pipe.wav")
    assert [recording.path for recording in list_corpus("x", tmp_path).recordings] == ["joy/pipe.wav"]


def test_names_that_are_not_utf8_do_not_stop_the_rest(tmp_path: Path) -> None:
    (tmp_path / "joy").mkdir()
    try:
        (Path(os.fsdecode(os.fsencode(tmp_path) + b"/joy/\xff.wav"))).write_bytes(b"")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    touch(tmp_path, "joy/a.wav")
    paths = [recording.path for recording in list_corpus("x", tmp_path).recordings]
    assert [os.fsencode(path) for path in paths] == [b"joy/a.wav", b"joy/\xff.wav"]
    with pytest.raises(AudioError, match=r"\\udcff\.wav: its name is not valid UTF-8"):
        read_sound(tmp_path / paths[1], sample_rate=8000)
    (tmp_path / os.fsdecode(b"\xfe")).mkdir()
    touch(tmp_path / os.fsdecode(b"\xfe"), "b.wav")
    assert "not UTF-8" in fault(tmp_path)


@pytest.mark.parametrize("suffix", [".avi", ".mp4", ".m4a", ".m4v", ".mov", ".mkv", ".webm", ".MP4"])
def test_videos_are_recordings(tmp_path, suffix):
    (tmp_path / "joy").mkdir()
    (tmp_path / f"joy/a{suffix}").touch()
    (tmp_path / "joy/a.txt").touch()
    listing = list_corpus("mine", tmp_path)
    assert [recording.path for recording in listing.recordings] == [f"joy/a{suffix}"]
    assert list(listing.surplus) == ["joy/a.txt"]


def test_lines_of_empty_cells_are_blank_as_spreadsheets_leave_them(tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_text("path,label\na.wav,joy\n,\n , \n\nb.wav,joy\n   \n,\n")
    assert [recording.path for recording in list_corpus("mine", tmp_path).recordings] == ["a.wav", "b.wav"]
