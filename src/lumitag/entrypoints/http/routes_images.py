"""Images and their labels: list, show, wait for, download, delete, export."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Annotated, Any, BinaryIO, Final
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from lumitag import __version__
from lumitag.domain import ImageRecord, ImageStatus, Json, is_key
from lumitag.entrypoints.export import ExportFormat, export_lines
from lumitag.entrypoints.http.answers import (
    ImageAnswer,
    ImagesAnswer,
    LabelCountsAnswer,
    LabelsAnswer,
    PendingAnswer,
    UnlabelledAnswer,
)
from lumitag.entrypoints.http.schemas import (
    IMAGE_CONTENT,
    KEY_EXAMPLE,
    DetectLabelsBody,
    ExportParameters,
    ListParameters,
    Percent,
)
from lumitag.entrypoints.http.served import Answer, ServedHere, images_json
from lumitag.errors import ImageNotFound
from lumitag.recognition.colors import with_color_names

router: Final = APIRouter(tags=["images"])

KeyInPath = Annotated[str, Path(description="Of the image.", examples=[KEY_EXAMPLE])]
Responses = dict[int | str, dict[str, Any]]
_CHUNK_BYTES: Final = 256 * 1024
_CONTENT_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cache-Control": "private, no-cache",
}
_CONTENT: Final[Responses] = {
    200: {
        "description": "The bytes, as an attachment.",
        "content": IMAGE_CONTENT,
    },
    304: {"description": "The client has it already."},
}
_THUMBNAIL: Final[Responses] = {
    **_CONTENT,
    200: {"description": "A small JPEG.", "content": {"image/jpeg": IMAGE_CONTENT["image/jpeg"]}},
}
_EXPORT: Final[Responses] = {
    200: {
        "description": "One line an image.",
        "content": {
            "application/x-ndjson": {"schema": {"type": "string"}},
            "text/csv": {"schema": {"type": "string"}},
        },
    }
}


@router.post(
    "/detect-labels",
    response_model=LabelsAnswer | UnlabelledAnswer,
    responses={202: {"model": PendingAnswer, "description": "Not recognized yet."}},
)
async def detect_labels(body: DetectLabelsBody, served: ServedHere) -> Answer:
    """Return the stored labels of one image, waiting for them at most `waitSeconds` if it is pending."""
    settings = served.settings
    record = await served.settled(_checked(body.key), body.wait_seconds)
    least = settings.min_confidence_percent if body.min_confidence is None else body.min_confidence
    return _labels_answer(record.with_visible_labels(least, body.max_labels or settings.max_labels))


@router.get("/images", response_model=ImagesAnswer)
def list_images(parameters: Annotated[ListParameters, Query()], served: ServedHere) -> Answer:
    """Return one page of the images that were asked for, newest first."""
    query = parameters.query(served.settings.min_confidence_percent, parameters.limit, parameters.cursor)
    page = served.pipeline.search(query)
    return Answer({"images": images_json(page.items, query.min_confidence), "nextCursor": page.next_cursor})


@router.get("/images/{key}", response_model=ImageAnswer)
def show_image(
    key: KeyInPath,
    served: ServedHere,
    min_confidence: Annotated[Percent | None, Query(alias="minConfidence", description="Percent.")] = None,
) -> Answer:
    """Return one image with all its stored labels and its properties."""
    record = served.pipeline.show_image(_checked(key))
    return Answer(with_color_names(record.with_visible_labels(min_confidence or 0.0).to_json()))


@router.delete("/images/{key}", status_code=204)
def delete_image(key: KeyInPath, served: ServedHere) -> None:
    """Forget an image: its bytes, its labels and what waits to be told about it."""
    served.pipeline.delete_image(_checked(key))


@router.get("/images/{key}/content", response_class=Response, responses=_CONTENT)
def download_image(key: KeyInPath, request: Request, served: ServedHere) -> Response:
    """Return the bytes as they were uploaded, as an attachment under the name that the client gave."""
    record = served.pipeline.show_image(_checked(key))
    headers = {**_CONTENT_HEADERS, "ETag": f'"{key}"', "Content-Disposition": _attachment(record.file_name)}
    if _is_known(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return FileAnswer(served.pipeline.object_store.open(key), record, headers)


@router.get("/images/{key}/thumbnail", response_class=Response, responses=_THUMBNAIL)
async def show_thumbnail(key: KeyInPath, request: Request, served: ServedHere) -> Response:
    """Return a small JPEG, longest side 320 px, without any metadata."""
    # A deleted image is gone, whatever a browser has kept of it.
    await run_in_threadpool(served.pipeline.show_image, _checked(key))
    headers = {**_CONTENT_HEADERS, "ETag": f'"{key}-{__version__}"'}
    if _is_known(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(await served.thumbnail(key), media_type="image/jpeg", headers=headers)


@router.get("/labels", response_model=LabelCountsAnswer)
def list_labels(
    served: ServedHere,
    prefix: Annotated[str, Query(max_length=200, description="How the name starts; case does not matter.")] = "",
    limit: Annotated[int, Query(ge=1, le=1000, description="At most this many.")] = 50,
) -> Answer:
    """Return the most frequent labels that start with `prefix`: suggestions for a search."""
    counts = served.pipeline.label_store.label_counts(prefix, limit)
    return Answer({"labels": [{"name": count.name, "count": count.count} for count in counts]})


@router.get("/export", response_class=StreamingResponse, responses=_EXPORT)
def export_images(parameters: Annotated[ExportParameters, Query()], served: ServedHere) -> StreamingResponse:
    """Return all images that were asked for, newest first, one line each, streamed."""
    export_format = ExportFormat(parameters.format)
    query = parameters.query(served.settings.min_confidence_percent, limit=500)
    query = replace(query, with_properties=export_format.has_properties)
    lines = _chunks(export_lines(served.pipeline.search_all(query), export_format, query.min_confidence))
    lines = chain([next(lines, "")], lines)  # What goes wrong at the first page is still an answer of its own.
    headers = {"Content-Disposition": f'attachment; filename="lumitag.{export_format.value}"'}
    return StreamingResponse(lines, media_type=export_format.media_type, headers=headers)


class FileAnswer(Response):
    """Sends an open file in pieces, and closes it whatever happens."""

    def __init__(self, file: BinaryIO, record: ImageRecord, headers: dict[str, str]) -> None:
        length = {"Content-Length": str(record.size), "Content-Type": record.content_type}
        super().__init__(headers={**headers, **length})
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        """Answer the request."""
        with self._file as file:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            while chunk := await run_in_threadpool(file.read, _CHUNK_BYTES):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})


def _checked(key: str) -> str:
    """Return a key that is safe in a path. What cannot be a key is as absent as any other: nothing to learn from it."""
    if not is_key(key):
        raise ImageNotFound
    return key


def _labels_answer(record: ImageRecord) -> Answer:
    content: Json = {"key": record.key, "status": record.status.value}
    if record.status is ImageStatus.PENDING:
        return Answer(content, 202)
    if record.status is ImageStatus.RECOGNIZED:
        content["labels"] = [label.name for label in record.labels]
        content["details"] = [label.to_json() for label in record.labels]
        if record.properties is not None:
            content["properties"] = record.properties.to_json()
    else:
        content["reason"] = record.reason
    return Answer(with_color_names(content))


def _attachment(file_name: str) -> str:
    """Return the header that saves under `file_name`, for old readers and by RFC 5987 for all others."""
    plain = "".join(character if character.isascii() and character not in '"\\%' else "_" for character in file_name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(file_name, safe='')}"


def _is_known(request: Request, etag: str) -> bool:
    return etag in [known.strip().removeprefix("W/") for known in request.headers.get("if-none-match", "").split(",")]


def _chunks(lines: Iterator[str]) -> Iterator[str]:
    """Yield the lines joined to pieces of some size, because each piece costs a switch of threads."""
    gathered: list[str] = []
    size = 0
    for line in lines:
        gathered.append(line)
        size += len(line)
        if size >= _CHUNK_BYTES:
            yield "".join(gathered)
            gathered, size = [], 0
    yield "".join(gathered)
