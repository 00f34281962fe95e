"""`lumitag doctor`: looks at everything that Lumitag needs on this machine and says what to do about the rest."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path
from typing import Final

from lumitag.domain import Json
from lumitag.entrypoints.commands.settings_report import setting_rows
from lumitag.errors import LumitagError
from lumitag.settings import Settings, load_settings, require_token_beyond_loopback

_OLDEST_PYTHON: Final = (3, 11)
_PICTURE_SIDE_PX: Final = 320
_START_TIMEOUT_S: Final = 30.0
_REQUIREMENT: Final = re.compile(r"(?P<name>[\w.-]+)>=(?P<floor>[\d.]+)$")


@dataclass(frozen=True)
class Finding:
    """What one check found. `problem` says what is wrong and what to do; it is empty when all is well."""

    check: str
    facts: str = ""
    problem: str = ""

    @property
    def line(self) -> str:
        """One line for people."""
        return f"{'PROBLEM' if self.problem else 'ok':<8} {self.check}: {self.problem or self.facts}\n"

    def to_json(self) -> Json:
        """Return the JSON object."""
        return {"check": self.check, "ok": not self.problem, "message": self.problem or self.facts}


class Problem(Exception):
    """What is wrong, and what to do."""


def diagnose(**overrides: object) -> Iterator[Finding]:
    """Run every check, one after the other; one that fails stops none of the rest."""
    yield _finding("Python", _python)
    yield _finding("packages", _packages)
    yield _finding("model files", _model_files)
    settings: list[Settings] = []
    yield _finding("settings", lambda: _settings(settings, overrides))
    for name, check in _CHECKS_WITH_SETTINGS.items() if settings else ():
        yield _finding(name, lambda check=check: check(settings[0]))  # type: ignore[misc]  # bound at once


def _finding(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name, check())
    except Problem as problem:
        return Finding(name, problem=str(problem))
    except (LumitagError, OSError, ImportError) as error:
        return Finding(name, problem=error.message if isinstance(error, LumitagError) else f"{error}.")


def _python() -> str:
    if sys.version_info < _OLDEST_PYTHON:
        raise Problem(f"Python {_dotted(_OLDEST_PYTHON)} or newer is needed. Install it, then Lumitag again.")
    return _dotted(sys.version_info[:3])


def _packages() -> str:
    """Compare what is installed with the floors that this Lumitag was released with."""
    try:
        requirements = metadata.requires("lumitag") or []
    except metadata.PackageNotFoundError:
        return "not checked, because Lumitag runs from its sources"
    floors = [found for requirement in requirements if (found := _REQUIREMENT.match(requirement.replace(" ", "")))]
    if too_old := [text for floor in floors if (text := _too_old(floor["name"], floor["floor"]))]:
        raise Problem(f"{'; '.join(too_old)}. Run: pip install --upgrade lumitag")
    return f"{len(floors)} as new as they have to be"


def _too_old(name: str, floor: str) -> str | None:
    try:
        installed = metadata.version(name)
    except metadata.PackageNotFoundError:
        return f"{name} is not installed"
    return f"{name} {installed} is older than {floor}" if _numbers(installed) < _numbers(floor) else None


def _model_files() -> str:
    folder = resources.files("lumitag.recognition") / "weights"
    expected = json.loads((folder / "sha256.json").read_text("utf-8"))
    for name, sha256 in expected.items():
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != sha256:
            raise Problem(f"{name} is not the file that was released. Install Lumitag again.")
    return f"{len(expected)} as they were released"


def _settings(found: list[Settings], overrides: dict[str, object]) -> str:
    settings = load_settings(**overrides)
    require_token_beyond_loopback(settings)
    found.append(settings)
    changed = [f"{row['name']} from {row['source']}" for row in setting_rows(settings) if row["source"] != "default"]
    return ", ".join(changed) or "all as they come"


def _recognition(settings: Settings) -> str:
    """Recognize an image that is made here: what matters is that an answer comes."""
    from PIL import Image  # noqa: PLC0415 - a broken installation must not stop the other checks

    from lumitag.adapters.local.recognizer import build_recognizer_pool  # noqa: PLC0415 - likewise

    image = io.BytesIO()
    Image.radial_gradient("L").resize((_PICTURE_SIDE_PX, _PICTURE_SIDE_PX)).convert("RGB").save(image, "JPEG")
    pool = build_recognizer_pool(settings.model_copy(update={"workers": 1}))
    with contextlib.closing(pool):
        pool.start()
        if not pool.wait_ready(_START_TIMEOUT_S):
            raise Problem("No recognizer process starts. Look at the lines above, or install Lumitag again.")
        image.seek(0)
        recognition = pool.recognize(image)
    if (recognition.width, recognition.height) != (_PICTURE_SIDE_PX, _PICTURE_SIDE_PX):
        raise Problem("The recognizer misreads images. Install Lumitag again.")
    return f"works, model {recognition.model_version}"


def _data_folder(settings: Settings) -> str:
    """Write, flush and remove a file where images would be kept."""
    folder = _nearest_folder(settings)
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".lumitag-doctor-") as file:
            file.write(b"lumitag")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise Problem(
            f"{folder} cannot be written: {error.strerror}. "
            "Change its permissions, or choose another with LUMITAG_DATA."
        ) from error
    return f"{folder} takes writes"


def _room(settings: Settings) -> str:
    folder = _nearest_folder(settings)
    free = shutil.disk_usage(folder).free
    if free < settings.min_free_bytes:
        raise Problem(f"Only {free:,} bytes are free, {settings.min_free_bytes:,} are kept free. Free some space.")
    return f"{free:,} bytes are free"


def _nearest_folder(settings: Settings) -> Path:
    """Return the data folder, or where it would be made."""
    wanted = settings.data.absolute()
    return next(path for path in (wanted, *wanted.parents) if path.exists())


def _port(settings: Settings) -> str:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            raise Problem(
                f"{settings.port} of {settings.host} cannot be used: {error.strerror}. Perhaps Lumitag is running "
                "there already; else choose another with LUMITAG_PORT."
            ) from error
    return f"{settings.port} of {settings.host} is free"


def _mail_server(settings: Settings) -> str:
    if settings.smtp_host is None:
        return "none is set; mails would wait in the outbox"
    try:
        socket.create_connection((settings.smtp_host, settings.smtp_port), settings.notify_timeout_s).close()
    except OSError as error:
        raise Problem(
            f"{settings.smtp_host}:{settings.smtp_port} does not answer: {error.strerror or error}. "
            "Check LUMITAG_SMTP_HOST and LUMITAG_SMTP_PORT."
        ) from error
    return f"{settings.smtp_host}:{settings.smtp_port} answers"


_CHECKS_WITH_SETTINGS: Final[dict[str, Callable[[Settings], str]]] = {
    "recognition": _recognition,
    "data folder": _data_folder,
    "room": _room,
    "port": _port,
    "mail server": _mail_server,
}


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0]))


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
