#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Scrapes a whole HTML manual through the real binary, and checks every page with another parser.

The manual is served on loopback; the web agent is started by the server, as in the default
configuration. Needs Beautiful Soup, which the agent does not use for titles and texts.
"""

import argparse
import collections
import functools
import http.server
import pathlib
import re
import sys
import tempfile
import threading
import time
import types

from bs4 import BeautifulSoup

import demo

TASK_SIZE = 20
ENOUGH = 0.85


def serve(folder):
    handler = functools.partial(demo.Quiet, directory=str(folder))
    site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{site.server_address[1]}/"


def submit(server, base, names):
    """One task for every few pages; their ids."""
    tasks = [{
        "type": "scrape", "timeout": 600_000,
        "payload": {"urls": [base + name for name in names[start:start + TASK_SIZE]],
                    "includeLinks": False, "maxTextBytes": 3 << 20},
    } for start in range(0, len(names), TASK_SIZE)]
    return server.call("POST", "/api/tasks/bulk", tasks)["taskIds"]


def scraped(server, ids, seconds):
    """The pages of all tasks, by the order of submission; fails when one did."""
    until, pages = time.monotonic() + seconds, []
    for id in ids:
        task = {"state": "queued"}
        while task["state"] not in demo.ENDED:
            if time.monotonic() > until:
                raise demo.Stop(f"task {id} has not ended after {seconds} s")
            task = server.call("GET", f"/api/tasks/{id}/wait?timeoutSeconds=20")
        if task["state"] != "completed" or task["partial"] or task["failures"]:
            raise demo.Stop(f"task {id}: {task['state']}, {task['failures']} failures: {task['error']}")
        pages += task["results"]["data"]["pages"]
    return pages


def words(text):
    return collections.Counter(re.findall(r"\w+", text))


def faults(path, page):
    """What is wrong with a page's title or text, against Beautiful Soup's reading of the file."""
    soup = BeautifulSoup(path.read_bytes(), "lxml")
    title = " ".join(soup.title.get_text().split()) if soup.title else page["title"]
    if page["title"] != title:
        yield f"{path.name}: title {page['title']!r}, not {title!r}"
    for other in soup(["script", "style", "noscript", "template", "nav", "form"]):
        other.decompose()
    main = soup.select_one("main, [role=main]")
    wanted = words((main or soup.body or soup).get_text(" "))
    given = words(page["text"])
    common = (wanted & given).total()
    if common < ENOUGH * given.total():
        yield f"{path.name}: {given.total() - common} of {given.total()} words are not its own"
    if main is not None and not page["textTruncated"] and common < ENOUGH * wanted.total():
        yield f"{path.name}: {wanted.total() - common} of {wanted.total()} words are missing"


def check(arguments, folder, data):
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.html"))
    if len(names) < 100:
        raise demo.Stop(f"only {len(names)} pages in {folder}")
    settings = types.SimpleNamespace(
        bin=arguments.bin, data=data, port=None, config=arguments.config)
    server = demo.Server(settings, ["127.0.0.1/32"])
    try:
        began = time.monotonic()
        pages = scraped(server, submit(server, serve(folder), names), arguments.seconds)
        spent = time.monotonic() - began
    finally:
        server.stop()
    wrong = [fault for name, page in zip(names, pages, strict=True)
             for fault in faults(folder / name, page)]
    for fault in wrong:
        print(fault)
    print(f"{len(pages)} pages in {spent:.1f} s, {sum(page['words'] for page in pages)} words,"
          f" {len(wrong)} faults")
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser(prog="Scripts/manual.py", description=__doc__)
    parser.add_argument("--bin", required=True, help="the orrery binary")
    parser.add_argument("--config", default="config/agents.json", help="configuration file")
    parser.add_argument("--seconds", type=int, default=1200, help="how long it may take")
    parser.add_argument("folder", type=pathlib.Path, help="where the manual's pages are")
    arguments = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="orrery-manual-") as data:
            return check(arguments, arguments.folder.resolve(), data)
    except demo.Stop as stop:
        print(stop, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
