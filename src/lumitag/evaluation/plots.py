"""Plots as SVG: they take their colours from the page, and need no script."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from lumitag.evaluation.figures import Bin, CurvePoint, Evaluation
from lumitag.evaluation.markup import Markup, element, joined

_WIDTH: Final = 560
_HEIGHT: Final = 360
_LEFT: Final = 46
_RIGHT: Final = 78
_TOP: Final = 14
_BOTTOM: Final = 44
_LINES: Final[tuple[tuple[str, Callable[[CurvePoint], float | None]], ...]] = (
    ("Precision", lambda point: point.precision),
    ("Recall", lambda point: point.recall),
    ("F1", lambda point: point.f1),
)
_LABEL_GAP: Final = 15


def threshold_plot(evaluation: Evaluation, other: Evaluation | None) -> Markup:
    """Return precision, recall and F1 over the threshold; dashed for the other run."""
    shown = _x(evaluation.levels.shown)
    marks = element("line", x1=shown, x2=shown, y1=_y(0), y2=_y(1), class_="shown")
    lines = [_curves(evaluation.curve, "")]
    if other:
        lines.insert(0, _curves(other.curve, " other"))
    return _plot(
        "Precision, recall and F1 per threshold",
        "labels from this confidence on, %",
        _grid(),
        marks,
        *lines,
        _line_names(evaluation.curve),
    )


def reliability_plot(evaluation: Evaluation, other: Evaluation | None) -> Markup:
    """Return how many labels of each confidence are right, with intervals; on the diagonal confidence is true."""
    diagonal = element("line", x1=_x(0), y1=_y(0), x2=_x(100), y2=_y(1), class_="diagonal")
    bars = [_bar(each) for each in evaluation.bins if each.count]
    dots = [_dot(each) for each in other.bins if each.count] if other else []
    return _plot("Share of right labels per confidence", "confidence of the label, %", _grid(), *bars, diagonal, *dots)


def _curves(curve: Sequence[CurvePoint], suffix: str) -> Markup:
    return joined(*(_curve(curve, pick, f"curve {name.lower()}{suffix}") for name, pick in _LINES))


def _curve(curve: Sequence[CurvePoint], pick: Callable[[CurvePoint], float | None], style: str) -> Markup:
    places = [(_x(point.threshold), _y(value)) for point in curve if (value := pick(point)) is not None]
    return element("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in places), class_=style)


def _line_names(curve: Sequence[CurvePoint]) -> Markup:
    """Return the name of each line at its right end, no two on top of each other."""
    last = [(name, value) for name, pick in _LINES if (value := _last(curve, pick)) is not None]
    names, lowest = [], float("-inf")
    for name, value in sorted(last, key=lambda pair: -pair[1]):
        lowest = max(_y(value) + 4, lowest + _LABEL_GAP)
        names.append(element("text", name, x=_x(100) + 6, y=round(lowest, 1), class_=f"name {name.lower()}"))
    return joined(*names)


def _last(curve: Sequence[CurvePoint], pick: Callable[[CurvePoint], float | None]) -> float | None:
    return next((value for point in reversed(curve) if (value := pick(point)) is not None), None)


def _bar(each: Bin) -> Markup:
    assert each.accuracy is not None
    assert each.interval is not None
    left, right, middle = _x(each.low * 100) + 3, _x(each.high * 100) - 3, _x(each.low * 100 + 5)
    low, high = each.interval
    words = f"{each.low:.0%} to {each.high:.0%}: {each.accuracy:.1%} of {each.count:,} are right"
    return element(
        "g",
        element("title", words),
        element(
            "rect", x=left, y=_y(each.accuracy), width=right - left, height=_y(0) - _y(each.accuracy), class_="bar"
        ),
        element("line", x1=middle, x2=middle, y1=_y(low), y2=_y(high), class_="whisker"),
        element("text", _brief(each.count), x=middle, y=_y(0) - 5, class_="count"),
    )


def _dot(each: Bin) -> Markup:
    assert each.accuracy is not None
    return element("circle", cx=_x(each.low * 100 + 5), cy=_y(each.accuracy), r=4.5, class_="dot")


def _brief(count: int) -> str:
    return str(count) if count < 1000 else f"{count / 1000:.0f}k"  # noqa: PLR2004 - thousand


def _grid() -> Markup:
    lines = []
    for share in range(0, 101, 20):
        y = _y(share / 100)
        lines.append(element("line", x1=_x(0), x2=_x(100), y1=y, y2=y, class_="grid"))
        lines.append(element("text", f"{share} %", x=_LEFT - 8, y=y + 4, class_="tick y"))
        lines.append(element("text", str(share), x=_x(share), y=_y(0) + 18, class_="tick"))
    return joined(*lines)


def _plot(title: str, x_axis: str, *parts: Markup) -> Markup:
    axis = element("text", x_axis, x=(_x(0) + _x(100)) / 2, y=_HEIGHT - 6, class_="axis")
    return element("svg", *parts, axis, viewBox=f"0 0 {_WIDTH} {_HEIGHT}", role="img", aria_label=title)


def _x(percent: float) -> float:
    return round(_LEFT + percent / 100 * (_WIDTH - _LEFT - _RIGHT), 1)


def _y(share: float) -> float:
    return round(_TOP + (1 - share) * (_HEIGHT - _TOP - _BOTTOM), 1)
