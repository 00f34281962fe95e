"""`lumitag label`: every file in order, each content once, whatever happens to its neighbours."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from lumitag.domain import Recognition
from lumitag.entrypoints.commands import label_command
from lumitag.entrypoints.commands.image_files import find_images, natural_order
from lumitag.entrypoints.commands.label_cache import LabelCache, cache_path
from lumitag.entrypoints.commands.label_files import FileLabeller, Problem, model_name
from lumitag.entrypoints.commands.tables import printable
from lumitag.errors import RecognizerCrashed
from lumitag.settings import load_settings
from tests.entrypoints.test_cli import FakePool, a_jpeg, isolate, run, run_process
from tests.fakes import PROPERTIES, SPOT
from tests.photographs import jpeg_of, photograph


@pytest.fixture(autouse=True)
def isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    isolate(monkeypatch, tmp_path)


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> FakePool:
    return use(FakePool(), monkeypatch)


def use(pool: FakePool, monkeypatch: pytest.MonkeyPatch) -> FakePool:
    monkeypatch.setattr(label_command, "build_recognizer_pool", lambda _settings: pool)
    return pool


def lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def test_one_line_a_file_in_the_given_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(FakePool(delays_s=(0.3, 0.2, 0.1)), monkeypatch)
    paths = [a_jpeg(tmp_path, name) for name in ("c.jpg", "a.jpg", "b.jpg", "d.jpg")]

    result = run("label", *paths, "--workers", 4)

    assert [line["file"] for line in lines(result.out)] == [str(path) for path in paths]
    assert result.code == 0


def test_a_line_has_the_labels_from_the_confidence_up(pool: FakePool, tmp_path: Path) -> None:
    [line] = lines(run("label", a_jpeg(tmp_path, "cat.jpg")).out)

    assert [label["name"] for label in line["labels"]] == ["Animal", "Cat", "Pet"]
    assert (line["width"], line["height"], line["modelVersion"]) == (640, 480, "fake-1")


def test_confidence_and_number_of_labels_can_be_chosen(pool: FakePool, tmp_path: Path) -> None:
    path = a_jpeg(tmp_path, "cat.jpg")

    assert len(lines(run("label", path, "--min-confidence", 90).out)[0]["labels"]) == 2
    assert len(lines(run("label", path, "--min-confidence", 0).out)[0]["labels"]) == 4
    assert len(lines(run("label", path, "--max-labels", 1).out)[0]["labels"]) == 1


def test_a_file_that_fails_stops_no_other(pool: FakePool, tmp_path: Path) -> None:
    paths = [a_jpeg(tmp_path, "a.jpg", b"broken"), tmp_path / "gone.jpg", a_jpeg(tmp_path, "b.jpg")]

    result = run("label", *paths)

    broken, gone, fine = lines(result.out)
    assert (result.code, broken["error"], gone["error"]) == (1, "not_an_image", "file_not_found")
    assert broken["message"]
    assert fine["labels"]
    assert "3 images, " in result.err
    assert ", 2 unreadable" in result.err


def test_what_is_no_file_is_not_waited_for(pool: FakePool, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")

    assert lines(run("label", tmp_path / "pipe.jpg", "/dev/zero").out)[1]["error"] == "file_unreadable"


def test_every_format_says_the_same(pool: FakePool, tmp_path: Path) -> None:
    paths = [a_jpeg(tmp_path, "a.jpg"), a_jpeg(tmp_path, "=b.jpg", b"broken")]
    expected = lines(run("label", *paths, "--jsonl").out)

    assert json.loads(run("label", *paths, "--json").out) == expected
    rows = list(csv.DictReader(io.StringIO(run("label", *paths, "--csv").out)))
    assert rows[0]["labels"] == "Animal; Cat; Pet"
    assert rows[0]["confidences"] == "99; 97.5; 72"
    assert rows[1]["error"] == "not_an_image"
    table = run("label", *paths, "--table").out.splitlines()
    assert table[0].endswith("Animal 99, Cat 98, Pet 72")


def test_no_file_is_an_empty_answer_in_every_format(pool: FakePool, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    assert run("label", tmp_path / "empty", "--jsonl").out == ""
    assert json.loads(run("label", tmp_path / "empty", "--json").out) == []
    assert pool.starts == 0


def test_quiet_says_nothing_but_the_data(pool: FakePool, tmp_path: Path) -> None:
    assert run("label", a_jpeg(tmp_path, "cat.jpg"), "--quiet").err == ""


def test_a_crash_costs_an_image_only_its_first_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(FakePool(failures=(RecognizerCrashed(),)), monkeypatch)

    assert run("label", a_jpeg(tmp_path, "cat.jpg")).code == 0


def test_a_recognizer_that_does_not_start_ends_it_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = use(FakePool(), monkeypatch)
    monkeypatch.setattr(pool, "wait_ready", lambda _timeout_s: False)

    result = run("label", a_jpeg(tmp_path, "a.jpg"), a_jpeg(tmp_path, "b.jpg"))

    assert (result.code, result.out) == (1, "")
    assert result.err == 'lumitag: No recognizer process starts. Run "lumitag doctor" to see why.\n'


class ColorfulPool(FakePool):
    """Sees a spot and what the picture looks like."""

    def recognize(self, file: BinaryIO) -> Recognition:
        return replace(super().recognize(file), labels=(SPOT,), properties=PROPERTIES)


def test_a_line_says_how_the_picture_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(ColorfulPool(), monkeypatch)
    path = a_jpeg(tmp_path, "a.jpg")
    [line] = lines(run("label", path).out)
    [again] = lines(run("label", path).out)

    assert line["properties"]["quality"] == {"brightness": 59.9, "sharpness": 81.0, "contrast": 80.4}
    assert line["properties"]["dominantColors"][0]["simplifiedColor"] == "grey"
    assert line["labels"][0]["instances"][0]["dominantColors"][0]["cssColor"] == "black"
    assert again == line
    assert "grey" not in run("label", path, "--csv").out


class TestFiles:
    def test_folders_are_searched_in_natural_order(self, tmp_path: Path) -> None:
        names = ["a2.jpg", "a10.PNG", "B.webp", "b/1.gif", "b/2.JPEG", "c.jpg"]
        for name in [*reversed(names), ".hidden.jpg", ".git/x.jpg", "notes.txt", "a.jpg.xmp"]:
            a_jpeg(tmp_path / "photos", name)

        found = [str(path.relative_to(tmp_path / "photos")) for path in find_images([str(tmp_path / "photos")])]

        assert found == ["a2.jpg", "a10.PNG", "b/1.gif", "b/2.JPEG", "B.webp", "c.jpg"]

    def test_a_named_file_is_tried_whatever_its_name(self, tmp_path: Path) -> None:
        path = a_jpeg(tmp_path, ".hidden.data")

        assert list(find_images([str(path)])) == [path]

    def test_quoted_patterns_are_understood(self, tmp_path: Path) -> None:
        paths = [a_jpeg(tmp_path, name) for name in ("1.jpg", "2.jpg", "10.jpg")]
        deep = a_jpeg(tmp_path, "sub/deep/3.jpg")

        assert list(find_images([f"{tmp_path}/*.jpg"])) == paths
        assert list(find_images([f"{tmp_path}/**/3.jpg"])) == [deep]
        assert list(find_images([f"{tmp_path}/s*"])) == [deep]

    def test_a_name_with_brackets_is_a_name_first(self, tmp_path: Path) -> None:
        path = a_jpeg(tmp_path, "cat [1].jpg")

        assert list(find_images([str(path)])) == [path]

    def test_a_pattern_without_match_fails_like_a_missing_file(self, pool: FakePool, tmp_path: Path) -> None:
        assert lines(run("label", f"{tmp_path}/*.bmp").out)[0]["error"] == "file_not_found"

    def test_links_that_lead_in_circles_are_not_followed(self, tmp_path: Path) -> None:
        a_jpeg(tmp_path / "photos", "a.jpg")
        (tmp_path / "photos" / "again").symlink_to(tmp_path / "photos")

        assert len(list(find_images([str(tmp_path / "photos")]))) == 1

    def test_numbers_count_by_value(self) -> None:
        assert sorted(["x10", "x9", "x009", "X1"], key=natural_order) == ["X1", "x009", "x9", "x10"]

    def test_a_name_that_is_no_text_is_written_and_read_back(self, tmp_path: Path) -> None:
        name = os.fsencode(tmp_path) + b"/caf\xe9.jpg"
        Path(os.fsdecode(name)).write_bytes(b"nothing")

        [line] = lines(run_process("label", os.fsdecode(name)).stdout)

        assert os.fsencode(line["file"]) == name

    def test_a_file_name_cannot_steer_the_terminal(self) -> None:
        assert "\x1b" not in printable("\x1b[2J\u202ecat.jpg")


class TestCache:
    def test_the_same_content_starts_no_process(self, pool: FakePool, tmp_path: Path) -> None:
        first = run("label", a_jpeg(tmp_path, "a.jpg", b"same"), a_jpeg(tmp_path, "bad.jpg", b"broken")).out

        again = run("label", a_jpeg(tmp_path, "a.jpg", b"same"), tmp_path / "bad.jpg").out

        assert (pool.starts, pool.recognized) == (1, 2)
        assert again == first

    def test_another_name_for_the_same_content_starts_no_process(self, pool: FakePool, tmp_path: Path) -> None:
        run("label", a_jpeg(tmp_path, "a.jpg", b"same"))
        run("label", a_jpeg(tmp_path, "b.jpg", b"same"), "--min-confidence", 80, "--max-labels", 1)

        assert pool.recognized == 1

    def test_other_content_under_the_same_name_is_recognized(self, pool: FakePool, tmp_path: Path) -> None:
        run("label", a_jpeg(tmp_path, "a.jpg", b"one"))
        run("label", a_jpeg(tmp_path, "a.jpg", b"two"))

        assert pool.recognized == 2

    def test_no_cache_recognizes_again(self, pool: FakePool, tmp_path: Path) -> None:
        path = a_jpeg(tmp_path, "a.jpg")
        run("label", path, "--no-cache")
        run("label", path, "--no-cache")

        assert pool.recognized == 2
        assert not cache_path().exists()

    def test_a_lower_floor_recognizes_again(self, pool: FakePool, tmp_path: Path) -> None:
        path = a_jpeg(tmp_path, "a.jpg")
        run("label", path)
        run("label", path, "--min-confidence", 5)

        assert pool.recognized == 2

    def test_what_may_succeed_later_is_not_remembered(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        use(FakePool(failures=(RecognizerCrashed(), RecognizerCrashed())), monkeypatch)
        path = a_jpeg(tmp_path, "a.jpg")

        assert lines(run("label", path).out)[0]["error"] == "recognizer_crashed"
        assert run("label", path).code == 0

    @pytest.mark.parametrize(
        "limit", ["max_image_bytes", "min_image_side_px", "storage_floor_percent", "image_properties"]
    )
    def test_every_limit_is_part_of_the_name(self, limit: str) -> None:
        settings = load_settings()

        changed = settings.model_copy(update={limit: getattr(settings, limit) + 1})

        assert model_name(changed) != model_name(settings)

    def test_every_file_of_the_recognizer_is_part_of_the_name(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "weights").mkdir()
        (tmp_path / "weights" / "sha256.json").write_text("{}")
        (tmp_path / "fusion.py").write_text("one")
        monkeypatch.setattr("lumitag.entrypoints.commands.label_files.resources.files", lambda _package: tmp_path)
        names = {model_name(load_settings())}
        for file in ("fusion.py", "taxonomy.json", "weights/sha256.json"):
            (tmp_path / file).write_text("two")
            names.add(model_name(load_settings()))

        assert len(names) == 4

    def test_a_cache_of_no_use_is_one_warning(
        self, pool: FakePool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "cache").write_text("a file where a folder should be")

        result = run("label", a_jpeg(tmp_path, "a.jpg"), a_jpeg(tmp_path, "b.jpg"))

        assert result.code == 0
        assert result.err.count("cannot be used") == 1

    def test_a_damaged_cache_is_one_warning(self, pool: FakePool, tmp_path: Path) -> None:
        (tmp_path / "cache").mkdir()
        cache_path().write_bytes(b"no database" * 1000)

        result = run("label", a_jpeg(tmp_path, "a.jpg"), a_jpeg(tmp_path, "b.jpg"))

        assert result.code == 0
        assert result.err.count("cannot be used") == 1

    def test_a_damaged_answer_is_recognized_again(self, pool: FakePool, tmp_path: Path) -> None:
        path = a_jpeg(tmp_path, "a.jpg")
        run("label", path)
        with sqlite3.connect(cache_path()) as connection:
            connection.execute("UPDATE answer SET answer = x'00'")
        connection.close()

        assert lines(run("label", path).out)[0]["labels"]
        assert pool.recognized == 2

    def test_the_oldest_answers_are_dropped(self, tmp_path: Path) -> None:
        warnings: list[str] = []
        cache = LabelCache(tmp_path / "labels.sqlite", warnings.append, max_rows=10)
        for number in range(2001):
            cache.put(number.to_bytes(32), "model", {"number": number})

        assert cache.get((2000).to_bytes(32), "model") == {"number": 2000}
        assert cache.get((0).to_bytes(32), "model") is None
        assert warnings == []
        cache.close()

    @pytest.mark.parametrize(
        ("variables", "expected"),
        [
            ({"LUMITAG_CACHE": "/own", "XDG_CACHE_HOME": "/xdg"}, "/own/labels.sqlite"),
            ({"XDG_CACHE_HOME": "/xdg"}, "/xdg/lumitag/labels.sqlite"),
            ({"HOME": "/home/ann"}, "/home/ann/.cache/lumitag/labels.sqlite"),
        ],
    )
    def test_it_lies_in_the_cache_folder_of_the_user(
        self, variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("LUMITAG_CACHE", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

        assert str(cache_path()) == expected


def test_only_a_few_files_are_under_way_at_a_time() -> None:
    """However many files there are, memory stays flat: the files are asked for as the answers are taken."""
    taken = 0

    def files() -> Iterator[Path]:
        nonlocal taken
        for number in range(100_000):
            taken += 1
            yield Path(f"/nonexistent/{number}.jpg")

    with FileLabeller(FakePool(), 2, None, "model") as labeller:
        results = labeller.label(files())
        for _ in range(10):
            assert isinstance(next(results)[1], Problem)

    assert taken < 50


def test_several_files_are_recognized_at_the_same_time(tmp_path: Path) -> None:
    meeting = threading.Barrier(3, timeout=10)

    class MeetingPool(FakePool):
        def recognize(self, file: BinaryIO) -> Recognition:
            meeting.wait()
            return super().recognize(file)

    with FileLabeller(MeetingPool(), 3, None, "model") as labeller:
        outcomes = [outcome for _, outcome in labeller.label([a_jpeg(tmp_path, f"{n}.jpg") for n in range(3)])]

    assert all(isinstance(outcome, Recognition) for outcome in outcomes)


def test_real_photographs_get_their_labels_and_a_second_run_starts_no_process(tmp_path: Path) -> None:
    for name in ("cat", "coffee"):
        (tmp_path / f"{name}.jpg").write_bytes(jpeg_of(photograph(name)))
    first = run_process("label", tmp_path, "--workers", 2)

    assert first.returncode == 0, first.stderr
    cat, coffee = lines(first.stdout)
    assert "Cat" in [label["name"] for label in cat["labels"]]
    assert "Coffee" in [label["name"] for label in coffee["labels"]]
    program = (
        "import sys, subprocess; from lumitag.entrypoints.cli import main;"
        "subprocess.Popen = None;"  # Whoever starts a process now fails.
        "sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", program, "label", str(tmp_path)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (second.returncode, second.stdout) == (0, first.stdout), second.stderr


def test_progress_is_for_terminals_and_leaves_the_data_alone(tmp_path: Path) -> None:
    (tmp_path / "cat.jpg").write_bytes(jpeg_of(photograph("cat")))
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "lumitag", "label", str(tmp_path)], stdout=subprocess.PIPE, stderr=theirs
    )
    os.close(theirs)
    out, _ = process.communicate(timeout=60)
    shown = read_all(ours)

    assert [json.loads(line)["file"] for line in out.splitlines()] == [str(tmp_path / "cat.jpg")]
    assert "1/1" in shown
    assert "1 image, " in shown


def read_all(terminal: int) -> str:
    shown = b""
    try:
        while chunk := os.read(terminal, 4096):
            shown += chunk
    except OSError:  # The other end of a pseudo-terminal has gone.
        pass
    os.close(terminal)
    return shown.decode()
