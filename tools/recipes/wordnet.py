"""Reads the nouns of WordNet 3.0 (wndb(5WN)). Its byte offsets are the ids of the ImageNet classes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

_LICENCE_LINE: Final = "  "
_HYPERNYM_POINTERS: Final = frozenset({"@", "@i"})


@dataclass(frozen=True)
class Synset:
    """One meaning.

    Attributes:
        words: that have it, the most usual one first.
        hypernyms: ids of the broader meanings, one step up.
    """

    words: tuple[str, ...]
    hypernyms: tuple[str, ...]


@dataclass
class WordNet:
    """All noun meanings by id, such as `n02084071` for dog."""

    synsets: dict[str, Synset]
    _ancestors: dict[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def read(cls, content: bytes) -> WordNet:
        """Return the nouns of a `data.noun` file."""
        lines = (line for line in content.decode("latin-1").splitlines() if not line.startswith(_LICENCE_LINE))
        return cls({f"n{line[:8]}": _parse(line) for line in lines})

    def ancestors(self, synset: str) -> frozenset[str]:
        """Return the ids of all broader meanings, up to the root."""
        if synset not in self._ancestors:
            parents = self.synsets[synset].hypernyms
            self._ancestors[synset] = frozenset(parents).union(*(self.ancestors(parent) for parent in parents))
        return self._ancestors[synset]

    def is_scientific(self, name: str) -> bool:
        """Return whether a name is one of biology, such as `Canis familiaris`: its first word is a genus."""
        genus, _, species = name.partition(" ")
        return bool(species) and f"genus {genus}" in self._words

    @cached_property
    def _words(self) -> frozenset[str]:
        return frozenset(word for synset in self.synsets.values() for word in synset.words)


def _parse(line: str) -> Synset:
    """Return the synset of one line: offset, file, type, words (hexadecimal count), pointers (count), gloss."""
    fields = line.partition(" | ")[0].split()
    word_count = int(fields[3], 16)
    words = fields[4 : 4 + 2 * word_count : 2]
    pointers = fields[5 + 2 * word_count :]
    hypernyms = [
        f"n{target}"
        for symbol, target, part in zip(pointers[0::4], pointers[1::4], pointers[2::4], strict=False)
        if symbol in _HYPERNYM_POINTERS and part == "n"
    ]
    return Synset(tuple(re.sub(r"\(\w+\)$", "", word).replace("_", " ") for word in words), tuple(hypernyms))
