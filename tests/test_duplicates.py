"""Planted copies and parts are found where they lie; distinct recordings, however alike, are no pair."""

import dataclasses
import hashlib
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from made import noise, silence, store_clips, tone

from pipeline.audio.fingerprint import Fingerprint
from pipeline.corpora.crowd_voices import STYLES, utter
from pipeline.duplicates import index
from pipeline.duplicates import prints as prints_of_all
from pipeline.duplicates.fingerprints import fingerprint_corpus
from pipeline.duplicates.index import find_candidates
from pipeline.duplicates.matching import match_clips
from pipeline.duplicates.prints import PrintFile, Prints
from pipeline.duplicates.stretches import common_stretch
from pipeline.errors import StoreError
from pipeline.store import scratch
from pipeline.store.paths import DUPLICATES, clips_csv, fingerprints_h5
from pipeline.store.tables import Clip, Duplicate, read_rows, write_rows

REAL = Path(__file__).resolve().parents[2] / "shared/corpora"
RATE = 44_100
SLOW = 8000  # Hz, where the rate does not matter


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def store(corpus, sounds, *, rate=RATE, **changes):
    digests = {name: hashlib.sha256(samples.tobytes()).hexdigest() for name, samples in sounds.items()}
    store_clips(corpus, sounds, rate=rate, pcm_sha256=digests, **changes)
    fingerprint_corpus(corpus, sample_rate=rate, n_workers=1)


def matched(sounds, *, rate=RATE, n_workers=1, **changes):
    """Pairs among some sounds, by name."""
    store("made", sounds, rate=rate, **changes)
    rows = match_clips(["made"], n_workers=n_workers)
    assert read_rows(DUPLICATES, Duplicate) == rows
    names = [(row.clip_id.removeprefix("made/"), row.other_id.removeprefix("made/")) for row in rows]
    return dict(zip(names, rows, strict=True))


