"""What a checkpoint says about itself, read without torch.

A checkpoint is a safetensors file: 8 bytes little-endian header length, a JSON header, the tensors.
The header's `__metadata__` holds one key, `facewarden`, whose value is the JSON of a model version.
"""

import hashlib
import json
import logging
import math
import operator
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Literal

from core.errors import WeightsError
from core.families import Family, FamilyCalibration

log = logging.getLogger(__name__)  # not structlog: training on a bare GPU machine imports this

METADATA_KEY = "facewarden"
LONGEST_HEADER = 100 * 1024 * 1024  # bytes; safetensors' own limit
Head = Literal["default", "paper"]

UNTRAINED_LABEL = "untrained-demo"  # a checkpoint of a short run: its scores are not evidence


@dataclass(frozen=True, kw_only=True)
class CropSettings:
    margin: float = 1.3  # side of the square crop / longer side of the face box


@dataclass(frozen=True, kw_only=True)
class Looks:
    """How far the highest of many looks at genuine faces exceeds one look; the default corrects nothing."""

    centre: float = 0.0  # logit of genuine stretches, mean
    spread: float = 0.0  # logit of genuine stretches, standard deviation; 0 corrects nothing
    # Stretches of one face resemble each other: w of them count as w**repeat looks.
    repeat: float = 1.0
    # n looks count as n**caution: below 1 where the full correction would lose too many fakes.
    caution: float = 1.0
    fitted_on: str = ""  # what it was fitted on, in words


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Maps a single look's logit to a probability: sigmoid(slope * logit + intercept) (Platt, 1999)."""

    slope: float = 1.0
    intercept: float = 0.0
    method: str = "none"  # "platt" once fitted
    fitted_on: str = ""  # what it was fitted on, in words
    looks: Looks = field(default_factory=Looks)  # what the highest of many logits is worth
    families: FamilyCalibration | None = None  # None: no family is named

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Calibration":
        """From the JSON of a checkpoint or a stored model version; older ones have no looks and families."""
        families = values.get("families")
        parts = {
            "looks": Looks(**values.get("looks", {})),
            "families": None if families is None else FamilyCalibration(**families),
        }
        return cls(**{**values, **parts})

    def probability(self, logit: float) -> float:
        """The calibrated probability of a fake, in [0, 1]."""
        value = self.slope * logit + self.intercept
        # Two branches, so that exp never overflows.
        if value >= 0:
            return 1.0 / (1.0 + math.exp(-value))
        grown = math.exp(value)
        return grown / (1.0 + grown)

    def logit(self, probability: float) -> float:
        """The logit that has this probability; infinite where no finite one has.

        Where all logits have one probability (a slope of 0, fitted to a network that tells nothing apart),
        it is below or above all of them.
        """
        if self.slope == 0:
            return -math.inf if self.probability(0.0) >= probability else math.inf
        odds = math.log(probability / (1 - probability)) if 0 < probability < 1 else math.inf
        return ((odds if probability > 0 else -math.inf) - self.intercept) / self.slope


@dataclass(frozen=True, kw_only=True)
class ModelVersion:
    """Architecture, weights, crop settings and calibration: what a stored score belongs to."""

    architecture: str  # a name of models.architectures
    label: str  # what people call it; UNTRAINED_LABEL warns
    weights_sha256: str  # of the whole file
    input_size: int  # pixels, square
    mean: tuple[float, float, float]  # of RGB in [0, 1]
    std: tuple[float, float, float]
    head: Head = "default"  # of models.heads
    families: tuple[Family, ...] = ()  # that its family head tells apart, in order; empty: it has none
    crop: CropSettings = field(default_factory=CropSettings)
    calibration: Calibration = field(default_factory=Calibration)
    fake_threshold: float = 0.5  # calibrated video score, [0, 1]
    suspect_threshold: float = 0.5  # at most fake_threshold
    training: dict[str, Any] = field(default_factory=dict)  # what made it: data, steps, machine, results

    @property
    def id(self) -> str:
        return f"{self.architecture}-{self.weights_sha256[:12]}"

    @property
    def untrained(self) -> bool:
        return self.label == UNTRAINED_LABEL

    def to_metadata(self) -> dict[str, str]:
        """The safetensors metadata of this version; the hash is the file's own and stays out."""
        values = asdict(self)
        del values["weights_sha256"]
        return {METADATA_KEY: json.dumps(values, sort_keys=True)}


