"""Ports for the servers of tests that run at the same time."""

import socket


def free_port() -> int:
    """One that the kernel chooses: two that look from the same number on may both find the same."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
