# SPDX-License-Identifier: Apache-2.0
# Three requests with a Python library; prints one status a line.

import asyncio
import http.client
import json
import sys
import urllib.parse

URL, TOKEN, MODE = sys.argv[1:4]
HEADERS = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
TASK = json.dumps({"type": "python", "payload": "x" * 200_000}).encode()
REQUESTS = [("GET", "/healthz", None), ("POST", "/api/tasks", TASK), ("GET", "/api/stats", None)]


def standard():
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(URL).netloc, timeout=15)
    for method, path, body in REQUESTS:
        connection.request(method, path, body, HEADERS)
        answer = connection.getresponse()
        answer.read()
        print(answer.status)


def pieces():
    """A body of unknown length goes out in chunks."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(URL).netloc, timeout=15)
    for method, path, body in REQUESTS:
        cut = body and iter([body[:1000], body[1000:]])
        connection.request(method, path, cut, HEADERS, encode_chunked=bool(body))
        answer = connection.getresponse()
        answer.read()
        print(answer.status)


def pooled():
    import urllib3

    with urllib3.PoolManager(timeout=15, retries=False) as pool:
        for method, path, body in REQUESTS:
            print(pool.request(method, URL + path, body=body, headers=HEADERS).status)


async def asynchronous(**more):
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=15)
    async with aiohttp.ClientSession(headers=HEADERS, timeout=timeout) as session:
        for method, path, body in REQUESTS:
            more_here = more if body else {}
            async with session.request(method, URL + path, data=body, **more_here) as answer:
                await answer.read()
                print(answer.status)


if MODE == "aiohttp":
    asyncio.run(asynchronous())
elif MODE == "aiohttp-expect":
    asyncio.run(asynchronous(expect100=True))
else:
    {"http.client": standard, "http.client-chunked": pieces, "urllib3": pooled}[MODE]()
