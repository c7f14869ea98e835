"""Slips and accidents of operation: killed and interrupted runs, who may read, environments of other projects, history without end."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from pipelines.answers.delivery import deliver_all
from pipelines.cli.running import dagster_environment
from pipelines.home import PROJECT, Home
from pipelines.operations.upkeep import look_after
from tests.faults import Outcome, case
from tests.faults.homes import COMMAND, environment, published_home, send, sent_home, xianbao
from tests.homes import update
from tests.unit.builders import XINFU, Draft

LEFT = "30-left-behind"
INTERRUPTED = "30-interrupted"
READABLE = "30-who-may-read"
ENVIRONMENT = "40-foreign-environment"
_DAYS = 86_400


def _left(path: Path, *, age: float = 3 * _DAYS, folder: bool = False) -> Path:
    """What a process left: a file, or a folder with one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if folder:
        path.mkdir()
        (path / "half").write_bytes(b"half")
    else:
        path.write_bytes(b"half")
    os.utime(path, (time.time() - age,) * 2)
    return path


def _dead() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


@case(LEFT, "a killed process leaves .part files and folders everywhere in the home")
def everywhere(folder: Path) -> Outcome:
    home = published_home(folder / "home")
    before, dead = _answers(home), _dead()
    left = [
        _left(home.raw / "releases" / f".000001.json.{dead}.part"),
        _left(home.raw / "decisions" / f".000001.json.{dead}.part", age=0),
        _left(home.raw / f".reply.key.{dead}.part"),
        _left(home.raw / "submissions" / "ab" / f".abcd.json.{dead}.part"),
        _left(home.raw / "submissions" / ".incoming" / f".k3h2j1g4.{dead}.part", age=0),
        _left(home.raw / "submissions" / ".incoming" / "tmpk3h2j1g4"),
        _left(home.outbox / XINFU.code / f".a_回执.json.{dead}.part"),
        _left(home.private / "outbox" / f".140902.json.{dead}.part"),
        _left(home.private / f".aside-{dead}-abcdefgh", folder=True, age=0),
        _left(home.warehouse / f".aside-{dead}-abcdefgh", folder=True),
        _left(home.warehouse / ".publishing", folder=True),
        _left(home.private / ".compact-abcdefgh", folder=True),
        _left(home.warehouse / f".xianbao.manifest.json.{dead}.part"),
        _left(home.root / f".municipality.yaml.{dead}.part"),
    ]
    update(home)
    stay = [path.relative_to(home.root).as_posix() for path in left if path.exists()]
    return Outcome(
        f"{len(left) - len(stay)} of {len(left)} removed {stay or ''}", not stay and _answers(home) == before
    )


def _answers(home: Home) -> set[str]:
    return {path.name for path in home.outbox.rglob("*") if path.is_file()}


