"""One bucket: the requests that are made of it, and its errors as ours.

A request that is throttled, fails with 5xx or is not answered is tried again by botocore, with growing
pauses, `FACEWARDEN_S3__ATTEMPTS` times in all. Credentials are found by boto3 and are never held, shown or
logged here.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, IncompleteReadError
from botocore.exceptions import ConnectionError as NoConnection

from core import metrics
from core.errors import BucketRefused, BucketUnavailable, Conflict, FileVanished, ObjectStoreError
from core.settings import S3Settings

READ_ATTEMPTS = 3  # of a body that breaks off: botocore repeats only what comes before it
QUOTE = '"'  # around tags, except by some servers
PAGE_KEYS = 1000  # in one answer, S3's most
CONNECTIONS = 16  # kept open by one process
THROTTLED = {"SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded", "RequestTimeout"}
LOST_RACE = {409, 412}  # how a conditional request is answered if something else came first


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What a server says of one object."""

    name: str
    size_bytes: int
    modified: float  # seconds of the server's clock
    etag: str = ""
    asked: float = 0.0  # when the server answered, by its clock; 0 in a list


@dataclass(frozen=True, kw_only=True)
class Page:
    """Part of a list, in the server's order."""

    entries: list[Entry]
    more: bool  # after these


@dataclass(frozen=True, kw_only=True)
class Part:
    number: int
    etag: str


