# SPDX-License-Identifier: Apache-2.0
"""Which addresses are connected to, in every spelling, by name, and after a redirect."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from website import checking, scraping, website

from orrery_agent import TaskFailed
from orrery_web_agent.addresses import AddressDenied, AddressPolicy

_DENIED = """
0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.127.255.255 127.0.0.1 127.1.2.3 169.254.169.254 172.16.0.1
172.31.255.255 192.0.0.1 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.19.255.255 198.51.100.1
203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
:: ::1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:8.8.8.8 64:ff9b::7f00:1 64:ff9b:1::1 100::1 2001::1
2001:10::1 2001:20::1 2001:db8::1 2002:7f00:1::1 3fff::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1
fe80::1%eth0 fec0::1 ff02::1 4000::1
""".split()
_PUBLIC = "1.1.1.1 8.8.8.8 100.63.0.1 172.15.0.1 172.32.0.1 2606:4700::1111 2a00:1450::1".split()


@pytest.mark.parametrize("address", _DENIED)
def test_denied(address: str) -> None:
    with pytest.raises(AddressDenied):
        AddressPolicy().check(address)


@pytest.mark.parametrize("address", _PUBLIC)
def test_public(address: str) -> None:
    AddressPolicy().check(address)


def test_allowed_networks() -> None:
    policy = AddressPolicy.parse(" 127.0.0.1/32, 10.0.0.0/8 ,fd00::/8")
    for address in ("127.0.0.1", "10.1.2.3", "fd00::1", "8.8.8.8"):
        policy.check(address)
    for address in ("127.0.0.2", "192.168.0.1", "::1", "::ffff:127.0.0.1"):
        with pytest.raises(AddressDenied):
            policy.check(address)
    with pytest.raises(ValueError, match="host bits"):
        AddressPolicy.parse("10.0.0.1/8")


_SPELLINGS = [
    "127.0.0.1", "127.1", "0x7f.1", "2130706433", "0177.0.0.1", "localhost", "[::1]", "[::]",
    "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "0", "0.0.0.0", "127.0.0.1.",
    "169.254.169.254", "①②⑦.0.0.1",
]


@pytest.mark.parametrize("host", _SPELLINGS)
async def test_no_spelling_reaches_loopback(host: str) -> None:
    async with website() as site, scraping("") as scrape, checking("") as check:
        url = site.url.replace("127.0.0.1", host)
        with pytest.raises(TaskFailed) as failure:
            await scrape(url=url)
        assert failure.value.code in ("ADDRESS_DENIED", "BAD_URL", "DNS_FAILED")
        assert not failure.value.retryable or failure.value.code == "DNS_FAILED"
        with pytest.raises(TaskFailed):
            await check(url=url)
        assert site.requests == []


async def test_redirects_are_checked_too() -> None:
    async with website() as site, scraping() as scrape, checking() as check:
        other = site.redirect("/other", site.url.replace("127.0.0.1", "127.0.0.2") + "/x")
        scheme = site.redirect("/scheme", "file:///etc/passwd")
        named = site.redirect("/named", "http://user:secret@127.0.0.1/")
        for url, code in ((other, "ADDRESS_DENIED"), (scheme, "BAD_URL"), (named, "BAD_URL")):
            with pytest.raises(TaskFailed) as failure:
                await scrape(url=url)
            assert failure.value.code == code and not failure.value.retryable
            with pytest.raises(TaskFailed) as failure:
                await check(url=url, maxRedirects=3)
            assert failure.value.code == code
        assert "/x" not in site.requests


async def test_a_name_is_judged_by_the_address_that_is_connected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The resolver's answer passes as public and turns into loopback when it is used."""
    async with website() as site, scraping("") as scrape:
        loop = asyncio.get_running_loop()
        port = int(site.url.rsplit(":", 1)[1])

        async def rebound(*_: Any, **__: Any) -> Any:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

        monkeypatch.setattr(loop, "getaddrinfo", rebound)
        monkeypatch.setattr("orrery_web_agent.network.VettingResolver.resolve", _trusting)
        with pytest.raises(TaskFailed) as failure:
            await scrape(url=f"http://innocent.example:{port}/")
        assert failure.value.code == "ADDRESS_DENIED"
        assert site.requests == []


async def _trusting(_: Any, host: str, port: int = 0, family: int = 0) -> Any:
    return [
        {
            "hostname": host, "host": "127.0.0.1", "port": port, "family": socket.AF_INET,
            "proto": 6, "flags": socket.AI_NUMERICHOST,
        }
    ]
