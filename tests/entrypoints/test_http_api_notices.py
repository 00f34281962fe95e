"""Who is told, what waits to be told, what failed for good, and what is done again."""

from __future__ import annotations

import pytest

from lumitag.domain import Json
from lumitag.errors import NotificationRefused
from tests.entrypoints.conftest import Site
from tests.fakes import RecordingNotifier


def subscribe(site: Site, **fields: object) -> Json:
    body = {"channel": "mail", "address": "you@example.org", **fields}
    answer = site.client.post("/subscriptions", json=body)
    assert answer.status_code == 201, answer.text
    subscription: Json = answer.json()
    return subscription


def fail_for_good(site: Site) -> str:
    """Bury the message of one image; return the key of the image."""
    key = site.upload()
    queue = site.platform.pipeline.event_queue
    [message] = queue.receive(1, 0)
    queue.bury(message, "It never worked.")
    return key


def test_a_subscription_to_mail_has_no_secret(site: Site) -> None:
    made = subscribe(site, labels=["Dog"], minConfidence=80, frequency="daily")

    assert list(made) == ["id", "channel", "address", "labels", "minConfidence", "frequency", "createdTime"]
    assert made["labels"] == ["Dog"]
    assert site.client.get("/subscriptions").json() == {"subscriptions": [made]}


def test_the_secret_of_a_webhook_is_shown_once(site: Site) -> None:
    made = subscribe(site, channel="webhook", address="http://127.0.0.1:9999/hook")

    assert made.pop("secret").startswith("whsec_")
    assert site.client.get("/subscriptions").json() == {"subscriptions": [made]}


@pytest.mark.parametrize(
    "fields",
    [
        {"address": "nobody"},
        {"address": "a@b.example\r\nBcc: c@d.example"},
        {"channel": "webhook", "address": "ftp://example.org"},
        {"channel": "pigeon"},
        {"frequency": "never"},
        {"minConfidence": 101},
        {"labels": "Dog"},
        {"colour": "red"},
    ],
)
def test_a_subscription_that_cannot_work_is_refused(site: Site, fields: Json) -> None:
    answer = site.client.post("/subscriptions", json={"channel": "mail", "address": "you@example.org", **fields})

    assert answer.status_code == 400
    assert answer.json()["error"] in {"invalid_request", "invalid_subscription"}
    assert site.client.get("/subscriptions").json() == {"subscriptions": []}


def test_unsubscribing_ends_it(site: Site) -> None:
    made = subscribe(site)

    assert site.client.delete(f"/subscriptions/{made['id']}").status_code == 204
    again = site.client.delete(f"/subscriptions/{made['id']}")
    assert (again.status_code, again.json()["error"]) == (404, "subscription_not_found")
    assert site.client.get("/subscriptions").json() == {"subscriptions": []}


def test_the_outbox_shows_what_waits_to_be_told(site: Site) -> None:
    made = subscribe(site)
    key = site.recognized(fileName="dog.jpg")
    [waiting] = site.client.get("/outbox").json()["notifications"]

    assert set(waiting) == {"id", "subscriptionId", "key", "fileName", "dueTime", "attempts", "reason"}
    assert (waiting["subscriptionId"], waiting["key"], waiting["fileName"]) == (made["id"], key, "dog.jpg")


def test_a_dead_letter_says_what_failed_and_why(site: Site) -> None:
    key = fail_for_good(site)
    shown = site.client.get("/dead-letters").json()
    [letter] = shown["deadLetters"]

    assert set(letter) == {"id", "queue", "key", "reason", "receiveCount", "deadTime"}
    assert (letter["key"], letter["reason"]) == (key, "It never worked.")
    assert shown["nextCursor"] is None


def test_a_notification_that_was_refused_is_a_dead_letter_too(site: Site) -> None:
    made = subscribe(site, channel="webhook", address="http://127.0.0.1:9999/hook")
    key = site.recognized()
    site.platform.pipeline.notifiers.update(  # type: ignore[attr-defined]
        dict.fromkeys(site.platform.pipeline.notifiers, RecordingNotifier(error=NotificationRefused()))
    )
    site.platform.pipeline.notify(made["id"])

    assert [letter["key"] for letter in site.client.get("/dead-letters").json()["deadLetters"]] == [key]


def test_dead_letters_come_in_pages(site: Site) -> None:
    keys = {fail_for_good(site) for _ in range(3)}
    first = site.client.get("/dead-letters?limit=2").json()
    second = site.client.get("/dead-letters", params={"limit": 2, "cursor": first["nextCursor"]}).json()

    assert {letter["key"] for page in (first, second) for letter in page["deadLetters"]} == keys
    assert second["nextCursor"] is None


def test_a_redriven_dead_letter_is_delivered_again(site: Site) -> None:
    key = fail_for_good(site)
    [letter] = site.client.get("/dead-letters").json()["deadLetters"]
    answers = [site.client.post("/dead-letters", json={"ids": [letter["id"]]}).json() for _ in range(2)]

    assert answers == [{"redriven": 1, "keys": [key]}, {"redriven": 0, "keys": []}]
    site.recognize()
    assert site.client.get(f"/images/{key}").json()["status"] == "recognized"


def test_all_dead_letters_are_redriven_at_once(site: Site) -> None:
    keys = {fail_for_good(site) for _ in range(3)}
    answer = site.client.post("/dead-letters", json={"all": True}).json()

    assert answer["redriven"] == 3
    assert set(answer["keys"]) == keys


@pytest.mark.parametrize("body", [{}, {"all": False}, {"ids": []}, {"ids": ["x"], "all": True}, {"all": 1}, []])
def test_redriving_needs_to_be_said_clearly(shared_site: Site, body: Json) -> None:
    assert shared_site.client.post("/dead-letters", json=body).status_code == 400


@pytest.mark.parametrize(
    ("body", "queued"), [({}, 0), ({"every": True}, 2), ({"every": True, "label": ["Cat"]}, 1), ({"every": False}, 0)]
)
def test_relabelling_queues_what_was_asked_for(site: Site, body: Json, queued: int) -> None:
    site.recognized()
    site.recognizer.labels = site.recognizer.labels[:1]
    site.recognized()

    assert site.client.post("/relabel", json=body).json() == {"queued": queued}


def test_relabelling_finds_what_an_older_model_has_labelled(site: Site) -> None:
    site.recognized()
    site.recognizer.model_version = "fake-2"

    assert site.client.post("/relabel", json={}).json() == {"queued": 1}
