"""One recognizer process as the server sees it: start it, ask it, end it.

The other side is `_recognizer_process`. Whatever it answers, or does not, becomes a result or an error here.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from typing import BinaryIO, Final

from lumitag.adapters.local._recognizer_process import (
    ANSWER,
    BROKEN,
    BYTES_RESULT,
    JSON_RESULT,
    READY,
    RECOGNIZE,
    REFUSED,
    REQUEST,
    THUMBNAIL,
)
from lumitag.domain import Recognition
from lumitag.errors import (
    InvalidLabelsFile,
    InvalidModel,
    LumitagError,
    RecognitionFailed,
    RecognizerCrashed,
    RecognizerTimedOut,
    RecognizerUnavailable,
    UnreadableImage,
)

RecognizerOptions = Mapping[str, float | str | None]

START_TIMEOUT_S: Final = 60.0
_NOT_STARTED: Final = 'No recognizer process starts. What it wrote to standard error, or "lumitag doctor", says why.'
_LARGEST_ANSWER_BYTES: Final = 16 << 20
_MODULE: Final = "lumitag.adapters.local._recognizer_process"


class NotReached(Exception):
    """The process died before it read the request: the image has nothing to do with it."""


class RecognizerProcess:
    """One recognizer process and our end of its socket. Used by one thread at a time."""

    def __init__(self, options: RecognizerOptions, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self.model_version = ""
        self._channel, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = _started(theirs, options)
            except BaseException:
                self._channel.close()
                raise

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it still runs and has not closed its socket. Only meaningful while it has nothing to do."""
        return self._process.poll() is None and not _has_news(self._channel)

    def wait_ready(self) -> None:
        """Wait until the models are loaded.

        Raises RecognizerUnavailable with the reason, if the process knew one; InvalidModel or InvalidLabelsFile if
        it is a file of the user's own.
        """
        try:
            kind, payload = self._receive(time.monotonic() + START_TIMEOUT_S)
        except (RecognitionFailed, NotReached):
            raise RecognizerUnavailable(_NOT_STARTED) from None
        if kind == REFUSED:
            raise _start_refusal(json.loads(payload))
        if kind != READY:
            raise RecognizerUnavailable(_NOT_STARTED)
        self.model_version = payload.decode()

    def recognize(self, file: BinaryIO) -> Recognition:
        """Return what is in the image. Raises UnreadableImage or RecognitionFailed."""
        kind, payload = self._ask(RECOGNIZE, 0, file)
        return Recognition.from_json(json.loads(_checked(kind, payload, JSON_RESULT)))

    def thumbnail(self, file: BinaryIO, max_side_px: int) -> bytes:
        """Return a JPEG without metadata. Raises UnreadableImage or RecognitionFailed."""
        kind, payload = self._ask(THUMBNAIL, max_side_px, file)
        return _checked(kind, payload, BYTES_RESULT)

    def end(self) -> None:
        """End the process. Whoever waits for its answer gets RecognizerCrashed. Safe from any thread."""
        self._process.kill()
        self._process.wait()

    def discard(self) -> None:
        """End the process and close its socket. Only for the thread that uses it, or while it is idle."""
        self.end()
        self._channel.close()

    def _ask(self, kind: bytes, number: int, file: BinaryIO) -> tuple[bytes, bytes]:
        deadline = time.monotonic() + self._timeout_s
        with _descriptor(file) as descriptor:
            try:
                socket.send_fds(self._channel, [REQUEST.pack(kind, number)], [descriptor])
            except OSError:
                raise NotReached from None
        return self._receive(deadline)

    def _receive(self, deadline: float) -> tuple[bytes, bytes]:
        kind, length = ANSWER.unpack(self._read(ANSWER.size, deadline))
        if length > _LARGEST_ANSWER_BYTES:
            raise RecognizerCrashed("The recognizer process answered nonsense.")
        return kind, self._read(length, deadline)

    def _read(self, length: int, deadline: float) -> bytes:
        parts = bytearray()
        while len(parts) < length:
            self._channel.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                part = self._channel.recv(length - len(parts))
            except TimeoutError:
                raise RecognizerTimedOut from None
            except ConnectionResetError:  # What Unix sockets say when the other end closed with our request unread.
                raise NotReached from None
            except OSError as error:
                raise RecognizerCrashed from error
            if not part:
                raise RecognizerCrashed
            parts += part
        return bytes(parts)


def _started(theirs: socket.socket, options: RecognizerOptions) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-P", "-m", _MODULE, str(theirs.fileno()), json.dumps(options)],
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=_bare_environment(),
    )


def _has_news(channel: socket.socket) -> bool:
    """Return whether something can be read, be it the end. Not with `select`: it knows only descriptors below 1024."""
    watch = select.poll()
    watch.register(channel, select.POLLIN)
    return bool(watch.poll(0))


def _checked(kind: bytes, payload: bytes, expected: bytes) -> bytes:
    if kind == expected:
        return payload
    if kind == REFUSED:
        raise _refusal(json.loads(payload))
    if kind == BROKEN:
        raise RecognizerCrashed(payload.decode(errors="replace"))
    raise RecognizerCrashed("The recognizer process answered nonsense.")


def _start_refusal(answer: dict[str, str]) -> LumitagError:
    own = {kind.code: kind for kind in (InvalidModel, InvalidLabelsFile)}
    return own.get(answer["code"], RecognizerUnavailable)(answer["message"])


def _refusal(answer: dict[str, str]) -> LumitagError:
    for kind in UnreadableImage.__subclasses__():
        if kind.code == answer.get("code"):
            return kind(answer.get("message"))
    return RecognitionFailed(answer.get("message"))


@contextlib.contextmanager
def _descriptor(file: BinaryIO) -> Iterator[int]:
    """Yield a descriptor of the whole content: the file's own, or that of a copy where it has none."""
    try:
        own = file.fileno()
    except OSError:
        with tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(file, copy)
            copy.flush()
            yield copy.fileno()
    else:
        yield own


def _bare_environment() -> dict[str, str]:
    """Return what Python and the native libraries need, and no secret: settings stay with the parent."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG") if name in os.environ}
    return {**kept, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
