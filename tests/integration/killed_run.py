"""A run that is killed at a named point: what `test_crash` starts in a process of its own.

Usage: python -m tests.integration.killed_run HOME POINT
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipelines.answers import answers
from pipelines.home import Home
from pipelines.intake import collect as collect_module
from pipelines.intake.raw_store import RawStore
from pipelines.releases import publish as publish_module
from pipelines.warehouse import dbt
from pipelines.warehouse import landing as update


def _die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _before(owner: Any, name: str) -> None:
    setattr(owner, name, _die)


def _after(owner: Any, name: str) -> None:
    original: Callable[..., Any] = getattr(owner, name)

    def wrapped(*args: Any, **kwargs: Any) -> None:
        original(*args, **kwargs)
        _die()

    setattr(owner, name, wrapped)


POINTS: dict[str, Callable[[], None]] = {
    "bytes kept, sidecar not written": lambda: _before(RawStore, "record"),
    "sidecar written, listing not remembered": lambda: _before(collect_module, "replace_file"),
    "screened, nothing landed": lambda: _before(update, "land"),
    "landed, not committed": lambda: _after(update, "store_context"),
    "committed, no mart built": lambda: _before(update, "build_marts"),
    "marts built, not noted": lambda: _after(dbt, "build"),
    "stamped, not copied": lambda: _before(publish_module, "swap_in"),
    "copied, not swapped": lambda: _before(publish_module, "_check"),
    "swapped, returns still dirty": lambda: _after(publish_module, "swap_in"),
    "published, nobody answered": lambda: _before(answers, "receipt_page"),
    "answers written, not noted": lambda: _before(answers, "insert_rows"),
}


def main() -> None:
    from tests.homes import update as run

    home, point = Home(Path(sys.argv[1])), sys.argv[2]
    POINTS[point]()
    # The test module calls through the modules that were just altered.
    from tests import homes

    homes.land_new, homes.build_marts, homes.publish = update.land_new, update.build_marts, publish_module.publish
    run(home)


if __name__ == "__main__":
    main()
