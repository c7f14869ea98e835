"""What the rules of a form cost, in CPU time of one process. Usage: python -m benchmarks.rules [--rows 1000000]

Printed: a return's rules over one filing and over a batch of forty, by the sample's own rows; and twenty rules on many rows beside one
plain query of Polars and one of DuckDB that find the same failing rows. Before rules were classes that Great Expectations runs on Polars
(truth columns made by Polars, asserted on pandas) the six returns of the sample took 1.56 s for one filing each and 1.89 s for batches of
some forty, on a machine on which this prints 0.15 s and 0.36 s.
"""

import argparse
import random
import statistics
import time
from collections.abc import Callable

import duckdb
import polars as pl

from pipelines.periods import parse_period
from pipelines.returns import ReturnDefinition, current_definitions, definition
from pipelines.screening.checks.engine import Rows, failing, judge
from pipelines.screening.checks.form import Form
from pipelines.screening.rules import checks_of
from pipelines.screening.screen import judged

_RETURN = "rural_subsidy"
_RULES = 20
_FAILING = 950


def _milliseconds(work: Callable[[], object], times: int = 3) -> float:
    """CPU milliseconds of the middle one of a few runs."""
    took = []
    for _ in range(times):
        start = time.process_time()
        work()
        took.append(1000 * (time.process_time() - start))
    return statistics.median(took)


