"""What cannot fit is named with the stage, what it needs, what is there and what to change; what fits is not."""

import dataclasses

import pytest
from plan.cases import GB, NETWORK, clip, job, machine, params

from pipeline.plan.fit import cached_bytes, misfits, refusals
from pipeline.plan.job import Need

MB = 10**6


def need(stage="render_spectrograms", *, disk=0, memory=0, gpu=0, in_cache=True):
    return Need(stage=stage, runs=1, items="", seconds=0.0, disk=disk, memory=memory, gpu=gpu, in_cache=in_cache)


TWO = [need(disk=30 * GB), need("collect_clips", disk=10 * GB)]


def test_what_fits_is_not_named():
    assert misfits(TWO, machine(free_disk=80 * GB)) == []


def test_copies_in_the_cache_count():
    (line,) = misfits(TWO, machine(free_disk=80 * GB - 1))
    assert line == (
        "render_spectrograms needs 30 GB of disk (60 GB with DVC's cache), all stages 80 GB, 80 GB are free on /here: "
        "use a disk with more space, lower height and width of image or stack, or raise slice.slide_seconds"
    )


def test_links_take_no_space():
    linked = machine(free_disk=40 * GB, cache_link="reflink")
    assert misfits(TWO, linked) == []
    assert cached_bytes(TWO, linked) == 0
    assert "DVC's cache" not in misfits(TWO, dataclasses.replace(linked, free_disk=39 * GB))[0]


def test_what_git_keeps_is_not_in_the_cache():
    assert cached_bytes([need(disk=3 * GB), need(disk=5 * GB, in_cache=False)], machine()) == 3 * GB


def test_a_cache_on_another_disk_is_compared_with_that_disk():
    apart = machine(one_disk=False, free_disk=40 * GB, free_cache_disk=39 * GB)
    (line,) = misfits(TWO, apart)
    assert "all stages 40 GB, 39 GB are free on /here/.dvc/cache" in line
    (line,) = misfits(TWO, dataclasses.replace(apart, free_disk=39 * GB, free_cache_disk=40 * GB))
    assert line.startswith("render_spectrograms needs 30 GB of disk, all stages 40 GB, 39 GB are free on /here:")
    linked = dataclasses.replace(apart, free_disk=0, free_cache_disk=40 * GB, cache_link="symlink")
    assert misfits(TWO, linked) == []


def test_each_stage_that_lacks_memory_is_named():
    needs = [
        need(memory=9 * GB),
        need("fingerprint_clips", memory=10 * GB),
        need("match_clips", memory=11 * GB),
        need("train_model", memory=8 * GB + 1),
        need("split_blocks", memory=8 * GB),
        need("evaluate_model", memory=20 * GB),
    ]
    lines = misfits(needs, machine())
    assert lines == [
        "render_spectrograms needs 9 GB of memory, 8 GB are free: use a machine with more, lower machine.workers, or "
        "height and width of image or stack",
        "fingerprint_clips needs 10 GB of memory, 8 GB are free: use a machine with more, lower machine.workers, or "
        "cut the recordings into shorter ones",
        "match_clips needs 11 GB of memory, 8 GB are free: use a machine with more, name fewer corpora",
        "train_model needs 8 GB of memory, 8 GB are free: use a machine with more, lower train.batch_images, or "
        "choose a smaller model.name",
        "evaluate_model needs 20 GB of memory, 8 GB are free: use a machine with more, raise slice.slide_seconds",
    ]


def test_the_gpu_has_its_own_memory():
    needs = [need("train_model", memory=1 * GB, gpu=12 * GB)]
    assert misfits(needs, machine(free_gpu=12 * GB)) == []
    (line,) = misfits(needs, machine(free_gpu=11 * GB))
    assert line == (
        "train_model needs 12 GB of the GPU's memory, 11 GB are free: lower train.batch_images, or choose a smaller "
        "model.name, or set train.device to cpu"
    )


CLIPS = [clip(11, "joy"), clip(11, "anger", path="b")]


def test_a_run_that_every_stage_accepts_is_refused_nowhere():
    assert refusals(job(CLIPS)) == []


def test_bands_above_half_of_some_rate_are_refused_before_hours_of_work():
    uneven = [*CLIPS, clip(11, "joy", path="slow", rate=6000)]
    (line,) = refusals(job(uneven))
    assert line.startswith("render_spectrograms: made/slow: recorded at 6000 Hz, others at up to 8000 Hz")
    assert line.endswith("set spectrogram.max_hz to 3000 or lower")
    assert refusals(job(uneven, params(spectrogram__max_hz=3000.0))) == []
    assert refusals(job([*CLIPS, clip(1, path="slow", rate=6000)], params(slice__short_clips="reject"))) == []


