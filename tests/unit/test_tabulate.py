"""What a cell is taken for: always exactly one state, the number exact or not read at all."""

from dataclasses import replace
from decimal import Decimal

import polars as pl
import pytest
from builders import faultless_rows, table_of
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipelines.returns import ReturnDefinition, current_definitions
from pipelines.screening.tabulate import READ_STATES, CellState, tabulate

STATES = {state.value for state in CellState}
READ = {state.value for state in READ_STATES}
#: One column of each type.
COUNT, HEADCOUNT, MONEY = (
    ("enrolment", "students_total"),
    ("teacher_pay", "teachers_average"),
    ("teacher_pay", "pay_total_yuan"),
)
#: Few examples of many texts each: a frame costs as much for one text as for fifty.
quick = settings(max_examples=25, deadline=None, derandomize=True)


def only(*columns: tuple[str, str]) -> ReturnDefinition:
    """A form of these columns alone."""
    chosen = [current_definitions()[return_code].column(name) for return_code, name in columns]
    plain = {
        "return": "enrolment",
        "form": "XB99",
        "version": 1,
        "title": "甲",
        "title_en": "A",
        "period_types": ["month"],
    }
    names = [column.name for column in chosen]
    return ReturnDefinition.model_validate({**plain, "key": names[:1], "row_label": names[0], "columns": chosen})


def typed(column: tuple[str, str], *texts: str | None) -> list[tuple[object, str]]:
    """(value, state) of each text in a column; numbers stay in the scaled integers of the frame."""
    name = column[1]
    table = table_of(only(column), [{name: text} for text in texts])
    frame = tabulate(table.definition, [(0, table)])
    return list(frame.select(name, f"{name}__state").iter_rows())


cell_texts = st.one_of(
    st.none(),
    st.text(max_size=40),
    st.from_regex(r"-?[0-9０-９,.%]{1,40}", fullmatch=True),
    st.decimals(allow_nan=False, allow_infinity=False).map(lambda number: format(number, "f")[:60]),
    st.sampled_from(
        [
            "不适用",
            "缺报",
            "并入",
            "—",
            "/",
            "无",
            "…",
            "NaN",
            "inf",
            "1e5",
            "-0",
            "٣٤",
            "1" * 60,
            "2024-02-30",
            "二〇二四年",
        ]
    ),
)


EVERY_TYPE = only(
    COUNT, HEADCOUNT, MONEY, ("enrolment", "school_code"), ("enrolment", "school_name"), ("enrolment", "stage"),
    ("school", "opened_on"), ("population", "age"), ("rural_subsidy", "months"), ("rural_subsidy", "due_yuan"),
)  # fmt: skip


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.lists(cell_texts, min_size=1, max_size=50))
@example(["9" * 28 + "." + "9" * 3, "-" + "9" * 32, "9" * 26, "0." + "9" * 30, "9" * 17 + "." + "9" * 14])
def test_any_text_in_any_cell_has_exactly_one_state(texts):
    table = table_of(EVERY_TYPE, [{column.name: text for column in EVERY_TYPE.columns} for text in texts])
    frame = tabulate(EVERY_TYPE, [(0, table)])
    assert frame.height == len(texts)
    for column in EVERY_TYPE.columns:
        assert frame[f"{column.name}__text"].to_list() == texts
        for value, state in frame.select(column.name, f"{column.name}__state").iter_rows():
            assert state in STATES
            assert (value is not None) == (state in READ)


@quick
@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=50))
@example([0, 10**7])
def test_a_whole_number_up_to_the_limit_is_read_exactly(numbers):
    assert typed(COUNT, *map(str, numbers)) == [(number, "value") for number in numbers]


@quick
@given(st.lists(st.integers(0, 10**13), min_size=1, max_size=50))
@example([10**13, 1, 10**13 - 1])
def test_money_is_read_to_the_cent(cents):
    texts = [format(Decimal(amount).scaleb(-2), "f") for amount in cents]
    assert typed(MONEY, *texts) == [(amount, "value") for amount in cents]


@quick
@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=50))
def test_a_headcount_is_read_to_the_tenth(tenths):
    texts = [format(Decimal(number).scaleb(-1), "f") for number in tenths]
    assert typed(HEADCOUNT, *texts) == [(number, "value") for number in tenths]


@quick
@given(st.lists(st.lists(st.integers(1, 10**10), min_size=2, max_size=40), min_size=1, max_size=20))
@example([[10, 20], [12345678910, 20, 30], [10**10] * 39 + [33]])
def test_binary_noise_of_a_spreadsheet_sum_is_no_extra_decimal(sums):
    texts = [format(Decimal(repr(sum(amount / 100 for amount in cents))), "f") for cents in sums]
    assert typed(MONEY, *texts) == [(sum(cents), "value") for cents in sums]


