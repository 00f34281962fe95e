"""Images a second through the whole path: upload over HTTP, flushed, recognized, labels stored.

Usage: python -m benchmarks.whole_path [--images 200] [--clients 4] [--rounds 3] [FOLDER]

Without a folder it makes 2-megapixel photographs from those inside scikit-image.
Clients, server and recognizers share this machine's cores. Prints one row a round and the median.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from PIL import Image

from tests.photographs import PHOTOGRAPHS, jpeg_of, photograph
from tests.processes import Lumitag

TWO_MEGAPIXELS = (1632, 1224)


def main() -> None:
    """Run the rounds and print the table."""
    options = _options()
    images = _pictures(options.folder)
    print(f"{len(images)} images, {os.cpu_count()} cores, {options.clients} clients")
    print(f"{'images':>7} {'acknowledged/s':>15} {'recognized/s':>13} {'a day':>12}")
    rates = [_round(images, options.images, options.clients) for _ in range(options.rounds)]
    print(f"median {statistics.median(rates):.1f} images a second")


def _round(images: Sequence[bytes], count: int, clients: int) -> float:
    with tempfile.TemporaryDirectory() as folder, Lumitag(Path(folder) / "data", log_level="warning") as server:
        server.wait_for_end(_upload(server, images[0]))
        started = time.perf_counter()
        with ThreadPoolExecutor(clients) as pool:
            keys = list(
                pool.map(lambda image: _upload(server, image), itertools.islice(itertools.cycle(images), count))
            )
        acknowledged = time.perf_counter() - started
        _wait_for_all(server, len(keys) + 1)
        seconds = time.perf_counter() - started
    rate = count / seconds
    print(f"{count:7} {count / acknowledged:15.1f} {rate:13.1f} {rate * 86400:12,.0f}")
    return rate


def _upload(server: Lumitag, image: bytes) -> str:
    """Upload over one kept connection, as a client library would."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    body = json.dumps({"fileName": "image.jpg", "contentType": "image/jpeg", "size": len(image)})
    connection.request("POST", "/generate-upload-url", body, {"Content-Type": "application/json"})
    grant = json.loads(connection.getresponse().read())
    target = urlsplit(grant["uploadUrl"])
    connection.request("PUT", f"{target.path}?{target.query}", image, grant["headers"])
    answer = connection.getresponse()
    if answer.status not in {200, 201}:
        sys.exit(f"upload refused: {answer.status} {answer.read()!r}")
    answer.read()
    connection.close()
    return str(grant["key"])


def _wait_for_all(server: Lumitag, count: int) -> None:
    while f'lumitag_images{{status="recognized"}} {count}.0' not in server.send("GET", "/metrics")[1].decode():
        time.sleep(0.1)


def _pictures(folder: Path | None) -> list[bytes]:
    if folder is not None:
        return [path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix.lower() in {".jpg", ".jpeg"}]
    return [jpeg_of(photograph(name).resize(TWO_MEGAPIXELS, Image.Resampling.BICUBIC), 88) for name in PHOTOGRAPHS]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
