"""The queue of a bucket's events: SQS, or a server that speaks like it, by long polls.

Any number of processes may read it. A message is deleted once its keys are in the database; one that comes
again does no harm.
"""

import json
import logging
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import boto3
import structlog
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy import Engine

from core.errors import InvalidValue, ServiceUnavailable
from core.s3_address import S3Address
from core.settings import Settings
from ingest.s3.hints import keep
from ingest.s3.notifications import Notice, notices
from storage.engine import transaction

log = structlog.get_logger()

WAIT_SECONDS = 20  # for a message: SQS's longest
TOGETHER = 10  # messages in one answer: SQS's most
ACTOR = "ingest"


class EventQueue:
    def __init__(self, settings: Settings, address: S3Address, engine: Engine, url: str) -> None:
        self._settings, self._address, self._engine, self._url = settings, address, engine, url

    @cached_property
    def _client(self) -> Any:
        parts, s3 = urlsplit(self._url), self._settings.s3
        logging.getLogger("botocore").setLevel(logging.WARNING)  # below, it logs signed headers
        return boto3.session.Session().client(
            "sqs",
            endpoint_url=f"{parts.scheme}://{parts.netloc}",
            region_name=s3.region,
            config=Config(
                retries={"mode": "standard", "total_max_attempts": s3.attempts},
                connect_timeout=s3.connect_seconds,
                read_timeout=WAIT_SECONDS + s3.answer_seconds,
            ),
        )

    def run_once(self) -> bool:
        """Wait for messages and keep what they say; whether there were any.

        Raises ServiceUnavailable where queue or database do not answer: the messages come again.
        """
        try:
            messages = self._client.receive_message(
                QueueUrl=self._url, MaxNumberOfMessages=TOGETHER, WaitTimeSeconds=WAIT_SECONDS
            ).get("Messages", [])
            if not messages:
                return False
            found = [notice for message in messages for notice in _read(message["Body"])]
            with transaction(self._engine) as session:
                keep(session, self._settings, self._address, found, actor=ACTOR)
            entries = [
                {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                for number, message in enumerate(messages)
            ]
            self._client.delete_message_batch(QueueUrl=self._url, Entries=entries)
        except (ClientError, BotoCoreError) as error:
            raise ServiceUnavailable(
                service="The queue of the bucket's events",
                address=self._url,
                reason=str(error),
                setting="FACEWARDEN_S3_SOURCE__QUEUE_URL",
            ) from error
        return True


def _read(body: str) -> list[Notice]:
    try:
        return notices(json.loads(body))
    except (InvalidValue, ValueError, RecursionError) as error:
        log.warning("an event is dropped that nobody understands", reason=str(error), body=body[:500])
        return []
