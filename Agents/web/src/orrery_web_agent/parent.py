# SPDX-License-Identifier: Apache-2.0
"""Notices the end of the process that started this one, so that no agent outlives its server."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)


@contextmanager
def when_parent_ends(action: Callable[[], None]) -> Iterator[None]:
    """Calls ``action`` in the running loop when the parent process has ended (Linux)."""
    loop = asyncio.get_running_loop()
    parent = os.getppid()
    try:
        watched = os.pidfd_open(parent)
    except (AttributeError, OSError) as error:
        logger.warning("the end of the parent process cannot be noticed here: %s", error)
        yield
        return

    def ended() -> None:
        loop.remove_reader(watched)
        logger.info("the parent process has ended")
        action()

    loop.add_reader(watched, ended)
    if os.getppid() != parent:
        loop.call_soon(action)
    try:
        yield
    finally:
        loop.remove_reader(watched)
        os.close(watched)
