"""`lumitag labels`: the vocabulary as the settings have it, and what a labels file would change in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from lumitag.domain import Json
from lumitag.entrypoints.commands.label_files import own_models
from lumitag.recognition.own_taxonomy import with_own_classes
from lumitag.recognition.taxonomy import Taxonomy
from lumitag.recognition.vocabulary import delivered_taxonomy, with_labels_file
from lumitag.settings import Settings


def vocabulary(settings: Settings, labels_file: Path | None) -> Taxonomy:
    """Return the labels of the models in use with a labels file laid over. Raises InvalidModel, InvalidLabelsFile."""
    taxonomy = delivered_taxonomy()
    for model in own_models(settings):
        taxonomy = with_own_classes(taxonomy, model)
    return with_labels_file(taxonomy, labels_file)


def label_values(taxonomy: Taxonomy) -> list[Json]:
    """Return every label that an image can get, by name."""
    reached = _reached(taxonomy)
    shown = [concept for concept in taxonomy.concepts if concept.id in reached and not concept.hidden]
    return [
        {
            "name": concept.name,
            "concept": concept.id,
            "parents": list(taxonomy.shown_parents(taxonomy.positions[concept.id])),
            "aliases": list(concept.aliases),
            "categories": list(concept.categories),
        }
        for concept in sorted(shown, key=lambda concept: concept.name.casefold())
    ]


def change_values(before: Taxonomy, after: Taxonomy) -> Iterator[Json]:
    """Yield what differs, one property of one label at a time. All labels are called as they were before."""
    names = {concept.id: concept.name for concept in (*after.concepts, *before.concepts)}
    for concept in after.concepts:
        old, new = (_properties(taxonomy, concept.id, names) for taxonomy in (before, after))
        for key, value in new.items():
            if (old.get(key) or None) != (value or None):
                yield {
                    "label": names[concept.id],
                    "concept": concept.id,
                    "property": key,
                    "before": old.get(key),
                    "after": value,
                }


def _reached(taxonomy: Taxonomy) -> set[str]:
    """Return the ids of what a model can see, and of all that is broader."""
    seen = [concept for concept in taxonomy.concepts if concept.classes or concept.coco]
    return {concept.id for concept in seen}.union(*(concept.parents for concept in seen))


def _properties(taxonomy: Taxonomy, concept_id: str, names: Mapping[str, str]) -> Json:
    """Return whether a label is shown, and if so, how. Its parents are called as in `names`."""
    position = taxonomy.positions.get(concept_id)
    if position is None or taxonomy.concepts[position].hidden:
        return {"shown": False}
    concept = taxonomy.concepts[position]
    parents = (taxonomy.concepts[parent] for parent in taxonomy.parents[position])
    return {
        "shown": True,
        "name": concept.name,
        "parents": sorted(names[parent.id] for parent in parents if not parent.hidden),
        "aliases": list(concept.aliases),
        "categories": list(concept.categories),
    }
