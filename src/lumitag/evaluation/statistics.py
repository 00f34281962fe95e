"""Figures that say how sure they are.

Every figure is a function of how much each image counts: with weight 1 each it is the figure itself, with the weights
of a bootstrap sample (Efron 1979) it is what the figure might have been on other images of the same kind. The labels
of one image depend on each other, so images are drawn, not labels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

BINS: Final = 10
_Z: Final = 1.959964  # 95 % of a normal distribution lie within
_SAMPLES: Final = 1000
_SEED: Final = 20_261_123
_WEIGHTS_AT_ONCE: Final = 2_000_000


class Statistic(Protocol):
    """A figure of a set of images."""

    def resampled(self, weights: Floats) -> Floats:
        """Return the figure, (samples,), NaN where there is none, for each row of weights, (samples, images)."""
        ...


@dataclass(frozen=True, eq=False)
class Ratio:
    """How many of the cases are hits.

    Attributes:
        hits, cases: (images,): of each image; `hits <= cases`.
    """

    hits: Floats
    cases: Floats

    @property
    def hit_count(self) -> int:
        """All hits."""
        return round(float(self.hits.sum()))

    @property
    def case_count(self) -> int:
        """All cases."""
        return round(float(self.cases.sum()))

    def resampled(self, weights: Floats) -> Floats:
        """See `Statistic`."""
        return divided(weights @ self.hits, weights @ self.cases)

    def interval(self) -> tuple[float, float] | None:
        """Return the Wilson interval at 95 %, 0 to 1; None without any case.

        An image counts as one observation however many cases it has, for they are not independent of each other:
        the interval is rather too wide than too narrow.
        """
        return wilson(value_of(self), int(np.count_nonzero(self.cases)))


@dataclass(frozen=True, eq=False)
class F1:
    """The harmonic mean of precision and recall."""

    precision: Ratio
    recall: Ratio

    def resampled(self, weights: Floats) -> Floats:
        """See `Statistic`."""
        precision, recall = self.precision.resampled(weights), self.recall.resampled(weights)
        return divided(2 * precision * recall, precision + recall, default=0.0)


@dataclass(frozen=True, eq=False)
class CalibrationError:
    """Expected calibration error (Naeini 2015; Guo 2017, arXiv:1706.04599): 10 bins of equal width, weighted by count.

    Attributes:
        confidence, hits, cases: (images, bins): sum of confidences 0 to 1, labels that are right, labels.
    """

    confidence: Floats
    hits: Floats
    cases: Floats

    @classmethod
    def of(cls, image: NDArray[np.intp], confidence: Floats, is_right: NDArray[np.bool_], images: int) -> Self:
        """Return the error of labels in columns: number of the image, confidence 0 to 1, whether it is right."""
        place = image * BINS + np.minimum((confidence * BINS).astype(np.intp), BINS - 1)

        def sums(weights: Floats | None) -> Floats:
            return np.bincount(place, weights=weights, minlength=images * BINS).reshape(images, BINS).astype(float)

        return cls(sums(confidence), sums(is_right.astype(float)), sums(None))

    def resampled(self, weights: Floats) -> Floats:
        """See `Statistic`."""
        gaps = np.abs(weights @ self.confidence - weights @ self.hits).sum(axis=1)
        return divided(gaps, (weights @ self.cases).sum(axis=1))


def value_of(statistic: Statistic) -> float | None:
    """Return the figure itself."""
    images = _image_count(statistic)
    return _number(float(statistic.resampled(np.ones((1, images)))[0]))


def bootstrap_interval(statistic: Statistic) -> tuple[float, float] | None:
    """Return where 95 % of the bootstrap samples lie; None where the figure does not exist."""
    images = _image_count(statistic)
    return _percentiles(np.concatenate([statistic.resampled(weights) for weights in _samples(images)]))


def paired_difference(first: Statistic, second: Statistic) -> tuple[float, float] | None:
    """Return where 95 % of `first - second` lie when both are measured on the same drawn images."""
    samples = _samples(_image_count(first))
    return _percentiles(np.concatenate([first.resampled(weights) - second.resampled(weights) for weights in samples]))


def wilson(share: float | None, count: float) -> tuple[float, float] | None:
    """Return the 95 % interval of a share seen in `count` independent cases (Wilson 1927), 0 to 1."""
    if share is None or count <= 0:
        return None
    middle = share + _Z**2 / (2 * count)
    spread = _Z * math.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    scale = 1 + _Z**2 / count
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def divided(above: Floats, below: Floats, default: float = math.nan) -> Floats:
    """Return `above / below`, and `default` where that is 0 / 0."""
    return np.asarray(np.divide(above, below, out=np.full(np.shape(above), default), where=below > 0))


def _image_count(statistic: Statistic) -> int:
    part = statistic.precision if isinstance(statistic, F1) else statistic
    assert isinstance(part, (Ratio, CalibrationError))
    return len(part.cases)


def _samples(images: int) -> Iterator[Floats]:
    """Yield the weights of 1,000 bootstrap samples, always the same ones, in portions that fit into memory."""
    random = np.random.default_rng(_SEED)
    rows = max(1, _WEIGHTS_AT_ONCE // max(1, images))
    for start in range(0, _SAMPLES, rows):
        drawn = random.multinomial(images, np.full(images, 1 / images), size=min(rows, _SAMPLES - start))
        yield drawn.astype(float)


def _percentiles(values: Floats) -> tuple[float, float] | None:
    values = values[~np.isnan(values)]
    if not len(values):
        return None
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
