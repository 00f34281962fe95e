"""What is true of each image, whoever wrote it down."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lumitag.domain import BoundingBox


class TruthKind(StrEnum):
    """How much the truth says about an image.

    `subject`: what it mainly shows, and nothing of what else is in it.
    `complete`: everything that is in it.
    `boxes`: where every instance of certain categories is (COCO).
    """

    SUBJECT = "subject"
    COMPLETE = "complete"
    BOXES = "boxes"


@dataclass(frozen=True, slots=True)
class TrueBox:
    """One annotated instance.

    Attributes:
        concept: id of what it is.
        box: left, top, width, height in pixels of the annotated picture.
        area: of the instance in pixels, as annotated.
        is_crowd: it stands for a group: finding members of it is neither right nor wrong.
    """

    concept: str
    box: tuple[float, float, float, float]
    area: float
    is_crowd: bool


@dataclass(frozen=True, slots=True)
class ImageTruth:
    """What is true of one image: the ids of its concepts; with boxes also where they are, and its size in pixels."""

    concepts: frozenset[str]
    boxes: tuple[TrueBox, ...] = ()
    width: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """The truth of a set of images.

    Attributes:
        kind: how much it says.
        images: by the name of the file, as written.
        annotated: the concepts that were looked for; empty where nobody says.
        skipped: texts that mean no concept and how often each occurs.
    """

    kind: TruthKind
    images: dict[str, ImageTruth]
    annotated: frozenset[str] = frozenset()
    skipped: tuple[tuple[str, int], ...] = ()


def pixels_of(box: BoundingBox, width: int, height: int) -> tuple[float, float, float, float]:
    """Return left, top, width and height in pixels of a picture of this size."""
    return box.left * width, box.top * height, box.width * width, box.height * height
