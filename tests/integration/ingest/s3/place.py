"""A watched place in S3, with short words for what tests do with it."""

from dataclasses import dataclass

from core.s3_address import S3Address
from ingest.registration import Receipt
from ingest.s3.keys import Keys
from ingest.s3.listing import S3Watcher
from ingest.s3.looking import Looker
from storage.objects.s3.bucket import Bucket
from tests.integration.ingest.site import MP4, Site
from tests.s3_server import S3Server


@dataclass
class Place:
    site: Site
    server: S3Server
    address: S3Address

    def put(self, name: str, content: bytes | None = None) -> str:
        """The whole key."""
        key = self.address.prefix + name
        content = MP4 + name.encode() if content is None else content
        self.server.client.put_object(Bucket=self.address.bucket, Key=key, Body=content)
        return key

    def remove(self, name: str) -> None:
        self.server.client.delete_object(Bucket=self.address.bucket, Key=self.address.prefix + name)

    def keys(self, bucket: Bucket | None = None) -> Keys:
        settings = self.site.settings
        bucket = bucket or Bucket(self.address.bucket, settings.s3)
        return Keys(settings, self.address, self.site.registrar, self.site.objects, bucket)

    def watcher(self, bucket: Bucket | None = None) -> S3Watcher:
        """A watcher as a fresh process makes it."""
        return S3Watcher(self.site.settings, self.address, self.keys(bucket), self.site.engine)

    def looker(self) -> Looker:
        return Looker(self.keys(), self.site.engine)

    def take(self, bucket: Bucket | None = None) -> dict[str, Receipt]:
        """What one listing of a fresh process takes in, by the names below the prefix."""
        receipts = [step.receipt for step in self.watcher(bucket).look() if step.receipt]
        return {receipt.name.removeprefix(self.address.prefix): receipt for receipt in receipts}
