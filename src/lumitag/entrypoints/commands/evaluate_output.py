"""The report of `lumitag evaluate` on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lumitag.entrypoints.commands.tables import printable, table_lines
from lumitag.evaluation import tables
from lumitag.evaluation.report import Report
from lumitag.evaluation.tables import Table

_WEAKEST: Final = 10


def text_lines(report: Report) -> Iterator[str]:
    """Yield the lines of the report."""
    for sentence in tables.headline(report):
        yield f"{printable(sentence)}\n"
    for table in _tables(report):
        yield from _table_lines(table)


def _tables(report: Report) -> Iterator[Table]:
    yield tables.figures_table(report)
    if boxes := tables.boxes_table(report):
        yield boxes
    yield tables.curve_table(report)
    yield tables.calibration_table(report)
    yield tables.labels_table(report, tables.weakest(report, _WEAKEST))
    yield tables.wrong_table(report)
    yield tables.missed_table(report)
    if report.comparison:
        yield tables.agreement_table(report.comparison)
        yield tables.changes_table(report, report.comparison, _WEAKEST)
    yield tables.cost_table(report)
    yield tables.money_table(report)
    yield tables.vocabulary_table(report)


def _table_lines(table: Table) -> Iterator[str]:
    if table.rows:
        yield f"\n{table.title}\n"
        yield from table_lines(tuple(heading.upper() for heading in table.headings), table.rows)
        if table.note:
            yield f"{printable(table.note)}\n"
