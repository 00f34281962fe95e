"""The contract of the Notifier port: one suite for every adapter and the fake."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lumitag.adapters.local.notifier import SMTPNotifier, WebhookNotifier
from lumitag.domain import Channel, Subscription
from lumitag.events import NotificationDue
from lumitag.ports import Notifier
from tests.contracts.notifier_receivers import (
    BASE_URL,
    MailSink,
    WebSink,
    mail_sink,
    notification,
    subscription,
    web_sink,
)
from tests.fakes import RecordingNotifier


@dataclass
class Told:
    """What a subscriber got: the id that repetitions share, and everything that is said."""

    id: str
    text: str


@dataclass
class Outlet:
    """A notifier, a subscription that it can serve, and what arrived at the other end."""

    notifier: Notifier
    subscription: Subscription
    told: Callable[[], list[Told]]


def _mails(sink: MailSink) -> list[Told]:
    return [Told(mail["Message-ID"], mail.get_body(("plain",)).get_content()) for mail in sink.mails]  # type: ignore[union-attr]


def _calls(sink: WebSink) -> list[Told]:
    return [Told(call.headers["webhook-id"], json.dumps(json.loads(call.body)["data"])) for call in sink.calls]


def _recorded(fake: RecordingNotifier) -> list[Told]:
    return [Told(due.id, _words(to, due)) for to, due in fake.sent]


def _words(to: Subscription, due: NotificationDue) -> str:
    shown = [label.name for label in due.image.labels if label.confidence >= to.min_confidence]
    return " ".join([due.key, due.image.file_name, *shown])


@pytest.fixture(params=["fake", "smtp", "webhook"])
def outlet(request: pytest.FixtureRequest) -> Iterator[Outlet]:
    match request.param:
        case "fake":
            fake = RecordingNotifier()
            yield Outlet(fake, subscription(Channel.MAIL, "you@example.com"), lambda: _recorded(fake))
        case "smtp":
            with mail_sink() as sink:
                mailer = SMTPNotifier(
                    sink.host, sink.port, security="none", sender="lumitag@example.com", base_url=BASE_URL, timeout_s=10
                )
                yield Outlet(mailer, subscription(Channel.MAIL, "you@example.com"), lambda: _mails(sink))
        case "webhook":
            with web_sink() as web:
                caller = WebhookNotifier(allow_private=True, base_url=BASE_URL, timeout_s=10, user_agent="Lumitag/test")
                yield Outlet(caller, subscription(Channel.WEBHOOK, web.url()), lambda: _calls(web))


def test_tells_which_labels_are_in_which_image(outlet: Outlet) -> None:
    due = notification(outlet.subscription, "Cat", "Animal", file_name="holiday.jpg")
    outlet.notifier.notify(outlet.subscription, [due])
    [told] = outlet.told()
    for word in (due.key, "holiday.jpg", "Cat", "Animal"):
        assert word in told.text


def test_labels_below_the_subscribers_confidence_are_not_mentioned(outlet: Outlet) -> None:
    outlet.notifier.notify(outlet.subscription, [notification(outlet.subscription)])
    [told] = outlet.told()
    assert "Faint" not in told.text


def test_tells_about_every_image_it_is_given(outlet: Outlet) -> None:
    due = [notification(outlet.subscription, file_name=f"{number}.jpg") for number in range(5)]
    outlet.notifier.notify(outlet.subscription, due)
    text = " ".join(told.text for told in outlet.told())
    assert all(notification.key in text for notification in due)


def test_nothing_to_tell_is_nothing_sent(outlet: Outlet) -> None:
    outlet.notifier.notify(outlet.subscription, [])
    assert outlet.told() == []


def test_a_repetition_carries_the_same_id(outlet: Outlet) -> None:
    due = notification(outlet.subscription)
    outlet.notifier.notify(outlet.subscription, [due])
    outlet.notifier.notify(outlet.subscription, [NotificationDue.from_json(due.to_json())])
    first, second = outlet.told()
    assert first.id == second.id


def test_two_images_carry_different_ids(outlet: Outlet) -> None:
    for _ in range(2):
        outlet.notifier.notify(outlet.subscription, [notification(outlet.subscription)])
    first, second = outlet.told()
    assert first.id != second.id


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(file_name=st.text(st.characters(exclude_categories=()), max_size=255), label=st.text(min_size=1, max_size=60))
def test_no_name_is_too_strange_to_be_told(outlet: Outlet, file_name: str, label: str) -> None:
    before = len(outlet.told())
    due = notification(outlet.subscription, label, file_name=file_name)
    outlet.notifier.notify(outlet.subscription, [due])
    told = outlet.told()[before:]
    assert [due.key in one.text for one in told] == [True]
