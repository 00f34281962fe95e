"""Reads the truth from JSON as COCO has it (cocodataset.org/#format-data): images, annotations, categories."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from typing import Any, TypeVar

from lumitag.domain import Json
from lumitag.errors import InvalidGroundTruth
from lumitag.evaluation.truth import GroundTruth, ImageTruth, TrueBox, TruthKind
from lumitag.evaluation.vocabulary import UnknownLabelError, Vocabulary

Value = TypeVar("Value")


def read_coco(text: str, source: str, vocabulary: Vocabulary, skip_unknown: bool) -> GroundTruth:
    """Return what a file of COCO instances says; what is true of a whole image is what has a box in it.

    Args:
        text: the content.
        source: the name of the file, for errors.
        vocabulary: what the names of the categories mean.
        skip_unknown: leave out and count categories that are not in the vocabulary.

    Raises InvalidGroundTruth with the file and the place in it.
    """
    value = _parsed(text, source)
    categories, skipped = _categories(value, source, vocabulary, skip_unknown)
    images = {_get(image, "id", int, f"{source}: images[{n}]"): image for n, image in _items(value, "images", source)}
    boxes: dict[int, list[TrueBox]] = defaultdict(list)
    for number, annotation in _items(value, "annotations", source):
        place = f"{source}: annotations[{number}]"
        image = _known(annotation, "image_id", images, place)
        concept = _known(annotation, "category_id", categories, place)
        if concept is None:
            skipped[_category_name(value, annotation)] += 1
        else:
            boxes[image["id"]].append(_box(annotation, concept, place))
    return GroundTruth(
        TruthKind.BOXES,
        {_file(image, source): _image(image, boxes[number], source) for number, image in images.items()},
        frozenset(concept for concept in categories.values() if concept),
        tuple(skipped.most_common()),
    )


def _parsed(text: str, source: str) -> Json:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidGroundTruth(f"{source}, line {error.lineno}: {error.msg}. It must be JSON.") from error
    if not isinstance(value, dict):
        raise InvalidGroundTruth(f'{source}: it must be an object with "images", "annotations" and "categories".')
    return value


def _categories(
    value: Json, source: str, vocabulary: Vocabulary, skip_unknown: bool
) -> tuple[dict[int, str | None], Counter[str]]:
    """Return the concept of each category, None for one to be left out."""
    concepts: dict[int, str | None] = {}
    for number, category in _items(value, "categories", source):
        place = f"{source}: categories[{number}]"
        name = _get(category, "name", str, place)
        try:
            concept = vocabulary.find_category(name)
        except UnknownLabelError as error:
            if not skip_unknown:
                advice = "Rename it, or leave such categories out with --skip-unknown."
                raise InvalidGroundTruth(f"{place}: {error} {advice}") from error
            concept = None
        concepts[_get(category, "id", int, place)] = concept
    return concepts, Counter()


def _category_name(value: Json, annotation: Json) -> str:
    return next(str(entry["name"]) for entry in value["categories"] if entry["id"] == annotation["category_id"])


def _box(annotation: Json, concept: str, place: str) -> TrueBox:
    box = _get(annotation, "bbox", list, place)
    if len(box) != 4 or not all(_is_number(side) for side in box) or min(box[2:]) < 0:  # noqa: PLR2004 - left, top, width, height
        raise InvalidGroundTruth(f"{place}.bbox: it must be four numbers: left, top, width and height in pixels.")
    left, top, width, height = map(float, box)
    area = annotation.get("area", width * height)
    if not _is_number(area):
        raise InvalidGroundTruth(f"{place}.area: it must be a number of pixels.")
    return TrueBox(concept, (left, top, width, height), float(area), bool(annotation.get("iscrowd", 0)))


def _image(image: Json, boxes: list[TrueBox], source: str) -> ImageTruth:
    place = f"{source}: image {image['id']}"
    width, height = (_get(image, side, int, place) for side in ("width", "height"))
    if min(width, height) < 1:
        raise InvalidGroundTruth(f"{place}: width and height must be at least 1 pixel.")
    return ImageTruth(frozenset(box.concept for box in boxes), tuple(boxes), width, height)


def _file(image: Json, source: str) -> str:
    return _get(image, "file_name", str, f"{source}: image {image['id']}")


def _items(value: Json, name: str, source: str) -> list[tuple[int, Json]]:
    items = _get(value, name, list, source)
    for number, item in enumerate(items):
        if not isinstance(item, dict):
            raise InvalidGroundTruth(f"{source}: {name}[{number}] must be an object.")
    return list(enumerate(items))


def _get(value: Json, name: str, kind: type[Value], place: str) -> Value:
    found = value.get(name)
    if not isinstance(found, kind) or isinstance(found, bool):
        words: dict[type[Any], str] = {int: "a whole number", str: "a text", list: "a list"}
        raise InvalidGroundTruth(f"{place}.{name}: it must be {words[kind]}.")
    return found


def _known(annotation: Json, name: str, known: dict[int, Value], place: str) -> Value:
    number = _get(annotation, name, int, place)
    if number not in known:
        raise InvalidGroundTruth(f"{place}.{name}: there is no {name.removesuffix('_id')} with the id {number}.")
    return known[number]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
