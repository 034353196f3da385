"""The pipeline as people run it: a copy of the project, a small made corpus, `dvc repro`, variations, refusals."""

import json

import pytest
from made_film import make_corpus as make_films
from made_pipeline import (
    BEHIND_IMAGES,
    BEHIND_TRAINING,
    BLOCKS,
    make_project,
    make_run_project,
    metrics_of,
    ran,
    run,
    stale,
)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return make_run_project(tmp_path_factory.mktemp("projects") / "own", tmp_path_factory)


@pytest.mark.slow
def test_recordings_in_metrics_out(project):
    metrics = metrics_of(project)
    # two of the four folds were run: half of the clips were tested
    assert metrics["clip"]["n"] == {"high": 2, "low": 2, "total": 4}
    assert metrics["block"]["n"] == {"high": 4, "low": 4, "total": 8}
    assert metrics["baselines"]["thumbnail"]["clip"]["uar"] == 1.0  # high noise and low noise look different
    assert metrics["corpora"] == ["mine"]
    assert metrics["split"]["leakage"]["overlaps_training"] == 0.0
    split = json.loads((project / "metrics/split.json").read_text(encoding="utf-8"))
    assert split["corpora"]["mine"]["rejected"] == 1
    assert split["corpora"]["mine"]["missing"] == 0
    rejected = (project / "data/processed/clips/mine/rejected.csv").read_text(encoding="utf-8")
    assert "broken.wav" in rejected
    assert "HTML" in rejected


@pytest.mark.slow
def test_recordings_are_not_committed(project):
    assert "data/raw/mine" not in run(project, "git", "ls-files")
    assert "?? data" not in run(project, "git", "status", "--porcelain")


@pytest.mark.slow
def test_a_second_run_runs_nothing(project):
    assert ran(run(project, "dvc", "repro")) == set()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "stages"),
    [
        (("colormap: jet", "colormap: grey"), BEHIND_IMAGES | {"render_spectrograms"}),
        (("  axis: mel\n", "  axis: log\n"), BEHIND_IMAGES | {"render_spectrograms"}),
        (("target_db: -23.0", "target_db: -24.0"), BEHIND_IMAGES | {"render_spectrograms", "normalize_loudness"}),
        (("epochs: 1\n", "epochs: 2\n"), BEHIND_TRAINING),
        (("  grey: 0.0\n", "  grey: 0.5\n"), BEHIND_TRAINING),
        (
            ("  sound: none\n", "  sound: nine\n"),
            BEHIND_IMAGES | BLOCKS | {"split_blocks"},
        ),
        (("n_resamples: 100", "n_resamples: 101"), {"evaluate_model", "report"}),
        (("wrong_clips: 6", "wrong_clips: 5"), {"report"}),
        (("clip_uar: 0.05", "clip_uar: 0.01"), set()),
        (("workers: 0", "workers: 1"), set()),
        (("balance: train", "balance: none"), BEHIND_TRAINING | {"split_blocks", "fit_baselines"}),
        (
            ("slide_seconds: 1.0", "slide_seconds: 0.5"),
            BEHIND_IMAGES | BLOCKS | {"split_blocks"},
        ),
        (("random_blocks: 0", "random_blocks: 2"), BEHIND_IMAGES | BLOCKS | {"split_blocks"}),
        (("  crop: none", "  crop: square"), BEHIND_IMAGES | {"sample_frames", "render_spectrograms"}),
    ],
)
def test_a_change_reruns_only_what_depends_on_it(project, change, stages):
    assert {name.split("@")[0] for name in stale(project, change)} == stages


@pytest.mark.slow
def test_frames_are_sampled_where_faces_are_asked_for_and_again_where_they_change(tmp_path):
    make_project(tmp_path)
    make_films(tmp_path / "data/raw/films")
    params = tmp_path / "params.yaml"

    def repro(*changes):
        text = params.read_text(encoding="utf-8")
        for old, new in changes:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        params.write_text(text, encoding="utf-8")
        return {name.split("@")[0] for name in ran(run(tmp_path, "dvc", "repro", "list_spectrograms"))}

    listed = tmp_path / "data/processed/spectrograms.csv"
    chosen = ("corpora:\n- demo", "corpora:\n- films"), ("  kind: image", "  kind: faces")
    short = ("block_seconds: 2.0", "block_seconds: 0.1"), ("random_blocks: 0", "random_blocks: 5")
    assert repro(*chosen, *short) >= {"sample_frames", "render_spectrograms", "list_spectrograms"}
    assert "data/processed/frames/films.h5" in listed.read_text(encoding="utf-8")
    assert (tmp_path / "data/processed/frames/films.h5").stat().st_size > 10 * 227 * 227 * 3
    assert repro(("colormap: jet", "colormap: grey")) == {"render_spectrograms"}  # the same file without blocks
    back = ("  kind: faces", "  kind: image"), ("window_samples: 400", "window_samples: 200")
    assert repro(*back) == {"sample_frames", "render_spectrograms", "list_spectrograms"}
    assert "data/processed/spectrograms/films.h5" in listed.read_text(encoding="utf-8")
