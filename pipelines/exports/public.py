"""The public profile: a copy of the published tables that holds only what may leave the bureau.

Belongs here: reading the declaration, and putting the equations that a reader knows between records into numbers. What is a record,
which tables, columns and indicators belong to one, and what adds up to what in it, is data (`public.yaml`); the rule by which records
are hidden is `suppression`. What is not declared is left out: nothing is ever shown that the rule has not looked at.

A record of the enrolment table is an area, period and stage **in all calibers**, since the pupils are the same ones; of the pay table
an area and year; of the subsidy table an area, period, programme and tier. Indicators belong to the record whose figures they are,
so that hiding a record hides its indicators, in this period and where they are shown as those of the period before.

Known to every reader of any record: the city is the sum of its counties. What else is known is declared with the record.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
from pydantic import BaseModel, ConfigDict, model_validator
from ruamel.yaml import YAML

from pipelines.exports.suppression import Equation, hidden_records
from pipelines.releases.presentation import catalogue, set_comment, write_chinese_layer
from pipelines.returns import return_versions
from pipelines.warehouse.opened import opened
from pipelines.yaml_files import bounded

DEFAULT_THRESHOLD = 5
#: Of a return with columns that are `privacy: sensitive`, fewer persons than these are hidden, whatever is less elsewhere.
SENSITIVE_THRESHOLD = 10
HIDDEN_STATUS = "suppressed"
HIDDEN_VERDICT = "不予公布"

#: (kind, period, area, …): what is shown or hidden as one.
Record = tuple[str, ...]
#: record, caliber (or nothing), measure.
Cell = tuple[Record, str, str]
_MARKED = "is_suppressed"
_LEAST = "least_"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Total(_Strict):
    """`total` of a key is the sum of `parts`, or of all others where none are named; not of the measures `without`."""

    total: str
    parts: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


class Sum(_Strict):
    """Within a row: `total` = Σ `of` − Σ `less`."""

    total: str
    of: tuple[str, ...]
    less: tuple[str, ...] = ()


class OfYear(_Strict):
    """A record's year beside its quarters or months. `sums`: measures of which the year is the sum. `months_of_heads`: of these, those
    that tell heads when divided by the months. `heads`: counts that no row of a year shows but its `sums` would tell, so that the year
    is hidden with any small one of its periods."""

    sums: tuple[str, ...]
    months_of_heads: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()


class RecordOf(_Strict):
    """What is shown or hidden as one: the rows of `table` that agree in period, area and `keys`, and the `indicators` that rest on their
    figures. `of`: key → the SQL by which dim_indicator (as `i`) says to which record an indicator belongs. What a reader knows of its
    figures: `totals` by key, `sums` within a row, what is the `same_in_calibers`, and the `year`."""

    table: str
    keys: tuple[str, ...]
    of: dict[str, str]
    indicators: tuple[str, ...]
    totals: dict[str, Total] = {}
    sums: tuple[Sum, ...] = ()
    same_in_calibers: tuple[str, ...] = ()
    year: OfYear = OfYear(sums=())


class PublicTable(_Strict):
    """The columns of a table that may be shown: `keep` always, `figures` unless their record is hidden; of the figures, those that
    count `persons`, and further ones that are `additive`."""

    keep: tuple[str, ...]
    figures: tuple[str, ...] = ()
    persons: tuple[str, ...] = ()
    additive: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.keep, *self.figures)


class Internal(_Strict):
    """What stays inside on purpose."""

    tables: tuple[str, ...]
    columns: dict[str, tuple[str, ...]]
    indicators: tuple[str, ...]


class Declared(_Strict):
    """What `public.yaml` says. A table with figures needs a record of its own, or indicators that belong to one."""

    records: dict[str, RecordOf]
    internal: Internal
    tables: dict[str, PublicTable]

    @model_validator(mode="after")
    def _hangs_together(self) -> "Declared":
        of_tables = [record.table for record in self.records.values()]
        of_indicators = [code for record in self.records.values() for code in record.indicators]
        if len(of_tables) != len(set(of_tables)) or len(of_indicators) != len(set(of_indicators)):
            raise ValueError("a table or an indicator belongs to one record")
        for record in self.records.values():
            if record.table not in self.tables or not {"period", "area_code", *record.keys} <= set(
                self.tables[record.table].keep
            ):
                raise ValueError(f"{record.table}: period, area_code and the keys of its record are to be kept")
            if set(record.of) != set(record.keys):
                raise ValueError(f"{record.table}: `of` names each key")
            if not set(record.totals) <= set(record.keys):
                raise ValueError(f"{record.table}: a total is one of a key")
        for name, table in self.tables.items():
            if not {*table.persons, *table.additive} <= set(table.figures):
                raise ValueError(f"{name}: persons and additive are figures")
            if table.figures and name not in of_tables and "indicator_code" not in table.keep:
                raise ValueError(f"{name}: figures without a record")
            if name in self.internal.tables:
                raise ValueError(f"{name}: both public and internal")
        for record in self.records.values():
            counted = {*self.tables[record.table].persons, *self.tables[record.table].additive}
            known = {*record.same_in_calibers, *record.year.sums, *record.year.heads, *record.year.months_of_heads}
            known |= {name for one in record.sums for name in (one.total, *one.of, *one.less)}
            if unknown := sorted(known - counted):
                raise ValueError(f"{record.table}: {unknown} are neither persons nor additive")
        return self

    def record_of_table(self, table: str) -> tuple[str, RecordOf] | None:
        """(kind, record) of the table that a record is a row of."""
        return next(((kind, record) for kind, record in self.records.items() if record.table == table), None)

    @property
    def indicators(self) -> tuple[str, ...]:
        """Indicators that belong to a record; no other is shown."""
        return tuple(code for record in self.records.values() for code in record.indicators)


@cache
def declared() -> Declared:
    """What `public.yaml` says. Raises ValueError where it contradicts itself."""
    return Declared.model_validate(
        YAML(typ="safe").load(bounded(Path(__file__).with_name("public.yaml").read_text(encoding="utf-8")))
    )


def undeclared(source: Path) -> list[str]:
    """Tables, columns (`table.column`) and indicators of a published file of which `public.yaml` says nothing: they are left out."""
    said = declared()
    with opened(source) as connection:
        described = catalogue(connection)
        indicators = [str(code) for (code,) in connection.execute(
            "SELECT indicator_code FROM marts.dim_indicator UNION SELECT indicator_code FROM marts.fct_indicator ORDER BY 1"
        ).fetchall()]  # fmt: skip
    found = [name for name in described if name not in said.tables and name not in said.internal.tables]
    for name, table in said.tables.items():
        known = {*table.columns, *said.internal.columns.get(name, ())}
        found += [f"{name}.{fact.name}" for fact in described.get(name, ("", ()))[1] if fact.name not in known]
    return found + [code for code in indicators if code not in said.indicators and code not in said.internal.indicators]


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
        thresholds = thresholds_of_records(connection, threshold)
        _write_records(connection, "hidden", records_to_hide(connection, threshold))
        _write_records(connection, "known", known_records(connection))
        for table, columns in declared().tables.items():
            if table not in described:
                continue
            comment, facts = described[table]
            there = {fact.name for fact in facts}
            shown = PublicTable(
                keep=tuple(name for name in columns.keep if name in there),
                figures=tuple(name for name in columns.figures if name in there),
            )
            _copy(connection, table, shown)
            set_comment(connection, "TABLE", f"marts.{table}", comment)
            for fact in facts:
                if fact.name in shown.columns:
                    set_comment(connection, "COLUMN", f"marts.{table}.{fact.name}", fact.description)
            if shown.figures:
                own = declared().record_of_table(table)
                least = sorted({thresholds[own[0]]} if own else set(thresholds.values()))
                text = f"是否为保护个人信息隐去：不足 {'或 '.join(f'{one} ' for one in least)}人的记录，以及可据以推算出它的记录"
                set_comment(connection, "COLUMN", f"marts.{table}.{_MARKED}", text)
        connection.execute("DETACH source")
        write_chinese_layer(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _write_records(connection: duckdb.DuckDBPyConnection, name: str, records: set[Record]) -> None:
    connection.execute(f"CREATE TEMP TABLE {name} (record VARCHAR)")
    if records:
        marks = ", ".join("(?)" for _ in records)
        connection.execute(f"INSERT INTO {name} VALUES {marks}", ["|".join(record) for record in sorted(records)])


def known_records(connection: duckdb.DuckDBPyConnection) -> set[Record]:
    """Every record of the database attached as `source`: what belongs to none of them was never looked at, and is not shown."""
    found: set[Record] = set()
    for kind, record in declared().records.items():
        keys = ", ".join(("period", "area_code", *record.keys))
        rows = connection.execute(f"SELECT DISTINCT {keys} FROM source.marts.{record.table}").fetchall()
        found |= {(kind, *map(str, row)) for row in rows}
    return found


def _copy(connection: duckdb.DuckDBPyConnection, table: str, columns: PublicTable) -> None:
    if not columns.figures:
        of_known = f"WHERE indicator_code IN ({_listed(declared().indicators)})" if table == "dim_indicator" else ""
        connection.execute(
            f"CREATE TABLE marts.{table} AS SELECT {', '.join(columns.keep)} FROM source.marts.{table} {of_known}"
        )
        return
    # A figure is shown where its record is known and not hidden; an indicator of no declared record is left out with its row.
    shown = [f"t.{name}" for name in columns.keep]
    for name in columns.figures:
        instead = (
            f"'{HIDDEN_STATUS}'" if name.endswith("status") else f"'{HIDDEN_VERDICT}'" if name == "verdict" else "NULL"
        )
        if table == "mart_overview" and name == "previous_value":
            shown.append(f"CASE WHEN b.record IS NULL AND kb.record IS NOT NULL THEN t.{name} END AS {name}")
        elif table == "mart_overview" and name == "change":
            shown.append(
                f"CASE WHEN h.record IS NULL AND b.record IS NULL AND kb.record IS NOT NULL THEN t.{name} END AS {name}"
            )
        else:
            shown.append(f"CASE WHEN h.record IS NULL OR t.{name} IS NULL THEN t.{name} ELSE {instead} END AS {name}")
    before = ""
    if table == "mart_overview":
        record_before = _record_sql(table, "previous_period")
        before = (
            f"LEFT JOIN hidden AS b ON {record_before} = b.record LEFT JOIN known AS kb ON {record_before} = kb.record"
        )
    join = (
        "LEFT JOIN source.marts.dim_indicator AS i ON t.indicator_code = i.indicator_code"
        if "indicator_code" in columns.keep
        else ""
    )
    record = _record_sql(table)
    connection.execute(
        f"""CREATE TABLE marts.{table} AS
            SELECT {", ".join(shown)}, h.record IS NOT NULL AS {_MARKED}
            FROM source.marts.{table} AS t {join}
            JOIN known AS k ON {record} = k.record
            LEFT JOIN hidden AS h ON {record} = h.record {before}"""
    )


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f"'{word}'" for word in words)


def _record_sql(table: str, period: str = "period") -> str:
    """The record that a row belongs to, written as `kind|period|area|…`; NULL where it belongs to none that is declared."""
    start = f"|| '|' || t.{period} || '|' || t.area_code"
    if own := declared().record_of_table(table):
        kind, record = own
        return f"'{kind}' {start}" + "".join(f" || '|' || t.{key}" for key in record.keys)
    cases = [
        f"WHEN t.indicator_code IN ({_listed(record.indicators)}) THEN '{kind}' {start}"
        + "".join(f" || '|' || {_of_indicator(record.of[key])}" for key in record.keys)
        for kind, record in declared().records.items()
        if record.indicators
    ]
    return f"CASE {' '.join(cases)} END"


def _of_indicator(said: str) -> str:
    return said if said.startswith("'") else f"i.{said}"


def thresholds_of_records(connection: duckdb.DuckDBPyConnection, threshold: int) -> dict[str, int]:
    """Kind of record → how many persons one must be to be shown in the database attached as `source`: more where an indicator of it is
    one of a return with sensitive columns."""
    sensitive = {
        code for code, versions in return_versions().items() if any(one.is_sensitive for one in versions.columns)
    }
    rows = connection.execute("SELECT indicator_code, return_code FROM source.marts.dim_indicator").fetchall()
    strict = {str(indicator) for indicator, return_code in rows if return_code in sensitive}
    return {
        kind: max(threshold, SENSITIVE_THRESHOLD) if strict & {*record.indicators} else threshold
        for kind, record in declared().records.items()
    }


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
    for kind, of_kind in declared().records.items():
        table, keys = of_kind.table, of_kind.keys
        columns = declared().tables[table]
        measures = [*columns.persons, *columns.additive]
        caliber = "caliber_id" if "caliber_id" in columns.keep else "''"
        rows = connection.execute(
            f"SELECT period, area_code, {caliber}, {', '.join((*keys, *measures))} FROM source.marts.{table} ORDER BY ALL"
        ).fetchall()
        for period, area, caliber_id, *rest in rows:
            record = (kind, period, area, *rest[: len(keys)])
            for measure, value in zip(measures, rest[len(keys) :], strict=True):
                if value is not None:
                    values[record, caliber_id, measure] = value
                    if measure in columns.persons:
                        persons.add((record, caliber_id, measure))
    _add_heads_of_years(values, persons, spans)
    equations = list(_equations(values, parents, spans))
    thresholds = thresholds_of_records(connection, threshold)
    return hidden_records(
        values, {cell: cell[0] for cell in values}, persons, equations, lambda record: thresholds[record[0]]
    )


def _add_heads_of_years(values: dict[Cell, Any], persons: set[Cell], spans: Mapping[str, tuple[int, int]]) -> None:
    """Heads that months and money would tell: months of heads ÷ months, and the least count of a year's periods."""
    for (record, caliber, measure), value in list(values.items()):
        kind, period, *rest = record
        year, months = spans[period]
        known = declared().records[kind].year
        if measure in known.months_of_heads:
            cell = (record, caliber, f"heads_{measure}")
            values[cell] = Decimal(value) / months
            persons.add(cell)
        yearly = (kind, str(year), *rest)
        if measure in known.heads and value > 0 and any((yearly, caliber, one) in values for one in known.sums):
            cell = (yearly, caliber, f"{_LEAST}{measure}")
            values[cell] = min(value, values.get(cell, value))
            persons.add(cell)


