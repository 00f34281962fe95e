"""All figures of one recognizer on one set of images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lumitag.evaluation.boxes import BoxFigures
from lumitag.evaluation.judging import JudgedImage, JudgedLabel
from lumitag.evaluation.statistics import (
    BINS,
    F1,
    CalibrationError,
    Floats,
    Ratio,
    Statistic,
    bootstrap_interval,
    value_of,
    wilson,
)
from lumitag.evaluation.truth import TruthKind
from lumitag.evaluation.vocabulary import Vocabulary

CURVE_PERCENTS: Final = tuple(float(percent) for percent in range(5, 100, 5))
_LEAST: Final = 1e-9  # percent: 0 stands for a label that is not there
_Pick = Callable[[JudgedImage], tuple[float, float]]


@dataclass(frozen=True)
class Levels:
    """The three confidences that matter, in percent.

    Attributes:
        floor: nothing below was asked for.
        stored: nothing below is kept in a data folder.
        shown: nothing below is shown to a reader.
    """

    floor: float
    stored: float
    shown: float


@dataclass(frozen=True, eq=False)
class Figure:
    """One line of the report.

    Attributes:
        id: for programs.
        title: for people.
        statistic: what computes it.
        is_percent: a share, 0 to 1; otherwise a number.
    """

    id: str
    title: str
    statistic: Statistic
    is_percent: bool = True

    @cached_property
    def value(self) -> float | None:
        """The figure; None where there is nothing to count."""
        return value_of(self.statistic)

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """Where it probably lies, at 95 %."""
        if isinstance(self.statistic, Ratio) and self.is_percent:
            return self.statistic.interval()
        return bootstrap_interval(self.statistic)

    @property
    def count(self) -> str:
        """How many of how many, where it is that kind of figure."""
        if not isinstance(self.statistic, Ratio) or not self.is_percent:
            return ""
        return f"{self.statistic.hit_count:,} of {self.statistic.case_count:,}"


@dataclass(frozen=True)
class CurvePoint:
    """Precision, recall and F1 of the labels at or above `threshold` percent; None where there is nothing to count."""

    threshold: float
    precision: float | None
    recall: float | None
    f1: float | None
    judged: int


@dataclass(frozen=True)
class Bin:
    """Labels whose confidence lies between `low` and `high`, 0 to 1: how sure they were and how many were right."""

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class LabelFigures:
    """One label at the shown threshold.

    Attributes:
        name, concept: which.
        right, wrong: how often it was shown and was that.
        support: in how many images it is true.
        found: in how many of these it, or something finer, was shown.
    """

    name: str
    concept: str
    right: int
    wrong: int
    support: int
    found: int

    @property
    def precision(self) -> float | None:
        """How often it is right when it is shown, 0 to 1."""
        shown = self.right + self.wrong
        return self.right / shown if shown else None

    @property
    def recall(self) -> float | None:
        """How often it is shown where it is true, 0 to 1."""
        return self.found / self.support if self.support else None


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What one recognizer made of a set of images.

    Attributes:
        vocabulary: what concepts are called.
        kind: how much the truth says.
        images: judged, in the order of the report.
        levels: confidences.
        boxes: None where the truth has no boxes.
    """

    vocabulary: Vocabulary
    kind: TruthKind
    images: tuple[JudgedImage, ...]
    levels: Levels
    boxes: BoxFigures | None = None

    @cached_property
    def figures(self) -> tuple[Figure, ...]:
        """The lines of the report, those that matter most first."""
        subject = self._subject_figures() if self.kind is TruthKind.SUBJECT else ()
        return (*subject, *self._shown_figures(), *self._strict_figures(), *self._calibration_figures())

    def figure(self, name: str) -> Figure:
        """Return one figure by its id."""
        return next(figure for figure in self.figures if figure.id == name)

    @cached_property
    def curve(self) -> tuple[CurvePoint, ...]:
        """Precision, recall and F1 per threshold."""
        thresholds = sorted({*CURVE_PERCENTS, self.levels.shown} - {p for p in CURVE_PERCENTS if p < self.levels.floor})
        return tuple(map(self._point, thresholds))

    @cached_property
    def bins(self) -> tuple[Bin, ...]:
        """How confident and how right the judged labels are, from the floor of this evaluation on."""
        error = self.calibration(self.levels.floor)
        return tuple(_bin(error, number) for number in range(BINS))

    @cached_property
    def labels(self) -> tuple[LabelFigures, ...]:
        """Every label that is true or was shown and judged, those with most support first."""
        return self._label_figures()

    def precision(self, min_confidence: float) -> Ratio:
        """Return how many of the judged labels at or above `min_confidence` percent are right."""
        return self._ratio(lambda image: _right_of(label for label in image.at(min_confidence) if label.is_judged))

    def recall(self, min_confidence: float) -> Ratio:
        """Return how many of the truths are named, by themselves or by something finer."""
        return Ratio(
            _sums(self._truths[0], self._truths[1] >= max(min_confidence, _LEAST), len(self.images)),
            _sums(self._truths[0], np.ones(len(self._truths[1])), len(self.images)),
        )

    def calibration(self, min_confidence: float) -> CalibrationError:
        """Return the calibration error of the judged labels at or above `min_confidence` percent."""
        rows = [
            (number, label.confidence / 100, label.is_right)
            for number, image in enumerate(self.images)
            for label in image.at(min_confidence)
            if label.is_judged
        ]
        image, confidence, is_right = np.array(rows, dtype=float).reshape(-1, 3).T
        return CalibrationError.of(image.astype(np.intp), confidence, is_right > 0, len(self.images))

    def _subject_figures(self) -> tuple[Figure, ...]:
        stored, shown = self.levels.stored, self.levels.shown
        return (
            self._figure("topLeaf", "The true label is the top leaf", lambda image: _is_named(_first(image.leaves()))),
            self._figure(
                "topLeafStored",
                f"... of what is stored, from {stored:g} % on",
                lambda image: _is_named(_first(image.leaves(stored))),
            ),
            self._figure("topClass", "... of the classifier's classes", lambda image: _is_named(image.top_class())),
            self._figure(
                "subjectNamed",
                "A shown leaf or parent names the subject",
                lambda image: _share([any(label.is_right for label in image.at(shown))]),
            ),
        )

    def _shown_figures(self) -> tuple[Figure, ...]:
        shown = self.levels.shown
        precision, recall = self.precision(shown), self.recall(shown)
        return (
            Figure("precision", "Shown labels that are right (precision)", precision),
            self._figure("leafPrecision", "... leaves alone", lambda image: _right_of(_judged(self._leaves(image)))),
            self._figure(
                "parentPrecision", "... parents alone", lambda image: _right_of(_judged(self._parents(image)))
            ),
            Figure("recall", "True labels that are shown (recall)", recall),
            Figure("f1", "F1 of these two", F1(precision, recall)),
            self._figure("shownPerImage", "Labels shown an image", lambda image: (len(image.at(shown)), 1), False),
            self._figure(
                "notJudged",
                "Shown labels that are not judged",
                lambda image: _share(not label.is_judged for label in image.at(shown)),
            ),
            self._figure(
                "finer",
                "Shown labels finer than the truth, counted as right",
                lambda image: _share(label.is_finer for label in image.at(shown)),
            ),
        )

    def _strict_figures(self) -> tuple[Figure, ...]:
        shown = self.levels.shown
        return (
            self._figure(
                "strictPrecision",
                "Strict precision: all that the truth does not name is wrong",
                lambda image: _right_of(image.at(shown)),
            ),
            self._figure("strictLeafPrecision", "... leaves alone", lambda image: _right_of(self._leaves(image))),
            self._figure("strictParentPrecision", "... parents alone", lambda image: _right_of(self._parents(image))),
        )

    def _calibration_figures(self) -> tuple[Figure, ...]:
        stored, shown = self.levels.stored, self.levels.shown
        return (
            Figure("eceStored", f"Calibration error, labels from {stored:g} % on", self.calibration(stored)),
            Figure("eceShown", f"Calibration error, labels from {shown:g} % on", self.calibration(shown)),
        )

    def _leaves(self, image: JudgedImage) -> list[JudgedLabel]:
        return image.leaves(self.levels.shown)

    def _parents(self, image: JudgedImage) -> list[JudgedLabel]:
        leaves = {label.concept for label in self._leaves(image)}
        return [label for label in image.at(self.levels.shown) if label.concept not in leaves]

    def _figure(self, name: str, title: str, pick: _Pick, is_percent: bool = True) -> Figure:
        return Figure(name, title, self._ratio(pick), is_percent)

    def _ratio(self, pick: _Pick) -> Ratio:
        """Return the hits and cases that `pick` counts in each image."""
        pairs = np.array([pick(image) for image in self.images], dtype=float).reshape(-1, 2)
        return Ratio(pairs[:, 0], pairs[:, 1])

    @cached_property
    def _truths(self) -> tuple[NDArray[np.intp], Floats]:
        """Every pair of an image and a concept that is true: the number of the image, and how surely it was named."""
        pairs = [
            (number, image.best_for(concept))
            for number, image in enumerate(self.images)
            for concept in image.truth.concepts
        ]
        columns = np.array(pairs, dtype=float).reshape(-1, 2)
        return columns[:, 0].astype(np.intp), columns[:, 1]

    def _point(self, threshold: float) -> CurvePoint:
        precision, recall = self.precision(threshold), self.recall(threshold)
        f1 = value_of(F1(precision, recall))
        return CurvePoint(threshold, value_of(precision), value_of(recall), f1, precision.case_count)

    def _label_figures(self) -> tuple[LabelFigures, ...]:
        counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        for image in self.images:
            for label in _judged(image.at(self.levels.shown)):
                counts[label.concept][0 if label.is_right else 1] += 1
            for concept in image.truth.concepts | self.vocabulary.broader(image.truth.concepts):
                counts[concept][2] += 1
                counts[concept][3] += image.best_for(concept) >= max(self.levels.shown, _LEAST)
        found = [LabelFigures(self.vocabulary.name(concept), concept, *each) for concept, each in counts.items()]
        return tuple(sorted(found, key=lambda each: (-each.support, -each.right - each.wrong, each.name)))


