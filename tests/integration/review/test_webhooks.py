"""Webhooks, as pages and as JSON."""

import re
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from core.outcomes import MediaKind
from core.roles import Role
from core.signals import DeliveryStatus
from storage import audit, videos
from storage.engine import reading, transaction
from storage.tables import WebhookDelivery
from storage.webhooks import outbox
from tests.integration.review.house import House, alert

URL = "https://example.com/hooks?key=secret"


@pytest.fixture
def client(house: House) -> Iterator[TestClient]:
    boss = house.visit(house.account("boss", Role.ADMIN), confirmed=True)
    with house.browser() as made:
        made.headers.update(boss.headers)
        yield made


def tell(house: House, *statuses: DeliveryStatus) -> list[int]:
    """Deliveries of one video, one for each status; returns their ids."""
    with transaction(house.engine) as session:
        video_id, _ = videos.add(
            session, sha256="a" * 64, size_bytes=5, media_kind=MediaKind.VIDEO, object_key="k"
        )
        for number, _ in enumerate(statuses):
            outbox.decided(
                session, video_id=video_id, decision_id=number, account="a", outcome="fake", state="decided"
            )
        rows = session.query(WebhookDelivery).order_by(WebhookDelivery.id).all()
        for row, status in zip(rows, statuses, strict=True):
            row.status = status
            row.attempts = 12
            row.error = "the receiver answered 500" if status == DeliveryStatus.DEAD else None
        return [row.id for row in rows]


def test_an_endpoint_on_the_page(house: House, client: TestClient) -> None:
    made = client.post("/admin/webhooks", data={"url": URL, "events": ["video.flagged", "decision.made"]})
    (secret,) = re.findall(r"whsec_[\w+/=]+", made.text)
    (webhook_id,) = re.findall(r"/admin/webhooks/(\d+)/secret", made.text)
    assert secret not in client.get("/admin/webhooks").text
    rotated = client.post(f"/admin/webhooks/{webhook_id}/secret")
    assert re.findall(r"whsec_[\w+/=]+", rotated.text) != [secret]
    ids = tell(house, DeliveryStatus.DELIVERED, DeliveryStatus.DEAD, DeliveryStatus.DEAD)
    page = client.get("/admin/webhooks").text
    assert "1 delivered, 0 waiting" in page
    assert "2 dead" in page
    dead = client.get(f"/admin/webhooks/{webhook_id}?status=dead").text
    assert dead.count("the receiver answered 500") == 2
    one = {"delivery_ids": str(ids[1])}
    assert client.post(f"/admin/webhooks/{webhook_id}/replay", data=one).status_code == 303
    assert client.get(f"/admin/webhooks/{webhook_id}?status=dead").text.count("answered 500") == 1
    assert client.post(f"/admin/webhooks/{webhook_id}/replay").status_code == 303
    assert "Send all" not in client.get(f"/admin/webhooks/{webhook_id}").text
    off = client.post(f"/admin/webhooks/{webhook_id}/active", data={"active": "false"})
    assert off.status_code == 303
    assert "disabled" in client.get("/admin/webhooks").text
    assert client.post(f"/admin/webhooks/{webhook_id}/remove").status_code == 303
    assert "No other system is told" in client.get("/admin/webhooks").text
    with reading(house.engine) as session:
        told = [(event.action, event.subject) for event in audit.page(session, limit=6)]
    actions = ("removed", "changed", "replayed", "replayed", "secret_rotated", "added")
    assert told == [(f"webhook.{action}", "https://example.com/hooks") for action in actions]


def test_an_address_that_is_refused_says_why(client: TestClient) -> None:
    for url, why in (
        ("http://example.com/", "does not begin with https://"),
        ("https://u:p@example.com/", "carries a user name or a password"),
        ("https://0x7f.1/", "not written a.b.c.d"),
    ):
        refused = client.post("/admin/webhooks", data={"url": url, "events": "video.flagged"})
        assert refused.status_code == 422
        assert why in alert(refused.text)
    empty = client.post("/admin/webhooks", data={"url": URL})
    assert "an endpoint needs one or more" in alert(empty.text)


def test_endpoints_as_json(house: House, client: TestClient) -> None:
    made = client.post("/v1/webhooks", json={"url": URL, "events": ["decision.made"]})
    assert made.status_code == 201
    webhook = made.json()
    assert webhook.pop("secret").startswith("whsec_")
    assert client.get("/v1/webhooks").json() == [webhook]
    where = f"/v1/webhooks/{webhook['id']}"
    ids = tell(house, DeliveryStatus.DEAD, DeliveryStatus.WAITING)
    first = client.get(f"{where}/deliveries?limit=1").json()
    assert [each["id"] for each in first["deliveries"]] == [ids[1]]
    rest = client.get(f"{where}/deliveries?before={first['next_before']}").json()
    assert [(each["id"], each["status"]) for each in rest["deliveries"]] == [(ids[0], "dead")]
    assert client.post(f"{where}/replay", json={}).json() == {"events": 1}
    assert client.post(f"{where}/replay", json={"delivery_ids": ids}).json() == {"events": 0}
    changed = client.patch(where, json={"url": "https://example.org/", "active": False}).json()
    assert (changed["url"], changed["active"]) == ("https://example.org/", False)
    rotated = client.post(f"{where}/secret").json()
    assert rotated["previous_until"] is not None
    assert client.patch(where, json={"events": []}).json()["code"] == "invalid_value"
    assert client.delete(where).status_code == 204
    assert client.get(f"{where}/deliveries").status_code == 404
