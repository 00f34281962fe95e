"""Long-lived recognizer processes, watched and replaced.

A process that dies or hangs on an image costs that image one attempt and nobody else anything.
"""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import BinaryIO, Final, TypeVar

from lumitag.adapters.local._recognizer_link import START_TIMEOUT_S, NotReached, RecognizerOptions, RecognizerProcess
from lumitag.domain import Recognition
from lumitag.errors import (
    InvalidSettings,
    RecognizerCrashed,
    RecognizerTimedOut,
    RecognizerUnavailable,
    UnreadableImage,
)

T = TypeVar("T")

_THUMBNAIL_WAIT_S: Final = 5.0  # somebody looks at the page: better no image now than an answer that never comes
_LOOK_AFTER_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 30.0
_ALL_BUSY: Final = "All recognizers are busy. Try again in a few seconds."

_logger = logging.getLogger(__name__)


class RecognizerPool:
    """Hands each image to a free recognizer process. Safe to use from many threads.

    Args:
        size: how many processes, one a core.
        options: what `_recognizer_process` needs: limits in bytes and pixels, the storage floor in percent, own models.
        timeout_s: after so many seconds the process is killed and the image has lost one attempt.
        on_restart: called with the cause (`crashed`, `timed_out`, `died_idle`, `not_started`) when a process has to
            be replaced.

    Attributes:
        problem: why the last start of a process failed; empty once one has started.
    """

    def __init__(
        self,
        size: int,
        options: RecognizerOptions,
        timeout_s: float,
        on_restart: Callable[[str], None] = lambda _cause: None,
    ) -> None:
        self._size = size
        self._options = options
        self._timeout_s = timeout_s
        self._on_restart = on_restart
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)  # for those who watch the pool
        self._freed = threading.Condition(self._lock)  # for those who want a process: one wakes for each
        self._idle: deque[RecognizerProcess] = deque()
        self._busy: set[RecognizerProcess] = set()
        self._starting: deque[RecognizerProcess] = deque()
        self._failed_rounds = 0
        self.problem = ""
        self._unfit: InvalidSettings | None = None  # what is wrong with an own model or the labels file
        self._model_version = ""
        self._closed = False
        self._supervisor: threading.Thread | None = None

    def start(self) -> None:
        """Start the processes in the background. Starting twice starts once."""
        with self._changed:
            if self._supervisor is None:
                # One thread starts every process and outlives them: a child dies with the thread that forked it.
                self._supervisor = threading.Thread(target=self._supervise, name="recognizers", daemon=True)
                self._supervisor.start()

    @property
    def ready_count(self) -> int:
        """How many processes have their models loaded, idle or busy."""
        with self._changed:
            return len(self._idle) + len(self._busy)

    @property
    def pids(self) -> list[int]:
        """The process ids of all ready processes."""
        with self._changed:
            return sorted(process.pid for process in (*self._idle, *self._busy))

    @property
    def model_version(self) -> str:
        """The version of the loaded models; waits for the first process that has them."""
        if not self._model_version:
            self.start()
            self.wait_ready(START_TIMEOUT_S)
        if not self._model_version:
            raise RecognizerUnavailable
        return self._model_version

    def wait_ready(self, timeout_s: float) -> bool:
        """Wait until at least one process is ready; return whether one is.

        Raises InvalidModel or InvalidLabelsFile at once where none will be: the last start found it so.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._is_ready() or self._closed or self._unfit is not None, timeout_s)
            if self._unfit and not self._is_ready():
                raise type(self._unfit)(self._unfit.message)
            return self._is_ready() and not self._closed

    def recognize(self, file: BinaryIO) -> Recognition:
        """Return what is in the image, waiting for a free process. Raises UnreadableImage or RecognitionFailed."""
        return self._with_process(lambda process: process.recognize(file))

    def thumbnail(self, file: BinaryIO, max_side_px: int = 320) -> bytes:
        """Return the image as a JPEG of at most `max_side_px` pixels a side, turned upright, without metadata.

        Waits a few seconds for a free process. Raises UnreadableImage or RecognitionFailed.
        """
        return self._with_process(lambda process: process.thumbnail(file, max_side_px), _THUMBNAIL_WAIT_S)

    def close(self) -> None:
        """End all processes. What they are working on fails with RecognizerUnavailable."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._freed.notify_all()
            for process in (*self._busy, *self._starting):
                process.end()
            while self._idle:
                self._idle.pop().discard()
        if self._supervisor is not None:
            self._supervisor.join()

    def _with_process(self, work: Callable[[RecognizerProcess], T], wait_s: float = math.inf) -> T:
        while True:
            process = self._take(time.monotonic() + wait_s)
            with contextlib.suppress(NotReached):
                return self._work(process, work)
            self._discard(process, "died_idle")

    def _work(self, process: RecognizerProcess, work: Callable[[RecognizerProcess], T]) -> T:
        try:
            result = work(process)
        except NotReached:
            raise
        except (RecognizerCrashed, RecognizerTimedOut) as error:
            cause = "timed_out" if isinstance(error, RecognizerTimedOut) else "crashed"
            self._discard(process, cause)
            if self._closed:  # It was ended with the pool: nothing is known about the image.
                raise RecognizerUnavailable from error
            raise
        except UnreadableImage:
            self._give_back(process)
            raise
        except BaseException:  # Half of its answer may still be on its way: the next image must not get that.
            self._discard(process, "crashed")
            raise
        self._give_back(process)
        return result

    def _take(self, deadline: float) -> RecognizerProcess:
        self.start()
        with self._changed:
            while not self._closed:
                if self._idle:
                    process = self._idle.popleft()
                    if process.is_alive:
                        self._busy.add(process)
                        return process
                    self._forget(process, "died_idle")
                # After the last wait once more: what was freed in that moment woke nobody else.
                elif (left_s := deadline - time.monotonic()) > 0:
                    self._freed.wait(None if left_s == math.inf else left_s)
                else:
                    raise RecognizerUnavailable(_ALL_BUSY if self._busy else self.problem)
        raise RecognizerUnavailable

    def _give_back(self, process: RecognizerProcess) -> None:
        with self._changed:
            self._busy.discard(process)
            if self._closed:
                process.discard()
                return
            self._idle.append(process)
            self._freed.notify()

    def _discard(self, process: RecognizerProcess, cause: str) -> None:
        with self._changed:
            self._busy.discard(process)
            self._forget(process, cause)

    def _forget(self, process: RecognizerProcess, cause: str) -> None:
        process.discard()
        self._changed.notify_all()  # The supervisor starts another.
        if not self._closed:
            self._on_restart(cause)

    def _supervise(self) -> None:
        while not self._closed:
            self._start_missing()
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._missing() > 0, _LOOK_AFTER_S)
                self._drop_dead_idle()

    def _start_missing(self) -> None:
        """Start all that are missing at the same time, then wait for each."""
        problem = self._launch_missing()
        while self._starting:
            problem = self._await_start(self._starting[0]) or problem
        if problem:
            self._pause(problem)

    def _launch_missing(self) -> str:
        """Launch what is missing; return what was in the way, if something was."""
        try:
            while self._is_one_missing():
                process = RecognizerProcess(self._options, self._timeout_s)
                with self._lock:
                    self._starting.append(process)
        except OSError as error:  # No memory, processes or descriptors are left now; this thread has to outlive that.
            return f"No recognizer process can be started: {error.strerror}. It is tried again."
        return ""

    def _await_start(self, process: RecognizerProcess) -> str:
        """Wait until a process is ready; return why it is not, if it is not."""
        try:
            process.wait_ready()
        except (RecognizerUnavailable, InvalidSettings) as error:
            with self._changed:
                self._starting.remove(process)
                self._unfit = error if isinstance(error, InvalidSettings) else None
                self._changed.notify_all()
            process.discard()
            return error.message
        self._welcome(process)
        return ""

    def _pause(self, problem: str) -> None:
        """Say why a process did not start, and wait longer each time: a start costs a second of a core."""
        with self._changed:
            if self._closed:
                return
            self.problem = problem
            _logger.error("recognizer_not_started", extra={"fields": {"reason": problem}})
            self._on_restart("not_started")
            pause_s = min(_LONGEST_PAUSE_S, _LOOK_AFTER_S * 2.0 ** min(self._failed_rounds, 10))
            self._failed_rounds += 1
            self._changed.wait_for(lambda: self._closed, pause_s)

    def _welcome(self, process: RecognizerProcess) -> None:
        with self._changed:
            self._starting.remove(process)
            if self._closed:
                process.discard()
                return
            self._model_version = process.model_version
            self._failed_rounds, self.problem, self._unfit = 0, "", None
            self._idle.append(process)
            self._freed.notify()
            self._changed.notify_all()

    def _is_ready(self) -> bool:
        return bool(self._idle or self._busy)

    def _is_one_missing(self) -> bool:
        with self._lock:
            return self._missing() > 0

    def _missing(self) -> int:
        return 0 if self._closed else self._size - len(self._idle) - len(self._busy) - len(self._starting)

    def _drop_dead_idle(self) -> None:
        for process in [process for process in self._idle if not process.is_alive]:
            self._idle.remove(process)
            self._forget(process, "died_idle")
