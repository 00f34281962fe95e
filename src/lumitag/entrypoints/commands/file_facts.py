"""What identifies the content of a file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import BinaryIO, Final

_CHUNK_BYTES: Final = 1 << 18


@dataclass(frozen=True)
class FileFacts:
    """The length of a file in bytes and its sha256 in hexadecimal digits."""

    size: int
    sha256: str

    @classmethod
    def of(cls, file: BinaryIO) -> FileFacts:
        """Read a file to its end."""
        size, digest = 0, hashlib.sha256()
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
        return cls(size, digest.hexdigest())

    def damage_against(self, size: int, sha256: str | None) -> str | None:
        """Return what happened to a file that should have this size and sha256, or None."""
        if self.size < size:
            return "truncated"
        return "changed" if self.size > size or sha256 not in {None, self.sha256} else None
