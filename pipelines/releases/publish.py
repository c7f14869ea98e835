"""Publishing: the marts file, stamped with what it was made from, swapped in so that no reader ever fails.

Belongs here: the stamp and the swap, and what must never be published. What stands in the marts is dbt's; what makes a release, and
which are kept, is `release`; whether the published file still is what was published, `held`. A reader keeps the file it has opened; whoever opens next gets the new one; nobody sees one half-written.
"""

import filecmp
import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from pipelines.files import FOR_ALL, fingerprint, folder_aside, is_unchanged, replace_file, sha256_of, sync_folder
from pipelines.home import Home
from pipelines.intake.raw_store import RawStore
from pipelines.releases.held_file import expect, expected, what_is_wrong, write_ahead_log
from pipelines.releases.presentation import SCHEMA, create_described_table, write_chinese_layer
from pipelines.releases.release import (
    Inputs,
    Manifest,
    ReleaseLog,
    ReleaseLogDamaged,
    TableContent,
    Versions,
    code_version,
    inputs_of,
    release_id,
    table_contents,
    table_contents_of,
)
from pipelines.screening.rules import rule_set_version
from pipelines.warehouse.build_database import dirty_returns, get_state, open_screened, set_state
from pipelines.warehouse.dbt import docs_page, project_digest
from pipelines.warehouse.landed_policy import landed_files, samples_in_force
from pipelines.warehouse.opened import FileUnusable, MartsNotOurs, opened

#: Opens in every DuckDB client from 1.2 on; the default of 2.0 opens in no 1.x client.
STORAGE_VERSION = "v1.2.0"
#: Of 256 KiB each: below this it is not worth the writing.
_MANY_FREE_BLOCKS = 16

_RELEASE = {
    "release_id": ("VARCHAR", "发布编号：由全部表的内容算出，内容相同则编号相同"),
    "as_of": ("TIMESTAMP", "数据截至时间（UTC）；空表示采用已知的全部报送件"),
    "newest_received_at": ("TIMESTAMP", "所用报送件中最晚的收到时间（UTC）"),
    "built_from": ("VARCHAR", "全部在用报送件 SHA-256 清单的摘要"),
    "submissions_n": ("BIGINT", "在用报送件数（件）"),
    "code_version": ("VARCHAR", "程序版本与源码摘要"),
    "rule_set_version": ("VARCHAR", "审核规则版本"),
    "model_version": ("VARCHAR", "指标模型版本"),
}
_RELEASE_INPUT = {
    "return_code": ("VARCHAR", "报表"),
    "county_code": ("VARCHAR", "县区代码"),
    "period": ("VARCHAR", "报告期"),
    "submission_id": ("VARCHAR", "在用报送件的 SHA-256"),
    "file_name": ("VARCHAR", "文件名"),
    "received_at": ("TIMESTAMP", "收到时间（UTC）"),
}


class PublishFault(RuntimeError):
    """The marts file is not fit to be published; the published one stays as it is."""


@dataclass(frozen=True)
class Published:
    """What a publish came to. `changed` is false when the published file already was this release; `told`: what was not as it was
    left, and has been put right (Chinese); `samples`: title of a table of policy → how many of its rows in force are samples;
    `refused`: why nothing was published, whatever lay there before (Chinese)."""

    release_id: str | None
    path: Path
    size_bytes: int
    changed: bool
    told: tuple[str, ...] = ()
    samples: dict[str, int] = field(default_factory=dict)
    refused: str = ""


@dataclass(frozen=True)
class Stamped:
    """The private marts file as a release: its id and the content of its tables."""

    release_id: str
    tables: dict[str, TableContent]


def published_release(home: Home) -> str | None:
    """The release id of the published file, None when there is none that can be read."""
    if not home.published.exists():
        return None
    try:
        with opened(home.published) as connection:
            rows = connection.execute("SELECT release_id FROM marts.release").fetchall()
    except FileUnusable as unusable:
        # While a client holds it open for writing, its manifest tells what it is; nothing need be published again for that.
        return _manifest_says(home) if unusable.is_held else None
    return str(rows[0][0]) if rows else None


