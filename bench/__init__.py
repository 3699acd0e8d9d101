"""Benchmarks: side by side in one run, as ratios."""

import sys

from rich.console import Console

LOG_WIDTH = 120  # of a table in a file or a pipe, for which rich would take 80


def bench_console() -> Console:
    """Prints whole tables into files and pipes too."""
    return Console(width=None if sys.stdout.isatty() else LOG_WIDTH)
