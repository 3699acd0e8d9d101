"""How verdicts and scores look on a terminal."""

from core.model_version import UNTRAINED_LABEL

COLOURS = {"fake": "bold red", "suspect": "yellow", "clear": "green", "unjudged": "cyan"}


def coloured(verdict: str | None) -> str:
    """A verdict in rich's markup; failures are magenta, verdicts without a score dim."""
    if verdict is None:
        return "[dim]-[/]"
    colour = "magenta" if verdict.startswith("failed") else COLOURS.get(verdict, "dim")
    return f"[{colour}]{verdict}[/]"


def percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}%"


def printed_label(version: str, label: str) -> str:
    """A model version; one of a short training run says so in yellow."""
    return (
        f"{version} [yellow]({label}: not evidence)[/]"
        if label == UNTRAINED_LABEL
        else f"{version} ({label})"
    )
