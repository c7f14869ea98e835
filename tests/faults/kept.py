"""What is kept: the published file, the bytes and sidecars of `raw/`, the log of decisions, the private databases; and the one run that
may write them.

Every case works on a copy of one small home with two releases and a decision, or makes its own.
"""

import atexit
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path

import duckdb
from typer.testing import CliRunner

from pipelines.cli.main import app
from pipelines.home import PROJECT, Home
from pipelines.intake.deadlines import record_late
from pipelines.intake.raw_store import RawStore
from pipelines.intake.source_notes import note_source
from pipelines.releases.publish import PublishFault, publish, published_release
from pipelines.releases.reconstruct import ReconstructionFault, publish_as_of
from pipelines.releases.release import ReleaseLog
from pipelines.warehouse.build_database import BuildDatabaseLost, remove_build
from pipelines.warehouse.landing import build_marts, land_new
from tests.faults import Outcome, case
from tests.faults.homes import send, with_more_people
from tests.homes import collect_all, marts_content, small_home
from tests.unit.builders import DINGXIANG, XINFU, Draft

_OCTOBER = datetime(2024, 10, 1, tzinfo=UTC).timestamp()
_DAY = 86_400


@dataclass(frozen=True)
class _Said:
    """What a command came to."""

    code: int
    text: str

    def has(self, *words: str) -> bool:
        """Whether it says all this, and shows neither a traceback nor the name of an exception."""
        bare = [
            word for word in ("Traceback", "Error:", "Exception:", "Damaged:", "Lost:", "Fault:") if word in self.text
        ]
        return all(word in self.text for word in words) and not bare

    @property
    def last(self) -> str:
        lines = [line.strip() for line in self.text.splitlines() if line.strip() and line.strip()[0] not in "│┃┏┡└"]
        return " / ".join(lines)[:240]


def _xianbao(home: Home, *words: str) -> _Said:
    for name in ("DAGSTER_HOME", "XIANBAO_STATE"):
        os.environ.pop(name, None)
    said = CliRunner().invoke(app, ["--home", str(home.root), *words])
    text = (
        said.output
        if said.exception is None or isinstance(said.exception, SystemExit)
        else f"Traceback {said.exception!r}"
    )
    return _Said(said.exit_code, text)


