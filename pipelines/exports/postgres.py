"""A copy of the published file in PostgreSQL, for tools that cannot open DuckDB: Excel, Power BI, 帆软.

Belongs here: types, comments, rights and the swap. What the tables hold is read from the published file, and the views of 指标 are
those of `releases.presentation`. Making roles does not belong here: whoever runs the database makes them, with their passwords.

**One transaction** makes new schemas beside those in place, fills them, takes the old ones away and renames the new. Whatever kills
it leaves the database as it was. The old tables are locked before the names change hands: PostgreSQL looks up the tables of a
statement one after the other, and without the lock a join could take one from each release. So a transaction that has read any
of our tables goes on reading the same release until it ends, at any isolation level. Rows are written frozen: a snapshot taken
before the swap would find the new tables empty otherwise.

The lock is asked for briefly, again and again: a report that runs for minutes neither hangs the pipeline nor, by way of the
queue behind our request, its colleagues. When the patience ends the copy is left to the next run.

**Nothing that others made is dropped.** Our schemas carry a mark in their comment, and a schema without it is refused. Old tables
on which somebody has built a view are kept under another name.
"""

import os
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from pipelines.municipality import Postgres
from pipelines.releases.presentation import ColumnFacts, catalogue, chinese_views
from pipelines.warehouse.opened import FileUnusable, opened

if TYPE_CHECKING:
    import psycopg

MARK = "由县报（xianbao）发布，每次发布整体替换，请勿在此建表。"
#: How long one attempt at the locks waits, in milliseconds. Under PostgreSQL's deadlock_timeout (1 s), so that in a deadlock with
#: a reader it is always we who give way.
_LOCK_MILLISECONDS = 300
#: Whoever queued up behind us goes first.
_PAUSE_SECONDS = 0.2
_NAME_BYTES = 63
_BATCH = 20_000
#: DuckDB → PostgreSQL, exactly. TIMESTAMP is UTC in the file and stays without a zone, so that every tool shows what the file says.
_TYPES = {
    "VARCHAR": "text",
    "BOOLEAN": "boolean",
    "TINYINT": "smallint",
    "SMALLINT": "smallint",
    "INTEGER": "integer",
    "BIGINT": "bigint",
    "UTINYINT": "smallint",
    "USMALLINT": "integer",
    "UINTEGER": "bigint",
    "UBIGINT": "numeric(20,0)",
    "HUGEINT": "numeric(39,0)",
    "FLOAT": "real",
    "DOUBLE": "double precision",
    "DATE": "date",
    "TIMESTAMP": "timestamp without time zone",
    "TIMESTAMP WITH TIME ZONE": "timestamp with time zone",
}


class CopyFault(RuntimeError):
    """The copy was not made, and the one in place is as it was. The message says in Chinese what to do."""


@dataclass(frozen=True)
class Copied:
    """What a copy came to. `changed` is false when this release was there already.

    `kept`: schemas with tables of an earlier release that could not be dropped, and what stands on them.
    """

    release_id: str
    changed: bool
    tables_n: int = 0
    rows_n: int = 0
    kept: dict[str, str] = field(default_factory=dict)


def postgres_type(data_type: str) -> str:
    """The PostgreSQL type that holds every value of a DuckDB type. Raises CopyFault for one that has none."""
    if data_type.startswith("DECIMAL("):
        return data_type.replace("DECIMAL", "numeric")
    try:
        return _TYPES[data_type]
    except KeyError:
        raise CopyFault(
            f"类型 {data_type} 在 PostgreSQL 里没有对应：请改指标模型，或补充 exports/postgres.py"
        ) from None


def short_name(name: str) -> str:
    """The name as PostgreSQL can hold it, in 63 bytes: `长名称·标准` loses the end of what stands before the dot, marked `…`."""
    if len(name.encode()) <= _NAME_BYTES:
        return name
    stem, dot, last = name.rpartition("·")
    if not dot:
        stem, last = name, ""
    room = _NAME_BYTES - len(f"…{dot}{last}".encode())
    return stem.encode()[:room].decode(errors="ignore") + f"…{dot}{last}"


