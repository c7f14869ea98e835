"""What is in force of the counties to be judged, as every frame looks at it: read once a return, numbers as scaled integers.

Belongs here: the one way to the landing tables, and the shape of a judgement. What is compared with what is the business of the
frames.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

import duckdb
import polars as pl

from pipelines.periods import Period, PeriodType, parse_period
from pipelines.returns import current_definitions
from pipelines.warehouse.policy import Policy, landed_policy

#: Every judgement: `ok` null where it cannot be judged; `value` and `expected` scaled by `places`, or as words. `source_row`: the row
#: that holds the value; `first_row` to `last_row`: the rows whose sum it is, none of which is wrong by itself.
JUDGEMENT: dict[str, type[pl.DataType] | pl.DataType] = {
    "entry": pl.UInt32,
    "ok": pl.Boolean,
    "source_row": pl.Int64,
    "first_row": pl.Int64,
    "last_row": pl.Int64,
    "row_label": pl.String,
    "subject": pl.String,
    "column": pl.String,
    "column_label": pl.String,
    "value": pl.Int64,
    "expected": pl.Int64,
    "places": pl.Int8,
    "value_text": pl.String,
    "expected_text": pl.String,
    "detail": pl.String,
}
#: More rows than a sheet can have: those of a filing's second sheet are counted on from here, so that one number is a place.
_ROWS_OF_A_SHEET = 1 << 21
_ADDS_NOTHING = "not_applicable|included_elsewhere"


def judged(frame: pl.DataFrame, ok: pl.Expr, **given: pl.Expr | str | int) -> pl.DataFrame:
    """A frame as judgements: `ok` and what is given, and of the rest what the frame has under that name.

    Where `ok` is null nothing was judged; the rows stay, so that what was judged can be counted.
    """
    columns = []
    for name, kind in JUDGEMENT.items():
        if name == "ok":
            expression = ok
        elif name in given:
            value = given[name]
            expression = value if isinstance(value, pl.Expr) else pl.lit(value)
        elif name in frame.columns:
            expression = pl.col(name)
        else:
            expression = pl.lit(None)
        columns.append(expression.cast(kind).alias(name))
    return frame.select(columns)


def far_apart(
    parameters: Mapping[str, float], places: int = 0, *, value: str = "value", expected: str = "expected"
) -> pl.Expr:
    """Whether two figures differ by more than a share *and* more than an absolute amount; null when either is missing."""
    difference = (pl.col(value) - pl.col(expected)).abs()
    least = parameters.get("persons", parameters.get("yuan", 0)) * 10**places
    return (difference > parameters["share"] * pl.col(expected)) & (difference > least)


def within(parameters: Mapping[str, float], places: int, *, value: str = "value") -> pl.Expr:
    """Whether a figure lies between the rule's `low` and `high`, both in; null when it is missing."""
    return pl.col(value).is_between(round(parameters["low"] * 10**places), round(parameters["high"] * 10**places))


def nearest_bound(parameters: Mapping[str, float], places: int, *, value: str = "value") -> pl.Expr:
    """The bound that a figure outside has crossed."""
    low, high = (round(parameters[name] * 10**places) for name in ("low", "high"))
    return pl.when(pl.col(value) < low).then(low).otherwise(high)


