"""The web pages in a real browser, over real screenings, with a real worker behind the upload.

Screenshots of every page stay in build/screenshots.
"""

import base64
import json
import re
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from argon2 import PasswordHasher
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect, sync_playwright
from sqlalchemy import Engine

from core import queues
from core.roles import Role
from core.settings import (
    LimeSettings,
    OidcSettings,
    SamplingSettings,
    ScoringSettings,
    Settings,
    StreamSettings,
)
from review.app import create_app
from review.reports.evidence import content_hash
from storage.engine import reading, transaction
from storage.objects.choice import open_store
from storage.people import accounts, decisions
from storage.streams.alerts import Raised
from tests import live_streams, review_data, waiting
from tests.oidc_provider import OidcProvider
from tests.review_data import FLAGGED, TWO_FACES
from tests.waiting import PATIENCE_SECONDS
from worker.process import run_worker

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
expect.set_options(timeout=1000 * PATIENCE_SECONDS)  # a busy machine is slow, not wrong
PASSWORD = "correct horse battery"  # noqa: S105  of every account in these tests
CLIP_SECONDS = 2
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
# Chromium's own talk with its maker has no place in a test.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# What a reviewer would be annoyed by: content that moves while it loads (web-vitals.dev/cls: below 0.1).
SHIFTS = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""
# Every text that can be seen, its contrast to the ground behind it below WCAG 2's AA (4.5, large text 3).
FAINT = """
() => {
  const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const luminance = (colour) => {
    const [r, g, b] = colour.map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const [r, g, b, a = 1] = parse(getComputedStyle(one).backgroundColor);
      if (a > 0.99) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.data.trim();
    if (!text || element.closest("svg, .unseen, template, script, option, :disabled, .stage")) continue;
    if (!element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true })) continue;
    const style = getComputedStyle(element);
    const [one, other] = [luminance(parse(style.color).slice(0, 3)), luminance(ground(element))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.6 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) faint.push(`${text}: ${ratio.toFixed(2)}`);
  }
  return faint;
}
"""
# What a screen reader could not name.
NAMELESS = """
() => [...document.querySelectorAll("input:not([type=hidden]), select, textarea, button, a, img, [role=slider], [role=img]")]
  .filter((one) => one.checkVisibility() && !one.closest("template"))
  .filter((one) => one.tagName === "IMG" ? !one.hasAttribute("alt")
    : !(one.labels?.length || one.getAttribute("aria-label") || one.getAttribute("aria-labelledby") || (!one.matches("input, select, textarea") && one.textContent.trim()) || one.title))
  .map((one) => one.outerHTML.slice(0, 120))
"""  # noqa: E501  JavaScript

# Boxes that hide a part of what they hold where nobody can scroll to it, and cells a few letters wide.
CUT_OFF = """
() => [...document.querySelectorAll("main *")].filter((one) => one.checkVisibility() && !one.closest("svg, .unseen, .stage, .veil"))
  .flatMap((one) => {
    const style = getComputedStyle(one);
    const hidden = ["hidden", "clip"].includes(style.overflowX) && style.textOverflow !== "ellipsis" && style.clipPath === "none";
    const cut = hidden && one.scrollWidth > one.clientWidth + 1;
    const squeezed = one.matches("td, th") && one.clientHeight > 4 * one.clientWidth;
    return cut || squeezed ? [`${cut ? "cut off" : "squeezed"}: ${one.outerHTML.slice(0, 120)}`] : [];
  })
"""  # noqa: E501  JavaScript


