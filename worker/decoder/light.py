"""Converts high dynamic range and wide gamuts to what an ordinary screen shows.

In high dynamic range (PQ and HLG of ITU-R BT.2100) the reference white (203 cd/m2, ITU-R BT.2408) becomes the
screen's white, and everything brighter is compressed into the top quarter of the screen's light. Grading
metadata (mastering display, HDR10+, Dolby Vision) is ignored: it must not change how a face looks.

Stills and videos use the same table; only the screen's curve differs: sRGB for stills, BT.1886 for videos.

This module is imported by the decoder process and must stay free of numpy.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

PQ, HLG = 16, 18  # transfer characteristics of ITU-T H.273
BT2020, DCI_P3, DISPLAY_P3 = 9, 11, 12  # primaries

HDR_CURVES = frozenset({PQ, HLG})

# From linear light of these primaries to that of sRGB and BT.709, row by row.
P3_TO_BT709 = (1.2249, -0.2247, 0.0, -0.0420, 1.0419, 0.0, -0.0197, -0.0786, 1.0979)
TO_BT709 = {
    BT2020: (1.6605, -0.5876, -0.0728, -0.1246, 1.1329, -0.0083, -0.0182, -0.1006, 1.1187),
    DCI_P3: P3_TO_BT709,  # relative to its own white
    DISPLAY_P3: P3_TO_BT709,
}
UNCHANGED = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)

WHITE_NITS = 203.0  # of graphics and of a face in full light
PEAK_NITS = 1000.0  # of the screen assumed for HLG
HLG_GAMMA = 1.2  # of its system at that peak
KNEE = 0.75  # of the screen's linear light, above which highlights are compressed


class Curve(NamedTuple):
    """How an ordinary screen turns numbers into light, both in [0, 1]."""

    light: Callable[[float], float]
    signal: Callable[[float], float]


@dataclass(frozen=True, kw_only=True)
class WideColours:
    """Colours that an ordinary screen cannot show as they are."""

    transfer: int  # of ITU-T H.273; other than PQ and HLG it is taken as the screen's own curve
    primaries: int

    def table(self, points: int, screen: Curve) -> list[float]:
        """Red, green and blue in turn, encoded for `screen`, of `points` steps a side; red is fastest."""
        bright = self.transfer in HDR_CURVES
        decode = {PQ: _from_pq, HLG: _from_hlg}.get(self.transfer, screen.light)
        light = [decode(step / (points - 1)) for step in range(points)]
        rows = TO_BT709.get(self.primaries, UNCHANGED)
        values = []
        for blue in light:
            for green in light:
                for red in light:
                    r, g, b = _shown(red, green, blue) if self.transfer == HLG else (red, green, blue)
                    for at in (0, 3, 6):
                        value = max(rows[at] * r + rows[at + 1] * g + rows[at + 2] * b, 0.0)
                        values.append(min(screen.signal(_pressed(value) if bright else value), 1.0))
        return values


def _from_pq(value: float) -> float:
    """SMPTE ST 2084: white is 1."""
    power = value ** (1 / 78.84375)
    nits = 10_000 * (max(power - 0.8359375, 0.0) / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)
    return float(nits) / WHITE_NITS


def _from_hlg(value: float) -> float:
    """ARIB STD-B67: light of the scene, in [0, 1]."""
    if value <= 0.5:
        return value * value / 3
    return float((2.718281828 ** ((value - 0.55991073) / 0.17883277) + 0.28466892) / 12)


def _shown(red: float, green: float, blue: float) -> tuple[float, float, float]:
    """The light of a scene on a screen: white is 1."""
    luminance = 0.2627 * red + 0.6780 * green + 0.0593 * blue
    gain = PEAK_NITS / WHITE_NITS * luminance ** (HLG_GAMMA - 1) if luminance > 0 else 0.0
    return gain * red, gain * green, gain * blue


def _pressed(light: float) -> float:
    """Highlights above the knee approach white."""
    if light <= KNEE:
        return light
    over = (light - KNEE) / (1 - KNEE)
    return KNEE + (1 - KNEE) * over / (1 + over)


def _from_srgb(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)


def _to_srgb(light: float) -> float:
    return 12.92 * light if light <= 0.0031308 else float(1.055 * light ** (1 / 2.4) - 0.055)


def _from_bt1886(value: float) -> float:
    return float(value**2.4)


def _to_bt1886(light: float) -> float:
    return float(light ** (1 / 2.4))


SRGB = Curve(_from_srgb, _to_srgb)
BT1886 = Curve(_from_bt1886, _to_bt1886)
