"""From bytes to cells: every kind of file is read or refused with a reason, and no file takes another one with it."""

import io
import re
import struct
import zipfile
from datetime import date, datetime
from importlib import resources
from pathlib import Path

import openpyxl
import pytest
import xlsxwriter
import xlwt
from builders import SHARED_DATA, Draft, bare_xlsx, csv_bytes, xls
from formats import KINDS, in_format, record12, wide
from msoffcrypto.format.ooxml import OOXMLFile
from openpyxl.utils.datetime import CALENDAR_MAC_1904, CALENDAR_WINDOWS_1900

from pipelines.workbooks.bounded import ReadLimits, ReadRequest, read_files
from pipelines.workbooks.second_reading.cells import SheetReading
from pipelines.workbooks.second_reading.xls import XlsReading, read_xls_sheet
from pipelines.workbooks.second_reading.xlsb import Xlsb, read_xlsb_sheet, read_xlsb_table
from pipelines.workbooks.workbook import Refusal, Workbook, workbook_from_json, workbook_to_json
from tests.hostile.files import ods_of, xlsb_of

ROWS = [["表号", "XB05"], ["人员类别", "年平均人数"], ["公务员", "10"], ["参公人员", "含“引号”,与逗号"]]
WIDE = [["䶮县", "𠮷"], *ROWS]  # beyond GB 2312 and beyond the basic plane


def requests(folder: Path, files: dict[str, bytes]) -> list[ReadRequest]:
    made = []
    for number, (name, content) in enumerate(files.items()):
        path = folder / str(number)
        path.write_bytes(content)
        made.append(ReadRequest(path, name))
    return made


def has_chinese(text: str) -> bool:
    return re.search(r"[\u4e00-\u9fff]", text) is not None


