"""The frame that is shown at a time: known by its grey, in films whose frames appear at times of one's own."""

import builtins
import struct

import av
import numpy as np
import pytest
import soundfile
from audio.made_video import write_video
from made_film import TENTHS, grey_of, write_film

from pipeline import video
from pipeline.errors import AudioError
from pipeline.video import read_frames


def numbers(path, seconds, **options):
    """Which frames are shown at some times."""
    greys = [frame.pixels.mean() for frame in read_frames(path, seconds, **options)]
    return [round((grey - grey_of(0)) / (grey_of(1) - grey_of(0)), 3) for grey in greys]


@pytest.fixture
def film(tmp_path):
    return tmp_path / "film.mkv"


@pytest.mark.parametrize("threads", [1, 4])
def test_the_last_frame_that_has_appeared_is_shown(film, threads):
    write_film(film)
    assert numbers(film, [0.0, 0.05, 0.099, 0.1, 0.1, 1.25, 2.9, 2.95, 3.0], threads=threads) == [
        *(0, 0, 0, 1, 1, 12, 29, 29, 29)
    ]


def test_frames_of_unequal_length_are_shown_by_their_own_times(film):
    write_film(film, [0, 40, 700, 720, 2400])
    assert numbers(film, [0.03, 0.04, 0.6, 0.699, 0.7, 0.73, 2.39, 2.4]) == [0, 1, 1, 1, 2, 3, 3, 4]


def test_before_the_first_frame_the_first_is_shown(film):
    write_film(film, [500, 600, 700])
    assert numbers(film, [0.0, 0.4, 0.55, 0.6]) == [0, 0, 0, 1]


def test_times_are_those_of_the_sound(film):
    write_film(film, sound_from_ms=450)  # its first sample is due with the fifth frame
    frames = list(read_frames(film, [0.0, 0.04, 0.06, 1.0]))
    assert numbers(film, [0.0, 0.04, 0.06, 1.0]) == [4, 4, 5, 14]
    assert [frame.seconds for frame in frames] == pytest.approx([-0.05, -0.05, 0.05, 0.95])


def test_a_film_without_sound_tells_its_own_time(film):
    write_film(film, seconds=None)
    assert numbers(film, [0.55]) == [5]


def test_a_frame_that_is_asked_for_twice_is_made_once(film):
    write_film(film)
    one, other, next_one = read_frames(film, [0.51, 0.59, 0.6])
    assert one is other
    assert next_one is not one


def test_nothing_is_decoded_beyond_the_last_time(film, monkeypatch):
    write_film(film)
    decoded = []
    genuine = video._timed_frames

    def counted(*arguments):
        for timed in genuine(*arguments):
            decoded.append(timed.seconds)
            yield timed

    monkeypatch.setattr(video, "_timed_frames", counted)
    assert numbers(film, [0.42]) == [4]
    assert decoded == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4, 0.5])


def test_a_frame_without_a_time_follows_at_the_mean_rate(film, monkeypatch):
    class Untimed:
        time, duration, time_base = None, None, None

    class Container:
        def decode(self, _):
            return [Untimed() for _ in range(4)]

    class Stream:
        average_rate = 4

    assert [one.seconds for one in video._timed_frames(Container(), Stream(), 0.0)] == [0.0, 0.25, 0.5, 0.75]


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "container"),
    [
        ("avi", "mjpeg", "yuvj420p", "avi"),
        ("mp4", "libx264", "yuv420p", "mp4"),
        ("ten_bits", "libx264", "yuv420p10le", "mp4"),
        ("full_chroma", "ffv1", "yuv444p16le", "matroska"),
        ("rgb", "ffv1", "bgra", "matroska"),
        ("webm", "libvpx", "yuv420p", "webm"),
    ],
)
def test_containers_and_pixel_formats_give_the_same_colours(tmp_path, name, codec, pixels, container):
    colours = np.array([[200, 30, 60], [40, 180, 220]], np.uint8)
    halves = np.repeat(colours[None], 32, axis=0).repeat(32, axis=1)  # (32, 64, 3)
    path = tmp_path / name
    with av.open(str(path), "w", format=container) as film:
        stream = film.add_stream(codec, rate=10)
        stream.height, stream.width, stream.pix_fmt, stream.bit_rate = 32, 64, pixels, 4_000_000
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(halves, format="rgb24").reformat(format=pixels)
            frame.pts = number
            film.mux(stream.encode(frame))
        film.mux(stream.encode())
    (frame,) = read_frames(path, [0.15])
    assert frame.pixels.shape == (32, 64, 3)
    assert frame.pixels.dtype == np.uint8
    for colour, half in zip(colours, (frame.pixels[:, :24], frame.pixels[:, 40:]), strict=True):
        np.testing.assert_allclose(half.mean(axis=(0, 1)), colour, atol=6)


def turned(path, source, matrix):
    """Copy an MP4 whose pictures are to be shown by another matrix, as phones write it."""
    content = bytearray(source.read_bytes())
    at = content.find(b"tkhd") + 4 + 4 + 20 + 16  # version and flags, times and id, and what lies between
    content[at : at + 36] = struct.pack(">9i", *matrix)
    path.write_bytes(content)


