"""Keys as names, and which of them are taken in."""

import re

from core.s3_address import SCHEME, S3Address
from ingest.bucket import text_name


def source_of(bucket: str) -> str:
    """The name under which a bucket's sightings are stored."""
    return f"bucket:{SCHEME}{bucket}/"


def key_name(key: str) -> str:
    """A key as text for SQL, and for people."""
    return text_name(key).replace("\0", "\\x00")


def is_wanted(key: str, address: S3Address, left_alone: re.Pattern[str]) -> bool:
    """Whether it is in the place, and is neither a folder nor left alone by its name below the prefix.

    Some programs make a folder as a key that ends with a slash.
    """
    if not key.startswith(address.prefix) or key.endswith("/"):
        return False
    return not any(left_alone.match(part) for part in key.removeprefix(address.prefix).split("/"))
