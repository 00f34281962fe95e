"""Labels in the database: a dictionary of labels, the packed labels of each image, and the index to search by.

An image's labels are packed as `[[label id, confidence, [[left, top, width, height, confidence], ...]], ...]`.
All that they share with the same label of other images is kept once, in the dictionary.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

from lumitag.domain import BoundingBox, Instance, Label, LabelCount

_LAST_CHARACTER: Final = "\U0010ffff"


class LabelIndex:
    """Stores, removes and reads the labels of images. Remembers dictionary entries: once committed, none changes."""

    def __init__(self) -> None:
        self._dictionary: dict[int, Label] = {}

    def replace(self, connection: sqlite3.Connection, image_id: int, labels: tuple[Label, ...]) -> None:
        """Make `labels` the labels of the image, in place of those it had."""
        before = _packed_labels(connection, image_id)
        if before:
            _unindex(connection, image_id, before)
        label_ids = [_label_id(connection, label) for label in labels]
        _index(connection, image_id, labels, label_ids)
        connection.execute("UPDATE images SET packed_labels = ? WHERE id = ?", (_pack(labels, label_ids), image_id))
        _forget_unused(connection, {entry[0] for entry in before} - set(label_ids))

    def read(self, connection: sqlite3.Connection, packed: str, *, is_committed: bool) -> tuple[Label, ...]:
        """Return the labels that `packed` stands for.

        What is not committed is not remembered: when it is undone, its id is given to the next new label.
        """
        entry_of = self._remembered_entry if is_committed else self._entry
        return tuple(
            _label(entry_of(connection, label_id), confidence, instances)
            for label_id, confidence, instances in json.loads(packed)
        )

    def _remembered_entry(self, connection: sqlite3.Connection, label_id: int) -> Label:
        entry = self._dictionary[label_id] = self._entry(connection, label_id)
        return entry

    def _entry(self, connection: sqlite3.Connection, label_id: int) -> Label:
        if (known := self._dictionary.get(label_id)) is not None:
            return known
        row = connection.execute("SELECT content FROM labels WHERE id = ?", (label_id,)).fetchone()
        return _entry_of(row["content"])


def folded_name(name: str) -> str:
    """Return a name as it is compared; what cannot be stored (a lone surrogate) equals nothing that is."""
    return name.casefold().encode("utf-8", "replace").decode("utf-8")


def move_labels(connection: sqlite3.Connection, old_image_id: int, new_image_id: int) -> None:
    """Let the index follow an image that has got another id already."""
    connection.executemany(
        "UPDATE image_labels SET image_id = ? WHERE label_id = ? AND image_id = ?",
        [(new_image_id, entry[0], old_image_id) for entry in _packed_labels(connection, new_image_id)],
    )


def count_labels(connection: sqlite3.Connection, prefix: str, limit: int) -> list[LabelCount]:
    """Return the most frequent labels whose name starts with `prefix`, case ignored."""
    folded = folded_name(prefix)
    rows = connection.execute(
        """
        SELECT name, images FROM label_counts WHERE folded_name >= ? AND folded_name < ?
        ORDER BY images DESC, name LIMIT ?
        """,
        (folded, folded + _LAST_CHARACTER, limit),
    )
    return [LabelCount(row["name"], row["images"]) for row in rows]


def _packed_labels(connection: sqlite3.Connection, image_id: int) -> list[list[Any]]:
    row = connection.execute("SELECT packed_labels FROM images WHERE id = ?", (image_id,)).fetchone()
    packed: list[list[Any]] = json.loads(row["packed_labels"])
    return packed


def _index(connection: sqlite3.Connection, image_id: int, labels: Iterable[Label], label_ids: list[int]) -> None:
    best: dict[int, float] = {}
    for label, label_id in zip(labels, label_ids, strict=True):
        best[label_id] = max(label.confidence, best.get(label_id, 0.0))
    connection.executemany(
        "INSERT INTO image_labels (label_id, image_id, confidence) VALUES (?, ?, ?)",
        [(label_id, image_id, confidence) for label_id, confidence in best.items()],
    )
    connection.executemany(
        """
        INSERT INTO label_counts (folded_name, name, images) VALUES (?, ?, 1)
        ON CONFLICT DO UPDATE SET images = images + 1
        """,
        [(folded_name(name), name) for name in {label.name for label in labels}],
    )


def _unindex(connection: sqlite3.Connection, image_id: int, packed: list[list[Any]]) -> None:
    label_ids = {entry[0] for entry in packed}
    names = {_name(connection, label_id) for label_id in label_ids}
    connection.executemany(
        "DELETE FROM image_labels WHERE label_id = ? AND image_id = ?",
        [(label_id, image_id) for label_id in label_ids],
    )
    counted = [(folded_name(name), name) for name in names]
    connection.executemany("UPDATE label_counts SET images = images - 1 WHERE folded_name = ? AND name = ?", counted)
    connection.executemany("DELETE FROM label_counts WHERE folded_name = ? AND name = ? AND images = 0", counted)


def _forget_unused(connection: sqlite3.Connection, label_ids: Iterable[int]) -> None:
    """Drop dictionary entries that no image has any more: a deleted image leaves no word behind."""
    for label_id in label_ids:
        if not connection.execute("SELECT 1 FROM image_labels WHERE label_id = ? LIMIT 1", (label_id,)).fetchone():
            connection.execute("DELETE FROM label_names WHERE label_id = ?", (label_id,))
            connection.execute("DELETE FROM labels WHERE id = ?", (label_id,))


def _label_id(connection: sqlite3.Connection, label: Label) -> int:
    content = _content_of(label)
    row = connection.execute("SELECT id FROM labels WHERE content = ?", (content,)).fetchone()
    return int(row["id"]) if row else _add_to_dictionary(connection, label, content)


def _add_to_dictionary(connection: sqlite3.Connection, label: Label, content: str) -> int:
    cursor = connection.execute(
        "INSERT INTO labels (content, name, folded_name) VALUES (?, ?, ?)",
        (content, label.name, folded_name(label.name)),
    )
    label_id = cursor.lastrowid
    assert label_id is not None
    connection.executemany(
        "INSERT INTO label_names (folded_name, label_id) VALUES (?, ?)",
        [(name, label_id) for name in {folded_name(name) for name in (label.name, *label.aliases)}],
    )
    return label_id


def _name(connection: sqlite3.Connection, label_id: int) -> str:
    return str(connection.execute("SELECT name FROM labels WHERE id = ?", (label_id,)).fetchone()["name"])


def _pack(labels: Iterable[Label], label_ids: list[int]) -> str:
    return _compact(
        [
            [label_id, label.confidence, [_packed_instance(instance) for instance in label.instances]]
            for label, label_id in zip(labels, label_ids, strict=True)
        ]
    )


def _packed_instance(instance: Instance) -> list[float]:
    box = instance.bounding_box
    return [box.left, box.top, box.width, box.height, instance.confidence]


def _content_of(label: Label) -> str:
    return _content(label.name, label.concept, label.parents, label.aliases, label.categories)


@lru_cache(maxsize=4096)  # there are few labels and many images
def _content(name: str, concept: str, *lists: tuple[str, ...]) -> str:
    return _compact([name, concept, *lists])


def _entry_of(content: str) -> Label:
    name, concept, parents, aliases, categories = json.loads(content)
    return Label(name, concept, 0.0, tuple(parents), tuple(aliases), tuple(categories))


def _label(entry: Label, confidence: float, instances: list[list[float]]) -> Label:
    return Label(
        entry.name,
        entry.concept,
        confidence,
        entry.parents,
        entry.aliases,
        entry.categories,
        tuple(Instance(BoundingBox(*box), sure) for *box, sure in instances),
    )


_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
