"""/v1/known-lists: lists of hashes of known content, as JSON."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field

from review.auth.access import Admin
from review.problem_schema import problems
from review.resources import Configured, Database
from storage.engine import reading, transaction
from storage.known import list_files, lists

router = APIRouter(prefix="/v1/known-lists", tags=["known content"], responses=problems(404))

Name = Annotated[str, Path(max_length=lists.LONGEST_NAME, pattern=r"^[^\x00]+$")]


class KnownListOut(BaseModel):
    name: str
    hashes: int
    created_at: datetime


class HashList(BaseModel):
    """What ThreatExchange and Hasher-Matcher-Actioner exchange."""

    data: list[dict[str, Any]] = Field(
        max_length=10_000,
        description="Entries with `indicator` (64 hexadecimal digits), `type` (`HASH_PDQ`; entries of other"
        " types are left out) and, if need be, `description`.",
    )


class HashListPage(BaseModel):
    data: list[dict[str, str]]
    next_after: int | None = Field(description="The `after` of the next page; null on the last.")


class AddedOut(BaseModel):
    added: int
    already: int = Field(description="Hashes that the list had before.")
    other_types: int = Field(description="Entries that are no PDQ hashes.")
    videos: int = Field(
        description="Videos that look like an entry of the list that none looked like before."
    )


@router.get("")
def list_known_lists(engine: Database, _: Admin) -> list[KnownListOut]:
    """All lists, by name."""
    with reading(engine) as session:
        return [KnownListOut(**asdict(each)) for each in lists.listed(session)]


@router.post("/{name}")
def add_known_hashes(
    engine: Database, settings: Configured, principal: Admin, name: Name, body: HashList
) -> AddedOut:
    """Add hashes to a list, which is made where there is none, and look for videos like them."""
    records = ((f"entry {number}", each) for number, each in enumerate(body.data, start=1))
    read = list_files.of_records(records, name)
    added = lists.add(engine, name, read, settings=settings.known, actor=principal.name)
    return AddedOut(**asdict(added))


@router.get("/{name}")
def export_known_list(
    engine: Database,
    _: Admin,
    name: Name,
    after: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> HashListPage:
    """The entries of a list, page by page."""
    with reading(engine) as session:
        found = lists.entries(session, name, after=after, limit=limit + 1)
    return HashListPage(
        data=[list_files.as_json(entry) for _, entry in found[:limit]],
        next_after=found[limit - 1][0] if len(found) > limit else None,
    )


@router.delete("/{name}", status_code=204)
def remove_known_list(engine: Database, principal: Admin, name: Name) -> Response:
    """Remove a list, and what was found to look like its entries."""
    with transaction(engine) as session:
        lists.remove(session, name, actor=principal.name)
    return Response(status_code=204)