def speech(seconds, *, seed=0, rate=RATE):
    """One man after another."""
    rng = np.random.default_rng(seed)
    spoken = np.zeros(0)
    while len(spoken) < seconds * rate:
        said = utter(rng, style=STYLES["babble"], high_share=0.0, sample_rate=rate)
        spoken = np.concatenate([spoken, said, np.zeros(rate // 5)])
    spoken = spoken[: round(seconds * rate)] + 0.003 * rng.standard_normal(round(seconds * rate))
    return (0.05 * spoken).astype(np.float32)


def melody(seconds, *, seed=0, take=0, rate=RATE):
    """Notes with six harmonics; another take has the same notes, played a little earlier or later."""
    notes, hand = np.random.default_rng(seed), np.random.default_rng([seed, take])
    time = np.arange(round(seconds * rate)) / rate
    sound = 0.001 * hand.standard_normal(len(time))
    begin = 0.0
    while begin < seconds:
        length, hz = notes.uniform(0.15, 0.6), 220 * 2 ** (notes.integers(24) / 12)
        since = time - begin - hand.uniform(0, 0.03)
        decay = np.where(since >= 0, np.exp(-since / 0.3), 0.0)
        for k in range(1, 7):
            sound += 0.1 / k * decay * np.sin(2 * np.pi * hz * k * since)
        begin += length
    return sound.astype(np.float32)


def as_mp3(samples, *, rate=RATE, level=0.89):
    """The sound after mp3 at 64 kbit/s (at 44.1 kHz, level 0.89)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.mp3"
        mode = {"bitrate_mode": "CONSTANT", "compression_level": level}
        with soundfile.SoundFile(path, "w", rate, 1, format="MP3", subtype="MPEG_LAYER_III", **mode) as file:
            file.write(samples)
        assert path.stat().st_size * 8 / (len(samples) / rate) < 72_000
        return soundfile.read(path, dtype="float32")[0]


def through(samples, *rates):
    """Resample from rate to rate and back to RATE."""
    for old, new in zip((RATE, *rates), (*rates, RATE), strict=True):
        samples = soxr.resample(samples, old, new)
    return samples


def other(samples, seconds, *, seed=0, rate=RATE):
    """Noise that no other sound has beside it."""
    return noise(-30, seconds, seed=[seed, *samples[:1000].view(np.uint32)], rate=rate)


def in_16_bits(samples):
    return (np.round(samples * 32768) / 32768).astype(np.float32)


# A copy of a sound, and where in the sound it begins, seconds.
LEAKS = {
    "mp3": lambda x: (as_mp3(x), 0.0),
    "16 kHz": lambda x: (through(x, 16_000), 0.0),
    "22.05 kHz": lambda x: (through(x, 22_050), 0.0),
    "8 kHz": lambda x: (through(x, 8000), 0.0),
    "part": lambda x: (x[50_001 : 50_001 + 3 * RATE], 50_001 / RATE),
    "a second": lambda x: (x[70_003 : 70_003 + RATE], 70_003 / RATE),
    "softer": lambda x: (in_16_bits(x * np.float32(10 ** (-12 / 20))), 0.0),
    "inverted": lambda x: (-x, 0.0),
    "later": lambda x: (np.concatenate([silence(0.777, rate=RATE), x]), -0.777),
    "inside": lambda x: (np.concatenate([other(x, 5.123), x, other(x, 4.0, seed=1)]), -5.123),
    "tail": lambda x: (np.concatenate([x[3 * RATE :], other(x, 4.0)]), 3.0),
    "mp3 of a part": lambda x: (as_mp3(x[33_333:][: 3 * RATE]), 33_333 / RATE),
}
SOUNDS = {
    "speech": speech(7.0),
    "noise": noise(-25, 7.0, seed=3, rate=RATE),
    "music": melody(7.0),
}


@pytest.mark.parametrize("kind", LEAKS)
def test_a_planted_leak_is_found_where_it_lies(kind):
    """Three sounds and an altered copy of each, in one corpus: these three pairs and no others."""
    copies = {name: LEAKS[kind](samples) for name, samples in SOUNDS.items()}
    found = matched(SOUNDS | {f"{name} copy": samples.astype(np.float32) for name, (samples, _) in copies.items()})
    assert set(found) == {(name, f"{name} copy") for name in SOUNDS}
    for (name, _), row in found.items():
        assert row.kind == "near"
        assert row.offset_seconds == pytest.approx(copies[name][1], abs=0.005)
        assert row.similarity > 0.85
        shared = {"a second": 1.0, "part": 3.0, "mp3 of a part": 3.0, "tail": 4.0}.get(kind, 7.0)
        assert shared - 1.6 < row.seconds < shared + 0.6  # pauses at its ends say nothing
        assert row.seconds <= min(7.0, len(copies[name][0]) / RATE) + 1e-4


def test_stereo_mixed_down_is_found():
    left = speech(5.0, seed=4)
    right = 0.7 * np.roll(left, 9) + noise(-45, 5.0, rate=RATE)  # another microphone, not far away
    found = matched({"left": left, "mixed": ((left + right) / 2).astype(np.float32)})
    assert set(found) == {("left", "mixed")}


def test_equal_sound_is_exact_and_only_that():
    samples = speech(2.0, rate=SLOW)
    found = matched({"c": samples, "a": samples, "b": samples * np.float32(0.5)}, rate=SLOW)
    assert {names: row.kind for names, row in found.items()} == {
        ("a", "b"): "near",
        ("a", "c"): "exact",
        ("b", "c"): "near",
    }
    exact = found["a", "c"]
    assert (exact.offset_seconds, exact.seconds, exact.similarity) == (0.0, 2.0, 1.0)


def test_two_long_clips_that_share_a_piece_in_their_middles():
    common = noise(-25, 6.0, seed=3, rate=SLOW)
    a = np.concatenate([noise(-25, 20.0, seed=1, rate=SLOW), common, noise(-25, 9.0, seed=2, rate=SLOW)])
    b = np.concatenate([noise(-25, 4.0, seed=4, rate=SLOW), common, noise(-25, 30.0, seed=5, rate=SLOW)])
    (row,) = matched({"a": a, "b": b}, rate=SLOW).values()
    assert row.offset_seconds == pytest.approx(16.0, abs=0.001)
    assert row.seconds == pytest.approx(6.0, abs=0.6)


def test_a_stretch_over_pauses_is_one():
    spoken = [speech(2.0, seed=k, rate=SLOW) for k in range(3)]
    pause = silence(3.0, rate=SLOW)
    sound = np.concatenate([spoken[0], pause, spoken[1], pause, spoken[2]])
    (row,) = matched({"a": sound, "b": sound[1234:]}, rate=SLOW).values()
    assert row.seconds > 10.0


def shaped(seed, seconds=5.0):
    """Noise with the spectrum of speech."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(round(seconds * SLOW)))
    hz = np.fft.rfftfreq(round(seconds * SLOW), 1 / SLOW)
    return np.fft.irfft(spectrum / (1 + (hz / 500) ** 2), round(seconds * SLOW)).astype(np.float32) * 0.1


def clicks(seed, *, every=None, seconds=5.0):
    """Equal clicks, at random or at equal distances."""
    sound = silence(seconds, rate=SLOW)
    n_samples = len(sound) - 10
    at = (
        np.arange(100 + 37 * seed, n_samples, every)
        if every
        else np.random.default_rng(seed).integers(n_samples, size=9)
    )
    for offset, value in enumerate((1.0, -0.6, 0.3, -0.1)):
        sound[at + offset] = 0.5 * value
    return sound


def hum(seed, seconds=5.0):
    phases = np.random.default_rng(seed).uniform(0, 2 * np.pi, 40)
    time = np.arange(round(seconds * SLOW)) / SLOW
    waves = [0.05 / k * np.sin(2 * np.pi * 50 * k * time + phase) for k, phase in enumerate(phases, 1)]
    return (np.sum(waves, axis=0) + 10 ** (-70 / 20) * np.random.default_rng(seed).standard_normal(len(time))).astype(
        np.float32
    )


DISTINCT = {
    "two takes": lambda k: melody(6.0, take=k, rate=SLOW),
    "two noises of one spectrum": shaped,
    "two speakers": lambda k: speech(5.0, seed=k, rate=SLOW),
    "silence": lambda k: silence(2.0 + k, rate=SLOW),
    "silence with dither": lambda k: noise(-96, 3.0, seed=k, rate=SLOW),
    "tones of one pitch": lambda k: tone(-20 - k, 3.0 + k / 10, hz=440.0, rate=SLOW),
    "tones in noise": lambda k: tone(-20, 3.0, hz=440.0, rate=SLOW) + noise(-50 + 5 * k, 3.0, seed=k, rate=SLOW),
    "tones of one trembling": lambda k: np.concatenate(
        [silence(k / 100, rate=SLOW), tone(-20, 4.0, hz=600.0, rate=SLOW) * (1.5 + tone(0, 4.0, hz=5.0, rate=SLOW))]
    ),
    "hum": hum,
    "one click": lambda k: np.roll(clicks(0, every=100_000), 1000 * k)[: 30_000 + k],
    "clicks": lambda k: clicks(k),
    "metronome": lambda k: clicks(k, every=4000),
    "short ones": lambda k: noise(-20, 0.1 * k, seed=0, rate=SLOW),
}


@pytest.mark.parametrize("kind", DISTINCT)
def test_distinct_recordings_are_no_pair(kind):
    sounds = {f"{number}": DISTINCT[kind](number).astype(np.float32) for number in range(6)}
    assert matched(sounds, rate=SLOW) == {}


def test_a_clip_that_repeats_itself_is_no_pair_and_its_copy_is_one():
    loop = np.tile(melody(2.0, rate=SLOW), 6)
    assert matched({"a": loop}, rate=SLOW) == {}
    assert set(matched({"a": loop, "b": loop[:30_000] * np.float32(0.3)}, rate=SLOW)) == {("a", "b")}


def test_events_of_one_recording_are_no_pair_but_of_the_same_path_in_two_corpora():
    samples = speech(5.0, rate=SLOW)
    events = {"x.wav#t=0,4": samples[: 4 * SLOW], "x.wav#t=1,5": samples[SLOW:]}
    store("a", events, rate=SLOW, path=dict.fromkeys(events, "x.wav"))
    store("b", {"x.wav": samples[: 3 * SLOW]}, rate=SLOW)
    rows = match_clips(["a", "b"], n_workers=1)
    assert [(row.clip_id, row.other_id) for row in rows] == [
        ("a/x.wav#t=0,4", "b/x.wav"),
        ("a/x.wav#t=1,5", "b/x.wav"),
    ]
    assert [row.offset_seconds for row in rows] == pytest.approx([0.0, -1.0], abs=0.001)
    assert match_clips(["a"], n_workers=1) == []


def test_neither_order_nor_workers_change_a_byte():
    sounds = {f"{k}": speech(2.0 + 0.1 * k, seed=k // 2, rate=SLOW) for k in range(8)}
    first = {name: sounds[name] for name in "0246"}
    others = {name: sounds[name] for name in "1357"}
    store("a", first, rate=SLOW)
    store("b", others, rate=SLOW)
    rows = match_clips(["a", "b"], n_workers=1)
    assert [(row.clip_id, row.other_id) for row in rows] == [(f"a/{k}", f"b/{k + 1}") for k in (0, 2, 4, 6)]
    table = DUPLICATES.read_bytes()
    store("a", dict(reversed(first.items())), rate=SLOW)
    for corpora, n_workers in ((["b", "a"], 1), (["a", "b"], 3)):
        match_clips(corpora, n_workers=n_workers)
        assert DUPLICATES.read_bytes() == table


def test_no_clip_at_all_is_an_empty_table():
    store("made", {"a": noise(-20, 0.01, rate=SLOW)}, rate=SLOW)
    assert match_clips(["made"], n_workers=1) == []
    assert read_rows(DUPLICATES, Duplicate) == []


def test_fingerprints_of_other_clips_are_refused():
    store("made", {"a": noise(-20, 2.0, rate=SLOW)}, rate=SLOW)
    kept = fingerprints_h5("made").read_bytes()
    store("made", {"a": noise(-20, 2.0, seed=1, rate=SLOW)}, rate=SLOW)
    fingerprints_h5("made").write_bytes(kept)
    with pytest.raises(StoreError, match=r"fingerprints/made\.h5: made of other clips than those of .*run `dvc repro`"):
        match_clips(["made"], n_workers=1)
    store("made", {"a": noise(-20, 2.0, rate=SLOW)}, rate=SLOW)
    (row,) = read_rows(clips_csv("made"), Clip)
    write_rows(clips_csv("made"), Clip, [dataclasses.replace(row, clip_id="made/b")])
    with pytest.raises(StoreError, match="made of other clips"):
        match_clips(["made"], n_workers=1)


def test_sound_at_two_rates_is_refused():
    store("a", {"a": noise(-20, 1.0, rate=8000)}, rate=8000)
    store("b", {"b": noise(-20, 1.0, rate=16_000)}, rate=16_000)
    with pytest.raises(StoreError, match=r"a\.h5 of sound at 8000 Hz, .*b\.h5 of sound at 16000 Hz: needed one rate"):
        match_clips(["a", "b"], n_workers=1)


# ---- the index, by hand and by brute force


def print_of(bits, informative=None):
    bits = np.array(bits, dtype=np.uint32)
    return Fingerprint(bits, np.ones(len(bits), bool) if informative is None else np.array(informative, bool))


def candidates(prints, recordings=None, **choices):
    recordings = np.arange(len(prints)) if recordings is None else np.array(recordings)
    found = find_candidates(together(prints), recordings, **choices)
    return [(one.first, one.second, one.offsets) for one in found]


def together(prints, order=None):
    """The prints as one file holds them, in some order."""
    order = np.arange(len(prints)) if order is None else np.array(order)
    own = [prints[number] for number in order]
    bits, told = (
        np.concatenate([np.zeros(0, dtype), *columns])
        for dtype, columns in ((np.uint32, [one.bits for one in own]), (bool, [one.informative for one in own]))
    )
    return Prints([PrintFile(bits, told, np.array([len(one.bits) for one in own], dtype=np.int64), order)])


def test_three_equal_sub_fingerprints_at_one_offset_make_a_candidate_and_two_do_not():
    a = print_of([1, 2, 3, 4, 5, 6])
    assert candidates([a, print_of([30, 31, 32, 33, 3, 4, 5])]) == [(0, 1, (-2,))]
    assert candidates([print_of([30, 31, 32, 33, 3, 4, 5]), a]) == [(0, 1, (2,))]
    assert candidates([a, print_of([30, 31, 32, 33, 3, 4])]) == []


def test_what_is_not_informative_and_what_stays_the_same_have_one_vote_or_none():
    assert candidates([print_of([1, 2, 3], [1, 0, 1]), print_of([1, 2, 3])]) == []
    assert candidates([print_of([7] * 50), print_of([7] * 50)]) == []


def test_clips_of_one_recording_are_no_candidate():
    a = print_of(range(10))
    assert candidates([a, a, a], recordings=[0, 1, 0]) == [(0, 1, (0,)), (1, 2, (0,))]


def test_many_copies_hang_together():
    n = 3 * index.MOST_NEIGHBOURS
    found = candidates([print_of(range(10))] * n)
    assert len(found) <= n * index.MOST_NEIGHBOURS
    assert {(a, b) for a, b, _ in found} >= {(k, k + 1) for k in range(n - 1)}


def test_votes_are_those_of_all_pairs_of_frames():
    rng = np.random.default_rng(0)
    # few clips and no sub-fingerprint more than MOST_REPEATS times in one, so nothing is left out
    prints = [print_of(np.repeat(np.arange(30), 3)[rng.permutation(90)]) for _ in range(6)]
    expected = set()
    for a in range(6):
        for b in range(a + 1, 6):
            kept = [np.flatnonzero(np.diff(prints[k].bits.astype(int), prepend=-1)) for k in (a, b)]
            votes = Counter(int(i - j) for i in kept[0] for j in kept[1] if prints[a].bits[i] == prints[b].bits[j])
            near = {d: sum(votes[d + slack] for slack in range(-2, 3)) for d in votes}
            if max(near.values()) >= 3:
                expected.add((a, b, max(near, key=lambda d: (near[d], votes[d], -d))))
    found = candidates(prints)
    assert {(a, b, offsets[0]) for a, b, offsets in found} == expected
    assert len(expected) > 10
    assert all(len(offsets) <= index.MOST_OFFSETS for _, _, offsets in found)


@pytest.mark.parametrize("at_once", [1, 7, 100, 10_000])
@pytest.mark.parametrize("order", [range(8), [3, 0, 7, 1, 6, 2, 5, 4]])
def test_working_in_parts_changes_nothing(monkeypatch, at_once, order):
    rng = np.random.default_rng(1)
    told = [rng.random(200) < 0.9 for _ in range(8)]
    # clips of any length, none among them, and runs of equal sub-fingerprints
    lengths = [200, 0, 1, 150, 200, 0, 199, 200]
    prints = [print_of(np.repeat(rng.integers(0, 300, 200), 2)[:n], told[k][:n]) for k, n in enumerate(lengths)]
    whole = candidates(prints)
    assert len(whole) > 3
    for module, name in ((prints_of_all, "FRAMES_AT_ONCE"), (index, "PAIRED_AT_ONCE"), (scratch, "ROWS_AT_ONCE")):
        monkeypatch.setattr(module, name, at_once)
    found = find_candidates(together(prints, order), np.arange(8), entries_at_once=at_once, votes_at_once=at_once)
    assert [(one.first, one.second, one.offsets) for one in found] == whole


def test_the_entries_are_those_that_say_where_they_come_from(monkeypatch):
    # 7 goes on from the first clip to the second: there it is the first of its run again
    prints = [print_of([1, 1, 2, 7], [1, 1, 0, 1]), print_of([7, 7, 7, 8], [1, 0, 1, 1]), print_of([]), print_of([8])]
    expected = [(0, 1), (3, 7), (4, 7), (6, 7), (7, 8), (8, 8)]
    for frames_at_once in (1, 2, 3, 5, 100):
        monkeypatch.setattr(prints_of_all, "FRAMES_AT_ONCE", frames_at_once)
        for order in ([0, 1, 2, 3], [2, 3, 1, 0]):
            pieces = list(together(prints, order).entries())
            found = [(int(place), int(key)) for keys, places in pieces for key, place in zip(keys, places, strict=True)]
            assert sorted(found) == expected


def test_each_print_is_read_from_its_place():
    prints = [print_of(np.arange(10 * k, 10 * k + n)) for k, n in enumerate([3, 0, 5, 1])]
    for order in ([0, 1, 2, 3], [2, 1, 3, 0]):
        both = together(prints, order)
        assert (len(both), both.n_all, both.starts.tolist()) == (4, 9, [0, 3, 3, 8])
        assert [both.of(number).bits.tolist() for number in range(4)] == [one.bits.tolist() for one in prints]


def test_more_sound_than_can_be_numbered_is_refused(monkeypatch):
    monkeypatch.setattr(index, "MOST_FRAMES", 20)
    assert candidates([print_of(range(10)), print_of(range(9))]) == [(0, 1, (0,))]
    with pytest.raises(StoreError, match="name fewer corpora"):
        candidates([print_of(range(10))] * 2)


# ---- the common stretch, by hand


def test_a_stretch_ends_where_the_bits_no_longer_agree():
    rng = np.random.default_rng(2)
    bits = rng.integers(0, 2**32, 1000, dtype=np.uint32)
    other = rng.integers(0, 2**32, 1000, dtype=np.uint32)
    other[100:700] = bits[300:900]
    other[150] ^= np.uint32(0b111)
    found = common_stretch(print_of(bits), print_of(other), 200)
    assert abs(found.start - 300) < 40
    assert abs(found.end - 900) < 40
    inside = found.error_rate * 32 * found.n_frames
    blurred = 16.0 * (found.n_frames - 600)  # errors are averaged over a second: it reaches a little too far
    assert inside == pytest.approx(3 + blurred, abs=120)
    assert common_stretch(print_of(bits), print_of(other), 190) is None


@pytest.mark.parametrize(("n_frames", "is_found"), [(39, False), (40, True)])
def test_a_stretch_has_forty_informative_frames(n_frames, is_found):
    bits = np.arange(n_frames, dtype=np.uint32)
    assert (common_stretch(print_of(bits), print_of(bits), 0) is not None) == is_found
    padded = np.concatenate([bits, bits])
    told = print_of(padded, [True] * n_frames + [False] * n_frames)
    assert (common_stretch(told, print_of(padded), 0) is not None) == is_found


@pytest.mark.parametrize("offset", [-5, 5, 95, -95, 1000, -1000])
def test_clips_that_hardly_meet_have_no_stretch(offset):
    rng = np.random.default_rng(3)
    prints = [print_of(rng.integers(0, 2**32, 100, dtype=np.uint32)) for _ in range(2)]
    assert common_stretch(*prints, offset) is None


# ---- real recordings


def real_sounds(corpus, *, pattern="*", every=1):
    files = sorted(path for path in (REAL / corpus).rglob(pattern) if path.suffix in {".wav", ".flac", ".mp3", ".ogg"})
    if not files:
        pytest.skip(f"needs the recordings of {corpus} in shared/corpora beside the project")
    sounds = {}
    for path in files[::every]:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        sounds[path.name] = soxr.resample(samples.mean(axis=1), rate, 16_000).astype(np.float32)
    return sounds


@pytest.mark.parametrize("corpus", ["emodb", "ravdess_speech", "crowd"])
def test_no_two_real_recordings_are_a_pair(corpus):
    """Takes of one sentence by one speaker among them."""
    assert matched(real_sounds(corpus), rate=16_000, n_workers=2) == {}


REAL_LEAKS = {
    "mp3": lambda x: as_mp3(x, rate=16_000, level=0.7),
    "resampled": lambda x: soxr.resample(soxr.resample(x, 16_000, 11_025), 11_025, 16_000),
    "part": lambda x: x[3333 : 3333 + 16_000],
    "softer": lambda x: in_16_bits(x * np.float32(-(10 ** (-12 / 20)))),
    "inside": lambda x: np.concatenate([other(x, 0.777, rate=16_000), x, other(x, 1.0, seed=1, rate=16_000)]),
}


def test_every_leak_planted_among_real_recordings_is_found():
    sounds = real_sounds("emodb", every=17)
    leaks = {
        f"{name} {kind}": change(x).astype(np.float32)
        for name, x in sounds.items()
        for kind, change in REAL_LEAKS.items()
    }
    assert len(leaks) == 20 * 5
    found = set(matched(sounds | leaks, rate=16_000, n_workers=2))
    assert {(name, f"{name} {kind}") for name in sounds for kind in REAL_LEAKS} <= found
    assert all(one.split()[0] == other.split()[0] for one, other in found)


def test_files_cut_to_two_seconds_are_found_in_the_originals():
    whole, cut = (real_sounds(corpus, pattern="03*") for corpus in ("emodb", "emodb_2s"))
    store("emodb", whole, rate=16_000)
    store("emodb_2s", cut, rate=16_000)
    rows = match_clips(["emodb", "emodb_2s"], n_workers=2)
    pairs = [(Path(row.clip_id).stem, Path(row.other_id).stem) for row in rows]
    assert pairs == [(Path(name).stem, Path(name).stem) for name in sorted(whole)]
    assert max(abs(row.offset_seconds) for row in rows) < 0.001
