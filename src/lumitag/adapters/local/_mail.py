"""What a mail says: which labels were found in which images, as text and as quiet HTML.

Names come from strangers. They stand in the body only, on one line each, and never in a header.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Sequence
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from typing import Final

from lumitag.adapters.local._links import image_link, thumbnail_link
from lumitag.domain import Subscription, visible_labels
from lumitag.events import ImageRecognized, NotificationDue

_MOST_IMAGES: Final = 200  # a longer digest would outgrow what mail servers take; the page shows the rest
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9-]{1,64}")


def compose(
    subscription: Subscription,
    notifications: Sequence[NotificationDue],
    sender: str,
    base_url: str,
    sent_time: datetime,
) -> EmailMessage:
    """Return one mail about all `notifications`. `sender` and the subscription's address are validated already.

    Every repetition carries the same Message-ID.
    """
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = subscription.address
    message["Subject"] = f"Lumitag: labels for {_count(notifications)}"
    message["Date"] = sent_time
    message["Message-ID"] = f"<{_stable_id(notifications)}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation reply, please
    _trace(message, notifications)
    images = [notification.image for notification in notifications[:_MOST_IMAGES]]
    more = len(notifications) - len(images)
    message.set_content(_text(subscription, images, more, base_url), cte="quoted-printable")
    message.add_alternative(_html(subscription, images, more, base_url), subtype="html", cte="quoted-printable")
    return message


def _count(notifications: Sequence[NotificationDue]) -> str:
    return "1 image" if len(notifications) == 1 else f"{len(notifications)} images"


def _stable_id(notifications: Sequence[NotificationDue]) -> str:
    ids = "\n".join(sorted(notification.id for notification in notifications))
    return hashlib.sha256(ids.encode()).hexdigest()[:32]


def _trace(message: EmailMessage, notifications: Sequence[NotificationDue]) -> None:
    """Name the request that uploaded the image, so that a mail can be followed back through the logs."""
    if len(notifications) == 1 and _REQUEST_ID.fullmatch(notifications[0].request_id):
        message["X-Request-ID"] = notifications[0].request_id


def _text(subscription: Subscription, images: Sequence[ImageRecognized], more: int, base_url: str) -> str:
    blocks = [_text_block(subscription, image, base_url) for image in images]
    if more:
        blocks.append(f"And {more} more: {base_url}/")
    told = f"{base_url}/#/told"
    blocks.append(f"-- \nYou get this mail because this address is subscribed at {told} - unsubscribe there.")
    return "\n\n".join(blocks) + "\n"


def _text_block(subscription: Subscription, image: ImageRecognized, base_url: str) -> str:
    return (
        f"{_one_line(image.file_name)}\n"
        f"  {_labels(subscription, image)}\n"
        f"  Image:     {image_link(base_url, image.key)}\n"
        f"  Thumbnail: {thumbnail_link(base_url, image.key)}"
    )


def _html(subscription: Subscription, images: Sequence[ImageRecognized], more: int, base_url: str) -> str:
    blocks = "".join(_html_block(subscription, image, base_url) for image in images)
    page, told = html.escape(f"{base_url}/"), html.escape(f"{base_url}/#/told")
    rest = f'<p>And <a href="{page}">{more} more</a>.</p>\n' if more else ""
    return (
        '<!DOCTYPE html>\n<html lang="en"><body style="font-family: sans-serif; line-height: 1.5">\n'
        f"{blocks}{rest}"
        '<p style="color: #666; font-size: 0.85em">You get this mail because this address is subscribed at '
        f'<a href="{told}">{told}</a> - unsubscribe there.</p>\n</body></html>\n'
    )


def _html_block(subscription: Subscription, image: ImageRecognized, base_url: str) -> str:
    name = html.escape(_one_line(image.file_name))
    # The thumbnail is a link, not an image: opening a mail must not call anybody.
    return (
        f'<p><a href="{html.escape(image_link(base_url, image.key))}">{name}</a><br>\n'
        f"{html.escape(_labels(subscription, image))}<br>\n"
        f'<a href="{html.escape(thumbnail_link(base_url, image.key))}">Thumbnail</a></p>\n'
    )


def _labels(subscription: Subscription, image: ImageRecognized) -> str:
    shown = visible_labels(image.labels, subscription.min_confidence)
    return ", ".join(f"{_one_line(label.name)} ({label.confidence:.0f} %)" for label in shown) or "no labels"


def _one_line(name: str) -> str:
    """Return `name` without line breaks and other characters that could dress one line up as another."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in name)
