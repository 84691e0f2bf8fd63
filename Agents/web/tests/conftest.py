# SPDX-License-Identifier: Apache-2.0
"""Runs tests that are coroutines, each in an event loop of its own and with an end."""

from __future__ import annotations

import asyncio
import inspect

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}

    async def bounded() -> None:
        async with asyncio.timeout(600):
            await pyfuncitem.obj(**arguments)

    asyncio.run(bounded())
    return True
