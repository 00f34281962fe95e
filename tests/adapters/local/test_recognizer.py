"""The recognizer pool: one image can cost itself an attempt, and nobody else anything."""

from __future__ import annotations

import errno
import io
import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from lumitag.adapters.local import _recognizer_link, _recognizer_pool
from lumitag.adapters.local._recognizer_pool import RecognizerPool
from lumitag.errors import (
    DamagedImage,
    ImageTooLarge,
    InvalidModel,
    NotAnImage,
    RecognizerCrashed,
    RecognizerTimedOut,
    RecognizerUnavailable,
    WeightsChanged,
)
from tests.photographs import jpeg_of, photograph
from tests.processes import wait_until
from tests.recognition.own_models import colour_classifier, save_model

ROOT = Path(__file__).parents[3]
OPTIONS = {
    "memory_bytes": 1 << 30,
    "max_bytes": 15_000_000,
    "max_pixels": 50_000_000,
    "max_side_px": 10_000,
    "min_side_px": 80,
    "floor_percent": 30.0,
}


@pytest.fixture(scope="module")
def real_pool() -> Iterator[RecognizerPool]:
    pool = RecognizerPool(1, OPTIONS, timeout_s=60)
    yield pool
    pool.close()


@pytest.fixture
def causes() -> list[str]:
    return []


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch, causes: list[str]) -> Iterator[RecognizerPool]:
    monkeypatch.setattr(_recognizer_link, "_MODULE", "tests.adapters.local.hostile_recognizer")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("LUMITAG_TOKEN", "a-secret-of-the-server")
    pool = RecognizerPool(2, OPTIONS, timeout_s=2, on_restart=causes.append)
    yield pool
    pool.close()


def names(pool: RecognizerPool, content: bytes) -> list[str]:
    return [label.name for label in pool.recognize(io.BytesIO(content)).labels]


def test_a_photograph_is_recognized(real_pool: RecognizerPool, tmp_path: Path) -> None:
    path = tmp_path / "cat.jpg"
    path.write_bytes(jpeg_of(photograph("cat")))

    with path.open("rb") as file:
        recognition = real_pool.recognize(file)

    assert "Cat" in [label.name for label in recognition.labels]
    assert recognition.model_version == real_pool.model_version


def test_an_unreadable_image_is_refused_in_words(real_pool: RecognizerPool) -> None:
    with pytest.raises(NotAnImage):
        real_pool.recognize(io.BytesIO(b"not an image"))
    with pytest.raises(DamagedImage):
        real_pool.recognize(io.BytesIO(jpeg_of(photograph("cat"))[:2000]))


def test_more_bytes_than_allowed_are_not_even_read(real_pool: RecognizerPool, tmp_path: Path) -> None:
    path = tmp_path / "huge.jpg"
    with path.open("wb") as file:
        file.truncate(15_000_001)

    with path.open("rb") as file, pytest.raises(ImageTooLarge, match="15,000,001 bytes"):
        real_pool.recognize(file)


def test_a_thumbnail_is_a_small_jpeg(real_pool: RecognizerPool) -> None:
    thumbnail = real_pool.thumbnail(io.BytesIO(jpeg_of(photograph("cat"))), 100)

    assert thumbnail.startswith(b"\xff\xd8\xff")
    assert len(thumbnail) < 20_000


@pytest.mark.parametrize(
    ("misbehaviour", "cause"),
    [("segfault", "crashed"), ("exit", "crashed"), ("hang", "timed_out"), ("memory", "crashed"), ("raise", "crashed")],
)
def test_a_misbehaving_image_costs_itself_one_attempt(
    pool: RecognizerPool, causes: list[str], misbehaviour: str, cause: str
) -> None:
    with pytest.raises(RecognizerTimedOut if cause == "timed_out" else RecognizerCrashed):
        names(pool, b"image!" + misbehaviour.encode())

    assert causes == [cause]
    assert names(pool, b"image!good") == ["Fine"]


def test_neighbours_of_bad_images_all_finish(pool: RecognizerPool) -> None:
    contents = [b"image!good"] * 40
    contents[3] = contents[17] = b"image!segfault"
    contents[9] = b"image!hang"

    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(lambda content: outcome(pool, content), contents))

    assert results.count(["Fine"]) == 37
    assert results.count(["crashed"]) == 2
    assert results.count(["timed out"]) == 1
    wait_until(lambda: pool.ready_count == 2, 30, lambda: f"{pool.ready_count} processes are ready")


def outcome(pool: RecognizerPool, content: bytes) -> list[str]:
    try:
        return names(pool, content)
    except RecognizerCrashed:
        return ["crashed"]
    except RecognizerTimedOut:
        return ["timed out"]


def test_a_process_that_was_killed_while_idle_is_replaced_and_blames_no_image(
    pool: RecognizerPool, causes: list[str]
) -> None:
    names(pool, b"image!good")
    wait_until(lambda: pool.ready_count == 2, 30, lambda: "not all processes started")
    for pid in pool.pids:
        os.kill(pid, signal.SIGKILL)

    assert names(pool, b"image!good") == ["Fine"]
    wait_until(lambda: pool.ready_count == 2, 30, lambda: "not all processes were replaced")
    assert set(causes) == {"died_idle"}