def read_model_version(path: Path) -> ModelVersion:
    """Read and check what the checkpoint at `path` says about itself.

    Raises:
        WeightsError: it is missing, truncated, not made by Facewarden, or not what its `.sha256` file says.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise WeightsError(path=path, reason=f"{error.strerror}; set FACEWARDEN_WEIGHTS") from error
    return _read(path.resolve(), stat.st_mtime_ns, stat.st_size)


def checkpoint_of(weights: Path, version_id: str) -> Path | None:
    """The checkpoint of this version: `weights` itself, or one in its folder; None where there is none."""
    for path in (weights, *sorted(weights.resolve().parent.glob("*.safetensors"))):
        try:
            if read_model_version(path).id == version_id:
                return path
        except WeightsError as error:
            log.warning("no checkpoint: %s", error)
    return None


@lru_cache(maxsize=8)
def _read(path: Path, mtime_ns: int, size: int) -> ModelVersion:
    del mtime_ns, size  # parts of the cache key only
    try:
        with path.open("rb") as file:  # in pieces: who only names the version needs no more
            head = _head(file)
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size_bytes = file.tell()
    except OSError as error:
        raise WeightsError(path=path, reason=error.strerror) from error
    _check_sidecar(path, digest)
    return parse_model_version(path, head, digest, size_bytes=size_bytes)


def _head(file: BinaryIO) -> bytes:
    """The header and its length, as far as they are there and no longer than they may be."""
    begin = file.read(8)
    length = int.from_bytes(begin, "little")
    return begin + (file.read(length) if length <= LONGEST_HEADER else b"")


def _check_sidecar(path: Path, digest: str) -> None:
    sidecar = path.with_name(path.name + ".sha256")
    if not sidecar.exists():
        return
    try:
        stated = sidecar.read_text().split()[:1]
    except (OSError, ValueError) as error:
        raise WeightsError(path=path, reason=f"{sidecar.name} beside it cannot be read") from error
    if stated != [digest]:
        raise WeightsError(path=path, reason=f"its SHA-256 is not the one in {sidecar.name}; fetch it again")


def parse_model_version(path: Path, head: bytes, digest: str, *, size_bytes: int) -> ModelVersion:
    """Parse the head of a checkpoint of `size_bytes`; `path` only names it in errors."""
    try:
        (length,) = struct.unpack_from("<Q", head)
        if length > min(LONGEST_HEADER, size_bytes - 8):
            raise WeightsError(
                path=path, reason="the file is truncated or not a safetensors file; fetch it again"
            )
        header = json.loads(head[8 : 8 + length])
        version = _from_values(json.loads(header["__metadata__"][METADATA_KEY]), digest)
        end = 8 + length + _tensor_bytes(header)
    except (struct.error, ValueError, LookupError, TypeError, ArithmeticError, RecursionError) as error:
        reason = f"it carries no Facewarden metadata ({type(error).__name__}); train or export it again"
        raise WeightsError(path=path, reason=reason) from error
    if end != size_bytes:
        raise WeightsError(path=path, reason="the file is truncated; fetch it again")
    return version


def stored_values(version: ModelVersion) -> dict[str, Any]:
    """What a database remembers of a version: its id, and what `stored_model_version` takes."""
    details = asdict(version)
    columns = {name: details.pop(name) for name in ("architecture", "label", "weights_sha256", "input_size")}
    return {"version_id": version.id, **columns, "details": details}


def stored_model_version(
    *, architecture: str, label: str, weights_sha256: str, input_size: int, details: Mapping[str, Any]
) -> ModelVersion:
    """The version that a database remembers, whose checkpoint need not be here any more.

    Raises WeightsError where what it remembers is not one.
    """
    values = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "crop": {}, "calibration": {}, **details}
    values |= {"architecture": architecture, "label": label, "input_size": input_size}
    try:
        return _from_values(values, weights_sha256)
    except (ValueError, LookupError, TypeError) as error:
        reason = f"the database does not remember it whole ({error}); register its checkpoint again"
        raise WeightsError(path=f"{architecture}-{weights_sha256[:12]}", reason=reason) from error


def _from_values(values: dict[str, Any], digest: str) -> ModelVersion:
    known = dict(values)
    crop = CropSettings(**known.pop("crop"))
    calibration = Calibration.of(known.pop("calibration"))
    looks = calibration.looks
    mean, std = tuple(known.pop("mean")), tuple(known.pop("std"))
    families = tuple(Family(name) for name in known.pop("families", ()))
    version = ModelVersion(
        weights_sha256=digest,
        crop=crop,
        calibration=calibration,
        mean=mean,
        std=std,
        families=families,
        **known,
    )
    _check_families(families, calibration.families)
    texts = (
        version.architecture,
        version.label,
        calibration.method,
        calibration.fitted_on,
        looks.fitted_on,
    )
    if not all(isinstance(text, str) for text in texts) or not isinstance(version.training, dict):
        raise TypeError("a value that should be text is not")
    if version.head not in ("default", "paper"):
        raise ValueError("a head unknown to this release")
    if type(version.input_size) is not int or not 16 <= version.input_size <= 2048:
        raise ValueError("input size out of range")
    spreads = (looks.centre, looks.spread, looks.repeat, looks.caution)
    numbers = (crop.margin, calibration.slope, calibration.intercept, *spreads, *mean, *std)
    if len(mean) != 3 or len(std) != 3 or not all(math.isfinite(number) for number in numbers):
        raise ValueError("numbers out of range")
    if not 0 < crop.margin < 10 or min(std) <= 0:
        raise ValueError("numbers out of range")
    if looks.spread < 0 or not 0 <= looks.repeat <= 1 or not 0 <= looks.caution <= 1:
        raise ValueError("numbers out of range")
    if not 0 <= version.suspect_threshold <= version.fake_threshold <= 1:
        raise ValueError("thresholds out of order")
    return version


def _check_families(families: tuple[Family, ...], calibration: FamilyCalibration | None) -> None:
    if len(set(families)) != len(families):
        raise ValueError("a family twice")
    if calibration is None:
        return
    if not isinstance(calibration.fitted_on, str):
        raise TypeError("a value that should be text is not")
    if not 0 < calibration.temperature < math.inf or not 0 <= calibration.least <= 1 or not families:
        raise ValueError("numbers out of range")


def _tensor_bytes(header: dict[str, Any]) -> int:
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    return max(map(operator.index, ends), default=0)
