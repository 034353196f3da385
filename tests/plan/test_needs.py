"""Seconds and bytes of each stage, by hand; and the bytes of the outputs against a small project's real files."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from made_run import one_thread  # noqa: F401 (keeps torch's settings)
from plan.cases import NETWORK, SOUND, clip, job, params, write_sound
from ruamel.yaml import YAML
from torch import nn, zeros

from pipeline.audio.fingerprint import fingerprint
from pipeline.collect import collect_clips
from pipeline.corpora import list_corpus
from pipeline.duplicates.fingerprints import fingerprint_corpus
from pipeline.errors import ModelError
from pipeline.features.chosen import representation_of
from pipeline.fold_baselines import fit_baselines
from pipeline.learning.recipe import Recipe
from pipeline.listing import list_spectrograms
from pipeline.models.checkpoint import WEIGHTS
from pipeline.models.estimators import Options, fit_estimator, save_estimator
from pipeline.models.weights import fetch_weights
from pipeline.normalize import normalize_corpus
from pipeline.params.sections import Head
from pipeline.plan import _sides
from pipeline.plan.estimator_costs import EstimatorCosts, measure_estimator, measure_head, measure_member
from pipeline.plan.fit import refusals
from pipeline.plan.job import block_bytes, input_bytes, rows_in_chunks
from pipeline.plan.model_needs import model_needs
from pipeline.plan.network_costs import measure_network
from pipeline.plan.network_counts import saved_for_backward
from pipeline.plan.page import _how_measured
from pipeline.plan.sound_needs import held_at_once, n_prints, sound_needs
from pipeline.plan.survey import survey_corpora
from pipeline.render import render_corpus
from pipeline.runs import Compute, predict_run, train_run
from pipeline.sequence_heads import fit_sequences
from pipeline.slicing import slice_corpus
from pipeline.split.choices import Choices
from pipeline.split.corpora import split_corpora
from pipeline.store import paths
from pipeline.store.rendered import open_rendered
from pipeline.store.tables import Block, Duplicate, read_rows, write_rows

ROOT = Path(__file__).resolve().parents[2]
# 4 clips of 11 s: 10 blocks each, 40 in all; a fold trains on 2/3 of the 20 of each class.
CLIPS = [clip(11, label, path=f"{label}{number}") for label in ("joy", "anger") for number in range(2)]


HEAD = {"runs__heads": ["h"], "heads": {"h": {"member": "a", "kind": "svm", "on": "features"}}}
HEAD_COSTS = EstimatorCosts(
    fit_seconds=2.0, predict_seconds=0.001, fit_bytes=1_000_000, file_bytes=50_000, timed_rows=10
)


def needs(clips=CLIPS, chosen=None, **changed):
    made = job(clips, chosen, **changed)
    return {need.stage: need for need in [*sound_needs(made), *model_needs(made)]}


def test_every_stage_of_the_pipeline_has_a_row_in_its_order():
    stages = YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    chosen = params(corpora=["demo", "made"], **HEAD)
    rows = list(needs([*CLIPS, clip(20, corpus="demo")], chosen, heads={"h": HEAD_COSTS}))
    assert set(stages) <= set(rows)
    assert [name for name in rows if name in stages] == sorted(stages, key=rows.index)


def test_what_runs_per_corpus_fold_and_member_is_counted_so():
    chosen = params(
        corpora=["made", "other"],
        runs__folds=[0, 2],
        runs__members=["a", "b", "c"],
        members={name: {"seed": 0, "model": {}, "train": {}} for name in "abc"},
    )
    runs = {stage: need.runs for stage, need in needs([*CLIPS, clip(4, corpus="other")], chosen).items()}
    assert runs.pop("train_model") == runs.pop("predict_blocks") == 6
    assert runs.pop("fetch_weights") == 3
    assert runs.pop("fit_baselines") == 2
    per_corpus = ("collect_clips", "fingerprint_clips", "slice_blocks", "normalize_loudness")
    assert {runs.pop(stage) for stage in (*per_corpus, "render_spectrograms", "sample_frames")} == {2}
    assert set(runs.values()) == {1}


def test_work_that_workers_share_takes_its_part_of_the_time():
    # 400 clips of 11 s at 0.01 s a second: 44 s of work; 4000 blocks at 20 ms: 80 s
    clips = [clip(11, one.recording.label, path=f"{one.recording.path}/{n}") for one in CLIPS for n in range(100)]
    alone = needs(clips, workers=1)
    assert alone["collect_clips"].seconds == pytest.approx(1 + 44)
    assert alone["fingerprint_clips"].seconds == pytest.approx(1 + 4.4)
    assert alone["render_spectrograms"].seconds == pytest.approx(3 + 80)
    shared = needs(clips, workers=4)  # four at 80 %
    assert shared["collect_clips"].seconds == pytest.approx(1 + 44 / 3.2)
    assert shared["fingerprint_clips"].seconds == pytest.approx(1 + 4.4 / 3.2)
    assert shared["normalize_loudness"].seconds == pytest.approx(1 + 4000 * 0.002 / 3.2)
    assert shared["render_spectrograms"].seconds == pytest.approx(3 + 80 / 3.2)


def test_many_workers_cannot_be_quicker_than_the_one_writer():
    sound = dataclasses.replace(SOUND, written_per_second=1e6)
    need = needs(sound=sound, workers=1000)["collect_clips"]
    assert need.seconds == pytest.approx(1 + need.disk / 1e6, rel=0.01)


@pytest.mark.parametrize("rate", [8000, 44100])
@pytest.mark.parametrize("seconds", [0.05, 0.335, 0.336, 1.0, 2.7])
def test_sub_fingerprints_are_counted_as_they_are_made(rate, seconds):
    n_samples = round(seconds * rate)
    sound = np.random.default_rng(0).normal(size=n_samples).astype(np.float32)
    assert n_prints(n_samples, rate) == len(fingerprint([sound], sample_rate=rate).bits)


def test_matching_takes_its_time_by_sub_fingerprint_and_by_what_agrees_by_chance():
    # 11 s at 8 kHz: 88000 samples hold 1075 whole frames of 2048 every 80, and the first 8 have nothing before them
    few, many = (needs([clip(11, path=str(number)) for number in range(n)])["match_clips"] for n in (4, 400))
    assert few.runs == 1
    assert few.items == "4 clips"
    assert few.seconds == pytest.approx(1 + 4 * 1067 * 2e-7, abs=1e-6)
    assert many.seconds == pytest.approx(1 + 426_800 * 2e-7 + 7e-9 * 426_800**2 * 1e-6)


def test_memory_of_matching_is_a_part_that_is_sorted_and_what_agrees_by_chance_up_to_a_part_of_that():
    def beyond(n_hours):
        clips = [clip(3600, path=str(number)) for number in range(n_hours)]
        return needs(clips)["match_clips"].memory - SOUND.base_bytes - 25_000_000 - 1240 * n_hours

    hour = 3600 * 100 - 33  # 0.336 s of an hour have no sub-fingerprint of their own
    assert beyond(1) == pytest.approx(2**17 * 70 + 120 * 7e-9 * hour**2)
    assert beyond(50) == beyond(500) == 2**17 * 70 + 120 * 2**14


def test_fingerprints_of_long_clips_wait_for_those_before_them():
    short, long = (needs([clip(3600 * hours)], workers=2)["fingerprint_clips"].memory for hours in (1, 2))
    # of each sub-fingerprint 24 bytes in each of two workers, and 5 in each of eight results
    assert long - short == pytest.approx(360_000 * (2 * 24 + 8 * 5), rel=0.01)


def test_slicing_only_listens_where_silence_is_dropped():
    kept, dropped = (needs(chosen=params(slice__silent_blocks=how))["slice_blocks"] for how in ("keep", "drop"))
    assert kept.items == "40 blocks"
    assert dropped.items == "at most 40 blocks"
    assert dropped.seconds - kept.seconds == pytest.approx(40 * 0.002)  # not shared: slicing has one thread


def test_training_time_is_steps_and_validations():
    # 13 + 13 of 40 blocks, rounded from 26.67 to 27: 4 steps of 8 images, 2 epochs; points at 3, 6 and 8
    need = needs(chosen=params(split__balance="none"))["train_model"]
    assert need.items == "3 runs, about 27 images"
    run = 3 + 8 * 0.5 + 2 * 0.1
    assert need.seconds == pytest.approx(3 * run, abs=0.01)
    watched = needs(chosen=params(split__balance="none", split__validation="test"))["train_model"]
    assert watched.seconds == pytest.approx(3 * (run + 3 * 13 * 0.01), abs=0.01)  # 13 images on the test side


def test_a_frozen_network_sees_each_block_once():
    keys = {"split__balance": "none", "split__validation": "test", "model__frozen": "all"}
    reused, each = (needs(chosen=params(**keys, train__reuse_frozen=way))["train_model"] for way in (True, False))
    run = 3 + 8 * 0.5 + 2 * 0.1 + 3 * 13 * 0.01
    assert each.seconds == pytest.approx(3 * run, abs=0.01)
    # 27 + 13 images once, and a fiftieth of the steps and validations
    once = 3 + 40 * 0.01 + 0.02 * (8 * 0.5 + 3 * 13 * 0.01) + 2 * 0.1
    assert reused.seconds == pytest.approx(3 * once, abs=0.01)
    assert reused.memory - each.memory == 2**28
    for other in ({"train__epochs": 1}, {"augment__grey": 0.5}):
        both = [needs(chosen=params(**keys, **other, train__reuse_frozen=way)) for way in (True, False)]
        assert both[0]["train_model"] == both[1]["train_model"]


def test_altered_sound_is_counted_where_it_is_made_and_learned_from_and_nowhere_else():
    plain, nine = needs(), needs(chosen=params(augment__sound="nine"))
    # Of each clip of 11 s there are two more of 11 s (10 blocks), three of 10 s (9) and three of 12.1 s (11).
    assert nine["slice_blocks"].items == "360 blocks"
    assert nine["render_spectrograms"].items == "360 images"
    altering = 4 * (2 * 11 + 3 * 10 + 3 * 12.1) * SOUND.alter_per_second
    for stage, per_block in (("normalize_loudness", 0.002), ("render_spectrograms", 0.02)):
        more = (320 * per_block + altering) / 1.6
        assert nine[stage].seconds - plain[stage].seconds == pytest.approx(more, rel=1e-3)
        assert nine[stage].memory - plain[stage].memory > 2 * 120_000_000
    assert "about 27 images" in plain["train_model"].items
    assert "about 243 images" in nine["train_model"].items
    # 2 epochs of 31 batches of at most 8 instead of 4; each step takes 0.5 s
    assert nine["train_model"].seconds - plain["train_model"].seconds >= 3 * 2 * (31 - 4) * 0.5
    for stage in ("collect_clips", "predict_blocks", "fit_baselines", "evaluate_model", "split_blocks"):
        assert nine[stage] == plain[stage]


def test_augmenting_before_the_split_has_its_blocks_in_every_stage():
    leaky = {"augment__sound": "nine", "split__allow_leaks": ["augmented_before_split"]}
    plain, leak = job(CLIPS), job(CLIPS, params(**leaky))
    assert leak.split_rows == 9 * plain.split_rows
    sides = _sides(leak.counts, leak.params)
    assert (sides.rows, sides.train) == (9 * plain.sides.rows, 9 * plain.sides.train)
    assert dataclasses.replace(leak, sides=sides).n_learned == sides.train


def test_members_have_their_own_network_and_recipe():
    chosen = params(
        runs__members=["a", "b"],
        members={
            "a": {"seed": 0, "model": {}, "train": {}},
            "b": {"seed": 0, "model": {"name": "resnet18"}, "train": {"epochs": 4, "batch_images": 27}},
        },
    )
    other = dataclasses.replace(NETWORK, step_seconds=2.0, state_bytes=300_000_000)
    need = needs(chosen=chosen, networks={"a": NETWORK, "b": other})["train_model"]
    first, second = 3 + 8 * 0.5 + 0.2, 3 + 4 * 2.0 + 0.6  # 27 images in one batch, four epochs
    assert need.seconds == pytest.approx(3 * (first + second), abs=0.01)
    assert need.disk == pytest.approx(3 * 400_000_000, rel=0.001)


def learning(**keys):
    """Bytes of training beyond a process with torch."""
    made = {"train__batch_images": 10, "image__height": 100, "image__width": 50, **keys}
    return needs(chosen=params(**made))["train_model"].memory - SOUND.base_torch_bytes


def test_memory_of_training_is_weights_state_and_batch():
    # 0.1 GB each of weights, gradients, two moments of AdamW; weights once more, larger than a batch of about 10 MB
    tables = 40 * 90 + 40 * 95
    assert learning() == pytest.approx(1.25 * 500e6 + tables)
    assert learning(train__optimizer="sgd") == pytest.approx(1.25 * 400e6 + tables)
    assert learning(train__optimizer="sgd", train__momentum=0.0) == pytest.approx(1.25 * 300e6 + tables)
    best = {"train__keep": "best", "split__validation": "test"}
    assert learning(**best) == pytest.approx(1.25 * 700e6 + tables)
    # A large batch: 1000 x (1 MB kept + twice 0.1 MB of gradients + 9 bytes for each of 15,000 values)
    assert learning(train__batch_images=1000) == pytest.approx(1.25 * (400e6 + 1000 * 1.335e6) + tables)


def test_on_a_gpu_what_is_learned_lies_there():
    on_gpu = needs(networks={"a": dataclasses.replace(NETWORK, device="cuda:1")})["train_model"]
    on_cpu = needs()["train_model"]
    assert on_gpu.gpu == pytest.approx(625e6)
    assert on_cpu.gpu == 0
    assert on_gpu.memory < on_cpu.memory


def test_starting_weights_are_copied_for_each_member():
    assert needs()["fetch_weights"].disk < 1000
    assert needs(weights=250_000_000)["fetch_weights"].disk == pytest.approx(250e6, rel=1e-5)


@pytest.mark.parametrize(
    ("sizes", "work", "workers", "held"),
    [
        ([5, 7, 3], [1, 1, 1], 1, 7),  # one after the other
        ([4, 4, 4, 4], [1, 1, 1, 1], 2, 8),  # two at a time
        ([10, 1, 2, 3], [9, 1, 1, 1], 2, 16),  # all wait for the first
        ([1, 10, 1], [1, 9, 1], 2, 11),  # the third starts when the first is handed on
    ],
)
def test_results_wait_for_those_before_them(sizes, work, workers, held):
    assert held_at_once(sizes, work, workers) == held


def test_long_clips_are_whole_in_memory_while_they_are_collected():
    hour = [clip(3600, path=str(number)) for number in range(3)]
    two, one = (needs(hour, workers=workers)["collect_clips"].memory for workers in (2, 1))
    whole = 3600 * 8000 * 4 * 9 / 8
    decoder = 45e6  # a process of its own for each worker
    assert two - one == pytest.approx(whole + decoder, rel=0.1)
    assert one == pytest.approx(SOUND.base_bytes + whole + decoder, rel=0.1)


def test_rendering_holds_a_round_of_pictures():
    clips = [clip(1001, path="long")]  # 1000 blocks: 32 runs, of which 8 in a round of two workers
    large, small = (
        needs(clips, params(image__height=size, image__width=1000))["render_spectrograms"].memory
        for size in (1000, 500)
    )
    assert large - small == pytest.approx((8 * 32 + 2 * 8) * 1_500_000)


def test_chunks_are_whole_on_disk():
    assert [rows_in_chunks(n, 256) for n in (0, 1, 256, 257)] == [0, 256, 256, 512]


def test_what_is_kept_for_the_backward_pass_is_counted_once_and_without_weights():
    layers = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 5))
    # What enters the first layer, 2 x 4 floats; what leaves ReLU, 2 x 3, which the third layer keeps too.
    assert sorted(saved_for_backward(layers, zeros(2, 4))) == [24, 32]


def make_outputs(chosen, root):
    """Run every stage of the small project's first fold."""
    rate = chosen.audio.sample_rate
    listing = list_corpus("made", root / "made")
    collect_clips("made", root / "made", listing, sample_rate=rate, max_seconds=60, n_workers=1)
    fingerprint_corpus("made", sample_rate=rate, n_workers=1)
    cutting = chosen.slice.model_dump(exclude={"silent_blocks", "silent_below_lu"})
    slice_corpus("made", sample_rate=rate, silent_below_lu=None, **cutting)
    normalize_corpus(
        "made",
        sample_rate=rate,
        limit_peak=False,
        n_workers=1,
        **chosen.loudness.model_dump(exclude={"over_full_scale"}),
    )
    render_corpus("made", representation_of(chosen), n_workers=1)
    list_spectrograms(["made"])
    write_rows(paths.DUPLICATES, Duplicate, [])
    names = {field.name for field in dataclasses.fields(Choices)}
    split_corpora(["made"], Choices(**chosen.split.model_dump(include=names)), audit_fields=["speaker"])
    fetch_weights(chosen.model.name, "random", expected_sha256=None, folder=paths.weights_folder("a"))
    compute = Compute("cpu", 1, True)
    recipe = Recipe(
        seed=0, normalise="unit", **chosen.train.model_dump(exclude={"device", "threads", "processes", "deterministic"})
    )
    train_run(
        0,
        "a",
        network_name=chosen.model.name,
        init="torchvision",
        dropout=None,
        recipe=recipe,
        validation="none",
        compute=compute,
    )
    predict_run(0, "a", compute=compute)
    fit_baselines(0, ["made"])


