"""Structured logs: for a terminal in colour, for machines as one JSON object a line, on stderr."""

import logging
import sys
from typing import Any

import structlog
from structlog.typing import EventDict

from core.errors import printable
from core.settings import Settings


def configure(settings: Settings) -> None:
    """Set up logging for this process; the libraries' own logging goes the same way."""
    level = getattr(logging, settings.log_level.upper())
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _escape,
    ]
    final: list[Any] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if as_json
        else [
            # structlog's own choice, rich, prints the variables of every frame: passwords and cookies too.
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
    )
    structlog.configure(
        processors=[*shared, *final],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    # Libraries are asked for warnings only: RQ alone would write three lines a job.
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)


def leave_stdout_alone() -> None:
    """For a library: its lines go to stderr, unless the program has set structlog up itself.

    Left to itself structlog writes to stdout, which is the program's.
    """
    if not structlog.is_configured():
        structlog.configure(
            processors=[_escape, *structlog.get_config()["processors"]],
            logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        )


def _escape(logger: Any, method: str, event: EventDict) -> EventDict:
    """File names come from strangers: a newline in one must not forge a line of the log."""
    del logger, method
    return {key: printable(value) if isinstance(value, str) else value for key, value in event.items()}
