"""Puts WordNet, the ImageNet classes, the COCO classes and a person's corrections together into one taxonomy."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from recipes.wordnet import WordNet

_SMALL_WORDS: Final = frozenset({"a", "and", "des", "of", "or", "the"})


class TaxonomyError(Exception):
    """The corrections contradict WordNet, the class lists or each other."""


@dataclass
class Concept:
    """One label in the making.

    Attributes:
        id: WordNet 3.0 id, or `coco:` and a class name.
        name: what people read.
        classes: ImageNet class indices that mean exactly this.
        coco: COCO category ids that mean exactly this.
        parents: ids of all broader labels, the nearest first: none stands before one that is below it.
    """

    id: str
    name: str
    classes: list[int] = field(default_factory=list)
    coco: list[int] = field(default_factory=list)
    parents: list[str] = field(default_factory=list)
    aliases: list[str] = field(default_factory=list)
    categories: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the entry of the file, in the order in which it is read best."""
        return {
            "concept": self.id,
            "name": self.name,
            "parents": self.parents,
            "aliases": self.aliases,
            "categories": self.categories,
            "classes": self.classes,
            "coco": self.coco,
        }


def build_taxonomy(
    wordnet: WordNet, class_ids: list[str], class_names: list[str], corrections: dict[str, Any]
) -> list[Concept]:
    """Return all concepts, ordered by id.

    Args:
        wordnet: where the broader meanings and the synonyms come from.
        class_ids: WordNet id of each ImageNet class, in the order of the classifier's outputs.
        class_names: a readable name of each.
        corrections: the tables of `taxonomy_corrections.toml`.
    """
    concepts = _collect(class_ids, class_names, corrections)
    _refuse_unknown(wordnet, concepts, corrections)
    _refuse_same_names(concepts.values())
    _set_parents(wordnet, concepts, corrections)
    _refuse_unreachable(concepts.values())
    _set_categories(concepts, corrections)
    _set_aliases(wordnet, concepts, class_ids, class_names, corrections)
    return [concepts[key] for key in sorted(concepts)]


def _collect(class_ids: list[str], class_names: list[str], corrections: dict[str, Any]) -> dict[str, Concept]:
    """Return every concept by id, with its name and with the classes and COCO categories that mean it."""
    same, names = corrections["same"], corrections["names"]
    concepts = {key: Concept(key, name) for key, (name, _) in corrections["broader"].items()}
    for number, (key, name) in corrections["coco"].items():
        concepts.setdefault(key, Concept(key, name)).coco.append(int(number))
    for index, (class_id, class_name) in enumerate(zip(class_ids, class_names, strict=True)):
        key = same.get(class_id, class_id)
        name = names.get(class_name, title_case(class_name))
        concepts.setdefault(key, Concept(key, name)).classes.append(index)
    return concepts


def title_case(name: str) -> str:
    """Return `three-toed sloth` as `Three-Toed Sloth`; words that have capitals already are left alone."""
    words = re.split("([ -])", name)
    return "".join(
        word if word in _SMALL_WORDS or word != word.lower() else word[:1].upper() + word[1:] for word in words
    )


def _refuse_unknown(wordnet: WordNet, concepts: dict[str, Concept], corrections: dict[str, Any]) -> None:
    known = {concept.name for concept in concepts.values()}
    tables = ("not_below", "below", "aliases", "also_called", "unlike_amazon")
    named = set().union(
        *(corrections[table] for table in tables),
        *corrections["not_below"].values(),
        *corrections["below"].values(),
        *corrections["categories"].values(),
    )
    unknown = {key for key in concepts if key.startswith("n") and key not in wordnet.synsets} | (named - known)
    if unknown:
        raise TaxonomyError(f"the corrections name what does not exist: {', '.join(sorted(unknown))}")


def _refuse_same_names(concepts: Iterable[Concept]) -> None:
    counts = Counter(concept.name.casefold() for concept in concepts)
    repeated = [name for name, count in counts.items() if count > 1]
    if repeated:
        raise TaxonomyError(f"two concepts of one name: {', '.join(repeated)}")


def _refuse_unreachable(concepts: Iterable[Concept]) -> None:
    reached: set[str] = set().union(*({concept.id, *concept.parents} for concept in concepts if _is_found(concept)))
    lost = [concept.name for concept in concepts if concept.id not in reached]
    if lost:
        raise TaxonomyError(f"nothing is ever recognized as one of these: {', '.join(lost)}")


def _is_found(concept: Concept) -> bool:
    return bool(concept.classes or concept.coco)


def _set_parents(wordnet: WordNet, concepts: dict[str, Concept], corrections: dict[str, Any]) -> None:
    """Give every concept all its broader labels, the nearest first.

    A label has fewer broader ones than any label below it: the more a parent has, the nearer it is.
    """
    direct = _direct_parents(wordnet, concepts, corrections)
    ancestors = {key: _closure(key, direct) for key in concepts}
    _refuse_wrong_parents(ancestors, concepts, _by_id(concepts, corrections["not_below"]))
    for concept in concepts.values():
        concept.parents = sorted(
            ancestors[concept.id], key=lambda parent: (-len(ancestors[parent]), concepts[parent].name)
        )


