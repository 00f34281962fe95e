"""The commands for those who are told: subscriptions, what waits for them, and what could not be done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lumitag.domain import Channel, Frequency, Json
from lumitag.entrypoints.commands import options
from lumitag.entrypoints.commands.exit_codes import DONE
from lumitag.entrypoints.commands.opening import opened, settings_for, shown_confidence
from lumitag.entrypoints.commands.output import counted, note, write_lines, write_values
from lumitag.entrypoints.commands.views import DEAD_LETTERS, OUTBOX, SUBSCRIPTIONS
from lumitag.entrypoints.export import json_line
from lumitag.errors import InvalidRequest, InvalidSubscription

if TYPE_CHECKING:
    from lumitag.pipeline import Pipeline

app = typer.Typer()
dead_letters = typer.Typer(help="What failed for good: list it, or have it tried again.", no_args_is_help=False)
app.add_typer(dead_letters, name="dead-letters")


@app.command()
def subscribe(
    *,
    address: Annotated[
        str, typer.Argument(metavar="ADDRESS", help="An e-mail address or the http(s) URL of a webhook.")
    ],
    label: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="NAME", help="Only images with this label or another --label."),
    ] = None,
    min_confidence: Annotated[
        float | None,
        typer.Option(
            "--min-confidence",
            metavar="PERCENT",
            min=0,
            max=100,
            help="How sure a label has to be.  [default: the setting]",
        ),
    ] = None,
    frequency: Annotated[
        Frequency, typer.Option("--frequency", metavar="FREQUENCY", help=f"One of {', '.join(Frequency)}.")
    ] = Frequency.EACH,
    data: options.Data = None,
) -> int:
    """Tell an address about recognized images. The secret of a webhook is shown this once."""
    settings = settings_for(data=data)
    confidence = shown_confidence(settings, min_confidence)
    with opened(settings, create=True) as platform:
        subscription = platform.new_subscription(
            channel_of(address), address, tuple(label or ()), confidence, frequency
        )
        platform.pipeline.label_store.subscribe(subscription)
    secret = {"secret": subscription.secret} if subscription.secret else {}
    write_lines([json_line({**subscription.to_json(), **secret})])
    return DONE


@app.command()
def subscriptions(
    *,
    table: options.AsTable = False,
    json: options.AsJSON = False,
    jsonl: options.AsJSONL = False,
    csv: options.AsCSV = False,
    data: options.Data = None,
) -> int:
    """List who is told about which images."""
    output_format = options.output_format(table, json, jsonl, csv)
    with opened(settings_for(data=data)) as platform:
        values = [subscription.to_json() for subscription in platform.pipeline.label_store.subscriptions()]
    write_values(values, output_format, SUBSCRIPTIONS)
    return DONE


@app.command()
def unsubscribe(
    *,
    subscription_id: Annotated[str, typer.Argument(metavar="ID", help="Of the subscription.")],
    data: options.Data = None,
) -> int:
    """Stop telling a subscriber, also what waits already."""
    with opened(settings_for(data=data)) as platform:
        platform.pipeline.label_store.unsubscribe(subscription_id)
    return DONE


@app.command()
def outbox(
    *,
    limit: options.Limit = 50,
    table: options.AsTable = False,
    json: options.AsJSON = False,
    jsonl: options.AsJSONL = False,
    csv: options.AsCSV = False,
    data: options.Data = None,
) -> int:
    """List what waits to be told, next due first."""
    output_format = options.output_format(table, json, jsonl, csv)
    with opened(settings_for(data=data)) as platform:
        values = platform.outbox(limit)
    write_values(values, output_format, OUTBOX)
    return DONE


@dead_letters.command("list")
def list_dead_letters(
    *,
    limit: options.Limit = 50,
    table: options.AsTable = False,
    json: options.AsJSON = False,
    jsonl: options.AsJSONL = False,
    csv: options.AsCSV = False,
    data: options.Data = None,
) -> int:
    """List dead letters: images first, then notifications, each newest first."""
    output_format = options.output_format(table, json, jsonl, csv)
    with opened(settings_for(data=data)) as platform:
        values = _first_dead_letters(platform.pipeline, limit)
    write_values(values, output_format, DEAD_LETTERS)
    return DONE


@dead_letters.command()
def redrive(
    *,
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID", help="The ids of dead letters.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    data: options.Data = None,
) -> int:
    """Have dead letters tried again, with all their attempts; write the keys of their images."""
    if bool(ids) is every:
        raise InvalidRequest("Name dead letters by their ids, or all of them with --all.")
    with opened(settings_for(data=data)) as platform:
        keys = platform.pipeline.redrive(None if every else ids)
    write_lines(f"{key}\n" for key in keys)
    note(f"{counted(len(keys), 'dead letter')} redriven.")
    return DONE


def channel_of(address: str) -> Channel:
    """Return how an address is reached, by its look. Raises InvalidSubscription."""
    if address.lower().startswith(("http://", "https://")):
        return Channel.WEBHOOK
    if "@" in address and "://" not in address:
        return Channel.MAIL
    raise InvalidSubscription(f"{address} is neither an e-mail address nor an http(s) URL.")


def _first_dead_letters(pipeline: Pipeline, limit: int) -> list[Json]:
    found: list[Json] = []
    cursor: str | None = None
    while len(found) < limit:
        page = pipeline.dead_letters(min(limit - len(found), 1000), cursor)
        found += (letter.to_json() for letter in page.items)
        cursor = page.next_cursor
        if cursor is None:
            break
    return found
