"""CAL500: songs by name, labels from the publisher's tables."""

import pytest
from corpora.made_corpus import labels, touch

from pipeline.corpora import CORPORA, Recording, list_corpus
from pipeline.corpora.cal500 import choose_label, split_name
from pipeline.errors import CorpusError

WORDS = [
    "Emotion-Angry_/_Agressive",
    "NOT-Emotion-Angry_/_Agressive",
    "Emotion-Calming_/_Soothing",
    "Emotion-Happy",
    "NOT-Emotion-Happy",
    "Emotion-Powerful_/_Strong",
    "Emotion-Sad",
    "Genre-Rock",
]
# Weights of the words, and the class that they should give.
SONGS = {
    "2pac-trapped": ([0.5, 0, 0, 0.25, 0, 1, 0, 1], "anger"),
    "10cc-for_you_and_i": ([0, 1, 0.6, 0.4, 0, 0, 0.4, 0], "calm"),
    "chi-lites-stoned_out_of_my_mind": ([0, 1, 0, 0.75, 0, 0, 0.25, 0], "happiness"),
    "sir_mix-a-lot-baby_got_back": ([0, 0, 0, 0, 0, 0, 0.2, 0], "sadness"),
    "alike-both": ([0.5, 0, 0, 0, 0, 0, 0.5, 0], ""),
    "nothing-at_all": ([0, 1, 0, 0, 1, 1, 0, 1], ""),
}


