"""The log of runs: written as a run proceeds, read while it does, there after whatever happened to it."""

import sqlite3
from pathlib import Path

import pytest

from pipelines.home import Home
from pipelines.operations.run_log import (
    FAILED,
    INTERRUPTED,
    KILLED,
    SUCCEEDED,
    AnswerResult,
    BuildResult,
    CollectResult,
    PublishResult,
    ReferencesResult,
    RunLog,
    ScreenResult,
    StepResult,
    failure_of,
)
from pipelines.orchestration.assets import Turn, metadata
from pipelines.orchestration.liveness import is_alive, show_life
from pipelines.warehouse.build_database import remove_build
from pipelines.warehouse.opened import FileUnusable


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def turn(home: Home) -> Turn:
    log = RunLog(home.run_log)
    log.begin("a1", "update")
    return Turn(home, "a1", log)


def test_what_steps_fill_in_is_read_again(turn: Turn):
    with turn.step(CollectResult()) as collected:
        collected.collected_n, collected.submission_ids, collected.left = 2, ["x", "y"], ["甲.xlsx: 还在增长"]
        collected.problems = {"140902": "连不上"}
    with turn.step(ReferencesResult()) as references:
        references.collected_n = 1
    with turn.step(ScreenResult()) as screened:
        screened.screened_n, screened.verdicts = 3, {"accepted": 3}
        turn.result.remarks.append("已重新建好")
        screened.faults = {"x": "ValueError"}
    with turn.step(PublishResult(is_changed=True)):
        pass
    turn.log.end("a1", turn.outcome)
    run = turn.log.get("a1")
    assert run is not None and (run.outcome, run.job) == (SUCCEEDED, "update") and run.ended_at >= run.started_at
    assert run.of(CollectResult) == [collected, references]
    assert (run.collected_n, run.screened_n, run.is_changed) == (3, 3, True)
    assert (run.remarks, run.faults) == (["已重新建好"], {"x": "ValueError"})
    assert run.problems(CollectResult) == {"140902": "连不上"} and run.problems(AnswerResult) == {}
    assert [record.step for record in run.steps] == ["collect", "references", "screen", "publish"]
    assert all(record.seconds is not None for record in run.steps)


def test_a_step_that_fails_is_kept_with_its_cause(turn: Turn):
    with pytest.raises(RuntimeError), turn.step(BuildResult()) as built:
        built.remarks.append("私有数据库已损坏")
        try:
            raise ValueError("no such column")
        except ValueError as error:
            raise RuntimeError("around it") from error
    turn.log.end("a1", turn.outcome)
    (record,) = turn.log.get("a1").steps
    assert record.failure.chinese == "ValueError: no such column" and record.result.remarks == ["私有数据库已损坏"]
    assert turn.log.get("a1").outcome == FAILED


def test_a_step_that_is_interrupted_fails_nobody(turn: Turn):
    with pytest.raises(KeyboardInterrupt), turn.step(BuildResult()):
        raise KeyboardInterrupt
    assert turn.outcome == INTERRUPTED


def test_a_run_at_work_is_read_and_a_killed_one_is_told(home: Home, turn: Turn):
    show_life(home, "a1")
    with turn.step(ScreenResult()):
        run = RunLog(home.run_log).get("a1")
        assert run.outcome is None and [record.seconds for record in run.steps] == [None]
    assert is_alive(home, "a1")
    turn.log.begin("b2", "update")
    assert not is_alive(home, "b2")
    turn.log.end("b2", KILLED)
    turn.log.end("b2", SUCCEEDED)
    assert turn.log.get("b2").outcome == KILLED, "what was said first stays"


def test_the_log_outlives_the_build_database(home: Home, turn: Turn):
    home.build_database.write_bytes(b"x")
    remove_build(home)
    assert not home.build_database.exists() and turn.log.get("a1") is not None


def test_a_damaged_log_is_told_and_begun_anew(home: Home):
    home.private.mkdir(parents=True)
    home.run_log.write_bytes(b"no database, but long enough for a header" * 200)
    log = RunLog(home.run_log)
    with pytest.raises(FileUnusable, match="运行记录"):
        log.last(5)
    log.begin("a1", "update")
    assert [run.run_id for run in log.last(5)] == ["a1"]
    assert home.run_log.with_name("runs.sqlite.damaged").exists()


def test_old_runs_are_forgotten_with_their_steps(home: Home):
    log = RunLog(home.run_log)
    assert log.last(5) == [] and not home.run_log.exists()
    for number in range(4):
        log.begin(f"r{number}", "update")
        log.begin_step(f"r{number}", "screen")
    log.keep_newest(2)
    assert len(log.last(9)) == 2
    with sqlite3.connect(home.run_log) as connection:
        assert connection.execute("SELECT count(*) FROM run_step").fetchone() == (2,)


def test_a_result_kept_by_another_version_is_read(home: Home, turn: Turn):
    ordinal = turn.log.begin_step("a1", "screen")
    turn.log.end_step("a1", ordinal, 1.0, ScreenResult(screened_n=2))
    with sqlite3.connect(home.run_log) as connection:
        connection.execute("""UPDATE run_step SET result = '{"screened_n": 2, "of_old": 1}', step = 'screen'""")
        connection.execute("INSERT INTO run_step VALUES ('a1', 9, 'of another', '2026-01-01', 1, '{}', 0, NULL, NULL)")
    assert turn.log.get("a1").of(StepResult) == [ScreenResult(screened_n=2), StepResult()]


def test_dagster_shows_a_result_field_by_field():
    shown = metadata(CollectResult(collected_n=2, submission_ids=["x"], problems={"140902": "连不上"}))
    assert shown["collected_n"] == 2 and shown["submission_ids"].value == ["x"]
    assert shown["problems"].value == {"140902": "连不上"} and "step" not in shown


def test_what_is_said_in_words_is_told_as_it_stands():
    assert failure_of(FileUnusable("读不了", "unreadable")).english == "unreadable"
    assert failure_of(RuntimeError("raw/ 里一件也没有")).chinese == "raw/ 里一件也没有"
    assert failure_of(KeyError("x")).chinese == "KeyError: 'x'"
