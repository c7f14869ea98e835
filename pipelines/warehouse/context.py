"""Rules that need other periods, other returns or the census: judged over what is in force, again whenever that changes.

Belongs here: building the frames that the context rules of a suite are asserted on. Such a rule only asks (query or info): a file
is rejected for what stands in it alone, so which version is in force never depends on the order in which files came. All filings
of a county in which something changed are judged anew, which makes the findings a function of what is in force.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import duckdb
import polars as pl

from pipelines.periods import parse_period
from pipelines.returns import current_definitions, definition
from pipelines.screening.findings import Finding, Place, make_finding, signed
from pipelines.screening.reference import CENSUS, CENSUS_YEAR
from pipelines.screening.rules import Rule, form_label, suite
from pipelines.screening.validate import validate
from pipelines.warehouse.build_database import insert_findings, next_sequence


@dataclass
class ContextResult:
    """Filings judged: (submission_id, return_code, county_code, period); their findings; and each rule's counts."""

    evaluated: list[tuple[str, str, str, str]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    rule_results: list[tuple[str, str, str, str, str, str, str, int, int]] = field(default_factory=list)


def evaluate_context(connection: duckdb.DuckDBPyConnection, counties: Iterable[str]) -> ContextResult:
    """Judge every filing in force of the given counties by its suite's context rules."""
    result = ContextResult()
    codes = sorted(set(counties))
    if not codes:
        return result
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE judged_county AS SELECT unnest(?::VARCHAR[]) AS county_code", [codes]
    )
    filings = connection.sql(
        """SELECT return_code, county_code, period, submission_id, screening_seq, sheet, file_name
           FROM landing.filing_in_force SEMI JOIN judged_county USING (county_code)
           ORDER BY return_code, county_code, period"""
    ).pl()
    for return_code in current_definitions():
        rules = suite(return_code)
        context = {rule.frame for rule in rules.rules.values() if rule.scope == "context"}
        mine = filings.filter(pl.col("return_code") == return_code).with_row_index("entry")
        result.evaluated += list(mine.select("submission_id", "return_code", "county_code", "period").iter_rows())
        for frame_name in sorted(context):
            _judge(connection, return_code, frame_name, mine, result)
    return result


def store_context(connection: duckdb.DuckDBPyConnection, result: ContextResult) -> None:
    """Append an evaluation. The caller opens and commits the transaction."""
    if not result.evaluated:
        return
    sequence = next_sequence(connection, "landing.context_evaluation", "evaluation_seq")
    evaluated = pl.DataFrame(
        result.evaluated, schema=["submission_id", "return_code", "county_code", "period"], orient="row"
    )
    connection.register("evaluated", evaluated.to_arrow())
    connection.execute(
        f"""INSERT INTO landing.context_evaluation
            SELECT {sequence}, submission_id, return_code, county_code, period FROM evaluated"""
    )
    connection.unregister("evaluated")
    insert_findings(connection, "landing.context_finding", "evaluation_seq", sequence, result.findings)
    if result.rule_results:
        counted = pl.DataFrame(
            result.rule_results,
            schema=["submission_id", "return_code", "county_code", "period", "rule_id", "level", "outcome", "checked_n",
                    "failed_n"],
            orient="row",
        )  # fmt: skip
        connection.register("counted", counted.to_arrow())
        connection.execute(f"INSERT INTO landing.context_rule_result SELECT {sequence}, * FROM counted")
        connection.unregister("counted")


