"""Damaged, odd and hostile files: each ends in a visible state, and its neighbours do not notice."""

from __future__ import annotations

import io
import os
import random
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from tests.photographs import PHOTOGRAPHS, jpeg_of, photograph
from tests.processes import Lumitag

FILES = int(os.environ.get("LUMITAG_TEST_MUTATED_FILES", "300"))
TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lumitag]:
    with Lumitag(tmp_path_factory.mktemp("hostile") / "data", log_level="warning") as running:
        yield running


def drawing(kind: str) -> bytes:
    image = Image.new("RGB", (160, 120), "white")
    ImageDraw.Draw(image).ellipse((30, 20, 130, 100), fill="orange", outline="black")
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def mutated(seed: int) -> tuple[str, bytes]:
    """Return the content type and the bytes of a picture with something broken in it."""
    chance = random.Random(seed)
    kind = chance.choice(list(TYPES))
    content = bytearray(drawing(kind))
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        place = chance.randrange(len(content))
        match chance.randrange(6):
            case 0:
                content[place] ^= 1 << chance.randrange(8)
            case 1:
                content[place : place + 4] = chance.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff"))
            case 2:
                del content[max(place, 1) :]
            case 3:
                del content[place : place + chance.randrange(64)]
            case 4:
                content[place:place] = content[place : place + chance.randrange(512)] * chance.choice((1, 64))
            case _:
                content[place:] = drawing(chance.choice(list(TYPES)))[place:]
        content = content or bytearray(b"\xff")
    return TYPES[kind], bytes(content)


def png_of(width: int, height: int) -> bytes:
    """Return a PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((1, 0, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 4096))
        + chunk(b"IEND", b"")
    )


BOMBS = {
    "a PNG of 20,000 x 20,000 pixels": ("image/png", png_of(20_000, 20_000)),
    "a PNG of 2,147,483,647 pixels a side": ("image/png", png_of(2**31 - 1, 2**31 - 1)),
    "a picture of one pixel": ("image/png", png_of(1, 1)),
    "text": ("image/jpeg", b"this is no picture at all"),
    "a web page": ("image/png", b"<html><script>alert(1)</script></html>"),
    "an SVG": ("image/png", b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'),
    "one byte": ("image/webp", b"\0"),
}


def end_of(server: Lumitag, content_type: str, content: bytes) -> Any:
    return server.wait_for_end(server.upload("x", content, content_type))


def test_every_mutated_file_ends_recognized_or_rejected_with_a_reason(server: Lumitag) -> None:
    with ThreadPoolExecutor(8) as clients:
        records = list(clients.map(lambda seed: end_of(server, *mutated(seed)), range(FILES)))

    assert {record["status"] for record in records} <= {"recognized", "rejected"}
    assert all(record["reason"] for record in records if record["status"] == "rejected")
    assert server.call("GET", "/dead-letters")["deadLetters"] == []


@pytest.mark.parametrize("name", BOMBS)
def test_a_hostile_file_is_rejected_in_words(server: Lumitag, name: str) -> None:
    record = end_of(server, *BOMBS[name])

    assert record["status"] == "rejected"
    assert record["reason"].endswith(".")


def test_neighbours_of_hostile_files_are_recognized(server: Lumitag) -> None:
    good = [("image/jpeg", jpeg_of(photograph(name).resize((400, 300)))) for name in PHOTOGRAPHS]
    files = [file for pair in zip(good, BOMBS.values(), strict=False) for file in pair]

    with ThreadPoolExecutor(4) as clients:
        records = list(clients.map(lambda file: end_of(server, *file), files))

    assert [record["status"] for record in records] == ["recognized", "rejected"] * len(good)


def test_the_hostile_file_test_catches_a_recognizer_that_crashes(tmp_path: Path) -> None:
    mutant = ("tests.reliability.mutants", "crashes_on_damaged_images")
    with Lumitag(tmp_path / "data", module=mutant, max_receive_count=2) as server:
        assert end_of(server, "image/jpeg", b"this is no picture at all")["status"] == "failed"
