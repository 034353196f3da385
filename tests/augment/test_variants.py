import math

import numpy as np
import pytest

from pipeline.augment.sound import add_noise, change_gain, shift_and_scale
from pipeline.augment.variants import (
    RECORDING,
    Variant,
    alter,
    altered_samples,
    listed_variants,
    nine_variants,
    variant_rng,
)
from pipeline.errors import ParamsError

RATE = 8000
SOUND = (0.1 * np.sin(np.arange(6001) * 0.3)).astype(np.float32)


def rng():
    return np.random.default_rng(7)


def test_nine_variants_are_three_pitches_at_three_speeds_and_the_first_is_the_recording():
    nine = nine_variants(semitones=1.5, time_factor=1.25)
    assert [variant.number for variant in nine] == list(range(9))
    assert nine[0] == RECORDING
    assert [(variant.semitones, variant.time_factor) for variant in nine] == [
        (0, 1),
        (0, 0.8),
        (0, 1.25),
        (-1.5, 1),
        (-1.5, 0.8),
        (-1.5, 1.25),
        (1.5, 1),
        (1.5, 0.8),
        (1.5, 1.25),
    ]
    assert all(variant.noise_snr_db is None and variant.gain_db == 0 for variant in nine)


def test_the_recording_stays_the_very_same_samples():
    before = SOUND.tobytes()
    assert alter(SOUND, RECORDING, sample_rate=RATE, rng=rng()) is SOUND
    assert SOUND.tobytes() == before


def test_pitch_and_duration_come_first_then_noise_then_gain():
    variant = Variant(number=3, semitones=-1, time_factor=1.2, noise_snr_db=12, noise_colour="pink", gain_db=-6)
    by_hand = shift_and_scale(SOUND, semitones=-1, time_factor=1.2, sample_rate=RATE)
    by_hand = add_noise(by_hand, snr_db=12, colour="pink", rng=rng())
    by_hand = change_gain(by_hand, gain_db=-6)
    altered = alter(SOUND, variant, sample_rate=RATE, rng=rng())
    np.testing.assert_array_equal(altered, by_hand)
    assert len(altered) == altered_samples(len(SOUND), variant) == 7201


@pytest.mark.parametrize(
    "fields", [{"semitones": 2}, {"time_factor": 0.7}, {"noise_snr_db": 3}, {"gain_db": 2}, {"gain_db": -2.5}]
)
def test_each_field_alone_alters_and_leaves_the_original_as_it_was(fields):
    before = SOUND.tobytes()
    variant = Variant(number=1, **fields)
    altered = alter(SOUND, variant, sample_rate=RATE, rng=rng())
    assert len(altered) == altered_samples(len(SOUND), variant)
    assert altered.tobytes() != before
    assert altered.dtype == np.float32
    assert SOUND.tobytes() == before


def test_a_list_is_numbered_from_one_behind_the_recording():
    variants = listed_variants([{"semitones": 1}, {"noise_snr_db": 10, "noise_colour": "pink"}])
    assert variants == (
        RECORDING,
        Variant(number=1, semitones=1),
        Variant(number=2, noise_snr_db=10, noise_colour="pink"),
    )
    assert listed_variants([]) == (RECORDING,)


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([{"semitones": 12.5}], "variant 1: semitones is 12.5: give -12 to 12"),
        ([{"semitones": 1}, {"time_factor": 0.4}], "variant 2: time_factor is 0.4: give 0.5 to 2"),
        ([{"time_factor": True}], "time_factor is True"),
        ([{"time_factor": "2"}], "time_factor is '2'"),
        ([{"gain_db": math.nan}], "gain_db is nan"),
        ([{"gain_db": None}], "gain_db is None"),
        ([{"noise_snr_db": 101}], "noise_snr_db is 101: give -20 to 100"),
        ([{"noise_snr_db": 10, "noise_colour": "brown"}], "noise_colour is 'brown': give white or pink"),
        ([{"pitch": 2}], "variant 1: no field 'pitch': there are semitones, time_factor"),
        ([{"number": 2, "semitones": 1}], "no field 'number'"),
        ([{"semitones": 0}], "variant 1 alters nothing: 0 is the recording"),
        ([{"semitones": 1}, {"gain_db": 1}, {"semitones": 1.0}], "variants 1 and 3 are the same"),
    ],
)
def test_a_list_that_cannot_be_is_refused(entries, said):
    with pytest.raises(ParamsError) as refusal:
        listed_variants(entries)
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_variant_0_may_not_alter_and_numbers_are_not_negative():
    with pytest.raises(ParamsError, match="variant 0 alters sound"):
        Variant(number=0, gain_db=1)
    with pytest.raises(ParamsError, match="variant -1"):
        Variant(number=-1, gain_db=1)


def test_random_numbers_depend_on_seed_clip_and_variant_only():
    one, two = Variant(number=1, noise_snr_db=10), Variant(number=2, noise_snr_db=20)
    draws = {
        (seed, clip_id, variant.number): variant_rng(seed, clip_id, variant).random()
        for seed in (0, 1)
        for clip_id in ("a", "b", "caf\udce9")
        for variant in (one, two)
    }
    assert len(set(draws.values())) == 12
    assert variant_rng(1, "b", two).random() == draws[1, "b", 2]
