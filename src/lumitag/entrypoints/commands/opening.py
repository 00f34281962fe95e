"""Opens the data folder for one command and turns options into what the pipeline asks for.

What is heavy is imported when it is needed, so that `lumitag --help` answers at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from lumitag.domain import ImageQuery, ImageStatus, time_from_json
from lumitag.errors import InvalidRequest, StoreUnavailable

if TYPE_CHECKING:
    from lumitag.bootstrap import Platform
    from lumitag.settings import Settings

_LARGEST_PAGE: Final = 1000


def settings_for(**options: Any) -> Settings:  # noqa: ANN401 - each setting has a type of its own
    """Return the settings, the options that were given first. Raises InvalidSettings."""
    from lumitag.settings import load_settings  # noqa: PLC0415 - see above

    return load_settings(**options)


@contextmanager
def opened(settings: Settings, create: bool = False) -> Iterator[Platform]:
    """Lend the platform over the data folder; a server may be running on it.

    A folder that is not there, or holds something else, is an error unless `create`: a mistyped path must not look
    like an empty store.
    """
    from lumitag.adapters.local.platform import DATABASE_NAME  # noqa: PLC0415 - see above
    from lumitag.bootstrap import build_platform  # noqa: PLC0415 - see above

    if not create and not settings.data.is_dir():
        raise StoreUnavailable(
            f'There is no data folder {settings.data}. Name another with --data, or start one with "lumitag up".'
        )
    if not create and not (settings.data / DATABASE_NAME).exists():
        raise StoreUnavailable(
            f'{settings.data} is no data folder. Name another with --data, or start one with "lumitag up".'
        )
    platform = build_platform(settings)
    try:
        yield platform
    finally:
        platform.close()


def query_of(
    min_confidence: float,
    *,
    all_of: Sequence[str] | None,
    any_of: Sequence[str] | None,
    none_of: Sequence[str] | None,
    status: ImageStatus | None,
    after: str | None,
    before: str | None,
    limit: int = _LARGEST_PAGE,
) -> ImageQuery:
    """Return the query that the options of `search`, `export` and `relabel` describe."""
    return ImageQuery(
        all_of=tuple(all_of or ()),
        any_of=tuple(any_of or ()),
        none_of=tuple(none_of or ()),
        min_confidence=min_confidence,
        status=status,
        after=_time("--after", after),
        before=_time("--before", before),
        limit=min(limit, _LARGEST_PAGE),
    )


def shown_confidence(settings: Settings, asked_for: float | None) -> float:
    """Return the confidence in percent that was asked for, else the setting."""
    return settings.min_confidence_percent if asked_for is None else asked_for


def _time(option: str, text: str | None) -> datetime | None:
    try:
        return None if text is None else time_from_json(text)
    except ValueError as error:
        raise InvalidRequest(f'{option} "{text}" is no time. Write it as 2026-11-23 or 2026-11-23T12:00Z.') from error
