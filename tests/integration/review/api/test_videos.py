"""Lists and one video in full."""

from io import BytesIO
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pypdf import PdfReader
from sqlalchemy import select, update

from core.outcomes import Verdict
from core.settings import ScoringSettings
from review.auth.cookies import SESSION
from storage import erasure
from storage.engine import transaction
from storage.people import sessions
from storage.queue.filters import Filters
from storage.tables import Account, Video, utc_now
from tests.integration.review.api.site import CLEAR, FAILED, FLAGGED, QUEUED, SUSPECT, Site
from worker.reaggregation import reaggregate


def names(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [item["name"] for item in answer.json()["items"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [FLAGGED, SUSPECT, CLEAR, QUEUED, FAILED]),
        ("ascending=true", [CLEAR, SUSPECT, FLAGGED, FAILED, QUEUED]),
        ("sort=time", [QUEUED, FAILED, CLEAR, SUSPECT, FLAGGED]),
        ("verdict=fake&verdict=suspect", [FLAGGED, SUSPECT]),
        ("status=failed", [FAILED]),
        ("family=swap&family=lipsync", [FLAGGED, SUSPECT]),
        ("family=generate", []),
        ("provenance=generated", []),
        ("provenance=generated&provenance=nothing", [FLAGGED, SUSPECT, CLEAR]),
        ("score_min=0.5&score_max=0.9", [SUSPECT]),
        ("text=FLAG", [FLAGGED]),
        ("source=bucket:/in&status=queued", [QUEUED]),
        ("source=elsewhere", []),
        ("since=2100-01-01T00:00:00Z", []),
        ("until=2100-01-01&verdict=clear", [CLEAR]),
        ("decision_state=decided", []),
        ("model_version=nobody", []),
        ("verdict=&text=&status=failed", [FAILED]),
    ],
)
def test_a_list_holds_what_its_filters_name(shared: Site, query: str, expected: list[str]) -> None:
    assert names(shared.client().get(f"/v1/videos?{query}")) == expected


def test_pages_follow_one_another(shared: Site) -> None:
    client, found, cursor = shared.client(), [], ""
    while cursor is not None:
        page = client.get(
            "/v1/videos", params={"limit": 2, "count": True} | ({"cursor": cursor} if cursor else {})
        )
        found += names(page)
        cursor = page.json()["next_cursor"]
        assert page.json()["count"] == {"value": 5, "more": False}
    assert found == [FLAGGED, SUSPECT, CLEAR, QUEUED, FAILED]


