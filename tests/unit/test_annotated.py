"""The county's own workbook with its findings marked: nothing lost, nothing altered, nothing left behind once mended."""

import io
import re
import shutil
import subprocess
import tempfile
import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import openpyxl
import pytest
from builders import SETTINGS, SHARED_DATA, Draft, csv_bytes, submission, xls, xlsx
from issues import an_issue, heading
from msoffcrypto.format.ooxml import OOXMLFile
from openpyxl.chart import BarChart, Reference
from openpyxl.comments import Comment
from openpyxl.formatting.rule import CellIsRule
from openpyxl.styles import PatternFill
from openpyxl.workbook.defined_name import DefinedName
from openpyxl.worksheet.datavalidation import DataValidation

from pipelines.answers.annotated import ANNOTATING, Issue, annotate
from pipelines.answers.findings_sheet import COLOURS, NOTE_AUTHOR, NOTE_MARK
from pipelines.screening.explanations import read_explanations, token
from pipelines.screening.identify import sheets_of_the_county
from pipelines.screening.screen import screen
from pipelines.workbooks.bounded import ReadLimits, task_process
from pipelines.workbooks.editing.trees import NotEditable, Tree
from pipelines.workbooks.reader import read_file
from pipelines.workbooks.workbook import (
    FINDINGS_SHEET,
    METADATA_SHEET,
    QUOTE_PREFIX,
    REPLY_LABEL,
    TOKEN_LABEL,
    Workbook,
)

LIMITS = ReadLimits(cells=400_000, seconds=60)
RED, AMBER, BLUE = COLOURS["error"], COLOURS["query"], COLOURS["info"]


@pytest.fixture(scope="module")
def tasks():
    with task_process(ANNOTATING, LIMITS) as process:
        yield process


@pytest.fixture
def mark(tmp_path, tasks):
    """Bytes and issues → the annotated workbook."""

    def made(content, *issues, file_name="报表.xlsx", **changes):
        path = tmp_path / "raw"
        path.write_bytes(content)
        annotated = annotate(path, file_name, issues, heading(issues, **changes), LIMITS, tasks)
        assert annotated
        return annotated

    return made


def screened(folder, content, file_name="报表.xlsx"):
    return screen([submission(folder, file_name, content)], SETTINGS)


def book_of(content: bytes) -> openpyxl.Workbook:
    return openpyxl.load_workbook(io.BytesIO(content))


