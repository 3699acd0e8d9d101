"""A real S3 server for tests: SeaweedFS, from a wheel."""

import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cli.up.supervisor import die_with_parent
from core.s3_address import S3Address
from fuzz.chaos.servers import WEED_PORTS, free_port, weed_command
from tests.waiting import until

ACCESS_KEY, SECRET_KEY = "facewarden-tests", "no-secret-of-anybody-0123456789"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": ACCESS_KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    "AWS_EC2_METADATA_DISABLED": "true",
}
REGION = "us-east-1"
BUCKET = "facewarden-tests"


@dataclass(kw_only=True)
class S3Server:
    endpoint: str

    @cached_property
    def client(self) -> Any:
        """A client such as another program would have."""
        import boto3
        from botocore.config import Config

        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        )

    def place(self) -> S3Address:
        """A new, empty one. All are in one bucket: a new bucket takes this server much longer."""
        return S3Address(bucket=BUCKET, prefix=f"{uuid.uuid4().hex}/")

    def names(self, place: S3Address) -> list[str]:
        """What is there, without the prefix."""
        listed = self.client.list_objects_v2(Bucket=place.bucket, Prefix=place.prefix)
        return [each["Key"].removeprefix(place.prefix) for each in listed.get("Contents", ())]


@contextmanager
def served(folder: Path) -> Iterator[S3Server]:
    ports, behind = ({name: free_port() for name in WEED_PORTS} for _ in range(2))
    server = S3Server(endpoint=f"http://127.0.0.1:{ports['s3']}")
    log = (folder / "weed.log").open("wb")
    process = subprocess.Popen(
        weed_command(folder, ports, behind),
        env=os.environ | ENVIRONMENT,
        stdout=log,
        stderr=subprocess.STDOUT,
        preexec_fn=die_with_parent,  # noqa: PLW1509  no thread of this process holds a lock then
    )
    log.close()
    try:
        until(lambda: process.poll() is not None or _answers(server.client), "the S3 server answers")
        assert process.poll() is None, (folder / "weed.log").read_text()[-3000:]
        yield server
    finally:
        process.kill()  # its data is a test's: it need not say good-bye to its own parts, for two seconds
        process.wait()
        for port in (*ports.values(), *behind.values()):
            for socket in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108  where the server puts them
                socket.unlink(missing_ok=True)


def _answers(client: Any) -> bool:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        client.create_bucket(Bucket=BUCKET)
        client.put_object(Bucket=BUCKET, Key="ready", Body=b"")
    except (BotoCoreError, ClientError):
        return False
    return True
