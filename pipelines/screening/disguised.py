"""Texts that pass for something else: formulas where a name should stand, and characters that turn what stands around them.

Belongs here: telling them, wherever a workbook has texts that are repeated to somebody (names in tables, headings, titles, sheets, the
file's own name, replies). A formula that starts a program or fetches is refused whatever cell it stands in (`second_reading.cells`);
what cannot be seen in a cell that is read is told with what it was read as (`screen`). Linear in the text.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from pipelines.characters import searchable, turning, unturned, visible
from pipelines.screening.identify import Observation, Table, findings_header
from pipelines.screening.rows import RowKind
from pipelines.screening.structure import blocks
from pipelines.workbooks.second_reading.cells import formula_of
from pipelines.workbooks.workbook import FINDINGS_SHEET, Sheet, Workbook

_FORMULA, _TURNED = "FILE-1a-formula-as-text", "FILE-1a-turned-text"
#: What is computed: a call, a cell of a sheet, a sum of two terms. A lone sign, a grade or a dash says nothing of the kind.
_COMPUTED = re.compile(
    r"[A-Za-z_][\w.]{0,60}\(|![$A-Za-z]|(?<![A-Za-z0-9$])\$?[A-Za-z]{1,3}\$?\d{1,7}\s{0,9}[-+*/^&:]|[\w)%\"']\s{0,9}[+*/^&]\s{0,9}[\w(\"']"
    r"|[\w)%]\s{0,9}-\s{0,9}[A-Za-z(]|^[-+]\s{0,9}\d{1,3}\s{0,9}-\s{0,9}\d{1,3}$"
)
_HEADING_ROWS = (RowKind.TITLE, RowKind.HEADER, RowKind.HEADER_AGAIN)


def is_formula_as_text(text: str) -> bool:
    """Whether a text begins as a formula does and computes something: =1+1, @SUM(A1), ＝A1; not -, +A, -小学 or －."""
    formula = formula_of(text)
    if formula is None:
        return False
    if formula[0] in "=@":
        return formula[1:2] not in ("", "=", "@") and bool(formula[1:].strip("-+ "))
    return bool(_COMPUTED.search(searchable(formula)[:2_000]))


def disguised_in(table: Table) -> Iterator[Observation]:
    """What stands in a table, its headings and titles, and passes for something else."""
    sheet = table.sheet
    names = {index: name for name, index in table.columns.items() if table.definition.column(name).is_name}
    rows = sorted({*table.data_rows, *table.total_rows} - table.told_rows)
    wanted = {
        (row, index): None
        for row in rows
        for index in names
        if (row, index) not in table.told_cells and is_formula_as_text(sheet.cell(row, index) or "")
    }
    for block in blocks(wanted, rows, sorted(names)):
        yield Observation(
            _FORMULA, sheet.name, block.row, block.column, value=sheet.cell(block.row, block.column) or "",
            detail=f"“{table.definition.column(names[block.column]).label}”", column_name=names[block.column],
            last=(block.last_row, block.last_column), cells_n=block.cells_n,
        )  # fmt: skip
    yield from _in_rows(sheet, sorted(row for kind in _HEADING_ROWS for row in table.passed_over.get(kind, [])), "表头")


def disguised_beside(workbook: Workbook, tables: Sequence[Table], file_names: Iterable[str]) -> Iterator[Observation]:
    """What stands outside of all tables and passes for something else: names of the file and of sheets, covers, replies."""
    for name in sorted(set(file_names)):
        if turning(name):
            yield Observation(_TURNED, value=unturned(name), detail=f"文件名里有{turning(name)}")
    for sheet in workbook.sheets:
        if turning(sheet.name):
            yield Observation(
                _TURNED, sheet.name, value=unturned(sheet.name), detail=f"工作表名里有{turning(sheet.name)}"
            )
        if not any(table.sheet is sheet for table in tables):
            what = "核实说明" if sheet.name == FINDINGS_SHEET and findings_header(sheet) is not None else "封面"
            yield from _in_rows(sheet, range(len(sheet.rows)), what)


#: So many cells of a sheet outside of tables are told one by one.
_TOLD_CELLS = 20


def _in_rows(sheet: Sheet, rows: Iterable[int], what: str) -> Iterator[Observation]:
    told_n = 0
    for row in rows:
        for column, text in enumerate(sheet.rows[row]):
            if not text or (text.isascii() and text[0].isalnum()):
                continue
            found = turning(text)
            if found:
                yield Observation(_TURNED, sheet.name, row, column, value=visible(text), detail=f"{what}里有{found}")
            if is_formula_as_text(text):
                yield Observation(_FORMULA, sheet.name, row, column, value=text, detail=what)
            told_n += bool(found) or is_formula_as_text(text)
            if told_n >= _TOLD_CELLS:
                return