@case(LEFT, "a run beside a process that is still writing")
def alive(folder: Path) -> Outcome:
    home = published_home(folder / "home")
    source = (
        "import sys, time\nfrom pathlib import Path\nfrom pipelines.files import aside_name, folder_aside, hold\n"
        "with folder_aside(Path(sys.argv[1])), (Path(sys.argv[1]) / aside_name('x.json')).open('wb') as stream:\n"
        "    hold(stream.fileno()); print('ready', flush=True); time.sleep(600)\n"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", source, str(home.raw)], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert writer.stdout is not None
        writer.stdout.readline()
        named = _left(home.outbox / XINFU.code / f".b_回执.json.{writer.pid}.part", age=0)
        # A number that another process has been given since says nothing of who wrote the file.
        reused = _left(home.outbox / XINFU.code / f".c_回执.json.{writer.pid}.part", age=_DAYS)
        look_after(home)
        held = [*home.raw.glob(".x.json.*.part"), *home.raw.glob(".aside-*")]
        right = len(held) == 2 and named.exists() and not reused.exists()
        words = f"{len(held)} held, 1 fresh of a live process: stay; a day old under a number in use again: " + (
            "stays" if reused.exists() else "gone"
        )
    finally:
        writer.kill()
        writer.wait()
    look_after(home)
    gone = not any(path.exists() for path in (*held, named))
    return Outcome(f"{words}; all gone after it dies: {gone}", right and gone)


@case(LEFT, "a delivery into a county's own folder was killed")
def delivered(folder: Path) -> Outcome:
    home = published_home(folder / "home")
    own = folder / "county"
    text = home.configuration.read_text(encoding="utf-8")
    line = f'source: "counties/{XINFU.code}"'
    home.configuration.write_text(text.replace(line, f'{line}, outbox: "{own}"'), encoding="utf-8")
    home = Home(home.root)
    problems = deliver_all(home)
    sent = {path.name for path in own.iterdir()}
    left = [_left(own / f".a_回执.json.{_dead()}.part"), _left(own / ".a_标注_b.xlsx.part")]
    theirs = [_left(own / ".王老师的草稿.docx.77777.part"), _left(own / "汇总_回执说明.part")]
    problems |= deliver_all(home)
    kept = all(path.exists() for path in theirs)
    gone = not any(path.exists() for path in left)
    whole = not problems and sent <= {path.name for path in own.iterdir()} and "index.html" in sent
    return Outcome(
        f"ours gone: {gone}; the county's own files stay: {kept}; answers there: {whole}", kept and gone and whole
    )


def _interrupted(home: Home, number: signal.Signals, begun: Callable[[], bool], *words: str) -> tuple[int, str, str]:
    """The command, interrupted as a terminal does it (the whole group) once it has begun; exit code, what it printed."""
    process = subprocess.Popen(
        [COMMAND, "--home", str(home.root), *words],
        env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    until = time.monotonic() + 300
    while not begun() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    os.killpg(process.pid, number)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def _judged(outcome: tuple[int, str, str], code: int) -> Outcome:
    returned, out, err = outcome
    said = err.strip()
    right = returned == code and said.startswith("已中断") and "\n" not in said and not out.strip()
    return Outcome(f"exit code {returned}: {(said or out.strip())[:160]}", right)


@case(INTERRUPTED, "Ctrl-C while files are screened, then a run", slow=True)
def while_screening(folder: Path) -> Outcome:
    home = sent_home(folder / "home")
    outcome = _judged(_interrupted(home, signal.SIGINT, home.build_database.exists, "run"), 130)
    again = xianbao(home, "run")
    return Outcome(f"{outcome.words} then exit code {again.returncode}", outcome.right and again.returncode == 0)


@case(INTERRUPTED, "SIGTERM while models are built", slow=True)
def while_modelling(folder: Path) -> Outcome:
    home = sent_home(folder / "home")
    return _judged(_interrupted(home, signal.SIGTERM, home.marts_database.exists, "run"), 143)


@case(INTERRUPTED, "Ctrl-C in a rebuild, before anything is screened", slow=True)
def while_rebuilding(folder: Path) -> Outcome:
    home = published_home(folder / "home")
    before = home.published.read_bytes()
    outcome = _judged(
        _interrupted(home, signal.SIGINT, lambda: not home.build_database.exists(), "rebuild"), 130
    )  # fmt: skip
    same = home.published.read_bytes() == before
    return Outcome(f"{outcome.words}; published file as it was: {same}", outcome.right and same)


@case(INTERRUPTED, "Ctrl-C in a check and at a question of init")
def while_checking(folder: Path) -> Outcome:
    home = sent_home(folder / "home")
    file = send(home, Draft("enrolment"))
    begun = time.monotonic() + 3
    checked = _judged(
        _interrupted(home, signal.SIGINT, lambda: time.monotonic() > begun, "check", *[str(file)] * 200), 130
    )  # fmt: skip
    begun = time.monotonic() + 3
    empty = Home(folder / "empty")
    asked = _interrupted(empty, signal.SIGINT, lambda: time.monotonic() > begun, "init")
    right = asked[0] == 130 and "Traceback" not in asked[2] and not empty.configuration.exists()
    return Outcome(f"check: {checked.words} init: exit code {asked[0]}", checked.right and right)


def _open_to_others(home: Home) -> dict[str, int]:
    """Path → mode of all in raw/ and warehouse/ that others can come at, and of what stands in the way of the published."""
    found = {}
    for top in (home.raw, home.warehouse):
        for path in (top, *top.rglob("*")):
            path = top.resolve() if path == top else path
            mode = stat.S_IMODE(path.lstat().st_mode)
            if mode & 0o077 and not path.is_symlink():
                found[
                    f"{top.name}/{path.relative_to(top.resolve() if path == top.resolve() else top)}".removesuffix("/.")
                ] = mode
    return found


_FOR_ALL = {"warehouse", "warehouse/xianbao.duckdb", "warehouse/xianbao.manifest.json", "warehouse/xianbao.docs.html"}


def _modes_judged(home: Home) -> Outcome:
    open_ones = _open_to_others(home)
    released = {path for path in open_ones if path.startswith("warehouse/releases/")}  # behind a closed folder
    behind = not stat.S_IMODE((home.warehouse / "releases").stat().st_mode) & 0o077
    wrong = sorted((set(open_ones) - _FOR_ALL) - (released if behind else set()))
    readable = all(open_ones.get(path, 0) & 0o004 for path in _FOR_ALL)
    return Outcome(
        f"{len(wrong)} open to others {wrong[:3] or ''}; the published file and its page for all: {readable}",
        not wrong and readable,
    )


@case(READABLE, "a home of an earlier version, all of it open to everybody")
def opened_home(folder: Path) -> Outcome:
    home = published_home(folder / "home")
    for top in (home.raw, home.warehouse):
        for path in (top, *top.rglob("*")):
            path.chmod(0o777 if path.is_dir() else 0o666)
    home.published.chmod(0o444)
    update(home)
    return _modes_judged(home)


@case(READABLE, "the published file closed by hand, warehouse/ too")
def closed_home(folder: Path) -> Outcome:
    home = published_home(folder / "home")
    home.published.chmod(0o400)
    home.warehouse.chmod(0o700)
    update(home)
    return _modes_judged(home)


@case(READABLE, "umask 000 on a fresh home", slow=True)
def open_umask(folder: Path) -> Outcome:
    home = sent_home(folder / "home")
    assert xianbao(home, "run", umask=0).returncode == 0
    return _modes_judged(home)


@case(READABLE, "umask 077 on a fresh home", slow=True)
def closed_umask(folder: Path) -> Outcome:
    home = sent_home(folder / "home")
    assert xianbao(home, "run", umask=0o077).returncode == 0
    return _modes_judged(home)


def _with(variables: Mapping[str, str], folder: Path) -> tuple[subprocess.CompletedProcess[str], Home]:
    home = published_home(folder / "home")
    return xianbao(home, "run", **variables), home


@case(ENVIRONMENT, "DAGSTER_HOME relative, missing, of another project")
def foreign_dagster_home(folder: Path) -> Outcome:
    foreign = folder / "foreign"
    foreign.mkdir()
    (foreign / "dagster.yaml").write_text("run_coordinator: {module: no.such, class: Thing}\n")
    home = Home(folder / "home")
    told = set()
    for value in ("somewhere/else", str(folder / "missing"), str(foreign), ""):
        os.environ["DAGSTER_HOME"], before = value, os.environ.get("DAGSTER_HOME")
        try:
            told.add(dagster_environment(home)["DAGSTER_HOME"])
        finally:
            os.environ.pop("DAGSTER_HOME")
            if before is not None:
                os.environ["DAGSTER_HOME"] = before
    return Outcome(f"its own is used: {told == {str(PROJECT)}}", told == {str(PROJECT)})


@case(ENVIRONMENT, "a run with another project's DAGSTER_HOME and a relative XIANBAO_STATE", slow=True)
def run_in_foreign_environment(folder: Path) -> Outcome:
    (folder / "foreign").mkdir()
    (folder / "foreign" / "dagster.yaml").write_text("run_coordinator: {module: no.such, class: Thing}\n")
    ran, home = _with({"DAGSTER_HOME": str(folder / "foreign"), "XIANBAO_STATE": "state"}, folder)
    clean = [path.name for path in (folder / "foreign").iterdir()] == ["dagster.yaml"]
    kept = (home.root / "state" / "history").is_dir()
    return Outcome(
        f"exit code {ran.returncode}; nothing in the other's folder: {clean}; state where it was asked for: {kept}",
        ran.returncode == 0 and clean and kept,
    )


@case("40-moments", "what 指标 shows of a moment, and what a description says of its clock")
def moments(folder: Path) -> Outcome:
    home = published_home(folder / "home")
    with duckdb.connect(str(home.published), read_only=True) as warehouse:
        columns = warehouse.execute(
            """SELECT schema_name, table_name, column_name, comment FROM duckdb_columns()
               WHERE NOT internal AND data_type LIKE 'TIMESTAMP%'"""
        ).fetchall()
        ((shown, kept),) = warehouse.execute(
            """SELECT (SELECT max("收到时间") FROM "指标"."报送版本"), (SELECT max(received_at) FROM marts.mart_filing_version)"""
        ).fetchall()
    unsaid = [column for column in columns if ("北京时间" if column[0] == "指标" else "UTC") not in column[3]]
    right = not unsaid and shown - kept == timedelta(hours=8)
    return Outcome(
        f"{len(columns)} moments, {len(unsaid)} without a word of their clock; 指标 is ahead by {shown - kept}", right
    )


@case("40-history", "runs of years in Dagster's books")
def history(folder: Path) -> Outcome:
    import dagster as dg

    from pipelines.orchestration.history import forget_old_runs

    home = published_home(folder / "home")
    text = home.configuration.read_text(encoding="utf-8")
    home.configuration.write_text(
        text.replace("settle_seconds: 0", "settle_seconds: 0, history_runs: 1"), encoding="utf-8"
    )
    home = Home(home.root)
    state = folder / "state"
    state.mkdir()
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with dg.DagsterInstance.local_temp(str(state)) as instance:

        @dg.op
        def nothing() -> None:
            return None

        @dg.job
        def job() -> None:
            nothing()

        for _ in range(3):
            job.execute_in_process(instance=instance, run_config=quiet)
        by_number = (forget_old_runs(home, instance), instance.get_runs_count())
        later = datetime.now(UTC) + timedelta(days=91)
        by_age = (forget_old_runs(home, instance, now=later), instance.get_runs_count())
        shards = [path.name for path in (state / "history" / "runs").glob("*-*.db")]
    right = by_number == (2, 1) and by_age == (1, 0) and not shards
    return Outcome(
        f"beyond the number {by_number[0]} of 3 forgotten, by age {by_age[0]} of 1; files left {len(shards)}", right
    )


@case("40-without-yaml", "the deadline job and everything at once, launched without configuration", slow=True)
def without_yaml(folder: Path) -> Outcome:
    import dagster as dg

    from pipelines.orchestration.code_location import build_defs, county_range

    home = published_home(folder / "home")
    done = []
    with dg.DagsterInstance.ephemeral() as instance:
        definitions = build_defs(home)
        for name in ("deadline", "update", "rescreen"):
            tags = county_range(home) if name == "update" else {}
            job = definitions.resolve_job_def(name)
            done.append(job.execute_in_process(instance=instance, tags=tags, raise_on_error=False).success)
    recorded = [path.stem for path in (home.raw / "lateness").glob("*.json")]
    return Outcome(f"deadline, update, rescreen: {done}; recorded on {recorded}", all(done) and len(recorded) == 1)


@case("40-other-disk", "the home's raw/ and warehouse/ are links to other disks")
def linked_folders(folder: Path) -> Outcome:
    home = published_home(folder / "home")
    disk = folder / "disk"
    for top in (home.raw, home.warehouse):
        shutil.move(top, disk / top.name) if disk.exists() else (disk.mkdir(), shutil.move(top, disk / top.name))
        top.symlink_to(disk / top.name)
    send(home, Draft("enrolment"))
    landed, published = update(home)
    modes = _modes_judged(home)
    return Outcome(
        f"{landed.submissions_n} screened, published: {published.changed}; {modes.words}",
        published.changed and modes.right,
    )
