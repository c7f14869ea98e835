"""Rules that need other periods, other returns, other counties, the census or the bureau's policy.

Belongs here: asking the models of `dbt_project/models/checks/` of the counties in which something changed, and making findings of what
they answer, in the words of the catalogue. What is compared with what stands in the models, the tolerances in the catalogue. Such a rule
only asks (query or info): a file is rejected for what stands in it alone, so which version is in force never depends on the order in
which files came.

The models are dbt's, but asked here, on the connection and in the transaction that lands a batch: as temporary tables, over the
filings of these counties alone. dbt would need the batch committed first, and as long for each model as all of them take so.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import duckdb
import polars as pl

from pipelines.home import Home
from pipelines.periods import Period, PeriodType, parse_period
from pipelines.returns import ReturnDefinition, current_definitions, definition
from pipelines.screening.findings import Finding, Place, decimal_text, make_finding, signed_text
from pipelines.screening.rules import CatalogueError, Rule, across_rules, form_label
from pipelines.screening.screen import FINDINGS_PER_RULE, told
from pipelines.warehouse import dbt
from pipelines.warehouse.build_database import insert_findings, insert_rows, next_sequence

#: What counties share: looked at over all of them, whichever are asked.
_SHARED = "int_shared_by_counties"
_FILINGS = "int_asked_filing"
_COPIES = ("exact_copy", "copy_of_county")
#: The level of a rule between counties.
_BETWEEN = "3"


@dataclass
class ContextResult:
    """Filings asked: (submission_id, return_code, county_code, period); their findings; and each rule's counts.

    `faults`: return code → what went wrong in us when its rules were asked; nothing is said of its filings, and the rest stands.
    """

    evaluated: list[tuple[str, str, str, str]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    rule_results: list[tuple[str, str, str, str, str, str, str, int, int]] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)


class CheckFault(RuntimeError):
    """A model could not be asked, and its failure has ended the transaction: `model` is to be left out."""

    def __init__(self, model: str, what: str) -> None:
        super().__init__(f"{model}: {what}")
        self.model = model
        self.what = what


def rules_across(return_code: str) -> dict[str, Rule]:
    """Question → rule, of the rules of a return that are asked across filings. Raises CatalogueError."""
    return {question: rule for rules in across_rules(return_code).values() for question, rule in rules.items()}


def _model(rule: Rule) -> str:
    """The model of dbt that answers a rule."""
    return f"check_{rule.model}"


def evaluate_context(
    connection: duckdb.DuckDBPyConnection,
    home: Home,
    counties: Iterable[str],
    left_out: Mapping[str, str] | None = None,
) -> ContextResult:
    """Ask the rules across filings of every filing in force of the given counties, and of those that share something with them.

    The caller is in a transaction. `left_out`: models at which we failed → how; their returns are among the faults. Raises CheckFault.
    """
    touched = set(counties)
    if not touched:
        return ContextResult()
    rules, faults = _rules()
    _declare(connection, rules)
    _write_periods(connection)
    models = dbt.compiled_checks(home)
    asking = _Asking(connection, models, dict(left_out or {}))
    try:
        asking.make([_SHARED])
        if _SHARED in asking.failed:  # then of no filing is known whose others it must be held against
            return ContextResult(faults=faults | dict.fromkeys(rules, asking.failed[_SHARED]))
        together = sorted(touched | _partners(connection, touched) | _standing_counties(connection))
        asking.narrow(together)
        wanted = sorted({_model(rule) for of_return in rules.values() for rule in of_return.values()})
        asking.make(wanted)
        faults |= {
            code: asking.failed[model]
            for code, of_return in rules.items()
            for model in asking.needed({_model(rule) for rule in of_return.values()})
            if model in asking.failed
        }
        return _result(connection, [model for model in wanted if model not in asking.failed], rules, faults)
    finally:
        asking.drop()


def _rules() -> tuple[dict[str, dict[str, Rule]], dict[str, str]]:
    """Return code → question → rule; and returns whose catalogue cannot be read, with what is wrong."""
    found: dict[str, dict[str, Rule]] = {}
    faults: dict[str, str] = {}
    for return_code in current_definitions():
        try:
            found[return_code] = rules_across(return_code)
        except (OSError, ValueError, KeyError, CatalogueError) as fault:
            faults[return_code] = told(fault)
    return found, faults


# What the models are told by the catalogue, the definitions and the calendar of days ---------------------------------------------------


def _declare(connection: duckdb.DuckDBPyConnection, rules: Mapping[str, Mapping[str, Rule]]) -> None:
    """Write rules, their parameters and the columns of the returns into the tables that the models read."""
    every = [(code, rule) for code, of_return in rules.items() for rule in of_return.values()]
    content: dict[str, list[tuple[Any, ...]]] = {
        "declared.check_rule": [
            (rule.rule_id, code, _model(rule), rule.question, rule.level, rule.outcome, rule.valid_from, rule.valid_to, rule.column)
            for code, rule in every
        ],
        "declared.check_parameter": [
            (code, rule.question, name, None if isinstance(one, str) else Decimal(str(one)), one if isinstance(one, str) else None)
            for code, rule in every
            for name, value in rule.parameters.items()
            for one in (value if isinstance(value, list | tuple) else [value])
        ],
        "declared.check_column": [
            row for defined in current_definitions().values() for row in _column_rows(defined)
        ],
    }  # fmt: skip
    for table, rows in content.items():
        connection.execute(f"DELETE FROM {table}")
        insert_rows(connection, table, rows)


def _column_rows(defined: ReturnDefinition) -> Iterable[tuple[Any, ...]]:
    """A row a column and, where it is called otherwise in rows of a member (中班 for the second grade of 学前), one a member."""
    for ordinal, column in enumerate(defined.columns):
        unit = column.unit.split("/")[0] if column.unit else ""
        units_in_one = 10**column.decimal_places
        rest = (
            unit,
            column.type,
            units_in_one,
            Decimal(1) / units_in_one,
            column.additive and column.is_number,
            ordinal,
        )
        yield (defined.return_code, column.name, "", column.label, *rest)
        for labels in column.label_by.values():
            yield from ((defined.return_code, column.name, member, label, *rest) for member, label in labels.items())


def _write_periods(connection: duckdb.DuckDBPyConnection) -> None:
    """What the periods are that anything was ever filed for, as far as it is not known yet."""
    codes = connection.execute(
        "SELECT DISTINCT period FROM landing.filing_version ANTI JOIN control.period USING (period) WHERE period IS NOT NULL"
    ).fetchall()
    rows = []
    for (code,) in codes:
        period = parse_period(code)
        before = _before(period)
        rows.append((code, before.code if before else None, before.label if before else None, period.months,
                     school_year_of(period), str(period.start.year), period.start, period.end))  # fmt: skip
    insert_rows(connection, "control.period", rows)


def _before(period: Period) -> Period | None:
    try:
        return period.previous()
    except ValueError:  # the first year that is supported
        return None


def school_year_of(period: Period) -> str:
    """The school year in whose course the period ends; of a calendar year the one that starts in it, as in the models."""
    starts = period.end.year if period.end.month >= 9 else period.end.year - 1
    if period.type is PeriodType.school_year:
        starts = period.start.year
    return f"{starts}-{starts + 1}"


# Asking ----------------------------------------------------------------------------------------------------------------------------------


@dataclass
class _Asking:
    """The compiled models as temporary tables of a connection. `failed`: model → what went wrong, of those that could not be made."""

    connection: duckdb.DuckDBPyConnection
    models: Sequence[dbt.CompiledModel]
    failed: dict[str, str]
    made: list[str] = field(default_factory=list)

    def needed(self, wanted: Collection[str]) -> set[str]:
        """The models with everything that they rest on."""
        found = set(wanted)
        for model in reversed(self.models):
            if model.name in found:
                found |= set(model.needs)
        return found

    def make(self, wanted: Collection[str]) -> None:
        """Make the models and what they rest on, as far as they are not there. Raises CheckFault."""
        known = {model.name for model in self.models}
        self.failed |= {name: f"{name}: no such model" for name in wanted if name not in known}
        needed = self.needed(wanted)
        for model in self.models:
            if model.name not in needed or model.name in self.made or model.name in self.failed:
                continue
            if broken := next((name for name in model.needs if name in self.failed), None):
                self.failed[model.name] = self.failed[broken]
                continue
            try:
                self.connection.execute(f"CREATE OR REPLACE TEMP TABLE {model.name} AS {self._here(model)}")
            except duckdb.Error as fault:
                if not self._goes_on():
                    raise CheckFault(model.name, told(fault)) from fault
                self.failed[model.name] = told(fault)
            else:
                self.made.append(model.name)

    def _here(self, model: dbt.CompiledModel) -> str:
        """A model's SQL, reading the temporary tables."""
        sql = model.sql
        for other in self.models:
            if other.name in model.needs:
                sql = sql.replace(other.relation, f"temp.main.{other.name}")
        return sql

    def _goes_on(self) -> bool:
        """Whether the transaction has survived a failure: what was wrong with a statement itself harms nothing."""
        try:
            self.connection.execute("SELECT 1").fetchall()
        except duckdb.Error:
            return False
        return True

    def narrow(self, counties: Sequence[str]) -> None:
        """From here on only the filings of these counties are there."""
        for name in self.made:
            if name != _SHARED:
                self.connection.execute(
                    f"DELETE FROM temp.main.{name} WHERE county_code IS NOT NULL AND NOT list_contains(?, county_code)",
                    [list(counties)],
                )

    def drop(self) -> None:
        for name in self.made if self._goes_on() else ():
            self.connection.execute(f"DROP TABLE IF EXISTS temp.main.{name}")