def quotient(numerator: pl.Expr, denominator: pl.Expr, places: int = 0) -> pl.Expr:
    """numerator ÷ denominator as an integer scaled by `places`, rounded half up; null where the denominator is not above 0."""
    scaled = numerator.cast(pl.Int128) * 2 * 10**places + denominator.cast(pl.Int128)
    return pl.when(denominator > 0).then(scaled // (denominator.cast(pl.Int128) * 2)).cast(pl.Int64)


def counted(name: str) -> pl.Expr:
    """A cell as a summand: 0 where it is not applicable or included elsewhere, null where it is missing."""
    says_nothing = pl.col("missing_codes").str.contains(f'"{name}":"({_ADDS_NOTHING})[:"]')
    return pl.coalesce(pl.col(name), pl.when(says_nothing).then(0))


def is_included(name: str, holder: str | None = None) -> pl.Expr:
    """Whether a cell is answered 并入: into the column `holder`, or (None) without naming any."""
    code = "included_elsewhere" if holder is None else f"included_elsewhere:{holder}"
    return pl.col("missing_codes").str.contains(f'"{name}":"{code}"', literal=True)


def holds_what_it_says(name: str) -> pl.Expr:
    """Whether a cell's figure is that of its column alone: neither included elsewhere, nor with another's figure (perhaps) in it."""
    codes = pl.col("missing_codes")
    return ~(
        codes.str.contains(f'"{name}":"included_elsewhere', literal=True)
        | codes.str.contains(f'"included_elsewhere:{name}"', literal=True)
        | codes.str.contains('"included_elsewhere"', literal=True)
    )


def total(expression: pl.Expr) -> pl.Expr:
    """The sum over a group; null (a missing term) when any part of it is."""
    return pl.when(expression.is_null().any()).then(None).otherwise(expression.sum())


def summed_rows(*, adjacent: bool = False) -> list[pl.Expr]:
    """Of a group: `first_row` and `last_row` of the rows that are summed; with `adjacent` null where other rows stand in between."""
    first, last = pl.col("source_row").min(), pl.col("source_row").max()
    whole = last - first + 1 == pl.col("source_row").n_unique() if adjacent else pl.lit(True)
    return [pl.when(whole).then(first).alias("first_row"), pl.when(whole).then(last).alias("last_row")]


_ROW_LABELS = {
    "enrolment": ("{}（{}）", ("school_name", "stage")),
    "teacher_pay": ("{}（{}）", ("school_name", "stage")),
    "rural_subsidy": ("{}（{}）", ("school_name", "programme")),
    "population": ("{} {} 岁", ("register", "age")),
}


def school_year_of(period: Period) -> str:
    """The school year in whose course the period ends; of a calendar year the one that starts in it, as in the models."""
    starts = period.end.year if period.end.month >= 9 else period.end.year - 1
    if period.type is PeriodType.school_year:
        starts = period.start.year
    return f"{starts}-{starts + 1}"


def _before(period: Period) -> str | None:
    try:
        return period.previous().code
    except ValueError:  # the first year that is supported
        return None


@dataclass
class Scene:
    """The filings to be judged, and the rows in force of their counties.

    `filings`: entry (a number of its own for each), return_code, county_code, period, submission_id, screening_seq, sheet, file_name,
    `before` (code of the period before), months_n, school_year, calendar_year, starts_on, ends_on. `units`: return code → what was
    found of the units of its columns, which other questions wait for.
    """

    connection: duckdb.DuckDBPyConnection
    filings: pl.DataFrame
    policy: Policy
    units: dict[str, pl.DataFrame] = field(default_factory=dict)
    _rows: dict[str, pl.DataFrame] = field(default_factory=dict)
    _sheets: dict[int, list[str]] = field(default_factory=dict)

    @staticmethod
    def of(connection: duckdb.DuckDBPyConnection, county_codes: Sequence[str]) -> "Scene":
        """The scene of all filings in force of some counties. Expects the temporary table `in_force`."""
        filings = connection.sql(
            """SELECT return_code, county_code, period, submission_id, screening_seq, sheet, file_name FROM in_force
               WHERE list_contains(?, county_code) ORDER BY return_code, county_code, period""",
            params=[list(county_codes)],
        ).pl()
        codes = filings["period"].unique().to_list()
        periods = {code: parse_period(code) for code in codes}
        known = pl.DataFrame(
            {
                "period": codes,
                "before": [_before(periods[code]) for code in codes],
                "months_n": [periods[code].months for code in codes],
                "school_year": [school_year_of(periods[code]) for code in codes],
                "calendar_year": [str(periods[code].start.year) for code in codes],
                "starts_on": [periods[code].start for code in codes],
                "ends_on": [periods[code].end for code in codes],
            },
            schema={"period": pl.String, "before": pl.String, "months_n": pl.Int32, "school_year": pl.String, "calendar_year": pl.String,
                    "starts_on": pl.Date, "ends_on": pl.Date},
        )  # fmt: skip
        found = filings.join(known, on="period", maintain_order="left").with_row_index("entry")
        return Scene(connection, found, landed_policy(connection))

    def of_return(self, return_code: str) -> pl.DataFrame:
        """The filings of one return."""
        return self.filings.filter(pl.col("return_code") == return_code)

    def rows(self, return_code: str) -> pl.DataFrame:
        """The rows of a return's filings: what `filings` says of them, source_row, row_label, subject, and every declared column.

        `source_row` counts on over the sheets of a filing: `place` tells which row of which sheet it is.
        Money in cents and headcounts in tenths, as integers; missing_codes as landed.
        """
        if return_code not in self._rows:
            self._rows[return_code] = self._read(return_code)
        return self._rows[return_code]

    def place(self, entry: int, source_row: int | None) -> tuple[str, int | None]:
        """(sheet, row in it) of a row of a filing; without a row its first sheet."""
        sheets = self._sheets.get(entry, [""])
        if source_row is None:
            return sheets[0], None
        return sheets[source_row // _ROWS_OF_A_SHEET], source_row % _ROWS_OF_A_SHEET

    def _read(self, return_code: str) -> pl.DataFrame:
        defined = current_definitions()[return_code]
        selected = []
        for column in defined.columns:
            places = column.decimal_places
            name = f'landed."{column.name}"'
            selected.append(f'CAST({name} * {10**places} AS BIGINT) AS "{column.name}"' if places else name)
        filings = self.of_return(return_code)
        self.connection.register("judged_filing", filings.to_arrow())
        rows = self.connection.sql(
            f"""SELECT filing.entry, landed.sheet, landed.source_row, landed.missing_codes, {", ".join(selected)}
                FROM landing.{return_code} AS landed
                INNER JOIN judged_filing AS filing USING (submission_id, screening_seq, county_code, period)"""
        ).pl()
        self.connection.unregister("judged_filing")
        rows = self._counted_on(rows)
        label, parts = _ROW_LABELS.get(return_code, ("{}", (defined.row_label,)))
        return (
            rows.join(
                filings.select(
                    "entry", "county_code", "period", "before", "school_year", "calendar_year", "starts_on", "ends_on"
                ),
                on="entry",
            )
            .with_columns(
                pl.format(label, *parts).alias("row_label"),
                pl.concat_str([pl.col(name).cast(pl.String) for name in defined.key], separator="/").alias("subject"),
            )
            .sort("entry", "source_row")
        )

    def _counted_on(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows with `source_row` counted on over the sheets of each filing, in the order of their names."""
        sheets = rows.select("entry", "sheet").unique().sort("entry", "sheet")
        self._sheets |= {
            entry: part["sheet"].to_list() for (entry,), part in sheets.partition_by("entry", as_dict=True).items()
        }
        number = pl.col("sheet").rank("dense").over("entry").cast(pl.Int64) - 1
        return rows.with_columns((number * _ROWS_OF_A_SHEET + pl.col("source_row")).alias("source_row")).drop("sheet")

    def before(self, return_code: str, rows: pl.DataFrame, on: Sequence[str], columns: Sequence[str]) -> pl.DataFrame:
        """The rows with `<column>_before` of the same key in the period before; null where there was none."""
        earlier = self.rows(return_code).select(
            "county_code",
            pl.col("period").alias("before"),
            *on,
            *(pl.col(name).alias(f"{name}_before") for name in columns),
        )
        return rows.join(earlier, on=["county_code", "before", *on], how="left", maintain_order="left")

    def has(self, return_code: str, period: str) -> pl.Expr:
        """Whether the period named by a column is in force of a return in the same county."""
        there = self.of_return(return_code).select(pl.struct("county_code", pl.col("period").alias(period)))
        return pl.struct("county_code", period).is_in(there.to_series().implode())

    @cached_property
    def closings(self) -> pl.DataFrame:
        """county_code, school_code, closed_on: the last closing day that any register in force names."""
        return (
            self.rows("school")
            .filter(pl.col("closed_on").is_not_null())
            .group_by("county_code", "school_code")
            .agg(pl.col("closed_on").max())
        )

    @cached_property
    def registers(self) -> pl.DataFrame:
        """The register by school year, each with the schools that only the year before names (closed meanwhile)."""
        columns = [
            "county_code",
            "school_code",
            "school_name",
            "school_type",
            "organiser",
            "location_code",
            "subsidy_tier",
        ]
        here = self.rows("school").select("period", *columns, pl.lit(0).alias("years_back"))
        years = {code: parse_period(code).next().code for code in here["period"].unique()}
        later = here.with_columns(
            pl.col("period").replace_strict(years, return_dtype=pl.String), pl.lit(1).alias("years_back")
        )
        there = here.select("county_code", "period").unique()
        return (
            pl.concat([here, later.join(there, on=["county_code", "period"], how="semi")])
            .sort("years_back")
            .unique(["county_code", "period", "school_code"], keep="first", maintain_order=True)
            .rename({"period": "school_year"})
        )

    def policy_frame(self, return_code: str) -> pl.DataFrame:
        """entry, hardship_category of each filing's county on the last day of its period; null where policy names none."""
        rows = [
            (row["entry"], self.policy.hardship_category(row["county_code"], row["ends_on"]))
            for row in self.of_return(return_code).iter_rows(named=True)
        ]
        return pl.DataFrame(rows, schema={"entry": pl.UInt32, "hardship_category": pl.String}, orient="row")

    def standards(self) -> pl.DataFrame:
        """entry, programme, tier, standard_cents: what policy sets for each filing of subsidies and what it reports."""
        wanted = self.rows("rural_subsidy").select("entry", "county_code", "ends_on", "programme", "tier").unique()
        found: dict[tuple[str, str, str, date], int | None] = {}
        cents = []
        for _, county_code, ends_on, programme, tier in wanted.iter_rows():
            key = (county_code, programme, tier, ends_on)
            if key not in found:
                yuan = self.policy.yuan_per_month(*key)
                found[key] = None if yuan is None else int(yuan * 100)
            cents.append(found[key])
        return wanted.select("entry", "programme", "tier").with_columns(
            pl.Series("standard_cents", cents, dtype=pl.Int64)
        )
