"""How a JPEG is coded is said before its pixels; most ways are read, and the others are called by their name."""

from typing import Any

import pytest

from lumitag.errors import DamagedImage
from lumitag.recognition.decode import DecodeLimits, decode
from lumitag.recognition.jpeg import rare_coding
from tests.recognition.pictures import file_of, quadrants


def coded(marker: int, bits: int) -> bytes:
    """Return a JPEG whose frame header says that its pixels are coded in another way."""
    content = file_of(quadrants())
    start = content.index(b"\xff\xc0")
    return (
        content[: start + 1] + bytes([marker]) + content[start + 2 : start + 4] + bytes([bits]) + content[start + 5 :]
    )


@pytest.mark.parametrize(
    ("marker", "bits", "coding"),
    [
        (0xC1, 12, "12 bits a colour"),
        (0xC9, 12, "12 bits a colour"),
        (0xC3, 16, "lossless or hierarchical coding"),
        (0xC6, 8, "lossless or hierarchical coding"),
        (0xCB, 8, "lossless or hierarchical coding"),
    ],
)
def test_rare_coding_is_called_by_its_name(marker: int, bits: int, coding: str) -> None:
    with pytest.raises(DamagedImage) as refusal:
        decode(coded(marker, bits), DecodeLimits(), needed_side=64)

    assert refusal.value.message == f"The JPEG has {coding}. Save it as an ordinary JPEG and upload that."


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"optimize": True}])
def test_ordinary_coding_has_no_name(options: dict[str, Any]) -> None:
    assert rare_coding(file_of(quadrants(), **options)) is None


def test_arithmetic_coding_is_no_reason_to_refuse_a_file() -> None:
    assert rare_coding(coded(0xC9, 8)) is None


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xd8", b"\xff\xd8\xff\xc0", b"\xff\xd8\xff\xc0\0\2\xff\xd9\0\0", b"GIF89a"]
)
def test_a_file_without_a_frame_has_no_coding(content: bytes) -> None:
    assert rare_coding(content) is None
