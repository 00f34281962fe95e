"""A second look, at most one, and only where the first left the classifier unsure: it costs as much as the first.

Where the detector is sure of something that has kinds (a dog, a bird, a clock), the classifier looks at that box
alone and may name the kind. Elsewhere it looks at the picture once more in a mirror, which averages out much of what
went wrong by chance (the horizontal flip of arXiv:1409.1556, 3.2).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lumitag.recognition.classifier import Classifier
from lumitag.recognition.confidence import PERSON, pool
from lumitag.recognition.decode import Picture
from lumitag.recognition.detections import Detections
from lumitag.recognition.regions import Region
from lumitag.recognition.taxonomy import Taxonomy

# The second look counts in full where no class has more than the first probability, and not at all from the other
# on. In between it counts in part, so that no label jumps.
_UNSURE: Final = 0.5
_SURE: Final = 0.7
_HOPELESS: Final = 0.4  # a mirror does not help a picture of which the classifier knows nothing

_SURE_OF_BOX: Final = 0.7
_SMALLEST_SIDE_PX: Final = 80
_MARGIN: Final = 0.05  # of the longer side: classifiers are used to some surroundings


def look_again(
    classifier: Classifier, taxonomy: Taxonomy, picture: Picture, first: NDArray[np.float64], detections: Detections
) -> NDArray[np.float64]:
    """Return the probability of every concept after a second look where one helps: (concepts,), 0 to 1.

    Args:
        classifier: the embedded one.
        taxonomy: what its classes mean.
        picture: what was looked at.
        first: probabilities of the classes after the first look, (1000,), sum 1.
        detections: in the same picture, with scores that are confidences.
    """
    concepts = taxonomy.roll_up(first)
    weight = float(np.clip((_SURE - first.max()) / (_SURE - _UNSURE), 0, 1))
    if weight == 0:
        return concepts
    found = _something_with_kinds(taxonomy, picture, detections)
    if found is not None:
        position, place = found
        return _refined(taxonomy, concepts, position, weight * classifier.probabilities(picture.cut(place)))
    if first.max() < _HOPELESS:
        return concepts
    return taxonomy.roll_up(pool(first, classifier.probabilities(picture, mirrored=True), weight / 2))


def _something_with_kinds(taxonomy: Taxonomy, picture: Picture, detections: Detections) -> tuple[int, Region] | None:
    """Return the position and the place of the surest thing whose kinds the classifier can tell apart there."""
    for box, confidence, coco in zip(detections.boxes, detections.scores, detections.classes, strict=True):
        if confidence < _SURE_OF_BOX:
            break
        position = taxonomy.position_by_coco.get(int(coco))
        place = _with_margin(*box.tolist())
        if position is not None and _has_kinds(taxonomy, position, coco) and _is_large_enough(picture, place):
            return position, place
    return None


def _has_kinds(taxonomy: Taxonomy, position: int, coco: int) -> bool:
    """Return whether a closer look could tell more. Of people it could not: three kinds are known, all rare."""
    return bool(taxonomy.narrower[position]) and coco != PERSON


def _with_margin(left: float, top: float, right: float, bottom: float) -> Region:
    margin = _MARGIN * max(right - left, bottom - top)
    return max(left - margin, 0.0), max(top - margin, 0.0), min(right + margin, 1.0), min(bottom + margin, 1.0)


def _is_large_enough(picture: Picture, place: Region) -> bool:
    left, top, right, bottom = place
    width, height = picture.decoded_size
    return min((right - left) * width, (bottom - top) * height) >= _SMALLEST_SIDE_PX


def _refined(
    taxonomy: Taxonomy, concepts: NDArray[np.float64], position: int, seen: NDArray[Any]
) -> NDArray[np.float64]:
    """Return the concepts with what was seen of one of them and of its kinds; nothing else in the box counts.

    What is broader gains as well, so that no kind is surer than what it is a kind of.
    """
    closer = taxonomy.roll_up(seen)
    refined = concepts.copy()
    refined[position] = 1 - (1 - concepts[position]) * (1 - closer[position])
    for kind in taxonomy.narrower[position]:
        refined[kind] = max(concepts[kind], closer[kind])
    for raised in (position, *taxonomy.narrower[position]):
        for broader in taxonomy.parents[raised]:
            refined[broader] = max(refined[broader], refined[raised])
    return refined
