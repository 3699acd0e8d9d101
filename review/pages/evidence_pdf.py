"""The evidence report as PDF: the HTML's content on A4 pages, for files and courts.

Drawn by ReportLab, which needs no library of the system and no browser. What people typed or named can be of
any length, so it stands in paragraphs, which break over pages; a table's cell would not.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from reportlab.graphics.shapes import Circle, Drawing, Line, Polygon, Rect
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, Image, KeepTogether, Paragraph, SimpleDocTemplate, Spacer, Table

from review.pages import timeline
from review.pages.timeline import Lane
from review.pages.video_view import FlaggedFace, Map, VideoPage
from review.words import clock, moment, named, percent
from storage.read.detail import VideoDetail
from storage.read.flagged_frames import FlaggedFrameDetail

Picture = Callable[[str], bytes | None]  # the picture under a key; None if it is gone or damaged

REGULAR, BOLD = "DejaVuSans", "DejaVuSans-Bold"
MARGIN: float = 18 * mm
WIDTH: float = A4[0] - 2 * MARGIN
FRAME_HEIGHT = 62 * mm  # of the whole frame, at most
TILE = 33 * mm  # side of a crop and of its maps
TILES = 5  # side by side
INK, MUTED, RULE, ALARM = (HexColor(code) for code in ("#1c2430", "#5b6675", "#c9d0d9", "#c0392b"))
TRACKS = tuple(HexColor(code) for code in ("#2f6fb0", "#b0682f", "#2f8f6b", "#7d4fb0"))
NO_GLYPH = "\ufffd"  # for characters that the font lacks; the JSON has them as they are

NORMAL = ParagraphStyle("normal", fontName=REGULAR, fontSize=8.5, leading=12, textColor=INK, spaceAfter=3)
SMALL = ParagraphStyle("small", parent=NORMAL, fontSize=7, leading=9.5, textColor=MUTED)
FACT = ParagraphStyle("fact", parent=NORMAL, leftIndent=42 * mm, bulletFontName=REGULAR, bulletFontSize=8.5)
TITLE = ParagraphStyle("title", parent=NORMAL, fontName=BOLD, fontSize=15, leading=19, spaceAfter=4)
HEADING = ParagraphStyle("heading", parent=NORMAL, fontName=BOLD, fontSize=11, leading=14, spaceBefore=10)
FACE = ParagraphStyle("face", parent=HEADING, fontSize=9.5, leading=12)


def to_pdf(report: Mapping[str, Any], video: VideoPage, detail: VideoDetail, picture: Picture) -> bytes:
    """The report of review.reports.evidence as PDF; the page and the detail are of the same video."""
    _fonts()
    written = BytesIO()
    document = SimpleDocTemplate(
        written,
        pagesize=A4,
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=MARGIN,
        bottomMargin=MARGIN,
        title=_plain(f"Evidence report: {video.item.name}"),
        author=_plain(f"Facewarden {report['facewarden']}, for {report['made_by']}"),
        lang="en",
    )
    footer = f"File {report['file']['sha256'][:16]}…   content {report['content_sha256'][:16]}…"

    def foot(canvas: Canvas, template: SimpleDocTemplate) -> None:
        canvas.setFont(REGULAR, 6.5)
        canvas.setFillColor(MUTED)
        canvas.drawString(MARGIN, 10 * mm, footer)
        canvas.drawRightString(A4[0] - MARGIN, 10 * mm, f"page {template.page}")

    document.build(list(_story(report, video, detail, picture)), onFirstPage=foot, onLaterPages=foot)
    return written.getvalue()


def _story(
    report: Mapping[str, Any], video: VideoPage, detail: VideoDetail, picture: Picture
) -> Iterator[Flowable]:
    yield from _head(report, video)
    yield _text("Decisions", HEADING)
    yield from _decisions(detail)
    yield _text("Timeline of frame scores", HEADING)
    yield from _timeline(video)
    yield _text("Flagged faces and explanations", HEADING)
    yield from (_text(one, NORMAL) for one in video.summed)
    for face, frame in zip(video.faces, detail.flagged_frames, strict=True):
        yield from _face(face, frame, picture)
    if not video.faces:
        yield _text(video.without_faces, SMALL)
    yield _text("File", HEADING)
    file = report["file"]
    yield from _facts({"SHA-256": file["sha256"], "Size": f"{file['size_bytes']:,} bytes"})
    yield from _facts({"Kind": file["media_kind"], **_named(file["probe"] or {})})
    for one in detail.sightings:
        yield from _facts({"Seen": f"{one.name} in {one.source}, {moment(one.seen_at)}"})
    yield _text("Model version and parameters", HEADING)
    model = report["model"]
    yield from _facts({"Model version": model["id"], "Label": model["label"]})
    yield from _facts({"Architecture": model["architecture"], "Weights, SHA-256": model["weights_sha256"]})
    yield from _facts(_named(model["details"], but=("training",)))
    screening = report["screening"]
    yield from _facts(_named(screening, but=("timings_seconds", "policy")))
    policy = screening["policy"] or {}
    yield from _facts({f"Verdict, {named(name).lower()}": value for name, value in policy.items()})
    yield _text("Every frame score, segment and weight is in the JSON of this report.", SMALL)


def _head(report: Mapping[str, Any], video: VideoPage) -> Iterator[Flowable]:
    yield _text("Facewarden evidence report", SMALL)
    yield _text(video.item.name, TITLE)
    screening = report["screening"]
    verdict = named(screening["verdict"] or screening["status"])
    meaning = f" {escape(_plain(video.meaning.sentence))}" if video.meaning else ""
    yield Paragraph(f"<font name='{BOLD}'>{escape(verdict)}.</font>{meaning}", NORMAL)
    if video.meaning and video.meaning.most_like:
        yield _text(f"Most like: {video.meaning.most_like}. A guess.", NORMAL)
    yield _text(
        f"Created {report['made_at']} by {report['made_by']} with Facewarden {report['facewarden']}. "
        "A verdict is a lead for a reviewer, not a proof. "
        f"SHA-256 of the content: {report['content_sha256']}",
        SMALL,
    )
    yield from (_text(f"Note: {one.text}", NORMAL) for one in video.caveats)


def _decisions(detail: VideoDetail) -> Iterator[Flowable]:
    for one in detail.decisions:
        why = ": ".join(part for part in (one.reason, one.note) if part)
        hidden = ", score hidden" if one.blind else ""
        said = f"{moment(one.created_at)}, {one.account}{hidden}: {named(one.outcome)}."
        yield _text(f"{said} {why}", NORMAL)
    if not detail.decisions:
        yield _text("Nobody has decided yet.", SMALL)


def _timeline(video: VideoPage) -> Iterator[Flowable]:
    lanes = video.lanes + video.folded
    for lane in lanes:
        yield KeepTogether(
            [
                _text(lane.summary, SMALL),
                _drawn(lane, TRACKS[video.colours[lane.number] % len(TRACKS)], video.limits),
                Spacer(1, 2 * mm),
            ]
        )
    if lanes:
        yield _text(
            f"From 0 to {clock(video.duration)}; circles: frame scores from 0 to 100%, diamonds: "
            "flagged frames, crosses: faces not scored, dashed: thresholds.",
            SMALL,
        )
    else:
        yield _text("No face was found.", SMALL)


def _drawn(lane: Lane, colour: HexColor, limits: Sequence[tuple[str, float]]) -> Drawing:
    """A lane as on the page; its percentages are of the width, its heights from the top."""
    height = timeline.HEIGHT
    drawing = Drawing(WIDTH, height)

    def across(percentage: str) -> float:
        return float(percentage.rstrip("%")) / 100 * WIDTH

    drawing.add(
        Rect(
            across(lane.seen_from),
            0,
            max(1.0, across(lane.seen_for)),
            height,
            fillColor=HexColor("#eef1f5"),
            strokeColor=None,
        )
    )
    for band in lane.bands:
        shade = HexColor("#f3c9c4")
        width = max(1.0, across(band.width))
        drawing.add(Rect(across(band.x), 0, width, height, fillColor=shade, strokeColor=None))
    for _, top in limits:
        y = height - top
        drawing.add(Line(0, y, WIDTH, y, strokeColor=ALARM, strokeWidth=0.5, strokeDashArray=(3, 2)))
    for one in lane.segments:
        ends = (across(one.x1), height - one.y1, across(one.x2), height - one.y2)
        drawing.add(Line(*ends, strokeColor=colour, strokeWidth=0.8))
    for mark in lane.marks:
        x, y = across(mark.x), height - mark.y
        if mark.kind == "flagged":
            points = [x - 4, y, x, y + 4, x + 4, y, x, y - 4]
            drawing.add(Polygon(points, fillColor=ALARM, strokeColor=None))
        elif mark.kind == "rejected":
            for way in (-1, 1):
                cross = Line(x - 2, y - 2 * way, x + 2, y + 2 * way, strokeColor=MUTED, strokeWidth=0.7)
                drawing.add(cross)
        else:
            drawing.add(Circle(x, y, 1.8, fillColor=colour, strokeColor=None))
    return drawing


def _face(face: FlaggedFace, frame: FlaggedFrameDetail, picture: Picture) -> Iterator[Flowable]:
    heading = f"Face {face.letter} at {clock(face.time_seconds)}, frame score {percent(face.score, 1)}"
    whole = _image(picture(frame.image_key), WIDTH, FRAME_HEIGHT)
    yield KeepTogether([_text(heading, FACE), whole or _text("The frame is gone.", SMALL)])
    yield Spacer(1, 2 * mm)
    tiles = [("The face as it was classified", frame.crop_key)]
    tiles += [
        (f"{named(one.method)}: {named(name).lower()}", key)
        for one in frame.explanations
        for name, key in one.overlays.items()
    ]
    yield from _tiles([(caption, picture(key)) for caption, key in tiles])
    for map_ in (face.lime, face.grad_cam):
        if map_ is not None:
            yield _said(map_)
    if face.error:
        yield _text(face.error, NORMAL)


def _said(map_: Map) -> Flowable:
    said = " ".join(one.text for one in map_.said)
    text = f"<font name='{BOLD}'>{escape(named(map_.method))}.</font> {escape(_plain(said))}"
    return Paragraph(f"{text} <font color='#5b6675'>{escape(_plain(map_.parameters))}</font>", NORMAL)


def _tiles(pictures: Sequence[tuple[str, bytes | None]]) -> Iterator[Flowable]:
    """Pictures with captions, TILES side by side."""
    for start in range(0, len(pictures), TILES):
        row = pictures[start : start + TILES]
        images = [_image(content, TILE, TILE) or _text("Gone.", SMALL) for _, content in row]
        captions = [_text(caption, SMALL) for caption, _ in row]
        yield Table(
            [images, captions],
            colWidths=[WIDTH / TILES] * len(row),
            hAlign="LEFT",
            style=[("LEFTPADDING", (0, 0), (-1, -1), 0), ("VALIGN", (0, 0), (-1, -1), "TOP")],
        )


def _image(content: bytes | None, width: float, height: float) -> Image | None:
    """The picture as large as fits."""
    if content is None:
        return None
    across, down = ImageReader(BytesIO(content)).getSize()
    scale = min(width / across, height / down)
    return Image(BytesIO(content), across * scale, down * scale, hAlign="LEFT")


def _facts(values: Mapping[str, Any]) -> Iterator[Flowable]:
    for name, value in values.items():
        if value is not None and value != "":
            yield Paragraph(escape(_plain(str(value))), FACT, bulletText=_plain(name))


def _named(values: Mapping[str, Any], but: Iterable[str] = ()) -> dict[str, Any]:
    return {named(name): value for name, value in values.items() if name not in but}


def _text(text: str, style: ParagraphStyle) -> Paragraph:
    return Paragraph(escape(_plain(text)), style)


def _plain(text: str) -> str:
    """The text with the characters that the font has: names come from strangers."""
    known = _fonts()
    return "".join(letter if ord(letter) in known or letter == "\n" else NO_GLYPH for letter in text)


@cache
def _fonts() -> frozenset[int]:
    """Register the fonts, once; the characters that they have."""
    found = find_spec("matplotlib")  # whose fonts these are; the library itself is not needed
    if found is None or found.origin is None:
        raise RuntimeError("matplotlib is not installed")
    folder = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf"
    for name in (REGULAR, BOLD):
        pdfmetrics.registerFont(TTFont(name, folder / f"{name}.ttf"))
    pdfmetrics.registerFontFamily(REGULAR, normal=REGULAR, bold=BOLD, italic=REGULAR, boldItalic=BOLD)
    return frozenset(pdfmetrics.getFont(REGULAR).face.charToGlyph)
