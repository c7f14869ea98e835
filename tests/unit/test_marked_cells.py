"""Characters that are raised, lowered or struck out: seen in every format, refused in figures and codes, asked about in names."""

import io

import openpyxl
import pytest
from builders import SETTINGS, Draft, submission
from formats import KINDS, MARKED_KINDS, in_format
from openpyxl.styles import Font

from pipelines.screening.screen import Screening, screen
from pipelines.workbooks.reader import read_file
from pipelines.workbooks.second_reading.marks import counted_runs, marked_text
from pipelines.workbooks.workbook import Workbook, cell_address, cell_position

EXTENSION = {"xlsx_inline": "xlsx"}
GRID = [["学校", "人数", "旧", "说明"], ["甲", 7, "乙", 3], ["丙", 5, "丁", 4]]
RUNS = {(0, 0): [("学", ""), ("校", "上标")], (1, 0): [("乡", "删除线"), ("镇", "")], (1, 1): [("7", ""), ("1", "上标")], (2, 2): [("H", ""), ("2", "下标"), ("O", "")]}  # fmt: skip
FONTS = {(1, 3): "删除线", (2, 3): "上标", (2, 0): "删除线"}


def read(tmp_path, kind: str, content: bytes) -> Workbook:
    path = tmp_path / f"x.{EXTENSION.get(kind, kind)}"
    path.write_bytes(content)
    outcome = read_file(path, path.name, max_bytes=1 << 20, max_cells=10_000)
    assert isinstance(outcome, Workbook), outcome
    return outcome


@pytest.mark.parametrize("kind", MARKED_KINDS)
def test_marked_runs_and_cells_are_seen_in_every_format(tmp_path, kind):
    (sheet,) = read(tmp_path, kind, in_format(kind, GRID, runs=RUNS, fonts=FONTS)).sheets
    assert sheet.marked_cells == {
        (0, 0): "学[上标 校]",
        (1, 0): "[删除线 乡]镇",
        (1, 1): "7[上标 1]",
        (2, 2): "H[下标 2]O",
        (1, 3): "删除线",
        (2, 3): "上标",
        (2, 0): "删除线",
    }
    assert [sheet.cell(1, column) for column in range(4)] == ["乡镇", "71", "乙", "3"]


@pytest.mark.parametrize("kind", MARKED_KINDS)
def test_a_file_without_marks_has_none(tmp_path, kind):
    (sheet,) = read(tmp_path, kind, in_format(kind, GRID, runs={(1, 0): [("乡", ""), ("镇", "")]})).sheets
    assert sheet.marked_cells == {}


def test_a_run_without_a_font_of_its_own_looks_as_its_cell_does(tmp_path):
    for kind in MARKED_KINDS:
        content = in_format(kind, [["x"]], runs={(0, 0): [("7", ""), ("1", "上标")]}, fonts={(0, 0): "删除线"})
        (sheet,) = read(tmp_path, kind, content).sheets
        assert "[上标 1]" in sheet.marked_cells[(0, 0)], kind


def test_phonetic_readings_and_plain_rich_text_are_no_marks(tmp_path):
    from builders import bare_xlsx

    inline = (
        '<is><r><rPr><strike val="0"/><vertAlign val="baseline"/></rPr><t>东</t></r><r><t>京</t></r>'
        '<rPh sb="0" eb="2"><t>とう</t></rPh></is>'
    )
    (sheet,) = read(tmp_path, "xlsx", bare_xlsx(f'<row r="1"><c r="A1" t="inlineStr">{inline}</c></row>')).sheets
    assert (sheet.cell(0, 0), sheet.marked_cells) == ("东京", {})


def test_what_is_shown_of_a_long_text_is_what_is_marked_in_it():
    shown = marked_text([("前" * 5000, ""), ("1", "上标"), ("后" * 5000, "")])
    assert shown == "…" + "前" * 20 + "[上标 1]" + "后" * 20 + "…"
    assert marked_text([("7", ""), (" ", "上标")]) == "" == marked_text([("7", None)])
    assert len(marked_text([("a", "上标"), ("b", "下标")] * 9000)) <= 200


