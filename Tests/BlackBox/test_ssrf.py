# SPDX-License-Identifier: Apache-2.0
# No spelling of an address and no name makes the control plane, or the web agent, connect to where
# they may not. Runs in a network in which each attempt would be seen.

import contextlib
import http.server
import importlib.util
import itertools
import json
import socket
import sys
import threading
import urllib.parse

import pytest

from harness import island as islands
from harness.api import assert_problem
from harness.nameserver import A
from harness.push_agent import PushAgent, answer, complete
from harness.server import Server
from harness.spellings import FORBIDDEN, NAMES, PORT, SPELLINGS, TRICKS
from harness.wait import eventually

pytestmark = pytest.mark.skipif(
    islands.why_not() is not None, reason=f"SKIPPED: {islands.why_not()}"
)
FIELDS = ("endpoint", "cancelEndpoint", "healthUrl")
SITE = islands.PUBLIC[0]
ONCE = {"maxAttempts": 1}


@pytest.fixture(scope="module")
def island(tmp_path_factory):
    with islands.Island(tmp_path_factory.mktemp("island")) as island:
        island.names.names.update(NAMES)
        yield island


def beyond_loopback(island, folder, config=None, **more):
    """A server to which loopback is as forbidden as any other private address."""
    options = {"args": ["--insecure-http"], "prefix": island.prefix(), **more}
    server = Server(folder=folder, host="0.0.0.0", config=config, **options)
    island.watch.own.add(server.port)
    return server


@pytest.fixture
def serve(island, tmp_path, request):
    made = []
    island.watch.forget()

    def serve(config=None, **more):
        made.append(beyond_loopback(island, tmp_path, config, **more))
        request.config.orrery_servers[:] = made[-3:]  # their logs go with a failure
        return made[-1]

    yield serve
    for server in made:
        server.kill()


@pytest.fixture
def server(serve):
    server = serve()
    server.start()
    return server


def nothing_begun(island):
    begun = island.watch.begun()
    assert not begun, f"connections were begun: {sorted(map(str, begun))}"


def entry(index, **fields):
    """An agent of the configuration with a task type of its own."""
    return {"id": f"e{index}", "type": "http", "capabilities": [f"e{index}"], **fields}


def put_back(server, task_id):
    """Waits until a dispatch was tried and came to nothing."""

    def tried():
        task = server.api.task(task_id)
        return task["attempt"] >= 1 and task["state"] != "running" and task

    return eventually(tried, 30, what="a dispatch is tried")


def probed(server, agent_id):
    """Waits until the round of health checks is over."""
    name = f'agent_uptime_ratio{{agentId="{agent_id}"}}'
    eventually(lambda: name in server.api.get("/metrics").body.decode(), 40, every=0.2, what=name)


# The watch itself


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "fd00:ec2::254", "2002:7f00:1::"]
)
def test_the_watch_sees_attempts(island, address):
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address, 79), timeout=5)
    begun = island.watch.begun()
    assert islands.Attempt(address, 79) in begun
    island.watch.forget()


def test_the_lists_are_long_enough():
    assert len(set(SPELLINGS)) == len(SPELLINGS) >= 60


# Registration


@pytest.mark.parametrize("field", FIELDS)
def test_registration(island, server, field):
    refused = []
    for number, url in enumerate(SPELLINGS):
        body = {"name": f"n{number}", "type": "http", "capabilities": ["x"], field: url}
        body.setdefault("endpoint", f"http://site.test:{PORT}/")
        refused.append((url, server.api.post("/api/agents", body)))
    for url, got in refused:
        if "\0" in url:
            assert_problem(got, 400, "invalid_json", path=field)
            continue
        problem = assert_problem(got, 422, path=field)
        wanted = "invalid_field" if url in TRICKS else "address_not_allowed"
        assert problem["code"] == wanted, f"{url!r}: {got!r}"
    assert server.api.agents() == []
    nothing_begun(island)


# Configuration


def oauth(url):
    return {"type": "oauth2", "tokenUrl": url, "clientId": "c", "keyName": "K"}


