"""`facewarden purge`, `erase`, `hold` and `readmit`, as they are typed."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from core.errors import Conflict, NotFound
from core.retention import Keeping
from core.settings import RetentionSettings, Settings
from ingest.registration import Intake
from tests.integration.ingest.conftest import site
from tests.integration.ingest.site import MP4, Site

__all__ = ["site"]


@pytest.fixture
def ask(site: Site, monkeypatch: pytest.MonkeyPatch) -> Any:
    days = RetentionSettings(originals={Keeping.FAILED: 0})
    settings: Settings = site.settings.model_copy(update={"retention": days})
    monkeypatch.setattr("cli.main._settings", lambda: settings)

    def asked(*words: str) -> str:
        done = CliRunner().invoke(app, words, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    return asked


def test_an_erased_file_stays_away_until_it_is_readmitted(site: Site, ask: Any) -> None:
    (site.bucket / "a.mp4").write_bytes(MP4)
    (receipt,) = site.take()
    assert receipt.intake is Intake.QUEUED
    assert receipt.sha256 is not None
    number = str(receipt.video_id)
    ask("hold", "a.mp4", "--reason", "case 7")
    with pytest.raises(Conflict, match="case 7"):
        ask("erase", "a.mp4", "--reason", "asked")
    ask("hold", number, "--lift")
    assert ask("erase", "a.mp4", "--reason", "asked", "--dry-run") == f"would erase video {number}\n"
    assert site.objects.exists(f"{receipt.sha256[:2]}/{receipt.sha256[2:]}")
    assert ask("erase", receipt.sha256[:20], "--reason", "asked").startswith(
        f"erased video {number}, 1 objects"
    )
    assert not list(site.objects.stored())
    with pytest.raises(NotFound):
        ask("erase", "a.mp4", "--reason", "asked")

    (again,) = site.take()
    assert (again.intake, again.error and again.error.code) == (Intake.REFUSED, "content_erased")
    assert not list(site.objects.stored()), "what was erased does not lie there again"
    assert site.take() == [], "a file that was refused is not read again and again"

    ask("readmit", receipt.sha256)
    (back,) = site.take()
    assert back.intake is Intake.QUEUED


def test_a_source_is_erased_as_a_whole(site: Site, ask: Any) -> None:
    for name in ("a.mp4", "b.mp4"):
        (site.bucket / name).write_bytes(MP4 + name.encode())
    site.take()
    source = site.sightings()[0].source
    told = ask("erase", "--source", source, "--reason", "contract ended")
    assert told.count("erased video") == 2
    assert (site.sightings(), site.screenings()) == ([], [])


def test_a_held_video_of_a_source_is_passed_over_and_listed(site: Site, ask: Any) -> None:
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        (site.bucket / name).write_bytes(MP4 + name.encode())
    first, held, last = sorted(each.video_id or 0 for each in site.take())
    ask("hold", str(held), "--reason", "case 7")
    words = ["erase", "--source", site.sightings()[0].source, "--reason", "contract ended"]
    for mode, told in (["--dry-run"], "would erase"), ([], "erased"):
        done = CliRunner().invoke(app, [*words, *mode])
        assert (done.exit_code, type(done.exception)) == (1, Conflict)
        assert str(done.exception).startswith("Erasing 1 of 3 videos")
        lines = [each.partition(", ")[0] for each in done.stdout.splitlines() if "video" in each.lower()]
        assert lines[0] == f"{told} video {first}"
        assert lines[1].startswith(f"passed over: Video {held}: it is under legal hold (case 7)")
        assert lines[2] == f"{told} video {last}"
    assert [each.video_id for each in site.screenings()] == [held]
    with pytest.raises(Conflict, match="case 7"):
        ask(*words)


def test_erasing_nothing_is_an_error(site: Site, ask: Any) -> None:
    done = CliRunner().invoke(app, ["erase", "--reason", "r"])
    assert (done.exit_code, "--source" in done.output) == (2, True)
    for words in (["--source", "bucket:/typo"], ["999", "--dry-run"], ["999"]):
        with pytest.raises(NotFound, match=r"typo|999"):
            ask("erase", *words, "--reason", "r")


def test_a_purge_counts_first(site: Site, ask: Any) -> None:
    (site.bucket / "a.mp4").write_bytes(b"no media at all")
    site.take()
    (counted,) = json.loads(ask("purge", "--dry-run", "--json"))
    assert (counted["part"], counted["keeping"], counted["count"]) == ("originals", "failed", 1)
    assert len(list(site.objects.stored())) == 1
    (purged,) = json.loads(ask("purge", "--json").splitlines()[-1])  # after lines of the log
    assert (purged["count"], purged["objects"], purged["bytes"]) == (1, 1, len(b"no media at all"))
    assert not list(site.objects.stored())
    assert "originals" in ask("purge")
