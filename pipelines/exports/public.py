"""The public profile: a copy of the published tables that holds only what may leave the bureau.

Belongs here: what a record is in each table, and which equations a reader knows between records. The list of tables and columns is
data (`public.yaml`), the rule by which records are hidden is `suppression`.

A record of the enrolment table is an area, period and stage **in all calibers**, since the pupils are the same ones; of the pay table
an area and year; of the subsidy table an area, period, programme and tier. Indicators belong to the record whose figures they are,
so that hiding a record hides its indicators, in this period and where they are shown as those of the period before.

Known to every reader: the city is the sum of its counties; compulsory education of primary and junior; girls and boys make the
pupils (not in pre-school, where the form splits other children by sex); the same pupils, teachers and civil servants stand under
each caliber; a programme is the sum of its tiers; the year's money and months are those of its quarters or months. A year's row of
subsidies shows no heads, but its months and money would tell them: it is hidden with any small count of its periods.
"""

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
from ruamel.yaml import YAML

from pipelines.exports.suppression import Equation, hidden_records
from pipelines.warehouse.chinese import catalogue, set_comment, write_chinese_layer

DEFAULT_THRESHOLD = 5
HIDDEN_STATUS = "suppressed"
HIDDEN_VERDICT = "不予公布"

#: (kind, period, area, …): what is shown or hidden as one.
Record = tuple[str, ...]
#: record, caliber (or nothing), measure.
Cell = tuple[Record, str, str]
_MARKED = "is_suppressed"
_RECORDS = {
    "mart_gross_enrolment": ("enrolment", ("stage",)),
    "mart_teacher_pay_parity": ("pay", ()),
    "mart_rural_subsidies": ("subsidy", ("programme", "tier")),
}
_PAY_RETURNS = ("teacher_pay", "civil_servant_pay")
_TOTAL_TIER = "合计"
_SAME_IN_EACH_CALIBER = {
    "enrolled_n",
    "enrolled_female_n",
    "enrolled_male_n",
    "official_age_enrolled_n",
    "teachers",
    "civil_servants",
}
#: Not additive over stages: pupils of the age in this stage or above are counted in another way for each.
_NOT_OVER_STAGES = {"official_age_enrolled_n"}
_OVER_TIME = {"due_yuan", "due_recomputed_yuan", "paid_yuan", "arrears_yuan", "paid_teacher_months_n"}


@cache
def allowed() -> dict[str, dict[str, list[str]]]:
    """What `public.yaml` says."""
    said = YAML(typ="safe").load(Path(__file__).with_name("public.yaml").read_text(encoding="utf-8"))
    return dict(said["tables"])


