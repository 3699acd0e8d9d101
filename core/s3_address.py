"""The address of a place in S3: `s3://bucket/prefix`."""

import re
from dataclasses import dataclass
from typing import Self

SCHEME = "s3://"
# What every S3-compatible server takes as a bucket's name.
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
LONGEST_PREFIX = 512  # characters; a key may have 1024 bytes


@dataclass(frozen=True, kw_only=True)
class S3Address:
    bucket: str
    prefix: str  # of every key: empty, or ends with a slash

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError, which says what is wrong."""
        if not text.startswith(SCHEME):
            raise ValueError(f"{text} is neither a folder nor an address such as s3://bucket/prefix")
        bucket, _, prefix = text.removeprefix(SCHEME).partition("/")
        if not BUCKET.fullmatch(bucket):
            raise ValueError(f"{bucket!r} is no name of a bucket; give s3://bucket/prefix")
        prefix = prefix.strip("/")
        if len(prefix) > LONGEST_PREFIX or not prefix.isprintable():
            raise ValueError(f"the prefix after {bucket}/ is too long or has unprintable characters")
        return cls(bucket=bucket, prefix=f"{prefix}/" if prefix else "")

    def keep_apart(self, objects: Self) -> None:
        """Raises ValueError if the object store is in this place or around it: it would be screened."""
        shorter, longer = sorted((self.prefix, objects.prefix), key=len)
        if self.bucket == objects.bucket and longer.startswith(shorter):
            raise ValueError(f"{self} and the objects' {objects} overlap; give each a prefix of its own")

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.prefix}"
