"""Screening of a batch: bytes in, filings with verdicts, typed rows, findings and counted passes out.

Belongs here: the order of the stages and the verdict. Everything is judged on the file alone; what needs other periods or
returns is `context`, and can only ask (query), never reject. A broken file is a result; an exception from here is our fault.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.characters import folded, folded_name, strange, unseen
from pipelines.decisions import Decision, lock_at, waivers
from pipelines.periods import parse_period
from pipelines.returns import DateCheck, ReturnDefinition, all_definitions, current_definitions
from pipelines.returns.definition import DECIMAL_PLACES, MISSING_LABELS, Ratio
from pipelines.screening.batch_contents import BATCH_KIND
from pipelines.screening.derive import derive, scale
from pipelines.screening.explanations import read_explanations
from pipelines.screening.findings import Finding, Place, make_finding, plain_number, signed
from pipelines.screening.identify import (
    CountyName,
    Observation,
    Table,
    answered_submission,
    identify,
    sheets_of_the_county,
)
from pipelines.screening.marked import marked_cells
from pipelines.screening.personal_data import mask_personal, personal_data, without_misspelt_codes
from pipelines.screening.rows import ROW_KINDS, RowKind
from pipelines.screening.rules import Rule, cell_states, file_rules, form_label, rule_set_version, suite
from pipelines.screening.tabulate import READ_STATES, UNREAD_STATES, UNSEEN, CellState, tabulate
from pipelines.screening.units import suspected
from pipelines.screening.validate import Validation, validate
from pipelines.screening.workbook import (
    Refusal,
    Workbook,
    cell_address,
    cell_position,
    column_letter,
)
from pipelines.screening.worker import ReadLimits, ReadRequest, read_files
from pipelines.times import beijing_day

#: At most so many findings a rule and filing are written out; the rule's result always counts all of them.
FINDINGS_PER_RULE = 200


@dataclass(frozen=True)
class Receipt:
    """The earliest arrival of a submission's bytes from one county: whose inbox, under which name, received when (UTC).

    `arrivals`: when its bytes were collected, each time that they were sent; what a lock is held against.
    """

    county_code: str
    file_name: str
    received_at: datetime
    arrivals: tuple[datetime, ...] = ()


@dataclass(frozen=True)
class Submission:
    """The bytes to screen. `receipts` may be empty for a file that never came in (`xianbao check`)."""

    submission_id: str
    path: Path
    file_name: str
    receipts: tuple[Receipt, ...] = ()


@dataclass(frozen=True)
class ScreenSettings:
    """What screening knows of the municipality. `periods`: return code → period codes of the calendar; `decisions`: the bureau's log;
    `reply_key`: what the home signs its queries with."""

    counties: tuple[CountyName, ...]
    periods: dict[str, set[str]] = field(default_factory=dict)
    limits: ReadLimits = ReadLimits()
    decisions: tuple[Decision, ...] = ()
    reply_key: str = ""


@dataclass(frozen=True)
class Filing:
    """The verdict on one return in one submission. Without a return code: the file as a whole, which holds no return.

    `waived_n`: findings that a waiver of the bureau closes; they count as no error and no query. `content_digest`: the same for two
    files that hold the same values under the same keys, total rows included, however they are laid out. `passed_over`: what of the
    rows was not read as data, as JSON: `sheet_rows_n` and `kinds` (label, rows_n, rows) of the table's own rows, which with `rows_n`
    add up to them, and `sheets` (sheet, rows_n) without a table. `answers_submission_id`: the submission whose
    annotated workbook this is: with its values unchanged it carries replies and is no new version.
    """

    submission_id: str
    return_code: str | None
    return_version: int | None
    county_code: str | None
    period: str | None
    period_type: str | None
    sheet: str
    file_name: str
    received_at: datetime | None
    verdict: str
    errors_n: int
    queries_n: int
    infos_n: int
    waived_n: int
    rows_n: int
    passed_over: str | None
    content_digest: str | None
    answers_submission_id: str | None
    rule_set_version: str


@dataclass
class Screening:
    """The result of a batch.

    `rows`: return code → typed rows of the accepted filings (columns: submission_id, county_code, period, sheet, source_row, the
    declared columns in scaled integers, missing_codes as JSON). `rule_results`: submission_id, return_code, county_code, period,
    rule_id, level, outcome, checked_n, failed_n. `cell_columns`: submission_id, return_code, sheet, column_name, column_letter,
    header_label. `explanations`: submission_id, return_code, county_code, period, rule_id, subject, column_label, deviation, text,
    received_at. `faults`: submission_id → what went wrong in us; nothing else is said of such a file, and it is to be screened again.
    """

    filings: list[Filing] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    rows: dict[str, pl.DataFrame] = field(default_factory=dict)
    rule_results: list[tuple[Any, ...]] = field(default_factory=list)
    cell_columns: list[tuple[str, str, str, str, str, str]] = field(default_factory=list)
    explanations: list[tuple[Any, ...]] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)


@dataclass
class _Entry:
    """One table of the batch on its way through the stages."""

    submission: Submission
    table: Table
    other_sheets: tuple[tuple[str, int], ...] = ()
    findings: list[Finding] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    failed: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    known: set[str] = field(default_factory=set)
    waived: frozenset[str] = frozenset()
    answers: str | None = None

    @property
    def slot(self) -> tuple[str, str | None, str | None]:
        return self.table.slot

    def place(self, sheet: str, row: int | None = None, column: int | None = None, **labels: str) -> Place:
        return_code, county_code, period = self.slot
        return Place(
            submission_id=self.submission.submission_id,
            file_name=mask_personal(self.submission.file_name),
            return_code=return_code,
            county_code=county_code,
            period=period,
            form_label=form_label(return_code),
            sheet=mask_personal(sheet),
            cell=cell_address(row, column) if row is not None and column is not None else "",
            source_row=row + 1 if row is not None else None,
            **labels,
        )

    def add(self, rule: Rule, finding: Finding) -> None:
        if finding.finding_id in self.known:
            return  # two mobile numbers in one cell are one thing to mend
        self.known.add(finding.finding_id)
        self.counts["waived" if rule.rule_id in self.waived and rule.is_waivable else rule.outcome] += 1
        self.failed[rule.rule_id] += 1
        if self.failed[rule.rule_id] <= FINDINGS_PER_RULE:
            self.findings.append(finding)


def screen(
    submissions: Sequence[Submission],
    settings: ScreenSettings,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Screening:
    """Screen a batch: each file is read in a bounded process, each return validated once over all files.

    Raises ValidationFault when a rule could not be evaluated.
    """
    result = Screening()
    entries: list[_Entry] = []
    requests = [ReadRequest(submission.path, submission.file_name) for submission in submissions]
    outcomes = read_files(requests, settings.limits, progress=progress)
    for submission, outcome in zip(submissions, outcomes, strict=True):
        try:
            entries += _identified(submission, outcome, settings, result)
        except Exception as fault:  # noqa: BLE001 - our fault with one file must not hold up the other counties
            result.faults[submission.submission_id] = f"{type(fault).__name__}: {fault}"[:300]
            result.explanations = [one for one in result.explanations if one[0] != submission.submission_id]
    for defined in all_definitions():
        tables = [(index, entry) for index, entry in enumerate(entries) if entry.table.definition is defined]
        if tables:
            _judge(defined, dict(tables), result)
    return result


def _identified(
    submission: Submission, outcome: Workbook | Refusal, settings: ScreenSettings, result: Screening
) -> list[_Entry]:
    """The tables of one file with their structural findings; a file without tables gets its verdict here."""
    if isinstance(outcome, Refusal):
        _reject_file(submission, [Observation(outcome.rule_id, detail=outcome.detail)], result)
        return []
    if outcome.kind == BATCH_KIND:  # each of its files is a submission of its own
        _reject_file(submission, [], result)
        return []
    found = identify(
        outcome,
        file_name=submission.file_name,
        counties=settings.counties,
        source_counties=[receipt.county_code for receipt in submission.receipts],
        periods=settings.periods,
    )
    names = [submission.file_name, *(receipt.file_name for receipt in submission.receipts)]
    personal = without_misspelt_codes(personal_data(outcome, names), outcome, found.tables)
    remarks = [Observation(rule_id, detail=detail) for rule_id, detail in outcome.remarks]
    explanations, replies = _replies(submission, outcome, settings.reply_key)
    if personal:
        explanations = []  # nothing is taken from a quarantined file
    result.explanations += explanations
    if not found.tables:
        lacking = found.observations
        if outcome.sheets and not sheets_of_the_county(outcome):
            # A list of findings that comes back alone is no return and lacks none; without a reply it is nothing at all.
            lacking = [] if explanations else [Observation("FILE-0-no-reply")]
        _reject_file(submission, [*lacking, *personal, *remarks, *replies], result)
        return []
    personal += [*remarks, *replies]
    entries = [_Entry(submission, table, found.other_sheets) for table in found.tables]
    for entry in entries:
        received_at = _received_at(submission, entry.slot[1])
        entry.answers = answered_submission(outcome)
        entry.waived = frozenset(waivers(settings.decisions, *entry.slot, received_at))
        locked = list(_locked(entry, settings.decisions))
        mine = [*found.observations, *personal, *entry.table.observations, *_structure(entry.table), *locked]
        for observation in mine:
            _observe(entry, observation)
    return entries


def _replies(submission: Submission, workbook: Workbook, key: str) -> tuple[list[tuple[Any, ...]], list[Observation]]:
    """A county's replies to queries as rows of `Screening.explanations`, and what is wrong with others, at its cell."""
    explanations, observations = read_explanations(workbook, key)
    sources = {receipt.county_code: receipt.received_at for receipt in submission.receipts}
    rows: list[tuple[Any, ...]] = []
    for one in explanations:
        if sources and one.county_code not in sources:
            row, column = cell_position(one.cell)
            observations.append(
                Observation("FILE-0-reply-unreadable", one.sheet, row, column, value=one.text,
                            detail="这一行是另一个县区的问题")
            )  # fmt: skip
        elif one.return_code in current_definitions():
            rows.append(
                (submission.submission_id, one.return_code, one.county_code, one.period, one.rule_id, one.subject,
                 one.column_label, one.deviation, one.text, sources.get(one.county_code))
            )  # fmt: skip
    return rows, observations


