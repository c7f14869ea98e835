"""Asking many sources at once, with patience for each and for none longer.

Belongs here: threads that can be left behind. A file system that hangs cannot be interrupted; it can only be waited for no
longer, and must not keep the process from ending either, which the standard pools do.
"""

import threading
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

Key = TypeVar("Key")
Answer = TypeVar("Answer")
#: More than the counties of a city: those that wait for a crowded server keep nobody else waiting.
_AT_ONCE = 64


def in_parallel(
    tasks: Mapping[Key, Callable[[], Answer]], patience_seconds: float
) -> dict[Key, Answer | Exception | None]:
    """Run every task in a thread of its own, some at a time; an answer, the exception it raised, or None when it was late."""
    answers: dict[Key, Answer | Exception | None] = dict.fromkeys(tasks)
    free = threading.Semaphore(_AT_ONCE)

    def run(key: Key, task: Callable[[], Answer]) -> None:
        with free:
            try:
                answer: Answer | Exception = task()
            except Exception as error:  # noqa: BLE001 - handed on to whoever asked
                answer = error
        if open_for_answers.is_set():
            answers[key] = answer

    open_for_answers = threading.Event()
    open_for_answers.set()
    threads = [threading.Thread(target=run, args=item, daemon=True) for item in tasks.items()]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + patience_seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    open_for_answers.clear()
    return dict(answers)
