"""A request to stop that leaves time for a checkpoint, as batch systems make before a time limit.

SIGUSR1 and SIGTERM are such requests. Training goes on to the end of the epoch, writes its
checkpoint and stops there; the same command goes on from it, bit for bit.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

REQUEUE = 85
"""Exit status of what stopped so and is to be started again; HTCondor's usual one, too."""
SIGNALS = (signal.SIGUSR1, signal.SIGTERM)
_received: list[int] = []


class Stopped(KeyboardInterrupt):
    """Training stopped on request, with a checkpoint; it ends what Ctrl-C ends."""


@contextmanager
def listening() -> Iterator[None]:
    """Take the two signals for requests meanwhile; a second SIGTERM ends the process at once."""
    _received.clear()
    before = {number: signal.signal(number, _note) for number in SIGNALS}
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)  # a fork begins with them waiting
    try:
        yield
    finally:
        _received.clear()
        for number, handler in before.items():
            signal.signal(number, handler)


def asked() -> bool:
    """Whether this process was asked to stop."""
    return bool(_received)


def before_a_limit() -> bool:
    """Whether it was asked because its time is nearly up, and not to end for good."""
    return signal.SIGUSR1 in _received


def _note(number: int, frame: FrameType | None) -> None:
    _received.append(number)
    if number == signal.SIGTERM:
        signal.signal(number, signal.SIG_DFL)
