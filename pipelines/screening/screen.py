"""Screening of a batch: bytes in, filings with verdicts, typed rows, findings and counted passes out.

Belongs here: the order of the stages and the verdict. Everything is judged on the file alone; what needs other periods or
returns is `context`, and can only ask (query), never reject. A broken file is a result; an exception from here is our fault.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl

from pipelines.characters import folded, folded_name, unseen
from pipelines.decisions import Decision, lock_at, waivers
from pipelines.intake.submission import Sending, Submission
from pipelines.periods import Period, parse_period
from pipelines.returns import Column, ReturnDefinition, all_definitions, current_definitions, return_versions
from pipelines.returns.definition import MISSING_LABELS
from pipelines.screening.explanations import read_explanations
from pipelines.screening.findings import Finding, Place, make_finding
from pipelines.screening.identify import Observation, Table, data_table
from pipelines.screening.look import Known, Looked, Question, look_at_files, told
from pipelines.screening.personal_findings import personal_observations
from pipelines.screening.rows import ROW_KINDS, RowKind
from pipelines.screening.rules import (
    Rule,
    checks_of,
    configurations,
    file_rules,
    form_label,
    rule_of,
    rule_set_version,
    suite,
)
from pipelines.screening.settings import ScreenSettings
from pipelines.screening.tabulate import READ_STATES, UNSEEN, CellState, tabulate
from pipelines.times import beijing_day
from pipelines.workbooks.batch_contents import BATCH_KIND
from pipelines.workbooks.bounded import NO_BUDGET, Budget, Postponed
from pipelines.workbooks.personal_data import mask_personal
from pipelines.workbooks.workbook import (
    Refusal,
    Sheet,
    Workbook,
    area_address,
    cell_address,
    cell_position,
    column_letter,
)

if TYPE_CHECKING:
    from pipelines.screening.checks.engine import Answer

#: At most so many findings a rule and filing are written out; the rule's result always counts all of them.
FINDINGS_PER_RULE = 200


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
    rule_id, level, outcome, checked_n, failed_n. `cell_columns`: submission_id, return_code, sheet, first and last row of
    a table on it (from 1), column_name, column_letter, header_label. `sendings`: submission_id, return_code, county_code, period,
    received_at, is_locked_out, one each time that the file was sent. `explanations`: submission_id, return_code, county_code, period, rule_id, subject, column_label, deviation, text,
    received_at. `faults`: submission_id → what went wrong in us; nothing else is said of such a file, and it is to be screened again.
    `postponed`: submission_id → the county whose files have used up what one batch may cost; not looked at, to be screened by the next.
    """

    filings: list[Filing] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    rows: dict[str, pl.DataFrame] = field(default_factory=dict)
    rule_results: list[tuple[Any, ...]] = field(default_factory=list)
    cell_columns: list[tuple[str, str, str, int, int, str, str, str]] = field(default_factory=list)
    explanations: list[tuple[Any, ...]] = field(default_factory=list)
    sendings: list[tuple[Any, ...]] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)
    postponed: dict[str, str] = field(default_factory=dict)


