"""Which addresses a subscription may have, and which machines a webhook may reach.

A webhook makes this server call where a stranger says. So a URL is taken only in its plain spelling,
and what its name leads to is judged when it is called.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from lumitag.adapters.local._reach import Reach, reach
from lumitag.adapters.local._webhook import new_secret
from lumitag.domain import USUAL_MIN_CONFIDENCE, Channel, Frequency, Subscription, now
from lumitag.errors import InvalidSubscription

_MAIL_LENGTH: Final = 254  # RFC 5321, 4.5.3.1.3, without the angle brackets
_LOCAL_PART_LENGTH: Final = 64
_URL_LENGTH: Final = 2000
_HOST_LENGTH: Final = 253
_LABEL_LENGTH: Final = 200
_LABELS_COUNT: Final = 100

# Narrower than RFC 5322: no quoting, no comments, and none of the characters (%, !, |) that once were routes and pipes.
_MAIL: Final = re.compile(
    r"(?P<local>[A-Za-z0-9_][A-Za-z0-9_+&'=~-]*(?:\.[A-Za-z0-9_+&'=~-]+)*)"
    r"@(?P<domain>(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)"
)
_URL: Final = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")  # the characters of RFC 3986
_HOST: Final = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_AUTHORITY: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\[\]:@]+)(?::[0-9]{0,5})?")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")

_PRIVATE_REFUSED: Final = (
    "The URL leads to this machine or its private network. Give one that others can reach, "
    "or set LUMITAG_WEBHOOK_ALLOW_PRIVATE=true if you trust everyone who can subscribe."
)

_PUBLIC_PORTS: Final = frozenset({443, 8443, *range(8000, 8100)})
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Target:
    """The parts of a webhook's URL. `host` is a name, or an IP address without brackets."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """Host and port as the Host header spells them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL in its one normal spelling."""
        return f"{self.scheme}://{self.authority}{self.path}"


def new_subscription(
    channel: Channel,
    address: str,
    labels: Iterable[str] = (),
    min_confidence: float = USUAL_MIN_CONFIDENCE,
    frequency: Frequency = Frequency.EACH,
    *,
    allow_private: bool = False,
) -> Subscription:
    """Return a new subscription under a random id; a webhook gets a secret. Raises InvalidSubscription.

    `min_confidence` is a percent; `allow_private` says whether a webhook may point at this machine or its network.
    """
    if channel is Channel.WEBHOOK and frequency is not Frequency.EACH:
        raise InvalidSubscription(
            "A webhook is called for each image. Choose the frequency each, or a mail for digests."
        )
    if not 0 <= min_confidence <= 100:  # noqa: PLR2004  # percent; this also refuses a NaN
        raise InvalidSubscription("The confidence is a percent: give a number from 0 to 100.")
    return Subscription(
        id=secrets.token_hex(16),
        channel=channel,
        address=check_address(channel, address, allow_private=allow_private),
        created_time=now(),
        labels=_check_labels(labels),
        min_confidence=float(min_confidence),
        frequency=frequency,
        secret=new_secret() if channel is Channel.WEBHOOK else "",
    )


def check_address(channel: Channel, address: str, allow_private: bool) -> str:
    """Return `address` in its normal spelling. Raises InvalidSubscription, saying what is wrong with it."""
    if channel is Channel.MAIL:
        return check_mail_address(address)
    return check_url(address, allow_private=allow_private).url


def check_mail_address(address: str) -> str:
    """Return `address` with its domain in lower case. Raises InvalidSubscription."""
    match = _MAIL.fullmatch(address)
    if match is None:
        raise InvalidSubscription(
            "This is not an e-mail address that Lumitag can write to. Give one like name@example.com, "
            "without a display name; write a domain with other letters in its xn-- form."
        )
    if len(address) > _MAIL_LENGTH or len(match["local"]) > _LOCAL_PART_LENGTH:
        raise InvalidSubscription(
            f"This e-mail address is too long: {_MAIL_LENGTH} characters, 64 before the @, are the most."
        )
    return f"{match['local']}@{match['domain'].lower()}"


