"""Every error of the product. Each docstring is what the user reads when no better words are given.

LumitagError
├── InvalidRequest                 the request is not understood
│   ├── InvalidCursor
│   ├── InvalidSubscription
│   ├── InvalidGroundTruth         what `lumitag evaluate` is to compare with
│   ├── UnsupportedBody            not the content type that the address takes
│   ├── BodyTooLarge
│   └── BodyTooSlow
├── Unauthorized                   no token, or a wrong one
├── ForbiddenOrigin                a page of another site asks
├── WrongHost                      the Host header names somebody else
├── MethodNotAllowed
├── TooManyRequests                more at once than this server takes
├── TooManyListeners               more live pages than this server tells
├── NotFound
│   ├── ImageNotFound
│   └── SubscriptionNotFound
├── UploadRefused                  the bytes were not kept
│   ├── UploadForbidden            wrong or missing signature
│   ├── UploadExpired
│   ├── UploadTooLarge
│   ├── UploadMismatch             length or sha256 differ from what was announced
│   ├── UnsupportedImageType
│   ├── AlreadyUploaded
│   ├── LengthRequired
│   ├── ContentEncodingRefused
│   └── UploadTooSlow
├── UnreadableImage                can never be recognized; the image is rejected with this reason
│   ├── NotAnImage
│   ├── DamagedImage
│   ├── ImageTooSmall
│   └── ImageTooLarge
├── RecognitionFailed              may succeed later; the image is retried, then a dead letter
│   ├── RecognizerCrashed
│   ├── RecognizerTimedOut
│   └── RecognizerUnavailable
├── NotificationFailed             may succeed later; retried, then a dead letter
├── NotificationRefused            will never succeed; a dead letter at once
├── StoreError
│   ├── StoreFull
│   ├── StoreUnavailable
│   ├── StoreInUse
│   └── StoreDamaged
├── InvalidSettings
│   ├── TokenMissing
│   ├── InvalidLabelsFile          a line of the user's own labels file
│   └── InvalidModel               an own model, its description or its list of labels
├── WeightsChanged
└── InternalError                  a bug: everything that is none of the above
"""

from __future__ import annotations

import inspect
import re
from typing import ClassVar


class LumitagError(Exception):
    """Something went wrong in Lumitag. The message says what, and what to do."""

    code: ClassVar[str] = "lumitag_error"

    def __init_subclass__(cls) -> None:
        cls.code = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or inspect.getdoc(type(self)))

    @property
    def message(self) -> str:
        """What happened and what to do, in one sentence or two."""
        return str(self.args[0])


class InvalidRequest(LumitagError):
    """The request is not understood. See /docs for the shape that is expected."""


class InvalidCursor(InvalidRequest):
    """The cursor does not belong to this listing. Start again without a cursor."""


class InvalidSubscription(InvalidRequest):
    """The subscription is not valid. Give an e-mail address or an http(s) URL."""


class InvalidGroundTruth(InvalidRequest):
    """The file that says what is true cannot be used. See docs/evaluate.md for its form."""


class UnsupportedBody(InvalidRequest):
    """The body must be JSON. Send it with "Content-Type: application/json"."""


class BodyTooLarge(InvalidRequest):
    """The body of the request is larger than this address takes. Send less at once."""


class BodyTooSlow(InvalidRequest):
    """The body of the request did not arrive in time. Send it again, all at once."""


class Unauthorized(LumitagError):
    """This server asks for a token. Send it as "Authorization: Bearer TOKEN"."""


class ForbiddenOrigin(LumitagError):
    """Another site's page asked for this. Use this server's own page or an API client."""


class WrongHost(LumitagError):
    """This server does not answer to that Host. Add it to LUMITAG_ALLOWED_HOSTS if it is yours."""


class MethodNotAllowed(LumitagError):
    """This address does not take that method. See /docs for the ones it takes."""


