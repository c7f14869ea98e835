"""The assets: raw submissions by county, landing tables, dbt models, the published file.

Belongs here: what depends on what, and what each step tells Dagster. What a step does is in `intake` and `warehouse`.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings

from pipelines.answers.answers import Answered, write_answers
from pipelines.answers.delivery import deliver_all
from pipelines.answers.receipt_page import OUTCOME_LABELS
from pipelines.exports.postgres import CopyFault, copy_to_postgres
from pipelines.files import PRIVATE_UMASK
from pipelines.home import Home, HomeBusy
from pipelines.intake.collect import collect_all
from pipelines.intake.deadlines import record_late
from pipelines.intake.raw_store import RawStore
from pipelines.municipality import County, Reference
from pipelines.operations.run_log import (
    FAILED,
    INTERRUPTED,
    SUCCEEDED,
    AnswerResult,
    BuildResult,
    CollectResult,
    CopyResult,
    LatenessResult,
    PublishResult,
    ReferencesResult,
    RescreenResult,
    RunLog,
    ScreenResult,
    StepResult,
    failure_of,
)
from pipelines.operations.upkeep import look_after
from pipelines.orchestration.liveness import show_life
from pipelines.orchestration.tables import SHOWN_ROWS, table
from pipelines.policy.tables import policy_tables
from pipelines.releases.publish import Published, publish
from pipelines.releases.release import code_version
from pipelines.returns import current_definitions
from pipelines.screening.settings import batch_budget
from pipelines.times import beijing_day
from pipelines.warehouse import dbt
from pipelines.warehouse.build_database import landing_schema
from pipelines.warehouse.landing import (
    Landed,
    Scope,
    build_marts,
    land_new,
    making_again,
    received_filings,
    standing,
    standing_findings,
)

#: The resource that every step needs: the parameter's name of whoever takes it.
TURN = "turn"
#: How long a run waits for another to end.
_PATIENCE_SECONDS = 1800
SUBMISSIONS = dg.AssetKey(["raw", "submissions"])
REFERENCES = dg.AssetKey(["raw", "references"])
LATENESS = dg.AssetKey(["raw", "lateness"])
RESCREENED = dg.AssetKey(["landing", "rescreened"])
MARTS_FILE = dg.AssetKey(["warehouse", "unpublished"])
PUBLISHED = dg.AssetKey(["warehouse", "xianbao"])
OUTBOX = dg.AssetKey(["warehouse", "outbox"])
POSTGRES = dg.AssetKey(["warehouse", "postgres"])


_Made = TypeVar("_Made")
_Result = TypeVar("_Result", bound=StepResult)


@dataclass
class Turn:
    """One run's hold on its home, from its first step to its last. `progress` is told of each file screened;
    `database`: the identity of the build database that the run has screened into, None before it has; `outcome`: of the
    run, as its steps leave it."""

    home: Home
    run_id: str
    log: RunLog
    progress: Callable[[int, int], None] | None = None
    database: str | None = None
    outcome: str = SUCCEEDED
    result: StepResult = field(default_factory=StepResult)

    @contextmanager
    def step(self, result: _Result) -> Iterator[_Result]:
        """Do a step, which fills `result` in: it is kept in the log of runs however the step ends, with the time that
        it took."""
        self.result = result
        ordinal, started, failure = self.log.begin_step(self.run_id, result.step), time.monotonic(), None
        try:
            yield result
        except BaseException as error:
            self.outcome = FAILED if isinstance(error, Exception) else INTERRUPTED
            failure = failure_of(error)
            raise
        finally:
            self.log.end_step(self.run_id, ordinal, round(time.monotonic() - started, 3), result, failure)

    def recovering(self, made: Callable[[], _Made], before: Callable[[], object] = lambda: None) -> _Made:
        """What a part of a step makes, whatever state the private databases are in: `before` makes them once more."""
        return making_again(self.home, made, before, self.result.remarks)

    def land(self, **how: Any) -> Landed:
        """Land what is new."""
        landed = self.recovering(lambda: land_new(self.home, **how))
        self.database = landed.database
        self.result.faults |= landed.faults
        self.result.remarks += landed.remarks
        return landed

    def build(self, **how: Any) -> list[dbt.BuiltNode]:
        """Build the models that are out of date."""
        return self.recovering(lambda: build_marts(self.home, database=self.database, **how), self.land)

    def publish(self) -> Published:
        """Publish what was built."""
        published = self.recovering(lambda: publish(self.home, database=self.database), self._land_and_build)
        self.result.remarks += published.told
        return published

    def answer(self) -> Answered:
        """Write the counties' answers."""
        return self.recovering(lambda: write_answers(self.home, database=self.database), self._land_build_and_publish)

    def _land_and_build(self) -> None:
        self.land()
        build_marts(self.home, database=self.database)

    def _land_build_and_publish(self) -> None:
        self._land_and_build()
        self.result.remarks += publish(self.home, database=self.database).told


