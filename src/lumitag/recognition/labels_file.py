"""The file that a user lays over the vocabulary: what it says, and on which line it says so."""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from lumitag.errors import InvalidLabelsFile

KeyPath = tuple[str, ...]  # ("labels", "Dog", "name"): the tables and the key that lead to a value

MAX_BYTES: Final = 1_000_000
MAX_NAME_LENGTH: Final = 50


@dataclass(frozen=True)
class LabelChange:
    """What one table of the file says of one label.

    Attributes:
        path: where it says so; the last part is what it calls the label.
        new: the label is the user's own.
        name: another name; None to keep it.
        aliases: further names.
        categories: the shelves it stands on instead of the present ones; None to keep them.
        parents: what it is nearest below instead of the present ones; None to keep them.
        hide: never shown.
        block: never shown, and counts for nothing.
    """

    path: KeyPath
    new: bool = False
    name: str | None = None
    aliases: tuple[str, ...] = ()
    categories: tuple[str, ...] | None = None
    parents: tuple[str, ...] | None = None
    hide: bool = False
    block: bool = False

    @property
    def label(self) -> str:
        """What the file calls the label."""
        return self.path[-1]

    @property
    def name_path(self) -> KeyPath:
        """Where the new name stands."""
        return self.path if self.path[0] == _NAMES else (*self.path, "name")


@dataclass(frozen=True)
class LabelsFile:
    """A labels file that is well-formed; whether its labels exist is not known here.

    Attributes:
        source: its name, for people.
        text: its content.
        renames: of the table `names`, one change a line.
        changes: of the tables `labels`.
        categories: other names for categories, by the present ones.
    """

    source: str
    text: str
    renames: tuple[LabelChange, ...]
    changes: tuple[LabelChange, ...]
    categories: Mapping[str, str]

    @classmethod
    def read(cls, path: Path) -> LabelsFile:
        """Return the file. Raises InvalidLabelsFile, which names the line, also where it cannot be read."""
        try:
            with path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise InvalidLabelsFile(f"The labels file {path} cannot be read: {error.strerror}.") from error
        if len(content) > MAX_BYTES:
            raise InvalidLabelsFile(f"The labels file {path} has more than {MAX_BYTES:,} bytes. Make it smaller.")
        return cls.parse(str(path), content)

    @classmethod
    def parse(cls, source: str, content: bytes) -> LabelsFile:
        """Return the file with this content. Raises InvalidLabelsFile."""
        text = _decoded(source, content)
        try:
            return cls(source, text, *_read_tables(tomllib.loads(text)))
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            problem = f"This is not valid TOML: {_POSITION.sub('', str(error))}."
            raise _error(source, _line_of_syntax_error(text, str(error)), problem) from error
        except _Wrong as wrong:
            raise _error(source, _line_of(text, wrong.path), str(wrong)) from None

    def error(self, path: KeyPath, problem: str) -> InvalidLabelsFile:
        """Return the error that says what is wrong with what stands at `path`, and on which line that is."""
        return _error(self.source, _line_of(self.text, path), problem)


def did_you_mean(word: str, known: Mapping[str, str]) -> str:
    """Return a question that names the nearest of the known names, or nothing.

    Args:
        word: what was written.
        known: the names as they are written, by their case-folded forms.
    """
    near = get_close_matches(word.casefold(), known, n=1)
    return f' Did you mean "{known[near[0]]}"?' if near else ""


class _Wrong(Exception):
    """What is wrong with the value at a path."""

    def __init__(self, path: KeyPath, problem: str) -> None:
        super().__init__(problem)
        self.path = path


def _decoded(source: str, content: bytes) -> str:
    """Return the text as TOML sees it: UTF-8, lines end with a newline."""
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InvalidLabelsFile(f"{source}, line {line}: This is not UTF-8. Save the file as UTF-8.") from error


def _read_tables(
    tables: dict[str, Any],
) -> tuple[tuple[LabelChange, ...], tuple[LabelChange, ...], dict[str, str]]:
    """Return renames, changes and categories."""
    _check_keys((), tables, _TABLES)
    names, labels, categories = (_table((name,), tables.get(name, {})) for name in _TABLES)
    return (
        tuple(LabelChange((_NAMES, label), name=_name((_NAMES, label), name)) for label, name in names.items()),
        tuple(_change(("labels", label), entry) for label, entry in labels.items()),
        {category: _name(("categories", category), name) for category, name in categories.items()},
    )


def _change(path: KeyPath, entry: object) -> LabelChange:
    table = _table(path, entry)
    _check_keys(path, table, _READERS)
    change = LabelChange(path, **{key: _READERS[key]((*path, key), value) for key, value in table.items()})
    if change.new:
        _name(path, change.label)
        if change.categories is None:
            raise _Wrong((*path, "new"), f'The new label "{change.label}" needs a category: categories = ["..."].')
    return change


