"""Which addresses of the outside may be asked: only public ones, and those the settings name; everything that leads inside is refused.

The rules are written out beside those of `ipaddress`, since that module's tables differ between versions of Python.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from endcap.problems import Problem
from endcap.settings import Destination

PORTS = {"http": 80, "https": 443}
MOST_CHARACTERS = 2000
# Not public, or of a kind that nothing of ours is served from (IANA special-purpose registries), and what clouds answer their guests on.
REFUSED_V4 = tuple(ipaddress.IPv4Network(one) for one in (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24",
    "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4",
    "240.0.0.0/4", "168.63.129.16/32",
))  # fmt: skip
# Of IPv6 only global unicast is public: mapped and compatible IPv4, NAT64, unique local, link-local and multicast lie outside it.
GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
REFUSED_V6 = tuple(ipaddress.IPv6Network(one) for one in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3ffe::/16", "3fff::/20"))
ISATAP = (0x00005EFE, 0x02005EFE)  # middle of an interface's number that holds an IPv4 address

_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


class Refused(Problem):
    """An address that may not be asked."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where an address leads: `host` is a name in ASCII or a number as text, `path` has the query too."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """Host and port as the Host header says them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def is_number(self) -> bool:
        return _is_number(self.host)


def target_of(address: str) -> Target:
    """An address taken apart, once; what is connected to and what is checked come from here. Raises Refused for all that can be read two ways."""
    given = address.strip()
    if len(given) > MOST_CHARACTERS or any(ord(letter) < 32 or ord(letter) == 127 for letter in given) or "\\" in given:
        raise _refused("the address holds characters that none has, or too many", given)
    try:
        parts = urlsplit(given)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _refused("the address cannot be read", given) from None
    if parts.scheme not in PORTS:
        raise _refused("only http and https are asked", given)
    if "@" in parts.netloc:
        raise _refused("the address holds a name or password", given)
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._") + ("?" + quote(parts.query, safe="/?%:@!$&'()*+,;=~-._") if parts.query else "")
    return Target(parts.scheme, _host(host, given), port if port is not None else PORTS[parts.scheme], path)


def check(number: str, port: int, allowed: Sequence[Destination], *, where: str) -> None:
    """Raise Refused unless this very address may be connected to at this port: public at 80 or 443, or named in the settings."""
    try:
        address = ipaddress.ip_address(number)
    except ValueError:
        raise Refused("the host leads to no address that can be read", where=where) from None
    if any(port in one.ports and address in ipaddress.ip_network(one.network) for one in allowed):
        return
    if not _is_public(address):
        raise Refused("the host leads to an address that is not public", where=where, todo="name the network under `allow_outgoing` if it is yours")
    if port not in PORTS.values():
        raise Refused(f"port {port} is not asked", where=where, todo="use 80 or 443, or name network and port under `allow_outgoing`")


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast and not any(address in one for one in REFUSED_V4)
    if address not in GLOBAL_V6 or address.scope_id is not None or any(address in one for one in REFUSED_V6):
        return False
    return address.is_global and not address.is_multicast and (int(address) >> 32) & 0xFFFFFFFF not in ISATAP


def _host(host: str, given: str) -> str:
    """The host in ASCII. A number must be written in the one usual way: decimal, octal, hexadecimal and short forms are refused."""
    if ":" in host:
        try:
            number = ipaddress.IPv6Address(host)
        except ValueError:
            raise _refused("the host is not an address", given) from None
        if number.scope_id is not None:
            raise _refused("the host is an address of one network card", given)
        return str(number)
    try:
        plain = host.encode("idna").decode("ascii").lower() if len(host) <= 253 else ""
    except UnicodeError:
        plain = ""
    plain = plain.removesuffix(".")
    if not _NAME.fullmatch(plain):
        raise _refused("the host's name cannot be read", given)
    if _NUMBER.fullmatch(plain.rsplit(".", 1)[-1]) and not _is_number(plain):
        raise _refused("the host is a number in disguise", given)
    return plain


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _refused(what: str, given: str) -> Refused:
    return Refused(what, where=repr(given[:120]))
