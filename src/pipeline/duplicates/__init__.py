"""The same recording twice among the clips of all corpora: copies, altered copies, parts.

`fingerprints` makes the fingerprints of a corpus, `index` proposes pairs of clips and offsets at which several of their
sub-fingerprints agree, `stretches` finds how far they go on agreeing, `matching` listens to that stretch and writes the
table.

What is found: the same recording coded (mp3 at 32 kbit/s), resampled, louder or softer, filtered gently, with inverted
polarity, mixed down, cut to a second or more, with silence or other sound before and after; two parts of one recording
where they overlap; the same record played in two recordings.

What is not found: sound played faster, slower or at another pitch, by more than 0.02 %; sound mixed with other sound or
noise (at -20 dB it is found, at -10 dB nine times in ten, at -3 dB less than half of it), strongly clipped, or recorded
anew in a room; shared parts of less than 0.75 s, or with less than 0.4 s of sound in them; parts that lie below 300 or
above 3000 Hz, or 50 dB below the loudest of their clip; sound that repeats itself exactly (tones, hum, a metronome), of
which two recordings cannot be told from one. Files of digital silence are an exact pair where they are equally long.
"""
