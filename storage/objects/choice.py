"""Which object store an installation has."""

from core.settings import Settings
from storage.objects.folder import FolderStore
from storage.objects.store import ObjectStore


def open_store(settings: Settings) -> ObjectStore:
    """The store that FACEWARDEN_OBJECTS names; nothing is asked of it yet."""
    address = settings.objects_bucket
    if address is None:
        return FolderStore(settings.objects_folder)
    # Only who stores in S3 waits for boto3 to load.
    from storage.objects.s3.bucket import Bucket  # noqa: PLC0415
    from storage.objects.s3.store import S3Store  # noqa: PLC0415
    from storage.objects.scratch import Scratch  # noqa: PLC0415

    scratch = Scratch(settings.scratch_folder, settings.s3.scratch_bytes)
    bucket = Bucket(address.bucket, settings.s3)
    return S3Store(bucket, address.prefix, scratch, signs=settings.s3.signed_urls)
