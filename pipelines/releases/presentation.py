"""The Chinese face of the published file: the schema 指标, and the data dictionary.

Belongs here: names, wordings and comments, put over what dbt has built. Figures do not: a view of 指标 shows the columns of its
table under Chinese names, codes in words, moments in Beijing time, and the names of area, period, indicator and caliber beside their
codes. Names stand in `labels.yaml`; texts of the comments are the descriptions of the models.

The schema holds **views**, so that it costs nothing in size and cannot differ from `marts`. They name their tables by schema
alone, so they also work where the file is attached under another name (tried on DuckDB 1.2.2, 1.3.2, 1.4.5, 1.5.6 and 2.0.0).
Their SQL is understood by PostgreSQL too, for the copy in `exports.postgres`.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from pipelines.releases.labels import labels
from pipelines.times import BEIJING_HOURS

SCHEMA = "指标"
_DICTIONARY = {
    "table_name": "表名（schema marts）",
    "chinese_table": "表的中文名（schema 指标）",
    "column_n": "第几列；0 为表本身",
    "column_name": "列名；表本身为空串",
    "chinese_column": "列的中文名；表本身为空串",
    "data_type": "数据类型",
    "unit": "计量单位；无单位为空",
    "description": "说明",
    "explanation": "指标解释：所示的报表那一列由谁计入、按何时计；不是填报数或其合计的为空",
}
#: What is looked up beside a code: column → (table, its key, its name column, order of versions), unless the table has the name.
_NAMES = {
    "area_code": ("dim_area", "area_code", "area_name", "valid_from"),
    "period": ("dim_period", "period", "period_label", "period"),
    "indicator_code": ("dim_indicator", "indicator_code", "indicator_name", "indicator_code"),
    "caliber_id": ("dim_caliber", "caliber_id", "caliber_name", "caliber_id"),
}
_UNITS = frozenset(
    [
        "%",
        "人",
        "元",
        "元/人",
        "元/人·月",
        "人·月",
        "校",
        "个",
        "件",
        "行",
        "天",
        "位",
        "比值",
        "平方米",
        "册",
        "间",
        "台",
        "套",
        "节",
        "学时",
        "课时",
        "次",
        "人次",
    ]
)
_IN_BRACKETS = re.compile(r"（([^（）]*)）")


@dataclass(frozen=True)
class ColumnFacts:
    """One column of a published table or view, as DuckDB's catalogue has it."""

    name: str
    data_type: str
    description: str


@dataclass(frozen=True)
class ChineseView:
    """One view of 指标. `columns`: (expression, Chinese name, comment) in order; `source`: what follows them, from FROM on."""

    name: str
    comment: str
    columns: tuple[tuple[str, str, str], ...]
    source: str


def unit_of(description: str) -> str | None:
    """The unit that a description states in brackets: `实发金额（元）` → 元, `应发人数（人；年度行为空）` → 人; None when none."""
    for inside in _IN_BRACKETS.findall(description):
        first = re.split(r"[；，]", inside)[0].strip()
        if first in _UNITS:
            return str(first)
    return None


def catalogue(connection: duckdb.DuckDBPyConnection, schema: str = "marts") -> dict[str, tuple[str, list[ColumnFacts]]]:
    """The tables and views of a schema of the connection's database, by name: (description, columns in order)."""
    found: dict[str, tuple[str, list[ColumnFacts]]] = {}
    for table, comment in connection.execute(
        """SELECT name, coalesce(comment, '')
           FROM (SELECT table_name AS name, schema_name, database_name, comment FROM duckdb_tables()
                 UNION ALL SELECT view_name, schema_name, database_name, comment FROM duckdb_views())
           WHERE schema_name = ? AND database_name = current_database() ORDER BY name""",
        [schema],
    ).fetchall():
        columns = connection.execute(
            """SELECT column_name, data_type, coalesce(comment, '') FROM duckdb_columns()
               WHERE schema_name = ? AND database_name = current_database() AND table_name = ? ORDER BY column_index""",
            [schema, table],
        ).fetchall()
        found[str(table)] = (str(comment), [ColumnFacts(*map(str, column)) for column in columns])
    return found


def write_chinese_layer(connection: duckdb.DuckDBPyConnection) -> None:
    """Write `marts.data_dictionary` and the schema 指标 anew over the tables of `marts`.

    The connection's current database is the marts file; the caller commits. Raises duckdb.Error when a name stands twice in one
    table.
    """
    connection.execute(f'DROP SCHEMA IF EXISTS "{SCHEMA}" CASCADE')
    connection.execute("DROP TABLE IF EXISTS marts.data_dictionary")
    _write_dictionary(connection)
    statements = [f'CREATE SCHEMA "{SCHEMA}"']
    for view in chinese_views(connection):
        name = f"{_quoted(SCHEMA)}.{_quoted(view.name)}"
        selected = ", ".join(f"{expression} AS {_quoted(label)}" for expression, label, _ in view.columns)
        statements.append(f"CREATE VIEW {name} AS SELECT {selected} {view.source}")
        statements.append(_comment("VIEW", name, view.comment))
        statements += [_comment("COLUMN", f"{name}.{_quoted(label)}", text) for _, label, text in view.columns]
    connection.execute(";\n".join(statements))


