"""Eight labels: Animal above Dog (above Poodle and Beagle) and Zebra; Person; Clothing above Hat."""

from __future__ import annotations

from lumitag.domain import BoundingBox, Instance, Label, Recognition
from lumitag.evaluation.figures import Evaluation, Levels
from lumitag.evaluation.judging import Judge
from lumitag.evaluation.truth import GroundTruth, ImageTruth, TruthKind
from lumitag.evaluation.vocabulary import Vocabulary
from lumitag.recognition.taxonomy import Concept, Taxonomy

LEVELS = Levels(1.0, 30.0, 50.0)
BOX = BoundingBox(0.1, 0.1, 0.5, 0.5)


def concept(name: str, *parents: str, classes: tuple[int, ...] = (), coco: tuple[int, ...] = ()) -> Concept:
    return Concept(name.lower(), name, parents, (f"{name} alias", "twice"), ("Shelf",), classes, coco)


TAXONOMY = Taxonomy(
    (
        concept("Animal"),
        concept("Dog", "animal", coco=(18,)),
        concept("Poodle", "dog", "animal", classes=(0,)),
        concept("Beagle", "dog", "animal", classes=(1,)),
        concept("Zebra", "animal", classes=(2,), coco=(24,)),
        concept("Person", coco=(1,)),
        concept("Clothing"),
        concept("Hat", "clothing", classes=(3,)),
    )
)
NAMES = {each.id: each.name for each in TAXONOMY.concepts}


def label(name: str, confidence: float, *boxes: float, concept: str = "", parents: tuple[str, ...] = ()) -> Label:
    instances = tuple(Instance(BOX, each) for each in boxes)
    return Label(name, concept or name.lower(), confidence, parents, (), ("Shelf",), instances)


def recognition(*labels: Label) -> Recognition:
    return Recognition(labels, 100, 100, "embedded", "embedded-1")


def subject(*concepts: str) -> ImageTruth:
    return ImageTruth(frozenset(concepts))


def truth(kind: TruthKind = TruthKind.SUBJECT, annotated: tuple[str, ...] = ()) -> GroundTruth:
    return GroundTruth(kind, {}, frozenset(annotated))


def evaluation(
    *images: tuple[ImageTruth, Recognition],
    kind: TruthKind = TruthKind.SUBJECT,
    annotated: tuple[str, ...] = (),
) -> Evaluation:
    vocabulary = Vocabulary(TAXONOMY)
    judge = Judge(vocabulary, truth(kind, annotated), LEVELS.shown)
    judged = tuple(judge.judge(f"{n}.jpg", each, true) for n, (true, each) in enumerate(images))
    return Evaluation(vocabulary, kind, judged, LEVELS)
