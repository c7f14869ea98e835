"""What one file holds: everything that is done to its characters, as one function that runs in the bounded process.

Belongs here: the order of reading, identifying, searching for numbers of persons and looking at tables, and the plain form in which what
came of it crosses to the run. Only what is judged later crosses: cells of tables under their headers, no longer than a column takes, and the
list of findings. What a file costs to look at is therefore its own cost, and what the run holds of it is bounded. Does not belong here:
what a rule says, the bureau's decisions, any secret of the home; `screen` knows those.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date
from pathlib import Path
from typing import Any

from pipelines.characters import folded_name
from pipelines.municipality import CountyName
from pipelines.periods import parse_period
from pipelines.returns import all_definitions
from pipelines.rule_files import as_variables
from pipelines.screening.disguised import disguised_beside, disguised_in
from pipelines.screening.identify import (
    Observation,
    Table,
    answered_submission,
    findings_header,
    identify,
    sheets_of_the_county,
)
from pipelines.screening.personal_findings import personal_observations, without_misspelt_codes
from pipelines.screening.rows import RowKind
from pipelines.screening.structure import LONGEST_CELL, as_judged
from pipelines.workbooks.batch_contents import BATCH_KIND
from pipelines.workbooks.bounded import NO_BUDGET, Budget, Postponed, ReadLimits, Task, answers_of
from pipelines.workbooks.personal_data import mask_personal
from pipelines.workbooks.workbook import (
    FINDINGS_SHEET,
    REPLY_LABEL,
    TOKEN_LABEL,
    Refusal,
    Sheet,
    Workbook,
    sheet_from_json,
    sheet_to_json,
    workbook_to_json,
)

#: No text of an observation is longer; a finding repeats far less of it.
_LONGEST_SAID = 2_000
#: What a process may say of one file.
_MOST_LOOKED_BYTES = 32 << 20
#: A row of the list of findings: the token of a query, and the reply to it.
_LONGEST_OF_A_LIST = 4_000


@dataclass(frozen=True)
class Known:
    """What is known of the municipality when a file is looked at. `periods`: return code → period codes of the calendar."""

    counties: tuple[CountyName, ...]
    periods: Mapping[str, set[str]]

    def plain(self) -> dict[str, Any]:
        return {
            "counties": [
                {**vars(county), "valid_from": _day(county.valid_from), "valid_to": _day(county.valid_to)}
                for county in self.counties
            ],
            "periods": {code: sorted(periods) for code, periods in self.periods.items()},
        }

    @staticmethod
    def of(plain: Mapping[str, Any]) -> "Known":
        counties = [
            CountyName(
                county["code"], county["name"], _as_day(county["valid_from"]), _as_day(county["valid_to"]),
                tuple(county["passed_into"]), tuple(county["came_from"]),
            )
            for county in plain["counties"]
        ]  # fmt: skip
        return Known(tuple(counties), {code: set(periods) for code, periods in plain["periods"].items()})


def _day(day: date | None) -> str | None:
    return day.isoformat() if day else None


def _as_day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


@dataclass(frozen=True)
class Question:
    """A file to look at: where it lies, what it is called, by which names it came besides, and from which counties' inboxes."""

    path: Path
    name: str
    names: tuple[str, ...] = ()
    source_counties: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        return {
            "path": str(self.path),
            "name": self.name,
            "names": list(self.names),
            "source_counties": list(self.source_counties),
        }


@dataclass
class Looked:
    """What a file holds. `sheets`: its sheets, with those of their cells that are judged later.

    `filings`: the tables of each filing, and what is wrong with them as tables. `of_the_file`: what is wrong with the file whatever
    its filings; `lacking`: why no return was found in it. `personal`: where numbers of persons stand. `answers`: the
    submission whose annotated workbook this is. `is_list_alone`: of the county's own there is no sheet, only a list of findings.
    """

    kind: str
    sheets: list[Sheet] = field(default_factory=list)
    filings: list[tuple[list[Table], list[Observation]]] = field(default_factory=list)
    lacking: list[Observation] = field(default_factory=list)
    personal: list[Observation] = field(default_factory=list)
    of_the_file: list[Observation] = field(default_factory=list)
    other_sheets: tuple[tuple[str, int], ...] = ()
    answers: str | None = None
    is_list_alone: bool = False

    @property
    def workbook(self) -> Workbook:
        """The sheets with what crossed of them."""
        return Workbook(self.kind, self.sheets)


