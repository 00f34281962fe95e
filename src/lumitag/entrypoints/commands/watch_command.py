"""`lumitag watch`: from a folder that changes to labels or uploads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from lumitag.entrypoints.commands.label_command import LabelWishes, file_labeller, with_sidecar, write_outcomes
from lumitag.entrypoints.commands.opening import opened
from lumitag.entrypoints.commands.output import OutputFormat, write_values
from lumitag.entrypoints.commands.upload_files import upload_files
from lumitag.entrypoints.commands.views import UPLOADS
from lumitag.entrypoints.commands.watch import FolderWatch, changed_images
from lumitag.settings import Settings


def batches(folder: Path, existing: bool) -> Iterator[list[Path]]:
    """Return an endless stream of what has come or changed since this call, or ever if `existing`."""
    watch = FolderWatch(folder)
    if not existing:
        watch.ignore_present()
    return changed_images(watch)


def label_batches(paths: Iterable[list[Path]], settings: Settings, wishes: LabelWishes) -> None:
    """Write the labels of each image as it comes."""
    with file_labeller(settings, wishes) as labeller:
        for batch in paths:
            outcomes = ((path, with_sidecar(path, outcome, wishes)) for path, outcome in labeller.label(batch))
            write_outcomes(outcomes, wishes, OutputFormat.JSONL)


def upload_batches(paths: Iterable[list[Path]], settings: Settings) -> None:
    """Put each image into the data folder as it comes."""
    with opened(settings, create=True) as platform:
        write_values(upload_files(platform.pipeline, chain.from_iterable(paths)), OutputFormat.JSONL, UPLOADS)
