"""compose.yaml keeps to the rules: no default password, nothing it need not have, everything checked."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from core import metrics
from core.settings import Settings
from deploy.secret_files import make
from storage.signs.backlog import Backlog
from tests import compose_file
from tests.compose_file import ROOT, Composed

FILE = compose_file.read()
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
ONE_SHOT = {"migrate", "buckets"}


def test_it_is_valid() -> None:
    """By the schema of the Compose specification."""
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        "compose.yaml",
    ]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_only_what_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert int(service["user"].partition(":")[0]) > 0
    limits = service["deploy"]["resources"]["limits"]
    assert limits["memory"]
    assert limits["cpus"]
    assert service["restart"] == ("no" if name in ONE_SHOT else "unless-stopped")
    assert ":" in service["image"]
    assert not service["image"].endswith(":latest")
    assert not service.get("privileged")
    if name not in ONE_SHOT:
        assert service["healthcheck"]["test"]


def test_no_password_is_in_it_and_each_comes_from_a_file(tmp_path: Path) -> None:
    made = {path.name: path for path in make(tmp_path / "secrets")}
    named = {name: Path(each["file"]).name for name, each in FILE["secrets"].items()}
    assert set(named.values()) <= set(made)
    used = {secret for service in SERVICES.values() for secret in service.get("secrets", ())}
    assert used == set(named)
    for service in SERVICES.values():
        for variable, value in service.get("environment", {}).items():
            telling = any(
                word in variable for word in ("PASSWORD", "TOKEN", "SECRET", "REDIS_URL", "DATABASE_URL")
            )
            assert not telling or str(value).startswith("/run/secrets/"), variable


def test_secrets_are_made_once_and_differ(tmp_path: Path) -> None:
    first = {path.name: path.read_text() for path in make(tmp_path / "one")}
    assert {path.name: path.read_text() for path in make(tmp_path / "one")} == first
    other = {path.name: path.read_text() for path in make(tmp_path / "two")}
    assert not set(first.values()) & set(other.values())
    assert (tmp_path / "one").stat().st_mode & 0o777 == 0o700
    identity = json.loads(first["s3.json"])["identities"][0]["credentials"][0]
    assert identity["secretKey"] in first["s3_credentials"]
    assert first["valkey_password"] in first["redis_url"]
    assert first["valkey_password"] in first["valkey.conf"]


def test_what_each_waits_for_is_there(tmp_path: Path) -> None:
    composed = Composed(folder=tmp_path, paths={}, hosts={}, services=SERVICES)
    order = list(composed.order())
    assert order.index("migrate") < order.index("screen")
    assert "screen-gpu" not in order
    assert "screen-gpu" in composed.order("gpu")
    for service in SERVICES.values():
        for waited, how in service.get("depends_on", {}).items():
            ends = how["condition"] == "service_completed_successfully"
            assert ends == (waited in ONE_SHOT), waited


def test_only_pages_are_published_and_on_this_host_alone() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"review": ["127.0.0.1:8080:8080"], "grafana": ["127.0.0.1:3000:3000"]}


def test_the_dashboard_and_prometheus_name_what_there_is(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Backlog, "_ask", lambda *_: None)  # without a queue to ask
    dashboard = json.loads((ROOT / "deploy/grafana/dashboards/facewarden.json").read_text())
    asked = {
        name
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in re.findall(r"facewarden_[a-z0-9_]+", target["expr"])
    }
    page = (ROOT / "docs/operations.md").read_text()
    assert asked
    shown = CollectorRegistry()
    shown.register(Backlog(settings))
    counted = {each.name for registry in (metrics.REGISTRY, shown) for each in registry.collect()}
    assert {re.sub("_(bucket|total)$", "", name) for name in asked} <= counted
    for name in asked:
        assert f"`{name.removesuffix('_bucket')}`" in page or f"`{name.removesuffix('_bucket')}{{" in page, (
            name
        )
    scraped = yaml.safe_load((ROOT / "deploy/prometheus.yml").read_text())["scrape_configs"][0]
    (asking,) = scraped["dns_sd_configs"]
    ours = {name for name, each in SERVICES.items() if each["image"].startswith(compose_file.OURS)}
    assert set(asking["names"]) == ours - ONE_SHOT
    assert str(asking["port"]) == SERVICES["screen"]["environment"]["FACEWARDEN_SIGNS__PORT"]
