"""dvc.yaml against the code: paths, and each stage's deps and params against what its script imports and reads."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline.store import paths

ROOT = Path(__file__).resolve().parents[1]
PIPELINE = YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
SOURCES = ROOT / "src"

# Plumbing that cannot change a byte of any result: words for people, the check of parameters, jobs in their order.
CANNOT_CHANGE_A_BYTE = {"pipeline", "pipeline.errors", "pipeline.console", "pipeline.parallel", "pipeline.params"}

# Where each stage reads and writes, by the functions that spell the paths in the package.
CORPUS, KEY, MEMBER, FOLD = "${item.corpus}", "${item.fold}-${item.member}", "${item.member}", "${item.fold}"
HEAD_KEY = "${item.fold}-${item.head}"
CLIPS = paths.clips_h5(CORPUS).parent
READS = {
    "synthesize_demo": [],
    "collect_clips": [paths.corpus_folder("${data.root}", CORPUS)],
    "fingerprint_clips": [CLIPS],
    "match_clips": [paths.CLIPS, paths.FINGERPRINTS],
    "slice_blocks": [CLIPS],
    "normalize_loudness": [CLIPS, paths.blocks_csv(CORPUS)],
    "render_spectrograms": [CLIPS, paths.blocks_csv(CORPUS), paths.loudness_csv(CORPUS)],
    "sample_frames": [paths.corpus_folder("${data.root}", CORPUS), CLIPS, paths.blocks_csv(CORPUS)],
    "list_spectrograms": [paths.SPECTROGRAMS, paths.FRAMES],
    "split_blocks": [paths.CLIPS, paths.BLOCKS, paths.DUPLICATES],
    "fetch_weights": [],
    "train_model": [paths.SPECTROGRAMS_LIST, paths.SPLIT, paths.VARIANTS, paths.weights_folder(MEMBER)],
    "predict_blocks": [paths.model_folder(KEY), paths.SPECTROGRAMS_LIST, paths.SPLIT],
    "list_heads": [paths.OUTPUTS],
    # outputs are read as heads/sources names them, by content
    "train_head": [paths.head_source(HEAD_KEY), paths.SPLIT],
    "fit_baselines": [paths.CLIPS, paths.BLOCKS, paths.LOUDNESS, paths.SPECTROGRAMS_LIST, paths.SPLIT],
    "evaluate_model": [
        paths.OUTPUTS,
        paths.HEADS,
        paths.BASELINES,
        paths.CURVES,
        paths.BLOCKS,
        paths.SPLIT,
        paths.SPLIT_METRICS,
    ],
    "report": [
        paths.METRICS,
        paths.SPLIT_METRICS,
        paths.PLOTS / "confusion_block.csv",
        paths.PLOTS / "confusion_clip.csv",
        paths.PLOTS / "learning_curves.csv",
        paths.PLOTS / "over_clip.csv",
        paths.PLOTS / "reliability.csv",
        paths.ANSWERS,
        paths.BLOCKS,
        paths.CLIPS,
        paths.SPECTROGRAMS_LIST,
        paths.SPLIT,
        paths.MODELS,
    ],
}
WRITES = {
    "synthesize_demo": [paths.DEMO],
    "collect_clips": [CLIPS],
    "fingerprint_clips": [paths.fingerprints_h5(CORPUS)],
    "match_clips": [paths.DUPLICATES],
    "slice_blocks": [paths.blocks_csv(CORPUS), paths.left_out_csv(CORPUS)],
    "normalize_loudness": [paths.loudness_csv(CORPUS)],
    "render_spectrograms": [paths.spectrograms_h5(CORPUS)],
    "sample_frames": [paths.frames_h5(CORPUS)],
    "list_spectrograms": [paths.SPECTROGRAMS_LIST],
    "split_blocks": [paths.SPLIT, paths.SPLIT_METRICS, paths.VARIANTS],
    "fetch_weights": [paths.weights_folder(MEMBER)],
    "train_model": [paths.model_folder(KEY), paths.curves_csv(KEY)],
    "predict_blocks": [paths.outputs_h5(KEY)],
    "list_heads": [paths.HEAD_SOURCES],
    "train_head": [paths.head_folder(HEAD_KEY)],
    "fit_baselines": [paths.BASELINES / f"{FOLD}.h5"],
    "evaluate_model": [
        paths.ANSWERS,
        paths.METRICS,
        paths.PLOTS / "confusion_block.csv",
        paths.PLOTS / "confusion_clip.csv",
        paths.PLOTS / "learning_curves.csv",
        paths.PLOTS / "over_clip.csv",
        paths.PLOTS / "reliability.csv",
        paths.PLOTS / "recall.csv",
    ],
    "report": [paths.REPORT],
}


def names_of(entries):
    return {next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries}


def is_code(dep):
    return dep.startswith(("stages/", "src/"))


def module_file(module):
    path = SOURCES / Path(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def imported_by(file):
    """Modules of the package that a file imports, at any depth of the file (functions too)."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            # `from package import module`
            found |= {
                f"{node.module}.{alias.name}"
                for alias in node.names
                if module_file(f"{node.module}.{alias.name}").exists()
            }
    ours = {name for name in found if name.split(".")[0] == "pipeline"}
    return ours | {name.rpartition(".")[0] for name in ours if "." in name}