def _first(labels: list[JudgedLabel]) -> JudgedLabel | None:
    return labels[0] if labels else None


def _is_named(label: JudgedLabel | None) -> tuple[float, float]:
    return float(label is not None and label.is_named), 1.0


def _judged(labels: Iterable[JudgedLabel]) -> Iterable[JudgedLabel]:
    return (label for label in labels if label.is_judged)


def _right_of(labels: Iterable[JudgedLabel]) -> tuple[float, float]:
    return _share(label.is_right for label in labels)


def _share(is_hit: Iterable[bool]) -> tuple[float, float]:
    hits = list(is_hit)
    return sum(hits), len(hits)


def _sums(place: NDArray[np.intp], weights: NDArray[np.generic], length: int) -> Floats:
    return np.bincount(place, weights=weights.astype(float), minlength=length).astype(float)


def _bin(error: CalibrationError, number: int) -> Bin:
    """Return one bin. Its interval counts an image as one observation, as `Ratio.interval` does."""
    count = int(error.cases[:, number].sum())
    ratio = Ratio(error.hits[:, number], error.cases[:, number])
    accuracy = value_of(ratio)
    return Bin(
        low=number / BINS,
        high=(number + 1) / BINS,
        count=count,
        confidence=float(error.confidence[:, number].sum()) / count if count else None,
        accuracy=accuracy,
        interval=wilson(accuracy, int(np.count_nonzero(ratio.cases))),
    )