@cache
def _two_releases() -> Path:
    """Both counties' populations; then a correction by 忻府区 and the lock of the year. The counties have cleared their inboxes
    afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="xianbao-kept-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    home = small_home(
        folder / "home", [(XINFU.code, XINFU.name, "Xinfu"), (DINGXIANG.code, DINGXIANG.name, "Dingxiang")]
    )
    send(home, with_more_people(0), "人口.xlsx", 1)
    send(home, with_more_people(5, DINGXIANG), "定襄人口.xlsx", 2)  # of no other county's figures
    first = _xianbao(home, "run")
    assert first.code == 0, first.text
    send(home, with_more_people(10), "人口（更正）.xlsx", 40)
    assert _xianbao(home, "run").code == 0
    for period in ("2023", "2024"):
        home.decisions.append("lock", by="市局甲", reason="已上报", now=datetime.now(UTC), period=period)
    assert _xianbao(home, "run").code == 0
    for file in (home.root / "counties").rglob("*.xlsx"):
        (file.parent / "已收").mkdir(exist_ok=True)  # emptied on purpose, and no share that is gone
        file.unlink()
    assert _xianbao(home, "run").code == 0
    return home.root


def _home(folder: Path) -> Home:
    return Home(Path(shutil.copytree(_two_releases(), folder / "home", symlinks=True)))


def _newest_id(home: Home) -> str:
    newest = ReleaseLog(home).newest()
    assert newest is not None
    return newest.release_id


def _outcome(said: _Said, right: bool) -> Outcome:
    return Outcome(f"[{said.code}] {said.last}", right)


# --- the published file ---------------------------------------------------------------------------------------------------------


def _writable(home: Home) -> Path:
    home.published.chmod(0o644)
    return home.published


def _changed_copy(home: Home, sql: str) -> None:
    aside = home.root / "elsewhere" / home.published.name
    aside.parent.mkdir()
    shutil.copyfile(home.published, aside)
    with duckdb.connect(str(aside)) as connection:
        connection.execute(sql)
    aside.replace(home.published)


def _zeros(path: Path, first: int | None = None) -> None:
    content = path.read_bytes()
    n = len(content) if first is None else first
    path.write_bytes(bytes(n) + content[n:])


def _wal_beside(home: Home) -> None:
    """What a client that was killed leaves: the file as it was, and beside it what is to be added when it is next opened."""
    copy = home.root / "elsewhere" / home.published.name
    copy.parent.mkdir()
    shutil.copyfile(home.published, copy)
    script = (
        f"import duckdb, os; c = duckdb.connect({str(copy)!r}); c.execute(\"SET checkpoint_threshold='1GB'\");"
        "c.execute('UPDATE marts.fct_indicator SET coverage_n = coverage_n + 1000'); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", script], check=False)
    copy.with_name(copy.name + ".wal").replace(home.published.with_name(home.published.name + ".wal"))


def _in_place_of_it(home: Home, make: Callable[[Path], object]) -> None:
    home.published.unlink()
    make(home.published)


_OLDER = "UPDATE marts.fct_indicator SET coverage_n = coverage_n + 1000"
_PUBLISHED: dict[str, Callable[[Home], object]] = {
    "a copy with changed figures in its place": lambda home: _changed_copy(home, _OLDER),
    "a copy with a changed view in its place": lambda home: _changed_copy(
        home, 'CREATE OR REPLACE VIEW "指标"."一览" AS SELECT 1 AS "假"'
    ),
    "a copy with a table more in its place": lambda home: _changed_copy(
        home, "CREATE TABLE marts.more AS SELECT 1 AS a"
    ),
    "an earlier release in its place": lambda home: (
        home.published.unlink(),
        shutil.copyfile(
            home.warehouse / "releases" / next(iter(ReleaseLog(home))).release_id / home.published.name, home.published
        ),
    ),
    "cut to a third": lambda home: os.truncate(_writable(home), home.published.stat().st_size // 3),
    "overwritten with zeros": lambda home: _zeros(_writable(home)),
    "empty": lambda home: _writable(home).write_bytes(b""),
    "one byte flipped, size and time as they were": lambda home: _flip(_writable(home)),
    "a write-ahead log beside it": _wal_beside,
    "removed": lambda home: home.published.unlink(),
    "a link to another file in its place": lambda home: _in_place_of_it(
        home, lambda path: path.symlink_to("/etc/hostname")
    ),
    "a folder in its place": lambda home: _in_place_of_it(home, lambda path: path.mkdir()),
}


def _flip(path: Path) -> None:
    status, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _published_case(do: Callable[[Home], object]) -> Callable[[Path], Outcome]:
    def run(folder: Path) -> Outcome:
        home = _home(folder)
        before, release = marts_content(home), _newest_id(home)
        do(home)
        ran = _xianbao(home, "run")
        right = (
            ran.code == 0
            and ran.has("发布库 xianbao.duckdb", f"已由发布 {release} 取代")
            and (marts_content(home), published_release(home)) == (before, release)
            and not list(home.warehouse.glob("*.wal"))
            and len(list(ReleaseLog(home))) == 3
        )
        return _outcome(ran, right)

    return run


for _tried, _do in _PUBLISHED.items():
    case("22-published-file-replaced", _tried, slow=_tried != "a copy with changed figures in its place")(
        _published_case(_do)
    )


@case(
    "22-published-file-replaced",
    "a copy with changed figures: verify names the table; the run after the next is quiet",
    slow=True,
)
def _verified(folder: Path) -> Outcome:
    home = _home(folder)
    _changed_copy(home, _OLDER)
    verified, ran, again = (_xianbao(home, word) for word in ("verify", "run", "run"))
    whole = _xianbao(home, "verify")
    right = (
        [one.code for one in (verified, ran, again, whole)] == [1, 0, 0, 0]
        and verified.has("发布库", "fct_indicator")
        and "取代" not in again.text
    )
    return _outcome(verified, right)


@case("22-published-file-replaced", "touched, made anew with the same bytes: nothing to be told")
def _touched(folder: Path) -> Outcome:
    home = _home(folder)
    content = home.published.read_bytes()
    home.published.unlink()
    home.published.write_bytes(content)
    ran = _xianbao(home, "run")
    return _outcome(ran, ran.code == 0 and "没有新的报送件" in ran.text and "发布库 " not in ran.text)


@case("22-published-file-replaced", "the kept copy is no second name of the published file")
def _no_second_name(folder: Path) -> Outcome:
    home = _home(folder)
    kept = ReleaseLog(home).kept_file(ReleaseLog(home).find("current"))
    assert kept is not None
    before = kept.read_bytes()
    _zeros(_writable(home))
    return Outcome("the copy is as it was", kept.read_bytes() == before)


@case("22-published-file-replaced", "the manifest beside it changed, cut, removed", slow=True)
def _manifest_beside(folder: Path) -> Outcome:
    home = _home(folder)
    wanted = home.manifest.read_bytes()
    results = []
    for content in (wanted.replace(b'"number": 3', b'"number": 9'), wanted[:100], b"", None):
        home.manifest.unlink()
        if content is not None:
            home.manifest.write_bytes(content)
        ran = _xianbao(home, "run")
        results.append(ran.code == 0 and ran.has("清单") and home.manifest.read_bytes() == wanted)
    return Outcome(f"written back: {results}", all(results))


@case("22-published-file-replaced", "its manifest removed from raw/releases: refused", slow=True)
def _manifest_removed(folder: Path) -> Outcome:
    home = _home(folder)
    (home.raw / "releases" / "000003.json").unlink()
    ran = _xianbao(home, "run")
    return _outcome(ran, ran.code == 1 and ran.has("缺第 3 号发布清单", "请从备份恢复整个 raw/"))


@case("22-published-file-replaced", "the kept copy changed, cut: verify says so", slow=True)
def _kept_copy(folder: Path) -> Outcome:
    home = _home(folder)
    kept = ReleaseLog(home).kept_file(ReleaseLog(home).find("current"))
    assert kept is not None
    kept.chmod(0o644)
    with duckdb.connect(str(kept)) as connection:
        connection.execute(_OLDER)
    changed = _xianbao(home, "verify")
    os.truncate(kept, 1000)
    cut = _xianbao(home, "verify")
    right = (changed.code, cut.code) == (1, 1) and changed.has("保留的文件", "fct_indicator") and cut.has("保留的文件")
    return _outcome(cut, right)


# --- the bytes of raw/ ----------------------------------------------------------------------------------------------------------


def _entry(home: Home, name: str = "人口（更正）.xlsx"):
    store = RawStore(home.raw)
    return store, next(one for one in store if one.first.file_name == name)


def _alter(home: Home, do: Callable[[Path], object]) -> bytes:
    """Do something to the bytes of the correction; returns what they were."""
    store, entry = _entry(home)
    path = store.path(entry.submission_id)
    before = path.read_bytes()
    path.chmod(0o644)
    do(path)
    return before


_BYTES: dict[str, Callable[[Path], object]] = {
    "figures changed in a workbook": lambda path: path.write_bytes(with_more_people(999).xlsx()),
    "one byte flipped": _flip,
    "emptied": lambda path: path.write_bytes(b""),
    "cut": lambda path: os.truncate(path, 500),
    "lengthened": lambda path: path.write_bytes(path.read_bytes() + b" "),
    "removed": lambda path: path.unlink(),
    "a link to another file": lambda path: (path.unlink(), path.symlink_to("/etc/hostname")),
}


def _bytes_case(do: Callable[[Path], object], *commands: tuple[str, ...]) -> Callable[[Path], Outcome]:
    def run(folder: Path) -> Outcome:
        home = _home(folder)
        before = marts_content(home)
        original = _alter(home, do)
        said = [_xianbao(home, *words) for words in commands]
        told = [one.code == 1 and one.has("忻府区", "人口（更正）.xlsx", "raw/submissions/") for one in said]
        kept = marts_content(home) == before
        answers = "".join(path.read_text() for path in home.outbox.rglob("*_回执.*"))
        right = all(told) and kept and str(home.root) not in answers and '"system_fault": true' not in answers
        if len(commands) > 1:
            store, entry = _entry(home)
            path = store.path(entry.submission_id)
            path.unlink(missing_ok=True)
            path.write_bytes(original)
            right &= _xianbao(home, "rebuild").code == 0 and marts_content(home) == before
        return Outcome(f"told: {told}, marts kept: {kept}: {said[0].last}", right)

    return run


_ASKED = (("rebuild",), ("run",), ("verify",), ("rescreen", "--period", "2024"))
for _tried, _change in _BYTES.items():
    case("23-raw-bytes-changed", f"{_tried}; rebuild", slow=_tried != "figures changed in a workbook")(
        _bytes_case(_change, ("rebuild",))
    )
case("23-raw-bytes-changed", "figures changed; rebuild, run, verify, rescreen, then restored", slow=True)(
    _bytes_case(_BYTES["figures changed in a workbook"], *_ASKED)
)


@case(
    "23-raw-bytes-changed", "changed, and the warehouse removed: nothing of it is published, the others are", slow=True
)
def _changed_and_no_warehouse(folder: Path) -> Outcome:
    home = _home(folder)
    _alter(home, lambda path: path.write_bytes(with_more_people(999).xlsx()))
    shutil.rmtree(home.warehouse)
    ran = _xianbao(home, "run")
    with duckdb.connect(str(home.published), read_only=True) as connection:
        used = {row[0] for row in connection.execute("SELECT file_name FROM marts.release_input").fetchall()}
        blamed = connection.execute("SELECT count(*) FROM marts.mart_finding").fetchall()
    right = (
        ran.code == 1 and ran.has("人口（更正）.xlsx") and used == {"定襄人口.xlsx", "人口.xlsx"} and blamed == [(0,)]
    )
    return _outcome(ran, right)


@case(
    "23-raw-bytes-changed", "changed before its workbook is annotated: no answer with what stands there now", slow=True
)
def _changed_before_the_answer(folder: Path) -> Outcome:
    home = _home(folder)
    draft = Draft("enrolment", DINGXIANG, "2024-2025")
    draft.rows[1]["boarders"] = "约三十"
    send(home, draft, "学生.xlsx", 3)
    assert _xianbao(home, "run").code == 0
    annotated = next(home.outbox.rglob("*_标注_*"))
    annotated.unlink()
    store, entry = _entry(home, "学生.xlsx")
    path = store.path(entry.submission_id)
    path.chmod(0o644)
    original = path.read_bytes()
    path.write_bytes(with_more_people(1).xlsx())
    home.decisions.append("lock", by="市局甲", reason="已上报", now=datetime.now(UTC), period="2023-2024")
    ran = _xianbao(home, "run")
    was_there = annotated.exists()
    path.write_bytes(original)
    healed = _xianbao(home, "run")
    right = (
        ran.code == 1 and ran.has("学生.xlsx", "定襄县") and not was_there and healed.code == 0 and annotated.exists()
    )
    return _outcome(ran, right)


@case(
    "23-raw-bytes-changed",
    "changed, and the county sends the file once more: the store has the right bytes again",
    slow=True,
)
def _sent_once_more(folder: Path) -> Outcome:
    home = _home(folder)
    store, entry = _entry(home)
    original = _alter(home, lambda path: path.write_bytes(b"PK"))
    inbox = home.root / "counties" / XINFU.code
    (inbox / "人口（更正）.xlsx").write_bytes(original)
    ran = _xianbao(home, "run")
    digest = hashlib.sha256(store.path(entry.submission_id).read_bytes()).hexdigest()
    return _outcome(ran, ran.code == 0 and digest == entry.submission_id)


# --- the sidecars ---------------------------------------------------------------------------------------------------------------


def _with_json(path: Path, change: Callable[[dict], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


_SIDECARS: dict[str, Callable[[Path], object]] = {
    "cut in half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "empty": lambda path: path.write_bytes(b""),
    "zeros": lambda path: path.write_bytes(bytes(400)),
    "binary": lambda path: path.write_bytes(bytes(range(256))),
    "no object": lambda path: path.write_text("[]"),
    "null": lambda path: path.write_text("null"),
    "nested without end": lambda path: path.write_text("[" * 100_000),
    "without its receipts": lambda path: _with_json(path, lambda one: one.pop("receipts")),
    "with no receipt": lambda path: _with_json(path, lambda one: one.update(receipts=[])),
    "receipts of another type": lambda path: _with_json(path, lambda one: one.update(receipts="abc")),
    "a receipt without its county": lambda path: _with_json(path, lambda one: one["receipts"][0].pop("county_code")),
    "a county that is a number": lambda path: _with_json(path, lambda one: one["receipts"][0].update(county_code=7)),
    "a time that is none": lambda path: _with_json(path, lambda one: one["receipts"][0].update(received_at="gestern")),
    "a size that is a text": lambda path: _with_json(path, lambda one: one.update(size_bytes="12")),
    "the id of another": lambda path: _with_json(path, lambda one: one.update(submission_id="0" * 64)),
    "a batch of another type": lambda path: _with_json(path, lambda one: one.update(batch=3)),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


def _sidecar_case(do: Callable[[Path], object]) -> Callable[[Path], Outcome]:
    def run(folder: Path) -> Outcome:
        home = _home(folder)
        before = marts_content(home)
        store, entry = _entry(home)
        sidecar = store.path(entry.submission_id).with_suffix(".json")
        content = sidecar.read_bytes()
        do(sidecar)
        send(home, Draft("enrolment", DINGXIANG, "2024-2025"), "学生.xlsx", 3)
        ran = _xianbao(home, "run")
        again = _xianbao(home, "run")
        with duckdb.connect(str(home.published), read_only=True) as connection:
            used = {row[0] for row in connection.execute("SELECT file_name FROM marts.release_input").fetchall()}
        rebuilt = _xianbao(home, "rebuild")
        if sidecar.is_dir():
            sidecar.rmdir()
        sidecar.write_bytes(content)
        healed = _xianbao(home, "run")
        verified = _xianbao(home, "verify")
        words = (entry.submission_id[:16], "忻府区", "人口（更正）.xlsx", "备份")
        right = (
            all(one.code == 1 and one.has(*words) for one in (ran, again, rebuilt))
            and used == {"人口（更正）.xlsx", "定襄人口.xlsx", "学生.xlsx"}
            and (healed.code, verified.code) == (0, 0)
            and marts_content(home)["fct_indicator"] != before["fct_indicator"]
        )
        return _outcome(ran, right)

    return run


for _tried in ("cut in half", "empty"):
    case("24-sidecar-damaged", _tried, slow=_tried == "empty")(_sidecar_case(_SIDECARS[_tried]))


@case(
    "24-sidecar-damaged",
    "emptied, binary, no JSON, of other types, with keys missing: named and put aside, the others are read",
)
def _every_damage(folder: Path) -> Outcome:
    home = _home(folder)
    store, entry = _entry(home)
    sidecar = store.path(entry.submission_id).with_suffix(".json")
    content, all_n = sidecar.read_bytes(), len(list(store))
    wrong = []
    for tried, do in _SIDECARS.items():
        do(sidecar)
        named = entry.submission_id in store.damaged_sidecars() and len(list(store)) == all_n - 1
        store.set_sidecars_aside(store.damaged_sidecars())
        put_aside = not sidecar.exists() and entry.submission_id in store.damaged_sidecars()
        sidecar.write_bytes(content)
        aside = sidecar.with_name(sidecar.name + ".damaged")
        if not (named and put_aside and store.damaged_sidecars() == {} and len(list(store)) == all_n):
            wrong.append(tried)
        shutil.rmtree(aside) if aside.is_dir() else aside.unlink()
    return Outcome(f"{len(_SIDECARS)} damages, not told: {wrong}", not wrong)


@case("24-sidecar-damaged", "cut, and the county sends the file once more: written again", slow=True)
def _written_again(folder: Path) -> Outcome:
    home = _home(folder)
    store, entry = _entry(home)
    sidecar = store.path(entry.submission_id).with_suffix(".json")
    sidecar.write_bytes(sidecar.read_bytes()[:50])
    shutil.copyfile(store.path(entry.submission_id), home.root / "counties" / XINFU.code / "人口（更正）.xlsx")
    ran = _xianbao(home, "run")
    return _outcome(ran, ran.code == 0 and store.get(entry.submission_id) is not None)


@case("24-sidecar-damaged", "a record of who was late cut in half", slow=True)
def _record_of_lateness(folder: Path) -> Outcome:
    home = _home(folder)
    record_late(home, set(), on=date(2025, 4, 1))
    assert _xianbao(home, "run").code == 0
    before = marts_content(home)
    record = home.raw / "lateness" / "2025-04-01.json"
    content = record.read_bytes()
    record.write_bytes(content[: len(content) // 2])
    send(home, Draft("enrolment", DINGXIANG, "2024-2025"), "学生.xlsx", 3)
    ran, rebuilt = _xianbao(home, "run"), _xianbao(home, "rebuild")
    record.write_bytes(content)
    healed = _xianbao(home, "run")
    right = (
        all(one.code == 1 and one.has("2025-04-01.json", "备份") for one in (ran, rebuilt))
        and healed.code == 0
        and marts_content(home) != before
    )
    return _outcome(ran, right)


@case("24-sidecar-damaged", "a record of a day that is none; a note on a source cut in half, and a release as of a day")
def _records_as_of_a_day(folder: Path) -> Outcome:
    home = _home(folder)
    note_source(home, XINFU.code, "来源是空的", now=datetime(2025, 1, 6, tzinfo=UTC))
    no_day = home.raw / "lateness" / "2025-02-30.json"
    no_day.parent.mkdir()
    no_day.write_text("[]", encoding="ascii")
    with home.writing():
        told = land_new(home).faults
    no_day.unlink()
    (note,) = (home.raw / "sources").glob("*.json")
    note.write_bytes(note.read_bytes()[:40])
    try:
        publish_as_of(home, "2025-06-01")
    except ReconstructionFault as refused:
        words = str(refused)
    else:
        words = "published without it"
    right = set(told) == {no_day.name} and "raw/sources/000001.json 读不出来" in words
    return Outcome(f"{told}; {words}", right)


@case("24-sidecar-damaged", "a release as of a day, when raw/ is empty, lacks a submission, has a damaged sidecar")
def _as_of_a_day_of_a_raw_that_lacks(folder: Path) -> Outcome:
    def cut(home: Home) -> None:
        sidecar = sorted((home.raw / "submissions").glob("??/*.json"))[0]
        sidecar.write_bytes(sidecar.read_bytes()[:100])

    told = []
    for number, do in enumerate((
        lambda home: shutil.rmtree(home.raw),
        lambda home: shutil.rmtree(home.raw / "submissions"),
        lambda home: sorted((home.raw / "submissions").glob("??/*.json"))[0].unlink(),
        cut,
    )):  # fmt: skip
        (folder / str(number)).mkdir()
        home = _home(folder / str(number))
        do(home)
        told.append(_xianbao(home, "publish", "--as-of", "2025-06-01"))
    right = all(one.code == 1 and one.has("raw/") and not one.has("Traceback") for one in told)
    return Outcome("; ".join(f"[{one.code}] {one.last}" for one in told), right)


# --- the log of decisions -------------------------------------------------------------------------------------------------------


def _rechained(home: Home, change: Callable[[list[dict]], object]) -> None:
    """Change the log's entries, and compute numbers, chain and head anew."""
    folder = home.decisions.folder
    entries = [json.loads(path.read_text()) for path in sorted(folder.glob("[0-9]*.json"))]
    change(entries)
    for path in folder.glob("*.json"):
        path.unlink()
    previous = ""
    for number, entry in enumerate(entries, start=1):
        text = json.dumps({**entry, "number": number, "previous": previous}, ensure_ascii=False, indent=1) + "\n"
        (folder / f"{number:06d}.json").write_text(text)
        previous = hashlib.sha256(text.encode()).hexdigest()
    (folder / "head.json").write_text(json.dumps({"count": len(entries), "sha256": previous}))


