"""Buckets that the settings name are made where they are missing."""

import uuid

from cli.buckets import create_buckets
from core.settings import Settings
from tests.s3_server import REGION, S3Server


def test_what_is_missing_is_made_once(s3: S3Server, settings: Settings) -> None:
    assert create_buckets(settings) == {}  # all in folders
    name = f"made-{uuid.uuid4().hex[:12]}"
    there = {"endpoint_url": s3.endpoint, "region": REGION}
    values = settings.model_dump(exclude_unset=True) | {"objects": f"s3://{name}/objects", "s3": there}
    remote = Settings(**values, _env_file=None)
    assert create_buckets(remote) == {name: True}
    assert create_buckets(remote) == {name: False}
    assert name in {each["Name"] for each in s3.client.list_buckets()["Buckets"]}
