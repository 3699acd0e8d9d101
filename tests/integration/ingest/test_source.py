"""A process that watches a folder knows what is erased and let in again meanwhile."""

import pytest

from ingest import source
from ingest.registration import Intake, Receipt
from ingest.source import watched
from storage import erasure
from storage.engine import transaction
from tests.integration.ingest.site import LATER, MP4, Site


def test_an_erased_file_is_looked_at_again_without_a_new_process(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source.time, "time_ns", lambda: LATER)
    look = watched(site.settings, site.registrar, site.objects)

    def two_looks() -> list[Receipt]:
        return [receipt for _ in range(2) for receipt in look() if isinstance(receipt, Receipt)]

    (site.bucket / "a.mp4").write_bytes(MP4)
    (receipt,) = two_looks()
    assert receipt.video_id is not None
    erased = erasure.erase(site.engine, site.objects, receipt.video_id, reason="asked", actor="root")
    assert site.untaken() == 1
    (refused,) = two_looks()
    assert refused.intake is Intake.REFUSED
    assert site.untaken() == 0, "nobody waits for it"
    assert two_looks() == []
    with transaction(site.engine) as session:
        erasure.readmit(session, erased.sha256, actor="root")
    (back,) = two_looks()
    assert back.intake is Intake.QUEUED
    assert site.untaken() == 0
