"""The representation that parameters choose."""

from pipeline.features.chosen import choose_representation
from pipeline.features.faces import Faces
from pipeline.features.representations import Representation
from pipeline.params.sections import Params


def representation_of(params: Params) -> Representation | Faces:
    """What the parameters make of a block."""
    return choose_representation(
        params.representation,
        params.spectrogram,
        params.image,
        params.stack,
        params.features,
        params.faces,
        sample_rate=params.audio.sample_rate,
    )
