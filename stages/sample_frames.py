"""Sample the frame of each block's video: blocks of CORPUS, its videos -> frames/CORPUS.h5; empty for other kinds."""

from pathlib import Path

from pipeline.console import StageItem, n_workers, run_stage
from pipeline.features.faces import choose_faces
from pipeline.params import load_params
from pipeline.sampling import sample_frames
from pipeline.store.claims import claimed
from pipeline.store.paths import corpus_folder, frames_h5


def main(corpus: StageItem, params: Path = Path("params.yaml")) -> None:
    p = load_params(params)
    with claimed(frames_h5(corpus)):
        sample_frames(
            corpus,
            choose_faces(p.representation, p.image, p.faces, sample_rate=p.audio.sample_rate),
            folder=corpus_folder(p.data.root, corpus),
            n_workers=n_workers(p.machine.workers),
        )


if __name__ == "__main__":
    run_stage(main)
