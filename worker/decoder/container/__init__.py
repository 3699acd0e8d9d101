"""Containers: what they say, and where they break off."""
