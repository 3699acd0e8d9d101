"""The dashboard's figures and the model versions."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from review.api import schemas
from review.auth.access import Reviewer, Viewer
from review.filters import Moment, Share, Text
from review.problem_schema import problems
from review.resources import Database
from storage import model_versions
from storage.engine import reading
from storage.read import dashboard, model_report
from storage.read.dashboard import LONGEST_DAYS, Dashboard
from storage.read.model_report import ModelReport
from storage.tables import utc_now

router = APIRouter(tags=["overview"])


@router.get("/dashboard", responses=problems())
def get_dashboard(
    engine: Database, principal: Viewer, days: Annotated[int, Query(ge=1, le=LONGEST_DAYS)] = 30
) -> Dashboard:
    """Queue depth and age, throughput, verdicts, precision by decisions, failures, score drift, agreement."""
    del principal
    with reading(engine) as session:
        return dashboard.dashboard(session, days=days)


@router.get("/models", responses=problems())
def list_models(engine: Database, principal: Viewer) -> list[schemas.Model]:
    """The model versions that have screened here, the newest first."""
    del principal
    with reading(engine) as session:
        found = model_versions.known(session)
    return [
        schemas.Model(
            id=row.id,
            label=row.label,
            architecture=row.architecture,
            weights_sha256=row.weights_sha256,
            fake_threshold=row.details.get("fake_threshold"),
            suspect_threshold=row.details.get("suspect_threshold"),
        )
        for row in found
    ]


@router.get("/models/report", responses=problems(404))
def get_model_report(
    engine: Database,
    principal: Reviewer,
    model_version: Annotated[Text, Query(description="A known model version (`/models`).")],
    since: Annotated[Moment | None, Query(description="From this time on; by default 90 days.")] = None,
    rate: Annotated[
        list[Share] | None, Query(max_length=10, description="Wanted rates of false positives.")
    ] = None,
) -> ModelReport:
    """Scores held against decisions: precision by score, suggested thresholds, drift. It changes nothing.

    Reviewers see mostly what is flagged, so low scores are known less than high ones; the counts say how far.
    """
    del principal
    began = since or utc_now() - timedelta(days=LONGEST_DAYS)
    with reading(engine) as session:
        return model_report.report(session, model_version, since=began, rates=rate or (0.01, 0.05))
