"""A labels file changes what it names and nothing else, and a wrong one says on which line it is wrong."""

import json
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lumitag.domain import Label
from lumitag.errors import InvalidLabelsFile
from lumitag.recognition.detections import Detections
from lumitag.recognition.embedded import EmbeddedRecognizer
from lumitag.recognition.fusion import fuse
from lumitag.recognition.labels_file import MAX_BYTES, LabelsFile
from lumitag.recognition.overlay import lay_over
from lumitag.recognition.taxonomy import Concept, Taxonomy
from tests.photographs import jpeg_of, photograph
from tests.recognition.test_taxonomy import by_name, parent_names

GOLDEN_RETRIEVER, LAPTOP, BANANA = 207, 620, 954  # classes of the classifier
DOG = 18  # a category of the detector


@pytest.fixture(scope="module")
def taxonomy() -> Taxonomy:
    return Taxonomy.from_json((resources.files("lumitag.recognition") / "taxonomy.json").read_bytes())


def laid_over(taxonomy: Taxonomy, text: str) -> Taxonomy:
    return lay_over(taxonomy, LabelsFile.parse("labels.toml", text.encode()))


def changed(before: Taxonomy, after: Taxonomy) -> set[str]:
    """Return the ids of all concepts that are not what they were."""
    return {concept.id for concept in set(before.concepts) ^ set(after.concepts)}


def labels_of(taxonomy: Taxonomy, class_index: int, *categories: int) -> dict[str, Label]:
    """Return the labels of a picture in which the classifier sees one class, and the detector these categories."""
    boxes = np.tile(np.array([0.25, 0.25, 0.75, 1.0], np.float32), (len(categories), 1))
    found = Detections(boxes, np.full(len(categories), 0.9, np.float32), np.array(categories, np.int64))
    concepts = taxonomy.roll_up(np.eye(1000)[class_index])
    return {label.name: label for label in fuse(taxonomy, concepts, found, 30)}


