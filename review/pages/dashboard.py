"""The dashboard: figures of the queue, the machine and the reviewers."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from core.outcomes import Verdict
from review.auth.access import Viewer
from review.pages import plots
from review.rendering import page
from review.resources import Database
from review.words import named
from storage.engine import reading
from storage.read.dashboard import BINS, LONGEST_DAYS, RECENT_DAYS, Dashboard, dashboard

router = APIRouter()

PERIODS = (7, 30, 90)
# Kappa in words (Landis & Koch 1977).
KAPPA_WORDS = ((0.81, "almost perfect"), (0.61, "substantial"), (0.41, "moderate"), (0.21, "fair"))


@router.get("/dashboard")
def dashboard_page(
    request: Request,
    engine: Database,
    principal: Viewer,
    days: Annotated[int, Query(ge=1, le=LONGEST_DAYS)] = 30,
) -> Response:
    """The figures of the last `days` days."""
    with reading(engine) as session:
        found = dashboard(session, days=days)
    return page(
        request,
        "dashboard.html",
        principal=principal,
        figures=found,
        chosen=days,
        periods=PERIODS,
        recent_days=RECENT_DAYS,
        size=(plots.WIDTH, plots.HEIGHT),
        left=plots.LEFT,
        throughput=_throughput(found),
        mix=plots.shares({verdict.value: found.verdicts.get(verdict, 0) for verdict in Verdict}),
        drift=_drift(found),
        spread=_spread(found),
        kappa_words=kappa_words(found.agreement.kappa),
        failures=list(found.failures.items())[:8],
        most_failures=max(found.failures.values(), default=1),
    )


def _throughput(found: Dashboard) -> dict[str, object]:
    days = [each.day for each in found.days]
    series = {
        "screened": [each.screened for each in found.days],
        "decided": [each.decided for each in found.days],
    }
    top = plots.ceiling(max([*series["screened"], *series["decided"]], default=0))
    return {
        "axis": plots.axis(days, top),
        "bars": plots.bars(days, series, top, names={"screened": "screened", "decided": "decisions"}),
    }


def _drift(found: Dashboard) -> dict[str, object]:
    """The mean score and the share of flagged videos, day by day."""
    days = [each.day for each in found.days]
    flagged = [
        sum(each.verdicts.get(verdict, 0) for verdict in Verdict if verdict.flagged) / each.screened
        if each.screened
        else None
        for each in found.days
    ]
    return {
        "axis": plots.axis(days, 1.0, percent=True),
        "mean": plots.line(days, [each.mean_score for each in found.days], 1.0),
        "flagged": plots.line(days, flagged, 1.0),
    }


def _spread(found: Dashboard) -> list[plots.Bar]:
    """The distribution of the scores of the whole period."""
    totals = [sum(each.scores[number] for each in found.days) for number in range(BINS)]
    return plots.histogram(totals, "screened")


def kappa_words(kappa: float | None) -> str:
    """A kappa in words."""
    if kappa is None:
        return "too few videos with answers from two reviewers"
    word = next((word for least, word in KAPPA_WORDS if kappa >= least), "slight or none")
    return f"{named(word)} agreement beyond chance"