def test_the_process_cannot_write_files_and_sees_no_secret(pool: RecognizerPool) -> None:
    with pytest.raises(RecognizerCrashed):
        names(pool, b"image!disk")

    assert names(pool, b"image!environment") == []


def may_leave_the_network() -> bool:
    """Return whether this kernel lets a process like ours have a network of its own, an empty one."""
    with suppress(OSError):
        return subprocess.run(["unshare", "--map-root-user", "--net", "true"], check=False).returncode == 0
    return False


@pytest.mark.skipif(not may_leave_the_network(), reason="this system lets no process leave the network")
def test_the_process_can_call_nobody(pool: RecognizerPool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(RecognizerCrashed, match="unreachable"):
        names(pool, b"image!call %d" % listener.getsockname()[1])


def test_a_closed_pool_leaves_no_process_behind(pool: RecognizerPool) -> None:
    names(pool, b"image!good")
    pids = pool.pids

    pool.close()

    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []
    with pytest.raises(RecognizerUnavailable):
        names(pool, b"image!good")


def test_a_machine_that_cannot_start_processes_for_a_while_delays_images_and_no_more(
    pool: RecognizerPool, causes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that starts all processes must outlive this: if it ended, nobody would ever be started again."""
    start, failures = subprocess.Popen, [BlockingIOError(errno.EAGAIN, "no more processes")]

    def fail_once(*arguments: Any, **options: Any) -> Any:
        if failures:
            raise failures.pop()
        return start(*arguments, **options)

    monkeypatch.setattr(subprocess, "Popen", fail_once)

    assert names(pool, b"image!good") == ["Fine"]
    assert causes == ["not_started"]


def test_processes_are_watched_however_many_files_are_open(pool: RecognizerPool) -> None:
    """`select` fails on descriptors from 1024 on: with so many connections open every image would fail."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(1024)]
    try:
        assert names(pool, b"image!good") == ["Fine"]
        assert names(pool, b"image!good") == ["Fine"]
    finally:
        for descriptor in opened:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_pool_that_cannot_start_says_why_and_ends_at_once(
    pool: RecognizerPool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_recognizer_link, "_MODULE", "tests.adapters.local.unstartable_recognizer")
    monkeypatch.setattr(_recognizer_pool, "_LOOK_AFTER_S", 60.0)

    pool.start()
    wait_until(lambda: pool.problem, 30, lambda: "nobody says what is wrong")

    assert pool.problem == WeightsChanged().message
    assert [record.getMessage() for record in caplog.records] == ["recognizer_not_started"]
    started = time.monotonic()
    pool.close()
    assert time.monotonic() - started < 5


def test_a_pool_whose_own_model_does_not_fit_says_so_at_once_and_recovers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits hears it from the first start; a model that is corrected is used without a restart."""
    monkeypatch.setattr(_recognizer_pool, "_LOOK_AFTER_S", 0.1)
    classifier = save_model(tmp_path, colour_classifier(), ["Scarlet"])
    with closing(RecognizerPool(1, OPTIONS | {"classifier_model": str(classifier)}, timeout_s=60)) as pool:
        pool.start()
        with pytest.raises(InvalidModel, match="3 classes"):
            pool.wait_ready(60)
        wait_until(lambda: "3 classes" in pool.problem, 10, lambda: pool.problem)
        save_model(tmp_path, colour_classifier())
        wait_until(lambda: pool.ready_count, 60, lambda: pool.problem)
        assert pool.wait_ready(0)
        assert pool.problem == ""


def test_a_pool_that_is_closed_while_it_starts_does_not_wait_for_its_processes(
    pool: RecognizerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_recognizer_link, "_MODULE", "tests.adapters.local.slow_recognizer")
    pool.start()
    wait_until(lambda: pool._starting, 30, lambda: "nothing starts")

    started = time.monotonic()
    pool.close()

    assert time.monotonic() - started < 5


def test_an_image_in_hand_when_the_pool_is_closed_is_not_blamed(pool: RecognizerPool) -> None:
    names(pool, b"image!good")
    with ThreadPoolExecutor(1) as threads:
        hanging = threads.submit(names, pool, b"image!hang")
        wait_until(lambda: pool._busy, 30, lambda: "nothing is in hand")
        pool.close()

        with pytest.raises(RecognizerUnavailable):
            hanging.result()


def test_a_thumbnail_does_not_wait_for_ever(pool: RecognizerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for it holds a thread of the server: without an end, some pages would bring it to a standstill."""
    monkeypatch.setattr(_recognizer_link, "_MODULE", "tests.adapters.local.unstartable_recognizer")
    monkeypatch.setattr(_recognizer_pool, "_THUMBNAIL_WAIT_S", 3.0)

    with pytest.raises(RecognizerUnavailable, match="Install Lumitag again"):
        pool.thumbnail(io.BytesIO(b"image!good"))
