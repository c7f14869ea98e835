"""Judging the counties in which something changed, and keeping what was found.

Belongs here: which frame answers which rules, findings at their cells, and the tables they go into.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import duckdb
import polars as pl

from pipelines.periods import parse_period
from pipelines.returns import current_definitions, definition
from pipelines.screening.findings import Finding, Place, make_finding, plain_number, signed
from pipelines.screening.rules import Rule, across_rules, form_label
from pipelines.screening.screen import FINDINGS_PER_RULE, told
from pipelines.warehouse.build_database import insert_findings, next_sequence
from pipelines.warehouse.context import filings, money, pupils, schools
from pipelines.warehouse.context.between import Between, look_between, standing_counties
from pipelines.warehouse.context.scene import Scene
from pipelines.yaml_mistakes import YamlMistakes

#: A frame: what the rules of a return that name it as their `model` are judged on, by question; `rules` has their parameters.
Frame = Callable[[Scene, Mapping[str, Rule]], dict[str, pl.DataFrame]]
#: The same of several returns: the return's code comes first.
_FrameOfReturn = Callable[[str, Scene, Mapping[str, Rule]], dict[str, pl.DataFrame]]


@dataclass
class ContextResult:
    """Filings judged: (submission_id, return_code, county_code, period); their findings; and each rule's counts.

    `faults`: return code → what went wrong in us when its rules were asked; nothing is said of its filings, and the rest stands.
    """

    evaluated: list[tuple[str, str, str, str]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    rule_results: list[tuple[str, str, str, str, str, str, str, int, int]] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)


def _frames(between: Between) -> dict[tuple[str, str], Frame]:
    """(return code, model named by its rules) → how its frame is built."""
    found: dict[tuple[str, str], Frame] = {
        ("school", "school_last_year"): schools.last_year,
        ("enrolment", "enrolment_rows"): pupils.change,
        ("enrolment", "enrolment_flow"): pupils.flow,
        ("enrolment", "enrolment_rates"): pupils.rates,
        ("population", "population_last_year"): pupils.people_last_year,
        ("population", "population_registers"): pupils.registers,
        ("population", "population_cohorts"): pupils.census_cohorts,
        ("teacher_pay", "teacher_pay_staffing"): money.staffing,
        ("teacher_pay", "teacher_pay_allowances"): money.allowances_paid,
        ("rural_subsidy", "rural_subsidy_last_period"): money.subsidies_last_period,
        ("rural_subsidy", "rural_subsidy_payroll"): money.payroll,
        ("rural_subsidy", "rural_subsidy_tiers"): money.tiers,
        ("rural_subsidy", "rural_subsidy_policy"): money.policy,
        ("rural_subsidy", "rural_subsidy_programmes"): money.programmes,
    }
    by_school = ("enrolment", "teacher_pay", "rural_subsidy")
    of_several: list[tuple[str, _FrameOfReturn, Iterable[str]]] = [
        ("known", schools.known, by_school),
        ("register", schools.register, by_school),
        ("stages", schools.stages, ("enrolment", "teacher_pay")),
        ("pay_last_year", money.pay_last_year, ("teacher_pay", "civil_servant_pay")),
        ("pay_hardship", money.hardship_pay, ("teacher_pay", "civil_servant_pay")),
        ("pay_included", money.included_elsewhere, ("teacher_pay", "civil_servant_pay")),
        ("round", filings.round_numbers, current_definitions()),
        ("units", filings.units, current_definitions()),
        (_COPIES, partial(filings.copied, between), between.digests),
        ("elsewhere", partial(filings.elsewhere, between), between.shared),
    ]
    for frame, ask, codes in of_several:
        found |= {(code, frame): partial(ask, code) for code in codes}
    return found


def evaluate_context(connection: duckdb.DuckDBPyConnection, counties: Iterable[str]) -> ContextResult:
    """Judge every filing in force of the given counties, and of those that share something with them, by the context rules."""
    result = ContextResult()
    touched = set(counties)
    if not touched:
        return result
    connection.execute("CREATE OR REPLACE TEMP TABLE in_force AS SELECT * FROM landing.filing_in_force")
    between = look_between(connection, _least_cells())
    # What was found between counties may be gone; what is there now must be said on both sides.
    together = touched | between.partners(touched) | standing_counties(connection)
    scene = Scene.of(connection, sorted(together))
    frames = _frames(between)
    every = []
    for return_code in current_definitions():
        try:
            judged = _judgements(scene, return_code, frames)
        except Exception as fault:  # noqa: BLE001 - our fault with the rules of one return must not hold up the others
            result.faults[return_code] = told(fault)
            continue
        every += [_without_the_rows_of_copies(judged)] if judged else []
    for judged in every:
        of_return = ContextResult()
        try:
            _findings(scene, judged, of_return)
        except Exception as fault:  # noqa: BLE001 - as above
            result.faults[judged.return_code] = told(fault)
            continue
        result.findings += of_return.findings
        result.rule_results += of_return.rule_results
    result.evaluated = [
        one for one in scene.filings.select("submission_id", "return_code", "county_code", "period").iter_rows()
        if one[1] not in result.faults
    ]  # fmt: skip
    return result


def _least_cells() -> dict[str, float]:
    """Return → how many cells a filing has at least that is held against others; returns that are not looked over left out."""
    return {
        return_code: rule.parameters["cells"]
        for return_code in current_definitions()
        for rule in _rules_of(return_code)
        if rule.model == _COPIES
    }


def _rules_of(return_code: str) -> Iterable[Rule]:
    """A return's rules across filings; none where its catalogue cannot be read, which is told when its files are judged."""
    try:
        return [rule for rules in across_rules(return_code).values() for rule in rules.values()]
    except (OSError, YamlMistakes):
        return []


