# SPDX-License-Identifier: Apache-2.0
# W3C trace context from caller to agent, and spans to a collector that checks every field.

import re

import pytest

from harness.collector import Collector
from harness.pull_agent import PullAgent
from harness.push_agent import PushAgent, accept, answer, complete
from harness.wait import eventually

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = f"00-{TRACE}-00f067aa0ba902b7-01"
FORM = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-0([01])")


def submitted(api, kind, *headers, path="/api/tasks", body=None):
    sent = api.call("POST", path, body or {"type": kind}, headers=list(headers))
    assert sent.status in (200, 201), sent
    assert not {"traceparent", "tracestate"} & set(sent.headers)
    return sent.json


def parts(traceparent):
    found = FORM.fullmatch(traceparent)
    assert found, traceparent
    return found.groups()


def test_the_trace_goes_to_a_push_agent_in_body_and_header(server, api, kind):
    with PushAgent.register(server, [kind], complete({})) as agent:
        submitted(api, kind, ("traceparent", CALLER), ("tracestate", "a=1, b=2"))
        got = agent.received()[0]
        trace, span, flag = parts(got["traceparent"])
        assert (trace, flag) == (TRACE, "1") and span != "00f067aa0ba902b7"
        assert got.header("traceparent") == [got["traceparent"]]
        assert got.header("tracestate") == ["a=1,b=2"] and got["tracestate"] == "a=1,b=2"


def test_attempts_of_a_task_share_its_trace_and_have_spans_of_their_own(server, api, kind, fast):
    agent = PullAgent.register(server, [kind])
    submitted(api, kind, ("traceparent", CALLER), body={"type": kind, "retry": fast})
    first = agent.take()
    agent.fail(first)
    second = agent.take()
    (one, a, _), (two, b, _) = parts(first["traceparent"]), parts(second["traceparent"])
    assert one == two == TRACE and a != b and second["attempt"] == 2
    agent.succeed(second, 1)


def test_bulk_and_retry_keep_the_trace(server, api, kind):
    agent = PullAgent.register(server, [kind])
    body = [{"type": kind}, {"type": kind}]
    ids = submitted(
        api, kind, ("traceparent", CALLER), path="/api/tasks/bulk", body=body
    )["taskIds"]
    assert {parts(agent.take()["traceparent"])[0] for _ in ids} == {TRACE}
    api.good("POST", f"/api/tasks/{ids[0]}/cancel")
    other = "00-" + "b" * 32 + "-" + "c" * 16 + "-00"
    submitted(api, kind, path=f"/api/tasks/{ids[0]}/retry")
    submitted(api, kind, ("traceparent", other), path=f"/api/tasks/{ids[0]}/retry")
    assert [parts(agent.take()["traceparent"])[::2] for _ in range(2)] == [
        (TRACE, "1"), ("b" * 32, "0"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("traceparent", "nonsense")],
        [("traceparent", CALLER), ("traceparent", CALLER)],
        [("traceparent", CALLER.upper())],
        [("traceparent", f"00-{'0' * 32}-00f067aa0ba902b7-01")],
        [("traceparent", f"ff-{TRACE}-00f067aa0ba902b7-01")],
        [("traceparent", CALLER + "-more")],
    ],
)
def test_a_bad_trace_is_ignored_and_a_new_one_begins(server, api, kind, headers):
    agent = PullAgent.register(server, [kind])
    submitted(api, kind, *headers)
    assert parts(agent.take()["traceparent"])[0] != TRACE


def test_a_later_version_counts_as_far_as_it_is_known(server, api, kind):
    agent = PullAgent.register(server, [kind])
    submitted(api, kind, ("traceparent", f"cc-{TRACE}-00f067aa0ba902b7-01-more"))
    assert parts(agent.take()["traceparent"])[0] == TRACE


def test_an_attempt_handed_over_again_is_the_same(new_server, kind):
    server = new_server()
    with PushAgent.register(server, [kind], lambda *_: None) as agent:
        agent.behave = lambda agent, got: agent.released.wait(20) and None
        submitted(server.api, kind)
        first = agent.received()[0]
        agent.behave = accept()
        server.restart()
        again = agent.received(2)[1]
        assert again["attempt"] == first["attempt"]
        assert again["traceparent"] == first["traceparent"]


# Spans


@pytest.fixture
def exporting(new_server):
    def start(**env):
        collector = Collector()
        given = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, **env}
        server = new_server(env=given)
        return server, collector

    return start


def chain(collector, kind):
    """Request, task and attempts of the one task of a kind."""
    collector.until(
        lambda: collector.named(f"send {kind}") and collector.named("POST /api/tasks"),
        "the spans of the task",
    )
    return (
        collector.named("POST /api/tasks")[0],
        collector.named(f"send {kind}")[0],
        collector.named(f"process {kind}"),
    )


