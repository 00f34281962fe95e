"""The images to look at first: those about which the recognizer was most sure and wrong."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lumitag.evaluation.judging import JudgedImage, JudgedLabel


@dataclass(frozen=True)
class Mistake:
    """One image and what is wrong about it.

    Attributes:
        image: which.
        concept: id of the label that is wrong, or of the truth that was missed.
        confidence: of it, in percent; 0 where a missed one is not even a guess.
    """

    image: JudgedImage
    concept: str
    confidence: float


def worst_wrong(images: Iterable[JudgedImage], min_confidence: float, count: int) -> list[Mistake]:
    """Return the images with the most confident wrong labels at or above `min_confidence` percent, one label each."""
    found = [
        Mistake(image, label.concept, label.confidence)
        for image in images
        if (label := _finest_wrong(image.at(min_confidence)))
    ]
    return sorted(found, key=lambda mistake: (-mistake.confidence, mistake.image.file))[:count]


def worst_missed(images: Iterable[JudgedImage], min_confidence: float, count: int) -> list[Mistake]:
    """Return the images with the truths that the recognizer thought least likely, one truth each."""
    found = [
        mistake for image in images if image.truth.concepts and (mistake := _least(image)).confidence < min_confidence
    ]
    return sorted(found, key=lambda mistake: (mistake.confidence, mistake.image.file))[:count]


def _finest_wrong(labels: list[JudgedLabel]) -> JudgedLabel | None:
    """Return the surest wrong label; that what is broader is wrong as well goes without saying."""
    wrong = [label for label in labels if label.is_judged and not label.is_right]
    broader = {concept for label in wrong for concept in label.broader}
    return next((label for label in wrong if label.concept not in broader), None)


def _least(image: JudgedImage) -> Mistake:
    confidence, concept = min((image.best_for(concept), concept) for concept in image.truth.concepts)
    return Mistake(image, concept, confidence)
