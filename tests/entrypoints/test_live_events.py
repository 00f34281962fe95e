"""Changes are told once, in order, to everybody who listens; who comes back hears what was missed."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from lumitag.domain import ImageRecord, ImageStatus, Json, now
from lumitag.entrypoints.http.live_events import ChangeFeed
from lumitag.errors import TooManyListeners
from lumitag.events import ImageDeleted
from tests.entrypoints.conftest import CAT, Site
from tests.fakes import DOG

RECORD = ImageRecord("0" * 26, "dog.jpg", "image/jpeg", 5, now(), status=ImageStatus.RECOGNIZED, labels=(DOG, CAT))


def record(number: int) -> ImageRecord:
    return replace(RECORD, key=f"{number:026}")


def publish_many(feed: ChangeFeed, records: list[ImageRecord]) -> None:
    for one in records:
        feed.publish(one)


def parsed(text: str) -> list[tuple[str, str, Any]]:
    """Return id, name and data of every event in a piece of the stream."""
    blocks = [dict(line.split(": ", 1) for line in block.splitlines()) for block in text.split("\n\n") if block]
    return [(b["id"], b["event"], json.loads(b["data"])) for b in blocks if "event" in b]


async def heard(feed: ChangeFeed, count: int, last_event_id: str | None = None) -> list[tuple[str, str, Any]]:
    """Listen until `count` events were heard."""
    found: list[tuple[str, str, Any]] = []
    with feed.listen(last_event_id) as stream:
        async for text in stream:
            found += parsed(text)
            if len(found) >= count:
                break
    return found


async def meanwhile(feed: ChangeFeed, count: int, publish: Callable[[], None]) -> list[tuple[str, str, Any]]:
    """Listen to `count` events while another thread publishes."""
    listening = asyncio.create_task(heard(feed, count))
    await asyncio.sleep(0.05)
    await asyncio.to_thread(publish)
    return await asyncio.wait_for(listening, 5)


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(coroutine)


def test_a_change_is_told_with_its_visible_labels() -> None:
    feed = ChangeFeed(min_confidence=80)
    [(_, name, data)] = run(meanwhile(feed, 1, lambda: feed.publish(RECORD)))

    assert name == "image"
    assert data == RECORD.with_visible_labels(80).to_json()
    assert [label["name"] for label in data["labels"]] == ["Dog"]


def test_a_deletion_is_told_by_its_key() -> None:
    feed = ChangeFeed()
    [(_, name, data)] = run(meanwhile(feed, 1, lambda: feed.publish(ImageDeleted(RECORD.key, "request-id"))))

    assert (name, data) == ("deleted", {"key": RECORD.key})


def test_changes_from_many_threads_are_told_once_and_in_order() -> None:
    feed = ChangeFeed()

    def publish() -> None:
        threads = [threading.Thread(target=partial(publish_many, feed, [RECORD] * 50)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    numbers = [int(event[0].partition("-")[2]) for event in run(meanwhile(feed, 400, publish))]

    assert numbers == list(range(1, 401))


def test_who_comes_back_hears_what_was_missed() -> None:
    feed = ChangeFeed()

    async def twice() -> tuple[Any, Any]:
        first = await meanwhile(feed, 2, partial(publish_many, feed, [record(0), record(1)]))
        for number in range(2, 5):
            feed.publish(record(number))
        return first, await asyncio.wait_for(heard(feed, 3, first[-1][0]), 5)

    first, second = run(twice())

    assert [data["key"] for _, _, data in first + second] == [record(n).key for n in range(5)]


def test_who_was_away_too_long_is_told_to_start_anew() -> None:
    feed = ChangeFeed(kept=10)
    first = run(meanwhile(feed, 1, lambda: feed.publish(record(0))))
    for number in range(1, 12):
        feed.publish(record(number))
    [(position, name, _)] = run(heard(feed, 1, first[0][0]))

    assert name == "reset"
    assert run(heard_nothing(feed, position))


@pytest.mark.parametrize("last", ["x", "-", "deadbeef-3", "\u0663", "-1", "0-1", "9" * 90])
def test_a_position_of_another_process_is_told_to_start_anew(last: str) -> None:
    feed = ChangeFeed()
    feed.publish(RECORD)

    assert [name for _, name, _ in run(asyncio.wait_for(heard(feed, 1, last), 5))] == ["reset"]


async def heard_nothing(feed: ChangeFeed, last_event_id: str) -> bool:
    try:
        await asyncio.wait_for(heard(feed, 1, last_event_id), 0.1)
    except TimeoutError:
        return True
    return False


def test_a_thousand_changes_are_kept_and_no_more() -> None:
    feed = ChangeFeed()
    first = run(meanwhile(feed, 1, lambda: feed.publish(record(0))))
    for number in range(1, 1001):
        feed.publish(record(number))

    assert len(run(heard(feed, 1000, first[0][0]))) == 1000


def test_deleted_means_gone_from_what_is_replayed() -> None:
    feed = ChangeFeed()
    first = run(meanwhile(feed, 1, lambda: feed.publish(record(0))))
    feed.publish(record(1))
    feed.publish(record(2))
    feed.publish(ImageDeleted(record(1).key))
    replayed = run(heard(feed, 2, first[0][0]))

    assert [(name, data["key"]) for _, name, data in replayed] == [
        ("image", record(2).key),
        ("deleted", record(1).key),
    ]


def test_silence_is_broken_by_a_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lumitag.entrypoints.http.live_events.HEARTBEAT_S", 0.02)

    async def pieces() -> list[str]:
        with ChangeFeed().listen() as stream:
            return [await anext(stream) for _ in range(3)]

    opening, *heartbeats = run(pieces())

    assert opening.startswith("retry: ")
    assert "id: " in opening
    assert all(heartbeat.startswith(":") and heartbeat.endswith("\n\n") for heartbeat in heartbeats)


def test_no_more_than_a_hundred_may_listen() -> None:
    feed = ChangeFeed()

    async def fill() -> None:
        streams = [feed.listen() for _ in range(100)]
        for stream in streams:
            stream.__enter__()
        with pytest.raises(TooManyListeners), feed.listen():
            pass
        streams[0].__exit__(None, None, None)
        with feed.listen():
            pass

    run(fill())


def test_closing_ends_every_stream_and_every_wait() -> None:
    feed = ChangeFeed()

    async def listen() -> int:
        with feed.listen() as stream:
            return len([piece async for piece in stream])

    async def wait() -> bool:
        with feed.watch("x") as waker:
            return await waker.wait(30)

    async def both() -> list[Any]:
        tasks = [asyncio.create_task(listen()), asyncio.create_task(wait())]
        await asyncio.sleep(0.05)
        await asyncio.to_thread(feed.close)
        return await asyncio.wait_for(asyncio.gather(*tasks), 5)

    assert run(both()) == [1, True]


def test_publishing_after_everybody_left_is_harmless() -> None:
    feed = ChangeFeed()
    run(meanwhile(feed, 1, lambda: feed.publish(RECORD)))
    feed.publish(RECORD)

    assert not feed._listeners
    assert not feed._watchers


def test_line_ends_inside_a_name_stay_inside_the_data() -> None:
    feed = ChangeFeed()
    strange = replace(RECORD, file_name="a\nb\r\ndata: x\u2028\u0085c")
    [(_, _, data)] = run(meanwhile(feed, 1, lambda: feed.publish(strange)))

    assert data["fileName"] == strange.file_name


# over HTTP


async def stream_of(site: Site, headers: list[tuple[bytes, bytes]]) -> AsyncGenerator[Json]:
    """Yield the messages of `GET /events`; ending the iteration is the client's leaving."""
    messages: asyncio.Queue[Json] = asyncio.Queue()
    left = asyncio.Event()

    async def receive() -> Json:
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        await messages.put(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/events",
        "raw_path": b"/events",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1:8000"), *headers],
        "server": ("127.0.0.1", 8000),
    }
    answering = asyncio.create_task(site.app(scope, receive, send))
    try:
        while True:
            yield await asyncio.wait_for(messages.get(), 5)
    finally:
        left.set()
        await asyncio.wait_for(answering, 5)


