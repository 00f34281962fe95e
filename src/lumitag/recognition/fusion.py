"""Two opinions, one answer: what the classifier says of the whole picture and what the detector found in it."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lumitag.domain import BoundingBox, Instance, Label
from lumitag.recognition.detections import Detections
from lumitag.recognition.taxonomy import Taxonomy

_GRID: Final = 100_000  # boxes are given to 5 decimals: a tenth of a pixel in the largest picture


def softmax(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float64]:
    """Return probabilities, (n,), sum 1. A temperature below 1 sharpens them (arXiv:1706.04599, section 4.2)."""
    scaled = logits.astype(np.float64) / temperature
    powers = np.exp(scaled - scaled.max())
    return np.asarray(powers / powers.sum())


def fuse(
    taxonomy: Taxonomy, probabilities: NDArray[np.floating[Any]], detections: Detections, floor_percent: float
) -> tuple[Label, ...]:
    """Return the labels of a picture, most confident first, then by name.

    A concept appears once, as confident as the surer of the two opinions; instances come from the detector alone.
    All broader concepts of a label are labels as well, each at least as confident: whoever is sure of a dog is as
    sure of an animal.

    Args:
        taxonomy: what both opinions are put in terms of.
        probabilities: (1000,), of the classifier, sum 1.
        detections: of the detector, in the same picture.
        floor_percent: labels and instances below are left out.
    """
    instances = _instances(taxonomy, detections, floor_percent)
    confidences = taxonomy.roll_up(probabilities) * 100
    for position, found in instances.items():
        confidences[position] = max(confidences[position], found[0].confidence)
    _lift_parents(taxonomy, confidences, instances)
    kept = np.flatnonzero(confidences >= floor_percent).tolist()
    labels = [_label(taxonomy, position, confidences[position], instances.get(position, [])) for position in kept]
    return tuple(sorted(labels, key=lambda label: (-label.confidence, label.name)))


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


def _lift_parents(taxonomy: Taxonomy, confidences: NDArray[np.float64], instances: dict[int, list[Instance]]) -> None:
    """Make every broader concept of a detected one at least as confident. Sums of classes are so by themselves."""
    for position in instances:
        for parent in taxonomy.parents[position]:
            confidences[parent] = max(confidences[parent], confidences[position])


def _label(taxonomy: Taxonomy, position: int, confidence: float, instances: list[Instance]) -> Label:
    concept = taxonomy.concepts[position]
    return Label(
        name=concept.name,
        concept=concept.id,
        confidence=round(float(confidence), 2),
        parents=tuple(sorted(taxonomy.concepts[parent].name for parent in taxonomy.parents[position])),
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