def test_request_task_and_attempts_hang_together(exporting, kind, fast):
    server, collector = exporting(
        OTEL_SERVICE_NAME="plane",
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment=test,zone=eu%20west",
        OTEL_EXPORTER_OTLP_HEADERS="x-api-key=canary-of-the-collector",
    )
    with collector:
        agent = PullAgent.register(server, [kind])
        task = submitted(
            server.api, kind, ("traceparent", CALLER), body={"type": kind, "retry": fast}
        )["taskId"]
        first = agent.take()
        agent.fail(first, "ODD")
        second = agent.take()
        agent.succeed(second, 1)
        assert server.terminate()[0] == 0
        request, whole, attempts = chain(collector, kind)
        assert {span.trace for span in (request, whole, *attempts)} == {TRACE}
        assert request.parent == "00f067aa0ba902b7" and request.kind == 2
        assert whole.parent == request.id and whole.kind == 4
        assert [span.parent for span in attempts] == [whole.id] * 2
        assert [span.kind for span in attempts] == [5, 5]
        assert [span.id for span in attempts] == [
            parts(one["traceparent"])[1] for one in (first, second)
        ]
        assert request.attributes["http.route"] == "/api/tasks"
        assert request.attributes["http.request.method"] == "POST"
        assert request.attributes["http.response.status_code"] == 201
        assert whole.attributes["messaging.message.id"] == task
        assert whole.attributes["messaging.destination.name"] == kind
        assert whole.attributes["orrery.state"] == "completed"
        assert [span.attributes["orrery.attempt"] for span in attempts] == [1, 2]
        assert {span.attributes["orrery.agent.id"] for span in attempts} == {agent.id}
        assert [span.attributes["orrery.status"] for span in attempts] == ["failure", "success"]
        assert attempts[0].status == {"code": 2, "message": "ODD"} and attempts[1].status == {}
        # Times are the server's, to the millisecond, in order.
        assert whole.start // 10**6 >= request.start // 10**6
        assert whole.start <= attempts[0].start <= attempts[0].end <= attempts[1].start
        assert attempts[1].end == whole.end
        resource = whole.resource
        assert resource["service.name"] == "plane" and resource["zone"] == "eu west"
        assert resource["deployment.environment"] == "test" and resource["service.version"]
        assert all(sent["x-api-key"] == "canary-of-the-collector" for _, sent in collector.requests)
        assert "canary-of-the-collector" not in server.log()
        assert len({span.id for span in collector.spans}) == len(collector.spans)


def test_a_trace_begins_here_where_the_caller_has_none(exporting, kind):
    server, collector = exporting()
    with collector, PushAgent.register(server, [kind], complete({})) as agent:
        task = submitted(server.api, kind)["taskId"]
        server.api.wait(task)
        server.terminate()
        request, whole, attempts = chain(collector, kind)
        assert request.parent is None and whole.parent == request.id
        assert attempts[0].parent == whole.id and attempts[0].trace == request.trace
        assert parts(agent.received()[0]["traceparent"])[:2] == (whole.trace, attempts[0].id)
        assert whole.resource["service.name"] == "orrery"


def test_ends_without_a_report(exporting, kind):
    server, collector = exporting()
    with collector:
        for state in ("queued", "running"):
            task = submitted(server.api, kind)["taskId"]
            if state == "running":
                agent = PullAgent.register(server, [kind])
                agent.take()
            server.api.good("POST", f"/api/tasks/{task}/cancel")
        collector.until(lambda: len(collector.named(f"send {kind}")) == 2, "two ends")
        states = {span.attributes["orrery.state"] for span in collector.named(f"send {kind}")}
        attempts = collector.named(f"process {kind}")
        assert states == {"cancelled"} and len(attempts) == 1
        assert attempts[0].attributes["orrery.status"] == "cancelled"


@pytest.mark.parametrize(
    ("sampler", "header", "recorded"),
    [
        ("parentbased_always_on", CALLER[:-1] + "0", False),
        ("always_on", CALLER[:-1] + "0", True),
        ("always_off", CALLER, False),
        ("parentbased_always_off", CALLER, True),
        ("traceidratio", CALLER, False),
    ],
)
def test_samplers(exporting, kind, sampler, header, recorded):
    server, collector = exporting(OTEL_TRACES_SAMPLER=sampler, OTEL_TRACES_SAMPLER_ARG="0")
    with collector, PushAgent.register(server, [kind], complete({})) as agent:
        server.api.wait(submitted(server.api, kind, ("traceparent", header))["taskId"])
        server.terminate()
        assert bool(collector.named(f"send {kind}")) == recorded
        assert parts(agent.received()[0]["traceparent"])[2] == ("1" if recorded else "0")


def test_a_collector_that_is_gone_costs_spans_and_nothing_else(new_server, kind):
    server = new_server(env={"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9/x"})
    with PushAgent.register(server, [kind], complete({})):
        server.api.wait(submitted(server.api, kind)["taskId"])

        def dropped():
            page = server.api.call("GET", "/metrics").body.decode()
            return float(re.search(r"^telemetry_spans_dropped_total (\S+)$", page, re.M)[1])

        eventually(lambda: dropped() > 0, 30, what="lost spans are counted")
        assert server.log().count("spans were not sent") == 1
        code, seconds = server.terminate()
        assert code == 0 and seconds < 20


def test_an_answer_elsewhere_is_not_followed(exporting, kind):
    server, collector = exporting()
    with collector:
        collector.statuses = [302] * 50
        submitted(server.api, kind)
        server.terminate()
        assert collector.requests and {path for path, _ in collector.requests} == {"/v1/traces"}
        assert not collector.spans


def test_an_agent_that_is_not_there_is_seen_in_the_trace(exporting, kind):
    server, collector = exporting()
    with collector, PushAgent.register(server, [kind], answer(503)):
        submitted(server.api, kind)
        collector.until(
            lambda: collector.named(f"process {kind}", **{"orrery.status": "released"}),
            "an attempt that was put back",
        )
