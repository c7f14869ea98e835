"""kill -9 at every stage, then run again: the same marts as a run that nobody disturbed."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from pipelines.home import Home
from pipelines.operations.run_log import KILLED, SUCCEEDED, RunLog
from tests.homes import PROJECT, deliver, marts_content, small_home, update
from tests.integration.killed_run import POINTS

COUNTIES = [("140926", "静乐县", "Jingle")]


def _with_files(home: Home, published_home: Path, *, years: tuple[str, ...]) -> Home:
    for file in sorted((published_home / "counties" / "140926").iterdir()):
        if any(word in file.name for word in ("学校名录", "在校", "学龄人口", "XB01", "XB02", "XB03")) and any(
            year in file.name for year in years
        ):
            deliver(home, "140926", file)
    return home


@pytest.fixture(scope="module")
def undisturbed(published_home: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    home = small_home(tmp_path_factory.mktemp("undisturbed"), COUNTIES)
    update(_with_files(home, published_home, years=("2023",)))
    update(_with_files(home, published_home, years=("2023", "2024")))
    return marts_content(home)


@pytest.fixture(scope="module")
def half_way(published_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home that has published its first year: what a crash must leave readable."""
    home = small_home(tmp_path_factory.mktemp("half_way"), COUNTIES)
    update(_with_files(home, published_home, years=("2023",)))
    return home


#: Each stage once; the others lie between two of these.
_OFTEN = (
    "landed, not committed",
    "marts built, not noted",
    "swapped, returns still dirty",
)


@pytest.mark.parametrize(
    "point", [point if point in _OFTEN else pytest.param(point, marks=pytest.mark.long) for point in POINTS]
)
def test_a_run_killed_at_any_point_is_made_good_by_the_next(
    point: str, published_home: Path, half_way: Home, undisturbed: dict[str, str], tmp_path: Path
):
    root = tmp_path / "home"
    shutil.copytree(half_way.root, root, symlinks=True)
    home = _with_files(Home(root), published_home, years=("2023", "2024"))
    before = marts_content(home)

    killed = subprocess.run(
        [sys.executable, "-m", "tests.integration.killed_run", str(root), point],
        cwd=PROJECT,
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()

    # Whatever was left behind, a reader opens a whole release: the old one or the new one.
    now = marts_content(home)
    assert now in (before, undisturbed), [
        name for name, content in now.items() if content not in (before.get(name), undisturbed.get(name))
    ] or [name for name in now if now[name] != before.get(name)]
    update(home)
    assert marts_content(home) == undisturbed
    answered = {path.name.split("_")[-2] for path in home.outbox.rglob("*_回执.html")}
    assert answered == {path.name[:16] for path in home.raw.glob("submissions/??/*.json")}
    assert not list(home.outbox.rglob("*.part"))
    assert not (home.warehouse / ".publishing").exists()
    with duckdb.connect(str(home.build_database), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM control.dirty_return").fetchall() == [(0,)]


@pytest.mark.long
def test_a_killed_run_of_the_command_does_not_hold_up_the_next(published_home: Path, tmp_path: Path):
    home = small_home(tmp_path / "home", COUNTIES)
    _with_files(home, published_home, years=("2023",))
    command = [str(Path(sys.executable).with_name("xianbao")), "--home", str(home.root), "run"]
    environment = {name: value for name, value in os.environ.items() if name not in ("DAGSTER_HOME", "XIANBAO_STATE")}
    killed = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not home.build_database.exists():  # the step that holds the pool's slot has begun
        assert killed.poll() is None
        time.sleep(0.05)
    killed.kill()
    killed.wait()
    again = subprocess.run(command, env=environment, capture_output=True, timeout=240, check=False)
    assert again.returncode == 0, again.stderr.decode()
    assert home.published.exists()
    assert [run.outcome for run in RunLog(home.run_log).last(5)] == [SUCCEEDED, KILLED]
