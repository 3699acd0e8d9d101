"""`facewarden ingest s3://…`: reports, resumption, priorities, what is waited for."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from cli import intake_report
from cli.intake import Wish, take_in
from core import queues
from core.errors import BucketRefused, InvalidValue, SettingsError
from core.outcomes import ScreeningStatus, Verdict
from core.priorities import Priority
from ingest.s3.keys import Keys
from storage.engine import transaction
from storage.tables import Screening
from tests.integration.ingest.s3.place import Place


def run(place: Place, **wish: Any) -> int:
    return take_in(place.site.settings, [str(place.address)], Wish(**wish))


def test_a_bucket_is_taken_in_as_backfill_and_reported(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.mp4", "=b.mp4"):
        place.put(name)
    place.put("text.mp4", b"no film")
    report = tmp_path / "report.csv"
    assert run(place, report=report) == 1
    told = capsys.readouterr().out
    assert "text.mp4: this is not a video" in " ".join(told.split())
    assert "a.mp4\n" not in told  # a million lines help nobody
    assert "taken in  queued 2, refused 1" in told
    assert "failures  not_media 1" in told
    rows = {Path(row["name"]).name: row for row in csv.DictReader(report.read_text().splitlines())}
    assert {name: row["intake"] for name, row in rows.items()} == {
        "a.mp4": "queued",
        "=b.mp4": "queued",
        "text.mp4": "refused",
    }
    assert queues.depths(place.site.redis, queues.SCREEN)[Priority.BACKFILL] == 2
    assert run(place, priority=Priority.INTERACTIVE) == 0
    assert "taken in  seen 3" in capsys.readouterr().out


def test_an_interrupted_run_is_resumed(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(6):
        place.put(f"{number}.mp4")
    take, left = Keys.take, [3]

    def interrupted(self: Keys, *given: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return take(self, *given)

    monkeypatch.setattr(Keys, "take", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(place)
    assert 1 <= len(place.site.sightings()) <= 3
    assert "taken in  queued" in capsys.readouterr().out
    monkeypatch.setattr(Keys, "take", take)
    report = tmp_path / "report.json"
    assert run(place, resume=True, report=report) == 0
    told = json.loads(report.read_text())
    assert sum(told["taken_in"].values()) == len(told["files"]) == 6
    assert len(place.site.sightings()) == len(place.site.screenings()) == 6


def test_it_waits_for_the_verdicts(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        place.put(name)
    ended: list[dict[str, Any]] = [
        {"status": ScreeningStatus.DONE, "verdict": Verdict.CLEAR, "score": 0.1},
        {"status": ScreeningStatus.DONE, "verdict": Verdict.FAKE, "score": 0.9},
        {"status": ScreeningStatus.FAILED, "error_code": "broken_media", "error_message": "broken"},
    ]

    def screen_one(seconds: float) -> None:
        with transaction(place.site.engine) as session:
            session.execute(update(Screening).where(Screening.id == len(ended)).values(**ended.pop()))

    monkeypatch.setattr(intake_report.time, "sleep", screen_one)
    report = tmp_path / "report.json"
    assert run(place, wait=True, report=report) == 1
    assert not ended
    told = capsys.readouterr().out
    assert "verdicts  " in told
    written = json.loads(report.read_text())
    assert written["verdicts"] == {"fake": 1, "clear": 1}
    assert written["failures"] == {"broken_media": 1}
    assert {row["verdict"] for row in written["files"]} == {"fake", "clear", None}


def test_what_cannot_be_begun_ends_at_once(place: Place, tmp_path: Path) -> None:
    settings = place.site.settings
    with pytest.raises(InvalidValue, match=r"neither with \.csv"):
        run(place, report=tmp_path / "report.txt")
    with pytest.raises(SettingsError, match="No such file"):
        run(place, report=tmp_path / "none" / "report.csv")
    with pytest.raises(InvalidValue, match="no name of a bucket"):
        take_in(settings, ["s3://X/"], Wish())
    with pytest.raises(InvalidValue, match="overlap"):
        take_in(settings.model_copy(update={"objects": str(place.address)}), [str(place.address)], Wish())
    with pytest.raises(BucketRefused, match="FACEWARDEN_BUCKET"):
        take_in(settings, ["s3://no-such-bucket/"], Wish())
