"""A clip's probabilities along its time: which blocks, whose outputs, the running mean, and where lines are drawn."""

import dataclasses
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made import RATE, noise, silence, store_clips, tone
from made_trained import CLASSES, TONE_HZ, run_stages, trained  # noqa: F401 - a fixture

from pipeline.cli import main
from pipeline.errors import ShowError
from pipeline.evaluate import How
from pipeline.features.spectrogram import SpectrogramSpec
from pipeline.params import load_changed, load_params
from pipeline.pictures.probabilities import _spectrogram_of, charts_of, course_of, draw_probabilities, whole_spectrogram
from pipeline.report.axes import height_of
from pipeline.show.page import draw_page
from pipeline.show.panels import Column
from pipeline.store.arrays import open_arrays
from pipeline.store.folds import read_fold, write_outputs
from pipeline.store.paths import SPLIT, clips_h5, outputs_h5
from pipeline.store.tables import SplitRow, read_rows, write_rows

pytestmark = pytest.mark.usefixtures("trained")
CLIP = "made/joy/tone.wav"  # three blocks, at 0 s, 1 s and 2 s
LEARNT = "made/joy/hum.wav"


def write_logits(key, of_clip):
    """Odds of joy against anger, block by block, of some clips; others get even ones."""
    fold = read_fold(0)
    logits, seen = np.zeros((len(fold.rows), 2), np.float32), {}
    for index, row in enumerate(fold.rows):
        number = seen[row.clip_id] = seen.get(row.clip_id, -1) + 1
        if row.clip_id in of_clip:
            logits[index, 1] = np.log(of_clip[row.clip_id][number])
    write_outputs(outputs_h5(key), fold, {"logits": logits}, about={"classes": list(CLASSES)})


def test_blocks_members_and_the_running_mean_by_hand():
    run_stages()
    write_logits("0-a", {CLIP: [1.0, 3.0, 9.0]})  # joy 0.5, 0.75, 0.9
    write_logits("0-b", {CLIP: [1.0, 1.0, 1 / 9]})  # joy 0.5, 0.5, 0.1
    course = course_of(CLIP)
    np.testing.assert_allclose(course.middles, [1, 2, 3])
    np.testing.assert_allclose(course.probabilities[:, 1], [0.5, 0.625, 0.5], rtol=1e-6)
    np.testing.assert_allclose(course.running[:, 1], [0.5, 0.5625, 1.625 / 3], rtol=1e-6)
    np.testing.assert_allclose(course.probabilities.sum(axis=1), 1)
    assert (course.answer, course.actual, course.side, course.runs) == ("joy", "joy", "test", ["0-a", "0-b"])
    one = course_of(CLIP, "0-b")
    np.testing.assert_allclose(one.running[:, 1], [0.5, 0.5, 1.1 / 3], rtol=1e-6)
    assert (one.answer, one.runs) == ("anger", ["0-b"])


def test_what_the_blocks_answer_together_is_what_evaluate_says():
    run_stages()
    write_logits("0-a", {CLIP: [1.0, 3.0, 9.0]})  # joy 0.5, 0.75, 0.9
    write_logits("0-b", {CLIP: [1.0, 3.0, 1 / 81]})  # joy 0.5, 0.75, 1/82
    belief = course_of(CLIP, "0-a", how=How(aggregate="belief"))
    np.testing.assert_allclose(belief.running[:, 1], [0.5, 0.625, 0.7625], rtol=1e-6)
    assert charts_of(belief)[1].title == "Belief of the blocks up to here"
    product = course_of(CLIP, "0-a", how=How(aggregate="product"))
    np.testing.assert_allclose(product.running[:, 1], [0.5, 0.75, 27 / 28], rtol=1e-6)
    both = course_of(CLIP, how=How(aggregate="last", members_mean="logits"))
    np.testing.assert_allclose(both.running[:, 1], [0.5, 0.75, 0.25], rtol=1e-6)  # odds sqrt(9 / 81)
    assert both.answer == "anger"


def test_outputs_of_members_that_are_run_no_more_are_left_out():
    run_stages()
    write_logits("0-a", {CLIP: [3.0, 3.0, 3.0]})
    write_logits("0-b", {CLIP: [1.0, 1.0, 1.0]})
    assert course_of(CLIP, members=["a"]).runs == ["0-a"]
    assert "run 0-a, test side" in draw_probabilities(CLIP)  # params.yaml runs a
    assert course_of(CLIP, "0-b", members=["a"]).runs == ["0-b"]
    with pytest.raises(ShowError, match=r"no outputs of c here \(runs\.members\)"):
        course_of(CLIP, members=["c"])


def test_probabilities_are_those_at_the_temperature_of_the_validation_side():
    run_stages("slice.slide_seconds=0.1")
    rows = read_rows(SPLIT, SplitRow)
    aside = [row.block_id for row in rows if row.clip_id == LEARNT][:12]
    moved = [
        SplitRow(**dataclasses.asdict(row) | {"side": "validation"}) if row.block_id in aside else row for row in rows
    ]
    write_rows(SPLIT, SplitRow, moved)
    # odds of 9 where 3 of 4 are right have to be odds of 3: temperature 2
    write_logits("0-a", {CLIP: [9.0] * 21, LEARNT: [9.0] * 9 + [1 / 9] * 3 + [1.0] * 9})
    np.testing.assert_allclose(course_of(CLIP).probabilities[:, 1], 0.9, rtol=1e-6)
    calibrated = course_of(CLIP, how=How(calibrate="validation"), validation="fraction")
    np.testing.assert_allclose(calibrated.probabilities[:, 1], 0.75, rtol=1e-4)


