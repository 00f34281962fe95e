"""What can be promised of the page's files without opening them in a browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import lumitag

WEBSITE = Path(lumitag.__file__).parent / "website"
SCRIPTS = sorted(WEBSITE.glob("*.js"))
MAX_SCRIPT_BYTES = 120_000


def test_the_scripts_are_small() -> None:
    assert SCRIPTS
    assert sum(script.stat().st_size for script in SCRIPTS) < MAX_SCRIPT_BYTES


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_text_never_becomes_markup(script: Path) -> None:
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\(|new Function|srcdoc"
    assert re.findall(forbidden, script.read_text()) == []


@pytest.mark.parametrize("file", sorted(WEBSITE.iterdir()), ids=lambda file: file.name)
def test_nothing_is_asked_of_anybody_else(file: Path) -> None:
    addresses = re.findall(r"https?://([^\s\"'/)]+)", file.read_text())
    assert set(addresses) <= {"www.w3.org", "example.org"}  # The name of SVG, and what a hint shows as an example.


def test_the_page_needs_no_inline_script_or_style() -> None:
    page = (WEBSITE / "index.html").read_text()
    assert re.findall(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", page) == []


def test_every_word_is_used_and_every_used_word_is_there() -> None:
    words = (WEBSITE / "words.js").read_text()
    known = set(re.findall(r"^  (\w+): ?", words, re.MULTILINE))
    page = (WEBSITE / "index.html").read_text()
    code = "".join(script.read_text() for script in SCRIPTS)
    used = set(re.findall(r"data-word(?:-label|-hint)?=\"(\w+)\"", page)) | set(re.findall(r"\bwords\.(\w+)", code))
    assert used - {"js"} == known


def test_every_id_that_a_script_asks_for_is_in_the_page() -> None:
    page = (WEBSITE / "index.html").read_text()
    ids = re.findall(r"\bid=\"([\w-]+)\"", page)
    asked = set(re.findall(r"byId\(\"([\w-]+)\"\)", "".join(script.read_text() for script in SCRIPTS)))
    assert len(ids) == len(set(ids))
    assert asked <= set(ids)