def chinese_views(connection: duckdb.DuckDBPyConnection, schema: str = "marts") -> list[ChineseView]:
    """Every view of 指标 over the tables of `marts`, in SQL that DuckDB and PostgreSQL understand alike.

    The connection's current database is read for what the tables are; `schema` is where the views will find them.
    """
    tables = catalogue(connection)
    views = [_view(table, comment, columns, tables.keys(), schema) for table, (comment, columns) in tables.items()]
    if "mart_overview" not in tables:
        return views
    said = {column.name: column.description for column in tables["mart_overview"][1]}
    return [*views, _wide_view(connection, schema, said), _narrow_view(schema, said)]


def _write_dictionary(connection: duckdb.DuckDBPyConnection) -> None:
    names = labels()
    declared = {name: ("INTEGER" if name == "column_n" else "VARCHAR", text) for name, text in _DICTIONARY.items()}
    comment = "粒度：表 × 列。数据字典：每张表、每一列的中文名、类型、单位与说明。"
    create_described_table(connection, "marts.data_dictionary", declared, comment)
    rows: list[tuple[object, ...]] = []
    for table, (about, columns) in catalogue(connection).items():
        chinese = names.table(table)
        rows.append((table, chinese, 0, "", "", "", None, about, None))
        for number, column in enumerate(columns, start=1):
            label = names.column(table, column.name)
            unit = unit_of(column.description)
            explained = names.explanation(table, column.name)
            description = column.description.replace("（UTC）", f"（UTC；{SCHEMA} 中为北京时间）")
            rows.append((table, chinese, number, column.name, label, column.data_type, unit, description, explained))
    marks = ", ".join(f"({', '.join('?' for _ in _DICTIONARY)})" for _ in rows)
    connection.execute(f"INSERT INTO marts.data_dictionary VALUES {marks}", [value for row in rows for value in row])


def _view(
    table: str, comment: str, columns: Sequence[ColumnFacts], tables: Collection[str], schema: str
) -> ChineseView:
    names = labels()
    own = {column.name for column in columns}
    shown: list[tuple[str, str, str]] = []  # expression, Chinese name, comment
    joins: list[str] = []
    for column in columns:
        expression = f"t.{_quoted(column.name)}"
        words = names.words(table, column.name)
        if words:
            cases = " ".join(f"WHEN {_text(code)} THEN {_text(word)}" for code, word in words.items())
            expression = f"CASE {expression} {cases} ELSE {expression} END"
        description = column.description
        if column.data_type == "TIMESTAMP":
            # Who reads Chinese reads the clock on the wall: no summer time, so that a fixed distance will do everywhere.
            expression = f"{expression} + INTERVAL '{BEIJING_HOURS} hours'"
            description = description.replace("（UTC）", "（北京时间）")
        looked_up = _NAMES.get(column.name)
        if looked_up and looked_up[0] != table and looked_up[2] not in own and looked_up[0] in tables:
            there, key, name, version = looked_up
            alias = f"n{len(joins)}"
            joins.append(
                f"LEFT JOIN {_newest(schema, there, key, name, version)} AS {alias} ON t.{key} = {alias}.{key}"
            )
            shown.append(
                (f"{alias}.{name}", names.columns[name], f"{names.columns[name]}，见 {SCHEMA}.{names.table(there)}")
            )
        shown.append((expression, names.column(table, column.name), description))
    source = f"FROM {_quoted(schema)}.{_quoted(table)} AS t {' '.join(joins)}"
    return ChineseView(names.table(table), comment, tuple(shown), source)


def _newest(schema: str, table: str, key: str, column: str, version: str) -> str:
    """A subquery: for each key the column as its newest version has it."""
    return (
        f"(SELECT DISTINCT ON ({key}) {key}, {column} FROM {_quoted(schema)}.{_quoted(table)} "
        f"ORDER BY {key}, {version} DESC NULLS LAST)"
    )


