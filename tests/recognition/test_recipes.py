"""The build tools trust no file: not the pickle inside a weight file, not a package, not the corrections."""

import importlib
import io
import pickle
from collections import OrderedDict
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture(autouse=True)
def tools_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TOOLS))


def recipe(name: str) -> ModuleType:
    return importlib.import_module(f"recipes.{name}")


def weight_file(*parts: Any) -> bytes:
    return b"".join(pickle.dumps(part, protocol=2) for part in parts)


def state(storage_kind: str = "storage") -> bytes:
    """Return the pickle of one tensor, 2 x 3, transposed, in a storage of six numbers: written by hand."""
    return (
        b"\x80\x02ccollections\nOrderedDict\n)R(X\x06\x00\x00\x00weightctorch._utils\n_rebuild_tensor_v2\n(("
         b"X" + len(storage_kind).to_bytes(4, "little") + storage_kind.encode()
        + b"ctorch\nFloatStorage\nX\x01\x00\x00\x00AX\x03\x00\x00\x00cpuK\x06NtQK\x00K\x03K\x02\x86K\x01K\x03\x86\x89"
        + b"ccollections\nOrderedDict\n)RtRu."
    )  # fmt: skip


HEAD = weight_file(0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
NUMBERS = (6).to_bytes(8, "little") + np.arange(6, dtype="<f4").tobytes()


def test_a_plain_weight_file_is_read() -> None:
    weights = recipe("torch_weights").read_torch_weights(HEAD + state() + weight_file(["A"]) + NUMBERS)

    assert weights["weight"].tolist() == [[0, 3], [1, 4], [2, 5]]


@pytest.mark.parametrize("refused", [print, io.BytesIO, OrderedDict.fromkeys])
def test_a_weight_file_cannot_name_anything_else(refused: Any) -> None:
    with pytest.raises(pickle.UnpicklingError, match="has no business in a weight file"):
        recipe("torch_weights").read_torch_weights(pickle.dumps(refused))


@pytest.mark.parametrize("content", [weight_file(1, 1001), weight_file(0x1950A86A20F9469CFC6C, 7)])
def test_other_formats_are_refused(content: bytes) -> None:
    with pytest.raises(pickle.UnpicklingError, match="not a legacy PyTorch file"):
        recipe("torch_weights").read_torch_weights(content)


def test_unknown_storages_are_refused() -> None:
    with pytest.raises(pickle.UnpicklingError, match="unknown persistent id"):
        recipe("torch_weights").read_torch_weights(HEAD + state("modules") + weight_file(["A"]) + NUMBERS)


def test_a_package_of_other_bytes_is_refused(tmp_path: Path) -> None:
    packages = recipe("packages")
    (tmp_path / packages.WORDNET.file_name).write_bytes(b"something else")

    with pytest.raises(packages.PackageChanged):
        packages.fetch(packages.WORDNET, tmp_path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("three-toed sloth", "Three-Toed Sloth"),
        ("hen of the woods", "Hen of the Woods"),
        ("black-and-white colobus", "Black-and-White Colobus"),
        ("iPod", "iPod"),
    ],
)
def test_names_are_put_in_title_case(name: str, expected: str) -> None:
    assert recipe("taxonomy").title_case(name) == expected


NOUNS = b"""  1 This line is the licence.
00000001 03 n 01 entity 0 000 | what is
00000002 05 n 02 animal 0 beast 0 001 @ 00000001 n 0000 | what moves
00000003 05 n 02 dog 0 Canis_familiaris 0 002 @ 00000002 n 0000 #m 00000001 n 0000 | what barks
00000004 05 n 01 pug(a) 0 001 @ 00000003 n 0000 | what snores
00000005 05 n 02 Canis 0 genus_Canis 0 001 @ 00000001 n 0000 | dogs and wolves
"""
NOTHING: dict[str, Any] = {
    table: {} for table in ("names", "same", "below", "not_below", "aliases", "also_called", "coco", "unlike_amazon")
}
CORRECTIONS: dict[str, Any] = NOTHING | {
    "broader": {"n00000002": ["Animal", "Animals and Pets"]},
    "coco": {"18": ["n00000003", "Dog"]},
    "categories": {},
    "not_aliases": {"names": ["beast"]},
}