def look(workbook: Workbook, question: Question, known: Known) -> Looked:
    """Look at a workbook that was read. Linear in its characters."""
    if workbook.kind == BATCH_KIND:  # each of its files is a submission of its own
        return Looked(workbook.kind)
    found = identify(
        workbook,
        file_name=question.name,
        counties=known.counties,
        source_counties=question.source_counties,
        periods=dict(known.periods),
    )
    names = [question.name, *question.names]
    personal = without_misspelt_codes(personal_observations(workbook.personal, names), workbook, found.tables)
    filings = []
    for tables, astray in as_judged(found):
        own = [observation for table in tables for observation in table.observations]
        disguised = [observation for table in tables for observation in disguised_in(table)]
        filings.append((tables, [*own, *astray, *disguised]))
    beside = list(disguised_beside(workbook, found.tables, names))
    kept: list[Sheet] = []
    for sheet in workbook.sheets:
        mine = [table for table in found.tables if table.sheet is sheet]
        kept.append(_kept(sheet, mine))
        for table in mine:
            table.sheet = kept[-1]
    return Looked(
        kind=workbook.kind,
        sheets=kept,
        filings=filings,
        lacking=found.observations,
        personal=personal,
        of_the_file=[*(Observation(rule_id, detail=detail) for rule_id, detail in workbook.remarks), *beside],
        other_sheets=found.other_sheets,
        answers=answered_submission(workbook),
        is_list_alone=bool(workbook.sheets) and not sheets_of_the_county(workbook),
    )


def _kept(sheet: Sheet, tables: Sequence[Table]) -> Sheet:
    """A sheet with what is judged later: the cells under the headers of its tables, or its list of findings."""
    rows: list[list[str | None]] = []
    places: set[tuple[int, int]] = set()
    header = findings_header(sheet) if sheet.name == FINDINGS_SHEET else None
    if header is not None:
        labels = [folded_name(text or "") for text in sheet.rows[header]]
        wanted = {labels.index(TOKEN_LABEL), labels.index(REPLY_LABEL)}
        rows = [
            [text[:_LONGEST_OF_A_LIST] if text and at in wanted else None for at, text in enumerate(cells)]
            for cells in sheet.rows
        ]
    for table in tables:
        columns = sorted(table.columns.values())
        for row in sorted([*table.data_rows, *table.total_rows]):
            rows.extend([] for _ in range(row + 1 - len(rows)))
            cells = rows[row]
            for column in columns:
                text = sheet.cell(row, column)
                places.add((row, column))
                if text is not None:
                    cells.extend([None] * (column + 1 - len(cells)))
                    cells[column] = text[:LONGEST_CELL]
    return Sheet(
        sheet.name,
        rows,
        hidden=sheet.hidden,
        hidden_rows=sheet.hidden_rows,
        hidden_columns=sheet.hidden_columns,
        error_cells=sheet.error_cells & places,
        valueless_formulas=sheet.valueless_formulas & places,
        month_numbers=sheet.month_numbers & places,
        marked_cells={place: what[:LONGEST_CELL] for place, what in sheet.marked_cells.items() if place in places},
    )


# --- the plain form ---------------------------------------------------------------------------------------------------