def test_one_class_is_refused():
    (line,) = refusals(job([clip(11), clip(4)]))
    assert line.startswith("split_blocks: only one class, 'joy'")


@pytest.mark.parametrize("by", ["block", "clip", "corpus", "speaker"])
def test_a_field_that_clips_lack_is_named_before_hours_of_work(by):
    chosen = params(split__by=by)
    known = [with_fields(each, speaker="s") for each in CLIPS]
    assert refusals(job(known, chosen)) == []
    if by == "speaker":
        (line,) = refusals(job([known[0], CLIPS[1]], chosen))
        assert line.startswith("split_blocks: split.by: 1 of 2 clips have no 'speaker' (first: made/b):")


def test_the_demos_own_fields_are_known_though_a_survey_does_not_draw_them():
    demo = [dataclasses.replace(each, corpus="demo") for each in CLIPS]
    assert refusals(job(demo, params(split__by="event"))) == []
    (line,) = refusals(job(demo, params(split__by="speaker")))
    assert "2 of 2 clips have no 'speaker'" in line


def test_starting_weights_that_are_not_there_are_named(tmp_path):
    there = tmp_path / "weights.pth"
    (line,) = refusals(job(CLIPS, params(model__weights=str(there))))
    assert line == f"fetch_weights@a: model.weights: {there}: no such file: give random, imagenet or a path"
    there.touch()
    assert refusals(job(CLIPS, params(model__weights=str(there)))) == []
    assert len(refusals(job(CLIPS, params(model__weights=str(tmp_path))))) == 1  # a folder is no file


def test_labels_and_classes_that_no_clip_has_are_named():
    (line,) = refusals(job(CLIPS, params(split__use={"made": {"labels": {"calm": "joy"}}})))
    assert line == ("split_blocks: split.use.made.labels: no clip of made is labelled 'calm': it has 'anger', 'joy'")
    (line,) = refusals(job(CLIPS, params(split__classes=["anger", "calm", "joy"])))
    assert line.startswith("split_blocks: split.classes: no clip is labelled 'calm': these corpora have")
    renamed = params(split__use={"made": {"labels": {"joy": "calm"}}}, split__classes=["anger", "calm"])
    assert refusals(job(CLIPS, renamed)) == []


@pytest.mark.parametrize("balance", ["none", "train", "all"])
@pytest.mark.parametrize(("role", "lacking"), [("train", "test"), ("test", "train")])
def test_roles_that_leave_a_side_empty_are_named(role, lacking, balance):
    chosen = {"split__balance": balance, "split__method": "holdout", "runs__folds": [0]}
    two = [*CLIPS, clip(11, "joy", corpus="other"), clip(11, "anger", path="b", corpus="other")]
    roles = {"made": {"role": role}, "other": {"role": lacking}}
    assert refusals(job(two, params(corpora=["made", "other"], split__use=roles, **chosen))) == []
    roles["other"]["labels"] = {"joy": None, "anger": None}
    (line,) = refusals(job(two, params(corpora=["made", "other"], split__use=roles, **chosen)))
    assert line == f"split_blocks: split.use: no corpus has the role both or {lacking}: that side would be empty"


def with_fields(expected, **fields):
    return dataclasses.replace(expected, recording=dataclasses.replace(expected.recording, fields=fields))


def test_more_rows_than_a_split_may_have_are_refused():
    chosen = params(split__n_folds=1000, slice__slide_seconds=0.01)
    clips = [clip(102, path="a"), clip(2.0, "anger", path="b")]  # 10001 blocks and 1
    (line,) = refusals(job(clips, chosen))
    assert line == (
        "split_blocks: 1000 folds of 10002 blocks make more than 10000000 rows: use split.method kfold with "
        "split.n_folds of at most 999"
    )


def test_a_fold_that_leave_one_out_does_not_make_is_refused():
    chosen = params(split__method="leave_one_out", runs__folds=[0, 2])
    (line,) = refusals(job(CLIPS, chosen, networks={"a": NETWORK}))
    assert line == "train_model: there is no fold 2: this split has folds 0 to 1: change runs.folds"


@pytest.mark.parametrize("free", [0, 1])
def test_a_full_disk_is_named_even_for_small_outputs(free):
    assert len(misfits([need(disk=2 * MB)], machine(free_disk=free))) == 1


def test_clips_too_long_to_be_altered_are_named():
    clips = [clip(20, "joy"), clip(700, "anger", path="long.wav"), clip(20, "anger")]
    assert refusals(job(clips)) == []
    (found,) = refusals(job(clips, params(augment__sound="nine")))
    assert found.startswith(
        "slice_blocks: 1 of 3 clips, the first made/long.wav, last longer than the 600 s that can be"
    )
