"""Every card in the registry says what a reader and the rest of the package need."""

import re

import pytest

from pipeline.corpora import CORPORA, Listing, count_missing, describe_missing, list_corpus, refuse_missing
from pipeline.corpora.emotions import EMOTIONS
from pipeline.errors import CorpusError


@pytest.mark.parametrize("corpus", CORPORA)
def test_a_card_is_complete(corpus):
    card = CORPORA[corpus]
    assert re.fullmatch(r"[a-z0-9][a-z0-9_]*", corpus)  # it is a folder, a DVC item and a value in params.yaml
    assert all((card.title, card.citation, card.licence))
    assert card.page.startswith("http")
    assert card.how_to_get.endswith(".")
    assert list(card.classes) == sorted(card.classes)
    for name, classes in card.class_sets.items():
        assert list(classes) == sorted(set(classes)), name
        assert set(classes) <= set(card.classes), name
    for download in card.downloads:
        assert download.url.startswith("http")
        assert re.fullmatch(r"(md5:[0-9a-f]{32}|sha256:[0-9a-f]{64})?", download.checksum)


@pytest.mark.parametrize("corpus", ["emodb", "emodb_2s", "ravdess_song", "ravdess_speech"])
def test_speech_and_song_have_the_common_names_of_emotions(corpus):
    assert set(CORPORA[corpus].classes) <= set(EMOTIONS)


@pytest.mark.parametrize("corpus", CORPORA)
def test_a_folder_that_is_not_there_is_refused(corpus, tmp_path):
    with pytest.raises(CorpusError, match="is missing: put the recordings there"):
        list_corpus(corpus, tmp_path / corpus)


def test_what_is_missing_is_told_in_one_line_with_the_number_published():
    listing = Listing((), missing=("wav/a.wav", "wav/b.wav"))
    assert count_missing("emodb", 1) == "1 of the 535 files that emodb should hold is missing"
    assert describe_missing("emodb", listing).startswith(
        "2 of the 535 files that emodb should hold are missing, the first: "
    )
    assert describe_missing("emodb", Listing(())) == ""
    with pytest.raises(CorpusError, match=r"wav/a\.wav; .* set data\.missing to warn"):
        refuse_missing("emodb", listing)
    refuse_missing("emodb", Listing(()))
