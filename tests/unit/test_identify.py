"""Which return, county and period a file holds, and which of its rows are data, however the sheet is laid out."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from builders import DINGXIANG, FORMER, NEW, PERIODS, SETTINGS, SIGNED, XINFU, CountyName, Draft

from pipelines.returns import current_definitions
from pipelines.screening.identify import Identified, Table, county_in, identify
from pipelines.workbooks.workbook import Sheet, Workbook, cell_text

Grid = list[list[Any]]


def found(
    *sheets: tuple[str, Grid], file_name: str = "报表.xlsx", sources: tuple[str, ...] = (XINFU.code,), **more: Any
) -> Identified:
    pages = [Sheet(name, [[cell_text(value) for value in row] for row in rows], **more) for name, rows in sheets]
    return identify(
        Workbook("xlsx", pages),
        file_name=file_name,
        counties=SETTINGS.counties,
        source_counties=sources,
        periods=PERIODS,
    )


def only_table(*sheets: tuple[str, Grid], **more: Any) -> Table:
    """The one table, with nothing wrong."""
    result = found(*sheets, **more)
    assert len(result.tables) == 1 and result.observations == []
    assert result.tables[0].observations == []
    return result.tables[0]


def wrong(*sheets: tuple[str, Grid], **more: Any) -> list[tuple[str, str]]:
    """(rule, cell) of everything that was observed."""
    result = found(*sheets, **more)
    seen = [*result.observations, *(observation for table in result.tables for observation in table.observations)]
    return [(observation.rule_id, observation.cell) for observation in seen]


def said(table: Table) -> tuple[str, str | None, str | None]:
    return table.definition.return_code, table.county_code, table.period.code if table.period else None


def body(return_code: str = "enrolment", **more: Any) -> Grid:
    """Header, data and notes alone."""
    return Draft(return_code, **more).grid()[2:]


ENROLMENT = ("enrolment", "140902", "2024-2025")

# --- covers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cover",
    [
        [["表号：XB02"], ["填报单位：忻府区"], ["行政区划代码：140902"], ["报告期：2024-2025学年"]],
        [["表号:XB02", None, "填报单位 : 忻府区", "报 告 期:2024—2025学年"]],
        [["表号", "XB02", None, "填报单位", "忻府区"], ["报告期", None, "2024-2025学年"]],
        [["填报单位：忻府区　行政区划代码：140902　报告期：2024-2025学年　表号：XB02"]],
        [["忻府区2024-2025学年在校（园）学生统计表"]],
        [["忻 府 区\n2024－2025 学年\n在校（园）学生统计表"]],
        [["填报单位（盖章）", None], ["忻府区２０２４－２０２５学年在校（园）学生统计表"]],
    ],
)
def test_a_cover_may_stand_in_one_cell_or_in_two_or_in_the_title(cover):
    assert said(only_table(("表", [*cover, *body()]))) == ENROLMENT


def test_a_cover_may_be_a_sheet_of_its_own():
    cover = [
        ["统计报表封面"],
        ["表号", "XB02"],
        ["填报单位", "忻府区"],
        ["行政区划代码", "140902"],
        ["报告期", "2024-2025学年"],
    ]
    assert said(only_table(("封面", cover), ("数据", body()))) == ENROLMENT
    assert said(only_table(("数据", body()), ("封面", cover))) == ENROLMENT


def test_the_hidden_sheet_of_our_template_names_return_county_and_period():
    metadata = [["form", "XB02"], ["county_code", "140902"], ["period", "2024-2025"]]
    table = only_table(("数据", body()), ("_xianbao", metadata))
    assert said(table) == ENROLMENT and table.sheet.name == "数据"


def test_a_csv_carries_its_cover_in_its_first_lines():
    rows = [["表号", "XB05"], ["填报单位", "忻府区"], ["报告期", "2024年"], *body("civil_servant_pay")]
    assert said(only_table(("", rows), file_name="a.csv")) == ("civil_servant_pay", "140902", "2024")


def test_a_look_alike_character_in_a_county_name_is_mended():
    cover = [["填报单位", "原平巿"], ["报告期", "2024-2025学年"]]
    assert said(only_table(("表", [*cover, *body()]), sources=("140981",)))[1] == "140981"


def test_the_longest_county_name_wins():
    counties = [CountyName("1", "平市"), CountyName("2", "原平市")]
    assert county_in("原平市2024年学龄人口", counties) == "2"
    assert county_in("市直学校", counties) is None


@pytest.mark.parametrize(
    ("cover", "sources", "rule", "cell"),
    [
        ([["填报单位", "忻府区", "行政区划代码", "140921"]], ("140921",), "FILE-0-county-conflict", "B1"),
        ([["填报单位", "定襄县", "行政区划代码", "140921"]], ("140902",), "FILE-0-county-conflict", "D1"),
        ([["填报单位", "忻府县", "行政区划代码", "140902"]], ("140902",), "FILE-0-county-unknown", "B1"),
        ([["填报单位", "某某县"]], ("140902",), "FILE-0-county-unknown", "B1"),
        ([["填报单位："]], ("140902",), "FILE-0-county-missing", "A3"),
    ],
)
def test_a_county_that_contradicts_itself_or_its_inbox_is_an_error_at_the_claim(cover, sources, rule, cell):
    rows = [*cover, ["报告期：2024-2025学年"], *body()]
    assert wrong(("表", rows), sources=sources) == [(rule, cell)]


def test_bytes_in_two_inboxes_may_come_from_either():
    rows = [["填报单位：定襄县 报告期：2024-2025学年"], *body(county=DINGXIANG)]
    assert said(only_table(("表", rows), sources=(XINFU.code, DINGXIANG.code)))[1] == DINGXIANG.code


@pytest.mark.parametrize(
    ("cover", "rule", "cell"),
    [
        (
            [["填报单位：忻府区"], ["报告期", "2023-2024学年"], ["2024-2025学年在校（园）学生统计表"]],
            "FILE-0-period-conflict",
            "A3",
        ),
        ([["填报单位：忻府区"], ["报告期", "2024年"]], "FILE-0-period-type", "B2"),
        ([["填报单位：忻府区"], ["报告期", "1999-2000学年"]], "FILE-0-period-unexpected", "B2"),
        ([["填报单位：忻府区"], ["报告期", "上学期"]], "FILE-0-period-unreadable", "B2"),
        ([["填报单位：忻府区"]], "FILE-0-period-missing", "A2"),
    ],
)
def test_a_period_that_is_wrong_is_an_error_at_the_claim(cover, rule, cell):
    assert wrong(("表", [*cover, *body()])) == [(rule, cell)]


@pytest.mark.parametrize(
    ("file_name", "rules"),
    [
        ("定襄县2024-2025学年在校学生.xlsx", ["FILE-0-name-conflict"]),
        ("忻府区2023-2024学年在校学生.xlsx", ["FILE-0-name-conflict"]),
        ("定襄县2023-2024学年在校学生.xlsx", ["FILE-0-name-conflict"] * 2),
        ("忻府区2024-2025学年在校学生（第2次报送）.xlsx", []),
        ("忻府区2024年报送.xlsx", []),  # the year of sending is no claim on a school year
        ("在校学生-2000.xlsx", []),
        ("忻府区2023-2024.xlsx", []),
        ("在校学生20231012(2) - 副本.xlsx", []),
        ("联系电话3022023-2024.xlsx", []),
        ("v2023_2023.xlsx", []),
        ("当定襄县区在校学生.xlsx", []),
        ("美丽定襄县在校学生.xlsx", []),
        ("忻州市定襄县在校学生.xlsx", ["FILE-0-name-conflict"]),
        ("XB02_定襄县在校学生.xlsx", ["FILE-0-name-conflict"]),
        ("在校学生 定襄县.xlsx", ["FILE-0-name-conflict"]),
        ("在校学生（定襄县）.xlsx", ["FILE-0-name-conflict"]),
        ("2024-2025学年定襄县在校学生.xlsx", ["FILE-0-name-conflict"]),
        ("2定襄县在校学生.xlsx", ["FILE-0-name-conflict"]),
        ("忻府区转定襄县在校学生.xlsx", []),  # two names: neither is said to be whose it is
        ("定襄县域教育2024-2025学年.xlsx", []),
        ("140921在校学生.xlsx", []),
        ("最终版.xlsx", []),
    ],
)
def test_the_file_name_decides_nothing_but_must_not_contradict(file_name, rules):
    rows = Draft("enrolment").grid()
    assert [rule for rule, _ in wrong(("表", rows), file_name=file_name)] == rules
    assert said(found(("表", rows), file_name=file_name).tables[0]) == ENROLMENT


def test_a_missing_period_is_not_taken_from_the_file_name():
    rows = [["填报单位：忻府区"], *body()]
    result = found(("表", rows), file_name="忻府区2024-2025学年.xlsx")
    assert result.tables[0].period is None
    assert "不能以文件名为准" in result.tables[0].observations[0].detail


def test_a_form_number_that_is_not_the_headers_is_a_conflict():
    draft = Draft("enrolment")
    draft.put_cover("表号", "XB04")
    assert wrong(("表", draft.grid())) == [("FILE-0-return-conflict", "B2")]


# --- headers ----------------------------------------------------------------------------------------------------------


def two_row_header(draft: Draft) -> Grid:
    """The header with its groups above, as merged cells are stored: the text in the first cell, the rest blank."""
    grid = draft.grid()
    upper: list[str | None] = []
    lower: list[str | None] = []
    group = None
    for name in draft.columns:
        declared = draft.definition.column(name)
        if declared.group:
            upper.append(declared.group if declared.group != group else None)
            lower.append(draft.headers[name])
        else:
            upper.append(draft.headers[name])
            lower.append(None)
        group = declared.group
    return [*grid[:2], upper, lower, *grid[3:]]


@pytest.mark.parametrize("return_code", ["enrolment", "teacher_pay", "civil_servant_pay"])
def test_a_header_of_two_rows_is_one_header(return_code):
    draft = Draft(return_code)
    table = only_table(("表", two_row_header(draft)))
    assert list(table.columns) == draft.columns
    assert (table.header_row, table.first_data_row) == (2, 4)
    assert table.data_rows == [4, 5]


@pytest.mark.parametrize(
    ("label", "written"),
    [
        ("在校生数", "在校生数（人）"),
        ("在校生数", "在校生数(人)"),
        ("在校生数", "在 校\n生 数\r\n（人）"),
        ("在校生数", "　在校生数　"),
        ("在校生数", "在校生总数"),
        ("其中女生", "其中：女"),
        ("3岁", "３岁"),
        ("2岁及以下", "2 岁 及 以 下"),
        ("学校标识码", "学校（机构）标识码"),
        ("学校标识码", "学校(机构)标识码"),
    ],
)
def test_a_label_is_known_whatever_its_brackets_breaks_and_width(label, written):
    draft = Draft("enrolment")
    name = draft.definition.label_owner[label]
    draft.headers[name] = written
    table = only_table(("表", draft.grid()))
    assert table.columns[name] == draft.columns.index(name)


def test_columns_may_stand_in_any_order():
    draft = Draft("teacher_pay")
    draft.columns.reverse()
    table = only_table(("表", draft.grid()))
    assert [name for name, _ in sorted(table.columns.items(), key=lambda item: item[1])] == draft.columns


def test_every_label_and_alias_of_every_return_finds_its_column():
    for return_code, defined in current_definitions().items():
        for column in defined.columns:
            for label in (column.label, *column.aliases):
                draft = Draft(return_code)
                draft.headers[column.name] = label
                assert draft.columns.index(column.name) == only_table(("表", draft.grid())).columns[column.name], label


def test_a_header_is_found_below_instructions():
    instructions = [[f"说明{number}：请如实填写。"] for number in range(20)]
    draft = Draft("enrolment")
    table = only_table(("表", [*draft.grid()[:2], *instructions, *draft.grid()[2:]]))
    assert table.header_row == 22


def test_a_label_as_a_value_in_a_data_row_is_no_header():
    draft = Draft("rural_subsidy")  # 乡镇工作补贴 is a programme here and a column of the pay returns
    table = only_table(("表", draft.grid()))
    assert len(table.data_rows) == 2


def test_a_unit_that_is_not_the_declared_one_is_an_error_at_the_header():
    draft = Draft("teacher_pay")
    draft.headers["pay_total_yuan"] = "工资总额（万元）"
    assert wrong(("表", draft.grid())) == [("FILE-0-unit-conflict", draft.header_cell("pay_total_yuan"))]


def with_line(return_code: str, *lines: list[Any]) -> Grid:
    grid = Draft(return_code).grid()
    return [*grid[:2], *lines, *grid[2:]]


#: Ways to say 万元 beside a table.
MYRIAD = ["单位：万元", "计量单位:万元", "金额单位： 万元", "（单位：万元）", "单 位：万 元", "单位 万元", "单位：人民币万元", "单位：人、万元",
          "单位：所、人、万元", "填报单位：忻府区　计量单位：万元　报告期：2024年", "本表金额以万元为单位。", "单\u200b位：万元"]  # fmt: skip
NO_UNIT = [
    "单位：忻府区教育局",
    "填报单位：忻府区",
    "填报单位（盖章）：",
    "单位负责人：万元",
    "单位：元氏县教育局",
    "单位：人民政府",
    "单位：",
    "各单位人、财、物",
]


REMARKS_ON_UNITS = [
    "注：本表金额以元为单位，不以万元为单位。", "附：单位换算，1万元=10000元，单位：万元", "上年单位：万元，本年单位：元", "以元为单位（上年以万元为单位）",
    "注：不得以万元为单位。", "说明：本表金额单位为元，不是万元", "注：单位：元；去年以千元为单位。", "注：金额以元为单位，折算表单位：万元",
]  # fmt: skip
CLAIMS_IN_TEXT = [
    "注：不以元为单位，以万元为单位。", "注：口径与上年一致，以万元为单位。", "注：上年、本年均以万元为单位。", "注：已换算，单位：万元",
    "注：非税收入以万元为单位。", "注：沿用上年，金额单位：万元。", "单位：元、万元",
    "注：工资以元为单位，奖金以万元为单位。",
]  # fmt: skip


@pytest.mark.parametrize("text", REMARKS_ON_UNITS)
def test_a_unit_that_running_text_denies_converts_or_says_of_another_year_is_no_claim(text):
    grid = Draft("teacher_pay").grid()
    assert wrong(("表", [*grid, [text]])) == wrong(("表", with_line("teacher_pay", [text]))) == []


@pytest.mark.parametrize("text", CLAIMS_IN_TEXT)
def test_a_unit_that_running_text_claims_is_one_whatever_else_it_says(text):
    grid = Draft("teacher_pay").grid()
    assert [rule for rule, _ in wrong(("表", [*grid, [text]]))] == ["FILE-0-unit-conflict"]


@pytest.mark.parametrize("text", MYRIAD)
def test_a_unit_said_above_the_table_is_a_claim(text):
    assert wrong(("表", with_line("teacher_pay", [None, text]))) == [("FILE-0-unit-conflict", "B3")]
    right = text.replace("万 元", "元").replace("万元", "元")
    assert wrong(("表", with_line("teacher_pay", [None, right]))) == []


@pytest.mark.parametrize("text", NO_UNIT)
def test_who_reports_is_no_unit(text):
    found_rules = wrong(("表", with_line("teacher_pay", ["编制", text])))
    assert [rule for rule, _ in found_rules if rule == "FILE-0-unit-conflict"] == []


@pytest.mark.parametrize(
    ("return_code", "text", "is_wrong"),
    [
        ("enrolment", "单位：人", False),
        ("enrolment", "单位：所、人", False),
        ("enrolment", "单位：人、元", False),  # the same line over every form of a set
        ("enrolment", "单位：人次", False),
        ("enrolment", "单位：万人", True),
        ("enrolment", "单位：万元", True),
        ("enrolment", "单位：元", True),
        ("school", "单位：所", False),
        ("school", "单位：万元", False),  # no number of the register stands in any unit
        ("rural_subsidy", "单位：人、元、元/人·月、月", False),
        ("rural_subsidy", "单位：千元", True),
        ("population", "单位：岁、人", False),
        ("civil_servant_pay", "单位：百万元", True),
        ("civil_servant_pay", "单位：分", True),
    ],
)
def test_every_unit_that_is_said_must_be_one_of_the_forms(return_code, text, is_wrong):
    expected = [("FILE-0-unit-conflict", "A3")] if is_wrong else []
    assert wrong(("表", with_line(return_code, [text]))) == expected


def test_a_unit_may_be_said_anywhere_beside_the_table():
    grid = Draft("teacher_pay").grid()
    title = str(grid[0][0])
    places: list[tuple[Grid, str]] = [
        ([[title + "　单位：万元"], *grid[1:]], "A1"),
        ([[title + "（万元）"], *grid[1:]], "A1"),
        ([[title + "（单位：万元）"], *grid[1:]], "A1"),
        ([grid[0], [*grid[1], "单位", "万元"], *grid[2:]], "I2"),
        ([*grid[:2], [*grid[2], "单位：万元"], *grid[3:]], "Q3"),
        ([*grid, ["注：金额单位为万元。"]], "A8"),
    ]
    for rows, cell in places:
        assert wrong(("表", rows)) == [("FILE-0-unit-conflict", cell)], rows
    cover = [["单位：万元"], ["填报单位", "忻府区"], ["报告期", "2024年"]]
    assert wrong(("封面", cover), ("表", body("teacher_pay"))) == [("FILE-0-unit-conflict", "A1")]
    header = two_row_header(Draft("teacher_pay"))
    header[2] = ["工资构成（万元）" if text == "工资构成" else text for text in header[2]]
    assert wrong(("表", header)) == [("FILE-0-unit-conflict", "E3")]


def test_a_unit_on_the_cover_of_several_returns_is_held_against_those_that_have_one_of_its_kind():
    cover = [["单位：元"], ["填报单位", "忻府区"]]
    pages = [(code, Draft(code).grid()) for code in ("enrolment", "teacher_pay", "school")]
    assert wrong(("封面", cover), *pages) == []


def test_a_column_that_is_not_known_is_an_error_only_when_it_holds_data():
    draft = Draft(
        "enrolment", extra_columns=[("经费来源", [None, "县级"]), ("空列", [None, None]), ("备注", ["甲", "乙"])]
    )
    assert wrong(("表", draft.grid())) == [("FILE-0-unknown-column", draft.extra_cell(0))]


def test_columns_that_clerks_add_to_any_form_are_let_pass():
    grid = Draft("school").grid()
    grid[2:] = [["序号", *grid[2]], *([number, *row] for number, row in enumerate(grid[3:5], start=1)), *grid[5:]]
    assert only_table(("表", grid)).columns["school_code"] == 1


def test_every_missing_column_is_named():
    draft = Draft("enrolment")
    for name in ("repeaters", "boarders"):
        draft.columns.remove(name)
    observations = found(("表", draft.grid())).tables[0].observations
    assert [observation.rule_id for observation in observations] == ["FILE-0-missing-column"] * 2
    assert [observation.expected for observation in observations] == ["留级生数", "寄宿生数"]


def test_a_missing_optional_column_is_no_error():
    draft = Draft("school")
    draft.columns.remove("closed_on")
    assert "closed_on" not in only_table(("表", draft.grid())).columns


def test_a_sheet_without_any_header_names_what_was_searched():
    result = found(("资产", [["装备名称", "数量"], ["显微镜", 3]]), ("说明", [["填报说明"]]))
    assert result.tables == []
    assert [(seen.rule_id, seen.detail) for seen in result.observations] == [
        ("FILE-0-return-unknown", "“资产”、“说明”")
    ]


def test_a_workbook_without_a_cell_is_empty():
    assert [seen.rule_id for seen in found(("表", [])).observations] == ["FILE-0-empty"]


# --- rows -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "row",
    [
        ["填表人：甲", None, "审核人：乙", None, "单位负责人：丙", "报出日期：2024年10月8日"],
        ["填表人", "甲", "审核人", "乙"],
        ["填表人：", "甲", "联系电话：", 3022331],
        ["注：1. 本表按9月1日统计。"],
        ["  注：缩进的注。"],
        ["备注：甲校撤并。"],
        ["数据说明：见附件"],
        ["填表人 甲", "审核人 乙"],
        ["五台县教育局（盖章）", "填表人：甲", "2024年10月8日"],
        ["负责人：甲", "联系电话：", "0350-3022331", "报出日期：", "2024-10-08"],
        [None, None, "单位负责人：丁"],
    ],
)
def test_notes_and_sign_offs_are_never_data(row):
    table = only_table(("表", Draft("enrolment", notes=[row, SIGNED]).grid()))
    assert table.data_rows == [3, 4]


def test_the_row_of_column_numbers_is_no_data():
    grid = Draft("enrolment").grid()
    numbers: list[Any] = ["甲", "乙", "丙", *range(1, len(grid[2]) - 2)]
    assert only_table(("表", [*grid[:3], numbers, *grid[3:]])).data_rows == [4, 5]


def test_a_header_repeated_at_a_page_break_parts_nothing():
    grid = Draft("enrolment").grid()
    table = only_table(("表", [*grid[:4], grid[2], *grid[4:]]))
    assert table.data_rows == [3, 5]


def test_a_header_of_two_rows_repeated_at_a_page_break_parts_nothing():
    grid = two_row_header(Draft("enrolment"))
    table = only_table(("表", [*grid[:5], *grid[2:4], *grid[5:]]))
    assert table.data_rows == [4, 7]


def test_blank_rows_between_data_are_passed_over():
    grid = Draft("enrolment").grid()
    assert only_table(("表", [*grid[:4], [], [None, " "], *grid[4:]])).data_rows == [3, 6]


@pytest.mark.parametrize(
    ("column", "label"), [("school_code", "合计"), ("school_code", "合 计"), ("school_name", "全县合计")]
)
def test_a_total_row_is_told_from_data_by_its_label(column, label):
    draft = Draft("enrolment").with_total()
    draft.totals[0].pop("school_code")
    draft.totals[0][column] = label
    table = only_table(("表", draft.grid()))
    assert (table.data_rows, table.total_rows) == ([3, 4], [5])


def test_a_total_row_where_the_form_declares_none_is_no_data_and_is_told():
    draft = Draft("school")
    draft.rows.append({"school_code": "合计", "school_name": "2所"})
    (table,) = found(("表", draft.grid())).tables
    assert (table.data_rows, table.total_rows) == ([3, 4], [])
    assert wrong(("表", draft.grid())) == [("FILE-1b-subtotal", "A6")]


def test_a_row_of_which_only_a_name_is_filled_is_data():
    draft = Draft("enrolment")
    draft.rows.append({"school_name": "新建小学"})
    assert only_table(("表", draft.grid())).data_rows == [3, 4, 5]


# --- several returns --------------------------------------------------------------------------------------------------


def test_a_workbook_may_carry_every_return_on_a_sheet_of_its_own():
    sheets = [(code, Draft(code).grid()) for code in current_definitions()]
    result = found(*sheets)
    assert {said(table)[0] for table in result.tables} == set(current_definitions())
    assert [seen for table in result.tables for seen in table.observations] == []


def test_two_returns_may_stand_below_each_other_on_one_sheet():
    first, second = Draft("teacher_pay"), Draft("civil_servant_pay")
    rows = [*first.grid(), [], *second.grid()[2:]]
    one, other = found(("工资", rows)).tables
    assert (said(one), said(other)) == (
        ("teacher_pay", "140902", "2024"),
        ("civil_servant_pay", "140902", "2024"),
    )
    assert one.data_rows == [3, 4]
    assert other.data_rows == [len(first.grid()) + 2, len(first.grid()) + 3]


def test_one_cover_sheet_serves_all_returns_of_a_workbook():
    cover = [["填报单位", "忻府区"], ["报告期", "2024年"]]
    result = found(("封面", cover), ("一", body("population")), ("二", body("teacher_pay")))
    assert [said(table) for table in result.tables] == [
        ("population", "140902", "2024"),
        ("teacher_pay", "140902", "2024"),
    ]


def test_the_same_filing_twice_in_a_file_is_an_error_and_two_periods_are_not():
    now, before = Draft("enrolment"), Draft("enrolment", period="2023-2024")
    assert len(found(("一", now.grid()), ("二", before.grid())).tables) == 2
    (table,) = found(("一", now.grid()), ("二", now.grid())).tables
    (seen,) = table.observations
    assert (table.sheet.name, seen.rule_id, seen.sheet, seen.cell) == ("一", "FILE-0-return-repeated", "二", "A4")
    assert seen.detail == "“一”与“二”的第 4 行与第 4 行（1409020001/小学）、第 5 行与第 5 行（1409020002/初中）"


@pytest.mark.parametrize(
    "notes",
    [
        [["填表人：甲", "审核人：乙", "单位负责人：丙"]],
        [["填表人:甲　审核人:乙　单位负责人:丙　报出日期:2024年10月8日"]],
        [["填报人", "甲", "复核人（签字）", "乙", "负责人（盖章）：", "丙"]],
        [["制表：甲"], [None, "审核人（签章）：乙"], ["单位负责人：丙 联系电话：3022331"]],
    ],
)
def test_a_return_is_signed_by_name_however_the_line_is_laid_out(notes):
    assert only_table(("表", Draft("enrolment", notes=notes).grid())).observations == []


@pytest.mark.parametrize(
    ("notes", "lacking", "place"),
    [
        ([["填表人：甲", None, "审核人：乙", None, "单位负责人："]], "单位负责人", (5, 4)),
        ([["填表人：", None, "审核人：______", None, "单位负责人：丙"]], "填表人、审核人", (5, 0)),
        ([["填表人", None, "审核人", "乙", "单位负责人", "丙"]], "填表人", (5, 0)),
        ([["注：未签名。"]], "填表人、审核人、单位负责人", (2, 0)),
        ([["填表人：审核人：单位负责人："]], "填表人、审核人、单位负责人", (5, 0)),
    ],
)
def test_who_has_not_signed_is_named_at_the_place_to_sign(notes, lacking, place):
    (observation,) = found(("表", Draft("enrolment", notes=notes).grid())).tables[0].observations
    assert (observation.rule_id, observation.detail) == ("FILE-0-sign-off-missing", lacking)
    assert (observation.row, observation.column) == place


def test_a_cover_sheet_may_be_signed_in_place_of_the_table():
    cover = [["填表人", "甲"], ["审核人", "乙"], ["单位负责人", "丙"]]
    tables = found(("封面", cover), ("表", Draft("enrolment", notes=[["注：无。"]]).grid())).tables
    assert tables[0].observations == []


# --- counties that come and go ----------------------------------------------------------------------------------------

MERGED = date(2024, 7, 1)
LAST_BEFORE, FIRST_AFTER = (
    {"school": "2023-2024", "enrolment": "2023-2024", "population": "2023", "teacher_pay": "2023",
     "civil_servant_pay": "2023", "rural_subsidy": "2024Q2"},
    {"school": "2024-2025", "enrolment": "2024-2025", "population": "2024", "teacher_pay": "2024",
     "civil_servant_pay": "2024", "rural_subsidy": "2024Q3"},
)  # fmt: skip


def existence(
    return_code: str, period: str, *counties: CountyName, of: CountyName | None = None
) -> list[tuple[str, str, str]]:
    """(rule, day, words) of what is said of a county's faultless file for a period; the file is the first county's."""
    one = of or counties[0]
    result = identify(
        Workbook("xlsx", [Sheet("表", [[cell_text(value) for value in row] for row in
                                       Draft(return_code, county=one, period=period).grid()])]),
        file_name="报表.xlsx", counties=counties, source_counties=[one.code], periods={},
    )  # fmt: skip
    seen = [*result.observations, *(found for table in result.tables for found in table.observations)]
    assert {observation.cell for observation in seen} <= {"H2"}
    return [(found.rule_id, found.expected, found.detail.partition("，")[2]) for found in seen]


@pytest.mark.parametrize("return_code", sorted(current_definitions()))
def test_every_return_is_taken_of_the_counties_of_its_reference_day(return_code: str):
    gone = replace(FORMER, valid_to=MERGED, passed_into=(XINFU.code,))
    come = replace(NEW, valid_from=MERGED, came_from=(XINFU.code,))
    before, after = LAST_BEFORE[return_code], FIRST_AFTER[return_code]
    assert existence(return_code, before, gone, XINFU) == []
    assert existence(return_code, after, gone, XINFU) == [
        ("FILE-0-county-ended", "2024-07-01", f"应由{XINFU.name}报送")
    ]
    assert existence(return_code, after, come, XINFU) == []
    assert existence(return_code, before, come, XINFU) == [
        ("FILE-0-county-not-yet", "2024-07-01", f"应由{XINFU.name}报送")
    ]


@pytest.mark.parametrize(
    ("return_code", "period", "day"),
    [
        ("enrolment", "2024-2025", date(2024, 9, 1)),
        ("population", "2024", date(2024, 9, 1)),
        ("teacher_pay", "2024", date(2024, 12, 31)),
        ("rural_subsidy", "2024Q3", date(2024, 9, 30)),
        ("rural_subsidy", "2024-08", date(2024, 8, 31)),
    ],
)
def test_a_county_is_there_on_the_day_it_begins_and_not_on_the_day_it_ends(return_code: str, period: str, day: date):
    assert existence(return_code, period, replace(NEW, valid_from=day)) == []
    (ended,) = existence(return_code, period, replace(FORMER, valid_to=day, passed_into=()))
    assert ended == ("FILE-0-county-ended", day.isoformat(), "不由它报送")


def test_the_county_named_is_the_one_that_is_there_on_the_day_however_often_it_changed():
    gone = replace(FORMER, valid_to=date(2022, 1, 1), passed_into=("140990",))
    between = CountyName("140990", "中城县", date(2022, 1, 1), MERGED, (XINFU.code, DINGXIANG.code), (FORMER.code,))
    new = CountyName("140991", "末城县", MERGED, None, (), ("140990",))
    counties = (gone, between, new, XINFU, DINGXIANG)
    assert existence("population", "2024", *counties) == [
        ("FILE-0-county-ended", "2022-01-01", f"应由{XINFU.name}、{DINGXIANG.name}报送")
    ]
    assert existence("population", "2022", *counties) == [("FILE-0-county-ended", "2022-01-01", "应由中城县报送")]
    assert existence("population", "2021", *counties, of=new) == [
        ("FILE-0-county-not-yet", "2024-07-01", "应由旧城县报送")
    ]


def test_what_is_wrong_with_county_or_period_itself_is_said_alone():
    assert wrong(("表", Draft("enrolment", county=FORMER).grid()), sources=(XINFU.code,)) == [
        ("FILE-0-county-conflict", "F2")
    ]
    unexpected = Draft("enrolment", county=FORMER, period="2025-2026").grid()
    assert wrong(("表", unexpected), sources=(FORMER.code,)) == [("FILE-0-period-unexpected", "H2")]
