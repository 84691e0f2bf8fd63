# SPDX-License-Identifier: Apache-2.0
# Load that remembers every promise it was given, and the checker that compares them with the store.

import collections
import random
import shutil
import sqlite3
import tempfile
import threading
import time
import uuid

from .api import ENDED
from .pull_agent import PullAgent
from .push_agent import PushAgent, Reply
from .wait import eventually

TYPES = ("load-a", "load-b")
RETRY = {"maxAttempts": 50, "backoff": "fixed", "base": 20, "factor": 1, "cap": 20, "jitter": 0}


class Load:
    """Submitters and agents on threads; survives the server's absence; notes what it was told."""

    def __init__(self, server, submitters=32, agents=8, seed=None):
        self.server, self.seed = server, seed if seed is not None else random.randrange(2**32)
        self.submitting, self.working = threading.Event(), threading.Event()
        self.lock = threading.Lock()
        self.acked, self.unsure, self.conflicts = {}, [], []
        self.tokens = collections.defaultdict(dict)  # task → attempt → lease token
        self.ends = collections.defaultdict(list)  # task → (attempt, status) of a 200
        self.submitted_after_stop = 0
        self.random = random.Random(self.seed)
        self.push = [
            PushAgent.register(
                server,
                list(TYPES),
                self._behave,
                name=f"load-push-{i}",
                concurrency=8,
                leaseSeconds=3,
            )
            for i in range(agents // 2)
        ]
        self.pull = [
            PullAgent.register(
                server, list(TYPES), name=f"load-pull-{i}", concurrency=8, leaseSeconds=3
            )
            for i in range(agents - agents // 2)
        ]
        self.threads = [
            threading.Thread(target=self._submit, args=(i,), daemon=True) for i in range(submitters)
        ]
        self.threads += [
            threading.Thread(target=self._work, args=(agent,), daemon=True) for agent in self.pull
        ]

    def start(self):
        self.submitting.set()
        self.working.set()
        for thread in self.threads:
            thread.start()
        return self

    # Submitters

    def _submit(self, number):
        chance, client = (
            random.Random(self.seed + number),
            self.server.api.with_token(self.server.admin),
        )
        while self.working.is_set():
            if not self.submitting.is_set():
                time.sleep(0.05)
                continue
            body = {
                "type": chance.choice(TYPES),
                "payload": {"n": uuid.uuid4().hex},
                "retry": RETRY,
                "priority": chance.randrange(10),
            }
            if chance.random() < 0.5:
                body["idempotencyKey"] = uuid.uuid4().hex
            self._submit_one(client, body)
            time.sleep(chance.uniform(0.005, 0.03))

    def _submit_one(self, client, body):
        while self.working.is_set():
            try:
                answer = client.call("POST", "/api/tasks", body, timeout=15)
            except OSError:
                answer = None
            if answer is not None and answer.status in (200, 201):
                with self.lock:
                    self.acked[answer.json["taskId"]] = body["payload"]["n"]
                return
            if answer is not None and answer.status not in (503, 507):
                with self.lock:
                    self.conflicts.append(answer)
                return
            if "idempotencyKey" not in body:
                with self.lock:
                    self.unsure.append(body["payload"]["n"])
                return
            time.sleep(0.05)

    # Agents

    def _note(self, dispatch):
        with self.lock:
            known = self.tokens[dispatch["taskId"]]
            token = known.setdefault(dispatch["attempt"], dispatch["leaseToken"])
            if token != dispatch["leaseToken"]:
                self.conflicts.append(
                    ("attempt given twice", dispatch["taskId"], dispatch["attempt"])
                )

    def _behave(self, agent, received):
        dispatch = received.json
        if not received.verified:
            self.conflicts.append(("bad signature", dispatch))
        self._note(dispatch)
        return Reply(202, {"accepted": True}, then=lambda: self._report(agent, dispatch))

    def _work(self, agent):
        while self.working.is_set():
            try:
                answer = agent.lease_call(4, 1)
                dispatches = answer.json["dispatches"] if answer.status == 200 else []
                if answer.status not in (200, 503):
                    self.conflicts.append(answer)
            except OSError:
                time.sleep(0.05)
                continue
            for dispatch in dispatches:
                self._note(dispatch)
                self._report(agent, dispatch)

    def _report(self, agent, dispatch):
        """Success mostly; sometimes a failure, silence, or the same report twice."""
        dice = random.random()
        if dice < 0.03:
            return
        status = "failure" if dice < 0.12 else "success"
        body = agent.report(
            dispatch,
            status,
            data={"by": agent.id},
            error={"code": "E"} if status == "failure" else None,
        )
        for _ in range(2 if dice > 0.95 else 1):
            self._report_until_answered(agent, dispatch, status, body)

    def _report_until_answered(self, agent, dispatch, status, body):
        end = time.monotonic() + 20
        while time.monotonic() < end:
            try:
                answer = agent.callback(body, timeout=15)
            except OSError:
                time.sleep(0.05)
                continue
            if answer.status == 200:
                with self.lock:
                    self.ends[dispatch["taskId"]].append((dispatch["attempt"], status))
                return
            if answer.status == 409:
                return
            if answer.status not in (503, 507):
                self.conflicts.append(answer)
                return
            time.sleep(0.05)

    # The end

    def settle(self, seconds=90):
        """Stops submitting and waits until every acknowledged task has ended."""
        self.submitting.clear()
        time.sleep(0.3)
        eventually(lambda: not self.open(), seconds, every=0.3, what="every task ends")

    def open(self):
        return [
            state
            for state in ("queued", "running")
            if any(
                self.server.api.good("GET", f"/api/tasks?type={kind}&state={state}&limit=1")[
                    "tasks"
                ]
                for kind in TYPES
            )
        ]

    def stop(self):
        self.submitting.clear()
        self.working.clear()
        for thread in self.threads:
            thread.join(30)
        for agent in self.push:
            agent.close()

    def stored(self):
        """Every task as the server now lists it, by id."""
        found = {}
        for kind in TYPES:
            for task in self.server.api.tasks(f"type={kind}"):
                assert task["id"] not in found, "listed twice"
                found[task["id"]] = task
        return found

    def check(self, before=None):
        """No acknowledged task lost, none ended twice, none changed after its end."""
        with self.lock:
            acked = set(self.acked)
            ends = {task_id: list(reports) for task_id, reports in self.ends.items()}
        stored = self.stored()
        lost = [task for task in acked if task not in stored]
        assert not lost, (
            f"{len(lost)} of {len(acked)} acknowledged lost, seed {self.seed}: {lost[:5]}"
        )
        assert not self.conflicts, f"seed {self.seed}: {self.conflicts[:5]}"
        for task_id, task in (before or {}).items():
            if task["state"] in ENDED:
                for name in ("state", "attempt", "completedAt", "failures", "agentId"):
                    assert stored[task_id][name] == task[name], (
                        f"{name} changed after the end: {task_id}"
                    )
        self.check_ends(stored, ends)
        return stored

    def check_ends(self, stored, ends):
        for task_id, reports in ends.items():
            good = {attempt for attempt, status in reports if status == "success"}
            assert len(good) <= 1, f"{task_id} ended twice, by attempts {good}"
            if good:
                task = stored[task_id]
                assert task["state"] == "completed", f"an acknowledged result is lost: {task}"
                assert task["attempt"] == max(good), (
                    f"{task_id}: attempt {task['attempt']} after {good}"
                )


def integrity(server):
    """SQLite's own verdict on a copy of the files as they lie there."""
    with tempfile.TemporaryDirectory() as folder:
        path = server.database()
        for part in path.parent.glob(path.name + "*"):
            shutil.copy(part, folder)
        base = sqlite3.connect(f"{folder}/{path.name}")
        try:
            return base.execute("PRAGMA integrity_check").fetchall()
        finally:
            base.close()