@quick
@given(st.lists(st.tuples(st.integers(0, 10**11 - 1), st.integers(1, 9)), min_size=1, max_size=50))
def test_a_real_third_decimal_of_money_is_refused(amounts):
    texts = [format(Decimal(cents * 10 + thousandths).scaleb(-3), "f") for cents, thousandths in amounts]
    assert {state for _, state in typed(MONEY, *texts)} == {"too_precise"}


@pytest.mark.parametrize(
    ("column", "text", "value", "state"),
    [
        (MONEY, "0.30000000000000004", 30, "value"),
        (COUNT, "2.9999999999999996", 3, "value"),
        (COUNT, "12.5", None, "not_integer"),
        (COUNT, "12.50", None, "not_integer"),
        (COUNT, "12.0", 12, "value"),
        (HEADCOUNT, "12.34", None, "too_precise"),
        (MONEY, "12.341", None, "too_precise"),
        (COUNT, "-1", None, "negative"),
        (COUNT, "100000001", None, "above_maximum"),
        (COUNT, "9" * 33, None, "above_maximum"),
        (("population", "age"), "18", None, "above_maximum"),
        (("rural_subsidy", "months"), "0", 0, "value"),
        (("rural_subsidy", "months"), "13", None, "above_maximum"),
        (COUNT, "0", 0, "value"),
        (COUNT, " 12 ", 12, "value"),
        (COUNT, "１２", 12, "text_number"),
        (COUNT, "1,234", 1234, "text_number"),
        (COUNT, "１，２３４", 1234, "text_number"),
        (MONEY, "1,234,567.80", 123456780, "text_number"),
        (COUNT, "12,34", None, "not_number"),
        (COUNT, "1 234", None, "not_number"),
        (COUNT, "+5", None, "not_number"),
        (COUNT, "1e3", None, "not_number"),
        *(
            (COUNT, odd, None, "not_number")
            for odd in ("٣٤", "80①", "①", "80²", "₃", "½", "Ⅳ", "12㎡", "１２①", "12\u00ad", "\u202e12")
        ),
        (COUNT, "٣٤%", None, "not_number"),
        (COUNT, "12\u200b", 12, "text_number"),
        (COUNT, "\ufeff1\u200b2\u200e", 12, "text_number"),
        (COUNT, "\u00a012\u2009\n", 12, "value"),
        (COUNT, "1\u202f234", None, "not_number"),
        (COUNT, "\u200b", None, "blank"),
        (COUNT, "不\u200b适用\u3000", None, "not_applicable"),
        (COUNT, "三十", None, "not_number"),
        (COUNT, "TRUE", None, "not_number"),
        (COUNT, "12.5%", None, "percent"),
        (COUNT, "", None, "blank"),
        (COUNT, "　", None, "blank"),
        (COUNT, "不适用", None, "not_applicable"),
        (COUNT, " 缺报 ", None, "not_reported"),
        (COUNT, "并入", None, "included_elsewhere"),
        *((COUNT, dash, None, "dash") for dash in ("-", "—", "——", "－", "/", "无", "…", "……", "N/A")),
        (("enrolment", "stage"), "小学", "小学", "value"),
        (("enrolment", "stage"), "高中", None, "not_in_list"),
        (("school", "location_code"), "１１１", "111", "value"),
        (("school", "location_code"), "999", None, "not_in_list"),
        (("enrolment", "school_code"), "1409020001", "1409020001", "value"),
        (("enrolment", "school_code"), "140902001", None, "pattern"),
        (("enrolment", "school_code"), "140902000①", None, "pattern"),
        (("enrolment", "school_code"), "140902000²", None, "pattern"),
        (("enrolment", "school_code"), "14090200٣٤", None, "pattern"),
        (("enrolment", "school_code"), "１４０９０２０００１\u200b", "1409020001", "value"),
        (("enrolment", "school_code"), "14090200\u202e01", None, "pattern"),
        (("enrolment", "stage"), "\u200e小\u200b学\u00a0", "小学", "value"),
        (("enrolment", "stage"), "\u202e小学", None, "not_in_list"),
        (("enrolment", "stage"), "⼩学", None, "not_in_list"),
        (("enrolment", "school_name"), "第①小\u200b学\u202e", "第①小学", "value"),
        (("enrolment", "school_name"), "南关\n 小学（１）", "南关 小学(1)", "value"),
        (("enrolment", "school_name"), "　　南关小学 ", "南关小学", "value"),
    ],
)
def test_a_cell_is_what_its_column_declares_or_says_why_not(column, text, value, state):
    assert typed(column, text) == [(value, state)]


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2019-09-01", "2019-09-01"),
        ("2019/9/1", "2019-09-01"),
        ("2019.9.1", "2019-09-01"),
        ("2019.10.01", "2019-10-01"),
        ("2019年9月1日", "2019-09-01"),
        ("２０１９年９月１日", "2019-09-01"),
        ("2019 年 10 月", "2019-10-01"),
        ("2019年9月", "2019-09-01"),
        ("2019-10", "2019-10-01"),
        ("2019-9", "2019-09-01"),
        ("2019/10", "2019-10-01"),
        ("2019.9月", "2019-09-01"),
        # Both digits of the month: no zero was lost, as it would be of a number.
        ("2019.10", "2019-10-01"),
        ("2019.01", "2019-01-01"),
        ("2019-09-01 00:00:00", "2019-09-01"),
        ("2019-09-01T00:00:00.000", "2019-09-01"),
        ("２０１９－０９－０１", "2019-09-01"),
        ("2019年9月\u200b1日", "2019-09-01"),
    ],
)
def test_dates_are_read_as_clerks_write_them(text, iso):
    value, state = typed(("school", "opened_on"), text)[0]
    assert (str(value), state) == (iso, "value")


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("2019年13月1日", "not_date"),
        ("2019-02-30", "not_date"),
        ("2019.13", "not_date"),
        ("2019-09-01 08:30:00", "not_date"),
        ("2019年", "not_date"),
        ("19-09-01", "not_date"),
        ("去年", "not_date"),
        ("2019-09-①", "not_date"),
        ("٢٠١٩-٠٩-٠١", "not_date"),
        ("43709", "number_not_date"),
        ("2019", "number_not_date"),
        ("20190901", "number_not_date"),
        ("43709.5", "number_not_date"),
        ("-43709", "number_not_date"),
        ("2019.1", "month_ambiguous"),
        ("2019.9", "month_ambiguous"),
        ("2019.1.", "month_ambiguous"),
        ("２０１９．１", "month_ambiguous"),
    ],
)
def test_a_number_and_a_month_that_may_have_lost_its_zero_are_no_dates(text, state):
    assert typed(("school", "opened_on"), text) == [(None, state)]


