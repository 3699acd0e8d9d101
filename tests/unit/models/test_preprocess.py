"""Pixels are normalised in one way, whatever their layout."""

import torch

from models.preprocess import Normalise


def test_bytes_and_floats_give_the_same() -> None:
    crops = torch.arange(2 * 4 * 4 * 3, dtype=torch.uint8).view(2, 4, 4, 3)
    normalise = Normalise((0.5, 0.4, 0.3), (0.5, 0.25, 0.2))
    of_bytes = normalise(crops)
    of_floats = normalise.of_unit((crops.float() / 255).permute(0, 3, 1, 2).contiguous())
    assert torch.allclose(of_bytes, of_floats, atol=1e-6)
    red, green, blue = (crops[1, 2, 3].float() / 255).tolist()
    wanted = torch.tensor([(red - 0.5) / 0.5, (green - 0.4) / 0.25, (blue - 0.3) / 0.2])
    assert torch.allclose(of_floats[1, :, 2, 3], wanted, atol=1e-6)
    assert of_floats.is_contiguous(memory_format=torch.channels_last)
