"""Images and their labels, as a reader sees them."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lumitag.domain import ImageRecord, Json, Label, Recognition
from lumitag.entrypoints.http_api import create_app
from lumitag.errors import DamagedImage, RecognizerUnavailable, UnreadableImage
from tests.entrypoints.conftest import ADDRESS, THUMBNAIL, InProcess, Site
from tests.fakes import DOG

WEAK = Label("Grass", "n12102133", 35.0, (), (), ("Plants and Flowers",))


def detect(site: Site, **body: object) -> httpx.Response:
    return site.client.post("/detect-labels", json=body)


# detect-labels


def test_the_names_of_the_labels_come_first(site: Site) -> None:
    key = site.recognized()
    answer = detect(site, key=key)

    assert answer.status_code == 200
    assert list(answer.json()) == ["key", "status", "labels", "details"]
    assert answer.json()["labels"] == ["Dog", "Cat"]
    assert answer.json()["details"][0] == DOG.to_json()


@pytest.mark.parametrize(
    ("wish", "names"),
    [
        ({}, ["Dog", "Cat"]),
        ({"minConfidence": 0}, ["Dog", "Cat", "Grass"]),
        ({"minConfidence": 80}, ["Dog"]),
        ({"minConfidence": 100}, []),
        ({"maxLabels": 1}, ["Dog"]),
        ({"minConfidence": 0, "maxLabels": 2}, ["Dog", "Cat"]),
    ],
)
def test_labels_are_cut_when_they_are_read(site: Site, wish: Json, names: list[str]) -> None:
    site.recognizer.labels = (*site.recognizer.labels, WEAK)
    key = site.recognized()

    assert detect(site, key=key, **wish).json()["labels"] == names


def test_an_image_that_waits_is_accepted_but_not_done(site: Site) -> None:
    key = site.upload()
    answer = detect(site, key=key)

    assert answer.status_code == 202
    assert answer.json() == {"key": key, "status": "pending"}


def test_an_image_that_cannot_be_recognized_says_why(site: Site) -> None:
    key = site.upload()
    site.recognizer.answers[key] = DamagedImage()
    site.recognize()
    answer = detect(site, key=key, waitSeconds=30)

    assert answer.status_code == 200
    assert answer.json() == {"key": key, "status": "rejected", "reason": DamagedImage().message}


@pytest.mark.parametrize("key", ["", "x", "../../etc", "0" * 26, "0" * 27, "\u00e9" * 26])
def test_an_image_that_is_not_there_is_not_found(site: Site, key: str) -> None:
    answer = detect(site, key=key)

    assert (answer.status_code, answer.json()["error"]) == (404, "image_not_found")


def test_waiting_ends_with_the_labels(site: Site) -> None:
    key = site.upload()
    timer = threading.Timer(0.2, site.recognize)
    timer.start()
    started = time.monotonic()
    answer = detect(site, key=key, waitSeconds=30)
    timer.join()

    assert answer.json()["labels"] == ["Dog", "Cat"]
    assert time.monotonic() - started < 4  # Told by the feed, before it would have looked again.


def test_waiting_ends_when_the_image_is_deleted(site: Site) -> None:
    key = site.upload()
    timer = threading.Timer(0.2, site.platform.pipeline.delete_image, [key])
    timer.start()

    assert detect(site, key=key, waitSeconds=30).status_code == 404
    timer.join()


def test_waiting_ends_in_time(site: Site) -> None:
    key = site.upload()
    started = time.monotonic()

    assert detect(site, key=key, waitSeconds=0.2).status_code == 202
    assert 0.2 <= time.monotonic() - started < 4


def test_waiting_works_where_nobody_tells(site: Site) -> None:
    """Without a feed, as on a platform that is many processes, who waits looks again."""
    client = httpx.Client(transport=InProcess(create_app(site.platform, site.settings)), base_url=ADDRESS)
    key = site.upload()
    timer = threading.Timer(0.2, site.recognize)
    timer.start()
    answer = client.post("/detect-labels", json={"key": key, "waitSeconds": 30})
    timer.join()

    assert answer.json()["status"] == "recognized"


def test_two_hundred_who_wait_block_nobody(site: Site) -> None:
    """More than there are threads: a wait takes none."""
    key = site.upload()

    async def wait_all() -> tuple[list[int], float]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(site.app), base_url=ADDRESS) as client:
            waits = [
                asyncio.create_task(client.post("/detect-labels", json={"key": key, "waitSeconds": 30}))
                for _ in range(200)
            ]
            await asyncio.sleep(0.5)
            started = time.monotonic()
            assert (await client.get("/images")).status_code == 200
            seconds = time.monotonic() - started
            await asyncio.to_thread(site.recognize)
            return [answer.status_code for answer in await asyncio.gather(*waits)], seconds

    codes, seconds = asyncio.run(wait_all())
    assert codes == [200] * 200
    assert seconds < 2


# list, show, delete


def test_a_record_has_the_shape_that_is_promised(site: Site) -> None:
    key = site.recognized(fileName="dog.jpg")
    shown = site.client.get(f"/images/{key}").json()

    assert list(shown) == [
        *("key", "fileName", "contentType", "size", "sha256", "width", "height", "status", "reason", "labels"),
        *("recognizer", "modelVersion", "uploadTime", "recognizedTime"),
    ]
    assert (shown["fileName"], shown["status"], shown["size"]) == ("dog.jpg", "recognized", 9)


def test_one_image_shows_how_it_looks(site: Site) -> None:
    key = site.colored()
    shown = site.client.get(f"/images/{key}").json()
    labels = site.client.post("/detect-labels", json={"key": key}).json()
    grey = {"red": 47, "green": 79, "blue": 79, "pixelPercent": 39.4}
    names = {"hexCode": "#2f4f4f", "cssColor": "darkslategrey", "simplifiedColor": "grey"}

    assert shown["properties"]["quality"] == {"brightness": 59.9, "sharpness": 81.0, "contrast": 80.4}
    assert shown["properties"]["dominantColors"][0] == {**grey, **names}
    assert shown["properties"]["foreground"]["quality"] == {"brightness": 44.7, "sharpness": 81.9}
    assert [len(one["dominantColors"]) for one in shown["labels"][1]["instances"]] == [1, 2]
    assert (labels["properties"], labels["details"]) == (shown["properties"], shown["labels"])


def test_lists_and_live_changes_do_not_carry_properties(site: Site) -> None:
    site.colored()
    listed = site.client.get("/images").text
    [exported] = site.client.get("/export").text.splitlines()

    assert "properties" not in listed
    assert "dominantColors" not in listed
    assert json.loads(exported)["properties"]["dominantColors"][0]["cssColor"] == "darkslategrey"


def test_one_image_shows_everything_that_is_stored(site: Site) -> None:
    site.recognizer.labels = (*site.recognizer.labels, WEAK)
    key = site.recognized()

    def names(query: str) -> list[str]:
        return [label["name"] for label in site.client.get(f"/images/{key}{query}").json()["labels"]]

    assert names("") == ["Dog", "Cat", "Grass"]
    assert names("?minConfidence=50") == ["Dog", "Cat"]


def test_a_list_shows_all_labels_above_the_threshold(site: Site) -> None:
    many = tuple(Label(f"Label {number}", f"x{number}", 99.0 - number / 2) for number in range(30))
    site.recognizer.labels = (*many, WEAK)
    site.recognized()
    listed = site.client.get("/images").json()["images"][0]["labels"]

    assert len(listed) == 30


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", 2),
        ("label=Dog", 2),
        ("label=dog&label=CAT", 1),
        ("label=Dog&not=Cat", 1),
        ("any=Cat&any=Horse", 1),
        ("label=Horse", 0),
        ("label=Cat&minConfidence=80", 0),
        ("status=recognized", 2),
        ("status=pending", 1),
        ("after=2020-01-01T00:00:00Z", 2),
        ("before=2020-01-01T00:00:00%2B02:00", 0),
        ("after=9999-12-31T23:59:59Z", 0),
        ("before=0001-01-01T00:00:00Z", 0),
    ],
)
def test_images_are_found_by_what_was_asked(site: Site, query: str, found: int) -> None:
    site.recognized()
    site.recognizer.labels = (DOG,)
    site.recognized()
    if "pending" in query:
        site.upload()

    assert len(site.client.get(f"/images?{query}").json()["images"]) == found


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=1001", "limit=x", "minConfidence=101", "minConfidence=nan", "status=done", "labels=Dog"),
        *("after=yesterday", "after=2026-11-23", "after=2026-11-23T12:00:00", "after=0001-01-01T00:00:00%2B23:59"),
        *("after=1700000000", "cursor=nonsense", "label=", "label=" + "x" * 201, "&".join(["label=x"] * 21)),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(shared_site: Site, query: str) -> None:
    answer = shared_site.client.get(f"/images?{query}")

    assert answer.status_code == 400
    assert answer.json()["message"]


def test_pages_follow_each_other_to_the_end(site: Site) -> None:
    keys = [site.recognized(f"picture {number}".encode()) for number in range(7)]
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = site.client.get("/images", params={"limit": 3, **({"cursor": cursor} if cursor else {})}).json()
        found += [image["key"] for image in page["images"]]
        cursor = page["nextCursor"]
        if cursor is None:
            break

    assert found == keys[::-1]


def test_deleted_means_gone(site: Site) -> None:
    key = site.recognized()

    assert site.client.delete(f"/images/{key}").status_code == 204
    assert site.client.delete(f"/images/{key}").status_code == 404
    for path in (f"/images/{key}", f"/images/{key}/content", f"/images/{key}/thumbnail"):
        assert site.client.get(path).status_code == 404
    assert site.client.get("/images").json()["images"] == []
    assert key not in site.client.get("/export").text
    assert detect(site, key=key).status_code == 404


# content and thumbnail


def test_an_original_is_an_attachment_that_can_do_nothing(site: Site) -> None:
    content = b"<script>alert(1)</script>"
    key = site.upload(content, fileName="d\u00e9j\u00e0 \u201cvu\u201d.jpg")
    answer = site.client.get(f"/images/{key}/content")

    assert answer.content == content
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["content-disposition"] == (
        "attachment; filename=\"d_j_ _vu_.jpg\"; filename*=UTF-8''d%C3%A9j%C3%A0%20%E2%80%9Cvu%E2%80%9D.jpg"
    )
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("part", ["content", "thumbnail"])
def test_what_a_browser_has_kept_is_not_sent_again(site: Site, part: str) -> None:
    key = site.recognized()
    tag = site.client.get(f"/images/{key}/{part}").headers["etag"]
    again = site.client.get(f"/images/{key}/{part}", headers={"If-None-Match": tag})

    assert (again.status_code, again.content) == (304, b"")
    site.client.delete(f"/images/{key}")
    assert site.client.get(f"/images/{key}/{part}", headers={"If-None-Match": tag}).status_code == 404


def test_a_thumbnail_is_a_jpeg_for_this_browser_only(site: Site) -> None:
    answer = site.client.get(f"/images/{site.recognized()}/thumbnail")

    assert answer.content == THUMBNAIL
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["cache-control"].startswith("private")


@pytest.mark.parametrize(("error", "code"), [(UnreadableImage(), 422), (RecognizerUnavailable(), 503)])
def test_a_thumbnail_that_cannot_be_made_says_why(site: Site, error: Exception, code: int) -> None:
    def thumbnail(_key: str) -> bytes:
        raise error

    app = create_app(replace(site.platform, thumbnail=thumbnail), site.settings, site.feed)
    client = httpx.Client(transport=InProcess(app), base_url=ADDRESS)

    assert client.get(f"/images/{site.recognized()}/thumbnail").status_code == code


def test_thumbnails_that_wait_for_a_recognizer_delay_no_other_request(site: Site) -> None:
    """There are 40 threads for all requests: a page full of thumbnails must not take them."""
    recognizer = threading.Event()
    key = site.recognized()

    def thumbnail(_key: str) -> bytes:
        recognizer.wait(30)
        return THUMBNAIL

    app = create_app(replace(site.platform, thumbnail=thumbnail), site.settings, site.feed)

    async def answers() -> tuple[int, list[int]]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ADDRESS) as client:
            waiting = [asyncio.create_task(client.get(f"/images/{key}/thumbnail")) for _ in range(50)]
            try:
                async with asyncio.timeout(5):
                    await asyncio.sleep(0.1)
                    other = await client.get("/images")
            finally:
                recognizer.set()
            return other.status_code, [answer.status_code for answer in await asyncio.gather(*waiting)]

    assert asyncio.run(answers()) == (200, [200] * 50)


@pytest.mark.parametrize("key", ["x", "0" * 26, "..%2f..%2flumitag.db", "%00"])
@pytest.mark.parametrize("part", ["", "/content", "/thumbnail"])
def test_no_key_leads_anywhere_else(shared_site: Site, key: str, part: str) -> None:
    assert shared_site.client.get(f"/images/{key}{part}").status_code == 404


# labels and export


def test_labels_are_suggested_by_their_beginning(site: Site) -> None:
    site.recognized()
    site.recognizer.labels = (DOG,)
    site.recognized()

    assert site.client.get("/labels").json() == {"labels": [{"name": "Dog", "count": 2}, {"name": "Cat", "count": 1}]}
    assert site.client.get("/labels?prefix=ca").json() == {"labels": [{"name": "Cat", "count": 1}]}
    assert site.client.get("/labels?limit=1").json() == {"labels": [{"name": "Dog", "count": 2}]}


def test_an_export_has_one_line_an_image(site: Site) -> None:
    keys = [site.recognized(f"picture {number}".encode()) for number in range(3)]
    answer = site.client.get("/export?label=Dog")
    lines = [json.loads(line) for line in answer.text.splitlines()]

    assert answer.headers["content-type"] == "application/x-ndjson"
    assert [line["key"] for line in lines] == keys[::-1]
    assert lines[0] == site.client.get("/images").json()["images"][0]


def test_an_empty_export_is_empty(site: Site) -> None:
    assert site.client.get("/export").text == ""
    assert len(site.client.get("/export?format=csv").text.splitlines()) == 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(name=st.one_of(st.text(max_size=30), st.from_regex(r"\A[=+\-@\t\r]{1,2}[a-z()!]{0,9}\Z")))
def test_no_cell_of_an_export_is_a_formula(site: Site, name: str) -> None:
    """What a spreadsheet would run gets an apostrophe in front; everything else comes back as it was."""
    key = site.upload(b"x", fileName=name)
    stored = site.client.get(f"/images/{key}").json()["fileName"]
    text = site.client.get("/export?format=csv").text
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    cell = next(row["fileName"] for row in rows if row["key"] == key)

    assert cell[0] not in "=+-@\t\r\n"
    assert cell in {stored, f"'{stored}"}
    site.client.delete(f"/images/{key}")


def test_an_export_of_many_streams(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece is sent before the next page is read: memory holds a page, whatever the store holds."""
    record = site.platform.pipeline.show_image(site.recognized())
    read = 0

    def search_all(_self: object, _query: object) -> object:
        nonlocal read
        for _ in range(20_000):
            read += 1
            yield record

    monkeypatch.setattr("lumitag.pipeline.Pipeline.search_all", search_all)
    read_at_first_piece = 0

    async def export() -> int:
        nonlocal read_at_first_piece
        size = 0

        async def send(message: Any) -> None:
            nonlocal size, read_at_first_piece
            size += len(message.get("body", b""))
            read_at_first_piece = read_at_first_piece or read * bool(message.get("body"))

        async def receive() -> Json:
            await asyncio.sleep(60)
            return {"type": "http.disconnect"}

        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/export",
            "raw_path": b"/export",
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"127.0.0.1:8000")],
            "server": ("127.0.0.1", 8000),
        }
        await site.app(scope, receive, send)
        return size

    assert asyncio.run(export()) > 10_000_000
    assert read_at_first_piece < 2_000


def test_an_error_at_the_first_page_is_still_an_answer(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    key = site.upload()

    def search_all(_self: object, _query: object) -> Iterator[ImageRecord]:
        if key:
            raise UnreadableImage
        yield site.platform.pipeline.show_image(key)

    monkeypatch.setattr("lumitag.pipeline.Pipeline.search_all", search_all)

    assert site.client.get("/export").status_code == 422


def test_a_recognition_with_every_field_survives_the_way_out(site: Site, tmp_path: Path) -> None:
    key = site.upload()
    site.recognizer.answers[key] = Recognition((DOG,), 640, 480, "rekognition", "m-1")
    site.recognize()
    shown = site.client.get(f"/images/{key}").json()

    assert (shown["width"], shown["height"], shown["recognizer"], shown["modelVersion"]) == (
        640,
        480,
        "rekognition",
        "m-1",
    )
    assert shown["labels"] == [DOG.to_json()]