class TestWhatItCanDo:
    def test_an_empty_file_changes_nothing(self, taxonomy: Taxonomy) -> None:
        assert laid_over(taxonomy, "# nothing yet\n[names]\n[labels]\n[categories]\n") == taxonomy

    def test_a_renamed_label_keeps_its_old_name_as_an_alias(self, taxonomy: Taxonomy) -> None:
        after = laid_over(taxonomy, '[labels.Laptop]\nname = "Notebook"')
        laptop = by_name(after, "Notebook")

        assert changed(taxonomy, after) == {laptop.id}
        assert laptop.aliases == ("Laptop", *by_name(taxonomy, "Laptop").aliases)

    def test_names_can_be_in_any_script(self, taxonomy: Taxonomy) -> None:
        after = laid_over(taxonomy, '[names]\nDog = "犬"\n"Teddy Bear" = "خرس\u200cعروسکی"')

        assert by_name(after, "犬").id == "n02084071"
        assert by_name(after, "خرس\u200cعروسکی").id == by_name(taxonomy, "Teddy Bear").id

    def test_many_labels_are_renamed_in_one_table(self, taxonomy: Taxonomy) -> None:
        after = laid_over(taxonomy, '[names]\nDog = "Hund"\nn02121620 = "Katze"')

        expected = {"Hund" if name == "Dog" else name for name in parent_names(taxonomy, "Golden Retriever")}
        assert parent_names(after, "Golden Retriever") == expected
        assert by_name(after, "Katze").aliases[0] == "Cat"

    @pytest.mark.parametrize("word", ["Dog", "dOG", "domestic dog", "n02084071"])
    def test_a_label_is_known_by_its_name_its_aliases_and_its_concept(self, taxonomy: Taxonomy, word: str) -> None:
        assert changed(taxonomy, laid_over(taxonomy, f'[labels."{word}"]\nname = "Hund"')) == {"n02084071"}

    def test_names_can_be_exchanged(self, taxonomy: Taxonomy) -> None:
        """German for a boat is Boot: a name comes before an alias, so that a search finds what is meant."""
        after = laid_over(taxonomy, '[names]\nBoat = "Boots"\nCat = "Dog"\nDog = "Cat"')

        assert by_name(after, "Dog").id == by_name(taxonomy, "Cat").id
        assert "Cat" not in by_name(after, "Dog").aliases
        assert "Dog" not in by_name(after, "Cat").aliases

    def test_aliases_are_added(self, taxonomy: Taxonomy) -> None:
        after = laid_over(taxonomy, '[labels.Laptop]\naliases = ["Portable", "Laptop", "Portable"]')

        assert by_name(after, "Laptop").aliases == (*by_name(taxonomy, "Laptop").aliases, "Portable")

    def test_categories_are_replaced(self, taxonomy: Taxonomy) -> None:
        after = laid_over(taxonomy, '[labels.Laptop]\ncategories = ["Computers & tablets", "Sale"]')

        assert by_name(after, "Laptop").categories == ("Computers & tablets", "Sale")

    def test_a_category_is_renamed_wherever_it_stands(self, taxonomy: Taxonomy) -> None:
        after = laid_over(
            taxonomy, '[categories]\n"Animals and Pets" = "Tiere"\n[labels.Dog]\ncategories = ["Animals and Pets"]'
        )

        categories = {name for concept in after.concepts for name in concept.categories}
        assert "Tiere" in categories
        assert [concept.name for concept in after.concepts if "Animals and Pets" in concept.categories] == ["Dog"]

    def test_a_moved_label_takes_those_below_it_along(self, taxonomy: Taxonomy) -> None:
        after = laid_over(taxonomy, '[labels.Dog]\nparents = ["Vehicle"]')

        assert parent_names(after, "Golden Retriever") == {"Retriever", "Dog", *parent_names(after, "Dog")}
        assert parent_names(after, "Dog") == {"Vehicle", *parent_names(taxonomy, "Vehicle")}

    def test_a_label_without_parents_is_a_root(self, taxonomy: Taxonomy) -> None:
        after = laid_over(taxonomy, "[labels.Dog]\nparents = []")

        assert parent_names(after, "Golden Retriever") == {"Retriever", "Dog"}

    def test_labels_of_ones_own_collect_others(self, taxonomy: Taxonomy) -> None:
        after = laid_over(
            taxonomy,
            '[labels."Office supplies"]\nnew = true\ncategories = ["Shop"]\n'
            '[labels.Laptop]\nparents = ["Pc", "office supplies"]',
        )

        supplies = by_name(after, "Office supplies")
        assert supplies == Concept("own:office_supplies", "Office supplies", (), (), ("Shop",), (), ())
        assert parent_names(after, "Laptop") == {"Office supplies", *parent_names(taxonomy, "Laptop")}
        assert labels_of(after, LAPTOP)["Office supplies"].confidence == 100

    def test_a_hidden_label_is_not_shown_and_counts_for_broader_ones(self, taxonomy: Taxonomy) -> None:
        hidden = laid_over(taxonomy, '[labels.Dog]\nhide = true\n[labels."Golden Retriever"]\nhide = true')
        found = labels_of(hidden, GOLDEN_RETRIEVER)

        assert found.keys() == parent_names(taxonomy, "Golden Retriever") - {"Dog"}
        assert {label.confidence for label in found.values()} == {100.0}

    def test_a_hidden_label_is_named_as_no_parent(self, taxonomy: Taxonomy) -> None:
        found = labels_of(laid_over(taxonomy, "[labels.Dog]\nhide = true"), GOLDEN_RETRIEVER)

        assert set(found["Golden Retriever"].parents) == parent_names(taxonomy, "Golden Retriever") - {"Dog"}

    def test_the_name_of_a_hidden_label_is_free(self, taxonomy: Taxonomy) -> None:
        after = laid_over(taxonomy, '[labels.Canine]\nhide = true\n[names]\nDog = "Canine"')

        assert [concept.id for concept in after.concepts if concept.name == "Canine" and not concept.hidden] == [
            "n02084071"
        ]

    def test_a_blocked_label_counts_for_nothing(self, taxonomy: Taxonomy) -> None:
        blocked = laid_over(taxonomy, '[labels."Golden Retriever"]\nblock = true\n[labels.Dog]\nblock = true')

        assert labels_of(blocked, GOLDEN_RETRIEVER) == {}
        assert labels_of(blocked, BANANA, DOG) == labels_of(blocked, BANANA)
        assert labels_of(taxonomy, BANANA, DOG) != labels_of(taxonomy, BANANA)

    def test_what_is_below_a_blocked_label_keeps_its_other_parents(self, taxonomy: Taxonomy) -> None:
        found = labels_of(laid_over(taxonomy, "[labels.Dog]\nblock = true"), GOLDEN_RETRIEVER)

        assert set(found["Golden Retriever"].parents) == parent_names(taxonomy, "Golden Retriever") - {"Dog"}

    def test_what_only_the_detector_saw_is_not_blocked_with_what_the_classifier_saw(self, tmp_path: Path) -> None:
        """The classifier is sure of a breed, the detector of a cat: that the breed is blocked is no doubt in cats."""
        (tmp_path / "labels.toml").write_text('[labels."Egyptian Cat"]\nblock = true')
        recognizer = EmbeddedRecognizer.load(labels_file=tmp_path / "labels.toml")

        labels = {label.name: label for label in recognizer.recognize(jpeg_of(photograph("cat"))).labels}

        assert "Egyptian Cat" not in labels
        assert labels["Cat"].confidence >= 80
        assert labels["Cat"].instances

    def test_the_example_on_the_page_does_what_the_page_says(self, taxonomy: Taxonomy) -> None:
        page = (Path(__file__).parents[2] / "docs" / "labels.md").read_text(encoding="utf-8")
        after = laid_over(taxonomy, page.partition("```toml\n")[2].partition("```")[0])

        laptop = by_name(after, "Notebook")
        assert parent_names(after, "Notebook") == {"Bürobedarf", "Computer", *parent_names(taxonomy, "Computer")}
        assert {"Laptop", "Klapprechner", "Portable"} <= set(laptop.aliases)
        assert laptop.categories == ("Computer & Zubehör", "Büro")
        assert by_name(after, "Bürobedarf").id == "own:bürobedarf"
        assert by_name(after, "Katze").categories == ("Tiere",)
        assert {concept.name for concept in after.concepts if concept.hidden} == {"Feline", "Rifle"}

    def test_a_rename_that_changes_nothing_is_none(self, taxonomy: Taxonomy) -> None:
        assert laid_over(taxonomy, '[names]\nDog = "Dog"') == taxonomy


