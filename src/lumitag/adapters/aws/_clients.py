"""Clients of Amazon's services. boto3 is an extra, so it is imported here only, and only when a client is made."""

from __future__ import annotations

from typing import Any, Final

from lumitag.errors import InvalidSettings

# botocore sends the whole request within the connect timeout: 20 s are 5 MiB (7 MB in base64) at 3 Mbit/s.
_CONNECT_TIMEOUT_S: Final = 20.0
_READ_TIMEOUT_S: Final = 15.0
_MAX_ATTEMPTS: Final = 4

_NO_BOTO3: Final = "Amazon's services need the package boto3. Install it: pip install 'lumitag[aws]'"
_NO_REGION: Final = "No AWS region is set. Set AWS_DEFAULT_REGION to one that has the service, such as eu-west-1."


def new_client(service: str) -> Any:  # noqa: ANN401 - boto3 makes its clients' classes when it runs
    """Return a client of `service` with the credentials, the region and the proxy of the environment.

    Takes about half a second; make one a process and share it between threads. Nothing is sent yet.
    Raises InvalidSettings where boto3 is not installed, or what it reads is missing or wrong.
    """
    try:
        from boto3.session import Session  # noqa: PLC0415 - see the top of this module
        from botocore.exceptions import BotoCoreError, NoRegionError  # noqa: PLC0415
    except ImportError as error:
        raise InvalidSettings(_NO_BOTO3) from error
    try:
        return Session().client(service, config=_config())
    except NoRegionError as error:
        raise InvalidSettings(_NO_REGION) from error
    except (BotoCoreError, ValueError) as error:
        raise InvalidSettings(f"The AWS configuration of this machine cannot be used. {error}") from error


def _config() -> Any:  # noqa: ANN401 - botocore has no types
    """Return short timeouts and few attempts: an image that fails here comes back through the queue anyway.

    botocore waits a random time of up to 1, 2 and 4 seconds between the attempts, so that clients that were throttled
    together do not come back together. "adaptive" also slows the whole client down to the rate that Amazon lets
    through. That suits a client that calls a single operation with one quota, as all of ours do, and it lets many
    threads share a quota of 5 calls a second without losing an image.
    """
    from botocore.config import Config  # noqa: PLC0415 - see the top of this module

    return Config(
        connect_timeout=_CONNECT_TIMEOUT_S,
        read_timeout=_READ_TIMEOUT_S,
        retries={"mode": "adaptive", "total_max_attempts": _MAX_ATTEMPTS},
    )
