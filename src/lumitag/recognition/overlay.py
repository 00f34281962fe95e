"""Lays a user's labels file over the taxonomy: other names, other parents, other shelves; the concepts stay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from itertools import chain
from typing import Final

from lumitag.recognition.labels_file import KeyPath, LabelChange, LabelsFile, did_you_mean
from lumitag.recognition.taxonomy import OWN, Concept, Taxonomy, ids_by_word

_NO_CHANGE: Final = LabelChange(())
_HOW_TO_DECLARE: Final = ' If it is one of your own, add: new = true, categories = ["..."].'


def lay_over(taxonomy: Taxonomy, file: LabelsFile) -> Taxonomy:
    """Return the taxonomy as `file` wants it.

    Ids never change, and labels that the file does not speak of stay as they are; a blocked concept stays as well,
    but nothing points to it any more. Names that can be shown are unique, and none is an alias of another label.

    Raises InvalidLabelsFile, which names the line, for what does not fit the taxonomy.
    """
    overlay = _Overlay(taxonomy, file)
    parents = overlay.parents()
    changed = [overlay.changed(concept, parents[concept.id]) for concept in overlay.concepts.values()]
    names = overlay.unique_names(changed)
    overlay.check_aliases(names)
    concepts = [replace(concept, aliases=_free(concept.aliases, names)) for concept in changed]
    return replace(taxonomy, concepts=tuple(sorted(concepts, key=lambda concept: concept.id)))


class _Overlay:
    """A labels file whose words are understood.

    Attributes:
        concepts: those of the taxonomy and the user's own, as they are before the changes, by id.
        ids: ids by everything that a label may be called in the file, case-folded.
        changes: what the tables `labels` say, by id.
        renames: what says that a label gets another name, wherever it stands, by id.
    """

    def __init__(self, taxonomy: Taxonomy, file: LabelsFile) -> None:
        self.file = file
        self.concepts = {concept.id: concept for concept in taxonomy.concepts}
        self.ids = ids_by_word(taxonomy.concepts)
        for change in file.changes:
            if change.new:
                self._declare(change)
        self.changes = self._by_id(file.changes)
        self.renames = self._by_id(chain(file.renames, (change for change in file.changes if change.name)))
        self._check_categories()

    def changed(self, concept: Concept, parents: tuple[str, ...]) -> Concept:
        """Return the concept with its changes. Its aliases may still be names of other labels."""
        change = self.changes.get(concept.id, _NO_CHANGE)
        rename = self.renames.get(concept.id, _NO_CHANGE)
        return replace(
            concept,
            name=rename.name or concept.name,
            parents=() if change.block else parents,
            aliases=_unique((*([concept.name] if rename.name else []), *concept.aliases, *change.aliases)),
            categories=change.categories or self._renamed_categories(concept.categories),
            classes=() if change.block else concept.classes,
            coco=() if change.block else concept.coco,
            hidden=concept.hidden or change.hide or change.block,
        )

    def parents(self) -> dict[str, tuple[str, ...]]:
        """Return the ids of all broader concepts of each concept, the nearest first where the file moves them."""
        ancestors = self._ancestors()
        ordered = sorted(ancestors, key=lambda one: (-len(ancestors[one]), self.concepts[one].name))
        return {
            concept.id: concept.parents
            if ancestors[concept.id] == set(concept.parents)
            else tuple(parent for parent in ordered if parent in ancestors[concept.id])
            for concept in self.concepts.values()
        }

    def _ancestors(self) -> dict[str, set[str]]:
        """Return the ids of all broader concepts of each concept, without blocked ones."""
        nearest = _nearest_parents(self.concepts) | self._wished_parents()
        ancestors: dict[str, set[str]] = {}
        for concept_id in self._outermost_first(nearest):
            direct = nearest[concept_id]
            ancestors[concept_id] = direct.union(*(ancestors[parent] for parent in direct))
        blocked = {concept_id for concept_id, change in self.changes.items() if change.block}
        return {concept_id: found - blocked for concept_id, found in ancestors.items()}

    def unique_names(self, concepts: Iterable[Concept]) -> dict[str, str]:
        """Return the id of each label that can be shown by its name, case-folded. Raises where two have one name."""
        names: dict[str, str] = {}
        for concept in (concept for concept in concepts if not concept.hidden):
            word = concept.name.casefold()
            if word in names:
                self._refuse_same_name(concept.name, concept.id, names[word])
            names[word] = concept.id
        return names

    def check_aliases(self, names: Mapping[str, str]) -> None:
        """Raise where an alias that the file adds is the name of another label."""
        for concept_id, change in self.changes.items():
            for alias in change.aliases:
                if names.get(alias.casefold(), concept_id) != concept_id:
                    raise self.file.error((*change.path, "aliases"), f'"{alias}" is the name of another label.')

    def _declare(self, change: LabelChange) -> None:
        word = change.label.casefold()
        concept_id = OWN + "_".join(word.split())
        if known := self.ids.get(word) or self.ids.get(concept_id):
            problem = f'There is a label "{self.concepts[known].name}" already. Call yours something else.'
            raise self.file.error((*change.path, "new"), problem)
        self.ids |= {word: concept_id, concept_id: concept_id}
        self.concepts[concept_id] = Concept(concept_id, change.label, (), (), (), (), ())

    def _by_id(self, changes: Iterable[LabelChange]) -> dict[str, LabelChange]:
        found: dict[str, LabelChange] = {}
        for change in changes:
            concept_id = self._id_of(change.label, change.path)
            if concept_id in found:
                problem = f'The label "{self.concepts[concept_id].name}" is changed twice. Do it in one place.'
                raise self.file.error(change.path, problem)
            found[concept_id] = change
        return found

    def _id_of(self, label: str, path: KeyPath) -> str:
        if label.casefold() in self.ids:
            return self.ids[label.casefold()]
        words = (word for concept in self.concepts.values() for word in (*concept.aliases, concept.name))
        hint = did_you_mean(label, {word.casefold(): word for word in words})
        raise self.file.error(path, f'There is no label "{label}".{hint or _HOW_TO_DECLARE}')

    def _check_categories(self) -> None:
        known = {name.casefold(): name for concept in self.concepts.values() for name in concept.categories}
        for category in self.file.categories:
            if category not in known.values():
                problem = f'There is no category "{category}".{did_you_mean(category, known)}'
                raise self.file.error(("categories", category), problem)

    def _renamed_categories(self, categories: tuple[str, ...]) -> tuple[str, ...]:
        return _unique(self.file.categories.get(category, category) for category in categories)

    def _wished_parents(self) -> dict[str, set[str]]:
        return {
            concept_id: {self._id_of(parent, (*change.path, "parents")) for parent in change.parents}
            for concept_id, change in self.changes.items()
            if change.parents is not None
        }

    def _outermost_first(self, nearest: Mapping[str, set[str]]) -> list[str]:
        try:
            return list(TopologicalSorter(nearest).static_order())
        except CycleError as error:
            circle: list[str] = error.args[1]
            change = next(self.changes[one] for one in circle if self.changes.get(one, _NO_CHANGE).parents)
            names = ", ".join(self.concepts[one].name for one in circle)
            problem = f"No label can be below itself: {names}. Name other parents."
            raise self.file.error((*change.path, "parents"), problem) from None

    def _refuse_same_name(self, name: str, *concept_ids: str) -> None:
        """Raise the error for two labels of one name; that of at least one is not the delivered one."""
        rename = next(self.renames[concept_id] for concept_id in concept_ids if concept_id in self.renames)
        first, second = sorted(self.concepts[concept_id].name for concept_id in concept_ids)
        problem = f'The labels "{first}" and "{second}" would both be called "{name}". Choose another name for one.'
        raise self.file.error(rename.name_path, problem)


def _nearest_parents(concepts: Mapping[str, Concept]) -> dict[str, set[str]]:
    """Return the parents of each concept that are above none of its other parents."""
    return {
        concept.id: set(concept.parents).difference(*(concepts[parent].parents for parent in concept.parents))
        for concept in concepts.values()
    }


def _free(aliases: tuple[str, ...], names: Mapping[str, str]) -> tuple[str, ...]:
    """Return the aliases that are the name of no label."""
    return tuple(alias for alias in aliases if alias.casefold() not in names)


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