class Bucket:
    """A bucket by name. Every method raises BucketUnavailable or BucketRefused."""

    def __init__(self, name: str, settings: S3Settings) -> None:
        self.name, self._settings = name, settings
        self.endpoint = settings.endpoint_url or "AWS"

    @cached_property
    def _client(self) -> Any:
        return self._made(self._settings.endpoint_url)

    @cached_property
    def _signer(self) -> Any:
        """Only signs addresses, which must be those under which clients reach the server."""
        return self._made(
            self._settings.public_url or self._settings.endpoint_url,
            signature_version="s3v4",
            request_checksum_calculation="when_required",  # a client sends the bytes and nothing else
        )

    def _made(self, endpoint_url: str | None, **options: Any) -> Any:
        # At its lowest levels botocore logs signed headers.
        for noisy in ("boto3", "botocore", "urllib3", "s3transfer"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        settings = self._settings
        path_style = settings.path_style if settings.path_style is not None else bool(settings.endpoint_url)
        return boto3.session.Session().client(
            "s3",
            endpoint_url=endpoint_url,
            region_name=settings.region,
            config=Config(
                retries={"mode": "standard", "total_max_attempts": settings.attempts},
                connect_timeout=settings.connect_seconds,
                read_timeout=settings.answer_seconds,
                max_pool_connections=CONNECTIONS,
                s3={"addressing_style": "path"} if path_style else None,
                **options,
            ),
        )

    def now(self) -> float:
        with self._asking("the look at", "the bucket"):
            return _answered(self._client.head_bucket(Bucket=self.name))

    def create(self) -> bool:
        """Make it; False where it is there already and ours."""
        with self._asking("the look at", "the bucket"):
            try:
                self._client.head_bucket(Bucket=self.name)
            except ClientError as error:
                if _status(error) != 404:
                    raise
            else:
                return False
        with self._asking("making", "the bucket"):
            region = self._client.meta.region_name
            # us-east-1 is what a bucket has that names no region, and AWS refuses its name.
            place = {} if region in {None, "us-east-1"} else {"LocationConstraint": region}
            try:
                self._client.create_bucket(
                    Bucket=self.name, **({"CreateBucketConfiguration": place} if place else {})
                )
            except ClientError as error:
                if error.response["Error"].get("Code") != "BucketAlreadyOwnedByYou":
                    raise
                return False
        return True

    def put(self, name: str, content: bytes) -> None:
        with self._asking("writing", name):
            self._client.put_object(Bucket=self.name, Key=name, Body=content)

    def replace(self, name: str, content: bytes, *, etag: str) -> bool:
        """Put it in place of the object with this tag; False if that has changed."""
        with self._asking("writing", name):
            try:
                self._client.put_object(Bucket=self.name, Key=name, Body=content, IfMatch=etag)
            except ClientError as error:
                if _status(error) not in LOST_RACE:
                    raise
                return False
        return True

    def head(self, name: str) -> Entry | None:
        """None where there is no such object, or no such bucket: a server cannot say which."""
        with self._asking("the look at", name):
            try:
                found = self._client.head_object(Bucket=self.name, Key=name)
            except ClientError as error:
                if _status(error) == 404:
                    return None
                raise
        return Entry(
            name=name,
            size_bytes=found["ContentLength"],
            modified=found["LastModified"].timestamp(),
            etag=found["ETag"],
            asked=_answered(found),
        )

    def read(self, name: str, *, start: int = 0, length: int | None = None, etag: str = "") -> bytes:
        """Raises FileVanished, and Conflict where a tag is given and the object has another one by now.

        Past the end there is nothing.
        """
        if length == 0:
            return b""
        ranged = {}
        if start or length is not None:
            ranged["Range"] = f"bytes={start}-{'' if length is None else start + length - 1}"
        attempt = 1
        while True:
            with self._asking("reading", name):
                try:
                    found = self._client.get_object(Bucket=self.name, Key=name, **ranged)
                    with closing(found["Body"]) as body:
                        # Compared here, not by the server: not every one knows the condition.
                        if etag and found.get("ETag", "").strip(QUOTE) != etag.strip(QUOTE):
                            raise Conflict(what="Object", key=name, reason="it was replaced meanwhile")
                        return bytes(body.read())
                except ClientError as error:
                    if _status(error) == 416:
                        return b""
                    if error.response["Error"].get("Code") == "NoSuchKey":
                        raise FileVanished(name=name) from error
                    raise
                except (HTTPClientError, IncompleteReadError):
                    if attempt == READ_ATTEMPTS:
                        raise
            attempt += 1
            time.sleep(attempt / 10)

    def remove(self, name: str) -> None:
        """Nothing happens where there is no such object."""
        with self._asking("removing", name):
            self._client.delete_object(Bucket=self.name, Key=name)

    def listed(self, prefix: str, *, after: str = "") -> Iterator[Entry]:
        """All objects whose names begin with `prefix` and come after `after`, in order, a page at a time."""
        pages = iter(
            self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.name, Prefix=prefix, **({"StartAfter": after} if after else {})
            )
        )
        while True:
            with self._asking("the list", prefix or "the bucket"):
                page = next(pages, None)
            if page is None:
                return
            for found in page.get("Contents", ()):
                yield _entry(found)

    def page(self, prefix: str, *, after: str = "", most: int = PAGE_KEYS) -> Page:
        """The next objects whose names begin with `prefix`, after that name.

        After a name, not by a token: it may be asked days later, and by another process. boto3 asks for names
        that are URL-encoded, so that XML can carry them all, and decodes them.
        """
        asked = {"Bucket": self.name, "Prefix": prefix, "MaxKeys": most}
        with self._asking("the list", prefix or "the bucket"):
            found = self._client.list_objects_v2(**asked, **({"StartAfter": after} if after else {}))
        return Page(
            entries=[_entry(each) for each in found.get("Contents", ())],
            more=bool(found.get("IsTruncated")),
        )

    def copy(self, source: str, target: str) -> None:
        with self._asking("copying", target):
            self._client.copy_object(
                Bucket=self.name, Key=target, CopySource={"Bucket": self.name, "Key": source}
            )

    def begin(self, name: str) -> str:
        """Begin an upload in parts; its number."""
        with self._asking("writing", name):
            upload: str = self._client.create_multipart_upload(Bucket=self.name, Key=name)["UploadId"]
        return upload

    def put_part(self, name: str, upload: str, number: int, content: bytes) -> Part:
        with self._asking("writing", name):
            done = self._client.upload_part(
                Bucket=self.name, Key=name, UploadId=upload, PartNumber=number, Body=content
            )
        return Part(number=number, etag=done["ETag"])

    def signed_part(self, name: str, upload: str, number: int, *, size_bytes: int, seconds: int) -> str:
        """The address to which anybody who has it may PUT one part, of just this size, for so long."""
        asked = {
            "Bucket": self.name,
            "Key": name,
            "UploadId": upload,
            "PartNumber": number,
            "ContentLength": size_bytes,  # signed with it: nobody fills the bucket
        }
        with self._asking("signing", name):
            address: str = self._signer.generate_presigned_url("upload_part", Params=asked, ExpiresIn=seconds)
        return address

    def signed(self, name: str, *, media_type: str, disposition: str, seconds: int) -> str:
        """The address from which anybody who has it may GET the object, whole or in ranges, for so long."""
        asked = {
            "Bucket": self.name,
            "Key": name,
            "ResponseContentType": media_type,
            "ResponseContentDisposition": disposition,
            "ResponseCacheControl": "private, no-cache",
        }
        with self._asking("signing", name):
            address: str = self._signer.generate_presigned_url("get_object", Params=asked, ExpiresIn=seconds)
        return address

    def parts(self, name: str, upload: str) -> list[tuple[Part, int]] | None:
        """The parts that have arrived, each with its size in bytes; None where there is no such upload."""
        pages = self._client.get_paginator("list_parts").paginate(Bucket=self.name, Key=name, UploadId=upload)
        with self._asking("the look at", name):
            try:
                return [
                    (Part(number=each["PartNumber"], etag=each["ETag"]), each["Size"])
                    for page in pages
                    for each in page.get("Parts", ())
                ]
            except ClientError as error:
                if _status(error) == 404:
                    return None
                raise

    def copy_part(self, source: str, name: str, upload: str, number: int, *, start: int, end: int) -> Part:
        """Bytes `start` to `end`, which is not part of it, of another object of the bucket."""
        with self._asking("copying", name):
            done = self._client.upload_part_copy(
                Bucket=self.name,
                Key=name,
                UploadId=upload,
                PartNumber=number,
                CopySource={"Bucket": self.name, "Key": source},
                CopySourceRange=f"bytes={start}-{end - 1}",
            )
        return Part(number=number, etag=done["CopyPartResult"]["ETag"])

    def complete(self, name: str, upload: str, parts: list[Part]) -> None:
        listed = [{"PartNumber": part.number, "ETag": part.etag} for part in parts]
        with self._asking("writing", name):
            self._client.complete_multipart_upload(
                Bucket=self.name, Key=name, UploadId=upload, MultipartUpload={"Parts": listed}
            )

    def abort(self, name: str, upload: str) -> None:
        """Nothing happens where there is no such upload."""
        with self._asking("removing", name):
            try:
                self._client.abort_multipart_upload(Bucket=self.name, Key=name, UploadId=upload)
            except ClientError as error:
                if _status(error) != 404:
                    raise

    def uploads(self, prefix: str) -> list[tuple[str, str, float]]:
        """Name, number and beginning of each upload in parts that has not ended."""
        found: list[tuple[str, str, float]] = []
        pages = self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self.name, Prefix=prefix)
        with self._asking("the list", prefix):
            for page in pages:
                for each in page.get("Uploads", ()):
                    found.append((each["Key"], each["UploadId"], each["Initiated"].timestamp()))
        return found

    @contextmanager
    def _asking(self, operation: str, name: str) -> Iterator[None]:
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            raise self._translated(error, operation, name) from error

    def _translated(self, error: Exception, operation: str, name: str) -> ObjectStoreError:
        place = {"bucket": self.name, "endpoint": self.endpoint, "key": name}
        if isinstance(error, ClientError):
            told = error.response.get("Error", {})
            code, status = str(told.get("Code", "")), _status(error)
            reason = f"{status} {code}: {told.get('Message') or 'no reason given'}"
            unavailable = status >= 500 or status == 429 or code in THROTTLED
        else:
            reason = str(error)
            unavailable = isinstance(error, (NoConnection, HTTPClientError, IncompleteReadError))
        metrics.S3_ERRORS.labels(kind="unavailable" if unavailable else "refused").inc()
        if unavailable:
            return BucketUnavailable(**place, reason=reason)
        return BucketRefused(**place, operation=operation, reason=reason)


def _entry(listed: dict[str, Any]) -> Entry:
    return Entry(
        name=listed["Key"],
        size_bytes=listed["Size"],
        modified=listed["LastModified"].timestamp(),
        etag=listed.get("ETag", ""),
    )


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _answered(response: dict[str, Any]) -> float:
    """When the server answered, by its own clock."""
    with suppress(KeyError, ValueError):
        return parsedate_to_datetime(response["ResponseMetadata"]["HTTPHeaders"]["date"]).timestamp()
    return time.time()