TurnOfRun = dg.ResourceParam[Turn]


def turn_resource(home: Home, progress: Callable[[int, int], None] | None = None) -> dg.ResourceDefinition:
    """The home held for the time of a run, in whatever process; a run that comes meanwhile waits, and gives up in
    words."""

    @dg.resource(description="一次运行从头到尾独占本主目录。")
    def turn(context: dg.InitResourceContext) -> Iterator[Turn]:
        run_id = context.run_id or ""
        turn = Turn(home, run_id, RunLog(home.run_log), progress)
        if context.run is not None:
            _begin(home, run_id, context.log)
            turn.log.begin(run_id, context.run.job_name)

        def waiting(holder: str) -> None:
            if context.log:
                context.log.info(f"waiting for another run: {holder}")

        try:
            with home.writing(wait_seconds=_PATIENCE_SECONDS, waiting=waiting):
                yield turn
        except HomeBusy as error:
            turn.log.end(run_id, FAILED, failure_of(error))
            raise
        turn.log.end(run_id, turn.outcome)

    return turn


#: The tag of a run that is part of a backfill.
_BACKFILL = "dagster/backfill"


class ScreenConfig(dg.Config):
    """What to screen again although it was screened before, when rules have changed."""

    county_code: str | None = None
    period: str | None = None
    everything: bool = False


class BuildConfig(dg.Config):
    """Whether to build and test every model, whatever is out of date."""

    everything: bool = False


class LatenessConfig(dg.Config):
    """The day on which to record who is late, as YYYY-MM-DD; today in Beijing where none is named."""

    day: str | None = None


def county_partitions(home: Home) -> dg.StaticPartitionsDefinition:
    """One partition a county, in the order of the configuration."""
    return dg.StaticPartitionsDefinition([county.code for county in home.municipality.counties])


def filing_partitions(home: Home) -> dg.MultiPartitionsDefinition:
    """County × period of the calendar: what is chosen from to judge again what has come."""
    periods = sorted({row.period for row in home.municipality.calendar_rows()}, key=lambda one: (one.start, one.end))
    return dg.MultiPartitionsDefinition(
        {
            "county": county_partitions(home),
            "period": dg.StaticPartitionsDefinition([one.code for one in periods]),
        }
    )


def _begin(home: Home, run_id: str, log: dg.DagsterLogManager | None) -> None:
    """What every run does before anything else: show that it lives, close the home to others, clear up after the dead."""
    os.umask(PRIVATE_UMASK)  # of this process, which is the run's own
    if not show_life(home, run_id):
        return
    done = look_after(home)
    if log is None:
        return
    for path in done.removed:
        log.info(f"removed what a dead process left: {path}")
    if done.closed:
        log.info(f"closed to other users: {len(done.closed)} files and folders")
    for path in done.not_ours:
        log.warning(f"belongs to another user and stays open to others: {path}")


def metadata(result: StepResult) -> dict[str, Any]:
    """What Dagster shows of a step: its result, field by field."""
    shown = {one.name: getattr(result, one.name) for one in fields(result)}
    return {
        name: dg.MetadataValue.json(value) if isinstance(value, dict | list) else value for name, value in shown.items()
    }


def _names(home: Home) -> dict[str, str]:
    """County code → name."""
    return {county.code: county.name for county in home.municipality.counties}


