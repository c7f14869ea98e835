"""Telling a run whose process has died from one that is at work, so that nobody waits for the dead.

Belongs here: the sign of life that a run gives, and ending in Dagster's books what gave one and gives it no longer.
Dagster's default launcher does not notice a killed process: its run counts as started until run monitoring gives it up.

    warehouse/private/runs/<run id>     locked by the run's process as long as it lives, released by the kernel
"""

from __future__ import annotations

import fcntl
from typing import IO, TYPE_CHECKING

from pipelines.files import aside_name
from pipelines.home import Home
from pipelines.operations.run_log import KILLED, RunLog

if TYPE_CHECKING:
    import dagster as dg

_signs: dict[str, IO[str]] = {}


def show_life(home: Home, run_id: str) -> bool:
    """Lock this run's file for as long as the process lives; whether it is the first step of the run that says so."""
    if run_id in _signs:
        return False
    folder = home.private / "runs"
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / aside_name(run_id)
    stream = aside.open("w")
    fcntl.flock(stream, fcntl.LOCK_EX)
    aside.rename(folder / run_id)  # locked before it can be found
    _signs[run_id] = stream
    return True


def is_alive(home: Home, run_id: str) -> bool:
    """Whether the process of a run that has not ended is at work."""
    try:
        with (home.private / "runs" / run_id).open() as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def bury_dead_runs(home: Home, instance: dg.DagsterInstance) -> list[str]:
    """Mark as failed, and in the log of runs as killed, every unfinished run that gave a sign of life and gives it no
    longer.

    Returns their ids. The signs of runs that ended by themselves go too.
    """
    buried = []
    for sign in sorted((home.private / "runs").glob("[!.]*")):
        with sign.open() as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            RunLog(home.run_log).end(sign.name, KILLED)
            run = instance.get_run_by_id(sign.name)
            if run is not None and not run.is_finished:
                instance.report_run_failed(run, "the run's process has died")
                buried.append(run.run_id)
        sign.unlink(missing_ok=True)
    return buried
