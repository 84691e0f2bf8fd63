# SPDX-License-Identifier: Apache-2.0
"""Orrery's agent for web pages and API checks: task types ``scrape`` and ``http-check``."""

from .version import __version__

__all__ = ["__version__"]
