"""What happens to an image, in the past tense, and its JSON.

Every event names the image by its key and carries the request id of the upload,
so that one search through the logs shows an image from upload to notification.
Unknown fields are ignored when reading, so that an older program understands a newer one's events.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lumitag.domain import (
    Channel,
    ImageRecord,
    Json,
    Label,
    Subscription,
    time_from_json,
    time_to_json,
    without_colors,
)


@dataclass(frozen=True, slots=True)
class ImageUploaded:
    """The bytes of an image are durably stored.

    Attributes:
        key: of the image.
        upload_time: when the object store kept it.
        request_id: of the request that accepted the upload.
        relabel: recognize it even if the present model has done so already.
    """

    key: str
    upload_time: datetime
    request_id: str = ""
    relabel: bool = False

    def to_json(self) -> Json:
        """Return the JSON object."""
        return {
            "type": "ImageUploaded",
            "key": self.key,
            "uploadTime": time_to_json(self.upload_time),
            "requestId": self.request_id,
            "relabel": self.relabel,
        }

    @classmethod
    def from_json(cls, value: Json) -> ImageUploaded:
        """Return the value that `to_json` wrote."""
        return cls(
            key=value["key"],
            upload_time=time_from_json(value["uploadTime"]),
            request_id=value.get("requestId", ""),
            relabel=value.get("relabel", False),
        )


@dataclass(frozen=True, slots=True)
class ImageRecognized:
    """An image has labels."""

    key: str
    file_name: str
    labels: tuple[Label, ...]
    model_version: str
    recognized_time: datetime
    request_id: str = ""

    @classmethod
    def of(cls, record: ImageRecord) -> ImageRecognized:
        """Return the event that a recognized `record` announces."""
        if record.model_version is None or record.recognized_time is None:
            raise ValueError(f"image {record.key} is {record.status.value}, not recognized")
        return cls(
            key=record.key,
            file_name=record.file_name,
            labels=without_colors(record.labels),
            model_version=record.model_version,
            recognized_time=record.recognized_time,
            request_id=record.request_id,
        )

    def to_json(self) -> Json:
        """Return the JSON object."""
        return {
            "type": "ImageRecognized",
            "key": self.key,
            "fileName": self.file_name,
            "labels": [label.to_json() for label in self.labels],
            "modelVersion": self.model_version,
            "recognizedTime": time_to_json(self.recognized_time),
            "requestId": self.request_id,
        }

    @classmethod
    def from_json(cls, value: Json) -> ImageRecognized:
        """Return the value that `to_json` wrote."""
        return cls(
            key=value["key"],
            file_name=value["fileName"],
            labels=tuple(Label.from_json(label) for label in value["labels"]),
            model_version=value["modelVersion"],
            recognized_time=time_from_json(value["recognizedTime"]),
            request_id=value.get("requestId", ""),
        )


@dataclass(frozen=True, slots=True)
class ImageDeleted:
    """An image and all that was known of it is gone."""

    key: str
    request_id: str = ""

    def to_json(self) -> Json:
        """Return the JSON object."""
        return {"type": "ImageDeleted", "key": self.key, "requestId": self.request_id}

    @classmethod
    def from_json(cls, value: Json) -> ImageDeleted:
        """Return the value that `to_json` wrote."""
        return cls(key=value["key"], request_id=value.get("requestId", ""))


@dataclass(frozen=True, slots=True)
class NotificationDue:
    """One subscriber is to be told about one recognized image: an entry of the outbox.

    `id` is the same for every repetition, so that a receiver can recognize and drop one.
    """

    id: str
    subscription_id: str
    channel: Channel
    image: ImageRecognized

    @classmethod
    def of(cls, subscription: Subscription, image: ImageRecognized) -> NotificationDue:
        """Return what `subscription` is due for `image`, under an id that only depends on the two."""
        return cls(
            id=f"{image.key}.{image.model_version}.{subscription.id}",
            subscription_id=subscription.id,
            channel=subscription.channel,
            image=image,
        )

    @property
    def key(self) -> str:
        """The key of the image."""
        return self.image.key

    @property
    def request_id(self) -> str:
        """The request id of the image."""
        return self.image.request_id

    def to_json(self) -> Json:
        """Return the JSON object."""
        return {
            "type": "NotificationDue",
            "id": self.id,
            "subscriptionId": self.subscription_id,
            "channel": self.channel.value,
            "image": self.image.to_json(),
        }

    @classmethod
    def from_json(cls, value: Json) -> NotificationDue:
        """Return the value that `to_json` wrote."""
        return cls(
            id=value["id"],
            subscription_id=value["subscriptionId"],
            channel=Channel(value["channel"]),
            image=ImageRecognized.from_json(value["image"]),
        )