def _locked(entry: _Entry, decisions: Sequence[Decision]) -> Iterable[Observation]:
    """A period that the bureau has locked takes no file whose every arrival fell into the lock."""
    return_code, county_code, period = entry.slot
    if period is None:
        return
    moments = [
        moment
        for receipt in entry.submission.receipts
        if receipt.county_code == county_code
        for moment in receipt.arrivals or (receipt.received_at,)
    ]
    locks = [lock_at(decisions, return_code, county_code, period, moment) for moment in moments]
    if locks and all(locks):
        lock = next(lock for lock in reversed(locks) if lock)
        detail = f"{parse_period(period).label}已于 {beijing_day(lock.at)} 锁定（{lock.reason}），不再接收新的版本。"
        yield Observation("FILE-0-locked", entry.table.sheet.name, detail=detail)


def _structure(table: Table) -> Iterable[Observation]:
    """What is wrong with a table's cells whatever their column: errors, uncalculated formulas, hidden rows, no rows."""
    sheet = table.sheet
    mapped = {index: name for name, index in table.columns.items()}
    rows = {*table.data_rows, *table.total_rows}
    for row, column in sorted(sheet.error_cells):
        if row in rows and column in mapped:
            yield Observation("FILE-1b-error-cell", sheet.name, row, column, value=sheet.cell(row, column) or "",
                              column_name=mapped[column])  # fmt: skip
    for row, column in sorted(sheet.valueless_formulas):
        # The totals of our own template are our own sums: a program that did not calculate them left nothing out.
        if row in rows and column in mapped and not (table.of_template and row in table.total_rows):
            yield Observation("FILE-0-formula-no-value", sheet.name, row, column, column_name=mapped[column])
    for row, column in sorted(sheet.external_formulas):
        if row in rows and column in mapped:
            yield Observation("FILE-0-external-link", sheet.name, row, column, value=sheet.cell(row, column) or "",
                              column_name=mapped[column])  # fmt: skip
    yield from marked_cells(table)
    first = min(mapped, default=0)
    for row in sorted(sheet.hidden_rows & set(table.data_rows)):
        yield Observation("FILE-1b-hidden-data", sheet.name, row, first, detail=f"第 {row + 1} 行")
    for column in sorted(sheet.hidden_columns & set(mapped)):
        yield Observation("FILE-1b-hidden-data", sheet.name, table.header_row, column,
                          detail=f"第 {column_letter(column)} 列", column_name=mapped[column])  # fmt: skip
    if sheet.hidden:
        yield Observation("FILE-1b-hidden-data", sheet.name, table.header_row, first, detail=f"工作表“{sheet.name}”")
    if not table.data_rows:
        yield Observation("FILE-0-no-rows", sheet.name, table.header_row, first)


