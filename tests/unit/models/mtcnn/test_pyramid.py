import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.face import Image
from models.mtcnn.patches import cut
from models.mtcnn.pyramid import HALF_RANGE, STEP, STRIDE, STRIP, integral, layout, strips

sides = st.integers(24, 400)


def noise(height: int, width: int) -> Image:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def averaged(picture: Image, size: tuple[int, int]) -> torch.Tensor:
    """By torch's own "area" interpolation, as the networks take it."""
    pixels = torch.from_numpy(picture).permute(2, 0, 1)[None].double()
    shrunken = torch.nn.functional.interpolate(pixels, size=size, mode="area")[0].permute(1, 2, 0)
    return (shrunken - HALF_RANGE) * STEP


@settings(max_examples=10, deadline=None)
@given(height=sides, width=sides, smallest=st.integers(12, 24))
def test_a_canvas_holds_each_level_alone(height: int, width: int, smallest: int) -> None:
    shape, picture = layout(height, width, smallest), noise(height, width)
    canvas = shape.canvas(integral(picture))
    taken = np.zeros(canvas.shape[:2], int)
    for level in shape.levels:
        rows, columns = level.size
        place = slice(level.top, level.top + rows), slice(level.left, level.left + columns)
        np.testing.assert_allclose(canvas[place][..., :3], averaged(picture, level.size), atol=1e-5)
        taken[place] += 1
        assert (level.top % STRIDE, level.left % STRIDE) == (0, 0)
        answered = shape.strips * STRIP // STRIDE
        assert level.places[0].stop <= answered
    assert taken.max() == 1


def test_strips_have_one_size_and_reach_to_the_end() -> None:
    shape, picture = layout(400, 300, 20), noise(400, 300)
    canvas = shape.canvas(integral(picture))
    parts = list(strips(canvas))
    assert len(parts) == shape.strips > 1
    assert len({part.shape for part in parts}) == 1
    assert np.shares_memory(parts[-1][-1:], canvas[-1:])


@settings(max_examples=10, deadline=None)
@given(data=st.data(), size=st.sampled_from([24, 48]))
def test_patches_are_averaged_as_by_torch(data: st.DataObject, size: int) -> None:
    pictures = [noise(60, 90), 255 - noise(60, 90)]
    integrals = np.stack([integral(picture) for picture in pictures])
    corners = []
    for _ in range(3):
        x0, y0 = data.draw(st.integers(0, 89)), data.draw(st.integers(0, 59))
        corners.append([x0, y0, data.draw(st.integers(x0 + 1, 90)), data.draw(st.integers(y0 + 1, 60))])
    shown = np.array([1, 0, 1])
    (patches,) = cut(integrals, shown, np.array(corners), size)
    for patch, number, (x0, y0, x1, y1) in zip(patches, shown, corners, strict=True):
        part = np.ascontiguousarray(pictures[number][y0:y1, x0:x1])
        np.testing.assert_allclose(patch, averaged(part, (size, size)), atol=1e-5)
