"""`lumitag restore` and `lumitag verify`: a data folder from a backup, and whether what is kept is what was kept."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Final

from lumitag.adapters.local._data_folder import DataFolderLock
from lumitag.adapters.local.platform import open_database
from lumitag.domain import ImageQuery, ImageRecord, Json
from lumitag.entrypoints.commands.backup import is_deleted
from lumitag.entrypoints.commands.backup_layout import (
    MANIFEST_NAME,
    Damage,
    copied,
    is_object,
    manifest_entries,
    published,
)
from lumitag.entrypoints.commands.file_facts import FileFacts
from lumitag.entrypoints.commands.opening import opened
from lumitag.errors import ImageNotFound, InvalidRequest, StoreDamaged
from lumitag.pipeline import Pipeline
from lumitag.settings import Settings

_PAGE: Final = 1000


def restore(backup: Path, target: Path, set_aside: bool, report: Callable[[Damage], None]) -> Path | None:
    """Make a data folder at `target` from a backup. Nothing is ever deleted.

    What is there is refused unless `set_aside`: then it is renamed, and its new name returned. Raises StoreInUse
    while a server runs on it, StoreDamaged when the backup has lost more than images.
    """
    target, entries = target.absolute(), manifest_entries(backup)
    is_occupied = target.exists() and any(target.iterdir())
    if is_occupied and not set_aside:
        raise InvalidRequest(f"{target} is not empty. Name another folder, or add --force to set this one aside.")
    aside = target.with_name(f"{target.name}.before-restore-{secrets.token_hex(4)}") if is_occupied else None
    with DataFolderLock(target) if is_occupied else nullcontext(), published(target, aside) as draft:
        for entry in entries:
            _restore_file(backup, draft, entry, report)
    return aside


def verify(settings: Settings) -> Iterator[Damage | None]:
    """Yield for each image what is wrong with it, or None. Raises StoreDamaged when it is the database.

    A backup is compared with its manifest; a data folder, also one that is in use, with its database.
    """
    if (settings.data / MANIFEST_NAME).exists():
        yield from _verify_backup(settings.data)
        return
    with opened(settings) as platform:
        with closing(open_database(settings)) as database:
            database.check()
        for record in platform.pipeline.search_all(ImageQuery(limit=_PAGE)):
            yield _verify_image(platform.pipeline, record)


def _restore_file(backup: Path, draft: Path, entry: Json, report: Callable[[Damage], None]) -> None:
    damage: str | None = "missing"
    target = draft / entry["path"]
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError), (backup / entry["path"]).open("rb") as source:
        damage = copied(source, target).damage_against(entry["size"], entry["sha256"])
    if damage and not is_object(entry["path"]):
        raise StoreDamaged(f"The backup is damaged: {entry['path']} is {damage}. Use another backup.")
    if damage:
        report(Damage(target.name, damage))


def _verify_image(pipeline: Pipeline, record: ImageRecord) -> Damage | None:
    try:
        with pipeline.object_store.open(record.key) as file:
            damage = FileFacts.of(file).damage_against(record.size, record.sha256)
    except ImageNotFound:
        damage = None if is_deleted(pipeline, record.key) else "missing"
    return None if damage is None else Damage(record.key, damage)


def _verify_backup(backup: Path) -> Iterator[Damage | None]:
    for entry in manifest_entries(backup):
        damage = _damage_in_backup(backup, entry)
        if damage and not is_object(entry["path"]):
            raise StoreDamaged(f"The backup is damaged: {entry['path']} is {damage}. Use another backup.")
        if is_object(entry["path"]):
            yield Damage(entry["path"].rpartition("/")[2], damage) if damage else None


def _damage_in_backup(backup: Path, entry: Json) -> str | None:
    try:
        with (backup / entry["path"]).open("rb") as file:
            return FileFacts.of(file).damage_against(entry["size"], entry["sha256"])
    except FileNotFoundError:
        return "missing"
