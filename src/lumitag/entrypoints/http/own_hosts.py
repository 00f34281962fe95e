"""The names under which this server answers, so that no other name can be pointed at it (DNS rebinding).

A page of `evil.test` whose name suddenly leads to 127.0.0.1 still sends `Host: evil.test`: it is refused.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from lumitag.settings import Settings

_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_][a-z0-9._-]*)(?::([0-9]{1,5}))?", re.ASCII)
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class OwnHosts:
    """What may stand in the Host header of a request to this server."""

    def __init__(self, settings: Settings) -> None:
        self._port = settings.port
        self._bound = _LOOPBACK | {_bracketed(settings.host.lower())}
        self._allowed = frozenset(host.lower() for host in settings.allowed_hosts)
        self._public = (settings.public_url or "//").lower().partition("//")[2]
        # Beyond this machine nobody knows which addresses lead here; rebinding needs a name, so an address is harmless.
        self._any_address = not settings.is_loopback

    def owns(self, host: str, port: int | None, scheme: str) -> bool:
        """Return whether `host`, as the header has it, names this server, which was reached on `port`."""
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        name, given = match[1], int(match[2]) if match[2] else None
        port = port or self._port
        if host in self._allowed or host == self._public or (self._any_address and _is_address(name)):
            return True
        if name in self._bound:
            return (given or _DEFAULT_PORTS[scheme]) == port
        return name in self._allowed and given == port


def is_well_formed(host: str) -> bool:
    """Return whether `host` can stand in a Host header at all."""
    return _HOST.fullmatch(host) is not None


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
