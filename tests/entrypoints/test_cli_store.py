"""The commands on the data folder: what was put in is found, shown, exported, told about and forgotten."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from lumitag.domain import Label, Recognition
from lumitag.errors import RecognizerCrashed
from tests.entrypoints.test_cli import (
    CAT,
    LABELS,
    a_jpeg,
    isolate,
    opened,
    recognize_all,
    run,
    uploaded,
)
from tests.fakes import PROPERTIES, SPOT

DOG = Label("Dog", "n02084071", 98.3, ("Animal",), ("Canine",), ("Animals and Pets",))


@pytest.fixture(autouse=True)
def isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    isolate(monkeypatch, tmp_path)


def lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def test_an_upload_waits_to_be_recognized(tmp_path: Path) -> None:
    [key] = uploaded("cat.jpg", folder=tmp_path)

    [record] = lines(run("search").out)
    assert (record["key"], record["fileName"], record["status"]) == (key, "cat.jpg", "pending")
    with opened() as platform:
        assert platform.pipeline.event_queue.depth() == 1
        with platform.pipeline.object_store.open(key) as content:
            assert content.read() == (tmp_path / "cat.jpg").read_bytes()


def test_what_is_no_image_is_refused_and_the_rest_goes_on(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("notes")

    result = run("upload", tmp_path / "notes.txt", tmp_path / "gone.jpg", a_jpeg(tmp_path, "cat.jpg"))

    text, gone, cat = lines(result.out)
    assert (result.code, text["error"], gone["error"]) == (1, "unsupported_image_type", "file_not_found")
    assert "key" in cat


@pytest.mark.parametrize(
    ("head", "content_type"),
    [
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\0\0\0\0WEBP", "image/webp"),
    ],
)
def test_the_type_is_what_the_content_shows(head: bytes, content_type: str, tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(head)
    run("upload", tmp_path / "image")

    assert lines(run("search").out)[0]["contentType"] == content_type


def test_images_are_found_by_their_labels(tmp_path: Path) -> None:
    uploaded("cat.jpg", folder=tmp_path)
    recognize_all()
    uploaded("dog.jpg", folder=tmp_path)
    recognize_all(DOG)

    def found(*arguments: object) -> list[str]:
        return [record["fileName"] for record in lines(run("search", *arguments).out)]

    assert found() == ["dog.jpg", "cat.jpg"]
    assert found("--label", "CAT", "--label", "animal") == ["cat.jpg"]
    assert found("--any", "cat", "--any", "canine") == ["dog.jpg", "cat.jpg"]
    assert found("--not", "cat") == ["dog.jpg"]
    assert found("--label", "cat", "--min-confidence", 99) == []
    assert found("--status", "pending") == []
    assert found("--before", "2020-01-01") == []
    assert found("--after", "2020-01-01T00:00Z") == ["dog.jpg", "cat.jpg"]
    assert found("--limit", 1) == ["dog.jpg"]


def test_a_limit_beyond_one_page_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lumitag.entrypoints.commands.opening._LARGEST_PAGE", 2)
    uploaded(*(f"{number}.jpg" for number in range(5)), folder=tmp_path)

    assert len(lines(run("search", "--limit", 4).out)) == 4
    assert len(lines(run("export").out)) == 5


def test_search_has_every_format(tmp_path: Path) -> None:
    [key] = uploaded("cat.jpg", folder=tmp_path)
    recognize_all()

    assert json.loads(run("search", "--json").out) == lines(run("search", "--jsonl").out)
    assert next(csv.DictReader(io.StringIO(run("search", "--csv").out)))["labels"] == "Animal; Cat; Pet"
    heading, row = run("search", "--table").out.splitlines()
    assert heading.split() == ["KEY", "UPLOADED", "STATUS", "FILE", "LABELS"]
    assert row.startswith(key)
    assert row.endswith("Animal 99, Cat 98, Pet 72")


def test_one_image_is_shown_to_programs_and_to_people(tmp_path: Path) -> None:
    [key] = uploaded("cat.jpg", folder=tmp_path)
    recognize_all()

    [record] = lines(run("show", key).out)
    assert record["key"] == key
    assert [label["name"] for label in record["labels"]] == ["Animal", "Cat", "Pet"]
    assert len(lines(run("show", key, "--min-confidence", 0).out)[0]["labels"]) == len(LABELS)
    page = run("show", key, "--table").out
    assert "cat.jpg" in page
    assert "Cat     97.5" in page


def test_one_image_is_shown_with_how_it_looks(tmp_path: Path) -> None:
    [key] = uploaded("cat.jpg", folder=tmp_path)
    with opened() as platform:
        recognition = Recognition((SPOT,), 640, 480, "embedded", "fake-1", PROPERTIES)
        platform.pipeline.label_store.save(key, recognition)

    [record] = lines(run("show", key).out)
    [exported] = lines(run("export").out)
    [found] = lines(run("search").out)
    page = run("show", key, "--table").out
    assert record["properties"]["dominantColors"][0]["simplifiedColor"] == "grey"
    assert record["labels"][0]["instances"][0]["dominantColors"][0]["hexCode"] == "#000000"
    assert exported == record
    assert "properties" not in found
    assert "brightness" in page
    assert "grey #2f4f4f 39 %, cyan #008080 28 %" in page
    assert "{" not in page


def test_export_holds_every_image_in_both_formats(tmp_path: Path) -> None:
    keys = uploaded("a.jpg", "=cmd|'x'!a.jpg", folder=tmp_path)
    recognize_all()

    assert {record["key"] for record in lines(run("export").out)} == set(keys)
    rows = list(csv.DictReader(io.StringIO(run("export", "--format", "csv", "--label", "cat").out)))
    assert [row["fileName"] for row in rows] == ["'=cmd|'x'!a.jpg", "a.jpg"]


def test_delete_forgets_and_says_what_was_not_there(tmp_path: Path) -> None:
    keys = uploaded("a.jpg", "b.jpg", folder=tmp_path)

    result = run("delete", keys[0], "0" * 26, "--yes")

    assert result.code == 1
    assert "0" * 26 in result.err
    assert [record["key"] for record in lines(run("search").out)] == [keys[1]]
    assert not list((tmp_path / "data" / "objects").rglob(keys[0]))


@pytest.mark.parametrize(("answer", "is_left"), [("y\n", False), ("n\n", True), ("\n", True)])
def test_delete_asks_first(answer: str, is_left: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [key] = uploaded("a.jpg", folder=tmp_path)
    terminal = io.StringIO(answer)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)

    assert run("delete", key).code == int(is_left)

    assert bool(lines(run("search").out)) == is_left


def test_a_question_that_nobody_answers_is_no_yes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [key] = uploaded("a.jpg", folder=tmp_path)
    terminal = io.StringIO("")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)

    assert run("delete", key).code == 130

    assert lines(run("search").out)


def test_relabel_queues_what_another_model_has_labelled(tmp_path: Path) -> None:
    uploaded("a.jpg", "b.jpg", folder=tmp_path)
    recognize_all()

    assert run("relabel", "--every", "--label", "dog").err == "lumitag: 0 images queued to be recognized again.\n"
    assert run("relabel", "--every").err == "lumitag: 2 images queued to be recognized again.\n"
    with opened() as platform:
        assert platform.pipeline.event_queue.depth() == 2


def test_a_webhook_gets_its_secret_once(tmp_path: Path) -> None:
    [subscription] = lines(run("subscribe", "http://127.0.0.1:9/hook", "--label", "cat", "--min-confidence", 80).out)

    assert subscription["secret"].startswith("whsec_")
    assert (subscription["channel"], subscription["labels"], subscription["minConfidence"]) == ("webhook", ["cat"], 80)
    assert "whsec_" not in run("subscriptions").out


def test_a_mail_address_is_told_by_mail() -> None:
    [subscription] = lines(run("subscribe", "me@example.com", "--frequency", "daily").out)

    assert (subscription["channel"], subscription["frequency"]) == ("mail", "daily")
    assert "secret" not in subscription


def test_subscriptions_come_and_go() -> None:
    [subscription] = lines(run("subscribe", "me@example.com").out)

    assert [value["id"] for value in lines(run("subscriptions").out)] == [subscription["id"]]
    assert "me@example.com" in run("subscriptions", "--table").out
    assert run("unsubscribe", subscription["id"]).code == 0
    assert run("subscriptions").out == ""
    assert run("unsubscribe", subscription["id"]).code == 1


def test_the_outbox_says_what_waits_to_be_told(tmp_path: Path) -> None:
    run("subscribe", "me@example.com", "--label", "cat")
    [key] = uploaded("cat.jpg", folder=tmp_path)
    recognize_all(CAT)

    [waiting] = lines(run("outbox").out)

    assert (waiting["key"], waiting["fileName"]) == (key, "cat.jpg")
    assert "cat.jpg" in run("outbox", "--table").out
    assert next(csv.DictReader(io.StringIO(run("outbox", "--csv").out)))["key"] == key


def test_dead_letters_are_listed_and_redriven(tmp_path: Path) -> None:
    keys = uploaded("a.jpg", "b.jpg", folder=tmp_path)
    with opened() as platform:
        for message in platform.pipeline.event_queue.receive(10, 0):
            platform.pipeline.event_queue.bury(message, str(RecognizerCrashed()))

    letters = lines(run("dead-letters", "list").out)
    assert {letter["key"] for letter in letters} == set(keys)
    assert len(lines(run("dead-letters", "list", "--limit", 1).out)) == 1
    assert "RECOGNIZER" in run("dead-letters", "list", "--table").out.upper()
    assert run("dead-letters", "redrive", letters[0]["id"]).out == f"{letters[0]['key']}\n"
    assert run("dead-letters", "redrive", "--all").out == f"{letters[1]['key']}\n"
    assert run("dead-letters", "list").out == ""
    with opened() as platform:
        assert platform.pipeline.event_queue.depth() == 2
