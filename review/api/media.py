"""The video itself, flagged frames, crops, and explanations."""

from io import BytesIO
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from PIL import Image

from core import media_formats
from core.errors import FileVanished, NotFound
from core.media_signatures import HEAD_BYTES
from review.api import schemas
from review.api.answers import REVALIDATED, UNCHANGED, knows, redirected, refuse_while_blind, stored, tagged
from review.auth.access import Viewer
from review.problem_schema import Responses, problems
from review.problems import MEDIA_TYPE
from review.resources import Database, Id, Objects
from storage.engine import reading
from storage.objects.store import ObjectStore, tag_of
from storage.read import detail, explanation

router = APIRouter(tags=["evidence"])

# What browsers can play or show; everything else is offered as a download.
SHOWN = {each.media_type for each in media_formats.SCREENED if each.shown}
MEDIA: dict[str, Any] = {each: {} for each in (*media_formats.media_types(), media_formats.UNKNOWN_TYPE)}
JPEG: Responses = {200: {"content": {"image/jpeg": {}}, "description": "A JPEG."}}
PNG: Responses = {200: {"content": {"image/png": {}}, "description": "A PNG."}}
Width = Annotated[
    int, Query(ge=16, le=1920, description="Maximum width in pixels; pictures are never enlarged.")
]
JPEG_QUALITY = 85


@router.get(
    "/videos/{video_id}/media",
    response_class=Response,
    responses={
        200: {
            "content": MEDIA,
            "description": "The whole file.",
        },
        206: {
            "content": MEDIA,
            "description": "The requested range.",
        },
        307: {"description": "Where FACEWARDEN_S3__SIGNED_URLS is set: to the object store itself."},
        416: {"content": {"text/plain": {}}, "description": "The range does not exist."},
        **UNCHANGED,
        **problems(404),
        400: {
            "content": {"text/plain": {}, MEDIA_TYPE: {}},
            "description": "The Range header is malformed, or the request is broken.",
        },
    },
)
def get_media(
    request: Request, engine: Database, objects: Objects, principal: Viewer, video_id: Id
) -> Response:
    """The video or image itself, or a part of it with a `Range` header."""
    del principal
    with reading(engine) as session:
        found = detail.media(session, video_id)
    kind = media_formats.media_type(objects.read(found.object_key, length=HEAD_BYTES))
    shown: dict[str, Any] = {
        "media_type": kind,
        "filename": found.name.rpartition("/")[2] or found.sha256,
        "inline": kind in SHOWN,
    }
    elsewhere = redirected(objects, found.object_key, **shown)
    return elsewhere or stored(request, objects, found.object_key, **shown)


@router.get(
    "/videos/{video_id}/thumbnail",
    response_class=Response,
    responses={**JPEG, **UNCHANGED, **problems(404)},
)
def get_thumbnail(
    request: Request,
    engine: Database,
    objects: Objects,
    principal: Viewer,
    video_id: Id,
    width: Width = 320,
) -> Response:
    """The most suspicious frame of a flagged video, scaled down. Other videos have none."""
    with reading(engine) as session:
        refuse_while_blind(session, principal, video_id)
        frames = detail.first_frame(session, video_id)
    return shrunk(request, objects, frames.image_key, width)


@router.get(
    "/videos/{video_id}/poster",
    response_class=Response,
    responses={**JPEG, **UNCHANGED, **problems(404)},
)
def get_poster(
    request: Request, engine: Database, objects: Objects, principal: Viewer, video_id: Id
) -> Response:
    """A small picture of the video: the frame with the clearest face, or the middle one.

    It says nothing about the verdict, so that also those who review in blind mode see it.
    """
    del principal
    with reading(engine) as session:
        key = detail.poster_key(session, video_id)
    return stored(request, objects, key, media_type="image/jpeg")


@router.get(
    "/frames/{frame_id}/image", response_class=Response, responses={**JPEG, **UNCHANGED, **problems(404)}
)
def get_frame(
    request: Request,
    engine: Database,
    objects: Objects,
    principal: Viewer,
    frame_id: Id,
    width: Annotated[
        int | None,
        Query(ge=16, le=1920, description="Maximum width in pixels."),
    ] = None,
) -> Response:
    """A whole flagged frame."""
    with reading(engine) as session:
        found = explanation.frame_objects(session, frame_id)
        refuse_while_blind(session, principal, found.video_id)
    if width is not None:
        return shrunk(request, objects, found.image_key, width)
    return stored(request, objects, found.image_key, media_type="image/jpeg")


@router.get(
    "/frames/{frame_id}/crop", response_class=Response, responses={**PNG, **UNCHANGED, **problems(404)}
)
def get_crop(
    request: Request, engine: Database, objects: Objects, principal: Viewer, frame_id: Id
) -> Response:
    """Exactly the pixels that were classified and explained."""
    with reading(engine) as session:
        found = explanation.frame_objects(session, frame_id)
        refuse_while_blind(session, principal, found.video_id)
    return stored(request, objects, found.crop_key, media_type="image/png")


@router.get("/explanations/{explanation_id}", responses={**UNCHANGED, **problems(404)})
def get_explanation(
    request: Request, engine: Database, principal: Viewer, explanation_id: Id
) -> schemas.Explanation:
    """One explanation with its segments and their weights."""
    with reading(engine) as session:
        found = explanation.full(session, explanation_id)
        refuse_while_blind(session, principal, found.video_id)
    return tagged(request, schemas.Explanation.model_validate(found))  # type: ignore[return-value]  # as the document says


@router.get(
    "/explanations/{explanation_id}/{overlay}.png",
    response_class=Response,
    responses={**PNG, **UNCHANGED, **problems(404)},
)
def get_overlay(
    request: Request,
    engine: Database,
    objects: Objects,
    principal: Viewer,
    explanation_id: Id,
    overlay: Annotated[str, Path(pattern="^[a-z_]{1,32}$", description="One of its `overlays`.")],
) -> Response:
    """An explanation drawn over the crop."""
    with reading(engine) as session:
        found = explanation.full(session, explanation_id)
        refuse_while_blind(session, principal, found.video_id)
    if overlay not in found.overlays:
        raise NotFound(what="An overlay named", key=overlay)
    return stored(request, objects, found.overlays[overlay], media_type="image/png")


def shrunk(request: Request, objects: ObjectStore, key: str, width: int) -> Response:
    """A stored picture as JPEG, at most `width` pixels wide."""
    tag = f'{tag_of(key)[:-1]}-{width}"'
    headers = {"ETag": tag, "Cache-Control": REVALIDATED}
    if not objects.exists(key):
        raise FileVanished(name=key)
    if knows(request, tag):
        return Response(status_code=304, headers=headers)
    with Image.open(BytesIO(objects.read(key)), formats=("JPEG", "PNG")) as picture:
        picture.draft("RGB", (width, width))  # decodes a JPEG at a fraction of its size
        rgb = picture.convert("RGB")
        rgb.thumbnail((width, picture.height))
        coded = BytesIO()
        rgb.save(coded, "JPEG", quality=JPEG_QUALITY)
    return Response(coded.getvalue(), media_type="image/jpeg", headers=headers)
