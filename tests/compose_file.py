"""compose.yaml as processes: its commands and environment, with this machine in place of its network.

Where a container has a host of its own, a process has a port; where it has a secret or a volume, a path.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from cli.up.supervisor import die_with_parent

ROOT = Path(__file__).resolve().parents[1]
OURS = "facewarden:"  # what the images of our own services are called
SUBSTITUTED = re.compile(r"\$\{(?P<name>\w+):-(?P<default>[^}]*)\}")


def read() -> dict[str, Any]:
    """The file with its variables as they are where nothing sets them."""
    text = SUBSTITUTED.sub(lambda found: found["default"], (ROOT / "compose.yaml").read_text())
    assert "${" not in text
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


@dataclass(kw_only=True)
class Composed:
    """The services that run, and what stands for the network, the secrets and the volumes."""

    folder: Path
    paths: Mapping[str, str]  # in a container -> here
    hosts: Mapping[str, str]  # "host:port" in compose's network -> here
    services: Mapping[str, Mapping[str, Any]]
    running: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def here(self, text: object) -> str:
        """The text of a container, as it must be on this machine."""
        said = str(text).replace("$$", "$")
        for there, here in [*self.paths.items(), *self.hosts.items()]:
            said = re.sub(rf"{re.escape(there)}(?!\w)", here, said)
        return said

    def environment(self, name: str) -> dict[str, str]:
        """Of one of our services: what its image and compose.yaml give it, and nothing of ours."""
        given = self.services[name].get("environment", {})
        kept = ("PATH", "HOME", "LANG", "TMPDIR", "OMP_NUM_THREADS")
        return {key: os.environ[key] for key in kept if key in os.environ} | {
            key: self.here(value) for key, value in given.items()
        }

    def order(self, profile: str | None = None) -> Iterator[str]:
        """Our services, each after all that it depends on."""
        left = {
            name: set(service.get("depends_on", ()))
            for name, service in self.services.items()
            if not service.get("profiles") or profile in service["profiles"]
        }
        while left:
            ready = sorted(name for name, waits in left.items() if not waits & set(left))
            assert ready, f"a circle: {left}"
            yield from (name for name in ready if self.services[name]["image"].startswith(OURS))
            left = {name: waits for name, waits in left.items() if name not in ready}

    def start(self, name: str, **more: str) -> "subprocess.Popen[bytes]":
        """The very command of a service of ours; `more` is environment that only a test has."""
        command = [sys.executable, "-m", "cli", *map(self.here, self.services[name]["command"])]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self.environment(name) | more,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,  # noqa: PLW1509  no thread of this process holds a lock then
            )
        return self.running[name]

    def healthy(self, name: str, **more: str) -> bool:
        """What its health check says, run as its container would run it."""
        kind, _, *words = self.services[name]["healthcheck"]["test"]
        assert kind == "CMD"
        check = [sys.executable, "-m", "cli", *words]
        return subprocess.run(check, cwd=ROOT, env=self.environment(name) | more, check=False).returncode == 0

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()
