"""Returns whose sample is a query over the world: what a school would answer follows from its pupils, teachers and county.

Belongs here: running `<return>.sample.sql`, which lies beside the return's definition, and putting its rows into the world. The query
reads a table a return (with `county_code` and `period`), `county` (county_code, county_name) and `period` (period, period_type, school_year,
calendar_year, starts_on, ends_on), and gives `county_code`, `period` and the columns of the form. `varied(text, low, high)` is a whole
number from low to high that follows from the text alone. The same rows on every machine, in the order of the form's key.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import duckdb

from pipelines.periods import parse_period
from pipelines.returns import ReturnDefinition, current_definitions, return_versions
from pipelines.rule_files import definitions_folders
from pipelines.sample.world import CALENDAR_YEARS, MONTHS, QUARTERS, SCHOOL_YEARS, SEMESTERS, Row, World

_SUFFIX = ".sample.sql"
_VARIED = """CREATE MACRO varied(text, low, high) AS
    CAST(low + md5_number_lower(CAST(text AS VARCHAR)) % (high - low + 1) AS BIGINT)"""


class SampleError(Exception):
    """A query of the sample cannot be used; which file, and why (Chinese)."""


def sample_queries() -> dict[str, Path]:
    """Return code → the query of its sample, in the order of the forms; a home's own beside the shipped ones."""
    found = {
        path.name.removesuffix(_SUFFIX): path for folder in definitions_folders() for path in folder.glob(f"*{_SUFFIX}")
    }
    in_order = sorted(current_definitions().values(), key=lambda defined: defined.form)
    return {defined.return_code: found[defined.return_code] for defined in in_order if defined.return_code in found}


def add_queried(world: World) -> None:
    """Ask every query and put its rows into the world; a later one may read an earlier one's return. Raises SampleError."""
    queries = sample_queries()
    if not queries:
        return
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        connection.execute(_VARIED)
        _fill(connection, "county", [{"county_code": one.code, "county_name": one.name} for one in world.counties])
        _fill(connection, "period", list(_periods()))
        for return_code in dict.fromkeys(code for code, _, _ in world.filings()):
            _reported(connection, world, return_code)
        for return_code, path in queries.items():
            defined = current_definitions()[return_code]
            for (county_code, period), rows in _asked(connection, path, defined).items():
                world.put(return_code, county_code, period, rows)
            _reported(connection, world, return_code)


def _periods() -> Iterator[Row]:
    for code in (*SCHOOL_YEARS, *SEMESTERS, *CALENDAR_YEARS, *QUARTERS, *MONTHS):
        period = parse_period(code)
        began = period.start.year if period.start.month >= 9 else period.start.year - 1
        yield {
            "period": code, "period_type": period.type.value, "school_year": f"{began}-{began + 1}",
            "calendar_year": str(period.start.year), "starts_on": period.start, "ends_on": period.end,
        }  # fmt: skip


def _reported(connection: duckdb.DuckDBPyConnection, world: World, return_code: str) -> None:
    """What is reported of a return, as a table: no row where nothing is."""
    rows: list[Row] = [
        {"county_code": county_code, "period": period, **row}
        for code, county_code, period in world.filings()
        if code == return_code
        for row in world.rows(code, county_code, period)
    ]
    types = {"county_code": "VARCHAR", "period": "VARCHAR"}
    types |= {column.name: column.sql_type for column in return_versions()[return_code].columns}
    _fill(connection, return_code, rows, types)


def _fill(
    connection: duckdb.DuckDBPyConnection, table: str, rows: list[Row], types: dict[str, str] | None = None
) -> None:
    types = types or {name: "DATE" if name.endswith("_on") else "VARCHAR" for name in rows[0]}
    # A word that stands for a number (不适用) is none.
    given = json.dumps([{name: row.get(name) for name in types} for row in rows], ensure_ascii=False, default=str)
    columns = ", ".join(f'TRY_CAST("{name}" AS {kind}) AS "{name}"' for name, kind in types.items())
    connection.execute(
        f'CREATE OR REPLACE TABLE "{table}" AS SELECT {columns} FROM (SELECT unnest(from_json($1::JSON, $2), recursive := true))',
        [given, json.dumps([dict.fromkeys(types, "VARCHAR")])],
    )


def _asked(
    connection: duckdb.DuckDBPyConnection, path: Path, defined: ReturnDefinition
) -> dict[tuple[str, str], list[Row]]:
    """(county, period) → rows. Raises SampleError."""
    try:
        found = connection.sql(path.read_text(encoding="utf-8"))
        wanted = ["county_code", "period", *defined.names]
        if found is None or set(found.columns) != set(wanted):
            raise SampleError(f"{path}：应给出 {'、'.join(wanted)} 各列")
        key = ", ".join(f'"{name}"' for name in ("county_code", "period", *defined.key))
        rows = found.project(", ".join(f'"{name}"' for name in wanted)).order(key).fetchall()
    except duckdb.Error as fault:
        raise SampleError(f"{path}：{fault}") from fault
    answered: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for county_code, period, *values in rows:
        answered[county_code, period].append(dict(zip(defined.names, values, strict=True)))
    return answered
