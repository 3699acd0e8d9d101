"""Genuine and fake faces to learn from: found, split, cropped and paired."""
