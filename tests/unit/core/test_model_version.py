import hashlib
import json
import math
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from core.errors import WeightsError
from core.families import Family, FamilyCalibration
from core.model_version import (
    Calibration,
    CropSettings,
    ModelVersion,
    parse_model_version,
    read_model_version,
)

VERSION = ModelVersion(
    architecture="smallcnn",
    label="test",
    weights_sha256="",
    input_size=64,
    mean=(0.5, 0.5, 0.5),
    std=(0.25, 0.5, 0.5),
)
TENSORS = {"weight": np.arange(6, dtype=np.float32)}


def values(**changes: Any) -> dict[str, str]:
    """The metadata of VERSION with `changes`."""
    known = json.loads(VERSION.to_metadata()["facewarden"])
    return {"facewarden": json.dumps({**known, **changes})}


def parse(content: bytes) -> ModelVersion:
    return parse_model_version(Path("a.safetensors"), content, "0" * 64, size_bytes=len(content))


def test_reads_all_that_a_score_depends_on(make_checkpoint: Callable[..., Path]) -> None:
    path = make_checkpoint()
    version = read_model_version(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert version == ModelVersion(
        architecture="smallcnn",
        label="test-1",
        weights_sha256=digest,
        input_size=64,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        crop=CropSettings(margin=1.4),
        calibration=Calibration(slope=1.5, intercept=-0.25, method="platt", fitted_on="nothing"),
        fake_threshold=0.75,
        suspect_threshold=0.5,
        training={"steps": 3},
    )
    assert version.id == f"smallcnn-{digest[:12]}"
    assert not version.untrained


def test_families_come_back_and_older_checkpoints_have_none() -> None:
    calibration = Calibration(families=FamilyCalibration(temperature=1.5, least=0.7, fitted_on="fakes"))
    known = replace(VERSION, families=(Family.SWAP, Family.REENACT), calibration=calibration)
    read = parse(save(TENSORS, metadata=known.to_metadata()))
    assert read == replace(known, weights_sha256="0" * 64)
    older = json.loads(known.to_metadata()["facewarden"])
    del older["families"], older["calibration"]["families"]
    read = parse(save(TENSORS, metadata={"facewarden": json.dumps(older)}))
    assert (read.families, read.calibration.families) == ((), None)


@pytest.mark.parametrize(
    "changes",
    [
        {"families": ["swap", "magic"]},
        {"families": ["swap", "swap"]},
        {"families": "swap"},
        {"families": 5},
        {"families": ["swap"], "calibration": {"families": {"temperature": 0.0, "least": 0.5}}},
        {"families": ["swap"], "calibration": {"families": {"temperature": 1.0, "least": 1.5}}},
        {"families": ["swap"], "calibration": {"families": {"temperature": float("nan"), "least": 0.5}}},
        {"families": ["swap"], "calibration": {"families": {"temperature": "1", "least": 0.5}}},
        {"families": ["swap"], "calibration": {"families": {"least": 0.5}}},
        {"families": ["swap"], "calibration": {"families": [1]}},
        {"families": [], "calibration": {"families": {"temperature": 1.0, "least": 0.5}}},
    ],
)
def test_families_that_make_no_sense_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(WeightsError, match="no Facewarden metadata"):
        parse(save(TENSORS, metadata=values(**changes)))


def test_a_replaced_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(save(TENSORS, metadata=values(label="one")))
    assert read_model_version(path).label == "one"
    path.write_bytes(save(TENSORS, metadata=values(label="another")))
    assert read_model_version(path).label == "another"


def test_a_missing_file_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"gone\.safetensors.*FACEWARDEN_WEIGHTS"):
        read_model_version(tmp_path / "gone.safetensors")


def test_a_folder_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be used"):
        read_model_version(tmp_path)


def test_every_truncation_is_noticed() -> None:
    content = save(TENSORS, metadata=values())
    assert parse(content).label == "test"
    for length in range(len(content)):
        with pytest.raises(WeightsError):
            parse(content[:length])