def on_disk(*places):
    files = [file for place in places for file in ([place] if place.is_file() else place.rglob("*")) if file.is_file()]
    assert files
    return sum(file.stat().st_size for file in files)


@pytest.mark.usefixtures("one_thread")
def test_bytes_of_the_outputs_are_those_of_the_real_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "sounds"
    for number in range(12):
        label = ("anger", "joy", "neutral")[number % 3]
        write_sound(root / f"made/{label}/recording_{number:02d}.wav", 20 + number, seed=number)
    chosen = params(runs__folds=[0], data__root=str(root), spectrogram__n_columns=32, slice__slide_seconds=0.5)
    make_outputs(chosen, root)
    with open_rendered(list_spectrograms(["made"])) as images:
        names = [block.block_id for block in read_rows(paths.blocks_csv("made"), Block)]
        costs = measure_network(chosen.model, chosen.train, n_classes=3, images=images, block_ids=names)
    rows = needs(survey_corpora(chosen).clips, chosen, networks={"a": costs})
    found = {
        "collect_clips": on_disk(paths.CLIPS),
        "fingerprint_clips": on_disk(paths.fingerprints_h5("made")),
        "slice_blocks": on_disk(paths.blocks_csv("made")),
        "normalize_loudness": on_disk(paths.LOUDNESS),
        "render_spectrograms": on_disk(paths.SPECTROGRAMS),
        "split_blocks": on_disk(paths.SPLIT),
        "train_model": on_disk(paths.model_folder("0-a")),
        "predict_blocks": on_disk(paths.OUTPUTS),
        "fit_baselines": on_disk(paths.BASELINES),
    }
    estimated = {stage: rows[stage].disk for stage in found}
    tables = {"slice_blocks", "normalize_loudness", "split_blocks"}  # a row's length is a rough figure
    for stage, n_bytes in found.items():
        assert estimated[stage] == pytest.approx(n_bytes, rel=0.25 if stage in tables else 0.05), stage
    weights = (paths.model_folder("0-a") / WEIGHTS).stat().st_size
    assert costs.state_bytes == pytest.approx(weights, rel=0.03)  # and a header with the layers' names
    assert costs.n_features == 1024
    assert costs.step_seconds > costs.predict_seconds > 0
    assert costs.imagenet_bytes - costs.state_bytes == 997 * 1025 * 4  # a thousand classes for three


