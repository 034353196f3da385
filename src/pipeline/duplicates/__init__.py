"""The same recording twice among the clips of all corpora: copies, altered copies, parts.

`fingerprints` makes the fingerprints of a corpus, `prints` reads those of all, `index` proposes pairs of clips and
offsets at which several of their sub-fingerprints agree, `stretches` finds how far they go on agreeing, `matching`
listens to that stretch and writes the table.

What is found: the same recording coded (mp3 at 32 kbit/s), resampled, louder or softer, filtered gently, with
inverted polarity, mixed down, cut to a second of sound or more, with silence or other sound before and after; two parts
of one recording where they overlap; the same record played in two recordings.

What is not found: sound played faster, slower or at another pitch, by more than 0.02 %; sound mixed with other sound or
noise (at -20 dB it is found, at -10 dB nine times in ten, at -3 dB two times in three), strongly clipped, or recorded
anew in a room; shared parts with less than about 0.75 s of sound in them: of cuts of one second out of speech that
begins with a pause, a fifth is missed; parts that lie below 300 or above 3000 Hz, or 50 dB below the loudest of their
clip; sound that repeats itself exactly (tones, hum, a metronome), of which two recordings cannot be told from one.
Files of digital silence are an exact pair where they are equally long.
"""
