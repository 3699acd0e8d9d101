"""What the page of one video shows, computed here so that templates hold no logic."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.face_evidence import FaceEvidence
from core.known import KnownContent, KnownDecision
from core.model_version import UNTRAINED_LABEL
from core.outcomes import FLAGGED, ExplainStatus, ExplanationMethod, MediaKind, ScreeningStatus
from core.results import FaceResult, TrackResult
from review import addresses, words
from review.pages import timeline
from review.pages.provenance_view import statements
from review.pages.timeline import Lane, Sample, Tick
from review.words import Judgement, Tone, named, percent
from storage.people.decisions import DecisionView
from storage.queue.listing import QueueItem, blinded
from storage.read.detail import TrackDetail, VideoDetail
from storage.read.explanation import StoredExplanation
from storage.read.flagged_frames import FlaggedFrameDetail

SHOWN_LANES = 6  # the others, which are less suspicious, are folded away
LEAST_STAGE = 960  # pixels: small videos are enlarged to this width if there is room
MOST_OF = 0.8  # share of a face's time; if more of it is flagged, it counts as flagged throughout
NAMED_PARTS = 3  # flagged parts listed in words
MAPS = {"boundaries": "Boundaries", "heat": "Heat map", "positive": "Positive only"}


@dataclass(frozen=True, kw_only=True)
class Caveat:
    tone: Tone
    text: str


@dataclass(frozen=True, kw_only=True)
class Map:
    """An explanation as pictures, with what can be said about it."""

    id: int
    method: str
    pictures: dict[str, str]  # label of each picture, by its stored name
    said: list[Judgement]
    parameters: str


@dataclass(frozen=True, kw_only=True)
class FlaggedFace:
    id: int
    letter: str  # of the track
    colour: int
    time_seconds: float
    score: float
    waiting: bool  # explanations are still being made
    error: str | None
    lime: Map | None
    grad_cam: Map | None


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """The score and the thresholds it is compared with."""

    score: float
    fake: float | None  # threshold of "fake", if the model version has one
    suspect: float | None
    sentence: str
    most_like: str | None  # "face swap, 0.71"; None where no family is named


@dataclass(frozen=True, kw_only=True)
class Alike:
    """Another video or an entry of a list that this video looks like."""

    href: str | None  # None: an entry of a list
    name: str
    said: str  # "distance 12 of 256, share of frames 0.93"
    decision: KnownDecision | None


@dataclass(frozen=True, kw_only=True)
class VideoPage:
    item: QueueItem  # blinded if necessary
    hidden: bool  # the score is hidden until the reviewer decides
    still: bool  # whether it is an image
    width: int  # pixels of the upright frame
    height: int
    stage: tuple[int, int]  # preferred width and height of the stage, pixels
    duration: float  # seconds
    lanes: list[Lane]
    folded: list[Lane]  # beyond SHOWN_LANES
    colours: dict[int, int]  # of tracks, by number
    streams: dict[int, int]  # the video stream of each track, by number
    summed: list[str]  # which parts of each flagged face speak for fake, over all its explained frames
    likeness: dict[int, str]  # what a track most resembles, by number, where that is known
    ticks: list[Tick]
    limits: list[tuple[str, float]]  # kind and height of each threshold line
    boxes: dict[str, Any]  # data for the script that draws over the video
    faces: list[FlaggedFace]
    without_faces: str  # why there are none
    meaning: Meaning | None
    caveats: list[Caveat]
    known: list[Alike]  # decided videos first
    facts: list[tuple[str, str]]
    statements: list[str]  # what the file states about itself
    history: list[DecisionView]  # the newest first


def build(detail: VideoDetail, *, blind: bool) -> VideoPage:
    """Build the page. `blind`: the reviewer is in blind mode."""
    item = blinded(detail.item) if blind else detail.item
    hidden = item.score_hidden
    probe = detail.probe or {}
    width, height = _upright(probe)
    times = [face.time_seconds for track in detail.tracks for face in track.faces]
    duration = timeline.duration_of(item.duration_seconds or probe.get("duration_seconds"), times)
    ordered = sorted(detail.tracks, key=lambda t: t.number if hidden else -(t.score or 0.0))
    colours = {track.number: place % 4 for place, track in enumerate(ordered)}
    lanes = [_lane(detail, track, duration, hidden=hidden) for track in ordered]
    thresholds = _thresholds(detail)
    return VideoPage(
        item=item,
        hidden=hidden,
        still=item.media_kind == MediaKind.IMAGE,
        width=width,
        height=height,
        stage=_stage(width, height),
        duration=duration,
        lanes=lanes[:SHOWN_LANES],
        folded=lanes[SHOWN_LANES:],
        colours=colours,
        streams={track.number: track.stream for track in detail.tracks},
        summed=[] if hidden else _summed(detail),
        likeness={} if hidden else _likeness(detail),
        ticks=timeline.ticks(duration) if timeline.has_time(duration) else [],
        limits=[] if hidden else [(kind, timeline.height_of(at)) for kind, at in thresholds.items()],
        boxes=_boxes(detail, colours, width, height, hidden=hidden),
        faces=[] if hidden else [_face(frame, colours) for frame in detail.flagged_frames],
        without_faces=_without_faces(detail),
        meaning=None if hidden else _meaning(detail, thresholds),
        caveats=_caveats(detail, hidden=hidden),
        known=[] if hidden else [_alike(each) for each in detail.known],
        facts=_facts(detail),
        statements=statements(detail.provenance),
        history=[] if hidden else detail.decisions[::-1],
    )


def _without_faces(detail: VideoDetail) -> str:
    erased, verdict = detail.kept.faces_erased_at, detail.item.verdict
    # The poster of a video that is not flagged goes by the same clock: that is no flagged face.
    if erased is not None and verdict in FLAGGED:
        return f"The pictures of flagged faces were erased on {words.moment(erased)}: their days were over."
    return "No frame was flagged, so there is nothing to explain."


def _alike(known: KnownContent) -> Alike:
    share = f"{percent(known.share)} of this video's frames have their like there"
    if known.list_name is None:
        share += f", {percent(known.other_share)} of that one's here"
    return Alike(
        href=None if known.video_id is None else f"/videos/{known.video_id}",
        name=known.name
        if known.list_name is None
        else f"{known.name or 'entry'} of the list {known.list_name}",
        said=f"{'mirrored, ' if known.mirrored else ''}distance {known.distance} of 256; {share}",
        decision=known.decision,
    )


def _upright(probe: Mapping[str, Any]) -> tuple[int, int]:
    """Width and height of the first frame as a player shows it; the probe has them upright."""
    return int(probe.get("width") or 16), int(probe.get("height") or 9)


def _stage(width: int, height: int) -> tuple[int, int]:
    factor = max(1.0, LEAST_STAGE / width)
    return round(width * factor), round(height * factor)


def _lane(detail: VideoDetail, track: TrackDetail, duration: float, *, hidden: bool) -> Lane:
    flagged = {frame.face_id for frame in detail.flagged_frames}
    samples = [
        Sample(
            time_seconds=face.time_seconds,
            score=face.score,
            reason=face.rejected_because,
            flagged=face.id in flagged,
        )
        for face in track.faces
    ]
    return timeline.lane(
        track.number,
        samples,
        duration=duration,
        score=track.score,
        usable=track.usable_frames,
        ranges=track.flagged_ranges,
        blind=hidden,
    )


def _thresholds(detail: VideoDetail) -> dict[str, float]:
    """Those that the verdict was reached by, else the checkpoint's; the lower one only if it differs."""
    model, policy = detail.model, detail.policy
    fake = model.fake_threshold if policy is None else policy.fake_from
    suspect = model.suspect_threshold if policy is None else policy.suspect_from
    found = {} if fake is None else {"fake": fake}
    if suspect not in (None, fake):
        found["suspect"] = suspect
    return found


