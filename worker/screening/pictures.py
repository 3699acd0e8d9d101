"""The whole frames that may still be shown to a reviewer, until the verdict is known.

Nine of ten videos are clear and show none, and most are short: so frames stay as they were decoded, and only
those for which there is no room become JPEGs, which take twice as long to make as a frame's hash.
"""

from collections.abc import Collection

from models.face import Image
from worker.screening.evidence import jpeg

MOST_BYTES = 128 * 1024**2  # of frames as decoded: 21 of 1080p


class Pictures:
    """Whole frames of one video, by the number of the sample."""

    def __init__(self) -> None:
        self._decoded: dict[int, Image] = {}
        self._coded: dict[int, bytes] = {}

    def add(self, sample: int, image: Image) -> None:
        """Keep a frame, uint8 (H, W, 3) RGB, which nobody writes on any more."""
        self._decoded[sample] = image

    def keep(self, samples: Collection[int]) -> None:
        """Drop all others, and make JPEGs of the oldest if the rest would take too much room."""
        self._coded = {sample: one for sample, one in self._coded.items() if sample in samples}
        self._decoded = {sample: one for sample, one in self._decoded.items() if sample in samples}
        room = sum(image.nbytes for image in self._decoded.values())
        for sample in list(self._decoded):
            if room <= MOST_BYTES:
                return
            image = self._decoded.pop(sample)
            self._coded[sample] = jpeg(image)
            room -= image.nbytes

    def jpeg(self, sample: int) -> bytes:
        """A frame that was kept."""
        return self._coded[sample] if sample in self._coded else jpeg(self._decoded[sample])
