"""A site whose bucket is a place in a real S3 server."""

import socket
from collections.abc import Iterator

import pytest

from core.settings import S3Settings, S3SourceSettings
from tests.integration.ingest.s3.place import Place
from tests.integration.ingest.site import Site
from tests.s3_server import REGION, S3Server


@pytest.fixture
def place(site: Site, s3: S3Server) -> Place:
    address = s3.place()
    site.settings = site.settings.model_copy(
        update={
            "bucket": address,
            "s3": S3Settings(endpoint_url=s3.endpoint, region=REGION, attempts=2),
            "s3_source": S3SourceSettings(list_seconds=0.05, at_once=2),
        }
    )
    return Place(site, s3, address)


@pytest.fixture
def silent_address() -> Iterator[str]:
    """Takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
