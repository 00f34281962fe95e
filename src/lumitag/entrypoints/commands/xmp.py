"""XMP sidecars: labels as keywords beside an image, for Lightroom, darktable, digiKam and the like.

The keywords are `dc:subject`, the paths `Lumitag|Animal|Cat` are `lr:hierarchicalSubject`; both are bags
(XMP Specification Part 2; https://github.com/darktable-org/darktable/issues/4095 is what a sequence leads to).
What others wrote stays. Which keywords are ours is kept in `lumitag:keywords`, so that a second run can
take back those that it no longer finds, and never one that a person had set.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final
from xml.dom import minidom
from xml.parsers import expat

from lumitag.domain import Label

_X: Final = "adobe:ns:meta/"
_RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_DC: Final = "http://purl.org/dc/elements/1.1/"
_LR: Final = "http://ns.adobe.com/lightroom/1.0/"
_OURS: Final = "urn:lumitag:xmp/"
_XMLNS: Final = "http://www.w3.org/2000/xmlns/"
_ROOT: Final = "Lumitag"
_MAX_SIDECAR_BYTES: Final = 16 << 20
_EMPTY: Final = (
    f'<x:xmpmeta xmlns:x="{_X}"><rdf:RDF xmlns:rdf="{_RDF}"><rdf:Description rdf:about=""/></rdf:RDF></x:xmpmeta>'
).encode()
_HEAD: Final = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
_TAIL: Final = '\n<?xpacket end="w"?>\n'


class SidecarDamagedError(Exception):
    """There is a sidecar already that is not XMP: it is left as it is."""


def sidecar_path(image: Path) -> Path:
    """Return where the sidecar of an image lies: `cat.jpg.xmp`."""
    return image.with_name(f"{image.name}.xmp")


def write_sidecar(image: Path, labels: Sequence[Label]) -> bool:
    """Merge the labels into the sidecar of an image, all at once; return whether anything changed.

    Raises OSError or SidecarDamagedError.
    """
    path = sidecar_path(image)
    before = _read(path)
    after = merged(_EMPTY if before is None else before, labels)
    if before is not None and after == before:
        return False
    _replace(path, after)
    return True


def merged(sidecar: bytes, labels: Sequence[Label]) -> bytes:
    """Return the sidecar with the labels in it. Raises SidecarDamagedError."""
    keywords = _Keywords(_parsed(sidecar))
    names = [label.name for label in labels]
    ours_before = keywords.of(_OURS, "keywords")
    foreign = [subject for subject in keywords.of(_DC, "subject") if subject not in ours_before]
    paths = [path for path in keywords.of(_LR, "hierarchicalSubject") if path.partition("|")[0] != _ROOT]
    keywords.put(_DC, "dc:subject", _distinct([*foreign, *names]))
    keywords.put(_LR, "lr:hierarchicalSubject", _distinct([*paths, *label_paths(labels)]))
    keywords.put(_OURS, "lumitag:keywords", [name for name in names if name not in foreign])
    return keywords.to_bytes()


def label_paths(labels: Sequence[Label]) -> list[str]:
    """Return each label below its broader ones, the broadest first: `Lumitag|Animal|Cat`."""
    depths = {label.name: len(label.parents) for label in labels}
    return [
        "|".join((_ROOT, *sorted(label.parents, key=lambda parent: depths.get(parent, 0)), label.name))
        for label in labels
    ]


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_SIDECAR_BYTES + 1)
    except FileNotFoundError:
        return None
    if len(content) > _MAX_SIDECAR_BYTES:
        raise SidecarDamagedError("it is larger than any sidecar")
    return content


def _parsed(sidecar: bytes) -> minidom.Document:
    guard = expat.ParserCreate()
    guard.StartDoctypeDeclHandler = _refuse_document_type
    try:
        guard.Parse(sidecar, True)
        return minidom.parseString(sidecar)  # noqa: S318 - see _refuse_document_type
    except expat.ExpatError as error:
        raise SidecarDamagedError(str(error)) from error


def _refuse_document_type(*_declaration: object) -> None:
    """Entities could read other files or fill the memory; XMP needs none."""
    raise SidecarDamagedError("it declares a document type")


class _Keywords:
    """The bags of keywords in one sidecar; everything else in it stays as it is."""

    def __init__(self, document: minidom.Document) -> None:
        root, rdf = document.documentElement, _first(document, _RDF, "RDF")
        if root is None or rdf is None:
            raise SidecarDamagedError("it holds no rdf:RDF")
        self._document = document
        self._root = root
        self._rdf = rdf

    def of(self, namespace: str, name: str) -> list[str]:
        """Return the items of a property, whatever container holds them."""
        found = _first(self._rdf, namespace, name)
        return [] if found is None else _items(found)

    def put(self, namespace: str, qualified_name: str, values: Sequence[str]) -> None:
        """Make the items of a property these, in a bag."""
        before = _first(self._rdf, namespace, qualified_name.partition(":")[2])
        if before is not None and _first(before, _RDF, "Bag") is not None and _items(before) == list(values):
            return
        if before is not None and before.parentNode is not None:
            before.parentNode.removeChild(before)
        if values:
            self._description().appendChild(self._new_bag(namespace, qualified_name, values))

    def to_bytes(self) -> bytes:
        """Return the whole sidecar."""
        return (_HEAD + self._root.toxml() + _TAIL).encode()

    def _new_bag(self, namespace: str, qualified_name: str, values: Sequence[str]) -> minidom.Element:
        holder = self._document.createElementNS(namespace, qualified_name)
        holder.setAttributeNS(_XMLNS, f"xmlns:{qualified_name.partition(':')[0]}", namespace)
        bag = holder.appendChild(self._new_rdf("Bag"))
        for value in values:
            bag.appendChild(self._new_rdf("li")).appendChild(self._document.createTextNode(value))
        return holder

    def _description(self) -> minidom.Element:
        return _first(self._rdf, _RDF, "Description") or self._rdf.appendChild(self._new_rdf("Description"))

    def _new_rdf(self, name: str) -> minidom.Element:
        """Return an element with the prefix that this document uses for RDF."""
        return self._document.createElementNS(_RDF, f"{self._rdf.prefix}:{name}" if self._rdf.prefix else name)


def _first(within: minidom.Document | minidom.Element, namespace: str, name: str) -> minidom.Element | None:
    return next(iter(within.getElementsByTagNameNS(namespace, name)), None)


def _items(holder: minidom.Element) -> list[str]:
    return [_text(item) for item in holder.getElementsByTagNameNS(_RDF, "li")]


def _text(item: minidom.Element) -> str:
    return "".join(node.data for node in item.childNodes if isinstance(node, minidom.Text))


def _distinct(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _replace(path: Path, content: bytes) -> None:
    """Write the whole file or leave the old one."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with draft.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