def test_turned_pictures_are_shown_upright(tmp_path):
    upright = np.zeros((32, 64), np.uint8)
    upright[:, :32] = 200  # the left half is bright
    with av.open(str(tmp_path / "as_stored.mp4"), "w") as film:
        stream = film.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = 32, 64, "yuv420p"
        for _ in range(3):
            film.mux(stream.encode(av.VideoFrame.from_ndarray(upright, format="gray").reformat(format="yuv420p")))
        film.mux(stream.encode())
    one = 1 << 16
    # (x, y) -> (-y, x), so that the left of what is stored is shown above: a quarter turn clockwise
    turned(tmp_path / "turned.mp4", tmp_path / "as_stored.mp4", [0, one, 0, -one, 0, 0, 0, 0, 1 << 30])
    (stored,) = read_frames(tmp_path / "as_stored.mp4", [0.0])
    (shown,) = read_frames(tmp_path / "turned.mp4", [0.0])
    assert stored.pixels[:, :24].mean() > 150 > 50 > stored.pixels[:, 40:].mean()
    assert shown.pixels.shape == (64, 32, 3)
    assert shown.pixels[:24].mean() > 150 > 50 > shown.pixels[40:].mean()
    slanted = [46341, 46341, 0, -46341, 46341, 0, 0, 0, 1 << 30]
    turned(tmp_path / "slanted.mp4", tmp_path / "as_stored.mp4", slanted)
    with pytest.raises(AudioError, match=r"slanted.mp4: its pictures are to be turned by -45 degrees"):
        list(read_frames(tmp_path / "slanted.mp4", [0.0]))


# what cannot be read is told in a line


def refusal(path, seconds=(0.0,)):
    with pytest.raises(AudioError) as caught:
        list(read_frames(path, seconds))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_sound_has_no_pictures(tmp_path, film):
    soundfile.write(tmp_path / "a.wav", np.zeros(800), 8000)
    assert refusal(tmp_path / "a.wav").startswith("a.wav: sound without pictures: give a video")
    write_video(tmp_path / "b.mkv", np.zeros((800, 1), np.int16), rate=8000, with_pictures=False)
    assert refusal(tmp_path / "b.mkv").startswith("b.mkv: a Matroska or WebM file without pictures: take it out")
    assert refusal(tmp_path / "none.mkv") == "none.mkv: the file is missing: restore it, or take it out of the list"


def test_pyav_is_named_where_it_is_missing(film, monkeypatch):
    write_film(film, [0])
    genuine = builtins.__import__

    def without(name, *arguments, **keys):
        if name == "av":
            raise ImportError(name)
        return genuine(name, *arguments, **keys)

    monkeypatch.setattr(builtins, "__import__", without)
    assert refusal(film).endswith("which needs PyAV to be read: pip install 'emospec[video]'")


def test_pictures_that_end_before_the_sound_are_refused_where_they_are_asked_for(film):
    write_film(film, TENTHS[:10], seconds=4.0)
    assert numbers(film, [0.5, 1.8]) == [5, 9]  # the last stays for a second
    assert "its last picture appears at 0.90 s and counts until 1.90 s, and its sound goes on beyond 3.00 s" in refusal(
        film, [0.5, 3.0]
    )
    write_film(film, [0, 1500, 3000], seconds=4.5)  # where frames stay long, so does the last
    assert numbers(film, [4.4]) == [2]


def test_cut_and_damaged_files_are_refused(tmp_path, film):
    write_film(film, picture=lambda number: np.random.default_rng(number).integers(0, 255, (24, 40), np.uint8))
    content = film.read_bytes()
    (tmp_path / "cut.mkv").write_bytes(content[: len(content) // 2])
    assert refusal(tmp_path / "cut.mkv", [2.9]).startswith("cut.mkv: truncated")
    write_video(tmp_path / "a.avi", np.zeros((4000, 1), np.int16), rate=8000)
    damaged = bytearray((tmp_path / "a.avi").read_bytes())
    at = damaged.find(b"00dc", damaged.find(b"movi")) + 8
    damaged[at : at + 200] = bytes(200)  # with the tables without which nothing can be decoded
    (tmp_path / "a.avi").write_bytes(damaged)
    assert refusal(tmp_path / "a.avi").startswith("a.avi: its pictures do not decode (")


def test_huge_frames_are_refused_before_they_are_decoded(film, monkeypatch):
    write_film(film, [0])
    monkeypatch.setattr(video, "MOST_PIXELS", 24 * 40)
    assert numbers(film, [0.0]) == [0]
    monkeypatch.setattr(video, "MOST_PIXELS", 24 * 40 - 1)
    assert "pictures of 40 x 24 pixels, at most" in refusal(film)


def test_a_frame_that_came_out_damaged_is_refused_where_it_is_shown(film, monkeypatch):
    write_film(film)
    genuine = video._timed_frames

    class Damaged:
        is_corrupt = True

    def some(*arguments):
        for timed in genuine(*arguments):
            yield video._Timed(Damaged(), timed.seconds, timed.until) if timed.seconds == 0.5 else timed

    monkeypatch.setattr(video, "_timed_frames", some)
    assert numbers(film, [0.4, 0.6]) == [4, 6]
    assert "the frame at 0.50 s does not decode whole" in refusal(film, [0.4, 0.5])
