# SPDX-License-Identifier: Apache-2.0
"""Which addresses may be connected to: public unicast ones, and those the operator allowed."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_DENIED_4: Final = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
#: Everything outside is denied: mapped and compatible IPv4, NAT64, local, link-local, multicast.
_GLOBAL_6: Final = ipaddress.IPv6Network("2000::/3")
#: Parts of the above that are not public unicast, or that hide an IPv4 address (Teredo, 6to4).
_DENIED_6: Final = tuple(
    ipaddress.IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)


class AddressDenied(OSError):
    """A connection to an address that is neither public nor allowed was refused."""


def is_public(address: Address) -> bool:
    """Whether the address is a public unicast one."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _DENIED_4)
    if address.scope_id is not None or address not in _GLOBAL_6:
        return False
    return not any(address in network for network in _DENIED_6)


class AddressPolicy:
    """The operator's allowed networks, and every public address."""

    def __init__(self, allowed: Iterable[Network] = ()) -> None:
        self.allowed = tuple(allowed)

    @staticmethod
    def parse(text: str) -> AddressPolicy:
        """From comma-separated CIDRs, as in ``ORRERY_ALLOW_NET``. Raises ``ValueError``."""
        parts = [part.strip() for part in text.split(",")]
        return AddressPolicy(ipaddress.ip_network(part) for part in parts if part)

    def is_allowed(self, address: Address) -> bool:
        """Whether the operator named a network that holds the address."""
        return any(address in network for network in self.allowed)

    def check(self, host: str) -> Address:
        """The numeric address ``host``, if it may be connected to. Raises ``AddressDenied``."""
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            raise AddressDenied(f"not a numeric address: {host[:80]!r}") from None
        if self.is_allowed(address) or is_public(address):
            return address
        raise AddressDenied(f"{address} is not public and not in the allowed networks")
