"""What every row of a sheet is: nothing that may be data is passed over, and every row is counted once."""

import json
from typing import Any

import pytest
from builders import DINGXIANG, SETTINGS, SIGNED, XINFU, Draft, submission, xlsx
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.returns import ReturnDefinition, current_definitions, definition
from pipelines.screening.identify import Table, identify
from pipelines.screening.rows import RowKind, RowsUnaccounted, account, row_numbers, sort_rows
from pipelines.screening.screen import screen
from pipelines.workbooks.workbook import Sheet, Workbook, cell_text

Grid = list[list[Any]]


def tables_of(*grids: Grid) -> list[Table]:
    sheets = [
        Sheet(f"表{number}", [[cell_text(value) for value in row] for row in grid]) for number, grid in enumerate(grids)
    ]
    return identify(
        Workbook("xlsx", sheets), file_name="报表.xlsx", counties=SETTINGS.counties, source_counties=(XINFU.code,),
        periods=SETTINGS.periods,
    ).tables  # fmt: skip


def table_of(draft: Draft) -> Table:
    (table,) = tables_of(draft.grid())
    return table


def kinds(table: Table) -> dict[str, list[int]]:
    return {kind.value: rows for kind, rows in table.passed_over.items()}


def told(table: Table) -> list[tuple[str, str]]:
    return [(one.rule_id, one.cell) for one in table.observations]


def with_remark(draft: Draft, *remarks: str | None) -> Grid:
    """The draft's grid with a column 备注 in front, in which these remarks stand beside the rows."""
    grid = draft.grid()
    beside = ["备注", *remarks, *[None] * (len(grid) - 3 - len(remarks))]
    return [*grid[:2], *([first, *row] for first, row in zip(beside, grid[2:], strict=True))]


# --- what looks like a note -------------------------------------------------------------------------------------------

REMARKS = [
    "注：学校未报",
    "备注：2024年新建",
    "说明：并入中心校",
    "负责人：甲",
    "填表人：甲",
    "注",
    "附注：推算数",
    "联系电话：3022331",
    "说明",
]


@pytest.mark.parametrize("return_code", sorted(current_definitions()))
@pytest.mark.parametrize("remark", REMARKS)
def test_a_row_that_a_remark_leads_is_data(return_code, remark):
    draft = Draft(return_code)
    (table,) = tables_of(with_remark(draft, remark, None))
    assert table.data_rows == list(range(3, 3 + len(draft.rows)))
    assert told(table) == []


@pytest.mark.parametrize("remark", REMARKS)
def test_a_row_whose_figures_are_all_missing_is_data_where_a_remark_leads_it(remark):
    draft = Draft("enrolment")
    for column in draft.definition.number_columns:
        if "not_reported" in column.missing:
            draft.rows[0][column.name] = "缺报"
    (table,) = tables_of(with_remark(draft, remark))
    assert table.data_rows == [3, 4]
    # One of which nothing but the code is filled is data too, and what it lacks is told.
    draft.rows[0] = {"school_code": "1409020001"}
    (table,) = tables_of(with_remark(draft, remark))
    assert table.data_rows == [3, 4]


@pytest.mark.parametrize(
    "row",
    [
        ["说明：", "见附件"],
        ["注：学校未报", "南关小学", "小学"],
        ["备注", None, "初中"],
        ["填表人：甲", "南关小学"],
    ],
)
def test_a_row_that_could_be_a_note_or_data_is_refused_once_where_it_begins(row):
    table = table_of(Draft("enrolment", notes=[row, SIGNED]))
    assert (table.data_rows, kinds(table)["unclear"]) == ([3, 4], [5])
    assert told(table) == [("FILE-0-row-unclear", "A6")]


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (["注：本表按9月1日统计，共 3 类学校。"], "note"),
        ([None, "注：缩进的注。"], "note"),
        (["注1、含教学点"], "note"),
        (["备 注：无"], "note"),
        (["注：小学含教学点的合计"], "note"),
        (["数据来源：县教育局"], "note"),
        ([None, None, None, "单位：人"], "note"),
        (
            ["填表人：甲", "审核人：乙", "单位负责人：丙", "联系电话：0350-3022331", "报出日期：2024年10月8日"],
            "sign_off",
        ),
        (["填 表 人：", "甲", "审 核 人：", "乙", None, "电话：", 13], "sign_off"),
        (["统计负责人：甲", "填表人：乙"], "sign_off"),
        (["单位负责人（签章）：丙", None, "（公章）"], "sign_off"),
    ],
)
def test_notes_and_sign_offs_below_the_table_are_passed_over_as_what_they_are(row, kind):
    leading = row if kind == "note" or not str(row[0]).startswith("统计") else ["填表人：乙", "统计负责人：甲"]
    table = table_of(Draft("enrolment", notes=[leading, SIGNED]))
    assert (table.data_rows, kinds(table)[kind][0]) == ([3, 4], 5)
    assert told(table) == []