@pytest.mark.parametrize(
    "query",
    [
        "verdict=maybe",
        "verdicts=fake",
        "score_min=2",
        "score_min=nan",
        "family=magic",
        "provenance=magic",
        "score_max=0.1&score_max=0.9",  # the last alone would count
        "limit=1&limit=",
        "since=yesterday",
        "since=0001-01-01T00:00:00%2B14:00",
        "text=ab",
        "cursor=%00",
        "cursor=W10",
        "limit=0",
        "source=a%00b",
    ],
)
def test_what_is_not_understood_is_a_problem_that_says_so(shared: Site, query: str) -> None:
    answer = shared.client().get(f"/v1/videos?{query}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]


def test_a_video_in_full(shared: Site) -> None:
    answer = shared.client().get(f"/v1/videos/{shared.ids[FLAGGED]}")
    found = answer.json()
    assert found["video"]["verdict"] == "fake"
    assert found["video"]["duration_seconds"] == 4.5
    (track,) = found["tracks"]
    face, _ = track["faces"]
    assert face["box"] == [1, 2, 30, 40]
    assert track["flagged_ranges"] == [[0.25, 0.75]]
    assert (track["family"], track["family_probability"]) == ("swap", 0.71)
    assert (found["video"]["longest_unseen_seconds"], found["looks"]) == (1.25, 3.5)
    nothing = {"stated": "nothing", "manifest": None, "source_types": [], "generators": []}
    assert found["provenance"] == nothing
    assert face["score"] == pytest.approx(shared.version.calibration.probability(2.0))
    (frame,) = found["flagged_frames"]
    assert frame["explanations"][0]["overlays"] == ["heat"]
    said = {"sentence": "Mouth speaks for fake (0.83 of the evidence).", "frames": 1, "left_out": 0}
    for evidence in (frame["explanations"][0]["evidence"], track["evidence"]):
        assert said.items() <= evidence.items()
        assert evidence["shares"] == pytest.approx({"mouth": 5 / 6, "jaw line": 1 / 6})
    assert found["sightings"][0]["source"] == "bucket:/in"
    again = shared.client().get(
        f"/v1/videos/{shared.ids[FLAGGED]}", headers={"If-None-Match": answer.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")


def test_a_failed_video_says_why(shared: Site) -> None:
    video = shared.client().get(f"/v1/videos/{shared.ids[FAILED]}").json()["video"]
    assert (video["status"], video["error_code"], video["score"]) == ("failed", "broken_media", None)


@pytest.mark.parametrize("path", ["/v1/videos/999", "/v1/videos/1?model_version=nobody"])
def test_what_is_not_there_is_not_found(shared: Site, path: str) -> None:
    answer = shared.client().get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_blind_reviewer_sees_the_answer_after_deciding(site: Site) -> None:
    site.blind("reviewer")
    client, video = site.client(), site.ids[FLAGGED]
    second = site.client("second")
    assert second.post(f"/v1/videos/{video}/decisions", json={"outcome": "fake"}).status_code == 201
    hidden = client.get(f"/v1/videos/{video}").json()
    shown = [
        hidden["video"]["score"],
        hidden["video"]["verdict"],
        hidden["raw_score"],
        hidden["tracks"][0]["score"],
    ]
    assert [*shown, hidden["tracks"][0]["faces"][0]["score"], hidden["screenings"][0]["score"]] == [None] * 6
    track = hidden["tracks"][0]
    assert (track["family"], track["family_probability"]) == (None, None)
    assert hidden["flagged_frames"] == hidden["decisions"] == hidden["tracks"][0]["flagged_ranges"] == []
    assert all(
        item["score_hidden"] and item["verdict"] is None for item in client.get("/v1/videos").json()["items"]
    )
    frame = second.get(f"/v1/videos/{video}").json()["flagged_frames"][0]
    explanation = frame["explanations"][0]["id"]
    for path in (
        "/v1/videos?verdict=fake",
        "/v1/videos?sort=score",
        "/v1/videos?score_min=0.5",
        "/v1/videos?family=swap",
        "/v1/counts",
        f"/v1/videos/{video}/thumbnail",
        f"/v1/frames/{frame['id']}/image",
        f"/v1/frames/{frame['id']}/crop",
        f"/v1/explanations/{explanation}",
        f"/v1/explanations/{explanation}/heat.png",
    ):
        assert client.get(path).json()["code"] == "hidden_until_decided", path
    assert client.get(f"/v1/videos/{video}/decisions").json() == []
    assert client.post(f"/v1/videos/{video}/decisions", json={"outcome": "genuine"}).status_code == 201
    seen = client.get(f"/v1/videos/{video}").json()
    assert (seen["video"]["score"], len(seen["flagged_frames"]), len(seen["decisions"])) == (0.97, 1, 2)
    assert [each["blind"] for each in seen["decisions"]] == [False, True]
    assert client.get(f"/v1/explanations/{explanation}").status_code == 200


def test_the_document_describes_every_route_of_the_api(shared: Site) -> None:
    document = shared.client().get("/v1/openapi.json").json()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            declared = set(operation["responses"])
            assert {"401", "403", "422", "503"} <= declared, path
            assert operation["description"], path
            for status in declared & {"401", "403", "404", "409", "413", "415", "422", "503"}:
                assert list(operation["responses"][status]["content"]) == ["application/problem+json"], path


def test_a_video_whose_faces_cannot_be_judged_waits_for_a_look_and_says_why(site: Site) -> None:
    site.add("in/profile.mp4", Verdict.UNJUDGED, rejected_faces={"turned": 18, "blurred": 2})
    client = site.client()
    answer = client.get("/v1/videos?verdict=unjudged&decision_state=open")
    assert names(answer) == ["in/profile.mp4"]
    (item,) = answer.json()["items"]
    assert (item["verdict"], item["score"]) == ("unjudged", None)
    assert item["rejected_faces"] == {"turned": 18, "blurred": 2}
    counts = client.get("/v1/counts").json()
    assert counts["to_review"] == {"value": 3, "more": False}  # with the fake and the suspect one
    assert (counts["verdicts"]["unjudged"]["value"], counts["verdicts"]["clear"]["value"]) == (1, 1)
    line = client.get("/v1/export?format=jsonl&verdict=unjudged").json()
    assert line["rejected_faces"] == {"turned": 18, "blurred": 2}
    detail = client.get(f"/v1/videos/{site.ids['in/profile.mp4']}").json()
    assert detail["video"]["rejected_faces"] == {"turned": 18, "blurred": 2}


def signed_in(site: Site, name: str = "reviewer") -> TestClient:
    with transaction(site.engine) as session:
        account = session.scalars(select(Account.id).where(Account.name == name)).one()
        cookie = sessions.start(session, account, hours=1)
    return TestClient(site.app, headers={"Cookie": f"{SESSION}={cookie}"})


def test_page_and_evidence_report_say_what_a_flagged_face_most_resembles(site: Site) -> None:
    browser = signed_in(site)
    for address in (f"/videos/{site.ids[FLAGGED]}", f"/videos/{site.ids[FLAGGED]}/evidence.html"):
        page = browser.get(address).text
        assert "Most like: <b>face swap, 0.71</b>" in page, address
        assert "A guess among the families" in page
        assert "like face swap, 0.71" in page  # beside the track
    report = browser.get(f"/videos/{site.ids[FLAGGED]}/evidence.json").json()
    (track,) = report["tracks"]
    assert (track["family"], track["family_probability"]) == ("swap", 0.71)
    assert "Most like" not in browser.get(f"/videos/{site.ids[CLEAR]}").text
    site.blind("reviewer")
    assert "face swap" not in browser.get(f"/videos/{site.ids[FLAGGED]}").text


def test_the_evidence_report_as_pdf_says_what_the_others_say(site: Site) -> None:
    browser = signed_in(site)
    report = browser.get(f"/videos/{site.ids[FLAGGED]}/evidence.json").json()
    answer = browser.get(f"/videos/{site.ids[FLAGGED]}/evidence.pdf")
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["content-disposition"].endswith('.pdf"')
    pages = PdfReader(BytesIO(answer.content)).pages
    text = " ".join(" ".join(page.extract_text() for page in pages).split())
    unbroken = text.replace(" ", "")
    for digest in ("content_sha256", "file/sha256", "model/weights_sha256"):
        value = report
        for name in digest.split("/"):
            value = value[name]
        assert value in unbroken, digest
    assert FLAGGED in text
    assert "Mouth speaks for fake (0.83 of the evidence)." in text
    assert "Most like: face swap, 0.71" in text
    assert sum(len(page.images) for page in pages) == 3  # frame, crop, LIME


def text_of(pdf: bytes) -> str:
    return " ".join(" ".join(page.extract_text() for page in PdfReader(BytesIO(pdf)).pages).split())


@pytest.mark.parametrize(
    ("name", "said"),
    [(FLAGGED, "The pictures of flagged faces were erased on"), (CLEAR, "No frame was flagged")],
)
def test_why_a_report_shows_no_faces(site: Site, name: str, said: str) -> None:
    """A purge takes the posters of videos that were never flagged by the same clock."""
    video, browser = site.ids[name], signed_in(site)
    with transaction(site.engine) as session:
        erasure.erase_faces(session, video)
        erasure.hold(session, video, reason="case 12", actor="root")
        session.execute(update(Video).where(Video.id == video).values(faces_erased_at=utc_now()))
    address = f"/videos/{video}/evidence"
    assert said in browser.get(f"/videos/{video}").text
    assert said in browser.get(f"{address}.html").text
    assert said in text_of(browser.get(f"{address}.pdf").content)
    report = browser.get(f"{address}.json")
    assert report.json()["erased"]["faces_at"] is not None
    assert "case 12" not in report.text


def test_a_pdf_is_made_of_whatever_people_wrote(site: Site) -> None:
    browser, video = signed_in(site), site.ids[FLAGGED]
    note = "<b>не закрыт & 😀\n" + "unendlich" * 400
    client = site.client()
    assert client.post(f"/v1/videos/{video}/decisions", json={"outcome": "fake", "note": note}).is_success
    answer = browser.get(f"/videos/{video}/evidence.pdf")
    assert answer.status_code == 200
    text = "".join(page.extract_text() for page in PdfReader(BytesIO(answer.content)).pages)
    assert "<b>не закрыт &" in text
    assert "unendlichunendlich" in text


def test_an_answer_that_was_replaced_stays_to_be_seen(site: Site) -> None:
    """The page compares the score with the thresholds that gave the verdict, not with the checkpoint's."""
    stricter = ScoringSettings(suspect_threshold=0.6, fake_threshold=0.97)
    reaggregate(site.engine, Filters(source="bucket:/in"), stricter, apply=True, actor="t")
    video_id = site.ids[FLAGGED]
    client = site.client()
    found = client.get(f"/v1/videos/{video_id}").json()
    assert (found["video"]["verdict"], found["policy"]["fake_from"]) == ("suspect", 0.97)
    browser = signed_in(site)
    report = browser.get(f"/videos/{video_id}/evidence.json").json()
    assert report["screening"]["policy"]["fake_from"] == 0.97
    assert "<dt>Verdict, fake from</dt><dd>0.97</dd>" in browser.get(f"/videos/{video_id}/evidence.html").text
    assert "Verdict, fake from 0.97" in text_of(browser.get(f"/videos/{video_id}/evidence.pdf").content)
    (earlier,) = found["earlier"]
    assert (earlier["verdict"], earlier["because"], earlier["policy"]) == ("fake", "reaggregated", None)
    page = " ".join(client.get(f"/videos/{video_id}").text.split())
    assert "1 earlier answer<" in page
    assert "threshold of 60.0% for “Suspect”" in page
    site.blind("reviewer")
    assert client.get(f"/v1/videos/{video_id}").json()["earlier"] == []
    assert "earlier answer" not in client.get(f"/videos/{video_id}").text