def _wide_view(connection: duckdb.DuckDBPyConnection, schema: str, said: Mapping[str, str]) -> ChineseView:
    """一览: a row an area, for each indicator of the catalogue this period with its status, the last, the standard and the verdict.

    `said`: column of mart_overview → description.
    """
    indicators = connection.execute(
        """SELECT indicator_code, indicator_name, unit, numerator_wording, denominator_wording
           FROM marts.dim_indicator ORDER BY sort_order, indicator_code"""
    ).fetchall()
    status, status_said = _status_with_coverage()
    # There is one row an area and indicator: max() takes what stands there, and every database knows it.
    shown = [
        ("max(t.area_name)", "地区", "地区名称；市在最前"),
        ("t.area_code", "地区代码", "行政区划代码"),
    ]
    for code, name, unit, numerator, denominator in indicators:
        which = f"FILTER (WHERE t.indicator_code = {_text(code)})"
        formula = "".join(f"：{side}" for side in [" ÷ ".join(filter(None, (numerator, denominator)))] if side)
        shown += [
            (f"max(t.value) {which}", name, f"本期（{unit}）{formula}；默认口径"),
            (f"max({status}) {which}", f"{name}·状态", status_said),
            (f"max(t.period_label) {which}", f"{name}·本期", "本期是哪一期"),
            (f"max(t.previous_value) {which}", f"{name}·上期值", f"上期（{unit}）{formula}；默认口径"),
            (f"max(t.standard) {which}", f"{name}·标准", f"标准（{unit}）；无标准为空"),
            (f"max(t.verdict) {which}", f"{name}·达标情况", said["verdict"]),
        ]
    order = _newest(schema, "dim_area", "area_code", "sort_order", "valid_from")
    source = (
        f"FROM {_quoted(schema)}.mart_overview AS t LEFT JOIN {order} AS o ON t.area_code = o.area_code "
        "GROUP BY t.area_code, o.sort_order ORDER BY o.sort_order, t.area_code"
    )
    comment = "粒度：地区。每个指标的本期数及其状态、上期、标准与达标情况，各占一列；长表见 指标.指标对照。"
    return ChineseView(labels().wide, comment, tuple(shown), source)


def _narrow_view(schema: str, said: Mapping[str, str]) -> ChineseView:
    """速览: a row an area and indicator, in as many columns as a screen holds. `said`: column of mart_overview → description."""
    order = _newest(schema, "dim_area", "area_code", "sort_order", "valid_from")
    return ChineseView(
        labels().narrow,
        "粒度：地区 × 指标。每个指标的本期数、单位、达标情况与状态，一行不超过一屏宽；各列全的见 指标.指标对照，"
        "一地区一行的见 指标.一览。",
        (
            ("t.area_name", "地区", "地区名称；市在最前"),
            ("t.indicator_name", "指标", "指标名称"),
            ("t.period_label", "报告期", "本期是哪一期"),
            ("t.value", "数值", "本期数，单位见下一列；默认口径"),
            ("t.unit", "单位", said["unit"]),
            ("t.verdict", "达标情况", said["verdict"]),
            (_status_with_coverage()[0], "状态", _status_with_coverage()[1]),
        ),
        f"FROM {_quoted(schema)}.mart_overview AS t LEFT JOIN {order} AS o ON t.area_code = o.area_code "
        f"LEFT JOIN {_quoted(schema)}.dim_indicator AS i ON t.indicator_code = i.indicator_code "
        "ORDER BY o.sort_order, t.area_code, i.sort_order, t.indicator_code",
    )


#: Codes of `status` that leave something out of a city's figure or withhold it for that reason.
_OF_PART = ("partial", "implausible", "withheld")


def _status_with_coverage() -> tuple[str, str]:
    """SQL for the status of a row of mart_overview in words, of a city with the counties counted, and what it says: `部分 13/14`."""
    words = labels().words("mart_overview", "status")
    cases = " ".join(f"WHEN {_text(code)} THEN {_text(word)}" for code, word in words.items())
    of_part = ", ".join(map(_text, _OF_PART))
    counted = (
        f"CASE WHEN t.status IN ({of_part}) AND t.expected_n > 1 AND t.coverage_n < t.expected_n "
        "THEN ' ' || t.coverage_n || '/' || t.expected_n ELSE '' END"
    )
    said = "数据状态；市有县未计入的，后为 计入县数/应报县数，如 部分 13/14"
    return f"CASE t.status {cases} ELSE t.status END || {counted}", said


def create_described_table(
    connection: duckdb.DuckDBPyConnection, name: str, columns: Mapping[str, tuple[str, str]], comment: str
) -> None:
    """Make a table, its name as SQL has it, in place of one of that name; `columns`: name → (type, what it holds)."""
    declared = ", ".join(f"{column} {kind}" for column, (kind, _) in columns.items())
    statements = [f"CREATE OR REPLACE TABLE {name} ({declared})", _comment("TABLE", name, comment)]
    statements += [_comment("COLUMN", f"{name}.{column}", text) for column, (_, text) in columns.items()]
    connection.execute(";\n".join(statements))


def set_comment(connection: duckdb.DuckDBPyConnection, kind: str, name: str, text: str) -> None:
    """Describe a TABLE, VIEW or COLUMN; its name as SQL has it."""
    connection.execute(_comment(kind, name, text))


def _comment(kind: str, name: str, text: str) -> str:
    return f"COMMENT ON {kind} {name} IS {_text(text)}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"
