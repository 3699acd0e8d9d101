"""Containers: what they declare, and where they break off."""
