"""One image through the real process tree, told by the log: a search for its request id shows the whole story."""

from __future__ import annotations

import json
from pathlib import Path

from tests.photographs import jpeg_of, photograph
from tests.processes import Lumitag, wait_until
from tests.reliability.test_kills import Receiver


def test_one_request_id_leads_from_the_upload_to_the_notification(tmp_path: Path) -> None:
    receiver = Receiver()
    with Lumitag(tmp_path / "data") as server:
        server.call("POST", "/subscriptions", {"channel": "webhook", "address": receiver.url, "labels": ["cat"]})
        key = server.upload("my secret cat.jpg", jpeg_of(photograph("cat")))
        wait_until(lambda: receiver.keys()[key], 30, lambda: "nobody was told")
    receiver.close()

    text = server.log.read_text()
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    [request_id] = {line["request_id"] for line in lines if line.get("key") == key}
    story = [line["event"] for line in lines if line.get("key") == key]
    # Whether the stored image is noted before or after it is recognized is a matter of threads.
    assert sorted(story) == ["image_recognized", "image_stored", "notification_delivered", "upload_accepted"]
    assert (story[0], story[-1]) == ("upload_accepted", "notification_delivered")
    assert any(line["event"] == "http_request" and line["request_id"] == request_id for line in lines)
    assert "secret" not in text
