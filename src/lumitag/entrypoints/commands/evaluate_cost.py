"""Measures what recognizing takes: time of the recognizer processes, and of the networks in them."""

from __future__ import annotations

import dataclasses
import math
import os
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lumitag.errors import UnreadableImage
from lumitag.evaluation.run import Cost
from lumitag.recognition.embedded import EmbeddedRecognizer
from lumitag.settings import Settings

_FIRST_RUNS: Final = 2  # the networks run slower until their memory has been touched
_AFTER_THE_NAME: Final = 11  # fields of /proc/PID/stat between the end of the name and the user time


class ProcessTimes:
    """How long the recognizer processes have used a core since they were ready, as Linux tells it."""

    def __init__(self, pids: Iterable[int]) -> None:
        self._at_start = {pid: cpu_seconds(pid) for pid in pids}

    def seconds(self, pids: Iterable[int]) -> float | None:
        """Return the seconds of all processes; None where the system does not tell or a process was replaced."""
        now = {pid: cpu_seconds(pid) for pid in pids}
        if now.keys() != self._at_start.keys():
            return None
        used = [_difference(self._at_start[pid], seconds) for pid, seconds in now.items()]
        return None if None in used else math.fsum(filter(None, used))


def cpu_seconds(pid: int) -> float | None:
    """Return how long a process has used a core, in seconds; None where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    user, system = fields[_AFTER_THE_NAME : _AFTER_THE_NAME + 2]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def inference_cost(settings: Settings, contents: Sequence[bytes]) -> Cost:
    """Return what the networks of the embedded recognizer take, one thread, in this process: medians over images.

    Whatever a recognizer runs for an image counts, also a second look at a part of it.

    Args:
        settings: which models.
        contents: JPEG files that are known to be harmless, such as thumbnails.
    """
    recognizer, classifier, detector = _with_stopwatches(
        EmbeddedRecognizer.load(
            settings.storage_floor_percent,
            classifier_model=settings.classifier_model,
            detector_model=settings.detector_model,
            image_properties=False,
        )
    )
    all_ms, classifier_ms = [], []
    for content in [*list(contents[:1]) * _FIRST_RUNS, *contents]:
        classifier.seconds.clear()
        detector.seconds.clear()
        try:
            recognizer.recognize(content)
        except UnreadableImage:
            continue
        all_ms.append(sum(classifier.seconds + detector.seconds) * 1000)
        classifier_ms.append(classifier.seconds[0] * 1000)
    if len(all_ms) <= _FIRST_RUNS:
        return Cost()
    alone = statistics.median(classifier_ms[_FIRST_RUNS:])
    return Cost(None, statistics.median(all_ms[_FIRST_RUNS:]) / alone, alone)


def _difference(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else end - start


@dataclass
class Stopwatch:
    """A session that notes how long each of its runs takes, in seconds."""

    session: Any
    seconds: list[float] = field(default_factory=list)

    def run(self, *arguments: Any) -> Any:  # noqa: ANN401 - onnxruntime has no types
        """Run the session."""
        start = time.perf_counter()
        outputs = self.session.run(*arguments)
        self.seconds.append(time.perf_counter() - start)
        return outputs


def _with_stopwatches(recognizer: EmbeddedRecognizer) -> tuple[EmbeddedRecognizer, Stopwatch, Stopwatch]:
    """Return the same recognizer and the stopwatches in its classifier and its detector."""
    classifier, detector = recognizer.classifier, recognizer.detector
    first, second = Stopwatch(classifier.network.session), Stopwatch(detector.network.session)
    timed = dataclasses.replace(
        recognizer,
        classifier=dataclasses.replace(classifier, network=dataclasses.replace(classifier.network, session=first)),
        detector=dataclasses.replace(detector, network=dataclasses.replace(detector.network, session=second)),
    )
    return timed, first, second
