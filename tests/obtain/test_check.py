"""What a check finds by reading every file."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from made import RATE, noise, tone
from obtain.toy import LICENCE, only, toy, write_sound, write_toy
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.obtain import check
from pipeline.obtain.check import read_all
from pipeline.obtain.survey import look_at

SRC = Path(check.__file__).parents[2]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A toy corpus that lies below tmp_path, complete."""
    only(monkeypatch, toy=toy())
    return write_toy(tmp_path / "toy")


def findings(folder):
    return read_all(look_at(folder.name, folder.parent), n_workers=2)


def command(folder, *options):
    """What a person sees, and the exit status."""
    done = CliRunner().invoke(app, ["corpora", "check", folder.name, "--root", str(folder.parent), *options])
    return done.stdout, done.exit_code


def below(text, title):
    """The lines of a list on the page."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"{title}: ")) + 1
    end = next(number for number in range(start, len(lines)) if not lines[number].startswith("  "))
    return [line.strip() for line in lines[start:end]]


def test_a_corpus_that_is_as_published(folder):
    text, status = command(folder)
    assert status == 0
    assert "  files       4 of 4, 0 missing, 0 surplus\n" in text
    assert "  sound       0.8 s; 8000 Hz mono\n" in text
    assert "  classes     anger 2, joy 2\n" in text
    assert "  speakers    2 of 2, with 2 recordings each\n" in text
    assert text.endswith("\ntoy: complete and whole\n")
    for told in (
        "Toy, a corpus that never was",
        "https://example.org/toy",
        LICENCE,
        "A. Nobody (2001)",
        "Ask a.nobody",
    ):
        assert told in " ".join(text.split())


def test_what_is_missing(folder):
    (folder / "wav/s1_joy.wav").unlink()
    text, status = command(folder)
    assert status == 1
    assert "  files       3 of 4, 1 missing, 0 surplus\n" in text
    assert below(text, "missing") == ["wav/s1_joy.wav"]
    assert text.endswith("\ntoy: 1 missing\n")


def test_what_is_damaged(folder):
    path = folder / "wav/s1_joy.wav"
    path.write_bytes(path.read_bytes()[:-100])
    (folder / "wav/s2_joy.wav").write_bytes(b"<!DOCTYPE html>")
    text, status = command(folder)
    assert status == 1
    first, second = below(text, "damaged, or not to be read")
    assert first.startswith("wav/s1_joy.wav: ")
    assert "fetch it again" in first
    assert second.startswith("wav/s2_joy.wav: an HTML page")
    assert text.endswith("\ntoy: 2 damaged\n")
    assert "  files       4 of 4, 0 missing, 0 surplus\n" in text


def test_what_is_surplus_breaks_nothing(folder):
    write_sound(folder / "wav/s1_joy (copy).wav", 400)  # as s1_joy
    write_sound(folder / "s9_rage.wav", 999)
    text, status = command(folder)
    assert status == 0
    surplus = "its name is not one of this corpus"
    assert below(text, "surplus, not used") == [f"s9_rage.wav: {surplus}", f"wav/s1_joy (copy).wav: {surplus}"]
    assert below(text, "the same file under several names") == ["wav/s1_joy (copy).wav = wav/s1_joy.wav"]


def test_two_recordings_of_one_content_are_named_with_their_labels(folder):
    shutil.copy(folder / "wav/s1_joy.wav", folder / "wav/s2_anger.wav")
    text, status = command(folder)
    assert status == 0
    twins = "wav/s1_joy.wav = wav/s2_anger.wav (labelled anger and joy: collecting leaves them out)"
    assert below(text, "the same file under several names") == [twins]
    assert "the same sound in several files" not in text


def test_the_same_sound_in_another_container(folder):
    (folder / "wav/s2_joy.wav").unlink()
    samples, rate = soundfile.read(folder / "wav/s1_joy.wav", dtype="int16")
    soundfile.write(folder / "s2_joy.flac", samples, rate)
    text, _ = command(folder)
    assert below(text, "the same sound in several files") == ["s2_joy.flac = wav/s1_joy.wav"]
    assert "the same file" not in text


def test_another_rate_or_number_of_channels_than_published(folder):
    write_sound(folder / "wav/s1_joy.wav", 400, rate=16000)
    mono = tone(-6, 0.2, hz=500)
    soundfile.write(folder / "wav/s2_anger.wav", [(one, one) for one in mono], RATE)
    text, status = command(folder)
    assert status == 0
    assert below(text, "other sound than published (8000 Hz, 1 channel)") == [
        "wav/s1_joy.wav: 16000 Hz, 1 channel",
        "wav/s2_anger.wav: 8000 Hz, 2 channels",
    ]
    assert "8000 Hz mono 2, " in text


def test_another_kind_of_file_than_the_name_says(folder):
    write_sound(folder / "wav/s1_joy.wav", 400, format="FLAC")
    (folder / "wav/s2_joy.wav").rename(folder / "wav/s2_joy.mp3")
    text, status = command(folder)
    assert status == 0
    assert below(text, "other kind of file than the name says") == ["wav/s1_joy.wav: is FLAC", "wav/s2_joy.mp3: is WAV"]


@pytest.mark.parametrize("n", [20, 21, 25])
def test_long_lists_are_summed_up_unless_asked_for(folder, n):
    for number in range(n):
        write_sound(folder / f"extra{number:02}.wav", 1000 + number, seconds=0.01)
    lines = below(command(folder)[0], "surplus, not used")
    names = [line.partition(":")[0] for line in lines]
    assert names[:20] == [f"extra{number:02}.wav" for number in range(20)]
    assert lines[20:] == ([] if n == 20 else [f"... and {n - 20} more: --all lists them"])
    assert len(below(command(folder, "--all")[0], "surplus, not used")) == n


def test_all_names_every_speaker(folder):
    (folder / "wav/s1_joy.wav").unlink()
    assert "  speakers    2 of 2, with 1 to 2 recordings each\n" in command(folder)[0]
    assert "  speakers    2 of 2: s1 1, s2 2\n" in command(folder, "--all")[0]


def test_a_known_corpus_that_is_not_here(tmp_path, monkeypatch):
    only(monkeypatch, toy=toy())
    text, status = command(tmp_path / "toy")
    assert status == 1
    assert text.endswith("\ntoy: nothing of it is here\n")
    assert "Ask a.nobody@example.org" in text


def test_a_folder_with_nothing_of_the_corpus(tmp_path, monkeypatch):
    only(monkeypatch, toy=toy())
    write_sound(tmp_path / "toy/other.wav", 300)
    text, status = command(tmp_path / "toy")
    assert status == 1
    assert "holds no file named as in this corpus, e.g. wav/s1_anger.wav" in text


def test_a_name_that_is_nothing(tmp_path, monkeypatch, capsys):
    only(monkeypatch, toy=toy())
    for name in ("toi", "../toy", "To y"):
        done = CliRunner().invoke(app, ["corpora", "check", name, "--root", str(tmp_path)])
        assert done.exit_code == 1
        assert f"{name}: neither a folder of {tmp_path} nor a known corpus (toy)" in str(done.exception)


def test_a_folder_of_ones_own_with_events(tmp_path):
    folder = tmp_path / "mine"
    write_sound(folder / "a.wav", 300, seconds=2)
    rows = ["path,label,start_seconds,end_seconds,licence,speaker", "a.wav,joy,0,1,CC0,p1", "a.wav,anger,1,2,CC0,p2"]
    (folder / "clips.csv").write_text("\n".join([*rows, "a.wav,anger,1.5,2.5,CC0,p2", "gone.wav,joy,,,,p1"]))
    text, status = command(folder)
    assert status == 1
    assert "  files       1 of 2, 1 missing, 0 surplus, 3 recordings in them\n" in text
    assert "  classes     anger 2, joy 1\n" in text
    assert below(text, "missing") == ["gone.wav"]
    event = "a.wav: its event from 1.5 s to 2.5 s, but it lasts 2 s"
    assert below(text, "damaged, or not to be read") == [event]
    assert text.endswith("\nmine: 1 missing, 1 damaged\n")


@pytest.mark.parametrize(("end", "faults"), [(0.2, 0), (0.2001, 0), (0.2004, 1)])
def test_an_event_may_end_one_sample_late_as_when_it_is_read(tmp_path, end, faults):
    """0.2 s at 8000 Hz: 0.2001 s is sample 1601 of 1600, which reading allows; 0.2004 s is 1603."""
    folder = tmp_path / "mine"
    write_sound(folder / "a.wav", 300)
    (folder / "clips.csv").write_text(f"path,label,start_seconds,end_seconds\na.wav,joy,0,{end}\n")
    assert len(findings(folder).damaged) == faults


def test_long_recordings_are_told_as_short_ones(tmp_path, monkeypatch):
    folder = tmp_path / "mine"
    for name, rate in (("a.wav", 44100), ("b.wav", 8000)):
        soundfile.write(write_sound(folder / "joy" / name, 1, rate=rate), noise(-20, 3.3, rate=rate), rate)
    short = findings(folder).heard
    monkeypatch.setattr(check, "MOST_BYTES", 1000)
    for one, other in zip(short, findings(folder).heard, strict=True):
        assert (one.path, one.pcm_sha256, one.sample_rate) == (other.path, other.pcm_sha256, other.sample_rate)
        assert one.seconds == pytest.approx(3.3, abs=1e-9)
        assert other.seconds == pytest.approx(3.3, abs=1 / 8000)
        assert (one.error_seconds, other.error_seconds) == (0, 1 / 8000)


def test_what_is_no_file_is_named_and_nothing_hangs(folder):
    for name, make in (("s1_joy", os.mkfifo), ("s2_joy", lambda path: path.symlink_to("nowhere"))):
        (folder / f"wav/{name}.wav").unlink()
        make(folder / f"wav/{name}.wav")
    assert dict(findings(folder).damaged) == {
        "wav/s1_joy.wav": "a named pipe, not a regular file: give a sound file",
        "wav/s2_joy.wav": "a dangling link: its target nowhere does not exist; restore it",
    }


def test_names_cannot_write_to_the_terminal(folder):
    write_sound(folder / "evil\x1b[31m\n.wav", 300)
    assert below(command(folder)[0], "surplus, not used")[0].startswith(r"evil\x1b[31m\n.wav: ")


def test_memory_does_not_grow_with_the_recordings(tmp_path):
    """Ten minutes at 44.1 kHz are 106 MB as float32."""
    folder = tmp_path / "mine"
    (folder / "joy").mkdir(parents=True)
    with soundfile.SoundFile(folder / "joy/long.wav", "w", 44100, 1) as file:
        for _ in range(60):
            file.write(noise(-20, 10, rate=44100))
    program = f"""
import resource
from pathlib import Path
from pipeline.obtain.check import read_all
from pipeline.obtain.survey import look_at
held = look_at("mine", Path({str(tmp_path)!r}))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
(file,) = read_all(held, n_workers=2).heard
assert abs(file.seconds - 600) < 1e-3, file.seconds
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 60  # MiB
