"""Running the update job in this process: the same assets as the daemon's, one run, recorded in the same Dagster instance."""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipelines.cli.terminal import say
from pipelines.home import PROJECT, Home
from pipelines.warehouse.opened import in_words

#: What DuckDB raises when a database file of ours, or what it needs on disk or in memory, cannot be had.
_OF_A_FILE = frozenset(["IOException", "OutOfMemoryException", "SerializationException", "FatalException"])


@dataclass(frozen=True)
class Ran:
    """What a run came to, from the metadata of its materialisations. `failure`: the failing step's words, None when none."""

    failure: str | None
    landed_n: int
    known_n: int
    screened_n: int
    nodes_n: int
    changed: bool
    problems: dict[str, str]
    undelivered: dict[str, str]
    uncopied: dict[str, str]
    faults: dict[str, str]
    left: list[str]
    passed_over: list[str]
    postponed: dict[str, int]


def dagster_environment(home: Home) -> dict[str, str]:
    """Where this home's Dagster instance is configured and keeps its state."""
    state = home.warehouse / "dagster"
    state.mkdir(parents=True, exist_ok=True)
    return {
        "DAGSTER_HOME": os.environ.get("DAGSTER_HOME", str(PROJECT)),
        "XIANBAO_STATE": os.environ.get("XIANBAO_STATE", str(state)),
        "XIANBAO_HOME": str(home.root),
        "DAGSTER_DISABLE_TELEMETRY": "1",
    }


def run_update(
    home: Home,
    *,
    again: tuple[str | None, str | None] = (None, None),
    progress: Callable[[int, int], None] | None = None,
) -> Ran:
    """Collect, screen, model and publish; raises ConfigurationError before anything is done when the configuration is wrong."""
    os.environ.update(dagster_environment(home))
    import dagster as dg

    from pipelines.orchestration.definitions import UPDATE_JOB, build_defs, county_range
    from pipelines.orchestration.liveness import bury_dead_runs

    logging.getLogger("alembic").setLevel(logging.WARNING)
    job = build_defs(home, progress=progress).resolve_job_def(UPDATE_JOB)
    with dg.DagsterInstance.get() as instance:
        bury_dead_runs(home, instance)
        result = job.execute_in_process(
            instance=instance,
            tags=county_range(home),
            run_config={
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
                "ops": {"screen": {"config": {"county_code": again[0], "period": again[1]}}},
            },
            raise_on_error=False,
        )
    metadata: dict[str, dict[str, Any]] = {}
    for event in result.get_asset_materialization_events():
        materialization = event.step_materialization_data.materialization
        path = "/".join(materialization.asset_key.path)
        metadata[path] = {name: value.value for name, value in materialization.metadata.items()}
    failure = None
    if not result.success:
        failed = [event for event in result.all_events if event.is_step_failure]
        failure = "\n".join(
            f"{event.step_key}: {_cause(event.step_failure_data.error)}" for event in failed
        ) or "the run failed"  # fmt: skip
    pulled = [metadata.get("raw/submissions", {}), metadata.get("raw/references", {})]
    return Ran(
        failure=failure,
        landed_n=sum(int(one.get("landed", 0)) for one in pulled),
        known_n=sum(int(one.get("already_known", 0)) for one in pulled),
        screened_n=int(metadata.get("landing/submission", {}).get("screened", 0)),
        nodes_n=int(metadata.get("warehouse/unpublished", {}).get("nodes", 0)),
        changed=bool(metadata.get("warehouse/xianbao", {}).get("changed", False)),
        problems={code: text for one in pulled for code, text in (one.get("problems") or {}).items()},
        faults=dict(metadata.get("landing/submission", {}).get("faults") or {}),
        uncopied=dict(metadata.get("warehouse/postgres", {}).get("problems") or {}),
        undelivered=dict(metadata.get("warehouse/outbox", {}).get("problems") or {}),
        left=[text for one in pulled for text in (one.get("left_for_next_time") or [])],
        passed_over=[text for one in pulled for text in (one.get("passed_over") or [])],
        postponed=dict(metadata.get("landing/submission", {}).get("postponed") or {}),
    )


def _cause(error: Any) -> str:
    while error is not None and error.cause is not None:
        error = error.cause
    if error is None:
        return ""
    if error.cls_name in _OF_A_FILE:
        unusable = in_words(error.message.removeprefix(f"{error.cls_name}: ").partition(": ")[2] or error.message)
        return say(unusable.chinese, unusable.english)
    return f"{error.cls_name}: {error.message}".strip()