def test_a_number_that_reads_like_a_month_is_no_date_though_the_same_text_is():
    table = table_of("school", [{"opened_on": "2019.11"}, {"opened_on": "2019.11"}])
    place = table.columns["opened_on"]
    table.sheet = replace(table.sheet, month_numbers=frozenset({(1, place)}))
    frame = tabulate(table.definition, [(0, table)])
    assert frame["opened_on__state"].to_list() == ["number_not_date", "value"]
    # It is a number where one is asked for.
    table = table_of("teacher_pay", [{"basic_salary_yuan": "2019.11"}])
    table.sheet = replace(table.sheet, month_numbers=frozenset({(1, table.columns["basic_salary_yuan"])}))
    assert tabulate(table.definition, [(0, table)])["basic_salary_yuan"].to_list() == [201911]


def test_an_error_cell_or_uncalculated_formula_is_that_whatever_its_text():
    table = table_of("enrolment", faultless_rows("enrolment", "140902"))
    sheet = table.sheet
    place = table.columns["students_total"]
    marked = type(sheet)(
        sheet.name, sheet.rows, error_cells=frozenset({(1, place)}), valueless_formulas=frozenset({(2, place)})
    )
    table.sheet = marked
    frame = tabulate(table.definition, [(0, table)])
    assert frame["students_total__state"].to_list() == ["error_cell", "uncalculated"]
    assert frame["students_total"].to_list() == [None, None]


def test_a_required_column_that_is_not_there_is_told_from_a_blank_one():
    table = table_of("school", faultless_rows("school", "140902"))
    for name in ("boarding", "closed_on"):
        del table.columns[name]
    frame = tabulate(table.definition, [(0, table)])
    assert set(frame["boarding__state"]) == {"column_missing"}
    assert set(frame["closed_on__state"]) == {"blank"}


def test_tables_of_a_batch_keep_their_rows_apart():
    one, other = (table_of("enrolment", faultless_rows("enrolment", code)) for code in ("140902", "140921"))
    other.total_rows, other.data_rows = [2], [1]
    frame = tabulate(one.definition, [(7, one), (9, other)])
    assert frame.select("entry", "source_row", "is_total").rows() == [
        (7, 2, False), (7, 3, False), (9, 2, False), (9, 3, True)
    ]  # fmt: skip
    assert frame.schema["students_total"] == pl.Int64


