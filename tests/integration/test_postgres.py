"""The copy in PostgreSQL, against a real server: the same content, rights, and readers while releases are swapped.

By default the loop of readers runs a few seconds; `XIANBAO_READERS_SECONDS=60 pytest -s tests/integration/test_postgres.py` is the
long one and prints its figures.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import duckdb
import pytest

from pipelines.exports.postgres import MARK, CopyFault, copy_to_postgres, postgres_type, short_name
from pipelines.home import PROJECT, Home
from pipelines.municipality import Postgres
from pipelines.orchestration.assets import TURN, postgres, turn_resource
from pipelines.releases.presentation import SCHEMA, catalogue
from tests.servers import postgres_server

psycopg = pytest.importorskip("psycopg")

SECONDS = float(os.environ.get("XIANBAO_READERS_SECONDS") or 4)
EVERY_SECONDS = 0.5
READERS = 4
#: Reads the mark of the release in two tables and in a view in one statement, then again in two statements of one transaction;
#: one reader takes these two the other way round, so that it waits for the swap while the swap waits for it.
READER = """
import json, pathlib, psycopg, sys, time
stop, reads, failed, mixed, seen, longest = pathlib.Path(sys.argv[2]), 0, [], [], set(), 0.0
ONE = '''SELECT (SELECT release_id FROM marts.release), (SELECT "发布编号" FROM "指标"."发布"), min(formula), max(formula),
         count(*) >= 1000 FROM marts.fct_indicator'''
TWO = ["SELECT release_id FROM marts.release", 'SELECT max("算式") FROM "指标"."指标数值"']
while not stop.exists():
    time.sleep(0.01)
    began = time.monotonic()
    try:
        with psycopg.connect(host=sys.argv[1], dbname="edu", user="official") as connection:
            release, chinese, least, most, whole = connection.execute(ONE).fetchone()
            connection.commit()
            (first,), (second,) = [connection.execute(statement).fetchone() for statement in TWO[::int(sys.argv[3])]]
    except Exception as error:
        failed.append(repr(error))
        continue
    reads += 1
    longest = max(longest, time.monotonic() - began)
    seen.add(release)
    if not release == chinese == least == most or not whole or first != second:
        mixed.append([release, chinese, least, most, whole, first, second])
print(json.dumps({"reads": reads, "failed": failed, "mixed": mixed, "releases": len(seen), "longest": longest}))
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Path]:
    """A server prepared as docs/bi/README.md says, and a reader `official` who may also make views in a schema `theirs`."""
    page = (PROJECT / "docs" / "bi" / "README.md").read_text(encoding="utf-8")
    (preparation,) = re.findall(r"^```sql\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    with postgres_server() as folder:
        with as_user(folder, "postgres", "postgres") as admin:
            admin.execute("CREATE DATABASE edu")
        with as_user(folder, "postgres") as admin:
            admin.execute(preparation)
            admin.execute(
                "CREATE ROLE official LOGIN IN ROLE xianbao_reader; CREATE SCHEMA theirs AUTHORIZATION official"
            )
        yield folder


@pytest.fixture
def settings(server: Path) -> Iterator[Postgres]:
    """The configuration of a copy into an empty database."""
    with as_user(server, "postgres") as admin:
        schemas = admin.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'public', 'theirs')"
        ).fetchall()
        for (schema,) in schemas:
            admin.execute(f'DROP SCHEMA "{schema}" CASCADE')
    return Postgres(host=str(server), database="edu", user="xianbao", reader_role="xianbao_reader")


