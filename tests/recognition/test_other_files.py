"""Whoever uploads something else is told what it is."""

import pytest

from lumitag.errors import NotAnImage
from lumitag.recognition.decode import DecodeLimits, decode
from lumitag.recognition.other_files import kind_of_other_file
from tests.recognition.pictures import file_of, quadrants


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\0\0\0\x20ftypavif\0\0\0\0", "an AVIF image"),
        (b"\0\0\0\x20ftypmif1\0\0\0\0mif1avifmiaf", "an AVIF image"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIC image"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "a HEIC image"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0", "a video"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0", "a video"),
        (b"\0\0\0\x08wide\0\0\0\0mdat", "a video"),
        (b"\x1aE\xdf\xa3\x9fB\x86\x81", "a video"),
        (b"RIFF\0\0\0\0AVI LIST", "a video"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1", "a raw camera image"),
        (b"II*\0\x10\0\0\0CR\2\0", "a raw camera image"),
        (b"FUJIFILMCCD-RAW 0201", "a raw camera image"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL image"),
        (b"\xff\x0a\xfa\x7f", "a JPEG XL image"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 image"),
        (b"\xff\x4f\xff\x51\0\x2f", "a JPEG 2000 image"),
        (b"8BPS\0\1\0\0", "a Photoshop file"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"\n\n%PDF-1.4\n", "a PDF document"),
        (b"<!DOCTYPE html><html><body><svg></svg>", "a web page"),
        (b"\n<html>", "a web page"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- drawn -->\n<svg\n width='9'>", "an SVG drawing"),
        (b"PK\3\4\x14\0", "an archive or an office document"),
        (file_of(quadrants(), "TIFF"), "a TIFF image"),
        (file_of(quadrants(), "BMP"), "a BMP image"),
        (file_of(quadrants(), "ICO"), "an icon"),
        (file_of(quadrants(), "PDF"), "a PDF document"),
    ],
)
def test_other_files_are_called_by_their_name(content: bytes, kind: str) -> None:
    with pytest.raises(NotAnImage) as refusal:
        decode(content, DecodeLimits(), needed_side=64)

    assert refusal.value.message == f"The file is {kind}. Export it as JPEG, PNG, WebP or GIF and upload that."


@pytest.mark.parametrize("content", [b"hello, world", b"BM is a word", b"<?xml version='1.0'?><a/>", b"\0" * 2000])
def test_what_is_not_known_has_no_name(content: bytes) -> None:
    assert kind_of_other_file(content) is None


@pytest.mark.parametrize("content", [b"<" * 1_000_000, b"<?" * 500_000, b"\n" * 1_000_000, b"%PDF" * 250_000])
def test_only_the_beginning_is_looked_at(content: bytes) -> None:
    assert kind_of_other_file(content) is None
