"""What a backup is made of: a data folder without its secrets, and a manifest of what has to be in it.

The manifest is JSON Lines: first who made the backup and when, then the path, size and sha256 of each file.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, TextIO

from lumitag.adapters.local._files import create_private_file, flush_folder
from lumitag.adapters.local._object_files import object_name
from lumitag.adapters.local.platform import DATABASE_NAME
from lumitag.domain import Json, is_key
from lumitag.entrypoints.commands.file_facts import FileFacts
from lumitag.errors import InvalidRequest, StoreDamaged

MANIFEST_NAME: Final = "manifest.jsonl"
STORE_ID_NAME: Final = "store-id"
_CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class Damage:
    """One image that is not what it should be: `missing`, `truncated` or `changed`."""

    key: str
    damage: str

    def to_json(self) -> Json:
        """Return the JSON object."""
        return {"key": self.key, "damage": self.damage}


def is_object(name: str) -> bool:
    """Return whether a path of a manifest is that of an image."""
    key = name.rpartition("/")[2]
    return is_key(key) and name == object_name(key)


def manifest_entries(backup: Path) -> Iterator[Json]:
    """Yield what a backup holds. Raises InvalidRequest if it is none, StoreDamaged if it names strange paths."""
    path = backup / MANIFEST_NAME
    if not path.is_file():
        raise InvalidRequest(f'{backup} is no complete backup. Name a folder that "lumitag backup" has made.')
    return _entries(path)


def _entries(manifest: Path) -> Iterator[Json]:
    name = ""
    with manifest.open(encoding="utf-8") as lines:
        next(lines, None)
        for line in lines:
            entry = _entry(line)
            name = str(entry.get("path"))
            if not (is_object(name) or name in {DATABASE_NAME, STORE_ID_NAME}):
                raise StoreDamaged(f"The backup is damaged: {manifest} cannot be read. Use another backup.")
            yield entry
    if name != DATABASE_NAME:  # It is written last.
        raise StoreDamaged(f"The backup is damaged: {manifest} is not complete. Use another backup.")


def _entry(line: str) -> Json:
    """Return one line of a manifest, an empty object if it is none."""
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) and {"path", "size", "sha256"} <= entry.keys() else {}


@contextmanager
def published(target: Path, aside: Path | None = None) -> Iterator[Path]:
    """Lend a folder to be filled; when that went well it becomes `target`, durably and in one moment."""
    target = target.absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    draft.mkdir(mode=0o700)
    try:
        yield draft
        for folder in (draft, *(path for path in draft.rglob("*") if path.is_dir())):
            flush_folder(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)  # Only what this call has made.
        raise
    if aside is not None:
        target.rename(aside)
    draft.rename(target)
    flush_folder(target.parent)


def copied(source: BinaryIO, target: Path) -> FileFacts:
    """Copy a file durably and return what was read."""
    size, digest = 0, hashlib.sha256()
    with os.fdopen(create_private_file(target), "wb") as file:
        while chunk := source.read(_CHUNK_BYTES):
            file.write(chunk)
            digest.update(chunk)
            size += len(chunk)
        flush(file)
    return FileFacts(size, digest.hexdigest())


def flush(file: BinaryIO | TextIO) -> None:
    """Make what was written durable."""
    file.flush()
    os.fsync(file.fileno())