@pytest.fixture(scope="module")
def small(published_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published file with the first rows only of its largest tables: what is tested here takes no long copying."""
    path = tmp_path_factory.mktemp("small") / "xianbao.duckdb"
    shutil.copyfile(Home(published_home).published, path)
    path.chmod(0o644)
    with duckdb.connect(str(path)) as connection:
        for table in ("mart_lineage_cell", "mart_lineage_term", "dim_school", "mart_rural_subsidies"):
            connection.execute(f"DELETE FROM marts.{table} WHERE rowid >= 300")
    return path


def as_user(server: Path | str, user: str, database: str = "edu"):
    return psycopg.connect(host=str(server), dbname=database, user=user, autocommit=True)


def another_release(published: Path, folder: Path, name: str) -> Path:
    """The same file as another release: its id stands in the release table and in every row of the facts."""
    path = folder / f"{name}.duckdb"
    shutil.copyfile(published, path)
    path.chmod(0o644)
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE marts.release SET release_id = ?", [name])
        connection.execute("UPDATE marts.fct_indicator SET formula = ?", [name])
    return path


def release_there(server: Path | str) -> str:
    with as_user(server, "official") as reader:
        return reader.execute('SELECT "发布编号" FROM "指标"."发布"').fetchall()[0][0]


def test_every_table_view_and_comment_is_there_as_in_the_file(settings: Postgres, small: Path):
    copied = copy_to_postgres(small, settings)
    assert copied.changed and copied.kept == {}
    rows_n = 0
    with duckdb.connect(str(small), read_only=True) as file, as_user(settings.host, "official") as reader:
        for schema in ("marts", SCHEMA):
            wanted = catalogue(file, schema)
            comments = dict(
                reader.execute(
                    "SELECT relname, obj_description(oid) FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind IN ('r', 'v')",
                    [f'"{schema}"'],
                ).fetchall()
            )
            assert comments == {table: comment for table, (comment, _) in wanted.items()}
            for table, (_, columns) in wanted.items():
                here = file.execute(f'SELECT * FROM "{schema}"."{table}"').fetchall()
                there = reader.execute(f'SELECT * FROM "{schema}"."{table}"').fetchall()
                assert sorted(map(repr, there)) == sorted(map(repr, here)), table
                rows_n += len(here) if schema == "marts" else 0
                described = reader.execute(
                    """SELECT attname, format_type(atttypid, atttypmod), col_description(attrelid, attnum) FROM pg_attribute
                       WHERE attrelid = format('%%I.%%I', %s::text, %s::text)::regclass AND attnum > 0 ORDER BY attnum""",
                    [schema, table],
                ).fetchall()
                assert [name for name, _, _ in described] == [short_name(column.name) for column in columns], table
                for (name, kind, text), column in zip(described, columns, strict=True):
                    assert text.endswith(column.description), (table, name)
                    if schema == "marts":
                        assert kind == postgres_type(column.data_type), (table, name)
        assert copied.tables_n == len(catalogue(file)) and copied.rows_n == rows_n


def test_the_wide_view_keeps_its_order_and_its_long_names_apart(settings: Postgres, small: Path):
    copy_to_postgres(small, settings)
    with duckdb.connect(str(small), read_only=True) as file, as_user(settings.host, "official") as reader:
        areas = 'SELECT "地区" FROM "指标"."一览"'
        assert reader.execute(areas).fetchall() == file.execute(areas).fetchall()
        cut = [column.name for column in catalogue(file, SCHEMA)["一览"][1] if len(column.name.encode()) > 63]
    assert cut and len({short_name(name) for name in cut}) == len(cut)
    assert short_name("教师工资收入不低于公务员的县（市、区）占比·达标情况").endswith("…·达标情况")


def test_a_release_that_is_there_is_not_copied_again_unless_the_readers_change(settings: Postgres, small: Path):
    assert copy_to_postgres(small, settings).changed
    again = copy_to_postgres(small, settings)
    assert not again.changed and again.rows_n == 0
    assert copy_to_postgres(small, settings.model_copy(update={"reader_role": None})).changed
    with as_user(settings.host, "official") as reader, pytest.raises(psycopg.errors.InsufficientPrivilege):
        reader.execute("SELECT * FROM marts.release")


def test_the_reader_may_read_and_nothing_else(settings: Postgres, small: Path):
    copy_to_postgres(small, settings)
    with as_user(settings.host, "official") as reader:
        for statement in (
            "DELETE FROM marts.release", 'DELETE FROM "指标"."发布"', "CREATE TABLE marts.mine (n int)", "DROP TABLE marts.release",
        ):  # fmt: skip
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(statement)
    with as_user(settings.host, "statistics_office") as reader:
        assert len(reader.execute('SELECT * FROM "指标"."一览"').fetchall()) == 15
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            reader.execute("CREATE TEMPORARY TABLE mine AS SELECT * FROM marts.release")


def test_a_schema_that_is_not_ours_is_refused_and_left_alone(settings: Postgres, small: Path):
    with as_user(settings.host, "xianbao") as other:
        other.execute(
            "CREATE SCHEMA marts; CREATE TABLE marts.release (theirs int); INSERT INTO marts.release VALUES (7)"
        )
        with pytest.raises(CopyFault, match="不是本系统建的"):
            copy_to_postgres(small, settings)
        assert other.execute("SELECT theirs FROM marts.release").fetchall() == [(7,)]
        assert other.execute("SELECT count(*) FROM pg_namespace WHERE nspname ~ '^(marts|指标)'").fetchall() == [(1,)]


def test_a_query_in_progress_puts_the_swap_off_and_the_next_run_makes_it(
    settings: Postgres, small: Path, tmp_path: Path
):
    copy_to_postgres(small, settings)
    first = release_there(settings.host)
    newer = another_release(small, tmp_path, "newer")
    with as_user(settings.host, "official") as slow, slow.transaction():
        slow.execute("SELECT count(*) FROM marts.dim_school")
        with pytest.raises(CopyFault, match="留待下次"):
            copy_to_postgres(newer, settings, patience_seconds=0.1)
        # Nobody behind us waits, nothing half-done is left, and the slow reader goes on reading its release.
        assert release_there(settings.host) == first
        assert slow.execute("SELECT release_id FROM marts.release").fetchall() == [(first,)]
    with as_user(settings.host, "postgres") as admin:
        assert admin.execute("SELECT count(*) FROM pg_namespace WHERE nspname ~ '^(marts|指标)'").fetchall() == [(2,)]
    assert copy_to_postgres(newer, settings).changed
    assert release_there(settings.host) == "newer"


def test_a_snapshot_from_before_the_swap_finds_the_new_release_whole(settings: Postgres, small: Path, tmp_path: Path):
    copy_to_postgres(small, settings)
    with as_user(settings.host, "official") as reader, reader.transaction():
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT 1 FROM pg_class LIMIT 1")
        copy_to_postgres(another_release(small, tmp_path, "newer"), settings)
        found = reader.execute("SELECT release_id, (SELECT max(formula) FROM marts.fct_indicator) FROM marts.release")
        assert found.fetchall() == [("newer", "newer")]


def test_what_others_built_on_our_tables_stays_and_is_named(settings: Postgres, small: Path, tmp_path: Path):
    copy_to_postgres(small, settings)
    first = release_there(settings.host)
    with as_user(settings.host, "official") as reader:
        reader.execute("CREATE VIEW theirs.release AS SELECT * FROM marts.release")
        copied = copy_to_postgres(another_release(small, tmp_path, "newer"), settings)
        assert copied.changed and "theirs.release" in copied.kept["marts_old1"]
        assert release_there(settings.host) == "newer"
        assert reader.execute("SELECT release_id FROM theirs.release").fetchall() == [(first,)]
        reader.execute("DROP VIEW theirs.release")
        assert copy_to_postgres(another_release(small, tmp_path, "newer"), settings).kept == {}
        assert reader.execute("SELECT count(*) FROM pg_namespace WHERE nspname ~ '_old'").fetchall() == [(0,)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"host": "/nowhere"}, "连不上"),
        ({"user": "official", "reader_role": None}, "GRANT CREATE"),
        ({"reader_role": "nobody"}, "CREATE ROLE"),
        ({"password_variable": "XIANBAO_NOT_SET"}, "XIANBAO_NOT_SET"),
    ],
)
def test_what_is_missing_is_said_in_words(settings: Postgres, small: Path, change: dict[str, object], words: str):
    with pytest.raises(CopyFault, match=words):
        copy_to_postgres(small, settings.model_copy(update=change))


@pytest.mark.parametrize(
    ("duck", "postgres"),
    [("DECIMAL(18,4)", "numeric(18,4)"), ("HUGEINT", "numeric(39,0)"), ("TIMESTAMP", "timestamp without time zone")],
)
def test_types_keep_every_value(duck: str, postgres: str):
    assert postgres_type(duck) == postgres
    with pytest.raises(CopyFault, match="STRUCT"):
        postgres_type("STRUCT(a INTEGER)")


def test_no_read_fails_and_none_mixes_releases_while_releases_are_swapped_in(
    settings: Postgres, small: Path, tmp_path: Path
):
    files = [another_release(small, tmp_path, name) for name in ("release 0", "release 1")]
    copy_to_postgres(files[0], settings)
    stop = tmp_path / "stop"
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", READER, settings.host, str(stop), order], stdout=subprocess.PIPE, text=True
        )
        for order in ["-1", *["1"] * (READERS - 1)]
    ]
    start = time.monotonic()
    swapped, longest = 0, 0.0
    try:
        while time.monotonic() - start < SECONDS or swapped < 2:
            began = time.monotonic()
            assert copy_to_postgres(files[(swapped + 1) % 2], settings).changed
            longest = max(longest, time.monotonic() - began)
            swapped += 1
            time.sleep(max(0.0, start + swapped * EVERY_SECONDS - time.monotonic()))
    finally:
        stop.touch()
        told = [json.loads(reader.communicate(timeout=60)[0]) for reader in readers]
    slowest = max(one["longest"] for one in told)
    print(
        f"{swapped} releases, reads {[one['reads'] for one in told]}; longest copy {longest:.2f} s, read {slowest:.2f} s"
    )
    assert [failure for one in told for failure in one["failed"]] == []
    assert [read for one in told for read in one["mixed"]] == []
    assert all(one["reads"] > SECONDS and one["releases"] == 2 for one in told)


#: What DBeaver and 帆软 do on opening a connection: list tables and columns with their remarks, then read one.
JDBC = """
import java.sql.*;
class Read {
  public static void main(String[] words) throws Exception {
    try (Connection connection = DriverManager.getConnection(words[0], "statistics_office", "")) {
      ResultSet tables = connection.getMetaData().getTables(null, "指标", "毛入学率", null);
      tables.next();
      System.out.println(tables.getString("TABLE_TYPE") + "|" + tables.getString("REMARKS"));
      ResultSet columns = connection.getMetaData().getColumns(null, "指标", "毛入学率", "在校学生数");
      columns.next();
      System.out.println(columns.getString("TYPE_NAME") + "|" + columns.getString("REMARKS"));
      ResultSet rows = connection.createStatement().executeQuery("SELECT count(*), max(\\"在校学生数\\") FROM \\"指标\\".\\"毛入学率\\"");
      rows.next();
      System.out.println(rows.getLong(1) + "|" + rows.getLong(2));
    }
  }
}
"""


@pytest.mark.slow
def test_jdbc_finds_tables_remarks_and_figures(small: Path, tmp_path: Path):
    jar = Path(os.environ.get("XIANBAO_JDBC_JAR") or "/usr/share/java/postgresql.jar")
    java = shutil.which("java")
    if not jar.exists() or not java:
        pytest.skip("no Java or no JDBC driver (Debian: apt-get install default-jdk libpostgresql-jdbc-java)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "Read.java").write_text(JDBC, encoding="utf-8")
    with postgres_server(port) as folder:
        with psycopg.connect(host=str(folder), port=port, dbname="postgres", user="postgres", autocommit=True) as admin:
            admin.execute("CREATE ROLE statistics_office LOGIN")
        copy_to_postgres(
            small,
            Postgres(
                host=str(folder), port=port, database="postgres", user="postgres", reader_role="statistics_office"
            ),
        )
        encoding = ["-Dfile.encoding=UTF-8", "-Dstdout.encoding=UTF-8"]
        done = subprocess.run(
            [java, *encoding, "-cp", str(jar), str(tmp_path / "Read.java"), f"jdbc:postgresql://127.0.0.1:{port}/postgres"],
            capture_output=True, text=True, encoding="utf-8", timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with duckdb.connect(str(small), read_only=True) as file:
        comment, columns = catalogue(file, SCHEMA)["毛入学率"]
        (column,) = [one for one in columns if one.name == "在校学生数"]
        ((rows_n, most),) = file.execute('SELECT count(*), max("在校学生数") FROM "指标"."毛入学率"').fetchall()
    kind = {"BIGINT": "int8", "INTEGER": "int4"}[column.data_type]
    assert done.stdout.splitlines() == [f"VIEW|{comment}", f"{kind}|{column.description}", f"{rows_n}|{most}"]


def test_our_mark_is_in_the_comment_of_both_schemas(settings: Postgres, small: Path):
    copy_to_postgres(small, settings)
    with as_user(settings.host, "official") as reader:
        marks = reader.execute(
            "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname IN ('marts', '指标')"
        ).fetchall()
    assert len(marks) == 2 and all(mark.startswith(MARK) for (mark,) in marks)


def test_a_copy_that_cannot_be_made_warns_and_leaves_the_run_green(
    settings: Postgres, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    home = Home(tmp_path)
    home.warehouse.mkdir()
    shutil.copyfile(small, home.published)
    for there in (settings, settings.model_copy(update={"host": "/nowhere"})):
        monkeypatch.setattr(Home, "municipality", SimpleNamespace(publish=SimpleNamespace(postgres=there)))
        ran = dg.materialize([postgres], resources={TURN: turn_resource(home)})
        (check,) = ran.get_asset_check_evaluations()
        assert ran.success and check.severity == dg.AssetCheckSeverity.WARN
        assert check.passed == (there is settings)
