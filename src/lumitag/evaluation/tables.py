"""The report in tables of texts: what the terminal prints is what the HTML page shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lumitag.evaluation.comparison import Comparison
from lumitag.evaluation.figures import Figure, LabelFigures
from lumitag.evaluation.judging import JudgedImage, JudgedLabel
from lumitag.evaluation.mistakes import Mistake
from lumitag.evaluation.prices import SOURCE
from lumitag.evaluation.report import Report
from lumitag.evaluation.run import Cost
from lumitag.evaluation.truth import TruthKind

_KINDS = {
    TruthKind.SUBJECT: "the truth names the main subject of each image, not all that is in it",
    TruthKind.COMPLETE: "the truth names everything in each image",
    TruthKind.BOXES: "the truth has a box for every instance of its categories",
}
_MISSING = "-"
_FEW = 5


@dataclass(frozen=True)
class Table:
    """Texts in rows below headings, with a sentence or two about them."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def headline(report: Report) -> list[str]:
    """Return what was evaluated, in sentences."""
    evaluation, levels = report.evaluation, report.evaluation.levels
    images = _counted(len(evaluation.images), "image")
    what = f"{images}, {report.run.title}, truth from {report.coverage.source}: {_KINDS[evaluation.kind]}."
    shown = f"Labels from {levels.shown:g} % on count as shown, from {levels.stored:g} % on as stored"
    return [what, f"{shown}; nothing below {levels.floor:g} % was asked for.", *_coverage_lines(report)]


def figures_table(report: Report) -> Table:
    """Return the figures that matter most."""
    if report.comparison:
        return _side_by_side(report.comparison)
    rows = [(each.title, _value(each, each.value), _interval(each, each.interval), each.count) for each in _all(report)]
    return Table("Figures", ("What", "Figure", "95 % interval", "Count"), tuple(rows))


def boxes_table(report: Report) -> Table | None:
    """Return how well objects are located; None where the truth has no boxes."""
    both = [report.evaluation.boxes]
    if report.comparison:
        both = [report.comparison.evaluation.boxes, report.comparison.other.boxes]
    boxes = [each for each in both if each]
    if not boxes:
        return None
    headings = ("What", *(_titles(report) if report.comparison else ["Figure"]))
    rows = (
        ("AP: mean average precision, overlap 50 to 95 %", *(percent(each.ap) for each in boxes)),
        ("AP50: the same at an overlap of 50 %", *(percent(each.ap50) for each in boxes)),
        ("AR100: average recall with 100 boxes an image", *(percent(each.ar100) for each in boxes)),
        ("Annotated boxes without crowds", *(f"{each.true_boxes:,}" for each in boxes)),
        ("Categories that occur", *(f"{each.categories:,}" for each in boxes)),
        ("Recognized boxes", *(f"{each.found_boxes:,}" for each in boxes)),
        ("... that reach beyond the image", *(f"{each.outside:,}" for each in boxes)),
        ("Images that are not of the annotated size", *(f"{each.other_size:,}" for each in boxes)),
    )
    return Table("Boxes", headings, rows, "By pycocotools, on exactly these images.")


def curve_table(report: Report) -> Table:
    """Return precision, recall and F1 per threshold."""
    rows = [
        (
            f"{point.threshold:g} %",
            percent(point.precision),
            percent(point.recall),
            percent(point.f1),
            f"{point.judged:,}",
        )
        for point in report.evaluation.curve
        if point.threshold % 10 == 0 or point.threshold == report.evaluation.levels.shown
    ]
    return Table("Per threshold", ("From", "Precision", "Recall", "F1", "Labels"), tuple(rows))


def calibration_table(report: Report) -> Table:
    """Return how confident and how right labels are."""
    rows = [
        (
            f"{each.low * 100:.0f} to {each.high * 100:.0f} %",
            percent(each.confidence),
            percent(each.accuracy),
            _range(each.interval),
            f"{each.count:,}",
        )
        for each in report.evaluation.bins
        if each.count
    ]
    note = "A confidence is true where the share that is right is the mean confidence."
    return Table("Calibration", ("Confidence", "Mean", "Right", "95 % interval", "Labels"), tuple(rows), note)


