"""Finds the images that paths, folders and patterns name, in the order a person would list them."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

IMAGE_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif"})
_NUMBER: Final = re.compile(r"\d+")


def find_images(paths: Iterable[str]) -> Iterator[Path]:
    """Yield every file that is named and every image in the folders that are named.

    One folder is held in memory at a time. What is not there is yielded as well: it fails where it is opened,
    and its neighbours go on.
    """
    for text in paths:
        yield from _expand(text)


def natural_order(name: str) -> tuple[str, str]:
    """Return what to sort by, so that `image2` comes before `image10`, whatever the case."""
    return _NUMBER.sub(_number_in_order, name.casefold()), name


def is_image_name(name: str) -> bool:
    """Return whether a file in a folder is taken for an image: by its extension, unless it is hidden."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES  # noqa: PTH122 - no Path for each of a million names


def _expand(text: str) -> Iterator[Path]:
    path = Path(text)
    if text and _is_folder(path):  # An empty text is a forgotten variable, not this folder.
        yield from images_in(path)
    elif _exists(path) or not glob.has_magic(text):
        yield path
    else:
        yield from _matches(text)


def _matches(pattern: str) -> Iterator[Path]:
    found = sorted(glob.iglob(pattern, recursive=True), key=natural_order)  # noqa: PTH207 - Path.glob takes no absolute pattern
    if not found:
        yield Path(pattern)
    for path in map(Path, found):
        if not _is_folder(path):
            yield path
        elif "**" not in pattern:  # `**` names what is in the folder itself.
            yield from images_in(path)


def images_in(folder: Path) -> Iterator[Path]:
    """Yield the images in a folder and the folders below it. Hidden ones and links to folders are left out."""
    try:
        with os.scandir(folder) as entries:
            found = sorted((natural_order(entry.name), _is_subfolder(entry)) for entry in entries if _is_taken(entry))
    except OSError:
        yield folder
        return
    for (_, name), is_subfolder in found:
        if is_subfolder:
            yield from images_in(folder / name)
        else:
            yield folder / name


def _is_taken(entry: os.DirEntry[str]) -> bool:
    return is_image_name(entry.name) or (not entry.name.startswith(".") and _is_subfolder(entry))


def _is_subfolder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)  # A link could lead in circles.
    except OSError:
        return False


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return True


def _number_in_order(number: re.Match[str]) -> str:
    digits = number[0].lstrip("0")
    return f"{len(digits):04}{digits}"
