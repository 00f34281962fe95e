"""The camera's orientation is found where it is, and metadata never makes an image unreadable."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumitag.recognition.orientation import read_exif_orientation, read_jpeg_orientation
from tests.recognition.pictures import exif_with, file_of, quadrants


def tiff(order: str, *entries: tuple[int, int], count: int | None = None) -> bytes:
    header = b"II*\0" if order == "<" else b"MM\0*"
    packed = b"".join(struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0) for tag, value in entries)
    return header + struct.pack(f"{order}IH", 8, len(entries) if count is None else count) + packed


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_both_byte_orders_are_read(order: str, orientation: int) -> None:
    block = tiff(order, (0x010F, 7), (0x0112, orientation))

    assert read_exif_orientation(block) == read_exif_orientation(b"Exif\0\0" + block) == orientation


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"XX*\0", id="unknown byte order"),
        pytest.param(b"II*\0", id="no directory"),
        pytest.param(b"II*\0\xff\xff\xff\xff", id="directory far away"),
        pytest.param(tiff("<", (0x010F, 6)), id="no such tag"),
        pytest.param(tiff("<", (0x010F, 6), count=60_000), id="fewer entries than it says"),
        pytest.param(tiff("<", (0x0112, 0)), id="0"),
        pytest.param(tiff("<", (0x0112, 9)), id="9"),
    ],
)
def test_what_cannot_be_understood_means_upright(block: bytes) -> None:
    assert read_exif_orientation(block) == 1


@given(st.binary(max_size=200))
def test_any_block_gives_an_orientation(block: bytes) -> None:
    assert read_exif_orientation(block) in range(1, 9)
    assert read_jpeg_orientation(b"\xff\xd8" + block) in range(1, 9)


def test_the_exif_segment_is_found_behind_others() -> None:
    content = file_of(quadrants(), exif=exif_with(8))
    other = b"\xff\xe1" + struct.pack(">H", 6) + b"http" + b"\xff\xfe" + struct.pack(">H", 2)

    assert read_jpeg_orientation(content[:2] + other + content[2:]) == 8


def test_nothing_is_read_behind_the_start_of_the_picture() -> None:
    content = file_of(quadrants())
    exif = file_of(quadrants(), exif=exif_with(8))[2:]

    assert read_jpeg_orientation(content + exif) == 1


def test_a_segment_without_a_length_does_not_stop_the_search_for_ever() -> None:
    assert read_jpeg_orientation(b"\xff\xd8" + b"\xff\xe0\0\0" * 1000) == 1