def _observe(entry: _Entry, observation: Observation) -> None:
    rule = file_rules()[observation.rule_id]
    if not rule.is_valid_for(entry.table.period):
        return
    defined = entry.table.definition
    label = defined.column(observation.column_name).label if observation.column_name else ""
    row_label = subject = ""
    if observation.row is not None and entry.table.is_data_row(observation.row):
        row_label = _row_label(entry.table, observation.row)
        subject = _subject(entry.table, observation.row)
    place = entry.place(
        observation.sheet, observation.row, observation.column, row_label=row_label, column_label=label, subject=subject
    )
    entry.add(
        rule,
        make_finding(
            rule,
            place,
            value=observation.value,
            expected=observation.expected,
            difference=observation.difference,
            detail=observation.detail,
        ),
    )


def _row_label(table: Table, row: int) -> str:
    index = table.columns.get(table.definition.row_label)
    return folded_name(table.sheet.cell(row, index) or "") if index is not None else ""


def _subject(table: Table, row: int) -> str:
    """The key of a data row, by which the same row is known in another version or period."""
    columns = [table.columns.get(name) for name in table.definition.key]
    return "/".join(folded(table.sheet.cell(row, index) or "") if index is not None else "" for index in columns)


def _reject_file(submission: Submission, observations: Sequence[Observation], result: Screening) -> None:
    """A file in which no return was found: one filing without a return, on the county whose inbox it came from."""
    earliest = min(submission.receipts, key=lambda receipt: (receipt.received_at, receipt.county_code), default=None)
    county = earliest.county_code if earliest else None
    counts: dict[str, int] = defaultdict(int)
    failed: dict[str, int] = defaultdict(int)
    for observation in observations:
        rule = file_rules()[observation.rule_id]
        counts[rule.outcome] += 1
        failed[rule.rule_id] += 1
        if failed[rule.rule_id] > FINDINGS_PER_RULE:
            continue
        place = Place(
            submission_id=submission.submission_id,
            file_name=mask_personal(submission.file_name),
            county_code=county,
            sheet=mask_personal(observation.sheet),
            cell=observation.cell,
            source_row=observation.row + 1 if observation.row is not None else None,
        )
        result.findings.append(
            make_finding(rule, place, value=observation.value, expected=observation.expected, detail=observation.detail)
        )
    for rule_id, failed_n in failed.items():
        rule = file_rules()[rule_id]
        result.rule_results.append(
            (submission.submission_id, None, county, None, rule_id, rule.level, rule.outcome, 1, failed_n)
        )
    result.filings.append(
        Filing(
            submission.submission_id, None, None, county, None, None, "", mask_personal(submission.file_name),
            _received_at(submission, county), _verdict(counts), counts["error"], counts["query"], counts["info"], 0, 0, None, None,
            None, rule_set_version(),
        )
    )  # fmt: skip


