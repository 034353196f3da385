"""Training on clips as sequences: steps by hand, runs from files to files, and splits that are refused."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from made_run import (
    CLASSES,
    ON_CPU,
    SMALL,
    coloured,
    files_under,
    make_project,
    one_thread,  # noqa: F401 - a fixture
    recipe,
    train,
    write_images,
)
from made_run import (
    SPLIT as CHOICES,
)

from pipeline.errors import ModelError, SplitError
from pipeline.learning.sides import Side
from pipeline.learning.stepping import CLIP_NORM
from pipeline.models.checkpoint import load_model
from pipeline.models.inference import outputs_of_clips
from pipeline.models.preparation import Preparation
from pipeline.models.recurrent import Recurrence, SequenceNetwork, start_sequence
from pipeline.runs import predict_run
from pipeline.store.folds import read_fold, read_outputs
from pipeline.store.paths import SPECTROGRAMS_LIST, SPLIT, VARIANTS, blocks_csv, curves_csv, model_folder, outputs_h5
from pipeline.store.rendered import open_rendered
from pipeline.store.tables import Block, SpectrogramFile, SplitRow, read_rows, write_rows
from pipeline.train import train_network

CPU = torch.device("cpu")
LSTM = Recurrence(kind="lstm", units=8)
BOTH = Recurrence(kind="bilstm", units=8)
WAY = Preparation(normalise="unit")


class Pictures:
    def __init__(self, images):
        self.images = images
        self.asked = []

    def batch(self, block_ids):
        self.asked.append([int(block_id) for block_id in block_ids])
        return self.images[self.asked[-1]]


def side(labels, lengths, first=0):
    names = [str(number) for number in range(first, first + len(labels))]
    return Side(block_ids=names, labels=np.array(labels, dtype=np.int64), lengths=tuple(lengths))


def start(name="flat", recurrence=LSTM, seed=0):
    return start_sequence(
        name, recurrence, n_classes=3, weights=None, init="kaiming", seed=seed, shape=(3, 32, 24), dropout=0.0
    )


def run(network, labels, lengths, *, validation=None, images=None, **changed):
    everything = list(labels) + (list(validation.labels) if validation else [])
    pictures = Pictures(coloured(everything, height=32, width=24) if images is None else images)
    points = []
    kept = train_network(
        network,
        pictures,
        side(labels, lengths),
        validation,
        n_classes=3,
        recipe=recipe(**changed),
        preparation=WAY,
        device=CPU,
        on_point=points.append,
    )
    return points, kept, pictures.asked


# steps


@pytest.mark.parametrize("name", ["flat", "squeezenet1_1"])
def test_a_step_goes_down_the_mean_over_clips_of_the_mean_over_their_blocks(name):
    labels, lengths = [0, 0, 0, 1, 2, 2], [3, 1, 2]
    images = coloured(labels, height=32, width=24)
    network = start(name)
    by_hand = copy.deepcopy(network).train()
    values = torch.from_numpy(images).permute(0, 3, 1, 2) / 255
    losses = []
    for first, last in ((0, 3), (3, 4), (4, 6)):  # each clip alone, so nothing of the others can matter
        logits = by_hand.recurrent(by_hand.features_of(values[first:last]), [last - first])[0]
        losses.append((logits.exp().sum(dim=1).log() - logits[range(last - first), labels[first:last]]).mean())
    (sum(losses) / 3).backward()
    norm = torch.stack([parameter.grad.norm() for parameter in by_hand.recurrent.parameters()]).norm()
    assert norm < CLIP_NORM
    run(network, labels, lengths, images=images, optimizer="sgd", learning_rate=0.1, epochs=1, batch_images=6)
    moved = 0
    for (key, value), before in zip(network.named_parameters(), by_hand.parameters(), strict=True):
        if before.grad is None:
            assert key.startswith("blocks.trunk.classifier.1.")  # the head that answers nothing
            assert torch.equal(value, before)
            continue
        torch.testing.assert_close(value, before - 0.1 * before.grad, rtol=1e-4, atol=1e-6)
        moved += not torch.equal(value, before)
    assert moved >= 5


def test_the_gradient_of_the_recurrent_part_is_cut_to_its_norm():
    network = start("squeezenet1_1")
    with torch.no_grad():
        network.recurrent.classes.weight.mul_(20_000)
    before = copy.deepcopy(network)
    run(network, [0, 1, 2, 0], [2, 2], optimizer="sgd", learning_rate=1e-3, epochs=1, batch_images=4)
    moves = [
        (new - old).norm()
        for new, old in zip(network.recurrent.parameters(), before.recurrent.parameters(), strict=True)
    ]
    assert torch.stack(moves).norm().item() == pytest.approx(1e-3 * CLIP_NORM, rel=2e-2)
    trunk = [(new - old).norm() for new, old in zip(network.trunk_parameters(), before.trunk_parameters(), strict=True)]
    assert torch.stack(trunk).norm().item() > 1e-3 * CLIP_NORM


def test_of_a_frozen_network_only_the_lstm_learns():
    network = start_sequence(
        "shufflenet_v2_x0_5",
        LSTM,
        n_classes=3,
        weights=None,
        init="kaiming",
        seed=0,
        shape=(3, 32, 24),
        frozen="all",
    )
    before = {key: value.clone() for key, value in network.state_to_save().items()}
    run(network, [0, 1, 2, 0], [2, 2], epochs=2, batch_images=2)
    for key, value in network.state_to_save().items():
        assert torch.equal(value, before[key]) == key.startswith("blocks."), key


def test_whole_clips_are_asked_for_in_their_order():
    lengths = [3, 2, 4, 1]
    _, _, asked = run(start(), [0] * 3 + [1] * 2 + [2] * 4 + [0], lengths, epochs=3, batch_images=5, validate_every=99)
    clips = {0: [0, 1, 2], 3: [3, 4], 5: [5, 6, 7, 8], 9: [9]}
    seen = []
    for batch in asked:
        firsts = [block for block in batch if block in clips]
        assert batch == [block for first in firsts for block in clips[first]]
        seen += firsts
    assert sorted(seen) == sorted([*clips] * 3)


def test_a_stretch_of_a_long_clip_bounds_a_step():
    _, _, asked = run(start(), [0] * 12 + [1] * 2, [12, 2], epochs=8, batch_images=1, sequence_blocks=3)
    assert sorted({len(batch) for batch in asked}) == [2, 3]
    long = [batch for batch in asked if len(batch) == 3]
    assert all(batch == list(range(batch[0], batch[0] + 3)) for batch in long)
    assert len({batch[0] for batch in long}) > 2


def test_the_watched_clips_are_answered_whole_and_the_best_weights_stay():
    labels, lengths = [0, 0, 1, 1, 1, 2, 2], [2, 3, 2]
    watched = side([0, 0, 1, 2, 2], [2, 1, 2], first=7)
    images = coloured([*labels, *watched.labels], height=32, width=24)
    network = start("flat", BOTH)
    points, kept, _ = run(
        network,
        labels,
        lengths,
        validation=watched,
        images=images,
        epochs=4,
        batch_images=4,
        keep="best",
        validate_every=1,
    )
    last = next(point for point in points if point.side == "validation" and point.iteration == kept)
    logits = np.concatenate(
        [
            own
            for own, _ in outputs_of_clips(
                network, [[images[7:9]], [images[9:10]], [images[10:12]]], preparation=WAY, device=CPU
            )
        ]
    )
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert last.loss == pytest.approx(-np.log(chances[range(5), watched.labels]).mean(), abs=2e-6)
    best = max((point.uar, -point.loss) for point in points if point.side == "validation")
    assert (last.uar, -last.loss) == best
    assert points[-1].epoch == 4


# runs


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_project()
    return tmp_path


@pytest.mark.parametrize("network", ["flat", SMALL])
def test_a_run_twice_writes_the_same_bytes_and_answers_every_block_in_the_order_of_the_split(project, network):
    def everything():
        train(1, network=network, recurrence=BOTH)
        predict_run(1, "a", compute=ON_CPU)
        return files_under(project)

    first = everything()
    assert first == everything()
    loaded, card, way = load_model(model_folder("1-a"))
    assert isinstance(loaded, SequenceNetwork)
    assert card.network == network
    assert {key: card.sequence[key] for key in ("kind", "units", "layers")} == dataclasses.asdict(BOTH)
    fold, outputs = read_fold(1), read_outputs(outputs_h5("1-a"), "logits", "features")
    assert outputs.block_ids == [row.block_id for row in fold.rows]
    assert outputs.values["features"].shape == (36, 16)
    assert outputs.about["sequence"] == card.sequence
    with open_rendered(read_rows(SPECTROGRAMS_LIST, SpectrogramFile)) as images:
        for clip_id in ("made/anger0.wav", "made/neutral2.wav"):
            rows = [index for index, row in enumerate(fold.rows) if row.clip_id == clip_id]
            values = images.batch([fold.rows[index].block_id for index in rows])
            ((logits, hidden),) = outputs_of_clips(loaded, [[values]], preparation=way, device=CPU)
            np.testing.assert_allclose(outputs.values["logits"][rows], logits, atol=1e-6)
            np.testing.assert_allclose(outputs.values["features"][rows], hidden, atol=1e-6)


def test_blocks_that_are_listed_in_another_order_are_answered_alike(project):
    train(0, network="flat", recurrence=LSTM)
    predict_run(0, "a", compute=ON_CPU)
    before = read_outputs(outputs_h5("0-a"), "logits")
    rows = read_rows(SPLIT, SplitRow)
    write_rows(SPLIT, SplitRow, rows[::-1])
    predict_run(0, "a", compute=ON_CPU)
    after = read_outputs(outputs_h5("0-a"), "logits")
    assert after.block_ids == before.block_ids[::-1]
    np.testing.assert_array_equal(after.values["logits"], before.values["logits"][::-1])


def add_variants(numbers=(1, 2)):
    """Two altered copies of each clip, one of them a block shorter."""
    blocks = read_rows(blocks_csv("made"), Block)
    altered = [
        dataclasses.replace(block, block_id=f"{block.block_id}~{number}", variant=number)
        for number in numbers
        for block in blocks
        if number == 1 or block.start
    ]
    write_rows(VARIANTS, Block, altered)
    everything = [*blocks, *altered]
    labels = [next(i for i, name in enumerate(CLASSES) if name in block.clip_id) for block in everything]
    write_images([block.block_id for block in everything], coloured(labels))


def test_altered_copies_are_sequences_of_their_own(project, monkeypatch, capsys):
    add_variants()
    seen = []
    monkeypatch.setattr("pipeline.runs.train_network", lambda _n, _i, training, *_a, **_o: seen.append(training) or 1)
    train(0, network="flat", recurrence=LSTM)
    (training,) = seen
    assert sorted(training.lengths) == [2] * 8 + [3] * 16  # 8 clips, their copies of 3, and of 2 blocks
    start = 0
    for length in training.lengths:
        names = training.block_ids[start : start + length]
        assert len({(name.partition("@")[0], name.partition("~")[2]) for name in names}) == 1
        places = [int(name.partition("@")[2].partition("~")[0]) for name in names]
        assert places == sorted(places)
        start += length
    assert "train 0-a: 24 clips of 2 to 3 blocks as sequences\n" in capsys.readouterr().err


def test_gaps_that_slicing_left_are_said(project, capsys):
    kept = [row for row in read_rows(SPLIT, SplitRow) if row.block_id != "made/joy1.wav@1000"]
    write_rows(SPLIT, SplitRow, kept)
    test_fold = next(row.fold for row in kept if row.clip_id == "made/joy1.wav" and row.side == "test")
    train((test_fold + 1) % 3, network="flat", recurrence=LSTM, epochs=1)
    said = capsys.readouterr().err
    assert (
        "8 clips of 2 to 3 blocks as sequences; in 1 of them slicing left blocks out, and those around follow" in said
    )


# refusals


@pytest.mark.parametrize(
    ("split", "said"),
    [
        ({"by": "block"}, r"on the sides test and train, .* set split\.by to clip or a wider field"),
        ({"balance": "all"}, r"on the sides dropped and (test|train), .* set split\.balance to none"),
    ],
)
def test_splits_that_tear_clips_are_refused(project, split, said):
    if "balance" in split:
        kept = [block for block in read_rows(blocks_csv("made"), Block) if block.block_id != "made/joy1.wav@1000"]
        write_rows(blocks_csv("made"), Block, kept)
    from pipeline.split.choices import Choices
    from pipeline.split.corpora import split_corpora

    split_corpora(["made"], Choices(**(CHOICES | split)), audit_fields=[])
    with pytest.raises(SplitError, match=said) as caught:
        train(0, network="flat", recurrence=LSTM)
    assert "\n" not in str(caught.value)
    assert not model_folder("0-a").exists()


def test_balancing_of_altered_copies_is_refused(project):
    with pytest.raises(SplitError, match=r"model\.sequence: lstm needs all .* set split\.balance to none"):
        train(0, network="flat", recurrence=LSTM, balanced=True)


def test_a_size_of_image_that_the_network_cannot_take_is_refused_before_training(project):
    with pytest.raises(ModelError, match="vit_b_32 cannot take images of 24 x 20 pixels"):
        train(0, network="vit_b_32", recurrence=LSTM)
    assert not curves_csv("0-a").exists()
