"""What the camera saw becomes real H.264."""

from pathlib import Path

import cv2
import numpy as np
from skimage.data import astronaut

from evaluation.camera import encode
from evaluation.clips import RATE
from models.datasets.faces import video_frames
from models.face import Image

CROP: Image = np.asarray(cv2.resize(np.ascontiguousarray(astronaut()[0:224, 110:334]), (160, 160)), np.uint8)


def test_what_is_written_is_video_of_every_frame(tmp_path: Path) -> None:
    odd = [np.ascontiguousarray(CROP[:151, :153]) for _ in range(5)]
    encode(tmp_path / "clip.mp4", iter(odd), rate=RATE)
    frames = list(video_frames(tmp_path / "clip.mp4", 5))
    assert [frame.shape for frame in frames] == [(150, 152, 3)] * 5
    assert np.abs(frames[2].astype(int) - odd[2][:150, :152]).mean() < 6


def test_a_higher_crf_keeps_less(tmp_path: Path) -> None:
    for crf in (23, 32):
        encode(tmp_path / f"{crf}.mp4", iter([CROP] * 4), rate=RATE, crf=crf)
    assert (tmp_path / "32.mp4").stat().st_size < (tmp_path / "23.mp4").stat().st_size
