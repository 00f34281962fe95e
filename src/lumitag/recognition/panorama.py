"""Pictures far from square. Squeezed into a square nothing in them keeps its shape, so they are seen part by part."""

from __future__ import annotations

from typing import Final

import numpy as np

from lumitag.recognition.decode import Picture
from lumitag.recognition.detections import Detections, suppress_overlaps
from lumitag.recognition.regions import WHOLE, Region, in_whole

_SQUEEZABLE: Final = 1.9  # longer over shorter side; beyond it the parts find more (docs/models.md)
_MAX_PARTS: Final = 8
_OVERLAP: Final = 1.5  # so many times the squares that would do: what one part cuts in two the next shows whole


def regions_of(picture: Picture) -> list[Region]:
    """Return the parts to look at: left, top, right, bottom, as ratios. One, the whole, for ordinary pictures.

    The parts are squares that overlap by about a third, at most 8: of pictures longer than that, they are longer too.
    """
    ratio = picture.width / picture.height
    if 1 / _SQUEEZABLE <= ratio <= _SQUEEZABLE:
        return [WHOLE]
    spans = _spans(max(ratio, 1 / ratio))
    return [(start, 0.0, end, 1.0) if ratio > 1 else (0.0, start, 1.0, end) for start, end in spans]


def _spans(squares: float) -> list[tuple[float, float]]:
    count = min(round(_OVERLAP * squares), _MAX_PARTS)
    length = max(1 / squares, _OVERLAP / count)
    return [(start, start + length) for start in np.linspace(0, 1 - length, count).tolist()]


def put_together(found: list[Detections], regions: list[Region]) -> Detections:
    """Return what was found in the parts as detections in the whole picture, best first."""
    boxes = np.concatenate([in_whole(part.boxes, region) for part, region in zip(found, regions, strict=True)])
    scores = np.concatenate([part.scores for part in found])
    classes = np.concatenate([part.classes for part in found])
    best = np.argsort(-scores, kind="stable")
    kept = best[suppress_overlaps(boxes[best], classes[best])]
    return Detections(boxes[kept], scores[kept], classes[kept])
