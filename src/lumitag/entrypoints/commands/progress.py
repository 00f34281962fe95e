"""A progress bar on standard error, where there is a person to see it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

T = TypeVar("T")


class _RateColumn(ProgressColumn):
    """How many images a second."""

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:,.1f} a second")


@contextmanager
def progress(count: Callable[[], int], is_wanted: bool) -> Iterator[Callable[[], None]]:
    """Yield a function to be called after each image. `count` is only called when there is a bar to fill."""
    if not (is_wanted and sys.stderr.isatty()):
        yield lambda: None
        return
    with _bar() as bar:
        task = bar.add_task("Labelling", total=count())
        yield lambda: bar.advance(task)


def ticking(items: Iterable[T], tick: Callable[[], None]) -> Iterator[T]:
    """Yield the items and call `tick` after each."""
    for item in items:
        yield item
        tick()


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=sys.stdout.isatty(),  # Elsewhere standard output is data and must stay what it is.
    )