@pytest.mark.parametrize(
    ("kind", "values", "n_bytes"), [("stack", 2 * 64 * 64, 4), ("features", 26, 4), ("image", 24 * 20 * 3, 1)]
)
def test_bytes_are_those_of_what_blocks_become(kind, values, n_bytes):
    entering = {"image": "unit"}.get(kind, "standard")
    chosen = params(representation__kind=kind, model__normalise=entering)
    assert block_bytes(chosen) == values * n_bytes
    assert input_bytes(chosen) == values * (n_bytes + 8)  # and twice as floats
    rows = needs(CLIPS, chosen)
    n_blocks = sum(round(own.n_samples / 8000) - 1 for own in CLIPS)
    assert rows["render_spectrograms"].disk >= n_blocks * values * n_bytes
    assert rows["render_spectrograms"].disk - n_blocks * values * n_bytes < 300_000
    assert rows["render_spectrograms"].items == f"{n_blocks} {'image' if kind == 'image' else 'block'}s"


def test_frames_are_sampled_instead_of_rendered_and_take_their_time_by_the_second_of_video():
    rows = needs(CLIPS, params(representation__kind="faces", image__height=100, image__width=50), workers=1)
    n_blocks = sum(round(own.n_samples / 8000) - 1 for own in CLIPS)
    assert rows["sample_frames"].items == f"{n_blocks} frames"
    assert 0 < rows["sample_frames"].disk - n_blocks * 100 * 50 * 3 < 300_000
    # 0.1 s a second, or as long as it takes to write
    seconds = sum(own.decoded_seconds for own in CLIPS)
    assert rows["sample_frames"].seconds == pytest.approx(1 + 0.1 * seconds)
    assert rows["render_spectrograms"].items == "none"
    assert rows["render_spectrograms"].disk < 10_000
    other = needs(CLIPS, params())
    assert other["sample_frames"].items == "none"
    assert other["sample_frames"].seconds == 1
    assert other["sample_frames"].disk < 10_000


