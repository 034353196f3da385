import pytest

from pipeline.errors import StoreError
from pipeline.store import paths


@pytest.mark.parametrize(("fold", "member"), [(0, "a"), (12, "squeeze_1"), (3, "a-b")])
def test_the_name_of_a_run_gives_its_fold_and_member_back(fold, member):
    assert paths.parse_run_key(paths.run_key(fold, member)) == (fold, member)


@pytest.mark.parametrize("key", ["", "a", "-a", "0-", "a-0", "-1-a", "0.5-a", "train_model"])
def test_what_names_no_run_is_refused(key):
    with pytest.raises(StoreError, match="FOLD-MEMBER"):
        paths.parse_run_key(key)


def test_no_two_files_share_a_path():
    of_corpus = [
        paths.clips_h5,
        paths.clips_csv,
        paths.rejected_csv,
        paths.missing_csv,
        paths.blocks_csv,
        paths.left_out_csv,
        paths.loudness_csv,
        paths.spectrograms_h5,
        paths.frames_h5,
    ]
    of_key = [paths.model_folder, paths.weights_folder, paths.curves_csv, paths.outputs_h5]
    fixed = [paths.SPECTROGRAMS_LIST, paths.SPLIT, paths.SPLIT_METRICS, paths.METRICS, paths.baselines_h5(0)]
    made = [path(name) for path in of_corpus for name in ("a", "b")]
    made += [path(name) for path in of_key for name in ("0-a", "1-a")]
    assert len({*made, *fixed}) == len(made) + len(fixed)
    assert not any(path.is_absolute() for path in made)


def test_a_corpus_folder_may_be_absolute(tmp_path):
    assert paths.corpus_folder(str(tmp_path), "emodb") == tmp_path / "emodb"
    assert paths.corpus_folder("data/raw", "emodb").as_posix() == "data/raw/emodb"