WRONG = {
    "an unknown label": (
        '[labels.Laptpo]\nname = "x"',
        '1: There is no label "Laptpo". Did you mean "Laptop"?',
    ),
    "an unknown label like none": (
        '\n[names]\nQwxyzzzk = "x"',
        '3: There is no label "Qwxyzzzk". If it is one of your own, add: new = true, categories = ["..."].',
    ),
    "an unknown parent": (
        '[labels.Laptop]\nhide = true\nparents = [\n  "Computre",\n]',
        '3: There is no label "Computre". Did you mean "Computer"?',
    ),
    "an unknown category": (
        '[categories]\n"Animals and Pet" = "Tiere"',
        '2: There is no category "Animals and Pet". Did you mean "Animals and Pets"?',
    ),
    "an unknown table": ("\n[label.Dog]", '2: "label" is unknown here. Did you mean "labels"? Known are'),
    "an unknown key": ('[labels.Dog]\nname = "x"\nhiden = true', '3: "hiden" is unknown here. Did you mean "hide"?'),
    "a table that is none": ("labels = 3", '1: "labels" must be a table. Write ["labels"] above its lines.'),
    "a label that is no table": (
        '[labels]\n"Polar Bear" = "Eisbär"',
        '2: "Polar Bear" must be a table. Write [labels."Polar Bear"] above its lines.',
    ),
    "a list of tables": ('[names]\nDog = "x"\n[[labels]]\nDog = 1', '3: "labels" must be a table.'),
    "a flag that is none": ('[labels.Dog]\nhide = "yes"', '2: "hide" must be true or false.'),
    "a name that is none": ("[labels.Dog]\nname = 3", '2: "name" must be a name in quotes.'),
    "a list that is none": ('labels.Dog.aliases = "Hound"', '1: "aliases" must be a list of names, such as'),
    "a list of something else": ("[labels.Dog]\n\naliases = [1]", '3: "aliases" must be a name in quotes.'),
    "an empty name": ('[names]\nDog = " "', '2: "Dog" has an empty name.'),
    "a long name": (f'[names]\nDog = "{"x" * 51}"', '2: "xxxxxxxxxxxxxxxxxxxx..." has 51 characters; at most 50'),
    "a name with a line break": ('[names]\nDog = "a\\nb"', "2: 'a\\nb' has a space at an end, a semicolon or"),
    "a name with a semicolon": ('[labels.Dog]\naliases = ["a; b"]', "2: 'a; b' has a space at an end, a semicolon or"),
    "a name with a space at its end": ('[names]\nDog = "Hund "', "2: 'Hund ' has a space at an end, a semicolon or"),
    "no category": ("[labels.Dog]\ncategories = []", "2: A label needs a category."),
    "a new label without category": ("[labels.Shop]\n# ours\nnew = true", '3: The new label "Shop" needs a category'),
    "a new label with an empty name": ('[labels.""]\nnew = true\ncategories = ["x"]', '1: "" has an empty name.'),
    "a new label that is there": (
        '[labels."domestic dog"]\ncategories = ["x"]\nnew = true',
        '3: There is a label "Dog" already. Call yours something else.',
    ),
    "two new labels of one name": (
        '[labels."A B"]\nnew = true\ncategories = ["x"]\n[labels.a_b]\nnew = true\ncategories = ["x"]',
        '5: There is a label "A B" already.',
    ),
    "a label twice": (
        '[labels.Dog]\nhide = true\n[labels."Domestic Dog"]\nname = "x"',
        '3: The label "Dog" is changed twice. Do it in one place.',
    ),
    "two names for one label": (
        '[labels.Dog]\nname = "x"\n[names]\ndog = "y"',
        '1: The label "Dog" is changed twice. Do it in one place.',
    ),
    "one name for two labels": (
        '[names]\nDog = "Hund"\nCat = "hund"',
        '3: The labels "Cat" and "Dog" would both be called "hund". Choose another name for one.',
    ),
    "the name of another label": (
        '[labels.Dog]\nhide = false\nname = "Cat"',
        '3: The labels "Cat" and "Dog" would both be called "Cat".',
    ),
    "an alias that is a name": ('[labels.Dog]\naliases = ["Hund", "cat"]', '2: "cat" is the name of another label.'),
    "a circle": (
        '[labels.Animal]\nparents = ["Golden Retriever"]',
        "2: No label can be below itself: ",
    ),
    "a label below itself": ('[labels.Dog]\nparents = ["Dog"]', "2: No label can be below itself: Dog, Dog."),
    "a value that does not end": ('[names]\nDog = """Hund\n\n\n', "2: This is not valid TOML: Unterminated string."),
    "a key that stands twice": ('[names]\nDog = "a"\n\nDog = "b"\nCat = "c"', "4: This is not valid TOML: "),
    "a key that stands twice at the end": ('[names]\nDog = "a"\n\nDog = "b"', "4: This is not valid TOML: "),
    "a line that is none": ('[names]\n\nDog = "Hund"\nCat Katze', "4: This is not valid TOML: "),
    "too many brackets": ("\nnames = " + "[" * 5000, "2: This is not valid TOML: "),
}