def test_whole_clips_are_a_block_each():
    chosen = params(slice__whole_clips=True)
    assert needs(CLIPS, chosen)["render_spectrograms"].items == f"{len(CLIPS)} images"


def test_relative_axes_that_reach_beyond_a_source_are_refused_before_any_work():
    clips = [clip(2.0, rate=8000), clip(4.0, "anger", rate=4000)]
    keys = {"slice__whole_clips": True, "representation__resample_samples": 8000}
    assert refusals(job(clips, params(**keys, spectrogram__max_hz=4000.0))) == []  # halved: up to 2000 Hz at most
    (line,) = refusals(job(clips, params()))
    assert "set spectrogram.max_hz to 2000 or lower" in line
    keys["representation__resample_samples"] = 16000
    (line,) = refusals(job(clips, params(**keys)))
    assert "render_spectrograms" in line
    assert "set audio.sample_rate to 4000 or lower" in line


# estimators and heads


def test_heads_take_their_fit_and_an_answer_for_every_block_of_each_fold():
    chosen = params(runs__folds=[0, 1], **HEAD)
    found = needs(chosen=chosen, heads={"h": HEAD_COSTS})
    need = found["train_head"]
    assert need.runs == 2
    assert need.items == "2 heads"
    # 3 s to start, the split of 3 folds of 40 blocks, 2 s to fit, 40 blocks of 1 ms: twice
    assert need.seconds == pytest.approx(2 * (3 + 120 * 6e-6 + 2 + 0.04))
    assert need.disk > 2 * 50_000
    # 40 blocks of 1024 features and 2 logits of 4 bytes, three times in memory
    split = 40 * 90
    assert need.memory == 100_000_000 + 80_000_000 + split + 1_000_000 + 3 * 40 * 4 * 1026
    assert found["list_heads"].seconds == pytest.approx(1 + 2 * 40 * 4 * 1026 / 1e9, rel=1e-6)
    more = found["evaluate_model"].seconds - needs(chosen=params(runs__folds=[0, 1]))["evaluate_model"].seconds
    assert more == pytest.approx(2 * (2000 + 2000) * 4 * 1e-7)  # 2 levels, 2000 resamples of 4 clips, and calibration


