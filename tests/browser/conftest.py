"""A real browser on a real server: Chromium from the distribution, `lumitag up` in a folder of its own.

Every page is watched: a request to anybody else, a violation of the content security policy,
an error in a script or a dialog that a picture's name opened fails the test, whatever else it looks at.
Set LUMITAG_SCREENSHOTS to a folder to keep what the page looked like.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Error, Page, Request, expect, sync_playwright

from tests.photographs import save_photographs
from tests.processes import Lumitag

_ARGUMENTS = (
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
_HEAR_VIOLATIONS = """
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (event) => window.violations.push(event.violatedDirective));
"""
_TIMEOUT_MS = 15_000

expect.set_options(timeout=_TIMEOUT_MS)


@dataclass
class Watch:
    """What the watched pages did that no page of Lumitag may do."""

    origin: str
    problems: list[str] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)

    def follow(self, page: Page) -> None:
        """Watch this page from now on."""
        self.pages.append(page)
        page.add_init_script(_HEAR_VIOLATIONS)
        page.on("request", self._hear_request)
        page.on("dialog", self._hear_dialog)
        page.on("pageerror", self._hear_error)
        page.on("console", self._hear_message)

    def assert_nothing(self) -> None:
        """Raise AssertionError if a watched page did something forbidden."""
        for page in self.pages:
            if not page.is_closed():
                self.problems += [f"violated {directive}" for directive in page.evaluate("window.violations ?? []")]
        assert self.problems == []

    def _hear_request(self, request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme not in {"blob", "data"} and f"{url.scheme}://{url.netloc}" != self.origin:
            self.problems.append(f"asked {request.url}")

    def _hear_dialog(self, dialog: Dialog) -> None:
        if dialog.type != "beforeunload":  # The page asks before it is left in the middle of an upload.
            self.problems.append(f"opened a dialog: {dialog.message}")
        dialog.dismiss()

    def _hear_error(self, error: Error) -> None:
        self.problems.append(f"failed: {error.message}")

    def _hear_message(self, message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            self.problems.append(message.text)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium, started once. Without it the tests are skipped, but never where CI is set."""
    path = shutil.which("chromium")
    if path is None:
        message = "Chromium is not installed: THE PAGE IS NOT TESTED. Install the package 'chromium'."
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    arguments = [*_ARGUMENTS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lumitag]:
    """One server for all tests."""
    with Lumitag(tmp_path_factory.mktemp("server") / "data", workers=2) as server:
        yield server


@pytest.fixture
def server(running: Lumitag) -> Lumitag:
    """The server, with nothing in it."""
    while images := running.call("GET", "/images?limit=1000")["images"]:
        for image in images:
            running.send("DELETE", f"/images/{image['key']}")
    for subscription in running.call("GET", "/subscriptions")["subscriptions"]:
        running.send("DELETE", f"/subscriptions/{subscription['id']}")
    return running


@pytest.fixture(scope="package")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Real photographs as JPEG files, by name."""
    return {path.stem: path for path in save_photographs(tmp_path_factory.mktemp("photographs"))}


@pytest.fixture
def watch(server: Lumitag) -> Watch:
    return Watch(server.base_url)


@pytest.fixture
def open_page(browser: Browser, server: Lumitag, watch: Watch) -> Iterator[Callable[..., Page]]:
    """Opens the page as a new reader would, with the options of a browser context; watches it to the end."""
    contexts = []

    def open_new(path: str = "/", *, prepare: Callable[[Page], Any] | None = None, **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 860}, **options})
        contexts.append(context)
        context.set_default_timeout(_TIMEOUT_MS)
        page = context.new_page()
        watch.follow(page)
        if prepare is not None:
            prepare(page)
        page.goto(watch.origin + path)
        return page

    yield open_new
    try:
        watch.assert_nothing()
    finally:
        for context in contexts:
            context.close()


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    """The page, just opened, on a server with nothing in it."""
    return open_page()


@pytest.fixture(scope="package")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder for pictures of the page."""
    named = os.environ.get("LUMITAG_SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def eventually(condition: Callable[[], bool], timeout_s: float = 20) -> None:
    """Wait until `condition` holds. Raises AssertionError if it never does."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)