def _judge(
    connection: duckdb.DuckDBPyConnection,
    return_code: str,
    frame_name: str,
    filings: pl.DataFrame,
    result: ContextResult,
) -> None:
    rules = suite(return_code)
    expectations = rules.select("context", frame_name)
    if filings.is_empty():
        return
    frame = _FRAMES[(return_code, frame_name)](connection, filings).with_row_index("item")
    validation = validate(frame, expectations, name=f"{return_code}_{frame_name}", index=("item",))
    by_entry = {row["entry"]: row for row in filings.iter_rows(named=True)}
    letters = _column_letters(connection, filings)
    for expectation in expectations:
        rule = rules.rules[expectation["meta"]["rule"]]
        broken = sorted(place[0] for place in validation.broken.get(rule.rule_id, []))
        failed: dict[int, int] = {}
        for row in frame.filter(pl.col("item").is_in(broken)).iter_rows(named=True):
            filing = by_entry[row["entry"]]
            failed[row["entry"]] = failed.get(row["entry"], 0) + 1
            letter = letters.get((filing["submission_id"], filing["sheet"], rule.column or ""), "")
            place = Place(
                submission_id=filing["submission_id"],
                file_name=filing["file_name"],
                return_code=return_code,
                county_code=filing["county_code"],
                period=filing["period"],
                form_label=form_label(return_code),
                sheet=filing["sheet"],
                cell=f"{letter}{row['source_row']}" if letter and row["source_row"] else "",
                source_row=row["source_row"],
                row_label=row["row_label"] or "",
                column_label=definition(return_code).column(rule.column).label if rule.column else "",
            )
            value, expected = row.get("value"), row.get("expected")
            result.findings.append(
                make_finding(
                    rule,
                    place,
                    value="" if value is None else str(value),
                    expected="" if expected is None else str(expected),
                    difference="" if value is None or expected is None else signed(value - expected, 0),
                    detail=row.get("detail") or "",
                )
            )
        checked = dict(frame.filter(pl.col(rule.asserted).is_not_null()).group_by("entry").len().iter_rows())
        for entry, filing in by_entry.items():
            result.rule_results.append(
                (filing["submission_id"], return_code, filing["county_code"], filing["period"], rule.rule_id, rule.level,
                 rule.outcome, checked.get(entry, 0), failed.get(entry, 0))
            )  # fmt: skip


def _column_letters(connection: duckdb.DuckDBPyConnection, filings: pl.DataFrame) -> dict[tuple[str, str, str], str]:
    connection.register("judged_filing", filings.to_arrow())
    rows = connection.execute(
        """SELECT submission_id, sheet, column_name, column_letter FROM landing.cell_column
           SEMI JOIN judged_filing USING (submission_id, screening_seq, return_code, sheet)"""
    ).fetchall()
    connection.unregister("judged_filing")
    return {(row[0], row[1], row[2]): row[3] for row in rows}


def _in_force_rows(connection: duckdb.DuckDBPyConnection, return_code: str, columns: Sequence[str]) -> pl.DataFrame:
    """Rows in force of the judged counties: county_code, period, source_row and the named columns."""
    selected = ", ".join(f'landed."{name}"' for name in columns)
    return connection.sql(
        f"""SELECT landed.county_code, landed.period, landed.source_row, {selected}
            FROM landing.{return_code} AS landed
            SEMI JOIN (SELECT * FROM landing.filing_in_force SEMI JOIN judged_county USING (county_code)) AS filing
                ON landed.submission_id = filing.submission_id AND landed.screening_seq = filing.screening_seq
                AND landed.county_code = filing.county_code AND landed.period = filing.period
                AND filing.return_code = '{return_code}'"""
    ).pl()


def _close(rule: Rule) -> pl.Expr:
    """Whether `value` and `expected` agree: a difference counts only when it is large both in share and in persons."""
    difference = (pl.col("value") - pl.col("expected")).abs()
    share, persons = rule.parameters["share"], rule.parameters["persons"]
    return (difference <= share * pl.col("expected")) | (difference <= persons)


def _enrolment_rows(connection: duckdb.DuckDBPyConnection, filings: pl.DataFrame) -> pl.DataFrame:
    """A school and stage beside itself in the period before."""
    rows = _in_force_rows(connection, "enrolment", ["school_code", "school_name", "stage", "students_total"])
    entries = filings.select("entry", "county_code", "period").with_columns(
        pl.col("period")
        .map_elements(lambda code: parse_period(code).previous().code, return_dtype=pl.String)
        .alias("before")
    )
    before = rows.select("county_code", pl.col("period").alias("before"), "school_code", "stage",
                         pl.col("students_total").alias("expected"))  # fmt: skip
    rule = suite("enrolment").rules["XB02-2-change-students-total"]
    return (
        rows.join(entries, on=["county_code", "period"])
        .join(before, on=["county_code", "before", "school_code", "stage"], how="left")
        .rename({"students_total": "value"})
        .with_columns(
            _close(rule).alias("ok__change_students_total"),
            pl.format("{}（{}）", pl.col("school_name"), pl.col("stage")).alias("row_label"),
        )
        .sort("entry", "source_row")
    )