def looking(known: Mapping[str, Any], limits: Mapping[str, Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """The bounded process's side: read a file, look at it, and say in plain values what came of it. What every look needs is read first.

    What fails in us once the file is read is told apart from what is wrong with the file (`Refusal.is_ours`).
    """
    from pipelines.workbooks.reader import read_file

    municipality = Known.of(known)
    all_definitions()
    identify(Workbook("csv"), file_name="", counties=(), source_counties=(), periods={})

    def look_here(plain: dict[str, Any]) -> dict[str, Any]:
        path, name = Path(plain["path"]), plain["name"]
        outcome = read_file(
            path, name, max_bytes=limits["file_bytes"], max_cells=limits["cells"], max_characters=limits["characters"]
        )
        if isinstance(outcome, Refusal):
            return workbook_to_json(outcome)
        question = Question(path, name, tuple(plain["names"]), tuple(plain["source_counties"]))
        try:
            looked = look(outcome, question, municipality)
        except MemoryError:
            raise
        except Exception as fault:  # noqa: BLE001 - ours, not the file's
            return workbook_to_json(Refusal("FILE-0-unreadable", told(fault), is_ours=True))
        return _looked_to_json(looked)

    return look_here


def look_at_files(
    questions: Sequence[Question],
    known: Known,
    limits: ReadLimits = ReadLimits(),
    *,
    owners: Sequence[str] | None = None,
    budget: Budget = NO_BUDGET,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[tuple[int, Looked | Refusal | Postponed | Exception]]:
    """Index and what is in the file, as they come: those of `owners` (a county each) that have cost the least first.

    An exception is ours: an answer that cannot be understood.
    """
    # The rules may be those of a bundle.
    task = Task("pipelines.screening.look:looking", known.plain(), _MOST_LOOKED_BYTES, as_variables())
    answers = answers_of(task, [one.plain() for one in questions], limits, owners=owners, budget=budget)
    for done, (index, answer) in enumerate(answers, start=1):
        if progress:
            progress(done, len(questions))
        if isinstance(answer, Postponed):
            yield index, answer
        elif isinstance(answer.said, Refusal):
            yield index, answer.said
        else:
            try:
                yield index, looked_from_json(answer.said)
            except Exception as fault:  # noqa: BLE001 - whatever a process says that hostile files were opened in
                yield index, fault


def told(fault: BaseException) -> str:
    """What went wrong in us, on one line."""
    return mask_personal(f"{type(fault).__name__}: {' '.join(str(fault)[:2_000].split())}"[:300])


def _looked_to_json(looked: Looked) -> dict[str, Any]:
    return {
        "kind": looked.kind,
        "sheets": [sheet_to_json(sheet) for sheet in looked.sheets],
        "filings": [
            {
                "tables": [_table_to_json(table, looked.sheets) for table in tables],
                "observations": _observations_to_json(observations),
            }
            for tables, observations in looked.filings
        ],
        "lacking": _observations_to_json(looked.lacking),
        "personal": _observations_to_json(looked.personal),
        "of_the_file": _observations_to_json(looked.of_the_file),
        "other_sheets": looked.other_sheets,
        "answers": looked.answers,
        "is_list_alone": looked.is_list_alone,
    }


def looked_from_json(plain: dict[str, Any]) -> Looked:
    """What `look_here` said. Raises whatever a form that is not its own makes it raise."""
    sheets = [sheet_from_json(one) for one in plain["sheets"]]
    return Looked(
        kind=plain["kind"],
        sheets=sheets,
        filings=[
            ([_table_from_json(table, sheets) for table in one["tables"]], _observations_of(one["observations"]))
            for one in plain["filings"]
        ],
        lacking=_observations_of(plain["lacking"]),
        personal=_observations_of(plain["personal"]),
        of_the_file=_observations_of(plain["of_the_file"]),
        other_sheets=tuple((name, rows_n) for name, rows_n in plain["other_sheets"]),
        answers=plain["answers"],
        is_list_alone=plain["is_list_alone"],
    )


_SAID = tuple(one.name for one in fields(Observation))


def _observations_to_json(observations: Iterable[Observation]) -> list[list[Any]]:
    return [
        [value[:_LONGEST_SAID] if isinstance(value := getattr(one, name), str) else value for name in _SAID]
        for one in observations
    ]


def _observations_of(plain: list[list[Any]]) -> list[Observation]:
    made = [Observation(**dict(zip(_SAID, values, strict=True))) for values in plain]
    return [replace(one, last=(one.last[0], one.last[1])) if one.last else one for one in made]


def _table_to_json(table: Table, sheets: Sequence[Sheet]) -> dict[str, Any]:
    return {
        "return": [table.definition.return_code, table.definition.version],
        "sheet": next(at for at, sheet in enumerate(sheets) if sheet is table.sheet),
        "rows": [table.header_row, table.first_data_row, table.last_data_row, table.first_row],
        "columns": table.columns,
        "header_texts": {name: text[:_LONGEST_SAID] for name, text in table.header_texts.items()},
        "data_rows": table.data_rows,
        "total_rows": table.total_rows,
        "passed_over": {kind.value: rows for kind, rows in table.passed_over.items()},
        "county_code": table.county_code,
        "period": table.period.code if table.period else None,
        "of_template": table.of_template,
        "told_rows": sorted(table.told_rows),
        "told_cells": sorted(table.told_cells),
    }


def _table_from_json(plain: dict[str, Any], sheets: Sequence[Sheet]) -> Table:
    return_code, version = plain["return"]
    defined = next(one for one in all_definitions() if (one.return_code, one.version) == (return_code, version))
    header_row, first_data_row, last_data_row, first_row = plain["rows"]
    return Table(
        defined,
        sheets[plain["sheet"]],
        header_row,
        first_data_row,
        last_data_row,
        plain["columns"],
        plain["header_texts"],
        data_rows=plain["data_rows"],
        total_rows=plain["total_rows"],
        first_row=first_row,
        passed_over={RowKind(kind): rows for kind, rows in plain["passed_over"].items()},
        county_code=plain["county_code"],
        period=parse_period(plain["period"]) if plain["period"] else None,
        of_template=plain["of_template"],
        told_rows=frozenset(plain["told_rows"]),
        told_cells=frozenset((row, column) for row, column in plain["told_cells"]),
    )
