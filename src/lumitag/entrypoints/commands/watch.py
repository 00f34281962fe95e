"""Notices new and changed images in a folder by looking again and again, with nothing but the standard library.

A file is taken when its size and its time of change have stayed the same for a while: before that,
somebody may still be writing it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lumitag.entrypoints.commands.image_files import images_in

SETTLE_S: Final = 1.0
_LOOK_EVERY_S: Final = 0.5

Signature = tuple[int, int, int]
"""What changes when a file does: its size in bytes, its time of change in nanoseconds, its inode."""


@dataclass
class FolderWatch:
    """Remembers what a folder looked like.

    Attributes:
        folder: and all below it.
        settle_s: how long a file has to stay the same.
    """

    folder: Path
    settle_s: float = SETTLE_S
    _taken: dict[Path, Signature] = field(default_factory=dict)
    _changing: dict[Path, tuple[Signature, float]] = field(default_factory=dict)

    def ignore_present(self) -> None:
        """Take everything that is there now as known."""
        self._taken = self._snapshot()

    def settled(self, moment: float) -> list[Path]:
        """Look once, at `moment` in seconds; return what is new or changed and has settled, each only once."""
        present = self._snapshot()
        self._taken = {path: signature for path, signature in self._taken.items() if path in present}
        changed = {path: signature for path, signature in present.items() if self._taken.get(path) != signature}
        self._changing = {path: self._since(path, signature, moment) for path, signature in changed.items()}
        done = [path for path, (_, since) in self._changing.items() if moment - since >= self.settle_s]
        for path in done:
            self._taken[path] = self._changing.pop(path)[0]
        return done

    def _since(self, path: Path, signature: Signature, moment: float) -> tuple[Signature, float]:
        before = self._changing.get(path)
        return before if before is not None and before[0] == signature else (signature, moment)

    def _snapshot(self) -> dict[Path, Signature]:
        found = ((path, _signature(path)) for path in images_in(self.folder))
        return {path: signature for path, signature in found if signature is not None}


def changed_images(watch: FolderWatch, sleep: Callable[[float], None] = time.sleep) -> Iterator[list[Path]]:
    """Yield what has come or changed, a few at a time, for ever."""
    while True:
        if paths := watch.settled(time.monotonic()):
            yield paths
        sleep(_LOOK_EVERY_S)


def _signature(path: Path) -> Signature | None:
    try:
        status = path.stat()
    except OSError:  # It went as soon as it had come.
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino
