"""Two opinions become one list of labels, and its promises hold whatever the models say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lumitag.domain import BoundingBox, Label
from lumitag.recognition.detections import Detections
from lumitag.recognition.fusion import fuse, to_bounding_box
from lumitag.recognition.taxonomy import Taxonomy

GOLDEN_RETRIEVER, EGYPTIAN_CAT, BANANA = 207, 285, 954
NOTHING = np.zeros(1000)


def detections(*found: tuple[int, float, tuple[float, float, float, float]]) -> Detections:
    return Detections(
        boxes=np.array([box for *_, box in found], np.float32).reshape(-1, 4),
        scores=np.array([score for _, score, _ in found], np.float32),
        classes=np.array([category for category, *_ in found], np.int64),
    )


def certain(index: int) -> np.ndarray:
    probabilities = np.zeros(1000)
    probabilities[index] = 1
    return probabilities


def by_name(labels: tuple[Label, ...]) -> dict[str, Label]:
    return {label.name: label for label in labels}


BOX = (0.25, 0.25, 0.75, 1.0)


def test_the_classifier_alone_gives_labels_without_instances(taxonomy: Taxonomy) -> None:
    labels = fuse(taxonomy, taxonomy.roll_up(certain(GOLDEN_RETRIEVER)), detections(), 30)

    assert [label.name for label in labels] == [
        *("Animal", "Canine", "Dog", "Golden Retriever", "Mammal", "Pet", "Retriever"),
    ]
    assert {label.confidence for label in labels} == {100.0}
    assert all(label.instances == () for label in labels)


def test_the_detector_alone_gives_a_label_with_instances_and_all_parents(taxonomy: Taxonomy) -> None:
    labels = fuse(taxonomy, taxonomy.roll_up(NOTHING), detections((17, 0.8, BOX), (17, 0.6, (0, 0, 0.1, 0.1))), 45)

    found = by_name(labels)
    assert set(found) == {"Animal", "Feline", "Mammal", "Pet", "Cat"}
    assert [instance.confidence for instance in found["Cat"].instances] == [80.0, 60.0]
    assert found["Cat"].instances[0].bounding_box == BoundingBox(0.25, 0.25, 0.5, 0.75)
    assert found["Animal"].instances == ()


def test_two_witnesses_of_one_concept_are_wrong_only_if_both_are(taxonomy: Taxonomy) -> None:
    found = by_name(fuse(taxonomy, taxonomy.roll_up(certain(BANANA) * 0.9), detections((52, 0.5, BOX)), 30))

    assert found["Banana"].confidence == found["Fruit"].confidence == pytest.approx(95)  # 1 - 0.1 * 0.5
    assert [instance.confidence for instance in found["Banana"].instances] == [50.0]


def test_two_things_of_one_kind_are_two_witnesses_of_that_kind(taxonomy: Taxonomy) -> None:
    found = by_name(fuse(taxonomy, taxonomy.roll_up(np.zeros(1000)), detections((17, 0.6, BOX), (18, 0.5, BOX)), 30))

    assert (found["Cat"].confidence, found["Dog"].confidence) == (60, 50)
    assert found["Pet"].confidence == pytest.approx(80)  # 1 - 0.4 * 0.5


def test_several_boxes_of_one_concept_are_as_sure_as_the_surest(taxonomy: Taxonomy) -> None:
    """The same thing is often found twice, so its boxes do not add up."""
    found = by_name(fuse(taxonomy, taxonomy.roll_up(np.zeros(1000)), detections((17, 0.6, BOX), (17, 0.5, BOX)), 30))

    assert found["Cat"].confidence == 60


def test_a_faint_box_adds_nothing_to_another_opinion(taxonomy: Taxonomy) -> None:
    faint, without = (
        fuse(taxonomy, taxonomy.roll_up(certain(BANANA) * 0.5), boxes, 1)
        for boxes in (detections((52, 0.29, BOX)), detections())
    )

    assert [(label.name, label.confidence) for label in faint] == [(label.name, label.confidence) for label in without]
    assert by_name(faint)["Banana"].instances != ()


@pytest.mark.parametrize("floor", [1.0, 10.0, 45.0, 60.0])
def test_what_is_shown_does_not_change_what_it_is_worth(taxonomy: Taxonomy, floor: float) -> None:
    found = detections((17, 0.6, BOX), (18, 0.4, BOX), (52, 0.2, BOX))
    usual = fuse(taxonomy, taxonomy.roll_up(certain(BANANA) * 0.5), found, 30)
    labels = fuse(taxonomy, taxonomy.roll_up(certain(BANANA) * 0.5), found, floor)

    assert {label.name: label.confidence for label in usual if label.confidence >= floor} == {
        label.name: label.confidence for label in labels if label.confidence >= 30
    }


def test_a_breed_keeps_the_instances_on_the_dog(taxonomy: Taxonomy) -> None:
    found = by_name(fuse(taxonomy, taxonomy.roll_up(certain(GOLDEN_RETRIEVER)), detections((18, 0.9, BOX)), 30))

    assert len(found["Dog"].instances) == 1
    assert found["Golden Retriever"].instances == ()


def test_what_is_below_the_floor_is_left_out(taxonomy: Taxonomy) -> None:
    found = by_name(
        fuse(taxonomy, taxonomy.roll_up(NOTHING), detections((1, 0.7, BOX), (1, 0.4, BOX), (3, 0.59, BOX)), 60)
    )

    assert list(found) == ["Person"]
    assert len(found["Person"].instances) == 1


@pytest.mark.parametrize("unused", [12, 26, 29, 30, 45, 66, 68, 69, 71, 83])
def test_numbers_that_coco_does_not_use_are_ignored(taxonomy: Taxonomy, unused: int) -> None:
    assert fuse(taxonomy, taxonomy.roll_up(NOTHING), detections((unused, 0.9, BOX)), 45) == ()


def test_a_box_without_an_area_is_no_instance(taxonomy: Taxonomy) -> None:
    assert fuse(taxonomy, taxonomy.roll_up(NOTHING), detections((1, 0.9, (0.5, 0.5, 0.5, 0.9))), 45) == ()


def test_a_label_carries_names_of_parents_aliases_and_categories(taxonomy: Taxonomy) -> None:
    dog = by_name(fuse(taxonomy, taxonomy.roll_up(certain(GOLDEN_RETRIEVER)), detections(), 30))["Dog"]

    assert dog.concept == "n02084071"
    assert dog.parents == ("Canine", "Mammal", "Pet", "Animal"), "the nearest first"
    assert "Domestic Dog" in dog.aliases
    assert dog.categories == ("Animals and Pets",)


boxes = st.tuples(*[st.floats(-0.5, 1.5)] * 4)
anything = st.lists(st.tuples(st.integers(1, 90), st.floats(0.3, 1), boxes), max_size=6)


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), anything)
def test_the_promises_hold_for_any_opinions(
    taxonomy: Taxonomy, seed: int, found: list[tuple[int, float, tuple[float, float, float, float]]]
) -> None:
    probabilities = np.random.default_rng(seed).dirichlet(np.full(1000, 0.005))
    best_first = sorted(found, key=lambda box: -box[1])
    labels = fuse(taxonomy, taxonomy.roll_up(probabilities), detections(*best_first), 30)
    confidences = {label.name: label.confidence for label in labels}

    assert len(confidences) == len(labels)
    assert [(-label.confidence, label.name) for label in labels] == sorted(
        (-label.confidence, label.name) for label in labels
    )
    for label in labels:
        assert 30 <= label.confidence <= 100
        assert round(label.confidence, 2) == label.confidence
        assert all(confidences[parent] >= label.confidence for parent in label.parents)
        assert all(instance.confidence <= label.confidence for instance in label.instances)


@given(boxes)
def test_boxes_lie_inside_the_picture_on_a_grid(corners: tuple[float, float, float, float]) -> None:
    box = to_bounding_box(*corners)

    if box is not None:
        assert 0 <= box.left <= box.left + box.width <= 1
        assert 0 <= box.top <= box.top + box.height <= 1
        assert box.width > 0
        assert box.height > 0
        assert all(round(side, 5) == side for side in (box.left, box.top, box.width, box.height))


def test_a_box_that_ends_at_the_edge_ends_inside_in_binary_fractions_as_well() -> None:
    """0.1 + 0.2 is more than 0.3 in binary; here every pair is tried, and a few through the function."""
    lefts = np.arange(100_001)
    assert (lefts / 100_000 + (100_000 - lefts) / 100_000).max() == 1

    for left in range(0, 100_000, 101):
        box = to_bounding_box(left / 100_000, 0, 1, 1)
        assert box is not None
        assert box.left + box.width <= 1
