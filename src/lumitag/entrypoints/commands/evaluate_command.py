"""`lumitag evaluate`: a folder of images and what is true of them in, a report out."""

from __future__ import annotations

import base64
import contextlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol, Self

from lumitag import __version__
from lumitag.adapters.local.recognizer import build_recognizer_pool
from lumitag.domain import Recognition, now, time_to_json
from lumitag.entrypoints.commands.evaluate_cost import ProcessTimes, inference_cost
from lumitag.entrypoints.commands.evaluate_files import Fitted, fit
from lumitag.entrypoints.commands.evaluate_output import text_lines
from lumitag.entrypoints.commands.label_files import FileLabeller, Outcome, Problem, opened_image
from lumitag.entrypoints.commands.labels_command import vocabulary as taxonomy_in_use
from lumitag.entrypoints.commands.output import confirm, counted, write_lines
from lumitag.entrypoints.commands.progress import progress, ticking
from lumitag.entrypoints.export import json_line
from lumitag.errors import (
    InvalidGroundTruth,
    InvalidRequest,
    RecognitionFailed,
    RecognizerUnavailable,
    UnreadableImage,
)
from lumitag.evaluation.boxes import BoxFigures, measure_boxes
from lumitag.evaluation.comparison import Comparison
from lumitag.evaluation.figures import Evaluation, Levels
from lumitag.evaluation.judging import Judge
from lumitag.evaluation.page import html_page
from lumitag.evaluation.prices import monthly_costs, rekognition_usd
from lumitag.evaluation.report import Report
from lumitag.evaluation.run import Cost, Run, run_of_report
from lumitag.evaluation.truth import GroundTruth, TruthKind
from lumitag.evaluation.truth_coco import read_coco
from lumitag.evaluation.truth_csv import read_csv
from lumitag.evaluation.vocabulary import Vocabulary
from lumitag.recognition.decode import DecodeLimits

if TYPE_CHECKING:
    from lumitag.settings import Settings

FLOOR_PERCENT: Final = 1.0  # Average precision and calibration need what the recognizer hardly believes as well.
REKOGNITION: Final = "rekognition"
EMBEDDED: Final = "embedded"
_LEAST_FLOOR_PERCENT: Final = 0.1
_THUMBNAIL_SIDE_PX: Final = 240
_TIMED_SIDE_PX: Final = 640
_TIMED_IMAGES: Final = 12
_REKOGNITION_THREADS: Final = 8
_PROCESS_START_S: Final = 60.0


class BytesRecognizer(Protocol):
    """A recognizer that is given the whole file, such as Amazon's."""

    def recognize_bytes(self, content: bytes) -> Recognition:
        """Return everything found. Raises UnreadableImage or RecognitionFailed."""
        ...


@dataclass(frozen=True)
class EvaluateWishes:
    """What a person asked for.

    Attributes:
        folder: with the images.
        labels, coco: the file that says what is true; exactly one is given.
        complete: the CSV names everything in the images.
        skip_unknown: leave out what is not in the vocabulary.
        recognizer: `embedded` or `rekognition`.
        against: one of these, or the path of an earlier report in JSON.
        min_confidence: percent; labels from here on count as shown.
        images_per_month: to be priced.
        as_json: write JSON, not a table.
        save, html: files to write as well.
        yes: do not ask before money is spent.
        quiet: no progress.
    """

    folder: Path
    labels: Path | None
    coco: Path | None
    complete: bool
    skip_unknown: bool
    recognizer: str
    against: str | None
    min_confidence: float
    images_per_month: int | None
    as_json: bool
    save: Path | None
    html: Path | None
    yes: bool
    quiet: bool


def evaluate_folder(settings: Settings, wishes: EvaluateWishes) -> int:
    """Recognize the images that the truth names, and write how good that is; return the exit code."""
    vocabulary = Vocabulary(taxonomy_in_use(settings, settings.labels_file))
    truth, source = _truth(wishes, vocabulary)
    fitted = fit(wishes.folder, truth, source)
    old = _old_run(wishes.against)
    _confirm_cost(wishes, len(fitted.truths))
    levels = _levels(settings, wishes)
    with _Recognizing(settings, wishes, vocabulary, levels.floor) as recognizing:
        run = recognizing.run(wishes.recognizer, list(fitted.truths))
        other = old or (recognizing.run(wishes.against, list(fitted.truths)) if wishes.against else None)
        report = _Evaluating(vocabulary, truth, fitted, levels).report(run, other, wishes.images_per_month)
        _write_files(report, wishes, recognizing)
    write_lines([json_line(report.to_json())] if wishes.as_json else text_lines(report))
    return 1 if run.problems else 0