def saved(book: openpyxl.Workbook) -> bytes:
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def parts(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def fill(sheet, address):
    pattern = sheet[address].fill
    return pattern.fgColor.rgb if pattern.patternType == "solid" else None


def listing(content: bytes):
    """(sheet, header row number, label → column number) of the list of findings."""
    sheet = book_of(content)[FINDINGS_SHEET]
    header = next(row for row in range(1, 40) if sheet.cell(row, 1).value == "序号")
    return sheet, header, {sheet.cell(header, column).value: column for column in range(1, sheet.max_column + 1)}


def place(draft: Draft, cell: str, **changes) -> Issue:
    return an_issue(sheet=draft.sheet, cell=cell, source_row=int(re.sub(r"\D", "", cell)), **changes)


# Marks ----------------------------------------------------------------------------------------------------------------


def test_each_bad_cell_is_filled_and_says_what_is_wrong(mark):
    draft = Draft("enrolment")
    made = mark(
        draft.xlsx(),
        place(draft, "D4"),
        place(draft, "E4", outcome="query", rule_id="XB02-2-change", value="9", expected="", difference=""),
        place(draft, "F5", outcome="info", rule_id="XB02-3-round"),
    )
    sheet = book_of(made.content)[draft.sheet]
    assert (fill(sheet, "D4"), fill(sheet, "E4"), fill(sheet, "F5")) == (RED, AMBER, BLUE)
    assert fill(sheet, "D5") is None and sheet["D5"].comment is None
    note = sheet["D4"].comment
    assert note.author == NOTE_AUTHOR
    for words in (
        "错误",
        "XB02-1c-total-equals-ages",
        "现值：99",
        "应为：60",
        "差额：+39",
        "怎么改：请核对在校生数与分年龄人数。",
    ):
        assert words in note.text
    assert "应为" not in sheet["E4"].comment.text
    assert sheet.sheet_properties.tabColor.rgb == RED
    assert made.is_own and made.lost == ()


def test_several_findings_of_a_cell_share_a_note_and_the_worst_colour(mark):
    draft = Draft("enrolment")
    made = mark(draft.xlsx(), place(draft, "D4", outcome="query", rule_id="XB02-2-change"), place(draft, "D4"))
    sheet = book_of(made.content)[draft.sheet]
    assert fill(sheet, "D4") == RED
    assert "第 1 号" in sheet["D4"].comment.text and "第 2 号 · 核实 · XB02-2-change" in sheet["D4"].comment.text


def test_a_note_is_as_large_as_its_text(mark):
    draft = Draft("enrolment")
    short, long = place(draft, "D4", message="短"), place(draft, "D5", message="很长的一句话，" * 40)
    content = mark(draft.xlsx(), short, long).content
    sizes = re.findall(r"height:([\d.]+)pt", parts(content)["xl/drawings/vmlDrawing1.vml"].decode())
    assert len(sizes) == 2 and float(sizes[1]) > 2 * float(sizes[0])


def test_a_cell_inside_a_merged_range_is_marked_at_its_top_left(mark):
    book = book_of(Draft("enrolment").xlsx())
    sheet = book.worksheets[0]
    sheet.merge_cells("A1:F1")
    made = mark(saved(book), place(Draft("enrolment"), "C1"))
    marked = book_of(made.content).worksheets[1]
    assert fill(marked, "A1") == RED and marked["A1"].comment
    listed, header, columns = listing(made.content)
    link = listed.cell(header + 1, columns["单元格"]).hyperlink
    assert link.location == f"'{marked.title}'!A1"


def test_a_blank_cell_outside_the_data_can_be_marked(mark):
    draft = Draft("enrolment")
    marked = book_of(mark(draft.xlsx(), place(draft, "AZ2"), place(draft, "C90")).content)[draft.sheet]
    assert fill(marked, "AZ2") == RED and fill(marked, "C90") == RED


def test_a_finding_about_a_range_is_marked_at_its_first_cell_and_names_the_range(mark, tmp_path):
    draft = Draft("enrolment")
    first = draft.rows[0]
    draft.rows = [{**first, "school_code": f"140902{number:04}", "boarders": "#REF!"} for number in range(5)]
    result = screened(tmp_path, draft.xlsx())
    made = mark(draft.xlsx(), *(Issue.of(one) for one in result.findings))
    sheet = book_of(made.content)[draft.sheet]
    at, last = draft.cell(0, "boarders"), draft.cell(4, "boarders")
    assert fill(sheet, at) == RED and f"{at}:{last} 共 5 个单元格" in sheet[at].comment.text
    assert [cell.coordinate for row in sheet.iter_rows() for cell in row if cell.comment] == [at]
    assert made.is_own


def test_findings_of_a_return_on_two_sheets_are_marked_on_their_own(mark, tmp_path):
    rows = Draft("enrolment").rows
    one, two = (Draft("enrolment", rows=[row], sheet=name) for row, name in zip(rows, "甲乙", strict=True))
    one.rows[0]["boarders"] = two.rows[0]["repeaters"] = "—"
    content = xlsx(one, two)
    made = mark(content, *(Issue.of(finding) for finding in screened(tmp_path, content).findings))
    book = book_of(made.content)
    assert fill(book["甲"], one.cell(0, "boarders")) == fill(book["乙"], two.cell(0, "repeaters")) == RED
    assert fill(book["甲"], two.cell(0, "repeaters")) is None


def test_a_finding_without_a_cell_colours_the_tab_and_stands_in_the_list(mark):
    draft = Draft("enrolment")
    made = mark(
        draft.xlsx(),
        an_issue(sheet=draft.sheet, cell="", source_row=None),
        an_issue(sheet="", cell="", source_row=None),
    )
    sheet = book_of(made.content)[draft.sheet]
    assert sheet.sheet_properties.tabColor.rgb == RED
    assert not [cell for row in sheet.iter_rows() for cell in row if cell.comment]
    listed, header, columns = listing(made.content)
    assert {listed.cell(header + row, columns["问题"]).value for row in (1, 2)} == {an_issue().message}


def test_what_is_explained_or_waived_is_listed_last_and_not_marked(mark):
    draft = Draft("enrolment")
    made = mark(
        draft.xlsx(),
        place(draft, "D4", outcome="query", status="explained", explanation="转入较多"),
        place(draft, "D5", outcome="query", status="waived"),
        place(draft, "E5", outcome="info"),
    )
    sheet = book_of(made.content)[draft.sheet]
    assert fill(sheet, "D4") is None and fill(sheet, "D5") is None and fill(sheet, "E5") == BLUE
    listed, header, columns = listing(made.content)
    levels = [listed.cell(header + row, columns["等级"]).value for row in (1, 2, 3)]
    assert levels == ["提示", "核实（已说明）", "核实（已豁免）"]
    replies = [listed.cell(header + row, columns[REPLY_LABEL]) for row in (1, 2, 3)]
    assert [(cell.value, cell.protection.locked) for cell in replies] == [
        (None, True),
        ("转入较多", False),
        (None, True),
    ]


# The list -------------------------------------------------------------------------------------------------------------


def test_what_is_said_of_a_sum_links_to_its_cells_and_marks_none_of_them(mark):
    draft = Draft("enrolment")
    made = mark(draft.xlsx(), an_issue(sheet=draft.sheet, cell="Y3:Y5", source_row=None, outcome="query"))
    sheet = book_of(made.content)[draft.sheet]
    assert not [cell for row in sheet.iter_rows() for cell in row if cell.comment]
    assert {fill(sheet, f"Y{row}") for row in (3, 4, 5)} == {None}
    listed, header, columns = listing(made.content)
    assert listed.cell(header + 1, columns["单元格"]).hyperlink.location == f"'{draft.sheet}'!Y3:Y5"


def test_the_list_comes_first_links_to_each_cell_and_takes_replies_to_queries(mark):
    draft = Draft("enrolment", sheet="王's 表 & <1>")
    query = place(draft, "E5", outcome="query", rule_id="XB02-2-change")
    made = mark(draft.xlsx(), query, place(draft, "D4"))
    book = book_of(made.content)
    assert book.sheetnames == [FINDINGS_SHEET, draft.sheet, METADATA_SHEET]
    assert book[METADATA_SHEET].sheet_state == "veryHidden"
    assert book.active.title == FINDINGS_SHEET
    assert not book[draft.sheet].sheet_view.tabSelected
    sheet, header, columns = listing(made.content)
    links = [sheet.cell(header + row, columns["单元格"]).hyperlink for row in (1, 2)]
    assert [link.location for link in links] == ["'王''s 表 & <1>'!D4", "'王''s 表 & <1>'!E5"]
    assert all(link.target is None for link in links)
    assert sheet.cell(header + 1, columns[TOKEN_LABEL]).value is None
    assert sheet.cell(header + 2, columns[TOKEN_LABEL]).value == token(query)
    letter = sheet.cell(1, columns[TOKEN_LABEL]).column_letter
    assert sheet.column_dimensions[letter].hidden
    assert sheet.freeze_panes == f"A{header + 1}"
    assert sheet.auto_filter.ref == f"A{header}:{letter}{header + 2}"
    assert sheet.print_title_rows == f"${header}:${header}"
    assert sheet.page_setup.orientation == "landscape" and sheet.page_setup.paperSize == 9
    reply = sheet.cell(header + 2, columns[REPLY_LABEL])
    assert not reply.protection.locked and sheet.protection.sheet and not sheet.protection.password
    assert not sheet.protection.autoFilter  # False: it may be used
    (validation,) = sheet.data_validations.dataValidation
    assert (validation.type, validation.operator, validation.formula1) == ("textLength", "lessThanOrEqual", "500")
    assert reply.coordinate in validation.sqref


def test_the_heading_says_verdict_next_step_and_true_counts(mark):
    draft = Draft("enrolment")
    issues = [place(draft, f"D{row}", finding_id=f"{row:020}") for row in range(4, 9)]
    made = mark(draft.xlsx(), *issues, counts={"XB02-1c-total-equals-ages": 1234})
    sheet, header, _ = listing(made.content)
    above = " ".join(str(cell.value) for row in sheet.iter_rows(max_row=header - 1) for cell in row if cell.value)
    for words in (
        "140902-20241008-0001",
        "忻府区",
        "报表.xlsx",
        "2024年10月8日 09:30",
        "未接收，须改正",
        "请改正红色单元格后重新报送。",
    ):
        assert words in above
    assert "1,234 处（列出前 5 处）" in above
    assert "错误 1234" in above


def test_many_rules_do_not_push_the_list_out_of_sight(mark):
    draft = Draft("enrolment")
    issues = [place(draft, "D4", rule_id=f"XB02-1c-rule-{number}", finding_id=f"{number:020}") for number in range(30)]
    sheet, header, _ = listing(mark(draft.xlsx(), *issues).content)
    assert header <= 10
    above = " ".join(str(cell.value) for row in sheet.iter_rows(max_row=header - 1) for cell in row if cell.value)
    assert all(f"XB02-1c-rule-{number}" in above for number in range(30))


@pytest.mark.parametrize(
    "text", ["=cmd|'/c calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1+1", "\r=1+1", "_x003D_1", '=HYPERLINK("http://x")']
)
def test_no_text_becomes_a_formula(mark, text):
    draft = Draft("enrolment")
    draft.rows[0]["school_name"] = "'" + text
    issue = place(draft, "D4", value=text, expected=text, message=text, remedy=text, row_label=text, subject=text,
                  outcome="query", proposal=text, column_label=text, difference=text)  # fmt: skip
    made = mark(draft.xlsx(), issue, file_name=text.replace("/", "") + ".xlsx", what_next=text, counts={text: 2})
    sheet, header, columns = listing(made.content)
    assert {cell.data_type for row in sheet.iter_rows() for cell in row if cell.value is not None} <= {"s", "inlineStr"}
    if text[0] not in "\t\r":
        shown = sheet.cell(header + 1, columns["现值"]).value
        assert openpyxl.utils.escape.unescape(shown) == text
    for name, part in parts(made.content).items():
        assert b"<f>" not in part and b"<f " not in part, name
        assert b'TargetMode="External"' not in part


# What survives --------------------------------------------------------------------------------------------------------


def with_values(content: bytes, values: dict[str, str]) -> bytes:
    """A workbook whose formulas have been calculated: formula → value."""
    changed = parts(content)
    for name, part in changed.items():
        if name.startswith("xl/worksheets/"):
            text = part.decode()
            for formula, value in values.items():
                text = text.replace(f"<f>{formula}</f><v />", f"<f>{formula}</f><v>{value}</v>")
                text = text.replace(f"<f>{formula}</f><v></v>", f"<f>{formula}</f><v>{value}</v>")
            changed[name] = text.encode()
    return zipped(changed)


def rich_workbook() -> bytes:
    """A return with what counties put into workbooks."""
    draft = Draft("teacher_pay")
    draft.rows[0]["pay_total_yuan"] = "=SUM(E4:H4)"
    book = book_of(draft.xlsx())
    sheet = book.worksheets[0]
    sheet["A4"].fill = PatternFill("solid", fgColor="FFFFFF00")
    sheet["E4"].number_format = '#,##0.00"元"'
    sheet.merge_cells("A1:E1")
    sheet.row_dimensions[7].hidden = True
    sheet.column_dimensions["B"].width = 33
    sheet.freeze_panes = "C4"
    sheet.print_area = "A1:P9"
    sheet.print_title_rows = "3:3"
    validation = DataValidation(type="list", formula1='"小学,初中"', allow_blank=True)
    validation.add("C4:C9")
    sheet.add_data_validation(validation)
    sheet.conditional_formatting.add(
        "E4:E9", CellIsRule(operator="lessThan", formula=["0"], fill=PatternFill(bgColor="FFFF0000"))
    )
    sheet.protection.sheet = True
    sheet["F4"].comment = Comment("经办人备注：已核对\n第二行", "赵会计")
    sheet["G5"].comment = Comment("另一条", "赵会计")
    book.defined_names["合计格"] = DefinedName("合计格", attr_text=f"'{sheet.title}'!$P$4")
    other = book.create_sheet("附表")
    other.append([1, 2, 3])
    other.print_area = "A1:B2"
    chart = BarChart()
    chart.add_data(Reference(sheet, min_col=5, min_row=4, max_row=5))
    other.add_chart(chart, "D4")
    content = parts(with_values(saved(book), {"SUM(E4:H4)": "796000.5"}))
    content[_SHEET] = content[_SHEET].replace(b"</worksheet>", _EXTENSION + b"</worksheet>")
    return zipped(content)


_SHEET = "xl/worksheets/sheet1.xml"
#: A drop-down whose list stands on another sheet, as Excel keeps it.
_EXTENSION = (
    b'<extLst><ext uri="{CCE6A557-97BC-4b89-ADB6-D9C93CAAB3DF}" '
    b'xmlns:x14="http://schemas.microsoft.com/office/spreadsheetml/2009/9/main">'
    b'<x14:dataValidations xmlns:xm="http://schemas.microsoft.com/office/excel/2006/main" count="1"><x14:dataValidation type="list">'
    b"<x14:formula1><xm:f>Sheet2!$A$1:$A$2</xm:f></x14:formula1><xm:sqref>D4:D9</xm:sqref></x14:dataValidation></x14:dataValidations>"
    b"</ext></extLst>"
)


def zipped(content: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, part in content.items():
            archive.writestr(name, part)
    return target.getvalue()


def test_everything_of_the_county_is_still_there(mark):
    content = rich_workbook()
    draft = Draft("teacher_pay")
    made = mark(content, place(draft, "A4"), place(draft, "E4", outcome="query"), place(draft, "F4"))
    assert made.is_own and made.lost == ()
    before, after = parts(content), parts(made.content)
    for name in before:
        if "chart" in name or name.startswith(("xl/drawings/drawing", "xl/sharedStrings", "xl/theme/")):
            assert after[name] == before[name], name
    # Of the marked sheet nothing but the formats of the marked cells and the tab's colour has changed.
    old, new = before["xl/worksheets/sheet1.xml"].decode(), after["xl/worksheets/sheet1.xml"].decode()
    data = re.compile(r"<sheetData>.*</sheetData>", re.S)
    plain = re.compile(r' s="\d+"')
    assert plain.sub("", data.search(new)[0]) == plain.sub("", data.search(old)[0])
    assert _EXTENSION.decode() in new
    assert new.index("<legacyDrawing ") < new.index("<extLst>")  # the order that Excel insists on
    sheet = book_of(made.content)[draft.sheet]
    assert sheet["P4"].value == "=SUM(E4:H4)"
    assert sheet["E4"].number_format == '#,##0.00"元"' and fill(sheet, "E4") == AMBER
    assert sheet.data_validations.dataValidation[0].formula1 == '"小学,初中"'
    assert "A1:E1" in {str(ref) for ref in sheet.merged_cells.ranges}
    assert sheet.row_dimensions[7].hidden and sheet.column_dimensions["B"].width == 33
    assert sheet.freeze_panes == "C4" and sheet.protection.sheet
    assert len(sheet.conditional_formatting) == 1
    assert "$A$1:$P$9" in sheet.print_area and sheet.print_title_rows == "$3:$3"
    book = book_of(made.content)
    assert "$A$1:$B$2" in book["附表"].print_area
    assert "合计格" in book.defined_names


def test_a_part_keeps_prefixes_and_what_only_ignorable_needs():
    part = (
        '<x:workbook xmlns:x="urn:main" xmlns:mc="urn:mc" xmlns:v15="urn:15" mc:Ignorable="v15 later">'
        '<x:name comment="二行&#10;&quot;&amp;">a &lt;b&gt; c</x:name><x:ext xmlns:later="urn:later"><later:one/></x:ext>'
        "</x:workbook>"
    )
    again = Tree(Tree(part.encode(), "x").xml().encode(), "x").xml()
    assert 'mc:Ignorable="v15 later"' in again and 'xmlns:v15="urn:15"' in again and "<later:one/>" in again
    assert 'comment="二行&#10;&quot;&amp;"' in again and "a &lt;b&gt; c</x:name>" in again


def test_a_prefix_that_means_two_namespaces_still_means_both():
    tree = Tree(b'<a xmlns="urn:a"><b xmlns="urn:b" xmlns:p="urn:p" p:c="1"/><d xmlns:p="urn:q" p:c="2"/></a>', "x")
    again = Tree(tree.xml().encode(), "x").root
    assert [(one.tag, one.get("{urn:p}c"), one.get("{urn:q}c")) for one in again] == [
        ("{urn:b}b", "1", None),
        ("{urn:a}d", None, "2"),
    ]


@pytest.mark.parametrize("part", ['<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "<!DOCTYPE a><a/>", "<a>", "<a:b/>"])
def test_a_part_with_entities_or_no_xml_is_not_edited(part):
    with pytest.raises(NotEditable):
        Tree(part.encode(), "xl/workbook.xml")


@pytest.mark.parametrize("prefix", ["", "x:"])
def test_an_extension_by_the_name_of_a_property_stays_as_it_is(mark, prefix):
    draft = Draft("enrolment")
    content = parts(draft.xlsx())
    workbook = content["xl/workbook.xml"].decode()
    workbook = re.sub(r"<workbookPr[^>]*/>", "", workbook).replace("<sheets>", '<workbookPr date1904="1"/><sheets>')
    extension = '<extLst><ext uri="{1}" xmlns:x15="urn:15"><x15:workbookPr chartTrackingRefBase="1"/></ext></extLst>'
    workbook = workbook.replace("</workbook>", extension + "</workbook>")
    if prefix:
        workbook = re.sub(r"<(/?)(?=[a-z]\w*[\s/>])(?!/?x15:)", r"<\1x:", workbook).replace("xmlns=", "xmlns:x=")
    made = mark(zipped({**content, "xl/workbook.xml": workbook.encode()}), place(draft, "D4"))
    assert made.is_own and not made.lost
    after = parts(made.content)["xl/workbook.xml"].decode()
    assert f'<{prefix}workbookPr date1904="1"/>' in after and '<x15:workbookPr chartTrackingRefBase="1"/>' in after


def test_a_note_of_the_county_stays_above_ours(mark):
    draft = Draft("teacher_pay")
    made = mark(rich_workbook(), place(draft, "F4"))
    sheet = book_of(made.content)[draft.sheet]
    both = sheet["F4"].comment
    assert both.author == "赵会计"
    assert both.text.startswith("经办人备注：已核对\n第二行") and both.text.index("第二行") < both.text.index(NOTE_MARK)
    assert sheet["G5"].comment.text == "另一条"
    again = mark(made.content, place(draft, "H4"))
    sheet = book_of(again.content)[draft.sheet]
    assert sheet["F4"].comment.text == "经办人备注：已核对\n第二行" and sheet["F4"].comment.author == "赵会计"
    assert sheet["G5"].comment.text == "另一条"


def test_a_workbook_with_formulas_screens_again_as_it_is(mark, tmp_path):
    draft = Draft("teacher_pay")
    draft.rows[0]["pay_total_yuan"] = "=SUM(E4:O4)"
    draft.rows[1]["pay_total_yuan"] = 5
    content = with_values(draft.xlsx(), {"SUM(E4:O4)": "928000.75"})
    before = screened(tmp_path, content)
    issues = [Issue.of(finding) for finding in before.findings]
    assert issues and "FILE-0-formula-no-value" not in {issue.rule_id for issue in issues}
    made = mark(content, *issues)
    after = screened(tmp_path, made.content)
    same = lambda screening: [(f.rule_id, f.sheet, f.cell, f.value, f.expected) for f in screening.findings]  # noqa: E731
    assert same(after) == same(before)
    assert after.filings[0].content_digest == before.filings[0].content_digest


def test_a_thread_of_comments_on_a_marked_cell_becomes_a_note_and_others_stay(mark):
    book = book_of(Draft("enrolment").xlsx())
    for cell in ("D4", "D5"):
        book.worksheets[0][cell].comment = Comment("[线程批注] 已核对", "tc={0000-" + cell + "}")
    content = parts(saved(book))
    kind = "http://schemas.microsoft.com/office/2017/10/relationships/threadedComment"
    relations = "xl/worksheets/_rels/sheet1.xml.rels"
    content[relations] = content[relations].replace(
        b"</Relationships>",
        f'<Relationship Id="t1" Type="{kind}" Target="../threadedComments/threadedComment1.xml"/></Relationships>'.encode(),
    )
    content["xl/threadedComments/threadedComment1.xml"] = (
        b'<ThreadedComments xmlns="http://schemas.microsoft.com/office/spreadsheetml/2018/threadedcomments">'
        b'<threadedComment ref="D4" id="a"><text>x</text></threadedComment><threadedComment ref="D5" id="b"><text>y</text></threadedComment>'
        b"</ThreadedComments>"
    )
    made = mark(zipped(content), place(Draft("enrolment"), "D4"))
    assert len(made.lost) == 1 and "D4" in made.lost[0] and "D5" not in made.lost[0]
    after = parts(made.content)["xl/threadedComments/threadedComment1.xml"]
    assert b'ref="D4"' not in after and b'ref="D5"' in after
    sheet = book_of(made.content).worksheets[1]
    assert sheet["D4"].comment.text.startswith("[线程批注] 已核对") and NOTE_MARK in sheet["D4"].comment.text


def test_macros_are_not_handed_back(mark):
    content = parts(Draft("enrolment").xlsx())
    content["xl/vbaProject.bin"] = b"macros"
    content["[Content_Types].xml"] = content["[Content_Types].xml"].replace(
        b"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml",
        b"application/vnd.ms-excel.sheet.macroEnabled.main+xml",
    )
    content["xl/_rels/workbook.xml.rels"] = content["xl/_rels/workbook.xml.rels"].replace(
        b"</Relationships>",
        b'<Relationship Id="rIdV" Type="http://schemas.microsoft.com/office/2006/relationships/vbaProject" Target="vbaProject.bin"/></Relationships>',
    )
    made = mark(zipped(content), place(Draft("enrolment"), "D4"))
    assert made.is_own and made.lost == ("宏（VBA）",)
    assert "xl/vbaProject.bin" not in parts(made.content)
    assert b"macroEnabled" not in parts(made.content)["[Content_Types].xml"]
    sheet, header, _ = listing(made.content)
    assert "宏（VBA）" in [cell.value for row in sheet.iter_rows(max_row=header) for cell in row]


def test_a_file_under_excels_default_password_is_marked_and_handed_back_open(mark):
    locked = io.BytesIO()
    OOXMLFile(io.BytesIO(rich_workbook())).encrypt("VelvetSweatshop", locked)
    draft = Draft("teacher_pay")
    made = mark(locked.getvalue(), place(draft, "A4"))
    assert made.is_own and len(made.lost) == 1 and "默认密码" in made.lost[0]
    assert fill(book_of(made.content)[draft.sheet], "A4") == RED


# Rounds ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resave", [False, True], ids=["as returned", "saved by another program"])
def test_five_rounds_leave_nothing_behind(mark, resave):
    """A cell mended is clean again, its own fill restored, and the workbook does not grow."""
    content = original = rich_workbook()
    draft = Draft("teacher_pay")
    rounds = [("A4", "F4"), ("E4",), ("F4", "G5"), ("A4", "E5", "B1"), ("H5",)]
    sizes = []
    for cells in rounds:
        made = mark(content, *(place(draft, cell, finding_id=f"{index:020}") for index, cell in enumerate(cells)))
        assert made.is_own
        content = saved(book_of(made.content)) if resave else made.content
        book = book_of(content)
        sheet = book[draft.sheet]
        assert book.sheetnames == [FINDINGS_SHEET, draft.sheet, "附表", METADATA_SHEET]
        marked = {"A1" if cell == "B1" else cell for cell in cells}
        for address in ("A4", "E4", "F4", "G5", "E5", "A1", "H5"):
            expected = RED if address in marked else ("FFFFFF00" if address == "A4" else None)
            assert fill(sheet, address) == expected, (cells, address)
        noted = {
            cell.coordinate
            for row in sheet.iter_rows()
            for cell in row
            if cell.comment and NOTE_MARK in cell.comment.text
        }
        assert noted == marked
        assert sheet["F4"].comment.text.startswith("经办人备注：已核对\n第二行")
        sizes.append(len(parts(content)))
    assert len(set(sizes)) == 1
    if not resave:  # openpyxl drops the values of formulas
        first, last = sheets_of_the_county(read_bytes(original)), sheets_of_the_county(read_bytes(content))
        assert [sheet.rows for sheet in last] == [sheet.rows for sheet in first]


def read_bytes(content: bytes) -> Workbook:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "raw"
        path.write_bytes(content)
        outcome = read_file(path, "报表.xlsx", max_bytes=10**8, max_cells=10**6)
    assert isinstance(outcome, Workbook)
    return outcome


def test_a_mark_goes_although_its_note_was_deleted_and_its_row_moved(mark):
    draft = Draft("teacher_pay")
    made = mark(rich_workbook(), place(draft, "A4"), place(draft, "E5"))
    book = book_of(made.content)
    sheet = book[draft.sheet]
    sheet["E5"].comment = None
    again = mark(saved(book), place(draft, "H4"))
    sheet = book_of(again.content)[draft.sheet]
    assert fill(sheet, "E5") is None and fill(sheet, "A4") == "FFFFFF00"


def test_what_a_template_knows_of_itself_is_kept(mark):
    book = book_of(Draft("enrolment").xlsx())
    sheet = book.create_sheet(METADATA_SHEET)
    for row in (("form", "XB02"), ("template_hash", "ab" * 32), ("answer_to", "old")):
        sheet.append(row)
    sheet.sheet_state = "veryHidden"
    made = mark(saved(book), place(Draft("enrolment"), "D4"))
    rows = dict(book_of(made.content)[METADATA_SHEET].iter_rows(values_only=True))
    assert rows == {"form": "XB02", "template_hash": "ab" * 32, "answer_to": "-".join(["5" * 8] * 8)}


def test_nothing_that_we_write_passes_for_a_number_of_a_person(mark, tmp_path):
    draft = Draft("enrolment")
    hostile = "13800000000" + "a" * 53  # a hash that begins like a phone number
    made = annotate_with(mark, draft.xlsx(), place(draft, "D4", outcome="query"), hostile)
    assert not [f.rule_id for f in screened(tmp_path, made).findings if f.rule_id.startswith("FILE-1a-")]


def annotate_with(mark, content: bytes, issue: Issue, submission_id: str) -> bytes:
    return mark(content, replace(issue, submission_id=submission_id), submission_id=submission_id).content


def test_a_sheet_of_the_county_that_has_our_name_is_not_replaced(mark):
    book = book_of(Draft("enrolment").xlsx())
    book.create_sheet(FINDINGS_SHEET).append(["本县自查", "无"])
    made = mark(saved(book), place(Draft("enrolment"), "D4"))
    assert not made.is_own and made.lost


def test_the_same_input_gives_the_same_bytes(mark):
    content, issue = rich_workbook(), place(Draft("teacher_pay"), "A4")
    assert mark(content, issue).content == mark(content, issue).content


def test_nothing_to_mark_is_nothing_to_return(tmp_path):
    path = tmp_path / "raw"
    path.write_bytes(Draft("enrolment").xlsx())
    assert annotate(path, "报表.xlsx", [], heading([])) is None


def test_replies_and_marks_survive_libreoffice(mark, tmp_path):
    soffice = shutil.which("soffice")
    if soffice is None:
        pytest.skip("LibreOffice (soffice) is not installed")
    draft = Draft("teacher_pay")
    query = place(draft, "E4", outcome="query", rule_id="XB04-2-change", subject="1409020001/小学")
    made = mark(rich_workbook(), place(draft, "A4"), query, place(draft, "F4"))
    book = book_of(made.content)
    _, header, columns = listing(made.content)
    reply = book[FINDINGS_SHEET].cell(header + 3, columns[REPLY_LABEL])
    reply.value = "人数属实，新建小区入住"
    (tmp_path / "typed.xlsx").write_bytes(saved(book))
    subprocess.run(
        [soffice, "--headless", f"-env:UserInstallation=file://{tmp_path}/profile", "--convert-to",
         "xlsx:Calc MS Excel 2007 XML", "--outdir", str(tmp_path / "out"), str(tmp_path / "typed.xlsx")],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    content = (tmp_path / "out" / "typed.xlsx").read_bytes()
    explanations, observations = read_explanations(read_bytes(content))
    assert observations == [] and [(one.rule_id, one.text) for one in explanations] == [("XB04-2-change", reply.value)]
    again = mark(content, place(draft, "H5"))
    sheet = book_of(again.content)[draft.sheet]
    assert again.is_own
    assert [fill(sheet, cell) for cell in ("A4", "E4", "F4", "H5")] == ["FFFFFF00", None, None, RED]
    assert sheet["F4"].comment.text == "经办人备注：已核对\n第二行"
    assert sheet["A4"].comment is None and sheet["E4"].comment is None


# A workbook that quotes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csv", "xls"])
def test_other_files_are_answered_by_quoting_their_rows(mark, tmp_path, kind):
    draft = Draft("enrolment", sheet="表")
    content = csv_bytes(draft.grid()) if kind == "csv" else xls(draft.grid())
    issue = an_issue(sheet="" if kind == "csv" else "表", cell="D5", source_row=5)
    made = mark(content, issue, file_name=f"在校生.{kind}")
    assert not made.is_own
    book = book_of(made.content)
    name = QUOTE_PREFIX + ("在校生" if kind == "csv" else "表")
    assert book.sheetnames == [FINDINGS_SHEET, name, METADATA_SHEET]
    quoted = book[name]
    assert fill(quoted, "D5") == RED and quoted["D5"].comment
    assert str(quoted["D5"].value) == str(draft.rows[1]["students_total"])
    assert quoted["D3"].value == draft.headers["students_total"]
    assert quoted["D4"].value is None  # a row without a finding is not quoted
    sheet, header, columns = listing(made.content)
    assert sheet.cell(header + 1, columns["单元格"]).hyperlink.location == f"'{name}'!D5"
    # Sent back as it is, the quoted rows are nobody's return.
    outcome = read_bytes(made.content)
    assert sheets_of_the_county(outcome) == []


def test_a_file_that_cannot_be_read_is_answered_by_the_list(mark):
    made = mark(b"PK\x03\x04 broken", an_issue(sheet="", cell="", source_row=None))
    assert book_of(made.content).sheetnames == [FINDINGS_SHEET, METADATA_SHEET]
    assert not made.is_own


def test_numbers_of_persons_are_not_handed_on(mark):
    draft = Draft("enrolment")
    draft.rows[0]["school_name"] = "联系人13800000000"
    made = mark(draft.xlsx(), place(draft, "B4", rule_id="FILE-1a-phone-number", value="138******00"))
    assert not made.is_own and made.lost
    assert not [name for name, part in parts(made.content).items() if b"13800000000" in part]


def test_a_file_over_the_limits_is_answered_by_the_list(tmp_path):
    path = tmp_path / "raw"
    path.write_bytes(Draft("enrolment").xlsx())
    issues = [place(Draft("enrolment"), "D4")]
    made = annotate(path, "报表.xlsx", issues, heading(issues), ReadLimits(seconds=0.01))
    assert made and not made.is_own
    assert book_of(made.content).sheetnames == [FINDINGS_SHEET, METADATA_SHEET]


# Real workbooks -------------------------------------------------------------------------------------------------------

_REAL = sorted(
    path for path in (SHARED_DATA / "workbooks").rglob("*") if path.suffix in (".xlsx", ".xlsm", ".xls", ".xlsb")
)


@pytest.mark.skipif(not _REAL, reason="the collection of real workbooks is not here")
def test_every_real_workbook_is_annotated_or_quoted(tasks, tmp_path):
    """In one process, one after the other; a marked copy holds the same cells (annotate itself falls back otherwise)."""
    answered: Counter[str] = Counter()
    for path in _REAL:
        issues = [an_issue(sheet=name, cell="B2", source_row=2) for name in _sheet_names(path)] or [
            an_issue(sheet="", cell="")
        ]
        made = annotate(path, path.name, issues, heading(issues), LIMITS, tasks)
        assert made, path
        outcome = read_bytes(made.content)
        assert outcome.sheets[0].name == FINDINGS_SHEET and outcome.sheets[-1].name == METADATA_SHEET
        answered["own" if made.is_own else "quoted"] += 1
    assert answered["own"] >= 120, answered  # of 128 xlsx and xlsm; strict ones and what no reader opens are quoted


def _sheet_names(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            text = archive.read("xl/workbook.xml").decode("utf-8", "replace")
    except (zipfile.BadZipFile, KeyError, OSError):
        return []
    return re.findall(r'<sheet [^>]*?name="([^"&]+)"', text)


def test_issues_carry_every_field_of_a_finding():
    from dataclasses import fields

    from pipelines.screening.findings import Finding

    assert {field.name for field in fields(Finding)} <= {field.name for field in fields(Issue)}
    assert replace(an_issue(), status="explained").status == "explained"