def public_copy(source: Path, threshold: int = DEFAULT_THRESHOLD) -> duckdb.DuckDBPyConnection:
    """A database in memory with the schemas `marts` and `指标` as the public may see them; the caller closes it.

    Hidden figures are NULL, with the status `suppressed` and `is_suppressed` true. Raises ValueError for a threshold below 2, which
    would hide nothing.
    """
    if threshold < 2:
        raise ValueError("the threshold is at least 2")
    connection = duckdb.connect()
    try:
        connection.execute("ATTACH '" + str(source).replace("'", "''") + "' AS source (READ_ONLY)")
        connection.execute("USE source")
        described = catalogue(connection)
        connection.execute("USE memory")
        connection.execute("CREATE SCHEMA marts")
        hidden = records_to_hide(connection, threshold)
        connection.execute("CREATE TEMP TABLE hidden (record VARCHAR)")
        if hidden:
            marks = ", ".join("(?)" for _ in hidden)
            connection.execute(f"INSERT INTO hidden VALUES {marks}", ["|".join(record) for record in sorted(hidden)])
        for table, columns in allowed().items():
            if table not in described:
                continue
            comment, facts = described[table]
            _copy(connection, table, columns)
            set_comment(connection, "TABLE", f"marts.{table}", comment)
            for fact in facts:
                if fact.name in (*columns["keep"], *columns.get("figures", ())):
                    set_comment(connection, "COLUMN", f"marts.{table}.{fact.name}", fact.description)
            if "figures" in columns:
                text = f"是否为保护个人信息隐去：不足 {threshold} 人的记录，以及可据以推算出它的记录"
                set_comment(connection, "COLUMN", f"marts.{table}.{_MARKED}", text)
        connection.execute("DETACH source")
        write_chinese_layer(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _copy(connection: duckdb.DuckDBPyConnection, table: str, columns: Mapping[str, list[str]]) -> None:
    if "figures" not in columns:
        connection.execute(
            f"CREATE TABLE marts.{table} AS SELECT {', '.join(columns['keep'])} FROM source.marts.{table}"
        )
        return
    record = _record_sql(table)
    shown = [f"t.{name}" for name in columns["keep"]]
    for name in columns["figures"]:
        instead = (
            f"'{HIDDEN_STATUS}'" if name.endswith("status") else f"'{HIDDEN_VERDICT}'" if name == "verdict" else "NULL"
        )
        if table == "mart_overview" and name == "previous_value":
            shown.append(f"CASE WHEN b.record IS NULL THEN t.{name} END AS {name}")
        elif table == "mart_overview" and name == "change":
            shown.append(f"CASE WHEN h.record IS NULL AND b.record IS NULL THEN t.{name} END AS {name}")
        else:
            shown.append(f"CASE WHEN h.record IS NULL OR t.{name} IS NULL THEN t.{name} ELSE {instead} END AS {name}")
    before = (
        f"LEFT JOIN hidden AS b ON {_record_sql(table, 'previous_period')} = b.record"
        if table == "mart_overview"
        else ""
    )
    join = (
        "LEFT JOIN source.marts.dim_indicator AS i ON t.indicator_code = i.indicator_code"
        if "indicator_code" in columns["keep"]
        else ""
    )
    connection.execute(
        f"""CREATE TABLE marts.{table} AS
            SELECT {", ".join(shown)}, h.record IS NOT NULL AS {_MARKED}
            FROM source.marts.{table} AS t {join}
            LEFT JOIN hidden AS h ON {record} = h.record {before}"""
    )


def _record_sql(table: str, period: str = "period") -> str:
    """The record that a row belongs to, written as `kind|period|area|…`."""
    start = f"|| '|' || t.{period} || '|' || t.area_code"
    if table in _RECORDS:
        kind, keys = _RECORDS[table]
        return f"'{kind}' {start}" + "".join(f" || '|' || t.{key}" for key in keys)
    pay = ", ".join(f"'{code}'" for code in _PAY_RETURNS)
    return (
        f"CASE WHEN i.return_code = 'enrolment' THEN 'enrolment' {start} || '|' || i.stage "
        f"WHEN i.return_code IN ({pay}) THEN 'pay' {start} "
        f"WHEN i.return_code = 'rural_subsidy' THEN 'subsidy' {start} || '|' || i.programme || '|{_TOTAL_TIER}' END"
    )


def records_to_hide(connection: duckdb.DuckDBPyConnection, threshold: int) -> set[Record]:
    """The records that the rule of `suppression` hides in the database attached as `source`."""
    parents = dict(
        connection.execute(
            "SELECT area_code, any_value(parent_area_code) FROM source.marts.dim_area WHERE area_level = 'county' GROUP BY 1"
        ).fetchall()
    )
    spans = {
        str(period): (int(year), int(months))
        for period, year, months in connection.execute(
            """SELECT period, start_year, date_diff('month', period_start, period_end) + 1 FROM source.marts.dim_period"""
        ).fetchall()
    }
    values: dict[Cell, Any] = {}
    persons: set[Cell] = set()
    for table, (kind, keys) in _RECORDS.items():
        columns = allowed()[table]
        measures = [*columns["persons"], *columns.get("additive", ())]
        caliber = "caliber_id" if "caliber_id" in columns["keep"] else "''"
        rows = connection.execute(
            f"SELECT period, area_code, {caliber}, {', '.join((*keys, *measures))} FROM source.marts.{table} ORDER BY ALL"
        ).fetchall()
        for period, area, caliber_id, *rest in rows:
            record = (kind, period, area, *rest[: len(keys)])
            for measure, value in zip(measures, rest[len(keys) :], strict=True):
                if value is not None:
                    values[record, caliber_id, measure] = value
                    if measure in columns["persons"]:
                        persons.add((record, caliber_id, measure))
    _add_heads_of_years(values, persons, spans)
    equations = list(_equations(values, parents, spans))
    return hidden_records(values, {cell: cell[0] for cell in values}, persons, equations, threshold)


def _add_heads_of_years(values: dict[Cell, Any], persons: set[Cell], spans: Mapping[str, tuple[int, int]]) -> None:
    """Heads that months and money would tell: teacher-months ÷ months, and the least count of a year's periods."""
    for (record, caliber, measure), value in list(values.items()):
        kind, period, *rest = record
        if kind != "subsidy":
            continue
        year, months = spans[period]
        if measure == "paid_teacher_months_n":
            cell = (record, caliber, "teachers_paid_by_months")
            values[cell] = Decimal(value) / months
            persons.add(cell)
        yearly = (kind, str(year), *rest)
        if (
            measure in ("teachers_entitled_n", "teachers_paid_n")
            and value > 0
            and (yearly, caliber, "paid_yuan") in values
        ):
            cell = (yearly, caliber, f"least_{measure}")
            values[cell] = min(value, values.get(cell, value))
            persons.add(cell)


def _equations(
    values: Mapping[Cell, Any], parents: Mapping[str, str], spans: Mapping[str, tuple[int, int]]
) -> list[Equation[Cell]]:
    equations: list[Equation[Cell]] = []
    of_caliber: dict[tuple[Record, str], list[Cell]] = defaultdict(list)
    parts: dict[tuple[str, Cell], list[Cell]] = defaultdict(list)
    for cell in values:
        (kind, period, area, *rest), caliber, measure = cell
        if measure.startswith("least_"):
            continue
        if area in parents:
            parts["area", ((kind, period, parents[area], *rest), caliber, measure)].append(cell)
        if kind == "enrolment" and rest[0] in ("小学", "初中") and measure not in _NOT_OVER_STAGES:
            parts["stage", ((kind, period, area, "义务教育"), caliber, measure)].append(cell)
        if kind == "subsidy" and rest[1] != _TOTAL_TIER:
            parts["tier", ((kind, period, area, rest[0], _TOTAL_TIER), caliber, measure)].append(cell)
        if kind == "subsidy" and measure in _OVER_TIME and period != str(spans[period][0]):
            parts["time", ((kind, str(spans[period][0]), area, *rest), caliber, measure)].append(cell)
        if kind == "enrolment" and rest[0] != "学前" and measure in ("enrolled_female_n", "enrolled_male_n"):
            parts["sex", (cell[0], caliber, "enrolled_n")].append(cell)
        if measure in _SAME_IN_EACH_CALIBER:
            of_caliber[cell[0], measure].append(cell)
    for (_, total), cells in parts.items():
        if total in values:
            equations.append({**dict.fromkeys(cells, 1), total: -1})
    for cells in of_caliber.values():
        # Where one caliber covers fewer counties than another, the totals differ and are no secret of each other.
        equations += [{first: 1, second: -1} for first, second in pairwise(cells) if values[first] == values[second]]
    return equations