def _manifest_says(home: Home) -> str | None:
    try:
        return str(json.loads(home.manifest.read_bytes())["release_id"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def publish(home: Home, *, database: str | None = None) -> Published:
    """Stamp the private marts file and swap a copy in as `warehouse/xianbao.duckdb`; the returns are clean afterwards.

    The published file is held against what was published; whatever stands there instead is replaced. `database`: the identity of the
    build database that this run has screened into. The caller holds `home.writing()`. Raises PublishFault when the file is not fit,
    BuildDatabaseLost or FileUnusable when the private databases are not this run's, ReleaseLogDamaged; then nothing is replaced.
    """
    newest = ReleaseLog(home).newest()
    refuse_lost_manifest(home)
    wrong = what_is_wrong(home, newest)
    published = published_release(home) if wrong is None else None
    with open_screened(home, database) as connection:
        samples = samples_in_force(connection)
        if samples and home.municipality.publish.require_policy:
            size_bytes = home.published.stat().st_size if home.published.exists() else 0
            return Published(published, home.published, size_bytes, False, samples=samples, refused=refusal(samples))
        is_clean = not dirty_returns(connection)
        built = get_state(connection, "built")
        is_newest = newest is not None and newest.release_id == published == built
        if is_clean and is_newest and newest is not None and wrong is None:
            told = _put_manifest_right(home, newest)
            log = ReleaseLog(home)
            # As versions before kept it: what happens to the one happens to the other.
            if (kept := log.kept_file(newest)) and kept.samefile(home.published):
                log.keep(newest, home.published)
            return Published(newest.release_id, home.published, home.published.stat().st_size, False, told, samples)
        inputs = _inputs(connection, home)
        _refuse_emptiness(connection, home)
        left = get_state(connection, "marts_left")
        if not home.marts_database.exists() or (left and not is_unchanged(home.marts_database, left)):
            raise MartsNotOurs(home.marts_database)
        set_state(connection, "marts_left", "")
    stamped = stamp(home, database=database)
    documentation = docs_page(home)
    changed = published != stamped.release_id
    if changed:
        swap_in(home, stamped.tables)
    if not home.documentation.exists() or not filecmp.cmp(documentation, home.documentation, shallow=False):
        replace_file(home.documentation, documentation.read_bytes(), mode=FOR_ALL)
    manifest = _write_down(home, stamped, inputs)
    # Written after the swap and again by the next run where a kill came between: both name the release that they speak of.
    _put_manifest_right(home, manifest)
    with open_screened(home, database) as connection:
        connection.begin()
        set_state(connection, "built", stamped.release_id)
        set_state(connection, "marts_left", fingerprint(home.marts_database))
        connection.execute("DELETE FROM control.dirty_return")
        connection.commit()
    told = (f"发布库 {home.published.name} {wrong}；已由发布 {stamped.release_id} 取代。",) if wrong else ()
    return Published(stamped.release_id, home.published, home.published.stat().st_size, changed, told, samples)


def refusal(samples: Mapping[str, int]) -> str:
    """Why nothing is published on samples, where the configuration asks for official policy (Chinese)."""
    named = "、".join(f"{title} {number} 行" for title, number in samples.items())
    return (
        f"没有发布：配置要求以正式文件为准（publish.require_policy），而现行的政策表里还有示例：{named}。已发布的保持不变。"
        "请用 xianbao policy show 查看，换成本市的文件后再运行。"
    )


def refuse_lost_manifest(home: Home) -> None:
    """The manifest beside the published file is written after that in `raw/releases`: one that is not there has been removed since.
    Raises ReleaseLogDamaged."""
    try:
        beside = Manifest.from_json(home.manifest.read_bytes())
    except (OSError, ValueError, KeyError, TypeError):
        return
    is_known = any(manifest.release_id == beside.release_id for manifest in ReleaseLog(home))
    if not is_known and published_release(home) == beside.release_id:  # else it is forged, and is put right
        raise ReleaseLogDamaged(
            f"{home.raw / 'releases'}：缺第 {beside.number} 号发布清单，而它是现行发布 {beside.release_id} 的。请从备份恢复整个 raw/；"
            f"要以现有的 raw/ 为准，请先移走 {home.manifest.name} 再运行。"
        )


def _put_manifest_right(home: Home, manifest: Manifest) -> tuple[str, ...]:
    """Have the manifest beside the published file say what `raw/releases` says; in words, where it said something else."""
    try:
        before = home.manifest.read_bytes()
    except OSError:
        before = b""
    if before == manifest.as_json():
        return ()
    replace_file(home.manifest, manifest.as_json(), mode=FOR_ALL)
    return (f"发布库旁的清单 {home.manifest.name} 不见了或被改动，已按 raw/releases 写回。",)


def _refuse_emptiness(connection: duckdb.DuckDBPyConnection, home: Home) -> None:
    """A release without any filing is right where none was accepted, or all were sent back; in no other case, whatever the way there."""
    ((in_force_n, modelled_n),) = connection.execute(
        """SELECT (SELECT count(*) FROM landing.filing_in_force),
                  (SELECT count(*) FROM staging.stg_filing WHERE is_in_force)"""
    ).fetchall()
    judged = {
        row[0] for row in connection.execute("SELECT DISTINCT submission_id FROM landing.filing_version").fetchall()
    }
    if modelled_n:
        return
    unjudged_n = sum(entry.submission_id not in judged for entry in RawStore(home.raw))
    if in_force_n or unjudged_n:
        raise PublishFault(
            f"这次没有建出任何一份填报，而 raw/ 里还有 {in_force_n + unjudged_n} 件报送件没有算进去：不发布空的指标库，已发布的保持不变。"
            "请先看上面的故障，排除后再运行 xianbao run；仍然如此再运行 xianbao rebuild。"
        )


def _write_down(home: Home, stamped: Stamped, inputs: Inputs) -> Manifest:
    log = ReleaseLog(home)
    size_bytes = home.published.stat().st_size
    manifest = log.append(
        stamped.release_id, inputs, Versions.of_today(), stamped.tables, size_bytes, datetime.now(UTC)
    )
    log.keep(manifest, home.published)
    log.forget_old()
    return manifest


def _inputs(connection: duckdb.DuckDBPyConnection, home: Home) -> Inputs:
    """What the landed tables rest on, which `raw/` may have outgrown in the meantime."""
    known = connection.execute(
        "SELECT submission_id, arg_max(arrivals_n, screening_seq) FROM landing.screened GROUP BY ALL"
    ).fetchall()
    decisions_n, _, decisions_sha256 = (get_state(connection, "decisions_applied") or "0").partition(" ")
    ((status_on,),) = connection.execute("SELECT any_value(status_on) FROM control.run").fetchall()
    return inputs_of(
        home,
        {str(submission_id): int(arrivals_n) for submission_id, arrivals_n in known},
        decisions=(int(decisions_n), decisions_sha256),
        lateness_until=status_on.isoformat() if status_on else None,
        source_notes_n=int(get_state(connection, "source_notes_n") or 0),
        policy=landed_files(connection),
    )


def stamp(home: Home, as_of: datetime | None = None, *, database: str | None = None) -> Stamped:
    """Write the release tables and the Chinese layer into the private marts file, and leave it checkpointed and closed.

    `as_of`: UTC without zone, where the marts are of an earlier moment. `database`: as of `publish`.
    """
    with open_screened(home, database) as connection:
        inputs = connection.execute(
            """SELECT return_code, county_code, period, submission_id, file_name, received_at
               FROM staging.stg_filing WHERE is_in_force ORDER BY ALL"""
        ).fetchall()
    with duckdb.connect(str(home.marts_database)) as connection:
        connection.begin()
        _write_table(
            connection,
            "release",
            _RELEASE,
            "本发布的身份：由哪些报送件、按哪套规则、口径和程序得出。粒度：全库一行。",
            (),
        )
        _write_table(
            connection, "release_input", _RELEASE_INPUT, "本发布采用的报送件。粒度：报表×县区×报告期。", inputs
        )
        write_chinese_layer(connection)
        tables = table_contents(connection)
        release = release_id(as_of.isoformat() if as_of else None, tables)
        _insert(connection, "release", [(
            release,
            as_of,
            max((row[5] for row in inputs if row[5] is not None), default=None),
            hashlib.sha256("\n".join(sorted({str(row[3]) for row in inputs})).encode()).hexdigest(),
            len({row[3] for row in inputs}),
            code_version(),
            rule_set_version(),
            project_digest(),
        )])  # fmt: skip
        connection.commit()
        connection.execute("CHECKPOINT")
    _compact(home)
    return Stamped(release, tables)


def _write_table(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    columns: dict[str, tuple[str, str]],
    comment: str,
    rows: Sequence[tuple[object, ...]],
) -> None:
    create_described_table(connection, f"marts.{table}", columns, comment)
    _insert(connection, table, rows)


def _insert(connection: duckdb.DuckDBPyConnection, table: str, rows: Sequence[tuple[object, ...]]) -> None:
    if rows:
        marks = ", ".join("?" for _ in rows[0])
        connection.executemany(f"INSERT INTO marts.{table} VALUES ({marks})", rows)


def swap_in(home: Home, tables: dict[str, TableContent] | None = None) -> None:
    """Put a proved copy of the private marts file in place of the published one; with `tables`, every row of it is read and held
    against the content that was stamped. Raises PublishFault."""
    wal = home.marts_database.with_name(home.marts_database.name + ".wal")
    if wal.exists():
        raise PublishFault(f"{wal.name} is still there: the marts were not checkpointed")
    # DuckDB names a database after its file: the copy is made under the final name, in a folder beside it.
    with folder_aside(home.warehouse) as aside:
        copy = aside / home.published.name
        shutil.copyfile(home.marts_database, copy)
        try:
            _check(copy, tables)
        except (duckdb.Error, FileUnusable, PublishFault):
            # A copy that cannot be read whole is made once more; what is unfit in itself fails again.
            shutil.copyfile(home.marts_database, copy)
            _check(copy, tables)
        copy.chmod(0o444)
        with copy.open("rb") as stream:
            os.fsync(stream.fileno())
        new = sha256_of(copy)
        expect(home, [*expected(home)[-1:], new])  # the one before and the one after, in case this is cut short
        # A write-ahead log left beside the target by a crashed client would be replayed into the new file.
        write_ahead_log(home).unlink(missing_ok=True)
        if home.published.is_dir() and not home.published.is_symlink():
            shutil.rmtree(home.published)
        copy.replace(home.published)
        sync_folder(home.warehouse)
        expect(home, [new])


def _compact(home: Home) -> None:
    """Write the private marts file anew where earlier builds have left much of it free, so that no release carries that along."""
    with duckdb.connect(str(home.marts_database), read_only=True) as connection:
        ((total_n, free_n),) = connection.execute(
            "SELECT total_blocks, free_blocks FROM pragma_database_size()"
        ).fetchall()
    if free_n < _MANY_FREE_BLOCKS or free_n * 4 < total_n:
        return
    with folder_aside(home.private) as folder:
        aside = folder / home.marts_database.name
        with duckdb.connect() as connection:
            connection.execute(f"ATTACH '{_text(home.marts_database)}' AS large (READ_ONLY)")
            connection.execute(f"ATTACH '{_text(aside)}' AS compact (STORAGE_VERSION '{STORAGE_VERSION}')")
            connection.execute("COPY FROM DATABASE large TO compact")
        aside.replace(home.marts_database)


def _text(path: Path) -> str:
    return str(path).replace("'", "''")


def _check(path: Path, tables: dict[str, TableContent] | None) -> None:
    """What a BI tool needs, proved on the very file that is about to be published."""
    if tables is not None and (read := table_contents_of(path)) != tables:
        differing = sorted(name for name in {*read, *tables} if read.get(name) != tables.get(name))
        raise PublishFault(f"the copy is not what was stamped: {differing}")
    with duckdb.connect(str(path), read_only=True) as connection:
        tags = connection.execute("SELECT tags FROM duckdb_databases() WHERE NOT internal").fetchall()
        if not any("storage_version" in str(row[0]) and STORAGE_VERSION in str(row[0]) for row in tags):
            raise PublishFault(f"storage version is not {STORAGE_VERSION}: {tags}")
        unfit = connection.execute(
            f"""SELECT view_name FROM duckdb_views() WHERE NOT internal AND schema_name <> '{SCHEMA}'
               UNION ALL SELECT index_name FROM duckdb_indexes()
               UNION ALL SELECT constraint_text FROM duckdb_constraints() WHERE constraint_type <> 'NOT NULL'
               UNION ALL SELECT type_name FROM duckdb_types() WHERE NOT internal"""
        ).fetchall()
        if unfit:
            raise PublishFault(f"views, indexes, constraints or types in the published file: {unfit}")
        for (view,) in connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall():
            connection.execute(f'SELECT * FROM "{SCHEMA}"."{view}" LIMIT 0').fetchall()
