#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Starts a server with the web agent, scrapes pages, shows progress and a table, stays up.

Standard library only. The server is the real binary; everything goes through its HTTP API.
"""

import argparse
import functools
import http.server
import json
import os
import pathlib
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[1]
SITE = ROOT / "Examples" / "site"
LOG = ROOT / ".build" / "run.log"
ENDED = {"completed", "failed", "cancelled"}
LIVE = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
COLOUR = LIVE and not os.environ.get("NO_COLOR")


def paint(code, text):
    return f"\x1b[{code}m{text}\x1b[0m" if COLOUR else text


def say(text):
    print(paint("1", f"▸ {text}"), flush=True)


class Stop(Exception):
    """Ends the demo with one sentence."""


# The server


class Server:
    """One `orrery serve`, its output in a log file."""

    def __init__(self, arguments, allow):
        self.data = pathlib.Path(arguments.data)
        port = free_port(arguments.port)
        command = [arguments.bin, "serve", "--data", str(self.data), "--port", str(port)]
        command += ["--config", arguments.config]
        for network in allow:
            command += ["--allow-net", network]
        LOG.parent.mkdir(exist_ok=True)
        self.log = LOG.open("wb")
        environment = dict(os.environ)
        if not self.token_is_known():
            environment["ORRERY_ADMIN_TOKEN"] = self.make_token()
        # A session of its own: Ctrl-C reaches this script, which then stops the server in order.
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=self.log,
            stderr=subprocess.STDOUT, start_new_session=True)
        self.url = self.wait_until_listening()
        self.token = os.environ.get("ORRERY_ADMIN_TOKEN") or self.read_token()

    def wait_until_listening(self):
        until = time.monotonic() + 60
        while time.monotonic() < until:
            found = re.search(r"listening on (http://\S+)", LOG.read_text(errors="replace"))
            if found:
                return found.group(1).rstrip("/")
            if self.process.poll() is not None:
                raise Stop("the server did not start:\n" + self.last_words())
            time.sleep(0.05)
        raise Stop(f"the server does not answer after 60 s; its log is {LOG}")

    def token_is_known(self):
        """True unless the folder was used before and its token is known to nobody here."""
        used = (self.data / "orrery.db").exists()
        kept = (self.data / "admin-token").exists()
        return bool(os.environ.get("ORRERY_ADMIN_TOKEN")) or kept or not used

    def make_token(self):
        token = "orr_" + secrets.token_hex(32)
        file = os.open(self.data / "admin-token", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "w") as written:
            written.write(token)
        return token

    def read_token(self):
        try:
            return (self.data / "admin-token").read_text().strip()
        except OSError as error:
            raise Stop(f"no admin token: {error}; set ORRERY_ADMIN_TOKEN to the one in use") from None

    def last_words(self):
        lines = LOG.read_text(errors="replace").splitlines()
        return "\n".join("  " + line for line in lines[-12:])

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method, headers={
            "Authorization": f"Bearer {self.token}", "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            problem = json.loads(error.read() or b"{}")
            detail = problem.get("detail", error.reason)
            raise Stop(f"{method} {path}: {error.code} {problem.get('code', '')}: {detail}") from None
        except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
            if self.process.poll() is not None:
                raise Stop("the server ended:\n" + self.last_words()) from None
            raise Stop(f"{method} {path}: {error}") from None

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(10)
        self.log.close()


def free_port(wanted):
    """The wanted port; the default one may be exchanged for a free one if it is taken."""
    for port in ([wanted] if wanted else [3000, 0]):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            if port == 0:
                say(f"port 3000 is taken, using {probe.getsockname()[1]}")
            return probe.getsockname()[1]
    return wanted


# The pages


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files without a line per request."""

    def log_message(self, *_):
        pass


def serve_site():
    """The bundled documentation site on a free loopback port; the URLs of its pages."""
    handler = functools.partial(Quiet, directory=str(SITE))
    site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{site.server_address[1]}/"
    pages = sorted(page.name for page in SITE.glob("*.html"))
    if not pages:
        raise Stop(f"no pages in {SITE}")
    return base, [base + page for page in pages]


def is_loopback(url):
    host = urllib.parse.urlsplit(url).hostname or ""
    return host == "localhost" or host.startswith("127.")


# The work


def submit(server, urls, run):
    tasks = [{"type": "scrape", "payload": {"url": url}, "labels": {"demo": run}} for url in urls]
    return server.call("POST", "/api/tasks/bulk", tasks)["taskIds"]


def overview(server, run):
    """Every task of this run by id, without results."""
    tasks, cursor = {}, None
    while True:
        query = {"label": f"demo:{run}", "limit": "200", **({"cursor": cursor} if cursor else {})}
        page = server.call("GET", "/api/tasks?" + urllib.parse.urlencode(query))
        tasks.update((task["id"], task) for task in page["tasks"])
        cursor = page.get("nextCursor")
        if not cursor:
            return tasks


