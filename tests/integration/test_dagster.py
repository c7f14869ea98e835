"""What Dagster is told: lineage, checks, the sensor, the schedules, the jobs."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from pipelines.home import Home
from pipelines.intake.collect import collect
from pipelines.operations.run_log import FAILED, RunLog
from pipelines.orchestration import assets
from pipelines.orchestration.assets import MARTS_FILE, TURN
from pipelines.orchestration.code_location import UPDATE_JOB, build_defs, county_range
from pipelines.orchestration.failures import last_failure
from pipelines.orchestration.sources import Failure, look_for_news
from pipelines.policy.tables import policy_tables
from pipelines.warehouse import dbt
from tests.homes import deliver, rows, small_home

COUNTIES = [("140926", "静乐县", "Jingle"), ("140925", "宁武县", "Ningwu"), ("140902", "忻府区", "Xinfu")]


#: Tags of the last run, as the list of runs shows them.
TAGS: dict[str, str] = {}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = small_home(tmp_path / "home", COUNTIES)
    for code, *_ in COUNTIES:
        (home.root / "counties" / code).mkdir(parents=True)
    return home


@pytest.fixture
def school_return(published_home: Path) -> Path:
    return next((published_home / "counties" / "140926").glob("*2024-2025*名录*"))


def _run(home: Home, job: str = UPDATE_JOB, config: dict | None = None, tags: dict | None = None):
    with dg.DagsterInstance.ephemeral() as instance:
        result = (
            build_defs(home)
            .resolve_job_def(job)
            .execute_in_process(
                instance=instance,
                run_config={**(config or {}), "loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                tags=county_range(home) if tags is None else tags,
                raise_on_error=False,
            )
        )
        TAGS.clear()
        TAGS.update(instance.get_run_by_id(result.run_id).tags)
        checks = {
            (
                "/".join(event.asset_check_evaluation_data.asset_key.path),
                event.asset_check_evaluation_data.check_name,
            ): (event.asset_check_evaluation_data)
            for event in result.all_events
            if event.event_type_value == "ASSET_CHECK_EVALUATION"
        }
        return result, checks


def test_every_dbt_source_is_an_asset_and_every_step_takes_the_run_s_turn(home: Home):
    graph = build_defs(home).resolve_asset_graph()
    manifest = json.loads(dbt.manifest_json().read_bytes())
    sources = {dg.AssetKey([node["source_name"], node["name"]]) for node in manifest["sources"].values()}
    assert {key for key in sources if not graph.has(key) or not graph.get(key).is_materializable} == {
        dg.AssetKey(["policy", name]) for name in policy_tables()
    }  # which are files that nobody here makes
    for job in build_defs(home).jobs or []:
        if job.name == "upkeep":  # touches Dagster's own books alone
            continue
        nodes = build_defs(home).resolve_job_def(job.name).graph.nodes
        assert nodes and all(TURN in node.definition.required_resource_keys for node in nodes)


def test_a_broken_file_and_an_unreachable_county_leave_the_run_green(home: Home, school_return: Path):
    deliver(home, "140926", school_return)
    broken = home.root / "counties" / "140925" / "坏文件.xlsx"
    broken.parent.mkdir(parents=True, exist_ok=True)
    broken.write_bytes(b"PK\x03\x04 not a workbook")
    configuration = home.configuration.read_text().replace("counties/140902", "sftp://127.0.0.1:1/inbox")
    home.configuration.write_text(configuration)
    home = Home(home.root)
    result, checks = _run(home)
    assert result.success
    reachable = checks[("raw/submissions", "sources_reachable")]
    assert not reachable.passed and list(reachable.metadata["problems"].value) == ["140902"]
    assert "忻府区" in reachable.metadata["findings"].value and reachable.metadata["failed"].value == "忻府区"
    assert TAGS["xianbao/not_collected"] == "忻府区"
    assert checks[("landing/school", "expectations")].passed
    assert rows(home, "SELECT rule_id, county_code FROM marts.mart_finding") == [("FILE-0-unreadable", "140925")]
    assert rows(home, "SELECT count(*) FROM marts.mart_submission_status WHERE in_force_submission_id IS NOT NULL") == [
        (1,)
    ]


def test_every_asset_says_what_it_is(home: Home):
    graph = build_defs(home).resolve_asset_graph()
    bare = [key.to_user_string() for key in graph.get_all_asset_keys() if not graph.get(key).description]
    assert bare == []
    unnamed = [job.name for job in build_defs(home).jobs or [] if not job.description]
    assert unnamed == []


def test_what_a_county_has_written_is_no_markup_in_a_table():
    from pipelines.orchestration.tables import SHOWN_ROWS, table

    hostile = "a|b\n# <img src=x onerror=y> [x](javascript:1) `c` \u202e"
    shown = table(("列",), [(hostile,)] * (SHOWN_ROWS + 5), total=400).value
    lines = shown.split("\n")
    assert len(lines) == 2 + SHOWN_ROWS + 2 and lines[-1] == f"共 400 条，列出前 {SHOWN_ROWS} 条。"
    assert "<img" not in shown and "](" not in shown and "\u202e" not in shown
    assert lines[2] == r"| a\|b \# &lt;img src=x onerror=y&gt; \[x\]\(javascript:1\) \`c\` |"
    assert table(("列",), []).value == "（无）"


def test_a_county_and_a_period_are_backfilled_by_their_partition(home: Home, school_return: Path):
    deliver(home, "140926", school_return)
    assert _run(home)[0].success
    job = build_defs(home).resolve_job_def("backfill")
    keys = job.partitions_def.get_partition_keys()
    assert "140926|2024-2025" in keys and len(keys) == 3 * len({key.split("|")[1] for key in keys})
    screened = {}
    for key in ("140926|2024-2025", "140925|2024-2025"):
        with dg.DagsterInstance.ephemeral() as instance:
            result = job.execute_in_process(instance=instance, partition_key=key)
        assert result.success
        told = {event.asset_key.to_user_string(): event.step_materialization_data.materialization.metadata
                for event in result.get_asset_materialization_events()}  # fmt: skip
        screened[key] = told["landing/rescreened"]["screened_n"].value
    assert screened == {"140926|2024-2025": 1, "140925|2024-2025": 0}
    # What follows from it is built by the run that the sensor asks for.
    assert next(one for one in build_defs(home).sensors or [] if one.name == "backfilled").job_name == "rescreen"
    assert _run(home, "rescreen", tags={})[0].success


def test_a_check_that_found_something_fails_and_names_the_rule(home: Home, school_return: Path, tmp_path: Path):
    import openpyxl

    workbook = openpyxl.load_workbook(school_return)
    sheet = workbook.worksheets[-1]
    cell = next(cell for row in sheet.iter_rows() for cell in row if cell.value == "公办")
    cell.value = "公立"
    faulty = tmp_path / school_return.name
    workbook.save(faulty)
    deliver(home, "140926", faulty)
    result, checks = _run(home)
    assert result.success
    check = checks[("landing/school", "expectations")]
    assert not check.passed
    assert check.severity is dg.AssetCheckSeverity.WARN
    assert check.metadata["broken"].value == {"XB01-1a-organiser": 1}
    shown = check.metadata["findings"].value
    assert shown.count("\n") == 2 and "静乐县" in shown and "XB01\\-1a\\-organiser" in shown and "公立" in shown
    assert not checks[("landing/enrolment", "expectations")].passed, "nothing was judged: that is no pass"


def test_a_rule_that_cannot_be_evaluated_fails_its_check_and_leaves_the_published_file(
    home: Home, school_return: Path, monkeypatch: pytest.MonkeyPatch
):
    from pipelines.screening.checks.rows import ExpectKeyToBeUnique

    deliver(home, "140926", school_return)
    assert _run(home)[0].success
    before = home.published.read_bytes()
    monkeypatch.setattr(ExpectKeyToBeUnique, "holds", lambda _self, _form: pl.col("no_such_column"))
    _, checks = _run(home, "rescreen", {"ops": {"screen": {"config": {"everything": True}}}}, tags={})
    fault = checks[("landing/submission", "without_fault")]
    assert not fault.passed and fault.severity is dg.AssetCheckSeverity.ERROR
    assert "no_such_column" in fault.metadata["faults"].value.replace("\\", "")
    assert home.published.read_bytes() == before


@pytest.mark.long
def test_after_a_quiet_night_there_is_nothing_to_do(home: Home, school_return: Path):
    deliver(home, "140926", school_return)
    assert _run(home)[0].success
    assert _run(home, config={"ops": {"marts": {"config": {"everything": True}}}})[0].success
    result, _ = _run(home)
    nodes = [
        event.step_materialization_data.materialization.metadata["nodes_n"].value
        for event in result.get_asset_materialization_events()
        if event.asset_key == MARTS_FILE
    ]
    assert nodes == [0]


def test_a_county_whose_source_hangs_is_left_and_the_others_are_collected(
    home: Home, school_return: Path, monkeypatch: pytest.MonkeyPatch
):
    import threading

    from fsspec.implementations.local import LocalFileSystem

    deliver(home, "140926", school_return)
    home.configuration.write_text(home.configuration.read_text().replace("limits: {", "limits: {source_seconds: 2, "))
    home = Home(home.root)
    release, original = threading.Event(), LocalFileSystem.find

    def hang(system: LocalFileSystem, path: str, **options):
        if path.endswith("140925"):
            release.wait(30)
        return original(system, path, **options)

    monkeypatch.setattr(LocalFileSystem, "find", hang)
    result, checks = _run(home)
    release.set()
    assert result.success
    assert checks[("raw/submissions", "sources_reachable")].metadata["problems"].value == {"140925": "2 秒内没有应答"}
    assert rows(home, "SELECT count(*) FROM marts.dim_school")[0][0] > 0


@pytest.mark.long
def test_rescreening_a_county_judges_its_files_again(home: Home, school_return: Path):
    deliver(home, "140926", school_return)
    assert _run(home)[0].success
    result, _ = _run(home, "rescreen", {"ops": {"screen": {"config": {"county_code": "140926"}}}}, tags={})
    assert result.success
    screened = {
        "/".join(event.asset_key.path): event.step_materialization_data.materialization.metadata
        for event in result.get_asset_materialization_events()
    }
    assert screened["landing/submission"]["screened_n"].value == 1
    result, _ = _run(home, "rescreen", {"ops": {"screen": {"config": {"county_code": "140925"}}}}, tags={})
    assert result.success
    assert rows(home, "SELECT count(*) FROM marts.mart_submission_status WHERE versions_n > 1") == [(0,)]


def test_the_deadline_job_records_who_is_late_and_keeps_it(home: Home, school_return: Path):
    assert _run(home)[0].success
    config = {"ops": {"raw__lateness": {"config": {"day": "2024-10-17"}}}}
    assert _run(home, "deadline", config, tags={})[0].success
    late = "SELECT count(*) FROM marts.mart_submission_status WHERE recorded_late_on = DATE '2024-10-17'"
    before = rows(home, late)
    assert before[0][0] == 3 * (2 + 2 + 1)
    deliver(home, "140926", school_return)
    assert _run(home)[0].success
    assert rows(home, late) == before


def test_the_sensor_asks_for_one_run_for_all_that_is_new(home: Home, school_return: Path):
    sensor = _sensor(home)
    deliver(home, "140925", school_return, name="甲.xlsx")
    deliver(home, "140926", school_return, name="乙.xlsx")
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance=instance)
        first = sensor(context)
        assert isinstance(first, dg.SensorResult)
        (request,) = first.run_requests
        assert set(request.tags["xianbao/news"].split(",")) == {"140925", "140926"}
        again = sensor(dg.build_sensor_context(instance=instance, cursor=first.cursor))
        assert isinstance(again, dg.SkipReason)
        # What the last run left for the next one is asked for though no source has news.
        home.postponed.parent.mkdir(parents=True, exist_ok=True)
        home.postponed.write_text('["a"]')
        left = sensor(dg.build_sensor_context(instance=instance, cursor=first.cursor))
        assert isinstance(left, dg.RunRequest) and (left.run_key or "").startswith("postponed-")
        home.postponed.unlink()
        deliver(home, "140926", school_return, name="丙.xlsx", modified=1.0)
        third = sensor(dg.build_sensor_context(instance=instance, cursor=first.cursor))
        assert isinstance(third, dg.SensorResult), "an old file time is news like any other"
        assert third.run_requests[0].run_key != request.run_key


def _sensor(home: Home):
    return next(one for one in build_defs(home).sensors or [] if one.name == "county_sources")


def test_a_growing_file_is_not_news_until_it_rests(home: Home, school_return: Path):
    target = deliver(home, "140926", school_return)

    def grow(_: float) -> None:
        with target.open("ab") as stream:
            stream.write(b"more")

    assert look_for_news(home, None, pause=grow).counties == ()
    assert look_for_news(home, None, pause=lambda _: None).counties == ("140926",)


def test_a_source_that_fails_at_the_second_look_is_neither_news_nor_forgotten(
    home: Home, school_return: Path, monkeypatch: pytest.MonkeyPatch
):
    from pipelines.orchestration import sources

    deliver(home, "140926", school_return)
    seen = look_for_news(home, None, pause=lambda _: None)
    deliver(home, "140926", school_return, name="又一份.xlsx")
    original = sources._list_county

    def gone(*_):
        raise ConnectionResetError

    look = look_for_news(home, seen.cursor, pause=lambda _: monkeypatch.setattr(sources, "_list_county", gone))
    assert (look.counties, look.cursor) == ((), seen.cursor)
    monkeypatch.setattr(sources, "_list_county", original)
    assert look_for_news(home, look.cursor, pause=lambda _: None).counties == ("140926",)


def test_a_pull_cut_short_is_news_until_it_is_whole_and_never_for_ever(home: Home):
    def look():
        return look_for_news(home, cursor, pause=lambda _: None)

    county = home.municipality.county("140926")
    inbox = home.root / "counties" / "140926"
    inbox.mkdir(parents=True, exist_ok=True)
    for number in range(3):
        (inbox / f"{number}.csv").write_text(str(number))
    cursor = None
    first = look()
    cursor = first.cursor
    assert first.counties == ("140926",) and look().counties == ()
    # No time for any file; then again without coming further.
    assert collect(home, county, seconds=-1).left == ["其余 3 个文件未及收取，下次再收"]
    second = look()
    cursor = second.cursor
    assert (second.counties, second.run_key != first.run_key) == (("140926",), True)
    collect(home, county, seconds=-1)
    assert look().counties == (), "what does not come further is left to the night"
    # One file is pulled, then time is up.
    ticks = iter([0.0, 0.0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipelines.intake.collect.time.monotonic", lambda: next(ticks, 100.0))
        assert len(collect(home, county, seconds=10).landed) == 1
    third = look()
    cursor = third.cursor
    assert (third.counties, third.run_key not in (first.run_key, second.run_key)) == (("140926",), True)
    assert len(collect(home, county).landed) == 2
    assert look().counties == (), "whole: nothing is asked for again"
    (inbox / "3.csv").write_text("3")
    assert look().counties == ("140926",)


def test_a_source_that_failed_amid_a_pull_is_asked_again_once_it_answers(
    home: Home, school_return: Path, monkeypatch: pytest.MonkeyPatch
):
    from pipelines.intake.raw_store import RawStore

    def broken(*_, **__):
        raise ConnectionResetError

    for name in "甲乙丙":
        deliver(home, "140926", school_return, name=f"{name}.xlsx")
    seen = look_for_news(home, None, pause=lambda _: None)
    with monkeypatch.context() as patch:
        patch.setattr(RawStore, "keep", broken)
        assert collect(home, home.municipality.county("140926")).problem
    again = look_for_news(home, seen.cursor, pause=lambda _: None)
    assert again.counties == ("140926",)
    assert look_for_news(home, again.cursor, pause=lambda _: None).counties == ()


def test_what_no_run_has_taken_up_is_asked_for_again_with_growing_pauses(home: Home, school_return: Path):
    clock = [1_000_000.0]

    def look(cursor, failure=None):
        return look_for_news(home, cursor, failure=failure, pause=lambda _: None, now=lambda: clock[0])

    deliver(home, "140926", school_return)
    news = look(None)
    keys, pauses = {news.run_key}, []
    for _ in range(4):
        asked_at = clock[0]
        while not (again := look(news.cursor)).counties:
            assert "静乐县" in again.waiting
            news, clock[0] = again, clock[0] + 5
        assert again.counties == ("140926",)
        keys.add(again.run_key)
        pauses.append(clock[0] - asked_at)
        news = again
    assert pauses == [15, 30, 60, 120] and len(keys) == 5
    # The configuration is mended: it is tried at once.
    with home.configuration.open("a", encoding="utf-8") as stream:
        stream.write("# 改过\n")
    assert look(news.cursor).counties == ("140926",)
    collect(home, home.municipality.county("140926"))
    clock[0] += 10_000
    done = look(news.cursor)
    assert (done.counties, done.waiting, "retry" in done.cursor) == ((), "", False)
    # Everything was collected, and the run failed later.
    failed = Failure(frozenset(["140926"]), clock[0], "disk full")
    waiting = look(done.cursor, failed)
    assert waiting.counties == () and waiting.waiting
    clock[0] += 15
    assert look(waiting.cursor, failed).counties == ("140926",)
    # The clock was put back: nobody waits for it.
    clock[0] -= 100_000
    assert look(waiting.cursor, failed).counties == ("140926",)


def test_what_raw_has_lost_is_news_though_nothing_changed_in_the_inbox(home: Home, school_return: Path):
    from pipelines.intake.raw_store import RawStore

    deliver(home, "140926", school_return)
    seen = look_for_news(home, None, pause=lambda _: None)
    collect(home, home.municipality.county("140926"))
    assert look_for_news(home, seen.cursor, pause=lambda _: None, now=lambda: 9e9).counties == ()
    (entry,) = RawStore(home.raw)
    RawStore(home.raw).path(entry.submission_id).unlink()
    lost = look_for_news(home, seen.cursor, pause=lambda _: None, now=lambda: 9e9)
    again = look_for_news(home, lost.cursor, pause=lambda _: None, now=lambda: 9e9 + 60)
    assert {*lost.counties, *again.counties} == {"140926"}


def test_a_run_that_failed_is_asked_for_again_and_says_why(
    home: Home, school_return: Path, monkeypatch: pytest.MonkeyPatch
):
    sensor = _sensor(home)
    deliver(home, "140926", school_return)
    with dg.DagsterInstance.ephemeral() as instance:
        first = sensor(dg.build_sensor_context(instance=instance))
        (request,) = first.run_requests
        with monkeypatch.context() as patch:
            patch.setattr("pipelines.orchestration.assets.land_new", _disk_full)
            result = (
                build_defs(home)
                .resolve_job_def(UPDATE_JOB)
                .execute_in_process(instance=instance, tags=request.tags, raise_on_error=False)
            )
        assert not result.success
        failure = last_failure(instance, UPDATE_JOB)
        assert failure and failure.counties == {"140926"} and "No space left on device" in failure.words
        again = sensor(dg.build_sensor_context(instance=instance, cursor=first.cursor))
        assert isinstance(again, dg.SkipReason)
        assert "上一次运行失败" in again.skip_message and "No space left" in again.skip_message
        monkeypatch.setattr("pipelines.orchestration.sources._FIRST_PAUSE_SECONDS", 0.0)
        third = sensor(dg.build_sensor_context(instance=instance, cursor=first.cursor))
        assert isinstance(third, dg.SensorResult) and third.run_requests[0].run_key != request.run_key


def _disk_full(*_, **__):
    raise OSError(28, "No space left on device")


def test_a_run_that_fails_is_logged_as_far_as_it_came(home: Home, school_return: Path, monkeypatch: pytest.MonkeyPatch):
    deliver(home, "140926", school_return)
    monkeypatch.setattr(assets, "build_marts", _disk_full)
    result, _ = _run(home)
    assert not result.success
    run = RunLog(home.run_log).get(result.run_id)
    assert (run.job, run.outcome, run.collected_n, run.screened_n) == (UPDATE_JOB, FAILED, 1, 1)
    assert [record.step for record in run.steps] == ["references", "collect", "screen", "models"]
    assert run.steps[-1].failure.english == "OSError: [Errno 28] No space left on device"


def test_a_source_that_is_not_there_is_told_by_name_and_fails_the_check(home: Home):
    shutil.rmtree(home.root / "counties" / "140925")
    result, checks = _run(home)
    assert result.success
    check = checks[("raw/submissions", "sources_reachable")]
    assert not check.passed and check.metadata["failed"].value == "宁武县"
    assert "收件夹还没有建立" in check.metadata["problems"].value["140925"]
    assert TAGS["xianbao/not_collected"] == "宁武县"
    told = rows(home, "SELECT DISTINCT county_name FROM marts.mart_submission_status WHERE source_problem IS NOT NULL")
    assert told == [("宁武县",)]


def test_what_is_no_file_to_be_collected_is_told(home: Home):
    inbox = home.root / "counties" / "140926"
    inbox.mkdir(parents=True, exist_ok=True)
    (inbox / "链接.xlsx").symlink_to(home.configuration)
    result, _ = _run(home)
    told = {
        "/".join(event.asset_key.path): event.step_materialization_data.materialization.metadata
        for event in result.get_asset_materialization_events()
    }
    assert told["raw/submissions"]["passed_over"].value == ["链接.xlsx: 是链接，不收取"]
    assert told["raw/submissions"]["collected_n"].value == 0


def test_one_silent_county_does_not_keep_the_others_waiting(
    home: Home, school_return: Path, monkeypatch: pytest.MonkeyPatch
):
    import threading

    from pipelines.orchestration import sources

    deliver(home, "140926", school_return)
    release = threading.Event()
    original = sources._list_county

    def slow(of: Home, county):
        if county.code == "140925":
            release.wait(20)
        return original(of, county)

    monkeypatch.setattr(sources, "_list_county", slow)
    news = look_for_news(home, None, pause=lambda _: None, patience_seconds=0.5)
    release.set()
    assert news.counties == ("140926",)
    assert list(news.problems) == ["140925"]
    assert "140925" not in json.loads(news.cursor)


def test_schedules_name_their_day_and_cover_every_county(home: Home):
    schedules = {schedule.name: schedule for schedule in build_defs(home).schedules or []}
    at = datetime(2025, 3, 5, 0, 30, tzinfo=UTC)
    context = dg.build_schedule_context(scheduled_execution_time=at)
    nightly = schedules["nightly"](context)
    assert nightly.tags.items() >= county_range(home).items()
    assert schedules["daily_deadlines"](context).run_key == "deadline-2025-03-05"
    for schedule in schedules.values():
        assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
