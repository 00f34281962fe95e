"""The JSON and the parameters that come in, as FastAPI checks and documents them. The words are those of the domain.

They are checked strictly: a number in quotes is no number, and an unknown field is a misspelt one.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from lumitag.domain import USUAL_MIN_CONFIDENCE, ImageQuery, ImageStatus
from lumitag.pipeline import CONTENT_TYPES

MAX_BYTES: Final = 1 << 53  # The greatest whole number that every JSON reader takes exactly.
KEY_EXAMPLE: Final = "01k9x3r7m2v8q4t6w0y5z1a3b7"
IMAGE_CONTENT: Final[dict[str, Any]] = {
    content_type: {"schema": {"type": "string", "format": "binary"}} for content_type in CONTENT_TYPES
}
SHA256_EXAMPLE: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
TIME_EXAMPLE: Final = "2026-11-23T12:00:00.000Z"
_RFC_3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})", re.ASCII
)


def _check_rfc_3339(value: object) -> object:
    if isinstance(value, str) and _RFC_3339.fullmatch(value) is None:
        raise ValueError("give a time like 2026-11-23T12:00:00Z")
    return value


def _to_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("the time is out of range") from error


def _whole(value: object) -> object:
    # To JSON 10.0 is the same whole number as 10.
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _is_true(value: object) -> object:
    if value is not True:  # To Python 1 is equal to true.
        raise ValueError("give true")
    return value


Bytes = Annotated[int, Field(ge=1, le=MAX_BYTES), BeforeValidator(_whole)]
LabelLimit = Annotated[int, Field(ge=1, le=1000), BeforeValidator(_whole)]
Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False, examples=[80])]
LabelName = Annotated[str, Field(min_length=1, max_length=200, examples=["Dog"])]
LabelNames = Annotated[list[LabelName], Field(max_length=20)]
Key = Annotated[str, Field(max_length=200, examples=[KEY_EXAMPLE])]
Moment = Annotated[
    AwareDatetime,
    BeforeValidator(_check_rfc_3339),
    AfterValidator(_to_utc),
    Field(strict=False, examples=[TIME_EXAMPLE]),
]
Cursor = Annotated[str, Field(max_length=500)]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"}, examples=[TIME_EXAMPLE])]


class _Incoming(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", strict=True, frozen=True)


class UploadBody(_Incoming):
    """What a client says about the image it wants to upload."""

    file_name: str = Field(max_length=4096, description="For people; never part of a path.", examples=["cat.jpg"])
    content_type: str = Field(
        max_length=200, description="Another one is refused.", json_schema_extra={"enum": list(CONTENT_TYPES)}
    )
    size: Bytes = Field(description="Bytes.", examples=[204800])
    sha256: str | None = Field(
        None, pattern="^[0-9a-fA-F]{64}$", description="Of the bytes; checked if given.", examples=[SHA256_EXAMPLE]
    )


class DetectLabelsBody(_Incoming):
    """Which image, and how much of what is known about it."""

    key: Key
    min_confidence: Percent | None = Field(None, description="Percent; labels below it are left out.")
    max_labels: LabelLimit | None = Field(None, description="At most this many labels.")
    wait_seconds: float = Field(0, ge=0, le=30, allow_inf_nan=False, description="How long to wait while pending.")


class FilterParameters(BaseModel):
    """Which images are meant. Label names and aliases, case does not matter."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, validate_by_name=False)

    label: LabelNames = Field([], description="Must all be there.")
    any: LabelNames = Field([], description="At least one must be there.")
    none_of: LabelNames = Field([], alias="not", description="Must not be there.")
    min_confidence: Percent | None = Field(None, description="Percent that a label needs to count and to be shown.")
    status: Literal["pending", "recognized", "rejected", "failed"] | None = Field(
        None, description="Only images in this state."
    )
    after: Moment | None = Field(None, description="Only images uploaded at or after this time.")
    before: Moment | None = Field(None, description="Only images uploaded before this time.")

    def query(self, min_confidence: float, limit: int = 50, cursor: str | None = None) -> ImageQuery:
        """Return what is asked for; `min_confidence` percent holds where nothing else was said."""
        return ImageQuery(
            all_of=tuple(self.label),
            any_of=tuple(self.any),
            none_of=tuple(self.none_of),
            min_confidence=min_confidence if self.min_confidence is None else self.min_confidence,
            status=ImageStatus(self.status) if self.status else None,
            after=self.after,
            before=self.before,
            limit=limit,
            cursor=cursor,
        )


class ListParameters(FilterParameters):
    """Which images are meant, and which page of them."""

    limit: int = Field(50, ge=1, le=1000, description="At most this many images a page.")
    cursor: Cursor | None = Field(None, description="The `nextCursor` of the page before.")


class ExportParameters(FilterParameters):
    """Which images are exported, and how they are written."""

    format: Literal["jsonl", "csv"] = Field("jsonl", description="JSON Lines, or CSV for spreadsheets.")


class RelabelBody(FilterParameters):
    """Which images are recognized again."""

    model_config = ConfigDict(strict=True)

    every: bool = Field(False, description="Also those that the present model has labelled already.")


class SubscriptionBody(_Incoming):
    """Who wants to be told about which images."""

    channel: Literal["mail", "webhook"]
    address: str = Field(
        min_length=1,
        max_length=2000,
        description="An e-mail address or an http(s) URL.",
        examples=["you@example.org"],
    )
    labels: LabelNames = Field([], description="Tell only about images with one of these; empty means all images.")
    min_confidence: Percent = Field(
        USUAL_MIN_CONFIDENCE, description="Percent that a label needs to be mentioned and to match."
    )
    frequency: Literal["each", "hourly", "daily"] = Field("each", description="Each image, or a digest (mail only).")


class RedriveSomeBody(_Incoming):
    """Which dead letters are delivered again, by their ids."""

    ids: list[Annotated[str, Field(max_length=500)]] = Field(min_length=1, max_length=1000)


class RedriveAllBody(_Incoming):
    """All dead letters are delivered again."""

    all: Annotated[Literal[True], BeforeValidator(_is_true)]


class SignInBody(_Incoming):
    """The token of this server."""

    token: str = Field(max_length=1000)
