"""Log lines are JSON whatever is in them, and the metrics are the ones of the table."""

import json
import logging
from collections.abc import Iterator

import pytest

from lumitag.telemetry import METRICS, Metrics, configure_logging, log, request_id


@pytest.fixture(autouse=True)
def restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_every_line_is_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info")

    log("image_recognized", key="k1\r\n\x1b[31m", duration_ms=1.5)
    logging.getLogger("somebody.else").warning("two\nlines")

    first, second = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert first["event"] == "image_recognized"
    assert first["key"] == "k1\r\n\x1b[31m"
    assert first["level"] == "info"
    assert second["event"] == "two\nlines"


def test_a_line_carries_the_request_id_of_its_context(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info")
    token = request_id.set("request-1")

    log("one")
    log("two", request_id="request-2")

    request_id.reset(token)
    assert [json.loads(line)["request_id"] for line in capsys.readouterr().out.splitlines()] == [
        "request-1",
        "request-2",
    ]


def test_a_traceback_stays_on_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("error")

    try:
        int("broken")
    except ValueError:
        logging.getLogger("lumitag").exception("failed")

    [line] = capsys.readouterr().out.splitlines()
    assert "ValueError: invalid literal" in json.loads(line)["traceback"]


def test_lines_below_the_level_are_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("warning")

    log("quiet")

    assert capsys.readouterr().out == ""


def test_all_metrics_of_the_table_are_rendered() -> None:
    metrics = Metrics()
    metrics.before_render(lambda: metrics.set("queue_depth", 7))
    metrics.count("uploads_total", outcome="stored")
    metrics.observe("recognize_seconds", 0.02)

    text = metrics.render().decode()

    assert all(f"lumitag_{metric.name.removesuffix('_total')}" in text for metric in METRICS)
    assert 'lumitag_uploads_total{outcome="stored"} 1.0' in text
    assert "lumitag_queue_depth 7.0" in text
    assert "lumitag_recognize_seconds_count 1.0" in text