def test_bytes_behind_the_end_are_noticed() -> None:
    with pytest.raises(WeightsError):
        parse(save(TENSORS, metadata=values()) + b"\0")


def test_a_foreign_safetensors_file_is_refused() -> None:
    with pytest.raises(WeightsError, match="no Facewarden metadata"):
        parse(save(TENSORS, metadata={"format": "pt"}))


@pytest.mark.parametrize("sidecar", [b"0" * 64 + b"  x\n", b"", b"\xff\xfe\x00"])
def test_a_sidecar_that_disagrees_is_an_error(make_checkpoint: Callable[..., Path], sidecar: bytes) -> None:
    path = make_checkpoint()
    path.with_name(path.name + ".sha256").write_bytes(sidecar)
    with pytest.raises(WeightsError, match="sha256"):
        read_model_version(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"input_size": 0},
        {"input_size": 64.5},
        {"input_size": "64"},
        {"input_size": 10**400},
        {"mean": [0.5, 0.5]},
        {"mean": [10**400, 0, 0]},
        {"std": [0.5, 0.5, 0]},
        {"std": 1},
        {"crop": {"margin": float("nan")}},
        {"crop": {"margin": -1}},
        {"crop": {"side": 1}},
        {"crop": []},
        {"calibration": {"slope": float("inf")}},
        {"fake_threshold": 0.2, "suspect_threshold": 0.4},
        {"fake_threshold": 1.5},
        {"label": None},
        {"training": "long"},
        {"surprise": 1},
    ],
)
def test_values_out_of_range_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(WeightsError):
        parse(save(TENSORS, metadata=values(**changes)))


@given(st.binary(max_size=200))
def test_hostile_bytes_never_give_another_error(content: bytes) -> None:
    with pytest.raises(WeightsError):
        parse(content)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["data_offsets", "crop", "mean", "w"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(entry=JSON, metadata=JSON | st.just(values()), inner=JSON)
def test_hostile_headers_never_give_another_error(entry: Any, metadata: Any, inner: Any) -> None:
    for carried in (metadata, {"facewarden": json.dumps(inner)}):
        header = json.dumps({"__metadata__": carried, "w": entry}).encode()
        # Either it parses or it is refused; nothing else.
        try:
            parse(struct.pack("<Q", len(header)) + header)
        except WeightsError:
            continue
        assert carried == values()


@given(logit=st.floats(-1e6, 1e6), slope=st.floats(0.01, 100), intercept=st.floats(-100, 100))
def test_calibration_is_a_probability_and_monotonic(logit: float, slope: float, intercept: float) -> None:
    calibration = Calibration(slope=slope, intercept=intercept)
    assert 0 <= calibration.probability(logit) <= calibration.probability(logit + 1) <= 1


def test_calibration_maps_zero_to_a_half() -> None:
    assert Calibration().probability(0) == 0.5
    assert Calibration(slope=2, intercept=-1).probability(0.5) == 0.5


@given(
    probability=st.floats(1e-6, 1 - 1e-6),
    slope=st.floats(0.01, 100),
    intercept=st.floats(-100, 100),
)
def test_the_logit_of_a_probability_has_it(probability: float, slope: float, intercept: float) -> None:
    calibration = Calibration(slope=slope, intercept=intercept)
    assert calibration.probability(calibration.logit(probability)) == pytest.approx(probability, rel=1e-6)


@pytest.mark.parametrize("slope", [1.0, 0.0, 5e-324])
def test_probabilities_that_no_logit_has_lie_beyond_all_logits(slope: float) -> None:
    calibration = Calibration(slope=slope, intercept=0.4)
    assert calibration.logit(0) == -math.inf
    assert calibration.logit(1) == math.inf


def test_a_network_that_tells_nothing_apart_reaches_a_probability_always_or_never() -> None:
    calibration = Calibration(slope=0.0, intercept=0.0)
    assert calibration.logit(0.5) == -math.inf
    assert calibration.logit(0.501) == math.inf


def test_reading_needs_no_torch() -> None:
    code = "import sys, core.model_version, models.crop, models.face; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