def typed(defined: ReturnDefinition, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of scaled integers, texts and days as `tabulate` hands them on."""
    return rows.with_columns(
        *(pl.lit("value").alias(f"{column.name}__state") for column in defined.columns),
        *(pl.col(column.name).cast(pl.String).alias(f"{column.name}__text") for column in defined.columns),
    )


def subsidies(rows_n: int, filings_n: int) -> pl.DataFrame:
    """So many truthful rows of XB06, a few of which break something."""
    chance = random.Random(1)
    number = pl.int_range(pl.len(), dtype=pl.Int64)
    heads, standard, months = 5 + number % 40, 30_000 + number % 7 * 1_000, 1 + number % 3
    due = heads * standard * months
    rows = pl.DataFrame({"source_row": pl.Series(range(rows_n), dtype=pl.Int32)}).with_columns(
        (number // (rows_n // filings_n)).cast(pl.Int32).alias("entry"),
        (number // (rows_n // filings_n)).cast(pl.Int32).alias("filing"),
        pl.lit(False).alias("is_total"),
        (1_409_000_000 + number).cast(pl.String).alias("school_code"),
        pl.lit("学校").alias("school_name"),
        pl.lit("乡村教师生活补助").alias("programme"),
        pl.lit("一档").alias("tier"),
        heads.alias("teachers_entitled"),
        heads.alias("teachers_paid"),
        standard.alias("standard_yuan_per_month"),
        months.alias("months"),
        due.alias("due_yuan"),
        due.alias("paid_yuan"),
        pl.lit(0, pl.Int64).alias("arrears_yuan"),
    )
    wrong = pl.Series(sorted(chance.sample(range(rows_n), min(_FAILING, rows_n // 10))))
    return rows.with_columns(
        pl.when(pl.col("source_row").is_in(wrong.implode()))
        .then(pl.col(name) + 1_000)
        .otherwise(pl.col(name))
        .alias(name)
        for name in ("due_yuan", "teachers_paid")
    )


def plain_polars(defined: ReturnDefinition, frame: pl.DataFrame) -> pl.DataFrame:
    """Twenty conditions in one query, as somebody would write them by hand; the rows that fail any."""
    states = [pl.col(f"{column.name}__state").is_in(["value", "text_number"]) for column in defined.columns]
    product = pl.col("teachers_entitled") * pl.col("standard_yuan_per_month") * pl.col("months")
    key = pl.struct("entry", "school_code", "programme", "tier")
    conditions = [
        *states,
        pl.col("teachers_paid") <= pl.col("teachers_entitled"),
        (pl.col("due_yuan") - product).abs() <= 5,
        (pl.col("arrears_yuan") - (pl.col("due_yuan") - pl.col("paid_yuan"))).abs() <= 5,
        pl.col("months") <= 3,
        pl.col("standard_yuan_per_month").is_between(5_000, 500_000),
        pl.col("paid_yuan") <= pl.col("due_yuan"),
        (pl.col("due_yuan") > 0) | (pl.col("paid_yuan") < 100),
        key.is_first_distinct(),
        ~pl.any_horizontal([pl.col(f"{one.name}__state") == "text_number" for one in defined.number_columns]),
    ]
    assert len(conditions) == _RULES
    truths = frame.lazy().select(one.alias(str(place)) for place, one in enumerate(conditions)).collect()
    return frame.filter(truths.select(~pl.all_horizontal(pl.all())).to_series())


def plain_duckdb(defined: ReturnDefinition, frame: pl.DataFrame) -> pl.DataFrame:
    """The same in SQL, on a table."""
    states = " AND ".join(f"\"{column.name}__state\" IN ('value', 'text_number')" for column in defined.columns)
    typed_n = " OR ".join(f"\"{column.name}__state\" = 'text_number'" for column in defined.number_columns)
    query = f"""
        SELECT * FROM frame WHERE NOT ({states} AND teachers_paid <= teachers_entitled
            AND abs(due_yuan - teachers_entitled * standard_yuan_per_month * months) <= 5
            AND abs(arrears_yuan - (due_yuan - paid_yuan)) <= 5 AND months <= 3
            AND standard_yuan_per_month BETWEEN 5000 AND 500000 AND paid_yuan <= due_yuan
            AND (due_yuan > 0 OR paid_yuan < 100) AND NOT ({typed_n}))
        OR source_row IN (SELECT max(source_row) FROM frame GROUP BY entry, school_code, programme, tier HAVING count(*) > 1)"""
    with duckdb.connect() as connection:
        connection.register("frame", frame.to_arrow())
        return connection.sql(query).pl()


def twenty_rules(rows_n: int) -> None:
    """Print what twenty rules on so many rows cost, every failing cell with what is said of it."""
    defined = definition(_RETURN)
    frame = typed(defined, subsidies(rows_n, 20))
    left_out = {"total_row", "unit_of_column", "present", "not_reported"}
    checks = tuple(check for check in checks_of(defined) if check.check not in left_out)[:_RULES]
    periods = dict.fromkeys(range(20), parse_period("2024Q3"))
    rows = Rows(frame, Form(defined, checks, periods))
    known = [check.configuration for check in checks]  # type: ignore[attr-defined]
    cells = sum(answer.cells.height for answer in judge(rows, known).values())
    with_gx, alone = _milliseconds(lambda: judge(rows, known)), _milliseconds(lambda: failing(rows, checks))
    polars = _milliseconds(lambda: plain_polars(defined, frame))
    in_duckdb = _milliseconds(lambda: plain_duckdb(defined, frame))
    print(f"{len(checks)} rules x {rows_n:,} rows, {cells:,} failing cells: {with_gx / 1000:.2f} s; the same pass without GX "
          f"{alone / 1000:.2f} s; one plain query of Polars {polars / 1000:.2f} s (x {with_gx / polars:.2f}), "
          f"of DuckDB {in_duckdb / 1000:.2f} s (x {with_gx / in_duckdb:.2f})")  # fmt: skip


def one_filing_and_a_batch() -> None:
    """Print what each return's rules cost on fifty rows of one filing, and on forty such filings."""
    total = [0.0, 0.0]
    for defined in current_definitions().values():
        places = {column.name: place for place, column in enumerate(defined.columns)}
        took = []
        for filings_n in (1, 40):
            rows_n = 50 * filings_n
            number = pl.int_range(pl.len(), dtype=pl.Int64)
            values = {
                column.name: (number % 50 + places[column.name]).cast(pl.Int64) if column.is_number
                else pl.lit(None, pl.Date) if column.type == "date"
                else pl.lit(column.codes[0]) if column.codes
                else number.cast(pl.String)
                for column in defined.columns
            }  # fmt: skip
            rows = pl.DataFrame({"source_row": pl.Series(range(rows_n), dtype=pl.Int32)}).with_columns(
                (number // 50).cast(pl.Int32).alias("entry"), (number // 50).cast(pl.Int32).alias("filing"),
                pl.lit(False).alias("is_total"), *(value.alias(name) for name, value in values.items()),
            )  # fmt: skip
            frame, periods = typed(defined, rows), dict.fromkeys(range(filings_n), parse_period("2024Q3"))
            judged(defined, frame, periods)
            took.append(_milliseconds(lambda: judged(defined, frame, periods)))  # noqa: B023 - run at once
        rules_n = len(checks_of(defined))
        print(f"{defined.form}: {rules_n} rules, one filing {took[0]:.0f} ms, forty {took[1]:.0f} ms")
        total = [before + one for before, one in zip(total, took, strict=True)]
    print(f"six returns: one filing each {total[0]:.0f} ms, forty each {total[1]:.0f} ms")


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows_n = parser.parse_args().rows
    one_filing_and_a_batch()
    twenty_rules(rows_n)


if __name__ == "__main__":
    main()
