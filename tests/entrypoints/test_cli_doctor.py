"""`lumitag doctor`: each thing that can be wrong is named, with what to do, and hides nothing else."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from lumitag.adapters.local import recognizer
from lumitag.domain import Recognition
from tests.entrypoints.test_cli import FakePool, isolate, run


class SquarePool(FakePool):
    def recognize(self, file: Any) -> Recognition:
        return Recognition((), 320, 320, "embedded", "fake-1")


@pytest.fixture(autouse=True)
def isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    isolate(monkeypatch, tmp_path)
    monkeypatch.setenv("LUMITAG_PORT", "0")


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> FakePool:
    pool = SquarePool()
    monkeypatch.setattr(recognizer, "build_recognizer_pool", lambda _settings: pool)
    return pool


def findings() -> dict[str, str]:
    """Run the doctor and return what is wrong, by check."""
    result = run("doctor", "--json")
    values = json.loads(result.out)
    problems = {value["check"]: value["message"] for value in values if not value["ok"]}
    assert result.code == int(bool(problems))
    return problems


@contextmanager
def listening() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_sound_installation_really_recognizes_a_picture() -> None:
    result = run("doctor")

    assert (result.code, result.err) == (0, ""), result.out
    assert "recognition: works, model embedded-" in result.out
    assert all(line.startswith("ok ") for line in result.out.splitlines())
    assert not Path("data").exists()


def test_changed_settings_are_shown_with_their_source(pool: FakePool, tmp_path: Path) -> None:
    (tmp_path / "lumitag.toml").write_text("max_labels = 7\n")

    out = run("doctor").out

    assert "LUMITAG_PORT from environment" in out
    assert "LUMITAG_MAX_LABELS from lumitag.toml" in out


def test_an_old_python_is_named(pool: FakePool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))

    assert "3.11" in findings()["Python"]


@pytest.mark.parametrize(
    ("installed", "expected"), [("12.9.1", "pillow 12.9.1 is older than 13.0.0"), (None, "pillow is not installed")]
)
def test_an_old_or_missing_package_is_named(
    installed: str | None, expected: str, pool: FakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(_name: str) -> str:
        if installed is None:
            raise metadata.PackageNotFoundError
        return installed

    monkeypatch.setattr(metadata, "requires", lambda _name: ["pillow>=13.0.0", 'boto3>=1.43; extra == "aws"'])
    monkeypatch.setattr(metadata, "version", version)

    assert expected in findings()["packages"]


def test_a_package_that_is_just_new_enough_is_well(pool: FakePool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "requires", lambda _name: ["pillow>=13.0.0", "rich>=14"])
    monkeypatch.setattr(metadata, "version", lambda _name: "14")

    assert findings() == {}


def test_a_changed_model_file_is_named(pool: FakePool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "sha256.json").write_text('{"a.onnx": "00"}')
    (tmp_path / "weights" / "a.onnx").write_bytes(b"changed")
    monkeypatch.setattr("lumitag.entrypoints.commands.doctor.resources.files", lambda _package: tmp_path)

    assert findings() == {"model files": "a.onnx is not the file that was released. Install Lumitag again."}


def test_a_recognizer_that_does_not_start_is_named(pool: FakePool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "wait_ready", lambda _timeout_s: False)

    assert "recognition" in findings()


def test_a_recognizer_that_misreads_is_named(pool: FakePool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "recognize", lambda _file: Recognition((), 1, 1, "embedded", "fake-1"))

    assert "misreads" in findings()["recognition"]


def test_invalid_settings_end_only_the_checks_that_need_them(pool: FakePool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUMITAG_MAX_LABELS", "lots")

    assert list(findings()) == ["settings"]


def test_an_open_door_without_a_token_is_named(pool: FakePool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUMITAG_HOST", "0.0.0.0")

    assert "LUMITAG_TOKEN" in findings()["settings"]


def test_a_data_folder_that_takes_no_writes_is_named(pool: FakePool, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(*_arguments: object, **_options: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("lumitag.entrypoints.commands.doctor.tempfile.NamedTemporaryFile", read_only)

    assert "Read-only file system" in findings()["data folder"]


def test_a_disk_that_cannot_be_flushed_is_named(pool: FakePool, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("lumitag.entrypoints.commands.doctor.os.fsync", broken)

    assert "Input/output error" in findings()["data folder"]


def test_a_full_disk_is_named(pool: FakePool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUMITAG_MIN_FREE_BYTES", str(1 << 60))

    assert "are free" in findings()["room"]


def test_a_port_in_use_is_named(pool: FakePool, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening() as port:
        monkeypatch.setenv("LUMITAG_PORT", str(port))

        assert "LUMITAG_PORT" in findings()["port"]


def test_the_mail_server_has_to_answer(pool: FakePool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUMITAG_SMTP_HOST", "127.0.0.1")
    with listening() as port:
        monkeypatch.setenv("LUMITAG_SMTP_PORT", str(port))
        assert findings() == {}

    assert "does not answer" in findings()["mail server"]


def test_each_check_is_told_apart(pool: FakePool) -> None:
    names = [finding["check"] for finding in json.loads(run("doctor", "--json").out)]

    assert names == [
        *("Python", "packages", "model files", "settings"),
        *("recognition", "data folder", "room", "port", "mail server"),
    ]
