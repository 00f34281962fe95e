"""How the values of each kind stand in a table and in CSV."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lumitag.domain import Json
from lumitag.entrypoints.commands.output import View
from lumitag.entrypoints.commands.tables import label_summary, printable, table_lines

_MOST_COLORS: Final = 5
UPLOADS: Final = View(
    ("file", "key", "error", "message"),
    {"FILE": lambda value: value["file"], "KEY": lambda value: value.get("key") or value["message"]},
)
IMAGES: Final = View(
    (),  # The CSV of images is the one of `lumitag export`.
    {
        "KEY": lambda value: value["key"],
        "UPLOADED": lambda value: minute(value["uploadTime"]),
        "STATUS": lambda value: value["status"],
        "FILE": lambda value: value["fileName"],
        "LABELS": lambda value: value["reason"] or label_summary(value["labels"]),
    },
)
SUBSCRIPTIONS: Final = View(
    ("id", "channel", "address", "labels", "minConfidence", "frequency", "createdTime"),
    {
        "ID": lambda value: value["id"],
        "ADDRESS": lambda value: value["address"],
        "LABELS": lambda value: ", ".join(value["labels"]) or "(all)",
        "CONFIDENCE": lambda value: f"{value['minConfidence']:g}",
        "FREQUENCY": lambda value: value["frequency"],
    },
)
OUTBOX: Final = View(
    ("id", "subscriptionId", "key", "fileName", "dueTime", "attempts", "reason"),
    {
        "DUE": lambda value: minute(value["dueTime"]),
        "SUBSCRIPTION": lambda value: value["subscriptionId"],
        "FILE": lambda value: value["fileName"],
        "ATTEMPTS": lambda value: str(value["attempts"]),
        "REASON": lambda value: value["reason"] or "",
    },
)
DEAD_LETTERS: Final = View(
    ("id", "queue", "key", "reason", "receiveCount", "deadTime"),
    {
        "ID": lambda value: value["id"],
        "QUEUE": lambda value: value["queue"],
        "DEAD": lambda value: minute(value["deadTime"]),
        "KEY": lambda value: value["key"],
        "REASON": lambda value: value["reason"],
    },
)
LABELS: Final = View(
    ("name", "concept", "parents", "aliases", "categories"),
    {
        "LABEL": lambda value: value["name"],
        "CONCEPT": lambda value: value["concept"],
        "PARENTS": lambda value: _text(value["parents"]),
        "ALIASES": lambda value: _text(value["aliases"]),
        "CATEGORIES": lambda value: _text(value["categories"]),
    },
)
LABEL_CHANGES: Final = View(
    ("label", "concept", "property", "before", "after"),
    {
        "LABEL": lambda value: value["label"],
        "PROPERTY": lambda value: value["property"],
        "BEFORE": lambda value: _text(value["before"]),
        "AFTER": lambda value: _text(value["after"]),
    },
)
SETTINGS: Final = View(
    ("name", "value", "source"),
    {
        "SETTING": lambda value: value["name"],
        "VALUE": lambda value: value["value"],
        "FROM": lambda value: value["source"],
    },
)


def _text(value: list[str] | str | bool | None) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(value)
    return value or ""


def image_page(record: Json) -> Iterator[str]:
    """Yield what is known of one image, for a person to read."""
    facts = {name: value for name, value in record.items() if name not in {"labels", "properties"}}
    yield from _fact_lines({**facts, **_properties(record.get("properties"))})
    if record["labels"]:
        yield "\n"
        yield from table_lines(("LABEL", "CONFIDENCE", "PARENTS", "INSTANCES"), map(_label_row, record["labels"]))


def minute(time: str | None) -> str:
    """Return a time of JSON to the minute: `2026-11-23 12:00`."""
    return "" if time is None else time[:16].replace("T", " ")


def _properties(properties: Json | None) -> Json:
    if properties is None:
        return {}
    return {**properties["quality"], "colors": ", ".join(map(_color, properties["dominantColors"][:_MOST_COLORS]))}


def _color(color: Json) -> str:
    return f"{color['simplifiedColor']} {color['hexCode']} {color['pixelPercent']:.0f} %"


def _fact_lines(facts: Json) -> Iterator[str]:
    known = {name: value for name, value in facts.items() if value is not None}
    width = max(map(len, known))
    for name, value in known.items():
        yield f"{name:<{width}}  {printable(str(value))}\n"


def _label_row(label: Json) -> tuple[str, str, str, str]:
    instances = str(len(label["instances"]) or "")
    return label["name"], f"{label['confidence']:.1f}", ", ".join(label["parents"]), instances
