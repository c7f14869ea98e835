"""Being told to stop, by Ctrl-C or by the system: what is under way is left, in words and with the exit code that shells know.

Belongs here: the two signals. What is half done is the business of whoever does it: the next run takes it up.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

#: Exit codes after an interruption.
INTERRUPTED = (128 + signal.SIGINT, 128 + signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """The process was told to stop; `exit_code` as shells have it: 130 after Ctrl-C, 143 after SIGTERM. `goes_on`: whether the next
    run takes up what is left."""

    def __init__(self, number: int, *, goes_on: bool = False) -> None:
        super().__init__(number)
        self.exit_code = 128 + number
        self.goes_on = goes_on


def _stop(number: int, _frame: FrameType | None) -> None:
    raise Interrupted(number)


def listen() -> None:
    """From here on both signals raise Interrupted in the main thread."""
    # One handler for both: Dagster puts back for SIGTERM whatever stood for SIGINT.
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _stop)


@contextmanager
def noted() -> Iterator[Callable[[], int | None]]:
    """Tells which of the two came meanwhile, whoever handles them: Dagster and DuckDB raise errors of their own instead."""
    reading, writing = os.pipe()
    for end in (reading, writing):
        os.set_blocking(end, False)
    came: list[int] = []

    def which() -> int | None:
        with suppress(BlockingIOError):
            came.extend(one for one in os.read(reading, 512) if one in (signal.SIGINT, signal.SIGTERM))
        return came[0] if came else None

    try:
        before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    except ValueError:  # not the main thread, which alone is told
        before = None
    try:
        yield which
    finally:
        if before is not None:
            signal.set_wakeup_fd(before)
        os.close(reading)
        os.close(writing)
