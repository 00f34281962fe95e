"""Reads the truth from CSV: a header, then a row a file and label."""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from lumitag.errors import InvalidGroundTruth
from lumitag.evaluation.truth import GroundTruth, ImageTruth, TruthKind
from lumitag.evaluation.vocabulary import UnknownLabelError, Vocabulary

_FILE_COLUMNS: Final = ("file", "filename", "image", "path")
# Where a row says the same in several columns, the most exact one counts.
_INDEX_COLUMNS: Final = ("imagenetindex", "classindex")
_ID_COLUMNS: Final = ("wnid", "wordnetid", "concept")
_LABEL_COLUMNS: Final = ("label", "labels", "name")
_SEPARATORS: Final = re.compile(r"[;|]")


def read_csv(text: str, source: str, vocabulary: Vocabulary, kind: TruthKind, skip_unknown: bool) -> GroundTruth:
    """Return what a CSV file says.

    The header names a column `file` and at least one of `imagenet_index`, `wnid` and `label` (case, spaces and
    underscores do not matter); a label is a name, an alias or an id of the vocabulary, several are separated by `;`
    or `|` or stand in rows of their own.

    Args:
        text: the content.
        source: the name of the file, for errors.
        vocabulary: what labels mean.
        kind: `subject` or `complete`.
        skip_unknown: leave out and count what is not in the vocabulary.

    Raises InvalidGroundTruth with file and line.
    """
    reading = _Reading(source, vocabulary, skip_unknown)
    for line, row in _rows(text, source):
        reading.take(line, row)
    images = {file: ImageTruth(frozenset(concepts)) for file, concepts in reading.concepts.items() if concepts}
    if not images:
        raise InvalidGroundTruth(f"{source} names no file with a label of the vocabulary. Add a row a file.")
    return GroundTruth(kind, images, skipped=tuple(reading.skipped.most_common()))


@dataclass
class _Reading:
    """What was read so far."""

    source: str
    vocabulary: Vocabulary
    skip_unknown: bool
    concepts: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    skipped: Counter[str] = field(default_factory=Counter)

    def take(self, line: int, row: dict[str, str]) -> None:
        file = _first(row, _FILE_COLUMNS)
        if not file:
            raise InvalidGroundTruth(f"{self.source}, line {line}: no file is named. Fill it in, or remove the line.")
        found = self.concepts[file]
        for text, lookup in self._cells(line, row):
            try:
                found.add(lookup(text))
            except UnknownLabelError as error:
                self._skip(line, text, error)

    def _cells(self, line: int, row: dict[str, str]) -> Iterator[tuple[str, Callable[[str], str]]]:
        """Yield each text that names a label, with what looks it up."""
        if index := _first(row, _INDEX_COLUMNS):
            yield index, lambda text: self._class(line, text)
            return
        texts = _first(row, _ID_COLUMNS) or _first(row, _LABEL_COLUMNS)
        labels = [text.strip() for text in _SEPARATORS.split(texts) if text.strip()]
        if not labels:
            raise InvalidGroundTruth(f"{self.source}, line {line}: no label is given. Fill it in, or remove the line.")
        yield from ((label, self.vocabulary.find) for label in labels)

    def _class(self, line: int, text: str) -> str:
        if not text.isdecimal():
            raise InvalidGroundTruth(f'{self.source}, line {line}: "{text}" is no ImageNet index. Write 0 to 999.')
        return self.vocabulary.find_class(int(text))

    def _skip(self, line: int, text: str, error: UnknownLabelError) -> None:
        if not self.skip_unknown:
            raise InvalidGroundTruth(
                f"{self.source}, line {line}: {error} Correct it, or leave such labels out with --skip-unknown."
            ) from error
        self.skipped[text] += 1


def _rows(text: str, source: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the number of each line and its cells by column, names without case, spaces and underscores."""
    reader = csv.reader(text.removeprefix("\ufeff").splitlines(keepends=True), strict=True)
    try:
        columns = [re.sub(r"[\s_-]", "", name).casefold() for name in next(reader, [])]
        _check_columns(columns, source)
        for cells in reader:
            if any(cell.strip() for cell in cells):
                _check_cells(cells, columns, f"{source}, line {reader.line_num}")
                yield reader.line_num, {name: cell.strip() for name, cell in zip(columns, cells, strict=False)}
    except csv.Error as error:
        raise InvalidGroundTruth(f"{source}, line {reader.line_num}: {error}. Save it as CSV again.") from error


def _check_columns(columns: list[str], source: str) -> None:
    if not set(columns) & set(_FILE_COLUMNS):
        raise InvalidGroundTruth(f'{source}, line 1: there is no column "file". The first line names the columns.')
    if not set(columns) & {*_INDEX_COLUMNS, *_ID_COLUMNS, *_LABEL_COLUMNS}:
        raise InvalidGroundTruth(
            f'{source}, line 1: there is no column of labels. Name one "label", "wnid" or "imagenet_index".'
        )


def _check_cells(cells: list[str], columns: list[str], place: str) -> None:
    if len(cells) > len(columns):
        raise InvalidGroundTruth(
            f"{place}: {len(cells)} cells, but {len(columns)} columns. Put a cell that holds a comma in quotes."
        )


def _first(row: dict[str, str], columns: tuple[str, ...]) -> str:
    return next((row[column] for column in columns if row.get(column)), "")
