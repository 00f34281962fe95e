"""What is right, what is wrong and what nobody can judge."""

from __future__ import annotations

import pytest

from lumitag.domain import Label
from lumitag.evaluation.judging import Judge, JudgedImage, JudgedLabel
from lumitag.evaluation.truth import ImageTruth, TruthKind
from lumitag.evaluation.vocabulary import UnknownLabelError, Vocabulary
from tests.evaluation.small import TAXONOMY, label, recognition, subject, truth


def judged(
    vocabulary: Vocabulary,
    true: ImageTruth,
    *labels: Label,
    kind: TruthKind = TruthKind.SUBJECT,
    annotated: tuple[str, ...] = (),
) -> JudgedImage:
    return Judge(vocabulary, truth(kind, annotated), 50.0).judge("a.jpg", recognition(*labels), true)


def verdict(each: JudgedLabel) -> str:
    return "right" if each.is_right else "wrong" if each.is_judged else "not judged"


@pytest.mark.parametrize(
    ("kind", "annotated", "true", "said", "expected"),
    [
        (TruthKind.SUBJECT, (), "poodle", label("Poodle", 90), "right"),
        (TruthKind.SUBJECT, (), "poodle", label("Animal", 90), "right"),
        (TruthKind.SUBJECT, (), "dog", label("Beagle", 90), "right"),  # finer than the truth
        (TruthKind.SUBJECT, (), "poodle", label("Beagle", 90), "wrong"),
        (TruthKind.SUBJECT, (), "poodle", label("Person", 90, 90), "not judged"),  # another located object
        (TruthKind.SUBJECT, (), "poodle", label("Person", 90), "not judged"),  # the classifier never chooses it
        (TruthKind.SUBJECT, (), "poodle", label("Zebra", 90, 20), "wrong"),  # a box that nobody sees is no excuse
        (TruthKind.SUBJECT, (), "poodle", label("Zebra", 90, 60), "not judged"),
        (TruthKind.SUBJECT, (), "zebra", label("Zebra", 90, 60), "right"),
        (TruthKind.SUBJECT, (), "zebra", label("Kitchen", 90, concept="rekognition:Kitchen"), "not judged"),
        (TruthKind.COMPLETE, (), "poodle", label("Person", 90, 90), "wrong"),
        (TruthKind.COMPLETE, (), "poodle", label("Kitchen", 90, concept="rekognition:Kitchen"), "not judged"),
        (TruthKind.BOXES, ("dog", "person"), "dog", label("Poodle", 90), "right"),
        (TruthKind.BOXES, ("dog", "person"), "person", label("Poodle", 90), "wrong"),
        (TruthKind.BOXES, ("dog", "person"), "dog", label("Animal", 90), "right"),
        (TruthKind.BOXES, ("dog", "person"), "person", label("Animal", 90), "wrong"),
        (TruthKind.BOXES, ("dog", "person"), "person", label("Zebra", 90), "not judged"),
        (TruthKind.BOXES, ("dog", "person"), "person", label("Hat", 90), "not judged"),
    ],
)
def test_verdicts(kind: TruthKind, annotated: tuple[str, ...], true: str, said: Label, expected: str) -> None:
    [each] = judged(Vocabulary(TAXONOMY), subject(true), said, kind=kind, annotated=annotated).labels

    assert verdict(each) == expected


def test_what_is_broader_than_a_located_object_is_not_judged_either(vocabulary: Vocabulary) -> None:
    image = judged(vocabulary, subject("hat"), label("Zebra", 80, 80), label("Animal", 80))

    assert [verdict(each) for each in image.labels] == ["not judged", "not judged"]


def test_finer_is_told_apart(vocabulary: Vocabulary) -> None:
    image = judged(vocabulary, subject("dog"), label("Animal", 95), label("Dog", 90), label("Poodle", 80))

    assert [(each.name, each.is_finer, each.is_named) for each in image.labels] == [
        ("Animal", False, False),
        ("Dog", False, True),
        ("Poodle", True, True),
    ]


def test_a_label_of_another_vocabulary_is_placed_by_its_name_or_its_parents(vocabulary: Vocabulary) -> None:
    by_alias = label("poodle ALIAS", 90, concept="rekognition:x")
    by_parent = label("Golden Retriever", 90, concept="rekognition:y", parents=("Dog", "Nothing We Know"))

    assert vocabulary.place(by_alias) == ("poodle", frozenset({"dog", "animal"}))
    assert vocabulary.place(by_parent) == ("name:Golden Retriever", frozenset({"dog", "animal"}))
    assert vocabulary.name("name:Golden Retriever") == "Golden Retriever"


def test_leaves_and_the_top_class(vocabulary: Vocabulary) -> None:
    image = judged(vocabulary, subject("dog"), label("Animal", 95), label("Dog", 90), label("Poodle", 20))

    assert [each.name for each in image.leaves()] == ["Poodle"]
    assert [each.name for each in image.leaves(50)] == ["Dog"]
    assert (top := image.top_class()) is not None
    assert top.name == "Poodle"
    assert judged(vocabulary, subject("dog")).top_class() is None


@pytest.mark.parametrize(("text", "found"), [(" zebra ", "zebra"), ("ZEBRA", "zebra"), ("Hat Alias", "hat")])
def test_names_aliases_and_ids_are_found(vocabulary: Vocabulary, text: str, found: str) -> None:
    assert vocabulary.find(text) == found


def test_what_is_not_found_is_explained(vocabulary: Vocabulary) -> None:
    with pytest.raises(UnknownLabelError, match=r'"Zebbra" is no label of the vocabulary\. Did you mean Zebra'):
        vocabulary.find("Zebbra")
    with pytest.raises(UnknownLabelError, match=r'"twice" means several labels\. Write the id of one: animal, dog'):
        vocabulary.find("twice")
    with pytest.raises(UnknownLabelError, match="99 is no class"):
        vocabulary.find_class(99)


def test_categories_of_coco_are_known_by_name(vocabulary: Vocabulary) -> None:
    assert vocabulary.find_category("dog") == "dog"
    assert vocabulary.find_category("Hat") == "hat"  # no category of COCO, but a label
