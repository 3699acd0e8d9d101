"""The daily purge: done once a day, also where no process ever runs at its hour."""

import os
import time

import pytest

from core.errors import ServiceUnavailable
from core.outcomes import Verdict
from ingest.service import _Upkeep
from storage import retention
from tests.integration.ingest.site import Site
from tests.integration.storage.test_retention import WEEK, screened


def process(site: Site) -> _Upkeep:
    return _Upkeep(site.settings.model_copy(update={"retention": WEEK}), site.engine, site.objects)


def due(site: Site) -> int:
    return sum(each.count for each in retention.due(site.engine, WEEK))


def two_days_pass(site: Site) -> None:
    then = time.time() - 48 * 3600
    os.utime(site.settings.objects_folder / ".purged", (then, then))


def test_what_nobody_was_there_for_is_purged_by_the_next_process(site: Site) -> None:
    screened(site.engine, site.objects, "1", Verdict.CLEAR, days_ago=8)
    process(site)._purge_if_due()
    assert due(site) == 1  # an installation's first purge comes in its first night
    two_days_pass(site)
    process(site)._purge_if_due()
    assert due(site) == 0
    screened(site.engine, site.objects, "2", Verdict.CLEAR, days_ago=8)
    process(site)._purge_if_due()
    assert due(site) == 1  # once a day


def test_a_purge_that_fails_is_tried_again_by_the_same_process(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    screened(site.engine, site.objects, "1", Verdict.CLEAR, days_ago=8)
    one = process(site)
    one._purge_if_due()
    two_days_pass(site)

    def away(*asked: object) -> None:
        raise ServiceUnavailable(service="The database", address="x", reason="away", setting="X")

    with monkeypatch.context() as outage:
        outage.setattr(retention, "purge", away)
        with pytest.raises(ServiceUnavailable):
            one._purge_if_due()
    one._purge_if_due()
    assert due(site) == 0
