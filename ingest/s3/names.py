"""Keys as names, and which of them are taken in."""

import re

from core.s3_address import SCHEME
from ingest.bucket import text_name


def source_of(bucket: str) -> str:
    """The name under which a bucket's sightings are stored."""
    return f"bucket:{SCHEME}{bucket}/"


def key_name(key: str) -> str:
    """A key as text for SQL, and for people."""
    return text_name(key).replace("\0", "\\x00")


def is_wanted(key: str, left_alone: re.Pattern[str]) -> bool:
    """Neither a folder, which some programs make as a key that ends with a slash, nor left alone."""
    return not key.endswith("/") and not any(left_alone.match(part) for part in key.split("/"))
