"""True confidence: of the labels at 80 %, about 80 in 100 should be right.

Three corrections, each of a fault that was measured in the embedded pair of networks and fitted on photographs with
known contents; docs/models.md has the figures.

* The classifier is too modest: its logits are sharpened with one temperature (arXiv:1706.04599).
* The detector knows 80 things and sees one of them in whatever it is shown: a bird in a butterfly, a sandwich in a
  weevil. A box is believed the less, the surer the classifier is of something else and the more of the picture the
  box covers. That is Platt's scaling of a score (Platt 1999) with one more input, the doubt.
* Two looks at the same picture are pooled as the geometric mean of their probabilities (Genest and Zidek 1986).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lumitag.recognition.detections import Detections
from lumitag.recognition.taxonomy import Taxonomy

Floats = NDArray[np.floating[Any]]

TEMPERATURE: Final = 0.6

# The log-odds of a box: those of its score, plus this, minus the doubt times what follows.
_BOX_LIFT: Final = 0.9
_DOUBT_WEIGHT: Final = 0.5
_DOUBT_WEIGHT_BY_SIDE: Final = 4.5

PERSON: Final = 1  # the COCO category; people stand beside everything, and the classifier has hardly a class for them


def softmax(logits: Floats, temperature: float) -> NDArray[np.float64]:
    """Return probabilities, (n,), sum 1. A temperature below 1 sharpens them."""
    scaled = logits.astype(np.float64) / temperature
    powers = np.exp(scaled - scaled.max())
    return np.asarray(powers / powers.sum())


def pool(probabilities: Floats, others: Floats, weight: float) -> NDArray[np.float64]:
    """Return what two looks say together, (n,), sum 1. `weight`, 0 to 1, is that of the other look."""
    product = probabilities ** (1 - weight) * others**weight
    return np.asarray(product / product.sum())


def least_score(min_confidence: float) -> float:
    """Return the least score that a box needs to end with `min_confidence`; both 0 to 1, exclusive."""
    return float(sigmoid(_log_odds(np.asarray(min_confidence)) - _BOX_LIFT))


def weigh(detections: Detections, taxonomy: Taxonomy, probabilities: Floats) -> Detections:
    """Return the same detections with scores that are confidences, 0 to 1, best first.

    Args:
        detections: of the embedded detector.
        taxonomy: what both networks are put in terms of.
        probabilities: (1000,), sum 1, of the embedded classifier for the same picture.
    """
    sides = np.sqrt(np.prod(detections.boxes[:, 2:] - detections.boxes[:, :2], axis=1))
    weights = _DOUBT_WEIGHT + _DOUBT_WEIGHT_BY_SIDE * sides
    scores = np.clip(detections.scores.astype(np.float64), 1e-6, 1 - 1e-6)
    log_odds = _log_odds(scores) + _BOX_LIFT - weights * _doubts(detections, taxonomy, probabilities)
    confidences = sigmoid(log_odds).astype(np.float32)
    best = np.argsort(-confidences, kind="stable")
    return Detections(detections.boxes[best], confidences[best], detections.classes[best])


def sigmoid(values: Floats) -> NDArray[Any]:
    """Return 1 / (1 + exp(-values)), which overflows nowhere in this form."""
    return np.asarray(0.5 + 0.5 * np.tanh(values / 2))


def _doubts(detections: Detections, taxonomy: Taxonomy, probabilities: Floats) -> NDArray[np.float64]:
    """Return for each box how sure the classifier is of something else: (n,), 0 to 1."""
    concepts, surest = taxonomy.roll_up(probabilities), float(probabilities.max())

    def doubt(coco: int) -> float:
        position = taxonomy.position_by_coco.get(coco)
        return 0.0 if position is None or coco == PERSON else max(surest - float(concepts[position]), 0.0)

    return np.array([doubt(coco) for coco in detections.classes.tolist()])


def _log_odds(probabilities: Floats) -> Floats:
    return np.log(probabilities / (1 - probabilities))
