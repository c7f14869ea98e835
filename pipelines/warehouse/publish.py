"""Publishing: the marts file, stamped with what it was made from, swapped in so that no reader ever fails.

Belongs here: the release's identity and the swap. What stands in the marts is dbt's. A reader keeps the file it has opened;
whoever opens next gets the new one; nobody sees one half-written.
"""

import hashlib
import importlib.metadata
import json
import os
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import duckdb

from pipelines.files import sync_folder
from pipelines.home import PROJECT, Home
from pipelines.screening.rules import rule_set_version
from pipelines.warehouse.build_database import get_state, open_build_database, set_state
from pipelines.warehouse.chinese import SCHEMA, write_chinese_layer
from pipelines.warehouse.dbt import project_digest

#: Opens in every DuckDB client from 1.2 on; the default of 2.0 opens in no 1.x client.
STORAGE_VERSION = "v1.2.0"

_RELEASE = {
    "release_id": ("VARCHAR", "发布编号：同样的输入、规则、口径和代码总得到同一编号"),
    "as_of": ("TIMESTAMP", "数据截至时间（UTC）；空表示采用已知的全部报送件"),
    "newest_received_at": ("TIMESTAMP", "所用报送件中最晚的收到时间（UTC）"),
    "built_from": ("VARCHAR", "全部在用报送件 SHA-256 清单的摘要"),
    "submissions_n": ("BIGINT", "在用报送件数（件）"),
    "code_version": ("VARCHAR", "程序版本与源码摘要"),
    "rule_set_version": ("VARCHAR", "审核规则版本"),
    "model_version": ("VARCHAR", "指标模型与口径种子版本"),
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
    """What a publish came to. `changed` is false when the published file already was this release."""

    release_id: str
    path: Path
    size_bytes: int
    changed: bool


@cache
def code_version() -> str:
    """Package version and eight digits of its source, so that two checkouts that compute alike say so."""
    digest = hashlib.sha256()
    package = PROJECT / "pipelines"
    for path in sorted(package.rglob("*")):
        if path.suffix in (".py", ".yaml") and path.is_file() and "sample" not in path.parts:
            digest.update(path.relative_to(package).as_posix().encode())
            digest.update(path.read_bytes())
    return f"{importlib.metadata.version('xianbao')}+{digest.hexdigest()[:8]}"


def published_release(home: Home) -> str | None:
    """The release id of the published file, None when there is none that can be read."""
    if not home.published.exists():
        return None
    try:
        with duckdb.connect(str(home.published), read_only=True) as connection:
            rows = connection.execute("SELECT release_id FROM marts.release").fetchall()
    except duckdb.Error:
        return None
    return str(rows[0][0]) if rows else None


def publish(home: Home) -> Published:
    """Stamp the private marts file and swap a copy in as `warehouse/xianbao.duckdb`; the returns are clean afterwards.

    The caller holds `home.writing()`. Raises PublishFault when the file is not fit; then nothing is replaced.
    """
    with open_build_database(home) as connection:
        built = get_state(connection, "built")
        inputs, release = _release(connection)
    release_id = str(release[0])
    if built == release_id and published_release(home) == release_id:
        # Rebuilt, and the same: what was out of date is so no longer.
        with open_build_database(home) as connection:
            connection.execute("DELETE FROM control.dirty_return")
        return Published(release_id, home.published, home.published.stat().st_size, changed=False)
    _stamp(home, release, inputs)
    _swap(home)
    with open_build_database(home) as connection:
        connection.begin()
        set_state(connection, "built", release_id)
        connection.execute("DELETE FROM control.dirty_return")
        connection.commit()
    return Published(release_id, home.published, home.published.stat().st_size, changed=True)


def _release(connection: duckdb.DuckDBPyConnection) -> tuple[list[tuple[object, ...]], tuple[object, ...]]:
    inputs = connection.execute(
        """SELECT return_code, county_code, period, submission_id, file_name, received_at
           FROM staging.stg_filing WHERE is_in_force ORDER BY ALL"""
    ).fetchall()
    screened = connection.execute("SELECT DISTINCT submission_id FROM landing.screened ORDER BY 1").fetchall()
    control = get_state(connection, "control")
    as_of = connection.execute("SELECT as_of FROM control.run").fetchall()
    lateness = connection.execute("SELECT * FROM landing.lateness ORDER BY ALL").fetchall()
    decisions = connection.execute("SELECT * FROM landing.decision ORDER BY decision_n").fetchall()
    versions = [code_version(), rule_set_version(), project_digest()]
    built_from = hashlib.sha256("\n".join(sorted({str(row[3]) for row in inputs})).encode()).hexdigest()
    everything = [inputs, screened, control, lateness, decisions, versions]
    release_id = hashlib.sha256(json.dumps(everything, default=str).encode()).hexdigest()[:16]
    newest = max((row[5] for row in inputs if row[5] is not None), default=None)
    submissions_n = len({row[3] for row in inputs})
    release = (release_id, as_of[0][0], newest, built_from, submissions_n, *versions)
    return inputs, release


def _stamp(home: Home, release: tuple[object, ...], inputs: list[tuple[object, ...]]) -> None:
    """Write the release tables into the private marts file, and leave it checkpointed and closed."""
    with duckdb.connect(str(home.marts_database)) as connection:
        connection.begin()
        for table, columns, comment, rows in (
            (
                "release",
                _RELEASE,
                "本发布的身份：由哪些报送件、按哪套规则、口径和程序得出。粒度：全库一行。",
                [release],
            ),
            ("release_input", _RELEASE_INPUT, "本发布采用的报送件。粒度：报表×县区×报告期。", inputs),
        ):
            declared = ", ".join(f"{name} {kind}" for name, (kind, _) in columns.items())
            connection.execute(f"CREATE OR REPLACE TABLE marts.{table} ({declared})")
            if rows:
                marks = ", ".join("?" for _ in columns)
                connection.executemany(f"INSERT INTO marts.{table} VALUES ({marks})", rows)
            connection.execute(f"COMMENT ON TABLE marts.{table} IS '{comment}'")
            for name, (_, text) in columns.items():
                connection.execute(f"COMMENT ON COLUMN marts.{table}.{name} IS '{text}'")
        write_chinese_layer(connection)
        connection.commit()
        connection.execute("CHECKPOINT")


def _swap(home: Home) -> None:
    wal = home.marts_database.with_name(home.marts_database.name + ".wal")
    if wal.exists():
        raise PublishFault(f"{wal.name} is still there: the marts were not checkpointed")
    # DuckDB names a database after its file: the copy is made under the final name, in a folder beside it.
    # Only one run writes at a time, so what lies there is what a killed run left behind.
    aside = home.warehouse / ".publishing"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        copy = aside / home.published.name
        shutil.copyfile(home.marts_database, copy)
        _check(copy)
        copy.chmod(0o444)
        with copy.open("rb") as stream:
            os.fsync(stream.fileno())
        # A write-ahead log left beside the target by a crashed client would be replayed into the new file.
        home.published.with_name(home.published.name + ".wal").unlink(missing_ok=True)
        copy.replace(home.published)
        sync_folder(home.warehouse)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _check(path: Path) -> None:
    """What a BI tool needs, proved on the very file that is about to be published."""
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
