"""Style sheets, scripts and the icon: public and the same for everybody."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query
from fastapi.responses import FileResponse, Response

from review.rendering import STATIC, static_digest

router = APIRouter()

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
FOREVER = "public, max-age=31536000, immutable"  # the address contains a digest of the content


@router.get("/static/{name}")
def static_file(
    name: Annotated[str, Path(pattern=r"^[a-z_]+(\.min)?\.(css|js|svg)$")],
    v: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """A file of `review/static`. Names have no slash and one suffix, so no path leads out of the folder."""
    path = STATIC / name
    if not path.is_file():
        raise HTTPException(404)
    # Modules imported by other modules have no digest in their address: the browser revalidates them.
    kept = FOREVER if v == static_digest(name) else "no-cache"
    return FileResponse(path, media_type=TYPES[path.suffix], headers={"Cache-Control": kept})
