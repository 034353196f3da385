import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional

from pipeline.augment.images import Changes, Jitter, alter_images, draw_changes
from pipeline.errors import ParamsError

JITTER = Jitter(brightness=0.4, contrast=0.5, grey=0.3)


def pictures(n=5, height=31, width=47):
    return np.random.default_rng(0).integers(0, 256, (n, height, width, 3), dtype=np.uint8)


def changes(n, *, brightness=1.0, contrast=1.0, grey=False):
    return Changes(
        brightness=np.full(n, brightness, dtype=np.float32),
        contrast=np.full(n, contrast, dtype=np.float32),
        grey=np.full(n, grey),
    )


def by_torchvision(images, wanted):
    altered = []
    for image, brightness, contrast, grey in zip(images, wanted.brightness, wanted.contrast, wanted.grey, strict=True):
        pixels = torch.from_numpy(image).permute(2, 0, 1)
        pixels = functional.adjust_brightness(pixels, float(brightness))
        pixels = functional.adjust_contrast(pixels, float(contrast))
        pixels = functional.rgb_to_grayscale(pixels, 3) if grey else pixels
        altered.append(pixels.permute(1, 2, 0).numpy())
    return np.stack(altered)


@pytest.mark.parametrize("brightness", [0.0, 0.6, 1.0, 1.7])
@pytest.mark.parametrize("contrast", [0.0, 0.5, 1.0, 1.9])
@pytest.mark.parametrize("grey", [False, True])
def test_images_are_altered_as_torchvision_does(brightness, contrast, grey):
    images = pictures()
    wanted = changes(len(images), brightness=brightness, contrast=contrast, grey=grey)
    ours, theirs = alter_images(images, wanted), by_torchvision(images, wanted)
    off = np.abs(ours.astype(int) - theirs.astype(int))
    # A sum whose exact value is whole may be rounded below it by another order of multiplications.
    assert off.max() <= 1
    assert np.count_nonzero(off) <= off.size // 1000


def test_values_by_hand():
    image = np.array([[[[10, 20, 30], [200, 100, 0]]]], dtype=np.uint8)
    brighter = alter_images(image, changes(1, brightness=1.5))
    np.testing.assert_array_equal(brighter, [[[[15, 30, 45], [255, 150, 0]]]])
    # Grey: 2.989 + 11.74 + 3.42 = 18.149 and 59.78 + 58.7 = 118.48, in whole numbers 18 and 118; their mean is 68.
    greyed = alter_images(image, changes(1, grey=True))
    np.testing.assert_array_equal(greyed, [[[[18, 18, 18], [118, 118, 118]]]])
    flatter = alter_images(image, changes(1, contrast=0.5))
    np.testing.assert_array_equal(flatter, [[[[39, 44, 49], [134, 84, 34]]]])


def test_factors_of_one_leave_images_as_they_are_and_no_image_is_altered_in_place():
    images = pictures()
    before = images.copy()
    same = alter_images(images, changes(len(images)))
    np.testing.assert_array_equal(same, before)
    assert not np.shares_memory(same, images)
    alter_images(images, changes(len(images), brightness=0.5, grey=True))
    np.testing.assert_array_equal(images, before)


def test_no_image_and_images_in_pieces_of_other_arrays_are_fine():
    assert alter_images(pictures(0), changes(0)).shape == (0, 31, 47, 3)
    assert draw_changes(JITTER, [], seed=0, epoch=0).grey.shape == (0,)
    images = pictures(6)
    wanted = draw_changes(JITTER, range(3), seed=0, epoch=0)
    for piece in (images[::2], images[:3].transpose(0, 2, 1, 3), images[:3, ::-1]):
        np.testing.assert_array_equal(alter_images(piece, wanted), alter_images(piece.copy(order="C"), wanted))


def test_a_block_is_altered_alike_in_any_order_and_batch():
    images = pictures(8)
    whole = alter_images(images, draw_changes(JITTER, range(8), seed=3, epoch=2))
    order = np.array([5, 1, 7])
    part = alter_images(images[order], draw_changes(JITTER, order.tolist(), seed=3, epoch=2))
    np.testing.assert_array_equal(part, whole[order])


def test_another_seed_epoch_or_block_draws_anew():
    drawn = [
        draw_changes(JITTER, [index], seed=seed, epoch=epoch).brightness[0]
        for seed in (0, 1)
        for epoch in (0, 1)
        for index in (0, 1)
    ]
    assert len(set(drawn)) == 8


def test_factors_are_even_over_their_range_and_grey_has_its_probability():
    drawn = draw_changes(JITTER, range(4000), seed=0, epoch=0)
    for factors, width in ((drawn.brightness, 0.4), (drawn.contrast, 0.5)):
        np.testing.assert_allclose(
            np.quantile(factors, [0, 0.25, 0.5, 0.75, 1]), 1 + width * np.array([-1, -0.5, 0, 0.5, 1]), atol=0.03
        )
        assert factors.min() >= 1 - width
        assert factors.max() <= 1 + width
    assert drawn.grey.mean() == pytest.approx(0.3, abs=0.03)
    assert abs(np.corrcoef(drawn.brightness, drawn.contrast)[0, 1]) < 0.06


def test_one_option_does_not_change_what_is_drawn_for_another():
    both, one = (draw_changes(jitter, range(20), seed=1, epoch=0) for jitter in (JITTER, Jitter(contrast=0.5)))
    np.testing.assert_array_equal(both.contrast, one.contrast)
    np.testing.assert_array_equal(one.brightness, np.ones(20))
    assert not one.grey.any()


def test_ranges():
    assert Jitter().alters_nothing
    assert not Jitter(grey=0.1).alters_nothing
    assert draw_changes(Jitter(grey=1), range(50), seed=0, epoch=0).grey.all()
    for name in ("brightness", "contrast", "grey"):
        for value in (-0.1, 1.1, float("nan")):
            with pytest.raises(ParamsError, match=f"{name} is .*: give 0 to 1"):
                Jitter(**{name: value})
