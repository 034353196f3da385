"""Pixels to floats by hand, devices, and outputs that depend on the images alone."""

import numpy as np
import pytest
import torch
from made_run import one_thread, torch_as_before  # noqa: F401 - a fixture

from pipeline.errors import ModelError
from pipeline.models.inference import (
    batches,
    choose_device,
    outputs_of,
    prepare_torch,
    refuse_unfit_shape,
)
from pipeline.models.networks import Network, start_network
from pipeline.models.preparation import Preparation

CPU = torch.device("cpu")


def pixel(red, green, blue, normalise):
    image = np.array([red, green, blue], dtype=np.uint8).reshape(1, 1, 1, 3)
    return Preparation(normalise=normalise).to_input(image, CPU).flatten().tolist()


def test_a_pixel_by_hand():
    # (255 / 255 - 0.485) / 0.229, (0 - 0.456) / 0.224, (128 / 255 - 0.406) / 0.225
    assert pixel(255, 0, 128, "imagenet") == pytest.approx([2.2489083, -2.0357143, 0.4264924], abs=1e-6)
    assert pixel(255, 0, 128, "unit") == pytest.approx([1.0, 0.0, 0.50196078], abs=1e-7)
    assert pixel(255, 255, 255, "unit") == [1.0, 1.0, 1.0]


def test_rows_stay_rows_and_channels_come_first():
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 7, 3), dtype=np.uint8)
    before = images.copy()
    batch = Preparation(normalise="unit").to_input(images, CPU)
    assert batch.shape == (2, 3, 4, 7)
    assert batch.dtype == torch.float32
    for image, row, column, channel in ((0, 0, 0, 0), (1, 3, 6, 2), (1, 2, 5, 0), (0, 3, 1, 1)):
        assert batch[image, channel, row, column].item() == pytest.approx(images[image, row, column, channel] / 255)
    np.testing.assert_array_equal(images, before)


def test_an_unknown_normalisation_is_refused():
    with pytest.raises(ModelError, match="'Imagenet' is none of imagenet, unit"):
        pixel(0, 0, 0, "Imagenet")


# devices


def test_auto_is_the_cpu_where_there_is_no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == CPU


def test_auto_is_the_gpu_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == torch.device("cuda")


@pytest.mark.parametrize("wanted", ["cuda", "cuda:0", "cuda:1", "mps", "xpu", "meta"])
def test_a_device_that_is_not_there_falls_back_with_a_note(monkeypatch, capsys, wanted):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device(wanted) == CPU
    assert capsys.readouterr().err == f"note: train.device {wanted} is not there: computing on the CPU\n"


def test_a_second_gpu_falls_back_where_there_is_one_only(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert choose_device("cuda:0") == torch.device("cuda:0")
    assert not capsys.readouterr().err
    assert choose_device("cuda:1") == CPU
    assert "cuda:1 is not there" in capsys.readouterr().err


def test_the_cpu_needs_no_note(capsys):
    assert choose_device("cpu") == CPU
    assert not capsys.readouterr().err


@pytest.mark.parametrize("wanted", ["gpu", "cuda:x", ""])
def test_what_is_no_device_is_refused(wanted):
    with pytest.raises(ModelError, match="is no device that torch knows: auto, cpu, cuda"):
        choose_device(wanted)


def test_threads_and_determinism_are_set():
    with torch_as_before():
        prepare_torch(threads=1, deterministic=True)
        assert torch.get_num_threads() == 1
        assert torch.are_deterministic_algorithms_enabled()
        prepare_torch(threads=2, deterministic=False)
        assert torch.get_num_threads() == 2
        assert not torch.are_deterministic_algorithms_enabled()


# batches and outputs


@pytest.mark.parametrize(("n", "sizes"), [(0, []), (1, [1]), (4, [4]), (5, [4, 1]), (9, [4, 4, 1])])
def test_batches_cover_everything_once_in_order(n, sizes):
    parts = list(batches(range(n), 4))
    assert [len(part) for part in parts] == sizes
    assert [item for part in parts for item in part] == list(range(n))


@pytest.fixture(scope="module")
def network():
    """With dropout and batch normalisation, so that both tell training from use."""
    return start_network("mobilenet_v3_small", n_classes=3, weights=None, init="kaiming", seed=0)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (5, 32, 48, 3), dtype=np.uint8)


def outputs(network, *parts):
    pairs = list(outputs_of(network, parts, preparation=Preparation(normalise="unit"), device=CPU))
    return tuple(np.concatenate(arrays) for arrays in zip(*pairs, strict=True))


def test_outputs_are_those_of_the_network_in_use(network, images):
    logits, features = outputs(network, images)
    assert logits.shape == (5, 3)
    assert features.shape == (5, 1024)
    assert logits.dtype == features.dtype == np.float32
    with torch.inference_mode():
        expected = network.eval()(torch.from_numpy(images).permute(0, 3, 1, 2) / 255)
    np.testing.assert_allclose(logits, expected.numpy(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(
        logits, features @ network.head.weight.detach().numpy().T + network.head.bias.detach().numpy(), rtol=1e-4
    )


def test_outputs_do_not_depend_on_what_was_left_over_from_training(network, images):
    expected = outputs(network.eval(), images)
    state = {key: value.clone() for key, value in network.state_dict().items()}
    again = outputs(network.train(), images)
    for one, other in zip(expected, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())


def test_each_image_is_answered_for_itself(network, images):
    whole, parts = outputs(network, images), outputs(network, images[:2], images[2:3], images[3:])
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-6)
    assert np.ptp(whole[0], axis=0).min() > 1e-4


def test_images_that_a_network_cannot_take_are_refused_with_what_it_can():
    network = Network("vit_b_32", 3)
    with pytest.raises(ModelError) as caught:
        refuse_unfit_shape(network, "vit_b_32", (227, 224, 3), kind="image", normalise="unit")
    text = str(caught.value)
    assert text.startswith("model.name: vit_b_32 cannot take images of 227 x 224 pixels (")
    assert text.endswith("set image.height and image.width to the size that it was made for, 224 for most")
    alexnet = start_network("alexnet", n_classes=3, weights=None, init="torchvision", seed=0)
    with pytest.raises(ModelError, match="alexnet cannot take images of 16 x 227 pixels"):
        refuse_unfit_shape(alexnet, "alexnet", (16, 227, 3), kind="image", normalise="unit")
    refuse_unfit_shape(alexnet, "alexnet", (64, 227, 3), kind="image", normalise="unit")
