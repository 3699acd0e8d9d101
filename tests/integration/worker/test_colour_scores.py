"""One picture in ordinary colours and in high dynamic range or a wide gamut is judged the same."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from core.outcomes import Verdict
from core.settings import Settings
from tests import hdr
from tests.hdr import Colours, Floats
from worker.screening.loading import load_pipeline
from worker.screening.pipeline import Pipeline

pytestmark = pytest.mark.corpus

FRAMES, EDGE = 8, 360
CLIPS = {"genuine": "videos/portrait_d0.mp4", "fake": "cases/sw_g1.mp4"}
# As good as a phone's: what is compared is colour, not compression.
ORDINARY = {"codec": "libx264", "pixel_format": "yuv420p", "options": {"crf": "8"}}
DEEP = {
    "codec": "libx265",
    "pixel_format": "yuv420p10le",
    "options": {"crf": "8", "preset": "ultrafast", "x265-params": "log-level=none"},
}
P3_XYZ = [[0.5151, 0.2920, 0.1571], [0.2412, 0.6922, 0.0666], [-0.0011, 0.0419, 0.7841]]  # D50


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    home = tmp_path_factory.mktemp("home")
    return load_pipeline(Settings(home=home, backend="openvino", device="cpu", _env_file=None))


def pictures(path: Path) -> list[NDArray[np.uint8]]:
    """Every third frame, RGB, its middle as a square."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    made = []
    for image in frames[: 3 * FRAMES : 3]:
        edge = min(image.shape[:2])
        top, left = (image.shape[0] - edge) // 2, (image.shape[1] - edge) // 2
        square = image[top : top + edge, left : left + edge]
        made.append(np.asarray(cv2.resize(square, (EDGE, EDGE), interpolation=cv2.INTER_AREA), np.uint8))
    return made


def score(pipeline: Pipeline, path: Path) -> tuple[Verdict, float]:
    screened = pipeline.screen(path)
    assert screened.video.score is not None
    return screened.video.verdict, screened.video.score


@pytest.mark.parametrize("kind", CLIPS)
def test_a_clip_in_pq_and_in_hlg_is_judged_as_the_ordinary_one(
    pipeline: Pipeline, corpus: Path, tmp_path: Path, kind: str
) -> None:
    light = [hdr.bt1886(image / 255) for image in pictures(corpus / CLIPS[kind])]
    made: dict[str, tuple[Colours, dict[str, object]]] = {
        "sdr.mp4": (hdr.ORDINARY, ORDINARY),
        "pq.mp4": (hdr.PQ, DEEP),
        "hlg.mp4": (hdr.HLG, DEEP),
    }
    found = {}
    for name, (colours, how) in made.items():
        path = hdr.write(tmp_path / name, light, colours, rate=5, **how)  # type: ignore[arg-type]
        found[name] = score(pipeline, path)
    verdict, ordinary = found["sdr.mp4"]
    assert verdict == {"genuine": Verdict.CLEAR, "fake": Verdict.FAKE}[kind]
    for name in ("pq.mp4", "hlg.mp4"):
        assert found[name][0] == verdict
        assert found[name][1] == pytest.approx(ordinary, abs=0.1)


@pytest.mark.parametrize("kind", CLIPS)
def test_a_still_in_a_wide_gamut_is_judged_as_the_ordinary_one(
    pipeline: Pipeline, corpus: Path, tmp_path: Path, kind: str
) -> None:
    image = pictures(corpus / CLIPS[kind])[0]
    light: Floats = hdr.srgb(image / 255)
    Image.fromarray(image).save(tmp_path / "srgb.jpg", quality=97)
    wide = np.clip(light @ hdr.TO_P3.T, 0, 1) ** (1 / 2.2)
    Image.fromarray(np.round(255 * wide).astype(np.uint8)).save(
        tmp_path / "p3.jpg", quality=97, icc_profile=hdr.matrix_profile(P3_XYZ, 2.2)
    )
    ordinary, wide_gamut = (score(pipeline, tmp_path / name) for name in ("srgb.jpg", "p3.jpg"))
    assert wide_gamut[1] == pytest.approx(ordinary[1], abs=0.1)