def check_url(address: str, *, allow_private: bool) -> Target:
    """Return the parts of a webhook's URL. Raises InvalidSubscription.

    A host name is not looked up here: what it leads to counts when it is called, and `refusal` judges that.
    """
    target = _parse(address)
    problem = _refused_by_name(target, allow_private=allow_private)
    if problem is not None:
        raise InvalidSubscription(problem)
    return target


def refusal(address: str, target: Target, *, allow_private: bool) -> str | None:
    """Return why a webhook to `target` may not connect to the IP address `address`; None if it may."""
    match reach(address):
        case Reach.PUBLIC:
            return _refused_in_public(target)
        case Reach.PRIVATE:
            return None if allow_private else _PRIVATE_REFUSED
        case Reach.NOBODY:
            return "The URL leads to a reserved address. Give the URL of a server that others can reach."


def _refused_by_name(target: Target, *, allow_private: bool) -> str | None:
    if _is_address(target.host):
        return refusal(target.host, target, allow_private=allow_private)
    if allow_private:
        return None
    if target.host == "localhost" or target.host.endswith(".localhost"):
        return _PRIVATE_REFUSED
    return _refused_in_public(target)


def _refused_in_public(target: Target) -> str | None:
    if target.scheme != "https":
        return "A webhook beyond the private network must use https, so that nobody reads it on its way."
    if target.port not in _PUBLIC_PORTS:
        return "A webhook beyond the private network uses port 443, 8443 or one from 8000 to 8099."
    return None


def _parse(address: str) -> Target:
    if len(address) > _URL_LENGTH:
        raise InvalidSubscription(f"This URL is too long: {_URL_LENGTH} characters are the most.")
    if not _URL.fullmatch(address):
        raise InvalidSubscription(
            "This URL has characters that a URL cannot have. Percent-encode them; write a host with other letters "
            "in its xn-- form."
        )
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError as error:
        raise InvalidSubscription("This URL cannot be read. Give one like https://example.com/hook.") from error
    return _target(parts, port)


def _target(parts: SplitResult, port: int | None) -> Target:
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise InvalidSubscription("A webhook needs a full URL that starts with https:// (or http://).")
    if "@" in parts.netloc:
        raise InvalidSubscription("A webhook's URL carries no user name or password. Put a token in its path instead.")
    if not _AUTHORITY.fullmatch(parts.netloc) or port == 0:
        raise InvalidSubscription("This URL cannot be read. Give one like https://example.com/hook.")
    path = parts.path or "/"
    return Target(
        scheme=parts.scheme,
        host=_host(parts.hostname, bracketed="[" in parts.netloc),
        port=port or _DEFAULT_PORTS[parts.scheme],
        path=f"{path}?{parts.query}" if parts.query else path,
    )


def _host(text: str, *, bracketed: bool) -> str:
    host = text.lower().removesuffix(".")
    if bracketed:
        if not _is_address(host):
            raise InvalidSubscription("The IP address in this URL cannot be read.")
        return str(ipaddress.IPv6Address(host))
    if len(host) > _HOST_LENGTH or not _HOST.fullmatch(host):
        raise InvalidSubscription("The host in this URL is not a name that can be looked up.")
    if _NUMBER.fullmatch(host.rpartition(".")[2]) and not _is_address(host):
        # 2130706433, 0x7f.1 and 0177.0.0.1 all mean 127.0.0.1 to the system's resolver.
        raise InvalidSubscription("Write an IP address as four decimal numbers, like 192.0.2.1.")
    return host


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _check_labels(labels: Iterable[str]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in labels if name.strip()))
    if len(names) > _LABELS_COUNT or any(len(name) > _LABEL_LENGTH for name in names):
        raise InvalidSubscription(f"Give at most {_LABELS_COUNT} labels of at most {_LABEL_LENGTH} characters.")
    return names
