"""The queue's filters as URL parameters."""

from datetime import UTC, datetime
from typing import Annotated, Any, get_origin

from fastapi import Depends, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from core.errors import InvalidQuery
from core.families import Family
from core.outcomes import DecisionState, ScreeningStatus, Verdict
from core.provenance import Stated
from storage.queue import names
from storage.queue.filters import LONGEST_CURSOR, Filters, Sort

YEARS = (1970, 9990)  # outside them, converting to UTC can leave the calendar


def _moment(value: datetime) -> datetime:
    if not YEARS[0] <= value.year <= YEARS[1]:
        raise ValueError(f"the year must be from {YEARS[0]} to {YEARS[1]}")
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Moment = Annotated[datetime, AfterValidator(_moment)]
NO_NUL = r"^[^\x00]*$"  # PostgreSQL cannot store NUL in text
Text = Annotated[str, StringConstraints(max_length=500, pattern=NO_NUL)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class FilterParams(BaseModel):
    """Omitted filters mean "any"; all given ones must match."""

    # A misspelt filter must not silently show everything.
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=False)

    verdict: list[Verdict] = Field(default_factory=list, max_length=16, description="Any of these.")
    status: list[ScreeningStatus] = Field(default_factory=list, max_length=16, description="Any of these.")
    decision_state: list[DecisionState] = Field(
        default_factory=list, max_length=16, description="Any of these."
    )
    family: list[Family] = Field(
        default_factory=list, max_length=16, description="What a flagged face most resembles: any of these."
    )
    known: bool = Field(
        False, description="Only what looks like a decided video or an entry of an imported list."
    )
    provenance: list[Stated] = Field(
        default_factory=list, max_length=8, description="What the file states about itself: any of these."
    )
    score_min: Share | None = Field(None, description="Lowest calibrated score; excludes videos without one.")
    score_max: Share | None = Field(
        None, description="Highest calibrated score; excludes videos without one."
    )
    since: Moment | None = Field(
        None, description="First seen at this time or later; UTC if no zone is given."
    )
    until: Moment | None = Field(None, description="First seen before this time.")
    source: Text | None = Field(None, description="Where the video was first seen, e.g. `upload`.")
    model_version: Text | None = Field(
        None, description="Screened by this model version; by default each video's latest finished screening."
    )
    text: Text | None = Field(
        None,
        description=(f"Part of a name, {names.SHORTEST} to {names.LONGEST} characters, ignoring case."),
    )
    sort: Sort = Field(Sort.SCORE, description="By score, or by the time when it was first seen.")
    ascending: bool = Field(False, description="Lowest or oldest first.")

    @model_validator(mode="before")
    @classmethod
    def _without_blanks(cls, values: Any) -> Any:
        # An empty form field means "any".
        if not isinstance(values, dict):
            return values
        return {name: value for name, value in values.items() if value not in ("", [""])}

    def to_filters(self) -> Filters:
        return Filters(
            verdicts=tuple(dict.fromkeys(self.verdict)),
            statuses=tuple(dict.fromkeys(self.status)),
            decision_states=tuple(dict.fromkeys(self.decision_state)),
            families=tuple(dict.fromkeys(self.family)),
            known=self.known,
            provenance=tuple(dict.fromkeys(self.provenance)),
            score_min=self.score_min,
            score_max=self.score_max,
            since=self.since,
            until=self.until,
            source=self.source,
            model_version=self.model_version,
            text=self.text,
            sort=self.sort,
            ascending=self.ascending,
        )


class ListParams(FilterParams):
    cursor: Annotated[str, StringConstraints(max_length=LONGEST_CURSOR)] | None = Field(
        None, description="`next_cursor` of the previous page, with the same filters and order."
    )
    limit: int = Field(50, ge=1, le=200, description="Videos per page.")
    count: bool = Field(False, description="Also count the matches, up to 10,000.")


SEVERAL = {name for name, field in FilterParams.model_fields.items() if get_origin(field.annotation) is list}


def _given_once(request: Request) -> None:
    """Raises InvalidQuery: of several values of one filter, the last alone would silently count."""
    for name in request.query_params:
        if name not in SEVERAL and len(request.query_params.getlist(name)) > 1:
            raise InvalidQuery(parameter=name, reason="it is given more than once, and takes one value")


GIVEN_ONCE = Depends(_given_once)  # for routes that take filters
