"""The real process tree for tests: `lumitag up` in a folder of its own, on a free port of loopback."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")
START_TIMEOUT_S = 60
ROOT = Path(__file__).parents[1]


class Lumitag:
    """A running server. Ends with its `with` block; `kill` and `start` in between model a crash."""

    def __init__(
        self, data: Path, port: int | None = None, module: tuple[str, ...] = ("lumitag",), **settings: object
    ) -> None:
        self.data = data
        self.module = module
        self.port = port or free_port()
        self.environment = {
            "LUMITAG_DATA": str(data),
            "LUMITAG_PORT": str(self.port),
            **{f"LUMITAG_{name.upper()}": str(value) for name, value in settings.items()},
        }
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.log = data.parent / f"{data.name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server and wait until it is ready."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *self.module, "up"],
                env={**os.environ, "PYTHONPATH": str(ROOT), **self.environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self.data.parent,
            )
        try:
            wait_until(self.is_ready, START_TIMEOUT_S, lambda: f"it is not ready:\n{self.log.read_text()[-3000:]}")
        except BaseException:
            self.kill()
            raise

    def is_ready(self) -> bool:
        """Return whether the server says that it can do its work."""
        assert self.process is not None
        assert self.process.poll() is None, f"the server ended:\n{self.log.read_text()[-3000:]}"
        with contextlib.suppress(OSError):
            return bool(self.call("GET", "/readyz")["ready"])
        return False

    def kill(self) -> None:
        """End the whole process tree as a crash would."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=30)

    def stop(self) -> int:
        """Ask the server to stop, and return its exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(timeout=30)
        finally:
            self.kill()

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Return the JSON answer to a JSON request, whatever its status."""
        status, answer = self.send(method, path, None if body is None else json.dumps(body).encode())
        return json.loads(answer) if answer else status

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Return status and bytes of the answer to any request."""
        url = path if path.startswith("http") else self.base_url + path
        headers = headers or ({"Content-Type": "application/json"} if body is not None else {})
        request = urllib.request.Request(url, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def upload(self, name: str, content: bytes, content_type: str = "image/jpeg") -> str:
        """Upload an image and return its key once the server has acknowledged it. Raises AssertionError otherwise."""
        grant = self.call(
            "POST", "/generate-upload-url", {"fileName": name, "contentType": content_type, "size": len(content)}
        )
        status, answer = self.send(grant["method"], grant["uploadUrl"], content, grant["headers"])
        assert status in {200, 201}, answer
        return str(grant["key"])

    def record(self, key: str) -> Any:
        """Return the record of an image."""
        return self.call("GET", f"/images/{key}")

    def wait_for_end(self, key: str, timeout_s: float = 60) -> Any:
        """Return the record of an image once it is no longer pending."""
        return wait_until(lambda: self._ended(key), timeout_s, lambda: f"{key} is still pending")

    def recognizer_pids(self) -> list[int]:
        """Return the process ids of the recognizer processes, as the operating system lists them."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(pid) for listing in children for pid in listing.read_text().split()]

    def _ended(self, key: str) -> Any:
        record = self.record(key)
        return record if record.get("status") != "pending" else None


def wait_until(condition: Callable[[], T], timeout_s: float, explain: Callable[[], str]) -> T:
    """Return the first true value of `condition`, polled until the deadline. Raises AssertionError after it."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(explain())


def free_port() -> int:
    """Return a port of loopback that nobody uses right now."""
    import socket  # noqa: PLC0415

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
