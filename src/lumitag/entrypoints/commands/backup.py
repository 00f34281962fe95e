"""`lumitag backup`: a complete copy of the data folder while a server runs on it.

The order is what keeps the promise. The database is copied first, in one moment; then every image that the copy
names. Images never change, so each is still the one that the copy means, and one that was acknowledged before the
start is in the copy. An image that is deleted meanwhile is forgotten in the copy as well.
A backup gets its name when it is complete, so that half a backup is never mistaken for one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from lumitag import __version__
from lumitag.adapters.local._object_files import object_name
from lumitag.adapters.local.platform import DATABASE_NAME, open_database
from lumitag.domain import ImageQuery, ImageRecord, Json, now, time_to_json
from lumitag.entrypoints.commands.backup_layout import (
    MANIFEST_NAME,
    STORE_ID_NAME,
    Damage,
    copied,
    flush,
    published,
)
from lumitag.entrypoints.commands.file_facts import FileFacts
from lumitag.entrypoints.commands.opening import opened
from lumitag.entrypoints.export import json_line
from lumitag.errors import ImageNotFound, InvalidRequest
from lumitag.pipeline import Pipeline
from lumitag.settings import Settings

_SIGNING_KEY: Final = "signing-key"
_PAGE: Final = 1000


def back_up(settings: Settings, target: Path, link: bool, report: Callable[[Damage], None]) -> int:
    """Make a complete backup of the data folder at `target`, while a server may run; return how many images it holds.

    Every image that was acknowledged before the call is in it. `link` shares the bytes with the data folder
    where the file system can. `report` is told about images that were damaged already.
    """
    _require_vacant(target)
    with published(target) as draft:
        return _fill(settings, draft, link, report)


def _fill(settings: Settings, draft: Path, link: bool, report: Callable[[Damage], None]) -> int:
    with opened(settings) as live:
        with closing(open_database(settings)) as database:
            database.backup(draft / DATABASE_NAME)
        _copy(settings.data / STORE_ID_NAME, draft / STORE_ID_NAME)
        with (draft / MANIFEST_NAME).open("x", encoding="utf-8") as manifest:
            manifest.write(json_line({"lumitag": __version__, "createdTime": time_to_json(now())}))
            images = 0
            for entry in _copied_images(settings, live.pipeline, draft, link, report):
                manifest.write(json_line(entry))
                images += 1
            manifest.writelines(_entry_line(draft, name) for name in (STORE_ID_NAME, DATABASE_NAME))
            flush(manifest)
    (draft / _SIGNING_KEY).unlink(missing_ok=True)  # Made on opening; a restored folder makes its own.
    return images


def _copied_images(
    settings: Settings, live: Pipeline, draft: Path, link: bool, report: Callable[[Damage], None]
) -> Iterator[Json]:
    """Copy every image that the copied database names; yield its entry in the manifest."""
    with opened(settings.model_copy(update={"data": draft})) as copy:
        for record in copy.pipeline.search_all(ImageQuery(limit=_PAGE)):
            damage = _damage_in_copying(live, settings.data, draft, record, link)
            if damage == "missing" and is_deleted(live, record.key):
                copy.pipeline.delete_image(record.key)
                continue
            if damage is not None:
                report(Damage(record.key, damage))
            yield {"path": object_name(record.key), "size": record.size, "sha256": record.sha256}


def _damage_in_copying(live: Pipeline, data: Path, draft: Path, record: ImageRecord, link: bool) -> str | None:
    """Copy one image; return what is wrong with it, or None."""
    try:
        facts = _copy_image(live, data, draft, record.key, link)
    except ImageNotFound:
        return "missing"
    return facts.damage_against(record.size, record.sha256)


def _copy_image(live: Pipeline, data: Path, draft: Path, key: str, link: bool) -> FileFacts:
    target = draft / object_name(key)
    target.parent.mkdir(mode=0o700, exist_ok=True)
    with live.object_store.open(key) as source:
        if link and _linked(data / object_name(key), target):
            return FileFacts.of(source)
        return copied(source, target)


def _linked(source: Path, target: Path) -> bool:
    try:
        target.hardlink_to(source)
    except OSError:  # Another disk, or a file system without links.
        return False
    return True


def is_deleted(live: Pipeline, key: str) -> bool:
    """Return whether an image has been deleted meanwhile: then nobody misses its bytes."""
    try:
        live.show_image(key)
    except ImageNotFound:
        return True
    return False


def _entry_line(draft: Path, name: str) -> str:
    with (draft / name).open("rb") as file:
        facts = FileFacts.of(file)
    return json_line({"path": name, "size": facts.size, "sha256": facts.sha256})


def _require_vacant(target: Path) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InvalidRequest(f"{target} is there already. Name a new folder: each backup has its own.")


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as file:
        copied(file, target)
