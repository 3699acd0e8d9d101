"""`facewarden create-buckets`: what a new S3 server lacks before anything can be stored in it."""

from core.s3_address import S3Address
from core.settings import Settings


def create_buckets(settings: Settings) -> dict[str, bool]:
    """The buckets that the settings name, each with whether it was made just now.

    Where all is in folders there are none. Raises BucketUnavailable, or BucketRefused where the credentials
    may not, or the name belongs to somebody else.
    """
    from storage.objects.s3.bucket import Bucket

    watched = settings.bucket if isinstance(settings.bucket, S3Address) else None
    names = {each.bucket: None for each in (watched, settings.objects_bucket) if each is not None}
    return {name: Bucket(name, settings.s3).create() for name in names}
