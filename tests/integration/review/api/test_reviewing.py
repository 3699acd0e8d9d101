"""Claims, decisions, screening again, as reviewers use them."""

import pytest
from sqlalchemy import select

from core.priorities import Priority
from core.roles import Role, Scope
from storage import audit, screenings
from storage.engine import reading
from storage.tables import AuditEvent
from tests.integration.review.api.site import CLEAR, FAILED, FLAGGED, QUEUED, SUSPECT, Site


def actions(site: Site) -> list[str]:
    with reading(site.engine) as session:
        assert audit.verify(session).sound
        return list(session.scalars(select(AuditEvent.action).order_by(AuditEvent.id)))


def test_a_decision_closes_a_video_and_is_kept(site: Site) -> None:
    client, path = site.client(), f"/v1/videos/{site.ids[FLAGGED]}"
    decided = client.post(
        f"{path}/decisions", json={"outcome": "fake", "reason": " swap ", "note": "the jaw"}
    )
    assert (decided.status_code, decided.json()["decision_state"]) == (201, "decided")
    client.post(f"{path}/decisions", json={"outcome": "unsure"})
    history = client.get(f"{path}/decisions").json()
    assert [(each["account"], each["outcome"], each["reason"]) for each in history] == [
        ("reviewer", "fake", "swap"),
        ("reviewer", "unsure", None),
    ]
    video = client.get(path).json()["video"]
    assert (video["decision_state"], video["my_decision"]) == ("decided", "unsure")
    assert actions(site).count("video.decided") == 2


