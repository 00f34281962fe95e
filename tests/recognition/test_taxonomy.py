"""The taxonomy is a tree without holes, and probabilities add up in it."""

import json
import re
from collections import Counter
from importlib import resources

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lumitag.recognition.taxonomy import Concept, Taxonomy

# Amazon Rekognition's names of categories, as far as a concept of ours needs them.
CATEGORIES = {
    "Animals and Pets",
    "Apparel and Accessories",
    "Beauty and Personal Care",
    "Buildings and Architecture",
    "Education",
    "Events and Attractions",
    "Everyday Objects",
    "Food and Beverage",
    "Furniture and Furnishings",
    "Health and Fitness",
    "Hobbies and Interests",
    "Home and Indoors",
    "Home Appliances",
    "Kitchen and Dining",
    "Materials",
    "Medical",
    "Nature and Outdoors",
    "Offices and Workspaces",
    "Patterns and Shapes",
    "Performing Arts",
    "Person Description",
    "Plants and Flowers",
    "Public Safety",
    "Religion",
    "Sports",
    "Symbols and Flags",
    "Technology and Computing",
    "Text and Documents",
    "Tools and Machinery",
    "Toys and Gaming",
    "Transport and Logistics",
    "Travel and Adventure",
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


def test_the_parent_comes_before_the_grandparent(taxonomy: Taxonomy) -> None:
    parents = {concept.id: set(concept.parents) for concept in taxonomy.concepts}

    for concept in taxonomy.concepts:
        for place, parent in enumerate(concept.parents):
            assert parents[parent].isdisjoint(concept.parents[:place]), (concept.name, parent)


def test_parents_exist_are_complete_and_never_go_round(taxonomy: Taxonomy) -> None:
    parents = {concept.id: set(concept.parents) for concept in taxonomy.concepts}

    for concept in taxonomy.concepts:
        assert parents[concept.id] <= parents.keys()
        assert concept.id not in parents[concept.id]
        assert parents[concept.id] >= set().union(*(parents[parent] for parent in parents[concept.id]))


def test_every_concept_stands_on_a_known_shelf(taxonomy: Taxonomy) -> None:
    for concept in taxonomy.concepts:
        assert concept.categories
        assert len(set(concept.categories)) == len(concept.categories)

    assert {category for concept in taxonomy.concepts for category in concept.categories} == CATEGORIES


def test_names_are_written_as_people_write_them(taxonomy: Taxonomy) -> None:
    for concept in taxonomy.concepts:
        assert concept.name[0].isupper() or concept.name[0].isdigit(), concept.name
        assert "_" not in concept.name
        assert len(concept.name) < 35
        assert concept.name == concept.name.strip()


def test_names_fit_into_the_filters_of_amazon_rekognition(taxonomy: Taxonomy) -> None:
    """A filter of DetectLabels takes 50 of these characters. The brackets are those of Amazon's `Baseball (Ball)`."""
    for name in (name for concept in taxonomy.concepts for name in (concept.name, *concept.aliases)):
        assert re.fullmatch(r"[A-Za-z0-9àâèçñó'\-_(). ]{1,50}", name), name


# Amazon Rekognition's spelling of what others call otherwise: sea urchin, red panda, automated teller machine ...
SPELLED_AS_AMAZON = """
    Airedale, Atm, Bandage, Beach Wagon, Blow Dryer, Boston Bull, Bridegroom, Bullet Train, Cattle, Cd Player,
    Chest Of Drawers, Chow, Citrus Fruit, Clothes Iron, Coffee Cup, Coho, Comics, Computer Hardware, Couch, Crane Bird,
    Crawdad, Crib, Cricket Insect, Desktop, Dial Telephone, Donut, Egyptian Cat, File Binder, Gym Weights, Hair Slide,
    Half Track, Hand-Held Computer, Hippo, Horse Cart, Ice Hockey Puck, Ice Pop, Infant Bed, Ipod, Jack-o-lantern, Kart,
    Kite Bird, Lesser Panda, Limo, Mantis, Manhole, Medicine Chest, Microwave, Orca, Pc, Pitbull, Pop Bottle, Puffer,
    Rubber Eraser, Running Shoe, Rv, Saint Bernard, Shoe Shop, Siamese, Slot, Stopsign, Streetcar, Swimming Cap,
    T-Shirt, TV, Three-Toed Sloth, Totem, Trash Can, Trumpet, Tub, Urchin, Vault Ceiling, Washer, Webpage
"""


def test_names_are_spelled_as_amazon_rekognition_spells_them(taxonomy: Taxonomy) -> None:
    wanted = {name.strip() for name in SPELLED_AS_AMAZON.split(",")}
    names = {concept.name for concept in taxonomy.concepts}
    aliases = {alias for concept in taxonomy.concepts for alias in concept.aliases}

    assert wanted - names <= aliases & {"Beach Wagon"}  # Amazon has it and Station Wagon, which people know


@pytest.mark.parametrize(
    ("name", "parents"),
    [
        ("Dog", {"Animal", "Canine", "Mammal", "Pet"}),
        ("Golden Retriever", {"Animal", "Canine", "Dog", "Mammal", "Pet", "Retriever"}),
        ("Polar Bear", {"Animal", "Bear", "Mammal", "Wildlife"}),
        ("Lynx", {"Animal", "Feline", "Mammal", "Wildlife"}),
        ("Hyena", {"Animal", "Mammal", "Wildlife"}),
        ("Rooster", {"Animal", "Bird", "Chicken", "Livestock", "Poultry"}),
        ("Car", {"Transportation", "Vehicle"}),
        ("Suitcase", {"Baggage"}),
        ("Pizza", {"Dish", "Food"}),
        ("Meal", {"Food"}),
        ("Mushroom", {"Fungus"}),
        ("TV", {"Electronics", "Screen"}),
        ("Laptop", {"Computer", "Electronics", "Pc"}),
        ("Missile", {"Weapon"}),
        ("Bakery", {"Shop"}),
        ("Grand Piano", {"Musical Instrument", "Piano"}),
        ("French Horn", {"Brass Section", "Musical Instrument"}),
        ("Coast", {"Nature", "Outdoors", "Sea", "Water"}),
        ("Ballplayer", {"Athlete", "Baseball", "Person", "Sport"}),
        ("Bridegroom", {"Person", "Wedding"}),
        ("Scuba Diver", {"Person", "Scuba Diving", "Sport"}),
        ("Person", set()),
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
