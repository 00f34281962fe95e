"""The taxonomy is a tree without holes, and probabilities add up in it."""

import json
from collections import Counter
from importlib import resources

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lumitag.recognition.taxonomy import Concept, Taxonomy

# Amazon Rekognition's names, as far as a concept of ours needs them.
CATEGORIES = {
    "Animals and Pets",
    "Apparel and Accessories",
    "Beauty and Personal Care",
    "Buildings and Architecture",
    "Events and Attractions",
    "Everyday Objects",
    "Food and Beverage",
    "Furniture and Furnishings",
    "Health and Fitness",
    "Hobbies and Interests",
    "Home and Indoors",
    "Home Appliances",
    "Industrial",
    "Kitchen and Dining",
    "Medical",
    "Nature and Outdoors",
    "Offices and Workspaces",
    "Person Description",
    "Plants and Flowers",
    "Public Safety",
    "Sports",
    "Technology and Computing",
    "Text and Documents",
    "Tools and Machinery",
    "Toys and Gaming",
    "Transport and Logistics",
    "Vehicles and Automotive",
    "Weapons and Military",
}


def by_name(taxonomy: Taxonomy, name: str) -> Concept:
    return next(concept for concept in taxonomy.concepts if concept.name == name)


def parent_names(taxonomy: Taxonomy, name: str) -> set[str]:
    concept = by_name(taxonomy, name)
    return {taxonomy.concepts[position].name for position in taxonomy.parents[taxonomy.positions[concept.id]]}


def test_every_class_of_both_models_is_exactly_one_concept(taxonomy: Taxonomy) -> None:
    classes = Counter(number for concept in taxonomy.concepts for number in concept.classes)
    coco = Counter(number for concept in taxonomy.concepts for number in concept.coco)

    assert classes == Counter(range(1000))
    assert len(coco) == coco.total() == 80


def test_ids_and_names_are_unique(taxonomy: Taxonomy) -> None:
    assert len({concept.id for concept in taxonomy.concepts}) == len(taxonomy.concepts)
    assert len({concept.name.casefold() for concept in taxonomy.concepts}) == len(taxonomy.concepts)


def test_an_alias_is_the_name_of_no_other_concept(taxonomy: Taxonomy) -> None:
    names = Counter(name.casefold() for concept in taxonomy.concepts for name in (concept.name, *concept.aliases))

    assert [name for name, count in names.items() if count > 1] == []


def test_parents_exist_are_complete_and_never_go_round(taxonomy: Taxonomy) -> None:
    parents = {concept.id: set(concept.parents) for concept in taxonomy.concepts}

    for concept in taxonomy.concepts:
        assert parents[concept.id] <= parents.keys()
        assert concept.id not in parents[concept.id]
        assert parents[concept.id] >= set().union(*(parents[parent] for parent in parents[concept.id]))


def test_every_concept_stands_on_a_known_shelf(taxonomy: Taxonomy) -> None:
    for concept in taxonomy.concepts:
        assert concept.categories
        assert set(concept.categories) <= CATEGORIES


def test_names_are_written_as_people_write_them(taxonomy: Taxonomy) -> None:
    for concept in taxonomy.concepts:
        assert concept.name[0].isupper() or concept.name[0].isdigit(), concept.name
        assert "_" not in concept.name
        assert len(concept.name) < 35
        assert concept.name == concept.name.strip()


@pytest.mark.parametrize(
    ("name", "parents"),
    [
        ("Dog", {"Animal", "Canine", "Mammal", "Pet"}),
        ("Golden Retriever", {"Animal", "Canine", "Dog", "Mammal", "Pet"}),
        ("Polar Bear", {"Animal", "Bear", "Mammal"}),
        ("Lynx", {"Animal", "Feline", "Mammal"}),
        ("Car", {"Transportation", "Vehicle"}),
        ("Pizza", {"Dish", "Food"}),
        ("TV", {"Electronics", "Screen"}),
        ("Missile", {"Weapon"}),
        ("Menu", set()),
    ],
)
def test_parents_are_what_people_would_say(taxonomy: Taxonomy, name: str, parents: set[str]) -> None:
    assert parent_names(taxonomy, name) == parents


def test_the_same_thing_in_both_models_is_one_concept(taxonomy: Taxonomy) -> None:
    dog, cup = by_name(taxonomy, "Dog"), by_name(taxonomy, "Cup")

    assert (dog.id, dog.coco) == ("n02084071", (18,))
    assert (cup.classes, cup.coco) == ((968,), (47,))


def test_the_file_has_one_concept_a_line() -> None:
    lines = (resources.files("lumitag.recognition") / "taxonomy.json").read_text(encoding="utf-8").splitlines()

    assert (lines[0], lines[-1]) == ("[", "]")
    assert [json.loads(line.rstrip(","))["concept"] for line in lines[1:-1]] == sorted(
        json.loads(line.rstrip(","))["concept"] for line in lines[1:-1]
    )


def test_a_dog_is_the_sum_of_its_breeds(taxonomy: Taxonomy) -> None:
    probabilities = np.zeros(1000)
    probabilities[[151, 207, 268]] = 0.3  # Chihuahua, Golden Retriever, Mexican Hairless Dog
    probabilities[285] = 0.1  # Egyptian Cat
    rolled = taxonomy.roll_up(probabilities)

    expected = {"Dog": 0.9, "Canine": 0.9, "Cat": 0.1, "Pet": 1.0, "Animal": 1.0, "Chihuahua": 0.3, "Vehicle": 0.0}
    assert {
        name: pytest.approx(rolled[taxonomy.positions[by_name(taxonomy, name).id]]) for name in expected
    } == expected


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_a_parent_is_never_less_likely_than_its_child(taxonomy: Taxonomy, seed: int) -> None:
    rolled = taxonomy.roll_up(np.random.default_rng(seed).dirichlet(np.full(1000, 0.01)))

    assert rolled.min() >= 0
    assert rolled.max() <= 1
    for position, parents in enumerate(taxonomy.parents):
        assert all(rolled[parent] >= rolled[position] - 1e-12 for parent in parents)