def _verdict(counts: dict[str, int]) -> str:
    if counts.get("error"):
        return "rejected"
    return "accepted_with_queries" if counts.get("query") else "accepted"


def _received_at(submission: Submission, county_code: str | None) -> datetime | None:
    """When the county itself first sent the bytes; a copy in another county's inbox counts only if it is the only one."""
    own = [receipt.received_at for receipt in submission.receipts if receipt.county_code == county_code]
    return min(own or [receipt.received_at for receipt in submission.receipts], default=None)


def _judge(defined: ReturnDefinition, entries: dict[int, _Entry], result: Screening) -> None:
    """Type, derive and validate every table of one return at once; verdicts, rows and counts go into the result."""
    rules = suite(defined.return_code)
    judged = rules.select("file", version=defined)
    frame = tabulate(defined, [(index, entry.table) for index, entry in entries.items()])
    frame = derive(defined, frame, {index: entry.table.period for index, entry in entries.items()})
    validation = validate(
        frame, judged, name=f"{defined.return_code}_v{defined.version}", index=("entry", "source_row")
    )
    _write_findings(defined, entries, frame, validation, rules.rules)
    for index, observation in _unseen_characters(defined, entries, frame):
        _observe(entries[index], observation)
    checked = {
        (index, rule_id): checked_n
        for (index, rule_id), checked_n in _checked(frame, judged).items()
        if rules.rules[rule_id].is_valid_for(entries[index].table.period)
    }
    row_counts = dict(frame.filter(~pl.col("is_total")).group_by("entry").len().iter_rows())
    own_totals = [index for index, entry in entries.items() if entry.table.of_template]
    digests = _content_digests(defined, frame.filter(~(pl.col("is_total") & pl.col("entry").is_in(own_totals))))
    accepted: list[int] = []
    for index, entry in entries.items():
        return_code, county_code, period = entry.slot
        verdict = _verdict(entry.counts)
        if verdict != "rejected":
            accepted.append(index)
        result.findings += entry.findings
        submission_id = entry.submission.submission_id
        result.filings.append(
            Filing(
                submission_id=submission_id,
                return_code=return_code,
                return_version=defined.version,
                county_code=county_code,
                period=period,
                period_type=parse_period(period).type.value if period else None,
                sheet=mask_personal(entry.table.sheet.name),
                file_name=mask_personal(entry.submission.file_name),
                received_at=_received_at(entry.submission, county_code),
                verdict=verdict,
                errors_n=entry.counts["error"],
                queries_n=entry.counts["query"],
                infos_n=entry.counts["info"],
                waived_n=entry.counts["waived"],
                rows_n=row_counts.get(index, 0),
                passed_over=_passed_over(entry),
                content_digest=digests.get(index),
                answers_submission_id=entry.answers,
                rule_set_version=rule_set_version(),
            )
        )
        slot = (submission_id, return_code, county_code, period)
        for rule_id, rule in {**file_rules(), **{r: v for r, v in rules.rules.items() if v.scope == "file"}}.items():
            checked_n = checked.get((index, rule_id), 1 if rule_id in file_rules() else 0)
            result.rule_results.append((*slot, rule_id, rule.level, rule.outcome, checked_n, entry.failed[rule_id]))
        for name, column in entry.table.columns.items():
            result.cell_columns.append(
                (submission_id, return_code, mask_personal(entry.table.sheet.name), name, column_letter(column),
                 entry.table.header_texts[name])
            )  # fmt: skip
    landed = _landing_rows(defined, entries, frame.filter(pl.col("entry").is_in(accepted)))
    if defined.return_code in result.rows:
        landed = pl.concat([result.rows[defined.return_code], landed], how="diagonal_relaxed")
    result.rows[defined.return_code] = landed


