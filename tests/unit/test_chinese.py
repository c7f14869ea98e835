"""What the Chinese layer says of tables: explanations of reported columns only, units and coverage beside figures."""

import re
from collections.abc import Iterator
from typing import Any, get_args

import duckdb
import pytest
from ruamel.yaml import YAML

from pipelines.declarations.grammar import Direction, Shape
from pipelines.home import PROJECT
from pipelines.policy.tables import policy_tables
from pipelines.releases.labels import labels
from pipelines.releases.presentation import unit_of, write_chinese_layer
from pipelines.returns import current_definitions

DBT = PROJECT / "dbt_project"
#: area, level, value, status, verdict, counties counted and expected
OVERVIEW = (
    ("示例市", "city", "96.7184", "partial", "达标", 13, 14),
    ("甲县", "county", "95.0000", "complete", "达标", 1, 1),
    ("乙县", "county", "null", "withheld", "无数据", 0, 1),
    ("丙县", "county", "null", "error", "无数据", 0, 1),
    ("丁县", "county", "118.7313", "implausible", "不判定", 1, 1),
)


def described(folder: str, kind: str) -> dict[str, dict[str, dict[str, Any]]]:
    """Model or seed → column → what its yml says."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for path in sorted((DBT / folder).glob("*.yml")):
        said = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
        found |= {one["name"]: {c["name"]: c for c in one.get("columns", [])} for one in said.get(kind, [])}
    return found


@pytest.fixture
def written() -> Iterator[duckdb.DuckDBPyConnection]:
    """A small file with the layer over it: columns named as a return's, reported in one table and not in another."""
    with duckdb.connect() as connection:
        connection.execute(
            """CREATE SCHEMA marts;
               CREATE TABLE marts.mart_rural_subsidies (standard_yuan_per_month DECIMAL(18, 2), standard_max_yuan DECIMAL(18, 2));
               CREATE TABLE marts.mart_published_comparison (source VARCHAR);
               CREATE TABLE marts.fct_indicator (population_source VARCHAR);
               CREATE TABLE marts.dim_indicator AS SELECT 'i' AS indicator_code, '小学毛入学率' AS indicator_name, '%' AS unit,
                   '在校生' AS numerator_wording, '人口' AS denominator_wording, 1 AS sort_order, '小学' AS stage;
               CREATE TABLE marts.dim_area (area_code VARCHAR, sort_order INTEGER, valid_from DATE);
               CREATE TABLE marts.mart_overview (area_code VARCHAR, area_name VARCHAR, indicator_code VARCHAR, indicator_name VARCHAR,
                   unit VARCHAR, period_label VARCHAR, value DECIMAL(38, 4), previous_value DECIMAL(38, 4), standard DECIMAL(18, 4),
                   status VARCHAR, verdict VARCHAR, coverage_n INTEGER, expected_n INTEGER);"""
        )
        for number, (area, _, value, status, verdict, counted, expected) in enumerate(OVERVIEW):
            connection.execute(f"INSERT INTO marts.dim_area VALUES ('{number}', {number}, '2020-01-01')")
            connection.execute(
                f"""INSERT INTO marts.mart_overview VALUES ('{number}', '{area}', 'i', '小学毛入学率', '%', '2024-2025学年', {value},
                        null, 95, '{status}', '{verdict}', {counted}, {expected})"""
            )
        connection.execute("COMMENT ON COLUMN marts.mart_overview.verdict IS '达标情况：都在这里'")
        write_chinese_layer(connection)
        yield connection


def test_a_column_is_explained_by_the_column_of_the_return_that_it_shows_and_not_by_one_of_its_name(
    written: duckdb.DuckDBPyConnection,
):
    explained = {f"{table}.{column}": text for table, column, text in written.execute(
        "SELECT table_name, column_name, explanation FROM marts.data_dictionary WHERE column_n > 0"
    ).fetchall()}  # fmt: skip
    forms = current_definitions()
    assert {name: text for name, text in explained.items() if text is not None} == {
        "mart_rural_subsidies.standard_max_yuan": forms["rural_subsidy"].explanations["standard_yuan_per_month"],
        "fct_indicator.population_source": forms["population"].explanations["source"],
    }
    for not_reported in (
        "mart_rural_subsidies.standard_yuan_per_month",
        "mart_published_comparison.source",
        "dim_indicator.stage",
    ):
        assert explained[not_reported] is None


