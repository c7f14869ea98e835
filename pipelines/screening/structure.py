"""What is wrong with a table's cells whatever their column, in one finding for one act of whoever filled it.

Belongs here: which cells belong together (a row with a stray cell, cells merged into one, rows that a filter hides, an error filled
down a column), so that one finding names their range and the remedy, and no other rule need speak of them. What a cell is against
its column's type is `tabulate`; what the rules say stands in `expectations/file.yaml`.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipelines.characters import folded
from pipelines.returns import Column
from pipelines.screening.identify import Identified, Observation, Table
from pipelines.screening.marked import marked_cells
from pipelines.screening.rows import RowKind, holds
from pipelines.workbooks.workbook import area_address, cell_address, column_letter, rows_in_words, runs

#: So many ranges a finding names; the rest are counted.
_NAMED_RANGES = 10
#: A row is looked at as a whole only where a table has columns enough to tell one from a cell.
_FEWEST_COLUMNS = 4
#: No cell of a table holds a longer text: a name, a code or a remark is far shorter.
LONGEST_CELL = 1_000


def structure(parts: Sequence[Table]) -> Iterator[Observation]:
    """What is wrong with the parts of one filing as tables. Call it before `tabulate`: it sets their `told_rows` and `told_cells`, and
    takes the rows that are none out of their data."""
    seen = [table for table in parts if not table.sheet.hidden]  # what nobody sees has been refused
    for table in seen:
        yield from _rows_astray(table)
        yield from _merged(table)
        yield from _too_long(table)
        yield from _cells(table)
        yield from marked_cells(table)
        yield from _hidden(table)
    if seen and not any(table.data_rows for table in seen):
        table = seen[0]
        yield Observation("FILE-0-no-rows", table.sheet.name, table.header_row, _first_column(table))


def as_judged(found: Identified) -> list[tuple[list[Table], list[Observation]]]:
    """The parts of each filing as they are judged, the rows that are none out of their data, and what is wrong with them as tables."""
    return [(parts, list(structure(parts))) for parts in found.filings]


def _first_column(table: Table) -> int:
    return min(table.columns.values(), default=0)


# Rows that are none ---------------------------------------------------------------------------------------------------


def _rows_astray(table: Table) -> Iterator[Observation]:
    """Rows with a stray cell, zeros that formulas left below the table, rows of which only the names are filled."""
    kinds = {row: kind for row in table.data_rows if (kind := _kind_of(table, row))}
    astray = [row for row, kind in kinds.items() if kind != "unfilled"]
    if astray:
        table.data_rows = [row for row in table.data_rows if kinds.get(row, "unfilled") == "unfilled"]
        table.passed_over[RowKind.STRAY] = sorted(astray)
    table.told_rows = frozenset(kinds.keys() - astray)
    rows = sorted(kinds)
    for first, last in _runs(rows, kinds.__getitem__):
        block = rows[first : last + 1]
        yield _astray(table, block, kinds[block[0]])


def _kind_of(table: Table, row: int) -> str:
    """What a row is that is no row of data: stray, zeros or unfilled; blank for any other."""
    defined, sheet = table.definition, table.sheet
    filled = {name: text for name, index in table.columns.items() if (text := sheet.cell(row, index))}
    if len(table.columns) < _FEWEST_COLUMNS:
        return ""
    names = {*defined.key, defined.row_label}
    zeros = {name for name, text in filled.items() if text in _NOTHING}
    errors = {name for name in filled if (row, table.columns[name]) in sheet.error_cells}
    # An age of 0 is a key like any other.
    keyed = all(name in filled and defined.column(name).is_number for name in defined.key)
    if zeros and filled.keys() == zeros | errors and not keyed:
        return "zeros"
    lone = next(iter(filled)) if len(filled) == 1 else None
    # What its column takes is a row that was begun; what it does not take has strayed.
    if (lone and not (lone in names and _is_begun(defined.column(lone), filled[lone]))) or (
        not names & filled.keys() and len(filled) <= len(table.columns) / 2
    ):
        return "stray"
    stated = [column.name for column in defined.columns if column.required and column.name not in names]
    if len(stated) > 1 and filled.keys() <= names:
        return "unfilled"
    return ""


def _is_begun(column: Column, text: str) -> bool:
    """Whether a text is one that a column of names takes; a free text is a word at least."""
    return re.search(r"\w\w", folded(text)) is not None if column.is_name else holds(column, text)


#: What a formula leaves that had nothing to count.
_NOTHING = frozenset(["0", "0.0", "0.00", "FALSE"])


def _astray(table: Table, rows: Sequence[int], kind: str) -> Observation:
    sheet = table.sheet
    cells = [(row, index) for row in rows for index in sorted(table.columns.values()) if sheet.cell(row, index)]
    row, column = cells[0]
    value = sheet.cell(row, column) or ""
    first, last = rows[0], rows[-1]
    where = rows_in_words(first, last) + (f"（共 {len(rows)} 行）" if len(rows) > 1 else "")
    place = {"sheet": sheet.name, "row": row, "column": column, "value": value}
    if kind == "unfilled":
        return Observation("FILE-1a-row-unfilled", **place, detail=where)  # type: ignore[arg-type]
    address = cell_address(row, column)
    if len(cells) == 1:
        what = f"{where}只有 {address} 有内容（“{value}”）"
    elif kind == "zeros":
        area = area_address(first, min(at for _, at in cells), last, max(at for _, at in cells))
        what = f"{where}只有 0（{area}），多半是公式向下填充过了头"
    else:
        what = f"{where}只有零星的 {len(cells)} 个单元格有内容（{address} 为“{value}”）"
    return Observation("FILE-0-stray-row", **place, detail=what)  # type: ignore[arg-type]


# Merged cells ---------------------------------------------------------------------------------------------------------


def _merged(table: Table) -> Iterator[Observation]:
    """Cells of data merged into one: all but the first can neither be seen nor filled."""
    mapped = sorted(table.columns.values())
    rows = [row for row in table.data_rows if row not in table.told_rows]
    left = len(rows) * len(mapped)  # merged cells never overlap: a file that says so is not followed beyond this
    told: set[tuple[int, int]] = set()
    areas: dict[tuple[int, int], list[tuple[int, int, int, int]]] = {}
    # What begins above the table and reaches into it covers the header: of such a column nothing is read.
    for area in table.sheet.between("merged", table.first_row, table.last_data_row):
        top, leftmost, bottom, rightmost = area
        columns = [index for index in mapped if leftmost <= index <= rightmost]
        inside = rows[bisect_left(rows, top) : bisect_right(rows, bottom)] if columns else []
        covered = [(row, index) for row in inside for index in columns if (row, index) != (top, leftmost)]
        left -= len(covered)
        if left < 0:
            break
        if covered:
            told.update(covered)
            areas.setdefault((top, bottom), []).append(area)
    table.told_cells = frozenset(told)
    for (top, _), group in sorted(areas.items()):
        column = min(area[1] for area in group)
        value = table.sheet.cell(top, column) or ""
        named = "；".join(_merged_in_words(area) for area in sorted(group)[:_NAMED_RANGES])
        yield Observation("FILE-1b-merged-cells", table.sheet.name, top, column, value=value, detail=named)


def _merged_in_words(area: tuple[int, int, int, int]) -> str:
    """A4 与 A5:A6 合并: the cell that can be typed into, and those that cannot."""
    top, left, bottom, right = area
    rest = []
    if right > left:
        rest.append(area_address(top, left + 1, top, right))
    if bottom > top:
        rest.append(area_address(top + 1, left, bottom, right))
    return f"{cell_address(top, left)} 与 {'、'.join(rest)} 合并"


# Cells ----------------------------------------------------------------------------------------------------------------


def _too_long(table: Table) -> Iterator[Observation]:
    """Texts that are longer than any column takes: one finding a range. They are read no further than that."""
    sheet = table.sheet
    rows = sorted({*table.data_rows, *table.total_rows} - table.told_rows)
    names = {index: name for name, index in table.columns.items()}
    wanted = {
        (row, index): None
        for row in rows
        for index in names
        if len(sheet.cell(row, index) or "") > LONGEST_CELL and (row, index) not in table.told_cells
    }
    table.told_cells |= wanted.keys()
    for block in blocks(wanted, rows, sorted(names)):
        text = sheet.cell(block.row, block.column) or ""
        yield Observation(
            "FILE-1a-text-too-long", sheet.name, block.row, block.column, value=text[:LONGEST_CELL],
            expected=f"{LONGEST_CELL:,}", detail=f"{len(text):,}", column_name=names[block.column],
            last=(block.last_row, block.last_column), cells_n=block.cells_n,
        )  # fmt: skip


def _cells(table: Table) -> Iterator[Observation]:
    """Errors, formulas that were never calculated, numbers taken from another workbook: one finding a range."""
    sheet = table.sheet
    rows = sorted({*table.data_rows, *table.total_rows} - table.told_rows)
    ours = {*rows}
    names = {index: name for name, index in table.columns.items()}

    def mine(what: str) -> list[tuple[int, int]]:
        return sheet.between(what, table.first_data_row, table.last_data_row)

    uncalculated = {
        cell: None
        for cell in mine("valueless_formulas")
        # The totals of our own template are our own sums: a program that did not calculate them left nothing out.
        if not (table.of_template and cell[0] in table.total_rows)
    }
    for rule_id, cells in (
        ("FILE-1b-error-cell", {cell: sheet.cell(*cell) for cell in mine("error_cells")}),
        ("FILE-0-formula-no-value", uncalculated),
        ("FILE-0-external-link", dict.fromkeys(mine("external_formulas"))),
    ):
        wanted = {
            cell: cause
            for cell, cause in cells.items()
            if cell[0] in ours and cell[1] in names and cell not in table.told_cells
        }
        for block in blocks(wanted, rows, sorted(names)):
            yield Observation(
                rule_id, sheet.name, block.row, block.column,
                value="" if rule_id == "FILE-0-formula-no-value" else sheet.cell(block.row, block.column) or "",
                column_name=names[block.column], last=(block.last_row, block.last_column), cells_n=block.cells_n,
            )  # fmt: skip


@dataclass(frozen=True)
class Block:
    """A rectangle of cells: its corners, and how many cells of the table's rows and columns it holds."""

    row: int
    column: int
    last_row: int
    last_column: int
    cells_n: int