def _content_digests(defined: ReturnDefinition, frame: pl.DataFrame) -> dict[int, str]:
    """Entry → digest of its rows' values in the order of their keys, then of what its total rows state."""
    missing = [
        pl.col(f"{column.name}__state").replace_strict({code: code for code in MISSING_LABELS}, default=None,
                                                       return_dtype=pl.String)
        for column in defined.columns
    ]  # fmt: skip
    values = [pl.col(column.name) for column in defined.columns]
    rows = frame.filter(~pl.col("is_total")).sort("entry", *defined.key).select("entry", *values, *missing)
    stated = [column.name for column in defined.sum_columns]
    totals = frame.filter("is_total").select("entry", *(defined.total_row.per if defined.total_row else ()), *stated)
    told = {
        key[0]: part.drop("entry").sort(pl.all()).write_csv(include_header=False)
        for key, part in totals.partition_by("entry", as_dict=True).items()
    }
    return {
        key[0]: hashlib.sha256((part.drop("entry").write_csv() + told.get(key[0], "")).encode()).hexdigest()[:16]
        for key, part in rows.partition_by("entry", as_dict=True).items()
    }


def _passed_over(entry: _Entry) -> str:
    """What `Filing.passed_over` says. Raises RowsUnaccounted when a row was counted not at all or twice."""
    counts = entry.table.row_counts()
    content = {
        "sheet_rows_n": sum(count.rows_n for count in counts),
        "kinds": [
            {"label": ROW_KINDS[count.kind], "rows_n": count.rows_n, "rows": count.rows}
            for count in counts
            if count.kind is not RowKind.DATA
        ],
        "sheets": [{"sheet": mask_personal(name), "rows_n": rows_n} for name, rows_n in entry.other_sheets],
    }
    return json.dumps(content, ensure_ascii=False)