def _equations(
    values: Mapping[Cell, Any], parents: Mapping[str, str], spans: Mapping[str, tuple[int, int]]
) -> list[Equation[Cell]]:
    equations: list[Equation[Cell]] = []
    of_caliber: dict[tuple[Record, str], list[Cell]] = defaultdict(list)
    parts: dict[tuple[str, Cell], list[Cell]] = defaultdict(list)
    for cell in values:
        record, caliber, measure = cell
        kind, period, area, *rest = record
        if measure.startswith(_LEAST):
            continue
        known = declared().records[kind]
        if area in parents:
            parts["area", ((kind, period, parents[area], *rest), caliber, measure)].append(cell)
        for place, key in enumerate(known.keys):
            total = known.totals.get(key)
            is_part = total and rest[place] != total.total and (not total.parts or rest[place] in total.parts)
            if total and is_part and measure not in total.without:
                parts[
                    key, ((kind, period, area, *rest[:place], total.total, *rest[place + 1 :]), caliber, measure)
                ].append(cell)
        if measure in known.year.sums and period != str(spans[period][0]):
            parts["year", ((kind, str(spans[period][0]), area, *rest), caliber, measure)].append(cell)
        if measure in known.same_in_calibers:
            of_caliber[record, measure].append(cell)
        for one in known.sums:
            if measure == one.total and (
                of := [(record, caliber, name) for name in one.of if (record, caliber, name) in values]
            ):
                less = [(record, caliber, name) for name in one.less if (record, caliber, name) in values]
                equations.append({**dict.fromkeys(of, 1), **dict.fromkeys([cell, *less], -1)})
    equations += [{**dict.fromkeys(cells, 1), total: -1} for (_, total), cells in parts.items() if total in values]
    for cells in of_caliber.values():
        # Where one caliber covers fewer counties than another, the totals differ and are no secret of each other.
        equations += [{first: 1, second: -1} for first, second in pairwise(cells) if values[first] == values[second]]
    return equations
