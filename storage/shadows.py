"""What another model version says of videos in the shadow: kept apart from every verdict."""

from sqlalchemy import delete
from sqlalchemy.orm import Session

from core.results import ShadowResult
from storage.tables import Screening, ShadowAnswer


def keep(session: Session, screening_id: int, result: ShadowResult) -> None:
    """Keep the answer, in place of an earlier one by the same version; not where the video was erased."""
    if session.get(Screening, screening_id, with_for_update=True) is None:
        return
    session.execute(
        delete(ShadowAnswer).where(
            ShadowAnswer.screening_id == screening_id, ShadowAnswer.model_version_id == result.model_version
        )
    )
    values = {name: value for name, value in vars(result).items() if name != "model_version"}
    session.add(
        ShadowAnswer(
            screening_id=screening_id,
            model_version_id=result.model_version,
            **values | {"logits": list(result.logits)},
        )
    )