def _boxes(
    detail: VideoDetail, colours: Mapping[int, int], width: int, height: int, *, hidden: bool
) -> dict[str, Any]:
    elsewhere = {track.number for track in detail.tracks if track.stream != 0}  # players do not show these
    return {
        "width": width,
        "height": height,
        "tracks": [
            {
                "letter": timeline.letter(track.number),
                "colour": colours[track.number],
                "faces": [
                    [
                        round(face.time_seconds, 3),
                        *(round(edge, 1) for edge in _on_stage(face, width, height)),
                        None if hidden else _rounded(face.score),
                    ]
                    for face in track.faces
                ],
            }
            for track in detail.tracks
            if track.number not in elsewhere
        ],
        "flagged": []
        if hidden
        else [
            {"time": frame.time_seconds, "image": addresses.image(frame.id)}
            for frame in sorted(detail.flagged_frames, key=lambda frame: frame.time_seconds)
            if frame.track not in elsewhere
        ],
    }


def _on_stage(face: FaceResult, width: int, height: int) -> tuple[float, float, float, float]:
    """The face's box in a picture of `width` and `height`, to which players scale frames of other sizes."""
    x0, y0, x1, y1 = face.box
    x_scale, y_scale = width / (face.frame_width or width), height / (face.frame_height or height)
    return x0 * x_scale, y0 * y_scale, x1 * x_scale, y1 * y_scale


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _face(frame: FlaggedFrameDetail, colours: Mapping[int, int]) -> FlaggedFace:
    maps = {one.method: one for one in frame.explanations}
    lime, grad_cam = maps.get(ExplanationMethod.LIME), maps.get(ExplanationMethod.GRAD_CAM)
    return FlaggedFace(
        id=frame.id,
        letter=timeline.letter(frame.track),
        colour=colours.get(frame.track, 0),
        time_seconds=frame.time_seconds,
        score=frame.score,
        waiting=frame.explain_status == ExplainStatus.QUEUED,
        error=frame.explain_error,
        lime=None if lime is None else _lime(lime),
        grad_cam=None if grad_cam is None else _grad_cam(grad_cam),
    )