def _register(connection: duckdb.DuckDBPyConnection, filings: pl.DataFrame) -> pl.DataFrame:
    """The schools that the register of the same period holds open, each found in the enrolment return or not."""
    schools = _in_force_rows(connection, "school", ["school_code", "school_name", "closed_on"])
    present = _in_force_rows(connection, "enrolment", ["school_code"]).select("county_code", "period", "school_code")
    present = present.unique().with_columns(pl.lit(True).alias("present"))
    return (
        schools.filter(pl.col("closed_on").is_null())
        .join(filings.select("entry", "county_code", "period"), on=["county_code", "period"])
        .join(present, on=["county_code", "period", "school_code"], how="left")
        .with_columns(
            pl.col("present").fill_null(False).alias("ok__register"),
            pl.format("{}（{}）", pl.col("school_name"), pl.col("school_code")).alias("detail"),
            pl.col("school_name").alias("row_label"),
            pl.lit(None, dtype=pl.Int32).alias("source_row"),
        )
        .sort("entry", "school_code")
    )


def _census_cohorts(connection: duckdb.DuckDBPyConnection, filings: pl.DataFrame) -> pl.DataFrame:
    """Age bands of the census, aged to the return's year, beside the resident population reported for those ages."""
    census = (
        connection.sql(
            f"""SELECT area_code AS county_code, age_from, age_to, male + female AS expected
            FROM landing.census_2020
            SEMI JOIN (SELECT submission_id FROM landing.filing_version
                       WHERE return_code = '{CENSUS}' AND verdict <> 'rejected'
                       ORDER BY received_at DESC, submission_id DESC LIMIT 1) USING (submission_id)"""
        )
        .pl()
        .unique()
    )
    people = (
        _in_force_rows(connection, "population", ["register", "age", "population_total"])
        .filter(pl.col("register") == "常住")
        .join(filings.select("entry", "county_code", "period"), on=["county_code", "period"])
    )
    years = pl.col("period").cast(pl.Int64) - CENSUS_YEAR
    bands = (
        people.select("entry", "county_code", "period")
        .unique()
        .join(census, on="county_code")
        .with_columns((pl.col("age_from") + years).alias("from"), (pl.col("age_to") + years).alias("to"))
        .filter((years > 0) & (pl.col("to") <= 17))
    )
    compared = (
        bands.join(people, on=["entry", "county_code", "period"])
        .filter(pl.col("age").is_between(pl.col("from"), pl.col("to")))
        .group_by("entry", "from", "to", "expected")
        .agg(
            pl.col("population_total").sum().alias("value"),
            pl.col("population_total").is_not_null().sum().alias("ages_n"),
            pl.col("source_row").sort_by("age").first(),
        )
    )
    rule = suite("population").rules["XB03-5-census-2020"]
    whole = pl.col("ages_n") == pl.col("to") - pl.col("from") + 1
    return compared.with_columns(
        pl.when(whole).then(_close(rule)).otherwise(None).alias("ok__census_2020"),
        pl.format("{}–{}", pl.col("from"), pl.col("to")).alias("detail"),
        pl.format("{} 岁", pl.col("from")).alias("row_label"),
    ).sort("entry", "from")


_FRAMES: dict[tuple[str, str], Callable[[duckdb.DuckDBPyConnection, pl.DataFrame], pl.DataFrame]] = {
    ("enrolment", "rows"): _enrolment_rows,
    ("enrolment", "register"): _register,
    ("population", "cohorts"): _census_cohorts,
}