@pytest.mark.parametrize("field", [*FIELDS, "tokenUrl"])
def test_tricks_stop_the_start(serve, island, field):
    place = "authentication.tokenUrl" if field == "tokenUrl" else field
    server = serve(env={"K": "k" * 32})
    accepted = []
    for url in TRICKS:
        fields = {"endpoint": f"http://site.test:{PORT}/"}
        fields |= {"authentication": oauth(url)} if field == "tokenUrl" else {field: url}
        server.write_config({"agents": [entry(0, **fields)]})
        code, said = server.run_to_end()
        if code == 0 or f"agents[0].{place}" not in said.splitlines()[-1]:
            accepted.append((url, said))
    assert accepted == []
    nothing_begun(island)


def test_configured_addresses_at_dispatch(serve, island):
    """The configuration may hold them, as rules come and go; nothing is sent there."""
    agents = []
    for index, url in enumerate(FORBIDDEN):
        agents.append(entry(f"a{index}", endpoint=url, healthUrl=url, cancelEndpoint=url))
        fields = {"endpoint": f"http://{SITE}:84/", "authentication": oauth(url)}
        agents.append(entry(f"t{index}", **fields))
    server = serve(config={"agents": agents}, env={"K": "k" * 32})
    server.start()
    tasks = [server.api.submit(agent["id"], retry=ONCE) for agent in agents]
    for task_id in tasks:
        put_back(server, task_id)
        server.api.cancel(task_id)
    nothing_begun(island)
    assert not island.watch.saw(SITE, 84), "the token comes before the dispatch"
    probed(server, agents[-2]["id"])
    nothing_begun(island)


# Dispatch