@dataclass
class _Entry:
    """One filing of the batch on its way through the stages: its tables, and the sheets of its file by name."""

    submission: Submission
    tables: list[Table]
    sheets: dict[str, Sheet] = field(default_factory=dict)
    other_sheets: tuple[tuple[str, int], ...] = ()
    findings: list[Finding] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    failed: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    known: set[str] = field(default_factory=set)
    waived: frozenset[str] = frozenset()
    answers: str | None = None

    @property
    def definition(self) -> ReturnDefinition:
        return self.tables[0].definition

    @property
    def period(self) -> Period | None:
        return self.tables[0].period

    @property
    def slot(self) -> tuple[str, str | None, str | None]:
        return self.tables[0].slot

    @cached_property
    def data_table(self) -> Callable[[str, int], Table | None]:
        """As `identify.data_table`, of this filing's tables."""
        return data_table(self.tables)

    def copy(self) -> "_Entry":
        """The same entry, to be judged and perhaps thrown away: what judging adds does not reach this one."""
        mine = replace(self, findings=[*self.findings], known={*self.known})
        mine.counts, mine.failed = self.counts.copy(), self.failed.copy()
        return mine

    def place(self, sheet: str, row: int | None = None, column: int | None = None, **labels: str) -> Place:
        return_code, county_code, period = self.slot
        return _place(
            self.submission,
            self.sheets,
            sheet,
            row,
            column,
            return_code=return_code,
            county_code=county_code,
            period=period,
            form_label=form_label(return_code),
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


def _place(
    submission: Submission,
    sheets: Mapping[str, Sheet],
    sheet_name: str,
    row: int | None,
    column: int | None,
    **labels: Any,
) -> Place:
    """A place that Excel can show: of a cell on a hidden sheet only the file, of one in a hidden row or column that it is hidden."""
    sheet = sheets.get(sheet_name)
    cell = cell_address(row, column) if row is not None and column is not None else ""
    unseen = ""
    if sheet and sheet.hidden:
        unseen = f"该处在隐藏的工作表“{mask_personal(sheet_name)}”{f'的 {cell}' if cell else '里'}"
        sheet_name, row, cell = "", None, ""
    elif sheet and row in sheet.hidden_rows:
        unseen = f"该处在隐藏的第 {(row or 0) + 1} 行"
    elif sheet and column is not None and column in sheet.hidden_columns:
        unseen = f"该处在隐藏的第 {column_letter(column)} 列"
    return Place(
        submission_id=submission.submission_id,
        file_name=mask_personal(submission.file_name),
        sheet=mask_personal(sheet_name),
        cell=cell,
        source_row=row + 1 if row is not None else None,
        unseen=unseen,
        **labels,
    )


def screen(
    submissions: Sequence[Submission],
    settings: ScreenSettings,
    *,
    budget: Budget = NO_BUDGET,
    progress: Callable[[int, int], None] | None = None,
) -> Screening:
    """Screen a batch: each file is looked at in a bounded process, each return validated once over all files.

    What fails in us while one file is looked at or judged is a fault of that file alone: the others are judged as if it were not
    there. What is over the budget is left out and named.
    """
    result = Screening()
    of = {submission.submission_id: submission for submission in submissions}
    for submission in submissions:
        try:
            if submission.erased is not None:
                _as_recorded(submission, submission.erased, result)
        except Exception as fault:  # noqa: BLE001 - as below
            result.faults[submission.submission_id] = told(fault)
    submissions = [submission for submission in submissions if submission.erased is None]
    questions = [_question(submission) for submission in submissions]
    owners = [_sender(submission) for submission in submissions]
    known = Known(settings.counties, settings.periods)
    outcomes = dict(look_at_files(questions, known, settings.limits, owners=owners, budget=budget, progress=progress))
    entries: list[_Entry] = []
    for index, submission in enumerate(submissions):  # whichever came first
        outcome = outcomes.pop(index)
        try:
            if isinstance(outcome, Exception):
                raise outcome
            if isinstance(outcome, Postponed):
                result.postponed[submission.submission_id] = owners[index]
            elif isinstance(outcome, Refusal) and outcome.is_ours:
                result.faults[submission.submission_id] = outcome.detail
            else:
                entries += _identified(submission, outcome, settings, result)
        except Exception as fault:  # noqa: BLE001 - our fault with one file must not hold up the other counties
            result.faults[submission.submission_id] = told(fault)
    for defined in all_definitions():
        filings = {index: entry for index, entry in enumerate(entries) if entry.definition is defined}
        if filings:
            _judge_together(defined, filings, result)
    result = _without_faulty(result)
    result.sendings = [
        row for one in result.filings for row in sending_rows(of[one.submission_id], one, settings.decisions)
    ]
    return result


def recorded(screening: Screening) -> dict[str, Any]:
    """What screening made of one rejected submission, as plain values that outlast its bytes."""
    return {
        "filings": [asdict(filing) | {"received_at": None} for filing in screening.filings],
        "findings": [asdict(finding) for finding in screening.findings],
        "rule_results": [list(one) for one in screening.rule_results],
        "cell_columns": [list(one) for one in screening.cell_columns],
    }


def _as_recorded(submission: Submission, record: Mapping[str, Any], result: Screening) -> None:
    """Say of erased bytes what was said of them when they were there; of a zip that nothing is to be said."""
    if not record:
        _reject_file(submission, [], result)
        return
    for plain in record["filings"]:
        received_at = _received_at(submission, plain["county_code"])
        result.filings.append(Filing(**{**plain, "received_at": received_at}))
    result.findings += [Finding(**plain) for plain in record["findings"]]
    result.rule_results += [tuple(one) for one in record["rule_results"]]
    result.cell_columns += [tuple(one) for one in record["cell_columns"]]


def _question(submission: Submission) -> Question:
    return Question(
        submission.path,
        submission.file_name,
        names=tuple(receipt.file_name for receipt in submission.receipts),
        source_counties=tuple(receipt.county_code for receipt in submission.receipts),
    )


def _sender(submission: Submission) -> str:
    """The county that sent the bytes first: it bears what they cost."""
    earliest = min(submission.receipts, key=lambda receipt: (receipt.received_at, receipt.county_code), default=None)
    return earliest.county_code if earliest else ""


def look_at(submissions: Sequence[Submission], settings: ScreenSettings) -> list[Looked | Refusal]:
    """What each of a few files holds, in a bounded process. Raises what fails in us."""
    known = Known(settings.counties, settings.periods)
    questions = [_question(submission) for submission in submissions]
    outcomes = dict(look_at_files(questions, known, settings.limits))
    found: list[Looked | Refusal] = []
    for index in range(len(submissions)):
        outcome = outcomes[index]
        if isinstance(outcome, Exception):
            raise outcome
        assert not isinstance(outcome, Postponed)
        found.append(outcome)
    return found


def _judge_together(defined: ReturnDefinition, entries: dict[int, _Entry], result: Screening) -> None:
    """Judge the tables of one return at once; where that fails, in halves, until the fault stands with the one file that has it."""
    judged = Screening()
    try:
        _judge(defined, {index: entry.copy() for index, entry in entries.items()}, judged)
    except Exception as fault:  # noqa: BLE001 - our fault with one file or return must not hold up the others
        submissions = list(dict.fromkeys(entry.submission.submission_id for entry in entries.values()))
        if len(submissions) == 1:
            result.faults[submissions[0]] = f"{defined.form} v{defined.version}: {told(fault)}"
            return
        first = set(submissions[: len(submissions) // 2])
        for half in (first, set(submissions) - first):
            part = {index: entry for index, entry in entries.items() if entry.submission.submission_id in half}
            _judge_together(defined, part, result)
        return
    result.filings += judged.filings
    result.findings += judged.findings
    result.rule_results += judged.rule_results
    result.cell_columns += judged.cell_columns
    for return_code, rows in judged.rows.items():
        before = [result.rows[return_code]] if return_code in result.rows else []
        result.rows[return_code] = pl.concat([*before, rows], how="diagonal_relaxed")


def _without_faulty(result: Screening) -> Screening:
    """Nothing is said of a file at which we failed, not even of its other returns: it is screened again as a whole."""
    faulty = result.faults
    if not faulty:
        return result
    return Screening(
        filings=[filing for filing in result.filings if filing.submission_id not in faulty],
        findings=[finding for finding in result.findings if finding.submission_id not in faulty],
        rows={code: rows.filter(~pl.col("submission_id").is_in(list(faulty))) for code, rows in result.rows.items()},
        rule_results=[one for one in result.rule_results if one[0] not in faulty],
        cell_columns=[one for one in result.cell_columns if one[0] not in faulty],
        explanations=[one for one in result.explanations if one[0] not in faulty],
        faults=faulty,
        postponed=result.postponed,
    )


def _identified(
    submission: Submission, outcome: Looked | Refusal, settings: ScreenSettings, result: Screening
) -> list[_Entry]:
    """The tables of one file with their structural findings; a file without tables gets its verdict here."""
    in_names = [
        Observation(rule_id, value=value, detail="文件名中")
        for rule_id, value in dict.fromkeys(held for receipt in submission.receipts for held in receipt.personal)
    ]
    if isinstance(outcome, Refusal):
        refused = Observation(outcome.rule_id, detail=outcome.detail)
        found = personal_observations(outcome.personal, [submission.file_name])
        _reject_file(submission, [refused, *found, *in_names], result)
        return []
    if outcome.kind == BATCH_KIND:  # each of its files is a submission of its own
        _reject_file(submission, [], result)
        return []
    personal = [*outcome.personal, *in_names]
    explanations, replies = _replies(submission, outcome.workbook, settings.reply_key)
    if personal:
        explanations = []  # nothing is taken from a quarantined file
    result.explanations += explanations
    sheets = {sheet.name: sheet for sheet in outcome.sheets}
    if not outcome.filings:
        lacking = outcome.lacking
        if outcome.is_list_alone:
            # A list of findings that comes back alone is no return and lacks none; without a reply it is nothing at all.
            lacking = [] if explanations else [Observation("FILE-0-no-reply")]
        _reject_file(submission, [*lacking, *personal, *outcome.of_the_file, *replies], result, sheets)
        return []
    entries = []
    for tables, own in outcome.filings:
        entry = _Entry(submission, tables, sheets, outcome.other_sheets, answers=outcome.answers)
        entry.waived = frozenset(waivers(settings.decisions, *entry.slot, _received_at(submission, entry.slot[1])))
        locked = list(_locked(entry, settings.decisions))
        of_the_file = [*outcome.lacking, *personal, *outcome.of_the_file, *replies]
        for observation in [*of_the_file, *own, *locked]:
            _observe(entry, observation)
        entries.append(entry)
    return entries


def _replies(submission: Submission, workbook: Workbook, key: str) -> tuple[list[tuple[Any, ...]], list[Observation]]:
    """A county's replies to queries as rows of `Screening.explanations`, and what is wrong with others, at its cell."""
    explanations, observations = read_explanations(workbook, key)
    # The last word counts, and was said when it was last sent.
    sources = {receipt.county_code: receipt.every_sending[-1].received_at for receipt in submission.receipts}
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
        sending.collected_at
        for receipt in entry.submission.receipts
        if receipt.county_code == county_code
        for sending in receipt.every_sending
    ]
    locks = [lock_at(decisions, return_code, county_code, period, moment) for moment in moments]
    if locks and all(locks):
        lock = next(lock for lock in reversed(locks) if lock)
        detail = f"{parse_period(period).label}已于 {beijing_day(lock.at)} 锁定（{lock.reason}），不再接收新的版本。"
        yield Observation("FILE-0-locked", entry.tables[0].sheet.name, detail=detail)


def _observe(entry: _Entry, observation: Observation) -> None:
    rule = file_rules()[observation.rule_id]
    if not rule.is_valid_for(entry.period):
        return
    row, column = observation.row, observation.column
    label = entry.definition.column(observation.column_name).label if observation.column_name else ""
    row_label = known_by = ""
    if row is not None and (table := entry.data_table(observation.sheet, row)):
        row_label, known_by = _row_label(table, row), table.key_of(row)
    place = entry.place(
        observation.sheet,
        row,
        column,
        row_label=row_label,
        column_label=label,
        subject=known_by if observation.subject is None else observation.subject,
        extent=_extent(row, column, observation.last, observation.cells_n),
    )
    if rule.rule_id in _OF_WHAT_IS_HIDDEN:
        place = replace(place, unseen="")
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


#: Rules that say themselves what is hidden.
_OF_WHAT_IS_HIDDEN = frozenset(["FILE-1b-hidden-data", "FILE-1b-filter-left-on", "FILE-1b-folded-group"])


def _extent(row: int | None, column: int | None, last: tuple[int, int] | None, cells_n: int) -> str:
    """The range of a finding of which each cell breaks the rule in the same way; blank for one cell."""
    if row is None or column is None or last is None or cells_n < 2:
        return ""
    return f"{area_address(row, column, *last)} 共 {cells_n:,} 个单元格都是如此"


def _row_label(table: Table, row: int) -> str:
    index = table.columns.get(table.definition.row_label)
    return folded_name(table.sheet.cell(row, index) or "") if index is not None else ""


def _reject_file(
    submission: Submission,
    observations: Sequence[Observation],
    result: Screening,
    sheets: Mapping[str, Sheet] | None = None,
) -> None:
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
        place = _place(
            submission, sheets or {}, observation.sheet, observation.row, observation.column, county_code=county
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
    return min((sending.received_at for sending in _sendings(submission, county_code)), default=None)


def _sendings(submission: Submission, county_code: str | None) -> list[Sending]:
    """Every time that the county itself sent the bytes; where it never did, that others did."""
    own = [receipt for receipt in submission.receipts if receipt.county_code == county_code]
    return [sending for receipt in own or submission.receipts for sending in receipt.every_sending]


def sending_rows(submission: Submission, filing: Filing, decisions: Sequence[Decision]) -> list[tuple[Any, ...]]:
    """Every time that a filing was sent, as rows of `Screening.sendings`: each is a version of its own where another was sent in
    between, and is not taken where it fell into a lock."""
    slot = (filing.return_code, filing.county_code, filing.period)
    return [
        (
            submission.submission_id,
            *slot,
            sending.received_at,
            filing.period is not None and lock_at(decisions, *slot, sending.collected_at) is not None,
        )
        for sending in _sendings(submission, filing.county_code)
    ]


def _judge(defined: ReturnDefinition, entries: dict[int, _Entry], result: Screening) -> None:
    """Type and judge every table of one return at once; verdicts, rows and counts go into the result."""
    parts = [(index, table) for index, entry in entries.items() for table in entry.tables]
    filings = {number: index for number, (index, _) in enumerate(parts)}
    frame = tabulate(defined, [(number, table) for number, (_, table) in enumerate(parts)], filings)
    answers = judged(defined, frame, {index: entry.period for index, entry in entries.items()})
    rules = {check.rule_id: rule_of(check) for check in checks_of(defined)}
    placed = {number: (entries[index], table) for number, (index, table) in enumerate(parts)}
    _write_findings(defined, placed, frame, answers, rules)
    for number, observation in _unseen_characters(defined, placed, frame):
        _observe(placed[number][0], observation)
    checked = {
        (index, rule_id): asked_n
        for rule_id, answer in answers.items()
        for index, asked_n in answer.asked.items()
        if rules[rule_id].is_valid_for(entries[index].period)
    }
    row_counts = dict(frame.filter(~pl.col("is_total")).group_by("filing").len().iter_rows())
    own_totals = [number for number, (_, table) in placed.items() if table.of_template]
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
                sheet="、".join(dict.fromkeys(mask_personal(table.sheet.name) for table in entry.tables)),
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
        for rule_id, rule in {**file_rules(), **suite(defined.return_code).in_file}.items():
            checked_n = checked.get((index, rule_id), 1 if rule_id in file_rules() else 0)
            result.rule_results.append((*slot, rule_id, rule.level, rule.outcome, checked_n, entry.failed[rule_id]))
        for table in entry.tables:
            for name, column in table.columns.items():
                result.cell_columns.append(
                    (submission_id, return_code, mask_personal(table.sheet.name), table.first_data_row + 1,
                     table.last_data_row + 1, name, column_letter(column), table.header_texts[name])
                )  # fmt: skip
    result.rows[defined.return_code] = _landing_rows(defined, placed, frame.filter(pl.col("filing").is_in(accepted)))


def _content_digests(defined: ReturnDefinition, frame: pl.DataFrame) -> dict[int, str]:
    """Filing → digest of its rows' values in the order of their keys, then of what its total rows state, whatever sheets they
    stand on."""
    missing = [_missing_code(column, frame) for column in defined.columns]
    values = [pl.col(column.name) for column in defined.columns]
    rows = frame.filter(~pl.col("is_total")).sort("filing", *defined.key).select("filing", *values, *missing)
    stated = [column.name for column in defined.sum_columns]
    totals = frame.filter("is_total").select("filing", *(defined.total_row.per if defined.total_row else ()), *stated)
    told = {
        key[0]: part.drop("filing").sort(pl.all()).write_csv(include_header=False)
        for key, part in totals.partition_by("filing", as_dict=True).items()
    }
    return {
        key[0]: hashlib.sha256((part.drop("filing").write_csv() + told.get(key[0], "")).encode()).hexdigest()[:16]
        for key, part in rows.partition_by("filing", as_dict=True).items()
    }


def _missing_code(column: Column, frame: pl.DataFrame) -> pl.Expr:
    """Why a cell holds no number, as it is landed: its code; included_elsewhere:<column> where it names the column that holds it."""
    state = pl.col(f"{column.name}__state")
    code = pl.when(state.is_in(list(MISSING_LABELS))).then(state)
    if f"{column.name}__included_in" not in frame.columns:
        return code
    included_in = pl.when(state == CellState.INCLUDED_ELSEWHERE.value).then(pl.col(f"{column.name}__included_in"))
    return pl.coalesce(pl.format("{}:{}", code, included_in), code)


def _passed_over(entry: _Entry) -> str:
    """What `Filing.passed_over` says. Raises RowsUnaccounted when a row was counted not at all or twice."""
    several = len({table.sheet.name for table in entry.tables}) > 1
    kinds: dict[RowKind, tuple[int, list[str]]] = {}
    for table in entry.tables:
        sheet = f"“{mask_personal(table.sheet.name)}”" if several else ""
        for count in table.row_counts():
            rows_n, named = kinds.get(count.kind, (0, []))
            kinds[count.kind] = rows_n + count.rows_n, [*named, sheet + count.rows]
    content = {
        "sheet_rows_n": sum(rows_n for rows_n, _ in kinds.values()),
        "kinds": [
            {"label": label, "rows_n": kinds[kind][0], "rows": "、".join(kinds[kind][1])}
            for kind, label in ROW_KINDS.items()
            if kind in kinds and kind is not RowKind.DATA
        ],
        "sheets": [{"sheet": mask_personal(name), "rows_n": rows_n} for name, rows_n in entry.other_sheets],
    }
    return json.dumps(content, ensure_ascii=False)


def _unseen_characters(
    defined: ReturnDefinition, placed: Mapping[int, tuple[_Entry, Table]], frame: pl.DataFrame
) -> Iterable[tuple[int, Observation]]:
    """(entry, observation): the first cell of each column that was read without a character in it that nobody can see.

    Numbers are told by their own rule, with what they were read as.
    """
    for column in defined.columns:
        if column.is_number:
            continue
        text, state = pl.col(f"{column.name}__text"), pl.col(f"{column.name}__state")
        is_read = ~pl.col("is_total") & state.is_in([one.value for one in READ_STATES])
        found = frame.filter(text.str.contains(UNSEEN) & is_read)
        for key, cells in found.partition_by("entry", as_dict=True, maintain_order=True).items():
            table = placed[key[0]][1]
            first = cells.row(0, named=True)
            written = first[f"{column.name}__text"]
            read = folded_name(written) if column.is_name else folded(written)
            more = f"等 {cells.height} 格" if cells.height > 1 else ""
            yield key[0], Observation(
                "FILE-1a-unseen-character", table.sheet.name, first["source_row"] - 1, table.columns[column.name],
                value=read, detail=f"{more}有{unseen(written)}", column_name=column.name,
            )  # fmt: skip


@dataclass(frozen=True)
class _Broken:
    """A rule broken at one cell, or in the same way at each of `rows` (positions in the sheet, from 0) of a column.

    `cause`: what the cells of a column must have in common to be told as one; None where each is a matter of its own. `differ`: the
    cells hold different texts, of which the first stands for all.
    """

    entry: int
    rows: tuple[int, ...]
    rule_id: str
    column_name: str
    cause: tuple[str, str] | None
    said: tuple[str, str, str, str, str]
    differ: bool = False


def judged(
    defined: ReturnDefinition, frame: pl.DataFrame, periods: Mapping[int, Period | None]
) -> "Mapping[str, Answer]":
    """Rule id → what its check found in the frame of `tabulate`; `periods`: filing → its period, None where it could not be read."""
    from pipelines.screening.checks.engine import Rows, judge  # imports Great Expectations, which takes seconds
    from pipelines.screening.checks.form import Form

    form = Form(defined, checks_of(defined), periods)
    return judge(Rows(frame, form), configurations(defined.return_code, defined.version))


def _write_findings(
    defined: ReturnDefinition,
    placed: Mapping[int, tuple[_Entry, Table]],
    frame: pl.DataFrame,
    answers: "Mapping[str, Answer]",
    rules: Mapping[str, Rule],
) -> None:
    """`placed`: entry → its filing and the table itself."""
    cells: dict[tuple[int, str, str], list[_Broken]] = {}
    for rule_id, answer in answers.items():
        for entry, source_row, column_name, *said, cause in answer.cells.iter_rows():
            if rules[rule_id].is_valid_for(placed[entry][0].period):
                one = _Broken(entry, (source_row - 1,), rule_id, column_name, _cause(cause), tuple(said))
                cells.setdefault((entry, rule_id, column_name), []).append(one)
    if not cells:
        return
    joined = [one for (index, *_), column in cells.items() for one in _joined(column, placed[index][1])]
    rows = _rows_told(defined, frame, {(one.entry, one.rows[0] + 1) for one in joined})
    # As they stand in the file: by row, and within a row in the order in which a rule names its columns.
    for one in sorted(joined, key=lambda one: (one.entry, one.rows[0], one.rule_id)):
        (entry, table), rule, row = placed[one.entry], rules[one.rule_id], rows[one.entry, one.rows[0] + 1]
        first, last, column = one.rows[0], one.rows[-1], table.columns.get(one.column_name)
        row_label = folded_name(row[f"{defined.row_label}__text"] or "") if not row["is_total"] else "合计"
        place = entry.place(
            table.sheet.name,
            first,
            column,
            row_label="全表" if rule.of_the_table else row_label,
            subject="" if row["is_total"] or rule.of_the_table else table.key_of(first),
            column_label=defined.column(one.column_name).label_in(row),
            extent=_extent(first, column, (last, column or 0), len(one.rows)),
        )
        value, expected, difference, detail, problem = one.said
        place = replace(place, is_example=one.differ)
        finding = make_finding(
            rule, place, value=value, expected=expected, difference=difference, detail=detail, problem=problem
        )
        entry.add(rule, finding)


def _rows_told(
    defined: ReturnDefinition, frame: pl.DataFrame, places: set[tuple[int, int]]
) -> dict[tuple[int, int], dict[str, Any]]:
    """(entry, row) → what a finding tells of the row besides its cell: whether it is a total, its label, its codes."""
    wanted = pl.DataFrame(list(places), schema={"entry": pl.Int32, "source_row": pl.Int32}, orient="row")
    codes = {name for column in defined.columns for name in column.label_by}
    told = frame.join(wanted, on=["entry", "source_row"], how="semi").select(
        "entry", "source_row", "is_total", f"{defined.row_label}__text", *sorted(codes)
    )
    return {(row["entry"], row["source_row"]): row for row in told.iter_rows(named=True)}


#: So many cells of a column below each other that are wrong in the same way are one thing to mend: something was done to the column.
_FEWEST_ALIKE = 3


def _cause(told: str | None) -> tuple[str, str] | None:
    """What is wrong with a cell as such: its state and its text. What a number is beside others is a matter of its own row."""
    if told is None:
        return None
    state, _, text = told.partition("\x1f")
    return state, text


def _joined(column: list[_Broken], table: Table) -> Iterable[_Broken]:
    """Cells of one column that break one rule, in the order of rows; those below each other that are wrong alike as one.

    Alike: the same text; or, where no cell of the column is right, the same state, and nothing said of one that is not true of all.
    """
    at = {row: number for number, row in enumerate(table.data_rows)}
    in_data = [one for one in column if one.rows[0] in at]
    whole = len(in_data) == len(at) and len({one.cause and one.cause[0] for one in in_data}) == 1
    run: list[_Broken] = []
    for one in column:
        alike = run and one.cause and (one.cause == run[-1].cause or (whole and one.said[3:] == run[-1].said[3:]))
        if alike and at.get(one.rows[0], -1) == at.get(run[-1].rows[0], -3) + 1:
            run.append(one)
            continue
        yield from _as_one(run)
        run = [one]
    yield from _as_one(run)


def _as_one(run: list[_Broken]) -> list[_Broken]:
    if len(run) < _FEWEST_ALIKE:
        return run
    differ = any(one.cause != run[0].cause for one in run)
    return [replace(run[0], rows=tuple(one.rows[0] for one in run), differ=differ)]


def _landing_rows(
    defined: ReturnDefinition, placed: Mapping[int, tuple[_Entry, Table]], frame: pl.DataFrame
) -> pl.DataFrame:
    """Rows of accepted tables as they are landed; numbers stay scaled integers until the database divides them exactly."""
    identity = pl.DataFrame(
        [(number, entry.submission.submission_id, entry.slot[1], entry.slot[2], mask_personal(table.sheet.name))
         for number, (entry, table) in placed.items()],
        schema={"entry": pl.Int32, "submission_id": pl.String, "county_code": pl.String, "period": pl.String,
                "sheet": pl.String},
        orient="row",
    )  # fmt: skip
    landed = return_versions()[defined.return_code].columns
    codes = [pl.format('"' + column.name + '":"{}"', _missing_code(column, frame)) for column in defined.columns]
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
                pl.col(column.name) if column.name in defined.names else pl.lit(None).alias(column.name)
                for column in landed
            ),
            (pl.lit("{") + pl.concat_list(codes).list.drop_nulls().list.join(",") + pl.lit("}")).alias("missing_codes"),
        )
    )
