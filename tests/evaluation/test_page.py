"""The HTML page needs nothing but itself, and what users wrote stays text in it."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from lumitag.evaluation.boxes import BoxFigures
from lumitag.evaluation.comparison import Comparison
from lumitag.evaluation.markup import Markup, element, joined
from lumitag.evaluation.page import html_page
from lumitag.evaluation.prices import monthly_costs, rekognition_usd
from lumitag.evaluation.report import Coverage, Report
from lumitag.evaluation.run import Cost, Run, run_of_report
from lumitag.evaluation.tables import headline
from lumitag.evaluation.truth import TruthKind
from tests.evaluation.small import evaluation, label, recognition, subject

HOSTILE = '"><script src=//evil.example/x.js>alert(1)</script><img src=x onerror=alert(1)>\u202e\x00.jpg'
JPEG = base64.b64encode(b"\xff\xd8 a jpeg").decode()


class Page(HTMLParser):
    """What a browser would make of the page: its elements, and every attribute that could load or run something."""

    VOID = frozenset({"meta", "img"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def report(*, compared: bool = False, name: str = HOSTILE) -> Report:
    images = [
        (subject("zebra"), recognition(label(name, 97.0, concept="poodle"))),
        (subject("hat"), recognition(label("Hat", 90.0))),
        (subject("person"), recognition()),
    ]
    first = evaluation(*images)
    first = replace(first, images=(replace(first.images[0], file=name), *first.images[1:]))
    other = evaluation(images[1], (subject("hat"), recognition()), images[2])
    boxes = BoxFigures(0.3, 0.5, None, 3, 9, 2, 0, 0)
    comparison = Comparison(name, "old", replace(first, boxes=boxes), other, 1) if compared else None
    return Report(
        version="1.0",
        created_time="2026-11-23T12:00:00.000Z",
        run=Run("embedded", name, 1.0, {name: images[0][1]}, {name: f"Because {name}"}, Cost(0.04, 1.9, 20.0)),
        coverage=Coverage(name, (name,), (name,) * 9, ((name, 3),)),
        evaluation=replace(first, boxes=boxes),
        costs=monthly_costs(30_000_000),
        comparison=comparison,
        other_cost=Cost() if comparison else None,
    )


@pytest.mark.parametrize("compared", [False, True])
def test_the_page_is_whole_and_needs_nothing_else(compared: bool) -> None:
    page = Page(html_page(report(compared=compared), {HOSTILE: JPEG}))

    assert page.open == []
    assert not {"script", "link", "iframe", "object", "embed", "base", "form", "a"} & set(page.tags)
    assert {value[:23] for name, value in page.attributes if name == "src"} == {"data:image/jpeg;base64,"}
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in {"href", "style"}]


@pytest.mark.parametrize("compared", [False, True])
def test_no_address_of_the_network_is_in_the_page(compared: bool) -> None:
    text = html_page(report(compared=compared, name="a.jpg"), {})

    assert not re.search(r"https?:|url\(|@import|//", text)
    assert "default-src &#x27;none&#x27;" in text or "default-src 'none'" in text


def test_names_are_text_and_cannot_turn_the_line() -> None:
    text = html_page(report(), {HOSTILE: JPEG})

    assert "<script" not in text
    assert "&lt;script src=//evil.example/x.js&gt;" in text
    assert "\u202e" not in text
    assert "\x00" not in text


def test_the_page_can_be_written_whatever_a_file_is_called() -> None:
    assert html_page(report(name="\udcff.jpg"), {}).encode()


def test_markup_escapes_all_but_markup() -> None:
    assert joined("<b>", element("i", "&", title='"')) == Markup('&lt;b&gt;<i title="&quot;">&amp;</i>')


def test_the_json_holds_the_run_for_a_later_comparison() -> None:
    written = report(compared=True)

    read = run_of_report(written.to_json(), "old.json")

    assert read.recognitions == {
        file: replace(each, model_version=HOSTILE, labels=tuple(replace(one, categories=()) for one in each.labels))
        for file, each in written.run.recognitions.items()
    }
    assert (read.cost, read.problems, read.title) == (written.run.cost, written.run.problems, f"embedded {HOSTILE}")


def test_other_top_labels_are_shown() -> None:
    compared = report(compared=True, name="x")
    page, value = html_page(compared, {}), compared.to_json()["comparison"]

    assert "Other top labels (2)" in page
    assert "(nothing)" in page
    assert value["changes"] == [
        {
            "file": "x",
            "label": {"name": "x", "confidence": 97.0, "isRight": False},
            "otherLabel": {"name": "Hat", "confidence": 90.0, "isRight": True},
        },
        {"file": "1.jpg", "label": {"name": "Hat", "confidence": 90.0, "isRight": True}, "otherLabel": None},
    ]


def test_what_does_not_fit_is_said_in_a_line_each() -> None:
    lines = headline(report(name="x"))

    assert lines[2:] == [
        "1 file named but not there: x.",
        "9 images there but not named: x, x, x, x, x, and 4 more.",
        "1 image not recognized: x (Because x).",
        "3 labels left out as unknown: x.",
    ]


@pytest.mark.parametrize(
    ("images", "usd"), [(0, 0), (1, 0.001), (1_000_000, 1_000), (30_000_000, 19_200), (36_000_000, 22_450)]
)
def test_what_amazon_asks_for(images: int, usd: float) -> None:
    """30 million: 1,000 + 4 million x 0.0008 + 25 million x 0.0006."""
    assert rekognition_usd(images) == pytest.approx(usd)


def test_the_kinds_of_truth_have_words() -> None:
    for kind in TruthKind:
        assert headline(replace(report(name="x"), evaluation=evaluation(kind=kind)))