def _problem_metadata(names: Mapping[str, str], problems: Mapping[str, str]) -> dict[str, Any]:
    """What went wrong with whom, by name: as data, and as a table."""
    return {
        "problems": dg.MetadataValue.json(dict(problems)),
        "failed": "、".join(names.get(code, code) for code in problems) or "（无）",
        "findings": table(
            ("代码", "名称", "问题"), [(code, names.get(code, ""), problem) for code, problem in problems.items()]
        ),
    }


def _name_in_run(context: dg.AssetExecutionContext, home: Home, what: str, problems: Mapping[str, str]) -> None:
    """Name the counties concerned in the run's own tags, where the list of runs shows them."""
    if problems:
        names = _names(home)
        context.instance.add_run_tags(
            context.run_id, {f"xianbao/{what}": "、".join(names.get(code, code) for code in problems)}
        )


def _reached_check(name: str, asset: dg.AssetKey, shown: Mapping[str, Any], *, passed: bool) -> dg.AssetCheckResult:
    """A source, an outbox or a copy that cannot be reached is its owner's alone: the others go on, the run stays green,
    the next tries again."""
    return dg.AssetCheckResult(
        passed=passed, check_name=name, asset_key=asset, severity=dg.AssetCheckSeverity.WARN, metadata=dict(shown)
    )


def _collect(
    context: dg.AssetExecutionContext, turn: Turn, sources: Sequence[County | Reference], result: CollectResult
) -> dg.MaterializeResult:
    home = turn.home
    with turn.step(result):
        pulled = collect_all(home, sources)
        result.listed_n = sum(one.listed for one in pulled)
        result.known_n = sum(len(one.known) for one in pulled)
        result.submission_ids = [submission_id for one in pulled for submission_id in one.landed]
        result.collected_n = len(result.submission_ids)
        result.left = [words for one in pulled for words in one.left]
        result.passed_over = [words for one in pulled for words in one.passed_over]
        # The same of every county where it is the machine's.
        result.remarks = list(dict.fromkeys(words for one in pulled for words in one.remarks))
        result.problems = {one.code: one.problem for one in pulled if one.problem}
    for code, problem in result.problems.items():
        context.log.warning(f"{code}: {problem}")
    _name_in_run(context, home, "not_collected", result.problems)
    problems = _problem_metadata(_names(home), result.problems)
    asset = REFERENCES if isinstance(result, ReferencesResult) else SUBMISSIONS
    return dg.MaterializeResult(
        metadata=metadata(result) | problems,
        check_results=[_reached_check("sources_reachable", asset, problems, passed=not result.problems)],
    )


def submissions_asset(home: Home) -> dg.AssetsDefinition:
    """Pulling from the counties' sources, a partition each."""

    @dg.asset(
        key=SUBMISSIONS,
        partitions_def=county_partitions(home),
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=[dg.AssetCheckSpec("sources_reachable", asset=SUBMISSIONS)],
        group_name="collect",
        kinds={"file"},
        description="各县区报送件：原样存入 raw/，以 SHA-256 命名。",
    )
    def submissions(context: dg.AssetExecutionContext, turn: TurnOfRun) -> dg.MaterializeResult:
        # A range of partitions is contiguous; where the sensor names the counties with news, only those are pulled.
        news = set(context.run.tags.get("xianbao/news", ",".join(context.partition_keys)).split(","))
        counties = [turn.home.municipality.county(code) for code in context.partition_keys if code in news]
        return _collect(context, turn, counties, CollectResult())

    return submissions


@dg.asset(
    key=REFERENCES,
    check_specs=[dg.AssetCheckSpec("sources_reachable", asset=REFERENCES)],
    group_name="collect",
    kinds={"file"},
    description="外部对照资料（人口普查等）。",
)
def references(context: dg.AssetExecutionContext, turn: TurnOfRun) -> dg.MaterializeResult:
    """Pulling from the external references."""
    return _collect(context, turn, turn.home.municipality.references, ReferencesResult())