def test_a_viewer_changes_nothing(site: Site) -> None:
    client, path = site.client("viewer"), f"/v1/videos/{site.ids[FLAGGED]}"
    for answer in (
        client.post(f"{path}/decisions", json={"outcome": "fake"}),
        client.post(f"{path}/claim"),
        client.delete(f"{path}/claim"),
        client.post(f"{path}/skip"),
        client.post("/v1/claims"),
        client.post(f"{path}/screenings", json={}),
        client.post("/v1/uploads", content=b"x"),
        client.get("/v1/export"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed"), answer.url


def test_one_video_is_never_with_two_reviewers(site: Site) -> None:
    first, second = site.client(), site.client("second")
    path = f"/v1/videos/{site.ids[FLAGGED]}"
    assert first.post(f"{path}/claim").status_code == 200
    assert first.post(f"{path}/claim").status_code == 200  # keeps it for longer
    for answer in (
        second.post(f"{path}/claim"),
        second.post(f"{path}/decisions", json={"outcome": "fake"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "held_by_another")
    assert second.delete(f"{path}/claim").status_code == 204  # not theirs: stays
    assert second.post(f"{path}/claim").status_code == 409
    assert first.get(path).json()["video"]["claim"]["account"] == "reviewer"
    assert first.delete(f"{path}/claim").status_code == 204
    assert second.post(f"{path}/claim").status_code == 200


def test_the_next_video_is_the_most_suspicious_one_that_is_nobodys(site: Site) -> None:
    first, second = site.client(), site.client("second")
    wanted = "/v1/claims?verdict=fake&verdict=suspect&verdict=clear&decision_state=open"
    assert first.post(wanted).json()["video_id"] == site.ids[FLAGGED]
    assert second.post(wanted).json()["video_id"] == site.ids[SUSPECT]
    assert first.post(f"/v1/videos/{site.ids[FLAGGED]}/skip").status_code == 204
    assert first.post(wanted).json()["video_id"] == site.ids[CLEAR]
    assert (
        first.post(f"/v1/videos/{site.ids[CLEAR]}/decisions", json={"outcome": "genuine"}).status_code == 201
    )
    assert first.post(wanted).status_code == 204
    assert second.post(f"/v1/videos/{site.ids[SUSPECT]}/skip").status_code == 204
    assert second.post(wanted).json()["video_id"] == site.ids[FLAGGED]


def test_a_second_opinion_goes_to_another_reviewer(site: Site) -> None:
    first, second = site.client(), site.client("second")
    path = f"/v1/videos/{site.ids[FLAGGED]}/decisions"
    assert first.post(path, json={"outcome": "second_opinion"}).json()["decision_state"] == "second_opinion"
    wanted = "/v1/claims?decision_state=second_opinion"
    assert first.post(wanted).status_code == 204
    assert second.post(wanted).json()["video_id"] == site.ids[FLAGGED]
    assert second.post(path, json={"outcome": "genuine"}).json()["decision_state"] == "decided"


def test_a_video_is_screened_again_by_the_model_asked_for(site: Site) -> None:
    client = site.client()
    asked = client.post(f"/v1/videos/{site.ids[FAILED]}/screenings", json={"urgent": True})
    assert asked.status_code == 202
    assert asked.json() == {
        "screening_id": asked.json()["screening_id"],
        "attempt": 2,
        "model_version": site.version.id,
        "enqueued": False,  # Redis is away
    }
    assert client.get(f"/v1/videos/{site.ids[FAILED]}").json()["video"]["status"] == "queued"
    with reading(site.engine) as session:
        waiting = {ticket.row_id: ticket.attempt for ticket in screenings.LEASES.queued(session)}
    assert waiting[asked.json()["screening_id"]] == 2
    assert "video.screened_again" in actions(site)
    plain = client.post(f"/v1/videos/{site.ids[CLEAR]}/screenings")
    assert (plain.status_code, plain.json()["model_version"]) == (202, site.version.id), "a body is no duty"
    for body, status in (({"model_version": "nobody"}, 404), ({"model": "x"}, 422)):
        assert client.post(f"/v1/videos/{site.ids[QUEUED]}/screenings", json=body).status_code == status


@pytest.mark.parametrize(("urgent", "priority"), [(True, Priority.INTERACTIVE), (False, Priority.NORMAL)])
def test_an_urgent_screening_is_queued_with_what_people_wait_for(
    site: Site, urgent: bool, priority: Priority
) -> None:
    asked = site.client().post(f"/v1/videos/{site.ids[CLEAR]}/screenings", json={"urgent": urgent})
    with reading(site.engine) as session:
        waiting = {ticket.row_id: ticket.priority for ticket in screenings.LEASES.queued(session)}
    assert waiting[asked.json()["screening_id"]] is priority


def test_dashboard_and_models(site: Site) -> None:
    client = site.client()
    client.post(f"/v1/videos/{site.ids[FLAGGED]}/decisions", json={"outcome": "fake"})
    client.post(f"/v1/videos/{site.ids[SUSPECT]}/decisions", json={"outcome": "genuine"})
    found = client.get("/v1/dashboard?days=2").json()
    assert found["verdicts"] == {"fake": 1, "suspect": 1, "clear": 1}
    assert found["failures"] == {"broken_media": 1}
    assert (found["precision"]["confirmed"], found["precision"]["flagged"]) == (1, 2)
    assert found["queue"]["waiting"] == {"value": 1, "more": False}
    assert [day["screened"] for day in found["days"]] == [0, 3]
    assert found["reviewers"] == {"reviewer": 2}
    assert [model["id"] for model in client.get("/v1/models").json()] == [site.version.id]
    told = client.get("/v1/models/report", params={"model_version": site.version.id, "rate": 0.02}).json()
    assert told["scored"] == sum(each["scored"] for each in told["strata"])
    assert [each["wanted_rate"] for each in told["suggestions"]] == [0.02]
    assert client.get("/v1/models/report", params={"model_version": "m-9"}).status_code == 404
    assert client.get("/v1/counts").json()["decided"] == {"value": 2, "more": False}


def test_a_held_video_is_erased_once_the_hold_is_lifted(site: Site) -> None:
    site.account("keeper", Role.SERVICE, (Scope.READ, Scope.ADMIN))
    keeper = site.client("keeper")
    address = f"/v1/videos/{site.ids[CLEAR]}"
    assert keeper.put(f"{address}/hold", json={"reason": "case 7"}).status_code == 204
    assert keeper.get(address).json()["kept"]["hold"] == "case 7"
    refused = keeper.delete(address, params={"reason": "asked"})
    assert (refused.status_code, "case 7" in refused.json()["detail"]) == (409, True)
    assert keeper.delete(address).status_code == 422, "the audit log needs a reason"
    assert keeper.delete(f"{address}/hold").status_code == 204
    assert keeper.delete(address, params={"reason": "asked"}).status_code == 204
    assert keeper.get(address).status_code == 404
    assert keeper.delete(address, params={"reason": "asked"}).status_code == 404
