"""The nouns of the product: images, labels, boxes, subscriptions.

Everything here is a frozen value. Confidence is a percent, 0 to 100, and boxes are ratios of the
picture, 0 to 1, both as Amazon Rekognition counts them. Times are aware datetimes in UTC.
JSON is camelCase; `to_json` and `from_json` are exact inverses.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar

Json = dict[str, Any]
T = TypeVar("T")

USUAL_MIN_CONFIDENCE: Final = 70.0  # percent; of the labels shown from here on, at least 95 in 100 are right

_KEY_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford base 32: no i, l, o, u
_KEY_LENGTH: Final = 26


class ImageStatus(StrEnum):
    """Where an image stands. Every acknowledged image leaves `pending` for exactly one other state."""

    PENDING = "pending"
    RECOGNIZED = "recognized"
    REJECTED = "rejected"
    FAILED = "failed"


class Channel(StrEnum):
    """How a subscriber is told."""

    MAIL = "mail"
    WEBHOOK = "webhook"


class Frequency(StrEnum):
    """How often a subscriber is told: once an image, or one digest an hour or a day."""

    EACH = "each"
    HOURLY = "hourly"
    DAILY = "daily"


@dataclass(frozen=True, slots=True)
class BoundingBox:
    """A place in the EXIF-corrected picture, as ratios of its width and height.

    `0 <= left <= left + width <= 1` and the same for `top` and `height`; the origin is the top left corner.
    """

    left: float
    top: float
    width: float
    height: float

    def to_json(self) -> Json:
        """Return the JSON object."""
        return {"left": self.left, "top": self.top, "width": self.width, "height": self.height}

    @classmethod
    def from_json(cls, value: Json) -> BoundingBox:
        """Return the value that `to_json` wrote."""
        return cls(value["left"], value["top"], value["width"], value["height"])


@dataclass(frozen=True, slots=True)
class DominantColor:
    """One of the colours that a region mostly has: sRGB, 0 to 255 each, and the percent of the region's pixels.

    Its names (hexadecimal, CSS, simplified) depend on the three numbers alone: see `recognition/colors.py`.
    """

    red: int
    green: int
    blue: int
    pixel_percent: float

    def to_json(self) -> Json:
        """Return the JSON object."""
        return {"red": self.red, "green": self.green, "blue": self.blue, "pixelPercent": self.pixel_percent}

    @classmethod
    def from_json(cls, value: Json) -> DominantColor:
        """Return the value that `to_json` wrote."""
        return cls(value["red"], value["green"], value["blue"], value["pixelPercent"])


@dataclass(frozen=True, slots=True)
class Quality:
    """How a picture, or a part of it, looks: 0 to 100 each. `contrast` is only known of whole pictures."""

    brightness: float
    sharpness: float
    contrast: float | None = None

    def to_json(self) -> Json:
        """Return the JSON object; no contrast where it is not known."""
        contrast = {} if self.contrast is None else {"contrast": self.contrast}
        return {"brightness": self.brightness, "sharpness": self.sharpness, **contrast}

    @classmethod
    def from_json(cls, value: Json) -> Quality:
        """Return the value that `to_json` wrote."""
        return cls(value["brightness"], value["sharpness"], value.get("contrast"))


@dataclass(frozen=True, slots=True)
class RegionProperties:
    """How a part of a picture looks. `dominant_colors`: most pixels first, at most 20, together at most 100 percent."""

    quality: Quality
    dominant_colors: tuple[DominantColor, ...]

    def to_json(self) -> Json:
        """Return the JSON object."""
        return {"quality": self.quality.to_json(), "dominantColors": _all_to_json(self.dominant_colors)}

    @classmethod
    def from_json(cls, value: Json) -> RegionProperties:
        """Return the value that `to_json` wrote."""
        return cls(Quality.from_json(value["quality"]), _colors_from_json(value["dominantColors"]))


@dataclass(frozen=True, slots=True)
class ImageProperties:
    """How a picture looks, as Amazon Rekognition's Image Properties has it.

    Attributes:
        quality: of the whole picture, with contrast.
        dominant_colors: of the whole picture; see `RegionProperties`.
        foreground: what is in front; None where nothing stands out.
        background: all the rest; None where nothing is left.
    """

    quality: Quality
    dominant_colors: tuple[DominantColor, ...]
    foreground: RegionProperties | None = None
    background: RegionProperties | None = None

    def to_json(self) -> Json:
        """Return the JSON object."""
        return {
            "quality": self.quality.to_json(),
            "dominantColors": _all_to_json(self.dominant_colors),
            "foreground": self.foreground and self.foreground.to_json(),
            "background": self.background and self.background.to_json(),
        }

    @classmethod
    def from_json(cls, value: Json) -> ImageProperties:
        """Return the value that `to_json` wrote."""
        return cls(
            Quality.from_json(value["quality"]),
            _colors_from_json(value["dominantColors"]),
            value["foreground"] and RegionProperties.from_json(value["foreground"]),
            value["background"] and RegionProperties.from_json(value["background"]),
        )


@dataclass(frozen=True, slots=True)
class Instance:
    """One located occurrence of a label.

    `confidence` in percent; `dominant_colors` as in `RegionProperties`, empty where they are not known.
    """

    bounding_box: BoundingBox
    confidence: float
    dominant_colors: tuple[DominantColor, ...] = ()

    def to_json(self) -> Json:
        """Return the JSON object; no colours where they are not known."""
        colors = {"dominantColors": _all_to_json(self.dominant_colors)} if self.dominant_colors else {}
        return {"boundingBox": self.bounding_box.to_json(), "confidence": self.confidence, **colors}

    @classmethod
    def from_json(cls, value: Json) -> Instance:
        """Return the value that `to_json` wrote."""
        colors = _colors_from_json(value.get("dominantColors", ()))
        return cls(BoundingBox.from_json(value["boundingBox"]), value["confidence"], colors)


@dataclass(frozen=True, slots=True)
class Label:
    """The name of something in an image.

    Attributes:
        name: as Amazon Rekognition spells it wherever it has the concept.
        concept: stable id: a WordNet 3.0 id (`n02084071`), `coco:person`, or `rekognition:Kitchen` where only Amazon
            has it. Names may change, concepts may not.
        confidence: percent, 0 to 100.
        parents: names of all broader labels, the nearest first.
        aliases: other names for the same concept.
        categories: the shelves this label stands on, at least one.
        instances: where it was seen; empty for a label of the whole picture.
    """

    name: str
    concept: str
    confidence: float
    parents: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    instances: tuple[Instance, ...] = ()

    def seen_from(self, min_confidence: float) -> Label:
        """Return the same label with only the instances at or above `min_confidence` percent."""
        sure = tuple(instance for instance in self.instances if instance.confidence >= min_confidence)
        return self if len(sure) == len(self.instances) else replace(self, instances=sure)

    def to_json(self) -> Json:
        """Return the JSON object."""
        return {
            "name": self.name,
            "concept": self.concept,
            "confidence": self.confidence,
            "parents": list(self.parents),
            "aliases": list(self.aliases),
            "categories": list(self.categories),
            "instances": [instance.to_json() for instance in self.instances],
        }

    @classmethod
    def from_json(cls, value: Json) -> Label:
        """Return the value that `to_json` wrote."""
        return cls(
            name=value["name"],
            concept=value["concept"],
            confidence=value["confidence"],
            parents=tuple(value["parents"]),
            aliases=tuple(value["aliases"]),
            categories=tuple(value["categories"]),
            instances=tuple(Instance.from_json(instance) for instance in value["instances"]),
        )


@dataclass(frozen=True, slots=True)
class Recognition:
    """What a recognizer found in one image.

    Attributes:
        labels: everything at or above the storage floor, most confident first.
        width: of the EXIF-corrected picture, in pixels.
        height: likewise.
        recognizer: `embedded` or `rekognition`.
        model_version: changes whenever the same bytes could get other labels.
        properties: how the picture looks; None where nobody asked.
    """

    labels: tuple[Label, ...]
    width: int
    height: int
    recognizer: str
    model_version: str
    properties: ImageProperties | None = None

    def to_json(self) -> Json:
        """Return the JSON object; no properties where they are not known."""
        return {
            "labels": [label.to_json() for label in self.labels],
            "width": self.width,
            "height": self.height,
            "recognizer": self.recognizer,
            "modelVersion": self.model_version,
            **_properties_json(self.properties),
        }

    @classmethod
    def from_json(cls, value: Json) -> Recognition:
        """Return the value that `to_json` wrote."""
        return cls(
            labels=tuple(Label.from_json(label) for label in value["labels"]),
            width=value["width"],
            height=value["height"],
            recognizer=value["recognizer"],
            model_version=value["modelVersion"],
            properties=ImageProperties.from_json(value["properties"]) if "properties" in value else None,
        )


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """All that is known about one image.

    Attributes:
        key: made by the server; its alphabetical order is the order of arrival.
        file_name: what the client called it. Data only: never part of a path.
        content_type: `image/jpeg`, `image/png`, `image/webp` or `image/gif`, as declared.
        size: bytes, as declared and later verified.
        sha256: 64 hexadecimal digits; None until known.
        created_time: when the upload was accepted.
        upload_time: when the bytes were durably stored; None before.
        request_id: of the request that accepted the upload; it follows the image to its notification.
        reason: why it was rejected or failed, for people; None otherwise.
        properties: how the picture looks; None where that is not known or was not asked for.
    """

    key: str
    file_name: str
    content_type: str
    size: int
    created_time: datetime
    sha256: str | None = None
    width: int | None = None
    height: int | None = None
    status: ImageStatus = ImageStatus.PENDING
    reason: str | None = None
    labels: tuple[Label, ...] = ()
    recognizer: str | None = None
    model_version: str | None = None
    upload_time: datetime | None = None
    recognized_time: datetime | None = None
    request_id: str = ""
    properties: ImageProperties | None = None

    def visible_labels(self, min_confidence: float, max_labels: int | None = None) -> tuple[Label, ...]:
        """Return the labels and instances a reader sees: at or above `min_confidence` percent, at most `max_labels`."""
        return visible_labels(self.labels, min_confidence, max_labels)

    def with_visible_labels(self, min_confidence: float, max_labels: int | None = None) -> ImageRecord:
        """Return the same record carrying only its visible labels."""
        return replace(self, labels=self.visible_labels(min_confidence, max_labels))

    def without_properties(self) -> ImageRecord:
        """Return the same record without image properties and colours: those are for whoever looks at one image."""
        return replace(self, properties=None, labels=without_colors(self.labels))

    def to_json(self) -> Json:
        """Return the JSON object; no properties where they are not known."""
        return {
            "key": self.key,
            "fileName": self.file_name,
            "contentType": self.content_type,
            "size": self.size,
            "sha256": self.sha256,
            "width": self.width,
            "height": self.height,
            "status": self.status.value,
            "reason": self.reason,
            "labels": [label.to_json() for label in self.labels],
            "recognizer": self.recognizer,
            "modelVersion": self.model_version,
            "uploadTime": time_to_json(self.upload_time),
            "recognizedTime": time_to_json(self.recognized_time),
            **_properties_json(self.properties),
        }


@dataclass(frozen=True, slots=True)
class UploadRequest:
    """What a client says about the image it wants to upload. `sha256` is optional: 64 hexadecimal digits."""

    file_name: str
    content_type: str
    size: int
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class UploadGrant:
    """A signed, short-lived permission to upload exactly one image.

    `PUT`: send the bytes to `upload_url` with `headers`. `POST`: send a multipart form of `fields`, the file last.
    """

    key: str
    upload_url: str
    method: str
    headers: dict[str, str]
    fields: dict[str, str]
    expires_at: datetime

    def to_json(self) -> Json:
        """Return the JSON object."""
        return {
            "key": self.key,
            "uploadUrl": self.upload_url,
            "method": self.method,
            "headers": self.headers,
            "fields": self.fields,
            "expiresAt": time_to_json(self.expires_at),
        }


@dataclass(frozen=True, slots=True)
class ImageQuery:
    """Which images a reader asks for, newest first.

    Attributes:
        all_of: label names that must all be there (AND). Names and aliases, case does not matter.
        any_of: label names of which at least one must be there (OR).
        none_of: label names that must not be there (NOT).
        min_confidence: percent that a label needs to count for the three lists above.
        status: only images in this state.
        after, before: only images uploaded at or after / strictly before this time.
        limit: at most this many a page, 1 to 1000.
        cursor: opaque; the `next_cursor` of the page before.
        with_properties: whether the records carry image properties and the colours of their instances.
    """

    all_of: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()
    min_confidence: float = 0.0
    status: ImageStatus | None = None
    after: datetime | None = None
    before: datetime | None = None
    limit: int = 50
    cursor: str | None = None
    with_properties: bool = False


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a listing. `next_cursor` is None on the last page."""

    items: tuple[T, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class LabelCount:
    """How many recognized images carry a label at all (at or above the storage floor)."""

    name: str
    count: int


@dataclass(frozen=True, slots=True)
class Subscription:
    """Who is told about which images, where and how often.

    Attributes:
        id: made by the server.
        channel: mail or webhook.
        address: an e-mail address or an http(s) URL.
        labels: tell only about images with one of these labels; empty means all images.
        min_confidence: percent that a label needs to be mentioned and to match.
        frequency: each image, or an hourly or daily digest (mail only).
        secret: `whsec_...`, signs a webhook's calls; empty for mail.
        created_time: when it was made.
    """

    id: str
    channel: Channel
    address: str
    created_time: datetime
    labels: tuple[str, ...] = ()
    min_confidence: float = USUAL_MIN_CONFIDENCE
    frequency: Frequency = Frequency.EACH
    secret: str = field(default="", repr=False)

    def wants(self, labels: tuple[Label, ...]) -> bool:
        """Return whether an image with these labels is one that this subscriber asked for."""
        if not self.labels:
            return True
        wanted = {name.casefold() for name in self.labels}
        return any(
            label.confidence >= self.min_confidence and wanted & {n.casefold() for n in (label.name, *label.aliases)}
            for label in labels
        )

    def to_json(self) -> Json:
        """Return everything but the secret."""
        return {
            "id": self.id,
            "channel": self.channel.value,
            "address": self.address,
            "labels": list(self.labels),
            "minConfidence": self.min_confidence,
            "frequency": self.frequency.value,
            "createdTime": time_to_json(self.created_time),
        }


def visible_labels(
    labels: tuple[Label, ...], min_confidence: float, max_labels: int | None = None
) -> tuple[Label, ...]:
    """Return the labels and instances at or above `min_confidence` percent, the first `max_labels` of them.

    Thresholds are applied when reading, so changing one never runs a model again.
    """
    kept = tuple(label.seen_from(min_confidence) for label in labels if label.confidence >= min_confidence)
    return kept[:max_labels]


def without_colors(labels: tuple[Label, ...]) -> tuple[Label, ...]:
    """Return the labels without the colours of their instances."""
    return tuple(_without_colors(label) if label.instances else label for label in labels)


def new_key() -> str:
    """Return a new image key: 48 bits of time and 80 random bits, 26 characters, alphabetical order = time order.

    The layout is ULID's (https://github.com/ulid/spec), in lower case.
    """
    return _encode_key(time.time_ns() // 1_000_000, secrets.randbits(80))


def first_key_at(moment: datetime) -> str:
    """Return the smallest key that could have been made at `moment`: a bound for ranges over time."""
    return _encode_key(max(0, int(moment.timestamp() * 1000)), 0)


def is_key(text: str) -> bool:
    """Return whether `text` has the shape of an image key, so that it is safe in a path."""
    return len(text) == _KEY_LENGTH and all(character in _KEY_ALPHABET for character in text) and text[0] <= "7"


def _encode_key(milliseconds: int, random: int) -> str:
    number = (milliseconds << 80) | random
    return "".join(_KEY_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))


def now() -> datetime:
    """Return the present moment in UTC, to the millisecond that is stored and shown."""
    return time_from_ms(time.time_ns() // 1_000_000)


def time_from_ms(milliseconds: int) -> datetime:
    """Return the moment `milliseconds` after 1970 in UTC."""
    return datetime.fromtimestamp(milliseconds // 1000, UTC).replace(microsecond=milliseconds % 1000 * 1000)


def time_to_ms(moment: datetime) -> int:
    """Return milliseconds since 1970; the inverse of `time_from_ms`."""
    return int(moment.replace(microsecond=0).timestamp()) * 1000 + moment.microsecond // 1000


def time_to_json(moment: datetime | None) -> str | None:
    """Return RFC 3339 in UTC to the millisecond, such as `2026-11-23T12:00:00.000Z`."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def time_from_json(text: str) -> datetime:
    """Return the moment that an RFC 3339 text names. Raises ValueError; a text without a zone is UTC."""
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _without_colors(label: Label) -> Label:
    return replace(label, instances=tuple(replace(instance, dominant_colors=()) for instance in label.instances))


def _properties_json(properties: ImageProperties | None) -> Json:
    return {} if properties is None else {"properties": properties.to_json()}


def _all_to_json(colors: tuple[DominantColor, ...]) -> list[Json]:
    return [color.to_json() for color in colors]


def _colors_from_json(value: Iterable[Json]) -> tuple[DominantColor, ...]:
    return tuple(map(DominantColor.from_json, value))
