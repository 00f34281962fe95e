"""Mean average precision of boxes, by the reference implementation of COCO (pycocotools)."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from lumitag.domain import BoundingBox, Instance, Json, Recognition
from lumitag.evaluation.truth import ImageTruth, pixels_of
from lumitag.evaluation.vocabulary import Vocabulary

_AP, _AP50, _AR100 = 0, 1, 8  # where COCOeval keeps them
_EDGE: Final = 1e-9


@dataclass(frozen=True)
class BoxFigures:
    """How well objects are located.

    Attributes:
        ap: mean average precision over overlaps of 0.50 to 0.95 and over categories, 0 to 1; None without any box.
        ap50: the same at an overlap of 0.50.
        ar100: average recall with at most 100 boxes an image.
        true_boxes, found_boxes: how many were annotated (crowds apart) and how many were recognized.
        categories: how many of the annotated categories occur.
        outside: recognized boxes that reach beyond the image: always 0.
        other_size: images whose size is not the annotated one, so that boxes may lie elsewhere.
    """

    ap: float | None
    ap50: float | None
    ar100: float | None
    true_boxes: int
    found_boxes: int
    categories: int
    outside: int
    other_size: int


def measure_boxes(
    vocabulary: Vocabulary,
    truths: Mapping[str, ImageTruth],
    annotated: Iterable[str],
    recognitions: Mapping[str, Recognition],
) -> BoxFigures:
    """Return the figures over all images in `recognitions`.

    Args:
        vocabulary: what labels mean.
        truths: of the same images, by the same names.
        annotated: ids of the concepts that were looked for.
        recognitions: what was found.
    """
    numbers = {concept: number for number, concept in enumerate(sorted(annotated), 1)}
    images = list(enumerate(sorted(recognitions), 1))
    true = [
        {"image_id": image, "category_id": numbers[box.concept], "bbox": list(box.box), "area": box.area,
         "iscrowd": int(box.is_crowd), "id": 0}
        for image, file in images
        for box in truths[file].boxes
    ]  # fmt: skip
    found = [
        {"image_id": image, "category_id": numbers[concept], "bbox": list(pixels), "score": instance.confidence / 100}
        for image, file in images
        for concept, instance, pixels in _found(vocabulary, truths[file], recognitions[file], numbers)
    ]
    stats = _coco_stats([image for image, _ in images], list(numbers.values()), true, found)
    boxes = [instance.bounding_box for each in recognitions.values() for instance in _instances(each)]
    return BoxFigures(
        ap=_share(stats[_AP]),
        ap50=_share(stats[_AP50]),
        ar100=_share(stats[_AR100]),
        true_boxes=sum(not box["iscrowd"] for box in true),
        found_boxes=len(found),
        categories=len({box["category_id"] for box in true if not box["iscrowd"]}),
        outside=sum(map(_is_outside, boxes)),
        other_size=sum(_has_other_size(truths[file], each) for file, each in recognitions.items()),
    )


def _found(
    vocabulary: Vocabulary, truth: ImageTruth, recognition: Recognition, numbers: Mapping[str, int]
) -> Iterator[tuple[str, Instance, tuple[float, float, float, float]]]:
    """Yield each recognized box with its category. A box of something finer counts for the category, but once."""
    best: dict[tuple[str, BoundingBox], Instance] = {}
    for label in recognition.labels:
        concept, broader = vocabulary.place(label)
        for category in [concept] if concept in numbers else broader & numbers.keys():
            for instance in label.instances:
                place = category, instance.bounding_box
                if place not in best or best[place].confidence < instance.confidence:
                    best[place] = instance
    for (category, box), instance in best.items():
        yield category, instance, pixels_of(box, truth.width, truth.height)


def _coco_stats(images: list[int], categories: list[int], true: list[Json], found: list[Json]) -> list[float]:
    """Return the twelve numbers of COCOeval, -1 where there is none."""
    if not any(not box["iscrowd"] for box in true):
        return [-1.0] * 12
    with contextlib.redirect_stdout(io.StringIO()):  # It tells its progress.
        truth, answers = _coco(images, categories, true), _coco(images, categories, found)
        evaluation = COCOeval(truth, answers, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float(number) for number in evaluation.stats]


def _coco(images: list[int], categories: list[int], boxes: list[Json]) -> COCO:
    """Return boxes as pycocotools wants them, ids and areas filled in."""
    coco = COCO()
    coco.dataset = {
        "images": [{"id": image} for image in images],
        "categories": [{"id": category} for category in categories],
        "annotations": [
            {"area": box["bbox"][2] * box["bbox"][3], "iscrowd": 0, **box, "id": number}
            for number, box in enumerate(boxes, 1)
        ],
    }
    coco.createIndex()
    return coco


def _share(number: float) -> float | None:
    return None if number < 0 else number


def _instances(recognition: Recognition) -> Iterator[Instance]:
    for label in recognition.labels:
        yield from label.instances


def _is_outside(box: BoundingBox) -> bool:
    edges = np.array([box.left, box.top, box.left + box.width, box.top + box.height])
    return bool((edges < -_EDGE).any() or (edges > 1 + _EDGE).any())


def _has_other_size(truth: ImageTruth, recognition: Recognition) -> bool:
    return (truth.width, truth.height) != (recognition.width, recognition.height)