@pytest.mark.parametrize("name", ["备注小学", "说明希望学校", "注册学校", "负责人小学", "合计小学", "总校"])
def test_a_school_is_no_note_and_no_total_for_its_name(name):
    draft = Draft("enrolment")
    draft.rows[0]["school_name"] = name
    draft.columns = ["school_name", *(column for column in draft.columns if column != "school_name")]
    assert table_of(draft).data_rows == [3, 4]


def test_a_row_of_figures_that_looks_like_the_numbers_of_columns_is_data():
    grid = Draft("civil_servant_pay").grid()
    figures = ["公务员", *range(1, len(grid[2]))]
    (table,) = tables_of([*grid[:3], figures, *grid[4:]])
    assert table.data_rows == [3, 4]


@pytest.mark.parametrize("return_code", sorted(current_definitions()))
@pytest.mark.parametrize("first", ["letters", "numbers", "brackets", "栏次"])
def test_the_numbers_of_columns_stand_under_the_header_and_nowhere_else(return_code, first):
    grid = Draft(return_code).grid()
    width = len(grid[2])
    numbers: list[Any] = {
        "letters": ["甲", "乙", *range(1, width - 1)],
        "numbers": list(range(1, width + 1)),
        "brackets": ["甲", *(f"（{number}）" for number in range(1, width))],
        "栏次": ["栏次", *range(1, width)],
    }[first]
    (table,) = tables_of([*grid[:3], numbers, *grid[3:]])
    assert kinds(table)["column_numbers"] == [3] and told(table) == []
    (table,) = tables_of([*grid[:4], numbers, *grid[4:]])
    assert 4 in table.data_rows


def posts(*rows: list[str | None], figures: int = 1, pattern: str | None = None) -> dict[str, list[int]]:
    """The kinds of the rows of a form that knows them by a free text (or by one of a pattern), with so many figures beside it."""
    key = {"name": "post", "label": "岗位", "type": "text", "required": True, "pattern": pattern}
    counts = [{"name": f"people_{n}", "label": f"人数{n}", "type": "count", "required": True} for n in range(figures)]
    defined = ReturnDefinition.model_validate(
        {"return": "posts", "form": "XB90", "version": 1, "title": "岗位人数统计表", "title_en": "Posts", "period_types": ["calendar_year"],
         "key": ["post"], "row_label": "post", "columns": [key, *counts]}
    )  # fmt: skip
    columns = {column.name: index for index, column in enumerate(defined.columns)}
    sorted_ = sort_rows(defined, Sheet("表", [list(columns), *rows]), columns, range(1, len(rows) + 1))
    return {kind.value: found for kind, found in sorted_.items()}


@pytest.mark.parametrize(
    "name", ["负责人", "填报人", "填表人", "联系人", "单位负责人", "教职工总数", "在校生总数", "注", "校长"]
)
def test_a_row_known_by_a_free_text_and_a_figure_is_data_whatever_it_is_called(name):
    assert posts([name, "7"]) == {"data": [1]}
    assert posts([name, "7", "缺报"], figures=2) == {"data": [1]}


def test_who_signs_below_a_form_of_free_text_is_a_signature_all_the_same():
    signed = [
        ["填表人", "甲"],
        ["填表人：甲", "审核人：乙"],
        ["联系电话", "3022331"],
        ["填表日期：", "2024"],
        ["负责人：丙", None],
    ]
    assert posts(["校长", "5"], *signed) == {"data": [1], "sign_off": [2, 3, 4, 5, 6]}
    assert posts(["负责人", "7", None, None, None], figures=4) == {"unclear": [1]}
    assert posts(["小学小计", "7"], ["合计", "9"], ["教职工合计", "9"]) == {"subtotal": [1, 2, 3]}


def test_a_total_of_any_name_is_a_subtotal_where_keys_can_be_told():
    assert posts(["教职工总数", "7"], ["140902", "7"], pattern="^[0-9]{6}$") == {"subtotal": [1], "data": [2]}


# --- totals -----------------------------------------------------------------------------------------------------------

