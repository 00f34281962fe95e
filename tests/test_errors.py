"""Every error says what happened and what to do, and stands in the tree at the top of its module."""

import re

import pytest

from lumitag import errors
from lumitag.errors import ImageNotFound, LumitagError


def all_errors(kind: type[LumitagError] = LumitagError) -> list[type[LumitagError]]:
    return [kind, *(found for child in kind.__subclasses__() for found in all_errors(child))]


@pytest.mark.parametrize("kind", all_errors())
def test_the_docstring_is_the_message(kind: type[LumitagError]) -> None:
    message = kind().message

    assert message.endswith(".")
    assert message[0].isupper()
    assert kind(f"{kind.__name__} in other words.").message == f"{kind.__name__} in other words."


def test_codes_are_the_names_in_snake_case() -> None:
    assert ImageNotFound.code == "image_not_found"
    assert len({kind.code for kind in all_errors()}) == len(all_errors())


def test_the_tree_in_the_docstring_is_the_tree_in_the_code() -> None:
    drawn = [
        (len(indent) // 4, name)
        for indent, name in re.findall(r"^((?:[│├└─ ]{4})*)([A-Z]\w+)", errors.__doc__ or "", re.MULTILINE)
        if hasattr(errors, name)
    ]

    assert drawn == list(outline(LumitagError, 0))


def outline(kind: type[LumitagError], depth: int) -> list[tuple[int, str]]:
    return [(depth, kind.__name__), *(line for child in kind.__subclasses__() for line in outline(child, depth + 1))]
