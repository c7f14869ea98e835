"""Everything Dagster loads: assets, jobs, the sensor and the schedules of one home.

Belongs here: putting them together, and when they run. `build_defs` takes the home, so that a test brings its own.
"""

import hashlib
import warnings
from collections.abc import Callable, Sequence

import dagster as dg

from pipelines.home import Home
from pipelines.orchestration.assets import (
    LATENESS,
    PUBLISHED,
    REFERENCES,
    RESCREENED,
    SUBMISSIONS,
    TURN,
    county_partitions,
    lateness,
    marts_asset,
    outbox,
    policy_specs,
    postgres,
    references,
    rescreened_asset,
    screen_asset,
    submissions_asset,
    turn_resource,
    xianbao,
)
from pipelines.orchestration.failures import last_failure
from pipelines.orchestration.history import forget_old_runs
from pipelines.orchestration.liveness import bury_dead_runs
from pipelines.orchestration.sources import look_for_news
from pipelines.warehouse import dbt

# Single-run backfills and asset check severities are marked beta or preview; dagster is pinned exactly for that reason.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)

UPDATE_JOB = "update"
TIMEZONE = "Asia/Shanghai"
_RANGE_START, _RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


def county_range(home: Home, counties: Sequence[str] | None = None) -> dict[str, str]:
    """Run tags that name the smallest range of partitions with all the given counties (None: every county).

    A range is contiguous: counties in between are looked at too, which costs a listing and changes nothing.
    """
    keys = county_partitions(home).get_partition_keys()
    wanted = [key for key in keys if counties is None or key in counties]
    return {_RANGE_START: wanted[0], _RANGE_END: wanted[-1]}


def build_defs(home: Home, *, progress: Callable[[int, int], None] | None = None) -> dg.Definitions:
    """The definitions of one home. `progress` is told of each file screened. Raises ConfigurationError when its municipality.yaml is wrong or missing."""
    manifest = dbt.manifest_json(home)
    assets: list[dg.AssetsDefinition | dg.AssetSpec] = [
        *policy_specs(),
        submissions_asset(home),
        references,
        lateness,
        rescreened_asset(home),
        screen_asset(manifest),
        marts_asset(manifest),
        xianbao,
        outbox,
    ]
    if home.municipality.publish.postgres:
        assets.append(postgres)
    everything = dg.AssetSelection.all()
    modelled = everything - dg.AssetSelection.assets(SUBMISSIONS, REFERENCES, LATENESS, RESCREENED)
    update = dg.define_asset_job(
        UPDATE_JOB,
        selection=everything - dg.AssetSelection.assets(LATENESS, RESCREENED),
        description="收取、审核、建模、发布：一次运行处理所有新到的报送件。",
    )
    rescreen = dg.define_asset_job(
        "rescreen", selection=modelled, description="规则变更后，按县区或报告期重新审核 raw/ 中已有的报送件。"
    )
    backfill = dg.define_asset_job(
        "backfill",
        selection=dg.AssetSelection.assets(RESCREENED),
        description="补审：在 Partitions 页选县区和报告期，重新审核 raw/ 中已有的报送件；随后由传感器建模、发布。",
    )
    deadline = dg.define_asset_job(
        "deadline", selection=modelled | dg.AssetSelection.assets(LATENESS), description="记录截止日后的缺报情况。"
    )

    @dg.sensor(
        job=update,
        minimum_interval_seconds=5,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="查看各县区信箱，有新到或变化的文件时请求一次运行。",
    )
    def county_sources(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.RunRequest | dg.SkipReason:
        for run_id in bury_dead_runs(home, context.instance):
            context.log.warning(f"run {run_id} died; its files are taken up by the next run")
        if context.instance.get_runs(dg.RunsFilter(job_name=UPDATE_JOB, statuses=_UNFINISHED), limit=1):
            return dg.SkipReason("上一次运行尚未结束；新到的文件由下一次运行一并处理。")
        failure = last_failure(context.instance, UPDATE_JOB)
        news = look_for_news(home, context.cursor, failure=failure)
        for code, problem in news.problems.items():
            context.log.warning(f"{code}: {problem}")
        failed = f"上一次运行失败（{failure.words}）。" if failure else ""
        if not news.counties:
            context.update_cursor(news.cursor)
            if home.postponed.exists() and not failure:  # fewer with every run
                left = hashlib.sha256(home.postponed.read_bytes()).hexdigest()[:24]
                return dg.RunRequest(run_key=f"postponed-{left}", tags=county_range(home))
            return dg.SkipReason(f"没有新到的文件。{failed}{news.waiting}{'。' if news.waiting else ''}")
        if failed:
            context.log.warning(f"{failed}再试一次。")
        request = dg.RunRequest(
            run_key=news.run_key,
            tags=county_range(home, news.counties) | {"xianbao/news": ",".join(news.counties)},
        )
        return dg.SensorResult(run_requests=[request], cursor=news.cursor)

    @dg.asset_sensor(
        asset_key=RESCREENED,
        job=rescreen,
        minimum_interval_seconds=15,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="补审之后，请求一次建模与发布。",
    )
    def backfilled(_context: dg.SensorEvaluationContext, asset_event: dg.EventLogEntry) -> dg.RunRequest:
        return dg.RunRequest(run_key=f"backfilled-{asset_event.run_id}")

    @dg.schedule(
        job=update,
        cron_schedule="0 2 * * *",
        execution_timezone=TIMEZONE,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="每夜补收：不依赖传感器，收取全部信箱，重建并检验全部模型。",
    )
    def nightly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        config = dg.RunConfig(ops={"marts": {"config": {"everything": True}}})
        return dg.RunRequest(
            run_key=f"nightly-{context.scheduled_execution_time:%Y-%m-%d}", tags=county_range(home), run_config=config
        )

    @dg.schedule(
        job=deadline,
        cron_schedule="0 8 * * *",
        execution_timezone=TIMEZONE,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="每日上午记录：哪些报表已过截止日而仍未收到合格版本。",
    )
    def daily_deadlines(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        day = f"{context.scheduled_execution_time:%Y-%m-%d}"
        lateness = dg.RunConfig(ops={LATENESS.to_python_identifier(): {"config": {"day": day}}})
        return dg.RunRequest(run_key=f"deadline-{day}", run_config=lateness)

    @dg.op(description="忘掉早先运行的记录和日志：保留多少由 limits.history_days、limits.history_runs 规定。")
    def forget_runs(context: dg.OpExecutionContext) -> None:
        context.log.info(f"{forget_old_runs(home, context.instance)} old runs forgotten")

    @dg.job(description="整理：忘掉早先运行的记录和日志。报送件和指标库不受影响。")
    def upkeep() -> None:
        forget_runs()

    @dg.schedule(
        job=upkeep,
        cron_schedule="30 3 * * *",
        execution_timezone=TIMEZONE,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="每夜整理：忘掉早先运行的记录和日志。",
    )
    def nightly_upkeep(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        return dg.RunRequest(run_key=f"upkeep-{context.scheduled_execution_time:%Y-%m-%d}")

    return dg.Definitions(
        assets=assets,
        resources={TURN: turn_resource(home, progress)},
        jobs=[update, rescreen, backfill, deadline, upkeep],
        sensors=[county_sources, backfilled],
        schedules=[nightly, daily_deadlines, nightly_upkeep],
        executor=dg.in_process_executor,
    )


__all__ = ["PUBLISHED", "UPDATE_JOB", "build_defs", "county_range"]