def _unseen_characters(
    defined: ReturnDefinition, entries: dict[int, _Entry], frame: pl.DataFrame
) -> Iterable[tuple[int, Observation]]:
    """(entry, observation): the first cell of each column that was read without a character in it that nobody can see.

    Numbers are told by their own rule, with what they were read as.
    """
    for column in defined.columns:
        if column.is_number:
            continue
        text, state = pl.col(f"{column.name}__text"), pl.col(f"{column.name}__state")
        found = frame.filter(text.str.contains(UNSEEN) & state.is_in([one.value for one in READ_STATES]))
        for key, cells in found.partition_by("entry", as_dict=True, maintain_order=True).items():
            table = entries[key[0]].table
            first = cells.row(0, named=True)
            written = first[f"{column.name}__text"]
            read = folded_name(written) if column.is_name else folded(written)
            more = f"等 {cells.height} 格" if cells.height > 1 else ""
            yield key[0], Observation(
                "FILE-1a-unseen-character", table.sheet.name, first["source_row"] - 1, table.columns[column.name],
                value=read, detail=f"{more}有{unseen(written)}", column_name=column.name,
            )  # fmt: skip


def _checked(frame: pl.DataFrame, expectations: Sequence[dict[str, Any]]) -> dict[tuple[int, str], int]:
    """(entry, rule id) → rows that the rule judged."""
    by_rule = {expectation["meta"]["rule"]: expectation["kwargs"]["column"] for expectation in expectations}
    counted = frame.group_by("entry").agg(
        pl.col(column).is_not_null().sum().alias(rule_id) for rule_id, column in by_rule.items()
    )
    return {(row["entry"], rule_id): row[rule_id] for row in counted.iter_rows(named=True) for rule_id in by_rule}


def _write_findings(
    defined: ReturnDefinition,
    entries: dict[int, _Entry],
    frame: pl.DataFrame,
    validation: Validation,
    rules: dict[str, Rule],
) -> None:
    broken = [
        (place[0], place[1], rule_id)
        for rule_id, places in validation.broken.items()
        for place in places
        if rules[rule_id].is_valid_for(entries[place[0]].table.period)
    ]
    if not broken:
        return
    wanted = {(entry, row) for entry, row, _ in broken}
    rows = {
        (row["entry"], row["source_row"]): row
        for row in frame.join(
            pl.DataFrame(list(wanted), schema={"entry": pl.Int32, "source_row": pl.Int32}, orient="row"),
            on=["entry", "source_row"],
        ).iter_rows(named=True)
    }
    for index, source_row, rule_id in sorted(broken):
        entry, rule, row = entries[index], rules[rule_id], rows[(index, source_row)]
        row_label = folded_name(row.get(f"{defined.row_label}__text") or "") if not row["is_total"] else "合计"
        for column_name, value, expected, difference, detail, problem in explain(defined, rule, row):
            column = entry.table.columns.get(column_name)
            place = entry.place(
                entry.table.sheet.name,
                source_row - 1,
                column,
                row_label=row_label,
                subject="" if row["is_total"] else _subject(entry.table, source_row - 1),
                column_label=defined.column(column_name).label_in(row),
            )
            finding = make_finding(
                rule, place, value=value, expected=expected, difference=difference, detail=detail, problem=problem
            )
            entry.add(rule, finding)


def explain(
    defined: ReturnDefinition, rule: Rule, row: dict[str, Any]
) -> Iterable[tuple[str, str, str, str, str, str]]:
    """(column, value, expected, difference, detail, problem) of each cell at which a broken rule shows in a row."""
    if rule.state_of:
        state, text = row[f"{rule.state_of}__state"], row[f"{rule.state_of}__text"] or ""
        said = cell_states().get(state, state)
        # A mark that passes for a digit or cannot be seen is named: the clerk does not find it by looking.
        odd = strange(text) if state in UNREAD_STATES else ""
        yield rule.state_of, text, "", "", "", f"{said}，其中有{odd}" if odd else said
    elif rule.truth == "unique_key":
        for name in defined.key[:1]:
            yield name, row[f"{name}__text"] or "", "", "", "", ""
    elif rule.truth == "text_number":
        for column in defined.number_columns:
            if row[f"{column.name}__state"] == CellState.TEXT_NUMBER.value:
                read = plain_number(row[column.name], DECIMAL_PLACES[column.type])
                text = row[f"{column.name}__text"] or ""
                hidden = unseen(text)
                yield column.name, text, read, "", f"里有{hidden}" if hidden else "带有千分位或全角字符", ""
    elif rule.truth == "not_reported":
        for column in defined.number_columns:
            if row[f"{column.name}__state"] == CellState.NOT_REPORTED.value and "not_reported" in column.missing:
                yield column.name, row[f"{column.name}__text"] or "", "", "", "", ""
    elif rule.truth == "total_row":
        for name in row["wrong__total"]:
            yield (name, *_compared(row[name], row[f"total__{name}"], scale(defined, name)), "", "")
    elif rule.truth == "complete":
        missing = "、".join(str(value) for value in row["missing__complete"])
        yield rule.column or defined.key[0], "", "", "", missing, ""
    elif check := next((check for check in defined.dates if check.name == rule.truth), None):
        yield _out_of_time(rule, check, row)
    elif ratio := next((ratio for ratio in defined.ratios if ratio.name == rule.truth), None):
        yield _out_of_range(defined, rule, ratio, row)
    else:
        left = next(identity.left for identity in defined.identities if identity.name == rule.truth)
        value = row[left]
        expected = row[f"expected__{rule.truth}"]
        if value is None:
            yield (
                left,
                MISSING_LABELS.get(row[f"{left}__state"], ""),
                plain_number(expected, scale(defined, left)),
                "",
                "",
                "",
            )
        else:
            yield (left, *_compared(value, expected, scale(defined, left)), "", "")


