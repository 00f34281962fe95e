"""What the networks say becomes a confidence that can be believed."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumitag.recognition.confidence import least_score, pool, softmax, weigh
from lumitag.recognition.detections import Detections
from lumitag.recognition.taxonomy import Taxonomy

PERSON, BIRD, SANDWICH, DOG = 1, 16, 54, 18
BRAMBLING, GOLDEN_RETRIEVER, WEEVIL = 10, 207, 307
WHOLE = (0.0, 0.0, 1.0, 1.0)
SMALL = (0.4, 0.4, 0.5, 0.5)

Box = tuple[float, float, float, float]
shares = st.floats(0.0, 1.0)
scores = st.floats(0.01, 0.99)


def boxes(*found: tuple[int, float, Box]) -> Detections:
    return Detections(
        boxes=np.array([box for *_, box in found], np.float32).reshape(-1, 4),
        scores=np.array([score for _, score, _ in found], np.float32),
        classes=np.array([category for category, *_ in found], np.int64),
    )


def sure_of(index: int, probability: float = 1.0) -> np.ndarray:
    probabilities = np.full(1000, (1 - probability) / 999)
    probabilities[index] = probability
    return probabilities


def weighed(taxonomy: Taxonomy, category: int, score: float, box: Box, opinion: np.ndarray) -> float:
    return float(weigh(boxes((category, score, box)), taxonomy, opinion).scores[0])


def test_a_box_that_the_classifier_cannot_explain_is_hardly_believed(taxonomy: Taxonomy) -> None:
    assert weighed(taxonomy, SANDWICH, 0.89, (0.1, 0.1, 0.9, 0.9), sure_of(WEEVIL)) < 0.35


def test_a_box_that_the_classifier_agrees_with_is_believed(taxonomy: Taxonomy) -> None:
    assert weighed(taxonomy, BIRD, 0.5, WHOLE, sure_of(BRAMBLING)) == pytest.approx(0.711, abs=0.001)
    assert weighed(taxonomy, DOG, 0.5, WHOLE, sure_of(GOLDEN_RETRIEVER)) == pytest.approx(0.711, abs=0.001)


def test_a_person_may_stand_beside_anything(taxonomy: Taxonomy) -> None:
    assert weighed(taxonomy, PERSON, 0.5, WHOLE, sure_of(WEEVIL)) == pytest.approx(0.711, abs=0.001)


def test_a_category_that_is_no_label_is_passed_through(taxonomy: Taxonomy) -> None:
    unused = 12
    assert weighed(taxonomy, unused, 0.5, WHOLE, sure_of(WEEVIL)) == pytest.approx(0.711, abs=0.001)


def test_nothing_found_is_nothing_weighed(taxonomy: Taxonomy) -> None:
    assert len(weigh(boxes(), taxonomy, sure_of(WEEVIL)).scores) == 0


def test_certainty_stays_a_number(taxonomy: Taxonomy) -> None:
    found = weigh(boxes((DOG, 1.0, WHOLE), (DOG, 0.0, WHOLE)), taxonomy, sure_of(WEEVIL))
    assert np.all(np.isfinite(found.scores))


def test_the_best_believed_comes_first_with_its_box_and_its_class(taxonomy: Taxonomy) -> None:
    found = weigh(boxes((SANDWICH, 0.9, WHOLE), (PERSON, 0.6, SMALL)), taxonomy, sure_of(WEEVIL))

    assert found.classes.tolist() == [PERSON, SANDWICH]
    assert found.boxes[0] == pytest.approx(np.array(SMALL))


@given(st.tuples(scores, scores), st.tuples(shares, shares), st.tuples(shares, shares))
def test_more_score_less_doubt_and_a_smaller_box_are_never_less_believed(
    taxonomy: Taxonomy, two_scores: tuple[float, float], doubts: tuple[float, float], sides: tuple[float, float]
) -> None:
    (low, high), (sure, unsure), (small, large) = (sorted(pair) for pair in (two_scores, doubts, sides))
    worst = weighed(taxonomy, SANDWICH, low, (0, 0, large, large), sure_of(WEEVIL, unsure))
    best = weighed(taxonomy, SANDWICH, high, (0, 0, small, small), sure_of(WEEVIL, sure))
    assert worst <= best + 1e-6


@given(scores)
def test_no_box_that_could_reach_a_confidence_is_left_out_before(taxonomy: Taxonomy, confidence: float) -> None:
    reached = weighed(taxonomy, PERSON, least_score(confidence), WHOLE, sure_of(WEEVIL))
    assert reached == pytest.approx(confidence, abs=1e-4)


def test_softmax_adds_up_to_one_and_sharpens_below_a_temperature_of_one() -> None:
    logits = np.array([1000.0, 999.0, 0.0], np.float32)
    plain, sharp = softmax(logits, 1.0), softmax(logits, 0.5)

    assert plain.sum() == pytest.approx(1)
    assert plain[0] == pytest.approx(1 / (1 + np.exp(-1)))
    assert sharp[0] == pytest.approx(1 / (1 + np.exp(-2)))
    assert all(left >= right for left, right in itertools.pairwise(sharp))


@given(st.integers(0, 2**32 - 1), shares)
def test_two_looks_are_pooled_by_weight(seed: int, weight: float) -> None:
    first, second = np.random.default_rng(seed).dirichlet(np.full(10, 0.5), size=2)

    assert pool(first, second, 0) == pytest.approx(first)
    assert pool(first, second, 1) == pytest.approx(second)
    assert pool(first, second, weight) == pytest.approx(pool(second, first, 1 - weight))
    assert pool(first, second, weight).sum() == pytest.approx(1)
    assert pool(first, first, weight) == pytest.approx(first)
