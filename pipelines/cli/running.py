"""Running the update job in this process: the same assets as the daemon's, one run, recorded in the same Dagster instance."""

import logging
import os
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.cli.interruption import Interrupted, noted
from pipelines.cli.terminal import errors, say
from pipelines.files import closed_to_others
from pipelines.home import PROJECT, Home
from pipelines.warehouse.opened import in_words

_NOT_COPIED = {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}
#: What DuckDB raises when a database file of ours, or what it needs on disk or in memory, cannot be had.
_OF_A_FILE = frozenset(["IOException", "OutOfMemoryException", "SerializationException", "FatalException"])


_CHINESE = re.compile(r"[^\n]*[\u4e00-\u9fff]")


@dataclass(frozen=True)
class Ran:
    """What a run came to, from the metadata of its materialisations. `failure`: the failing step's words, None when none; `told`:
    what was not as it should be and what was done about it; `refused`: why nothing was published although nothing failed (both Chinese)."""

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
    told: list[str]
    postponed: dict[str, int]
    refused: str


def dagster_environment(home: Home) -> dict[str, str]:
    """Where this home's Dagster instance is configured and keeps its state."""
    state = Path(os.environ.get("XIANBAO_STATE") or home.warehouse / "dagster").absolute()
    state.mkdir(parents=True, exist_ok=True)
    return {
        # Never one that happens to stand in the environment: it is another project's, and the slots of this one are not kept in it.
        "DAGSTER_HOME": str(PROJECT),
        "XIANBAO_STATE": str(state),
        "XIANBAO_HOME": str(home.root),
        "DAGSTER_DISABLE_TELEMETRY": "1",
    }


def run_update(
    home: Home,
    *,
    again: tuple[str | None, str | None] = (None, None),
    progress: Callable[[int, int], None] | None = None,
) -> Ran:
    """Collect, screen, model and publish, while no other run does. Raises ConfigurationError before anything is done when the
    configuration is wrong, HomeBusy when another run does not end, and Interrupted when the process is told to stop."""
    import dagster  # noqa: F401 - what is not installed is told before the home is held

    with closed_to_others(), noted() as which:
        try:
            with whole_run(home):
                return _run_job(home, again, progress, which)
        except BaseException as error:
            # Dagster's own word for an interruption is no KeyboardInterrupt.
            if (number := which()) is None:
                raise
            raise Interrupted(number, goes_on=True) from error


def whole_run(home: Home) -> AbstractContextManager[None]:
    """The home held for a run and whatever belongs to it; says so where it has to wait."""
    return home.writing(
        waiting=lambda holder: errors.print(
            say(f"另一次运行正在进行（{holder}），等它结束……", "Another run is at work; waiting for it to end …"),
            markup=False,
        )
    )


def _run_job(
    home: Home,
    again: tuple[str | None, str | None],
    progress: Callable[[int, int], None] | None,
    interruption: Callable[[], int | None],
) -> Ran:
    os.environ.update(dagster_environment(home))
    import dagster as dg
    from dagster._core.instance.ref import InstanceRef

    from pipelines.orchestration.definitions import UPDATE_JOB, build_defs, county_range
    from pipelines.orchestration.history import forget_old_runs
    from pipelines.orchestration.liveness import bury_dead_runs

    logging.getLogger("alembic").setLevel(logging.WARNING)
    job = build_defs(home, progress=progress).resolve_job_def(UPDATE_JOB)
    # Dagster's copying of what is printed is done by processes that Ctrl-C would reach, and that would say so in their own words.
    reference = InstanceRef.from_dir(str(PROJECT), overrides={"compute_logs": _NOT_COPIED})
    with dg.DagsterInstance.from_ref(reference) as instance:
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
        if not result.success and (number := interruption()) is not None:
            if run := instance.get_run_by_id(result.run_id):
                instance.report_run_canceled(run, "已中断，下次运行会接着做。")
            raise Interrupted(number, goes_on=True)
        forget_old_runs(home, instance)
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
        faults={name: text for one in metadata.values() for name, text in (one.get("faults") or {}).items()},
        told=list(dict.fromkeys(text for one in metadata.values() for text in (one.get("told") or []))),
        uncopied=dict(metadata.get("warehouse/postgres", {}).get("problems") or {}),
        undelivered=dict(metadata.get("warehouse/outbox", {}).get("problems") or {}),
        left=[text for one in pulled for text in (one.get("left_for_next_time") or [])],
        passed_over=[text for one in pulled for text in (one.get("passed_over") or [])],
        postponed=dict(metadata.get("landing/submission", {}).get("postponed") or {}),
        refused=str(metadata.get("warehouse/xianbao", {}).get("refused") or ""),
    )


def _cause(error: Any) -> str:
    while error is not None and error.cause is not None:
        error = error.cause
    if error is None:
        return ""
    if error.cls_name in _OF_A_FILE:
        unusable = in_words(error.message.removeprefix(f"{error.cls_name}: ").partition(": ")[2] or error.message)
        return say(unusable.chinese, unusable.english)
    own_words = error.message.removeprefix(f"{error.cls_name}: ").partition(": ")[2]
    # What we say of ourselves we say in words; whatever else fails is named as what it is.
    return own_words.strip() if _CHINESE.match(own_words) else f"{error.cls_name}: {error.message}".strip()