def _refuse_wrong_parents(
    ancestors: dict[str, set[str]], concepts: dict[str, Concept], wrong: dict[str, set[str]]
) -> None:
    for key, broader in ancestors.items():
        if key in broader:
            raise TaxonomyError(f"{concepts[key].name} is broader than itself")
        for other in sorted(broader & wrong.get(key, set())):
            raise TaxonomyError(f"{concepts[key].name} stays below {concepts[other].name}: a broader label leads there")


def _direct_parents(wordnet: WordNet, concepts: dict[str, Concept], corrections: dict[str, Any]) -> dict[str, set[str]]:
    """Return WordNet's broader labels that are kept, less the wrong, and the missing ones, by id.

    What is wrong of a label is wrong of all that WordNet keeps below it.
    """
    wrong, missing = (_by_id(concepts, corrections[table]) for table in ("not_below", "below"))
    direct = {}
    for key in concepts:
        kept = _kept_ancestors(wordnet, key, concepts, corrections["same"])
        direct[key] = kept.difference(*(wrong.get(label, ()) for label in (key, *kept))) | missing.get(key, set())
    return direct


def _by_id(concepts: dict[str, Concept], table: dict[str, list[str]]) -> dict[str, set[str]]:
    ids = {concept.name: concept.id for concept in concepts.values()}
    return {ids[name]: {ids[other] for other in others} for name, others in table.items()}


def _kept_ancestors(wordnet: WordNet, key: str, concepts: dict[str, Concept], same: dict[str, str]) -> set[str]:
    if key not in wordnet.synsets:
        return set()
    merged = {same.get(ancestor, ancestor) for ancestor in wordnet.ancestors(key)}
    return {ancestor for ancestor in merged if ancestor in concepts and ancestor != key}


def _closure(key: str, direct: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = list(direct[key])
    while waiting:
        parent = waiting.pop()
        if parent not in found:
            found.add(parent)
            waiting.extend(direct[parent])
    return found


def _set_categories(concepts: dict[str, Concept], corrections: dict[str, Any]) -> None:
    """Give every concept its own category, or else those of its nearest broader labels."""
    own: dict[str, set[str]] = defaultdict(set)
    for key, (_, category) in corrections["broader"].items():
        own[key].add(category)
    ids = {concept.name: concept.id for concept in concepts.values()}
    for category, names in corrections["categories"].items():
        for name in names:
            own[ids[name]].add(category)
    for concept in sorted(concepts.values(), key=lambda concept: len(concept.parents)):  # the broadest first
        inherited = (concepts[parent].categories for parent in _nearest(concept, concepts))
        concept.categories = sorted(own[concept.id] or set().union(*inherited))
    bare = [concept.name for concept in concepts.values() if not concept.categories]
    if bare:
        raise TaxonomyError(f"no category: {', '.join(bare)}")


def _nearest(concept: Concept, concepts: dict[str, Concept]) -> set[str]:
    """Return the parents that are not above another parent."""
    return set(concept.parents).difference(*(concepts[parent].parents for parent in concept.parents))


def _set_aliases(
    wordnet: WordNet,
    concepts: dict[str, Concept],
    class_ids: list[str],
    class_names: list[str],
    corrections: dict[str, Any],
) -> None:
    """Give every concept its other names. A name that could mean two concepts is nobody's alias."""
    candidates: dict[str, list[str]] = {}
    for concept in concepts.values():
        synsets = [concept.id, *(class_ids[index] for index in concept.classes)]
        words = [word for key in synsets if key in wordnet.synsets for word in wordnet.synsets[key].words]
        words += [class_names[index] for index in concept.classes]
        readable = [word if wordnet.is_scientific(word) else title_case(word) for word in words]
        wanted = corrections["aliases"].get(concept.name, _without(readable, corrections["not_aliases"]["names"]))
        candidates[concept.id] = [*wanted, *corrections["also_called"].get(concept.name, ())]
    taken = {concept.name.casefold() for concept in concepts.values()}
    counts = Counter(alias for words in candidates.values() for alias in {word.casefold() for word in words})
    for concept in concepts.values():
        usable = {
            word.casefold(): word
            for word in reversed(candidates[concept.id])
            if word.casefold() not in taken and counts[word.casefold()] == 1 and _is_plain(word)
        }
        concept.aliases = sorted(usable.values())


def _without(names: list[str], unwanted: list[str]) -> list[str]:
    refused = {name.casefold() for name in unwanted}
    return [name for name in names if name.casefold() not in refused]


def _is_plain(name: str) -> bool:
    """Return whether a name is one that people type: no brackets, no lists of alternatives."""
    return re.fullmatch(r"[\w' .-]+", name) is not None and " or " not in name
