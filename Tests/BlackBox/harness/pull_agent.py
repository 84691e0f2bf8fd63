# SPDX-License-Identifier: Apache-2.0
# A pull agent: leases by hand for tests that steer each step, or a loop that works tasks off.

import threading

from .agent import AgentCalls
from .wait import eventually


class PullAgent(AgentCalls):
    """A registered agent without an endpoint."""

    @classmethod
    def register(cls, server, capabilities, name=None, scheme="standard", **fields):
        made = server.api.register(name or f"pull-{capabilities[0]}", capabilities, **fields)
        return cls(server, made["id"], made["secret"], scheme)

    def lease_call(self, max=1, seconds=0, **more):
        body = {"max": max, "waitSeconds": seconds}
        return self.call(f"/api/agents/{self.id}/lease", body, timeout=seconds + 20, **more)

    def lease(self, max=1, seconds=0):
        """The dispatches of one lease call, which must be good."""
        answer = self.lease_call(max, seconds)
        assert answer.status == 200, repr(answer)
        return answer.json["dispatches"]

    def take(self, seconds=5):
        """Exactly one dispatch, waited for on the server."""
        got = eventually(lambda: self.lease(1, min(seconds, 2)), seconds + 3, what="a dispatch")
        assert len(got) == 1, got
        return got[0]

    def heartbeat(self, running=(), status="active"):
        held = [{"taskId": d["taskId"], "leaseToken": d["leaseToken"]} for d in running]
        answer = self.call(f"/api/agents/{self.id}/heartbeat", {"status": status, "running": held})
        assert answer.status == 200, repr(answer)
        return answer.json

    def work(self, handler=None, max=4, seconds=1):
        """Starts a loop on a thread that leases and answers until `stop()` of what it returns."""
        return PullLoop(self, handler, max, seconds)


class PullLoop:
    """Works a pull agent's tasks off; `handler(agent, dispatch)` reports, by default success."""

    def __init__(self, agent, handler, max, seconds):
        self.agent, self.max, self.seconds = agent, max, seconds
        self.handler = handler or (lambda agent, dispatch: agent.succeed(dispatch))
        self.taken, self.faults, self._stop = [], [], threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stop.is_set():
            try:
                answer = self.agent.lease_call(self.max, self.seconds)
                if answer.status != 200:
                    self.faults.append(answer)
                    self._stop.wait(0.1)
                    continue
                for dispatch in answer.json["dispatches"]:
                    self.taken.append(dispatch)
                    self.handler(self.agent, dispatch)
            except OSError as error:
                self.faults.append(error)
                self._stop.wait(0.1)

    def stop(self):
        self._stop.set()
        self._thread.join(self.seconds + 25)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
