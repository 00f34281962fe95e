"""Fits the files that a truth names to the images that are in a folder."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lumitag.entrypoints.commands.image_files import images_in
from lumitag.entrypoints.commands.output import counted
from lumitag.errors import InvalidGroundTruth
from lumitag.evaluation.report import Coverage
from lumitag.evaluation.truth import GroundTruth, ImageTruth


@dataclass(frozen=True)
class Fitted:
    """The images to evaluate.

    Attributes:
        truths: by the path of the image relative to the folder, as POSIX writes it.
        coverage: what does not fit.
    """

    truths: Mapping[str, ImageTruth]
    coverage: Coverage


def fit(folder: Path, truth: GroundTruth, source: str) -> Fitted:
    """Return the images of `folder` that `truth` names, by their path in it or by their name where only one has it.

    Raises InvalidGroundTruth if there is none.
    """
    images = {path.relative_to(folder).as_posix(): None for path in images_in(folder) if path != folder}
    by_name = _by_name(images)
    found = {name: place for name in truth.images if (place := _place(name, images, by_name))}
    if not found:
        raise InvalidGroundTruth(
            f"{source} names {counted(len(truth.images), 'file')}, none of which is an image in {folder}. "
            "Name the folder that they are in."
        )
    truths: dict[str, ImageTruth] = {}
    for name, place in found.items():
        truths[place] = _joined(truths[place], truth.images[name]) if place in truths else truth.images[name]
    missing = tuple(name for name in truth.images if name not in found)
    unnamed = tuple(place for place in images if place not in truths)
    return Fitted(truths, Coverage(source, missing, unnamed, truth.skipped))


def _by_name(images: Mapping[str, None]) -> Mapping[str, list[str]]:
    by_name: dict[str, list[str]] = defaultdict(list)
    for place in images:
        by_name[place.rpartition("/")[2]].append(place)
    return by_name


def _place(name: str, images: Mapping[str, None], by_name: Mapping[str, list[str]]) -> str | None:
    path = name.replace("\\", "/").removeprefix("./")
    if path in images:
        return path
    same = by_name.get(path.rpartition("/")[2], [])
    return same[0] if len(same) == 1 else None


def _joined(first: ImageTruth, second: ImageTruth) -> ImageTruth:
    """Return what is true of an image that is named in two ways."""
    return ImageTruth(first.concepts | second.concepts, first.boxes + second.boxes, first.width, first.height)
