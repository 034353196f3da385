"""Recurrent networks against the equations of their cells in NumPy, and what must not matter: padding and batches."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from made_run import coloured, one_thread  # noqa: F401 - a fixture

from pipeline.errors import ModelError
from pipeline.models.checkpoint import WEIGHTS, ModelCard, load_model, save_model
from pipeline.models.inference import outputs_of_clips, refuse_unfit_shape
from pipeline.models.networks import HEAD_DEVIATION, Network
from pipeline.models.preparation import Preparation
from pipeline.models.recurrent import (
    RECURRENT,
    Recurrence,
    Recurrent,
    SequenceNetwork,
    start_classifier,
    start_sequence,
)
from pipeline.models.weights import fetch_weights

SOURCES = Path(__file__).resolve().parents[2] / "src"
CPU = torch.device("cpu")
WAY = Preparation(normalise="unit")
SMALL = "squeezenet1_1"  # no batch normalisation
IN_A_NEW_PROCESS = """
import sys, numpy, torch
from pathlib import Path
from pipeline.models.checkpoint import load_model
torch.set_num_threads(1)
folder = Path(sys.argv[1])
for name in sys.argv[2:]:
    network, _, _ = load_model(folder / name)
    with torch.inference_mode():
        logits = network(torch.from_numpy(numpy.load(folder / "images.npy")), [1, 3])
    numpy.save(folder / f"{name}.npy", torch.softmax(logits, 1).numpy())
