"""The manifests for Kubernetes: valid by its schemas, and what they name is there."""

import re
from itertools import chain
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from core.settings import Settings
from tests import compose_file
from tests.compose_file import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
FOLDERS = ("base", "gpu", "keda", "streams")
VERSION = "1.33"
# Kustomize's own file, and KEDA's kind, have no schema in Kubernetes.
OTHERS = {"Kustomization", "ScaledObject"}


def documents(folder: str) -> list[dict[str, Any]]:
    return [
        each
        for path in sorted((FOLDER / folder).glob("*.yaml"))
        for each in yaml.safe_load_all(path.read_text())
    ]


EVERY = list(chain.from_iterable(map(documents, FOLDERS)))
PODS = {
    each["metadata"]["name"]: each["spec"]["template"]
    for each in EVERY
    if each["kind"] in {"Deployment", "Job"}
}
DEPLOYMENTS = {each["metadata"]["name"]: each["spec"] for each in EVERY if each["kind"] == "Deployment"}


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_manifest_is_valid(folder: str) -> None:
    for each in documents(folder):
        if each["kind"] not in OTHERS:
            kubernetes_validate.validate(each, VERSION, strict=True)


@pytest.mark.parametrize("folder", FOLDERS)
def test_kustomize_finds_what_it_names(folder: str) -> None:
    (kustomization,) = (each for each in documents(folder) if each["kind"] == "Kustomization")
    named = {name for name in kustomization["resources"] if not name.startswith("../")}
    assert named == {path.name for path in (FOLDER / folder).glob("*.yaml")} - {"kustomization.yaml"}
    assert all((FOLDER / folder / name).exists() for name in kustomization["resources"])


def test_there_is_a_deployment_for_each_process() -> None:
    services = compose_file.read()["services"]
    ours = {name: each for name, each in services.items() if each["image"].startswith(compose_file.OURS)}
    assert set(PODS) == set(ours)
    for name in set(ours) - {"screen-gpu"}:  # where a pod has one GPU, compose has one container for all
        assert PODS[name]["spec"]["containers"][0]["args"] == ours[name]["command"]


@pytest.mark.parametrize("name", PODS)
def test_a_pod_has_only_what_it_needs(name: str) -> None:
    spec = PODS[name]["spec"]
    (container,) = spec["containers"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"cpu", "memory"} <= set(container["resources"]["limits"])
    volumes = {volume["name"] for volume in spec["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_deployment_is_found_checked_and_given_time_to_stop(name: str) -> None:
    spec = DEPLOYMENTS[name]
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    pod = spec["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > Settings(_env_file=None).worker.stop_seconds
    (container,) = pod["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] in ports
    assert spec["template"]["metadata"]["annotations"]["prometheus.io/port"] == str(ports["signs"])


def test_the_settings_exist_and_their_files_are_in_the_secret() -> None:
    known = set(re.findall(r"^# (FACEWARDEN_\w+)=", (ROOT / ".env.example").read_text(), re.M))
    services = compose_file.read()["services"].values()
    (config,) = (each["data"] for each in EVERY if each["kind"] == "ConfigMap")
    for given in [config, *(service.get("environment", {}) for service in services)]:
        ours = {name.removesuffix("_FILE") for name in given if name.startswith("FACEWARDEN_")}
        assert ours <= known, ours - known
    page = (ROOT / "docs/kubernetes.md").read_text()
    files = {Path(value).name for value in config.values() if value.startswith("/run/secrets/")}
    assert files
    assert all(f"--from-file={name}=" in page for name in files)


def test_what_points_to_a_deployment_points_to_one_that_exists() -> None:
    for each in EVERY:
        if each["kind"] == "ScaledObject":
            assert each["spec"]["scaleTargetRef"]["name"] in DEPLOYMENTS
            (trigger,) = each["spec"]["triggers"]
            assert "facewarden_queue_depth" in trigger["metadata"]["query"]
        if each["kind"] in {"Service", "PodDisruptionBudget"}:
            selector = each["spec"]["selector"]
            labels = selector.get("matchLabels", selector)
            assert labels in [spec["selector"]["matchLabels"] for spec in DEPLOYMENTS.values()]
