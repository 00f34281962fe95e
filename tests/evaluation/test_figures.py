"""Every figure against a number computed by hand, and what must hold for any recognizer."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lumitag.domain import Label, Recognition
from lumitag.evaluation.comparison import Comparison
from lumitag.evaluation.figures import Evaluation
from lumitag.evaluation.mistakes import worst_missed, worst_wrong
from lumitag.evaluation.statistics import BINS, CalibrationError, Ratio, bootstrap_interval, value_of, wilson
from lumitag.evaluation.truth import ImageTruth, TruthKind
from tests.evaluation.small import NAMES, evaluation, label, recognition, subject

DOG_SHOW = (
    (subject("poodle"), recognition(label("Animal", 99), label("Dog", 98), label("Poodle", 80), label("Beagle", 10))),
    (subject("poodle"), recognition(label("Animal", 90), label("Dog", 90), label("Beagle", 60), label("Poodle", 40))),
    (subject("zebra"), recognition(label("Person", 95, 95), label("Animal", 45), label("Zebra", 40))),
    (subject("hat"), recognition()),
)


@pytest.mark.parametrize(
    ("name", "hits", "cases"),
    [
        ("topLeaf", 1, 4),  # Poodle; Beagle; Person; nothing
        ("topLeafStored", 1, 4),
        ("topClass", 2, 4),  # Poodle; Beagle; Zebra; nothing
        ("subjectNamed", 2, 4),  # the second by its parents alone
        ("precision", 5, 6),  # only Beagle 60 is wrong; Person is not judged
        ("leafPrecision", 1, 2),  # Poodle right, Beagle wrong, Person not judged
        ("parentPrecision", 4, 4),
        ("recall", 1, 4),
        ("notJudged", 1, 7),
        ("finer", 0, 7),
        ("strictPrecision", 5, 7),
        ("strictLeafPrecision", 1, 3),
        ("strictParentPrecision", 4, 4),
    ],
)
def test_figures_by_hand(name: str, hits: int, cases: int) -> None:
    figure = evaluation(*DOG_SHOW).figure(name)

    assert figure.value == hits / cases
    assert figure.count == f"{hits} of {cases}"


def test_f1_and_the_number_of_labels_by_hand() -> None:
    dog_show = evaluation(*DOG_SHOW)

    assert dog_show.figure("f1").value == pytest.approx(2 * (5 / 6) * (1 / 4) / (5 / 6 + 1 / 4))
    assert dog_show.figure("shownPerImage").value == 7 / 4


def test_calibration_error_by_hand() -> None:
    """Judged from 30 % on: 99 98 80 right; 90 90 right, 60 wrong, 40 right; 45 40 right.

    Bins: 40 to 50 has 40, 45, 40, all right: |1.25 - 3|; 60 to 70: |0.6 - 0|; 80 to 90: |0.8 - 1|;
    90 to 100: |3.77 - 4|. Nine labels.
    """
    assert evaluation(*DOG_SHOW).figure("eceStored").value == pytest.approx((1.75 + 0.6 + 0.2 + 0.23) / 9)


def test_curve_by_hand() -> None:
    points = {point.threshold: point for point in evaluation(*DOG_SHOW).curve}

    assert (points[95].precision, points[95].recall) == (1, 0)
    assert (points[40].precision, points[40].recall) == (8 / 9, 3 / 4)
    assert points[10].judged == 10
    assert points[50].f1 == evaluation(*DOG_SHOW).figure("f1").value


def test_figures_of_labels_by_hand() -> None:
    found = {each.name: each for each in evaluation(*DOG_SHOW).labels}

    assert (found["Poodle"].precision, found["Poodle"].recall, found["Poodle"].support) == (1, 0.5, 2)
    assert (found["Beagle"].precision, found["Beagle"].recall) == (0, None)
    assert (found["Animal"].support, found["Animal"].found) == (3, 2)
    assert found["Hat"].precision is None


def test_mistakes_are_the_finest_and_the_surest() -> None:
    images = evaluation(*DOG_SHOW, (subject("hat"), recognition(label("Animal", 99), label("Dog", 70)))).images

    assert [(each.image.file, each.concept) for each in worst_wrong(images, 50, 9)] == [
        ("4.jpg", "dog"),
        ("1.jpg", "beagle"),
    ]
    assert [each.image.file for each in worst_missed(images, 50, 9)] == ["3.jpg", "4.jpg", "1.jpg", "2.jpg"]


def test_what_two_runs_differ_in() -> None:
    better = (DOG_SHOW[0], (subject("poodle"), DOG_SHOW[0][1]), *DOG_SHOW[2:])
    comparison = Comparison("new", "old", evaluation(*better), evaluation(*DOG_SHOW), 0)
    by_name = {each.figure.id: each for each in comparison.differences}

    assert by_name["recall"].delta == 0.25
    assert by_name["recall"].interval is not None
    assert by_name["recall"].interval[0] <= 0.25 <= by_name["recall"].interval[1]
    assert not by_name["recall"].matters  # one image of four
    assert [change.image.file for change in comparison.changes] == ["1.jpg"]
    assert comparison.agreement == {"same": 3, "both": 1, "one": 1, "neither": 2}


def test_a_difference_on_every_image_matters() -> None:
    good = [(subject("zebra"), recognition(label("Zebra", 90)))] * 20
    bad = [(subject("zebra"), recognition(label("Hat", 90)))] * 20
    comparison = Comparison("new", "old", evaluation(*good), evaluation(*bad), 0)

    assert [each.delta for each in comparison.differences if each.figure.id == "precision" and each.matters] == [1.0]


def test_the_wilson_interval_is_the_published_one() -> None:
    """Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662; 0 of 20 gives 0 to 0.1611."""
    assert wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0.0, 20) == pytest.approx((0, 0.1611), abs=1e-4)
    assert wilson(None, 20) is None


def test_nothing_to_count_has_no_figure() -> None:
    empty = evaluation((subject("hat"), recognition()))

    assert empty.figure("precision").value is None
    assert empty.figure("precision").interval is None
    assert empty.figure("eceShown").value is None
    assert empty.figure("eceShown").interval is None
    assert empty.figure("f1").value == 0 or empty.figure("f1").value is None


def test_a_perfectly_calibrated_recognizer_has_no_error() -> None:
    random = np.random.default_rng(0)
    confidence = random.uniform(0, 1, 200_000)
    is_right = random.uniform(0, 1, 200_000) < confidence
    error = CalibrationError.of(np.arange(200_000), confidence, is_right, 200_000)

    assert value_of(error) == pytest.approx(0, abs=0.01)


def test_a_sure_and_always_wrong_recognizer_has_all_the_error() -> None:
    error = CalibrationError.of(np.zeros(3, np.intp), np.ones(3), np.zeros(3, bool), 1)

    assert value_of(error) == 1
    assert error.cases.shape == (1, BINS)


def test_the_bootstrap_agrees_with_the_normal_approximation() -> None:
    hits = np.repeat([1.0, 0.0], [300, 100])
    interval = bootstrap_interval(Ratio(hits, np.ones(400)))

    spread = 1.96 * math.sqrt(0.75 * 0.25 / 400)
    assert interval == pytest.approx((0.75 - spread, 0.75 + spread), abs=0.006)


CONCEPTS = st.sampled_from(sorted(NAMES))
LABELS = st.lists(
    st.tuples(CONCEPTS, st.floats(1, 100), st.lists(st.floats(1, 100), max_size=1)),
    max_size=6,
    unique_by=lambda x: x[0],
).map(lambda rows: recognition(*(label(NAMES[name], sure, *boxes) for name, sure, boxes in rows)))
IMAGES = st.lists(
    st.tuples(st.frozensets(CONCEPTS, min_size=1, max_size=3).map(ImageTruth), LABELS), min_size=1, max_size=6
)
KINDS = st.sampled_from([TruthKind.SUBJECT, TruthKind.COMPLETE, TruthKind.BOXES])


def values(each: Evaluation) -> dict[str, float | None]:
    return {figure.id: figure.value for figure in each.figures}


@settings(max_examples=60, deadline=None)
@given(images=IMAGES, kind=KINDS)
def test_figures_stay_within_their_bounds(images: list[tuple[ImageTruth, Recognition]], kind: TruthKind) -> None:
    measured = evaluation(*images, kind=kind, annotated=("dog", "person"))

    for figure in measured.figures:
        if figure.value is not None and figure.is_percent:
            assert -1e-9 <= figure.value <= 1 + 1e-9
            assert figure.interval is None or figure.interval[0] <= figure.interval[1]
    recalls = [point.recall for point in measured.curve if point.recall is not None]
    assert recalls == sorted(recalls, reverse=True)
    for name in ("precision", "leafPrecision", "parentPrecision"):
        shown, strict = measured.figure(name).value, measured.figure(f"strict{name[0].upper()}{name[1:]}").value
        assert shown is None or strict is None or strict <= shown + 1e-9


@settings(max_examples=40, deadline=None)
@given(images=IMAGES, kind=KINDS, data=st.data())
def test_the_order_of_images_and_labels_does_not_matter(
    images: list[tuple[ImageTruth, Recognition]], kind: TruthKind, data: st.DataObject
) -> None:
    shuffled = [
        (true, recognition(*data.draw(st.permutations(each.labels))))
        for true, each in data.draw(st.permutations(images))
    ]
    first, second = (values(evaluation(*each, kind=kind, annotated=("dog",))) for each in (images, shuffled))

    assert first == pytest.approx(second, nan_ok=True)


@settings(max_examples=40, deadline=None)
@given(truths=st.lists(st.frozensets(CONCEPTS, min_size=1, max_size=3), min_size=1, max_size=6), kind=KINDS)
def test_a_perfect_recognizer_is_perfect(truths: list[frozenset[str]], kind: TruthKind) -> None:
    images = [(ImageTruth(true), recognition(*map(_certain, sorted(true)))) for true in truths]
    measured = values(evaluation(*images, kind=kind, annotated=tuple(NAMES)))

    assert {measured[name] for name in ("precision", "strictPrecision", "recall", "f1")} == {1.0}
    assert measured["eceStored"] == 0


def _certain(name: str) -> Label:
    return label(NAMES[name], 100)
