"""What Amazon says when it gives no labels, in the product's errors.

The messages are our own: Amazon's may name accounts and roles, and a message may be shown to whoever asked.
Codes: https://docs.aws.amazon.com/rekognition/latest/dg/error-handling.html and
https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from lumitag.errors import (
    ImageNotFound,
    ImageTooLarge,
    LumitagError,
    NotAnImage,
    RecognitionFailed,
    RecognizerTimedOut,
    RecognizerUnavailable,
    UnreadableImage,
)

_NO_CREDENTIALS: Final = (
    'There are no AWS credentials that can be used. Run "aws sso login" or "aws configure", or set AWS_PROFILE, '
    "or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
)
_WRONG_CREDENTIALS: Final = (
    "AWS does not accept the credentials. Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, "
    "or the profile; and that the clock of this machine is right."
)
_EXPIRED: Final = 'The AWS credentials have expired. Get new ones, with "aws sso login" if that is how you sign in.'
_FORBIDDEN: Final = "The AWS credentials may not do this. Allow their user or role the action rekognition:DetectLabels."
_NOT_SIGNED_UP: Final = (
    "This AWS account may not use Amazon Rekognition yet. Finish its registration at aws.amazon.com."
)
_NOT_OFFERED: Final = (
    "There is no Amazon Rekognition where it was asked. Check AWS_DEFAULT_REGION and AWS_ENDPOINT_URL."
)
_UNREACHABLE: Final = (
    "Amazon Rekognition cannot be reached. Check the network, the proxy, and that AWS_DEFAULT_REGION names a region "
    "that has it, such as eu-west-1."
)
_REFUSED: Final = (
    "Amazon Rekognition does not take this image. It takes JPEG and PNG with sides of 80 to 10,000 pixels."
)
_NOT_IN_S3: Final = (
    "Amazon Rekognition does not find this image in S3, or may not read it there. Check the region of the bucket and "
    "the permission s3:GetObject."
)
_TOO_OFTEN: Final = (
    "Amazon Rekognition is asked more often than the quota of this AWS account allows. Ask more slowly, or raise "
    "the quota of DetectLabels in Service Quotas."
)

_BY_CODE: Final[dict[str, tuple[type[LumitagError], str]]] = {
    "ImageTooLargeException": (
        ImageTooLarge,
        "The image is larger than Amazon Rekognition takes: 15 MB in S3, 10,000 pixels a side. Make it smaller.",
    ),
    "InvalidImageFormatException": (
        NotAnImage,
        "Amazon Rekognition cannot read this image. Export it again as an ordinary JPEG or PNG.",
    ),
    "InvalidParameterException": (UnreadableImage, _REFUSED),
    "ValidationException": (UnreadableImage, _REFUSED),
    "InvalidS3ObjectException": (ImageNotFound, _NOT_IN_S3),
    "ThrottlingException": (RecognitionFailed, _TOO_OFTEN),
    "ProvisionedThroughputExceededException": (RecognitionFailed, _TOO_OFTEN),
    "AccessDeniedException": (RecognizerUnavailable, _FORBIDDEN),
    "AccessDenied": (RecognizerUnavailable, _FORBIDDEN),
    "ExpiredTokenException": (RecognizerUnavailable, _EXPIRED),
    "ExpiredToken": (RecognizerUnavailable, _EXPIRED),
    "UnrecognizedClientException": (RecognizerUnavailable, _WRONG_CREDENTIALS),
    "InvalidClientTokenId": (RecognizerUnavailable, _WRONG_CREDENTIALS),
    "InvalidSignatureException": (RecognizerUnavailable, _WRONG_CREDENTIALS),
    "SignatureDoesNotMatch": (RecognizerUnavailable, _WRONG_CREDENTIALS),
    "IncompleteSignature": (RecognizerUnavailable, _WRONG_CREDENTIALS),
    "MissingAuthenticationToken": (RecognizerUnavailable, _WRONG_CREDENTIALS),
    "OptInRequired": (RecognizerUnavailable, _NOT_SIGNED_UP),
    "SubscriptionRequiredException": (RecognizerUnavailable, _NOT_SIGNED_UP),
    "UnknownOperationException": (RecognizerUnavailable, _NOT_OFFERED),
}


@contextmanager
def amazon_errors_translated() -> Iterator[None]:
    """Raise the product's error for each of Amazon's, once all attempts are used up.

    UnreadableImage's family and ImageNotFound: the image is at fault. RecognizerUnavailable: the set-up is, for every
    image alike. RecognitionFailed and RecognizerTimedOut: another attempt may succeed. An answer that is not of the
    documented shape makes botocore's parser, or whoever reads on, stumble: that is a failed attempt too.
    """
    from botocore import exceptions as aws  # noqa: PLC0415 - boto3 is an extra: see `_clients`

    try:
        yield
    except aws.ClientError as error:
        raise _by_code(error.response["Error"]["Code"]) from error
    except aws.ReadTimeoutError as error:
        raise RecognizerTimedOut("Amazon Rekognition did not answer in time.") from error
    except aws.ConnectionError as error:
        raise RecognizerUnavailable(_UNREACHABLE) from error
    except (aws.HTTPClientError, aws.IncompleteReadError) as error:
        raise RecognitionFailed("The connection to Amazon Rekognition broke off.") from error
    except (
        *(aws.NoCredentialsError, aws.PartialCredentialsError, aws.CredentialRetrievalError),
        *(aws.TokenRetrievalError, aws.SSOError, aws.LoginError, aws.RefreshWithMFAUnsupportedError),
    ) as error:
        raise RecognizerUnavailable(_NO_CREDENTIALS) from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RecognitionFailed("Amazon Rekognition gave an answer that is not understood.") from error


def _by_code(code: str) -> LumitagError:
    kind, message = _BY_CODE.get(code, (RecognitionFailed, f"Amazon Rekognition could not answer this time ({code})."))
    return kind(message)