class TooManyRequests(LumitagError):
    """The server has as much to do as it can hold. Try again in a few seconds."""


class TooManyListeners(LumitagError):
    """Too many pages listen for changes already. Try again later, or read the list from time to time."""


class NotFound(LumitagError):
    """There is nothing under that name."""


class ImageNotFound(NotFound):
    """There is no such image. It was never uploaded, or it has been deleted."""


class SubscriptionNotFound(NotFound):
    """There is no such subscription. List them to see what there is."""


class UploadRefused(LumitagError):
    """The upload was refused and nothing of it was kept."""


class UploadForbidden(UploadRefused):
    """The upload URL is not valid for this request. Ask for a new one and send exactly what it was made for."""


class UploadExpired(UploadRefused):
    """The upload URL has expired. Ask for a new one."""


class UploadTooLarge(UploadRefused):
    """The image has more bytes than this server takes. Make it smaller."""


class UploadMismatch(UploadRefused):
    """The bytes that arrived are not the ones announced. Send the image again."""


class UnsupportedImageType(UploadRefused):
    """This type of image is not supported. Send JPEG, PNG, WebP or GIF."""


class AlreadyUploaded(UploadRefused):
    """This upload URL was used already, with other bytes. Ask for a new one."""


class LengthRequired(UploadRefused):
    """The size of the upload is not announced. Send the Content-Length header that the upload grant names."""


class ContentEncodingRefused(UploadRefused):
    """A compressed upload is not taken. Send the bytes of the image as they are, without Content-Encoding."""


class UploadTooSlow(UploadRefused):
    """Nothing arrived for too long. Send the image again."""


class UnreadableImage(LumitagError):
    """The image cannot be read."""


class NotAnImage(UnreadableImage):
    """The file is not a JPEG, PNG, WebP or GIF image."""


class DamagedImage(UnreadableImage):
    """The image is damaged or incomplete. Export or upload it again."""


class ImageTooSmall(UnreadableImage):
    """The image has too few pixels to be recognized."""


class ImageTooLarge(UnreadableImage):
    """The image has more pixels than this server decodes. Make it smaller."""


class RecognitionFailed(LumitagError):
    """The image could not be recognized this time."""


class RecognizerCrashed(RecognitionFailed):
    """The recognizer process died while it worked on this image."""


class RecognizerTimedOut(RecognitionFailed):
    """The recognizer did not finish this image in time and was stopped."""


class RecognizerUnavailable(RecognitionFailed):
    """No recognizer is running right now. It is being restarted."""


class NotificationFailed(LumitagError):
    """The notification could not be delivered this time. It is tried again later."""

    retry_after_s: float | None = None  # when the other side names a time


class NotificationRefused(LumitagError):
    """The notification can never be delivered there. Check the address of the subscription."""


class StoreError(LumitagError):
    """The store could not do what was asked."""


class StoreFull(StoreError):
    """The disk is full. Free some space; uploads are refused until then."""


class StoreUnavailable(StoreError):
    """The store does not answer right now. Try again in a few seconds."""


class StoreInUse(StoreError):
    """Another Lumitag server is using this data folder. Stop it, or choose another folder with --data."""


class StoreDamaged(StoreError):
    """The data folder is damaged. Restore the last backup with "lumitag restore"."""


class InvalidSettings(LumitagError):
    """The settings are not valid. See docs/settings.md."""


class TokenMissing(InvalidSettings):
    """Listening beyond this machine needs a token. Set LUMITAG_TOKEN to a long random text, then start again."""


class InvalidLabelsFile(InvalidSettings):
    """The labels file is not valid. Correct the line that is named; see docs/labels.md."""


class InvalidModel(InvalidSettings):
    """The own model cannot be used. See docs/own-models.md."""


class WeightsChanged(LumitagError):
    """A model file is not the one that was released. Install Lumitag again."""


class InternalError(LumitagError):
    """Something went wrong inside the server. Try again; if it stays, look for the request id in the server's log."""