def test_without_heads_there_is_only_their_empty_list():
    found = needs()
    assert "train_head" not in found
    assert found["list_heads"].items == "0 heads"


@pytest.mark.parametrize("kind", ["svm", "softmax_regression", "naive_bayes", "lda", "qda", "gmm"])
def test_an_estimator_is_measured_on_few_rows_and_columns(kind):
    small, large = (
        measure_estimator(kind, Options(n_mixtures=2), n_rows=n_rows, n_columns=n_columns, n_classes=3)
        for n_rows, n_columns in ((60, 5), (3_000_000, 3000))
    )
    assert small.timed_rows == 60
    assert large.timed_rows == 300
    assert 0 < small.fit_seconds < 30
    assert large.fit_seconds > 100 * small.fit_seconds
    assert small.fit_bytes >= 4 * 60 * 5 * 8
    assert large.fit_bytes >= 4 * 3_000_000 * 3000 * 8


@pytest.mark.parametrize(("kind", "n_columns", "n_covariances"), [("lda", 8200, 1), ("qda", 5000, 3), ("gmm", 3000, 9)])
def test_what_no_run_would_fit_is_refused_before_it_is_timed(kind, n_columns, n_covariances):
    with pytest.raises(ModelError, match=rf"^{kind}: {n_covariances} covariances of {n_columns} columns hold over"):
        measure_estimator(kind, Options(n_mixtures=3), n_rows=60, n_columns=n_columns, n_classes=3)


