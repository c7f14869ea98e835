"""What each kind of check finds in rows: sums with missing codes, products at the limits, totals of groups, dates, what must be there."""

from decimal import Decimal
from typing import Any

import pytest
from builders import faultless_rows, table_of
from checked import PERIODS, Row, asked
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.returns import definition
from pipelines.screening.checks.engine import Rows, judge
from pipelines.screening.checks.form import Form
from pipelines.screening.rules import checks_of, configurations
from pipelines.screening.tabulate import tabulate


def first(return_code: str, **values: Any) -> Row:
    return {**faultless_rows(return_code, "140902")[0], **values}


def verdicts(
    return_code: str, rule: str, column: str, *values: Any, **kept: Any
) -> list[tuple[bool | None, str | None]]:
    """(holds, expected) of one rule on the first faultless row, a row for each value of the column."""
    found = asked(return_code, [first(return_code, **kept, **{column: value}) for value in values])
    return list(zip(found.holds(rule), found.expected(rule), strict=True))


def holds(return_code: str, rule: str, column: str, *values: Any, **kept: Any) -> list[bool | None]:
    return [found for found, _ in verdicts(return_code, rule, column, *values, **kept)]


@pytest.mark.parametrize(
    "return_code", ["school", "enrolment", "population", "teacher_pay", "civil_servant_pay", "rural_subsidy"]
)
def test_a_faultless_return_breaks_nothing(return_code):
    months = 12 if return_code != "rural_subsidy" else 3
    found = asked(return_code, faultless_rows(return_code, "140902"), period=PERIODS[months])
    for check in found.form.checks:
        assert False not in found.holds(check), check.rule_id


# --- sums -------------------------------------------------------------------------------------------------------------


def test_a_component_that_means_nothing_to_add_adds_nothing():
    found = verdicts("teacher_pay", "XB04-1c-total-equals-components", "other_yuan", "不适用", "并入")
    assert found == [(True, "928000.75")] * 2


def test_a_component_that_is_not_known_leaves_the_sum_unjudged():
    unknown = ("缺报", None, "约五万", "—", "-1", "12%")
    found = verdicts("teacher_pay", "XB04-1c-total-equals-components", "other_yuan", *unknown, pay_total_yuan=1)
    assert found == [(None, None)] * len(unknown)


def test_a_code_that_its_column_does_not_allow_leaves_the_sum_unjudged():
    # 并入 is no answer for a grade: its cell rule speaks, and a sum without it would blame another cell.
    assert verdicts("enrolment", "XB02-1c-total-equals-grades", "grade_1", "并入") == [(None, None)]
    assert verdicts("rural_subsidy", "XB06-1c-arrears-equal-due-less-paid", "due_yuan", "不适用") == [(None, None)]


def test_a_total_that_is_not_known_is_not_compared():
    assert holds("enrolment", "XB02-1c-total-equals-ages", "students_total", "缺报", None, "三十") == [None] * 3


def test_money_agrees_within_five_fen_and_no_further():
    totals = (928000.75, 928000.80, 928000.70, 928000.81, 928000.69)
    found = holds("teacher_pay", "XB04-1c-total-equals-components", "pay_total_yuan", *totals)
    assert found == [True, True, True, False, False]


def test_the_official_ages_are_those_of_the_stage():
    ages = {f"age_{age}": 10**6 for age in (3, 4, 5)} | {f"age_{age}": 10**3 for age in range(6, 12)}
    ages |= {f"age_{age}": 10 for age in (12, 13, 14)} | {f"age_{age}": 1 for age in (15, 16, 17)}
    stages = ("学前", "小学", "初中", "普通高中", "中职", "高中")
    found = verdicts(
        "enrolment", "XB02-1c-official-age-equals-ages", "stage", *stages, students_official_age=30, **ages
    )
    assert found == [
        (False, "3000000"), (False, "6000"), (True, "30"), (False, "3"), (False, "3"), (None, None)
    ]  # fmt: skip


def test_a_part_may_equal_its_whole_and_not_exceed_it():
    found = verdicts("enrolment", "XB02-1c-female-within-total", "students_female", 0, 60, 61)
    assert found == [(True, "60"), (True, "60"), (False, "60")]


def test_months_paid_are_held_against_the_period():
    assert holds("rural_subsidy", "XB06-1c-months-within-period", "months", 3, 1, 4) == [True, True, False]


