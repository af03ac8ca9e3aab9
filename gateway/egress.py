"""Requests that leave the gateway: one session, its deadlines, and the refusal of private addresses."""

import ipaddress
import socket
from importlib.metadata import version
from typing import Any

import aiohttp

from connectors.replies import AddressNotAllowedError

VERSION = version("ledgergate")
USER_AGENT = f"ledgergate/{VERSION}"
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def new_session(*, allow_private: bool) -> aiohttp.ClientSession:
    """Return the session that connectors and sources share. It follows no proxy variables and keeps no cookies."""
    connector = aiohttp.TCPConnector(
        limit=200, limit_per_host=64, ttl_dns_cache=60, socket_factory=_open if allow_private else _open_public
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=60, sock_connect=10),
        headers={"User-Agent": USER_AGENT},
        trust_env=False,
    )


def is_public(address: str) -> bool:
    """Whether an IP address lies on the public Internet; mapped and translated IPv4 is looked at as such."""
    found = ipaddress.ip_address(address.split("%", 1)[0])
    if isinstance(found, ipaddress.IPv6Address):
        mapped = found.ipv4_mapped or found.sixtofour
        if mapped is None and found in _NAT64:
            mapped = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if mapped is not None:
            return is_public(str(mapped))
    return found.is_global and not found.is_multicast


def _open(info: Any) -> socket.socket:
    family, kind, proto, _, _ = info
    opened = socket.socket(family=family, type=kind, proto=proto)
    opened.setblocking(False)  # noqa: FBT003 - the standard library has no name for it
    return opened


def _open_public(info: Any) -> socket.socket:
    """Refuse at the moment of connecting: names that resolve to private addresses and literal ones alike."""
    if not is_public(info[4][0]):
        raise AddressNotAllowedError
    return _open(info)
