"""Finding images: newest first, by label, status and time, a page at a time.

A query with labels walks the index of its rarest label and checks the others image by image;
without labels it walks the images themselves. Both go down a range of ids, which is a range of upload times,
and stop when the page is full: no query counts or skips what was on the pages before.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from lumitag.adapters.local._cursors import cursor_of, numbers_of
from lumitag.adapters.local._label_index import folded_name
from lumitag.adapters.local._records import first_id_at
from lumitag.domain import ImageQuery, ImageStatus

_LARGEST_PAGE: Final = 1000
_CURSOR: Final = "images"
_BEYOND_ALL_IDS: Final = (1 << 63) - 1

Parameter = int | float | str


@dataclass(frozen=True, slots=True)
class _Term:
    """Label ids of which one must be there, and how many images have one of them at most."""

    label_ids: tuple[int, ...]
    images: int


@dataclass(frozen=True, slots=True)
class _Conditions:
    """SQL that an image id must meet, with its parameters. `{id}` stands for the id."""

    sql: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()

    def of(self, column: str) -> str:
        return "".join(f" AND {sql}" for sql in self.sql).replace("{id}", column)

    def __add__(self, other: _Conditions) -> _Conditions:
        return _Conditions(self.sql + other.sql, self.parameters + other.parameters)


@dataclass(frozen=True, slots=True)
class _Window:
    """At most `limit` ids from `first` up to `end`, which is not included."""

    first: int
    end: int
    limit: int


def find_page(connection: sqlite3.Connection, query: ImageQuery) -> tuple[list[sqlite3.Row], str | None]:
    """Return the rows of one page and the cursor of the next. Raises InvalidCursor."""
    limit = max(1, min(query.limit, _LARGEST_PAGE))
    image_ids = _find_ids(connection, query, _window_of(query, limit + 1))
    shown = image_ids[:limit]
    next_cursor = cursor_of(_CURSOR, shown[-1]) if image_ids[limit:] else None
    return _rows(connection, shown), next_cursor


def _find_ids(connection: sqlite3.Connection, query: ImageQuery, window: _Window) -> list[int]:
    required = _required_terms(connection, query)
    unwanted = [_term(connection, [name]) for name in query.none_of]
    if _is_impossible(required, unwanted):
        return []
    conditions = _sum(_has_none_of(term, query.min_confidence) for term in unwanted if term.label_ids)
    if not required:
        return _walk_images(connection, query.status, conditions, window)
    if query.status not in {None, ImageStatus.RECOGNIZED}:
        return []  # only recognized images have labels
    rarest, *others = sorted(required, key=lambda term: term.images)
    conditions = _sum(_has_one_of(term, query.min_confidence) for term in others) + conditions
    return _walk_labels(connection, rarest, query.min_confidence, conditions, window)


def _required_terms(connection: sqlite3.Connection, query: ImageQuery) -> list[_Term]:
    terms = [_term(connection, [name]) for name in dict.fromkeys(query.all_of)]
    return [*terms, _term(connection, query.any_of)] if query.any_of else terms


def _is_impossible(required: list[_Term], unwanted: list[_Term]) -> bool:
    """Return whether a required label is on no image at all, or is unwanted too: then there is nothing to walk."""
    never = {label_id for term in unwanted for label_id in term.label_ids}
    return any(never.issuperset(term.label_ids) for term in required)


def _term(connection: sqlite3.Connection, names: Iterable[str]) -> _Term:
    images = {
        row["label_id"]: row["images"]
        for name in names
        for row in connection.execute(
            """
            SELECT label_names.label_id, label_counts.images
            FROM label_names
            JOIN labels ON labels.id = label_names.label_id
            JOIN label_counts ON label_counts.name = labels.name AND label_counts.folded_name = labels.folded_name
            WHERE label_names.folded_name = ?
            """,
            (folded_name(name),),
        )
    }
    return _Term(tuple(images), sum(images.values()))


def _has_one_of(term: _Term, min_confidence: float) -> _Conditions:
    sql = f"""EXISTS (
        SELECT 1 FROM image_labels
        WHERE label_id IN ({_marks(term.label_ids)}) AND image_id = {{id}} AND confidence >= ?
    )"""  # noqa: S608
    return _Conditions((sql,), (*term.label_ids, min_confidence))


def _has_none_of(term: _Term, min_confidence: float) -> _Conditions:
    has = _has_one_of(term, min_confidence)
    return _Conditions(tuple(f"NOT {sql}" for sql in has.sql), has.parameters)


def _walk_labels(
    connection: sqlite3.Connection, term: _Term, min_confidence: float, conditions: _Conditions, window: _Window
) -> list[int]:
    """Return the newest images that have one of the term's labels: each label's newest, merged."""
    found = {
        row["image_id"]
        for label_id in term.label_ids
        for row in connection.execute(
            f"""
            SELECT image_id FROM image_labels AS found
            WHERE label_id = ? AND image_id >= ? AND image_id < ? AND confidence >= ? {conditions.of("found.image_id")}
            ORDER BY image_id DESC LIMIT ?
            """,  # noqa: S608
            (label_id, window.first, window.end, min_confidence, *conditions.parameters, window.limit),
        )
    }
    return sorted(found, reverse=True)[: window.limit]


def _walk_images(
    connection: sqlite3.Connection, status: ImageStatus | None, conditions: _Conditions, window: _Window
) -> list[int]:
    if status is not None:
        conditions = _Conditions(("status = ?",), (status.value,)) + conditions
    rows = connection.execute(
        f"""
        SELECT id FROM images AS found
        WHERE id >= ? AND id < ? {conditions.of("found.id")}
        ORDER BY id DESC LIMIT ?
        """,  # noqa: S608
        (window.first, window.end, *conditions.parameters, window.limit),
    )
    return [row["id"] for row in rows]


def _rows(connection: sqlite3.Connection, image_ids: list[int]) -> list[sqlite3.Row]:
    if not image_ids:
        return []
    return connection.execute(
        f"SELECT * FROM images WHERE id IN ({_marks(image_ids)}) ORDER BY id DESC",  # noqa: S608
        image_ids,
    ).fetchall()


def _window_of(query: ImageQuery, limit: int) -> _Window:
    first = first_id_at(query.after) if query.after is not None else 1
    ends = [first_id_at(query.before)] if query.before is not None else []
    if query.cursor is not None:
        ends += numbers_of(_CURSOR, query.cursor, 1)
    return _Window(first, min(ends, default=_BEYOND_ALL_IDS), limit)


def _sum(conditions: Iterable[_Conditions]) -> _Conditions:
    return sum(conditions, start=_Conditions())


def _marks(values: Iterable[object]) -> str:
    return ", ".join("?" for _ in values)
