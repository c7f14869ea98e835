"""Grids to bytes: xlsx, genuine BIFF8 xls, and CSV, the same bytes every time.

Belongs here: what the file formats need. What stands in the cells is `layout`.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import xlsxwriter
import xlwt

from pipelines.sample.layout import Book, Formula, Grid, GridValue

WRITTEN_AT = datetime(2022, 1, 1)  # in the document properties; the real time would change the bytes
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


def render(book: Book) -> bytes:
    """The file's bytes. Raises ValueError for a CSV that should carry several sheets."""
    if book.file_format == "xlsx":
        return _xlsx(book)
    if book.file_format == "xls":
        return _xls(book)
    sheets = [grid for grid in book.grids if grid.return_code]
    if len(sheets) != 1:
        raise ValueError(f"{book.file_name}: CSV carries one return")
    return _csv(sheets[0], book.encoding)


def _xlsx(book: Book) -> bytes:
    target = io.BytesIO()
    workbook = xlsxwriter.Workbook(target, {"in_memory": True})
    workbook.set_properties({"created": WRITTEN_AT, "comments": "合成示例数据，非真实统计"})
    formats = {
        "title": workbook.add_format({"bold": True, "font_size": 14, "align": "center"}),
        "header": workbook.add_format(
            {
                "bold": True,
                "border": 1,
                "text_wrap": True,
                "align": "center",
                "valign": "vcenter",
                "bg_color": "#DDEBF7",
            }
        ),
        "cell": workbook.add_format({"border": 1}),
        "date": workbook.add_format({"border": 1, "num_format": "yyyy-mm-dd"}),
        "plain": workbook.add_format(),
    }
    for grid in book.grids:
        sheet = workbook.add_worksheet(grid.sheet)
        sheet.set_column(0, 0, 14)
        sheet.set_column(1, 1, 24)
        body = {*grid.data_rows, *grid.total_rows}
        for row, values in enumerate(grid.rows):
            kind = "title" if row in grid.title_rows else "header" if row in grid.header_rows else "plain"
            if row in body:
                kind = "cell"
            for column, value in enumerate(values):
                _write_xlsx_cell(sheet, row, column, value, formats[kind], formats["date"])
        for first_row, first_column, last_row, last_column in grid.merges:
            kind = "title" if first_row in grid.title_rows else "header"
            text = _at(grid, first_row, first_column)
            sheet.merge_range(first_row, first_column, last_row, last_column, text, formats[kind])
        for row in grid.hidden_rows:
            sheet.set_row(row, None, None, {"hidden": True})
        if grid.data_rows:
            sheet.freeze_panes(grid.header_rows.stop, 0)
    workbook.close()
    return _without_cached_values(target.getvalue(), book)


def _write_xlsx_cell(sheet: Any, row: int, column: int, value: GridValue, form: Any, date_form: Any) -> None:
    if value is None:
        return
    if isinstance(value, str):
        sheet.write_string(row, column, value, form)
    elif isinstance(value, Formula):
        sheet.write_formula(row, column, value.text, form, 0 if value.cached is None else value.cached)
    elif isinstance(value, date):
        sheet.write_datetime(row, column, datetime(value.year, value.month, value.day), date_form)
    else:
        sheet.write_number(row, column, value if isinstance(value, int) else float(value), form)


def _at(grid: Grid, row: int, column: int) -> str:
    value = grid.rows[row][column]
    return value if isinstance(value, str) else ""


def _without_cached_values(content: bytes, book: Book) -> bytes:
    """Take the cached results out of formulas that are to have none; XlsxWriter always writes one."""
    bare = any(isinstance(v, Formula) and v.cached is None for grid in book.grids for row in grid.rows for v in row)
    if not bare:
        return content
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as copy:
        for name in source.namelist():
            part = source.read(name)
            if name.startswith("xl/worksheets/sheet"):
                part = re.sub(rb"(<f>(?!#REF!)[^<]*</f>)<v>0</v>", rb"\1", part)
            member = zipfile.ZipInfo(name, _ZIP_TIME)
            member.compress_type = zipfile.ZIP_DEFLATED
            copy.writestr(member, part)
    return target.getvalue()


def _xls(book: Book) -> bytes:
    workbook = xlwt.Workbook(encoding="utf-8")
    plain = xlwt.easyxf("")
    header = xlwt.easyxf("font: bold on; align: wrap on, horiz center, vert center; borders: top thin, bottom thin")
    dated = xlwt.easyxf("", num_format_str="yyyy-mm-dd")
    for grid in book.grids:
        sheet = workbook.add_sheet(grid.sheet)
        merged = {
            (row, column): (row, last_row, column, last_column) for row, column, last_row, last_column in grid.merges
        }
        for row, values in enumerate(grid.rows):
            for column, value in enumerate(values):
                if value is None:
                    continue
                style = header if row in grid.title_rows or row in grid.header_rows else plain
                if isinstance(value, Formula):
                    raise ValueError(f"{book.file_name}: formulas are written to xlsx only")
                if (row, column) in merged:
                    sheet.write_merge(*merged[row, column], value, style)
                elif isinstance(value, date):
                    sheet.write(row, column, datetime(value.year, value.month, value.day), dated)
                else:
                    sheet.write(row, column, float(value) if isinstance(value, Decimal) else value, style)
    target = io.BytesIO()
    workbook.save(target)
    return target.getvalue()


def _csv(grid: Grid, encoding: str) -> bytes:
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\r\n")
    writer.writerows([["" if value is None else str(value) for value in row] for row in grid.rows])
    return target.getvalue().encode(encoding)