#: Few examples of many rows each: a frame costs as much for one row as for fifty.
@settings(max_examples=4, deadline=None, derandomize=True)
@given(
    st.lists(
        st.tuples(st.lists(st.integers(0, 10**7), min_size=6, max_size=6), st.integers(-3, 3)), min_size=10, max_size=60
    )
)
def test_a_sum_is_exact_at_any_size(cases):
    rows = [
        first(
            "enrolment",
            **{f"grade_{number}": pupils for number, pupils in enumerate(grades, start=1)},
            students_total=sum(grades) + off,
        )
        for grades, off in cases
    ]
    found = asked("enrolment", rows, units=False)
    rule = "XB02-1c-total-equals-grades"
    expected, held = found.expected(rule), found.holds(rule)
    for number, (grades, off) in enumerate(cases):
        readable = 0 <= sum(grades) + off <= 10**7
        assert expected[number] == str(sum(grades))
        assert held[number] is ((off == 0) if readable else None)


# --- products ---------------------------------------------------------------------------------------------------------


@settings(max_examples=4, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 10**13), st.integers(1, 12)), min_size=10, max_size=60))
def test_heads_by_standard_by_months_never_overflows(cases):
    rows = [
        first(
            "rural_subsidy",
            teachers_entitled=heads,
            standard_yuan_per_month=f"{cents // 100}.{cents % 100:02d}",
            months=months,
        )
        for heads, cents, months in cases
    ]
    expected = asked("rural_subsidy", rows, units=False).expected("XB06-1c-due-equals-heads-by-standard")
    assert [Decimal(one or "") * 100 for one in expected] == [heads * cents * months for heads, cents, months in cases]


def test_the_largest_product_is_compared_exactly():
    largest = {"teachers_entitled": 10**7, "standard_yuan_per_month": 10**11, "months": 12, "due_yuan": 10**11}
    found = asked("rural_subsidy", [first("rural_subsidy", **largest)], units=False)
    assert found.holds("XB06-1c-due-equals-heads-by-standard") == [False]
    assert found.expected("XB06-1c-due-equals-heads-by-standard") == [str(10**7 * 10**11 * 12)]


def test_a_product_agrees_within_five_fen():
    dues = ("9000.05", "9000.06", "8999.95", "8999.94")
    found = verdicts("rural_subsidy", "XB06-1c-due-equals-heads-by-standard", "due_yuan", *dues)
    assert found == [(True, "9000"), (False, "9000"), (True, "9000"), (False, "9000")]


# --- keys and completeness --------------------------------------------------------------------------------------------


def test_every_repetition_of_a_key_is_wrong_but_the_first():
    row = first("enrolment")
    found = asked("enrolment", [row, {**row, "stage": "初中"}, dict(row), dict(row)])
    assert found.holds("XB02-1b-unique-key") == [True, True, False, False]


def test_a_key_that_cannot_be_read_is_no_repetition():
    row = first("enrolment", school_code="1409")
    assert asked("enrolment", [row, dict(row)]).holds("XB02-1b-unique-key") == [None, None]


def test_the_same_key_in_two_files_of_a_batch_is_no_repetition():
    defined = definition("school")
    tables = [table_of("school", faultless_rows("school", "140902")) for _ in range(2)]
    form = Form(defined, checks_of(defined), {0: PERIODS[12], 1: PERIODS[12]})
    found = judge(Rows(tabulate(defined, list(enumerate(tables))), form), configurations("school", 1))[
        "XB01-1b-unique-key"
    ]
    assert (found.asked, found.failing_n) == ({0: 2, 1: 2}, 0)


def test_each_register_lacks_its_own_ages():
    rows = [
        row
        for row in faultless_rows("population", "140902")
        if (row["register"], row["age"]) not in {("常住", 9), ("户籍", 0), ("户籍", 17)}
    ]
    cells = asked("population", rows).cells("XB03-1b-complete-age")
    assert cells.select("source_row", "detail").rows() == [(2, "9"), (19, "0、17")]


# --- total rows -------------------------------------------------------------------------------------------------------


def test_a_total_row_is_checked_column_by_column():
    rows = faultless_rows("enrolment", "140902")
    total = {"school_code": "合计", "students_total": 120, "boarders": 7, "repeaters": 2}
    found = asked("enrolment", rows, [total])
    assert found.holds("XB02-1c-total-row") == [None, None, False]
    (cell,) = found.cells("XB02-1c-total-row").select("column", "value", "expected", "difference").rows()
    assert cell == ("boarders", "7", "6", "+1")


