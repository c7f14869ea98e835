"""What Dagster is told: lineage, checks, the sensor, the schedules, the jobs."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from pipelines.home import Home
from pipelines.orchestration.assets import BUILD_POOL, MARTS_FILE
from pipelines.orchestration.definitions import UPDATE_JOB, build_defs, county_range
from pipelines.orchestration.sources import look_for_news
from pipelines.warehouse import dbt
from tests.homes import PROJECT, deliver, rows, small_home

COUNTIES = [("140926", "静乐县", "Jingle"), ("140925", "宁武县", "Ningwu"), ("140902", "忻府区", "Xinfu")]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return small_home(tmp_path / "home", COUNTIES)


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
        checks = {
            (
                "/".join(event.asset_check_evaluation_data.asset_key.path),
                event.asset_check_evaluation_data.check_name,
            ): (event.asset_check_evaluation_data)
            for event in result.all_events
            if event.event_type_value == "ASSET_CHECK_EVALUATION"
        }
        return result, checks


def test_every_dbt_source_is_an_asset_and_every_writer_shares_the_one_slot(home: Home):
    graph = build_defs(home).resolve_asset_graph()
    manifest = json.loads(dbt.manifest_json().read_bytes())
    sources = {dg.AssetKey([node["source_name"], node["name"]]) for node in manifest["sources"].values()}
    assert sources <= {key for key in graph.get_all_asset_keys() if graph.get(key).is_materializable}
    for name in ("screen", "marts", "warehouse__xianbao"):
        job = build_defs(home).resolve_job_def(UPDATE_JOB)
        assert job.graph.node_named(name).definition.pool == BUILD_POOL


def test_a_broken_file_and_an_unreachable_county_leave_the_run_green(home: Home, school_return: Path):
    deliver(home, "140926", school_return)
    broken = home.root / "counties" / "140925" / "坏文件.xlsx"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"PK\x03\x04 not a workbook")
    configuration = home.configuration.read_text().replace("counties/140902", "sftp://127.0.0.1:1/inbox")
    home.configuration.write_text(configuration)
    home = Home(home.root)
    result, checks = _run(home)
    assert result.success
    reachable = checks[("raw/submissions", "sources_reachable")]
    assert not reachable.passed and list(reachable.metadata["problems"].value) == ["140902"]
    assert checks[("landing/school", "expectations")].passed
    assert rows(home, "SELECT rule_id, county_code FROM marts.mart_finding") == [("FILE-0-unreadable", "140925")]
    assert rows(home, "SELECT count(*) FROM marts.mart_submission_status WHERE in_force_submission_id IS NOT NULL") == [
        (1,)
    ]


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
    assert not checks[("landing/enrolment", "expectations")].passed, "nothing was judged: that is no pass"


def test_a_system_fault_makes_the_run_red_and_leaves_the_published_file(
    home: Home, school_return: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    deliver(home, "140926", school_return)
    assert _run(home)[0].success
    before = home.published.read_bytes()
    expectations = tmp_path / "expectations"
    shutil.copytree(PROJECT / "expectations", expectations)
    suite = json.loads((expectations / "school.json").read_text())
    suite["expectations"][0]["kwargs"]["column"] = "no_such_column__state"
    (expectations / "school.json").write_text(json.dumps(suite))
    from pipelines.screening import rules

    monkeypatch.setenv("XIANBAO_EXPECTATIONS", str(expectations))
    for cached in (rules.suite, rules.rule_set_version):
        cached.cache_clear()
    try:
        result, _ = _run(home, "rescreen", {"ops": {"screen": {"config": {"everything": True}}}}, tags={})
    finally:
        monkeypatch.undo()
        for cached in (rules.suite, rules.rule_set_version):
            cached.cache_clear()
    assert not result.success
    assert home.published.read_bytes() == before


def test_after_a_quiet_night_there_is_nothing_to_do(home: Home, school_return: Path):
    deliver(home, "140926", school_return)
    assert _run(home)[0].success
    assert _run(home, config={"ops": {"marts": {"config": {"everything": True}}}})[0].success
    result, _ = _run(home)
    nodes = [
        event.step_materialization_data.materialization.metadata["nodes"].value
        for event in result.get_asset_materialization_events()
        if event.asset_key == MARTS_FILE
    ]
    assert nodes == [0]


def test_a_county_whose_source_hangs_is_left_and_the_others_are_collected(
    home: Home, school_return: Path, monkeypatch: pytest.MonkeyPatch
):
    import threading

    from pipelines.intake import collect

    deliver(home, "140926", school_return)
    home.configuration.write_text(home.configuration.read_text().replace("limits: {", "limits: {source_seconds: 2, "))
    home = Home(home.root)
    release, original = threading.Event(), collect.list_source

    def hang(uri: str):
        if uri.endswith("140925"):
            release.wait(30)
        return original(uri)

    monkeypatch.setattr(collect, "list_source", hang)
    result, checks = _run(home)
    release.set()
    assert result.success
    assert checks[("raw/submissions", "sources_reachable")].metadata["problems"].value == {"140925": "2 秒内没有应答"}
    assert rows(home, "SELECT count(*) FROM marts.dim_school")[0][0] > 0


def test_as_it_was_known_on_a_day(home: Home, school_return: Path):
    deliver(home, "140926", school_return)
    config = {"ops": {"screen": {"config": {"as_of": "2020-01-01"}}}}
    assert _run(home, config=config)[0].success
    assert rows(home, "SELECT count(*) FROM marts.dim_school") == [(0,)]
    assert _run(home)[0].success
    assert rows(home, "SELECT count(*) FROM marts.dim_school")[0][0] > 0


def test_rescreening_a_county_judges_its_files_again(home: Home, school_return: Path):
    deliver(home, "140926", school_return)
    assert _run(home)[0].success
    result, _ = _run(home, "rescreen", {"ops": {"screen": {"config": {"county_code": "140926"}}}}, tags={})
    assert result.success
    screened = {
        "/".join(event.asset_key.path): event.step_materialization_data.materialization.metadata
        for event in result.get_asset_materialization_events()
    }
    assert screened["landing/submission"]["screened"].value == 1
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
        deliver(home, "140926", school_return, name="丙.xlsx", modified=1.0)
        third = sensor(dg.build_sensor_context(instance=instance, cursor=first.cursor))
        assert isinstance(third, dg.SensorResult), "an old file time is news like any other"
        assert third.run_requests[0].run_key != request.run_key


def _sensor(home: Home):
    return next(iter(build_defs(home).sensors or []))


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
