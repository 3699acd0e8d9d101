"""The pipeline's result for one file; free of torch, so that reading it does not need torch."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from core.known import FrameHash
from core.model_version import ModelVersion
from core.outcomes import Verdict
from core.policy import Policy
from core.provenance import Provenance
from core.results import FaceResult, ShadowResult, TrackResult
from worker.decoder.reader import DecodeReport, Probe
from worker.screening.aggregation import VideoScore
from worker.screening.evidence import Evidence


@dataclass(frozen=True, kw_only=True)
class Screened:
    """What became of one video or picture."""

    model_version: ModelVersion  # that gave the scores
    probe: Probe  # what the file says about itself
    provenance: Provenance  # and about where it comes from; no score depends on it
    report: DecodeReport  # what was decoded
    faces: Sequence[FaceResult]  # in the order in which they were found
    tracks: Sequence[TrackResult]  # by number
    video: VideoScore
    policy: Policy  # by which the scores became its verdict
    evidence: Sequence[Evidence]  # of each flagged track, the worst track's first; empty unless flagged
    hashes: Sequence[FrameHash] = ()  # of frames, by time: what the video looks like
    shadow: ShadowResult | None = None  # another classifier's answer; None: none was asked, or it failed
    poster: bytes | None = None  # a small JPEG of the clearest frame
    timings: dict[str, float]  # seconds per stage, some of which run beside each other, and "total"

    @property
    def verdict(self) -> Verdict:
        """What the machine says: `fake`, `suspect`, `clear`, `unjudged`, `no_face` or `too_short`."""
        return self.video.verdict

    @property
    def score(self) -> float | None:
        """The calibrated score of the whole video, in [0, 1], 1 for fake.

        None where there is none: see the verdict.
        """
        return self.video.score

    @property
    def family(self) -> str | None:
        """What the face that decided resembles most: a guess, of `core.families.Family`.

        None where nothing is flagged, where the model is not sure enough, and where it tells no families.
        """
        return None if self.video.track is None else self.tracks[self.video.track].family

    @property
    def family_probability(self) -> float | None:
        """The calibrated probability of `family`, in [0, 1], if the face is a fake of a known family."""
        return None if self.video.track is None else self.tracks[self.video.track].family_probability

    @property
    def coverage(self) -> float:
        """The fraction of the expected samples that came undamaged, in [0, 1]."""
        return self.report.coverage

    @property
    def unseen(self) -> tuple[str, ...]:
        """What was not looked at, in words; it lowers the coverage."""
        return self.report.unseen

    @property
    def rejected_faces(self) -> dict[str, int]:
        """How many faces the quality gate rejected, by reason, the most frequent first."""
        reasons = Counter(face.rejected_because for face in self.faces)
        return {reason: number for reason, number in reasons.most_common() if reason is not None}

    @property
    def turn(self) -> int:
        """Degrees clockwise by which the picture is turned so that most faces are upright."""
        judged = [face.turn for face in self.faces if face.usable]
        turns = Counter(judged or [face.turn for face in self.faces])
        return turns.most_common(1)[0][0] if turns else 0