def _out_of_range(
    defined: ReturnDefinition, rule: Rule, ratio: Ratio, row: dict[str, Any]
) -> tuple[str, str, str, str, str, str]:
    """What `explain` says of a ratio: its value, the range, the distance to it, and the unit in which the figure may stand."""
    value = Decimal(row[ratio.of]).scaleb(-scale(defined, ratio.of))
    if ratio.per:
        value /= Decimal(row[ratio.per]).scaleb(-scale(defined, ratio.per))
    low, high = rule.parameters["low"], rule.parameters["high"]
    rounded = value.quantize(Decimal(1) if high >= 100 else Decimal("0.01"))
    bound = Decimal(str(low if value < low else high))
    hint = suspected(float(value), low, high, (defined.column(ratio.of).unit or "").split("/")[0])
    return ratio.of, f"{rounded:f}", f"{low:g}–{high:g}", f"{rounded - bound:+f}", f"，{hint}" if hint else "", ""


def _out_of_time(rule: Rule, check: DateCheck, row: dict[str, Any]) -> tuple[str, str, str, str, str, str]:
    """What `explain` says of a date: the day, the one it is held against, and how many days lie between."""
    day = row[check.of]
    against = row[check.not_after] if check.not_after else row.get(f"expected__{rule.truth}")
    days = signed((day - against).days, 0) if against else ""
    return (
        check.of, day.isoformat(), against.isoformat() if against else "", days,
        row.get(f"detail__{rule.truth}") or "", str(check.days or ""),
    )  # fmt: skip


def _compared(value: int, expected: int, places: int) -> tuple[str, str, str]:
    return plain_number(value, places), plain_number(expected, places), signed(value - expected, places)


def _landing_rows(defined: ReturnDefinition, entries: dict[int, _Entry], frame: pl.DataFrame) -> pl.DataFrame:
    """Rows of accepted tables as they are landed; numbers stay scaled integers until the database divides them exactly."""
    identity = pl.DataFrame(
        [(index, entry.submission.submission_id, entry.slot[1], entry.slot[2], entry.table.sheet.name)
         for index, entry in entries.items()],
        schema={"entry": pl.Int32, "submission_id": pl.String, "county_code": pl.String, "period": pl.String,
                "sheet": pl.String},
        orient="row",
    )  # fmt: skip
    newest = current_definitions()[defined.return_code]
    declared = {column.name for column in defined.columns}
    codes = [
        pl.when(pl.col(f"{column.name}__state").is_in(list(MISSING_LABELS)))
        .then(pl.format('"' + column.name + '":"{}"', pl.col(f"{column.name}__state")))
        .otherwise(None)
        for column in defined.columns
    ]
    return (
        frame.filter(~pl.col("is_total"))
        .join(identity, on="entry")
        .sort("submission_id", "sheet", "source_row")
        .select(
            "submission_id",
            "county_code",
            "period",
            "sheet",
            "source_row",
            *(
                pl.col(column.name) if column.name in declared else pl.lit(None).alias(column.name)
                for column in newest.columns
            ),
            (pl.lit("{") + pl.concat_list(codes).list.drop_nulls().list.join(",") + pl.lit("}")).alias("missing_codes"),
        )
    )