def test_runs_are_counted_in_the_units_of_the_format():
    assert counted_runs("𠮷1", [(2, "上标")]) == (("𠮷", None), ("1", "上标"))
    assert counted_runs("abc", [(9, "上标"), (1, "下标")]) == (("abc", None), ("", "上标"), ("bc", "下标"))


# --- what becomes of them ---------------------------------------------------------------------------------------------


def judged(tmp_path, kind: str, draft: Draft, runs=None, fonts=None) -> tuple[str, list[tuple[str, str, str, str]]]:
    """The verdict, and (rule, cell, value, message) of each finding."""
    content = in_format(kind, draft.grid(), draft.sheet, runs=runs, fonts=fonts)
    result: Screening = screen([submission(tmp_path, f"报表.{EXTENSION.get(kind, kind)}", content)], SETTINGS)
    (filing,) = result.filings
    return filing.verdict, [(one.rule_id, one.cell, one.value, one.message) for one in result.findings]


def place(draft: Draft, row: int, column: str) -> tuple[int, int]:
    return cell_position(draft.cell(row, column))


@pytest.mark.parametrize("kind", MARKED_KINDS)
@pytest.mark.parametrize(
    ("return_code", "column", "runs"),
    [
        ("enrolment", "boarders", [("7", ""), ("1", "上标")]),
        ("teacher_pay", "pay_total_yuan", [("1094", "删除线"), ("928000.75", "")]),
        ("school", "school_code", [("140902000", ""), ("1", "上标")]),
        ("school", "opened_on", [("1983-09-01", ""), ("2", "下标")]),
        ("school", "school_type", [("小学", ""), ("1", "上标")]),
    ],
)
def test_a_figure_a_date_or_a_code_with_marked_runs_is_refused_in_one_finding(
    tmp_path, kind, return_code, column, runs
):
    draft = Draft(return_code)
    verdict, findings = judged(tmp_path, kind, draft, {place(draft, 0, column): runs})
    assert verdict == "rejected"
    ((rule, cell, value, message),) = findings
    assert (rule, cell) == ("FILE-1b-marked-figure", draft.cell(0, column))
    assert value in message and any(f"[{mark} " in value for _, mark in runs if mark)


@pytest.mark.parametrize("kind", MARKED_KINDS)
def test_a_name_with_marked_runs_is_asked_about(tmp_path, kind):
    draft = Draft("school")
    at = place(draft, 0, "school_name")
    verdict, findings = judged(tmp_path, kind, draft, {at: [("南关", ""), ("初级", "删除线"), ("小学", "")]})
    assert verdict == "accepted_with_queries"
    ((rule, cell, value, _),) = findings
    assert (rule, cell, value) == ("FILE-1b-marked-text", draft.cell(0, "school_name"), "南关[删除线 初级]小学")


@pytest.mark.parametrize("kind", MARKED_KINDS)
def test_a_number_crossed_out_by_its_cells_own_font_is_refused(tmp_path, kind):
    draft = Draft("enrolment")
    verdict, findings = judged(tmp_path, kind, draft, fonts={place(draft, 1, "boarders"): "删除线"})
    assert verdict == "rejected"
    assert [(rule, cell, value) for rule, cell, value, _ in findings] == [
        ("FILE-1b-marked-figure", draft.cell(1, "boarders"), "[删除线 3]")
    ]


@pytest.mark.parametrize("kind", MARKED_KINDS)
def test_a_number_that_is_raised_as_a_whole_is_asked_about_and_such_a_name_is_not(tmp_path, kind):
    draft = Draft("school")
    fonts = {place(draft, 0, "school_name"): "上标"}
    assert judged(tmp_path, kind, draft, fonts=fonts) == ("accepted", [])
    draft = Draft("enrolment")
    verdict, findings = judged(tmp_path, kind, draft, fonts={place(draft, 0, "boarders"): "上标"})
    assert verdict == "accepted_with_queries"
    assert [(rule, value) for rule, _, value, _ in findings] == [("FILE-1b-marked-text", "[上标 3]")]


