# SPDX-License-Identifier: Apache-2.0
"""The agent's version and how it calls itself to web servers."""

from typing import Final

__version__: Final = "0.1.0"
#: The name that robots.txt files know this agent by.
ROBOT: Final = "OrreryWebAgent"
USER_AGENT: Final = f"{ROBOT}/{__version__}"