def labels_table(report: Report, labels: Iterable[LabelFigures]) -> Table:
    """Return precision and recall of labels."""
    rows = [
        (
            each.name,
            percent(each.precision),
            percent(each.recall),
            f"{each.support:,}",
            f"{each.right:,}",
            f"{each.wrong:,}",
        )
        for each in labels
    ]
    headings = ("Label", "Precision", "Recall", "Support", "Right", "Wrong")
    return Table("Labels", headings, tuple(rows), f"What is shown, from {report.evaluation.levels.shown:g} % on.")


def weakest(report: Report, count: int) -> list[LabelFigures]:
    """Return the labels that were most often wrong or missed."""
    failures = sorted(report.evaluation.labels, key=lambda each: -(each.wrong + each.support - each.found))
    return [each for each in failures[:count] if each.wrong or each.support > each.found]


def cost_table(report: Report) -> Table:
    """Return time and money an image."""
    costs = [report.run.cost, *([report.other_cost] if report.comparison and report.other_cost else [])]
    headings = ("What", *(_titles(report) if len(costs) > 1 else [report.run.title]))
    rows = [
        ("CPU an image, one core", *(_milliseconds(each.cpu_s_per_image, 1000) for each in costs)),
        ("Inference of all networks, as a multiple of the classifier's", *(_multiple(each) for each in costs)),
        ("Inference of the classifier", *(_milliseconds(each.classifier_ms) for each in costs)),
    ]
    return Table("Time", headings, tuple(rows), "Measured on this machine in this run.")


def money_table(report: Report) -> Table:
    """Return what a month costs."""
    cpu = report.run.cost.cpu_s_per_image if report.run.recognizer == "embedded" else None
    rows = [(f"{cost.images:,}", "$0", _hours(cpu, cost.images), f"${cost.usd:,.2f}") for cost in report.costs]
    headings = ("Images a month", "Embedded, a call", "... hours of one core", "Amazon Rekognition")
    return Table("Money", headings, tuple(rows), f"Prices: {SOURCE}; no free tier, no tax, no image properties.")


def vocabulary_table(report: Report) -> Table:
    """Return how complete the vocabulary is."""
    concepts = list(report.evaluation.vocabulary.concepts)
    known = {concept.id for concept in concepts}
    rows = (
        ("Labels", f"{len(concepts):,}"),
        ("... without a category", f"{sum(not concept.categories for concept in concepts):,}"),
        (
            "... with a parent that is no label",
            f"{sum(not known.issuperset(concept.parents) for concept in concepts):,}",
        ),
    )
    return Table("Vocabulary", ("What", "Count"), rows)


def wrong_table(report: Report) -> Table:
    """Return the most confident wrong labels."""
    headings = ("File", "Wrong label", "Confidence", "Truth")
    return Table("Most confident and wrong", headings, tuple(_mistake_rows(report, report.wrong)))


def missed_table(report: Report) -> Table:
    """Return the truths that were thought least likely."""
    headings = ("File", "Missed", "Confidence", "Shown instead")
    rows = (
        (each.image.file, name, percent_of(each.confidence), shown_leaves(report, each.image))
        for each in report.missed
        for name in report.names([each.concept])
    )
    return Table("Missed", headings, tuple(rows))


def agreement_table(comparison: Comparison) -> Table:
    """Return how often both are right."""
    titles = {
        "same": "The same top label",
        "both": "Top label right with both",
        "one": f"... only with {comparison.title}",
        "other": f"... only with {comparison.other_title}",
        "neither": "... with neither",
    }
    images = len(comparison.evaluation.images)
    rows = tuple(
        (title, f"{comparison.agreement[name]:,}", percent(comparison.agreement[name] / images))
        for name, title in titles.items()
    )
    return Table("Agreement", ("Images", "Count", "Share"), rows, _left_out(comparison))


def changes_table(report: Report, comparison: Comparison, count: int) -> Table:
    """Return images whose top label differs."""
    rows = tuple(
        (change.image.file, _top(change.label), _top(change.other), truth_of(report, change.image))
        for change in comparison.changes[:count]
    )
    more = len(comparison.changes) - len(rows)
    headings = ("File", comparison.title, comparison.other_title, "Truth")
    return Table("Other top labels", headings, rows, f"And {more:,} more." if more > 0 else "")


def truth_of(report: Report, image: JudgedImage) -> str:
    """Return what is true of an image."""
    return ", ".join(report.names(list(image.truth.concepts)))


