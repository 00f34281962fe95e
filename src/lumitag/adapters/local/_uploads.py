"""One upload on its way in: counted, hashed, and not an object before all of it is known to be right."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from lumitag.adapters.local._files import create_private_file, translated_os_errors
from lumitag.errors import UploadMismatch
from lumitag.events import ImageUploaded


class IncomingUpload:
    """Bytes that arrive for one image. Use it as a context manager: what was not committed is removed.

    Args:
        draft: the temporary file that takes the bytes.
        size: how many bytes were announced.
        sha256: what they were announced to be; None if that was not said.
        flush: makes an open file durable.
        publish: makes the whole, durable draft with this sha256 the object, and announces it.

    One thread at a time may use it.
    """

    def __init__(
        self,
        draft: Path,
        size: int,
        sha256: str | None,
        *,
        flush: Callable[[int], None],
        publish: Callable[[Path, str], ImageUploaded],
    ) -> None:
        self._draft = draft
        self._size = size
        self._sha256 = sha256
        self._flush = flush
        self._publish = publish
        self._received = 0
        self._hash = hashlib.sha256()
        with translated_os_errors():
            self._file = os.fdopen(create_private_file(draft), "wb")

    def write(self, chunk: bytes) -> None:
        """Take the next bytes. Raises UploadMismatch at the first byte beyond the announced size, StoreFull."""
        self._received += len(chunk)
        if self._received > self._size:
            raise UploadMismatch(f"More bytes arrived than the {self._size} that were announced. Send the image again.")
        self._hash.update(chunk)
        with translated_os_errors():
            self._file.write(chunk)

    def commit(self) -> ImageUploaded:
        """Keep the image, durably, and return what was announced.

        Raises UploadMismatch, AlreadyUploaded, ImageNotFound, StoreFull, StoreUnavailable; then nothing was kept.
        """
        self._require_the_announced()
        with translated_os_errors():
            self._file.flush()
            self._flush(self._file.fileno())
            self._file.close()
        return self._publish(self._draft, self._hash.hexdigest())

    def abort(self) -> None:
        """Remove what has arrived. After a commit this does nothing."""
        with suppress(OSError):  # what cannot be written any more is not wanted any more
            self._file.close()
        with translated_os_errors():
            self._draft.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.abort()

    def _require_the_announced(self) -> None:
        if self._received != self._size:
            raise UploadMismatch(f"{self._received} bytes arrived, {self._size} were announced. Send the image again.")
        found = self._hash.hexdigest()
        if self._sha256 is not None and found != self._sha256.lower():
            raise UploadMismatch(
                f"The bytes have the sha256 {found}, {self._sha256} was announced. Send the image again."
            )
