"""Labels files without a server: several recognizer processes, answers in the order of the files.

Only a few files are under way at a time, so memory stays flat however many there are.
The processes start when the first file turns out not to be in the cache.
"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Protocol, Self

from lumitag.domain import Json, Label, Recognition, visible_labels
from lumitag.entrypoints.commands.file_facts import FileFacts
from lumitag.entrypoints.commands.label_cache import LabelCache
from lumitag.errors import RecognitionFailed, RecognizerUnavailable, UnreadableImage
from lumitag.recognition.labels_file import LabelsFile

if TYPE_CHECKING:
    from lumitag.recognition.model_description import DescribedModel
    from lumitag.settings import Settings

START_TIMEOUT_S: Final = 30.0
_LOOK_AHEAD_PER_THREAD: Final = 4
_SPARE_THREADS: Final = 2  # They read and hash the next files while every process is busy.


@dataclass(frozen=True)
class Problem:
    """Why one file has no labels: a code for programs, a message for people."""

    error: str
    message: str

    @classmethod
    def of(cls, error: OSError) -> Problem:
        """Return what to say about a file that cannot be opened or read."""
        if isinstance(error, FileNotFoundError):
            return cls("file_not_found", "There is no such file. Check the path.")
        return cls("file_unreadable", f"The file cannot be read: {error.strerror or error}.")


Outcome = Recognition | Problem


class ImagePool(Protocol):
    """What is needed of a pool of recognizer processes."""

    def start(self) -> None:
        """Start the processes."""
        ...

    def wait_ready(self, timeout_s: float) -> bool:
        """Wait until at least one process is ready; return whether one is."""
        ...

    def recognize(self, file: BinaryIO) -> Recognition:
        """Return what is in the image, waiting for a free process."""
        ...

    def close(self) -> None:
        """End all processes."""
        ...


class FileLabeller:
    """Recognizes files in several processes, and each content only once. To be used in a `with` statement.

    Args:
        pool: starts its processes when it is first used.
        workers: how many processes the pool has.
        cache: None to recognize everything again.
        model: names all that decides which labels a content gets.
    """

    def __init__(self, pool: ImagePool, workers: int, cache: LabelCache | None, model: str) -> None:
        threads = workers + _SPARE_THREADS
        self._pool = pool
        self._cache = cache
        self._model = model
        self._look_ahead = threads * _LOOK_AHEAD_PER_THREAD
        self._starting = threading.Lock()
        self._is_ready = False
        self._stopped = threading.Event()
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="label")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._pool.close()  # First, so that whoever waits for a process gives up.
        self._executor.shutdown(cancel_futures=True)
        if self._cache is not None:
            self._cache.close()

    def label(self, files: Iterable[Path]) -> Iterator[tuple[Path, Outcome]]:
        """Yield each file with what came of it, in the given order."""
        under_way: deque[tuple[Path, Future[Outcome]]] = deque()
        for file in files:
            under_way.append((file, self._executor.submit(self._label_one, file)))
            if len(under_way) >= self._look_ahead:
                yield _finished(under_way)
        while under_way:
            yield _finished(under_way)

    def _label_one(self, path: Path) -> Outcome:
        try:
            with opened_image(path) as file:
                return self._recognize_once(file)
        except OSError as error:
            return Problem.of(error)

    def _recognize_once(self, file: BinaryIO) -> Outcome:
        if self._cache is None:
            return self._recognize(file)
        sha256 = bytes.fromhex(FileFacts.of(file).sha256)
        known = self._cache.get(sha256, self._model)
        if known is not None:
            return _outcome_from_json(known)
        file.seek(0)
        outcome = self._recognize(file)
        if not (isinstance(outcome, Problem) and outcome.error in _PASSING_PROBLEMS):
            self._cache.put(sha256, self._model, _outcome_to_json(outcome))
        return outcome

    def _recognize(self, file: BinaryIO) -> Outcome:
        self._wait_ready()
        try:
            return self._pool.recognize(file)
        except UnreadableImage as error:
            return Problem(error.code, error.message)
        except RecognitionFailed:
            return self._recognize_again(file)

    def _wait_ready(self) -> None:
        """Start the processes when they are first needed. Raises RecognizerUnavailable if none comes up."""
        with self._starting:
            if not self._is_ready:
                self._pool.start()
                self._is_ready = self._pool.wait_ready(START_TIMEOUT_S)
            if not self._is_ready:
                raise RecognizerUnavailable('No recognizer process starts. Run "lumitag doctor" to see why.')

    def _recognize_again(self, file: BinaryIO) -> Outcome:
        """Give the image a second process: the first may have died of something else."""
        try:
            if self._stopped.is_set():
                return Problem("stopped", "Lumitag was stopped.")
            file.seek(0)
            return self._pool.recognize(file)
        except (UnreadableImage, RecognitionFailed) as error:
            return Problem(error.code, error.message)


_PASSING_PROBLEMS: Final = frozenset(
    {"stopped", RecognitionFailed.code, *(kind.code for kind in RecognitionFailed.__subclasses__())}
)


def model_name(settings: Settings) -> str:
    """Return what an answer depends on besides the content: all of `lumitag.recognition`, and the limits.

    It is known without starting a recognizer process, and changes at least as often as the model version.

    Raises InvalidModel where the description of an own model is wrong, InvalidLabelsFile likewise.
    """
    digest = hashlib.sha256()
    package = resources.files("lumitag.recognition")
    names = sorted(file.name for file in package.iterdir() if file.name.endswith((".py", ".json")))
    for file in (*(package / name for name in names), package / "weights" / "sha256.json"):
        digest.update(file.read_bytes())
    for own in own_models(settings):
        digest.update(own.digest.encode())
    if settings.labels_file:
        digest.update(LabelsFile.read(settings.labels_file).text.encode())
    limits = (
        settings.storage_floor_percent,
        settings.max_image_bytes,
        settings.max_image_pixels,
        settings.max_image_side_px,
        settings.min_image_side_px,
        settings.image_properties,
    )
    return " ".join((digest.hexdigest(), *(f"{limit:.10g}" for limit in limits)))


def own_models(settings: Settings) -> Iterator[DescribedModel[Any]]:
    """Yield the own models that the settings name. Raises InvalidModel."""
    from lumitag.recognition.model_description import (  # noqa: PLC0415 - costs time that few have to spend
        ClassifierDescription,
        DetectorDescription,
        read_model,
    )

    if settings.classifier_model:
        yield read_model(settings.classifier_model, ClassifierDescription)
    if settings.detector_model:
        yield read_model(settings.detector_model, DetectorDescription)


def shown_labels(recognition: Recognition, min_confidence: float, max_labels: int) -> tuple[Label, ...]:
    """Return the labels at or above `min_confidence` percent, at most `max_labels`."""
    return visible_labels(recognition.labels, min_confidence, max_labels)


def line_of(path: Path, outcome: Outcome, min_confidence: float, max_labels: int) -> Json:
    """Return what is written about one file."""
    if isinstance(outcome, Problem):
        return {"file": str(path), "error": outcome.error, "message": outcome.message}
    return {
        "file": str(path),
        "labels": [label.to_json() for label in shown_labels(outcome, min_confidence, max_labels)],
        "width": outcome.width,
        "height": outcome.height,
        "modelVersion": outcome.model_version,
        **({"properties": outcome.properties.to_json()} if outcome.properties else {}),
    }


def _finished(under_way: deque[tuple[Path, Future[Outcome]]]) -> tuple[Path, Outcome]:
    path, future = under_way.popleft()
    return path, future.result()


def opened_image(path: Path) -> BinaryIO:
    """Return the open file. Raises OSError, also unless it is an ordinary one: a pipe or a device might never end."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise OSError("it is no ordinary file")


def _outcome_to_json(outcome: Outcome) -> Json:
    if isinstance(outcome, Problem):
        return {"error": outcome.error, "message": outcome.message}
    return outcome.to_json()


def _outcome_from_json(value: Json) -> Outcome:
    if "error" in value:
        return Problem(value["error"], value["message"])
    return Recognition.from_json(value)
