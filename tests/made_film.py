"""Made films: frames whose grey tells their number, lossless, at times of one's own, and a noise as their sound."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RATE = 8000  # Hz, of their sound
TENTHS = tuple(range(0, 3000, 100))  # ms: ten frames a second for three seconds


def grey_of(number):
    """The value of every pixel of a frame."""
    return 5 + 8 * number


def plain(number, *, height=24, width=40):
    """Frame (height, width) of one grey."""
    return np.full((height, width), grey_of(number), np.uint8)


def write_film(
    path: Path,
    at_ms=TENTHS,
    *,
    seconds=3.0,
    picture=plain,
    sound_from_ms=0,
    seed=0,
    codec="ffv1",
    pixels="gray",
    rate=RATE,
):
    """Write a Matroska film: frame `number` is `picture(number)`, grey (height, width) or colours (.., .., 3).

    `seconds` are those of the sound; None makes a film without.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    tick = Fraction(1, 1000)
    first = picture(0)
    with av.open(str(path), "w", format="matroska") as film:
        pictures = film.add_stream(codec, rate=10)
        pictures.height, pictures.width = first.shape[:2]
        pictures.pix_fmt, pictures.codec_context.time_base = pixels, tick
        track = None if seconds is None else film.add_stream("pcm_s16le", rate=rate, layout="mono")
        for number, at in enumerate(at_ms):
            array = picture(number)
            frame = av.VideoFrame.from_ndarray(array, format="gray" if array.ndim == 2 else "rgb24")
            frame = frame.reformat(format=pixels)
            frame.pts, frame.time_base = at, tick
            film.mux(pictures.encode(frame))
        film.mux(pictures.encode())
        if track is not None:
            noise = 2000 * np.random.default_rng(seed).standard_normal(round(seconds * rate))
            for start in range(0, len(noise), 800):
                piece = noise[None, start : start + 800].astype(np.int16)
                sound = av.AudioFrame.from_ndarray(piece, format="s16", layout="mono")
                sound.sample_rate, sound.time_base = rate, Fraction(1, rate)
                sound.pts = start + sound_from_ms * rate // 1000
                film.mux(track.encode(sound))
            film.mux(track.encode())


def make_corpus(folder, names=("anger/a.mkv", "joy/b.mkv"), **film):
    """Write a folder corpus of films, each with its own sound."""
    for number, name in enumerate(names):
        write_film(folder / name, seed=number, **film)
