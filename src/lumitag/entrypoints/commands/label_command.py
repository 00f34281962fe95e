"""`lumitag label`: from paths to lines on standard output."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Final

from lumitag.adapters.local.recognizer import build_recognizer_pool
from lumitag.domain import Json
from lumitag.entrypoints.commands.image_files import find_images
from lumitag.entrypoints.commands.label_cache import LabelCache, cache_path
from lumitag.entrypoints.commands.label_files import FileLabeller, Outcome, Problem, line_of, model_name, shown_labels
from lumitag.entrypoints.commands.output import OutputFormat, View, note, write_lines, write_values
from lumitag.entrypoints.commands.progress import progress
from lumitag.entrypoints.commands.tables import label_summary, padded, printable
from lumitag.entrypoints.commands.xmp import SidecarDamagedError, sidecar_path, write_sidecar
from lumitag.recognition.colors import with_color_names
from lumitag.settings import Settings

_FILE_WIDTH: Final = 32
_LOWEST_FLOOR_PERCENT: Final = 0.1  # Below, every label there is would be an answer.
_COLUMNS: Final = ("file", "labels", "confidences", "width", "height", "modelVersion", "error", "message")
_VIEW: Final = View(_COLUMNS, {})


@dataclass(frozen=True)
class LabelWishes:
    """What a person asked for.

    Attributes:
        min_confidence: percent; labels below are left out.
        max_labels: at most this many a file.
        xmp: also write sidecars.
        use_cache: whether a content that was recognized before is not recognized again.
        quiet: no progress and no summary.
    """

    min_confidence: float
    max_labels: int
    xmp: bool = False
    use_cache: bool = True
    quiet: bool = False


def wishes(
    settings: Settings,
    min_confidence: float | None,
    max_labels: int | None,
    *,
    xmp: bool = False,
    no_cache: bool = False,
    quiet: bool = False,
) -> LabelWishes:
    """Return what was asked for; what was not asked for is as the settings have it."""
    return LabelWishes(
        min_confidence=settings.min_confidence_percent if min_confidence is None else min_confidence,
        max_labels=max_labels or settings.max_labels,
        xmp=xmp,
        use_cache=not no_cache,
        quiet=quiet,
    )


def label_paths(paths: Sequence[str], settings: Settings, wishes: LabelWishes, output_format: OutputFormat) -> int:
    """Write what is on every image that `paths` name; return the exit code."""
    files, workers = _enough_workers(find_images(paths), settings.workers)
    tally = Tally()
    with (
        file_labeller(settings.model_copy(update={"workers": workers}), wishes) as labeller,
        progress(lambda: sum(1 for _ in find_images(paths)), not wishes.quiet) as tick,
    ):
        outcomes = ((path, with_sidecar(path, outcome, wishes)) for path, outcome in labeller.label(files))
        write_outcomes(tally.counting(outcomes, tick), wishes, output_format)
    if not wishes.quiet:
        note(tally.summary())
    return 1 if tally.failed else 0


def file_labeller(settings: Settings, wishes: LabelWishes) -> FileLabeller:
    """Return a labeller with the floor low enough for what is asked for."""
    floor = max(_LOWEST_FLOOR_PERCENT, min(settings.storage_floor_percent, wishes.min_confidence))
    settings = settings.model_copy(update={"storage_floor_percent": floor})
    cache = LabelCache(cache_path(), note) if wishes.use_cache else None
    return FileLabeller(build_recognizer_pool(settings), settings.workers, cache, model_name(settings))


def write_outcomes(outcomes: Iterable[tuple[Path, Outcome]], wishes: LabelWishes, output_format: OutputFormat) -> None:
    """Write one line a file, each as soon as it is known."""
    values = (line_of(path, outcome, wishes.min_confidence, wishes.max_labels) for path, outcome in outcomes)
    if output_format is OutputFormat.TABLE:
        write_lines(map(table_line, values))
    else:
        write_values(map(with_color_names, values), output_format, _VIEW)


def with_sidecar(path: Path, outcome: Outcome, wishes: LabelWishes) -> Outcome:
    """Write the sidecar if that is asked for; return the outcome, or what was wrong with the sidecar."""
    if not wishes.xmp or isinstance(outcome, Problem):
        return outcome
    try:
        write_sidecar(path, shown_labels(outcome, wishes.min_confidence, wishes.max_labels))
    except (OSError, SidecarDamagedError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        return Problem("sidecar_unwritable", f"{sidecar_path(path).name} is left as it is: {reason}.")
    return outcome


def table_line(line: Json) -> str:
    """Return one line for people: the file and its labels, or what is wrong with it."""
    labels = line["message"] if "error" in line else label_summary(line["labels"]) or "(nothing recognized)"
    return f"{padded(printable(line['file']), _FILE_WIDTH)}  {printable(labels)}\n"


class Tally:
    """Counts what came of the files and how long it took."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._images = 0
        self.failed = 0

    def counting(
        self, outcomes: Iterable[tuple[Path, Outcome]], tick: Callable[[], None]
    ) -> Iterator[tuple[Path, Outcome]]:
        """Yield the outcomes and count them."""
        for path, outcome in outcomes:
            yield path, outcome
            self._images += 1
            self.failed += isinstance(outcome, Problem)
            tick()

    def summary(self) -> str:
        """Return one line for people: `300 images, 12.3 a second, 2 unreadable`."""
        if not self._images:
            return "No image found. Folders are searched for JPEG, PNG, WebP and GIF files, hidden ones left out."
        seconds = max(time.monotonic() - self._start, 1e-9)
        parts = [f"{self._images:,} image{'' if self._images == 1 else 's'}", f"{self._images / seconds:,.1f} a second"]
        return ", ".join([*parts, f"{self.failed:,} unreadable"] if self.failed else parts)


def _enough_workers(files: Iterator[Path], wanted: int) -> tuple[Iterator[Path], int]:
    """Return the same files and no more workers than there are files: a process costs a second to start."""
    first = list(islice(files, wanted))
    return chain(first, files), max(1, len(first))
