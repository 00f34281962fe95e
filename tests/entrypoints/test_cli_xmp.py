"""XMP sidecars: our keywords go in and out, those of others stay."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from lumitag.domain import Label
from lumitag.entrypoints.commands import label_command, xmp
from lumitag.entrypoints.commands.xmp import SidecarDamagedError, label_paths, merged, write_sidecar
from tests.entrypoints.test_cli import ANIMAL, CAT, PET, FakePool, a_jpeg, isolate, run

RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
SUBJECT = "{http://purl.org/dc/elements/1.1/}subject"
HIERARCHY = "{http://ns.adobe.com/lightroom/1.0/}hierarchicalSubject"

# As darktable and Lightroom write them, with the sequence of older programs.
FOREIGN = b"""<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
 <rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="5"
   xmlns:darktable="http://darktable.sf.net/" darktable:history_end="3">
  <dc:subject xmlns:dc="http://purl.org/dc/elements/1.1/"><rdf:Seq><rdf:li>holiday</rdf:li><rdf:li>Cat</rdf:li></rdf:Seq></dc:subject>
  <lr:hierarchicalSubject xmlns:lr="http://ns.adobe.com/lightroom/1.0/"><rdf:Bag><rdf:li>places|Rome</rdf:li></rdf:Bag></lr:hierarchicalSubject>
  <!-- a comment -->
 </rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""


@pytest.fixture(autouse=True)
def isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    isolate(monkeypatch, tmp_path)


def items(sidecar: bytes, name: str) -> list[str | None]:
    return [item.text for item in ET.fromstring(sidecar).iterfind(f".//{name}/{RDF}Bag/{RDF}li")]


def test_labels_become_keywords_and_paths_in_bags() -> None:
    sidecar = merged(xmp._EMPTY, [ANIMAL, CAT, PET])

    assert items(sidecar, SUBJECT) == ["Animal", "Cat", "Pet"]
    assert items(sidecar, HIERARCHY) == ["Lumitag|Animal", "Lumitag|Animal|Pet|Cat", "Lumitag|Animal|Pet"]


def test_the_broadest_parent_comes_first() -> None:
    feline = Label("Feline", "n02120997", 99.0, ("Animal", "Mammal"))
    mammal = Label("Mammal", "n01861778", 99.0, ("Animal",))
    cat = Label("Cat", "n02121620", 98.0, ("Animal", "Feline", "Mammal"))

    assert label_paths([ANIMAL, mammal, feline, cat])[-1] == "Lumitag|Animal|Mammal|Feline|Cat"


def test_what_others_wrote_stays() -> None:
    sidecar = merged(FOREIGN, [ANIMAL, CAT])

    assert items(sidecar, SUBJECT) == ["holiday", "Cat", "Animal"]
    assert items(sidecar, HIERARCHY) == ["places|Rome", "Lumitag|Animal", "Lumitag|Animal|Pet|Cat"]
    for kept in (b'xmp:Rating="5"', b'darktable:history_end="3"', b"<!-- a comment -->"):
        assert kept in sidecar


def test_a_later_run_takes_back_only_what_was_ours() -> None:
    sidecar = merged(merged(FOREIGN, [ANIMAL, CAT]), [PET])

    assert items(sidecar, SUBJECT) == ["holiday", "Cat", "Pet"]
    assert items(sidecar, HIERARCHY) == ["places|Rome", "Lumitag|Animal|Pet"]
    assert items(merged(sidecar, []), SUBJECT) == ["holiday", "Cat"]


def test_the_same_labels_change_nothing(tmp_path: Path) -> None:
    image = a_jpeg(tmp_path, "cat.jpg")
    sidecar = tmp_path / "cat.jpg.xmp"

    assert write_sidecar(image, [ANIMAL, CAT]) is True
    before = sidecar.stat()
    assert write_sidecar(image, [ANIMAL, CAT]) is False
    assert sidecar.stat() == before


def test_a_name_with_markup_is_only_text() -> None:
    assert items(merged(xmp._EMPTY, [Label("<a> & ]]>", "x", 99.0)]), SUBJECT) == ["<a> & ]]>"]


@pytest.mark.parametrize(
    "sidecar",
    [
        b"no XML",
        b"",
        b"<html/>",
        b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + xmp._EMPTY,
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>' + xmp._EMPTY,
    ],
)
def test_a_damaged_or_dangerous_sidecar_is_left_as_it_is(
    sidecar: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = a_jpeg(tmp_path, "cat.jpg")
    (tmp_path / "cat.jpg.xmp").write_bytes(sidecar)
    with pytest.raises(SidecarDamagedError):
        merged(sidecar, [CAT])

    monkeypatch.setattr(label_command, "build_recognizer_pool", lambda _settings: FakePool())
    result = run("label", image, "--xmp")

    assert result.code == 1
    assert '"error":"sidecar_unwritable"' in result.out
    assert (tmp_path / "cat.jpg.xmp").read_bytes() == sidecar


def test_label_writes_the_labels_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_command, "build_recognizer_pool", lambda _settings: FakePool())

    assert run("label", a_jpeg(tmp_path, "cat.jpg"), "--xmp", "--max-labels", 2).code == 0

    assert items((tmp_path / "cat.jpg.xmp").read_bytes(), SUBJECT) == ["Animal", "Cat"]
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["cat.jpg", "cat.jpg.xmp"]


def test_a_write_that_fails_leaves_the_old_sidecar_and_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = a_jpeg(tmp_path, "cat.jpg")
    (tmp_path / "cat.jpg.xmp").write_bytes(FOREIGN)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lumitag.entrypoints.commands.xmp.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_sidecar(image, [CAT])

    assert (tmp_path / "cat.jpg.xmp").read_bytes() == FOREIGN
    assert len(list(tmp_path.iterdir())) == 2