def _write_files(report: Report, wishes: EvaluateWishes, recognizing: _Recognizing) -> None:
    if wishes.save:
        wishes.save.write_text(json_line(report.to_json()), encoding="utf-8", errors="backslashreplace")
    if wishes.html:
        page = html_page(report, recognizing.thumbnails(report.pictured_files))
        wishes.html.write_text(page, encoding="utf-8", errors="backslashreplace")


def _truth(wishes: EvaluateWishes, vocabulary: Vocabulary) -> tuple[GroundTruth, str]:
    if wishes.labels and not wishes.coco:
        kind = TruthKind.COMPLETE if wishes.complete else TruthKind.SUBJECT
        text = _text_of(wishes.labels)
        return read_csv(text, wishes.labels.name, vocabulary, kind, wishes.skip_unknown), wishes.labels.name
    if wishes.coco and not (wishes.labels or wishes.complete):
        return read_coco(_text_of(wishes.coco), wishes.coco.name, vocabulary, wishes.skip_unknown), wishes.coco.name
    raise InvalidRequest("Say what is true with --labels CSV [--complete], or with --coco JSON, not with both.")


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidGroundTruth(f"{path.name}, byte {error.start}: it is not UTF-8. Save it as UTF-8.") from error


def _old_run(against: str | None) -> Run | None:
    """Return the run of an earlier report; None where a recognizer is named instead, or nothing."""
    if against is None or against in {EMBEDDED, REKOGNITION}:
        return None
    try:
        report = json.loads(Path(against).read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidRequest(f'{against} is not JSON. Name a report of "lumitag evaluate --save".') from error
    return run_of_report(report, against)


def _confirm_cost(wishes: EvaluateWishes, images: int) -> None:
    """Ask before money is spent."""
    if REKOGNITION in {wishes.recognizer, wishes.against}:
        usd = rekognition_usd(images)
        confirm(
            f"Amazon Rekognition will be asked about {counted(images, 'image')}: about ${usd:,.2f}. Go on?", wishes.yes
        )


def _levels(settings: Settings, wishes: EvaluateWishes) -> Levels:
    stored = min(settings.storage_floor_percent, wishes.min_confidence)
    return Levels(max(_LEAST_FLOOR_PERCENT, min(FLOOR_PERCENT, stored)), stored, wishes.min_confidence)


class _Recognizing:
    """Runs recognizers over files of the folder. To be used in a `with` statement."""

    def __init__(self, settings: Settings, wishes: EvaluateWishes, vocabulary: Vocabulary, floor: float) -> None:
        self._folder = wishes.folder
        self._quiet = wishes.quiet
        self._vocabulary = vocabulary
        self._floor = floor
        self._settings = settings
        self._workers = settings.workers
        self._pool = build_recognizer_pool(settings.model_copy(update={"storage_floor_percent": floor}))
        # No cache: the time that it takes is one of the results.
        self._labeller = FileLabeller(self._pool, self._workers, None, "")

    def __enter__(self) -> Self:
        self._labeller.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._labeller.__exit__(kind, error, traceback)

    def run(self, recognizer: str, files: list[str]) -> Run:
        """Return what a recognizer says about the files."""
        return self._with_embedded(files) if recognizer == EMBEDDED else self._with_rekognition(files)

    def thumbnails(self, files: Iterable[str]) -> dict[str, str]:
        """Return small JPEGs without metadata in base64, of all files that can be read."""
        return {file: base64.b64encode(jpeg).decode() for file, jpeg in self._small(files, _THUMBNAIL_SIDE_PX)}

    def _with_embedded(self, files: list[str]) -> Run:
        self._wait_ready()
        times = ProcessTimes(self._pool.pids)
        outcomes = self._told(files, (outcome for _, outcome in self._labeller.label(map(self._path, files))))
        seconds = times.seconds(self._pool.pids)
        small = islice(self._small(outcomes, _TIMED_SIDE_PX), _TIMED_IMAGES)
        cost = replace(
            inference_cost(self._settings, [content for _, content in small]),
            cpu_s_per_image=None if seconds is None else seconds / len(files),
        )
        return self._run_of(EMBEDDED, outcomes, cost)

    def _with_rekognition(self, files: list[str]) -> Run:
        recognizer = rekognition(self._vocabulary, self._floor)
        with ThreadPoolExecutor(_REKOGNITION_THREADS) as executor:
            outcomes = self._told(files, executor.map(lambda file: _asked(recognizer, self._path(file)), files))
        return self._run_of(REKOGNITION, outcomes, Cost())

    def _run_of(self, recognizer: str, outcomes: Mapping[str, Outcome], cost: Cost) -> Run:
        recognitions = {file: outcome for file, outcome in outcomes.items() if isinstance(outcome, Recognition)}
        problems = {file: outcome.message for file, outcome in outcomes.items() if isinstance(outcome, Problem)}
        if not recognitions:
            raise RecognitionFailed(f"No image could be recognized. The first: {next(iter(problems.values()))}")
        model_version = next(iter(recognitions.values())).model_version
        return Run(recognizer, model_version, self._floor, recognitions, problems, cost)

    def _told(self, files: list[str], outcomes: Iterable[Outcome]) -> dict[str, Outcome]:
        """Return the outcome of each file, with a progress bar meanwhile."""
        with progress(lambda: len(files), not self._quiet) as tick:
            return dict(ticking(zip(files, outcomes, strict=True), tick))

    def _wait_ready(self) -> None:
        """Wait for all processes: loading the models is not a cost of an image. Raises InvalidModel at once."""
        self._pool.start()
        self._pool.wait_ready(_PROCESS_START_S)
        deadline = time.monotonic() + _PROCESS_START_S
        while self._pool.ready_count < self._workers and time.monotonic() < deadline:
            time.sleep(0.02)

    def _small(self, files: Iterable[str], side_px: int) -> Iterator[tuple[str, bytes]]:
        for file in files:
            with (
                contextlib.suppress(OSError, UnreadableImage, RecognitionFailed),
                opened_image(self._path(file)) as content,
            ):
                yield file, self._pool.thumbnail(content, side_px)

    def _path(self, file: str) -> Path:
        return self._folder / file


def rekognition(vocabulary: Vocabulary, floor: float) -> BytesRecognizer:
    """Return Amazon Rekognition. Raises InvalidSettings where boto3 or an account is missing."""
    from lumitag.adapters.aws.recognizer import build_rekognition_recognizer  # noqa: PLC0415 - only for who asks for it

    return build_rekognition_recognizer(vocabulary.concepts, floor, DecodeLimits())


def _asked(recognizer: BytesRecognizer, path: Path) -> Outcome:
    try:
        with opened_image(path) as file:
            return recognizer.recognize_bytes(file.read())
    except OSError as error:
        return Problem.of(error)
    except RecognizerUnavailable:  # It would fail every other image too, for the same reason.
        raise
    except (UnreadableImage, RecognitionFailed) as error:
        return Problem(error.code, error.message)


@dataclass(frozen=True)
class _Evaluating:
    """Judges runs against the truth."""

    vocabulary: Vocabulary
    truth: GroundTruth
    fitted: Fitted
    levels: Levels

    def report(self, run: Run, other: Run | None, images_per_month: int | None) -> Report:
        return Report(
            version=__version__,
            created_time=time_to_json(now()) or "",
            run=run,
            coverage=self.fitted.coverage,
            evaluation=self._evaluation(run, list(run.recognitions)),
            costs=monthly_costs(images_per_month),
            comparison=self._comparison(run, other) if other else None,
            other_cost=other.cost if other else None,
        )

    def _comparison(self, run: Run, other: Run) -> Comparison:
        common = [file for file in run.recognitions if file in other.recognitions]
        if not common:
            raise InvalidRequest("The two runs have no image in common. Evaluate the same folder with both.")
        known = self.fitted.truths.keys()
        left_out = len((run.recognitions.keys() ^ other.recognitions.keys()) & known)
        first, second = self._evaluation(run, common), self._evaluation(other, common)
        return Comparison(run.title, other.title, first, second, left_out)

    def _evaluation(self, run: Run, files: list[str]) -> Evaluation:
        judge = Judge(self.vocabulary, self.truth, self.levels.shown)
        images = tuple(judge.judge(file, run.recognitions[file], self.fitted.truths[file]) for file in files)
        boxes = self._boxes(run, files) if self.truth.kind is TruthKind.BOXES else None
        return Evaluation(self.vocabulary, self.truth.kind, images, self.levels, boxes)

    def _boxes(self, run: Run, files: list[str]) -> BoxFigures:
        truths = {file: self.fitted.truths[file] for file in files}
        recognitions = {file: run.recognitions[file] for file in files}
        return measure_boxes(self.vocabulary, truths, self.truth.annotated, recognitions)