def _forged(entries: list[dict]) -> None:
    entries.insert(1, {**entries[0], "period": "2022", "by": "无名"})


def _all_removed(home: Home) -> None:
    for path in home.decisions.folder.glob("*"):
        path.unlink()


def _exchanged(home: Home) -> None:
    one, two = (home.decisions.folder / f"00000{n}.json" for n in (1, 2))
    first = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(first)


def _word_changed(home: Home) -> None:
    path = home.decisions.folder / "000001.json"
    path.write_text(path.read_text().replace("市局甲", "市局乙"))


_LOGS: dict[str, Callable[[Home], object]] = {
    "the last removed, head rewritten": lambda home: _rechained(home, lambda entries: entries.pop()),
    "the first removed, computed anew": lambda home: _rechained(home, lambda entries: entries.pop(0)),
    "all removed": _all_removed,
    "the folder removed": lambda home: shutil.rmtree(home.decisions.folder),
    "all but the head removed": lambda home: [path.unlink() for path in home.decisions.folder.glob("[0-9]*.json")],
    "another name, computed anew": lambda home: _rechained(home, lambda entries: entries[0].update(by="市局乙")),
    "another period, computed anew": lambda home: _rechained(home, lambda entries: entries[1].update(period="2025")),
    "one put in between, computed anew": lambda home: _rechained(home, _forged),
    "put in another order, computed anew": lambda home: _rechained(home, lambda entries: entries.reverse()),
    "one word changed": _word_changed,
    "one removed": lambda home: (home.decisions.folder / "000001.json").unlink(),
    "one renamed": lambda home: (home.decisions.folder / "000002.json").rename(home.decisions.folder / "000002.bak"),
    "the head removed": lambda home: (home.decisions.folder / "head.json").unlink(),
    "two exchanged": _exchanged,
    "one that takes back what was never decided, added": lambda home: _rechained(
        home, lambda entries: entries.append({**entries[0], "action": "revoke", "period": None, "revokes": 77})
    ),
    "one with a time of another kind, added": lambda home: _rechained(
        home, lambda entries: entries.append({**entries[0], "at": "2030-01-01T00:00:00+08:00"})
    ),
    "one with a name that is none, added": lambda home: _rechained(
        home, lambda entries: entries.append({**entries[-1], "by": ["甲"]})
    ),
}


