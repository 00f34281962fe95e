"""Who is told, what waits to be told, what failed for good, and what is to be done again."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query

from lumitag.domain import Channel, Frequency
from lumitag.entrypoints.http.answers import (
    DeadLettersAnswer,
    NewSubscriptionAnswer,
    OutboxAnswer,
    QueuedAnswer,
    RedrivenAnswer,
    SubscriptionsAnswer,
)
from lumitag.entrypoints.http.schemas import (
    Cursor,
    RedriveAllBody,
    RedriveSomeBody,
    RelabelBody,
    SubscriptionBody,
)
from lumitag.entrypoints.http.served import Answer, ServedHere

router: Final = APIRouter(tags=["notices"])

Limit = Annotated[int, Query(ge=1, le=1000, description="At most this many.")]


@router.get("/subscriptions", response_model=SubscriptionsAnswer)
def list_subscriptions(served: ServedHere) -> Answer:
    """Return all subscriptions, oldest first, without their secrets."""
    subscriptions = served.pipeline.label_store.subscriptions()
    return Answer({"subscriptions": [subscription.to_json() for subscription in subscriptions]})


@router.post("/subscriptions", status_code=201, response_model=NewSubscriptionAnswer)
def subscribe(body: SubscriptionBody, served: ServedHere) -> Answer:
    """Tell an address about the images that will be recognized from now on."""
    subscription = served.platform.new_subscription(
        Channel(body.channel), body.address, tuple(body.labels), body.min_confidence, Frequency(body.frequency)
    )
    served.pipeline.label_store.subscribe(subscription)
    secret = {"secret": subscription.secret} if subscription.secret else {}
    return Answer({**subscription.to_json(), **secret}, 201)


@router.delete("/subscriptions/{id}", status_code=204)
def unsubscribe(
    subscription_id: Annotated[str, Path(alias="id", description="Of the subscription.")], served: ServedHere
) -> None:
    """Forget a subscription and what waits to be told to it."""
    served.pipeline.label_store.unsubscribe(subscription_id)


@router.get("/outbox", response_model=OutboxAnswer)
def list_outbox(served: ServedHere, limit: Limit = 50) -> Answer:
    """Return the notifications that wait to be delivered, next due first."""
    return Answer({"notifications": served.platform.outbox(limit)})


@router.get("/dead-letters", response_model=DeadLettersAnswer)
def list_dead_letters(
    served: ServedHere,
    limit: Limit = 50,
    cursor: Annotated[Cursor | None, Query(description="The `nextCursor` of the page before.")] = None,
) -> Answer:
    """Return what failed for good: images first, then notifications, each newest first."""
    page = served.pipeline.dead_letters(limit, cursor)
    return Answer({"deadLetters": [letter.to_json() for letter in page.items], "nextCursor": page.next_cursor})


@router.post("/dead-letters", response_model=RedrivenAnswer)
def redrive(body: RedriveSomeBody | RedriveAllBody, served: ServedHere) -> Answer:
    """Deliver dead letters again, with all their attempts before them. Those that are gone already are left out."""
    keys = served.pipeline.redrive(body.ids if isinstance(body, RedriveSomeBody) else None)
    return Answer({"redriven": len(keys), "keys": keys})


@router.post("/relabel", response_model=QueuedAnswer)
def relabel(body: RelabelBody, served: ServedHere) -> Answer:
    """Queue images to be recognized again: those that another model has labelled, or every one."""
    query = body.query(served.settings.min_confidence_percent, limit=500)
    return Answer({"queued": served.pipeline.relabel(query, body.every)})
