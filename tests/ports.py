"""Ports for the servers of tests that run at the same time."""

from fuzz.chaos.servers import free_port

__all__ = ["free_port"]
