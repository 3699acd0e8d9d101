"""API addresses of what the pages show, in one place so that pages and scripts agree."""


def media(video_id: int) -> str:
    """The video or image itself, with byte ranges."""
    return f"/v1/videos/{video_id}/media"


def poster(video_id: int) -> str:
    """A small JPEG of the video."""
    return f"/v1/videos/{video_id}/poster"


def crop(flagged_frame_id: int) -> str:
    """PNG of the face, exactly as it was classified."""
    return f"/v1/frames/{flagged_frame_id}/crop"


def image(flagged_frame_id: int) -> str:
    """JPEG of the whole flagged frame."""
    return f"/v1/frames/{flagged_frame_id}/image"


def overlay(explanation_id: int, name: str) -> str:
    """PNG of an explanation."""
    return f"/v1/explanations/{explanation_id}/{name}.png"
