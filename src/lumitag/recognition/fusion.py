"""Two opinions, one answer: what the classifier says of the whole picture and what the detector found in it."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lumitag.domain import BoundingBox, Instance, Label
from lumitag.recognition.detections import Detections
from lumitag.recognition.taxonomy import Taxonomy

_LEAST_EVIDENCE: Final = 0.3  # boxes below are too many, and too often wrong, to add up

_GRID: Final = 100_000  # boxes are given to 5 decimals: a tenth of a pixel in the largest picture


def fuse(
    taxonomy: Taxonomy, concepts: NDArray[np.floating[Any]], detections: Detections, floor_percent: float
) -> tuple[Label, ...]:
    """Return the labels of a picture, most confident first, then by name.

    A concept appears once. The classifier and the detector are two witnesses: where both speak of a concept it is
    wrong only if both are, so `1 - (1 - p) (1 - q)` (the noisy-or of Pearl 1988, 4.3.2); two things of one kind in
    the picture are two witnesses of that kind. So a broader concept is never less confident than a narrower one:
    whoever is sure of a dog is as sure of an animal. Instances come from the detector alone.

    Args:
        taxonomy: what both opinions are put in terms of.
        concepts: (concepts,), 0 to 1: what the classifier thinks of each; broader ones not below narrower ones.
        detections: of the detector, in the same picture, with scores that are confidences.
        floor_percent: labels and instances below are left out; the confidence of the others does not depend on it.
    """
    instances = _instances(taxonomy, detections, least_confidence(floor_percent))
    confidences = _agreed(taxonomy, concepts, instances) * 100
    kept = np.flatnonzero(confidences >= floor_percent).tolist()
    shown = [position for position in kept if not taxonomy.concepts[position].hidden]
    labels = [_label(taxonomy, position, confidences[position], instances.get(position, [])) for position in shown]
    visible = (label.seen_from(floor_percent) for label in labels)
    return tuple(sorted(visible, key=lambda label: (-label.confidence, label.name)))


def least_confidence(floor_percent: float) -> float:
    """Return the confidence, in percent, from which on a box can matter: it may be evidence without being shown."""
    return min(floor_percent, _LEAST_EVIDENCE * 100)


def _instances(taxonomy: Taxonomy, detections: Detections, floor_percent: float) -> dict[int, list[Instance]]:
    """Return the instances of each concept by its position, best first."""
    instances: dict[int, list[Instance]] = defaultdict(list)
    for box, score, category in zip(detections.boxes, detections.scores, detections.classes, strict=True):
        position = taxonomy.position_by_coco.get(int(category))  # COCO numbers 90 categories and uses 80
        bounding_box = to_bounding_box(*box.tolist())
        confidence = round(float(score) * 100, 2)
        if position is not None and bounding_box is not None and confidence >= floor_percent:
            instances[position].append(Instance(bounding_box, confidence))
    return instances


def _agreed(
    taxonomy: Taxonomy, concepts: NDArray[np.floating[Any]], instances: dict[int, list[Instance]]
) -> NDArray[np.float64]:
    """Return the confidence of every concept, 0 to 1, with what was found of it and of its kinds."""
    confidences = concepts.astype(np.float64)
    for position, found in instances.items():
        surest = found[0].confidence / 100
        for target in (position, *taxonomy.parents[position]):
            confidences[target] = _either(confidences[target], surest)
    return confidences


def _either(confidence: float, found: float) -> float:
    """Return how sure two witnesses are together. A faint one stands for itself and adds nothing to the other."""
    return 1 - (1 - confidence) * (1 - found) if found >= _LEAST_EVIDENCE else max(confidence, found)


def _label(taxonomy: Taxonomy, position: int, confidence: float, instances: list[Instance]) -> Label:
    concept = taxonomy.concepts[position]
    return Label(
        name=concept.name,
        concept=concept.id,
        confidence=round(float(confidence), 2),
        parents=taxonomy.shown_parents(position),
        aliases=concept.aliases,
        categories=concept.categories,
        instances=tuple(instances),
    )


def to_bounding_box(left: float, top: float, right: float, bottom: float) -> BoundingBox | None:
    """Return the box to 5 decimals, inside the picture; None where nothing of it is left.

    Args are ratios, and may be outside 0 to 1.
    """
    left, width = _span(left, right)
    top, height = _span(top, bottom)
    if width == 0 or height == 0:
        return None
    return BoundingBox(left, top, width, height)


def _span(start: float, end: float) -> tuple[float, float]:
    """Return start and length on the grid. Of all pairs of 5 decimals none adds up to more than 1 in binary."""
    first, last = (min(max(round(value * _GRID), 0), _GRID) for value in (start, end))
    return first / _GRID, max(last - first, 0) / _GRID