def test_a_clip_that_was_learnt_from_is_shown_only_for_a_named_run():
    run_stages()
    write_logits("0-a", {})
    with pytest.raises(ShowError, match="no run whose outputs are here has it on its test side"):
        course_of(LEARNT)
    assert course_of(LEARNT, "0-a").side == "train"


def test_of_a_clip_on_two_sides_only_the_tested_blocks_are_shown():
    run_stages()
    rows = read_rows(SPLIT, SplitRow)
    first = next(row for row in rows if row.clip_id == CLIP)
    write_rows(
        SPLIT,
        SplitRow,
        [SplitRow(**{**dataclasses.asdict(row), "side": "train"}) if row == first else row for row in rows],
    )
    write_logits("0-a", {CLIP: [99.0, 3.0, 1.0]})
    course = course_of(CLIP)
    np.testing.assert_allclose(course.middles, [2, 3])
    np.testing.assert_allclose(course.probabilities[:, 1], [0.75, 0.5], rtol=1e-6)


def test_a_line_is_where_its_probability_and_its_time_are():
    run_stages()
    write_logits("0-a", {CLIP: [9.0, 9.0, 9.0]})
    charts = charts_of(course_of(CLIP))
    assert [tick.text for tick in charts[0].along] == ["0", "0.5", "1", "1.5", "2", "2.5", "3", "3.5", "4"]
    page, boxes = draw_page("page", [Column("", charts, "")])
    pixels = np.asarray(page).astype(int)
    for chart, box in zip(charts, boxes[0], strict=True):
        width, height = box.right - box.left, box.bottom - box.top
        inside = pixels[box.top : box.bottom, box.left : box.right]
        for line, probability in zip(chart.lines, (0.1, 0.9), strict=True):
            near = np.abs(inside - np.array(line.colour)).sum(axis=2) < 60
            rows, columns = np.nonzero(near)
            assert 1 - (np.median(rows) + 0.5) / height == pytest.approx(probability, abs=0.01)
            assert columns.min() / width == pytest.approx(0.25, abs=0.01)  # of 4 s the middle of the first block
            assert columns.max() / width == pytest.approx(0.75, abs=0.01)
    assert [line.name for line in charts[0].lines] == ["anger", "joy (actual)"]


SPEC = SpectrogramSpec(RATE, "hann", 256, 0.01, 512, "mel", 40, 20.0, 4000.0, 0)


@pytest.mark.parametrize(("seconds", "n_columns"), [(10.0, 200), (10.0, 37), (2.0, 190), (0.02, 5)])
def test_a_column_of_the_whole_clip_is_of_its_own_time(seconds, n_columns):
    at, long = 0.6 * seconds, 0.2 * seconds
    burst = tone(-20, long, hz=TONE_HZ)
    sound = np.concatenate([silence(at), burst, silence(seconds - at - long)]) + noise(-110, seconds)
    (first, clip) = store_clips("made", {"before.wav": noise(-10, 1), "a.wav": sound})
    assert first.n_samples == RATE
    with open_arrays(clips_h5("made")) as file:
        decibels = whole_spectrogram(file["audio"], clip, SPEC, n_columns=n_columns)
    assert decibels.shape == (40, n_columns)
    loud = np.flatnonzero(decibels.max(axis=0) > decibels.max() - 6) / n_columns
    edge = 1 / n_columns + 128 / RATE / seconds
    assert loud.min() == pytest.approx(0.6, abs=edge)
    assert loud.max() + 1 / n_columns == pytest.approx(0.8, abs=edge)
    band = decibels[:, round(0.7 * n_columns)].argmax()
    assert (band + 0.5) / 40 == pytest.approx(height_of(TONE_HZ, SPEC), abs=1 / 40)


def test_above_frames_of_a_video_there_is_the_spectrogram_of_the_sound():
    params = load_changed(Path("params.yaml"), ["representation.kind=faces", "spectrogram.max_hz=20000.0"])
    assert _spectrogram_of(params) == replace(_spectrogram_of(load_params()), max_hz=RATE / 2)


def test_the_command_draws_and_says_what_was_answered(monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["emospec", "probabilities", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, *capsys.readouterr()

    run_stages()
    code, _, err = run(CLIP)
    assert (code, err.splitlines()[-1]) == (
        1,
        "error: data/processed/outputs/: no outputs of any run here: run `dvc repro`",
    )
    write_logits("0-a", {CLIP: [1.0, 3.0, 9.0]})
    code, out, _ = run(CLIP)
    assert code == 0
    assert out == (
        f"tone.wav_probabilities.png: {CLIP}: answered joy (0.72, mean of 3 blocks), actual joy; run 0-a, test side\n"
    )
    assert Path("tone.wav_probabilities.png").is_file()
    with pytest.raises(ShowError, match=r"made/gone\.wav: no clip of data/processed/split\.csv"):
        draw_probabilities("made/gone.wav")
    with pytest.raises(ShowError, match="no outputs of run 0-c here: there is 0-a"):
        draw_probabilities(CLIP, run="0-c")
    with pytest.raises(ShowError, match="no outputs of run 9-a here: there is 0-a"):  # and not: name a run with --run
        draw_probabilities(CLIP, run="9-a")
    write_logits("0-a", {})
    rows = read_rows(SPLIT, SplitRow)
    write_rows(
        SPLIT, SplitRow, [SplitRow(**{**dataclasses.asdict(row), "block_id": f"{row.block_id}0"}) for row in rows]
    )
    with pytest.raises(Exception, match=r"has no row|it is of another split"):
        draw_probabilities(CLIP)