@pytest.mark.parametrize("kind", ["lda", "qda", "gmm", "naive_bayes"])
def test_noise_without_a_density_is_timed_all_the_same(kind):
    options = Options(regularisation=0.0)
    assert measure_estimator(kind, options, n_rows=3000, n_columns=90, n_classes=7).fit_seconds > 0
    assert measure_estimator(kind, options, n_rows=3, n_columns=4, n_classes=3).fit_seconds > 0


def test_a_mixture_has_no_more_gaussians_than_a_class_has_rows():
    few, many = (
        measure_estimator("gmm", Options(n_mixtures=n), n_rows=12, n_columns=50, n_classes=3) for n in (4, 1000)
    )
    assert (many.file_bytes, many.fit_bytes) == (few.file_bytes, few.fit_bytes)


@pytest.mark.parametrize("kind", ["svm", "qda", "gmm"])
def test_a_file_of_an_estimator_is_not_larger_than_was_said(kind, tmp_path):
    rng = np.random.default_rng(0)
    values, labels = rng.normal(size=(90, 40)), np.arange(90) % 3
    options = Options(n_mixtures=2)
    save_estimator(tmp_path / "e", fit_estimator(kind, values, labels, n_classes=3, options=options, seed=0))
    costs = measure_estimator(kind, options, n_rows=90, n_columns=40, n_classes=3)
    assert 0.5 * costs.file_bytes < (tmp_path / "e").stat().st_size < 1.15 * costs.file_bytes