def included(row: dict[str, object], return_code: str = "teacher_pay") -> dict[str, tuple[str, str | None]]:
    """Column → (state, the column that holds its figure) of the cells of one row that are answered otherwise than by a number."""
    table = table_of(return_code, [faultless_rows(return_code, "140902")[0] | {"other_yuan": 5} | row])
    frame = tabulate(table.definition, [(0, table)])
    return {name: (frame[f"{name}__state"][0], frame[f"{name}__included_in"][0]) for name in row}


@pytest.mark.parametrize(
    ("text", "state", "holder"),
    [
        ("并入", "included_elsewhere", None),
        (" （并入） ", "included_elsewhere", None),
        ("并入津贴补贴", "included_elsewhere", "allowance_yuan"),
        ("并入：津贴补贴", "included_elsewhere", "allowance_yuan"),
        ("并入“津贴补贴”", "included_elsewhere", "allowance_yuan"),
        ("并入「津贴补贴」栏", "included_elsewhere", "allowance_yuan"),
        ("（并入津贴补贴）", "included_elsewhere", "allowance_yuan"),
        ("已并入 津贴补贴（元） 一列", "included_elsewhere", "allowance_yuan"),
        ("并入年终奖金", "included_elsewhere", "year_end_bonus_yuan"),  # an alias
        ("并入（五险一金（单位））", "included_elsewhere", "employer_insurance_yuan"),  # a label that ends in a bracket
        ("并入其他", "included_elsewhere", "other_yuan"),
        ("并入津贴", "included_unknown", None),
        ("并入津贴补贴、其他", "included_unknown", None),
        ("并入他处", "included_unknown", None),
        ("并入改革性补贴", "included_unfit", None),  # itself
        ("并入工资总额", "included_unfit", None),
        ("并入年平均人数", "included_unfit", None),
        ("并入学校名称", "included_unfit", None),
        ("不并入津贴补贴", "not_number", None),
        ("并入" + "津" * 80, "not_number", None),
    ],
)
def test_a_figure_included_elsewhere_names_the_column_that_holds_it(text, state, holder):
    assert included({"reform_allowance_yuan": text}) == {"reform_allowance_yuan": (state, holder)}


def test_a_column_that_holds_no_figure_itself_holds_none_of_another():
    nowhere = "included_nowhere"
    chain = {"other_yuan": "并入改革性补贴", "reform_allowance_yuan": "并入津贴补贴"}
    assert [state for state, _ in included(chain).values()] == [nowhere, "included_elsewhere"]
    circle = {"other_yuan": "并入改革性补贴", "reform_allowance_yuan": "并入其他"}
    assert [state for state, _ in included(circle).values()] == [nowhere, nowhere]
    nothing = {"other_yuan": "并入改革性补贴", "reform_allowance_yuan": "不适用"}
    assert [state for state, _ in included(nothing).values()] == [nowhere, "not_applicable"]
    unknown = {"other_yuan": "并入改革性补贴", "reform_allowance_yuan": "缺报"}
    assert [state for state, _ in included(unknown).values()] == [nowhere, "not_reported"]
    zero = {"other_yuan": "并入改革性补贴", "reform_allowance_yuan": 0}
    assert [state for state, _ in included(zero).values()] == [nowhere, "value"]
    some = {"other_yuan": "并入改革性补贴", "reform_allowance_yuan": 0.01}
    assert [state for state, _ in included(some).values()] == ["included_elsewhere", "value"]


def test_a_row_of_nothing_may_be_included_like_the_others():
    rows = faultless_rows("teacher_pay", "140902")[:2]
    for row, amount in zip(rows, (0, 50_000), strict=True):
        row |= {"other_yuan": "并入改革性补贴", "reform_allowance_yuan": amount}
    table = table_of("teacher_pay", rows)
    frame = tabulate(table.definition, [(0, table)])
    assert frame["other_yuan__state"].to_list() == ["included_elsewhere"] * 2


def test_a_column_that_cannot_be_included_says_so_whatever_is_named():
    assert typed(COUNT, "并入") == [(None, "included_elsewhere")]
    assert included({"boarders": "并入在校生数"}, "enrolment") == {"boarders": ("included_elsewhere", "students_total")}


