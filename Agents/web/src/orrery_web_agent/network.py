# SPDX-License-Identifier: Apache-2.0
"""The HTTP client's sockets: names are resolved here, and only vetted addresses are connected."""

from __future__ import annotations

import asyncio
import socket

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from .addresses import AddressDenied, AddressPolicy
from .version import USER_AGENT

MOST_HEADER_BYTES = 32 << 10


class VettingResolver(AbstractResolver):
    """The system's resolver without the addresses that may not be connected to."""

    def __init__(self, policy: AddressPolicy) -> None:
        self._policy = policy

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises ``AddressDenied`` if the name has addresses but none that is allowed."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(
            host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
        )
        denied: AddressDenied | None = None
        results: list[ResolveResult] = []
        for kind, _, protocol, _, address in found:
            numeric = str(address[0])
            try:
                self._policy.check(numeric)
            except AddressDenied as error:
                denied = error
                continue
            results.append(
                ResolveResult(
                    hostname=host,
                    host=numeric,
                    port=int(address[1]),
                    family=kind,
                    proto=protocol,
                    flags=socket.AI_NUMERICHOST,
                )
            )
        if not results and denied is not None:
            raise denied
        return results

    async def close(self) -> None:
        return None


def new_session(policy: AddressPolicy) -> aiohttp.ClientSession:
    """A client that connects to allowed addresses only, whatever its URLs say.

    The last check is on the address that a socket is made for, so that neither numeric hosts nor a
    name whose answer changes get around it. No proxies, no cookies, no environment.
    """

    def vetted_socket(info: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = info
        policy.check(str(address[0]))
        return socket.socket(family=family, type=kind, proto=protocol)

    connector = aiohttp.TCPConnector(
        resolver=VettingResolver(policy),
        socket_factory=vetted_socket,
        limit=128,
        limit_per_host=16,
        ttl_dns_cache=30,
        enable_cleanup_closed=False,
    )
    return aiohttp.ClientSession(
        connector=connector,
        headers={"user-agent": USER_AGENT},
        cookie_jar=aiohttp.DummyCookieJar(),
        max_line_size=MOST_HEADER_BYTES,
        max_field_size=MOST_HEADER_BYTES,
        trust_env=False,
    )
