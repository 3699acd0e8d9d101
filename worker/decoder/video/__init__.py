"""Streams of pictures: packets, times, colours."""
