"""Every setting with its value and where it comes from. Secrets are never shown."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from lumitag.domain import Json
from lumitag.settings import Settings

_MASK: Final = "********"


def setting_rows(settings: Settings) -> Iterator[Json]:
    """Yield each setting as its name, its value and its source."""
    for name in type(settings).model_fields:
        yield {
            "name": variable(name),
            "value": _shown(getattr(settings, name)),
            "source": _source(settings, name),
        }


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return f"LUMITAG_{name.upper()}"


def settings_file() -> Path:
    """Return the TOML file that settings may come from."""
    return Path(os.environ.get("LUMITAG_CONFIG", "lumitag.toml"))


def _source(settings: Settings, name: str) -> str:
    if name not in settings.model_fields_set:
        return "default"
    if any(known.upper() == variable(name) and value for known, value in os.environ.items()):
        return "environment"
    return str(settings_file())


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return _MASK
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value)
