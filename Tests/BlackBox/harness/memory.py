# SPDX-License-Identifier: Apache-2.0
# What a process holds in memory, now and at its highest.

import pathlib


def resident(server):
    """Bytes of physical memory now."""
    return _status(server, "VmRSS")


class Peak:
    """The highest resident memory within a `with`, beyond what there was at its start."""

    def __init__(self, server):
        self.server, self.rise = server, None

    def __enter__(self):
        # The kernel forgets the highest value so far.
        pathlib.Path(f"/proc/{self.server.pid}/clear_refs").write_text("5")
        self.before = resident(self.server)
        return self

    def __exit__(self, *_):
        self.rise = _status(self.server, "VmHWM") - self.before


def _status(server, name):
    for line in pathlib.Path(f"/proc/{server.pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no {name}")