OF_NEW_TYPES = ReturnDefinition.model_validate(
    {
        "return": "enrolment", "form": "XB98", "version": 1, "title": "校舍", "title_en": "Rooms", "period_types": ["semester"],
        "key": ["code"], "row_label": "code",
        "columns": [
            {"name": "code", "label": "中心校", "type": "ref", "ref": "school.school_code", "pattern": "^[0-9]{4}$", "required": True},
            {"name": "area", "label": "面积", "type": "decimal", "places": 3, "unit": "平方米", "required": True},
            {"name": "change", "label": "增减", "type": "decimal", "places": 0, "unit": "间", "signed": True, "required": True},
            {"name": "share", "label": "占比", "type": "percent", "required": True},
            {"name": "leased", "label": "是否租用", "type": "flag", "required": True},
            {"name": "remark", "label": "说明", "type": "note", "required": True},
        ],
    }
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "value", "state"),
    [
        ("code", "1402", "1402", "value"),
        ("code", "１４０２", "1402", "value"),
        ("code", "14020", None, "pattern"),
        ("code", "—", None, "dash"),
        ("area", "1200.125", 1_200_125, "value"),
        ("area", "1,200.5", 1_200_500, "text_number"),
        ("area", "0.1234", None, "too_precise"),
        ("area", "-1", None, "negative"),
        ("area", "100000000000.001", None, "above_maximum"),
        ("area", "不适用", None, "not_applicable"),
        ("change", "-12", -12, "value"),
        ("change", "1.5", None, "not_integer"),
        ("share", "96.25", 9_625, "value"),
        ("share", "96.25%", 9_625, "text_number"),
        ("share", "９６.２％", 9_620, "text_number"),
        ("share", "0", 0, "value"),
        ("share", "100.01", None, "above_maximum"),
        ("share", "-1%", None, "negative"),
        ("share", "33.333", None, "too_precise"),
        ("share", "九成", None, "not_number"),
        ("share", "%", None, "not_number"),
        ("leased", "是", "是", "value"),
        ("leased", " 否 ", "否", "value"),
        ("leased", "√", None, "not_in_list"),
        ("leased", "-", None, "dash"),
        ("remark", "因道路改造，9 月起借用县职教中心教室。\n恢复日期未定", "因道路改造，9 月起借用县职教中心教室。 恢复日期未定", "value"),
        ("remark", "无", "无", "value"),
        ("remark", "字" * 500, "字" * 500, "value"),
        ("remark", "字" * 501, None, "too_long"),
        ("remark", "", None, "blank"),
    ],
)  # fmt: skip
def test_a_cell_of_each_further_type_is_read_or_says_why_not(name: str, text: str, value: object, state: str):
    table = table_of(OF_NEW_TYPES, [{name: text}])
    frame = tabulate(OF_NEW_TYPES, [(0, table)])
    assert list(frame.select(name, f"{name}__state").iter_rows()) == [(value, state)]


OF_SOME_ROWS = ReturnDefinition.model_validate(
    {
        "return": "enrolment", "form": "XB98", "version": 1, "title": "教研", "title_en": "Research", "period_types": ["semester"],
        "key": ["role"], "row_label": "role",
        "columns": [
            {"name": "role", "label": "身份", "type": "code", "codes": ["校长", "教研员"], "required": True},
            {"name": "visits", "label": "到校次数", "type": "count", "unit": "次", "required": True,
             "missing": ["not_reported"], "applies_when": {"role": ["教研员"]}},
        ],
    }
)  # fmt: skip


@pytest.mark.parametrize(
    ("role", "text", "value", "state"),
    [
        ("教研员", "12", 12, "value"),
        ("教研员", "缺报", None, "not_reported"),
        ("教研员", "", None, "blank"),
        ("教研员", "不适用", None, "asked"),
        ("校长", "", None, "not_applicable"),
        ("校长", "不适用", None, "not_applicable"),
        ("校长", "0", None, "not_asked"),
        ("校长", "缺报", None, "not_asked"),
        ("校长", "一次", None, "not_asked"),
        ("主任", "", None, "told"),
        ("主任", "12", 12, "value"),
        ("主任", "一次", None, "not_number"),
    ],
)
def test_a_column_of_some_rows_is_blank_in_the_others(role: str, text: str, value: object, state: str):
    table = table_of(OF_SOME_ROWS, [{"role": role, "visits": text}])
    frame = tabulate(OF_SOME_ROWS, [(0, table)])
    assert list(frame.select("visits", "visits__state").iter_rows()) == [(value, state)]


def test_what_is_landed_of_each_type_is_exact():
    types = {column.name: column.sql_type for column in OF_NEW_TYPES.columns}
    assert types == {
        "code": "VARCHAR", "area": "DECIMAL(18,3)", "change": "DECIMAL(18,0)", "share": "DECIMAL(5,2)",
        "leased": "VARCHAR", "remark": "VARCHAR",
    }  # fmt: skip
