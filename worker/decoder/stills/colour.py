"""A decoded picture as a viewer shows it: eight-bit sRGB, because the networks were trained on that.

Wide gamuts (Display P3, Adobe RGB, ProPhoto) and printing colours go through their ICC profile by littleCMS.
Pictures in high dynamic range (PQ and HLG) go through the table of `worker.decoder.light`.
"""

import io
from typing import cast

from PIL import Image, ImageCms, ImageFilter

from worker.decoder.light import HDR_CURVES, SRGB, TO_BT709, WideColours
from worker.decoder.stills.metadata import Cicp

TABLE = 25  # points a side; light is so smooth in between that a finer table changes nothing

SRGB_PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
THROUGH_PROFILE = ("RGB", "CMYK")


def as_seen(image: Image.Image, profile: bytes | None, cicp: Cicp | None) -> Image.Image:
    """Eight-bit sRGB: deep colour scaled down, transparency over white."""
    image = _eight_bits(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if image.mode not in THROUGH_PROFILE:
        image = image.convert("RGB")
    if cicp is not None and (cicp.transfer in HDR_CURVES or (profile is None and cicp.primaries in TO_BT709)):
        colours = WideColours(transfer=cicp.transfer, primaries=cicp.primaries)
        return image.convert("RGB").filter(ImageFilter.Color3DLUT(TABLE, colours.table(TABLE, SRGB)))
    return _through(profile, image) if profile else image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Integers and floats are scaled by the range of their values, 16 bits by the range of the type."""
    if image.mode.startswith("I;16"):
        return image.convert("I").point(lambda value: value * (1 / 257)).convert("L")
    if image.mode not in ("I", "F"):
        return image
    low, high = cast("tuple[float, float]", image.getextrema())  # of one band
    full = 1.0 if image.mode == "F" and high <= 1 else 255.0 if high <= 255 else 65535.0
    shift = min(low, 0.0)
    scale = 255 / (max(full, high) - shift)
    return image.point(lambda value: value * scale + (-shift * scale)).convert("L")


def _through(profile: bytes, image: Image.Image) -> Image.Image:
    """By the picture's own profile; one that is broken, or for another colour space, is ignored."""
    try:
        given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if image.mode == "RGB" and "sRGB" in ImageCms.getProfileDescription(given):
            return image
        seen = ImageCms.profileToProfile(image, given, SRGB_PROFILE, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        seen = None
    return image.convert("RGB") if seen is None else seen
