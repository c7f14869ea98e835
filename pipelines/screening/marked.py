"""Cells of a table whose characters are raised, lowered or struck out: which of them cannot be read, and one observation for each act.

Belongs here: what such a mark means in a column. 7¹ is no 71 and a number that was crossed out is none, so a number, a date or a code
with such runs is refused; in a name they are asked about. A cell that is raised or lowered as a whole by its own font shows the same
figure, only smaller: that is asked about, for it may be a footnote's mark that stands alone. In a name it says nothing.
"""

from collections.abc import Iterable

from pipelines.screening.identify import Observation, Table
from pipelines.workbooks.workbook import STRUCK, WHOLE_CELL_MARKS, area_address, rows_in_words, runs

_REFUSED, _ASKED = "FILE-1b-marked-figure", "FILE-1b-marked-text"
#: So many cells of a column are told one by one; more are one act.
_ONE_BY_ONE = 3

Place = tuple[int, int]


def refused_cells(table: Table) -> frozenset[Place]:
    """The cells that hold no value for their marks: (row, column) from 0."""
    return frozenset(place for place, rule_id in _broken(table).items() if rule_id == _REFUSED)


def _broken(table: Table) -> dict[Place, str]:
    """Cell of the table → the rule that its marks break."""
    marked = table.sheet.between("marked_cells", table.first_data_row, table.last_data_row)
    if not marked:
        return {}
    free_text = {index for name, index in table.columns.items() if table.definition.column(name).is_name}
    columns = set(table.columns.values())
    rows = {*table.data_rows, *table.total_rows}
    broken: dict[Place, str] = {}
    for row, column in marked:
        what = table.sheet.marked_cells[(row, column)]
        if row not in rows or column not in columns:
            continue
        is_only_smaller = what in WHOLE_CELL_MARKS and what != STRUCK
        if column not in free_text:
            broken[(row, column)] = _ASKED if is_only_smaller else _REFUSED
        elif not is_only_smaller:
            broken[(row, column)] = _ASKED
    return broken


def marked_cells(table: Table) -> Iterable[Observation]:
    """One observation a cell; one for rows that are marked as a whole, and one for a column of which many cells are."""
    broken = _broken(table)
    told_rows: set[int] = set()
    for first, last, columns in _whole_rows(table, set(broken)):
        area = area_address(first, columns[0], last, columns[-1])
        grave = any(broken.get((first, column)) == _REFUSED for column in columns)
        detail = f"{rows_in_words(first, last)}（{area}）"
        yield _observed(table, _REFUSED if grave else _ASKED, (first, columns[0]), detail)
        told_rows.update(range(first, last + 1))
    by_column: dict[tuple[str, int], list[int]] = {}
    for (row, column), rule_id in sorted(broken.items()):
        if row not in told_rows:
            by_column.setdefault((rule_id, column), []).append(row)
    for rule_id in (_REFUSED, _ASKED):
        for name, index in table.columns.items():
            rows = by_column.get((rule_id, index), [])
            if len(rows) <= _ONE_BY_ONE:
                for row in rows:
                    yield _observed(table, rule_id, (row, index), "", name)
            else:
                area = area_address(rows[0], index, rows[-1], index)
                told = f"{area} 中的 {len(rows)} 个单元格"
                yield _observed(table, rule_id, (rows[0], index), told, name)
    for row, column in table.sheet.between("marked_cells", table.header_row, table.first_data_row - 1):
        # What is raised in a header may be why nobody knows the column.
        if column not in table.columns.values():
            yield _observed(table, _ASKED, (row, column), "表头")
    for claims in table.cover.claims.values():
        for _, sheet, row, column in claims:
            if sheet == table.sheet.name and (row, column) in table.sheet.marked_cells:
                yield _observed(table, _ASKED, (row, column), "表头上方")


def _whole_rows(table: Table, marked: set[Place]) -> Iterable[tuple[int, int, list[int]]]:
    """(first row, last row, columns) of rows one below the other of which every filled cell is marked."""
    columns = sorted(table.columns.values())
    rows: dict[int, list[int]] = {}
    for row in sorted({*table.data_rows, *table.total_rows} & {row for row, _ in marked}):
        filled = [column for column in columns if table.sheet.cell(row, column)]
        if len(filled) > _ONE_BY_ONE and all((row, column) in marked for column in filled):
            rows[row] = filled
    for first, last in runs(rows):
        yield first, last, sorted({column for row in range(first, last + 1) for column in rows[row]})


def _observed(table: Table, rule_id: str, place: Place, detail: str, column_name: str | None = None) -> Observation:
    sheet = table.sheet
    what = sheet.marked_cells.get(place, "")
    shown = f"[{what} {(sheet.cell(*place) or '').strip()}]" if what in WHOLE_CELL_MARKS else what
    return Observation(rule_id, sheet.name, *place, value=shown, detail=detail, column_name=column_name)