def blocks(cells: Mapping[tuple[int, int], Hashable], rows: Sequence[int], columns: Sequence[int]) -> list[Block]:
    """Cells with the same cause joined into rectangles, in the order of the sheet.

    `rows`, `columns`: those of the table, in order; cells that follow each other among them are neighbours.
    """
    at_row = {row: number for number, row in enumerate(rows)}
    at_column = {column: number for number, column in enumerate(columns)}
    spans: dict[tuple[int, int, Hashable], list[int]] = {}
    by_column: dict[int, list[int]] = {}
    for row, column in cells:
        by_column.setdefault(column, []).append(at_row[row])
    for column, numbers in by_column.items():
        numbers.sort()

        def cause(number: int, column: int = column) -> Hashable:
            return cells[(rows[number], column)]

        for first, last in _runs(numbers, cause):
            key = (numbers[first], numbers[last], cause(numbers[first]))
            spans.setdefault(key, []).append(at_column[column])
    found = []
    for (first, last, _), numbers in spans.items():
        for left, right in runs(sorted(numbers)):
            cells_n = (last - first + 1) * (right - left + 1)
            found.append(Block(rows[first], columns[left], rows[last], columns[right], cells_n))
    return sorted(found, key=lambda block: (block.row, block.column))


def _runs(numbers: Sequence[int], cause: Callable[[int], Hashable]) -> Iterator[tuple[int, int]]:
    """(first, last) position of each run of sorted numbers without a gap that have the same cause."""
    first = 0
    for at in range(1, len(numbers) + 1):
        if at == len(numbers) or numbers[at] != numbers[at - 1] + 1 or cause(numbers[at]) != cause(numbers[at - 1]):
            yield first, at - 1
            first = at


