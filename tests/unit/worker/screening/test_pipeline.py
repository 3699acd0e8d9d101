"""The pipeline with a real decoder, and models whose answers are known."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from core.errors import BrokenMedia, NotMedia, WeightsError
from core.families import Family, FamilyCalibration
from core.model_version import Calibration, ModelVersion
from core.outcomes import Verdict
from core.settings import Settings
from models.face import Box, Face, Image
from tests.media import Media, number_in, picture
from worker.screening.pipeline import STAGES, Pipeline
from worker.screening.quality import Rejection
from worker.screening.screened import Screened

HALF = (0.5, 0.5, 0.5)
VERSION = ModelVersion(
    architecture="smallcnn",
    label="test",
    weights_sha256="0" * 64,
    input_size=32,
    mean=HALF,
    std=HALF,
    fake_threshold=0.8,
    suspect_threshold=0.6,
)
WIDTH, HEIGHT = 384, 192
LEFT, RIGHT = (40.0, 60.0), (240.0, 60.0)  # upper left corners of the two faces
SIDE = 80.0
RATE = 8  # frames per second of the clips


def face(corner: tuple[float, float], *, side: float = SIDE) -> Face:
    x, y = corner
    marks = [(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)]
    return Face(
        box=Box(x0=x, y0=y, x1=x + side, y1=y + side),
        landmarks=np.array([(x + side * u, y + side * v) for u, v in marks], np.float32),
        probability=0.999,
    )


def two_faces(number: int, width: int, height: int) -> NDArray[np.uint8]:
    """A bright chequered face on the left and a dark striped one on the right, under the frame's number."""
    image = picture(number, width, height)
    rows, columns = np.mgrid[: int(SIDE), : int(SIDE)]
    chequers = ((rows // 10 + columns // 10) % 2)[..., None] * 60 + 190
    stripes = ((columns // 8) % 2)[..., None] * 60 + np.array([5, 10, 20])
    for (x, y), look in ((LEFT, chequers), (RIGHT, stripes)):
        image[int(y) : int(y + SIDE), int(x) : int(x + SIDE)] = look
    return image


class KnownDetector:
    """Finds the same faces in every frame."""

    def __init__(self, *faces: Face) -> None:
        self.faces, self.seen = list(faces), list[int]()
        self.batches: list[int] = []

    def detect(self, images: Sequence[Image]) -> list[list[Face]]:
        self.seen += [number_in(image) for image in images]
        self.batches.append(len(images))
        return [list(self.faces) for _ in images]


class BrightnessClassifier:
    """The brighter, the more fake: a logit of +-3 for the two faces."""

    version = VERSION

    def __init__(self) -> None:
        self.crops: list[Image] = []
        self.batches: list[int] = []

    def answers(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.crops += list(crops)
        self.batches.append(len(crops))
        return np.where(crops.mean(axis=(1, 2, 3)) > 128, 3.0, -3.0).astype(np.float32)[:, None]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds: twenty samples."""
    options = {"crf": "10", "g": "8"}
    return Media(tmp_path_factory.mktemp("clips")).video(
        "two.mp4", frames=10 * RATE, rate=RATE, size=(WIDTH, HEIGHT), options=options, draw=two_faces
    )


@pytest.fixture
def small_batches(settings: Settings) -> Settings:
    detection = settings.detection.model_copy(update={"batch_size": 3})
    quality = settings.quality.model_copy(update={"min_sharpness": 0.0})
    return settings.model_copy(update={"detection": detection, "quality": quality, "batch_size": 7})


def screen(settings: Settings, clip: Path, detector: object, classifier: object) -> Screened:
    return Pipeline(settings, detector, classifier).screen(clip)  # type: ignore[arg-type]


def test_every_sample_is_looked_at_once_and_in_order(small_batches: Settings, clip: Path) -> None:
    detector = KnownDetector(face(LEFT))
    screened = screen(small_batches, clip, detector, BrightnessClassifier())
    assert detector.batches == [3, 1, *[3] * 5, 2]  # the one: a glance at the first face upside down
    del detector.seen[3]
    assert len(detector.seen) == screened.report.taken == 20
    assert screened.poster is not None
    assert detector.seen == sorted(set(detector.seen))


def test_no_face_is_no_score_and_costs_two_looks_in_the_other_turns(
    small_batches: Settings, clip: Path
) -> None:
    detector = KnownDetector()
    screened = screen(small_batches, clip, detector, BrightnessClassifier())
    assert screened.video.verdict is Verdict.NO_FACE
    assert (screened.evidence, screened.rejected_faces, screened.turn) == ([], {}, 0)
    assert sum(detector.batches) == 20 + 2 * 3


def test_crops_are_classified_in_full_batches_across_frames_and_faces(
    small_batches: Settings, clip: Path
) -> None:
    classifier = BrightnessClassifier()
    screened = screen(small_batches, clip, KnownDetector(face(LEFT), face(RIGHT)), classifier)
    assert classifier.batches == [7] * 5 + [5]
    assert len(screened.faces) == 40
    assert {(one.track_number, one.logit) for one in screened.faces} == {(0, 3.0), (1, -3.0)}
    assert [(track.frames, track.usable_frames) for track in screened.tracks] == [(20, 20)] * 2


def test_the_worst_track_decides_and_only_flagged_tracks_give_evidence(
    small_batches: Settings, clip: Path
) -> None:
    classifier = BrightnessClassifier()
    screened = screen(small_batches, clip, KnownDetector(face(RIGHT), face(LEFT)), classifier)
    assert (screened.video.verdict, screened.video.raw) == (Verdict.FAKE, 3.0)
    assert len(screened.evidence) == 3
    for evidence in screened.evidence:
        shown = screened.faces[evidence.face]
        assert shown.track_number == screened.video.track
        assert evidence.score == pytest.approx(VERSION.calibration.probability(3.0))
        crop = cv2.imdecode(np.frombuffer(evidence.crop, np.uint8), cv2.IMREAD_COLOR)
        assert crop is not None
        assert any(np.array_equal(crop[..., ::-1], one) for one in classifier.crops)
        frame = cv2.imdecode(np.frombuffer(evidence.image, np.uint8), cv2.IMREAD_COLOR)
        assert frame is not None
        assert frame.shape == (HEIGHT, WIDTH, 3)
        assert number_in(frame) == round(shown.time_seconds * RATE)


def test_a_flagged_track_says_what_it_most_resembles(small_batches: Settings, clip: Path) -> None:
    """The families' logits come with the verdict's, by the same call; the clear face resembles nothing."""

    class Expert(BrightnessClassifier):
        version = replace(
            VERSION,
            families=(Family.SWAP, Family.LIPSYNC),
            calibration=Calibration(families=FamilyCalibration(temperature=1.0, least=0.5)),
        )

        def answers(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
            families = np.tile(np.array([0.5, 1.5], np.float32), (len(crops), 1))
            return np.hstack([super().answers(crops), families])

    screened = screen(small_batches, clip, KnownDetector(face(RIGHT), face(LEFT)), Expert())
    genuine, forged = screened.tracks
    assert (genuine.family, genuine.family_probability) == (None, None)
    assert forged.family == "lipsync"
    assert forged.family_probability == pytest.approx(1 / (1 + np.exp(-1)))
    assert (screened.family, screened.family_probability) == (forged.family, forged.family_probability)
    silent = screen(small_batches, clip, KnownDetector(face(LEFT)), BrightnessClassifier())
    assert (silent.family, silent.tracks[0].family) == (None, None)


def test_each_flagged_track_is_shown(small_batches: Settings, clip: Path) -> None:
    """Two suspicious people: the evidence must not be all of one."""

    class Alarmist(BrightnessClassifier):
        def answers(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
            return np.abs(super().answers(crops)) + (crops.mean(axis=(1, 2, 3)) > 128)[:, None]

    screened = screen(small_batches, clip, KnownDetector(face(LEFT), face(RIGHT)), Alarmist())
    assert [screened.faces[one.face].track_number for one in screened.evidence] == [0, 1, 0]


def test_faces_that_fail_the_quality_gate_are_kept_but_not_judged(
    small_batches: Settings, clip: Path
) -> None:
    classifier = BrightnessClassifier()
    screened = screen(small_batches, clip, KnownDetector(face(RIGHT), face(LEFT, side=20.0)), classifier)
    assert len(classifier.crops) == 20
    tiny = [one for one in screened.faces if one.rejected_because == Rejection.SMALL]
    assert len(tiny) == 20
    assert all(one.logit is None for one in tiny)
    assert screened.video.verdict is Verdict.CLEAR


def test_faces_in_profile_alone_are_unjudged_and_counted(small_batches: Settings, clip: Path) -> None:
    turned = face(RIGHT)
    turned.landmarks[2, 0] = turned.landmarks[1, 0]  # the nose at an eye
    screened = screen(
        small_batches, clip, KnownDetector(turned, face(LEFT, side=20.0)), BrightnessClassifier()
    )
    assert (screened.video.verdict, screened.video.score) == (Verdict.UNJUDGED, None)
    assert screened.rejected_faces == {"turned": 20, "small": 20}
    assert (screened.report.coverage, screened.evidence) == (1.0, [])


def test_a_still_needs_one_face(small_batches: Settings, tmp_path: Path) -> None:
    path = tmp_path / "still.png"
    cv2.imwrite(str(path), two_faces(5, WIDTH, HEIGHT)[..., ::-1])
    screened = screen(small_batches, path, KnownDetector(face(LEFT)), BrightnessClassifier())
    assert (screened.video.verdict, screened.report.coverage) == (Verdict.FAKE, 1.0)
    assert len(screened.evidence) == 1


def mirrored(number: int, width: int, height: int) -> NDArray[np.uint8]:
    """The dark face stands on the left."""
    image = two_faces(number, width, height)
    (left, top), (right, _), side = *((int(x), int(y)) for x, y in (LEFT, RIGHT)), int(SIDE)
    rows = slice(top, top + side)
    image[rows, left : left + side] = image[rows, right : right + side]
    return image


@pytest.mark.parametrize("forged", ["picture", "video"])
def test_picture_and_video_of_a_motion_photo_are_judged_apart(
    small_batches: Settings, tmp_path: Path, forged: str
) -> None:
    draws = (two_faces, mirrored) if forged == "picture" else (mirrored, two_faces)
    clip = Media(tmp_path).video("a.mp4", frames=32, rate=RATE, size=(WIDTH, HEIGHT), draw=draws[1])
    path, still = tmp_path / "motion.jpg", cv2.imencode(".jpg", draws[0](5, WIDTH, HEIGHT)[..., ::-1])[1]
    path.write_bytes(still.tobytes() + clip.read_bytes())
    screened = screen(small_batches, path, KnownDetector(face(LEFT)), BrightnessClassifier())
    assert (screened.video.verdict, screened.report.coverage) == (Verdict.FAKE, 1.0)
    assert [(track.stream, track.supported) for track in screened.tracks] == [(0, True), (1, True)]
    assert [bool(track.flagged_ranges) for track in screened.tracks] == [
        forged == "picture",
        forged == "video",
    ]
    assert screened.tracks[1].usable_frames == screened.report.taken - 1 >= 8


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_score_that_is_no_number_is_an_error_and_not_clear(
    small_batches: Settings, clip: Path, value: float
) -> None:
    class Broken(BrightnessClassifier):
        def answers(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
            return np.full((len(crops), 1), value, np.float32)

    with pytest.raises(WeightsError, match="not a finite number"):
        screen(small_batches, clip, KnownDetector(face(LEFT)), Broken())


def test_progress_and_timings(small_batches: Settings, clip: Path) -> None:
    told: list[tuple[int, int]] = []
    pipeline = Pipeline(small_batches, KnownDetector(face(LEFT)), BrightnessClassifier())  # type: ignore[arg-type]
    screened = pipeline.screen(clip, progress=lambda done, expected: told.append((done, expected)))
    assert told == [(done, 20) for done in (3, 6, 9, 12, 15, 18, 20)]
    assert set(screened.timings) == {*STAGES, "total"}
    assert 0 < sum(screened.timings[stage] for stage in STAGES) <= screened.timings["total"] + 0.001


def test_the_caller_can_stop_it_between_batches(small_batches: Settings, clip: Path) -> None:
    detector = KnownDetector(face(LEFT))

    def heartbeat() -> None:
        if detector.batches:
            raise TimeoutError("enough")

    pipeline = Pipeline(small_batches, detector, BrightnessClassifier())  # type: ignore[arg-type]
    with pytest.raises(TimeoutError, match="enough"):
        pipeline.screen(clip, heartbeat=heartbeat)
    assert len(detector.seen) <= 10  # at most two batches more were being looked at meanwhile


def test_large_frames_come_in_smaller_batches(
    small_batches: Settings, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory holds two batches at a time, whatever the size of their frames."""
    monkeypatch.setattr("worker.screening.pipeline.MOST_PIXELS", 2 * WIDTH * HEIGHT)
    detector = KnownDetector(face(LEFT))
    screened = screen(small_batches, clip, detector, BrightnessClassifier())
    assert detector.batches == [2, 1, *[2] * 9]
    assert screened.report.taken == 20


def test_the_decoders_errors_name_the_file_as_the_caller_does(
    small_batches: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "stored-under-a-key"
    path.write_text("this is no film\n" * 50)
    pipeline = Pipeline(small_batches, KnownDetector(), BrightnessClassifier())  # type: ignore[arg-type]
    with pytest.raises((NotMedia, BrokenMedia), match=r"^holiday\.mp4: "):
        pipeline.screen(path, name="holiday.mp4")
