"""What counties share that they should not: the same school, the same figures.

Belongs here: looking over all counties at once, and saying which counties must be judged together. A finding between two counties is
a function of both, so both are judged whenever either changes.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import duckdb
import polars as pl

from pipelines.returns import ReturnDefinition, current_definitions

LEVEL = "3"


def whole_filings(connection: duckdb.DuckDBPyConnection, return_code: str) -> pl.DataFrame:
    """A digest of the figures of every filing in force: `own` with the schools they belong to, `bare` without; `cells_n` that
    are not zero. Columns: county_code, period, rows_n, cells_n, own, bare. Equal digests of as many rows: equal figures.
    """
    defined = current_definitions()[return_code]
    numbers = [f'"{column.name}"' for column in defined.number_columns]
    keys = [f'"{name}"' for name in defined.key if name != "school_code"]
    named = [f'"{name}"' for name in defined.key]
    bare = ", ".join(dict.fromkeys([*keys, *numbers])) or "0"
    own = ", ".join(dict.fromkeys([*named, *numbers]))
    cells = " + ".join(["0", *(f"CAST(coalesce({name}, 0) <> 0 AS INTEGER)" for name in numbers)])
    return connection.sql(
        f"""SELECT county_code, period, count(*) AS rows_n, CAST(sum({cells}) AS BIGINT) AS cells_n,
                CAST(sum(hash({own})) AS VARCHAR) AS own, CAST(sum(hash({bare})) AS VARCHAR) AS bare
            FROM landing.{return_code}
            SEMI JOIN (SELECT * FROM in_force WHERE return_code = '{return_code}') AS filing
                USING (submission_id, screening_seq, county_code, period)
            GROUP BY county_code, period ORDER BY county_code, period"""
    ).pl()


def schools_shared(connection: duckdb.DuckDBPyConnection, return_code: str) -> pl.DataFrame:
    """Schools that more than one county reports for the same period: period, school_code, counties (sorted codes)."""
    return connection.sql(
        f"""SELECT period, school_code, list_sort(list(DISTINCT county_code)) AS counties
            FROM landing.{return_code}
            SEMI JOIN (SELECT * FROM in_force WHERE return_code = '{return_code}') AS filing
                USING (submission_id, screening_seq, county_code, period)
            GROUP BY period, school_code HAVING count(DISTINCT county_code) > 1 ORDER BY period, school_code"""
    ).pl()


def copies(digests: pl.DataFrame, least_cells: float) -> pl.DataFrame:
    """Filings of one period with the same figures in several counties: period, counties (sorted codes)."""
    return (
        digests.filter(pl.col("cells_n") >= least_cells)
        .group_by("period", "rows_n", "bare")
        .agg(pl.col("county_code").unique().sort().alias("counties"))
        .filter(pl.col("counties").list.len() > 1)
        .select("period", "counties")
        .sort("period")
    )


@dataclass
class Between:
    """What counties share, by return: digests of every filing, copies among counties, schools that several report."""

    digests: dict[str, pl.DataFrame]
    copies: dict[str, pl.DataFrame]
    shared: dict[str, pl.DataFrame]
    names: dict[str, str]

    def partners(self, counties: set[str]) -> set[str]:
        """Counties that share something with one of these."""
        found: set[str] = set()
        for frame in (*self.copies.values(), *self.shared.values()):
            for group in frame["counties"].to_list():
                if counties & set(group):
                    found |= set(group)
        return found

    def others(self, frame: pl.DataFrame) -> pl.DataFrame:
        """One row a county of each group, with `others`: the names of the rest of the group."""
        named = {
            (code, tuple(group)): "、".join(self.names.get(other, other) for other in group if other != code)
            for group in frame["counties"].to_list()
            for code in group
        }
        exploded = frame.with_columns(pl.col("counties").alias("county_code")).explode("county_code")
        others = [named[code, tuple(group)] for code, group in exploded.select("county_code", "counties").iter_rows()]
        return exploded.drop("counties").with_columns(pl.Series("others", others, dtype=pl.String))


def look_between(connection: duckdb.DuckDBPyConnection, least_cells: dict[str, float]) -> Between:
    """Look over all filings in force. `least_cells`: return → cells that a copied filing has at least. Expects `in_force`."""
    digests = {code: whole_filings(connection, code) for code in least_cells}
    names = connection.execute(
        "SELECT county_code, max(county_name) FROM control.county GROUP BY county_code"
    ).fetchall()
    return Between(
        digests=digests,
        copies={code: copies(digests[code], least) for code, least in least_cells.items()},
        shared={
            code: schools_shared(connection, code)
            for code, defined in current_definitions().items()
            if by_school(defined)
        },
        names={str(row[0]): str(row[1]) for row in names},
    )


def by_school(defined: ReturnDefinition) -> bool:
    """Whether a return's rows belong to schools."""
    return "school_code" in defined.key


def standing_counties(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """Counties of which something between counties stands against a filing in force: it may be gone. Expects `in_force`."""
    rows: Iterable[tuple[str]] = connection.execute(
        f"""SELECT DISTINCT county_code FROM landing.context_finding
            SEMI JOIN (SELECT submission_id, return_code, county_code, period, max(evaluation_seq) AS evaluation_seq
                       FROM landing.context_evaluation GROUP BY ALL) AS newest
                USING (evaluation_seq, submission_id, return_code, county_code, period)
            SEMI JOIN in_force USING (submission_id, return_code, county_code, period)
            WHERE level = '{LEVEL}'"""
    ).fetchall()
    return {row[0] for row in rows}
