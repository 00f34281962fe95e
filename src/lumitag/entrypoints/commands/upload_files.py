"""Puts files into the data folder the way a client of the HTTP API would."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from lumitag.domain import Json, UploadRequest
from lumitag.entrypoints.commands.file_facts import FileFacts
from lumitag.entrypoints.commands.label_files import Problem, opened_image
from lumitag.errors import InvalidRequest, UnsupportedImageType, UploadRefused

if TYPE_CHECKING:
    from lumitag.pipeline import Pipeline

_HEAD_BYTES: Final = 12
_NO_BASE_URL: Final = "http://localhost"  # The grant is not used: the bytes do not take the way over HTTP.


def upload_files(pipeline: Pipeline, files: Iterable[Path]) -> Iterator[Json]:
    """Upload the files one after the other; yield the key of each, or why it was refused, once that is durable.

    A store that is full or does not answer ends it: raises StoreError.
    """
    for path in files:
        outcome = upload_file(pipeline, path)
        if isinstance(outcome, Problem):
            yield {"file": str(path), "error": outcome.error, "message": outcome.message}
        else:
            yield {"file": str(path), "key": outcome}


def upload_file(pipeline: Pipeline, path: Path) -> str | Problem:
    """Upload one file and return its key once it is durably stored, or why it was refused."""
    try:
        with opened_image(path) as file:
            return _upload(pipeline, path, file)
    except (UploadRefused, InvalidRequest) as error:
        return Problem(error.code, error.message)
    except OSError as error:
        return Problem.of(error)


def content_type_of(head: bytes) -> str:
    """Return the type that the first bytes of a file show. Raises UnsupportedImageType."""
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    raise UnsupportedImageType("The file is not a JPEG, PNG, WebP or GIF image.")


def _upload(pipeline: Pipeline, path: Path, file: BinaryIO) -> str:
    content_type = content_type_of(file.read(_HEAD_BYTES))
    file.seek(0)
    facts = FileFacts.of(file)
    request = UploadRequest(path.name, content_type, facts.size, facts.sha256)
    key = pipeline.accept_upload(request, _NO_BASE_URL).key
    file.seek(0)
    pipeline.object_store.put(pipeline.show_image(key), file)
    return key
