"""The second look: only where the first left doubts, at most one, and never at the cost of the taxonomy's promises."""

from dataclasses import dataclass, field
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lumitag.recognition.classifier import Classifier
from lumitag.recognition.decode import Picture
from lumitag.recognition.second_look import look_again
from lumitag.recognition.taxonomy import Taxonomy
from tests.recognition.test_confidence import Box, boxes

PERSON, DOG, FRISBEE = 1, 18, 34
BORDER_COLLIE, GOLDEN_RETRIEVER, TENNIS_BALL = 232, 207, 852
LEFT_HALF = (0.0, 0.0, 0.5, 1.0)
TINY = (0.0, 0.0, 0.1, 0.1)
SIZE = (400, 300)


@dataclass
class Witness:
    """A classifier that says what it is told to say, and remembers what it was shown."""

    opinion: np.ndarray
    seen: list[tuple[int, int, bool]] = field(default_factory=list)

    def probabilities(self, picture: Picture, *, mirrored: bool = False) -> np.ndarray:
        self.seen.append((*picture.decoded_size, mirrored))
        return self.opinion


def opinion(**shares: float) -> np.ndarray:
    indices = {"collie": BORDER_COLLIE, "retriever": GOLDEN_RETRIEVER, "ball": TENNIS_BALL}
    probabilities = np.full(1000, (1 - sum(shares.values())) / 997)
    for name, index in indices.items():
        probabilities[index] = shares.get(name, probabilities[index])
    return probabilities


def look(taxonomy: Taxonomy, witness: Witness, first: np.ndarray, *found: tuple[int, float, Box]) -> dict[str, float]:
    picture = Picture(Image.new("RGB", SIZE), 1, *SIZE)
    concepts = look_again(cast(Classifier, witness), taxonomy, picture, first, boxes(*found))
    return {concept.name: float(share) for concept, share in zip(taxonomy.concepts, concepts, strict=True)}


def test_whoever_is_sure_does_not_look_again(taxonomy: Taxonomy) -> None:
    witness = Witness(opinion(ball=1.0))

    concepts = look(taxonomy, witness, opinion(retriever=0.7), (DOG, 0.9, LEFT_HALF))

    assert witness.seen == []
    assert concepts["Golden Retriever"] == 0.7


def test_an_unsure_picture_is_seen_in_a_mirror(taxonomy: Taxonomy) -> None:
    witness = Witness(opinion(retriever=0.8, collie=0.1))

    concepts = look(taxonomy, witness, opinion(retriever=0.45, collie=0.4))

    assert witness.seen == [(*SIZE, True)]
    assert 0.6 < concepts["Golden Retriever"] < 0.8
    assert concepts["Border Collie"] < 0.3


def test_between_sure_and_unsure_the_mirror_counts_in_part(taxonomy: Taxonomy) -> None:
    """So a label does not jump when a picture is saved a little differently."""
    firsts = [opinion(retriever=share) for share in np.linspace(0.4, 0.75, 141)]
    shares = [look(taxonomy, Witness(opinion(ball=0.9)), first)["Golden Retriever"] for first in firsts]

    assert max(abs(np.diff(shares))) < 0.03


def test_a_picture_that_says_nothing_is_not_seen_again(taxonomy: Taxonomy) -> None:
    witness = Witness(opinion(ball=1.0))
    look(taxonomy, witness, opinion(retriever=0.39))
    assert witness.seen == []


def test_the_kind_of_a_found_dog_is_told_from_its_box(taxonomy: Taxonomy) -> None:
    witness = Witness(opinion(collie=0.8, ball=0.15))

    concepts = look(taxonomy, witness, opinion(ball=0.1), (DOG, 0.9, LEFT_HALF))

    assert witness.seen == [(220, 300, False)]  # the half and a margin of a twentieth of its height, all in the picture
    assert concepts["Border Collie"] == pytest.approx(0.8, abs=0.01)
    assert concepts["Dog"] > 0.8
    assert concepts["Tennis Ball"] == pytest.approx(0.1), "what else is in the box does not count"


@pytest.mark.parametrize(
    "found",
    [
        pytest.param((DOG, 0.9, TINY), id="too small to tell"),
        pytest.param((DOG, 0.69, LEFT_HALF), id="not sure enough"),
        pytest.param((FRISBEE, 0.9, LEFT_HALF), id="has no kinds"),
        pytest.param((PERSON, 0.9, LEFT_HALF), id="a person is a person"),
        pytest.param((12, 0.9, LEFT_HALF), id="is no label"),
    ],
)
def test_other_boxes_are_not_looked_into(taxonomy: Taxonomy, found: tuple[int, float, Box]) -> None:
    witness = Witness(opinion(collie=0.5))
    look(taxonomy, witness, opinion(retriever=0.45), found)
    assert witness.seen == [(*SIZE, True)]


def test_the_surest_box_with_kinds_is_the_one(taxonomy: Taxonomy) -> None:
    witness = Witness(opinion(collie=0.5))
    look(
        taxonomy,
        witness,
        opinion(),
        (FRISBEE, 0.95, LEFT_HALF),
        (DOG, 0.9, (0.5, 0.0, 1.0, 0.5)),
        (DOG, 0.8, LEFT_HALF),
    )
    assert [seen[1] for seen in witness.seen] == [158]  # half the height and a margin of a fortieth


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.sampled_from([DOG, PERSON, 3, 16, 85]), st.floats(0.7, 1))
def test_no_kind_is_surer_than_what_it_is_a_kind_of(taxonomy: Taxonomy, seed: int, category: int, score: float) -> None:
    first, second = np.random.default_rng(seed).dirichlet(np.full(1000, 0.004), size=2)

    concepts = look(taxonomy, Witness(second), first, (category, score, LEFT_HALF))

    for position, concept in enumerate(taxonomy.concepts):
        for parent in taxonomy.parents[position]:
            assert concepts[taxonomy.concepts[parent].name] >= concepts[concept.name] - 1e-9
