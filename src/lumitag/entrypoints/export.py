"""Image records as lines of text: the one export behind the command line and the HTTP API.

JSON Lines carries everything; CSV is for spreadsheets, one row an image.
A spreadsheet runs a cell that starts like a formula, and file names come from strangers. Such a cell gets an
apostrophe in front (https://owasp.org/www-community/attacks/CSV_Injection); `plain` takes it away again.
So does what follows a semicolon, because many spreadsheets begin a new cell there.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Final

from lumitag.domain import ImageRecord, Json
from lumitag.recognition.colors import with_color_names

# The apostrophes in front make `neutral` reversible: a text that looks neutralised already gets one more.
_FORMULA: Final = r"(?='*(?:[\t\r\n]|\s*[=+\-@＝＋－＠]))"  # noqa: RUF001 - spreadsheets take the full-width signs too
_START: Final = re.compile(rf"(^|;){_FORMULA}")
_NEUTRAL_START: Final = re.compile(rf"(^|;)'{_FORMULA}")
_SEPARATOR: Final = "; "
_COLUMNS: Final = (
    "key",
    "fileName",
    "contentType",
    "size",
    "sha256",
    "width",
    "height",
    "status",
    "reason",
    "labels",
    "confidences",
    "recognizer",
    "modelVersion",
    "uploadTime",
    "recognizedTime",
)


class ExportFormat(StrEnum):
    """How records are written."""

    JSONL = "jsonl"
    CSV = "csv"

    @property
    def has_properties(self) -> bool:
        """Whether image properties are written: they do not fit into the cells of a spreadsheet."""
        return self is ExportFormat.JSONL

    @property
    def media_type(self) -> str:
        """The type that HTTP calls it by."""
        return "application/x-ndjson" if self is ExportFormat.JSONL else "text/csv; charset=utf-8; header=present"


def export_lines(
    records: Iterable[ImageRecord], export_format: ExportFormat, min_confidence: float = 0.0
) -> Iterator[str]:
    """Yield the records as lines, each with its end of line, holding one at a time.

    Labels below `min_confidence` percent are left out. CSV starts with a line that names the columns.
    """
    visible = (record.with_visible_labels(min_confidence) for record in records)
    if export_format is ExportFormat.CSV:
        return csv_lines(_COLUMNS, map(_row, visible))
    return (json_line(with_color_names(record.to_json())) for record in visible)


def json_line(value: Json) -> str:
    """Return one line of JSON Lines, its end included."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"


def csv_lines(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Yield a header line and one line a row as RFC 4180 has it, every text made harmless by `neutral`."""
    yield _csv_line(columns)
    for row in rows:
        yield _csv_line([neutral(cell) if isinstance(cell, str) else cell for cell in row])


def neutral(text: str) -> str:
    """Return `text` so that no spreadsheet takes it for a formula."""
    return _START.sub(r"\1'", text)


def plain(text: str) -> str:
    """Return what `neutral` was given: its exact inverse."""
    return _NEUTRAL_START.sub(r"\1", text)


def label_cells(record: Json) -> tuple[str, str]:
    """Return the names and the confidences of the labels of a record, each as one cell."""
    labels = record["labels"]
    names = _SEPARATOR.join(label["name"] for label in labels)
    return names, _SEPARATOR.join(f"{label['confidence']:g}" for label in labels)


def _row(record: ImageRecord) -> list[object]:
    value = record.to_json()
    value["labels"], value["confidences"] = label_cells(value)
    return [value[column] for column in _COLUMNS]


def _csv_line(cells: Sequence[object]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()