class Site:
    """A public web site and its names: an agent, a token server, and pages that lead elsewhere."""

    def __init__(self, island, server, *names, behave=None):
        self.island, self.agent = island, PushAgent(server, behave or complete(), host="0.0.0.0")
        self.names = names
        self.lead(SITE)

    def lead(self, *addresses):
        """Where all of its names lead from now on."""
        for name in self.names:
            self.island.names.names[name] = list(addresses)

    def url(self, name, path):
        return f"http://{name}:{self.agent.port}{path}"

    def register(self, server, kind, **fields):
        body = {"name": kind, "type": "http", "capabilities": [kind], **fields}
        made = server.api.good("POST", "/api/agents", body, status=201)
        self.agent.id, self.agent.secret = made["id"], made["secret"]
        return made["id"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.agent.close()


INSIDE = ["127.0.0.1", "::1", "10.0.0.1", "169.254.169.254", "fd00:ec2::254", "::ffff:127.0.0.1"]


def last_answer(agent, dispatch):
    """Completes, and closes the connection, so that the next dispatch needs a new one."""
    reply = complete()(agent, dispatch)
    reply.headers = [("connection", "close")]
    return reply


def test_names_that_turn_inward_after_registration(island, server, kind):
    with contextlib.ExitStack() as sites:
        for number, address in enumerate(INSIDE):
            names = [f"{part}{number}.rebind.test" for part in ("d", "c", "h")]
            site = sites.enter_context(Site(island, server, *names, behave=last_answer))
            agent_id = site.register(
                server,
                f"{kind}-{number}",
                endpoint=site.url(names[0], "/dispatch"),
                cancelEndpoint=site.url(names[1], "/cancel"),
                healthUrl=site.url(names[2], "/health"),
            )
            assert server.api.wait(server.api.submit(f"{kind}-{number}"))["state"] == "completed"
            assert island.watch.saw(SITE, site.agent.port), "the control: reached while public"
            site.lead(address)
            tried(server, f"{kind}-{number}")
            assert len(site.agent.dispatches) == 1
        probed(server, agent_id)
        nothing_begun(island)


def flipping(given):
    """A name that leads to the site and inward by turns; `given` gets what was answered."""
    answers = itertools.cycle([[SITE], ["127.0.0.1"]])

    def answer(question):
        if question != A:
            return []
        given.append(next(answers))
        return given[-1]

    return answer


def tried(server, kind):
    """Submits a task, sees its dispatch come to nothing, and takes it back."""
    task_id = server.api.submit(kind, retry=ONCE)
    put_back(server, task_id)
    server.api.cancel(task_id)


def test_a_name_with_an_address_inside_besides(island, server, kind):
    """The public one is tried and refuses; the other is not the next best."""
    island.names.names["two.test"] = [SITE]
    fields = {"endpoint": "http://two.test:82/", "name": kind, "type": "http"}
    made = server.api.post("/api/agents", {**fields, "capabilities": [kind]})
    assert made.status == 201, repr(made)
    island.names.names["two.test"] = [SITE, "127.0.0.1", "::1", "10.0.0.1"]
    tried(server, kind)
    assert island.watch.saw(SITE, 82)
    nothing_begun(island)


def test_a_name_that_is_an_alias_of_one_inside(island, server, kind):
    with Site(island, server, "alias.rebind.test") as site:
        site.register(server, kind, endpoint=site.url("alias.rebind.test", "/dispatch"))
        island.names.names["alias.rebind.test"] = "inner.test"
        tried(server, kind)
        assert site.agent.dispatches == []
        nothing_begun(island)


def test_a_name_that_changes_with_each_question(island, server, kind):
    """Checked with one answer, it would be connected to with the next."""
    given = []
    with Site(island, server, "flip.rebind.test", behave=last_answer) as site:
        site.register(server, kind, endpoint=site.url("flip.rebind.test", "/dispatch"))
        island.names.names["flip.rebind.test"] = flipping(given)
        for _ in range(20):
            server.api.submit(kind)
        eventually(lambda: len(given) >= 4, 60, what="several dispatches ask for the name")
        nothing_begun(island)


def test_a_running_task_is_not_cancelled_inside(island, server, kind):
    with Site(island, server, "c2.rebind.test", behave=answer(202, {"accepted": True})) as site:
        site.register(
            server,
            kind,
            endpoint=f"http://{SITE}:{site.agent.port}/dispatch",
            cancelEndpoint=site.url("c2.rebind.test", "/cancel"),
        )
        first = server.api.submit(kind)
        site.agent.received()
        site.lead("127.0.0.1")
        asked = len(island.names.asked)
        server.api.cancel(first)
        eventually(lambda: len(island.names.asked) > asked, 10, what="the name is looked up")
        site.agent.behave = complete()
        second = server.api.submit(kind)
        site.agent.received(2)
        assert site.agent.cancels == [] and server.api.task(second)
        nothing_begun(island)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_of_an_agent_is_not_followed(island, server, kind, status):
    where = f"http://127.0.0.1:{PORT}/"
    with Site(island, server, behave=answer(status, {}, [("location", where)])) as site:
        site.register(server, kind, endpoint=f"http://{SITE}:{site.agent.port}/dispatch")
        server.api.wait(server.api.submit(kind, retry=ONCE))
        assert len(site.agent.dispatches) == 1
        nothing_begun(island)


def test_a_token_server_that_turns_inward(serve, island):
    island.names.names["token.rebind.test"] = [SITE]
    server = serve(env={"K": "k" * 32})
    with Pages() as pages:
        url = f"http://token.rebind.test:{pages.port}/to?u=http://127.0.0.1:{PORT}/"
        server.write_config(
            {"agents": [entry(0, endpoint=f"http://{SITE}:{PORT}/", authentication=oauth(url))]}
        )
        server.start()
        put_back(server, server.api.submit("e0", retry=ONCE))
        eventually(lambda: pages.asked, 10, what="the control: it is asked while public")
        nothing_begun(island)
        island.names.names["token.rebind.test"] = ["127.0.0.1"]
        server.restart()
        put_back(server, server.api.submit("e0", retry=ONCE))
        assert len(pages.asked) == 1
        nothing_begun(island)


# The web agent


class Pages:
    """A public site: `/to?u=URL` leads there, `/robots.txt` does if the host says so."""

    def __init__(self):
        self.asked = []
        pages = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                pages.asked.append(self.path)
                split = urllib.parse.urlsplit(self.path)
                leads = urllib.parse.parse_qs(split.query).get("u")
                if self.path == "/robots.txt" and "robots" in self.headers.get("host", ""):
                    leads = [f"http://127.0.0.1:{PORT}/"]
                if leads:
                    self.send_response(302)
                    self.send_header("location", leads[0].replace("\r", "").replace("\n", ""))
                else:
                    self.send_response(404 if self.path == "/robots.txt" else 200)
                self.send_header("content-type", "text/html")
                self.send_header("content-length", "0")
                self.end_headers()

            do_POST = do_GET

        self._http = http.server.ThreadingHTTPServer(("0.0.0.0", 0), Handler)
        self.port = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture(scope="module")
def web(island, tmp_path_factory):
    """A server with the web agent, in the same network."""
    if importlib.util.find_spec("orrery_web_agent") is None:
        pytest.skip("SKIPPED: the web agent is not in this environment")
    command = [sys.executable, "-m", "orrery_web_agent", "--exit-with-parent"]
    launch = {"launch": {"command": command}, "capabilities": ["scrape", "http-check"]}
    config = {"agents": [{"id": "web", "type": "http", "concurrency": 8, **launch}]}
    island.watch.forget()
    server = beyond_loopback(island, tmp_path_factory.mktemp("web"), config)
    server.start()
    yield server
    server.kill()


def outcomes(server, tasks):
    made = server.api.bulk(tasks)
    assert made.status == 201, repr(made)
    return [server.api.wait(task_id, 60) for task_id in made.json["taskIds"]]


def fault(task):
    assert task["state"] == "failed", json.dumps(task)[:600]
    return task["error"]["code"]


#: JSON with a NUL is refused as a whole.
SENDABLE = [url for url in SPELLINGS if "\0" not in url]
DENIED = {"ADDRESS_DENIED", "BAD_URL", "BAD_PAYLOAD", "BAD_REDIRECT", "DNS_FAILED"}


def check(url):
    payload = {"method": "GET", "url": url, "maxRedirects": 5, "timeout": 5000}
    return {"type": "http-check", "payload": payload, "retry": ONCE}


def test_checks_of_forbidden_addresses(web, island):
    with Pages() as pages:
        good = outcomes(web, [check(f"http://site.test:{pages.port}/")])[0]
    assert good["state"] == "completed", json.dumps(good)[:600]
    ended = outcomes(web, [check(url) for url in SENDABLE])
    codes = {url: fault(task) for url, task in zip(SENDABLE, ended)}
    # These have a public address or host too, where nothing listens.
    assert codes.pop("http://both.test:81/") == "CONNECT_FAILED"
    assert codes.pop("http://site.test#@127.0.0.1:81/") == "CONNECT_FAILED"
    assert {url: code for url, code in codes.items() if code not in DENIED} == {}
    nothing_begun(island)


def test_scrapes_of_forbidden_addresses(web, island):
    usable = [url for url in SPELLINGS if url.isprintable()]
    tasks = [{"type": "scrape", "payload": {"urls": usable}, "retry": ONCE}]
    ended = outcomes(web, tasks)[0]
    assert f"all {len(usable)} pages failed" in ended["error"]["message"], ended["error"]
    nothing_begun(island)


@pytest.mark.parametrize("kind", ["http-check", "scrape"])
def test_redirects_to_forbidden_addresses(web, island, kind):
    with Pages() as pages:
        led = [
            f"http://site.test:{pages.port}/to?u={urllib.parse.quote(url, safe='')}"
            for url in SPELLINGS
            if url.isascii() and url.isprintable()
        ]
        if kind == "scrape":
            payload = {"urls": led, "delay": 0, "concurrency": 4}
            outcomes(web, [{"type": "scrape", "payload": payload, "retry": ONCE}])
        else:
            outcomes(web, [check(url) for url in led])
        assert len([path for path in pages.asked if path.startswith("/to")]) >= len(led)
    nothing_begun(island)


def test_robots_that_lead_inside(web, island):
    island.names.names["robots.test"] = [SITE]
    with Pages() as pages:
        payload = {"urls": [f"http://robots.test:{pages.port}/page"]}
        outcomes(web, [{"type": "scrape", "payload": payload, "retry": ONCE}])
        assert "/robots.txt" in pages.asked
    nothing_begun(island)


def test_names_that_turn_inward_while_they_are_fetched(web, island):
    with Pages() as pages:
        island.names.names["two.test"] = [SITE, "127.0.0.1", "10.0.0.1"]
        urls, given = [f"http://n{number}.flip.test:{pages.port}/" for number in range(20)], []
        for number in range(20):
            island.names.names[f"n{number}.flip.test"] = flipping(given)
        outcomes(web, [check(url) for url in [*urls * 3, "http://two.test:83/"]])
        assert len(given) >= 20
        assert island.watch.saw(SITE, 83), "the control: the public address is tried"
    nothing_begun(island)
