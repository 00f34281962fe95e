"""The taxonomy as a judge sees it: names to concepts, and which concept is broader than which."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property

from lumitag.domain import Label
from lumitag.evaluation.coco_categories import COCO_IDS
from lumitag.recognition.taxonomy import Concept, Taxonomy

_FOREIGN = "name:"  # before the name of a label that is in no taxonomy of ours


class UnknownLabelError(LookupError):
    """A text that means no concept, or several. The message says what to write instead."""


class Vocabulary:
    """Looks up concepts. A recognizer with labels of its own (Amazon's) is understood by their names and parents."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self._concepts = {concept.id: concept for concept in taxonomy.concepts}
        self._by_class = {index: concept.id for concept in taxonomy.concepts for index in concept.classes}
        self._by_coco = {number: concept.id for concept in taxonomy.concepts for number in concept.coco}

    @property
    def concepts(self) -> Iterable[Concept]:
        """All concepts, by id."""
        return self._concepts.values()

    def name(self, concept: str) -> str:
        """Return how a concept is called."""
        return self._concepts[concept].name if self.is_known(concept) else concept.removeprefix(_FOREIGN)

    def find(self, text: str) -> str:
        """Return the concept that a name, an alias or an id means; case does not matter. Raises UnknownLabelError."""
        text = text.strip()
        if text in self._concepts:
            return text
        found = self._by_name.get(text.casefold()) or self._by_alias.get(text.casefold()) or ()
        if len(found) == 1:
            return found[0]
        raise UnknownLabelError(self._doubt(text, found))

    def find_class(self, index: int) -> str:
        """Return the concept of an output of the classifier, 0 to 999. Raises UnknownLabelError."""
        if index in self._by_class:
            return self._by_class[index]
        raise UnknownLabelError(f"{index} is no class of the vocabulary. ImageNet counts them from 0 to 999.")

    def find_category(self, name: str) -> str:
        """Return the concept of a category of a COCO file, by its name. Raises UnknownLabelError."""
        known = self._by_coco.get(COCO_IDS.get(name.strip().casefold(), 0))
        return known or self.find(name)

    def is_known(self, concept: str) -> bool:
        """Whether the vocabulary has this concept."""
        return concept in self._concepts

    def is_class(self, concept: str) -> bool:
        """Whether an output of the classifier means exactly this."""
        return self.is_known(concept) and bool(self._concepts[concept].classes)

    def is_exclusive(self, concept: str) -> bool:
        """Whether the classifier, which names one subject an image, has a class for it or for something below it."""
        return concept in self._with_class_below

    def broader(self, concepts: Iterable[str]) -> frozenset[str]:
        """Return everything broader than any of `concepts`."""
        return frozenset().union(*(self._concepts[concept].parents for concept in concepts if self.is_known(concept)))

    def place(self, label: Label) -> tuple[str, frozenset[str]]:
        """Return the concept of a label and everything broader than it.

        A label that is not in the vocabulary has a concept of its own, below what its parents' names mean.
        """
        concept = self._concept_of(label)
        if concept in self._concepts:
            return concept, self.broader([concept])
        parents = [parent for name in label.parents if (parent := self._named(name))]
        return concept, frozenset(parents) | self.broader(parents)

    def _concept_of(self, label: Label) -> str:
        if label.concept in self._concepts:
            return label.concept
        return self._named(label.name) or _FOREIGN + label.name

    def _named(self, name: str) -> str | None:
        try:
            return self.find(name)
        except UnknownLabelError:
            return None

    def _doubt(self, text: str, found: tuple[str, ...]) -> str:
        if found:
            return f'"{text}" means several labels. Write the id of one: {", ".join(found)}.'
        names = {name.casefold(): name for concept in self.concepts for name in (concept.name, *concept.aliases)}
        similar = difflib.get_close_matches(text.casefold(), names, n=3, cutoff=0.75)
        hint = f" Did you mean {' or '.join(names[name] for name in similar)}?" if similar else ""
        return f'"{text}" is no label of the vocabulary.{hint}'

    @cached_property
    def _by_name(self) -> dict[str, tuple[str, ...]]:
        return _grouped((concept.name, concept.id) for concept in self.concepts)

    @cached_property
    def _by_alias(self) -> dict[str, tuple[str, ...]]:
        return _grouped((alias, concept.id) for concept in self.concepts for alias in concept.aliases)

    @cached_property
    def _with_class_below(self) -> frozenset[str]:
        with_class = [concept.id for concept in self.concepts if concept.classes]
        return frozenset(with_class) | self.broader(with_class)


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    groups: dict[str, dict[str, None]] = defaultdict(dict)
    for text, concept in pairs:
        groups[text.casefold()][concept] = None
    return {text: tuple(concepts) for text, concepts in groups.items()}
