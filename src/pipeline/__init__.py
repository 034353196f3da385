"""emospec: recordings in, spectrogram images, trained networks and honest metrics out."""
