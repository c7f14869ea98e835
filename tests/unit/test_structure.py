"""One act of whoever filled a file is one finding: it names the range and the remedy. Several sheets of one return are one filing."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlwt
from builders import DINGXIANG, SETTINGS, XINFU, Draft, submission, table_of, xlsx

from pipelines.returns import current_definitions
from pipelines.screening.findings import Finding
from pipelines.screening.identify import Observation
from pipelines.screening.screen import Screening, screen
from pipelines.screening.structure import blocks, structure
from pipelines.workbooks.workbook import Sheet


def screened(folder: Path, content: bytes, name: str = "报表.xlsx") -> Screening:
    return screen([submission(folder, name, content)], SETTINGS)


def found(folder: Path, content: bytes, name: str = "报表.xlsx") -> list[tuple[str, str, str]]:
    return [(one.rule_id, one.sheet, one.cell) for one in screened(folder, content, name).findings]


def only(folder: Path, content: bytes, name: str = "报表.xlsx") -> Finding:
    result = screened(folder, content, name)
    assert len(result.findings) == 1, [(one.rule_id, one.cell, one.message) for one in result.findings]
    return result.findings[0]


def edited(content: bytes, change: Callable[[Any], None]) -> bytes:
    book = openpyxl.load_workbook(io.BytesIO(content))
    change(book.worksheets[0])
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def schools(n: int, return_code: str = "enrolment") -> Draft:
    """A draft with n schools of the first kind."""
    draft = Draft(return_code)
    first = draft.rows[0]
    draft.rows = [
        {**first, "school_code": f"{draft.county.code}{number:04}", "school_name": f"第{number}小学"}
        for number in range(1, n + 1)
    ]
    return draft


def halves(return_code: str = "enrolment", **more: Any) -> tuple[Draft, Draft]:
    """The rows of a faultless return on two sheets."""
    whole = Draft(return_code)
    half = len(whole.rows) // 2
    return (
        Draft(return_code, rows=whole.rows[:half], sheet="一", **more),
        Draft(return_code, rows=whole.rows[half:], sheet="二", **more),
    )


# --- several sheets of one return -------------------------------------------------------------------------------------


@pytest.mark.parametrize("return_code", sorted(current_definitions()))
def test_a_return_on_two_sheets_is_one_filing(tmp_path, return_code):
    result = screened(tmp_path, xlsx(*halves(return_code)))
    (filing,) = result.filings
    assert (filing.verdict, filing.rows_n, filing.sheet) == ("accepted", len(Draft(return_code).rows), "一、二")
    rows = result.rows[return_code]
    assert set(rows["sheet"]) == {"一", "二"} and rows["source_row"].min() == 4
    assert {column[2] for column in result.cell_columns} == {"一", "二"}


@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize("return_code", ["enrolment", "teacher_pay"])
def test_what_must_be_there_may_stand_on_another_sheet_of_the_filing(tmp_path, return_code, at):
    parts = halves(return_code)

    def left_empty(part: Draft) -> None:
        for row in part.rows:
            row.update({name: 0 for name, value in row.items() if not isinstance(value, str)})

    left_empty(parts[at])
    assert found(tmp_path, xlsx(*parts)) == []
    left_empty(parts[1 - at])
    asked = [(one.rule_id[5:], one.sheet) for one in screened(tmp_path, xlsx(*parts)).findings]
    assert asked == [("4-nobody", "一")]


def test_every_row_of_every_sheet_of_a_filing_is_accounted_for(tmp_path):
    one, two = halves()
    two.notes.append(["注：续表。"])
    told = json.loads(screened(tmp_path, xlsx(one, two, others={"封面": [["报表"]]})).filings[0].passed_over)
    assert told["sheet_rows_n"] == len(one.grid()) + len(two.grid())
    assert {kind["label"]: kind["rows"] for kind in told["kinds"]} == {
        "标题与封面": "“一”1–2、“二”1–2",
        "表头": "“一”3、“二”3",
        "说明": "“一”6、“二”6–7",
        "签名": "“一”5、“二”5",
    }
    assert told["sheets"] == [{"sheet": "封面", "rows_n": 1}]


def test_the_same_values_have_the_same_digest_however_many_sheets_they_stand_on(tmp_path):
    one, two = halves()
    files = [Draft("enrolment").xlsx(), xlsx(one, two), xlsx(two, one)]
    assert len({screened(tmp_path, content).filings[0].content_digest for content in files}) == 1


def test_sheets_may_differ_in_the_order_of_columns_and_lack_one_that_is_not_required(tmp_path):
    first, second = halves("school")
    second.columns = [name for name in reversed(second.columns) if name != "closed_on"]
    third = Draft("school", rows=[{**second.rows[0], "school_code": "1409020003"}], sheet="三")
    result = screened(tmp_path, xlsx(first, second, third))
    assert (result.findings, result.filings[0].rows_n) == ([], 3)
    letters = {(sheet, name): letter for *_, sheet, _, _, name, letter, _ in result.cell_columns}
    assert (letters[("一", "school_code")], letters[("二", "school_code")]) == ("A", "H")


def test_a_total_on_each_sheet_closes_its_own_rows(tmp_path):
    one, two = (half.with_total() for half in halves())
    assert found(tmp_path, xlsx(one, two)) == []
    two.totals[0]["boarders"] += 1
    assert found(tmp_path, xlsx(one, two)) == [("XB02-1c-total-row", "二", two.total_cell(0, "boarders"))]


def test_a_total_on_the_last_sheet_may_close_all_rows(tmp_path):
    one, two = halves()
    two.totals = Draft("enrolment").with_total().totals
    assert found(tmp_path, xlsx(one, two)) == []
    two.totals[0]["boarders"] += 1
    finding = only(tmp_path, xlsx(one, two))
    assert (finding.cell, finding.difference) == (two.total_cell(0, "boarders"), "+1")


def test_what_a_group_must_have_complete_may_stand_on_two_sheets(tmp_path):
    whole = Draft("population")
    odd = Draft("population", rows=[row for row in whole.rows if row["age"] % 2], sheet="单")
    even = Draft("population", rows=[row for row in whole.rows if row["age"] % 2 == 0], sheet="双")
    assert found(tmp_path, xlsx(odd, even)) == []
    del even.rows[2]
    assert found(tmp_path, xlsx(odd, even)) == [("XB03-1b-complete-age", "单", "A4")]


def test_rows_that_stand_on_both_sheets_are_named_at_both_places(tmp_path):
    one, two = halves()
    two.rows.append(one.rows[0])
    finding = only(tmp_path, xlsx(one, two))
    assert (finding.rule_id, finding.sheet, finding.cell) == ("FILE-0-return-repeated", "二", "A5")
    assert "“一”与“二”的第 4 行与第 5 行（1409020001/小学）" in finding.message


def test_many_rows_that_stand_twice_are_counted(tmp_path):
    draft = schools(8)
    again = Draft("enrolment", rows=draft.rows, sheet="二")
    finding = only(tmp_path, xlsx(draft, again))
    assert finding.message.count("行与") == 6 and "等，共 8 行。" in finding.message


def test_a_sheet_that_does_not_say_whose_it_is_goes_with_the_one_that_does(tmp_path):
    one, two = halves()
    book = openpyxl.load_workbook(io.BytesIO(xlsx(one, two)))
    book["二"].delete_rows(1, 2)
    target = io.BytesIO()
    book.save(target)
    assert found(tmp_path, target.getvalue()) == []


def test_sheets_of_two_periods_are_two_filings(tmp_path):
    one, two = halves()
    two = Draft("enrolment", rows=two.rows, sheet="二", period="2023-2024")
    assert [(filing.period, filing.rows_n) for filing in screened(tmp_path, xlsx(one, two)).filings] == [
        ("2024-2025", 1),
        ("2023-2024", 1),
    ]


def test_parts_below_each_other_on_one_sheet_keep_their_own_columns(tmp_path):
    one, two = halves("teacher_pay")
    two.columns = list(reversed(two.columns))
    grid = one.grid()
    below = two.grid()[2:]
    result = screened(tmp_path, xlsx(others={"工资": [*grid, *below]}))
    assert (result.findings, [filing.rows_n for filing in result.filings]) == ([], [2])
    letters = {(first, name): letter for *_, first, _, name, letter, _ in result.cell_columns}
    assert (letters[(4, "school_code")], letters[(len(grid) + 2, "school_code")]) == ("A", "P")


@pytest.mark.parametrize(("period", "filings"), [("2024Q3", [2]), ("2024Q4", [1, 1])])
def test_a_title_between_two_parts_on_one_sheet_says_what_the_second_is(tmp_path, period, filings):
    one, two = halves("rural_subsidy")
    two = Draft("rural_subsidy", rows=two.rows, period=period)
    result = screened(tmp_path, xlsx(others={"补助": [*one.grid(), [], *two.grid()]}))
    assert ([one.message for one in result.findings], [filing.rows_n for filing in result.filings]) == ([], filings)


# --- what does not show -----------------------------------------------------------------------------------------------


def test_a_template_of_another_county_is_named_at_a_cell_that_shows(tmp_path):
    draft = Draft("enrolment")
    stated = [["return", "enrolment"], ["county_code", DINGXIANG.code], ["period", draft.period]]
    finding = only(tmp_path, xlsx(draft, others={"_xianbao": stated}, hidden_sheets=("_xianbao",)))
    assert (finding.rule_id, finding.sheet, finding.cell) == (
        "FILE-0-template-reused",
        draft.sheet,
        draft.cover_cell("行政区划代码"),
    )
    assert "这是定襄县 140921的模板" in finding.message and "请取忻府区的模板" in finding.remedy


def test_a_template_whose_period_was_changed_on_the_cover_and_in_the_title_is_one_finding(tmp_path):
    draft = Draft("civil_servant_pay", period="2023")
    stated = [["return", "civil_servant_pay"], ["county_code", XINFU.code], ["period", "2024"]]
    content = xlsx(draft, others={"_xianbao": stated}, hidden_sheets=("_xianbao",))
    finding = only(tmp_path, content)
    assert (finding.cell, finding.period) == (draft.cover_cell("报告期"), "2023")
    assert finding.message.startswith("这是2024年的模板") and "请取2023年的模板" in finding.remedy


def test_the_hidden_sheet_of_a_template_says_nothing_of_other_returns(tmp_path):
    pay, pupils = Draft("teacher_pay"), Draft("enrolment")
    stated = [["return", "teacher_pay"], ["county_code", XINFU.code], ["period", "2024"]]
    assert found(tmp_path, xlsx(pay, pupils, others={"_xianbao": stated}, hidden_sheets=("_xianbao",))) == []


def test_a_hidden_cover_that_contradicts_the_table_is_named_and_not_pointed_at(tmp_path):
    draft = Draft("enrolment")
    draft.cover = [pair for pair in draft.cover if pair[0] != "行政区划代码"]
    hidden = [["行政区划代码", DINGXIANG.code]]
    finding = only(tmp_path, xlsx(draft, others={"参数": hidden}, hidden_sheets=("参数",)))
    assert (finding.rule_id, finding.sheet) == ("FILE-0-county-conflict", draft.sheet)
    assert "隐藏的工作表“参数”" in finding.message


def test_a_hidden_copy_is_asked_about_and_not_read(tmp_path):
    draft, old = Draft("enrolment"), Draft("enrolment", sheet="旧稿")
    old.rows[0]["boarders"] = 59
    result = screened(tmp_path, xlsx(old, draft, hidden_sheets=("旧稿",)))
    assert [(one.rule_id, one.sheet) for one in result.findings] == [("FILE-1b-hidden-copy", draft.sheet)]
    assert "“旧稿”（2024-2025学年在校（园）学生统计表）" in result.findings[0].message
    assert set(result.rows["enrolment"]["sheet"]) == {draft.sheet}


@pytest.mark.parametrize("return_code", ["enrolment", "teacher_pay"])
def test_a_hidden_form_in_which_nothing_is_filled_is_no_copy(tmp_path, return_code):
    draft, blank = Draft("enrolment"), Draft(return_code, sheet="空表")
    blank.rows, blank.notes = [], []
    result = screened(tmp_path, xlsx(blank, draft, hidden_sheets=("空表",)))
    assert (result.findings, [one.return_code for one in result.filings]) == ([], ["enrolment"])


def test_a_hidden_copy_of_another_period_makes_no_filing(tmp_path):
    draft, old = Draft("enrolment"), Draft("enrolment", sheet="去年", period="2023-2024")
    result = screened(tmp_path, xlsx(draft, old, hidden_sheets=("去年",)))
    assert [(filing.period, filing.verdict) for filing in result.filings] == [("2024-2025", "accepted_with_queries")]


def test_a_return_that_is_only_hidden_is_refused_and_the_one_beside_it_is_not(tmp_path):
    shown, hidden = Draft("population"), Draft("teacher_pay")
    result = screened(tmp_path, xlsx(shown, hidden, hidden_sheets=(hidden.sheet,)))
    verdicts = {filing.return_code: filing.verdict for filing in result.filings}
    assert verdicts == {"population": "accepted", "teacher_pay": "rejected"}
    assert [(one.rule_id, one.sheet, one.cell) for one in result.findings] == [("FILE-0-hidden-sheet", "", "")]


def test_a_sheet_hidden_from_every_menu_is_said_to_be(tmp_path):
    draft = Draft("enrolment")
    book = openpyxl.load_workbook(io.BytesIO(xlsx(draft, others={"说明": [["见表"]]})))
    book[draft.sheet].sheet_state = "veryHidden"
    target = io.BytesIO()
    book.save(target)
    assert "深度隐藏" in only(tmp_path, target.getvalue()).message


def test_a_finding_in_a_hidden_row_says_that_it_is_hidden(tmp_path):
    draft = Draft("enrolment", hidden_rows=[1])
    draft.rows[1]["boarders"] = "—"
    messages = {one.rule_id: one.message for one in screened(tmp_path, draft.xlsx()).findings}
    assert messages["XB02-1a-boarders"].endswith("该处在隐藏的第 5 行。")
    assert "该处" not in messages["FILE-1b-hidden-data"]


def test_a_number_of_a_person_on_a_hidden_sheet_is_named_by_its_place_in_words(tmp_path):
    content = xlsx(Draft("enrolment"), others={"底稿": [["经办"], ["13800000000"]]}, hidden_sheets=("底稿",))
    finding = only(tmp_path, content)
    assert (finding.rule_id, finding.sheet, finding.cell) == ("FILE-1a-phone-number", "", "")
    assert "隐藏的工作表“底稿”的 A2" in finding.message


# --- one act, one finding ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("return_code", "row"),
    [
        ("civil_servant_pay", {"staff_category": "参公人员"}),
        ("enrolment", {"school_code": "1409020003"}),
        ("enrolment", {"school_name": "东关小学"}),
        ("enrolment", {"stage": "小学"}),
        ("teacher_pay", {"school_code": "1409020003"}),
        ("rural_subsidy", {"programme": "乡镇工作补贴"}),
    ],
)
def test_a_row_of_which_one_name_is_filled_is_to_be_filled(tmp_path, return_code, row):
    draft = Draft(return_code)
    draft.rows = [draft.rows[0], row]
    finding = only(tmp_path, draft.xlsx())
    assert (finding.rule_id, finding.cell) == ("FILE-1a-row-unfilled", draft.cell(1, next(iter(row))))


@pytest.mark.parametrize(
    "row", [{"school_code": "见附件"}, {"school_name": "."}, {"stage": "共 3 类"}, {"boarders": 5}]
)
def test_a_lone_cell_that_its_column_does_not_take_has_strayed(tmp_path, row):
    draft = Draft("enrolment")
    draft.rows.append(row)
    assert only(tmp_path, draft.xlsx()).rule_id == "FILE-0-stray-row"


@pytest.mark.parametrize("address", ["H140", "A140", "B140", "D140"])
def test_a_stray_cell_far_below_is_one_finding(tmp_path, address):
    def stray(sheet: Any) -> None:
        sheet[address] = "."

    result = screened(tmp_path, edited(Draft("enrolment").with_total().xlsx(), stray))
    (finding,), (filing,) = result.findings, result.filings
    assert filing.rows_n == 2 and '"label": "不成数据的行", "rows_n": 1, "rows": "140"' in filing.passed_over
    assert (finding.rule_id, finding.cell) == ("FILE-0-stray-row", address)
    assert f"第 140 行只有 {address} 有内容" in finding.message and address in finding.remedy


def test_formulas_filled_down_to_zero_are_one_finding(tmp_path):
    draft = schools(3)

    def filled_down(sheet: Any) -> None:
        for row in range(20, 1001):
            for column in range(4, 20):
                sheet.cell(row, column, 0)

    finding = only(tmp_path, edited(draft.xlsx(), filled_down))
    assert finding.rule_id == "FILE-0-stray-row"
    assert "第 20–1000 行（共 981 行）只有 0（D20:S1000）" in finding.message


def test_a_row_of_zeros_under_a_name_is_data(tmp_path):
    draft = Draft("population")
    draft.rows[0].update(population_total=0, population_male=0, population_female=0)
    assert found(tmp_path, draft.xlsx()) == []


def test_rows_of_which_only_the_names_are_filled_are_one_finding(tmp_path):
    draft = schools(6)
    for row in draft.rows[2:]:
        for name in set(row) - {"school_code", "school_name", "stage"}:
            row[name] = None
    finding = only(tmp_path, draft.xlsx())
    assert (finding.rule_id, finding.cell) == ("FILE-1a-row-unfilled", "A6")
    assert finding.message.startswith("第 6–9 行（共 4 行）")


@pytest.mark.parametrize(
    ("areas", "named"),
    [
        (["A4:A5"], ["A4 与 A5 合并"]),
        (["A4:A6", "B4:B6"], ["A4 与 A5:A6 合并", "B4 与 B5:B6 合并"]),
        (["D4:E4"], ["D4 与 E4 合并"]),
    ],
)
def test_merged_cells_are_one_finding_for_the_rows_they_join(tmp_path, areas, named):
    def merged(sheet: Any) -> None:
        for area in areas:
            sheet.merge_cells(area)

    finding = only(tmp_path, edited(schools(4).xlsx(), merged))
    assert (finding.rule_id, finding.cell) == ("FILE-1b-merged-cells", areas[0].partition(":")[0])
    assert all(words in finding.message for words in named) and "取消合并" in finding.remedy


def test_merged_titles_notes_and_totals_are_nothing_to_speak_of(tmp_path):
    draft = Draft("enrolment").with_total()

    def merged(sheet: Any) -> None:
        for area in ("A1:AG1", "A6:B6", "A8:AG8"):
            sheet.merge_cells(area)

    assert found(tmp_path, edited(draft.xlsx(), merged)) == []


def test_what_hides_rows_is_asked_about_once_for_each_way(tmp_path):
    draft = schools(60)

    def hidden(sheet: Any) -> None:
        for row in (*range(10, 41), 50):
            sheet.row_dimensions[row].hidden = True
        sheet.auto_filter.ref = "A3:AG45"
        sheet.row_dimensions.group(55, 58, hidden=True)
        sheet.column_dimensions.group("G", "I", hidden=True)
        sheet.column_dimensions["L"].hidden = True
        sheet.column_dimensions["N"].hidden = True

    findings = screened(tmp_path, edited(draft.xlsx(), hidden)).findings
    assert {(one.rule_id, one.cell): one.message.partition("，")[0] for one in findings} == {
        ("FILE-1b-filter-left-on", "A10"): "第 10–40 行（共 31 行）被筛选隐藏",
        ("FILE-1b-hidden-data", "A50"): "第 50 行被隐藏",
        ("FILE-1b-folded-group", "A55"): "第 55–58 行（共 4 行）在折叠的分组里",
        ("FILE-1b-folded-group", "G3"): "第 G–I 列（共 3 列）在折叠的分组里",
        ("FILE-1b-hidden-data", "L3"): "第 L 列、第 N 列（共 2 列）被隐藏",
    }
    assert len({(one.rule_id, one.subject, one.column_label) for one in findings}) == 5


@pytest.mark.parametrize("folded", [False, True])
def test_a_hidden_column_in_which_nothing_is_filled_is_nothing_to_ask_about(tmp_path, folded):
    draft = Draft("school")
    for row in draft.rows:
        row["closed_on"] = None

    def hidden(sheet: Any, *letters: str) -> None:
        for letter in letters:
            sheet.column_dimensions[letter].hidden = True
            sheet.column_dimensions[letter].outlineLevel = int(folded)

    blank, filled = (draft.header_cell(name)[0] for name in ("closed_on", "organiser"))
    assert found(tmp_path, edited(draft.xlsx(), lambda sheet: hidden(sheet, blank))) == []
    finding = only(tmp_path, edited(draft.xlsx(), lambda sheet: hidden(sheet, blank, filled)))
    assert finding.message.startswith(f"第 {filled} 列") and blank not in finding.message.partition("，")[0]


def test_rows_hidden_by_hand_in_an_xls_are_one_query(tmp_path):
    book = xlwt.Workbook(encoding="utf-8")
    page = book.add_sheet("表")
    for row, values in enumerate(schools(9).grid()):
        for column, value in enumerate(values):
            if value is not None:
                page.write(row, column, value)
        page.row(row).hidden = row in (4, 5, 8)
    target = io.BytesIO()
    book.save(target)
    finding = only(tmp_path, target.getvalue(), "报表.xls")
    assert finding.message.startswith("第 5–6 行、第 9 行（共 3 行）被隐藏")


def test_an_error_filled_down_a_column_is_one_finding(tmp_path):
    draft = schools(60)
    for row in draft.rows:
        row["boarders"] = "#REF!"
    finding = only(tmp_path, draft.xlsx())
    first, last = draft.cell(0, "boarders"), draft.cell(59, "boarders")
    assert (finding.rule_id, finding.cell) == ("FILE-1b-error-cell", first)
    assert f"{first}:{last} 共 60 个单元格都是如此。" in finding.message


def test_formulas_never_calculated_are_one_finding_a_range(tmp_path):
    draft = schools(20, "teacher_pay")
    for row in draft.rows:
        row["basic_salary_yuan"] = row["performance_pay_yuan"] = "=1+1"
    finding = only(tmp_path, draft.xlsx())
    area = f"{draft.cell(0, 'basic_salary_yuan')}:{draft.cell(19, 'performance_pay_yuan')}"
    assert f"{area} 共 40 个单元格都是如此" in finding.message


@pytest.mark.parametrize("value", [None, "—", "约三十"])
def test_a_column_that_is_wrong_alike_in_every_row_is_one_finding(tmp_path, value):
    draft = schools(12)
    for row in draft.rows:
        row["boarders"] = value
    finding = only(tmp_path, draft.xlsx())
    assert (finding.rule_id, finding.cell) == ("XB02-1a-boarders", draft.cell(0, "boarders"))
    assert f"{draft.cell(0, 'boarders')}:{draft.cell(11, 'boarders')} 共 12 个单元格都是如此" in finding.message


def test_a_column_of_percentages_is_one_finding_whatever_they_say(tmp_path):
    draft = schools(12)
    for number, row in enumerate(draft.rows):
        row["boarders"] = f"{number}.5%"
    assert only(tmp_path, draft.xlsx()).rule_id == "XB02-1a-boarders"


def test_of_cells_told_together_that_hold_different_texts_one_is_an_example(tmp_path):
    draft = schools(5, "teacher_pay")
    for row, text in zip(draft.rows, ["9①", "十", "约8", "7人", "二十"], strict=True):
        row["teachers_average"] = text
    one, other = screened(tmp_path, draft.xlsx()).findings
    assert "填的是“9①”" in one.message and "①”（" in one.message and "都是如此" not in one.message
    assert "填的如“十”，不是数字。" in other.message and "共 4 个单元格都是如此" in other.message
    assert "①" not in other.message


def test_what_all_cells_told_together_share_is_said_of_all(tmp_path):
    draft = schools(4, "teacher_pay")
    for number, row in enumerate(draft.rows):
        row["teachers_average"] = f"{number}①"
    message = only(tmp_path, draft.xlsx()).message
    assert "填的如“0①”，不是数字，其中有“①”" in message and "共 4 个单元格都是如此" in message
    for number, row in enumerate(draft.rows):
        row["teachers_average"] = f"1,00{number}"
    told = [one.message for one in screened(tmp_path, draft.xlsx()).findings if one.rule_id == "FILE-1a-text-number"]
    assert len(told) == 1 and told[0].startswith("数字带有千分位或全角字符（如“1,000”已按 1000 读取）。")


def test_cells_that_are_wrong_each_in_its_own_way_are_told_one_by_one(tmp_path):
    draft = schools(12)
    for number in (1, 2, 3, 7):
        draft.rows[number]["boarders"] = f"约{number}"
    draft.rows[9]["boarders"] = draft.rows[10]["boarders"] = "—"
    assert [cell for *_, cell in found(tmp_path, draft.xlsx())] == [
        draft.cell(number, "boarders") for number in (1, 2, 3, 7, 9, 10)
    ]


def test_rows_that_do_not_add_up_are_told_one_by_one(tmp_path):
    draft = schools(4)
    for row in draft.rows:
        row["repeaters"] = 61
    assert len(found(tmp_path, draft.xlsx())) == 4


# --- the shapes -------------------------------------------------------------------------------------------------------


def test_cells_are_joined_into_rectangles_by_cause():
    cells = {(row, column): "a" for row in (3, 4, 6) for column in (1, 3)} | {(4, 5): "b", (6, 5): "b"}
    (one, two) = blocks(cells, rows=[3, 4, 6, 7], columns=[1, 3, 5])
    assert (one.row, one.column, one.last_row, one.last_column, one.cells_n) == (3, 1, 6, 3, 6)
    assert (two.row, two.column, two.last_row, two.last_column, two.cells_n) == (4, 5, 6, 5, 2)


def test_merged_areas_that_overlap_are_not_followed_without_end():
    table = table_of("civil_servant_pay", Draft("civil_servant_pay").rows)
    area = (0, 0, 1_048_575, 16_383)
    table.sheet = Sheet("表", table.sheet.rows, merged=(area,) * 100_000)
    observations = list(structure([table]))
    assert isinstance(observations[0], Observation) and len(observations) == 1
