"""Files that mean ill: params.yaml, clips.csv and names can run nothing, fill nothing and command no terminal."""

import ast
import csv
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from pipeline.collect import collect_clips
from pipeline.console import answer, harmless, one_line_errors, say
from pipeline.corpora import list_corpus
from pipeline.errors import AudioError, CorpusError, ParamsError
from pipeline.params import load_changed, load_params
from pipeline.params.plain import load_plain
from pipeline.store.paths import clips_csv, rejected_csv

ROOT = Path(__file__).resolve().parents[1]
COMMITTED = (ROOT / "params.yaml").read_text(encoding="utf-8")
ESCAPES = "\x1b[31mred\x1b]0;title\x07\x9b2J\r\u202etxt\u2066"


def laughs(levels: int = 10) -> str:
    """Ten of ten of ten ... of a word, in a few lines."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


def merges(levels: int = 10) -> str:
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


HOSTILE = {
    "an object": ("seed: !!python/object/apply:os.system [touch ran]", "could not determine a constructor"),
    "a new object": ("a: !!python/object/new:os.system [touch ran]", "could not determine a constructor"),
    "a name": ("a: !!python/name:os.system", "could not determine a constructor"),
    "a tag of its own": ("a: !thing {x: 1}", "could not determine a constructor"),
    "laughs": (COMMITTED + laughs(), "more than 50000 values"),
    "laughs in a list": (laughs() + COMMITTED.replace("corpora:\n- demo", "corpora: *a9"), "more than 50000 values"),
    "laughs in a section": (laughs() + COMMITTED.replace("heads: {}", "heads: *a9"), "more than 50000 values"),
    "laughs that merge": (merges(), "more than 50000 values"),
    "a mapping in itself": (COMMITTED.replace("heads: {}", "heads: &h {x: *h}"), "holds itself"),
    "a list in itself": (COMMITTED.replace("corpora:\n- demo", "corpora: &c [*c]"), "holds itself"),
    "brackets": ("a: " + "[" * 100_000, "nested more than 50 deep"),
    "braces": ("a: " + "{a: " * 5000, "nested more than 50 deep"),
    "brackets on lines of their own": ("a:\n" + " [\n" * 3000, "nested too deeply"),
    "deep blocks": ("\n".join(" " * n + "a:" for n in range(400)), "nested "),
    "a long file": ("# " + "x" * 300_000, "characters, at most"),
    "a number of 5000 digits": (COMMITTED.replace("seed: 0", "seed: " + "9" * 5000), "a number of 5000 digits"),
    "a number of 300 digits": (COMMITTED.replace("seed: 0", "seed: " + "9" * 300), "less than 4294967296"),
    "a hexadecimal one": (COMMITTED.replace("seed: 0", "seed: 0x" + "f" * 20_000), "a number of 20002 digits"),
    "beyond floats": (COMMITTED.replace("learning_rate: 0.0001", "learning_rate: 1e999"), "finite number"),
    "no such day": (COMMITTED.replace("seed: 0", "seed: 2020-99-99"), "month must be"),
    "no number": (COMMITTED.replace("seed: 0", "seed: !!int x"), "invalid literal"),
    "no truth": (COMMITTED.replace("seed: 0", "seed: !!bool x"), "not valid YAML"),
    "an escape as a value": (COMMITTED.replace("- demo", '- "\\e[31m\\a"'), "'\\x1b[31m\\x07' must be made of"),
    "an escape as a key": (COMMITTED + '\n"\\e[31mkey\\n": 1\n', "\\x1b[31mkey\\n: unknown key"),
    "a raw escape": (COMMITTED + "\n\x1b[31m: 1\n", "special characters are not allowed"),
    "a NUL": (COMMITTED + "\0", "special characters are not allowed"),
    "two documents": (COMMITTED + "\n---\na: 1\n", "expected a single document"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_parameters_are_refused_in_one_line_at_once(tmp_path, monkeypatch, what):
    monkeypatch.chdir(tmp_path)
    text, said = HOSTILE[what]
    Path("params.yaml").write_text(text, encoding="utf-8")
    begin = time.process_time()
    with pytest.raises(ParamsError) as refusal:
        load_params()
    assert time.process_time() - begin < 5
    assert said in str(refusal.value)
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) < 5000
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


@pytest.mark.parametrize("value", ["!!python/name:os.system", "[" * 1000, "9" * 5000, "*x", "&x [*x]", "2020-99-99"])
def test_hostile_settings_are_refused_in_one_line(value):
    with pytest.raises(ParamsError, match=r"^-S heads=.*: not valid YAML: "):
        load_changed(ROOT / "params.yaml", [f"heads={value}"])


def test_what_yaml_allows_is_read_as_before():
    assert load_plain(COMMITTED) == YAML(typ="safe", pure=True).load(COMMITTED)
    assert load_plain("a: &x [1, 2]\nb: *x\nc: {<<: {d: 1}, e: 0x1F, f: 1e-3}\n") == {
        "a": [1, 2],
        "b": [1, 2],
        "c": {"d": 1, "e": 31, "f": 0.001},
    }
    assert load_plain("") is None


def test_no_reader_of_yaml_makes_objects_and_no_process_is_begun_through_a_shell():
    """Every call in the sources: YAML is read by the safe or the round-trip reader, no text goes to a shell."""
    found = []
    for path in [*(ROOT / "src").rglob("*.py"), *(ROOT / "stages").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name, options = ast.unparse(node.func), {option.arg: option.value for option in node.keywords}
            shell = options.get("shell")
            if name in {"os.system", "os.popen", "eval", "exec", "pickle.load", "pickle.loads", "subprocess.getoutput"}:
                found.append(f"{path.name}: {name}")
            if shell is not None and not (isinstance(shell, ast.Constant) and shell.value is False):
                found.append(f"{path.name}: {name} through a shell")
            if name == "YAML" and "typ" in options and ast.unparse(options["typ"]) != "'safe'":
                found.append(f"{path.name}: {name} of {ast.unparse(options['typ'])}")
            if "allow_pickle" in options or "unsafe_load" in name:
                found.append(f"{path.name}: {name}")
            if name.endswith("torch.load") and ast.unparse(options.get("weights_only", ast.Constant(None))) != "True":
                found.append(f"{path.name}: torch.load without weights_only=True")
    assert found == []


# names


@given(st.text(st.characters(codec=None), max_size=40))
def test_whatever_is_printed_commands_no_terminal(text):
    shown = harmless(text)
    shown.encode("utf-8")
    assert not [mark for mark in shown if (ord(mark) < 32 and mark not in "\n\t") or 127 <= ord(mark) < 160]
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029")


@pytest.mark.parametrize("text", ["plain ärger 怒り 😀\tx\ny", "a\xa0b"])
def test_what_is_harmless_stays_as_it_is(text):
    assert harmless(text) == text


def test_lines_and_errors_and_answers_are_harmless(capsys):
    say(f"collect: {ESCAPES}")
    answer(f"page\n{ESCAPES}\udcff")
    with pytest.raises(SystemExit), one_line_errors():
        raise AudioError(f"{ESCAPES}: damaged")
    out, err = capsys.readouterr()
    assert "\x1b" not in out + err
    assert "\\x1b[31mred" in out
    assert err.count("\\x1b[31mred") == 2
    assert out.startswith("page\n")


def test_every_command_prints_through_what_escapes():
    """Nothing prints by itself but the two functions that escape, and what draws the curves of runs."""
    own = {"console.py", "watch.py"}
    for path in (ROOT / "src").rglob("*.py"):
        calls = [ast.unparse(n.func) for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Call)]
        if path.name not in own:
            assert not {"print", "typer.echo", "click.echo", "sys.stdout.write"} & set(calls), path


ODD_NAMES = [
    "two\nlines\x1b[31m.wav",
    "=cmd|' !A0.wav",
    "-rf.wav",
    "@x.wav",
    "\ttab.wav",
    "<b>.wav",
    "$(touch ran).wav",
]


def test_odd_names_are_collected_or_rejected_and_their_tables_run_nothing(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "raw/joy"
    folder.mkdir(parents=True)
    for number, name in enumerate(ODD_NAMES):
        soundfile.write(folder / name, np.full(800, number / 10), 8000)
        (folder / f"{name}.bad.wav").write_text("no sound")
    (folder / os.fsdecode(b"caf\xe9.wav")).write_bytes((folder / "-rf.wav").read_bytes())
    listing = list_corpus("made", folder.parent)
    clips, rejected = collect_clips("made", folder.parent, listing, sample_rate=8000, max_seconds=9.0, n_workers=1)
    assert {clip.path for clip in clips} == {f"joy/{name}" for name in ODD_NAMES}
    assert len(rejected) == len(ODD_NAMES) + 1
    assert all(row.reason.isprintable() for row in rejected)
    for table in (clips_csv("made"), rejected_csv("made")):
        with table.open(newline="", errors="surrogateescape") as file:
            cells = [cell for row in csv.reader(file) for cell in row if cell[:1] in set("=+-@\t\r")]
        assert not [cell for cell in cells if not re.fullmatch(r"-[0-9.]+", cell)]
    assert "\x1b" not in "".join(capfd.readouterr())
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("../../etc/passwd,joy", "leads out of the corpus folder"),
        ("/etc/passwd,joy", "is absolute"),
        ("\\\\server\\share\\a.wav,joy", "is absolute"),
        ("a.wav,\x1b[31mjoy", "control character"),
        ("a.wav,joy\x00", "control character"),
    ],
)
def test_a_hostile_table_is_refused_in_one_line(tmp_path, line, said):
    (tmp_path / "clips.csv").write_text(f"path,label\n{line}\n", encoding="utf-8")
    with pytest.raises(CorpusError) as refusal:
        list_corpus("made", tmp_path)
    assert said in str(refusal.value)
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize("path", ["a.wav\x1b[31m", "a\x00.wav", "no\nsuch.wav", "CON", "a" * 5000, "\u202egnp.wav"])
def test_a_tables_odd_paths_are_rejected_by_an_escaped_name(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "raw"
    folder.mkdir()
    soundfile.write(folder / "good.wav", np.zeros(800), 8000)
    with (folder / "clips.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["path", "label"], ["good.wav", "joy"], [path, "joy"]])
    listing = list_corpus("made", folder)
    clips, rejected = collect_clips("made", folder, listing, sample_rate=8000, max_seconds=9.0, n_workers=1)
    assert [clip.path for clip in clips] == ["good.wav"]
    assert [row.path for row in rejected] == [path]
    assert rejected[0].reason.isprintable()


def test_a_link_in_a_corpus_reads_sound_only(tmp_path, monkeypatch):
    """A link may lead out of the folder, as people keep corpora; what it leads to is read as sound or not at all."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "raw/joy"
    folder.mkdir(parents=True)
    soundfile.write(folder / "good.wav", np.zeros(800), 8000)
    (folder / "secret.wav").symlink_to("/etc/passwd")
    (folder / "device.wav").symlink_to("/dev/zero")
    listing = list_corpus("made", folder.parent)
    _, rejected = collect_clips("made", folder.parent, listing, sample_rate=8000, max_seconds=9.0, n_workers=1)
    reasons = {row.path: row.reason for row in rejected}
    assert "a text file" in reasons["joy/secret.wav"]
    assert "a device" in reasons["joy/device.wav"]
    assert "root:" not in "".join(reasons.values())


def test_a_stage_shows_a_hostile_file_as_one_line(tmp_path):
    (tmp_path / "params.yaml").write_text(COMMITTED + '\n"\\e]0;owned\\a": 1\n', encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, ROOT / "stages/slice_blocks.py", "demo"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == "error: params.yaml: \\x1b]0;owned\\x07: unknown key\n"