def closure(script):
    """All modules of the package that a stage script needs, without plumbing and what only plumbing needs."""
    todo, seen = imported_by(script), set()
    while todo:
        module = todo.pop()
        plumbing = any(module == name or module.startswith(f"{name}.") for name in CANNOT_CHANGE_A_BYTE - {"pipeline"})
        if module in seen or module == "pipeline" or plumbing:
            continue
        seen.add(module)
        todo |= imported_by(module_file(module))
    files = {module_file(module) for module in seen}
    return {file.relative_to(ROOT).as_posix() for file in files if not holds_only_words(file)}


def holds_only_words(file):
    return all(isinstance(node, ast.Expr) for node in ast.parse(file.read_text(encoding="utf-8")).body)


def test_every_stage_script_has_a_stage_and_the_other_way_round():
    assert {path.stem for path in (ROOT / "stages").glob("*.py")} == set(PIPELINE)


@pytest.mark.parametrize("stage", PIPELINE)
def test_the_command_is_the_script_and_nothing_else(stage):
    # no parameter may reach the shell
    assert PIPELINE[stage]["cmd"] == f"PYTHONPATH=src python stages/{stage}.py"


@pytest.mark.parametrize("stage", PIPELINE)
def test_paths_are_those_of_the_package(stage):
    entry = PIPELINE[stage]
    data = {dep for dep in entry["deps"] if not is_code(dep)}
    written = names_of(entry.get("outs", [])) | names_of(entry.get("metrics", [])) | names_of(entry.get("plots", []))
    assert data == {path.as_posix() for path in READS[stage]}
    assert written == {path.as_posix() for path in WRITES[stage]}


@pytest.mark.parametrize("stage", PIPELINE)
def test_deps_are_what_the_script_imports(stage):
    script = f"stages/{stage}.py"
    code = [dep for dep in PIPELINE[stage]["deps"] if is_code(dep)]
    assert script in code
    needed = closure(ROOT / script)
    covered = {file for file in needed for dep in code if file == dep or file.startswith(f"{dep}/")}
    assert needed - covered == set(), "imported, but a change in it would not rerun the stage"
    idle = {
        dep for dep in code if dep != script and not any(file == dep or file.startswith(f"{dep}/") for file in needed)
    }
    assert idle == set(), "listed, but not imported"


@pytest.mark.parametrize("stage", PIPELINE)
def test_params_are_the_sections_that_the_script_reads(stage):
    """Every `p.section` in a script is a parameter of its stage, but what changes no byte."""
    text = (ROOT / "stages" / f"{stage}.py").read_text(encoding="utf-8")
    listed = {name.split(".")[0] for name in PIPELINE[stage].get("params", [])}
    read = set(re.findall(r"\bp\.([a-z]+)\b", text)) | set(re.findall(r"load_params\(params\)\.([a-z]+)\b", text))
    if read & {"of"} or ".of_member(" in text:
        read = (read - {"of"}) | {"members", "model", "train"}
    read -= {"machine"}  # workers change no byte
    if stage == "fetch_weights":
        read -= {"train"}
    if stage == "predict_blocks":
        read -= {"model"}  # of_member gives it, and only train.* is used
    assert read == listed


@pytest.mark.parametrize("stage", PIPELINE)
def test_a_stage_claims_what_it_writes(stage):
    tree = ast.parse((ROOT / "stages" / f"{stage}.py").read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "claimed"]
    key = HEAD_KEY if stage == "train_head" else KEY
    names = {**vars(paths), "corpus": CORPUS, "member": MEMBER, "fold": FOLD, "key": key, "int": str}
    assert len(calls) == 1
    claimed = eval(f"({', '.join(map(ast.unparse, calls[0].args))},)", names)
    assert set(claimed) == set(WRITES[stage])


@pytest.mark.parametrize("stage", PIPELINE)
def test_a_stage_script_is_thin(stage):
    lines = (ROOT / "stages" / f"{stage}.py").read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if line.strip()]) <= 30


@pytest.mark.parametrize("stage", PIPELINE)
def test_every_stage_explains_itself(stage):
    done = subprocess.run(
        [sys.executable, f"stages/{stage}.py", "--help"],
        cwd=ROOT,
        env={"PYTHONPATH": "src", "PATH": "/usr/bin:/bin", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "params.yaml" in done.stdout


def test_outputs_between_stages_are_ignored_by_git():
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {"/data/processed/", "/models/", "/dvc_plots/"} <= set(ignored)


def test_names_and_versions_only_in_the_lock():
    for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines():
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!]+", line), line