TOTALS = ["合计", "合计：", "合 计", "总 计", "共计", "全县总计", "忻府区合计", "定襄县总计：", "Total", "TOTAL", "Sum", "汇总", "合计（2所）",
          "合计2所", "２０２４年合计", "县教育局合计", "合\u200b计", "全区合计", "本表合计",
          "忻府区2024年合计", "县合计", "累计", "合計", "【合计】", "合计*", "全县"]  # fmt: skip


@pytest.mark.parametrize("column", ["school_code", "school_name", "stage"])
@pytest.mark.parametrize("label", TOTALS)
def test_a_total_is_known_by_any_of_its_words_in_any_column_of_labels(column, label):
    draft = Draft("enrolment").with_total()
    draft.totals[0].pop("school_code")
    draft.totals[0][column] = label
    table = table_of(draft)
    assert (table.data_rows, table.total_rows) == ([3, 4], [5]) and told(table) == []


def test_a_total_in_the_column_of_running_numbers_is_one():
    draft = Draft("enrolment").with_total()
    draft.totals[0].pop("school_code")
    grid = draft.grid()
    grid[2:] = [["序号", *grid[2]], [1, *grid[3]], [2, *grid[4]], ["合计", *grid[5]], *grid[6:]]
    (table,) = tables_of(grid)
    assert (table.data_rows, table.total_rows) == ([3, 4], [5])


def test_a_total_may_be_spread_over_two_cells():
    draft = Draft("enrolment").with_total()
    draft.totals[0].update(school_code="合", school_name=" 计")
    assert table_of(draft).total_rows == [5]


def test_what_lies_astray_under_a_total_makes_it_no_subtotal():
    draft = Draft("enrolment").with_total()
    grid = draft.grid()
    (table,) = tables_of([*grid[:6], [None, None, None, 5], *grid[6:]])
    assert table.total_rows == [5] and "subtotal" not in kinds(table)


def test_a_note_with_a_figure_beside_it_is_one_unclear_row():
    grid = Draft("enrolment").with_total().grid()
    (table,) = tables_of([*grid[:6], ["注：", None, None, 12], *grid[6:]])
    assert (table.total_rows, kinds(table)["unclear"]) == ([5], [6])


def test_a_total_may_stand_above_its_rows_and_be_given_twice():
    draft = Draft("enrolment").with_total()
    grid = draft.grid()
    (table,) = tables_of([*grid[:3], grid[5], *grid[3:5], *grid[6:]])
    assert (table.data_rows, table.total_rows) == ([4, 5], [3]) and told(table) == []
    (table,) = tables_of([*grid[:3], grid[5], *grid[3:]])
    assert (table.data_rows, table.total_rows) == ([4, 5], [3, 6]) and told(table) == []


@pytest.mark.parametrize(
    "label",
    [
        "小计",
        "小学小计",
        "小计：",
        "小学合计",
        "南关学区合计",
        "第一学区总计",
        "本页合计",
        "其中：小学",
        "Subtotal",
        "合计",
    ],
)
def test_a_subtotal_is_told_once_and_the_right_total_is_not_blamed(label, tmp_path):
    draft = Draft("enrolment").with_total()
    draft.rows.insert(1, {**draft.rows[0], "school_code": label, "school_name": None, "stage": None})
    table = table_of(draft)
    assert (table.data_rows, table.total_rows, kinds(table)["subtotal"]) == ([3, 5], [6], [4])
    found = screen([submission(tmp_path, "报表.xlsx", draft.xlsx())], SETTINGS)
    assert [(one.rule_id, one.cell) for one in found.findings] == [("FILE-1b-subtotal", "A5")]
    assert "小计" in found.findings[0].message and found.filings[0].rows_n == 2


def test_subtotals_of_every_district_are_one_finding_that_names_their_rows():
    draft = Draft("enrolment").with_total()
    one, two = draft.rows
    sums = [{**row, "school_code": "合计", "school_name": None, "stage": None} for row in (one, two)]
    draft.rows = [one, sums[0], two, sums[1]]
    table = table_of(draft)
    assert (table.total_rows, kinds(table)["subtotal"]) == ([7], [4, 6])
    (observation,) = table.observations
    assert "第 5、7 行" in observation.detail
    draft.totals = []  # the last district's total is no total of the county
    assert (table_of(draft).total_rows, kinds(table_of(draft))["subtotal"]) == ([], [4, 6])


def test_the_total_of_a_stage_is_a_subtotal_unless_there_is_no_other_stage():
    draft = Draft("enrolment").with_total()
    draft.totals = [{**draft.rows[0], "school_code": "合计", "school_name": None}, *draft.totals]
    assert kinds(table_of(draft))["subtotal"] == [5] and table_of(draft).total_rows == [6]
    draft.rows, draft.totals = draft.rows[:1], draft.totals[:1]
    assert table_of(draft).total_rows == [4]


