# SPDX-License-Identifier: Apache-2.0
"""The errors that this package raises, and those that a handler raises to end its task."""


class OrreryError(Exception):
    """The base of every error of this package."""


class ConfigurationError(OrreryError):
    """A setting is missing or cannot be used; the message names it."""


class SignatureError(OrreryError):
    """A request is not signed by a secret we know. The message is for logs, not for the sender."""


class MessageError(OrreryError):
    """A message of the control plane is not what the protocol says."""


class ResultError(OrreryError):
    """A handler's result cannot be sent: not JSON, or beyond a limit. ``code`` says which."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Refused(OrreryError):
    """The control plane refused a call for good (a 4xx that repeating will not change)."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail


class Unreachable(OrreryError):
    """A call got no usable answer; repeating it may help.

    ``retry_after`` is in seconds and set where the answer asked for a pause.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TaskFailed(Exception):
    """Raised by a handler: this attempt failed.

    ``retry_after`` is in seconds: no new attempt sooner. With ``retryable=False`` the task ends as
    failed whatever attempts are left.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retryable: bool = True,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = retryable
        self.retry_after = retry_after


class TaskCancelled(Exception):
    """Raised inside a handler that reports progress after its attempt was called off.

    ``reason`` is ``cancelled``, ``timeout``, ``lost`` (the attempt is no longer ours) or
    ``stopping`` (this agent has to exit now).
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"the attempt was called off: {reason}")
        self.reason = reason