def test_a_member_that_is_an_estimator_is_one_fit_in_place_of_all_steps():
    class Images:
        kind, shape = "features", (26,)

        def batch(self, ids):
            return np.zeros((len(ids), 26), np.float32)

    chosen = params(model__name="svm", model__normalise="standard", representation__kind="features")
    model, train, _ = chosen.of_member("a")
    costs = measure_member(model, train, n_rows=100, n_classes=3, images=Images(), block_ids=["x"] * 9)
    assert costs.device == "cpu"
    assert costs.n_features == 26
    assert costs.saved_bytes * train.batch_images == 4 * 100 * 26 * 8
    n_steps = 2 * 13  # two epochs of 100 in batches of 8
    assert 0 < costs.step_seconds * n_steps < 30


class Blank:
    """Pictures of nothing, as `Rendered` gives them."""

    kind = "image"

    def __init__(self, *shape):
        self.shape = shape

    def batch(self, block_ids):
        return np.zeros((len(block_ids), *self.shape), dtype=np.uint8)


def measured(images, free, monkeypatch, **keys):
    monkeypatch.setattr("pipeline.plan.network_costs.free_memory", lambda: free)
    chosen = params(**keys)
    return measure_network(chosen.model, chosen.train, n_classes=7, images=images, block_ids=["a"])


def test_a_network_that_is_too_large_for_the_memory_is_counted_and_not_built(monkeypatch):
    # Badshah's as printed, 458 894 631 weights (tests/models/test_convnets.py): with AdamW four times, kept 1.25 times
    n_bytes = 4 * 458_894_631
    costs = measured(Blank(256, 256, 3), 5 * n_bytes - 100, monkeypatch, model__name="badshah_printed")
    assert costs.timed_images == 0
    assert costs.state_bytes == costs.trainable_bytes == n_bytes
    assert costs.n_features == 2048
    # the first convolution's output, which ReLU keeps: 120 x 62 x 62 floats
    assert costs.largest_bytes == 4 * 120 * 62 * 62
    assert costs.step_seconds > costs.predict_seconds > 0
    shown = page_of(costs)
    assert "not tried but counted layer by layer" in shown


def page_of(costs):
    return _how_measured(job(CLIPS, networks={"a": costs}))


@pytest.mark.usefixtures("one_thread")
def test_what_is_counted_is_what_is_measured(monkeypatch):
    images, keys = Blank(40, 64, 3), {"model__name": "anand_r2", "model__frozen": ["convolutions"]}
    counted = measured(images, 0, monkeypatch, **keys)
    tried = measured(images, 10**12, monkeypatch, **keys)
    assert tried.timed_images == 8
    times = {"step_seconds": 0.0, "predict_seconds": 0.0, "timed_images": 0}
    assert dataclasses.replace(counted, **times) == dataclasses.replace(tried, **times)
    # frozen: 32 filters of 3 x 40 x 5 and their biases; 60 columns are left, then 30; 64 hidden units; 7 classes
    learning = 30 * 32 * 64 + 64 + 64 * 7 + 7
    assert counted.trainable_bytes == 4 * learning
    assert counted.state_bytes == 4 * (learning + 32 * (3 * 40 * 5 + 1))


