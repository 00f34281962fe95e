"""The labels that can be recognized, and how they hang together."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

OWN: Final = "own:"  # what the ids of a user's own labels begin with


@dataclass(frozen=True, slots=True)
class Concept:
    """One label of the taxonomy.

    Attributes:
        id: a WordNet 3.0 id (`n02084071`), or `coco:` or `own:` and a name; it never changes.
        name: as Amazon Rekognition spells it wherever it has the concept.
        parents: ids of all broader concepts, the nearest first: none stands before one that is below it.
        aliases: other names.
        categories: the shelves it stands on, at least one.
        classes: outputs of the classifier, 0 to 999, that mean exactly this.
        coco: COCO category ids, 1 to 90, that mean exactly this.
        hidden: it counts for broader concepts, but is never shown: neither as a label nor as a parent.
    """

    id: str
    name: str
    parents: tuple[str, ...]
    aliases: tuple[str, ...]
    categories: tuple[str, ...]
    classes: tuple[int, ...]
    coco: tuple[int, ...]
    hidden: bool = False


@dataclass(frozen=True)
class Taxonomy:
    """All concepts, ordered by id. `positions` in arrays are positions in this order.

    Attributes:
        concepts: the labels.
        exclusive_classes: whether exactly one class of the classifier is true, as with a softmax.
    """

    concepts: tuple[Concept, ...]
    exclusive_classes: bool = True

    @classmethod
    def from_json(cls, content: bytes) -> Taxonomy:
        """Return the taxonomy that `tools/build_taxonomy.py` wrote."""
        return cls(tuple(_concept(entry) for entry in json.loads(content)))

    @cached_property
    def content(self) -> bytes:
        """All of it as bytes, the same for equal taxonomies and for no others."""
        return repr(self).encode()

    @cached_property
    def positions(self) -> dict[str, int]:
        """Position of each concept by its id."""
        return {concept.id: position for position, concept in enumerate(self.concepts)}

    @cached_property
    def parents(self) -> tuple[tuple[int, ...], ...]:
        """Positions of all broader concepts, by position."""
        return tuple(tuple(self.positions[parent] for parent in concept.parents) for concept in self.concepts)

    @cached_property
    def narrower(self) -> tuple[tuple[int, ...], ...]:
        """Positions of all narrower concepts, by position."""
        below: list[list[int]] = [[] for _ in self.concepts]
        for position, parents in enumerate(self.parents):
            for parent in parents:
                below[parent].append(position)
        return tuple(map(tuple, below))

    def shown_parents(self, position: int) -> tuple[str, ...]:
        """Return the names of all broader concepts but hidden ones, the nearest first."""
        parents = (self.concepts[parent] for parent in self.parents[position])
        return tuple(parent.name for parent in parents if not parent.hidden)

    @cached_property
    def position_by_coco(self) -> dict[int, int]:
        """Position of the concept that a COCO category means, by category id."""
        return {number: position for position, concept in enumerate(self.concepts) for number in concept.coco}

    def roll_up(self, probabilities: Floats) -> NDArray[np.float64]:
        """Return the probability of every concept, (concepts,), 0 to 1: the sum over all classes at or below it.

        A dog is any of 118 breeds: none may be likely while their sum is certain. Exact, because the classes of a
        softmax exclude each other; where they do not, the surest of them counts.

        Args:
            probabilities: (classes,), sum 1 if classes exclude each other.
        """
        below, classes = self._memberships
        if not self.exclusive_classes:
            surest = np.zeros(len(self.concepts))
            np.maximum.at(surest, below, probabilities[classes])
            return surest
        sums = np.bincount(below, weights=probabilities[classes], minlength=len(self.concepts))
        return np.minimum(sums, 1.0)

    @cached_property
    def _memberships(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Every pair of a concept and a class at or below it: positions of concepts, indices of classes."""
        members: dict[int, set[int]] = defaultdict(set)
        for position, concept in enumerate(self.concepts):
            for target in (position, *self.parents[position]):
                members[target].update(concept.classes)
        pairs = [(position, index) for position in sorted(members) for index in sorted(members[position])]
        below, classes = np.array(pairs, np.intp).reshape(-1, 2).T
        return below, classes


def ids_by_word(concepts: Iterable[Concept], folded: Callable[[str], str] = str.casefold) -> dict[str, str]:
    """Return the id of each concept by its aliases, its name and its id; a name comes before an alias of another.

    Args:
        concepts: to be found.
        folded: makes equal what is to be taken for the same word.
    """
    known = list(concepts)
    aliases = {folded(alias): concept.id for concept in known for alias in concept.aliases}
    names = {folded(concept.name): concept.id for concept in known}
    return aliases | names | {folded(concept.id): concept.id for concept in known}


def _concept(entry: dict[str, Any]) -> Concept:
    return Concept(
        id=entry["concept"],
        name=entry["name"],
        parents=tuple(entry["parents"]),
        aliases=tuple(entry["aliases"]),
        categories=tuple(entry["categories"]),
        classes=tuple(entry["classes"]),
        coco=tuple(entry["coco"]),
    )
