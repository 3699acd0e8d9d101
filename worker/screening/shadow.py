"""A second classifier that looks at the same faces in the same pass, and whose answer changes nothing.

One decoding, one detection, one quality gate, one set of tracks: only the crops are classified twice. They
are cut anew where the other checkpoint was trained with another margin or size.

Whatever goes wrong here ends the shadow of this video and nothing else.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import structlog

from core.errors import WeightsError
from core.policy import Policy
from core.results import ShadowResult
from core.settings import Settings
from models.classifier import Classifier
from models.crop import crop_standing
from models.face import Image
from worker.decoder.reader import DecodeReport, Frame
from worker.screening.evidence import Candidate
from worker.screening.judging import judged

log = structlog.get_logger()


class Shadow:
    """One video's; `fatal` are exceptions that are not its own: they mean the whole screening."""

    def __init__(
        self, classifier: Classifier, settings: Settings, *, fatal: tuple[type[Exception], ...] = ()
    ) -> None:
        self._classifier, self._settings, self._fatal = classifier, settings, fatal
        self._waiting: list[tuple[int, Image]] = []  # which candidate, by id(), and its crop
        self._logits: dict[int, float] = {}  # by id() of the candidate
        self._seconds = 0.0
        self.failed = False

    def add(self, frame: Frame, usable: Sequence[Candidate], *, like: tuple[float, int]) -> None:
        """Take the usable faces of a frame; `like`: margin and size with which their crops were cut."""
        if self.failed:
            return
        with self._apart():
            version = self._classifier.version
            same = like == (version.crop.margin, version.input_size)
            for one in usable:
                crop = one.crop
                if not same or crop is None:
                    crop = crop_standing(frame.image, one.face, version.crop, version.input_size)
                self._waiting.append((id(one), crop))

    def classify(self, *, finish: bool) -> None:
        """Classify in full batches; with `finish` the rest too."""
        size = self._settings.batch_size
        with self._apart():
            while len(self._waiting) >= size or (finish and self._waiting):
                batch, self._waiting = self._waiting[:size], self._waiting[size:]
                logits = self._classifier.logits(np.stack([crop for _, crop in batch]))
                if not np.isfinite(logits).all():
                    reason = "a score is not a finite number"
                    raise WeightsError(path=self._classifier.version.id, reason=reason)
                self._logits.update(zip((number for number, _ in batch), logits.tolist(), strict=True))

    def answer(self, candidates: Sequence[Candidate], report: DecodeReport) -> ShadowResult | None:
        """What it makes of the video, once all is classified; None if it failed."""
        answers: list[ShadowResult] = []
        if not self.failed:
            with self._apart():
                answers.append(self._judge(candidates, report))
        return answers[0] if answers else None

    def _judge(self, candidates: Sequence[Candidate], report: DecodeReport) -> ShadowResult:
        version, logits = self._classifier.version, [self._logits.get(id(one)) for one in candidates]
        video = judged(candidates, logits, report=report, version=version, settings=self._settings)
        return ShadowResult(
            model_version=version.id,
            policy=Policy.of(version, self._settings.scoring).stored(),
            verdict=video.verdict,
            score=video.score,
            raw_score=video.raw,
            looks=video.looks,
            logits=[logit for logit in logits if logit is not None],
            seconds=round(self._seconds, 4),
        )

    @contextmanager
    def _apart(self) -> Iterator[None]:
        """Count the time, and keep what fails from the screening."""
        began = time.perf_counter()
        try:
            yield
        except self._fatal:
            raise
        except Exception:
            self.failed, self._waiting = True, []
            log.exception("the shadow failed; the screening goes on", shadow=self._classifier.version.id)
        finally:
            self._seconds += time.perf_counter() - began
