"""A decoded picture as a viewer shows it: eight bits of sRGB, for that is what the networks have learnt.

Wide gamuts (Display P3, Adobe RGB, ProPhoto) and printing colours go through their ICC profile by littleCMS.
Pictures in high dynamic range (PQ and HLG of ITU-R BT.2100) go through a table that puts their reference
white (203 cd/m2, ITU-R BT.2408) at sRGB's white and presses what is brighter into the highest quarter.
"""

import io
from typing import cast

from PIL import Image, ImageCms, ImageFilter

from worker.still_metadata import Cicp

PQ, HLG = 16, 18  # transfer characteristics of ITU-T H.273
BT2020, P3 = 9, 12  # primaries

# From linear light of these primaries to that of sRGB, row by row.
TO_SRGB = {
    BT2020: (1.6605, -0.5876, -0.0728, -0.1246, 1.1329, -0.0083, -0.0182, -0.1006, 1.1187),
    P3: (1.2249, -0.2247, 0.0, -0.0420, 1.0419, 0.0, -0.0197, -0.0786, 1.0979),
}

WHITE_NITS = 203.0  # of graphics and of a face in full light
PEAK_NITS = 1000.0  # of the screen for which HLG is reckoned
HLG_GAMMA = 1.2  # of its system at that peak
KNEE = 0.75  # of sRGB's linear light, from which on highlights are pressed
TABLE = 25  # points a side; light is even enough in between that a finer one changes nothing

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
THROUGH_PROFILE = ("RGB", "CMYK")


def as_seen(image: Image.Image, profile: bytes | None, cicp: Cicp | None) -> Image.Image:
    """RGB in eight bits of sRGB: deep colour scaled down, transparency over white."""
    image = _eight_bits(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if image.mode not in THROUGH_PROFILE:
        image = image.convert("RGB")
    if cicp is not None and (cicp.transfer in (PQ, HLG) or (profile is None and cicp.primaries in TO_SRGB)):
        return image.convert("RGB").filter(_table(cicp))
    return _through(profile, image) if profile else image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Whole numbers and floats are scaled by what they hold; 16 bits by what they can hold."""
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
    """By the picture's own profile; one that is broken, or another colour space's, is passed over."""
    try:
        given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if image.mode == "RGB" and "sRGB" in ImageCms.getProfileDescription(given):
            return image
        seen = ImageCms.profileToProfile(image, given, SRGB, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        seen = None
    return image.convert("RGB") if seen is None else seen


def _table(cicp: Cicp) -> ImageFilter.Color3DLUT:
    """From the coded values of a picture to sRGB's."""
    bright = cicp.transfer in (PQ, HLG)
    decode = {PQ: _from_pq, HLG: _from_hlg}.get(cicp.transfer, _from_srgb)
    light = [decode(step / (TABLE - 1)) for step in range(TABLE)]
    rows = TO_SRGB.get(cicp.primaries, (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
    values = []
    for blue in light:
        for green in light:
            for red in light:
                nits = _shown(red, green, blue) if cicp.transfer == HLG else (red, green, blue)
                r, g, b = (value / WHITE_NITS for value in nits)
                for at in (0, 3, 6):
                    value = rows[at] * r + rows[at + 1] * g + rows[at + 2] * b
                    values.append(_encoded(_pressed(value) if bright else max(value, 0.0)))
    return ImageFilter.Color3DLUT(TABLE, values)


def _from_pq(value: float) -> float:
    """SMPTE ST 2084: cd/m2."""
    power = value ** (1 / 78.84375)
    return 10_000.0 * float(
        (max(power - 0.8359375, 0.0) / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)
    )


def _from_hlg(value: float) -> float:
    """ARIB STD-B67: light of the scene, in [0, 1]."""
    if value <= 0.5:
        return value * value / 3
    return float((2.718281828 ** ((value - 0.55991073) / 0.17883277) + 0.28466892) / 12)


def _from_srgb(value: float) -> float:
    """sRGB's curve, which the usual ones are near to: cd/m2."""
    return WHITE_NITS * (value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4))


def _shown(red: float, green: float, blue: float) -> tuple[float, float, float]:
    """The light of a scene on a screen, cd/m2."""
    luminance = 0.2627 * red + 0.6780 * green + 0.0593 * blue
    gain = PEAK_NITS * luminance ** (HLG_GAMMA - 1) if luminance > 0 else 0.0
    return gain * red, gain * green, gain * blue


def _pressed(light: float) -> float:
    """Highlights above the knee come nearer and nearer to white."""
    if light <= KNEE:
        return max(light, 0.0)
    over = (light - KNEE) / (1 - KNEE)
    return KNEE + (1 - KNEE) * over / (1 + over)


def _encoded(light: float) -> float:
    """The curve of sRGB."""
    if light <= 0.0031308:
        return 12.92 * light
    return float(min(1.055 * light ** (1 / 2.4) - 0.055, 1.0))
