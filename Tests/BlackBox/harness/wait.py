# SPDX-License-Identifier: Apache-2.0
# The only place of the suite that lets time pass: wait for a condition, or watch that it holds.

import time


def eventually(check, timeout=10.0, every=0.02, what=None):
    """The first true value of `check()`; fails with the last value after `timeout` seconds."""
    end = time.monotonic() + timeout
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() >= end:
            raise AssertionError(
                f"not within {timeout} s: {what or 'condition'}; last value {value!r}"
            )
        time.sleep(every)


def holds(check, seconds, every=0.05, what=None):
    """Fails as soon as `check()` is false within `seconds`: for things that must not happen."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = check()
        assert value, f"did not hold for {seconds} s: {what or 'condition'}; value {value!r}"
        time.sleep(every)


def pause(seconds):
    """Lets real time pass where the contract itself counts seconds."""
    time.sleep(seconds)


def fresh_second():
    """Returns early within a second of the wall clock, so that both sides see the same one."""
    while time.time() % 1 > 0.3:
        time.sleep(0.02)
