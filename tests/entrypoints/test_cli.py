"""What every command promises: exit codes, one line an error, quiet ends. Its helpers serve the other files."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from contextlib import closing, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from lumitag import __version__
from lumitag.bootstrap import build_platform
from lumitag.domain import Label, Recognition
from lumitag.entrypoints.cli import main
from lumitag.errors import LumitagError, NotAnImage
from lumitag.platform import Platform
from lumitag.settings import load_settings

ANIMAL = Label("Animal", "n00015388", 99.0, categories=("Animals and Pets",))
CAT = Label("Cat", "n02121620", 97.5, ("Animal", "Pet"), ("Feline",), ("Animals and Pets",))
PET = Label("Pet", "n01318894", 72.0, ("Animal",), categories=("Animals and Pets",))
SHY = Label("Hat", "n03497657", 35.0, categories=("Apparel and Accessories",))
LABELS = (ANIMAL, CAT, PET, SHY)


@dataclass(frozen=True)
class Run:
    code: int
    out: str
    err: str


def run(*arguments: object) -> Run:
    """Run one command in this process, its output in a pipe as it were."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        code = main([str(argument) for argument in arguments])
    return Run(code, out.getvalue(), err.getvalue())


def run_process(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run one command as a user does."""
    command = [sys.executable, "-m", "lumitag", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)


def start_process(*arguments: object) -> subprocess.Popen[str]:
    """Start one command that does not end by itself."""
    command = [sys.executable, "-u", "-m", "lumitag", *map(str, arguments)]
    # Whoever starts the tests in the background has Ctrl-C ignored in all that they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


class FakePool:
    """Recognizes `cat` in everything but what says that it is broken; counts what it is asked."""

    def __init__(self, delays_s: tuple[float, ...] = (), failures: tuple[LumitagError, ...] = ()) -> None:
        self.starts = 0
        self.recognized = 0
        self._delays_s = list(delays_s)
        self._failures = list(failures)

    def start(self) -> None:
        self.starts += 1

    def wait_ready(self, timeout_s: float) -> bool:
        return True

    def recognize(self, file: BinaryIO) -> Recognition:
        self.recognized += 1
        if self._delays_s:
            time.sleep(self._delays_s.pop(0))
        if self._failures:
            raise self._failures.pop(0)
        if b"broken" in file.read():
            raise NotAnImage
        return Recognition(LABELS, 640, 480, "embedded", "fake-1")

    def close(self) -> None:
        """Nothing to give back."""


def isolate(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Keep the settings and the cache of whoever runs the tests out of them."""
    for name in [name for name in os.environ if name.upper().startswith("LUMITAG_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LUMITAG_DATA", str(folder / "data"))
    monkeypatch.setenv("LUMITAG_CACHE", str(folder / "cache"))
    monkeypatch.setenv("LUMITAG_MIN_FREE_BYTES", "0")
    monkeypatch.chdir(folder)


def a_jpeg(folder: Path, name: str, content: bytes = b"") -> Path:
    """Write what looks like a JPEG from outside; its name makes its content its own."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\xff\xd8\xff" + (content or name.encode()))
    return path


def opened() -> closing[Any]:
    """Lend the pipeline over the data folder, as a server in the same folder would have it."""
    return closing(build_platform(load_settings()))


def uploaded(*names: str, folder: Path) -> list[str]:
    """Upload images by the command line and return their keys."""
    result = run("upload", *(a_jpeg(folder, name) for name in names), "--csv")
    assert result.code == 0, result.err
    return [line.split(",")[1] for line in result.out.splitlines()[1:]]


def recognize_all(*labels: Label) -> None:
    """Recognize everything that waits."""
    with opened() as platform:
        recognize_waiting(platform, labels or LABELS)


def recognize_waiting(platform: Platform, labels: tuple[Label, ...] = LABELS) -> None:
    queue = platform.pipeline.event_queue
    while messages := queue.receive(10, 0):
        for message in messages:
            recognition = Recognition(labels, 640, 480, "embedded", "fake-1")
            platform.pipeline.label_store.save(message.event.key, recognition)
        queue.delete(messages)


@pytest.fixture(autouse=True)
def isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    isolate(monkeypatch, tmp_path)


def test_no_command_shows_what_there_is() -> None:
    result = run()

    assert result.code == 0
    assert all(f"\n  {name} " in result.out for name in ("up", "label", "search", "backup", "doctor"))


def test_the_version_is_the_one_of_the_package() -> None:
    assert run_process("--version").stdout == f"lumitag {__version__}\n"


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys; from lumitag.entrypoints.cli import main; main(['--help']);"
        "heavy = {'pydantic', 'fastapi', 'numpy', 'onnxruntime', 'PIL', 'rich.console'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)

    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    "arguments",
    [
        ("frobnicate",),
        ("label",),
        ("label", "x.jpg", "--min-confidence", "101"),
        ("label", "x.jpg", "--json", "--csv"),
        ("search", "--after", "yesterday"),
        ("search", "--status", "lost"),
        ("subscribe", "nobody"),
        ("dead-letters", "redrive"),
        ("dead-letters", "redrive", "--all", "1"),
        ("delete", "x"),
        ("restore", "nowhere"),
        ("watch", "nowhere"),
    ],
    ids=" ".join,
)
def test_wrong_use_is_one_line_and_exit_code_2(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)

    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("lumitag: ")
    assert result.err.count("\n") == 1


def test_invalid_settings_are_wrong_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUMITAG_PORT", "many")

    result = run("search")

    assert result.code == 2
    assert "LUMITAG_PORT" in result.err


@pytest.mark.parametrize("command", ["search", "show x", "export", "subscriptions", "outbox", "verify", "relabel"])
def test_a_mistyped_data_folder_is_not_an_empty_store(command: str, tmp_path: Path) -> None:
    result = run(*command.split(), "--data", tmp_path / "typo")

    assert result.code == 1
    assert "typo" in result.err
    assert not (tmp_path / "typo").exists()


@pytest.mark.parametrize("command", ["search", "verify", "backup b"])
def test_a_folder_of_something_else_is_no_data_folder_and_stays_as_it_is(command: str, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").touch()

    result = run(*command.split(), "--data", tmp_path / "photos")

    assert result.code == 1
    assert "photos is no data folder" in result.err
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["cat.jpg"]


def test_a_failure_is_one_line_without_a_traceback() -> None:
    run("subscribe", "me@example.com")

    result = run_process("show", "0" * 26)

    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "lumitag: There is no such image. It was never uploaded, or it has been deleted.\n"


def test_what_the_system_refuses_is_one_line_as_well(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")

    result = run("upload", a_jpeg(tmp_path, "cat.jpg"))

    assert result.code == 1
    assert result.err.count("\n") == 1


def test_a_closed_pipe_is_quiet(tmp_path: Path) -> None:
    for number in range(50):
        a_jpeg(tmp_path, f"{number}.jpg", b"broken" * 2000)
    command = f"{sys.executable} -m lumitag upload *.jpg | true; exit ${{PIPESTATUS[0]}}"

    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)

    assert (result.returncode, result.stderr) == (141, "")


def test_ctrl_c_is_quiet(tmp_path: Path) -> None:
    watching = start_process("watch", tmp_path, "--upload", "--existing")
    a_jpeg(tmp_path, "cat.jpg")
    assert watching.stdout is not None
    assert "cat.jpg" in watching.stdout.readline()

    watching.send_signal(signal.SIGINT)

    assert watching.communicate(timeout=20)[1] == ""
    assert watching.returncode == 130


def test_settings_are_listed_with_their_source_and_without_secrets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LUMITAG_TOKEN", "correct horse battery")
    (tmp_path / "lumitag.toml").write_text("max_labels = 7\n")

    result = run("settings", "--csv")

    assert "LUMITAG_TOKEN,********,environment" in result.out
    assert "LUMITAG_MAX_LABELS,7,lumitag.toml" in result.out
    assert "LUMITAG_PORT,8000,default" in result.out
    assert "horse" not in result.out
    assert run("settings").out.startswith("SETTING")
