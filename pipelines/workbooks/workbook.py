"""What a reader hands on: every cell of a file as text, at its place. Knows nothing of returns or rules.

Light on purpose (standard library only): the reading process imports it, and starts once a run.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

from pipelines.characters import is_blank
from pipelines.workbooks.personal_data import Found, Where

#: Sheets of ours in a county's workbook: what the file is, the list of findings returned with it, the notes of a template.
METADATA_SHEET, FINDINGS_SHEET, NOTES_SHEET = "_xianbao", "问题清单", "填表说明"
#: What the names of sheets begin with that quote rows of a file in a findings workbook: no return, though they look like one.
QUOTE_PREFIX = "摘录·"
#: Columns of the list of findings: what a finding is known by, and the county's reply to it.
TOKEN_LABEL, REPLY_LABEL = "问题编号", "核实说明"
#: What the characters of a cell may be besides upright, and what a cell is whose own font is so, all of it.
RAISED, LOWERED, STRUCK = WHOLE_CELL_MARKS = "上标", "下标", "删除线"


#: First row, first column, last row, last column, from 0.
Area = tuple[int, int, int, int]


@dataclass(frozen=True)
class Sheet:
    """One sheet; `rows[0][0]` is A1. A cell is its text as stored, None when blank.

    `error_cells`, `valueless_formulas`, `external_formulas` (fed by another workbook): (row, column) from 0. `hidden_rows`,
    `hidden_columns`: indexes from 0; of these, `filtered_rows` are hidden by a filter, `folded_rows` and `folded_columns` stand in
    a group that is folded up. `marked_cells`: (row, column) → what is raised, lowered or struck out there: the text with those
    runs named, `7[上标 1]`, or one of `WHOLE_CELL_MARKS` where all of the cell is. `merged`: (first row, first column, last row,
    last column) of cells merged into one. `very_hidden`: hidden so that no menu of Excel brings the sheet back. `month_numbers`: (row,
    column) of numbers that read like a year and a month (2009.11), whose text alone does not tell that a number stands there.
    """

    name: str
    rows: list[list[str | None]]
    hidden: bool = False
    hidden_rows: frozenset[int] = frozenset()
    hidden_columns: frozenset[int] = frozenset()
    error_cells: frozenset[tuple[int, int]] = frozenset()
    valueless_formulas: frozenset[tuple[int, int]] = frozenset()
    external_formulas: frozenset[tuple[int, int]] = frozenset()
    marked_cells: dict[tuple[int, int], str] = field(default_factory=dict)
    month_numbers: frozenset[tuple[int, int]] = frozenset()
    filtered_rows: frozenset[int] = frozenset()
    folded_rows: frozenset[int] = frozenset()
    folded_columns: frozenset[int] = frozenset()
    merged: tuple[Area, ...] = ()
    very_hidden: bool = False

    def cell(self, row: int, column: int) -> str | None:
        """The text at (row, column), None outside the sheet."""
        if 0 <= row < len(self.rows) and 0 <= column < len(self.rows[row]):
            return self.rows[row][column]
        return None

    def between(self, what: str, first: int, last: int) -> list[Any]:
        """Those of `error_cells`, `marked_cells`, `merged` and their like (`what`) that stand, or begin, in the rows from first to last, in
        order. Many tables may stand on a sheet: none of them goes through what is noted of all."""
        if what not in self._in_order:
            self._in_order[what] = sorted(getattr(self, what))
        ordered = self._in_order[what]
        return ordered[bisect_left(ordered, (first,)) : bisect_left(ordered, (last + 1,))]

    @cached_property
    def _in_order(self) -> dict[str, list[Any]]:
        return {}

    @cached_property
    def last_filled(self) -> dict[int, int]:
        """Column → the last row in which it is filled."""
        return {column: row for row, cells in enumerate(self.rows) for column, text in enumerate(cells) if text}


@dataclass(frozen=True)
class Workbook:
    """A file that could be read. `kind`: xlsx, xlsb, xls, ods or csv, or batch (an archive of files, without sheets);
    `encoding` for csv only. `remarks`: (level-0 rule, detail) of what is in the file besides cells and was left alone. `personal`: what is of
    persons in it, masked, in cells and everywhere else.
    """

    kind: str
    sheets: list[Sheet] = field(default_factory=list)
    encoding: str | None = None
    remarks: tuple[tuple[str, str], ...] = ()
    personal: tuple[Found, ...] = ()


@dataclass(frozen=True)
class Refusal:
    """A file that could not be read: the level-0 rule it breaks, and the detail that its message names.

    `leaves_doubt`: whether the process that tried may be in any state, so that the next file needs a fresh one. `technical`: what
    the reader's program said, for an engineer's log alone. `is_ours`: the machine stood still, or the program failed: nothing is
    known of the file, and it is to be looked at again. `personal`: as of a workbook, as far as its texts could be had.
    """

    rule_id: str
    detail: str
    leaves_doubt: bool = field(default=False, compare=False)
    technical: str = field(default="", compare=False)
    is_ours: bool = field(default=False, compare=False)
    personal: tuple[Found, ...] = field(default=(), compare=False)


def column_letter(index: int) -> str:
    """0 → A, 25 → Z, 26 → AA."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def cell_address(row: int, column: int) -> str:
    """(0, 0) → A1."""
    return f"{column_letter(column)}{row + 1}"