def test_the_page_hears_of_an_image_and_can_come_back(site: Site) -> None:
    async def listen() -> list[Json]:
        found: list[Json] = []
        stream = stream_of(site, [])
        assert dict((await anext(stream))["headers"])[b"content-type"].startswith(b"text/event-stream")
        await anext(stream)
        key = await asyncio.to_thread(site.recognized)
        while not any(data["status"] == "recognized" for data in found):
            found += [data for _, _, data in parsed((await anext(stream))["body"].decode())]
        await stream.aclose()
        assert {data["key"] for data in found} == {key}

        last = f"{site.feed._origin}-0".encode()
        again = stream_of(site, [(b"last-event-id", last)])
        await anext(again)
        replayed = parsed((await anext(again))["body"].decode())
        await again.aclose()
        assert [data for _, _, data in replayed] == found
        return found

    found = run(listen())

    assert found[-1]["labels"] == site.client.get("/images").json()["images"][0]["labels"]
    assert not site.feed._listeners


def test_a_listener_too_many_is_told_to_try_later(site: Site) -> None:
    site.feed.max_listeners = 0
    answer = site.client.get("/events")

    assert (answer.status_code, answer.json()["error"]) == (503, "too_many_listeners")
    assert int(answer.headers["retry-after"]) > 0