def test_every_reported_column_is_published_and_its_return_explains_it():
    models = described("models/marts", "models")
    for table, columns in labels().reported.items():
        for column in columns:
            assert column in models[table], f"{table}.{column}"
            assert labels().explanation(table, column)


def test_what_a_reported_column_shows_is_of_its_unit():
    """A sum over rows keeps the unit of the cells: the description of the published column states the same one."""
    models = described("models/marts", "models")
    for table, columns in labels().reported.items():
        for column, shown in columns.items():
            return_code, _, name = shown.partition(".")
            reported = current_definitions()[return_code].column(name)
            stated = unit_of(models[table][column]["description"])
            if stated is not None:
                assert reported.unit is not None and stated.startswith(reported.unit), f"{table}.{column}"


def test_the_narrow_view_has_unit_and_coverage_beside_the_figure(written: duckdb.DuckDBPyConnection):
    shown = written.sql('FROM "指标"."速览"')
    assert shown.columns == ["地区", "指标", "报告期", "数值", "单位", "达标情况", "状态"]
    rows = [(row[0], None if row[3] is None else f"{row[3]}", *row[4:]) for row in shown.fetchall()]
    assert rows == [
        ("示例市", "96.7184", "%", "达标", "部分 13/14"),
        ("甲县", "95.0000", "%", "达标", "齐全"),
        ("乙县", None, "%", "无数据", "不予公布"),
        ("丙县", None, "%", "无数据", "分母为 0"),
        ("丁县", "118.7313", "%", "不判定", "数值不合理"),
    ]


def test_the_wide_view_has_the_status_beside_each_figure(written: duckdb.DuckDBPyConnection):
    rows = written.execute('SELECT "地区", "小学毛入学率·状态", "小学毛入学率·达标情况" FROM "指标"."一览"').fetchall()
    assert rows[0] == ("示例市", "部分 13/14", "达标")
    assert [row[1] for row in rows[1:]] == ["齐全", "不予公布", "分母为 0", "数值不合理"]
    kinds = dict(written.execute('SELECT column_name, column_type FROM (DESCRIBE "指标"."一览")').fetchall())
    assert kinds["小学毛入学率"] == "DECIMAL(38,4)"


def test_both_views_describe_the_verdict_as_their_table_does(written: duckdb.DuckDBPyConnection):
    said = written.execute(
        """SELECT comment FROM duckdb_columns() WHERE schema_name = '指标' AND table_name IN ('速览', '一览')
           AND column_name LIKE '%达标情况'"""
    ).fetchall()
    assert said == [("达标情况：都在这里",)] * 2


def test_every_code_that_may_stand_in_a_published_column_has_a_wording():
    """Codes as declarations and the tables of policy allow them and as the conditions of the marts list them, whether the data has them or not."""
    allowed: set[tuple[str, str, str]] = set()
    for name, codes in (("direction", Direction), ("shape", Shape)):
        allowed |= {("dim_indicator", name, code) for code in get_args(codes)}
    for path in sorted((DBT / "models/marts").glob("marts.yml")):
        for model in YAML(typ="safe").load(path.read_text(encoding="utf-8"))["models"]:
            for test in model.get("data_tests", []):
                for condition in test.get("holds", {}).get("arguments", {}).get("conditions", {}).values():
                    for name, codes in re.findall(r"(?<![\w'])(\w+) in \(('[^)]*')\)", condition):
                        allowed |= {(model["name"], name, code) for code in re.findall(r"'([^']*)'", codes)}
    allowed |= {
        (f"dim_{table.removesuffix('s')}", name, value)
        for table, declared in policy_tables().items()
        for name, column in declared.columns.items()
        for value in column.value_labels
    }
    coded = [(table, name, code) for table, name, code in allowed if labels().words(table, name)]
    assert {name for _, name, _ in coded} >= {"direction", "status", "outcome", "state"}
    assert [one for one in coded if one[2] not in labels().words(*one[:2])] == []
