"""Genuine and fake faces to learn from: found, divided, cut out and paired."""