@dataclass
class _Judged:
    """One return's judgements, one row each: of which rule (`rule_id`), where, and whether it holds (`ok`, null where a term is missing)."""

    return_code: str
    rules: dict[str, Rule]
    frame: pl.DataFrame


def _judgements(scene: Scene, return_code: str, frames: Mapping[tuple[str, str], Frame]) -> _Judged | None:
    """What the frames say of a return; None where it has no filing or no context rule."""
    if scene.of_return(return_code).is_empty():
        return None
    by_model = across_rules(return_code)
    parts = [
        _valid(scene, rule, judgements[question]).with_columns(pl.lit(rule.rule_id).alias("rule_id"))
        for name, rules in by_model.items()
        for judgements in [frames[return_code, name](scene, rules)]
        for question, rule in rules.items()
    ]
    if not parts:
        return None
    rules = {rule.rule_id: rule for rules in by_model.values() for rule in rules.values()}
    return _Judged(return_code, rules, pl.concat(parts, how="diagonal"))


def _without_the_rows_of_copies(judged: _Judged) -> _Judged:
    """The judgements without those that point at rows of a filing that is asked whether it is a copy: what its rows, and sums of
    them, are held against waits for that one answer."""
    asked = pl.col("rule_id").is_in([rule.rule_id for rule in judged.rules.values() if rule.model == _COPIES])
    copies = judged.frame.filter(asked & ~pl.col("ok"))["entry"].unique()
    if copies.is_empty():
        return judged
    waits = pl.col("entry").is_in(copies.implode()) & pl.coalesce("source_row", "first_row").is_not_null() & ~asked
    judged.frame = judged.frame.with_columns(pl.when(~waits).then("ok").alias("ok"))
    return judged


#: The model that answers whether a filing is a copy.
_COPIES = "copies"


def _findings(scene: Scene, judged: _Judged, result: ContextResult) -> None:
    return_code, rules, frame = judged.return_code, judged.rules, judged.frame
    entries = {row["entry"]: row for row in scene.of_return(return_code).iter_rows(named=True)}
    broken = frame.filter(~pl.col("ok"))
    columns = _column_letters(scene, return_code) if broken.height else {}
    if broken.height:
        scene.rows(return_code)  # where each stands
    checked = {
        (row[0], row[1]): row[2]
        for row in frame.filter(pl.col("ok").is_not_null()).group_by("rule_id", "entry").len().iter_rows()
    }
    for rule in rules.values():
        failed: dict[int, int] = {}
        for row in broken.filter(pl.col("rule_id") == rule.rule_id).iter_rows(named=True):
            failed[row["entry"]] = failed.get(row["entry"], 0) + 1
            if failed[row["entry"]] <= FINDINGS_PER_RULE:
                result.findings.append(_finding(scene, return_code, rule, entries[row["entry"]], row, columns))
        for entry, filing in entries.items():
            result.rule_results.append(
                (filing["submission_id"], return_code, filing["county_code"], filing["period"], rule.rule_id, rule.level,
                 rule.outcome, checked.get((rule.rule_id, entry), 0), failed.get(entry, 0))
            )  # fmt: skip


