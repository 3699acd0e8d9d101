"""A small stock on the CPU."""

import pytest

from models.training.gpu.pack import Pack
from models.training.gpu.stock import Stock
from tests import face_pack


@pytest.fixture(scope="session")
def pack() -> Pack:
    """Six groups of a genuine face and a fake one, two of them on the test side."""
    return face_pack.make()


@pytest.fixture(scope="session")
def stock(pack: Pack) -> Stock:
    """The same, decoded."""
    return Stock(pack, "cpu")
