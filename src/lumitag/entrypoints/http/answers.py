"""The JSON that goes out, as the OpenAPI document describes it.

It is written by `to_json` of the domain; the models here only describe it, and tests compare the two.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from lumitag.domain import ImageStatus
from lumitag.entrypoints.http.schemas import KEY_EXAMPLE, Key, Percent, Time
from lumitag.recognition.colors import SIMPLIFIED_COLORS


class _Outgoing(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, serialize_by_alias=True)


class UploadGrantAnswer(_Outgoing):
    """A permission to upload one image: PUT the bytes with the headers, or POST a form of the fields, the file last."""

    key: Key
    upload_url: str
    method: Literal["PUT", "POST"]
    headers: dict[str, str]
    fields: dict[str, str]
    expires_at: Time


class UploadAnswer(_Outgoing):
    """The image is durably stored and waits to be recognized, or was so already."""

    key: Key
    status: ImageStatus


class BoundingBoxAnswer(_Outgoing):
    """A place in the image, as ratios of its width and height."""

    left: float = Field(ge=0, le=1)
    top: float = Field(ge=0, le=1)
    width: float = Field(ge=0, le=1)
    height: float = Field(ge=0, le=1)


class DominantColorAnswer(_Outgoing):
    """A colour that a region mostly has, its names, and how much of the region has it."""

    red: int = Field(ge=0, le=255)
    green: int = Field(ge=0, le=255)
    blue: int = Field(ge=0, le=255)
    pixel_percent: Percent
    hex_code: str = Field(examples=["#2f4f4f"])
    css_color: str = Field(description="The CSS colour that looks most like it.", examples=["darkslategrey"])
    simplified_color: str = Field(json_schema_extra={"enum": list(SIMPLIFIED_COLORS)})


class RegionQualityAnswer(_Outgoing):
    """How a part of an image looks, 0 to 100 each."""

    brightness: Percent
    sharpness: Percent


class QualityAnswer(RegionQualityAnswer):
    """How an image looks, 0 to 100 each."""

    contrast: Percent | None = None


class RegionPropertiesAnswer(_Outgoing):
    """How a part of an image looks."""

    quality: RegionQualityAnswer
    dominant_colors: list[DominantColorAnswer] = Field(max_length=20)


class PropertiesAnswer(_Outgoing):
    """How an image looks: as a whole, in front (null where nothing stands out) and behind (null where nothing is)."""

    quality: QualityAnswer
    dominant_colors: list[DominantColorAnswer] = Field(max_length=20)
    foreground: RegionPropertiesAnswer | None
    background: RegionPropertiesAnswer | None


class InstanceAnswer(_Outgoing):
    """One located occurrence of a label; its colours only where one image is shown, or exported."""

    bounding_box: BoundingBoxAnswer
    confidence: Percent
    dominant_colors: list[DominantColorAnswer] = Field([], max_length=20)


class LabelAnswer(_Outgoing):
    """The name of something in an image."""

    name: str = Field(examples=["Dog"])
    concept: str = Field(description="Stable id of what is named.", examples=["n02084071"])
    confidence: Percent
    parents: list[str]
    aliases: list[str]
    categories: list[str]
    instances: list[InstanceAnswer]


class LabelsAnswer(_Outgoing):
    """The labels of a recognized image: names first, then everything about each."""

    key: Key
    status: Literal["recognized"]
    labels: list[str] = Field(examples=[["Dog", "Animal"]])
    details: list[LabelAnswer]
    properties: PropertiesAnswer | None = Field(None, description="Absent where they were not measured.")


class UnlabelledAnswer(_Outgoing):
    """An image that will have no labels, and why."""

    key: Key
    status: Literal["rejected", "failed"]
    reason: str | None


class PendingAnswer(_Outgoing):
    """An image that waits. Ask again, or give `waitSeconds`."""

    key: Key
    status: Literal["pending"]


class ImageAnswer(_Outgoing):
    """All that is known about one image."""

    key: Key
    file_name: str
    content_type: str
    size: int
    sha256: str | None
    width: int | None
    height: int | None
    status: ImageStatus
    reason: str | None
    labels: list[LabelAnswer]
    recognizer: str | None
    model_version: str | None
    upload_time: Time | None
    recognized_time: Time | None
    properties: PropertiesAnswer | None = Field(None, description="Absent in lists, and where they were not measured.")


class ImagesAnswer(_Outgoing):
    """One page of images, newest first."""

    images: list[ImageAnswer]
    next_cursor: str | None


class LabelCountAnswer(_Outgoing):
    """How many images carry a label."""

    name: str
    count: int


class LabelCountsAnswer(_Outgoing):
    """The most frequent labels first."""

    labels: list[LabelCountAnswer]


class QueuedAnswer(_Outgoing):
    """How many images were queued."""

    queued: int


class SubscriptionAnswer(_Outgoing):
    """Who is told about which images."""

    id: str
    channel: Literal["mail", "webhook"]
    address: str
    labels: list[str]
    min_confidence: Percent
    frequency: Literal["each", "hourly", "daily"]
    created_time: Time


class NewSubscriptionAnswer(SubscriptionAnswer):
    """The new subscription. The secret of a webhook is shown here and never again."""

    secret: str = Field("", description="Signs the calls to a webhook; absent for mail.", examples=["whsec_..."])


class SubscriptionsAnswer(_Outgoing):
    """All subscriptions, oldest first."""

    subscriptions: list[SubscriptionAnswer]


class NotificationAnswer(_Outgoing):
    """A notification that waits to be delivered."""

    id: str
    subscription_id: str
    key: str
    file_name: str
    due_time: Time
    attempts: int
    reason: str | None


class OutboxAnswer(_Outgoing):
    """What waits to be told, next due first."""

    notifications: list[NotificationAnswer]


class DeadLetterAnswer(_Outgoing):
    """A message that failed for good and waits to be redriven."""

    id: str
    queue: str
    key: str
    reason: str
    receive_count: int
    dead_time: Time


class DeadLettersAnswer(_Outgoing):
    """One page of dead letters."""

    dead_letters: list[DeadLetterAnswer]
    next_cursor: str | None


class RedrivenAnswer(_Outgoing):
    """How many dead letters are delivered again, and the keys of their images."""

    redriven: int
    keys: list[str]


class SessionAnswer(_Outgoing):
    """Whether this server asks for a token, and whether this client may come in."""

    token_needed: bool
    signed_in: bool


class HealthAnswer(_Outgoing):
    """The server answers."""

    status: Literal["ok"]


class ReadinessAnswer(_Outgoing):
    """Each check with "ok" or what is wrong."""

    ready: bool
    checks: dict[str, str]


class ErrorAnswer(_Outgoing):
    """What happened, and what to do."""

    error: str = Field(description="Stable code.", examples=["image_not_found"])
    message: str = Field(examples=["There is no such image. It was never uploaded, or it has been deleted."])
    request_id: str = Field(examples=[KEY_EXAMPLE])
