"""Dagster's own books, kept within bounds: what is known of old runs goes, with their events and logs.

Belongs here: which runs are forgotten, and all the places in which something of a run lies. What a run has made stays: nothing in
`raw/` or the warehouse rests on Dagster's books. Ticks of sensors and schedules Dagster forgets by itself (`retention` in
dagster.yaml); runs it keeps for ever.
"""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from pipelines.home import Home
from pipelines.operations.run_log import RunLog

_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
#: The first time there may be years of them; the rest is left for the next time.
_AT_ONCE = 500


def forget_old_runs(
    home: Home, instance: dg.DagsterInstance, *, now: datetime | None = None, at_most: int = _AT_ONCE
) -> int:
    """Forget finished runs beyond `limits.history_runs` and those older than `limits.history_days`; returns how many.

    The log of runs keeps as many.

    The newest materialisation of an asset goes with its run: what was last made so long ago shows as never made.
    """
    limits = home.municipality.limits
    until = (now or datetime.now(UTC)) - timedelta(days=limits.history_days)
    old = [record.dagster_run.run_id for record in _finished(instance, at_most, created_before=until)]
    count = instance.get_runs_count(dg.RunsFilter(statuses=_FINISHED))
    beyond = min(count - limits.history_runs, at_most)
    if beyond > len(old):
        old = [record.dagster_run.run_id for record in _finished(instance, beyond)]
    for run_id in old:
        _forget(instance, run_id)
    RunLog(home.run_log).keep_newest(limits.history_runs)
    return len(old)


def _finished(instance: dg.DagsterInstance, limit: int, **narrowed: Any) -> Any:
    """The oldest first."""
    return instance.get_run_records(dg.RunsFilter(statuses=_FINISHED, **narrowed), limit=limit, ascending=True)


def _forget(instance: dg.DagsterInstance, run_id: str) -> None:
    _forget_checks(instance, run_id)
    instance.delete_run(run_id)
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    # What deleting leaves: an emptied file of its own in SQLite, the folder of its logs and of its outputs.
    shard = getattr(instance.event_log_storage, "path_for_shard", None)
    if shard is not None:
        path = Path(shard(run_id))
        for file in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
            file.unlink(missing_ok=True)
    root = Path(instance.root_directory)
    for folder in (root / run_id, root / "storage" / run_id):
        shutil.rmtree(folder, ignore_errors=True)


def _forget_checks(instance: dg.DagsterInstance, run_id: str) -> None:
    """What checks found in a run, which Dagster keeps when it deletes the run; the newest of each check stays on its page."""
    import sqlalchemy as db
    from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable as Checks
    from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage

    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        return
    newest = db.select(db.func.max(Checks.c.id)).group_by(Checks.c.asset_key, Checks.c.check_name)
    with storage.index_connection() as connection:
        kept = [row[0] for row in connection.execute(newest).fetchall()]
        connection.execute(Checks.delete().where(Checks.c.run_id == run_id).where(Checks.c.id.not_in(kept)))