def formula_book() -> bytes:
    """Error cells, a formula with a result, one without, one that yields nothing, hidden rows, columns and sheet."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "数据"
    for row in range(1, 6):
        sheet.cell(row, 1, row)
    sheet["B2"], sheet["C3"], sheet["B4"] = "=A1+A2", "#REF!", "#N/A"
    sheet.row_dimensions[3].hidden = True
    sheet.column_dimensions["B"].hidden = True
    book.create_sheet("底稿").sheet_state = "hidden"
    book.create_sheet("深藏").sheet_state = "veryHidden"
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


@pytest.fixture(scope="module")
def read(tmp_path_factory) -> dict[str, Workbook | Refusal]:
    """Every kind of file, read in one batch."""
    good = Draft("civil_servant_pay").xlsx()
    calculated = bare_xlsx(
        '<row r="1"><c r="A1"><f>1+1</f><v>2</v></c><c r="B1" t="str"><f>""</f><v></v></c><c r="C1"><f>A1*2</f></c>'
        '<c r="E1" t="e"><f>1/0</f><v>#DIV/0!</v></c></row><row r="3" hidden="true"><c r="A3"><v>0.1</v></c></row>'
    )
    absolute = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(formula_book())) as old, zipfile.ZipFile(absolute, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b'Target="worksheets/', b'Target="/xl/worksheets/'))
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b"0" * 30_000_000)
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", "<w/>")
    velvet = io.BytesIO()
    OOXMLFile(io.BytesIO(good)).encrypt("VelvetSweatshop", velvet)
    backslashes = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(formula_book())) as old, zipfile.ZipFile(backslashes, "w") as new:
        for name in old.namelist():
            new.writestr(name.replace("/", "\\"), old.read(name))
    damaged = bytearray(good)
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        entry = archive.getinfo("xl/worksheets/sheet1.xml")
        damaged[entry.header_offset + len(entry.filename) + 60] ^= 0xFF
    files = {
        "good.xlsx": good,
        "good.xls": xls(ROWS),
        "named_wrongly.csv": good,
        "utf8.csv": csv_bytes(WIDE),
        "bom.csv": csv_bytes(WIDE, "utf-8-sig"),
        "gb18030.csv": csv_bytes(ROWS * 6 + WIDE, "gb18030"),
        "utf16.csv": csv_bytes(WIDE, "utf-16"),
        "utf16be.csv": b"\xfe\xff" + csv_bytes(WIDE, "utf-16-be"),
        "tabs.txt": csv_bytes(WIDE, "utf-8", "\t"),
        "tabs_utf16.txt": csv_bytes(WIDE, "utf-16", "\t"),
        "newline_in_cell.csv": csv_bytes([["一\n行", "二\u2028行"], ["a", ""]]),
        "formulas.xlsx": formula_book(),
        "absolute.xlsx": absolute.getvalue(),
        "backslashes.xlsx": backslashes.getvalue(),
        "calculated.xlsx": calculated,
        "velvet.xlsx": velvet.getvalue(),
        "nothing.xlsx": b"",
        "truncated.xlsx": good[: len(good) // 2],
        "damaged.xlsx": bytes(damaged),
        "encrypted.xlsx": resources.files("pipelines.sample").joinpath("data/encrypted.xlsx").read_bytes(),
        "bomb.xlsx": bomb.getvalue(),
        "letter.xlsx": other.getvalue(),
        "big5.csv": csv_bytes([["學校名稱", "學段", "在校學生數"], ["縣立第一國民小學", "國小", "320"]] * 5, "big5"),
        "shift_jis.csv": csv_bytes([["学校名", "ひらがな", "カタカナ"]] * 20, "shift_jis"),
        "cut.csv": csv_bytes(ROWS)[:-8] + b"\xff",
        "page.xls": b"<html><table><tr><td>XB05</td></tr></table></html>",
        "xml.xls": b'<?xml version="1.0"?><Workbook/>',
        "tabs.xlsx": csv_bytes(ROWS, "utf-8", "\t"),
        "picture.csv": b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
        "zeros.csv": "表号,XB05\n".encode() + b"\x00" * 20,
        "ole.xls": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 600,
        "quote.csv": '表号,XB05\n"没有结束的引号,1\n'.encode(),
    }
    folder = tmp_path_factory.mktemp("kinds")
    return dict(zip(files, read_files(requests(folder, files)), strict=True))


def workbook(read: dict[str, Workbook | Refusal], name: str) -> Workbook:
    outcome = read[name]
    assert isinstance(outcome, Workbook), outcome
    return outcome


@pytest.mark.parametrize(
    ("name", "kind", "encoding"),
    [
        ("good.xlsx", "xlsx", None),
        ("named_wrongly.csv", "xlsx", None),
        ("velvet.xlsx", "xlsx", None),
        ("good.xls", "xls", None),
        ("utf8.csv", "csv", "utf-8"),
        ("bom.csv", "csv", "utf-8-sig"),
        ("gb18030.csv", "csv", "gb18030"),
        ("utf16.csv", "csv", "utf-16"),
        ("utf16be.csv", "csv", "utf-16"),
        ("tabs.txt", "csv", "utf-8"),
    ],
)
def test_a_file_is_what_its_bytes_say(read, name, kind, encoding):
    found = workbook(read, name)
    assert (found.kind, found.encoding) == (kind, encoding)


@pytest.mark.parametrize("name", ["utf8.csv", "bom.csv", "utf16.csv", "utf16be.csv", "tabs.txt", "tabs_utf16.txt"])
def test_text_in_any_encoding_gives_the_same_cells(read, name):
    assert workbook(read, name).sheets[0].rows == WIDE


def test_gb18030_reaches_beyond_gbk(read):
    assert workbook(read, "gb18030.csv").sheets[0].rows == ROWS * 6 + WIDE


def test_xls_and_velvet_sweatshop_give_the_cells_of_the_open_file(read):
    assert workbook(read, "good.xls").sheets[0].rows == ROWS
    assert workbook(read, "velvet.xlsx").sheets == workbook(read, "good.xlsx").sheets


def test_line_breaks_stay_inside_their_cell(read):
    assert workbook(read, "newline_in_cell.csv").sheets[0].rows == [["一\n行", "二\u2028行"], ["a", None]]


@pytest.mark.parametrize("name", ["formulas.xlsx", "absolute.xlsx", "backslashes.xlsx"])
def test_error_cells_and_uncalculated_formulas_keep_their_places(read, name):
    sheet = workbook(read, name).sheets[0]
    assert sheet.error_cells == {(2, 2), (3, 1)}
    assert (sheet.cell(2, 2), sheet.cell(3, 1)) == ("#REF!", "#N/A")
    assert sheet.valueless_formulas == {(1, 1)}
    assert [sheet.cell(row, 0) for row in range(5)] == ["1", "2", "3", "4", "5"]


def test_hidden_rows_columns_and_sheets_are_marked_and_read(read):
    sheets = workbook(read, "formulas.xlsx").sheets
    assert sheets[0].hidden_rows == {2} and sheets[0].hidden_columns == {1}
    assert [(sheet.name, sheet.hidden) for sheet in sheets] == [("数据", False), ("底稿", True), ("深藏", True)]


def arranged_xlsx() -> bytes:
    """Rows 3 and 4 folded, 6 filtered, 9 hidden by hand; columns 2 folded and 4 hidden; A1:A2 and B1:C1 merged."""
    book = openpyxl.Workbook()
    sheet = book.active
    for row in range(1, 11):
        for column in range(1, 6):
            sheet.cell(row, column, row * column)
    sheet.row_dimensions.group(3, 4, hidden=True)
    sheet.row_dimensions[6].hidden = sheet.row_dimensions[9].hidden = True
    sheet.column_dimensions.group("B", "B", hidden=True)
    sheet.column_dimensions["D"].hidden = True
    sheet.auto_filter.ref = "A2:E7"
    sheet.merge_cells("A1:A2")
    sheet.merge_cells("B1:C1")
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def arranged_otherwise() -> bytes:
    """The same, as a program writes it that puts a prefix before every name."""
    content = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(arranged_xlsx())) as old, zipfile.ZipFile(content, "w") as new:
        for name in old.namelist():
            part = old.read(name).decode()
            if name.startswith("xl/worksheets/sheet"):
                part = re.sub(r"<(/?)([a-zA-Z])", r"<\1x:\2", part).replace(" xmlns=", " xmlns:x=")
            new.writestr(name, part)
    return content.getvalue()


def arranged_xls() -> bytes:
    book = xlwt.Workbook()
    sheet = book.add_sheet("表")
    for row in range(10):
        for column in range(5):
            if (row, column) not in {(0, 0), (1, 0), (0, 1), (0, 2)}:
                sheet.write(row, column, row * column)
    sheet.write_merge(0, 1, 0, 0, 1)
    sheet.write_merge(0, 0, 1, 2, 2)
    for row in (2, 3, 5, 8):
        sheet.row(row).hidden = True
        sheet.row(row).level = 1 if row < 4 else 0
    sheet.col(1).hidden = sheet.col(3).hidden = True
    sheet.col(1).level = 1
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def arranged_ods() -> bytes:
    """As LibreOffice writes it: groups around rows and columns, filtered rows by name, merged cells by their span."""

    def row(number: int, cells: str = "", **attributes: str) -> str:
        said = "".join(f' table:{name}="{value}"' for name, value in attributes.items())
        cell = '<table:table-cell office:value-type="float" office:value="{0}"><text:p>{0}</text:p></table:table-cell>'
        return f"<table:table-row{said}>{cells or cell.format(number) * 5}</table:table-row>"

    value = 'office:value-type="float" office:value="1"'
    merged = (
        f'<table:table-cell {value} table:number-rows-spanned="2"/>'
        f'<table:table-cell {value} table:number-columns-spanned="2"/><table:covered-table-cell/>'
        f"<table:table-cell {value}/><table:table-cell {value}/>"
    )
    under = f"<table:covered-table-cell/>{f'<table:table-cell {value}/>' * 4}"
    column = "<table:table-column/>"
    spaces = "".join(
        f' xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "table", "text")
    )
    content = (
        f"<office:document-content{spaces}><office:body><office:spreadsheet><table:table table:name='表'>{column}"
        f"<table:table-column-group table:display='false'>{column}</table:table-column-group>{column}"
        f"<table:table-column table:visibility='collapse'/>{column}{row(1, merged)}{row(2, under)}"
        f"<table:table-row-group table:display='false'>{row(3)}{row(4)}</table:table-row-group>{row(5)}"
        f"{row(6, visibility='filter')}{row(7)}{row(8)}{row(9, visibility='collapse')}{row(10)}"
        "</table:table></office:spreadsheet></office:body></office:document-content>"
    )
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("content.xml", content)
        archive.writestr("META-INF/manifest.xml", "<manifest/>")
    return target.getvalue()


@pytest.mark.parametrize(
    ("name", "made", "filtered"),
    [
        ("a.xlsx", arranged_xlsx, {5}),
        ("prefixed.xlsx", arranged_otherwise, {5}),
        ("a.xls", arranged_xls, set()),  # no filter is on in it
        ("a.ods", arranged_ods, {5}),
    ],
)
def test_merged_folded_and_filtered_cells_are_known_in_every_format(tmp_path, name, made, filtered):
    (outcome,) = read_files(requests(tmp_path, {name: made()}))
    assert isinstance(outcome, Workbook), outcome
    sheet = outcome.sheets[0]
    assert (sheet.hidden_rows, sheet.folded_rows, sheet.filtered_rows) == ({2, 3, 5, 8}, {2, 3}, filtered)
    assert (sheet.hidden_columns, sheet.folded_columns) == ({1, 3}, {1})
    assert sorted(sheet.merged) == [(0, 0, 1, 0), (0, 1, 0, 2)]


def filtered_table(sheet_filter: str = "") -> bytes:
    """Rows 3 and 4 under the filter of a table object (A2:B5), 8 under that of the sheet where it has one, 10 hidden by hand."""
    target = io.BytesIO()
    book = xlsxwriter.Workbook(target, {"in_memory": True})
    sheet = book.add_worksheet("表")
    for row in range(10):
        sheet.write_row(row, 0, [row, row])
    sheet.add_table("A2:B5", {"autofilter": True, "columns": [{"header": "甲"}, {"header": "乙"}]})
    if sheet_filter:
        sheet.autofilter(sheet_filter)
    for row in (2, 3, 7, 9):
        sheet.set_row(row, None, None, {"hidden": True})
    book.close()
    return target.getvalue()


@pytest.mark.parametrize(("sheet_filter", "filtered"), [("", {2, 3}), ("A7:B9", {2, 3, 7})])
def test_the_filter_of_a_table_object_is_a_filter_like_that_of_the_sheet(tmp_path, sheet_filter, filtered):
    (outcome,) = read_files(requests(tmp_path, {"a.xlsx": filtered_table(sheet_filter)}))
    assert isinstance(outcome, Workbook), outcome
    assert (outcome.sheets[0].hidden_rows, outcome.sheets[0].filtered_rows) == ({2, 3, 7, 9}, filtered)


def test_a_record_of_a_table_part_says_where_its_filter_stands():
    reading = SheetReading(hidden_rows={2, 8})
    read_xlsb_table(record12(161, struct.pack("<IIII", 1, 4, 0, 1)), reading)
    assert reading.filtered_rows == {2}


def test_rows_under_overlapping_filters_are_counted_once():
    reading = SheetReading(hidden_rows={1, 4, 6, 9}, filters=[(5, 8), (0, 6), (0, 2), (6, 7)])
    assert reading.filtered_rows == {1, 4, 6}


@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_of_which_nothing_can_be_seen_is_blank_in_every_format(tmp_path, kind):
    unseen = ["\u200b", "\u200b \ufeff", "\u3000", "\u200b甲"]
    (outcome,) = read_files(requests(tmp_path, {f"a.{kind}": in_format(kind, [["学校", *unseen, 1]])}))
    assert isinstance(outcome, Workbook), outcome
    assert outcome.sheets[0].rows[0] == ["学校", None, None, None, "\u200b甲", "1"]


def test_records_of_a_binary_workbook_say_what_is_merged_folded_and_filtered():
    def record(kind: int, data: bytes) -> bytes:
        number = bytes([kind]) if kind < 128 else bytes([kind & 0x7F | 0x80, kind >> 7])
        return number + bytes([len(data)]) + data

    def row(number: int, level: int, *, hidden: bool) -> bytes:
        return record(0, struct.pack("<IIHBB", number, 0, 300, 0, level | (0x10 if hidden else 0)))

    content = (
        record(60, struct.pack("<IIIIBB", 1, 1, 100, 0, 1, 1))
        + record(60, struct.pack("<IIIIBB", 3, 3, 100, 0, 1, 0))
        + b"".join(row(number, number < 4, hidden=True) for number in (2, 3, 5, 8))
        + record(161, struct.pack("<IIII", 1, 6, 0, 4))
        + record(176, struct.pack("<IIII", 0, 1, 0, 0))
    )
    reading = SheetReading()
    assert list(read_xlsb_sheet(content, Xlsb(), reading)) == []
    assert (reading.hidden_rows, reading.folded_rows, reading.filtered_rows) == ({2, 3, 5, 8}, {2, 3}, {5})
    assert (reading.hidden_columns, reading.folded_columns, reading.merged) == ({1, 3}, {1}, [(0, 0, 1, 0)])


def test_a_record_says_that_a_filter_hides_rows_of_an_xls():
    def record(kind: int, data: bytes) -> bytes:
        return struct.pack("<HH", kind, len(data)) + data

    content = (
        record(0x0809, b"\0" * 16)
        + record(0x009B, b"")
        + record(0x0208, struct.pack("<HHHHHHI", 5, 0, 0, 0, 0, 0, 0x20))
        + record(0x000A, b"")
    )
    reading = SheetReading()
    assert list(read_xls_sheet(content, 0, XlsReading(), reading)) == []
    assert reading.filtered_rows == {5}


def test_a_formula_that_yields_nothing_is_told_from_one_never_calculated(read):
    sheet = workbook(read, "calculated.xlsx").sheets[0]
    assert sheet.valueless_formulas == {(0, 2)}
    assert (sheet.cell(0, 0), sheet.cell(0, 1)) == ("2", None)
    assert sheet.error_cells == {(0, 4)} and sheet.cell(0, 4) == "#DIV/0!"
    assert sheet.hidden_rows == {2} and sheet.cell(2, 0) == "0.1"


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("nothing.xlsx", "FILE-0-empty"),
        ("truncated.xlsx", "FILE-0-unreadable"),
        ("damaged.xlsx", "FILE-0-unreadable"),
        ("encrypted.xlsx", "FILE-0-encrypted"),
        ("bomb.xlsx", "FILE-0-limits"),
        ("letter.xlsx", "FILE-0-no-table"),
        ("big5.csv", "FILE-0-encoding"),
        ("shift_jis.csv", "FILE-0-encoding"),
        ("cut.csv", "FILE-0-encoding"),
        ("page.xls", "FILE-0-type"),
        ("xml.xls", "FILE-0-type"),
        ("tabs.xlsx", "FILE-0-type"),
        ("picture.csv", "FILE-0-no-table"),
        ("zeros.csv", "FILE-0-type"),
        ("ole.xls", "FILE-0-unreadable"),
        ("quote.csv", "FILE-0-quotes"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_a_reason(read, name, rule):
    outcome = read[name]
    assert isinstance(outcome, Refusal)
    assert outcome.rule_id == rule, outcome.detail
    assert has_chinese(outcome.detail)


def test_what_crosses_from_the_reading_process_is_what_was_read(read):
    for outcome in read.values():
        assert workbook_from_json(workbook_to_json(outcome)) == outcome


def test_a_file_over_time_or_memory_is_refused_and_the_next_is_still_read(tmp_path):
    good = Draft("civil_servant_pay").xlsx()
    endless = bare_xlsx(f'<row r="1" hidden="1">{"<c/>" * 4_000_000}</row>', compression=zipfile.ZIP_STORED)
    far = bare_xlsx('<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>')
    wide = bare_xlsx('<row r="1"><c r="XFD1"><v>1</v></c></row><row r="1048576"><c r="A1048576"><v>1</v></c></row>')
    files = {
        "1.xlsx": good,
        "endless.xlsx": endless,
        "2.xlsx": good,
        "far.xlsx": far,
        "wide.xlsx": wide,
        "3.xlsx": good,
    }
    limits = ReadLimits(seconds=3, memory_bytes=6 << 30)
    outcomes = dict(zip(files, read_files(requests(tmp_path, files), limits, processes=1), strict=True))
    assert outcomes["endless.xlsx"] == Refusal("FILE-0-limits", "读取所用的处理器时间超过 3 秒")
    for name, word in {"far.xlsx": "XFD1048576", "wide.xlsx": "内存"}.items():
        outcome = outcomes[name]
        assert isinstance(outcome, Refusal)
        assert outcome.rule_id == "FILE-0-limits" and word in outcome.detail
    assert isinstance(outcomes["1.xlsx"], Workbook)
    assert outcomes["1.xlsx"] == outcomes["2.xlsx"] == outcomes["3.xlsx"]


def test_limits_on_bytes_and_cells_are_kept_for_workbooks_and_text(tmp_path):
    draft = Draft("population")
    files = {"1.xlsx": draft.xlsx(), "1.csv": draft.csv(), "small.csv": b"a,b"}
    few = list(read_files(requests(tmp_path, files), ReadLimits(cells=100)))
    assert [type(outcome) for outcome in few] == [Refusal, Refusal, Workbook]
    assert {outcome.detail[:8] for outcome in few[:2]} == {"单元格超过 10"}
    short = list(read_files(requests(tmp_path, files), ReadLimits(file_bytes=3)))
    assert [type(outcome) for outcome in short] == [Refusal, Refusal, Workbook]


def test_outcomes_come_in_the_order_of_the_files_whatever_the_processes(tmp_path):
    made = requests(tmp_path, {f"{number}.csv": f"{number},x".encode() for number in range(12)})
    told: list[tuple[int, int]] = []
    outcomes = list(read_files(made, processes=3, progress=lambda done, total: told.append((done, total))))
    assert [outcome.sheets[0].rows[0][0] for outcome in outcomes] == [str(number) for number in range(12)]
    assert told == [(number, 12) for number in range(1, 13)]


DATES = [2009.1, 2009.11, 2009, 45000, "2009.11", "2009.10"]
DAY = date(2009, 10, 1)


def _xlsx_dates(epoch: datetime) -> bytes:
    book = openpyxl.Workbook()
    book.epoch = epoch
    book.active.append([*DATES, DAY])
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def _xls_dates(*, from_1904: bool) -> bytes:
    book = xlwt.Workbook()
    book.dates_1904 = from_1904
    page = book.add_sheet("表")
    for place, value in enumerate(DATES):
        page.write(0, place, value)
    page.write(0, len(DATES), DAY, xlwt.easyxf(num_format_str="yyyy-mm-dd"))
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "has_day"),
    [
        ("甲.xlsx", _xlsx_dates(CALENDAR_WINDOWS_1900), True),
        ("乙.xlsx", _xlsx_dates(CALENDAR_MAC_1904), True),
        ("丙.xls", _xls_dates(from_1904=False), True),
        ("丁.xls", _xls_dates(from_1904=True), True),
        ("戊.ods", ods_of(*DATES, DAY), True),
        ("己.xlsb", xlsb_of(*DATES), False),
    ],
)
def test_a_number_that_reads_like_a_month_is_told_from_its_text_in_every_format(tmp_path, name, content, has_day):
    (outcome,) = read_files(requests(tmp_path, {name: content}), ReadLimits())
    assert isinstance(outcome, Workbook)
    (sheet,) = outcome.sheets
    day = ["2009-10-01"] if has_day else []
    assert sheet.rows == [["2009.1", "2009.11", "2009", "45000", "2009.11", "2009.10", *day]]
    assert sheet.month_numbers == {(0, 1)}


def test_no_files_need_no_process():
    assert list(read_files([])) == []


# Packages that are not laid out as usual -------------------------------------------------------------------------------

OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
DATED = (
    f'<worksheet xmlns="{MAIN}"><sheetData><row r="1"><c r="A1" s="1"><v>40000</v></c><c r="B1"><v>7</v></c></row>'
    "</sheetData></worksheet>"
)


def package(**changed: str) -> dict[str, str]:
    """A workbook of one date that counts from 1904 and one number; parts by name, with those of `changed` (`workbook`, `sheet`)."""
    with zipfile.ZipFile(io.BytesIO(bare_xlsx(""))) as archive:
        parts = {name: archive.read(name).decode() for name in archive.namelist()}
    parts["xl/workbook.xml"] = changed.get("workbook") or (
        f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}" xmlns:x15="urn:x15"><workbookPr date1904="1"/>'
        '<sheets><sheet name="表" sheetId="1" r:id="r1"/></sheets>{}</workbook>'
    ).format(changed.get("extension", ""))
    parts["xl/worksheets/sheet1.xml"] = changed.get("sheet", DATED)
    parts["xl/styles.xml"] = (
        f'<styleSheet xmlns="{MAIN}"><cellXfs><xf numFmtId="0"/><xf numFmtId="14" applyNumberFormat="1"/></cellXfs></styleSheet>'
    )
    relation = f'<Relationship Id="r2" Type="{OFFICE}/styles" Target="styles.xml"/></Relationships>'
    rels = parts["xl/_rels/workbook.xml.rels"]
    parts["xl/_rels/workbook.xml.rels"] = rels.replace("</Relationships>", relation)
    return parts


def renamed(parts: dict[str, str], **names: str) -> dict[str, str]:
    """Parts under other names, and every mention of them changed too."""
    for old, new in ((old.replace("__", "/").replace("_dot_", "."), new) for old, new in names.items()):
        parts = {name.replace(old, new): content.replace(old, new) for name, content in parts.items()}
    return parts


PACKAGES = {
    "an extension by the name of a property": package(extension='<extLst><x15:workbookPr chartTrackingRefBase="1"/></extLst>'),
    "an extension that says otherwise": package(extension='<extLst><x15:workbookPr date1904="0"/></extLst>'),
    "an extension by the name of a sheet": package(extension='<extLst><x15:sheet name="表" r:id="r9"/></extLst>'),
    "another name for the main part": renamed(package(), workbook_dot_xml="workbook22.xml"),
    "another folder": renamed(package(), xl__="office/data/"),
    "capitals": renamed(package(), xl__workbook_dot_xml="XL/Workbook.xml"),
    "absolute targets": {
        name: text.replace('Target="xl/', 'Target="/xl/').replace('Target="worksheets/', 'Target="/xl/worksheets/')
        for name, text in package().items()
    },
    "sheets outside the folder": {
        name.replace("xl/worksheets/", "sheets/"): text.replace("worksheets/sheet1", "../sheets/sheet1")
        for name, text in package().items()
    },
    "a prefix for the main names": {
        name: text.replace(f'xmlns="{MAIN}"', f'xmlns:m="{MAIN}"')
        .replace("<", "<m:").replace("<m:/", "</m:").replace("m:x15:", "x15:")
        if MAIN in text else text
        for name, text in package().items()
    },
    "another prefix for relations": {
        name: text.replace("xmlns:r=", "xmlns:rel=").replace("r:id=", "rel:id=") for name, text in package().items()
    },
    "an attribute of an extension by the name of the relation": package(
        workbook=f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}" xmlns:z="urn:z"><workbookPr date1904="true"/><sheets>'
        '<sheet name="表" sheetId="1" z:id="r9" r:id="r1"/></sheets></workbook>'
    ),
    "strict names": {
        name: text.replace(MAIN, "http://purl.oclc.org/ooxml/spreadsheetml/main")
        .replace(OFFICE, "http://purl.oclc.org/ooxml/officeDocument/relationships")
        for name, text in package().items()
    },
    "alternatives": package(
        sheet=DATED.replace(
            '<c r="B1"><v>7</v></c>',
            '<mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006">'
            '<mc:Choice Requires="z"><c r="B1"><v>9</v></c></mc:Choice><mc:Fallback><c r="B1"><v>7</v></c></mc:Fallback>'
            "</mc:AlternateContent>",
        )
    ),
    "attributes of extensions": package(sheet=DATED.replace("<row ", '<row xmlns:a="urn:a" a:r="5" a:hidden="1" ')),
    "an element of an extension within a cell": package(
        sheet=DATED.replace("<v>7</v>", '<z:v xmlns:z="urn:z">8</z:v><v>7</v>')
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PACKAGES)
def test_a_workbook_is_found_by_its_relations_and_read_by_its_namespaces(tmp_path, name):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for part, text in PACKAGES[name].items():
            archive.writestr(part, text)
    (outcome,) = read_files(requests(tmp_path, {"x.xlsx": target.getvalue()}))
    assert isinstance(outcome, Workbook), outcome
    (sheet,) = outcome.sheets
    assert (sheet.name, sheet.rows, sheet.hidden_rows) == ("表", [["2013-07-07", "7"]], frozenset())


def test_an_ods_under_other_prefixes_is_read(tmp_path):
    content = in_format("ods", [["甲", 7]], runs={(0, 0): [("甲", ""), ("1", "上标")]})
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(target, "w") as new:
        for part in old.namelist():
            text = old.read(part).decode()
            for prefix in ("office", "table", "text", "style"):
                text = re.sub(rf"(?<=[<\s/:]){prefix}(?=[:=])(?!:1\.0)", prefix[:2], text)
            new.writestr(part, text)
    (outcome,) = read_files(requests(tmp_path, {"x.ods": target.getvalue()}))
    assert isinstance(outcome, Workbook), outcome
    assert outcome.sheets[0].rows == [["甲1", "7"]] and outcome.sheets[0].marked_cells == {(0, 0): "甲[上标 1]"}


def test_a_text_that_stands_in_its_cell_of_an_xlsb_is_not_lost(tmp_path):
    """The first reader does not know such cells."""
    content = in_format("xlsb", [[1, "甲"]])
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(target, "w") as new:
        for part in old.namelist():
            data = old.read(part)
            if part.endswith("sheet1.bin"):
                runs = wide("71") + struct.pack("<IHHHH", 2, 0, 0, 1, 1)
                shared = record12(7, struct.pack("<III", 1, 0, 0))
                assert shared in data
                data = data.replace(shared, record12(62, struct.pack("<IIB", 1, 0, 1) + runs))
            new.writestr(part, data)
    (outcome,) = read_files(requests(tmp_path, {"x.xlsb": target.getvalue()}))
    assert isinstance(outcome, Workbook), outcome
    assert outcome.sheets[0].rows == [["1", "71"]] and outcome.sheets[0].marked_cells == {(0, 1): "7[上标 1]"}


@pytest.mark.parametrize("value", ["NaN", "INF", "1e400", "1_000", "１２"])
def test_what_a_file_calls_a_number_and_is_none_is_refused_at_its_cell(tmp_path, value):
    (outcome,) = read_files(requests(tmp_path, {"x.xlsx": bare_xlsx(f'<row r="2"><c r="B2"><v>{value}</v></c></row>')}))
    assert isinstance(outcome, Refusal) and "B2" in outcome.detail
    assert not re.search("nan|inf", outcome.detail.replace(value, ""), re.IGNORECASE)


def test_what_a_program_says_is_for_the_log_alone(tmp_path):
    (outcome,) = read_files(requests(tmp_path, {"x.xls": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 600}))
    assert isinstance(outcome, Refusal) and outcome.technical
    assert not re.search("[A-Za-z]{3}", outcome.detail)


# Files that broke other readers ---------------------------------------------------------------------------------------

WORKBOOKS = SHARED_DATA / "workbooks"
needs_workbooks = pytest.mark.skipif(
    not WORKBOOKS.is_dir(), reason="the collection of difficult workbooks is not beside the project"
)


@pytest.fixture(scope="module")
def difficult() -> dict[str, Workbook | Refusal]:
    paths = sorted(path for path in WORKBOOKS.rglob("*") if path.is_file() and path.suffix != ".md")
    assert len(paths) > 100
    made = [ReadRequest(path, path.name) for path in paths]
    return dict(zip((path.name for path in paths), read_files(made, ReadLimits(seconds=20)), strict=True))


@needs_workbooks
def test_every_difficult_workbook_is_read_or_refused_in_chinese(difficult):
    for name, outcome in difficult.items():
        if isinstance(outcome, Refusal):
            assert outcome.rule_id.startswith("FILE-0-"), name
            assert has_chinese(outcome.detail), name
        else:
            assert outcome.kind in {"xlsx", "xlsb", "xls", "ods", "csv"}, name
    refused = [name for name, outcome in difficult.items() if isinstance(outcome, Refusal)]
    assert 0 < len(refused) < len(difficult) / 10, refused


@needs_workbooks
@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("tests__OOM_alloc3.xls", "FILE-0-unreadable"),
        ("tests__issue_594_dos.ods", "FILE-0-unreadable"),
        ("tests__pass_protected.xlsx", "FILE-0-encrypted"),
        ("tests__pass_protected.ods", "FILE-0-encrypted"),
    ],
)
def test_a_workbook_made_to_break_readers_is_refused(difficult, name, rule):
    outcome = difficult[name]
    assert isinstance(outcome, Refusal) and outcome.rule_id == rule


@needs_workbooks
@pytest.mark.parametrize(
    ("name", "sheet"),
    [
        ("tests__issue_530.xlsx", "出勤分类组织汇总表"),  # its parts are named xl\\…
        ("tests__minimal_package.xlsx", "Sheet1"),
        ("tests__biff5_write.xls", None),
    ],
)
def test_an_odd_but_whole_workbook_is_read(difficult, name, sheet):
    outcome = difficult[name]
    assert isinstance(outcome, Workbook)
    assert any(cell for found in outcome.sheets for row in found.rows for cell in row)
    assert sheet is None or outcome.sheets[0].name == sheet
