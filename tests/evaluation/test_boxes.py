"""Average precision agrees with what one can work out by hand."""

from __future__ import annotations

import pytest

from lumitag.domain import BoundingBox, Instance, Label, Recognition
from lumitag.evaluation.boxes import BoxFigures, measure_boxes
from lumitag.evaluation.truth import ImageTruth, TrueBox
from lumitag.evaluation.vocabulary import Vocabulary

SQUARE = (10.0, 10.0, 40.0, 40.0)
ELSEWHERE = (60.0, 60.0, 20.0, 20.0)


def found(concept: str, *boxes: tuple[tuple[float, float, float, float], float]) -> Label:
    instances = tuple(Instance(BoundingBox(*(side / 100 for side in box)), confidence) for box, confidence in boxes)
    return Label(concept.title(), concept, max(confidence for _, confidence in boxes), (), (), (), instances)


def measured(
    vocabulary: Vocabulary,
    boxes: list[tuple[str, tuple[float, float, float, float]]],
    *labels: Label,
    crowd: bool = False,
) -> BoxFigures:
    true = tuple(TrueBox(concept, box, box[2] * box[3], crowd) for concept, box in boxes)
    truths = {"a.jpg": ImageTruth(frozenset(concept for concept, _ in boxes), true, 100, 100)}
    recognitions = {"a.jpg": Recognition(labels, 100, 100, "embedded", "1")}
    return measure_boxes(vocabulary, truths, ["dog", "person"], recognitions)


def test_every_box_exactly_found_is_perfect(vocabulary: Vocabulary) -> None:
    figures = measured(vocabulary, [("dog", SQUARE)], found("dog", (SQUARE, 90)))

    assert (figures.ap, figures.ap50, figures.ar100) == pytest.approx((1, 1, 1))
    assert (figures.true_boxes, figures.found_boxes, figures.categories, figures.outside) == (1, 1, 1, 0)


def test_a_shifted_box_counts_up_to_its_overlap(vocabulary: Vocabulary) -> None:
    """Shifted by 7.5 of 40 it shares 32.5 / 47.5 = 0.684: right at 0.50, 0.55, 0.60 and 0.65, four of ten overlaps."""
    figures = measured(vocabulary, [("dog", SQUARE)], found("dog", ((17.5, 10, 40, 40), 90)))

    assert (figures.ap, figures.ap50) == pytest.approx((0.4, 1))


def test_a_more_confident_wrong_box_halves_precision(vocabulary: Vocabulary) -> None:
    figures = measured(vocabulary, [("dog", SQUARE)], found("dog", (ELSEWHERE, 95), (SQUARE, 90)))

    assert figures.ap50 == pytest.approx(0.5)


def test_categories_count_the_same(vocabulary: Vocabulary) -> None:
    figures = measured(vocabulary, [("dog", SQUARE), ("person", ELSEWHERE)], found("dog", (SQUARE, 90)))

    assert figures.ap == pytest.approx(0.5)


def test_a_box_of_something_finer_counts_for_the_category_and_once(vocabulary: Vocabulary) -> None:
    both = measured(vocabulary, [("dog", SQUARE)], found("dog", (SQUARE, 90)), found("poodle", (SQUARE, 80)))
    finer = measured(vocabulary, [("dog", SQUARE)], found("poodle", (SQUARE, 80)))

    assert (both.found_boxes, finer.found_boxes) == (1, 1)
    assert (both.ap, finer.ap) == pytest.approx((1, 1))


def test_a_crowd_is_neither_right_nor_wrong(vocabulary: Vocabulary) -> None:
    figures = measured(vocabulary, [("dog", SQUARE)], found("dog", (SQUARE, 90)), crowd=True)

    assert (figures.ap, figures.true_boxes) == (None, 0)


def test_nothing_found_is_zero(vocabulary: Vocabulary) -> None:
    assert measured(vocabulary, [("dog", SQUARE)]).ap == 0


def test_boxes_beyond_the_image_and_other_sizes_are_told(vocabulary: Vocabulary) -> None:
    label = found("dog", ((90, 90, 20, 20), 90))
    truths = {"a.jpg": ImageTruth(frozenset(["dog"]), (TrueBox("dog", SQUARE, 1600, False),), 100, 100)}

    figures = measure_boxes(vocabulary, truths, ["dog"], {"a.jpg": Recognition((label,), 50, 100, "embedded", "1")})

    assert (figures.outside, figures.other_size) == (1, 1)
