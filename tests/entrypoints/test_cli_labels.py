"""`lumitag labels`: what can be recognized, what a labels file makes of it, and that a wrong one stops everything."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from lumitag.entrypoints.commands.label_files import model_name
from lumitag.settings import load_settings
from tests.entrypoints.test_cli import isolate, run, run_process
from tests.photographs import jpeg_of, photograph
from tests.processes import Lumitag, wait_until

GERMAN = '[names]\nCat = "Katze"\n[labels.Animal]\nhide = true\n'
WRONG = '[names]\nDog = "Hund"\nTigre = "Tiger"\n'
WRONG_LINE = 'labels.toml, line 3: There is no label "Tigre". Did you mean "Tiger"?'


@pytest.fixture(autouse=True)
def isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    isolate(monkeypatch, tmp_path)


def lay_over(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("labels.toml").write_text(text, encoding="utf-8")
    monkeypatch.setenv("LUMITAG_LABELS_FILE", "labels.toml")


def labels() -> dict[str, Any]:
    return {label["name"]: label for label in json.loads(run("labels", "--json").out)}


def changes(text: str) -> dict[tuple[str, str], tuple[Any, Any]]:
    Path("labels.toml").write_text(text, encoding="utf-8")
    values = json.loads(run("labels", "--check", "labels.toml", "--json").out)
    return {(value["label"], value["property"]): (value["before"], value["after"]) for value in values}


def test_every_label_is_listed_with_all_that_is_said_of_it() -> None:
    dog = labels()["Dog"]

    assert dog["concept"] == "n02084071"
    assert {"Animal", "Canine", "Mammal"} <= set(dog["parents"])
    assert dog["categories"] == ["Animals and Pets"]
    assert "Domestic Dog" in dog["aliases"]
    assert len(labels()) > 1000


def test_every_format_lists_the_same() -> None:
    names = list(labels())

    assert [json.loads(line)["name"] for line in run("labels").out.splitlines()] == names
    assert [row["name"] for row in csv.DictReader(io.StringIO(run("labels", "--csv").out))] == names
    assert len(run("labels", "--table").out.splitlines()) == len(names) + 1


def test_the_list_is_what_the_labels_file_makes_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    lay_over(f'{GERMAN}\n[labels.Unused]\nnew = true\ncategories = ["Ours"]\n', monkeypatch)

    assert "Katze" in labels()
    assert not {"Cat", "Animal", "Unused"} & labels().keys()
    assert "Animal" not in labels()["Katze"]["parents"]


def test_a_check_says_what_a_file_would_change() -> None:
    found = changes(
        '[labels.Laptop]\nname = "Notebook"\nparents = ["Supplies"]\ncategories = ["Sale"]\n'
        '[labels.Supplies]\nnew = true\ncategories = ["Sale"]\n[labels.Menu]\nblock = true\n'
    )

    assert found["Laptop", "name"] == ("Laptop", "Notebook")
    assert found["Laptop", "aliases"][1][0] == "Laptop"
    assert found["Laptop", "parents"][1] == ["Supplies"]
    assert found["Laptop", "categories"][1] == ["Sale"]
    assert found["Menu", "shown"] == (True, False)
    assert {key for label, key in found if label == "Supplies"} == {"shown", "name", "categories"}
    assert {label for label, _ in found} == {"Laptop", "Supplies", "Menu"}


def test_a_check_sums_up() -> None:
    Path("labels.toml").write_text('[names]\nDog = "Hund"\nCat = "Katze"\n')

    result = run("labels", "--check", "labels.toml", "--table")

    assert result.out.splitlines()[0].split() == ["LABEL", "PROPERTY", "BEFORE", "AFTER"]
    assert result.err == "lumitag: labels.toml is valid. It changes 2 labels.\n"
    assert "yes" not in result.out


def test_a_check_looks_at_the_file_and_not_at_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    lay_over(GERMAN, monkeypatch)
    Path("empty.toml").write_text("")

    assert run("labels", "--check", "empty.toml", "--jsonl").out == ""


@pytest.mark.parametrize("command", [("labels", "--check", "labels.toml"), ("labels",), ("label", "a.jpg")])
def test_a_wrong_file_stops_at_once_with_its_line(command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    lay_over(WRONG, monkeypatch)
    Path("a.jpg").write_bytes(jpeg_of(photograph("cat")))

    result = run(*command)

    assert (result.code, result.out) == (2, "")
    assert result.err.endswith(f"{WRONG_LINE}\n")
    assert len(result.err.splitlines()) == 1


def test_a_server_does_not_start_with_a_wrong_file(monkeypatch: pytest.MonkeyPatch) -> None:
    lay_over(WRONG, monkeypatch)

    result = run_process("up", "--port", 0)

    assert result.returncode == 2
    assert result.stderr.endswith(f"{WRONG_LINE}\n")
    assert "Lumitag is ready" not in result.stderr


def test_images_that_are_stored_get_the_new_words_when_they_are_relabelled(tmp_path: Path) -> None:
    with Lumitag(tmp_path / "data", workers=1) as server:
        key = server.upload("cat.jpg", jpeg_of(photograph("cat")))
        before = server.wait_for_end(key)
    (tmp_path / "labels.toml").write_text(GERMAN)
    with Lumitag(tmp_path / "data", workers=1, labels_file=tmp_path / "labels.toml") as server:
        assert server.call("POST", "/relabel", {}) == {"queued": 1}
        after = wait_until(lambda: changed_record(server, key, before), 60, lambda: "it keeps its labels")

    assert "Cat" in [label["name"] for label in before["labels"]]
    assert "Katze" in [label["name"] for label in after["labels"]]


def changed_record(server: Lumitag, key: str, before: Any) -> Any:
    record = server.record(key)
    return record if record["modelVersion"] != before["modelVersion"] else None


def test_the_doctor_names_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    lay_over(WRONG, monkeypatch)
    monkeypatch.setenv("LUMITAG_PORT", "0")

    result = run("doctor")

    assert result.code == 1
    [problem] = [line for line in result.out.splitlines() if line.startswith("PROBLEM")]
    assert problem.endswith(WRONG_LINE)


def test_files_are_labelled_in_the_words_of_the_labels_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("a.jpg").write_bytes(jpeg_of(photograph("cat")))
    [before] = [json.loads(line) for line in run("label", "a.jpg").out.splitlines()]
    lay_over(GERMAN, monkeypatch)

    [after] = [json.loads(line) for line in run("label", "a.jpg").out.splitlines()]

    found = {label["name"]: label for label in after["labels"]}
    assert "Katze" in found
    assert not {"Cat", "Animal"} & found.keys()
    assert all("Animal" not in label["parents"] for label in found.values())
    assert after["modelVersion"] != before["modelVersion"]


def test_what_is_remembered_depends_on_the_labels_file(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {model_name(load_settings())}
    for text in (GERMAN, "# nothing"):
        lay_over(text, monkeypatch)
        names.add(model_name(load_settings()))

    assert len(names) == 3
