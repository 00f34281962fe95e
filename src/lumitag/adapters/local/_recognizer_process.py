"""The process that opens hostile bytes: it decodes and recognizes one image after the other and can do little else.

It is started by `_recognizer_link`, holds one end of a socket, and gets each image as an open file descriptor.
It may not write files, open many of them, grow beyond its memory limit, gain privileges or dump core;
where Linux allows it, it has no network; it dies with its parent.
Nothing it answers is trusted to be more than JSON or bytes of the announced length.

A request is `REQUEST` (kind, longest side of a thumbnail in pixels) with the descriptor attached;
an answer is `ANSWER` (kind, length) followed by that many bytes.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import socket
import struct
import sys
from pathlib import Path
from typing import Any, Final

from lumitag.errors import ImageTooLarge, LumitagError

REQUEST: Final = struct.Struct("!cI")
ANSWER: Final = struct.Struct("!cI")
RECOGNIZE: Final = b"r"
THUMBNAIL: Final = b"t"
READY: Final = b"+"
JSON_RESULT: Final = b"j"
BYTES_RESULT: Final = b"b"
REFUSED: Final = b"x"
BROKEN: Final = b"!"

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38
_CLONE_NEWUSER: Final = 0x1000_0000
_CLONE_NEWNET: Final = 0x4000_0000
_NICE: Final = 3  # Uploads are acknowledged first; recognizing them comes second.


def main(arguments: list[str]) -> None:
    """Serve images from the socket whose descriptor is given until the other end closes it."""
    channel = socket.socket(fileno=int(arguments[0]))
    options = json.loads(arguments[1])
    _give_up_powers(options["memory_bytes"])
    try:
        server = _Server(channel, options)
    except LumitagError as error:  # The parent cannot see why else: nobody reads our last words on standard error.
        channel.sendall(_refusal(error))
        sys.exit(1)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        server.announce()
        _silence_native_warnings()
        while server.serve_one():
            pass


class _Server:
    """Answers requests with the embedded recognizer, one at a time."""

    def __init__(self, channel: socket.socket, options: dict[str, Any]) -> None:
        # Imported here, after the limits are in place, so that they bind the native libraries as well.
        from lumitag.recognition.decode import DecodeLimits, thumbnail  # noqa: PLC0415
        from lumitag.recognition.embedded import EmbeddedRecognizer  # noqa: PLC0415

        self._channel = channel
        self._max_bytes = int(options["max_bytes"])
        self._limits = DecodeLimits(
            max_pixels=int(options["max_pixels"]),
            max_side=int(options["max_side_px"]),
            min_side=int(options["min_side_px"]),
        )
        self._recognizer = EmbeddedRecognizer.load(
            floor_percent=options["floor_percent"],
            limits=self._limits,
            classifier_model=_path(options.get("classifier_model")),
            detector_model=_path(options.get("detector_model")),
            labels_file=_path(options.get("labels_file")),
            image_properties=options.get("image_properties", True),
        )
        self._thumbnail = thumbnail

    def announce(self) -> None:
        """Tell the parent that the models are loaded, and which they are."""
        self._answer(READY, self._recognizer.model_version.encode())

    def serve_one(self) -> bool:
        """Answer one request; return False when the parent has gone."""
        header, descriptors, _, _ = socket.recv_fds(self._channel, REQUEST.size, 1)
        if len(header) < REQUEST.size or not descriptors:
            return False
        kind, side_px = REQUEST.unpack(header)
        try:
            self._work(kind, descriptors[0], side_px)
        finally:
            os.close(descriptors[0])
        return True

    def _work(self, kind: bytes, descriptor: int, side_px: int) -> None:
        try:
            content = _read_whole(descriptor, self._max_bytes)
            if kind == RECOGNIZE:
                self._answer(JSON_RESULT, _to_bytes(self._recognizer.recognize(content).to_json()))
            else:
                self._answer(BYTES_RESULT, self._thumbnail(content, side_px, self._limits))
        except LumitagError as error:
            self._channel.sendall(_refusal(error))
        except MemoryError:
            self._answer(BROKEN, b"The recognizer ran out of memory on this image.")
            sys.exit(1)  # After a failed allocation nothing in this process is to be relied on.
        except Exception as error:  # noqa: BLE001 - whatever a decoder does to one image, the parent must hear of it
            self._answer(BROKEN, f"The recognizer failed on this image: {type(error).__name__}: {error}".encode())

    def _answer(self, kind: bytes, payload: bytes) -> None:
        self._channel.sendall(_framed(kind, payload))


def _path(name: str | None) -> Path | None:
    return None if name is None else Path(name)


def _framed(kind: bytes, payload: bytes) -> bytes:
    return ANSWER.pack(kind, len(payload)) + payload


def _refusal(error: LumitagError) -> bytes:
    return _framed(REFUSED, _to_bytes({"code": error.code, "message": error.message}))


def _read_whole(descriptor: int, max_bytes: int) -> bytes:
    size = os.fstat(descriptor).st_size
    if size > max_bytes:
        raise ImageTooLarge(f"The image has {size:,} bytes, the most that is read is {max_bytes:,}.")
    parts, offset = [], 0
    while offset < size and (part := os.pread(descriptor, size - offset, offset)):
        parts.append(part)
        offset += len(part)
    return b"".join(parts)


def _to_bytes(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _give_up_powers(memory_bytes: int) -> None:
    """Limit what a taken-over decoder could do. Ctrl-C and a polite stop are the parent's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with contextlib.suppress(OSError):  # When the machine runs out of memory, this process goes, not its parent.
        Path("/proc/self/oom_score_adj").write_text("1000", "ascii")
    for limit, value in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 64),
    ):
        resource.setrlimit(limit, (value, value))
    with contextlib.suppress(OSError):
        os.nice(_NICE)
    if sys.platform == "linux":
        system = ctypes.CDLL(None, use_errno=True)
        # An empty network: root may have one, others only together with a user namespace, and some systems refuse.
        if system.unshare(_CLONE_NEWNET) != 0:
            system.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
        system.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        # Last, because a new user namespace makes the kernel forget it.
        system.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _silence_native_warnings() -> None:
    """Drop what decoders print about damaged images: its text comes from the image."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)


if __name__ == "__main__":
    main(sys.argv[1:])