def test_a_row_with_a_code_of_its_own_is_data_even_when_it_is_called_a_total(tmp_path):
    draft = Draft("enrolment")
    draft.rows[1]["school_name"] = "合计"
    assert table_of(draft).data_rows == [3, 4]


def test_a_wrong_total_that_stands_alone_in_the_middle_is_still_held_against_all(tmp_path):
    draft = Draft("enrolment").with_total()
    total = {**draft.totals.pop(), "boarders": 7}
    draft.rows.insert(1, total)
    found = screen([submission(tmp_path, "报表.xlsx", draft.xlsx())], SETTINGS)
    assert [(one.rule_id, one.cell) for one in found.findings] == [("XB02-1c-total-row", draft.cell(1, "boarders"))]


@pytest.mark.parametrize("labels", [("常住合计", "户籍合计"), ("合计", "合计"), ("0—17岁合计", "0-17岁合计")])
@pytest.mark.parametrize("above", [False, True])
def test_the_totals_of_groups_are_checked_whether_they_name_their_group_or_close_it(labels, above, tmp_path):
    draft = Draft("population").with_total()
    totals, draft.totals = sorted(draft.totals, key=lambda row: row["register"]), []
    blocks = [[row for row in draft.rows if row["register"] == total["register"]] for total in totals]
    for total, label in zip(totals, labels, strict=True):
        total.update(age=label, register=None)
    draft.rows = [
        row
        for total, block in zip(totals, blocks, strict=True)
        for row in ([total, *block] if above else [*block, total])
    ]
    assert len(table_of(draft).total_rows) == 2
    assert screen([submission(tmp_path, "报表.xlsx", draft.xlsx())], SETTINGS).findings == []
    draft.rows[0 if above else 18]["population_male"] += 1
    found = screen([submission(tmp_path, "报表.xlsx", draft.xlsx())], SETTINGS).findings
    assert [one.rule_id for one in found] == ["XB03-1c-total-row"]


def population_in(order: str) -> Draft:
    """XB03 with unnamed totals: A and B are its registers, a and b their totals, T the total of all."""
    draft = Draft("population").with_total()
    registers = sorted({row["register"] for row in draft.rows})
    blocks = {
        letter: [row for row in draft.rows if row["register"] == name]
        for letter, name in zip("AB", registers, strict=True)
    }
    sums = {
        letter: next(one for one in draft.totals if one["register"] == name)
        for letter, name in zip("ab", registers, strict=True)
    }
    for total in sums.values():
        total["register"] = None
    people = [column.name for column in draft.definition.sum_columns]
    whole = {name: sum(sums[letter][name] for letter in "ab" if letter.upper() in order) for name in people}
    rows = {**blocks, **{letter: [total] for letter, total in sums.items()}}
    draft.rows = [dict(row) for letter in order for row in rows.get(letter, [{"age": "总计", **whole}])]
    draft.totals = []
    return draft


ORDERS = ["AaBbT", "TAaBb", "aAbBT", "TaAbB", "TAT", "TABT", "TAaBbT", "ABT", "TAB", "AT", "AaBb"]


@pytest.mark.parametrize("order", ORDERS)
def test_an_unnamed_total_is_held_against_its_block_or_its_table_whichever_it_is_nearer_to(order, tmp_path):
    draft = population_in(order)
    (filing,) = (found := screen([submission(tmp_path, "报表.xlsx", draft.xlsx())], SETTINGS)).filings
    assert (found.findings, filing.verdict) == ([], "accepted")
    wrong = next(number for number, row in enumerate(draft.rows) if not isinstance(row["age"], int))
    draft.rows[wrong]["population_male"] += 1
    (finding,) = screen([submission(tmp_path, "报表.xlsx", draft.xlsx())], SETTINGS).findings
    assert (finding.rule_id, finding.cell, finding.difference) == (
        "XB03-1c-total-row", draft.cell(wrong, "population_male"), "+1",
    )  # fmt: skip


@pytest.mark.parametrize("order", ["AaBb", "aAbB"])
def test_the_total_of_another_block_is_a_wrong_total(order, tmp_path):
    draft = population_in(order)
    first, second = (row for row in draft.rows if not isinstance(row["age"], int))
    second.update(first)
    found = screen([submission(tmp_path, "报表.xlsx", draft.xlsx())], SETTINGS).findings
    assert found and {one.rule_id for one in found} == {"XB03-1c-total-row"}