def _check_keys(path: KeyPath, table: Mapping[str, Any], known: Collection[str]) -> None:
    for key in table:
        if key not in known:
            near = did_you_mean(key, {name: name for name in known})
            raise _Wrong((*path, key), f'"{key}" is unknown here.{near} Known are {", ".join(known)}.')


def _table(path: KeyPath, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        header = ".".join((*path[:-1], f'"{path[-1]}"'))
        raise _Wrong(path, f'"{path[-1]}" must be a table. Write [{header}] above its lines.')
    return value


def _flag(path: KeyPath, value: object) -> bool:
    if not isinstance(value, bool):
        raise _Wrong(path, f'"{path[-1]}" must be true or false.')
    return value


def _name(path: KeyPath, value: object) -> str:
    """Return a name that fits into a line of text, a cell of a table and a list of names."""
    if not isinstance(value, str):
        raise _Wrong(path, f'"{path[-1]}" must be a name in quotes.')
    if not value.strip():
        raise _Wrong(path, f'"{path[-1]}" has an empty name. Write one, or remove it.')
    if len(value) > MAX_NAME_LENGTH:
        raise _Wrong(path, f'"{value[:20]}..." has {len(value)} characters; at most {MAX_NAME_LENGTH} are allowed.')
    if value != value.strip() or ";" in value or not value.translate(_JOINERS).isprintable():
        raise _Wrong(path, f"{value!r} has a space at an end, a semicolon or a control character. Remove it.")
    return value


def _names(path: KeyPath, value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise _Wrong(path, f'"{path[-1]}" must be a list of names, such as ["One", "Two"].')
    return tuple(dict.fromkeys(_name(path, name) for name in value))


def _categories(path: KeyPath, value: object) -> tuple[str, ...]:
    names = _names(path, value)
    if not names:
        raise _Wrong(path, "A label needs a category. Name one, or remove the line to keep what it has.")
    return names


_POSITION: Final = re.compile(r" \(at (line (?P<line>\d+), column \d+|end of document)\)")
_TOKEN: Final = re.compile(
    r'''"""(?:\\.|[^\\])*?"{3,5}|'{3}.*?'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|\#[^\n]*|[\[\]{}\n]''', re.DOTALL
)
_OPENING: Final = frozenset("[{")
_CLOSING: Final = frozenset("]}")
_JOINERS: Final = dict.fromkeys(map(ord, "\u200c\u200d"))  # Persian and Indian words are written with them
_NAMES: Final = "names"
_TABLES: Final = (_NAMES, "labels", "categories")
_READERS: Final[Mapping[str, Callable[[KeyPath, object], Any]]] = {
    "new": _flag,
    "name": _name,
    "aliases": _names,
    "categories": _categories,
    "parents": _names,
    "hide": _flag,
    "block": _flag,
}


def _error(source: str, line: int, problem: str) -> InvalidLabelsFile:
    return InvalidLabelsFile(f"{source}, line {line}: {problem}")


# tomllib tells no positions of what it has read, and not always that of an error. A statement of TOML (a header, or a
# key and its value) begins on a line of its own and parses on its own: that is enough to find them all. It ends with
# the first line that ends outside of strings, comments and brackets.


def _line_of(text: str, path: KeyPath) -> int:
    """Return the line, from 1, on which the first statement that speaks of `path` begins. One must."""
    lines: dict[KeyPath, int] = {}
    header: KeyPath = ()
    for line, statement in _statements(text):
        is_header = statement.lstrip().startswith("[")
        for below in _paths(tomllib.loads(statement)):
            here = below if is_header else (*header, *below)
            lines.setdefault(here, line)
        header = here if is_header else header
    return lines[path]


def _line_of_syntax_error(text: str, message: str) -> int:
    """Return the line that the parser names, or else the one on which the first bad statement begins."""
    found = _POSITION.search(message)
    if found and found["line"]:
        return int(found["line"])
    starts, statements = zip(*_statements(text), strict=True)
    return int(starts[bisect_left(range(len(starts)), True, key=lambda n: not _parses("".join(statements[: n + 1])))])


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Yield every statement, comment and empty line with the line that it begins on."""
    line, start, depth = 1, 0, 0
    for token in _TOKEN.finditer(f"{text}\n"):
        depth += token[0] in _OPENING
        depth -= token[0] in _CLOSING
        if token[0] == "\n" and depth <= 0:
            yield line, text[start : token.end()]
            line, start, depth = line + token.string.count("\n", start, token.end()), token.end(), 0
    if start < len(text):
        yield line, text[start:]


def _parses(text: str) -> bool:
    try:
        tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return False
    return True


def _paths(table: Mapping[str, Any]) -> Iterator[KeyPath]:
    """Yield the path of everything in a table, outer ones first."""
    for key, value in table.items():
        yield (key,)
        for below in _paths(value) if isinstance(value, dict) else ():
            yield (key, *below)
