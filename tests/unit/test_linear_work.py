"""The work on a file grows with its size and no faster, whatever stands in it: counted in steps and in cells looked at."""

import sys
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest
from builders import SETTINGS, Draft

from pipelines.screening import identify as identifying
from pipelines.screening.identify import identify
from pipelines.screening.structure import structure
from pipelines.screening.tabulate import tabulate
from pipelines.workbooks.second_reading.cells import SheetReading
from pipelines.workbooks.second_reading.marks import SharedTexts, marked_text
from pipelines.workbooks.second_reading.ods import NAMESPACES, read_ods
from pipelines.workbooks.second_reading.ooxml import read_ooxml_sheet
from pipelines.workbooks.workbook import Sheet, Workbook, cell_text


class Counted(list[Any]):
    """Cells of a row that count how many of them are handed out, one by one or in a slice."""

    looked_at = 0

    def __getitem__(self, index: Any) -> Any:
        Counted.looked_at += len(range(*index.indices(len(self)))) if isinstance(index, slice) else 1
        return super().__getitem__(index)

    def __iter__(self) -> Iterator[Any]:
        Counted.looked_at += len(self)
        return super().__iter__()


def work(made: Sheet | Workbook) -> int:
    """Steps of the program and cells that it looked at while the file was identified, judged as tables and typed."""
    book = made if isinstance(made, Workbook) else Workbook("xlsx", [made])
    for sheet in book.sheets:
        sheet.rows[:] = [Counted(cells) for cells in sheet.rows]
    steps_n = 0

    def step(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal steps_n
        if not frame.f_code.co_filename.endswith(OURS):
            return None
        steps_n += 1
        return step

    def counted_set(items: Any = ()) -> set[Any]:
        Counted.looked_at += len(items) if isinstance(items, list) else 0
        return set(items)

    Counted.looked_at = 0
    patch = pytest.MonkeyPatch()
    patch.setattr(identifying, "set", counted_set, raising=False)
    before = sys.gettrace()
    sys.settrace(step)
    try:
        found = identify(
            book, file_name="报表.xlsx", counties=SETTINGS.counties, source_counties=(), periods=SETTINGS.periods
        )
        for parts in found.filings:
            list(structure(parts))
            tabulate(parts[0].definition, list(enumerate(parts)))
    finally:
        sys.settrace(before)
        patch.undo()
    return steps_n + Counted.looked_at


OURS = ("identify.py", "rows.py", "marked.py", "structure.py", "tabulate.py", "workbook.py")


def texts(grid: list[list[Any]]) -> list[list[str | None]]:
    return [[cell_text(value) for value in row] for row in grid]


_SUBSIDY = texts(Draft("rural_subsidy").grid())
_PAY = texts(Draft("teacher_pay").grid())


def rows_of(grid: list[list[str | None]], number: int) -> list[list[str | None]]:
    """So many rows like the first, each with a key of its own."""
    return [[f"{1409020000 + one:010d}", *grid[3][1:]] for one in range(number)]


def totals(number: int) -> Sheet:
    total = ["合计", *[None] * (len(_SUBSIDY[3]) - 3), "7", None]
    return Sheet("表", [*_SUBSIDY[:3], *(row for one in rows_of(_SUBSIDY, number) for row in (one, total))])


def headers_again(number: int) -> Sheet:
    return Sheet("表", [*_SUBSIDY[:3], *(row for one in rows_of(_SUBSIDY, number) for row in (one, _SUBSIDY[2]))])


def struck_out(number: int) -> Sheet:
    rows = [*_SUBSIDY[:3], *rows_of(_SUBSIDY, 2 * number)]
    marked = {
        (row, column): "删除线" for row in range(3, len(rows), 2) for column, text in enumerate(rows[row]) if text
    }
    return Sheet("表", rows, marked_cells=marked)


def wide_note(number: int) -> Sheet:
    return Sheet("表", [*_SUBSIDY[:3], *rows_of(_SUBSIDY, 2), ["注：甲", *[None] * 20, *["说明"] * 10 * number]])


def halves_of_a_total(number: int) -> Sheet:
    return Sheet("表", [[*["合"] * number, *row] for row in [*_SUBSIDY[:3], *rows_of(_SUBSIDY, 2)]])


def parts(number: int) -> Sheet:
    """Tables of one filing below each other, each with its columns in another order than the one before."""
    rows = list(_PAY[:2])
    for one, row in enumerate(rows_of(_PAY, number)):
        header = list(_PAY[2])
        if one % 2:
            header[-1], header[-2] = header[-2], header[-1]
            row[-1], row[-2] = row[-2], row[-1]
        rows += [header, row]
    return Sheet("表", rows)


def marked_parts(number: int) -> Sheet:
    """Parts with marks, errors, formulas and merged cells in every one of them."""
    made = parts(number)
    cells = frozenset((row, 5) for row in range(3, len(made.rows), 2))
    return Sheet(
        "表", made.rows, marked_cells=dict.fromkeys(cells, "删除线"), error_cells=cells, valueless_formulas=cells,
        external_formulas=cells, merged=tuple((row, 6, row, 7) for row, _ in cells),
    )  # fmt: skip


def unknown_columns(number: int) -> Sheet:
    """Columns that nobody knows and nobody filled, over rows that do not reach them."""
    header = [*_SUBSIDY[2], *(f"未知{one}" for one in range(number))]
    return Sheet("表", [*_SUBSIDY[:2], header, *rows_of(_SUBSIDY, number)])


def filings(number: int) -> Sheet:
    """A filing of another period below the other, each signed."""
    rows: list[list[str | None]] = []
    for one, row in enumerate(rows_of(_PAY, number)):
        rows += [[f"忻府区{1990 + one}年教师工资统计表"], *_PAY[1:3], row, [], ["填表人：甲"]]
        rows[-5] = [None if text == "2024年" else text for text in rows[-5]]
    return Sheet("表", rows)


def filings_under_a_cover(number: int) -> Workbook:
    """The same with a sheet of units beside them, and as many sheets that say nothing of themselves."""
    cover = Sheet("封面", [["单位：元", *[None] * number]] * 20)
    silent = [Sheet(f"表{one}", [_PAY[2], row]) for one, row in enumerate(rows_of(_PAY, number))]
    return Workbook("xlsx", [filings(number), cover, *silent])


@pytest.mark.parametrize(
    "made",
    [
        totals, headers_again, struck_out, wide_note, halves_of_a_total, parts, marked_parts, unknown_columns, filings,
        filings_under_a_cover,
    ],
)  # fmt: skip
def test_four_times_the_file_is_four_times_the_work(made: Callable[[int], Sheet | Workbook]) -> None:
    small, large = work(made(50)), work(made(200))
    assert large < 4.1 * small, f"{small:,} → {large:,}"


def _sheet_walk(pieces_n: int) -> None:
    """A value that comes in so many pieces."""
    value = "a<z:b/>" * pieces_n
    rows = f'<sheetData><row r="1"><c r="A1" t="str"><v>{value}</v></c></row></sheetData>'
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    content = f'<worksheet xmlns="{main}" xmlns:z="z">{rows}</worksheet>'.encode()
    (cell,) = read_ooxml_sheet(content, SharedTexts(), SheetReading(), [], {})
    assert cell == (0, 0, "a" * pieces_n)


def _ods_walk(pieces_n: int) -> None:
    text = f"<text:p>甲{'<text:s/>' * pieces_n}乙</text:p>"
    row = f'<table:table-row><table:table-cell office:value-type="string">{text}</table:table-cell></table:table-row>'
    spaces = "".join(f' xmlns:{prefix}="{namespace}"' for prefix, namespace in NAMESPACES.items())
    sheet = f'<office:spreadsheet><table:table table:name="表">{row}</table:table></office:spreadsheet>'
    content = f"<office:document-content{spaces}>{sheet}</office:document-content>".encode()
    _, _, (cells,), _ = read_ods(content, b"", max_cells=10)
    assert [value for *_, value in cells] == [f"甲{' ' * pieces_n}乙"]


def _runs(pieces_n: int) -> None:
    assert marked_text([("a", "上标")] * pieces_n).startswith("[上标 a")


@pytest.mark.parametrize("read", [_sheet_walk, _ods_walk, _runs])
def test_a_text_in_many_pieces_is_put_together_once(read: Callable[[int], None]) -> None:
    """Copies of a text are no steps to be counted: the processor's time for twenty times as many pieces is held against that for one."""

    def seconds(pieces_n: int) -> float:
        begun = time.process_time()
        read(pieces_n)
        return time.process_time() - begun

    small = min(seconds(20_000) for _ in range(3))
    assert seconds(400_000) < 40 * small