@pytest.mark.parametrize("return_code", ["enrolment", "teacher_pay", "rural_subsidy", "civil_servant_pay"])
def test_a_total_given_twice_is_held_against_all_rows_both_times(return_code, tmp_path):
    draft = Draft(return_code).with_total()
    grid = draft.grid()
    at = draft.first_data_row + len(draft.rows)
    twice = [*grid[:3], list(grid[at]), *grid[3:]]
    found = screen([submission(tmp_path, "报表.xlsx", xlsx(others={"表": twice}))], SETTINGS)
    assert (found.findings, [one.verdict for one in found.filings]) == ([], ["accepted"])


# --- nothing is anything else -----------------------------------------------------------------------------------------

LINES: list[list[Any]] = [
    [], [None, "\u200b"], ["注：甲"], ["说明：", "乙"], ["填表人：甲", "审核人：乙"], ["合计", None, None, 5], ["小计"], ["甲", "乙", "丙", 1, 2, 3],
    ["1409020009", "东关小学", "小学", 3], ["单位：元"], [None] * 40 + ["远处"], ["学校标识码", "学校名称", "学段"], ["备注", "南关小学"], [7],
]  # fmt: skip


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.lists(st.integers(0, len(LINES) - 1), max_size=12),
    st.lists(st.integers(0, len(LINES) - 1), max_size=4),
    st.booleans(),
)
def test_read_and_passed_over_are_the_rows_of_the_sheet(below, above, two_tables):
    one = Draft("enrolment").with_total().grid()
    grid = [*(LINES[number] for number in above), *one, *(LINES[number] for number in below)]
    if two_tables:
        grid += Draft("teacher_pay").grid()[2:]
    tables = tables_of(grid, Draft("school", county=DINGXIANG).grid())
    counted = [count for table in tables[:-1] for count in table.row_counts()]
    assert sum(count.rows_n for count in counted) == len(grid)
    assert len(tables) == 2 + two_tables
    for table in tables:
        placed = [*table.data_rows, *table.total_rows, *(row for rows in table.passed_over.values() for row in rows)]
        assert len(placed) == len(set(placed))
        # A key of its own makes a row data, whatever stands beside it.
        keyed = [
            row for row in range(table.first_data_row, table.last_data_row + 1) if "1409020009" in table.sheet.rows[row]
        ]
        assert set(keyed) <= {*table.data_rows}


def test_the_counts_of_a_filing_add_up_to_its_sheet_and_name_the_sheets_without_a_table(tmp_path):
    one, other = Draft("enrolment").with_total(), Draft("population", notes=[["注：甲"], [], SIGNED])
    content = xlsx(one, other, others={"附注": [["本表为虚构"], [None], ["数据"]]})
    filings = screen([submission(tmp_path, "报表.xlsx", content)], SETTINGS).filings
    for draft, filing in zip((one, other), filings, strict=True):
        told = json.loads(filing.passed_over or "")
        assert (
            filing.rows_n + sum(kind["rows_n"] for kind in told["kinds"]) == told["sheet_rows_n"] == len(draft.grid())
        )
        assert told["sheets"] == [{"sheet": "附注", "rows_n": 3}]
    assert {kind["label"]: kind["rows"] for kind in told["kinds"]} == {
        "标题与封面": "1–2", "表头": "3", "说明": "40", "签名": "42", "空行": "41"
    }  # fmt: skip


def test_a_row_that_is_counted_twice_or_not_at_all_is_our_fault(tmp_path):
    with pytest.raises(RowsUnaccounted):
        account({RowKind.DATA: [1, 2], RowKind.NOTE: [2]}, 0, 2)
    with pytest.raises(RowsUnaccounted):
        account({RowKind.DATA: [1, 2]}, 0, 2)
    assert [count.rows for count in account({RowKind.DATA: [1, 2], RowKind.BLANK: [0]}, 0, 2)] == ["2–3", "1"]


def test_rows_are_named_as_excel_shows_them():
    assert row_numbers([0, 3, 4, 5, 9]) == "1、4–6、10"
    assert row_numbers([]) == ""


def test_every_return_of_today_is_read_as_before():
    for code in current_definitions():
        draft = Draft(code).with_total() if definition(code).total_row else Draft(code)
        table = table_of(draft)
        assert table.data_rows == list(range(3, 3 + len(draft.rows)))
        assert len(table.total_rows) == len(draft.totals)
        assert sorted(kinds(table)) == ["header", "note", "sign_off", "title"]