@dg.asset(
    key=LATENESS,
    group_name="collect",
    kinds={"file"},
    description="截止日后的缺报记录：某日查看时，谁还没有报。",
)
def lateness(turn: TurnOfRun, config: LatenessConfig) -> dg.MaterializeResult:
    """Who is late follows from what was judged, which must be all that has come."""
    on = date.fromisoformat(config.day) if config.day else beijing_day(datetime.now(UTC).replace(tzinfo=None))
    with turn.step(LatenessResult(day=on.isoformat())) as result:
        turn.land()
        received = turn.recovering(lambda: received_filings(turn.home), turn.land)
        result.late_filings_n = len(record_late(turn.home, received, on=on))
    return dg.MaterializeResult(metadata=metadata(result))


def policy_specs() -> list[dg.AssetSpec]:
    """What the models go by besides what was filed, as assets that nobody makes: the files of policy, with what they hold."""
    return [
        dg.AssetSpec(("policy", name), group_name="policy", kinds={"csv"}, description=table.description)
        for name, table in policy_tables().items()
    ]


def rescreened_asset(home: Home) -> dg.AssetsDefinition:
    """Judging again what a county has filed for a period, by the rules of today: a partition each, so that it can be
    backfilled.

    The models are not built with it: Dagster takes a backfill for failed that leaves out a model which nothing touched.
    A sensor asks for a run of them afterwards.
    """

    @dg.asset(
        key=RESCREENED,
        deps=[SUBMISSIONS],
        partitions_def=filing_partitions(home),
        # All that is chosen at once is one run: a run each would be a process each, hundreds for a city.
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name="screen",
        kinds={"duckdb"},
        description="补审：按县区和报告期，用现行规则重新审核 raw/ 中已有的报送件。",
    )
    def rescreened(context: dg.AssetExecutionContext, turn: TurnOfRun) -> dg.MaterializeResult:
        with turn.step(RescreenResult()) as result:
            findings_n = Counter[str]()
            for chosen in context.partition_keys:
                assert isinstance(chosen, dg.MultiPartitionKey)
                scope = Scope(chosen.keys_by_dimension["county"], chosen.keys_by_dimension["period"])
                landed = turn.land(again=scope, progress=turn.progress)
                result.screened_n += landed.submissions_n
                findings_n.update(landed.findings_n)
            result.findings_n = dict(findings_n)
        return dg.MaterializeResult(metadata=metadata(result))

    return rescreened


