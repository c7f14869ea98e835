"""A real Dagster daemon: a file is dropped into an inbox, and the published file follows without a hand being lifted."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.dagster_run import IN_PROGRESS_RUN_STATUSES

from pipelines.cli.running import dagster_environment
from pipelines.home import Home
from pipelines.orchestration.code_location import UPDATE_JOB
from pipelines.orchestration.failures import last_failure
from pipelines.releases.publish import published_release
from tests.homes import PROJECT, deliver, rows, small_home

PATIENCE_SECONDS = 180


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return small_home(tmp_path / "home", [("140926", "静乐县", "Jingle"), ("140925", "宁武县", "Ningwu")])


@pytest.fixture
def daemon(home: Home, tmp_path: Path) -> Iterator[subprocess.Popen]:
    environment = {name: value for name, value in os.environ.items() if name not in ("DAGSTER_HOME", "XIANBAO_STATE")}
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DAGSTER_HOME", "XIANBAO_STATE"):
            patch.delenv(name, raising=False)
        environment |= dagster_environment(home)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    log = (tmp_path / "daemon.log").open("wb")
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("dagster-daemon")), "run", "-m", "pipelines.definitions"],
        cwd=PROJECT,
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    yield process
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
    log.close()
    shutil.copyfile(log.name, tmp_path / "daemon.txt")


def _wait_for(what: str, condition, log: Path) -> float:
    start = time.monotonic()
    while time.monotonic() - start < PATIENCE_SECONDS:
        if condition():
            return time.monotonic() - start
        time.sleep(0.2)
    raise AssertionError(f"{what} did not happen in {PATIENCE_SECONDS} s:\n{log.read_text()[-4000:]}")


def test_a_dropped_file_is_published_by_the_daemon_alone(
    home: Home, daemon: subprocess.Popen, published_home: Path, tmp_path: Path
):
    inbox = published_home / "counties" / "140926"
    log = tmp_path / "daemon.log"
    deliver(home, "140926", next(inbox.glob("*2024-2025*名录*")))
    _wait_for("the first release", lambda: published_release(home) is not None, log)
    first = published_release(home)
    assert rows(home, "SELECT count(*) FROM marts.dim_school")[0][0] > 0

    deliver(home, "140926", next(inbox.glob("*2024-2025*在校*")))
    broken = home.root / "counties" / "140925" / "空.xlsx"
    broken.parent.mkdir(parents=True, exist_ok=True)
    broken.write_bytes(b"")
    took = _wait_for("the second release", lambda: published_release(home) != first, log)
    _wait_for(
        "both files",
        lambda: (
            rows(home, "SELECT count(*) FROM marts.mart_finding WHERE rule_id = 'FILE-0-empty'") == [(1,)]
            and rows(
                home,
                "SELECT count(*) FROM marts.mart_submission_status WHERE return_code = 'enrolment' AND verdict = 'accepted'",
            )
            == [(1,)]
        ),
        log,
    )
    assert daemon.poll() is None
    print(f"drop to published: {took:.1f} s")


def test_a_run_that_failed_over_a_mistake_in_the_configuration_is_made_up_for_once_it_is_mended(
    home: Home, daemon: subprocess.Popen, published_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    inbox = published_home / "counties" / "140926"
    log = tmp_path / "daemon.log"
    deliver(home, "140926", next(inbox.glob("*2024-2025*名录*")))
    _wait_for("the first release", lambda: published_release(home) is not None, log)
    first = published_release(home)
    for name in ("DAGSTER_HOME", "XIANBAO_STATE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in dagster_environment(home).items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.get() as instance:
        _wait_for(
            "the first run's end", lambda: not instance.get_runs(dg.RunsFilter(statuses=IN_PROGRESS_RUN_STATUSES)), log
        )
        right = home.configuration.read_text(encoding="utf-8")
        home.configuration.write_text(right + "limitz: {seconds: 1}\n", encoding="utf-8")
        deliver(home, "140926", next(inbox.glob("*2024-2025*在校*")))
        _wait_for("a run that failed", lambda: last_failure(instance, UPDATE_JOB) is not None, log)
        time.sleep(20)  # and its retry, and the first time that it is asked for again
        failure = last_failure(instance, UPDATE_JOB)
    home.configuration.write_text(right, encoding="utf-8")
    assert failure and "limitz" in failure.words
    _wait_for("the second release", lambda: published_release(home) != first, log)
    assert rows(
        home, "SELECT count(*) FROM marts.mart_submission_status WHERE return_code = 'enrolment' AND is_received"
    ) == [(1,)]