class Bars:
    """One line a task and one for the total, redrawn in place; plain lines where that cannot be."""

    def __init__(self, names):
        self.names, self.drawn, self.said = names, 0, {}

    def show(self, tasks):
        if not LIVE:
            return self.tell(tasks)
        width, height = shutil.get_terminal_size((100, 30))
        order = list(self.names)
        if len(order) > height - 4:  # what is under way first, where not all fit
            order.sort(key=lambda id: tasks[id]["state"] in ENDED)
        lines = [self.line(tasks[id], width) for id in order[:max(1, height - 4)]]
        if len(order) > len(lines):
            lines.append(f"  … and {len(order) - len(lines)} more")
        lines.append(self.total(tasks))
        up = f"\x1b[{self.drawn}F" if self.drawn else ""
        print(up + "\n".join(f"\x1b[2K{line}" for line in lines) + "\n\x1b[J", end="", flush=True)
        self.drawn = len(lines)

    def tell(self, tasks):
        for id, task in tasks.items():
            if self.said.get(id) != task["state"] and task["state"] != "queued":
                print(f"  {task['state']:<10} {self.names[id]}", flush=True)
            self.said[id] = task["state"]

    def line(self, task, width):
        name = self.names[task["id"]]
        percent = 100 if task["state"] == "completed" else (task.get("progress") or 0)
        words = task.get("message") or (task.get("waitingFor") or "").replace("_", " ")
        state = task["state"]
        if state == "failed":
            words = (task.get("error") or {}).get("message", "")
        colour = {"completed": "32", "failed": "31", "running": "36"}.get(state, "2")
        text = f"  {clip(name, 34):<34} {bar(percent)} "
        return text + paint(colour, clip(f"{state} {words if state != 'completed' else ''}", width - 60))

    def total(self, tasks):
        ended = sum(task["state"] in ENDED for task in tasks.values())
        return paint("1", f"  {'total':<34} {bar(100 * ended / max(1, len(tasks)))} {ended}/{len(tasks)}")


def bar(percent, cells=20):
    full = int(cells * min(100, max(0, percent)) / 100)
    return "█" * full + "░" * (cells - full)


def clip(text, width):
    text = " ".join(str(text).split())
    return text if len(text) <= width else text[:max(1, width - 1)] + "…"


def follow(server, urls, ids, run):
    """Shows progress until every task has ended."""
    names = {id: short(url) for id, url in zip(ids, urls)}
    bars = Bars(names)
    while True:
        tasks = overview(server, run)
        if len(tasks) == len(names):
            bars.show(tasks)
            if all(task["state"] in ENDED for task in tasks.values()):
                return
        time.sleep(0.1)


def short(url):
    parts = urllib.parse.urlsplit(url)
    path = parts.path.rsplit("/", 1)[-1] if is_loopback(url) else parts.netloc + parts.path
    return path or url


def pages_of(task):
    """The scraped pages in a task's result: a list, or the one page itself."""
    data = (task.get("results") or {}).get("data") or {}
    pages = data.get("pages") if isinstance(data, dict) else None
    return pages if isinstance(pages, list) else [data] if data else []


def table(server, urls, ids):
    """Prints one row a page; returns how many failed."""
    rows, failed = [("page", "title", "words", "ms")], 0
    for url, id in zip(urls, ids):
        task = server.call("GET", f"/api/tasks/{id}")
        pages = pages_of(task)
        if task["state"] != "completed" or not pages:
            failed += 1
            error = task.get("error") or {}
            rows.append((short(url), f"{task['state']}: {error.get('message', '')}", "–", "–"))
        for page in pages if task["state"] == "completed" else []:
            words = page.get("words")
            if not isinstance(words, int):
                words = len((page.get("text") or "").split())
            spent = page.get("ms", page.get("duration", page.get("elapsed")))
            rows.append((short(page.get("url") or url), page.get("title") or "–", words,
                         "–" if spent is None else round(spent)))
    widths = [min(46, max(len(str(row[i])) for row in rows)) for i in range(4)]
    print()
    for index, row in enumerate(rows):
        cells = [clip(row[i], widths[i]) for i in range(4)]
        text = (f"  {cells[0]:<{widths[0]}}  {cells[1]:<{widths[1]}}"
                f"  {cells[2]:>{widths[2]}}  {cells[3]:>{widths[3]}}")
        print(paint("1", text) if index == 0 else text)
    print(f"\n  {len(rows) - 1 - failed} pages, {failed} failed", flush=True)
    return failed


def stay(server):
    command = "orrery" if shutil.which("orrery") else ".build/release/orrery"
    say(f"Orrery stays up at {server.url}")
    print(f"""
  token    {server.token}
  log      {os.path.relpath(LOG)}
  try      export ORRERY_URL={server.url} ORRERY_TOKEN={server.token}
           {command} tasks list
           {command} submit scrape --payload '{{"url":"https://example.com/"}}' --wait

  Ctrl-C stops it; the tasks stay in {server.data}/.""", flush=True)
    code = server.process.wait()
    raise Stop(f"the server ended with {code}:\n" + server.last_words())


def interrupted(*_):
    raise KeyboardInterrupt


def main():
    parser = argparse.ArgumentParser(prog="Scripts/run", description=__doc__)
    parser.add_argument("--bin", required=True, help="the orrery binary")
    parser.add_argument("--data", default="data", help="data folder (default: data)")
    parser.add_argument("--port", type=int, help="port (default: 3000, or a free one)")
    parser.add_argument("--config", default="config/agents.json", help="configuration file")
    parser.add_argument("--once", action="store_true", help="end after the table")
    parser.add_argument("urls", nargs="*", metavar="URL")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, interrupted)
    server = None
    try:
        base, urls = (None, arguments.urls) if arguments.urls else serve_site()
        local = any(is_loopback(url) for url in urls)
        server = Server(arguments, ["127.0.0.1/32"] if local else [])
        say(f"server at {server.url}, web agent starting")
        say(f"scraping {len(urls)} pages" + (f" of the bundled site at {base}" if base else ""))
        run = secrets.token_hex(4)
        ids = submit(server, urls, run)
        follow(server, urls, ids, run)
        failed = table(server, urls, ids)
        if arguments.once:
            return 1 if failed else 0
        stay(server)
    except Stop as stop:
        print(paint("31", f"✘ {stop}"), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print()
        say("stopping")
        return 0
    finally:
        if server:
            server.stop()


if __name__ == "__main__":
    sys.exit(main())
