"""The export: nothing is lost, nothing is run by a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from itertools import islice

from hypothesis import example, given
from hypothesis import strategies as st

from lumitag.domain import ImageRecord, ImageStatus
from lumitag.entrypoints.export import ExportFormat, csv_lines, export_lines, neutral, plain
from tests.entrypoints.test_cli import LABELS

TEXTS = st.text() | st.builds(
    str.__add__, st.sampled_from(["=", "+", "-", "@", "\t", "\r", "\n", "'", " =", "\uff1d"]), st.text()
)
STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def record(file_name: str = "cat.jpg", reason: str | None = None) -> ImageRecord:
    return ImageRecord(
        "0" * 26,
        file_name,
        "image/jpeg",
        10,
        datetime(2026, 11, 23, tzinfo=UTC),
        status=ImageStatus.RECOGNIZED,
        reason=reason,
        labels=LABELS,
    )


def cells_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


@given(TEXTS)
@example("'=1+1")
@example("''=1+1")
@example("'")
@example("a;=1+1;b")
@example("a; '+1;'")
def test_neutral_is_harmless_and_plain_undoes_it(text: str) -> None:
    harmless = neutral(text)

    assert plain(harmless) == text
    # Where a comma is a decimal point, spreadsheets read CSV with semicolons between the cells.
    assert not any(cell.lstrip(" ").startswith(STARTS) for cell in harmless.split(";"))


@given(st.lists(st.lists(TEXTS, min_size=3, max_size=3), max_size=5))
def test_rows_with_formulas_come_back_as_they_were(rows: list[list[str]]) -> None:
    rows = [[cell.replace("\0", "") for cell in row] for row in rows]

    written = cells_of("".join(csv_lines(["a", "b", "c"], rows)))

    assert [[plain(cell) for cell in row] for row in written[1:]] == rows


@given(TEXTS.map(lambda text: text.replace("\0", "")))
def test_one_image_is_one_row_whatever_its_name(file_name: str) -> None:
    header, row = cells_of("".join(export_lines([record(file_name, reason=file_name)], ExportFormat.CSV)))

    values = dict(zip(header, map(plain, row), strict=True))
    assert (values["fileName"], values["reason"]) == (file_name, file_name)


def test_json_lines_carry_the_whole_record() -> None:
    [line] = export_lines([record()], ExportFormat.JSONL)

    assert json.loads(line) == record().to_json()
    assert line.endswith("\n")


def test_labels_below_the_confidence_are_left_out() -> None:
    _, row = export_lines([record()], ExportFormat.CSV, 90)

    assert "Animal; Cat," in row
    assert "99; 97.5," in row


def test_nothing_is_read_ahead() -> None:
    taken = 0

    def records() -> object:
        nonlocal taken
        while True:
            taken += 1
            yield record()

    list(islice(export_lines(records(), ExportFormat.JSONL), 3))  # type: ignore[arg-type]

    assert taken == 3


def test_an_empty_export_still_names_its_columns() -> None:
    assert list(export_lines([], ExportFormat.JSONL)) == []
    assert next(export_lines([], ExportFormat.CSV)).startswith("key,fileName,")
