"""Who can be behind an IP address: everybody, only this machine and its network, or nobody a webhook may call.

The table is our own, because `ipaddress` answers another question: in Python 3.11 it calls the NAT64 and 6to4
spellings of 127.0.0.1 global, and ::ffff:127.0.0.1 no loopback.
"""

from __future__ import annotations

import enum
import ipaddress
from typing import Final


class Reach(enum.Enum):
    """Who can be behind an IP address."""

    PUBLIC = "public"
    PRIVATE = "private"
    NOBODY = "nobody that a webhook may call"


def _networks(*texts: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


# Sources: the IANA special-purpose address registries for IPv4 and IPv6 (RFC 6890) and the documentation of the clouds.
_METADATA: Final = _networks(
    "169.254.0.0/16",
    "100.100.100.200/32",
    "168.63.129.16/32",
    "fd00:ec2::254/128",
    "fd20:ce::254/128",
)
_PRIVATE: Final = _networks(
    "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "::1/128", "fc00::/7"
)
_RESERVED: Final = _networks(
    "0.0.0.0/8", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24",
    "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    "2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20",
)  # fmt: skip
# All of IPv6 that belongs to somebody. Outside lie the spellings of IPv4: mapped, compatible, translated and NAT64.
_GLOBAL_IPV6: Final = ipaddress.IPv6Network("2000::/3")


def reach(address: str) -> Reach:
    """Return who is behind an IP address; an unreadable one has nobody behind it."""
    try:
        number = ipaddress.ip_address(address)
    except ValueError:
        return Reach.NOBODY
    if any(number in network for network in _METADATA):
        return Reach.NOBODY
    if any(number in network for network in _PRIVATE):
        return Reach.PRIVATE
    if any(number in network for network in _RESERVED):
        return Reach.NOBODY
    return Reach.PUBLIC if number.version == 4 or number in _GLOBAL_IPV6 else Reach.NOBODY  # noqa: PLR2004
