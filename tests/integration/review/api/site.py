"""A small installation behind the API, and a client per role. No model runs: its results are made up."""

import json
import shutil
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image
from sqlalchemy import Engine, update

from core.errors import BrokenMedia
from core.model_version import ModelVersion, read_model_version
from core.outcomes import ExplanationMethod, MediaKind, Verdict
from core.results import ExplanationResult, ScreeningResult
from core.roles import ROLE_SCOPES, Role, Scope
from core.settings import ReviewSettings, Settings
from ingest.registration import register_version
from review.app import create_app
from storage import explanations, migrate, run_length, screenings, videos
from storage.engine import connect, transaction
from storage.leases import Ticket
from storage.objects.folder import FolderStore
from storage.people import accounts, tokens
from storage.results import complete
from storage.tables import Account
from tests.screening_results import screening_result

SEGMENTS = np.repeat(np.arange(4, dtype=np.int32), 4).reshape(4, 4)
FLAGGED, SUSPECT, CLEAR = "in/flagged.mp4", "in/suspect.mp4", "in/clear.mp4"
FAILED, QUEUED = "bad.mp4", "new.mp4"
WEIGHTS = "weights.safetensors"
# The beginning of an MP4; no decoder sees it here.
MP4 = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"


def picture(kind: str, size: tuple[int, int] = (64, 48)) -> bytes:
    coded = BytesIO()
    Image.new("RGB", size, (120, 90, 60)).save(coded, kind)
    return coded.getvalue()


@dataclass(kw_only=True)
class Site:
    folder: Path
    settings: Settings
    app: FastAPI
    engine: Engine
    objects: FolderStore
    version: ModelVersion
    ids: dict[str, int] = field(default_factory=dict)  # video id by name
    tokens: dict[str, str] = field(default_factory=dict)  # by account name

    def client(self, name: str = "reviewer") -> TestClient:
        headers = {"Authorization": f"Bearer {self.tokens[name]}"}
        return TestClient(self.app, headers=headers)

    def account(self, name: str, role: Role, scopes: tuple[Scope, ...] = tuple(Scope)) -> None:
        with transaction(self.engine) as session:
            hashed = None if role is Role.SERVICE else "no password"
            view = accounts.add(
                session, name=name, role=role, password_hash=hashed, actor="test", must_change=False
            )
            usable = set(scopes) & ROLE_SCOPES[role]
            _, token = tokens.create(session, view.id, name="test", scopes=usable, days=1, actor="test")
        self.tokens[name] = token

    def blind(self, name: str) -> None:
        with transaction(self.engine) as session:
            session.execute(update(Account).where(Account.name == name).values(blind=True))

    def add(
        self,
        name: str,
        verdict: Verdict | None = None,
        score: float | None = None,
        rejected_faces: Mapping[str, int] | None = None,
    ) -> int:
        """A video; without a verdict it failed."""
        content = MP4 + name.encode()
        key = self.objects.put_bytes(content)
        with transaction(self.engine) as session:
            video_id, _ = videos.add(
                session,
                sha256=key.replace("/", ""),
                size_bytes=len(content),
                media_kind=MediaKind.VIDEO,
                object_key=key,
            )
            seen = videos.Seen(source="bucket:/in", name=name, size_bytes=len(content), mtime_ns=1)
            videos.sight(session, seen, video_id=video_id)
            ticket = screenings.request(session, video_id=video_id, model_version_id=self.version.id)
            assert ticket is not None
            self.ids[name] = video_id
            if name == QUEUED:
                return video_id
            claimed = screenings.LEASES.claim(session, ticket, owner="w", lease_seconds=60)
            assert claimed is not None
            if verdict is None:
                screenings.LEASES.fail(session, claimed, BrokenMedia(name=name, reason="no frame"))
                return video_id
            flagged = complete(session, claimed, self._result(verdict, score, rejected_faces))
        for frame in flagged:
            self._explain(frame)
        return video_id

    def _result(
        self, verdict: Verdict, score: float | None, rejected_faces: Mapping[str, int] | None
    ) -> ScreeningResult:
        return screening_result(
            verdict,
            score,
            rejected_faces=rejected_faces,
            probe={"codec": "h264", "duration_seconds": 4.5},
            image_key=self.objects.put_bytes(picture("JPEG"), ".jpg"),
            crop_key=self.objects.put_bytes(picture("PNG"), ".png"),
            poster_key=self.objects.put_bytes(picture("JPEG", (32, 24)), ".jpg"),
        )

    def _explain(self, frame: int) -> None:
        ticket = Ticket(row_id=frame, attempt=1)
        with transaction(self.engine) as session:
            claimed = explanations.LEASES.claim(session, ticket, owner="w", lease_seconds=60)
            assert claimed is not None
            explanations.store(
                session,
                claimed,
                ExplanationResult(
                    method=ExplanationMethod.LIME,
                    parameters={"samples": 10, "parts": ["mouth", "nose", "left jaw", "chin"]},
                    seed=0,
                    segments=run_length.encode(SEGMENTS),
                    weights=[0.5, -0.25, 0.0, 0.1],
                    intercept=0.1,
                    local_prediction=0.8,
                    r2=0.7,
                    stability=0.9,
                    overlays={"heat": self.objects.put_bytes(picture("PNG", (8, 8)), ".png")},
                ),
            )
            explanations.finish(session, claimed)


def write_checkpoint(path: Path) -> ModelVersion:
    """A checkpoint without tensors: what it says of itself is all that this process reads."""
    version = ModelVersion(
        architecture="smallcnn",
        label="test",
        weights_sha256="",
        input_size=64,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
    )
    header = json.dumps({"__metadata__": version.to_metadata()}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    return read_model_version(path)


def build(folder: Path) -> Site:
    """The installation in `folder`; Redis is away, as it may be."""
    version = write_checkpoint(folder / WEIGHTS)
    engine = connect(settings_of(folder).sql_url)
    migrate.upgrade(engine)
    engine.dispose()
    site = serve(folder, version)
    with transaction(site.engine) as session:
        register_version(session, version)
    for name, role in (("viewer", Role.VIEWER), ("reviewer", Role.REVIEWER), ("second", Role.REVIEWER)):
        site.account(name, role)
    site.add(FLAGGED, Verdict.FAKE, 0.97)
    site.add(SUSPECT, Verdict.SUSPECT, 0.61)
    site.add(CLEAR, Verdict.CLEAR, 0.12)
    site.add(FAILED)
    site.add(QUEUED)
    return site


def copy(site: Site, folder: Path) -> Site:
    """The same installation in another folder, for a test that changes it."""
    shutil.copytree(site.folder, folder, dirs_exist_ok=True)
    copied = serve(folder, site.version)
    copied.ids, copied.tokens = dict(site.ids), dict(site.tokens)
    return copied


def serve(folder: Path, version: ModelVersion) -> Site:
    settings = settings_of(folder)
    app = create_app(settings)
    return Site(
        folder=folder,
        settings=settings,
        app=app,
        engine=app.state.engine,
        objects=app.state.objects,
        version=version,
    )


def settings_of(folder: Path) -> Settings:
    return Settings(
        home=folder / "home",
        bucket=folder / "bucket",
        weights=folder / WEIGHTS,
        redis_url="redis://127.0.0.1:1",
        review=ReviewSettings(hosts="testserver"),
        _env_file=None,
    )