_BY_ALL = (
    ("decide", "log"), ("run",), ("verify",), ("rebuild",), ("publish", "--as-of", "2024-12-31"),
    ("decide", "unlock", "--period", "2024", "--until", "2099-01-01", "--by", "甲", "--reason", "补报", "--no-run"),
)  # fmt: skip


def _log_case(do: Callable[[Home], object], *commands: tuple[str, ...]) -> Callable[[Path], Outcome]:
    def run(folder: Path) -> Outcome:
        home = _home(folder)
        before = marts_content(home)
        send(home, Draft("enrolment", DINGXIANG, "2024-2025"), "学生.xlsx", 3)
        do(home)
        said = [_xianbao(home, *words) for words in commands]
        told = [one.code == 1 and one.has("决定", "请从备份恢复整个 raw/") for one in said]
        right = all(told) and marts_content(home) == before and len(list(ReleaseLog(home))) == 3
        return Outcome(f"refused: {told}: {said[0].last}", right)

    return run


for _tried, _do in _LOGS.items():
    case("27-decision-log-rewritten", _tried)(_log_case(_do, ("decide", "log"), _BY_ALL[-1]))
for _tried in ("the last removed, head rewritten", "all removed"):
    case("27-decision-log-rewritten", f"{_tried}: every command refuses", slow=_tried == "all removed")(
        _log_case(_LOGS[_tried], *_BY_ALL)
    )


