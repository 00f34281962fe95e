"""One JSON object a line, and one table of metrics.

A log line is for machines: time, level, event and what belongs to it. It never holds image bytes, file names,
addresses or signatures. The request id of an upload follows the image to its notification.
The table `METRICS` is the only place that names a metric; each platform renders it in its own way.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from lumitag import __version__
from lumitag.domain import now, time_to_json

request_id: ContextVar[str] = ContextVar("request_id", default="")

_LOGGER: Final = logging.getLogger("lumitag")
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True)
class Metric:
    """One row of the table: a name with its unit, what it means, and the names of its dimensions."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()


METRICS: Final = (
    Metric("http_requests_total", "counter", "Requests answered.", ("route", "method", "code")),
    Metric("http_request_seconds", "histogram", "Time to answer a request.", ("route",)),
    Metric("uploads_total", "counter", "Uploads by how they ended.", ("outcome",)),
    Metric("upload_bytes_total", "counter", "Bytes of acknowledged uploads."),
    Metric("upload_urls_issued_total", "counter", "Upload grants given out."),
    Metric("recognize_total", "counter", "Deliveries of an image to the recognizer by how they ended.", ("outcome",)),
    Metric("recognize_seconds", "histogram", "Time to recognize one image and store its labels."),
    Metric("end_to_end_seconds", "histogram", "Time from the acknowledged upload to the stored labels."),
    Metric("recognizer_restarts_total", "counter", "Recognizer processes that had to be replaced.", ("cause",)),
    Metric("notifications_total", "counter", "Attempts to notify by how they ended.", ("channel", "outcome")),
    Metric("queue_depth", "gauge", "Images that wait or are being recognized."),
    Metric("queue_oldest_age_seconds", "gauge", "Age of the oldest waiting image."),
    Metric("outbox_depth", "gauge", "Notifications that wait."),
    Metric("dead_letters", "gauge", "Messages that failed for good and wait to be redriven."),
    Metric("images", "gauge", "Stored images by status.", ("status",)),
    Metric("store_free_bytes", "gauge", "Free room on the disk that holds the data folder."),
    Metric("database_bytes", "gauge", "Size of the database file."),
    Metric("workers_ready", "gauge", "Recognizer processes that are ready."),
    Metric("reconciler_repairs_total", "counter", "What the housekeeper found and repaired.", ("kind",)),
)


class Metrics:
    """The figures of one process, rendered for Prometheus. Safe to use from any thread."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._collectors = {metric.name: self._collector(metric) for metric in METRICS}
        self._refreshers: list[Callable[[], None]] = []
        build = Gauge("build_info", "The version that runs.", ("version",), "lumitag", registry=self._registry)
        build.labels(__version__).set(1)

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a counter."""
        self._at(name, labels).inc(amount)

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """Add one duration in seconds to a histogram."""
        self._at(name, labels).observe(seconds)

    def set(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        self._at(name, labels).set(value)

    def before_render(self, refresh: Callable[[], None]) -> None:
        """Call `refresh` whenever the figures are asked for, so that it can set gauges."""
        self._refreshers.append(refresh)

    def render(self) -> bytes:
        """Return all figures in the Prometheus text format."""
        for refresh in self._refreshers:
            refresh()
        return generate_latest(self._registry)

    def _at(self, name: str, labels: dict[str, str]) -> Any:  # noqa: ANN401 - prometheus_client's three kinds share no type
        collector = self._collectors[name]
        return collector.labels(**labels) if labels else collector

    def _collector(self, metric: Metric) -> Counter | Gauge | Histogram:
        if metric.kind == "histogram":
            return Histogram(
                metric.name, metric.help, metric.labels, namespace="lumitag", registry=self._registry, buckets=_SECONDS
            )
        kind = Counter if metric.kind == "counter" else Gauge
        return kind(metric.name, metric.help, metric.labels, namespace="lumitag", registry=self._registry)


def configure_logging(level: str) -> None:
    """Write log lines to standard output, those of other libraries included, from `level` on."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_JSONFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for noisy in ("uvicorn.access", "httpx", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def log(event: str, level: Literal["debug", "info", "warning", "error"] = "info", **fields: object) -> None:
    """Write one line: `event` in a few fixed words with underscores, and its fields."""
    number = logging.getLevelNamesMapping()[level.upper()]
    _LOGGER.log(number, event, extra={"fields": fields})


class _JSONFormatter(logging.Formatter):
    """One JSON object a line; line breaks and control characters in values are escaped by JSON itself."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "ts": time_to_json(now()),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "thread": threading.current_thread().name,
            **getattr(record, "fields", {}),
        }
        if "request_id" not in line and request_id.get():
            line["request_id"] = request_id.get()
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)
