"""What the classes of an own model mean in terms of the taxonomy."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from lumitag.recognition.model_description import (
    NO_CLASS,
    ClassifierOutput,
    ClassName,
    Described,
    DescribedModel,
    DetectorOutput,
)
from lumitag.recognition.taxonomy import OWN, Concept, Taxonomy, ids_by_word


def with_own_classes(taxonomy: Taxonomy, model: DescribedModel[Described]) -> Taxonomy:
    """Return the taxonomy with the classes of `model` in place of those of the embedded model of its kind.

    A class whose name the taxonomy knows, as a name, an alias or an id, is that concept, with its parents and
    categories. Any other becomes a label of its own. Concepts that no class means any more stay.

    Raises InvalidModel for a concept in the list of labels that the taxonomy lacks.
    """
    words = ids_by_word(taxonomy.concepts, _word)
    concepts = {concept.id: concept for concept in taxonomy.concepts}
    classes: dict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(model.class_names):
        if name.name != NO_CLASS:
            concept_id = _concept_id(words, name, model)
            concepts.setdefault(concept_id, _own_concept(concept_id, name.name, model.description.category))
            classes[concept_id].append(index)
    return _replaced(taxonomy, concepts, classes, model.description.output)


def _replaced(
    taxonomy: Taxonomy,
    concepts: dict[str, Concept],
    classes: dict[str, list[int]],
    output: ClassifierOutput | DetectorOutput,
) -> Taxonomy:
    ids = sorted(concepts)
    if isinstance(output, DetectorOutput):
        return replace(taxonomy, concepts=tuple(replace(concepts[one], coco=tuple(classes[one])) for one in ids))
    found = tuple(replace(concepts[one], classes=tuple(classes[one])) for one in ids)
    return replace(taxonomy, concepts=found, exclusive_classes=output.is_exclusive)


def _concept_id(words: dict[str, str], name: ClassName, model: DescribedModel[Described]) -> str:
    known = words.get(_word(name.concept or name.name))
    if name.concept and known is None:
        raise model.label_error(name.line, f'There is no concept "{name.concept}". Correct it, or leave it out.')
    return known or OWN + _word(name.name).replace(" ", "_")


def _own_concept(concept_id: str, name: str, category: str) -> Concept:
    return Concept(concept_id, name, (), (), (category,), (), ())


def _word(name: str) -> str:
    """Return what is compared of a name: `Fire_Truck` is `fire truck`."""
    return " ".join(name.casefold().replace("_", " ").split())
