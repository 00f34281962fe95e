"""How results reach the caller: data on standard output, everything else on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import typer

from lumitag.domain import Json
from lumitag.entrypoints.commands.exit_codes import DONE, SOME_FAILED
from lumitag.entrypoints.commands.tables import table_lines
from lumitag.entrypoints.export import csv_lines, json_line, label_cells
from lumitag.errors import InvalidRequest

_SEPARATOR: Final = "; "


class ReaderGoneError(Exception):
    """Whoever reads our output has seen enough, as in `lumitag search | head`."""


class OutputFormat(StrEnum):
    """How results are written."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


@dataclass(frozen=True)
class View:
    """How one kind of value is shown.

    Attributes:
        columns: of CSV, by their names in JSON.
        table: the headings of the table and what stands below them.
    """

    columns: tuple[str, ...]
    table: Mapping[str, Callable[[Json], str]]

    def row(self, value: Json) -> list[object]:
        """Return the cells of one row of CSV."""
        flat = _with_label_cells(value)
        return [_cell(flat.get(column)) for column in self.columns]


class Failures:
    """Counts the values that are failures while they are written."""

    def __init__(self) -> None:
        self.count = 0

    @property
    def exit_code(self) -> int:
        """What the command returns."""
        return SOME_FAILED if self.count else DONE

    def counting(self, values: Iterable[Json]) -> Iterator[Json]:
        """Yield the values."""
        for value in values:
            self.count += "error" in value
            yield value


def chosen_format(flags: Mapping[OutputFormat, bool]) -> OutputFormat:
    """Return the format that was asked for: a table on a terminal and JSON Lines elsewhere unless told otherwise."""
    chosen = [output_format for output_format, is_set in flags.items() if is_set]
    if len(chosen) > 1:
        raise InvalidRequest(f"--{chosen[0]} and --{chosen[1]} exclude each other.")
    return chosen[0] if chosen else OutputFormat.TABLE if sys.stdout.isatty() else OutputFormat.JSONL


def write_values(values: Iterable[Json], output_format: OutputFormat, view: View) -> None:
    """Write all values to standard output, one at a time unless it is a table."""
    write_lines(_lines(values, output_format, view))


def write_lines(lines: Iterable[str]) -> None:
    """Write complete lines to standard output; each can be read by the next program at once. Raises ReaderGoneError."""
    for line in lines:
        try:
            sys.stdout.write(line)
            sys.stdout.flush()
        except BrokenPipeError as error:
            raise ReaderGoneError from error


def note(text: str) -> None:
    """Tell a person something that is not data."""
    sys.stdout.flush()
    sys.stderr.write(f"lumitag: {text}\n")
    sys.stderr.flush()


def counted(count: int, noun: str) -> str:
    """Return `1 image` or `2,000 images`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def confirm(question: str, yes: bool) -> None:
    """Ask a person unless `yes`. Raises Exit when the answer is no, and InvalidRequest when nobody is there to ask."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidRequest("Nobody is there to confirm this. Add --yes.")
    if not typer.confirm(question, err=True):
        raise typer.Exit(SOME_FAILED)


def json_array_lines(values: Iterable[Json]) -> Iterator[str]:
    """Yield one JSON array, an element a line."""
    before = "[\n"
    for value in values:
        yield before + json_line(value).rstrip("\n")
        before = ",\n"
    yield "[]\n" if before.startswith("[") else "\n]\n"


def _lines(values: Iterable[Json], output_format: OutputFormat, view: View) -> Iterable[str]:
    match output_format:
        case OutputFormat.TABLE:
            return table_lines(tuple(view.table), ([cell(value) for cell in view.table.values()] for value in values))
        case OutputFormat.JSON:
            return json_array_lines(values)
        case OutputFormat.JSONL:
            return map(json_line, values)
        case OutputFormat.CSV:
            return csv_lines(view.columns, map(view.row, values))


def _with_label_cells(value: Json) -> Json:
    """Return `value` with its labels, if they are whole ones, as two texts: names and confidences."""
    if not any(isinstance(label, dict) for label in value.get("labels", ())):
        return value
    names, confidences = label_cells(value)
    return {**value, "labels": names, "confidences": confidences}


def _cell(value: object) -> object:
    return _SEPARATOR.join(map(str, value)) if isinstance(value, list) else value