def built(**changes: Any) -> list[dict[str, Any]]:
    nouns = recipe("wordnet").WordNet.read(NOUNS)
    concepts = recipe("taxonomy").build_taxonomy(nouns, ["n00000004"], ["pug"], CORRECTIONS | changes)
    return [concept.to_json() for concept in concepts]


def test_a_taxonomy_grows_from_classes_and_the_broader_words_that_are_kept() -> None:
    animal, dog, pug = built()

    assert (animal["name"], animal["parents"], animal["aliases"]) == ("Animal", [], [])
    assert (dog["name"], dog["parents"], dog["aliases"]) == ("Dog", ["n00000002"], ["Canis familiaris"])
    assert (pug["name"], pug["parents"], pug["classes"]) == ("Pug", ["n00000003", "n00000002"], [0])
    assert [concept["categories"] for concept in (animal, dog, pug)] == [["Animals and Pets"]] * 3


def test_wrong_places_are_corrected() -> None:
    _, _, pug = built(not_below={"Pug": ["Dog", "Animal"]}, categories={"Everyday Objects": ["Pug"]})

    assert (pug["parents"], pug["categories"]) == ([], ["Everyday Objects"])


def test_what_is_wrong_of_a_label_is_wrong_of_all_below_it() -> None:
    broader = CORRECTIONS["broader"] | {"n00000001": ["Thing", "Everyday Objects"]}
    coco = CORRECTIONS["coco"] | {"16": ["n00000002", "Animal"]}
    _, _, dog, pug = built(broader=broader, coco=coco, not_below={"Dog": ["Animal"]})

    assert (dog["parents"], pug["parents"]) == (["n00000001"], ["n00000003", "n00000001"])


def test_the_nearest_of_the_broader_labels_comes_first() -> None:
    broader = CORRECTIONS["broader"] | {"n00000001": ["Thing", "Everyday Objects"], "n00000005": ["Wolf", "Animals"]}
    _, _, _, pug, _ = built(broader=broader, below={"Pug": ["Wolf"], "Wolf": ["Dog"]})

    assert pug["parents"] == ["n00000005", "n00000003", "n00000002", "n00000001"]


def test_a_person_adds_other_names_and_takes_some_away() -> None:
    _, dog, pug = built(
        aliases={"Dog": ["Hound"]}, also_called={"Dog": ["Doggy"], "Pug": ["Mops", "Doggy (small)", "Dog"]}
    )

    assert (dog["aliases"], pug["aliases"]) == (["Doggy", "Hound"], ["Mops"])


def test_the_spelling_is_measured_against_a_list() -> None:
    concepts = [
        recipe("taxonomy").Concept(name, name, aliases=aliases)
        for name, aliases in [
            ("Red Panda", ["Lesser Panda"]),
            ("T-Shirt", []),
            ("Ski", []),
            ("Clownfish", []),
            ("Tench", []),
        ]
    ]
    labels = ["Amphiprion", "Glass", "Lesser Panda", "Skis", "T-Shirt"]
    unlike = {"Clownfish": ["Amphiprion", "nobody types it"]}

    assert importlib.import_module("build_taxonomy").measure_spelling(concepts, labels, unlike) == [
        "5 names, 4 with a counterpart in Amazon's list of 5",
        "1 of them (25.0%) are spelled exactly as there, not so:",
        "- Red Panda: Lesser Panda (why?)",
        "- Ski: Skis (why?)",
        "- Clownfish: Amphiprion (nobody types it)",
    ]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"also_called": {"Cat": ["Kitty"]}}, "name what does not exist: Cat"),
        ({"not_below": {"Dog": ["Animal"]}, "below": {"Dog": ["Animal"]}}, "Dog stays below Animal"),
        ({"below": {"Cat": ["Animal"]}}, "name what does not exist: Cat"),
        ({"names": {"pug": "Dog"}}, "two concepts of one name: dog"),
        ({"below": {"Animal": ["Pug"]}}, "is broader than itself"),
        ({"not_below": {"Pug": ["Dog", "Animal"]}}, "no category: Pug"),
        ({"not_below": {"Pug": ["Animal"], "Dog": ["Animal"]}}, "nothing is ever recognized as one of these: Animal"),
    ],
)
def test_contradictions_are_refused(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(Exception, match=complaint):
        built(**changes)
