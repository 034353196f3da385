"""The rendered blocks of all corpora -> the list of what was rendered, by content."""

from collections.abc import Sequence

from pipeline.features.scales import refuse_unequal_bands
from pipeline.store.arrays import attributes_of, digest_of, open_arrays
from pipeline.store.paths import SPECTROGRAMS_LIST, frames_h5, spectrograms_h5
from pipeline.store.rendered import dataset_of
from pipeline.store.tables import SpectrogramFile, write_rows

# The parameter that sets up to which frequency each kind looks.
LIMITS = {"image": "spectrogram.max_hz", "stack": "stack.max_hz", "features": "audio.sample_rate"}


def list_spectrograms(corpora: Sequence[str], *, kind: str = "image") -> list[SpectrogramFile]:
    """List what has been rendered of some corpora, or with the kind faces sampled, by content, and write the list.

    Raises
    ------
    CorpusError
        As `refuse_unequal_bands` says, across the corpora.
    StoreError
        If a file holds blocks of another kind, or none.
    """
    place = frames_h5 if kind == "faces" else spectrograms_h5
    rows, rates, max_hz, limit = [], {}, 0.0, ""
    for corpus in corpora:
        path = place(corpus)
        with open_arrays(path) as file:
            rows.append(SpectrogramFile(corpus=corpus, path=path.as_posix(), sha256=digest_of(file, dataset_of(file))))
            for attribute in ("least_source_rate", "most_source_rate"):
                rates[f"corpus {corpus} ({attribute.replace('_', ' ')})"] = int(file.attrs[attribute])
            about = attributes_of(file)
            if kind == "faces":  # none of the sound is looked at
                continue
            max_hz = max(max_hz, float(about.get("reached_hz", about["max_hz"])))
            limit = "audio.sample_rate" if "reached_hz" in about else LIMITS[about.get("kind", "image")]
    refuse_unequal_bands(rates, max_hz=max_hz, limit=limit)
    write_rows(SPECTROGRAMS_LIST, SpectrogramFile, rows)
    return rows
