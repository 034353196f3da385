"""emospec: recordings in, spectrogram images, trained networks and honest metrics out."""

import os

# Threads of a network wait for each other asleep, not in a loop: where other programs compute beside them, the loops of
# waiting threads keep the working one from the processor, and a step takes ten times as long and more. Read once, when
# torch is loaded; it changes no result.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
