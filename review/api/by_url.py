"""Videos by their address."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from core.outgoing import LONGEST_URL
from core.priorities import Priority
from ingest.by_url import Fetcher
from review.api import schemas
from review.api.submissions import allow
from review.api.transfers import taken_in
from review.auth.access import Uploader
from review.problem_schema import problems
from review.resources import Pressed
from review.uploads import Upload, checked_name

router = APIRouter(tags=["transfers"])


class Submission(BaseModel):
    model_config = ConfigDict(extra="forbid")

    url: str = Field(max_length=LONGEST_URL, description="A public http or https address.")
    name: str | None = Field(
        None, max_length=500, description="File name by which people can find it; by default the address's."
    )
    priority: Priority = Field(
        Priority.NORMAL, description="`interactive` takes the scope `interactive`, or a person's session."
    )


def _fetcher(request: Request) -> Fetcher:
    fetcher: Fetcher = request.app.state.fetcher
    return fetcher


@router.post(
    "/videos:by-url",
    status_code=201,
    response_model=schemas.Uploaded,
    responses={
        200: {"model": schemas.Uploaded, "description": "The content was already there."},
        **problems(413, 415, 429),
    },
)
def submit_by_url(
    response: Response,
    pressure: Pressed,
    principal: Uploader,
    fetcher: Annotated[Fetcher, Depends(_fetcher)],
    body: Submission,
) -> schemas.Uploaded:
    """Have a video or image fetched and screened; answers once it is fetched.

    Refused with `by_url_off` unless FACEWARDEN_BY_URL__ENABLED is set. Only public addresses are fetched, and
    no credentials are sent.
    """
    allow(principal, body.priority)
    pressure.check(principal.account_id, principal.name, body.priority)
    name = None if body.name is None else checked_name(body.name)
    receipt = fetcher.take(body.url, actor=principal.name, name=name, priority=body.priority)
    if receipt.error is not None:
        raise receipt.error
    assert receipt.video_id is not None  # noqa: S101  registered
    assert receipt.sha256 is not None  # noqa: S101  registered
    taken = Upload(
        video_id=receipt.video_id,
        sha256=receipt.sha256,
        name=receipt.name,
        intake=receipt.intake,
        priority=body.priority,
    )
    return taken_in(taken, response)
