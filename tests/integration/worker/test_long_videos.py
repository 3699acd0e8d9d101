"""Long videos through the shipped models, which look at a picture that comes again only once."""

from pathlib import Path

import pytest

from core.settings import Settings
from tests.media import Media
from tests.remembered import remembering
from worker.screening.loading import load_pipeline
from worker.screening.pipeline import Pipeline

pytestmark = pytest.mark.corpus


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    home = tmp_path_factory.mktemp("home")
    return remembering(load_pipeline(Settings(home=home, backend="openvino", device="cpu", _env_file=None)))


def test_a_fake_clip_in_a_loop_has_the_verdict_of_the_clip(
    pipeline: Pipeline, corpus: Path, media: Media
) -> None:
    """700 s were 62 tracks of one frame once, and too short for a verdict."""
    clip = corpus / "cases" / "sw_g1.mp4"
    once, looped = pipeline.screen(clip), pipeline.screen(media.spliced("loop.ts", (clip, 700)))
    assert once.video.verdict.flagged
    assert looped.video.verdict == once.video.verdict
    assert looped.report.taken == 350
    assert looped.report.longest_unseen_seconds <= 3


def test_twenty_seconds_of_forty_minutes_are_flagged_where_they_are(
    pipeline: Pipeline, corpus: Path, media: Media
) -> None:
    genuine, fake = corpus / "videos" / "portrait_d3.mp4", corpus / "cases" / "sw_g1.mp4"
    path = media.spliced("mixed.ts", (genuine, 1200), (fake, 20), (genuine, 1180))
    screened = pipeline.screen(path)
    assert screened.video.verdict.flagged
    flagged = [part for track in screened.tracks for part in track.flagged_ranges]
    assert 1199 <= min(start for start, _ in flagged) <= 1206
    assert 1214 <= max(end for _, end in flagged) <= 1221
    assert all(1199 <= screened.faces[one.face].time_seconds <= 1221 for one in screened.evidence)
