"""The assets: raw submissions by county, landing tables, dbt models, the published file.

Belongs here: what depends on what, and what each step tells Dagster. What a step does is in `intake` and `warehouse`.
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings

from pipelines.answers.answers import write_answers
from pipelines.answers.delivery import deliver_all
from pipelines.answers.receipt_page import OUTCOME_LABELS
from pipelines.exports.postgres import CopyFault, copy_to_postgres
from pipelines.files import PRIVATE_UMASK
from pipelines.home import Home
from pipelines.intake.collect import Collected, collect_all
from pipelines.intake.deadlines import record_late
from pipelines.intake.raw_store import RawStore
from pipelines.municipality import Postgres
from pipelines.operations.upkeep import look_after
from pipelines.orchestration.liveness import show_life
from pipelines.orchestration.tables import SHOWN_ROWS, table
from pipelines.releases.publish import publish
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

#: The resource that every step needs: the home is one run's from its first step to its last.
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


@dataclass
class Turn:
    """One run's hold on the home. `database`: the identity of the build database that it has screened into, None before it has;
    `told`: what was not as it should be and what was done about it (Chinese); `faults`: as of `Landed`."""

    database: str | None = None
    told: list[str] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)

    def land(self, home: Home, **how: Any) -> Landed:
        """Land what is new, whatever state the private databases are in."""
        landed = making_again(home, lambda: land_new(home, **how), lambda: None, self.told)
        self.database = landed.database
        self.faults |= landed.faults
        self.told += landed.remarks
        return landed

    def metadata(self) -> dict[str, Any]:
        """What every step that may put something right says of it."""
        return {"told": dg.MetadataValue.json(list(self.told)), "faults": dg.MetadataValue.json(dict(self.faults))}


def turn_resource(home: Home) -> dg.ResourceDefinition:
    """The home held for the time of a run, in whatever process; a run that comes meanwhile waits, and gives up in words."""

    @dg.resource(description="一次运行从头到尾独占本主目录。")
    def turn(context: dg.InitResourceContext) -> Iterator[Turn]:
        if context.run_id:
            _begin(home, context.run_id, context.log)

        def waiting(holder: str) -> None:
            if context.log:
                context.log.info(f"waiting for another run: {holder}")

        with home.writing(wait_seconds=_PATIENCE_SECONDS, waiting=waiting):
            yield Turn()

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


def _collected_metadata(home: Home, results: Sequence[Collected]) -> dict[str, Any]:
    problems = {result.code: result.problem for result in results if result.problem}
    return {
        "listed": sum(result.listed for result in results),
        "landed": sum(len(result.landed) for result in results),
        "already_known": sum(len(result.known) for result in results),
        "submission_ids": dg.MetadataValue.json([one for result in results for one in result.landed]),
        "left_for_next_time": dg.MetadataValue.json([one for result in results for one in result.left]),
        "passed_over": dg.MetadataValue.json([one for result in results for one in result.passed_over]),
        # The same of every county where it is the machine's.
        "told": dg.MetadataValue.json(list(dict.fromkeys(one for result in results for one in result.remarks))),
        **_told(_names(home), problems),
    }


def _names(home: Home) -> dict[str, str]:
    """County code → name."""
    return {county.code: county.name for county in home.municipality.counties}


def _told(names: Mapping[str, str], problems: Mapping[str, str]) -> dict[str, Any]:
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


def _source_check(home: Home, results: Sequence[Collected], asset: dg.AssetKey) -> dg.AssetCheckResult:
    problems = {result.code: result.problem for result in results if result.problem}
    return dg.AssetCheckResult(
        passed=not problems,
        check_name="sources_reachable",
        asset_key=asset,
        # One county's source is that county's alone: the others go on, and the run stays green.
        severity=dg.AssetCheckSeverity.WARN,
        metadata=_told(_names(home), problems),
    )


def collect_assets(home: Home) -> list[dg.AssetsDefinition]:
    """Pulling from the counties' sources and from the external references."""

    @dg.asset(
        key=SUBMISSIONS,
        partitions_def=county_partitions(home),
        backfill_policy=dg.BackfillPolicy.single_run(),
        required_resource_keys={TURN},
        check_specs=[dg.AssetCheckSpec("sources_reachable", asset=SUBMISSIONS)],
        group_name="collect",
        kinds={"file"},
        description="各县区报送件：原样存入 raw/，以 SHA-256 命名。",
    )
    def submissions(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        # A range of partitions is contiguous; where the sensor names the counties with news, only those are pulled.
        news = set(context.run.tags.get("xianbao/news", ",".join(context.partition_keys)).split(","))
        counties = [home.municipality.county(code) for code in context.partition_keys if code in news]
        results = collect_all(home, counties)
        problems = {result.code: result.problem for result in results if result.problem}
        for code, problem in problems.items():
            context.log.warning(f"{code}: {problem}")
        _name_in_run(context, home, "not_collected", problems)
        return dg.MaterializeResult(
            metadata=_collected_metadata(home, results), check_results=[_source_check(home, results, SUBMISSIONS)]
        )

    @dg.asset(
        key=REFERENCES,
        required_resource_keys={TURN},
        check_specs=[dg.AssetCheckSpec("sources_reachable", asset=REFERENCES)],
        group_name="collect",
        kinds={"file"},
        description="外部对照资料（人口普查等）。",
    )
    def references() -> dg.MaterializeResult:
        results = collect_all(home, home.municipality.references)
        return dg.MaterializeResult(
            metadata=_collected_metadata(home, results), check_results=[_source_check(home, results, REFERENCES)]
        )

    @dg.asset(
        key=LATENESS,
        required_resource_keys={TURN},
        group_name="collect",
        kinds={"file"},
        description="截止日后的缺报记录：某日查看时，谁还没有报。",
    )
    def lateness(context: dg.AssetExecutionContext, config: LatenessConfig) -> dg.MaterializeResult:
        # Who is late follows from what was judged, which must be all that has come.
        turn: Turn = context.resources.turn
        turn.land(home)
        received = making_again(home, lambda: received_filings(home), lambda: turn.land(home), turn.told)
        on = date.fromisoformat(config.day) if config.day else beijing_day(datetime.now(UTC).replace(tzinfo=None))
        late = record_late(home, received, on=on)
        return dg.MaterializeResult(metadata={"day": on.isoformat(), "late_filings": len(late), **turn.metadata()})

    return [submissions, references, lateness]


def seed_specs(manifest: Path) -> list[dg.AssetSpec]:
    """The seeds as assets that nobody makes: files of policy, upstream of the models, with what they hold."""
    nodes = json.loads(manifest.read_bytes())["nodes"].values()
    return [
        dg.AssetSpec(["seeds", node["name"]], group_name="policy", kinds={"csv"}, description=node["description"])
        for node in nodes
        if node["resource_type"] == "seed"
    ]


def rescreened_asset(home: Home, progress: Callable[[int, int], None] | None = None) -> dg.AssetsDefinition:
    """Judging again what a county has filed for a period, by the rules of today: a partition each, so that it can be backfilled.

    The models are not built with it: Dagster takes a backfill for failed that leaves out a model which nothing touched. A sensor asks
    for a run of them afterwards.
    """

    @dg.asset(
        key=RESCREENED,
        deps=[SUBMISSIONS],
        partitions_def=filing_partitions(home),
        required_resource_keys={TURN},
        # All that is chosen at once is one run: a run each would be a process each, hundreds for a city.
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name="screen",
        kinds={"duckdb"},
        description="补审：按县区和报告期，用现行规则重新审核 raw/ 中已有的报送件。",
    )
    def rescreened(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        turn: Turn = context.resources.turn
        screened_n, findings_n = 0, Counter[str]()
        for chosen in context.partition_keys:
            assert isinstance(chosen, dg.MultiPartitionKey)
            scope = Scope(chosen.keys_by_dimension["county"], chosen.keys_by_dimension["period"])
            landed = turn.land(home, again=scope, progress=progress)
            screened_n += landed.submissions_n
            findings_n.update(landed.findings_n)
        return dg.MaterializeResult(
            metadata={
                "screened": screened_n,
                "findings": dg.MetadataValue.json(dict(findings_n)),
                **turn.metadata(),
            }
        )

    return rescreened


def screen_asset(home: Home, manifest: Path, progress: Callable[[int, int], None] | None = None) -> dg.AssetsDefinition:
    """Screening everything that is new in one batch: each landing table is an asset, so that each dbt source has its own."""
    sources = json.loads(manifest.read_bytes())["sources"].values()
    described = {f"{node['source_name']}.{node['name']}": node["description"] for node in sources}
    tables = sorted(
        name for name in landing_schema() if name not in ("control.state", "control.dirty_return", "control.answer")
    )
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

    @dg.multi_asset(name="screen", specs=specs, check_specs=checks, required_resource_keys={TURN})
    def screen(
        context: dg.AssetExecutionContext, config: ScreenConfig
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        turn: Turn = context.resources.turn
        landed = turn.land(
            home,
            again=Scope(config.county_code, config.period, config.everything),
            budget=batch_budget(home.municipality),
            progress=progress,
        )
        judged, shown = making_again(
            home,
            lambda: (standing(home), standing_findings(home, SHOWN_ROWS)),
            lambda: turn.land(home, progress=progress),
            turn.told,
        )
        context.log.info(f"{landed.submissions_n} submissions, findings {dict(landed.findings_n)}")
        for submission_id, fault in landed.faults.items():
            context.log.error(f"system fault with {submission_id}: {fault}")
        concerned = {
            entry.first.county_code: "" for entry in RawStore(home.raw) if entry.submission_id in landed.faults
        }
        _name_in_run(context, home, "not_screened", concerned)
        for code, files_n in landed.postponed.items():
            context.log.warning(f"{code}: {files_n} files are left for the next run")
        _name_in_run(context, home, "left_for_next_run", dict.fromkeys(landed.postponed, ""))
        verdicts: dict[str, int] = {}
        for filing in landed.filings:
            verdicts[filing.verdict] = verdicts.get(filing.verdict, 0) + 1
        versions = sorted({filing.rule_set_version for filing in landed.filings})
        for spec in specs:
            name = spec.key.path[-1]
            metadata: dict[str, Any] = {"code_version": code_version()}
            if name == "submission":
                metadata |= {"screened": landed.submissions_n, "rule_set_versions": dg.MetadataValue.json(versions)}
                metadata |= turn.metadata()
                metadata["postponed"] = dg.MetadataValue.json(dict(landed.postponed))
                metadata["submission_ids"] = dg.MetadataValue.json(sorted({f.submission_id for f in landed.filings}))
            elif name == "filing_version":
                metadata |= {"verdicts": dg.MetadataValue.json(verdicts)}
            elif name == "finding":
                metadata |= {"findings": dg.MetadataValue.json(dict(landed.findings_n))}
            elif name in landed.rows_n:
                metadata |= {"dagster/partition_row_count": landed.rows_n[name]}
            yield dg.MaterializeResult(asset_key=spec.key, metadata=metadata)
        # A file at which we failed holds up nobody, but it is our fault and no result: the check says so as an error.
        yield dg.AssetCheckResult(
            asset_key=["landing", "submission"],
            check_name="without_fault",
            passed=not landed.faults,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata={"faults": table(("报送件", "故障"), list(landed.faults.items()))},
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


def marts_asset(home: Home, manifest: Path) -> dg.AssetsDefinition:
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
        required_resource_keys={TURN},
    )  # fmt: skip
    def build(context: dg.AssetExecutionContext, config: BuildConfig) -> Iterator[dg.MaterializeResult]:
        # Whoever materialises all of it in the UI has asked for every model; one left out would be counted as failed.
        everything = config.everything or _BACKFILL in context.run.tags
        turn: Turn = context.resources.turn
        nodes = making_again(
            home,
            lambda: build_marts(home, everything=everything, database=turn.database),
            lambda: turn.land(home),
            turn.told,
        )
        context.log.info(f"{len(nodes)} dbt nodes built")
        for node in nodes:
            if node.unique_id in specs:
                yield dg.MaterializeResult(asset_key=specs[node.unique_id].key, metadata={"seconds": node.seconds})
        yield dg.MaterializeResult(
            asset_key=MARTS_FILE,
            metadata={"nodes": len(nodes), "model_version": dbt.project_digest(), **turn.metadata()},
        )

    return build


def publish_asset(home: Home) -> dg.AssetsDefinition:
    """The published file, swapped in when its content changed."""

    @dg.asset(
        key=PUBLISHED,
        deps=[MARTS_FILE],
        required_resource_keys={TURN},
        group_name="publish",
        kinds={"duckdb"},
        description="对外发布的指标库：任何时候都能以只读方式打开。",
    )
    def xianbao(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        turn: Turn = context.resources.turn
        published = making_again(
            home, lambda: publish(home, database=turn.database), lambda: _built(home, turn), turn.told
        )
        turn.told += published.told
        return dg.MaterializeResult(
            data_version=dg.DataVersion(published.release_id),
            metadata={
                "release_id": published.release_id,
                "changed": published.changed,
                "size_bytes": published.size_bytes,
                "path": dg.MetadataValue.path(str(published.path)),
                **turn.metadata(),
            },
        )

    return xianbao


def _built(home: Home, turn: Turn) -> None:
    """What screening and modelling did, once more."""
    turn.land(home)
    build_marts(home, database=turn.database)


def _published(home: Home, turn: Turn) -> None:
    """What all steps before the answers did, once more."""
    _built(home, turn)
    turn.told += publish(home, database=turn.database).told


def postgres_asset(home: Home, settings: Postgres) -> dg.AssetsDefinition:
    """The copy of the published file in PostgreSQL, where the configuration asks for one."""

    @dg.asset(
        key=POSTGRES,
        deps=[PUBLISHED],
        required_resource_keys={TURN},
        check_specs=[dg.AssetCheckSpec("postgres_copied", asset=POSTGRES)],
        group_name="publish",
        kinds={"postgres"},
        description="发布库在 PostgreSQL 的副本，供打不开 DuckDB 的工具使用。",
    )
    def postgres(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        problems: dict[str, str] = {}
        copied = None
        try:
            copied = copy_to_postgres(home.published, settings)
            problems |= copied.kept
        except CopyFault as fault:
            problems["postgres"] = str(fault)
        for where, problem in problems.items():
            context.log.warning(f"{where}: {problem}")
        return dg.MaterializeResult(
            metadata={
                "release_id": copied.release_id if copied else None,
                "changed": copied.changed if copied else False,
                "rows": copied.rows_n if copied else 0,
                **_told({}, problems),
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name="postgres_copied",
                    asset_key=POSTGRES,
                    passed=not problems,
                    # The published file is there in any case; the next run tries the copy again.
                    severity=dg.AssetCheckSeverity.WARN,
                    metadata=_told({}, problems),
                )
            ],
        )

    return postgres


def outbox_asset(home: Home) -> dg.AssetsDefinition:
    """Receipts and annotated workbooks, written and carried to the counties' own folders."""

    @dg.asset(
        key=OUTBOX,
        deps=[PUBLISHED],
        required_resource_keys={TURN},
        check_specs=[dg.AssetCheckSpec("outboxes_reachable", asset=OUTBOX)],
        group_name="publish",
        kinds={"file"},
        description="发回县区：每个报送件的回执和标注工作簿。",
    )
    def outbox(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        turn: Turn = context.resources.turn
        answered = making_again(
            home,
            lambda: write_answers(home, database=turn.database),
            lambda: _published(home, turn),
            turn.told,
        )
        turn.faults |= answered.faults
        for submission_id, fault in answered.faults.items():
            context.log.error(f"no answer to {submission_id}: {fault}")
        problems = deliver_all(home)
        for code, problem in problems.items():
            context.log.warning(f"{code}: {problem}")
        _name_in_run(context, home, "not_delivered", problems)
        return dg.MaterializeResult(
            metadata={
                "written": answered.written_n,
                "path": dg.MetadataValue.path(str(home.outbox)),
                **turn.metadata(),
                **_told(_names(home), problems),
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name="outboxes_reachable",
                    asset_key=OUTBOX,
                    passed=not problems,
                    # As with the sources: one county's folder is that county's alone, and the next run tries again.
                    severity=dg.AssetCheckSeverity.WARN,
                    metadata=_told(_names(home), problems),
                )
            ],
        )

    return outbox
