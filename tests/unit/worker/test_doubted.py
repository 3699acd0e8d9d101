import pytest

from core.outcomes import Verdict
from worker.screening.aggregation import VideoScore, doubted


def scored(verdict: Verdict) -> VideoScore:
    return VideoScore(
        verdict=verdict, raw=1.0, score=0.4, track=0, looks=1.0, flagged_from=None, high_from=0.0, tracks=()
    )


@pytest.mark.parametrize("verdict", [Verdict.CLEAR, Verdict.NO_FACE, Verdict.TOO_SHORT])
def test_what_mostly_came_damaged_does_not_pass(verdict: Verdict) -> None:
    passed = scored(verdict)
    assert doubted(passed, taken=8, damaged=4) is passed
    doubtful = doubted(passed, taken=8, damaged=5)
    assert (doubtful.verdict, doubtful.score) == (Verdict.UNJUDGED, None)


@pytest.mark.parametrize("verdict", [Verdict.FAKE, Verdict.SUSPECT])
def test_a_flag_stands_however_damaged(verdict: Verdict) -> None:
    assert doubted(scored(verdict), taken=8, damaged=8).verdict is verdict