def _valid(scene: Scene, rule: Rule, judgements: pl.DataFrame) -> pl.DataFrame:
    """The judgements without those of periods for which the rule is not in force."""
    if rule.valid_from is None and rule.valid_to is None:
        return judgements
    entries = [
        entry
        for entry, period in scene.filings.select("entry", "period").iter_rows()
        if rule.is_valid_for(parse_period(period))
    ]
    return judgements.filter(pl.col("entry").is_in(entries))


def _finding(
    scene: Scene,
    return_code: str,
    rule: Rule,
    filing: Mapping[str, Any],
    row: Mapping[str, object],
    columns: Mapping[tuple[str, str, str], list[tuple[int, int, str]]],
) -> Finding:
    column = str(row["column"] or rule.column or "")
    at = next((one for one in (row["source_row"], row["first_row"]) if isinstance(one, int)), None)
    sheet, first = scene.place(filing["entry"], at)
    end_sheet, last = scene.place(filing["entry"], row["last_row"] if isinstance(row["last_row"], int) else at)
    source_row = first if row["source_row"] or first == last else None
    tables = columns.get((filing["submission_id"], sheet, column), [])
    letter = next((letter for top, end, letter in tables if first and top <= first <= end), "")
    # A value that is the sum of cells points at all of them: no single one is marked as if it were wrong. Cells on several sheets
    # are no one range.
    rows = f"{letter}{source_row}" if source_row else f"{letter}{first}:{letter}{last}" if sheet == end_sheet else ""
    value, expected, places = row["value"], row["expected"], row["places"] or 0
    assert isinstance(places, int)
    difference = ""
    if isinstance(value, int) and isinstance(expected, int):
        difference = signed(value - expected, places)
    place = Place(
        submission_id=filing["submission_id"],
        file_name=filing["file_name"],
        return_code=return_code,
        county_code=filing["county_code"],
        period=filing["period"],
        form_label=form_label(return_code),
        sheet=sheet or filing["sheet"],
        cell=rows if letter else "",
        source_row=source_row,
        row_label=str(row["row_label"] or ""),
        column_label=str(row["column_label"] or definition(return_code).column(column).label) if column else "",
        subject=str(row["subject"] or ""),
    )
    return make_finding(
        rule,
        place,
        value=plain_number(value, places) if isinstance(value, int) else str(row["value_text"] or ""),
        expected=plain_number(expected, places) if isinstance(expected, int) else str(row["expected_text"] or ""),
        difference=difference,
        detail=str(row["detail"] or ""),
    )


def _column_letters(scene: Scene, return_code: str) -> dict[tuple[str, str, str], list[tuple[int, int, str]]]:
    """(submission, sheet, column) → its letter in each table on the sheet, by the table's first and last row."""
    filings_of_return = scene.of_return(return_code)
    scene.connection.register(
        "judged_filing", filings_of_return.select("submission_id", "screening_seq", "return_code").unique().to_arrow()
    )
    rows = scene.connection.execute(
        """SELECT DISTINCT submission_id, sheet, column_name, first_row, last_row, column_letter FROM landing.cell_column
           SEMI JOIN judged_filing USING (submission_id, screening_seq, return_code) ORDER BY ALL"""
    ).fetchall()
    scene.connection.unregister("judged_filing")
    found: dict[tuple[str, str, str], list[tuple[int, int, str]]] = {}
    for submission_id, sheet, column, *where in rows:
        found.setdefault((submission_id, sheet, column), []).append((where[0], where[1], where[2]))
    return found


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