# What is hidden -------------------------------------------------------------------------------------------------------


def _hidden(table: Table) -> Iterator[Observation]:
    """Rows and columns with data that do not show: one finding for each cause, naming the ranges."""
    sheet = table.sheet
    rows = sheet.hidden_rows & set(table.data_rows)
    filtered, folded = rows & sheet.filtered_rows, rows & sheet.folded_rows
    for rule_id, hidden in (
        ("FILE-1b-filter-left-on", filtered - folded),
        ("FILE-1b-folded-group", folded),
        ("FILE-1b-hidden-data", rows - filtered - folded),
    ):
        if hidden:
            ordered = sorted(hidden)
            yield Observation(
                rule_id, sheet.name, ordered[0], _first_column(table),
                detail=_in_words(ordered, "行", lambda row: str(row + 1)), subject=_known_by(table, ordered),
            )  # fmt: skip
    names = {index: name for name, index in table.columns.items()}
    columns = frozenset(
        index for index in sheet.hidden_columns & names.keys() if any(sheet.cell(row, index) for row in table.data_rows)
    )
    for rule_id, hidden in (
        ("FILE-1b-folded-group", columns & sheet.folded_columns),
        ("FILE-1b-hidden-data", columns - sheet.folded_columns),
    ):
        if hidden:
            ordered = sorted(hidden)
            labels = "、".join(table.definition.column(names[index]).label for index in ordered[1:])
            yield Observation(
                rule_id, sheet.name, table.header_row, ordered[0], column_name=names[ordered[0]],
                detail=_in_words(ordered, "列", column_letter), subject=labels,
            )  # fmt: skip


def _in_words(numbers: Sequence[int], unit: str, name: Callable[[int], str]) -> str:
    """Rows or columns as ranges: 第 10–89 行、第 95 行（共 81 行）."""
    ranges = runs(numbers)
    said = "、".join(
        f"第 {name(first)} {unit}" if first == last else f"第 {name(first)}–{name(last)} {unit}"
        for first, last in ranges[:_NAMED_RANGES]
    )
    more = "等" if len(ranges) > _NAMED_RANGES else ""
    return f"{said}{more}（共 {len(numbers)} {unit}）" if len(numbers) > 1 else said


def _known_by(table: Table, rows: Sequence[int]) -> str:
    """Rows by the keys of the first and the last of them, and their number: the same in a version where they have moved."""
    first, last = table.key_of(rows[0]), table.key_of(rows[-1])
    return first if len(rows) == 1 else f"{first}–{last}（{len(rows)} 行）"
