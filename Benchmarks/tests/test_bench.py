# SPDX-License-Identifier: Apache-2.0
# Tests of the benchmarks themselves: the report's honesty, and the tools against a double.
from __future__ import annotations

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

BENCHMARKS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(BENCHMARKS))

from harness import conditions, edge, live  # noqa: E402
from harness.figures import Sample  # noqa: E402
from harness.load_tools import build_tools  # noqa: E402
from harness.processes import BenchError  # noqa: E402
from harness.profile import QUICK  # noqa: E402
from harness.report import Report, table  # noqa: E402
from harness.scenarios import Bench, bulk, loop, million  # noqa: E402


def row(report: Report, name: str) -> dict[str, object]:
    return next(each for each in report.rows() if each["name"] == name)


class ReportTests(unittest.TestCase):
    def setUp(self) -> None:
        self.report = Report(rounds=3, quick=False)

    def add(self, name: str, *values: float, sync: float = 0.1, other: float = 0.0) -> None:
        for value in values:
            self.report.add(Sample(name, value), sync, other)

    def test_the_median_decides(self) -> None:
        self.add("single_submit", 25_000, 19_000, 21_000)
        self.assertEqual(row(self.report, "single_submit")["value"], 21_000)
        self.assertIs(row(self.report, "single_submit")["met"], True)

    def test_an_upper_bound_is_exclusive(self) -> None:
        self.add("callback_p99", 8.0)
        self.assertIs(row(self.report, "callback_p99")["met"], False)

    def test_a_figure_that_could_not_be_measured_stays_as_missed(self) -> None:
        self.report.failures["bulk_submit"] = "no server"
        self.assertIs(row(self.report, "bulk_submit")["met"], False)
        self.assertIn("no server", str(row(self.report, "bulk_submit")["conditions"]))

    def test_a_failed_round_is_not_hidden_by_the_others(self) -> None:
        self.add("bulk_submit", 300_000, 300_000)
        self.report.failures["bulk_submit"] = "a request was lost"
        self.assertIs(row(self.report, "bulk_submit")["met"], False)

    def test_bad_conditions_are_said(self) -> None:
        self.add("single_submit", 25_000, sync=0.3, other=0.5)
        conditions = str(row(self.report, "single_submit")["conditions"])
        self.assertIn("INVALID: fdatasync p50 0.300 > 0.2 ms, other load 0.50", conditions)
        self.assertIs(row(self.report, "fdatasync_p50")["met"], False)

    def test_a_peer_has_our_figure_as_ratio(self) -> None:
        self.add("full_loop_push", 10_000)
        peer = Sample("peer_x_loop", 2_000, peer="X 1.0", compare_with="full_loop_push")
        self.report.add(peer, 0.1, 0.0)
        self.assertEqual(row(self.report, "peer_x_loop")["ratio"], 5)
        self.assertIn("X 1.0: loop", table(self.report.rows()))


class LoadTests(unittest.TestCase):
    def test_a_child_is_ours_while_it_runs_and_after_it_ended(self) -> None:
        burn = (
            "import time\nend = time.process_time() + 0.3\n"
            "while time.process_time() < end: pass\nprint(flush=True); input()"
        )
        begin = conditions.cpu_snapshot().own
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen([sys.executable, "-c", burn], text=True, **pipes) as child:
            child.stdout.readline()
            self.assertGreaterEqual(conditions.cpu_snapshot().own - begin, 0.28)
            child.communicate("\n")
        self.assertGreaterEqual(conditions.cpu_snapshot().own - begin, 0.28)


class ToolTests(unittest.TestCase):
    """The compiled tools against the double: shapes, signatures, chunked answers, counts."""

    @classmethod
    def setUpClass(cls) -> None:
        folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        build_tools(folder, "load", "load-agent", "live", "slow")
        double = BENCHMARKS / "tests" / "double_server.py"
        cls.bench = Bench(BENCHMARKS.parent, folder, double, QUICK)

    def test_bulk_counts_every_id(self) -> None:
        samples = {sample.name: sample.value for sample in bulk(self.bench)}
        self.assertGreater(samples["bulk_submit"], 0)

    def test_the_loop_completes_every_task(self) -> None:
        self.assertEqual(len(loop(self.bench)), 3)

    def test_leases_are_signed_and_settled(self) -> None:
        samples = {sample.name: sample.value for sample in million(self.bench)}
        self.assertGreater(samples["claim_at_million"], 0)

    def test_a_refused_request_is_an_error(self) -> None:
        with self.bench.server() as server:
            load = self.bench.load(server)
            with self.assertRaisesRegex(BenchError, "refused"):
                load.run("lease", {"ORRERY_AGENT_ID": "a", "ORRERY_AGENT_SECRET": "b"}, count=1)

    def test_every_event_comes_and_those_that_never_read_are_closed(self) -> None:
        samples = {sample.name: sample for sample in live.sockets(self.bench)}
        self.assertGreater(samples["socket_event_p99"].value, 0)
        self.assertEqual(samples["socket_unread_closed"].value, 100)

    def test_fan_out_counts_events_at_every_rate(self) -> None:
        (sample,) = live.fanout(self.bench)
        self.assertGreater(sample.value, 0)

    def test_a_socket_that_is_refused_is_an_error(self) -> None:
        with self.bench.server() as server, mock.patch.object(live, "TOKEN", "wrong"):
            client = live.LiveClient(self.bench, server, 10)
            figures = client.run("own", tasks=10, sockets=10, seconds=0.1)
        self.assertRegex(live.fault_of(figures) or "", "10 sockets could not be opened.*401")

    def test_slow_connections_are_all_open_beside_the_traffic(self) -> None:
        samples = {sample.name: sample.value for sample in edge.edge(self.bench)}
        self.assertEqual(set(samples), {"edge_read_rise", "edge_submit_rise", "edge_rss_rise"})


if __name__ == "__main__":
    unittest.main()