def copy_to_postgres(published: Path, settings: Postgres, *, patience_seconds: float = 30.0) -> Copied:
    """Bring the published file into the database of the configuration, unless its release is there already.

    Waits at most `patience_seconds` for readers of the release in place. Raises CopyFault when it cannot be done; then nothing
    has changed.
    """
    try:
        import psycopg
    except ImportError:
        raise CopyFault(
            "没有安装 psycopg：运行 pip install 'xianbao[postgres]'，或删去配置里的 publish.postgres"
        ) from None
    where = f"{settings.host}:{settings.port}/{settings.database}"
    password = None
    if settings.password_variable:
        password = os.environ.get(settings.password_variable)
        if not password:
            raise CopyFault(f"环境变量 {settings.password_variable} 没有设置或为空：它应是 {where} 的口令")
    try:
        server = psycopg.connect(
            host=settings.host, port=settings.port, dbname=settings.database, user=settings.user, password=password,
            application_name="xianbao", client_encoding="utf8", autocommit=True, connect_timeout=10, keepalives_idle=30, tcp_user_timeout=60_000,
        )  # fmt: skip
    except psycopg.Error as error:
        raise CopyFault(
            f"连不上 PostgreSQL {where}（{_first_line(error)}）：检查地址、用户、口令和 pg_hba.conf"
        ) from None
    try:
        with closing(server), opened(published) as file:
            return _Copy(file, server, settings).run(patience_seconds)
    except FileUnusable as unusable:
        raise CopyFault(unusable.chinese) from None
    except psycopg.errors.InsufficientPrivilege as error:
        raise CopyFault(
            f"{where}：{_first_line(error)}。请库管理员执行 "
            f'GRANT CREATE ON DATABASE "{settings.database}" TO "{settings.user}"'
        ) from None
    except psycopg.Error as error:
        raise CopyFault(f"{where}：{_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


class _Copy:
    """One copy: the file, the server, and the two schemas it makes."""

    def __init__(
        self, file: duckdb.DuckDBPyConnection, server: "psycopg.Connection[tuple[Any, ...]]", settings: Postgres
    ) -> None:
        self._file = file
        self._server = server
        self._settings = settings
        self._schemas = (
            settings.chinese_schema,
            settings.marts_schema,
        )  # in this order nothing is dropped under a view
        ((release_id,),) = file.execute("SELECT release_id FROM marts.release").fetchall()
        self._release_id = str(release_id)
        # Says whose schema it is, and all that decides whether the copy has to be made anew.
        self._mark = f"{MARK}发布编号 {self._release_id}；读者 {settings.reader_role or '未指定'}。"

    def run(self, patience_seconds: float) -> Copied:
        with self._server.transaction():
            self._check()
            in_place = {name: self._comment(name) for name in self._schemas}
            foreign = [
                name for name, comment in in_place.items() if comment is not None and not comment.startswith(MARK)
            ]
            if foreign:
                raise CopyFault(
                    f"模式 {'、'.join(foreign)} 不是本系统建的，不能替换："
                    "在 publish.postgres 里换 marts_schema、chinese_schema，或由库管理员移走它"
                )
            changed = any(comment != self._mark for comment in in_place.values())
            tables_n = rows_n = 0
            if changed:
                new = {name: self._free_name(f"{name}_new") for name in self._schemas}
                tables_n, rows_n = self._make(new)
                self._swap(new, patience_seconds)
        return Copied(self._release_id, changed, tables_n, rows_n, self._drop_replaced())

    def _run(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        cursor = self._server.execute(sql, values or None)
        return cursor.fetchall() if cursor.description else []

    def _check(self) -> None:
        ((encoding,),) = self._run("SHOW server_encoding")
        if encoding != "UTF8":
            raise CopyFault(f"数据库的编码是 {encoding}：请用 CREATE DATABASE … ENCODING 'UTF8' 另建一个")
        role = self._settings.reader_role
        if role and not self._run("SELECT 1 FROM pg_roles WHERE rolname = %s", role):
            raise CopyFault(f"没有读者角色 {role}：请库管理员执行 CREATE ROLE {_quoted(role)}，再授予各读者")
        ((alone,),) = self._run(
            "SELECT pg_try_advisory_xact_lock(hashtext(%s))", "xianbao/" + self._settings.marts_schema
        )
        if not alone:
            raise CopyFault("另一次复制正在进行，留待下次")

    def _comment(self, schema: str) -> str | None:
        """What a schema says of itself: empty without comment, None when there is no such schema."""
        found = self._run(
            "SELECT coalesce(obj_description(oid, 'pg_namespace'), '') FROM pg_namespace WHERE nspname = %s", schema
        )
        return str(found[0][0]) if found else None

    def _free_name(self, wanted: str) -> str:
        taken = {name for (name,) in self._run("SELECT nspname FROM pg_namespace")}
        number = 1
        while f"{wanted}{number}" in taken:
            number += 1
        return f"{wanted}{number}"

    # -- the new schemas

    def _make(self, new: dict[str, str]) -> tuple[int, int]:
        """Tables, views, comments and rights; tables and rows written."""
        marts, chinese = new[self._settings.marts_schema], new[self._settings.chinese_schema]
        tables = catalogue(self._file)
        rows_n = 0
        self._run(f"CREATE SCHEMA {_quoted(marts)}")
        for table, (comment, columns) in tables.items():
            name = f"{_quoted(marts)}.{_quoted(table)}"
            declared = ", ".join(f"{_quoted(column.name)} {postgres_type(column.data_type)}" for column in columns)
            self._run(f"CREATE TABLE {name} ({declared})")
            rows_n += self._fill(name, table, columns)
            self._describe("TABLE", name, comment, [(column.name, column.description) for column in columns])
            self._run(f"ANALYZE {name}")
        self._run(f"CREATE SCHEMA {_quoted(chinese)}")
        for view in chinese_views(self._file, marts):
            name = f"{_quoted(chinese)}.{_quoted(short_name(view.name))}"
            selected = ", ".join(
                f"{expression} AS {_quoted(short_name(label))}" for expression, label, _ in view.columns
            )
            self._run(f"CREATE VIEW {name} AS SELECT {selected} {view.source}")
            texts = [
                (short_name(label), text if short_name(label) == label else f"{label}。{text}")
                for _, label, text in view.columns
            ]
            self._describe("VIEW", name, view.comment, texts)
        for schema in (marts, chinese):
            self._run(f"COMMENT ON SCHEMA {_quoted(schema)} IS {self._literal(self._mark)}")
            if self._settings.reader_role:
                role = _quoted(self._settings.reader_role)
                self._run(f"GRANT USAGE ON SCHEMA {_quoted(schema)} TO {role}")
                self._run(f"GRANT SELECT ON ALL TABLES IN SCHEMA {_quoted(schema)} TO {role}")
        return len(tables), rows_n

    def _fill(self, name: str, table: str, columns: Sequence[ColumnFacts]) -> int:
        selected = ", ".join(_quoted(column.name) for column in columns)
        rows = self._file.execute(f"SELECT {selected} FROM marts.{_quoted(table)}")
        rows_n = 0
        with (
            self._server.cursor() as cursor,
            cursor.copy(f"COPY {name} ({selected}) FROM STDIN (FREEZE)") as copy,
        ):
            while batch := rows.fetchmany(_BATCH):
                rows_n += len(batch)
                for row in batch:
                    copy.write_row(row)
        return rows_n

    def _describe(self, kind: str, name: str, comment: str, columns: Sequence[tuple[str, str]]) -> None:
        statements = [f"COMMENT ON {kind} {name} IS {self._literal(comment)}"]
        statements += [f"COMMENT ON COLUMN {name}.{_quoted(label)} IS {self._literal(text)}" for label, text in columns]
        self._run("; ".join(statements))

    def _literal(self, text: str) -> str:
        from psycopg.sql import Literal

        return Literal(text).as_string(self._server)

    # -- the swap

    def _swap(self, new: dict[str, str], patience_seconds: float) -> None:
        """Take the old schemas away and give their names to the new ones."""
        old = [name for name in self._schemas if self._comment(name) is not None]
        if old:
            self._lock(old, patience_seconds)
            if self._drop(old):
                for name in old:
                    self._run(f"ALTER SCHEMA {_quoted(name)} RENAME TO {_quoted(self._free_name(f'{name}_old'))}")
        for name in self._schemas:
            self._run(f"ALTER SCHEMA {_quoted(new[name])} RENAME TO {_quoted(name)}")

    def _lock(self, schemas: Sequence[str], patience_seconds: float) -> None:
        """Take every table and view of ours for ourselves.

        The release table first: a transaction that begins with it, as readers should, then holds nothing that we wait for while it
        waits for us.
        """
        import psycopg

        names = [name for kinds in (["v"], ["r", "p"]) for schema in schemas for name in self._ours(schema, kinds)]
        names.sort(key=lambda name: not name.endswith(".release"))
        if not names:
            return
        until = time.monotonic() + patience_seconds
        while True:
            try:
                with self._server.transaction():
                    self._run(f"SET LOCAL statement_timeout = {_LOCK_MILLISECONDS}")
                    self._run(f"LOCK TABLE {', '.join(names)} IN ACCESS EXCLUSIVE MODE")
                    self._run("SET LOCAL statement_timeout = DEFAULT")
                return
            except (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
                if time.monotonic() > until:
                    raise CopyFault(
                        f"有查询一直在读 PostgreSQL 里的上一发布，等了 {patience_seconds:.0f} 秒未能替换，留待下次："
                        "库里仍是上一发布。长期如此，请查 pg_stat_activity 里 idle in transaction 的会话"
                    ) from None
                time.sleep(_PAUSE_SECONDS)

    def _drop(self, schemas: Sequence[str]) -> str | None:
        """Drop schemas of ours with what we made in them. What somebody else has in or on them stops it: then nothing is dropped,
        and it is named."""
        import psycopg

        try:
            with self._server.transaction():
                for schema in schemas:
                    for kind, letters in (("VIEW", ["v"]), ("TABLE", ["r", "p"])):
                        if names := self._ours(schema, letters):
                            self._run(f"DROP {kind} {', '.join(names)}")
                    self._run(f"DROP SCHEMA {_quoted(schema)}")
        except psycopg.errors.DependentObjectsStillExist as error:
            return error.diag.message_detail or _first_line(error)
        return None

    def _ours(self, schema: str, kinds: Sequence[str]) -> list[str]:
        """Tables (r, p) or views (v) of a schema that this user owns, as SQL has their names."""
        found = self._run(
            """SELECT format('%%I.%%I', nspname, relname) FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
               WHERE nspname = %s AND relkind = ANY(%s::"char"[]) AND pg_get_userbyid(relowner) = current_user ORDER BY relname""",
            schema,
            list(kinds),
        )
        return [str(name) for (name,) in found]

    def _drop_replaced(self) -> dict[str, str]:
        """Drop what earlier swaps had to leave; schema → what still stands on it."""
        import psycopg

        kept: dict[str, str] = {}
        for name in self._schemas:
            for (schema,) in self._run(
                """SELECT nspname FROM pg_namespace WHERE starts_with(nspname, %s) AND substr(nspname, length(%s) + 1) ~ '^[0-9]+$'
                   AND starts_with(obj_description(oid, 'pg_namespace'), %s) ORDER BY nspname""",
                f"{name}_old", f"{name}_old", MARK,
            ):  # fmt: skip
                try:
                    with self._server.transaction():
                        self._run(f"SET LOCAL statement_timeout = {_LOCK_MILLISECONDS}")
                        in_the_way = self._drop([schema])
                except (psycopg.errors.QueryCanceled, psycopg.errors.DeadlockDetected):
                    in_the_way = "正在被查询"
                if in_the_way:
                    kept[str(schema)] = in_the_way
        return kept
