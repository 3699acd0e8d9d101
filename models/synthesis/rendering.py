"""Kinds of pseudo-fakes where a neural network draws the face, the mouth or another person's face.

decode    by an autoencoder, as face swappers do
restore   by the face restoration that comes after many a swap
paint     from edges and colours, as neural rendering does: a different design from the first two
"""

from collections.abc import Callable

from models.face import Image
from models.synthesis.blending import blend, transfer_colour
from models.synthesis.forgery import Forgery, other_on_target
from models.synthesis.renderers import rendered


def _by(renderer: str) -> Callable[[Forgery], Image]:
    def draw(forgery: Forgery) -> Image:
        target = forgery.target
        mask = forgery.mask("face", "inner", "mouth")
        # A swap draws somebody else; reenactment and re-rendering redraw the same person.
        swapped = forgery.rng.random() < 0.5
        drawn = rendered(renderer, other_on_target(forgery) if swapped else target.image, target.landmarks)
        strength = forgery.between((0.3, 0.9), (0.85, 1.0))
        return blend(target.image, transfer_colour(drawn, target.image, mask, strength), mask)

    return draw


RENDERINGS: dict[str, Callable[[Forgery], Image]] = {
    "decode": _by("decoder"),
    "restore": _by("restorer"),
    "paint": _by("painter"),
}
