"""Made videos: a few small frames, and a sound track or none."""

from pathlib import Path

import av
import numpy as np

N_FRAMES, FPS = 5, 10


def write_video(
    path: Path,
    sound: np.ndarray | None,
    *,
    rate: int,
    codec: str = "pcm_s16le",
    layout: str = "mono",
    container: str | None = None,
    with_pictures: bool = True,
) -> None:
    """Write a video whose sound track holds `sound`, int16 (frames, channels); None makes one without a track."""
    with av.open(str(path), "w", format=container) as video:
        pictures = video.add_stream("mjpeg", rate=FPS) if with_pictures else None
        if pictures is not None:
            pictures.width, pictures.height, pictures.pix_fmt = 32, 24, "yuvj420p"
        track = None if sound is None else video.add_stream(codec, rate=rate, layout=layout)
        if pictures is not None:
            for number in range(N_FRAMES):
                picture = av.VideoFrame.from_ndarray(np.full((24, 32, 3), 40 * number, np.uint8), format="rgb24")
                picture.pts = number
                video.mux(pictures.encode(picture.reformat(format="yuvj420p")))
            video.mux(pictures.encode())
        if track is not None:
            for start in range(0, len(sound), 1000):
                piece = np.ascontiguousarray(sound[start : start + 1000]).reshape(1, -1)
                frame = av.AudioFrame.from_ndarray(piece, format="s16", layout=layout)
                frame.sample_rate, frame.pts = rate, start
                video.mux(track.encode(frame))
            video.mux(track.encode())