def write_tables(folder, *, soft=True, hard=False, words=WORDS, songs=SONGS, place="CAL500_noAudioFeatures"):
    where = folder / place
    where.mkdir(parents=True, exist_ok=True)
    (where / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    (where / "songNames.txt").write_text("\r\n".join(songs) + "\r\n", encoding="utf-8")
    rows = [weights for weights, _ in songs.values()]
    if soft:
        text = "\n".join(",".join(f"{weight:.4f}" for weight in row) for row in rows)
        (where / "softAnnotations.txt").write_text(text + "\n", encoding="utf-8")
    if hard:
        text = "\n".join(",".join(str(int(weight >= 0.5)) for weight in row) for row in rows)
        (where / "hardAnnotations.txt").write_text(text + "\n", encoding="utf-8")


def label_of(listing):
    return {recording.path.rpartition("/")[2].removesuffix(".mp3"): recording.label for recording in listing.recordings}


@pytest.mark.parametrize("place", ["", "CAL500_32kps/"])
def test_a_song_has_the_class_whose_tag_weighs_most(tmp_path, place):
    write_tables(tmp_path)
    touch(tmp_path, *(f"{place}{song}.mp3" for song in SONGS))
    listing = list_corpus("cal500", tmp_path)
    assert label_of(listing) == {song: label for song, (_, label) in SONGS.items() if label}
    assert listing.surplus == {
        f"{place}alike-both.mp3": "anger and sadness apply to it alike",
        f"{place}nothing-at_all.mp3": "none of its emotions is one of anger, calm, happiness, sadness",
    }
    assert listing.missing == ()
    assert listing.recordings[0] == Recording(
        f"{place}10cc-for_you_and_i.mp3",
        "calm",
        licence=CORPORA["cal500"].licence,
        fields={"artist": "cal500/10cc", "title": "for_you_and_i"},
    )


def test_without_the_soft_table_the_hard_one_decides(tmp_path):
    write_tables(tmp_path, soft=False, hard=True)
    touch(tmp_path, *(f"{song}.mp3" for song in SONGS))
    listing = list_corpus("cal500", tmp_path)
    assert labels(listing) == {"anger": 1, "calm": 1, "happiness": 1}
    assert set(listing.surplus) == {"alike-both.mp3", "nothing-at_all.mp3", "sir_mix-a-lot-baby_got_back.mp3"}


def test_the_soft_table_goes_before_the_hard_one(tmp_path):
    write_tables(tmp_path, hard=True)
    touch(tmp_path, "sir_mix-a-lot-baby_got_back.mp3")
    assert labels(list_corpus("cal500", tmp_path)) == {"sadness": 1}


@pytest.mark.parametrize(
    "spelling", ["Emotion-Angry_/_Aggressive", "Emotion-Angry-Agressive", "emotion-angry / aggressive"]
)
def test_spellings_of_a_tag(tmp_path, spelling):
    write_tables(tmp_path, words=[spelling, *WORDS[1:]])
    touch(tmp_path, "2pac-trapped.mp3")
    assert labels(list_corpus("cal500", tmp_path)) == {"anger": 1}


def test_missing_and_surplus_songs_are_named(tmp_path):
    write_tables(tmp_path)
    touch(tmp_path, "2PAC-Trapped.mp3", "again/2pac-trapped.mp3", "dog.mp3", "cover.jpg")
    listing = list_corpus("cal500", tmp_path)
    assert [recording.label for recording in listing.recordings] == ["anger"]
    assert listing.surplus == {
        "again/2pac-trapped.mp3": "the same recording as 2PAC-Trapped.mp3",
        "dog.mp3": "its name is not one of this corpus",
    }
    assert listing.missing == tuple(sorted(f"{song}.mp3" for song in SONGS if song != "2pac-trapped"))


@pytest.mark.parametrize(
    ("lacking", "message"),
    [
        (["vocab.txt"], r"lacks vocab\.txt: put the tables"),
        (["songNames.txt"], r"lacks songNames\.txt: put the tables"),
        (["softAnnotations.txt"], r"lacks softAnnotations\.txt or hardAnnotations\.txt: put the tables"),
        (["vocab.txt", "songNames.txt", "softAnnotations.txt"], r"lacks songNames\.txt, vocab\.txt, softAnnotations"),
    ],
)
def test_without_a_table_the_message_says_what_to_put_where(tmp_path, lacking, message):
    write_tables(tmp_path, place="")
    touch(tmp_path, "2pac-trapped.mp3")
    for name in lacking:
        (tmp_path / name).unlink()
    with pytest.raises(CorpusError, match=message):
        list_corpus("cal500", tmp_path)


@pytest.mark.parametrize(
    ("table", "old", "new", "message"),
    [
        ("softAnnotations.txt", "1.0000\n", "1.0000\n0,0\n", "7 lines, needed 6 as in songNames.txt"),
        ("softAnnotations.txt", "0.5000,", "", "line 1: 7 numbers, needed 8 as in vocab.txt"),
        ("softAnnotations.txt", "0.5000", "-2", "line 1: '-2' is no weight"),
        ("softAnnotations.txt", "0.5000", "nan", "line 1: 'nan' is no weight"),
        ("softAnnotations.txt", "0.5000", "much", "line 1: 'much' is no weight"),
        ("vocab.txt", "Emotion-Sad", "Emotion-Blue", "no tag for sadness"),
    ],
)
def test_faulty_tables_are_refused_with_the_line(tmp_path, table, old, new, message):
    write_tables(tmp_path, place="")
    touch(tmp_path, "2pac-trapped.mp3")
    text = (tmp_path / table).read_text(encoding="utf-8")
    assert old in text
    (tmp_path / table).write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(CorpusError, match=message) as error:
        list_corpus("cal500", tmp_path)
    assert str(error.value).startswith(f"{table}: ")


def test_songs_without_any_label_are_refused(tmp_path):
    write_tables(tmp_path)
    touch(tmp_path, "alike-both.mp3")
    with pytest.raises(CorpusError, match="holds no song to which one emotion applies most"):
        list_corpus("cal500", tmp_path)


def test_a_class_must_weigh_more_than_any_other():
    assert choose_label({"anger": 0.3, "calm": 0.2, "sadness": 0.0}) == ("anger", "")
    assert choose_label({"anger": 0.3, "calm": 0.3, "sadness": 0.0}) == ("", "anger and calm apply to it alike")
    assert choose_label({"anger": 0.0, "calm": 0.0})[0] == ""


@pytest.mark.parametrize(
    ("name", "artist", "title"),
    [
        ("2pac-trapped", "2pac", "trapped"),
        ("chi-lites-stoned_out", "chi-lites", "stoned_out"),
        ("go-gos-vacation", "go-gos", "vacation"),
        ("go-away", "go", "away"),
        ("a-b-c", "a", "b-c"),
        ("nohyphen", "nohyphen", ""),
    ],
)
def test_a_songs_name_is_artist_and_title(name, artist, title):
    assert split_name(name) == (artist, title)