"""


def made(kind="lstm", *, n_features=3, units=5, layers=1, n_classes=4, seed=0):
    torch.manual_seed(seed)
    return Recurrent(
        Recurrence(kind=kind, units=units, layers=layers), n_features=n_features, n_classes=n_classes
    ).eval()


def started(name=SMALL, kind="lstm", *, seed=1, units=6, weights=None, **options):
    return start_sequence(
        name,
        Recurrence(kind=kind, units=units),
        **{"n_classes": 3, "weights": weights, "init": "kaiming", "seed": seed, "shape": (3, 40, 36), **options},
    )


def sequences(*lengths, n_features=3, seed=0):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.standard_normal((sum(lengths), n_features)).astype(np.float32)), list(lengths)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def one_direction(steps, state, suffix):
    """Hidden states of one layer in one direction, by the cell's equations; gates lie in the order i, f, g, o."""
    by_input, by_state, bias_in, bias_state = (
        state[f"{name}_l{suffix}"].numpy().astype(np.float64)
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    n_units = by_state.shape[1]
    h, c, hidden = np.zeros(n_units), np.zeros(n_units), []
    for x in steps:
        i, f, g, o = (by_input @ x + bias_in + by_state @ h + bias_state).reshape(4, n_units)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        hidden.append(h)
    return np.array(hidden)


def by_equations(network, steps, *, layers, both):
    state = network.lstm.state_dict()
    for layer in range(layers):
        ways = [one_direction(steps, state, str(layer))]
        if both:
            ways.append(one_direction(steps[::-1], state, f"{layer}_reverse")[::-1])
        steps = np.concatenate(ways, axis=1)
    linear = network.classes
    return steps @ linear.weight.detach().numpy().astype(np.float64).T + linear.bias.detach().numpy(), steps


# the equations


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("kind", RECURRENT)
def test_states_and_logits_are_those_of_the_cells_equations(kind, layers):
    network = made(kind, layers=layers)
    values, lengths = sequences(4)
    with torch.no_grad():
        logits, hidden = network(values, lengths)
    expected_logits, expected_hidden = by_equations(
        network, values.double().numpy(), layers=layers, both=kind == "bilstm"
    )
    assert hidden.shape == (4, 10 if kind == "bilstm" else 5)
    np.testing.assert_allclose(hidden.numpy(), expected_hidden, atol=1e-6)
    np.testing.assert_allclose(logits.numpy(), expected_logits, atol=1e-6)


def test_one_step_by_hand():
    # one unit, one feature: i = s(0.5 x), f plays no part in the first step, g = tanh(2 x), o = s(-x); x = 1
    network = made(n_features=1, units=1, n_classes=2)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.lstm.weight_ih_l0[:, 0] = torch.tensor([0.5, 3.0, 2.0, -1.0])
        network.classes.weight[:, 0] = torch.tensor([1.0, -1.0])
        logits, hidden = network(torch.ones(1, 1), [1])
    c = 0.6224593 * 0.9640276
    assert hidden.item() == pytest.approx(0.2689414 * np.tanh(c), abs=1e-6)
    assert logits.tolist()[0] == pytest.approx([hidden.item(), -hidden.item()], abs=1e-7)


# what must not matter


@pytest.mark.parametrize("kind", RECURRENT)
def test_a_batch_of_unequal_clips_is_answered_as_each_alone(kind):
    network = made(kind, layers=2)
    values, lengths = sequences(2, 7, 1, 4)
    with torch.no_grad():
        together, hidden = network(values, lengths)
        alone = [network(own, [len(own)]) for own in torch.split(values, lengths)]
    assert together.std(dim=0).min() > 1e-3
    np.testing.assert_allclose(together, torch.cat([logits for logits, _ in alone]), atol=1e-6)
    np.testing.assert_allclose(hidden, torch.cat([states for _, states in alone]), atol=1e-6)


@pytest.mark.parametrize("kind", RECURRENT)
@pytest.mark.parametrize("filling", [1e6, float("nan")])
def test_what_fills_a_clip_up_changes_nothing(kind, filling):
    network = made(kind, layers=2)
    padded = torch.randn(3, 6, 3, generator=torch.Generator().manual_seed(0))
    lengths = [6, 2, 4]
    with torch.no_grad():
        before = network.states(padded, lengths)
        for own, length in zip(padded, lengths, strict=True):
            own[length:] = filling
        after = network.states(padded, lengths)
    assert torch.equal(before, after)
    assert not after[1, 2:].any()
    assert after[1, :2].all()


@pytest.mark.parametrize("kind", RECURRENT)
def test_no_gradient_goes_to_what_fills_a_clip_up(kind):
    padded = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    made(kind).states(padded, [5, 2]).sum().backward()
    assert not padded.grad[1, 2:].any()
    assert padded.grad[1, :2].all()
    assert padded.grad[0].all()


def test_one_direction_does_not_look_ahead():
    network = made("lstm", layers=2)
    values, _ = sequences(6)
    changed = values.clone()
    changed[4:] += 1
    with torch.no_grad():
        (before, _), (after, _), (short, _) = network(values, [6]), network(changed, [6]), network(values[:4], [4])
    np.testing.assert_allclose(before[:4], after[:4], atol=1e-7)
    np.testing.assert_allclose(before[:4], short, atol=1e-7)
    assert (before[4:] - after[4:]).abs().min() > 1e-4


def test_two_directions_look_at_the_whole_clip():
    network = made("bilstm")
    values, _ = sequences(6)
    changed = values.clone()
    changed[5] += 1
    with torch.no_grad():
        (before, _), (after, _) = network(values, [6]), network(changed, [6])
    assert (before[0] - after[0]).abs().max() > 1e-6


@pytest.mark.parametrize("kind", RECURRENT)
def test_the_order_of_the_blocks_matters(kind):
    network = made(kind)
    values, _ = sequences(5)
    with torch.no_grad():
        (forth, _), (back, _) = network(values, [5]), network(values.flip(0), [5])
    assert (forth.mean(0) - back.mean(0)).abs().max() > 1e-4


@pytest.mark.parametrize("name", [SMALL, "shufflenet_v2_x0_5", "flat"])
def test_parts_of_a_clip_are_read_as_the_whole(name):
    # shufflenet has batch normalisation: trained or not, a clip's answers rest on that clip alone
    network = started(name, "bilstm").eval()
    images = coloured([0, 1, 2, 0, 1], height=40, width=36)
    whole, other, parts = outputs_of_clips(
        network, [[images], [images[:2]], [images[:2], images[2:3], images[3:]]], preparation=WAY, device=CPU
    )
    assert whole[0].shape == (5, 3)
    assert whole[1].shape == (5, 12)
    np.testing.assert_allclose(whole[0], parts[0], atol=1e-6)
    np.testing.assert_allclose(whole[1], parts[1], atol=1e-6)
    assert np.abs(other[0] - whole[0][:2]).max() > 1e-7


# starting weights


@pytest.mark.parametrize("kind", RECURRENT)
def test_kaiming_starts_with_open_forget_gates_and_orthogonal_states(kind):
    network = started("flat", kind, units=4, shape=(50,)).recurrent
    for name, parameter in network.lstm.named_parameters():
        gates = parameter.detach().reshape(4, 4, -1)
        if name.startswith("bias"):
            wanted = torch.zeros(4, 4, 1)
            wanted[1] = name.startswith("bias_ih")
            assert torch.equal(gates, wanted)
        elif name.startswith("weight_hh"):
            for gate in gates:
                torch.testing.assert_close(gate @ gate.T, torch.eye(4), atol=1e-5, rtol=0)
        else:
            limit = np.sqrt(6 / (50 + 4))
            assert 0.8 * limit < gates.abs().max() <= limit
    assert network.classes.weight.std().item() == pytest.approx(HEAD_DEVIATION, rel=0.7)
    assert not network.classes.bias.any()


def test_the_seed_draws_all_weights_and_nothing_outside():
    before = torch.get_rng_state()
    first, again, other = (started(seed=seed).state_to_save() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(value, again[key]) for key, value in first.items())
    drawn = [key for key in first if not key.endswith("bias") and "bias_" not in key]
    assert all(not torch.equal(first[key], other[key]) for key in drawn)


def test_given_weights_are_those_of_the_network_of_each_block():
    state = {key: value + 1 for key, value in Network(SMALL, 1000).trunk.state_dict().items()}
    network = started(weights=state)
    own = network.blocks.trunk.state_dict()
    assert all(torch.equal(own[key], value) for key, value in state.items() if not key.startswith("classifier.1."))
    with pytest.raises(ModelError, match=r"model\.weights: not weights of alexnet"):
        started("alexnet", weights=state)


# networks of blocks


def test_flat_sees_the_values_as_they_are():
    network = started("flat", shape=(2, 3, 4))
    values = torch.arange(48.0).reshape(2, 2, 3, 4)
    assert torch.equal(network.features_of(values), values.reshape(2, 24))
    assert network.trunk_parameters() == []


def test_flat_alone_or_with_weights_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"flat answers nothing by itself: set model\.sequence to lstm or bilstm"):
        Network("flat", 3)
    for key, value in {"weights": {"a": torch.zeros(1)}, "frozen": 1, "options": {"hidden": [3]}}.items():
        named = {"options": "hidden"}.get(key, key)
        with pytest.raises(ModelError, match=rf"model\.{named}: flat .* has no layers: set model\.weights to random"):
            started("flat", **{key: value})
    assert fetch_weights("flat", "random", expected_sha256=None, folder=tmp_path)["network"] == "flat"
    with pytest.raises(ModelError, match="there are no imagenet weights of flat"):
        fetch_weights("flat", "imagenet", expected_sha256=None, folder=tmp_path)


