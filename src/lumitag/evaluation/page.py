"""The report as one HTML page: no script, no network, nothing but this file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from typing import Final

from lumitag.evaluation import tables
from lumitag.evaluation.comparison import Change, Comparison
from lumitag.evaluation.judging import JudgedImage, JudgedLabel
from lumitag.evaluation.markup import Markup, element, image, joined
from lumitag.evaluation.mistakes import Mistake
from lumitag.evaluation.plots import reliability_plot, threshold_plot
from lumitag.evaluation.report import WORST, Report
from lumitag.evaluation.tables import Table

_POLICY: Final = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_TILES: Final = ("topLeaf", "subjectNamed", "precision", "recall", "eceShown")


def html_page(report: Report, thumbnails: Mapping[str, str]) -> str:
    """Return the page.

    Args:
        report: what it shows.
        thumbnails: JPEGs in base64 by file, of `report.pictured_files`.
    """
    body = joined(*_header(report), element("main", *_sections(report, thumbnails)), _footer(report))
    return f"<!doctype html>\n{element('html', _head(report), element('body', body), lang='en')}\n"


def _head(report: Report) -> Markup:
    style = (resources.files("lumitag.evaluation") / "page.css").read_text("utf-8")
    return Markup(
        '<head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"{element('title', f'Evaluation of {report.run.title}')}<style>{style}</style></head>"
    )


def _header(report: Report) -> Iterator[Markup]:
    first, *others = tables.headline(report)
    title = (
        f"{report.comparison.title} against {report.comparison.other_title}" if report.comparison else report.run.title
    )
    yield element(
        "header",
        element("p", "Lumitag evaluation", class_="kind"),
        element("h1", title),
        element("p", first, class_="lead"),
        *(element("p", sentence) for sentence in others),
    )


def _footer(report: Report) -> Markup:
    return element("footer", element("p", f"Made by Lumitag {report.version} at {report.created_time}."))


def _sections(report: Report, thumbnails: Mapping[str, str]) -> Iterator[Markup]:
    comparison = report.comparison
    yield element("div", *_tiles(report), class_="tiles")
    yield element("div", *_plots(report), class_="plots")
    yield _table_section(tables.figures_table(report))
    if boxes := tables.boxes_table(report):
        yield _table_section(boxes)
    if comparison:
        yield _table_section(tables.agreement_table(comparison))
        yield _changes(report, comparison, thumbnails)
    yield _gallery(report, "Most confident and wrong", report.wrong, "says", thumbnails)
    yield _gallery(report, "Missed", report.missed, "misses", thumbnails)
    yield element(
        "div",
        _table_section(tables.curve_table(report)),
        _table_section(tables.calibration_table(report)),
        class_="pair",
    )
    yield element(
        "div", _table_section(tables.cost_table(report)), _table_section(tables.money_table(report)), class_="pair"
    )
    yield _table_section(tables.vocabulary_table(report))
    yield _folded(tables.labels_table(report, report.evaluation.labels))


def _tiles(report: Report) -> Iterator[Markup]:
    for figure in report.evaluation.figures:
        if figure.id in _TILES:
            interval = (
                f"{figure.interval[0] * 100:.1f} to {figure.interval[1] * 100:.1f} at 95 %" if figure.interval else ""
            )
            yield _tile(tables.percent(figure.value), figure.title, interval)
    if boxes := report.evaluation.boxes:
        yield _tile(
            tables.percent(boxes.ap), "Mean average precision of boxes", f"at 50 % overlap {tables.percent(boxes.ap50)}"
        )


def _tile(value: str, title: str, detail: str) -> Markup:
    return element("div", element("b", value), element("span", title), element("small", detail), class_="tile")


def _plots(report: Report) -> Iterator[Markup]:
    comparison = report.comparison
    first, other = (comparison.evaluation, comparison.other) if comparison else (report.evaluation, None)
    second = f" Dashed: {comparison.other_title}." if comparison else ""
    yield _plot("Per threshold", threshold_plot(first, other), f"The upright line marks what is shown.{second}")
    dots = f" Dots: {comparison.other_title}." if comparison else ""
    words = f"On the diagonal, confidence is true. Lines: 95 % intervals; figures: labels.{dots}"
    yield _plot("Calibration", reliability_plot(first, other), words)


def _plot(title: str, plot: Markup, words: str) -> Markup:
    return element("figure", element("h2", title), plot, element("figcaption", words))


def _table_section(table: Table) -> Markup:
    return element("section", element("h2", table.title), *_table(table))


def _folded(table: Table) -> Markup:
    summary = element("summary", element("h2", f"{table.title} ({len(table.rows):,})"))
    return element("section", element("details", summary, *_table(table)))


def _table(table: Table) -> Iterator[Markup]:
    head = element("tr", *(element("th", heading, scope="col") for heading in table.headings))
    rows = (element("tr", *_cells(row)) for row in table.rows)
    yield element("div", element("table", element("thead", head), element("tbody", *rows)), class_="scroll")
    if table.note:
        yield element("p", table.note, class_="note")


def _cells(row: Iterable[str]) -> Iterator[Markup]:
    first, *others = row
    yield element("th", first, scope="row", **({"class_": "below"} if first.startswith("... ") else {}))
    yield from (element("td", cell) for cell in others)


def _gallery(report: Report, title: str, mistakes: list[Mistake], verb: str, thumbnails: Mapping[str, str]) -> Markup:
    cards = (
        _card(
            thumbnails,
            each.image,
            _said(verb, report.evaluation.vocabulary.name(each.concept), tables.percent_of(each.confidence)),
            _said("truth", tables.truth_of(report, each.image), ""),
            _said("shown", tables.shown_leaves(report, each.image), ""),
        )
        for each in mistakes
    )
    return _card_section(title, cards)


def _changes(report: Report, comparison: Comparison, thumbnails: Mapping[str, str]) -> Markup:
    cards = (_change(report, comparison, change, thumbnails) for change in comparison.changes[:WORST])
    title = f"Other top labels ({len(comparison.changes):,})"
    return _card_section(title, cards)


def _card_section(title: str, cards: Iterable[Markup]) -> Markup:
    all_cards = list(cards)
    body = element("ul", *all_cards, class_="cards") if all_cards else element("p", "None.", class_="note")
    return element("section", element("h2", title), body)


def _change(report: Report, comparison: Comparison, change: Change, thumbnails: Mapping[str, str]) -> Markup:
    return _card(
        thumbnails,
        change.image,
        _verdict(comparison.title, change.label),
        _verdict(comparison.other_title, change.other),
        _said("truth", tables.truth_of(report, change.image), ""),
    )


def _verdict(who: str, label: JudgedLabel | None) -> Markup:
    if label is None:
        return _said(who, "(nothing)", "")
    return _said(who, label.name, f"{label.confidence:.0f} %", "right" if label.is_right else "wrong")


def _card(thumbnails: Mapping[str, str], judged: JudgedImage, *lines: Markup) -> Markup:
    jpeg = thumbnails.get(judged.file)
    picture = image(f"data:image/jpeg;base64,{jpeg}", judged.file) if jpeg else element("span", class_="blank")
    return element("li", picture, *lines, element("p", element("bdi", judged.file), class_="file"))


def _said(word: str, what: str, how_sure: str, verdict: str = "") -> Markup:
    return element("p", element("i", word), " ", element("bdi", what, class_=verdict), " ", element("small", how_sure))
