"""Which labels of an image are right, which are wrong, and which nobody can judge.

With T for the concepts that the truth names:

* A label is **right** if it is in T, is broader than one in T (Animal, where the truth says Zebra), or is finer than
  one in T (Poodle, where the truth says Dog): the truth does not contradict it.
* Otherwise, a label is **not judged** where the truth cannot know:
  `subject`: it names another located object, or nothing that the classifier chooses its one subject from;
  `boxes`: it is neither one of the annotated categories nor broader nor finer than one;
  `complete`: the vocabulary does not have it, so that the truth could not name it.
* Every other label is **wrong**. Under the strict rule all that is not right is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from lumitag.domain import Label, Recognition
from lumitag.evaluation.truth import GroundTruth, ImageTruth, TruthKind
from lumitag.evaluation.vocabulary import Vocabulary

_ROUNDING: Final = 0.01  # confidences are given to two decimals


@dataclass(frozen=True, slots=True)
class JudgedLabel:
    """One label of one image.

    Attributes:
        name, confidence: of the label; percent.
        concept: id, see `Vocabulary.place`.
        broader: ids of everything broader.
        is_right, is_judged: a label that is not judged is not right either.
        is_finer: right, but finer than what the truth says.
        is_named: it is what the truth names, or finer.
        is_class: the classifier has a class that means exactly this.
    """

    name: str
    confidence: float
    concept: str
    broader: frozenset[str]
    is_right: bool
    is_judged: bool
    is_finer: bool
    is_named: bool
    is_class: bool


@dataclass(frozen=True, slots=True)
class JudgedImage:
    """One image: its labels, most confident first, and what is true of it."""

    file: str
    truth: ImageTruth
    labels: tuple[JudgedLabel, ...]

    def leaves(self, min_confidence: float = 0.0) -> list[JudgedLabel]:
        """Return the labels at or above `min_confidence` percent that are not broader than another such label."""
        labels = self.at(min_confidence)
        broader = {concept for label in labels for concept in label.broader}
        return [label for label in labels if label.concept not in broader]

    def top_class(self) -> JudgedLabel | None:
        """Return the likeliest class of the classifier.

        A few classes lie below another (Volcano below Mountain), whose confidence includes theirs: what counts is what
        is left of it.
        """
        classes = [label for label in self.labels if label.is_class]
        return max(classes, key=lambda label: label.confidence - _surest_below(label, classes), default=None)

    def at(self, min_confidence: float) -> list[JudgedLabel]:
        """Return the labels at or above `min_confidence` percent."""
        return [label for label in self.labels if label.confidence >= min_confidence]

    def best_for(self, concept: str) -> float:
        """Return the confidence of the surest label that is `concept` or finer, in percent; 0 where none is."""
        return max(
            (label.confidence for label in self.labels if label.concept == concept or concept in label.broader),
            default=0.0,
        )


class Judge:
    """Judges recognitions against one truth.

    Args:
        vocabulary: what labels mean.
        truth: what is true.
        shown_percent: from where on a box is shown.
    """

    def __init__(self, vocabulary: Vocabulary, truth: GroundTruth, shown_percent: float) -> None:
        self._vocabulary = vocabulary
        self._kind = truth.kind
        self._annotated = truth.annotated
        self._above_annotated = vocabulary.broader(truth.annotated)
        self._shown_percent = shown_percent

    def judge(self, file: str, recognition: Recognition, truth: ImageTruth) -> JudgedImage:
        """Return the verdict on every label of one image."""
        placed = [(label, *self._vocabulary.place(label)) for label in recognition.labels]
        located = _located(placed, self._shown_percent)
        labels = [self._verdict(*each, truth.concepts, located) for each in placed]
        return JudgedImage(file, truth, tuple(sorted(labels, key=lambda label: (-label.confidence, label.name))))

    def _verdict(
        self, label: Label, concept: str, broader: frozenset[str], named: frozenset[str], located: frozenset[str]
    ) -> JudgedLabel:
        is_true = concept in named or concept in self._vocabulary.broader(named)
        is_named = concept in named or bool(broader & named)
        is_right = is_true or is_named
        return JudgedLabel(
            name=label.name,
            confidence=label.confidence,
            concept=concept,
            broader=broader,
            is_right=is_right,
            is_judged=is_right or self._can_be_judged(concept, broader, located),
            is_finer=is_named and not is_true,
            is_named=is_named,
            is_class=self._vocabulary.is_class(concept),
        )

    def _can_be_judged(self, concept: str, broader: frozenset[str], located: frozenset[str]) -> bool:
        match self._kind:
            case TruthKind.SUBJECT:
                return self._vocabulary.is_exclusive(concept) and concept not in located
            case TruthKind.BOXES:
                return concept in self._annotated or concept in self._above_annotated or bool(broader & self._annotated)
            case TruthKind.COMPLETE:
                return self._vocabulary.is_known(concept)


def _surest_below(label: JudgedLabel, others: Iterable[JudgedLabel]) -> float:
    return max((other.confidence for other in others if label.concept in other.broader), default=0.0)


def _located(placed: list[tuple[Label, str, frozenset[str]]], shown_percent: float) -> frozenset[str]:
    """Return the concepts that a box speaks for: their own or one of something finer.

    The box must be as confident as the label or as what is shown: below that, boxes are everywhere.
    """
    support: dict[str, float] = {}
    for label, concept, broader in placed:
        best = max((instance.confidence for instance in label.instances), default=0.0)
        for target in (concept, *broader):
            support[target] = max(support.get(target, 0.0), best)
    return frozenset(
        concept
        for label, concept, _ in placed
        if support[concept] and support[concept] >= min(label.confidence, shown_percent) - _ROUNDING
    )