def test_another_kind_is_refused():
    with pytest.raises(ModelError, match=r"model\.sequence: 'gru' is none of lstm, bilstm"):
        started(kind="gru")


@pytest.mark.parametrize("name", ["resnet18", SMALL])
def test_what_enters_the_head_is_what_the_lstm_sees_and_gradients_reach_the_first_layer(name):
    network = started(name)
    values = torch.rand(4, 3, 40, 36, generator=torch.Generator().manual_seed(0))
    network.eval()
    assert torch.equal(network.features_of(values), network.blocks.logits_and_features(values)[1])
    network(values, [1, 3]).square().sum().backward()
    assert network.trunk_parameters()[0].grad.abs().max() > 0
    assert all(parameter.grad.abs().max() > 0 for parameter in network.head_parameters() if parameter.dim() > 1)
    assert {id(p) for p in network.blocks.head_parameters()}.isdisjoint(
        {id(p) for p in [*network.trunk_parameters(), *network.head_parameters()]}
    )


def test_a_shape_that_the_network_cannot_take_is_refused():
    with pytest.raises(ModelError, match="vit_b_32 cannot take images of 40 x 36 pixels"):
        refuse_unfit_shape(started("vit_b_32"), "vit_b_32", (40, 36, 3), kind="image", normalise="unit")
    refuse_unfit_shape(started(), SMALL, (40, 36, 3), kind="image", normalise="unit")
    refuse_unfit_shape(started("flat"), "flat", (40, 36, 3), kind="image", normalise="unit")


# saved


def card_of(network, name):
    return ModelCard(
        network=name,
        shape=(3, 40, 36),
        classes=("anger", "joy", "neutral"),
        representation={},
        normalise="unit",
        start={},
        seed=1,
        fold=0,
        images_sha256={},
        kept_iteration=1,
        selected_on_test=False,
        sequence=network.about,
    )


