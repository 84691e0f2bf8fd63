# SPDX-License-Identifier: Apache-2.0
"""The package's version and how it calls itself."""

from typing import Final

__version__: Final = "0.1.0"
USER_AGENT: Final = f"orrery-agent-python/{__version__}"
