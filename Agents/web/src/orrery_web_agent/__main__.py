# SPDX-License-Identifier: Apache-2.0
"""The program: ``python -m orrery_web_agent``, a pull agent set up by environment variables."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys

from orrery_agent import Agent, ConfigurationError, OrreryError

from .addresses import AddressPolicy
from .parent import when_parent_ends
from .service import serving
from .version import __version__

EXIT_USAGE = 2


def main() -> int:
    """Returns the exit code: 0 after a drain, 1 if the control plane refuses us, 2 for settings."""
    options = _options()
    logging.basicConfig(
        level=options.log_level.upper(), stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    try:
        policy = AddressPolicy.parse(os.environ.get("ORRERY_ALLOW_NET", ""))
    except ValueError as error:
        return _complain(f"ORRERY_ALLOW_NET: {error}", EXIT_USAGE)
    try:
        asyncio.run(_run(options, policy))
    except ConfigurationError as error:
        return _complain(str(error), EXIT_USAGE)
    except OrreryError as error:
        return _complain(str(error), 1)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="orrery_web_agent",
        description="Orrery's agent for web pages (scrape) and API checks (http-check). Reads "
        "ORRERY_URL, ORRERY_AGENT_ID, ORRERY_AGENT_SECRET (or ORRERY_JOIN_TOKEN) and "
        "ORRERY_ALLOW_NET.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("--concurrency", type=int, default=4, help="tasks at a time (4)")
    parser.add_argument(
        "--workers", type=int, default=min(4, os.cpu_count() or 1),
        help="processes that extract pages (one per processor, 4 at most)",
    )
    parser.add_argument(
        "--lease-seconds", type=float, default=30.0,
        help="the agent's lease as the control plane has it (30)",
    )
    parser.add_argument(
        "--drain-seconds", type=float, default=60.0,
        help="how long a stop waits for running tasks (60)",
    )
    parser.add_argument(
        "--exit-with-parent", action="store_true",
        help="drain and exit when the process that started this one has ended",
    )
    parser.add_argument(
        "--log-level", default="info", choices=["debug", "info", "warning", "error"]
    )
    options = parser.parse_args()
    if options.concurrency < 1 or options.workers < 1 or options.lease_seconds <= 0:
        parser.error("--concurrency, --workers and --lease-seconds must be positive")
    return options


async def _run(options: argparse.Namespace, policy: AddressPolicy) -> None:
    agent = Agent(
        concurrency=options.concurrency,
        lease_seconds=options.lease_seconds,
        drain_seconds=options.drain_seconds,
    )
    async with serving(agent, policy, workers=options.workers):
        if options.exit_with_parent:
            with when_parent_ends(agent.stop):
                await agent.pull(signals=True)
        else:
            await agent.pull(signals=True)


def _complain(text: str, code: int) -> int:
    print(f"orrery_web_agent: {text}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
