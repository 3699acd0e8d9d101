"""Known content: hashes of frames in SQL, an index of them in memory, and what looks like what."""
