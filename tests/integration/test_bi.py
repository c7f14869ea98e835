"""What a BI tool meets in the published file: Chinese names, comments, a dictionary; and which engines open it."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import duckdb
import pytest
from ruamel.yaml import YAML

from pipelines.home import PROJECT, Home
from pipelines.releases.labels import labels
from pipelines.releases.presentation import SCHEMA, catalogue, unit_of, write_chinese_layer

ENGINES = ("1.2.2", "1.3.2", "1.4.5", "1.5.6", "2.0.0")
#: Reads every table and view whole, with all comments, by what every version has; one line of JSON.
READ_ALL = """
import duckdb, hashlib, json, sys
connection = duckdb.connect(sys.argv[1], read_only=True)
connection.execute("SET enable_progress_bar = false")  # it would stand among the JSON where a machine is slow
names = connection.execute("SELECT schema_name, table_name FROM duckdb_tables() WHERE NOT internal UNION ALL "
                           "SELECT schema_name, view_name FROM duckdb_views() WHERE NOT internal ORDER BY 1, 2").fetchall()
found = {"version": duckdb.__version__}
for schema, name in names:
    rows = connection.execute(f'SELECT * FROM "{schema}"."{name}"').fetchall()
    found[f"{schema}.{name}"] = [len(rows), hashlib.sha256("".join(sorted(map(repr, rows))).encode()).hexdigest()]
comments = connection.execute("SELECT schema_name, table_name, column_name, comment FROM duckdb_columns() "
                              "WHERE NOT internal ORDER BY ALL").fetchall()
