# SPDX-License-Identifier: Apache-2.0
"""Write agents that execute Orrery's tasks: verified dispatches, progress, signed results."""

from .agent import Agent
from .backoff import Backoff
from .client import ControlPlane, Registration, join
from .context import TaskContext
from .errors import (
    ConfigurationError,
    MessageError,
    OrreryError,
    Refused,
    ResultError,
    SignatureError,
    TaskCancelled,
    TaskFailed,
    Unreachable,
)
from .messages import Artifact, Dispatch, Failure, Partial, Report, Results
from .signing import Secret, Signed, sign, sign_compat, verify
from .version import __version__

__all__ = [
    "Agent",
    "Artifact",
    "Backoff",
    "ConfigurationError",
    "ControlPlane",
    "Dispatch",
    "Failure",
    "MessageError",
    "OrreryError",
    "Partial",
    "Refused",
    "Registration",
    "Report",
    "ResultError",
    "Results",
    "Secret",
    "SignatureError",
    "Signed",
    "TaskCancelled",
    "TaskContext",
    "TaskFailed",
    "Unreachable",
    "__version__",
    "join",
    "sign",
    "sign_compat",
    "verify",
]
