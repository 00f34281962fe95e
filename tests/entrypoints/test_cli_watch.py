"""`lumitag watch`: what comes or changes is taken once, when it is whole."""

from __future__ import annotations

import json
import os
import time
from itertools import islice
from pathlib import Path

import pytest

from lumitag.entrypoints.commands import label_command, watch, watch_command
from lumitag.entrypoints.commands.watch import FolderWatch, changed_images
from lumitag.settings import load_settings
from tests.entrypoints.test_cli import FakePool, a_jpeg, isolate, opened, run, start_process
from tests.photographs import jpeg_of, photograph


@pytest.fixture(autouse=True)
def isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    isolate(monkeypatch, tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


def test_a_file_is_taken_when_it_has_settled(folder: Path) -> None:
    watch = FolderWatch(folder, settle_s=1.0)
    cat = a_jpeg(folder, "cat.jpg")

    assert watch.settled(10.0) == []
    assert watch.settled(10.9) == []
    assert watch.settled(11.0) == [cat]
    assert watch.settled(99.0) == []


def test_a_file_that_still_grows_is_waited_for(folder: Path) -> None:
    watch = FolderWatch(folder, settle_s=1.0)
    cat = a_jpeg(folder, "cat.jpg", b"half")
    assert watch.settled(10.0) == []
    a_jpeg(folder, "cat.jpg", b"half and half")

    assert watch.settled(11.5) == []
    assert watch.settled(12.5) == [cat]


def test_a_file_that_changes_later_is_taken_again(folder: Path) -> None:
    watch = FolderWatch(folder, settle_s=0.0)
    cat = a_jpeg(folder, "cat.jpg", b"one")
    assert watch.settled(1.0) == [cat]
    os.utime(cat, ns=(0, 0))

    assert watch.settled(2.0) == [cat]
    assert watch.settled(3.0) == []


def test_a_file_that_vanishes_and_returns_is_taken_again(folder: Path) -> None:
    watch = FolderWatch(folder, settle_s=0.0)
    cat = a_jpeg(folder, "cat.jpg")
    assert watch.settled(1.0) == [cat]
    cat.rename(folder / "cat.away")
    assert watch.settled(2.0) == []
    (folder / "cat.away").rename(cat)

    assert watch.settled(3.0) == [cat]


def test_a_file_that_vanishes_while_it_is_looked_at_harms_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cat = a_jpeg(folder, "cat.jpg")
    monkeypatch.setattr(watch, "images_in", lambda _folder: [folder / "gone.jpg", cat])

    assert FolderWatch(folder, settle_s=0.0).settled(1.0) == [cat]


def test_what_is_there_already_is_left_alone_unless_asked_for(folder: Path) -> None:
    cat = a_jpeg(folder, "cat.jpg")
    watch = FolderWatch(folder, settle_s=0.0)
    watch.ignore_present()

    assert watch.settled(1.0) == []
    assert FolderWatch(folder, settle_s=0.0).settled(1.0) == [cat]


def test_a_folder_that_vanishes_and_returns_goes_on(folder: Path) -> None:
    watch = FolderWatch(folder, settle_s=0.0)
    folder.rmdir()
    assert watch.settled(1.0) == []
    folder.mkdir()
    cat = a_jpeg(folder, "cat.jpg")

    assert watch.settled(2.0) == [cat]


def test_it_looks_again_after_a_rest(folder: Path) -> None:
    rests: list[float] = []

    def sleep(seconds: float) -> None:
        rests.append(seconds)
        a_jpeg(folder, f"{len(rests)}.jpg")

    batches = list(islice(changed_images(FolderWatch(folder, settle_s=0.0), sleep), 3))

    assert [path.name for batch in batches for path in batch] == ["1.jpg", "2.jpg", "3.jpg"]


def test_labels_are_written_as_images_come(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(label_command, "build_recognizer_pool", lambda _settings: FakePool())
    settings = load_settings()
    batches = [[a_jpeg(folder, "1.jpg"), a_jpeg(folder, "2.jpg", b"broken")], [folder / "gone.jpg"]]

    watch_command.label_batches(batches, settings, label_command.wishes(settings, None, None))

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(line["file"]).name for line in lines] == ["1.jpg", "2.jpg", "gone.jpg"]
    assert ["error" in line for line in lines] == [False, True, True]


def test_a_real_watch_labels_a_photograph_that_comes_late(folder: Path) -> None:
    watching = start_process("watch", folder, "--existing", "--workers", 1)
    assert watching.stdout is not None
    try:
        time.sleep(1)  # It does not matter whether the watch has begun: late or early, the image is taken.
        (folder / "cat.jpg").write_bytes(jpeg_of(photograph("cat")))
        line = json.loads(watching.stdout.readline())
    finally:
        watching.terminate()
        watching.communicate(timeout=20)

    assert "Cat" in [label["name"] for label in line["labels"]]


def test_uploads_reach_the_data_folder_while_the_watch_runs(folder: Path) -> None:
    a_jpeg(folder, "early.jpg")
    watching = start_process("watch", folder, "--upload", "--existing")
    assert watching.stdout is not None
    try:
        first = json.loads(watching.stdout.readline())
        a_jpeg(folder, "late.jpg")
        second = json.loads(watching.stdout.readline())
        found = [json.loads(line)["key"] for line in run("search").out.splitlines()]
        with opened() as platform:
            assert platform.pipeline.event_queue.depth() == 2
    finally:
        watching.terminate()
        watching.communicate(timeout=20)

    assert found == [second["key"], first["key"]]