def cell_position(address: str) -> tuple[int, int]:
    """A1 → (0, 0), the inverse of `cell_address`."""
    letters = address.rstrip("0123456789")
    column = 0
    for letter in letters:
        column = column * 26 + ord(letter.upper()) - 64
    return int(address[len(letters) :]) - 1, column - 1


def area_address(first_row: int, first_column: int, last_row: int, last_column: int) -> str:
    """(3, 7, 62, 7) → H4:H63; a single cell → its address."""
    first, last = cell_address(first_row, first_column), cell_address(last_row, last_column)
    return first if first == last else f"{first}:{last}"


def runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Sorted numbers as (first, last) of each unbroken run: 5, 6, 7, 9 → (5, 7), (9, 9)."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and number <= found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def rows_in_words(first: int, last: int) -> str:
    """Rows from 0 as a message names them: 第 5–9 行."""
    return f"第 {first + 1} 行" if first == last else f"第 {first + 1}–{last + 1} 行"


def next_filled(cells: Sequence[str | None], column: int) -> tuple[int, str] | None:
    """The first filled cell of a row right of a column, and where it stands."""
    for index in range(column + 1, len(cells)):
        if text := cells[index]:
            return index, text
    return None


def cell_text(value: Any) -> str | None:
    """A cell's value as text: whole floats without their `.0`, other numbers in plain decimals, dates in ISO form.

    Raises ValueError for what a file calls a number and is none, or an infinite one.
    """
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("not a finite number")
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else format(Decimal(repr(value)), "f")
    if isinstance(value, datetime):
        midnight = (value.hour, value.minute, value.second, value.microsecond) == (0, 0, 0, 0)
        return value.date().isoformat() if midnight else value.isoformat(sep=" ")
    if isinstance(value, date):
        return value.isoformat()
    text = str(value)
    return None if is_blank(text) else text


def workbook_to_json(outcome: Workbook | Refusal) -> dict[str, Any]:
    """The plain form that crosses from the reading process."""
    if isinstance(outcome, Refusal):
        said = [outcome.rule_id, outcome.detail, outcome.leaves_doubt, outcome.technical, outcome.is_ours]
        return {"refusal": said, "personal": outcome.personal}
    sheets = [sheet_to_json(sheet) for sheet in outcome.sheets]
    return {
        "kind": outcome.kind,
        "encoding": outcome.encoding,
        "sheets": sheets,
        "remarks": outcome.remarks,
        "personal": outcome.personal,
    }


def sheet_to_json(sheet: Sheet) -> dict[str, Any]:
    return {
        "name": sheet.name,
        "rows": sheet.rows,
        "hidden": sheet.hidden,
        "hidden_rows": sorted(sheet.hidden_rows),
        "hidden_columns": sorted(sheet.hidden_columns),
        "error_cells": sorted(sheet.error_cells),
        "valueless_formulas": sorted(sheet.valueless_formulas),
        "external_formulas": sorted(sheet.external_formulas),
        "month_numbers": sorted(sheet.month_numbers),
        "marked_cells": [(*place, what) for place, what in sorted(sheet.marked_cells.items())],
        "filtered_rows": sorted(sheet.filtered_rows),
        "folded_rows": sorted(sheet.folded_rows),
        "folded_columns": sorted(sheet.folded_columns),
        "merged": sheet.merged,
        "very_hidden": sheet.very_hidden,
    }


def workbook_from_json(plain: dict[str, Any]) -> Workbook | Refusal:
    personal = tuple(Found(rule_id, value, Where(*where)) for rule_id, value, where in plain["personal"])
    if "refusal" in plain:
        return replace(Refusal(*plain["refusal"]), personal=personal)
    sheets = [sheet_from_json(sheet) for sheet in plain["sheets"]]
    remarks = tuple((rule_id, detail) for rule_id, detail in plain["remarks"])
    return Workbook(kind=plain["kind"], sheets=sheets, encoding=plain["encoding"], remarks=remarks, personal=personal)


def sheet_from_json(sheet: dict[str, Any]) -> Sheet:
    return Sheet(
        name=sheet["name"],
        rows=sheet["rows"],
        hidden=sheet["hidden"],
        hidden_rows=frozenset(sheet["hidden_rows"]),
        hidden_columns=frozenset(sheet["hidden_columns"]),
        error_cells=frozenset(tuple(cell) for cell in sheet["error_cells"]),
        valueless_formulas=frozenset(tuple(cell) for cell in sheet["valueless_formulas"]),
        external_formulas=frozenset(tuple(cell) for cell in sheet["external_formulas"]),
        month_numbers=frozenset(tuple(cell) for cell in sheet["month_numbers"]),
        marked_cells={(row, column): what for row, column, what in sheet["marked_cells"]},
        filtered_rows=frozenset(sheet["filtered_rows"]),
        folded_rows=frozenset(sheet["folded_rows"]),
        folded_columns=frozenset(sheet["folded_columns"]),
        merged=tuple((area[0], area[1], area[2], area[3]) for area in sheet["merged"]),
        very_hidden=sheet["very_hidden"],
    )
