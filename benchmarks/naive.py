"""The recipe as a competent user would write it: librosa, pyloudnorm, matplotlib's colormap, Pillow and h5py.

As a script it renders a folder of recordings into one HDF5 file: `python benchmarks/naive.py FOLDER OUT.h5`.
"""

import io
import sys
from pathlib import Path

import h5py
import librosa
import matplotlib as mpl
import numpy as np
import pyloudnorm
from PIL import Image

RATE, BLOCK, SLIDE = 44100, 88200, 44100
LOW_DB, HIGH_DB = -130.0, -22.0
JET = mpl.colormaps["jet"].resampled(64)


def blocks_of(samples: np.ndarray) -> list[np.ndarray]:
    """Blocks of two seconds, one starting every second."""
    return [samples[start : start + BLOCK] for start in range(0, len(samples) - BLOCK + 1, SLIDE)]


def decibels(block: np.ndarray, fft_length: int) -> np.ndarray:
    """Mel spectrogram of a block at -23 LUFS, dB."""
    loudness = pyloudnorm.Meter(RATE).integrated_loudness(block)
    level = pyloudnorm.normalize.loudness(block, loudness, -23.0) if np.isfinite(loudness) else block
    mel = librosa.feature.melspectrogram(
        y=level,
        sr=RATE,
        n_fft=fft_length,
        hop_length=198,
        win_length=400,
        window="hamming",
        n_mels=257,
        fmin=20,
        fmax=20000,
        htk=True,
    )
    return librosa.power_to_db(mel, ref=1.0, top_db=None)


def image(block: np.ndarray, fft_length: int = 2048) -> np.ndarray:
    """RGB (227, 227, 3) by a look-up in the colormap and Pillow."""
    share = np.clip((decibels(block, fft_length) - LOW_DB) / (HIGH_DB - LOW_DB), 0, 1)
    rgb = (JET(share[::-1])[:, :, :3] * 255).astype(np.uint8)
    return np.asarray(Image.fromarray(rgb).resize((227, 227), Image.Resampling.BILINEAR))


def saved_image(block: np.ndarray, fft_length: int = 2048) -> np.ndarray:
    """RGB (227, 227, 3) of a figure that matplotlib saves and Pillow opens again."""
    from matplotlib import pyplot

    figure = pyplot.figure(figsize=(2.27, 2.27), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    axes.imshow(decibels(block, fft_length), origin="lower", aspect="auto", cmap=JET, vmin=LOW_DB, vmax=HIGH_DB)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    pyplot.close(figure)
    return np.asarray(Image.open(file).convert("RGB"))


def append(dataset: h5py.Dataset, picture: np.ndarray) -> None:
    """Add one image at the end."""
    dataset.resize(len(dataset) + 1, axis=0)
    dataset[-1] = picture


def new_dataset(file: h5py.File) -> h5py.Dataset:
    """An empty dataset of images, one to a chunk."""
    return file.create_dataset("images", (0, 227, 227, 3), "u1", maxshape=(None, 227, 227, 3), chunks=(1, 227, 227, 3))


def main(folder: Path, out: Path) -> None:
    """Render all recordings of a folder."""
    with h5py.File(out, "w") as file:
        dataset = new_dataset(file)
        for path in sorted(folder.rglob("*.wav")):
            samples, _ = librosa.load(path, sr=RATE, mono=True)
            for block in blocks_of(samples):
                append(dataset, image(block))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
