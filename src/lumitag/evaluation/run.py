"""What one recognizer said about a set of images, kept so that it can be judged again later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from lumitag.domain import Json, Recognition, without_colors
from lumitag.errors import InvalidRequest

SCHEMA: Final = "lumitag-evaluation/1"
_LEFT_OUT: Final = ("aliases", "categories")  # of a label: they say nothing about whether it is right


@dataclass(frozen=True)
class Cost:
    """What recognizing took.

    Attributes:
        cpu_s_per_image: seconds of one core; None where nobody could tell.
        inference_ratio: time of all networks over the time of the classifier alone; None where it was not measured.
        classifier_ms: of one core, for one picture; None likewise.
    """

    cpu_s_per_image: float | None = None
    inference_ratio: float | None = None
    classifier_ms: float | None = None

    def to_json(self) -> Json:
        """Return the JSON object."""
        return {
            "cpuSecondsPerImage": self.cpu_s_per_image,
            "inferenceRatio": self.inference_ratio,
            "classifierMilliseconds": self.classifier_ms,
        }

    @classmethod
    def from_json(cls, value: Json) -> Cost:
        """Return the value that `to_json` wrote."""
        return cls(value["cpuSecondsPerImage"], value["inferenceRatio"], value["classifierMilliseconds"])


@dataclass(frozen=True)
class Run:
    """The answers of one recognizer.

    Attributes:
        recognizer: `embedded` or `rekognition`.
        model_version: of its models.
        floor: percent; nothing below was asked for.
        recognitions: by file, relative to the folder.
        problems: why a file has no recognition.
        cost: what it took.
    """

    recognizer: str
    model_version: str
    floor: float
    recognitions: Mapping[str, Recognition]
    problems: Mapping[str, str] = field(default_factory=dict)
    cost: Cost = field(default_factory=Cost)

    @property
    def title(self) -> str:
        """Which recognizer and version, for people."""
        return (
            self.model_version if self.recognizer in self.model_version else f"{self.recognizer} {self.model_version}"
        )

    def to_json(self) -> Json:
        """Return the JSON object."""
        return {
            "recognizer": self.recognizer,
            "modelVersion": self.model_version,
            "floor": self.floor,
            "cost": self.cost.to_json(),
            "problems": dict(self.problems),
            "recognitions": {file: _brief(recognition) for file, recognition in self.recognitions.items()},
        }


def run_of_report(report: object, source: str) -> Run:
    """Return the run that the JSON of an earlier evaluation holds. Raises InvalidRequest."""
    advice = f'{source} is no report of "lumitag evaluate --json". Make one with that option, and name it here.'
    if not isinstance(report, dict) or report.get("schema") != SCHEMA:
        raise InvalidRequest(advice)
    try:
        return _run(report["run"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidRequest(f"{advice} This one is damaged at {error}.") from error


def _run(value: Json) -> Run:
    return Run(
        value["recognizer"],
        value["modelVersion"],
        float(value["floor"]),
        {str(file): _recognition(value, brief) for file, brief in value["recognitions"].items()},
        {str(file): str(problem) for file, problem in value["problems"].items()},
        Cost.from_json(value["cost"]),
    )


def _brief(recognition: Recognition) -> Json:
    labels = [
        {name: part for name, part in label.to_json().items() if name not in _LEFT_OUT}
        for label in without_colors(recognition.labels)
    ]
    return {"width": recognition.width, "height": recognition.height, "labels": labels}


def _recognition(run: Json, brief: Json) -> Recognition:
    labels = [{**label, **{name: [] for name in _LEFT_OUT}} for label in brief["labels"]]
    return Recognition.from_json(
        {**brief, "labels": labels, "recognizer": run["recognizer"], "modelVersion": run["modelVersion"]}
    )
