"""The documentation is true: its code runs, and nothing is left out.

`python -m tests.test_docs --write` writes the generated tables anew.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lumitag import errors
from lumitag.settings import Settings
from lumitag.telemetry import METRICS
from tests.photographs import save_photographs
from tests.processes import Lumitag

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


def settings_table() -> str:
    rows = [f"| `LUMITAG_{name.upper()}` | {shown_default(name)} | {field.description} |" for name, field in fields()]
    return "\n".join(["| variable | default | meaning |", "|---|---|---|", *rows])


def fields() -> list[tuple[str, Any]]:
    return list(Settings.model_fields.items())


def shown_default(name: str) -> str:
    field = Settings.model_fields[name]
    if field.default_factory is not None:
        return "one a core"
    default = field.default
    return "none" if default is None or default == () else f"`{default}`"


def metrics_table() -> str:
    rows = [
        f"| `lumitag_{metric.name}` | {metric.kind} | {', '.join(metric.labels) or '-'} | {metric.help} |"
        for metric in METRICS
    ]
    return "\n".join(["| metric | kind | labels | meaning |", "|---|---|---|---|", *rows])


GENERATED = {"docs/settings.md": ("settings", settings_table), "docs/operations.md": ("metrics", metrics_table)}


def with_table(text: str, name: str, table: str) -> str:
    return re.sub(
        rf"(<!-- {name}:begin -->\n).*?(<!-- {name}:end -->)", lambda m: f"{m[1]}{table}\n{m[2]}", text, flags=re.DOTALL
    )


@pytest.mark.parametrize("page", GENERATED)
def test_generated_tables_are_up_to_date(page: str) -> None:
    name, table = GENERATED[page]
    text = (ROOT / page).read_text()

    assert text == with_table(text, name, table()), "write it anew: python -m tests.test_docs --write"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())

    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_error_is_documented_where_people_meet_it() -> None:
    """An error reaches a person as an HTTP answer, as the reason of an image, or as a line of the command line."""
    text = "".join(page.read_text() for page in PAGES)
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.LumitagError)]
    codes = [kind.code for kind in kinds]

    assert [code for code in codes if f"`{code}`" not in text] == []


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lumitag]:
    folder = tmp_path_factory.mktemp("docs")
    save_photographs(folder / "photos")
    with Lumitag(folder / "lumitag-data") as running:
        yield running


PYTHON_PAGES = [page for page in PAGES if "```python" in page.read_text()]
CONSOLE_PAGES = [page for page in PAGES if "```console" in page.read_text()]


@pytest.mark.parametrize("page", PYTHON_PAGES, ids=lambda page: page.name)
def test_python_code_runs(page: Path, server: Lumitag, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of a page run in order, in one namespace, in a folder with photos, against a running server."""
    monkeypatch.chdir(server.data.parent)
    namespace: dict[str, Any] = {"base_url": server.base_url}
    for block in blocks(page, "python"):
        exec(compile(block, str(page), "exec"), namespace)


@pytest.mark.parametrize("page", CONSOLE_PAGES, ids=lambda page: page.name)
def test_console_commands_run(page: Path, server: Lumitag) -> None:
    """Lines that begin with `$` run in a shell, in the same folder, on the same data."""
    for block in blocks(page, "console"):
        commands = [line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")]
        for command in commands:
            run = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", command],
                cwd=server.data.parent,
                env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **server.environment},
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert run.returncode == 0, f"{command}\n{run.stdout}\n{run.stderr}"


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def write() -> None:
    for page, (name, table) in GENERATED.items():
        path = ROOT / page
        path.write_text(with_table(path.read_text(), name, table()))


if __name__ == "__main__" and "--write" in sys.argv:
    write()