def test_our_own_networks_refuse_in_a_plan_what_is_not_theirs(monkeypatch):
    with pytest.raises(ModelError, match=r"model\.hidden: fc2 has 1 hidden layer, not 2"):
        measured(Blank(16, 20, 3), 10**12, monkeypatch, model__name="fc2", model__hidden=[8, 8])


SEQUENCE = {"model__sequence": "bilstm", "model__sequence_units": 8, "split__balance": "none"}


def test_a_batch_of_sequences_holds_the_longest_clip_or_a_stretch_of_it():
    long = [clip(2001, label, path=f"{label}{number}") for label in ("joy", "anger") for number in range(3)]

    def batch(**keys):
        """Bytes of a batch beside the weights, of 2000 blocks of a clip: 1.335 MB each, as above."""
        made = params(train__optimizer="sgd", train__momentum=0.0, image__height=100, image__width=50, **keys)
        return needs(long, made)["train_model"].memory / 1.25e6

    one_more = batch(**SEQUENCE, train__batch_images=3000) - batch(**SEQUENCE, train__batch_images=2000)
    assert one_more == pytest.approx(1.335 * 1000)
    assert batch(**SEQUENCE, train__batch_images=8) == batch(**SEQUENCE, train__batch_images=2000)
    stretch = {**SEQUENCE, "model__sequence_blocks": 500}
    assert batch(**stretch, train__batch_images=8) == pytest.approx(
        batch(**SEQUENCE, train__batch_images=8) - 1.335 * 1500
    )
    alone = {**SEQUENCE, "model__sequence": "none"}
    assert batch(**alone, train__batch_images=500) == pytest.approx(batch(**stretch, train__batch_images=8))


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("free", [0, 10**12])
def test_recurrent_networks_are_counted_and_measured(monkeypatch, free):
    images, keys = Blank(16, 20, 3), {**SEQUENCE, "model__dropout": 0.0}
    # two directions of four gates of 8 units, each with two biases, and the linear layer of 7 classes
    flat = 4 * (2 * 4 * 8 * (16 * 20 * 3 + 8 + 2) + 7 * (16 + 1))
    costs = measured(images, free, monkeypatch, model__name="flat", **keys)
    assert costs.state_bytes == costs.trainable_bytes == flat
    assert costs.n_features == 16
    assert costs.step_seconds > 0
    both = measured(images, free, monkeypatch, model__name="fc2", **keys)
    trunk, recurrent = 4 * (16 * 20 * 3 * 64 + 64), 4 * (2 * 4 * 8 * (64 + 8 + 2) + 7 * (16 + 1))
    assert both.trainable_bytes == trunk + recurrent
    assert both.imagenet_bytes == trunk + 4 * 1000 * 65


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("kind", ["lstm", "bilstm"])
def test_a_recurrent_head_is_measured_on_few_rows_and_columns(kind):
    keys = {"member": "a", "kind": kind, "units": 4}
    small, large = (
        measure_head(Head(**keys), n_rows=n_rows, n_columns=n_columns, n_classes=3)
        for n_rows, n_columns in ((60, 5), (300_000, 5000))
    )
    assert small.timed_rows == 60
    assert large.timed_rows == 300
    assert large.fit_seconds > 100 * small.fit_seconds > 0
    n_ways = 2 if kind == "bilstm" else 1
    weights = n_ways * 4 * 4 * (5000 + 4 + 2) + 3 * (4 * n_ways + 1)
    assert large.file_bytes == pytest.approx(4 * weights + 2 * 8 * 5000, rel=0.05)


@pytest.mark.usefixtures("one_thread")
def test_a_huge_recurrent_head_is_counted_and_never_built(monkeypatch):
    built = []

    def fit(*given, options, **named):
        built.append(options.units)
        return fit_sequences(*given, options=options, **named)

    monkeypatch.setattr("pipeline.plan.estimator_costs.fit_sequences", fit)
    head = Head(member="a", kind="bilstm", units=8192, layers=2)
    costs = measure_head(head, n_rows=20, n_columns=3, n_classes=2)
    assert max(built) <= 256
    # two directions of four gates, each with two biases; the second layer sees both directions of the first
    weights = 2 * 4 * 8192 * (3 + 8192 + 2) + 2 * 4 * 8192 * (2 * 8192 + 8192 + 2) + 2 * (2 * 8192 + 1)
    assert costs.file_bytes == pytest.approx(4 * weights, rel=0.001)
