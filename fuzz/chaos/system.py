"""The system under test: three servers, and our processes on one bucket, one database and one queue."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import SecretStr
from sqlalchemy import Engine

from core.errors import FacewardenError
from core.settings import IngestSettings, S3Settings, S3SourceSettings, Settings, WorkerSettings
from fuzz.chaos.servers import CREDENTIALS, Killable, Postgres, Program, free_port, seaweed, valkey
from storage.engine import connect

DROP, OBJECTS = "s3://drop/in", "s3://facewarden/objects"
COMMANDS = {
    "ingest": ["ingest", "--watch"],
    "screen": ["worker", "--queue", "screen"],
    "explain": ["worker", "--queue", "explain"],
    "review": ["review"],
}
START_SECONDS = 120.0  # for a server to answer
LOOK_SECONDS = 0.5
STOP_SECONDS = 120.0


@dataclass(kw_only=True)
class System:
    """Everything that runs; `crew` says how many of each of our processes."""

    folder: Path
    postgres_folder: Path
    crew: Mapping[str, int]
    more: Mapping[str, str]  # environment of all our processes
    servers: list[Program] = field(default_factory=list)
    programs: list[Program] = field(default_factory=list)  # ours
    restarts: int = 0  # of those that ended by themselves

    def start(self) -> None:
        store, endpoint = seaweed(self.folder)
        queue, redis = valkey(self.folder)
        self.servers += [store, queue]
        os.environ.update(CREDENTIALS)
        self.settings = Settings(
            home=self.folder / "home",
            bucket=DROP,
            objects=OBJECTS,
            database_url=SecretStr(self.postgres.url),
            redis_url=SecretStr(redis),
            s3=S3Settings(endpoint_url=endpoint, region="us-east-1"),
            s3_source=S3SourceSettings(list_seconds=2.0),
            ingest=IngestSettings(poll_seconds=0.5, reconcile_seconds=2.0),
            worker=WorkerSettings(lease_seconds=5.0),
            _env_file=None,
        )
        for server in self.servers:
            server.start()
        self._until_s3_answers()
        self._run("migrate")
        self._run("create-buckets")
        for kind, number in self.crew.items():
            for one in range(number):
                program = self._program(kind, one)
                program.start()
                self.programs.append(program)

    @cached_property
    def postgres(self) -> Postgres:
        return Postgres(self.postgres_folder, self.folder / "runtime")

    @cached_property
    def engine(self) -> Engine:
        return connect(self.settings.sql_url)

    @property
    def killable(self) -> list[Killable]:
        return [self.postgres, *self.servers, *self.programs]

    @cached_property
    def client(self) -> Any:
        """Of S3, such as whoever puts videos there has."""
        import boto3  # noqa: PLC0415
        from botocore.config import Config  # noqa: PLC0415

        config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
        return boto3.session.Session().client(
            "s3", endpoint_url=self.settings.s3.endpoint_url, region_name="us-east-1", config=config
        )

    def tend(self) -> None:
        """Start again what has ended by itself, as a restart policy does.

        A process that finds no database when it starts says so and ends.
        """
        for program in self.programs:
            if program.process is not None and program.process.poll() is not None:
                self.restarts += 1
                program.start()

    def put(self, name: str, content: bytes) -> None:
        """Put a video into the bucket, again and again for as long as the server is away."""
        while True:
            try:
                self.client.put_object(Bucket="drop", Key=f"in/{name}", Body=content)
            except (BotoCoreError, ClientError):
                time.sleep(LOOK_SECONDS)
            else:
                return

    def end(self) -> dict[str, int]:
        """Ask our processes to end; their exit codes."""
        for program in self.programs:
            program.ask_to_end()
        return {program.name: program.ended(STOP_SECONDS) for program in self.programs}

    def stop(self) -> None:
        """All of it, whatever state it is in."""
        for program in [*self.programs, *self.servers]:
            program.stop()
        self.engine.dispose()
        self.postgres.stop()

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def _program(self, kind: str, number: int) -> Program:
        name = f"{kind}-{number}"
        environment = {**self._environment(), "FACEWARDEN_REVIEW__PORT": str(free_port())}
        command = [sys.executable, "-m", "cli", *COMMANDS[kind]]
        return Program(name, command, self.folder / f"{name}.log", environment)

    def _environment(self) -> dict[str, str]:
        settings = self.settings
        return {
            "FACEWARDEN_HOME": str(settings.home),
            "FACEWARDEN_BUCKET": DROP,
            "FACEWARDEN_OBJECTS": OBJECTS,
            "FACEWARDEN_DATABASE_URL": settings.sql_url,
            "FACEWARDEN_REDIS_URL": settings.queue_url,
            "FACEWARDEN_S3__ENDPOINT_URL": str(settings.s3.endpoint_url),
            "FACEWARDEN_S3__REGION": "us-east-1",
            "FACEWARDEN_S3_SOURCE__LIST_SECONDS": str(settings.s3_source.list_seconds),
            "FACEWARDEN_INGEST__POLL_SECONDS": str(settings.ingest.poll_seconds),
            "FACEWARDEN_INGEST__RECONCILE_SECONDS": str(settings.ingest.reconcile_seconds),
            "FACEWARDEN_WORKER__LEASE_SECONDS": str(settings.worker.lease_seconds),
            **self.more,
        }

    def _run(self, command: str) -> None:
        words = [sys.executable, "-m", "cli", command]
        environment = os.environ | self._environment()
        subprocess.run(words, env=environment, check=True, stdout=subprocess.DEVNULL)  # noqa: S603  our own

    def _until_s3_answers(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.client.list_buckets()
            except (BotoCoreError, ClientError, FacewardenError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(LOOK_SECONDS)
            else:
                return