def test_another_process_gives_the_same_probabilities(tmp_path):
    images = np.random.default_rng(0).standard_normal((4, 3, 40, 36)).astype(np.float32)
    np.save(tmp_path / "images.npy", images)
    expected = {}
    for name, kind in ((SMALL, "lstm"), ("shufflenet_v2_x0_5", "bilstm"), ("flat", "bilstm")):
        network = started(name, kind)
        for key, value in network.state_to_save().items():
            if "running" in key:
                value.add_(0.5)
        save_model(tmp_path / name, network, card_of(network, name), WAY)
        with torch.inference_mode():
            expected[name] = torch.softmax(network.eval()(torch.from_numpy(images), [1, 3]), 1).numpy()
    subprocess.run(
        [sys.executable, "-c", IN_A_NEW_PROCESS, tmp_path, *expected],
        env={"PYTHONPATH": str(SOURCES)},
        check=True,
        timeout=120,
    )
    for name, probabilities in expected.items():
        assert np.ptp(probabilities, axis=0).max() > 0
        np.testing.assert_array_equal(np.load(tmp_path / f"{name}.npy"), probabilities)


def test_the_head_that_answers_nothing_is_not_saved(tmp_path):
    network = started()
    save_model(tmp_path, network, card_of(network, SMALL), WAY)
    keys = set(network.state_to_save())
    assert {key.split(".")[0] for key in keys} == {"blocks", "recurrent"}
    assert not any(key.startswith("blocks.classifier.1.") for key in keys)
    loaded, card, _ = load_model(tmp_path)
    assert isinstance(loaded, SequenceNetwork)
    assert card.sequence == {"kind": "lstm", "units": 6, "layers": 1, "n_features": 512}
    assert not loaded.training


def test_weights_that_do_not_fit_the_card_are_refused(tmp_path):
    network = started("flat", shape=(7,))
    for changes in ({"units": 5}, {"kind": "bilstm"}, {"layers": 2}, {"n_features": 8}, {"cell": "gru"}):
        card = card_of(network, "flat")
        card.sequence.update(changes)
        save_model(tmp_path, network, card, WAY)
        with pytest.raises(ModelError, match=rf"{WEIGHTS}: does not fit flat: .+"):
            load_model(tmp_path)
    card = card_of(network, "flat")
    card.sequence.clear()
    save_model(tmp_path, network, card, WAY)
    with pytest.raises(ModelError, match="does not fit flat: its card names nothing that runs over the blocks"):
        load_model(tmp_path)


def test_layers_that_are_missing_or_unknown_are_named():
    network = started("flat", shape=(7,))
    state = network.state_to_save()
    with pytest.raises(ModelError, match=r"1 of 6 layers are missing.*the first recurrent\.other"):
        network.load_saved({**state, "recurrent.other": torch.zeros(1)})
    del state["recurrent.classes.bias"]
    with pytest.raises(ModelError, match=r"the first recurrent\.classes\.bias"):
        network.load_saved(state)


def test_weights_that_memory_cannot_take_are_refused_in_one_line(monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory\nmore")

    monkeypatch.setattr("pipeline.models.recurrent.SequenceNetwork", refuse)
    options = {"n_classes": 2, "weights": None, "init": "kaiming", "seed": 0, "shape": (4,)}
    with pytest.raises(ModelError, match=r"^model\.name: flat: its weights need more memory than there is: .*`emospec"):
        start_sequence("flat", Recurrence(kind="lstm"), **options)
    monkeypatch.setattr("pipeline.models.networks.Network", refuse)
    with pytest.raises(ModelError, match=r"^model\.name: fc2: its weights need more memory"):
        start_classifier("fc2", **options)


@pytest.mark.parametrize(
    ("name", "recurrence", "refused"),
    [
        ("shufflenet_v2_x0_5", Recurrence(), True),
        ("squeezenet1_1", Recurrence(), False),
        ("flat", Recurrence(kind="lstm", layers=1), True),  # torch's dropout is between layers
        ("flat", Recurrence(kind="lstm", layers=2), False),
    ],
)
def test_dropout_is_refused_where_nothing_would_drop(name, recurrence, refused):
    def start(dropout):
        return start_classifier(
            name, recurrence, n_classes=3, weights=None, init="kaiming", seed=1, shape=(3, 64, 64), dropout=dropout
        )

    assert start(0.0) is not None
    if refused:
        with pytest.raises(ModelError, match=rf"model\.dropout: 0\.3: {name}.* has no layer with dropout: set it to 0"):
            start(0.3)
    else:
        assert start(0.3) is not None