def test_a_total_row_is_that_of_its_group_or_without_one_of_all():
    rows = faultless_rows("population", "140902")
    sums = {
        register: sum(row["population_total"] for row in rows if row["register"] == register)
        for register in ("常住", "户籍")
    }
    totals: list[Row] = [{"age": "合计", "register": name, "population_total": sums[name]} for name in sums]
    assert asked("population", rows, totals).holds("XB03-1c-total-row")[-2:] == [True, True]
    totals[1]["population_total"] = sums["常住"]
    assert asked("population", rows, totals).holds("XB03-1c-total-row")[-2:] == [True, False]
    whole = [{"age": "合计", "register": None, "population_total": sum(sums.values())}]
    assert asked("population", rows, whole).holds("XB03-1c-total-row")[-1:] == [True]


def test_missing_codes_add_nothing_to_a_total_row_and_an_unread_cell_leaves_it_unjudged():
    row = first("rural_subsidy")
    total = {"school_code": "合计", "teachers_paid": 10}
    rows = [row, {**row, "tier": "二档", "teachers_paid": "缺报"}]
    assert asked("rural_subsidy", rows, [total]).holds("XB06-1c-total-row")[2] is True
    rows[1]["teachers_paid"] = "若干"
    assert asked("rural_subsidy", rows, [{**total, "teachers_paid": 99}]).holds("XB06-1c-total-row")[2] is True
    pay = faultless_rows("civil_servant_pay", "140902")  # 乡镇工作补贴 is 不适用 in both
    whole = {"staff_category": "合计", "township_allowance_yuan": 0, "basic_salary_yuan": 960000}
    assert asked("civil_servant_pay", pay, [whole]).holds("XB05-1c-total-row")[2] is True


def test_a_number_that_no_sum_can_have_is_not_held_against_a_total_row():
    rows = faultless_rows("rural_subsidy", "140902")
    total = {"school_code": "合计", "months": 1, "standard_yuan_per_month": 1, "teachers_paid": 16}
    assert asked("rural_subsidy", rows, [total]).holds("XB06-1c-total-row") == [None, None, True]


def test_only_its_own_rule_looks_at_a_total_row_and_that_on_typed_numbers():
    rows = faultless_rows("enrolment", "140902")
    found = asked("enrolment", rows, [{"school_code": "合计", "students_total": -5, "stage": "所有"}])
    seen = {check.rule_id for check in found.form.checks if found.holds(check)[2] is not None}
    assert seen == {"XB02-1c-total-row", "FILE-1a-text-number"}


def test_thousands_and_full_width_digits_are_marked_a_row_at_a_time():
    rows = [first("enrolment", students_total="６０"), first("enrolment", stage="初中")]
    assert asked("enrolment", rows).holds("FILE-1a-text-number") == [False, True]


def test_a_number_typed_as_text_in_a_total_row_has_its_finding():
    rows = faultless_rows("enrolment", "140902")
    sums = {"school_code": "合计", "students_total": "１２０", "boarders": 6}
    (cell,) = asked("enrolment", rows, [sums]).cells("FILE-1a-text-number").rows(named=True)
    assert (cell["source_row"], cell["column"], cell["value"], cell["expected"]) == (
        4,
        "students_total",
        "１２０",
        "120",
    )


# --- dates ------------------------------------------------------------------------------------------------------------


def told(return_code: str, rows: list[Row], rule: str, **options: Any) -> list[tuple[bool | None, str]]:
    """(holds, words) of a rule on dates, row by row; no words where nothing is wrong."""
    found = asked(return_code, rows, **{"period": PERIODS[12], **options})
    words = dict(found.cells(rule).select("source_row", "detail").iter_rows())
    return [(held, words.get(row, "")) for row, held in enumerate(found.holds(rule), start=2)]


def test_a_day_before_the_earliest_or_after_the_period_is_asked_about():
    days = ["1859-12-31", "1860-01-01", "2024-12-31", "2025-01-01", None]
    found = told("school", [first("school", opened_on=day) for day in days], "XB01-4-opened-on")
    assert found == [
        (False, "早于 1860-01-01"), (True, ""), (True, ""), (False, "晚于报告期的最后一天 2024-12-31"), (None, "")
    ]  # fmt: skip


