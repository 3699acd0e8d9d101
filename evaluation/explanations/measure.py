"""Explains one flagged fake in several ways and measures how far each holds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.settings import LimeSettings
from evaluation.explanations.curves import Curver
from evaluation.explanations.fakes import FlaggedFake
from models.classifier import Classifier
from models.explain import grad_cam, lime
from models.explain.explanation import Explanation
from models.explain.segmentation import segment
from models.explain.surrogate import mean_agreement

RANDOM = "random order of the parts"
SETTLED = "LIME"
PACKAGE = "LIME, the package's defaults"
GRAD_CAM = "HiResCAM, finer layer"
LAST_LAYER = "Grad-CAM, last layer"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One explanation of one fake, or several of other seeds; what does not apply is None."""

    name: str  # of the fake
    group: str
    method: str  # what forged it
    way: str
    deletion: float  # of evaluation.explanations.curves, of the first seed
    insertion: float
    samples: int | None = None  # of the first seed
    r2: float | None = None
    expected: float | None = None  # agreement of other seeds, as the fit itself says
    agreement: float | None = None  # of the seeds on the top segments, measured


def measured(
    fake: FlaggedFake, classifier: Classifier, settings: LimeSettings, *, seeds: int, package: bool
) -> list[Measured]:
    """Every way to explain the fake.

    Args:
        settings: of LIME in use.
        seeds: explanations by LIME in use, to see how far they agree.
        package: also the lime package's defaults, a thousand samples.
    """
    crop = fake.crop
    curver = Curver(crop, classifier.logits)

    def row(way: str, explained: Sequence[Explanation]) -> Measured:
        first = explained[0]
        curves = curver.curves(first.heat)
        tops = [set(each.top_segments) for each in explained]
        return Measured(
            name=fake.name,
            group=fake.group,
            method=fake.method,
            way=way,
            deletion=curves.deletion,
            insertion=curves.insertion,
            samples=first.parameters.get("samples"),
            r2=first.r2,
            expected=first.stability,
            agreement=mean_agreement(tops),
        )

    def explained(options: LimeSettings, seed: int) -> Explanation:
        options = options.model_copy(update={"seed": seed, "stability_seeds": 1})
        answers = lime.answers_of(classifier, options)
        return lime.explain(crop, answers, options, landmarks=fake.landmarks)

    parts = segment(crop, settings, fake.landmarks)
    order = np.random.default_rng(0).random(parts.count).astype(np.float32)
    at_random = curver.curves(order[parts.numbers])
    rows = [
        Measured(
            name=fake.name,
            group=fake.group,
            method=fake.method,
            way=RANDOM,
            deletion=at_random.deletion,
            insertion=at_random.insertion,
        ),
        row(SETTLED, [explained(settings, settings.seed + number) for number in range(seeds)]),
        row(GRAD_CAM, [grad_cam.explain(crop, classifier)]),
        row(LAST_LAYER, [grad_cam.explain(crop, classifier, formula="Grad-CAM", finer=False)]),
    ]
    if package:
        rows.append(row(PACKAGE, [explained(lime.PACKAGE, settings.seed)]))
    return rows
