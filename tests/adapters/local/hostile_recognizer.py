"""A recognizer process that an image can make crash, hang or eat memory: what a decoder bug would do.

The image says what happens in its last bytes. It runs in place of the real process, with the same limits.
"""

import ctypes
import os
import socket
import sys
import time
from pathlib import Path

from lumitag.adapters.local import _recognizer_process
from lumitag.domain import Label, Recognition
from lumitag.recognition import embedded


class HostileRecognizer:
    """Obeys the last bytes of an image."""

    model_version = "hostile-1"

    def recognize(self, content: bytes) -> Recognition:
        """Return one label, or misbehave."""
        match content.rsplit(b"!", 1)[-1]:
            case b"segfault":
                ctypes.string_at(0)
            case b"exit":
                os._exit(0)
            case b"hang":
                while True:
                    time.sleep(1)
            case b"memory":
                bytearray(8 << 30)
            case b"raise":
                raise RuntimeError("a bug")
            case b"disk":
                with Path("/tmp/lumitag-should-not-exist").open("wb") as file:
                    file.write(b"x" * 100)
            case b"environment":
                return self._labels(*(name for name in os.environ if name.startswith("LUMITAG")))
            case call if call.startswith(b"call "):
                socket.create_connection(("127.0.0.1", int(call[5:])), timeout=1).close()
        return self._labels("Fine")

    def _labels(self, *names: str) -> Recognition:
        labels = tuple(Label(name, name, 99.0, categories=("Test",)) for name in names)
        return Recognition(labels, 100, 100, "embedded", self.model_version)


if __name__ == "__main__":
    embedded.EmbeddedRecognizer.load = lambda **_: HostileRecognizer()  # type: ignore[method-assign, assignment]
    _recognizer_process.main(sys.argv[1:])