def shown_leaves(report: Report, image: JudgedImage) -> str:
    """Return the leaves that are shown: `Cat 97, Sofa 60`."""
    leaves = image.leaves(report.evaluation.levels.shown)
    return ", ".join(f"{label.name} {label.confidence:.0f}" for label in leaves[:_FEW]) or "(nothing)"


def percent(value: float | None) -> str:
    """Return a share, 0 to 1: `92.8 %`."""
    return _MISSING if value is None else percent_of(value * 100)


def percent_of(value: float) -> str:
    """Return a percent, 0 to 100: `92.8 %`."""
    return f"{value:.1f} %"


def _side_by_side(comparison: Comparison) -> Table:
    rows = tuple(
        (
            each.figure.title,
            _value(each.figure, each.figure.value),
            _value(each.other, each.other.value),
            _points(each.figure, each.delta),
            _interval(each.figure, each.interval, "+"),
            "yes" if each.matters else "",
        )
        for each in comparison.differences
    )
    headings = ("What", comparison.title, comparison.other_title, "Difference", "95 % interval", "Matters")
    note = "A difference matters if chance alone would rarely make it: 0 is not in its interval (paired bootstrap)."
    return Table("Figures", headings, rows, f"{note} {_left_out(comparison)}".strip())


def _left_out(comparison: Comparison) -> str:
    if not comparison.left_out:
        return ""
    return f"Left out, because only one of the two has an answer: {_counted(comparison.left_out, 'image')}."


def _all(report: Report) -> tuple[Figure, ...]:
    return report.evaluation.figures


def _titles(report: Report) -> list[str]:
    comparison = report.comparison
    return [comparison.title, comparison.other_title] if comparison else [report.run.title]


def _mistake_rows(report: Report, mistakes: Iterable[Mistake]) -> Iterator[tuple[str, ...]]:
    for each in mistakes:
        [name] = report.names([each.concept])
        yield each.image.file, name, percent_of(each.confidence), truth_of(report, each.image)


def _coverage_lines(report: Report) -> Iterator[str]:
    coverage, problems = report.coverage, report.run.problems
    if coverage.missing:
        yield f"{_counted(len(coverage.missing), 'file')} named but not there: {_some(coverage.missing)}."
    if coverage.unnamed:
        yield f"{_counted(len(coverage.unnamed), 'image')} there but not named: {_some(coverage.unnamed)}."
    if problems:
        reasons = [f"{file} ({reason.rstrip('.')})" for file, reason in problems.items()]
        yield f"{_counted(len(problems), 'image')} not recognized: {_some(reasons)}."
    if coverage.skipped:
        total = sum(count for _, count in coverage.skipped)
        yield f"{_counted(total, 'label')} left out as unknown: {_some([text for text, _ in coverage.skipped])}."


def _some(texts: Iterable[str]) -> str:
    texts = list(texts)
    more = [f"and {len(texts) - _FEW:,} more"] if len(texts) > _FEW else []
    return ", ".join([*texts[:_FEW], *more])


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _value(figure: Figure, value: float | None) -> str:
    return percent(value) if figure.is_percent else _MISSING if value is None else f"{value:.2f}"


def _points(figure: Figure, delta: float | None) -> str:
    return _MISSING if delta is None else f"{delta * 100:+.1f}" if figure.is_percent else f"{delta:+.2f}"


def _interval(figure: Figure, interval: tuple[float, float] | None, sign: str = "") -> str:
    if interval is None:
        return _MISSING
    low, high = interval
    return (
        f"{low * 100:{sign}.1f} to {high * 100:{sign}.1f}"
        if figure.is_percent
        else f"{low:{sign}.2f} to {high:{sign}.2f}"
    )


def _range(interval: tuple[float, float] | None) -> str:
    return f"{interval[0] * 100:.1f} to {interval[1] * 100:.1f}" if interval else _MISSING


def _milliseconds(value: float | None, scale: float = 1) -> str:
    return _MISSING if value is None else f"{value * scale:.1f} ms"


def _multiple(cost: Cost) -> str:
    return _MISSING if cost.inference_ratio is None else f"{cost.inference_ratio:.2f}"


def _hours(cpu_s: float | None, images: int) -> str:
    return _MISSING if cpu_s is None else f"{cpu_s * images / 3600:,.2f}"


def _top(label: JudgedLabel | None) -> str:
    if label is None:
        return "(nothing)"
    verdict = "right" if label.is_right else "wrong" if label.is_judged else "not judged"
    return f"{label.name} {label.confidence:.0f}, {verdict}"
