"""Broken variants of the server, each with one promise taken out: the fault tests must catch every one.

`python -m tests.reliability.mutants NAME up` runs the command line with that one change.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lumitag.adapters.local import _recognizer_link
from lumitag.adapters.local._housekeeping import Housekeeper
from lumitag.adapters.local.event_queue import SQLiteEventQueue
from lumitag.adapters.local.object_store import FileObjectStore
from lumitag.domain import now
from lumitag.entrypoints.cli import main
from lumitag.errors import RecognizerCrashed
from lumitag.events import ImageUploaded


def acknowledges_before_storing() -> None:
    """Answer an upload first and store it half a second later, as a program without durable writes would."""
    kind: Any = FileObjectStore
    publish = kind._publish

    def publish_later(self: Any, key: str, draft: Path, sha256: str) -> ImageUploaded:
        kept = draft.rename(draft.with_suffix(".later"))
        threading.Timer(0.5, publish, (self, key, kept, sha256)).start()
        return ImageUploaded(key, now())

    kind._publish = publish_later


def deletes_on_receive() -> None:
    """Forget a message when it is received, as queues without leases do, and never look for what was forgotten."""
    kind: Any = SQLiteEventQueue
    receive = kind.receive

    def receive_and_delete(self: Any, limit: int, wait_s: float) -> Any:
        messages = receive(self, limit, wait_s)
        self.delete(messages)
        return messages

    kind.receive = receive_and_delete
    housekeeper: Any = Housekeeper
    housekeeper._queue_unfinished = lambda _self: 0


def crashes_on_damaged_images() -> None:
    """Treat a damaged image as a crash of the recognizer instead of rejecting it."""
    kind: Any = _recognizer_link
    kind._refusal = lambda answer: RecognizerCrashed(answer["message"])


MUTANTS: dict[str, Callable[[], None]] = {
    mutant.__name__: mutant for mutant in (acknowledges_before_storing, deletes_on_receive, crashes_on_damaged_images)
}

if __name__ == "__main__":
    MUTANTS[sys.argv.pop(1)]()
    main()
