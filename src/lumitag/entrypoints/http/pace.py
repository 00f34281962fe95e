"""Back-pressure: when more images wait than can be recognized soon, new uploads are let in more slowly, never refused.

Uploading takes less than recognizing, so clients that never rest would make the queue, and with it the time
until an image has labels, as long as they like. A client that waits a moment for its next grant keeps it short.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from fastapi.concurrency import run_in_threadpool

WAITING_PER_WORKER: Final = 200  # half a minute of work, or less
LONGEST_WAIT_S: Final = 2.0

_LOOK_AGAIN_S: Final = 1.0
_SHARE_OF_LOOKING: Final = 0.02  # counting a very long queue takes a while: do not do that all the time


class Pace:
    """Says how long a new upload waits.

    Args:
        depth: how many images wait or are being recognized.
        workers: how many recognizers there are.
        clock: seconds that only grow.
    """

    def __init__(self, depth: Callable[[], int], workers: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._depth = depth
        self._allowed = workers * WAITING_PER_WORKER
        self._clock = clock
        self._wait_s = 0.0
        self._look_again_at = 0.0

    async def keep(self) -> None:
        """Return at once, or after up to two seconds when the queue is long. No thread waits."""
        await asyncio.sleep(await self.wait_s())

    async def wait_s(self) -> float:
        """Return for how many seconds a new upload waits now: none up to the allowed length, the most at twice that."""
        started = self._clock()
        if started >= self._look_again_at:
            self._look_again_at = started + _LOOK_AGAIN_S  # at once, so that others do not look as well
            excess = await run_in_threadpool(self._depth) / self._allowed - 1
            self._wait_s = LONGEST_WAIT_S * max(0.0, min(1.0, excess))
            took = self._clock() - started
            self._look_again_at = self._clock() + max(_LOOK_AGAIN_S, took / _SHARE_OF_LOOKING)
        return self._wait_s
