"""Running the update job in this process: the same assets as the daemon's, one run, recorded in the same Dagster
instance."""

import logging
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipelines.cli.interruption import Interrupted, noted
from pipelines.cli.terminal import errors, say
from pipelines.files import closed_to_others
from pipelines.home import PROJECT, Home
from pipelines.operations.run_log import Reason, RunLog, RunResult

_NOT_COPIED = {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}


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
) -> RunResult:
    """Collect, screen, model and publish, while no other run does. Raises ConfigurationError before anything is done
    when the configuration is wrong, HomeBusy when another run does not end, and Interrupted when the process is told to
    stop."""
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
) -> RunResult:
    os.environ.update(dagster_environment(home))
    import dagster as dg
    from dagster._core.instance.ref import InstanceRef

    from pipelines.orchestration.code_location import UPDATE_JOB, build_defs, county_range
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
    ran = RunLog(home.run_log).get(result.run_id) or RunResult(result.run_id, UPDATE_JOB, datetime.now(UTC))
    if not result.success and ran.failure is None:
        ran.failure = _failure(ran, [event for event in result.all_events if event.is_step_failure])
    return ran


def _failure(ran: RunResult, failed: Sequence[Any]) -> Reason:
    """Why a run failed: as its steps say, else as Dagster does of what failed outside of a step's work."""
    told = {record.step: record.failure for record in ran.steps if record.failure}
    told = told or {event.step_key: _of_dagster(event.step_failure_data.error) for event in failed}
    if not told:
        return Reason("the run failed", "the run failed")
    return Reason(
        "\n".join(f"{step}: {failure.chinese}" for step, failure in told.items()),
        "\n".join(f"{step}: {failure.english}" for step, failure in told.items()),
    )


def _of_dagster(error: Any) -> Reason:
    words = error.message.strip() if error is not None else ""
    return Reason(words, words)
