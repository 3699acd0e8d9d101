"""Evaluation: tables over clips whose scores are known."""

import numpy as np
import pytest

from core.model_version import Calibration, ModelVersion
from evaluation.scored_clips import ScoredClip, ScoredCrops, evaluate
from models.datasets.media import GENUINE

VERSION = ModelVersion(
    architecture="smallcnn",
    label="test-1",
    weights_sha256="0" * 64,
    input_size=64,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    calibration=Calibration(slope=2.0, intercept=0.0, method="platt", fitted_on="nothing"),
    suspect_threshold=0.6,
    fake_threshold=0.8,
)


def clip(kind: str, raw: float | None, **changes: object) -> ScoredClip:
    values = {
        "name": f"{kind}-{raw}",
        "group": f"person-{raw}",
        "source": "video",
        "side": "evaluation",
        "kind": kind,
        "condition": "crf 23",
        "main": True,
        "robust": False,
        "raw": raw,
        "frames": () if raw is None else (raw - 0.1, raw + 0.1),
        **changes,
    }
    return ScoredClip(**values)  # type: ignore[arg-type]


CLIPS = [
    clip(GENUINE, -2.0),
    clip(GENUINE, -1.0, source="photo"),
    clip(GENUINE, 1.0, condition="crf 32"),
    clip("swap", 2.0),
    clip("swap", 0.5, source="photo", condition="crf 32"),
    clip("denoise", -1.5),
    clip("denoise", None, problem="too_short"),
]


def test_clips_are_counted_in_the_tables_they_belong_to() -> None:
    made = evaluate(VERSION, CLIPS, resamples=50)
    kinds = {row.name: row for row in made.tables["kinds"].rows}
    assert list(kinds) == ["swap", "denoise"]
    assert (kinds["swap"].genuine, kinds["swap"].fake, kinds["swap"].fake_flagged) == (3, 2, 2)
    assert (kinds["denoise"].genuine, kinds["denoise"].fake, kinds["denoise"].fake_flagged) == (3, 1, 0)
    assert kinds["swap"].metrics["auc"].value == pytest.approx(5 / 6)
    frames = {row.name: (row.genuine, row.fake) for row in made.tables["frames"].rows}
    assert frames == {"swap": (6, 4), "denoise": (6, 2)}  # two frames a clip
    assert [row.name for row in made.tables["sources"].rows] == ["video", "photo"]
    assert [row.name for row in made.tables["compression"].rows] == ["crf 23", "crf 32"]
    assert made.unscored == {"too_short": 1}


def test_kinds_are_summed_up_by_whether_they_were_held_out() -> None:
    made = evaluate(VERSION, [*CLIPS, clip("poisson", 3.0)], resamples=0)
    rows = {row.name: row for row in made.tables["kinds"].rows}
    assert list(rows) == ["swap", "denoise", "poisson", "held-out kinds"]
    assert (rows["held-out kinds"].genuine, rows["held-out kinds"].fake) == (3, 2)


def test_the_checkpoints_own_calibration_and_threshold_decide_unless_one_is_named() -> None:
    ours = evaluate(VERSION, CLIPS, resamples=0)
    assert ours.threshold == 0.6
    assert ours.videos.probability[3] == pytest.approx(1 / (1 + np.exp(-4)))
    (videos,) = (row for row in ours.tables["pooled"].rows if row.name == "videos")
    assert (videos.genuine_flagged, videos.fake_flagged) == (1, 2)
    fixed = evaluate(VERSION, CLIPS, threshold=0.95, resamples=0)
    (videos,) = (row for row in fixed.tables["pooled"].rows if row.name == "videos")
    assert (videos.genuine_flagged, videos.fake_flagged) == (0, 1)


def test_frames_and_crops_are_measured_beside_the_videos() -> None:
    crops = ScoredCrops(
        logits=np.array([-1.0, 1.0, 0.5, 0.2]),
        fake=np.array([False, True, False, True]),
        group=np.array(["a", "a", "b", "b"]),
        kind=np.array(["swap", "swap", "denoise", "denoise"]),
    )
    made = evaluate(VERSION, CLIPS, crops, resamples=20)
    assert {row.name: row.genuine + row.fake for row in made.tables["pooled"].rows} == {
        "videos": 6,
        "frames of the videos": 12,
        "face crops": 4,
    }
    by_kind = {row.name: row.metrics["auc"].value for row in made.tables["crops"].rows}
    assert by_kind == {"swap": 1.0, "denoise": 0.0}


def test_robustness_compares_the_same_clips_under_each_condition() -> None:
    tried = [
        clip(kind, raw + shift, condition=condition, main=condition == "crf 23", robust=True)
        for condition, shift in (("noise", 0.9), ("crf 23", 0.0))
        for kind, raw in ((GENUINE, -1.0), ("swap", 1.0))
    ]
    made = evaluate(VERSION, [*tried, clip("swap", 3.0)], resamples=0)
    rows = made.tables["robustness"].rows
    assert [(row.name, row.genuine, row.fake) for row in rows] == [("crf 23", 1, 1), ("noise", 1, 1)]
    assert [row.name for row in made.tables["compression"].rows] == ["crf 23"]


def test_whole_genuine_videos_are_counted_apart() -> None:
    whole = [
        clip(GENUINE, raw, group=group, main=False, side=side)
        for group, raw, side in (("a", 3.0, "training"), ("b", -3.0, "evaluation"), ("c", None, "training"))
    ]
    made = evaluate(VERSION, [*CLIPS, *whole], resamples=0)
    assert [(each["video"], each["flagged"]) for each in made.genuine] == [
        ("a", True),
        ("b", False),
        ("c", False),
    ]
    assert made.genuine[2]["score"] is None
    assert len(made.videos) == 6


def test_real_manipulations_are_told_by_family_and_within_their_source() -> None:
    real = [
        clip(GENUINE, -2.0, source="a", family=GENUINE),
        clip(GENUINE, 1.0, source="b", family=GENUINE),
        clip("simswap", -1.0, source="a", family="swap"),
        clip("hififace", 2.0, source="c", family="swap"),
        clip("fomm", 0.0, source="b", family="reenact"),
    ]
    tables = evaluate(VERSION, real, resamples=0).tables
    families = {
        row.name: (row.genuine, row.fake, row.metrics["auc"].value) for row in tables["families"].rows
    }
    assert families == {"swap": (2, 2, 0.75), "reenact": (2, 1, 0.5)}
    # Source c has no genuine medium to be told from.
    sources = {row.name: row.metrics["auc"].value for row in tables["same_source"].rows}
    assert sources == {"a": 1.0, "b": 0.0}


def test_our_own_pseudo_fakes_have_no_family() -> None:
    assert not {"families", "same_source"} & evaluate(VERSION, CLIPS, resamples=0).tables.keys()
