"""Read, check and store the recordings of one corpus: data.root/CORPUS -> data/processed/clips/CORPUS."""

from pathlib import Path

from pipeline.collect import collect_clips
from pipeline.console import StageItem, n_workers, run_stage
from pipeline.corpora import list_corpus
from pipeline.params import load_params
from pipeline.store.claims import claimed
from pipeline.store.paths import clips_folder, corpus_folder


def main(corpus: StageItem, params: Path = Path("params.yaml")) -> None:
    p = load_params(params)
    folder = corpus_folder(p.data.root, corpus)
    with claimed(clips_folder(corpus)):
        collect_clips(
            corpus,
            folder,
            list_corpus(corpus, folder),
            sample_rate=p.audio.sample_rate,
            max_seconds=3600 * p.audio.max_hours,
            missing=p.data.missing,
            n_workers=n_workers(p.machine.workers),
        )


if __name__ == "__main__":
    run_stage(main)
