"""The API over a small installation."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.review.api.site import Site, build, copy


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """For tests that only look."""
    made = build(tmp_path_factory.mktemp("site"))
    yield made
    made.engine.dispose()


@pytest.fixture
def site(shared: Site, tmp_path: Path) -> Iterator[Site]:
    """For tests that change something."""
    made = copy(shared, tmp_path)
    yield made
    made.engine.dispose()
