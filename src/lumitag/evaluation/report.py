"""Everything that one call of `lumitag evaluate` found out, and its JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

from lumitag.domain import Json
from lumitag.evaluation.comparison import Change, Comparison
from lumitag.evaluation.figures import Evaluation, Figure, LabelFigures
from lumitag.evaluation.judging import JudgedLabel
from lumitag.evaluation.mistakes import Mistake, worst_missed, worst_wrong
from lumitag.evaluation.prices import SOURCE, MonthlyCost
from lumitag.evaluation.run import SCHEMA, Cost, Run

WORST: Final = 12  # images of each kind of mistake


@dataclass(frozen=True)
class Coverage:
    """How truth and folder fit together.

    Attributes:
        source: the file that says what is true.
        missing: files that it names and that are not there.
        unnamed: images of the folder that it does not name.
        skipped: texts that mean no label, and how often each occurs.
    """

    source: str
    missing: tuple[str, ...] = ()
    unnamed: tuple[str, ...] = ()
    skipped: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, eq=False)
class Report:
    """One evaluation, and the comparison with another if there is one.

    Attributes:
        version: of Lumitag.
        created_time: RFC 3339.
        run: what the recognizer said.
        coverage: of which images.
        evaluation: what that is worth.
        costs: of Rekognition, for some numbers of images a month.
        comparison: None without another run.
        other_cost: of that other run.
    """

    version: str
    created_time: str
    run: Run
    coverage: Coverage
    evaluation: Evaluation
    costs: tuple[MonthlyCost, ...]
    comparison: Comparison | None = None
    other_cost: Cost | None = None

    @property
    def wrong(self) -> list[Mistake]:
        """The most confident wrong labels that are shown."""
        return worst_wrong(self.evaluation.images, self.evaluation.levels.shown, WORST)

    @property
    def missed(self) -> list[Mistake]:
        """The truths that were thought least likely."""
        return worst_missed(self.evaluation.images, self.evaluation.levels.shown, WORST)

    def to_json(self) -> Json:
        """Return the JSON object; `run_of_report` reads the run out of it again."""
        evaluation = self.evaluation
        return {
            "schema": SCHEMA,
            "lumitagVersion": self.version,
            "createdTime": self.created_time,
            "truth": {"kind": evaluation.kind.value, "images": len(evaluation.images), **_coverage(self.coverage)},
            "levels": asdict(evaluation.levels),
            "figures": {figure.id: _figure(figure) for figure in evaluation.figures},
            "boxes": asdict(evaluation.boxes) if evaluation.boxes else None,
            "curve": [asdict(point) for point in evaluation.curve],
            "calibration": [asdict(each) for each in evaluation.bins],
            "labels": [_label(each) for each in evaluation.labels],
            "worstWrong": [self._mistake(mistake) for mistake in self.wrong],
            "worstMissed": [self._mistake(mistake) for mistake in self.missed],
            "monthlyCostUsd": {"source": SOURCE, **{str(cost.images): cost.usd for cost in self.costs}},
            "comparison": _comparison(self.comparison) if self.comparison else None,
            "run": self.run.to_json(),
        }

    @property
    def pictured_files(self) -> list[str]:
        """The files that the HTML page shows."""
        mistakes = [mistake.image.file for mistake in (*self.wrong, *self.missed)]
        changes = self.comparison.changes[:WORST] if self.comparison else ()
        return list(dict.fromkeys([*mistakes, *(change.image.file for change in changes)]))

    def names(self, concepts: Sequence[str]) -> list[str]:
        """Return what concepts are called."""
        return sorted(map(self.evaluation.vocabulary.name, concepts))

    def _mistake(self, mistake: Mistake) -> Json:
        return {
            "file": mistake.image.file,
            "label": self.evaluation.vocabulary.name(mistake.concept),
            "confidence": mistake.confidence,
            "truth": self.names(list(mistake.image.truth.concepts)),
        }


def _coverage(coverage: Coverage) -> Json:
    return {
        "source": coverage.source,
        "missing": list(coverage.missing),
        "unnamed": list(coverage.unnamed),
        "skipped": dict(coverage.skipped),
    }


def _figure(figure: Figure) -> Json:
    return {"title": figure.title, "value": figure.value, "interval": figure.interval, "count": figure.count}


def _label(each: LabelFigures) -> Json:
    return {
        "name": each.name,
        "concept": each.concept,
        "precision": each.precision,
        "recall": each.recall,
        "support": each.support,
        "right": each.right,
        "wrong": each.wrong,
        "found": each.found,
    }


def _comparison(comparison: Comparison) -> Json:
    return {
        "recognizer": comparison.title,
        "otherRecognizer": comparison.other_title,
        "images": len(comparison.evaluation.images),
        "leftOut": comparison.left_out,
        "figures": {
            each.figure.id: {
                "value": each.figure.value,
                "other": each.other.value,
                "difference": each.delta,
                "interval": each.interval,
                "matters": each.matters,
            }
            for each in comparison.differences
        },
        "otherBoxes": asdict(comparison.other.boxes) if comparison.other.boxes else None,
        "topLabels": dict(comparison.agreement),
        "changes": [_change(change) for change in comparison.changes],
    }


def _change(change: Change) -> Json:
    return {"file": change.image.file, "label": _top(change.label), "otherLabel": _top(change.other)}


def _top(label: JudgedLabel | None) -> Json | None:
    return None if label is None else {"name": label.name, "confidence": label.confidence, "isRight": label.is_right}
