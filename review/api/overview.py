"""The dashboard's figures and the model versions."""

from typing import Annotated

from fastapi import APIRouter, Query

from review.api import schemas
from review.auth.access import Viewer
from review.problem_schema import problems
from review.resources import Database
from storage import model_versions
from storage.engine import reading
from storage.read import dashboard
from storage.read.dashboard import LONGEST_DAYS, Dashboard

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
