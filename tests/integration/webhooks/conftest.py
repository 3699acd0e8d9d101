"""An installation with videos that others want to be told of, on SQLite and PostgreSQL in turn."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from core.errors import BrokenMedia
from core.outcomes import DecisionOutcome, MediaKind, Verdict
from core.roles import Role
from core.settings import WebhookSettings
from core.signals import Signal
from storage import screenings, videos
from storage.clock import database_now
from storage.engine import transaction
from storage.people import accounts, decisions
from storage.results import complete
from storage.videos import Seen
from storage.webhooks import endpoints
from tests.integration.storage.conftest import bare_engine, engine
from tests.receiver import Receiver
from tests.screening_results import register_model, screening_result
from webhooks.courier import Courier

__all__ = ["bare_engine", "engine"]

SETTINGS = WebhookSettings(plain_http=True, private_networks="127.0.0.0/8", retry_seconds=5)


@dataclass
class Clock:
    """The database's clock, which a test can set ahead."""

    ahead: timedelta = field(default_factory=timedelta)

    def __call__(self, session: Session) -> datetime:
        return database_now(session) + self.ahead

    def forward(self, **by: float) -> None:
        self.ahead += timedelta(**by)


@dataclass
class House:
    engine: Engine
    clock: Clock = field(default_factory=Clock)
    videos: int = 0
    reviewer: int = 0

    def subscribe(self, receiver: Receiver, *signals: Signal) -> int:
        with transaction(self.engine) as session:
            view, receiver.secret = endpoints.add(
                session, url=receiver.url, events=signals or list(Signal), guard=SETTINGS.guard, actor="boss"
            )
        return view.id

    def courier(self, owner: str = "c1", **changes: object) -> Courier:
        settings = SETTINGS.model_copy(update=changes)
        return Courier(settings, self.engine, owner=owner, clock=self.clock, luck=lambda: 0.5)

    def screen(self, verdict: Verdict | None = Verdict.FAKE) -> int:
        """A new video, screened; without a verdict it failed."""
        self.videos += 1
        with transaction(self.engine) as session:
            register_model(session)
            name = f"clip{self.videos}.mp4"
            video_id, _ = videos.add(
                session,
                sha256=f"{self.videos:064x}",
                size_bytes=5,
                media_kind=MediaKind.VIDEO,
                object_key="k",
            )
            seen = Seen(source="s", name=name, size_bytes=5, mtime_ns=1)
            videos.sight(session, seen, video_id=video_id)
            ticket = screenings.request(session, video_id=video_id, model_version_id="m-1")
            assert ticket is not None
            claimed = screenings.LEASES.claim(session, ticket, owner="w", lease_seconds=60)
            assert claimed is not None
            if verdict is None:
                screenings.LEASES.fail(session, claimed, BrokenMedia(name=name, reason="no frame"))
            else:
                complete(session, claimed, screening_result(verdict, 0.97))
        return video_id

    def decide(self, video_id: int) -> None:
        with transaction(self.engine) as session:
            if not self.reviewer:
                made = accounts.add(session, name="ann", role=Role.SERVICE, password_hash=None, actor="t")
                self.reviewer = made.id
            decisions.decide(
                session, video_id=video_id, account_id=self.reviewer, outcome=DecisionOutcome.FAKE
            )


def carry(courier: Courier) -> None:
    """Until nothing is due any more."""
    while True:
        idle = courier.running == 0
        if courier.look() == 0 and idle:
            return
        courier.wait()


@pytest.fixture
def house(engine: Engine) -> House:
    return House(engine)
