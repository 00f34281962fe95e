"""Backup, restore, verify: everything acknowledged before the start is there and equal, and every damage is found."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lumitag.adapters.local._data_folder import DataFolderLock
from lumitag.adapters.local._database import Database
from lumitag.bootstrap import build_platform
from lumitag.entrypoints.commands import backup
from lumitag.entrypoints.commands.image_files import images_in
from lumitag.entrypoints.commands.upload_files import upload_file
from lumitag.errors import StoreDamaged
from lumitag.settings import load_settings
from tests.entrypoints.test_cli import a_jpeg, isolate, opened, recognize_all, recognize_waiting, run, uploaded


@pytest.fixture(autouse=True)
def isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    isolate(monkeypatch, tmp_path)


def lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def content_of(folder: Path, key: str) -> bytes:
    return (folder / "objects" / key[-2:] / key).read_bytes()


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], None]] = {"missing": Path.unlink, "truncated": truncate, "changed": flip_a_bit}


def test_a_restored_backup_is_the_same_store(tmp_path: Path) -> None:
    keys = uploaded("a.jpg", "b.jpg", folder=tmp_path)
    recognize_all()
    run("subscribe", "me@example.com")
    before = [run(command).out for command in ("export", "subscriptions")]

    assert run("backup", tmp_path / "backup").err == f"lumitag: 2 images backed up to {tmp_path / 'backup'}.\n"
    assert run("restore", tmp_path / "backup", "--data", tmp_path / "again").code == 0

    assert [run(command, "--data", tmp_path / "again").out for command in ("export", "subscriptions")] == before
    assert [content_of(tmp_path / "again", key) for key in keys] == [content_of(tmp_path / "data", key) for key in keys]
    assert run("verify", "--data", tmp_path / "again").code == 0


def test_a_backup_under_load_holds_everything_acknowledged_before_it_began(tmp_path: Path) -> None:
    platform = build_platform(load_settings())
    acknowledged: list[str] = []
    stop = threading.Event()

    def keep_uploading(thread: int) -> None:
        number = 0
        while not stop.is_set():
            key = upload_file(platform.pipeline, a_jpeg(tmp_path / "in", f"{thread}-{number}.jpg"))
            assert isinstance(key, str)
            acknowledged.append(key)
            number += 1

    def keep_recognizing() -> None:
        while not stop.is_set():
            recognize_waiting(platform)

    threads = [threading.Thread(target=keep_uploading, args=(thread,)) for thread in range(3)]
    threads.append(threading.Thread(target=keep_recognizing))
    for thread in threads:
        thread.start()
    try:
        expected: list[set[str]] = []
        for turn in range(3):
            while len(acknowledged) < 10 * (turn + 1):
                stop.wait(0.01)
            expected.append(set(acknowledged))
            assert run("backup", tmp_path / f"backup-{turn}").code == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        platform.close()

    for turn, keys in enumerate(expected):
        restored = tmp_path / f"restored-{turn}"
        assert run("restore", tmp_path / f"backup-{turn}", "--data", restored).code == 0
        found = {record["key"] for record in lines(run("export", "--data", restored).out)}
        assert keys <= found
        assert all(content_of(restored, key) == content_of(tmp_path / "data", key) for key in found)
        assert run("verify", "--data", restored).code == 0


def test_an_image_deleted_meanwhile_is_forgotten_and_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, deleted = uploaded("a.jpg", "b.jpg", folder=tmp_path)
    copying = backup._copied_images

    def delete_first(*arguments: Any) -> Any:
        with opened() as platform:
            platform.pipeline.delete_image(deleted)
        return copying(*arguments)

    monkeypatch.setattr(backup, "_copied_images", delete_first)
    assert run("backup", tmp_path / "backup").code == 0
    run("restore", tmp_path / "backup", "--data", tmp_path / "again")

    assert [record["key"] for record in lines(run("export", "--data", tmp_path / "again").out)] == [kept]


def test_links_share_the_bytes(tmp_path: Path) -> None:
    [key] = uploaded("a.jpg", folder=tmp_path)
    run("backup", tmp_path / "linked", "--link")
    run("backup", tmp_path / "copied")

    def inode(folder: str) -> int:
        return (tmp_path / folder / "objects" / key[-2:] / key).stat().st_ino

    assert inode("linked") == inode("data")
    assert inode("copied") != inode("data")
    assert run("verify", "--data", tmp_path / "linked").code == 0


def test_a_backup_holds_no_signing_key_and_is_private(tmp_path: Path) -> None:
    uploaded("a.jpg", folder=tmp_path)
    run("backup", tmp_path / "backup")

    assert (tmp_path / "data" / "signing-key").exists()
    assert not (tmp_path / "backup" / "signing-key").exists()
    assert (tmp_path / "backup").stat().st_mode & 0o077 == 0


def test_a_backup_that_fails_leaves_nothing_that_looks_like_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploaded("a.jpg", folder=tmp_path)

    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup, "copied", full)
    result = run("backup", tmp_path / "backups" / "today")

    assert (result.code, "No space left" in result.err) == (1, True)
    assert list((tmp_path / "backups").iterdir()) == []


def test_each_backup_has_a_folder_of_its_own(tmp_path: Path) -> None:
    uploaded("a.jpg", folder=tmp_path)
    run("backup", tmp_path / "backup")
    before = sorted(tmp_path.rglob("*"))

    assert run("backup", tmp_path / "backup").code == 2
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("damage", DAMAGES)
def test_verify_finds_each_damage_in_a_data_folder(damage: str, tmp_path: Path) -> None:
    keys = uploaded("a.jpg", "b.jpg", "c.jpg", folder=tmp_path)
    DAMAGES[damage](tmp_path / "data" / "objects" / keys[1][-2:] / keys[1])

    result = run("verify")

    assert lines(result.out) == [{"key": keys[1], "damage": damage}]
    assert (result.code, result.err) == (1, "lumitag: 3 images verified, 1 damaged.\n")


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("command", ["verify", "restore"])
def test_each_damage_of_a_backup_is_found(command: str, damage: str, tmp_path: Path) -> None:
    keys = uploaded("a.jpg", "b.jpg", folder=tmp_path)
    backup = tmp_path / "backup"
    run("backup", backup)
    DAMAGES[damage](backup / "objects" / keys[1][-2:] / keys[1])

    if command == "verify":
        result = run("verify", "--data", backup)
    else:
        result = run("restore", backup, "--data", tmp_path / "again")
        assert content_of(tmp_path / "again", keys[0]) == content_of(tmp_path / "data", keys[0])

    assert lines(result.out) == [{"key": keys[1], "damage": damage}]
    assert result.code == 1


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_image_is_reported_when_it_is_backed_up_and_stays_known(damage: str, tmp_path: Path) -> None:
    [key] = uploaded("a.jpg", folder=tmp_path)
    DAMAGES[damage](tmp_path / "data" / "objects" / key[-2:] / key)

    result = run("backup", tmp_path / "backup")

    assert (result.code, lines(result.out)) == (1, [{"key": key, "damage": damage}])
    assert lines(run("verify", "--data", tmp_path / "backup").out) == [{"key": key, "damage": damage}]


@pytest.mark.parametrize("harm", ["database", "manifest line", "manifest end"])
def test_a_backup_without_its_database_is_refused(harm: str, tmp_path: Path) -> None:
    uploaded("a.jpg", folder=tmp_path)
    backup = tmp_path / "backup"
    run("backup", backup)
    manifest = backup / "manifest.jsonl"
    if harm == "database":
        flip_a_bit(backup / "lumitag.sqlite3")
    elif harm == "manifest line":
        manifest.write_text(manifest.read_text().replace("objects/", "../objects/"))
    else:
        manifest.write_text("".join(manifest.read_text().splitlines(keepends=True)[:-1]))

    result = run("restore", backup, "--data", tmp_path / "again")

    assert (result.code, result.err.count("\n")) == (1, 1)
    assert "The backup is damaged" in result.err
    assert not (tmp_path / "again").exists()
    assert run("verify", "--data", backup).code == 1


def test_a_damaged_database_is_found(tmp_path: Path) -> None:
    uploaded(*(f"{number}.jpg" for number in range(50)), folder=tmp_path)
    database = tmp_path / "data" / "lumitag.sqlite3"
    content = bytearray(database.read_bytes())
    content[4096 * 3 : 4096 * 6] = b"\xff" * 4096 * 3
    database.write_bytes(content)

    result = run("verify")

    assert (result.code, result.err.count("\n")) == (1, 1)
    assert "damaged" in result.err


def test_restore_never_deletes_what_is_there(tmp_path: Path) -> None:
    [old] = uploaded("old.jpg", folder=tmp_path)
    run("backup", tmp_path / "backup")
    [new] = uploaded("new.jpg", folder=tmp_path)

    refused = run("restore", tmp_path / "backup")
    assert (refused.code, "not empty" in refused.err) == (2, True)
    assert run("restore", tmp_path / "backup", "--force").code == 0

    assert [record["key"] for record in lines(run("search").out)] == [old]
    [aside] = tmp_path.glob("data.before-restore-*")
    assert {record["key"] for record in lines(run("search", "--data", aside).out)} == {old, new}


def test_restore_keeps_its_hands_off_a_folder_in_use(tmp_path: Path) -> None:
    uploaded("a.jpg", folder=tmp_path)
    run("backup", tmp_path / "backup")

    with DataFolderLock(tmp_path / "data"):
        result = run("restore", tmp_path / "backup", "--force")

    assert (result.code, "Another Lumitag server" in result.err) == (1, True)
    assert len(lines(run("search").out)) == 1
    assert not list(tmp_path.glob("*.before-restore-*"))


def test_the_draft_of_a_backup_is_no_image_folder(tmp_path: Path) -> None:
    """Backups beside pictures are left alone by whoever searches the folder."""
    uploaded("a.jpg", folder=tmp_path)
    run("backup", tmp_path / "backup")

    assert list(images_in(tmp_path / "backup")) == []


def test_a_manifest_cannot_lead_outside_the_data_folder(tmp_path: Path) -> None:
    uploaded("a.jpg", folder=tmp_path)
    run("backup", tmp_path / "backup")
    (tmp_path / "planted").write_bytes(b"")
    manifest = tmp_path / "backup" / "manifest.jsonl"
    head, *rest = manifest.read_text().splitlines(keepends=True)
    planted = json.dumps({"path": "../planted", "size": 0, "sha256": hashlib.sha256().hexdigest()}) + "\n"
    manifest.write_text("".join([head, planted, *rest]))

    result = run("restore", tmp_path / "backup", "--data", tmp_path / "deep" / "again")

    assert (result.code, "cannot be read" in result.err) == (1, True)
    assert not (tmp_path / "deep" / "planted").exists()


def test_verify_checks_the_whole_database_not_only_what_it_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(_database: Database) -> None:
        raise StoreDamaged

    uploaded("a.jpg", folder=tmp_path)
    monkeypatch.setattr(Database, "check", damaged)

    assert run("verify").code == 1
