"""Back-pressure: a long queue slows new uploads down, and a very long one does not refuse them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from lumitag.entrypoints.http.pace import LONGEST_WAIT_S, WAITING_PER_WORKER, Pace
from tests.entrypoints.conftest import Site


@dataclass
class Queue:
    """A queue of a given length that remembers how often it was counted, and a clock."""

    depth: int = 0
    counted: int = 0
    seconds: float = 100.0
    seconds_to_count: float = 0.0
    pace: Pace = field(init=False)

    def __post_init__(self) -> None:
        self.pace = Pace(self._count, workers=2, clock=lambda: self.seconds)

    def _count(self) -> int:
        self.counted += 1
        self.seconds += self.seconds_to_count
        return self.depth

    def wait_s(self) -> float:
        return asyncio.run(self.pace.wait_s())


@pytest.mark.parametrize(
    ("depth", "expected_s"),
    [
        (0, 0.0),
        (2 * WAITING_PER_WORKER, 0.0),
        (3 * WAITING_PER_WORKER, LONGEST_WAIT_S / 2),
        (4 * WAITING_PER_WORKER, LONGEST_WAIT_S),
        (1_000_000, LONGEST_WAIT_S),
    ],
)
def test_the_longer_the_queue_the_longer_the_wait(depth: int, expected_s: float) -> None:
    assert Queue(depth).wait_s() == pytest.approx(expected_s)


def test_the_queue_is_counted_once_a_second() -> None:
    queue = Queue()
    for _ in range(100):
        queue.wait_s()
    assert queue.counted == 1

    queue.seconds += 1
    queue.wait_s()

    assert queue.counted == 2


def test_a_queue_that_takes_long_to_count_is_counted_seldom() -> None:
    queue = Queue(seconds_to_count=0.2)
    queue.wait_s()

    queue.seconds += 9
    queue.wait_s()
    assert queue.counted == 1

    queue.seconds += 2
    queue.wait_s()
    assert queue.counted == 2


def test_a_grant_waits_for_its_turn(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    async def note(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("lumitag.entrypoints.http.pace.asyncio.sleep", note)
    monkeypatch.setattr(site.app.state.served.pace, "_depth", lambda: 1_000_000)
    body = {"fileName": "cat.jpg", "contentType": "image/jpeg", "size": 3}

    answer = site.client.post("/generate-upload-url", json=body)

    assert answer.status_code == 200
    assert LONGEST_WAIT_S in waited
