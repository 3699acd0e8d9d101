"""Does the change between neighbouring frames find fakes that the video score misses? See `__main__`."""
