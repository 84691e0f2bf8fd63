# SPDX-License-Identifier: Apache-2.0
# Deploy/: a real Prometheus scrapes the server, and every expression of the dashboard and alerts runs.

import json
import re
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import pytest

from harness.pull_agent import PullAgent
from harness.server import REPO, free_port
from harness.wait import eventually

DASHBOARD = REPO / "Deploy" / "grafana" / "orrery.json"
ALERTS = REPO / "Deploy" / "prometheus" / "alerts.yml"
VARIABLES = {"$__rate_interval": "1m", "$job": ".*", "$type": ".*", "$agent": ".*"}
NAME = re.compile(r"\b((?:task|agent|orrery|callback|store|http|websocket|socketio|event|limits|telemetry)_[a-z_]+)\b")

prometheus = shutil.which("prometheus")
needs_prometheus = pytest.mark.skipif(
    prometheus is None, reason="SKIPPED: Debian's package prometheus is not installed"
)


def panels():
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", []):
            yield pytest.param(target["expr"], id=f"{panel['title']}-{target['refId']}")


class Prometheus:
    """A real one, which scrapes a server every second."""

    def __init__(self, server, folder):
        self.url = f"http://127.0.0.1:{free_port()}"
        (folder / "token").write_text(server.admin)
        (folder / "prometheus.yml").write_text(
            json.dumps(
                {
                    "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                    "rule_files": [str(ALERTS)],
                    "scrape_configs": [
                        {
                            "job_name": "orrery",
                            "authorization": {"credentials_file": str(folder / "token")},
                            "static_configs": [{"targets": [f"127.0.0.1:{server.port}"]}],
                        }
                    ],
                }
            )
        )
        self.process = subprocess.Popen(
            [
                prometheus,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'tsdb'}",
                f"--web.listen-address={self.url.removeprefix('http://')}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def get(self, path, **query):
        address = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{query}: {error.read().decode()}") from None

    def query(self, expression):
        return self.get("query", query=expression)["result"]

    def scrapes(self):
        try:
            return self.query('count_over_time(up{job="orrery"}[1m]) * up > 3')
        except OSError:
            return None


@pytest.fixture(scope="module")
def scraped(make_server, tmp_path_factory):
    """A Prometheus that has scraped a server on which tasks succeeded, failed and wait."""
    server = make_server()
    watcher = Prometheus(server, tmp_path_factory.mktemp("prometheus"))
    try:
        agent = PullAgent.register(server, ["good"])
        # Rates are of counters that were seen before they rose.
        eventually(watcher.scrapes, 30, every=0.2, what="some scrapes")
        for _ in range(3):
            server.api.submit("good")
            agent.succeed(agent.take())
        server.api.submit("waiting")
        server.api.get("/api/tasks/none")
        eventually(
            lambda: watcher.query("sum(task_completions_total) > 2"), 20, every=0.2, what="three ends"
        )
        yield watcher
    finally:
        watcher.process.kill()
        watcher.process.wait(10)


def exported(api):
    """Every name that a scrape may show."""
    text = api.get("/metrics").body.decode()
    names = set()
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE):
        parts = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
        names |= {name + part for part in parts}
    return names


def test_every_metric_exists(api):
    known = exported(api)
    alerts = re.findall(r"expr: (?:>-\n)?((?:.|\n)*?)\n +(?:for|labels):", ALERTS.read_text())
    for text in [*(panel.values[0] for panel in panels()), *alerts]:
        missing = set(NAME.findall(re.sub(r'"[^"]*"', "", text))) - known
        assert not missing, f"{missing} in {text}"


def test_every_metric_is_shown(api):
    shown = set(NAME.findall(DASHBOARD.read_text()))
    families = {re.sub("_(bucket|sum|count)$", "", name) for name in exported(api)}
    assert not families - {re.sub("_(bucket|sum|count)$", "", name) for name in shown}


@needs_prometheus
@pytest.mark.parametrize("expression", list(panels()))
def test_every_expression_runs(scraped, expression):
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    assert "$" not in expression, "a variable that the dashboard does not have"
    scraped.query(expression)
    plain = expression.replace('status="failure"', "").replace("agent_response_seconds", "")
    if re.fullmatch(r"sum(?: by \(type\))? ?\(task_\w+\{.*\}\)|orrery_\w+\{.*\}", plain):
        assert scraped.query(expression), f"{expression} shows nothing"


@needs_prometheus
def test_the_alerts_load(scraped):
    groups = eventually(
        lambda: [g for g in scraped.get("rules")["groups"] if g["rules"][0]["health"] != "unknown"],
        20,
        what="a first evaluation",
    )
    rules = groups[0]["rules"]
    assert len(rules) > 4 and all(rule["health"] == "ok" for rule in rules), rules
    assert all(rule["annotations"]["action"] for rule in rules)


@pytest.mark.no_binary
@pytest.mark.parametrize("command", [["check", "rules", ALERTS.name], ["test", "rules", "alerts-test.yml"]])
def test_promtool_agrees(command):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("SKIPPED: promtool (Debian package prometheus) is not installed")
    done = subprocess.run([promtool, *command], cwd=ALERTS.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
