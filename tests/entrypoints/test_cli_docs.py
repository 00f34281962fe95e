"""`docs/cli.md` shows every command as it is.

`python -m tests.entrypoints.test_cli_docs --write` writes the help texts anew.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
import typer

from lumitag.entrypoints.cli import app
from tests.entrypoints.test_cli import run, run_process

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
MARK = re.compile(r"<!-- (lumitag[a-z -]*?) -->\n(?:```text\n.*?^```\n)?", re.DOTALL | re.MULTILINE)


def commands() -> list[str]:
    """Return every command as a user writes it."""
    group = typer.main.get_command(app)
    found = ["lumitag"]
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        found.append(f"lumitag {name}")
        found += [f"lumitag {name} {below}" for below in getattr(command, "commands", {})]
    return found


def help_of(command: str) -> str:
    return run(*command.split()[1:], "--help").out


def with_help(page: str) -> str:
    return MARK.sub(lambda mark: f"<!-- {mark[1]} -->\n```text\n{help_of(mark[1])}```\n", page)


def test_the_page_shows_the_help_of_every_command() -> None:
    assert MARK.findall(PAGE.read_text()) == list(dict.fromkeys(MARK.findall(PAGE.read_text())))
    assert sorted(MARK.findall(PAGE.read_text())) == sorted(commands())


def test_the_help_on_the_page_is_the_real_one() -> None:
    assert PAGE.read_text() == with_help(PAGE.read_text()), (
        "write it: python -m tests.entrypoints.test_cli_docs --write"
    )


@pytest.mark.parametrize("environment", [{"COLUMNS": "40", "TERM": "dumb"}, {"COLUMNS": "300", "FORCE_COLOR": "1"}])
def test_help_is_the_same_on_every_terminal(environment: dict[str, str]) -> None:
    assert run_process("label", "--help", env={**os.environ, **environment}).stdout == help_of("lumitag label")


if __name__ == "__main__" and "--write" in sys.argv:
    PAGE.write_text(with_help(PAGE.read_text()))
