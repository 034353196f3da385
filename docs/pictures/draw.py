"""Draw the README's pictures: one block of each class of the corpora that are rendered now. Run by `make pictures`."""

from pathlib import Path

from pipeline.params import load_params
from pipeline.report.page import spectrogram_svg
from pipeline.report.spectrograms import Sound, show_classes
from pipeline.store.paths import SPECTROGRAMS_LIST
from pipeline.store.rendered import open_rendered
from pipeline.store.tables import SpectrogramFile, read_rows


def main() -> None:
    """Write docs/pictures/LABEL.svg for each class."""
    with open_rendered(read_rows(SPECTROGRAMS_LIST, SpectrogramFile)) as images:
        for shown in show_classes(Sound.of(load_params().corpora), images):
            (picture,) = shown.pictures
            path = Path("docs/pictures") / f"{shown.label}.svg"
            path.write_text(spectrogram_svg(picture, f"Spectrogram of {shown.label}"), encoding="utf-8")


if __name__ == "__main__":
    main()