@dataclass(frozen=True, kw_only=True)
class Site:
    url: str
    settings: Settings
    engine: Engine
    ids: dict[str, int]


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    made = OidcProvider(host="localhost")  # another site than ours, as far as cookies are concerned
    made.groups("leads")
    with made.up():
        yield made


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, checkpoint: Path, valkey_url: str, provider: OidcProvider
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    settings = Settings(
        home=folder / "home",
        bucket=folder / "bucket",
        redis_url=valkey_url,
        weights=checkpoint,
        backend="fp32",
        sampling=SamplingSettings(max_frames=6, min_frames=6),
        lime=LimeSettings(samples=12, stability_seeds=2, segments=12),
        scoring=ScoringSettings(flagged_frames=2),
        streams=StreamSettings(enabled=True),
        oidc=OidcSettings(**provider.settings),
        _env_file=None,
    )
    made = review_data.build(settings, checkpoint, seconds=CLIP_SECONDS)
    for name, role in (
        ("anna", Role.REVIEWER),
        ("ben", Role.REVIEWER),
        ("carla", Role.REVIEWER),
        ("vera", Role.VIEWER),
        ("root", Role.ADMIN),
    ):
        quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
        with transaction(made.engine) as session:
            accounts.add(session, name=name, role=role, password_hash=quick, actor="test", must_change=False)
    app = create_app(settings)
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield Site(url=f"http://127.0.0.1:{port}", settings=settings, engine=made.engine, ids=made.ids)
    server.should_exit = True
    thread.join(PATIENCE_SECONDS)
    made.engine.dispose()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("NO CHROMIUM HERE: THE WEB PAGES WERE NOT TESTED (apt-get install -y chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield browser
        browser.close()


class Visitor:
    """Somebody at a browser, signed in; whatever the browser complains of is kept."""

    def __init__(self, browser: Browser, site: Site, name: str, **options: Any) -> None:
        self.site, self.name = site, name
        self.context: BrowserContext = browser.new_context(base_url=site.url, viewport=WIDE, **options)
        self.context.set_default_timeout(1000 * PATIENCE_SECONDS)
        self.context.add_init_script(SHIFTS)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _heard(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    def sign_in(self) -> "Visitor":
        self.page.goto("/queue")
        expect(self.page).to_have_url(f"{self.site.url}/sign-in?next=%2Fqueue")
        self.page.get_by_label("Name").fill(self.name)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url("**/queue")  # and until its scripts have run
        return self

    def open(self, name: str) -> None:
        self.page.goto(f"/videos/{self.site.ids[name]}")

    def time(self) -> float:
        seconds: float = self.page.evaluate("document.getElementById('player').currentTime")
        return seconds


@pytest.fixture
def visitors(chromium: Browser, site: Site) -> Iterator[Any]:
    made: list[Visitor] = []

    def visit(name: str, **options: Any) -> Visitor:
        made.append(Visitor(chromium, site, name, **options).sign_in())
        return made[-1]

    yield visit
    for visitor in made:
        visitor.context.close()
    assert [visitor.complaints for visitor in made if visitor.complaints] == []


def until(page: Page, expression: str) -> None:
    """Wait until `expression` holds. Playwright waits by evaluating text, which our policy forbids."""
    waiting.until(lambda: page.evaluate(expression), expression, look=lambda: page.wait_for_timeout(50))


def outcomes(site: Site, name: str) -> list[tuple[str, str, bool]]:
    with reading(site.engine) as session:
        found = decisions.history(session, site.ids[name])
    return [(each.account, each.outcome, each.blind) for each in found]


def test_a_reviewer_finds_sees_understands_and_decides(visitors: Any, site: Site) -> None:
    anna = visitors("anna")
    page = anna.page
    # Found by a part of its name, by keyboard.
    page.keyboard.press("/")
    page.keyboard.type("statement")
    expect(page.locator("[data-row]")).to_have_count(1)
    expect(page).to_have_url(f"{site.url}/queue?tab=review&q=statement")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/videos/**")
    expect(page.get_by_role("heading", name=FLAGGED)).to_be_visible()
    play_and_jump(anna)
    look_at_explanations(page)
    assert page.evaluate("shifted") < 0.1
    # Decides by keyboard and gets the next one.
    page.goto(f"/videos/{site.ids[FLAGGED]}?tab=review")
    page.keyboard.press("1")
    expect(page.get_by_role("radio", name="Fake")).to_be_checked()
    page.keyboard.press("r")
    page.keyboard.type("Blending edge")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("Decided: Fake")).to_be_visible()
    assert f"/videos/{site.ids[FLAGGED]}?" not in page.url
    assert outcomes(site, FLAGGED) == [("anna", "fake", False)]
    expect(page.get_by_text("with you until")).to_be_visible()


def play_and_jump(anna: Visitor) -> None:
    page = anna.page
    until(page, "document.getElementById('player').readyState >= 2")
    page.keyboard.press("Space")
    until(page, "document.getElementById('player').currentTime > 0.2")
    page.keyboard.press("Space")
    assert page.evaluate("document.getElementById('player').muted")
    # The timeline jumps.
    lanes = page.get_by_role("slider", name="Time in the video")
    lane = page.locator("[data-lane]").first.bounding_box()
    page.mouse.click(lane["x"] + 0.75 * lane["width"], lane["y"] + 10)
    assert anna.time() == pytest.approx(0.75 * CLIP_SECONDS, abs=0.15)
    lanes.press("Home")
    assert anna.time() == 0
    page.keyboard.press("]")
    flagged = page.locator("[data-flagged]").evaluate_all("marks => marks.map((one) => +one.dataset.flagged)")
    assert anna.time() == pytest.approx(min(at for at in flagged if at > 0), abs=0.05)
    expect(page.locator(".box").first).to_have_attribute("width", re.compile(r"\d"))


def look_at_explanations(page: Page) -> None:
    """LIME in its three kinds and Grad-CAM beside it."""
    panel = page.get_by_role("tabpanel")
    lime, grad_cam = panel.locator("[data-method=LIME]"), panel.locator("[data-method=Grad-CAM]")
    seen = set()
    for kind in ("Heat map", "Positive only", "Boundaries"):
        lime.get_by_role("button", name=kind).click()
        until(page, "document.querySelector('[data-method=LIME] .overlay').complete")
        assert lime.locator(".overlay").evaluate("image => image.naturalWidth") >= 64
        seen.add(lime.locator(".overlay").get_attribute("src"))
    assert len(seen) == 3
    assert grad_cam.locator(".overlay").evaluate("image => image.naturalWidth") >= 64
    page.get_by_label("Overlay", exact=True).fill("30")
    assert lime.locator(".overlay").evaluate("image => image.style.opacity") == "0.3"
    expect(lime).to_contain_text("R²")
    expect(page.locator("#verdict")).to_contain_text("above the threshold")


def test_a_dropped_file_is_followed_until_its_verdict(visitors: Any, site: Site, face_clip: Path) -> None:
    anna = visitors("anna")
    page = anna.page
    page.get_by_role("link", name="Upload", exact=True).click()
    page.wait_for_url("**/upload")
    content = base64.b64encode(face_clip.read_bytes()).decode()
    dropped = page.evaluate_handle(
        """async ([content, name]) => {
          const bytes = Uint8Array.from(atob(content), (each) => each.charCodeAt(0));
          const transfer = new DataTransfer();
          transfer.items.add(new File([bytes], name, { type: "video/mp4" }));
          transfer.items.add(new File(["no film"], "letter.mp4", { type: "video/mp4" }));
          return transfer;
        }""",
        [content, "dropped.mp4"],
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": dropped})
    row = page.locator("#uploads li", has_text="dropped.mp4")
    expect(row).to_contain_text("Waiting for a worker")
    refused = page.locator("#uploads li", has_text="letter.mp4")
    expect(refused).to_contain_text("Refused")
    assert run_worker(queues.SCREEN, site.settings, burst=True) == 0
    expect(row.get_by_role("link", name="Fake")).to_be_visible()
    row.get_by_role("link", name="Fake").click()
    expect(page.get_by_role("heading", name="dropped.mp4")).to_be_visible()
    # The explanations come by themselves while the page is open.
    expect(page.get_by_text("In progress…").first).to_be_visible()
    assert run_worker(queues.EXPLAIN, site.settings, burst=True) == 0
    expect(page.locator("[data-method=LIME] .overlay").first).to_be_visible()
    # And again, with everything following by itself.
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/events?*", hold)
    page.get_by_role("button", name="Screen again").click()
    expect(page.locator("#verdict")).to_contain_text("being processed")
    page.wait_for_load_state()  # its pictures are those of the first screening, which the second replaces
    assert run_worker(queues.SCREEN, site.settings, burst=True) == 0
    # Also if the verdict came before the page could hear of anything.
    for route in held:
        route.continue_()
    page.unroute("**/events?*")
    expect(page.locator("#verdict")).to_contain_text("above the threshold")
    anna.complaints = [each for each in anna.complaints if "415" not in each]  # the refusal of letter.mp4


def test_a_viewer_cannot_decide(visitors: Any, site: Site) -> None:
    vera = visitors("vera")
    expect(vera.page.get_by_role("button", name="Review next")).to_have_count(0)
    vera.open(TWO_FACES)
    expect(vera.page.get_by_text("lets you look but not decide")).to_be_visible()
    expect(vera.page.get_by_role("radio")).to_have_count(0)
    before = outcomes(site, TWO_FACES)
    for key in ("1", "Enter", "s", "n"):
        vera.page.keyboard.press(key)
    token = vera.page.locator("meta[name=csrf-token]").get_attribute("content")
    answer = vera.page.request.post(
        f"/videos/{site.ids[TWO_FACES]}/decision", form={"outcome": "fake", "csrf_token": token}
    )
    assert answer.status == 403
    assert outcomes(site, TWO_FACES) == before


def test_a_blind_reviewer_sees_no_score_before_deciding(visitors: Any, site: Site) -> None:
    ben = visitors("ben")
    page = ben.page
    page.goto("/account")
    page.get_by_role("button", name="Hide scores until I decide").click()
    page.goto("/queue")
    expect(page.locator("[data-row]").first).to_contain_text("Hidden")
    expect(page.locator("[data-row]").first.locator(".thumb img")).to_have_attribute(
        "src", re.compile("poster$")
    )
    assert "%" not in page.locator("#list").inner_text().replace("% decoded", "")
    name = "archive/reel_1970.mp4"
    ben.open(name)
    expect(page.get_by_text("Blind mode").first).to_be_visible()
    shown = page.content()
    assert "88" not in page.locator("main").inner_text().replace("SHA-256", "").split("File and model")[0]
    assert "/v1/frames/" not in shown
    assert "/v1/explanations/" not in shown
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Decided: Genuine")).to_be_visible()
    ben.open(name)
    expect(page.locator("#verdict")).to_contain_text("88.0%")
    assert outcomes(site, name) == [("ben", "genuine", True)]


def test_pictures_are_blurred_until_the_reviewer_says_otherwise(visitors: Any, site: Site) -> None:
    carla = visitors("carla")
    page = carla.page
    page.goto("/queue?tab=all")
    for row in page.locator("[data-row]").all():
        screened = row.locator(".chip").first.inner_text().lower() not in {"failed", "queued", "screening"}
        expect(row.locator(".thumb img")).to_have_count(int(screened))
    poster = page.locator(".thumb img[src$=poster]").first
    assert "blur" in poster.evaluate("image => getComputedStyle(image).filter")
    page.goto("/queue")
    thumbnail = page.locator(".thumb img").first
    player = page.locator("#player")
    assert "blur" in thumbnail.evaluate("image => getComputedStyle(image).filter")
    carla.open(TWO_FACES)
    assert "blur" in player.evaluate("video => getComputedStyle(video).filter")
    page.keyboard.press("b")
    page.keyboard.press("g")
    page.keyboard.press("m")
    page.reload()
    assert player.evaluate("video => getComputedStyle(video).filter") == "grayscale(1)"
    assert not player.evaluate("video => video.muted")


def test_what_the_browser_cannot_play_is_a_flipbook(visitors: Any, site: Site) -> None:
    carla = visitors("carla")
    page = carla.page

    def broken(route: Route) -> None:
        route.fulfill(status=200, content_type="video/mp4", body=b"no film")

    page.route("**/v1/videos/*/media", broken)
    carla.open(FLAGGED)
    expect(page.get_by_text("This browser cannot play this video")).to_be_visible()
    book = page.locator("#flipbook")
    until(page, "document.getElementById('flipbook').naturalWidth > 0")
    first = book.get_attribute("src")
    page.get_by_role("button", name="Next flagged frame").click()
    assert book.get_attribute("src") != first


def test_the_evidence_report_stands_alone(visitors: Any, site: Site, tmp_path: Path) -> None:
    carla = visitors("carla")
    carla.open(FLAGGED)
    with carla.page.expect_download() as download:
        carla.page.get_by_role("link", name="JSON").click()
    report = json.loads(Path(download.value.path()).read_text())
    about = {"format", "made_at", "made_by", "facewarden", "content_sha256"}
    content = {name: value for name, value in report.items() if name not in about}
    assert content_hash(content) == report["content_sha256"]
    assert report["made_by"] == "carla"
    assert report["file"]["sha256"] in (
        Path(download.value.suggested_filename).stem,
        report["file"]["sha256"],
    )
    (lime,) = [each for each in report["flagged_frames"][0]["explanations"] if each["method"] == "lime"]
    assert lime["seed"] == 0
    assert len(lime["weights"]) == len(set(lime["segments"]["values"]))
    with carla.page.expect_download() as download:
        carla.page.get_by_role("link", name="Evidence report").click()
    path = tmp_path / "report.html"
    download.value.save_as(path)
    asked: list[str] = []
    carla.page.on("request", lambda request: asked.append(request.url))
    carla.page.goto(path.as_uri())
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    pictures = carla.page.locator("img").evaluate_all("all => all.map((one) => one.naturalWidth)")
    assert len(pictures) == 2 * 6  # frame, face, three LIME maps and Grad-CAM of two flagged frames
    assert min(pictures) > 0


def test_a_stream_is_asked_for_and_its_page_follows_it(visitors: Any, site: Site, face_clip: Path) -> None:
    anna = visitors("anna")
    page = anna.page
    page.get_by_role("link", name="Live", exact=True).click()
    page.get_by_label("Address").fill("https://example.com/live.m3u8?key=secret")
    page.get_by_label("Name", exact=True).fill("The debate")
    page.get_by_role("button", name="Watch").click()
    expect(page.get_by_role("heading", name="The debate")).to_be_visible()
    expect(page.get_by_text("It waits for a worker")).to_be_visible()
    expect(page.get_by_text("No alerts.")).to_be_visible()
    number = int(page.url.rpartition("/")[2])
    objects = open_store(site.settings)
    claim = live_streams.watched(site.engine, objects, number, clip=face_clip.read_bytes())
    # It follows by itself, and an alert comes with a clip that plays, blurred.
    expect(page.get_by_role("heading", name="Face 0, 0:20.0 to 0:40.0")).to_be_visible()
    expect(page.locator("#live .live-curve line.curve").first).to_be_attached()
    until(page, "document.querySelector('.alert video').readyState >= 1")
    assert "blur" in page.locator(".alert video").evaluate("video => getComputedStyle(video).filter")
    live_streams.report(site.engine, claim, position=90.0)
    expect(page.locator("#live")).to_contain_text("1:30.0")
    # A clip that plays is not torn away by the next alert, which comes once it is paused.
    clip, second = page.locator(".alert video"), page.get_by_role("heading", name="Face 1, 1:40.0 to 1:50.0")
    clip.evaluate("video => Object.defineProperty(video, 'paused', {get: () => false, configurable: true})")
    later = Raised(
        track=1, start_seconds=100, end_seconds=110, raised_seconds=104, peak_score=0.95, over=True, frames=[]
    )
    live_streams.report(site.engine, claim, later, position=120.0)
    expect(page.locator("#live")).to_contain_text("2:00.0")
    expect(second).to_have_count(0)
    clip.evaluate("video => { delete video.paused; video.dispatchEvent(new Event('pause')); }")
    expect(second).to_be_visible()
    page.screenshot(path=SCREENSHOTS / "stream-two-alerts.png", full_page=True)
    assert "secret" not in page.content()
    page.get_by_role("button", name="Stop watching").click()
    expect(page.locator("#live .chip")).to_have_text("stopping")


def test_who_signs_in_elsewhere_comes_in_by_the_button(chromium: Browser, site: Site) -> None:
    anna = Visitor(chromium, site, "ann-smith")
    page = anna.page
    page.goto("/queue?tab=all")
    page.get_by_role("link", name="Continue with single sign-on").click()
    page.wait_for_url("**/queue?tab=all")
    expect(page.locator(".who a")).to_have_text("ann-smith")
    # Once more, before accounts are changed.
    page.goto("/admin/accounts")
    page.get_by_label("Name").fill("dora")
    page.get_by_role("button", name="Add").click()
    page.get_by_role("link", name="Continue").click()
    page.wait_for_url("**/admin/accounts")
    page.get_by_label("Name").fill("dora")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_text("one-time password of dora")).to_be_visible()
    page.screenshot(path=SCREENSHOTS / "admin-accounts-elsewhere.png", full_page=True)
    anna.context.close()
    assert anna.complaints == []


PAGES = {
    "queue": "/queue",
    "queue-all": "/queue?tab=all",
    "queue-empty": "/queue?q=nothing-like-this",
    "video": f"{{{TWO_FACES}}}",
    "video-failed": "{archive/damaged.mp4}",
    "streams": "/streams",
    "stream": "/streams/1",
    "upload": "/upload",
    "dashboard": "/dashboard?days=7",
    "account": "/account",
    "admin-accounts": "/admin/accounts",
    "admin-tokens": "/admin/tokens",
    "admin-audit": "/admin/audit",
    "error": "/videos/999999",
    "sign-in": "/sign-in",
}


def test_every_page_is_readable_wide_and_narrow_light_and_dark(visitors: Any, site: Site) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    root = visitors("root")
    page = root.page
    page.keyboard.press("b")  # screenshots of blurred faces would show little
    faults: list[str] = []
    for name, address in PAGES.items():
        if name == "sign-in":
            root.context.clear_cookies()
        page.goto(f"/videos/{site.ids[address[1:-1]]}" if address.startswith("{") else address)
        if name == "video":
            until(page, "document.getElementById('player').readyState >= 2")
        faults += [f"{name}: no name: {each}" for each in page.evaluate(NAMELESS)]
        for width, viewport in (("1280", WIDE), ("390", NARROW)):
            page.set_viewport_size(viewport)
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                faults.append(f"{name} at {width}: scrolls sideways")
            faults += [f"{name} at {width}: {each}" for each in page.evaluate(CUT_OFF)]
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                page.screenshot(path=SCREENSHOTS / f"{name}-{width}-{scheme}.png", full_page=True)
                faults += [f"{name} {scheme}: {each}" for each in page.evaluate(FAINT)]
        page.set_viewport_size(WIDE)
    root.complaints = [each for each in root.complaints if "404" not in each]  # of the page "error"
    assert sorted(set(faults)) == []