def test_years_typed_into_cells_for_dates_are_one_finding_whichever_day_is_counted_from():
    days = ["1905-07-01", "1909-07-02", "1983-09-01", "1905-07-15", "1905-07-18", "1905-02-02"]
    found = told("school", [first("school", opened_on=day) for day in days], "XB01-4-opened-on")
    # 2009, 2009, 2023 and 1860 were typed; 2026, which 1905-07-18 would be, is after the period.
    assert found == [
        (False, "像是在日期格里只填了年份 2009（第 2–7 行，共 4 行）"), (None, ""), (True, ""), (None, ""), (True, ""), (None, "")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("opened", "closed", "ok"),
    [
        ("2009-09-01", "2009-09-01", True),
        ("2009-09-02", "2009-09-01", False),
        ("2009-09-01", None, True),
        (None, "2009-09-01", None),
        ("2009-09-01", "1905-07-02", True),  # a year typed, which is asked about by itself
        ("2009-09-01", "去年", True),
    ],
)
def test_a_school_is_not_closed_before_it_was_opened(opened, closed, ok):
    found = asked("school", [first("school", opened_on=opened, closed_on=closed)], period=PERIODS[12])
    assert found.holds("XB01-1c-opened-before-closed") == [ok]


def people(*days: str | None, register: str = "常住") -> list[Row]:
    return [first("population", age=age, register=register, vintage_on=day) for age, day in enumerate(days)]


@pytest.mark.parametrize(
    ("day", "ok"),
    [("2024-06-30", True), ("2024-06-29", False), ("2024-11-01", True), ("2024-11-02", False), ("2024-08-31", True)],
)
def test_the_people_are_of_a_day_within_62_of_the_one_that_is_due(day, ok):
    found = asked("population", people(day), period=PERIODS[12])
    assert found.holds("XB03-4-vintage") == [ok]
    assert found.expected("XB03-4-vintage") == ["2024-08-31"]


def test_a_day_far_off_is_one_finding_however_many_rows_bear_it_and_is_not_called_mixed():
    rows = [*people("2019-08-31", "2019-08-31", "2018-08-31", "2024-08-31"), *people("2019-08-31", register="户籍")]
    assert told("population", rows, "XB03-4-vintage") == [
        (False, "（第 2–6 行，共 3 行）"), (None, ""), (False, ""), (True, ""), (None, "")
    ]  # fmt: skip
    assert False not in asked("population", rows, period=PERIODS[12]).holds("XB03-4-vintage-mixed")


def test_days_that_differ_within_a_register_are_one_finding_that_counts_them():
    rows = [
        *people("2024-08-31", "2024-08-31", "2024-06-30", "2024-07-31"),
        *people("2024-06-30", "2024-06-30", register="户籍"),
    ]
    words = "常住：2024-08-31（2 行）、2024-06-30（1 行）、2024-07-31（1 行）"
    found = told("population", rows, "XB03-4-vintage-mixed")
    assert found == [(None, ""), (None, ""), (False, words), (None, ""), (True, ""), (None, "")]


def test_without_a_period_no_day_is_far_from_it():
    found = asked("population", people("2019-08-31"), period=None)
    assert (found.holds("XB03-4-vintage"), found.holds("XB03-4-vintage-mixed")) == ([None], [True])


# --- what must be there ------------------------------------------------------------------------------------------------


def test_a_category_that_every_county_has_is_missed_whether_its_row_is_zero_or_not_there():
    servants, others = faultless_rows("civil_servant_pay", "140902")
    for rows, expected in (
        ([servants, others], [True, None]),
        ([{**servants, "civil_servants_average": 0}, others], [False, None]),
        ([others], [False]),
        ([others, servants], [None, True]),
        ([{**servants, "civil_servants_average": "缺报"}, others], [None, None]),
        ([{**servants, "staff_category": "职员"}, others], [None, None]),
    ):
        assert asked("civil_servant_pay", rows).holds("XB05-4-nobody") == expected


def test_a_register_of_nobody_is_found_by_register():
    rows = faultless_rows("population", "140902")
    for row in rows[:18]:
        row |= {"population_total": 0, "population_male": 0, "population_female": 0}
    found = asked("population", rows).holds("XB03-4-nobody")
    assert [(place, ok) for place, ok in enumerate(found) if ok is not None] == [(0, False), (18, True)]


def test_nothing_may_stand_over_a_zero():
    subsidies = [first("rural_subsidy", due_yuan=due, paid_yuan=100) for due in (0, 9000, "缺报")]
    assert asked("rural_subsidy", subsidies).holds("XB06-4-paid-over-nothing") == [False, True, None]
    pay = [first("teacher_pay", teachers_average=heads, pay_total_yuan=0) for heads in (0, 1)]
    assert asked("teacher_pay", pay).holds("XB04-4-pay-over-nobody") == [True, True]
