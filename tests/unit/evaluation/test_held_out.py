"""Held-out clips: no person or video is on two sides; clips are what they say."""

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from core.errors import SettingsError
from evaluation.camera import encode
from evaluation.clips import RATE
from evaluation.held_out import Clip, HeldOut, Plan, moving_camera, side_of_person, sides_of_videos
from evaluation.held_out_crops import held_out_crops
from evaluation.robustness import CONDITIONS
from models.datasets.faces import load_photos, split
from models.datasets.media import GENUINE
from tests import face_folder

PLAN = Plan(frames=8, windows=1, photos=1, robustness=True, kinds=("swap", "poisson"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like the corpus: eighty photographs, and four videos of a photograph under a moving camera."""
    folder = face_folder.make(tmp_path_factory.mktemp("data"), faces=80)
    (folder / "videos").mkdir()
    for number, record in enumerate(load_photos(folder)[:4]):
        frames = moving_camera(record, 16).frames
        encode(folder / "videos" / f"video_{number}.mp4", frames, rate=RATE, crf=20)
    return folder


@pytest.fixture(scope="module")
def clips(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Clip]]:
    folder = tmp_path_factory.mktemp("clips")
    made = HeldOut(data, PLAN)
    return {
        "evaluation": list(made.clips("evaluation", folder)),
        "calibration": list(made.clips("calibration", folder)),
        "genuine": list(made.genuine_videos(folder)),
    }


def test_calibration_and_evaluation_share_nobody_and_training_neither(
    data: Path, clips: dict[str, list[Clip]]
) -> None:
    sides = {side: {clip.group for clip in clips[side]} for side in ("evaluation", "calibration")}
    assert sides["evaluation"]
    assert sides["calibration"]
    assert not sides["evaluation"] & sides["calibration"]
    trained = {record.group for record in split(load_photos(data), "train")}
    trained |= {name for name, side in sides_of_videos(data).items() if side == "training"}
    assert not trained & (sides["evaluation"] | sides["calibration"])


def test_both_sides_get_a_held_out_video(data: Path) -> None:
    assert sides_of_videos(data) == {
        "video_0": "calibration",
        "video_1": "training",
        "video_2": "training",
        "video_3": "evaluation",
    }
    sides = [side_of_person(str(number)) for number in range(2000)]
    assert 900 < sides.count("calibration") < 1100


def test_every_clip_is_there_in_both_main_compressions(clips: dict[str, list[Clip]]) -> None:
    main = [clip for clip in clips["evaluation"] if clip.main]
    for source, kinds in (("video", {GENUINE, "swap", "poisson"}), ("photo", {GENUINE, "swap", "poisson"})):
        for condition in ("crf 23", "crf 32"):
            found = [c.kind for c in main if (c.source, c.condition) == (source, condition)]
            assert set(found) == kinds
            assert len(found) == len(kinds)


def test_the_robustness_clips_are_the_same_under_each_condition(clips: dict[str, list[Clip]]) -> None:
    tried = [clip for clip in clips["evaluation"] if clip.robust]
    per_condition = {
        name: {(clip.group, clip.kind) for clip in tried if clip.condition == name} for name in CONDITIONS
    }
    assert len(set(map(frozenset, per_condition.values()))) == 1
    assert {kind for _, kind in per_condition["noise"]} == {GENUINE, "swap", "poisson"}
    # Thresholds are set on genuine clips alone, some of them worse than a clean upload.
    extra = [clip for clip in clips["calibration"] if clip.robust]
    assert {(clip.kind, clip.condition) for clip in extra} == {
        (GENUINE, "half size"),
        (GENUINE, "screenshot"),
    }


def test_whole_genuine_videos_are_apart_from_the_tables(clips: dict[str, list[Clip]]) -> None:
    assert {(clip.group, clip.condition) for clip in clips["genuine"]} == {
        (f"video_{number}", condition) for number in range(4) for condition in ("crf 23", "crf 32")
    }
    assert not any(clip.main or clip.robust or clip.fake for clip in clips["genuine"])


def test_a_forged_clip_differs_from_the_genuine_one_and_nothing_else_does(
    clips: dict[str, list[Clip]],
) -> None:
    by_kind = {clip.kind: clip.path for clip in clips["evaluation"] if clip.name.endswith("crf23")}
    genuine, forged = (np.stack(list(_frames(by_kind[kind]))) for kind in (GENUINE, "swap"))
    assert genuine.shape == forged.shape
    assert len(genuine) == PLAN.frames
    apart = np.abs(genuine.astype(int) - forged).mean(axis=(0, 3))
    height, width = apart.shape
    assert apart[height // 3 : height // 2, width // 3 : 2 * width // 3].mean() > 4
    assert apart[:8].mean() < 2


def _frames(path: Path) -> Iterator[np.ndarray]:
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")


def test_the_moving_camera_keeps_the_landmarks_on_the_face(data: Path) -> None:
    record = load_photos(data)[0]
    clip = moving_camera(record, 6)
    before, after = clip.faces[0], clip.faces[3]
    assert before is not None
    assert after is not None
    x, y = (round(float(value)) for value in before.landmarks[2])
    u, v = (round(float(value)) for value in after.landmarks[2])
    assert (x, y) != (u, v)
    patches = [clip.frames[i][b - 10 : b + 10, a - 10 : a + 10] for i, a, b in ((0, x, y), (3, u, v))]
    assert np.abs(patches[0].astype(int) - patches[1]).mean() < 12


def test_a_folder_without_faces_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"faces\.jsonl"):
        HeldOut(tmp_path, PLAN)


def test_crops_are_pairs_of_both_classes_of_each_kind(data: Path) -> None:
    records = HeldOut(data, PLAN).records("evaluation")
    made = held_out_crops(records, ("swap", "upsample"), size=64, margin=1.3, pairs=8, seed=1)
    assert made.images.shape == (32, 64, 64, 3)
    assert made.images.dtype == np.uint8
    for kind in ("swap", "upsample"):
        assert made.fake[made.kind == kind].sum() == 8
    assert set(made.group) <= {record.group for record in records}
    assert (made.group[0::2] == made.group[1::2]).all()
    apart = np.abs(made.images[0::2].astype(int) - made.images[1::2]).mean(axis=(1, 2, 3))
    assert (apart > 0.5).all()
    again = held_out_crops(records, ("swap",), size=64, margin=1.3, pairs=8, seed=1)
    assert (again.images == made.images[:16]).all()