def _lime(stored: StoredExplanation) -> Map:
    return Map(
        id=stored.id,
        method=stored.method,
        pictures={name: label for name, label in MAPS.items() if name in stored.overlays},
        said=[*_said(stored.evidence), words.stability(stored.stability), words.fit(stored.r2)],
        parameters=_parameters(stored),
    )


def _said(evidence: FaceEvidence | None) -> list[Judgement]:
    """Which parts of the face speak for fake, or why that is not said."""
    if evidence is None:
        return []
    return [Judgement(tone="good" if evidence.in_words else "fair", text=evidence.sentence)]


def _summed(detail: VideoDetail) -> list[str]:
    """What each flagged face's explained frames say together, where there is more than one."""
    said = []
    for track in detail.tracks:
        evidence = track.evidence
        if evidence is None or evidence.frames + evidence.left_out < 2 or not evidence.in_words:
            continue
        left_out = f"; {evidence.left_out} more did not hold" if evidence.left_out else ""
        frames = "1 frame" if evidence.frames == 1 else f"{evidence.frames} frames"
        letter = timeline.letter(track.number)
        said.append(f"Face {letter}, over {frames}{left_out}: {evidence.sentence}")
    return said


def _grad_cam(stored: StoredExplanation) -> Map:
    return Map(
        id=stored.id,
        method=stored.method,
        pictures={"heat": "Heat map"} if "heat" in stored.overlays else {},
        said=[
            Judgement(
                tone="fair",
                text="Where the network found what points to fake. It is coarse: read regions, not edges.",
            )
        ],
        parameters=_parameters(stored),
    )


def _parameters(stored: StoredExplanation) -> str:
    listed = [
        f"{name.replace('_', ' ')} {_short(value)}"
        for name, value in stored.parameters.items()
        if name != "parts"  # what each segment is; the JSON has them
    ]
    if stored.seed is not None:
        listed.append(f"seed {stored.seed}")
    return ", ".join(listed)


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _meaning(detail: VideoDetail, thresholds: Mapping[str, float]) -> Meaning | None:
    score = detail.item.score
    if score is None:
        return None
    worst = detail.worst_track
    whose = f"face {timeline.letter(worst.number)}" if worst is not None else "the worst face"
    fitted = detail.model.calibration.method != "none"
    kind = "calibrated probability" if fitted else "score, not calibrated,"
    sentence = f"The {kind} that {whose} is fake is {percent(score, 1)}. {_compared(score, thresholds)}"
    sentence += _parts(worst)
    return Meaning(
        score=score,
        fake=thresholds.get("fake"),
        suspect=thresholds.get("suspect"),
        sentence=sentence,
        most_like=None if worst is None else _likeness(detail).get(worst.number),
    )


def _likeness(detail: VideoDetail) -> dict[int, str]:
    """What each track most resembles, by number, where a family is named."""
    return {
        track.number: words.most_like(track.family, track.family_probability)
        for track in detail.tracks
        if track.family is not None
    }


def _parts(worst: TrackResult | None) -> str:
    """Where it is flagged, unless that is nearly all of the time that the face is visible."""
    if worst is None or not worst.flagged_ranges:
        return ""
    shown = worst.end_seconds - worst.start_seconds
    if sum(end - start for start, end in worst.flagged_ranges) >= MOST_OF * shown:
        return ""
    listed = [f"{words.clock(start)} to {words.clock(end)}" for start, end in worst.flagged_ranges]
    more = f" and {len(listed) - NAMED_PARTS} more parts" if len(listed) > NAMED_PARTS else ""
    return f" It is flagged from {', '.join(listed[:NAMED_PARTS])}{more}."


