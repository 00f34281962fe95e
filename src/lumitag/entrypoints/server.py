"""`lumitag up`: the page, the API, the recognizers and the notifiers in one process tree."""

from __future__ import annotations

import signal
import socket
import sys
from typing import NoReturn, TextIO

import uvicorn

from lumitag.bootstrap import Platform, build_platform
from lumitag.entrypoints.http.live_events import ChangeFeed
from lumitag.entrypoints.http.request_heads import BoundedHeads
from lumitag.entrypoints.http_api import create_app
from lumitag.entrypoints.worker import Worker
from lumitag.errors import InvalidSettings
from lumitag.settings import Settings, require_token_beyond_loopback
from lumitag.telemetry import configure_logging, log

_BACKLOG = 512
_GRACEFUL_SHUTDOWN_S = 5
_START_TIMEOUT_S = 60.0


def serve(settings: Settings) -> None:
    """Serve until the process is asked to stop.

    Raises InvalidSettings, TokenMissing, InvalidModel, InvalidLabelsFile, StoreInUse or StoreDamaged.
    """
    require_token_beyond_loopback(settings)
    signal.signal(signal.SIGTERM, _stop)
    configure_logging(settings.log_level)
    listener = _listen(settings.host, settings.port)
    bound = settings.model_copy(update={"port": listener.getsockname()[1]})
    feed = ChangeFeed(bound.min_confidence_percent)
    platform = build_platform(bound, feed.publish)
    try:
        platform.take_over()
        _check_own_files(platform, settings)
        _run(platform, bound, feed, listener)
    finally:
        platform.close()


def _check_own_files(platform: Platform, settings: Settings) -> None:
    """Raise InvalidModel or InvalidLabelsFile before anything is served: what Lumitag delivers is known to fit."""
    if settings.classifier_model or settings.detector_model or settings.labels_file:
        platform.wait_recognizer(_START_TIMEOUT_S)


def _run(platform: Platform, settings: Settings, feed: ChangeFeed, listener: socket.socket) -> None:
    worker = Worker(platform, settings.workers)
    worker.start()
    try:
        _Server(_uvicorn_config(platform, settings, feed), settings, feed).run(sockets=[listener])
    finally:
        worker.stop()
        log("server_stopped")


def _uvicorn_config(platform: Platform, settings: Settings, feed: ChangeFeed) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(platform, settings, feed),
        http=BoundedHeads,
        log_config=None,
        access_log=False,  # The guard writes one line a request, without query strings and signatures.
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        ws="none",
        backlog=_BACKLOG,
        timeout_graceful_shutdown=_GRACEFUL_SHUTDOWN_S,
    )


class _Server(uvicorn.Server):
    """Uvicorn that says where everything is once it answers, and lets listeners go when it stops."""

    def __init__(self, config: uvicorn.Config, settings: Settings, feed: ChangeFeed) -> None:
        super().__init__(config)
        self._settings = settings
        self._feed = feed

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print_welcome(self._settings, sys.stderr)
        log("server_started", host=self._settings.host, port=self._settings.port)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._feed.close()  # Open event streams would hold the exit for as long as they are allowed to.
        await super().shutdown(sockets)


def print_welcome(settings: Settings, stream: TextIO) -> None:
    """Say where the page, the data and the documentation are."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = settings.public_url or f"http://{host}:{settings.port}"
    stream.write(
        f"\nLumitag is ready.\n"
        f"  Page           {address}\n"
        f"  Data           {settings.data.resolve()}\n"
        f"  Documentation  {address}/docs\n"
        f"Stop it with Ctrl-C.\n\n"
    )
    stream.flush()


def _stop(*_: object) -> NoReturn:
    """End as asked, with status 0: uvicorn raises the signal that it caught once more when it has shut down."""
    raise SystemExit(0)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise InvalidSettings(
            f"Port {port} of {host} cannot be used: {error.strerror}. "
            "Stop the program that uses it, or choose another with --port."
        ) from error
    return listener