# --- the private databases ------------------------------------------------------------------------------------------------------


def _blocks(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for at in range(12_288 + 4096, len(content), 262_144):
        content[at : at + 4096] = bytes(len(content[at : at + 4096]))
    path.write_bytes(content)


def _wal_of_another(path: Path) -> None:
    other = path.with_name("other.duckdb")
    script = (
        f"import duckdb, os; c = duckdb.connect({str(other)!r}); c.execute('CREATE TABLE t AS FROM range(9)'); c.execute('CHECKPOINT');"
        "c.execute('INSERT INTO t FROM range(99)'); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", script], check=False)
    wal = other.with_name(other.name + ".wal")
    wal.replace(path.with_name(path.name + ".wal"))
    other.unlink()


_DAMAGES: dict[str, Callable[[Path], object]] = {
    "first 8 KiB zeros": lambda path: _zeros(path, 8192),
    "blocks inside overwritten": _blocks,
    "cut to a third": lambda path: os.truncate(path, path.stat().st_size // 3),
    "all zeros": _zeros,
    "empty": lambda path: path.write_bytes(b""),
    "a text": lambda path: path.write_text("hello " * 1000),
    "a folder in its place": lambda path: (path.unlink(), path.mkdir()),
    "the write-ahead log of another beside it": _wal_of_another,
    "another database in its place": lambda path: (path.unlink(), duckdb.connect(str(path)).close()),
    "removed": lambda path: path.unlink(),
}


def _damage_case(which: str, do: Callable[[Path], object]) -> Callable[[Path], Outcome]:
    def run(folder: Path) -> Outcome:
        home = _home(folder)
        before = marts_content(home)
        do(getattr(home, which))
        # What is missing, or a build database of another making, is made without a word.
        is_quiet = do is _DAMAGES["removed"] or (
            which == "build_database" and do is _DAMAGES["another database in its place"]
        )
        # Marts that open and are others are built again; what cannot be opened tells nothing of which of the two is to be trusted.
        from_raw = which == "build_database" or do is _wal_of_another
        made_of = "由 raw/ 重新建好" if from_raw else "由构建库重新建好"
        send(home, Draft("enrolment", DINGXIANG, "2024-2025"), "学生.xlsx", 3)
        ran = _xianbao(home, "run")
        with duckdb.connect(str(home.published), read_only=True) as connection:
            used = connection.execute("SELECT count(*) FROM marts.release_input").fetchall()
        right = (
            ran.code == 0
            and (is_quiet or ran.has("私有数据库", made_of))
            and used == [(3,)]
            and marts_content(home) != before
        )
        return _outcome(ran, right)

    return run


for _which in ("build_database", "marts_database"):
    for _tried, _change in _DAMAGES.items():
        case(
            "28-private-database-damaged",
            f"{_which}: {_tried}; something new in an inbox",
            slow=(_which, _tried) != ("build_database", "first 8 KiB zeros"),
        )(_damage_case(_which, _change))


@case("28-private-database-damaged", "damaged, nothing new: nothing else changes, the next run is quiet", slow=True)
def _damaged_and_nothing_new(folder: Path) -> Outcome:
    home = _home(folder)
    before = marts_content(home)
    _blocks(home.build_database)
    ran, again = _xianbao(home, "run"), _xianbao(home, "run")
    right = (ran.code, again.code) == (0, 0) and ran.has("私有数据库") and "私有数据库" not in again.text
    return _outcome(ran, right and marts_content(home) == before and len(list(ReleaseLog(home))) == 3)


@case("28-private-database-damaged", "held by another process: no damage, nothing is thrown away", slow=True)
def _held_by_another(folder: Path) -> Outcome:
    home = _home(folder)
    script = (
        f"import duckdb, time; c = duckdb.connect({str(home.build_database)!r}); print(1, flush=True); time.sleep(120)"
    )
    holder = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    holder.stdout.readline()
    try:
        ran = _xianbao(home, "run")
    finally:
        holder.kill()
        holder.wait()
    after = _xianbao(home, "run")
    right = (
        ran.code == 1 and "正被另一个程序" in ran.text and after.code == 0 and not (home.private / "damaged").exists()
    )
    return _outcome(ran, right)


# --- one run at a time, and never an empty release ------------------------------------------------------------------------------


@case("40-operations/8", "the build database taken away after screening, after the marts")
def _taken_away(folder: Path) -> Outcome:
    results = []
    for taken in ("screened", "built"):
        home = _home(folder / taken)
        before, releases = marts_content(home), len(list(ReleaseLog(home)))
        send(home, Draft("enrolment", DINGXIANG, "2024-2025"), "学生.xlsx", 3)
        collect_all(home)
        with home.writing():
            database = land_new(home).database
            if taken == "built":
                build_marts(home, database=database)
            remove_build(home)
            for step in (build_marts, publish):
                try:
                    step(home, database=database)
                    results.append("went on")
                except BuildDatabaseLost as lost:
                    results.append("stopped" if "再运行一次" in str(lost) else str(lost))
        results.append(
            "kept" if (marts_content(home), len(list(ReleaseLog(home)))) == (before, releases) else "published"
        )
        after = _xianbao(home, "run")
        results.append("healed" if after.code == 0 and marts_content(home) != before else after.text)
    return Outcome("、".join(results), results == ["stopped", "stopped", "kept", "healed"] * 2)


@case(
    "40-operations/8", "a release of a build database in which nothing was landed, of one that was emptied", slow=True
)
def _without_filings(folder: Path) -> Outcome:
    results = []
    for tables in (("filing_version",), ("filing_version", "screened", "submission")):
        home = _home(folder / str(len(tables)))
        before = marts_content(home)
        with duckdb.connect(str(home.build_database)) as connection:
            for table in tables:
                connection.execute(f"DELETE FROM landing.{table}")
            connection.execute("INSERT INTO control.dirty_return VALUES ('*')")
        with home.writing():
            build_marts(home)
            try:
                publish(home)
                results.append("published")
            except PublishFault as fault:
                results.append("refused" if "不发布空的指标库" in str(fault) else str(fault))
        results.append("kept" if marts_content(home) == before else "lost")
    return Outcome("、".join(results), results == ["refused", "kept"] * 2)


@case("40-operations/8", "every filing sent back by the bureau: an empty release is right", slow=True)
def _all_sent_back(folder: Path) -> Outcome:
    home = small_home(folder / "home", [(XINFU.code, XINFU.name, "Xinfu")])
    send(home, with_more_people(0), "人口.xlsx", 1)
    assert _xianbao(home, "run").code == 0
    said = _xianbao(home, "decide", "return", "population", "--county", XINFU.code, "--period", "2024", "--version", "1",
                    "--by", "甲", "--reason", "有误")  # fmt: skip
    with duckdb.connect(str(home.published), read_only=True) as connection:
        used = connection.execute("SELECT count(*) FROM marts.release_input").fetchall()
    return _outcome(said, said.code == 0 and used == [(0,)])


@case("40-operations/8", "a home without any file: an empty release, and words", slow=True)
def _no_file_at_all(folder: Path) -> Outcome:
    home = small_home(folder / "home", [(XINFU.code, XINFU.name, "Xinfu")])
    ran = _xianbao(home, "run")
    return _outcome(ran, ran.code == 0 and ran.has())


@case(
    "40-operations/8",
    "rebuild, rescreen and publish as of a day while a run holds the home: each waits, and gives up in words",
)
def _meanwhile(folder: Path) -> Outcome:
    home = _home(folder)
    script = (
        "import sys, time; from pathlib import Path; from pipelines.home import Home\n"
        "with Home(Path(sys.argv[1])).writing():\n    print(1, flush=True); time.sleep(4)"
    )
    before = marts_content(home)
    results = []
    for words in (("rebuild",), ("rescreen", "--period", "2024"), ("run",)):
        holder = subprocess.Popen([sys.executable, "-c", script, str(home.root)], stdout=subprocess.PIPE, cwd=PROJECT)
        assert holder.stdout is not None
        holder.stdout.readline()
        started = time.monotonic()
        said = _xianbao(home, *words)
        waited = time.monotonic() - started > 2 and holder.wait() == 0
        results.append(said.code == 0 and waited and said.has("另一次运行正在进行", f"进程号 {holder.pid}"))
    return Outcome(f"waited: {results}", all(results) and marts_content(home) == before)


@case("40-operations/8", "rebuild in a second terminal while a run screens", slow=True)
def _two_terminals(folder: Path) -> Outcome:
    home = _home(folder)
    for number in range(6):
        send(home, with_more_people(number, DINGXIANG), f"{number}.xlsx", 50 + number)
    send(home, Draft("enrolment", DINGXIANG, "2024-2025"), "学生.xlsx", 3)
    command = [str(Path(sys.executable).with_name("xianbao")), "--home", str(home.root)]
    environment = {name: value for name, value in os.environ.items() if name not in ("DAGSTER_HOME", "XIANBAO_STATE")}
    first = subprocess.Popen([*command, "run"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    while not (home.private / "writer.lock").read_text().startswith(f"进程号 {first.pid}"):
        time.sleep(0.1)
    second = subprocess.run([*command, "rebuild"], env=environment, capture_output=True, text=True, check=False)
    text = first.communicate()[0].decode()
    with duckdb.connect(str(home.published), read_only=True) as connection:
        used = connection.execute("SELECT count(*) FROM marts.release_input").fetchall()
    right = (first.returncode, second.returncode) == (0, 0) and "正在进行" in second.stderr and used == [(3,)]
    return Outcome(f"run [{first.returncode}], rebuild [{second.returncode}] {second.stderr[:200]} {text[-80:]}", right)


# --- an output named like a schema ----------------------------------------------------------------------------------------------


@case(
    "40-operations/7",
    "publish --as-of --out 指标.duckdb, marts, MARTS.DB, main, temp.duckdb.bak, into warehouse/, over the published",
)
def _named_like_a_schema(folder: Path) -> Outcome:
    home = _home(folder)
    out = folder / "out"
    out.mkdir()
    names = ["指标.duckdb", "marts.duckdb", "MARTS.DB", "Marts.2025.duckdb", "main.duckdb", "temp.duckdb.bak", "system", "指标",
             "information_schema.duckdb", "pg_catalog.duckdb", ".duckdb"]  # fmt: skip
    paths = [*(out / name for name in names), home.published, home.raw / "年底.duckdb", home.private / "build.duckdb"]
    said = [_xianbao(home, "publish", "--as-of", "2024-12-31", "--out", str(path)) for path in paths]
    refused = [one.code == 2 and ("换一个名字" in one.text or "写到别处" in one.text) for one in said]
    proposed = list(out.iterdir())
    return Outcome(f"refused: {refused}: {said[0].last}", all(refused) and not proposed)


@case("40-operations/7", "the name that is proposed can be asked", slow=True)
def _proposed_name(folder: Path) -> Outcome:
    home = _home(folder)
    said = _xianbao(home, "publish", "--as-of", "2024-12-31", "--out", str(folder / "指标.duckdb"))
    proposed = Path(said.text.split("如 ")[-1].strip())
    made = _xianbao(home, "publish", "--as-of", "2024-12-31", "--out", str(proposed))
    with duckdb.connect(str(proposed), read_only=True) as connection:
        n = len(connection.execute('FROM "指标"."一览"').fetchall())
    return _outcome(made, made.code == 0 and n > 0)


# --- a checkout that may not be written -----------------------------------------------------------------------------------------


@case(
    "40-operations/9", "the checkout on a read-only mount, nothing made but what set-up makes: it publishes", slow=True
)
def _read_only_checkout(folder: Path) -> Outcome:
    home = small_home(folder / "home", [(XINFU.code, XINFU.name, "Xinfu")])
    send(home, with_more_people(0), "人口.xlsx", 1)
    command = [str(Path(sys.executable).with_name("xianbao")), "--home", str(home.root), "run"]
    project = PROJECT / "dbt_project"
    # A mount of its own, seen by this process alone: the project without its target, and then with what set-up parses.
    script = f"""
set -e
mount --bind {PROJECT} {PROJECT}
mount -t tmpfs none {project}/target
mount -o remount,bind,ro {project}/target
mount -o remount,bind,ro {PROJECT}
! touch {project}/target/x 2>/dev/null
exec "$@"
"""
    environment = {name: value for name, value in os.environ.items() if name not in ("DAGSTER_HOME", "XIANBAO_STATE")}
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        return Outcome("not tried: no mount of one's own here", right=True)
    ran = subprocess.run(["unshare", "-m", "bash", "-c", script, "bash", *command], env=environment, capture_output=True,
                         text=True, check=False)  # fmt: skip
    said = _Said(ran.returncode, ran.stdout + ran.stderr)
    return _outcome(said, said.code == 0 and home.published.exists() and home.documentation.exists())
