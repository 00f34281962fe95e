"""Two recognizers, or two versions of one, on the same images: which differences matter."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from lumitag.evaluation.figures import Evaluation, Figure
from lumitag.evaluation.judging import JudgedImage, JudgedLabel
from lumitag.evaluation.statistics import paired_difference


@dataclass(frozen=True, eq=False)
class Difference:
    """One figure of both.

    Attributes:
        figure, other: the same figure of the one and of the other.
        interval: where 95 % of `figure - other` lie on images like these; None where it cannot be told.
    """

    figure: Figure
    other: Figure
    interval: tuple[float, float] | None

    @property
    def delta(self) -> float | None:
        """`figure - other`."""
        if self.figure.value is None or self.other.value is None:
            return None
        return self.figure.value - self.other.value

    @property
    def matters(self) -> bool:
        """Whether chance alone would rarely make such a difference: 0 is not in the interval."""
        return self.interval is not None and not self.interval[0] <= 0 <= self.interval[1]


@dataclass(frozen=True)
class Change:
    """An image whose top label is not the same. The labels are None where there is none."""

    image: JudgedImage
    label: JudgedLabel | None
    other: JudgedLabel | None


@dataclass(frozen=True, eq=False)
class Comparison:
    """The one and the other on the images that both could read, in the same order.

    Attributes:
        title, other_title: which recognizers.
        evaluation, other: what they made of the images.
        left_out: images that only one of them has.
    """

    title: str
    other_title: str
    evaluation: Evaluation
    other: Evaluation
    left_out: int

    @cached_property
    def differences(self) -> tuple[Difference, ...]:
        """Every figure side by side."""
        pairs = zip(self.evaluation.figures, self.other.figures, strict=True)
        return tuple(
            Difference(first, second, paired_difference(first.statistic, second.statistic)) for first, second in pairs
        )

    @cached_property
    def changes(self) -> tuple[Change, ...]:
        """The images whose top label is not the same, those where it matters first, then the surest."""
        changes = [
            Change(first, _top(first), _top(second))
            for first, second in zip(self.evaluation.images, self.other.images, strict=True)
            if _concept(_top(first)) != _concept(_top(second))
        ]
        return tuple(sorted(changes, key=_weight, reverse=True))

    @cached_property
    def agreement(self) -> Counter[str]:
        """How many images have a right top label with `both`, `one`, `other` or `neither`, and with the `same` one."""
        counts: Counter[str] = Counter(same=len(self.evaluation.images) - len(self.changes))
        names = {(True, True): "both", (True, False): "one", (False, True): "other", (False, False): "neither"}
        for first, second in zip(self.evaluation.images, self.other.images, strict=True):
            counts[names[_is_right(_top(first)), _is_right(_top(second))]] += 1
        return counts


def _top(image: JudgedImage) -> JudgedLabel | None:
    leaves = image.leaves()
    return leaves[0] if leaves else None


def _concept(label: JudgedLabel | None) -> str | None:
    return label.concept if label else None


def _is_right(label: JudgedLabel | None) -> bool:
    return label is not None and label.is_right


def _weight(change: Change) -> tuple[bool, float]:
    surest = max(label.confidence for label in (change.label, change.other) if label)
    return _is_right(change.label) != _is_right(change.other), surest
