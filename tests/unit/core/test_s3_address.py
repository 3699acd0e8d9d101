"""Addresses in S3, and the settings that hold them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import SettingsError
from core.s3_address import S3Address
from core.settings import Settings


@pytest.mark.parametrize(
    ("text", "bucket", "prefix"),
    [
        ("s3://bucket", "bucket", ""),
        ("s3://my.bucket-1/", "my.bucket-1", ""),
        ("s3://bucket/a/b", "bucket", "a/b/"),
        ("s3://bucket/a b/ü/", "bucket", "a b/ü/"),
    ],
)
def test_what_an_address_says(text: str, bucket: str, prefix: str) -> None:
    found = S3Address.parse(text)
    assert (found.bucket, found.prefix) == (bucket, prefix)
    assert S3Address.parse(str(found)) == found


@pytest.mark.parametrize(
    "text",
    ["s3://", "s3:///x", "s3://B", "s3://a b/x", "s3://-bucket", "gs://bucket", "s3://bucket/a\nb", "bucket"],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match=r"s3://bucket/prefix|unprintable"):
        S3Address.parse(text)


@given(st.text())
def test_a_text_is_an_address_or_is_refused(text: str) -> None:
    try:
        found = S3Address.parse(f"s3://{text}")
    except ValueError:
        return
    assert not found.prefix or found.prefix.endswith("/")
    assert not found.prefix.startswith("/")


def test_objects_are_in_a_folder_or_in_a_bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert Settings(home=tmp_path, _env_file=None).objects_folder == tmp_path / "objects"
    assert Settings(objects=tmp_path / "x", _env_file=None).objects_folder == tmp_path / "x"
    monkeypatch.setenv("FACEWARDEN_OBJECTS", "s3://bucket/some/prefix")
    assert Settings(_env_file=None).objects_bucket == S3Address(bucket="bucket", prefix="some/prefix/")
    monkeypatch.setenv("FACEWARDEN_OBJECTS", str(tmp_path))
    assert Settings(_env_file=None).objects_bucket is None


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("FACEWARDEN_OBJECTS", "s3://Not a bucket/x", "no name of a bucket"),
        ("FACEWARDEN_OBJECTS", "gs://bucket", "neither a folder nor"),
        ("FACEWARDEN_S3__ENDPOINT_URL", "seaweedfs:8333", "http://host:port"),
        ("FACEWARDEN_S3__ENDPOINT_URL", "http://me:hush@seaweedfs:8333", "credentials do not belong"),
    ],
)
def test_a_wrong_address_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)  # away from any `.env`
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"{name}: .*{said}") as refused:
        Settings.read()
    assert "hush" not in str(refused.value)