def test_a_row_crossed_out_is_one_finding_that_names_its_cells(tmp_path):
    draft = Draft("population")
    rows = (3, 4)
    fonts = {place(draft, row, column): "删除线" for row in rows for column in draft.columns}
    verdict, findings = judged(tmp_path, "xlsx", draft, fonts=fonts)
    own = [one for one in findings if "marked" in one[0]]
    ((rule, cell, _, message),) = own
    assert (verdict, rule, cell) == ("rejected", "FILE-1b-marked-figure", draft.cell(3, draft.columns[0]))
    assert f"{draft.cell(3, draft.columns[0])}:{draft.cell(4, draft.columns[-1])}" in message


def test_a_column_of_footnotes_is_one_finding_that_names_the_range(tmp_path):
    draft = Draft("population")
    runs = {
        place(draft, row, "source"): [("统计局", ""), ("1", "上标")] for row in range(len(draft.rows))
    }  # fmt: skip
    verdict, findings = judged(tmp_path, "xlsx", draft, runs)
    ((rule, cell, value, message),) = findings
    assert (verdict, rule, value) == ("accepted_with_queries", "FILE-1b-marked-text", "统计局[上标 1]")
    last = draft.cell(len(draft.rows) - 1, "source")
    assert cell == draft.cell(0, "source") and f"{cell}:{last} 中的 {len(draft.rows)} 个单元格" in message


def test_marks_beside_the_table_are_no_matter_and_those_on_its_cover_are_asked_about(tmp_path):
    draft = Draft("enrolment")
    note = cell_position(draft.note_cell(1))
    assert judged(tmp_path, "xlsx", draft, {note: [("注：虚构", ""), ("数据", "删除线")]}) == ("accepted", [])
    cover = cell_position(draft.cover_cell("填报单位"))
    verdict, findings = judged(tmp_path, "xlsx", draft, {cover: [("忻府", ""), ("区", "上标")]})
    assert verdict == "accepted_with_queries"
    assert [(rule, cell) for rule, cell, *_ in findings] == [("FILE-1b-marked-text", cell_address(*cover))]


def test_a_header_that_nobody_knows_for_its_footnote_is_told_with_it(tmp_path):
    draft = Draft("enrolment")
    known = cell_position(draft.header_cell("boarders"))
    _, findings = judged(tmp_path, "xlsx", draft, {known: [("寄宿生", ""), ("①", "上标")]})
    assert ("FILE-1b-marked-text", "寄宿生[上标 ①]") in [(rule, value) for rule, _, value, _ in findings]
    assert judged(tmp_path, "xlsx", draft, {known: [("寄宿", ""), ("生", "上标")]}) == ("accepted", [])


def test_marks_as_openpyxl_writes_them_are_seen(tmp_path):
    book = openpyxl.Workbook()
    book.active.append([7, 8])
    book.active["B1"].font = Font(strike=True)
    target = io.BytesIO()
    book.save(target)
    (sheet,) = read(tmp_path, "xlsx", target.getvalue()).sheets
    assert sheet.marked_cells == {(0, 1): "删除线"}


# --- every format gives the same --------------------------------------------------------------------------------------


@pytest.mark.parametrize("return_code", ["school", "enrolment", "teacher_pay", "civil_servant_pay", "population"])
def test_the_same_content_comes_to_the_same_in_every_format(tmp_path, return_code):
    draft = Draft(return_code)
    if draft.definition.total_row:
        draft.with_total()
    drafts = [(draft, []), (Draft(return_code), [])]
    wrong, expected = drafts[1]
    column = wrong.definition.columns[-1].name
    wrong.rows[0][column] = "约三十"
    expected.append(wrong.cell(0, column))
    for made, cells in drafts:
        sent = [submission(tmp_path, f"报表.{kind}", in_format(kind, made.grid(), made.sheet)) for kind in KINDS]
        result = screen(sent, SETTINGS)
        assert len({filing.verdict for filing in result.filings}) == 1
        assert {filing.content_digest for filing in result.filings} and len(
            {(filing.rows_n, filing.content_digest) for filing in result.filings}
        ) == 1
        for one in sent:
            found = sorted(finding.cell for finding in result.findings if finding.submission_id == one.submission_id)
            assert found == cells, one.file_name