found["comments"] = [len(comments), hashlib.sha256(repr(comments).encode()).hexdigest()]
print(json.dumps(found, ensure_ascii=False))
"""


@pytest.fixture
def warehouse(published_home: Path):
    with duckdb.connect(str(Home(published_home).published), read_only=True) as connection:
        yield connection


def test_every_table_and_column_has_a_chinese_name_of_its_own(warehouse: duckdb.DuckDBPyConnection):
    names = labels()
    tables = catalogue(warehouse)
    assert [table for table in tables if table not in names.tables] == []
    nameless = [
        f"{table}.{column.name}"
        for table, (_, columns) in tables.items()
        for column in columns
        if column.name not in names.columns and column.name not in names.in_table.get(table, {})
    ]
    assert nameless == []
    assert len({*names.tables.values(), names.wide, names.narrow}) == len(names.tables) + 2
    for table, (_, columns) in tables.items():
        shown = [names.column(table, column.name) for column in columns]
        assert len(set(shown)) == len(shown), table


def test_no_name_stands_for_a_table_that_is_not_published(warehouse: duckdb.DuckDBPyConnection):
    assert set(labels().tables) == set(catalogue(warehouse))


def test_each_table_has_a_view_with_as_many_rows_and_a_comment_on_everything(warehouse: duckdb.DuckDBPyConnection):
    names = labels()
    for table in catalogue(warehouse):
        ((there, here),) = warehouse.execute(
            f'SELECT (SELECT count(*) FROM marts.{table}), (SELECT count(*) FROM "{SCHEMA}"."{names.table(table)}")'
        ).fetchall()
        assert here == there, table
    uncommented = warehouse.execute(
        f"""SELECT table_name, column_name FROM duckdb_columns() WHERE schema_name = '{SCHEMA}' AND coalesce(comment, '') = ''
            UNION ALL SELECT view_name, '' FROM duckdb_views() WHERE schema_name = '{SCHEMA}' AND coalesce(comment, '') = ''"""
    ).fetchall()
    assert uncommented == []


def test_codes_are_worded_and_names_stand_beside_them(warehouse: duckdb.DuckDBPyConnection):
    rows = warehouse.execute(
        """SELECT "地区", "报告期", "口径", "在校学生数", "数据状态" FROM "指标"."毛入学率"
           WHERE "地区代码" = '140900' AND "报告期代码" = '2024-2025' AND "学段" = '小学' AND "口径代码" = 'resident'"""
    ).fetchall()
    ((pupils,),) = warehouse.execute(
        """SELECT enrolled_n FROM marts.mart_gross_enrolment
           WHERE area_code = '140900' AND period = '2024-2025' AND stage = '小学' AND caliber_id = 'resident'"""
    ).fetchall()
    assert rows == [("忻州市", "2024-2025学年", "常住人口口径", pupils, "齐全")]


def test_every_coded_value_has_a_wording(warehouse: duckdb.DuckDBPyConnection):
    names = labels()
    unknown = []
    for table, (_, columns) in catalogue(warehouse).items():
        for column in columns:
            words = names.words(table, column.name)
            if words:
                values = warehouse.execute(f'SELECT DISTINCT "{column.name}" FROM marts.{table}').fetchall()
                worded = set(words) | set(words.values())
                unknown += [
                    (table, column.name, value) for (value,) in values if value is not None and value not in worded
                ]
    assert [one for one in unknown if not (one[0] == "mart_overview" and one[1] == "verdict")] == []


def test_the_dictionary_lists_every_column_with_unit_and_description(warehouse: duckdb.DuckDBPyConnection):
    listed = set(
        warehouse.execute("SELECT table_name, column_name FROM marts.data_dictionary WHERE column_n > 0").fetchall()
    )
    published = warehouse.execute(
        "SELECT table_name, column_name FROM duckdb_columns() WHERE schema_name = 'marts'"
    ).fetchall()
    assert listed == set(published)
    assert warehouse.execute("SELECT count(*) FROM marts.data_dictionary WHERE description = ''").fetchall() == [(0,)]
    without = warehouse.execute(
        r"""SELECT table_name, column_name FROM marts.data_dictionary
            WHERE unit IS NULL AND column_n > 0 AND regexp_matches(column_name, '(_yuan|_percent|_persons)$')"""
    ).fetchall()
    assert without == []


@pytest.mark.parametrize(
    ("description", "unit"),
    [
        ("实发金额（元）", "元"),
        ("应发人数（人；年度行为空）", "人"),
        ("达标还差的人数（人，向上取整）；已达标为 0", "人"),
        ("毛入学（园）率（%）；可高于 100", "%"),
        ("县（市、区）名称", None),
        ("收到时间（UTC）", None),
    ],
)
def test_the_unit_is_read_from_the_description(description: str, unit: str | None):
    assert unit_of(description) == unit


def test_the_narrow_view_fits_a_screen_and_says_what_the_table_says(warehouse: duckdb.DuckDBPyConnection):
    shown = warehouse.sql('FROM "指标"."速览"')
    assert shown.columns == ["地区", "指标", "报告期", "数值", "单位", "达标情况", "状态"]
    rows = shown.fetchall()
    facts = warehouse.execute(
        "SELECT area_name, indicator_name, period_label, value, unit, verdict FROM marts.mart_overview"
    ).fetchall()
    assert sorted(map(repr, (row[:6] for row in rows))) == sorted(map(repr, facts))
    assert rows[0][0] == "忻州市" and {row[6] for row in rows} <= set(labels().values["status"].values())
    widths = [
        max(_width(str(value)) for value in (name, *column))
        for name, column in zip(shown.columns, zip(*rows, strict=True), strict=True)
    ]
    assert sum(width + 3 for width in widths) + 1 <= 128, widths


def _width(text: str) -> int:
    return sum(2 if ord(character) > 0x2E7F else 1 for character in text)


def test_the_dictionary_explains_what_a_county_fills_in(warehouse: duckdb.DuckDBPyConnection):
    found = dict(warehouse.execute(
        "SELECT column_name, explanation FROM marts.data_dictionary WHERE table_name = 'dim_school' AND column_n > 0"
    ).fetchall())  # fmt: skip
    assert "城乡划分代码" in found["location_code"] and "9 月 1 日" in found["school_type"]
    explained = set(warehouse.execute(
        "SELECT table_name, column_name FROM marts.data_dictionary WHERE explanation IS NOT NULL"
    ).fetchall())  # fmt: skip
    assert explained == {(table, column) for table, columns in labels().reported.items() for column in columns}


def test_a_city_that_lacks_counties_says_so_in_both_views(faulty_home: Path):
    with duckdb.connect(str(Home(faulty_home).published), read_only=True) as connection:
        facts = connection.execute(
            """SELECT area_name, indicator_name, coverage_n || '/' || expected_n FROM marts.mart_overview
               WHERE status IN ('partial', 'implausible', 'withheld') AND expected_n > 1 AND coverage_n < expected_n"""
        ).fetchall()
        narrow = {
            row[:2]: row[2] for row in connection.execute('SELECT "地区", "指标", "状态" FROM "指标"."速览"').fetchall()
        }
        wide = connection.sql('FROM "指标"."一览"')
        city = dict(zip(wide.columns, wide.fetchall()[0], strict=True))
    assert facts
    for area, indicator, counted in facts:
        assert narrow[area, indicator] == city[f"{indicator}·状态"]
        assert narrow[area, indicator].endswith(f" {counted}")


def test_the_wide_view_has_a_row_an_area_and_the_columns_of_each_indicator(warehouse: duckdb.DuckDBPyConnection):
    indicators = [str(name) for (name,) in warehouse.execute(
        "SELECT indicator_name FROM marts.dim_indicator ORDER BY sort_order, indicator_code"
    ).fetchall()]  # fmt: skip
    described = warehouse.execute('DESCRIBE "指标"."一览"').fetchall()
    kinds = ("", "·状态", "·本期", "·上期值", "·标准", "·达标情况")
    assert [row[0] for row in described] == [
        "地区",
        "地区代码",
        *(name + kind for name in indicators for kind in kinds),
    ]
    rows = warehouse.execute('SELECT "地区", "小学毛入学率", "小学毛入学率·上期值" FROM "指标"."一览"').fetchall()
    assert (len(rows), rows[0][0]) == (15, "忻州市")
    facts = warehouse.execute(
        """SELECT period, value FROM marts.fct_indicator WHERE indicator_code = 'gross_enrolment_primary'
           AND caliber_id = 'resident' AND area_code = '140900' ORDER BY period DESC"""
    ).fetchall()
    assert rows[0][1:] == (facts[0][1], facts[1][1])


def test_the_overview_says_what_the_facts_say(warehouse: duckdb.DuckDBPyConnection):
    ((rows_n, differing_n),) = warehouse.execute(
        """SELECT count(*), count(*) FILTER (WHERE o.value IS DISTINCT FROM f.value OR o.standard IS DISTINCT FROM f.standard
                  OR o.previous_value IS DISTINCT FROM b.value OR o.change IS DISTINCT FROM f.value - b.value)
           FROM marts.mart_overview AS o
           JOIN marts.fct_indicator AS f USING (indicator_code, caliber_id, period, area_code)
           LEFT JOIN marts.fct_indicator AS b ON o.indicator_code = b.indicator_code AND o.caliber_id = b.caliber_id
                AND o.previous_period = b.period AND o.area_code = b.area_code"""
    ).fetchall()
    assert (rows_n, differing_n) == (33 * 15, 0)
    periods = warehouse.execute(
        "SELECT DISTINCT period, previous_period FROM marts.mart_overview WHERE indicator_code = 'living_allowance_paid_share'"
    ).fetchall()
    assert periods == [("2024Q4", "2024Q3")]


def test_writing_the_layer_again_changes_nothing(published_home: Path, tmp_path: Path):
    copy = tmp_path / "xianbao.duckdb"
    copy.write_bytes(Home(published_home).published.read_bytes())
    look = "SELECT view_name, sql, comment FROM duckdb_views() WHERE NOT internal ORDER BY 1"
    seen = []
    for write in (False, True, False):
        # DuckDB words a view's SQL anew when it is read from the file: looked at after opening only.
        with duckdb.connect(str(copy)) as connection:
            if write:
                write_chinese_layer(connection)
            else:
                dictionary = connection.execute("SELECT * FROM marts.data_dictionary ORDER BY ALL").fetchall()
                seen.append((connection.execute(look).fetchall(), dictionary))
    assert seen[0] == seen[1]


def test_views_work_where_the_file_is_attached_under_another_name(published_home: Path):
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{Home(published_home).published}' AS bureau (READ_ONLY)")
        assert len(connection.execute('SELECT * FROM bureau."指标"."一览"').fetchall()) == 15


def test_every_published_model_stands_in_the_exposures(warehouse: duckdb.DuckDBPyConnection):
    exposures = YAML(typ="safe").load((PROJECT / "dbt_project/models/exposures.yml").read_text(encoding="utf-8"))
    named = {name for exposure in exposures["exposures"] for name in exposure["depends_on"]}
    made_at_publish = {"release", "release_input", "data_dictionary"}
    assert {f"ref('{table}')" for table in catalogue(warehouse) if table not in made_at_publish} <= named


def engine(folder: Path, version: str) -> Path:
    """Python of an environment that holds this version of DuckDB and nothing else; skips when it cannot be installed."""
    python = folder / f"duckdb-{version}" / "bin" / "python"
    if not python.exists():
        venv.create(python.parents[1], with_pip=True)
        install = [
            str(python),
            "-m",
            "pip",
            "install",
            "-q",
            "--no-deps",
            "--disable-pip-version-check",
            f"duckdb=={version}",
        ]
        done = subprocess.run(install, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            import shutil

            shutil.rmtree(python.parents[1])
            pytest.skip(f"duckdb {version} cannot be installed here (package index): {done.stderr.strip()[-200:]}")
    return python


def _read_by(python: Path | str, published_home: Path) -> dict:
    done = subprocess.run(
        [str(python), "-c", READ_ALL, str(Home(published_home).published)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def read_by_ours(published_home: Path) -> dict:
    found = _read_by(sys.executable, published_home)
    found.pop("version")
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    "version",
    [
        version if version in (ENGINES[0], ENGINES[-1]) else pytest.param(version, marks=pytest.mark.long)
        for version in ENGINES
    ],
)
def test_every_table_view_and_comment_is_read_alike_by(
    version: str, published_home: Path, read_by_ours: dict, tmp_path_factory: pytest.TempPathFactory
):
    folder = Path(os.environ.get("XIANBAO_ENGINES") or tmp_path_factory.getbasetemp() / "engines")
    ours = read_by_ours
    theirs = _read_by(engine(folder, version), published_home)
    assert theirs.pop("version") == version
    assert theirs == ours
    assert len(ours) > 30