class TestWhatIsWrong:
    @pytest.mark.parametrize("case", WRONG)
    def test_it_is_named_with_its_line(self, taxonomy: Taxonomy, case: str) -> None:
        text, expected = WRONG[case]

        with pytest.raises(InvalidLabelsFile) as caught:
            laid_over(taxonomy, text)

        assert caught.value.message.startswith(f"labels.toml, line {expected}")

    @pytest.mark.parametrize("newline", ["\n", "\r\n"])
    def test_the_line_is_right_wherever_it_stands(self, taxonomy: Taxonomy, newline: str) -> None:
        """Values over many lines that look like other statements, comments and inline tables do not mislead it."""
        lines = [
            "# [labels.Cat]",
            'names = { Dog = "Hund" }',
            "",
            "[labels.Cat]  # hide = 1",
            "aliases = [",
            '  "hide = 1", # ]',
            '  """[labels.Cow]""",',
            "]",
            "[labels.Cow]",
            "hide = 1",
        ]

        with pytest.raises(InvalidLabelsFile, match="line 10: "):
            laid_over(taxonomy, newline.join(lines))

    def test_a_file_that_cannot_be_read(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidLabelsFile, match=r"gone\.toml cannot be read: No such file or directory\.$"):
            LabelsFile.read(tmp_path / "gone.toml")

    def test_a_file_that_is_too_large(self, tmp_path: Path) -> None:
        (tmp_path / "labels.toml").write_bytes(b"#" * (MAX_BYTES + 1))

        with pytest.raises(InvalidLabelsFile, match="more than"):
            LabelsFile.read(tmp_path / "labels.toml")

    def test_a_file_that_is_not_utf_8(self, tmp_path: Path) -> None:
        (tmp_path / "labels.toml").write_bytes('[names]\n\nDuck = "Gänse"'.encode("latin-1"))

        with pytest.raises(InvalidLabelsFile, match="line 3: This is not UTF-8"):
            LabelsFile.read(tmp_path / "labels.toml")

    def test_a_byte_order_mark_is_no_mistake(self, taxonomy: Taxonomy, tmp_path: Path) -> None:
        (tmp_path / "labels.toml").write_text('[names]\nDog = "Hund"', encoding="utf-8-sig")

        assert by_name(lay_over(taxonomy, LabelsFile.read(tmp_path / "labels.toml")), "Hund").id == "n02084071"