def _partners(connection: duckdb.DuckDBPyConnection, counties: set[str]) -> set[str]:
    """Counties that share something with one of these."""
    rows = connection.execute(
        f"SELECT DISTINCT other_county_code FROM temp.main.{_SHARED} WHERE list_contains(?, county_code)",
        [sorted(counties)],
    ).fetchall()
    return {row[0] for row in rows}


#: The latest evaluation of every filing in force.
NEWEST_EVALUATION = """SELECT submission_id, return_code, county_code, period, max(evaluation_seq) AS evaluation_seq
    FROM landing.context_evaluation GROUP BY ALL"""


def _standing_counties(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """Counties with a finding between counties against a filing in force: what it rests on may be gone."""
    rows = connection.execute(
        f"""SELECT DISTINCT county_code FROM landing.context_finding
            SEMI JOIN ({NEWEST_EVALUATION}) AS newest
                USING (evaluation_seq, submission_id, return_code, county_code, period)
            SEMI JOIN temp.main.{_FILINGS} USING (submission_id, return_code, county_code, period)
            WHERE level = '{_BETWEEN}'"""
    ).fetchall()
    return {row[0] for row in rows}


# What is made of the answers -------------------------------------------------------------------------------------------------------------

#: Answers by the rules that count for the period of the filing. What the rows of a copy are held against, and sums of them, waits for
#: the one answer whether it is one.
_OF_RULES = """
    JOIN declared.check_rule AS rule USING (return_code, question)
    JOIN control.period AS period USING (period)
    ANTI JOIN ({copies}) AS copy ON answer.return_code = copy.return_code AND answer.county_code = copy.county_code
        AND answer.period = copy.period AND answer.source_row IS NOT NULL
    WHERE (rule.valid_from IS NULL OR rule.valid_from <= period.ends_on)
        AND (rule.valid_to IS NULL OR period.ends_on <= rule.valid_to)
"""


def _result(
    connection: duckdb.DuckDBPyConnection,
    models: Sequence[str],
    rules: Mapping[str, Mapping[str, Rule]],
    faults: dict[str, str],
) -> ContextResult:
    """Findings and counts of what the models answered."""
    result = ContextResult(faults=faults)
    filings = {
        (row["return_code"], row["county_code"], row["period"]): row
        for row in _dicts(
            connection,
            f"""SELECT filing.submission_id, filing.screening_seq, filing.return_code, filing.county_code, filing.period,
                    stg_filing.sheet, stg_filing.file_name
                FROM temp.main.{_FILINGS} AS filing
                JOIN temp.main.stg_filing USING (submission_id, return_code, county_code, period)
                WHERE stg_filing.is_in_force ORDER BY return_code, county_code, period""",
        )
        if row["return_code"] in rules and row["return_code"] not in faults
    }
    counted: Counter[tuple[str, str, str, str]] = Counter()
    broken: dict[tuple[str, str, str, str], list[dict[str, Any]]] = {}
    if models:
        places = "return_code, county_code, period"
        every = [f"SELECT {{columns}} FROM temp.main.{model} WHERE {{which}}" for model in models]

        def answers(columns: str, which: str) -> str:
            return " UNION ALL ".join(one.format(columns=columns, which=which) for one in every)

        copies = answers(places, f"question IN {_COPIES} AND is_broken")
        of_rules = _OF_RULES.format(copies=copies)
        asked = answers(f"{places}, question, source_row", "is_broken IS NOT NULL")
        for row in connection.execute(
            f"SELECT {places}, rule_id, count(*) FROM ({asked}) AS answer {of_rules} GROUP BY ALL"
        ).fetchall():
            counted[row[0], row[1], row[2], row[3]] = row[4]
        for found in _dicts(
            connection,
            f"""SELECT answer.*, rule.rule_id FROM ({answers("*", "is_broken")}) AS answer {of_rules}
                ORDER BY {places}, rule_id, sheet, source_row, subject, column_name, detail""",
        ):
            key = (found["return_code"], found["county_code"], found["period"], found["rule_id"])
            broken.setdefault(key, []).append(found)
    letters = _column_letters(
        connection, [filing for slot, filing in filings.items() if any(key[:3] == slot for key in broken)]
    )
    for slot, filing in filings.items():
        for rule in rules[slot[0]].values():
            key = (*slot, rule.rule_id)
            rows = _as_one(rule, broken.get(key, []))
            result.findings += [_finding(rule, filing, row, letters) for row in rows[:FINDINGS_PER_RULE]]
            result.rule_results.append(
                (filing["submission_id"], *slot, rule.rule_id, rule.level, rule.outcome, counted[key], len(rows))
            )
    result.evaluated = [(filing["submission_id"], *slot) for slot, filing in filings.items()]
    return result


def _as_one(rule: Rule, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The broken answers, where the rule says so (`rows_as_one`) with those of a column that are so many, and of one cause, as one: the
    first, `others_n` more."""
    least = rule.parameters.get("rows_as_one")
    if least is None:
        return rows
    by_column: dict[str | None, list[dict[str, Any]]] = {}
    for row in rows:
        by_column.setdefault(row["column_name"], []).append(row)
    found: list[dict[str, Any]] = []
    for several in by_column.values():
        found += several if len(several) < least else [several[0] | {"subject": "", "others_n": len(several) - 1}]
    return found


def _finding(
    rule: Rule,
    filing: Mapping[str, Any],
    row: Mapping[str, Any],
    letters: Mapping[tuple[str, ...], list[tuple[int, int, str]]],
) -> Finding:
    """What a broken answer says, at its cell. A value that is the sum of cells points at all of them: no single one is marked as if it
    were wrong; cells on several sheets are no one range."""
    return_code = filing["return_code"]
    column = row["column_name"] or rule.column or ""
    sheet, first = row["sheet"] or filing["sheet"], row["source_row"]
    last_sheet, last = (row["last_sheet"], row["last_row"]) if row["last_row"] else (sheet, first)
    is_one = (sheet, first) == (last_sheet, last)
    tables = letters.get((filing["submission_id"], return_code, sheet, column), [])
    letter = next((letter for top, end, letter in tables if first and top <= first <= end), "")
    cell = f"{letter}{first}" if is_one else f"{letter}{first}:{letter}{last}" if sheet == last_sheet else ""
    value, expected = row["value"], row["expected"]
    label = row["column_label"] or (definition(return_code).column(column).label if column else "")
    place = Place(
        submission_id=filing["submission_id"], file_name=filing["file_name"], return_code=return_code,
        county_code=filing["county_code"], period=filing["period"], form_label=form_label(return_code), sheet=sheet,
        cell=cell if letter else "", source_row=first if is_one else None, row_label=row["row_label"] or "",
        column_label=label, subject=row["subject"] or "",
        extent=f"本栏另有 {row['others_n']} 行有同样的问题，一并按此处理" if row.get("others_n") else "",
    )  # fmt: skip
    return make_finding(
        rule,
        place,
        value=decimal_text(value) if value is not None else row["value_text"] or "",
        expected=decimal_text(expected) if expected is not None else row["expected_text"] or "",
        difference=signed_text(value - expected) if value is not None and expected is not None else "",
        detail=row["detail"] or "",
    )


def _column_letters(
    connection: duckdb.DuckDBPyConnection, filings: Sequence[Mapping[str, Any]]
) -> dict[tuple[str, ...], list[tuple[int, int, str]]]:
    """(submission, return, sheet, column) → its letter in each table on the sheet, by the table's first and last row."""
    found: dict[tuple[str, ...], list[tuple[int, int, str]]] = {}
    if not filings:
        return found
    wanted = pl.DataFrame(
        [{name: filing[name] for name in ("submission_id", "screening_seq", "return_code")} for filing in filings]
    )
    connection.register("asked_filing", wanted.unique().to_arrow())
    rows = connection.execute(
        """SELECT DISTINCT submission_id, return_code, sheet, column_name, first_row, last_row, column_letter
           FROM landing.cell_column SEMI JOIN asked_filing USING (submission_id, screening_seq, return_code) ORDER BY ALL"""
    ).fetchall()
    connection.unregister("asked_filing")
    for *place, top, end, letter in rows:
        found.setdefault(tuple(place), []).append((top, end, letter))
    return found


def _dicts(connection: duckdb.DuckDBPyConnection, sql: str) -> Iterable[dict[str, Any]]:
    return connection.sql(sql).pl().iter_rows(named=True)


def store_context(connection: duckdb.DuckDBPyConnection, result: ContextResult) -> None:
    """Append an evaluation. The caller opens and commits the transaction."""
    if not result.evaluated:
        return
    sequence = next_sequence(connection, "landing.context_evaluation", "evaluation_seq")
    insert_rows(connection, "landing.context_evaluation", [(sequence, *one) for one in result.evaluated])
    insert_findings(connection, "landing.context_finding", "evaluation_seq", sequence, result.findings)
    insert_rows(connection, "landing.context_rule_result", [(sequence, *one) for one in result.rule_results])