def _compared(score: float, thresholds: Mapping[str, float]) -> str:
    for kind in ("fake", "suspect"):
        if kind in thresholds and score >= thresholds[kind]:
            return f"It is above the threshold of {percent(thresholds[kind], 1)} for “{named(kind)}”."
    lowest = min(thresholds.values(), default=None)
    return "" if lowest is None else f"It is below the threshold of {percent(lowest, 1)}."


def _caveats(detail: VideoDetail, *, hidden: bool) -> list[Caveat]:
    item, found = detail.item, list[Caveat]()
    if item.status == ScreeningStatus.FAILED:
        found.append(Caveat(tone="poor", text=words.failure(item.error_message, item.name)))
    if detail.model.label == UNTRAINED_LABEL:
        text = "This model version is labelled untrained: its scores are no evidence."
        found.append(Caveat(tone="poor", text=text))
    if item.partial and item.coverage is not None:
        text = f"Only {percent(item.coverage)} of the sampled frames could be decoded; the rest is unseen."
        found.append(Caveat(tone="poor" if item.coverage < 0.5 else "fair", text=text))
    found += [Caveat(tone="poor", text=f"Not looked at: {what}.") for what in detail.unseen]
    if item.turn:
        lies = "is upside down" if item.turn == 180 else "lies on its side"
        text = (
            f"The picture {lies}, but the file does not say so. The faces were turned upright to be judged "
            f"({item.turn}° clockwise); the player shows the file as it is."
        )
        found.append(Caveat(tone="fair", text=text))
    found += _elsewhere(detail)
    unused = [face for track in detail.tracks for face in track.faces if not face.usable]
    total = sum(len(track.faces) for track in detail.tracks)
    if unused:
        why = words.reasons(Counter(face.rejected_because or "" for face in unused))
        text = f"Faces seen in the sampled frames: {total}, of which not scored: {len(unused)} ({why})."
        found.append(Caveat(tone="fair", text=text))
    if not hidden and item.score is not None and any(not track.supported for track in detail.tracks):
        weak = sum(not track.supported for track in detail.tracks)
        text = (
            f"{weak} of {len(detail.tracks)} face tracks had too few usable frames to count for the verdict."
        )
        found.append(Caveat(tone="fair", text=text))
    return found


def _elsewhere(detail: VideoDetail) -> list[Caveat]:
    """A caveat for faces that the player cannot show."""
    letters = [timeline.letter(track.number) for track in detail.tracks if track.stream != 0]
    if not letters:
        return []
    faces = f"Face {letters[0]} is" if len(letters) == 1 else f"Faces {', '.join(letters)} are"
    still = detail.item.media_kind == MediaKind.IMAGE
    where = "in the video behind this picture" if still else "in another video stream of this file"
    text = f"{faces} {where}, which is not shown here. Download the file to see it."
    return [Caveat(tone="fair", text=text)]


def _sampled(probe: Mapping[str, Any]) -> str:
    """Sampled frames; the total is left out if it does not cover a video behind a picture."""
    sampled, frames = probe["expected_samples"], probe.get("frames")
    return f"{sampled} of {frames}" if frames and frames >= sampled else f"{sampled}"


def _facts(detail: VideoDetail) -> list[tuple[str, str]]:
    item, probe = detail.item, detail.probe or {}
    facts = [("Model version", item.model_version), ("Model label", item.model_label)]
    if "width" in probe:
        facts.append(("Picture", f"{probe['width']} × {probe['height']}, {probe.get('codec', '?')}"))  # noqa: RUF001
    if probe.get("frame_rate"):
        facts.append(("Frame rate", f"{probe['frame_rate']:.4g} per second"))
    if probe.get("expected_samples"):
        facts.append(("Frames sampled", _sampled(probe)))
    if item.turn:
        facts.append(("Turned upright", f"by {item.turn}° clockwise"))
    if item.coverage is not None:
        facts.append(("Decoded", percent(item.coverage)))
    if item.longest_unseen_seconds:
        facts.append(("Longest stretch unseen", f"{item.longest_unseen_seconds:.1f} s"))
    if detail.looks and round(detail.looks) > 1:
        facts.append(("Score is the worst of", f"{detail.looks:.0f} looks"))
    if detail.timings and "total" in detail.timings:
        facts.append(("Screened in", f"{detail.timings['total']:.1f} s"))
    facts += [
        ("Size", words.size(item.size_bytes)),
        ("First seen", words.moment(item.added_at)),
        ("Source", item.source),
        ("SHA-256", item.sha256),
    ]
    return facts