def screen_asset(manifest: Path) -> dg.AssetsDefinition:
    """Screening everything that is new in one batch: each landing table is an asset, so that each dbt source has its
    own, those of declarations too."""
    sources = json.loads(manifest.read_bytes())["sources"].values()
    described = {
        f"{node['source_name']}.{node['name']}": node["description"]
        for node in sources
        if node["source_name"] != "policy"
    }
    tables = sorted({*landing_schema(), *described} - {"control.state", "control.dirty_return", "control.answer"})
    specs = [
        dg.AssetSpec(
            name.split("."), deps=[SUBMISSIONS, REFERENCES, LATENESS], group_name="screen", kinds={"duckdb"},
            description=described.get(name),
        )
        for name in tables
    ]  # fmt: skip
    checks = [
        dg.AssetCheckSpec(
            "expectations",
            asset=["landing", return_code],
            description=f"{defined.title}：现行最新版本的 Great Expectations 审核结果",
        )
        for return_code, defined in current_definitions().items()
    ]
    checks.append(
        dg.AssetCheckSpec(
            "without_fault",
            asset=["landing", "submission"],
            description="审核程序本身没有出错；出错的报送件保留原样，每次运行都会重试",
        )
    )

    @dg.multi_asset(name="screen", specs=specs, check_specs=checks)
    def screen(
        context: dg.AssetExecutionContext, turn: TurnOfRun, config: ScreenConfig
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        home = turn.home
        with turn.step(ScreenResult()) as result:
            landed = turn.land(
                again=Scope(config.county_code, config.period, config.everything),
                budget=batch_budget(home.municipality),
                progress=turn.progress,
            )
            result.screened_n = landed.submissions_n
            result.submission_ids = sorted({filing.submission_id for filing in landed.filings})
            result.rule_set_versions = sorted({filing.rule_set_version for filing in landed.filings})
            result.verdicts = dict(Counter(filing.verdict for filing in landed.filings))
            result.findings_n, result.rows_n = dict(landed.findings_n), dict(landed.rows_n)
            result.postponed = dict(landed.postponed)
            judged, shown = turn.recovering(
                lambda: (standing(home), standing_findings(home, SHOWN_ROWS)),
                lambda: turn.land(progress=turn.progress),
            )
        context.log.info(f"{result.screened_n} submissions, findings {result.findings_n}")
        for submission_id, fault in result.faults.items():
            context.log.error(f"system fault with {submission_id}: {fault}")
        concerned = {
            entry.first.county_code: "" for entry in RawStore(home.raw) if entry.submission_id in result.faults
        }
        _name_in_run(context, home, "not_screened", concerned)
        for code, files_n in result.postponed.items():
            context.log.warning(f"{code}: {files_n} files are left for the next run")
        _name_in_run(context, home, "left_for_next_run", dict.fromkeys(result.postponed, ""))
        for spec in specs:
            name = spec.key.path[-1]
            shown_of: dict[str, Any] = {"code_version": code_version()}
            if name == "submission":
                shown_of |= metadata(result)
            elif name in result.rows_n:
                shown_of["dagster/partition_row_count"] = result.rows_n[name]
            yield dg.MaterializeResult(asset_key=spec.key, metadata=shown_of)
        # A file at which we failed holds up nobody, but it is our fault and no result: the check says so as an error.
        yield dg.AssetCheckResult(
            asset_key=["landing", "submission"],
            check_name="without_fault",
            passed=not result.faults,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata={"faults": table(("报送件", "故障"), list(result.faults.items()))},
        )
        for return_code in current_definitions():
            rules = judged.get(return_code, {})
            broken = {rule_id: failed for rule_id, (_, failed) in sorted(rules.items()) if failed}
            yield dg.AssetCheckResult(
                asset_key=["landing", return_code],
                check_name="expectations",
                passed=bool(rules) and not broken,
                # A rejected file is a result: the check shows it, the run stays green, the data gate keeps it out.
                severity=dg.AssetCheckSeverity.WARN,
                metadata={
                    "rules": len(rules),
                    "judged": sum(checked for checked, _ in rules.values()),
                    "broken": dg.MetadataValue.json(broken),
                    "findings": table(
                        ("县区", "报告期", "等级", "规则", "文件", "位置", "问题", "怎么改"),
                        [
                            (county, period, OUTCOME_LABELS.get(outcome, outcome), *rest)
                            for county, period, outcome, *rest in shown.get(return_code, [])
                        ],
                        total=sum(broken.values()),
                    ),
                },
            )

    return screen


def marts_asset(manifest: Path) -> dg.AssetsDefinition:
    """Every dbt model as an asset, built in this process; only those that something touched are built and reported."""

    class Translator(DagsterDbtTranslator):
        def get_group_name(self, dbt_resource_props: Any) -> str:
            return {"staging": "staging", "intermediate": "intermediate"}.get(dbt_resource_props["fqn"][1], "marts")

    translator = Translator(
        # Tests run inside dbt and fail the step; mirroring each as a check would cost more than running it.
        DagsterDbtTranslatorSettings(enable_asset_checks=False, enable_source_tests_as_checks=False)
    )
    content = json.loads(manifest.read_bytes())

    models = [unique_id for unique_id, node in content["nodes"].items() if node["resource_type"] == "model"]
    specs = {
        unique_id: translator.get_asset_spec(content, unique_id, None).replace_attributes(skippable=True)
        for unique_id in models
    }
    marts = [spec.key for spec in specs.values()]

    @dg.multi_asset(
        name="marts",
        specs=[
            *specs.values(),
            dg.AssetSpec(
                MARTS_FILE, deps=marts, group_name="publish", kinds={"duckdb"},
                description="未发布的指标库：只有流水线打开它。",
            ),
        ],
    )  # fmt: skip
    def build(
        context: dg.AssetExecutionContext, turn: TurnOfRun, config: BuildConfig
    ) -> Iterator[dg.MaterializeResult]:
        # Whoever materialises all of it in the UI has asked for every model; one left out would be counted as failed.
        everything = config.everything or _BACKFILL in context.run.tags
        with turn.step(BuildResult()) as result:
            nodes = turn.build(everything=everything)
            result.nodes_n, result.model_version = len(nodes), dbt.project_digest()
        context.log.info(f"{result.nodes_n} dbt nodes built")
        for node in nodes:
            if node.unique_id in specs:
                yield dg.MaterializeResult(asset_key=specs[node.unique_id].key, metadata={"seconds": node.seconds})
        yield dg.MaterializeResult(asset_key=MARTS_FILE, metadata=metadata(result))

    return build


@dg.asset(
    key=PUBLISHED,
    deps=[MARTS_FILE],
    check_specs=[dg.AssetCheckSpec("policy_is_official", asset=PUBLISHED)],
    group_name="publish",
    kinds={"duckdb"},
    description="对外发布的指标库：任何时候都能以只读方式打开。",
)
def xianbao(turn: TurnOfRun) -> dg.MaterializeResult:
    """The published file, swapped in when its content changed."""
    with turn.step(PublishResult()) as result:
        published = turn.publish()
        result.release_id, result.is_changed = published.release_id or "", published.changed
        result.size_bytes, result.refused = published.size_bytes, published.refused
    path = dg.MetadataValue.path(str(published.path))
    return dg.MaterializeResult(
        data_version=dg.DataVersion(published.release_id or ""),
        metadata=metadata(result) | {"path": path},
        check_results=[
            dg.AssetCheckResult(
                check_name="policy_is_official",
                asset_key=PUBLISHED,
                passed=not published.samples,
                # Nothing of the system's has failed either way: counties get their answers.
                severity=dg.AssetCheckSeverity.ERROR if published.refused else dg.AssetCheckSeverity.WARN,
                metadata={"samples": table(("政策表", "示例行数"), list(published.samples.items()))},
            )
        ],
    )


@dg.asset(
    key=POSTGRES,
    deps=[PUBLISHED],
    check_specs=[dg.AssetCheckSpec("postgres_copied", asset=POSTGRES)],
    group_name="publish",
    kinds={"postgres"},
    description="发布库在 PostgreSQL 的副本，供打不开 DuckDB 的工具使用。",
)
def postgres(context: dg.AssetExecutionContext, turn: TurnOfRun) -> dg.MaterializeResult:
    """The copy of the published file in PostgreSQL, where the configuration asks for one."""
    settings = turn.home.municipality.publish.postgres
    assert settings is not None
    with turn.step(CopyResult()) as result:
        try:
            if turn.home.published.exists():
                copied = copy_to_postgres(turn.home.published, settings)
                result.release_id, result.is_changed, result.rows_n = copied.release_id, copied.changed, copied.rows_n
                result.problems = dict(copied.kept)
        except CopyFault as fault:
            result.problems = {"postgres": str(fault)}
    for where, problem in result.problems.items():
        context.log.warning(f"{where}: {problem}")
    problems = _problem_metadata({}, result.problems)
    return dg.MaterializeResult(
        metadata=metadata(result) | problems,
        check_results=[_reached_check("postgres_copied", POSTGRES, problems, passed=not result.problems)],
    )


@dg.asset(
    key=OUTBOX,
    deps=[PUBLISHED],
    check_specs=[dg.AssetCheckSpec("outboxes_reachable", asset=OUTBOX)],
    group_name="publish",
    kinds={"file"},
    description="发回县区：每个报送件的回执和标注工作簿。",
)
def outbox(context: dg.AssetExecutionContext, turn: TurnOfRun) -> dg.MaterializeResult:
    """Receipts and annotated workbooks, written and carried to the counties' own folders."""
    home = turn.home
    with turn.step(AnswerResult()) as result:
        answered = turn.answer()
        result.written_n = answered.written_n
        result.faults |= answered.faults
        result.problems = deliver_all(home)
    for submission_id, fault in answered.faults.items():
        context.log.error(f"no answer to {submission_id}: {fault}")
    for code, problem in result.problems.items():
        context.log.warning(f"{code}: {problem}")
    _name_in_run(context, home, "not_delivered", result.problems)
    problems = _problem_metadata(_names(home), result.problems)
    return dg.MaterializeResult(
        metadata=metadata(result) | problems | {"path": dg.MetadataValue.path(str(home.outbox))},
        check_results=[_reached_check("outboxes_reachable", OUTBOX, problems, passed=not result.problems)],
    )