FEW = ("Animal", "Dog", "Canine", "Golden Retriever", "Cat", "Vehicle", "Car", "Banana")
WORDS = st.sampled_from([*FEW, "Ours"])
NAMES = WORDS | st.text(st.characters(categories=["L"]), min_size=1, max_size=12)
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "name": NAMES,
        "aliases": st.lists(NAMES, max_size=3),
        "categories": st.lists(NAMES, min_size=1, max_size=3),
        "parents": st.lists(WORDS, max_size=3),
        "hide": st.booleans(),
        "block": st.booleans(),
    },
)


@pytest.fixture(scope="module")
def few(taxonomy: Taxonomy) -> Taxonomy:
    """A few labels and all that is broader, so that many files are tried in a short time."""
    chosen = [by_name(taxonomy, name) for name in FEW]
    ids = {concept.id for concept in chosen}.union(*(concept.parents for concept in chosen))
    return Taxonomy(tuple(concept for concept in taxonomy.concepts if concept.id in ids))


def as_toml(changes: dict[str, dict[str, object]]) -> str:
    """Return the tables of `labels`. JSON writes strings, lists and booleans as TOML does."""
    changes = {**changes, "Ours": {"categories": ["Shelf"], **changes.get("Ours", {}), "new": True}}
    lines = []
    for label, change in changes.items():
        lines.append(f'[labels."{label}"]')
        lines += [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in change.items()]
    return "\n".join(lines)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(WORDS, CHANGES, max_size=5))
def test_whatever_a_file_says_the_taxonomy_stays_sound(few: Taxonomy, changes: dict[str, dict[str, object]]) -> None:
    after = result_of(few, as_toml(changes))

    if isinstance(after, InvalidLabelsFile):
        assert after.message.startswith("labels.toml, line ")
    else:
        assert_sound(after)
        assert {concept.id for concept in after.concepts} == {*few.positions, "own:ours"}


def result_of(taxonomy: Taxonomy, text: str) -> Taxonomy | InvalidLabelsFile:
    try:
        return laid_over(taxonomy, text)
    except InvalidLabelsFile as error:
        return error


def assert_sound(taxonomy: Taxonomy) -> None:
    """Ids are in order; names are unique; every label has a category; parents are complete and never go round."""
    ids = [concept.id for concept in taxonomy.concepts]
    shown = [concept for concept in taxonomy.concepts if not concept.hidden]
    names = {concept.name.casefold() for concept in shown}
    parents = {concept.id: set(concept.parents) for concept in taxonomy.concepts}

    assert ids == sorted(set(ids))
    assert len(names) == len(shown)
    assert not names & {alias.casefold() for concept in shown for alias in concept.aliases}
    assert all(concept.categories for concept in taxonomy.concepts)
    for concept_id, above in parents.items():
        assert concept_id not in above
        assert above >= set().union(*(parents[parent] for parent in above))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), CHANGES)
def test_a_parent_is_never_less_likely_than_what_is_below_it(
    few: Taxonomy, seed: int, change: dict[str, object]
) -> None:
    after = result_of(few, as_toml({"Dog": change}))
    assume(isinstance(after, Taxonomy))
    assert isinstance(after, Taxonomy)
    rolled = after.roll_up(np.random.default_rng(seed).dirichlet(np.full(1000, 0.01)))

    for position, parents in enumerate(after.parents):
        assert all(rolled[parent] >= rolled[position] - 1e-12 for parent in parents)
