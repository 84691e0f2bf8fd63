# SPDX-License-Identifier: Apache-2.0
# Fixtures of the black-box suite: a shared server per test process, fresh ones on request.

import shutil
import uuid

import pytest

from harness.server import Server, binary

FAST = {"maxAttempts": 4, "backoff": "fixed", "base": 50, "factor": 1, "cap": 50, "jitter": 0}


def pytest_configure(config):
    config.orrery_servers = []


def pytest_collection_modifyitems(config, items):
    found = binary()
    if found is None or not found.exists():
        missing = pytest.mark.skip(reason="no orrery binary: build it or set ORRERY_BIN")
        for item in items:
            if not item.get_closest_marker("no_binary"):
                item.add_marker(missing)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Adds what every running server said to the report of a failed test."""
    report = (yield).get_result()
    if report.failed:
        for server in item.config.orrery_servers:
            if server.output or server.errors:
                report.sections.append((f"orrery serve, port {server.port}", server.log()))


@pytest.fixture(scope="session")
def make_server(request, tmp_path_factory):
    """A factory of servers; each is killed and its folder removed at the end of the session."""
    made = []

    def make(start=True, **options):
        folder = options.pop("folder", None) or tmp_path_factory.mktemp("orrery")
        server = Server(folder=folder, **options)
        made.append(server)
        request.config.orrery_servers[:] = [*request.config.orrery_servers[-3:], server]
        if start:
            server.start()
        return server

    yield make
    for server in made:
        server.kill()
        shutil.rmtree(server.folder, ignore_errors=True)


@pytest.fixture
def new_server(make_server):
    """Like `make_server`; the servers end with the test."""
    made = []

    def make(**options):
        made.append(make_server(**options))
        return made[-1]

    yield make
    for server in made:
        server.kill()


@pytest.fixture(scope="session")
def shared(make_server):
    """One server for all tests that only need their own task type on it."""
    return make_server()


@pytest.fixture
def server(shared):
    """The shared server; a test that finds it dead says so, and the next gets it restarted."""
    if not shared.alive:
        shared.start()
    yield shared
    assert shared.alive, f"the server died with {shared.process.poll()}"


@pytest.fixture
def api(server):
    return server.api


@pytest.fixture
def kind():
    """A task type that no other test uses."""
    return "k-" + uuid.uuid4().hex[:12]


@pytest.fixture
def fast():
    """A retry policy of 50 ms without jitter."""
    return dict(FAST)
