"""Pseudo-fakes: forgeries made of genuine faces, and what the world does to a picture."""
