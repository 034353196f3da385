"""emospec: recordings in, spectrogram images, trained networks and honest metrics out."""

import os

# How long threads of a network wait for each other in a loop before they sleep. GNU's default is so long that, where
# other programs compute beside them, loops keep the working thread from the processor, and a step takes many times as
# long; sleeping at once costs a small network a third of its speed on an idle machine. It changes no result.
os.environ.setdefault("GOMP_SPINCOUNT", "5000")
