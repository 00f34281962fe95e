"""kill -9 of the whole process tree under load: what was acknowledged is there, once, labelled, and told."""

from __future__ import annotations

import http.client
import http.server
import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from PIL import Image

from tests.photographs import jpeg_of, photograph
from tests.processes import Lumitag, wait_until

KILLS = int(os.environ.get("LUMITAG_TEST_KILLS", "6"))
CLIENTS = 3
SECONDS_BETWEEN_UPLOADS = 0.1  # a load that two busy cores keep up with, so that the queue is short at every kill
SECONDS_BETWEEN_KILLS = (0.1, 1.5)


@dataclass
class Load:
    """Clients that upload until they are stopped, and remember what was acknowledged."""

    server: Lumitag
    acknowledged: list[str] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)
    last_problem: str = "none"

    @contextmanager
    def running(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._upload, args=(number,), daemon=True) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stopping.set()
            for thread in threads:
                thread.join()

    def _upload(self, client: int) -> None:
        pictures = distinct_pictures(client)
        while not self.stopping.is_set():
            try:
                self.acknowledged.append(self.server.upload("cat.jpg", next(pictures)))
            except (OSError, http.client.HTTPException, json.JSONDecodeError, AssertionError, KeyError) as problem:
                self.last_problem = repr(problem)  # The server is dead or dying: nothing was acknowledged.
            time.sleep(SECONDS_BETWEEN_UPLOADS)


def distinct_pictures(seed: int) -> Iterator[bytes]:
    """Yield ever new bytes of the same cat: every picture is stored and recognized by itself."""
    cat = photograph("cat").resize((320, 240))
    shades = random.Random(seed)
    while True:
        cat.paste(Image.new("RGB", (8, 8), tuple(shades.randbytes(3))), (0, 0))
        yield jpeg_of(cat, 80)


class Receiver:
    """A webhook receiver on loopback that counts what it was told."""

    def __init__(self) -> None:
        told: Counter[str] = Counter()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                told[f"{body['data']['key']} {self.headers['webhook-id']}"] += 1
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.told = told
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/told"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def keys(self) -> Counter[str]:
        """Return how many distinct ids were told about each image."""
        return Counter(entry.split()[0] for entry in self.told)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


def kill_under_load(server: Lumitag, kills: int, seed: int = 1) -> list[str]:
    """Return the keys that were acknowledged while the tree was killed `kills` times and restarted."""
    load = Load(server)
    chance = random.Random(seed)
    with load.running():
        for _ in range(kills):
            before = len(load.acknowledged)
            wait_until(
                lambda b=before: len(load.acknowledged) > b,  # type: ignore[misc]
                60,
                lambda: f"nothing is acknowledged any more: {load.last_problem}",
            )
            time.sleep(chance.uniform(*SECONDS_BETWEEN_KILLS))
            server.kill()
            server.start()
    return load.acknowledged


def lost(server: Lumitag, keys: list[str], timeout_s: float) -> list[str]:
    """Return the acknowledged keys that are not recognized when the time is over."""
    waiting = set(keys)
    deadline = time.monotonic() + timeout_s
    while waiting and time.monotonic() < deadline:
        waiting = {key for key in waiting if server.record(key).get("status") != "recognized"}
        time.sleep(0.1)
    return sorted(waiting)


def all_keys(server: Lumitag) -> list[str]:
    keys: list[str] = []
    cursor = ""
    while True:
        page = server.call("GET", f"/images?limit=500{cursor}")
        keys += [image["key"] for image in page["images"]]
        if page["nextCursor"] is None:
            return keys
        cursor = f"&cursor={page['nextCursor']}"


def test_nothing_acknowledged_is_lost_or_doubled(tmp_path: Path, receiver: Receiver) -> None:
    with Lumitag(tmp_path / "data") as server:
        server.call("POST", "/subscriptions", {"channel": "webhook", "address": receiver.url})

        keys = kill_under_load(server, KILLS)

        assert len(keys) > KILLS
        assert lost(server, keys, 60) == []
        stored = all_keys(server)
        assert set(keys) <= set(stored)
        assert len(stored) == len(set(stored))
        assert server.call("GET", "/dead-letters")["deadLetters"] == []
        wait_until(lambda: set(keys) <= set(receiver.keys()), 60, lambda: "some subscribers were not told")
        assert set(receiver.keys().values()) == {1}, "a repetition came under another id"


@pytest.mark.parametrize("mutant", ["acknowledges_before_storing", "deletes_on_receive"])
def test_the_kill_test_catches_a_server_that_loses_images(tmp_path: Path, mutant: str) -> None:
    with Lumitag(tmp_path / "data", module=("tests.reliability.mutants", mutant)) as server:
        keys = kill_under_load(server, 3)

        assert lost(server, keys, 10) != []


def test_a_recognizer_that_is_killed_is_replaced_and_nothing_is_lost(tmp_path: Path) -> None:
    with Lumitag(tmp_path / "data") as server:
        load = Load(server)
        with load.running():
            for _ in range(KILLS):
                for pid in server.recognizer_pids():
                    os.kill(pid, 9)
                time.sleep(0.7)

        assert lost(server, load.acknowledged, 60) == []


def test_a_second_server_on_the_same_data_folder_is_refused(tmp_path: Path) -> None:
    with Lumitag(tmp_path / "data") as first:
        second = Lumitag(tmp_path / "data")

        with pytest.raises(AssertionError, match="Another Lumitag server is using"):
            second.start()

        assert first.is_ready()


def test_a_polite_stop_ends_everything_within_the_deadline(tmp_path: Path) -> None:
    with Lumitag(tmp_path / "data") as server:
        load = Load(server)
        with load.running():
            time.sleep(1)
            pids = server.recognizer_pids()
            status = server.stop()
            load.stopping.set()

        assert status == 0
        assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []
        server.start()
        assert lost(server, load.acknowledged, 60) == []
