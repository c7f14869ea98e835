"""What the cross-column rules are asserted on: sums with missing codes, products at the limits, totals of groups."""

from datetime import date
from typing import Any

import polars as pl
import pytest
from builders import faultless_rows, table_of
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.periods import parse_period
from pipelines.returns import definition
from pipelines.screening.derive import derive
from pipelines.screening.tabulate import tabulate

Row = dict[str, Any]
#: A period of so many months.
PERIODS = {months: parse_period(code) for months, code in {1: "2024-08", 3: "2024Q3", 12: "2024"}.items()}


def judged(
    return_code: str, rows: list[Row], totals: list[Row] | None = None, *, months: int = 3, levels: bool = True
) -> pl.DataFrame:
    """`levels`: without them the numbers may be of any size."""
    table = table_of(return_code, rows, totals)
    defined = definition(return_code)
    if not levels:
        defined = defined.model_copy(update={"levels": ()})
    return derive(defined, tabulate(defined, [(0, table)]), {0: PERIODS[months]}).sort("source_row")


def first(return_code: str, **values: Any) -> Row:
    return {**faultless_rows(return_code, "140902")[0], **values}


def verdicts(
    return_code: str, truth: str, column: str, *values: Any, **kept: Any
) -> list[tuple[bool | None, int | None]]:
    """(ok, expected) of one identity on the first faultless row, a row for each value of the column."""
    frame = judged(return_code, [first(return_code, **kept, **{column: value}) for value in values])
    return list(frame.select(f"ok__{truth}", f"expected__{truth}").iter_rows())


def oks(return_code: str, truth: str, column: str, *values: Any, **kept: Any) -> list[bool | None]:
    return [ok for ok, _ in verdicts(return_code, truth, column, *values, **kept)]


@pytest.mark.parametrize(
    "return_code", ["school", "enrolment", "population", "teacher_pay", "civil_servant_pay", "rural_subsidy"]
)
def test_a_faultless_return_breaks_nothing(return_code):
    frame = judged(
        return_code, faultless_rows(return_code, "140902"), months=12 if return_code != "rural_subsidy" else 3
    )
    truths = [name for name in frame.columns if name.startswith("ok__")]
    assert truths
    for name in truths:
        assert False not in frame[name].to_list(), name


# --- sums -------------------------------------------------------------------------------------------------------------


def test_a_component_that_means_nothing_to_add_adds_nothing():
    found = verdicts("teacher_pay", "total_equals_components", "other_yuan", "不适用", "并入")
    assert found == [(True, 92800075)] * 2


def test_a_component_that_is_not_known_leaves_the_sum_unjudged():
    unknown = ("缺报", None, "约五万", "—", "-1", "12%")
    found = verdicts("teacher_pay", "total_equals_components", "other_yuan", *unknown, pay_total_yuan=1)
    assert found == [(None, None)] * len(unknown)


def test_a_code_that_its_column_does_not_allow_leaves_the_sum_unjudged():
    # 并入 is no answer for a grade: its cell rule speaks, and a sum without it would blame another cell.
    assert verdicts("enrolment", "total_equals_grades", "grade_1", "并入") == [(None, None)]
    assert verdicts("rural_subsidy", "arrears_equal_due_less_paid", "due_yuan", "不适用") == [(None, None)]


def test_a_total_that_is_not_known_is_not_compared():
    assert oks("enrolment", "total_equals_ages", "students_total", "缺报", None, "三十") == [None] * 3


def test_money_agrees_within_five_fen_and_no_further():
    totals = (928000.75, 928000.80, 928000.70, 928000.81, 928000.69)
    found = oks("teacher_pay", "total_equals_components", "pay_total_yuan", *totals)
    assert found == [True, True, True, False, False]


def test_the_official_ages_are_those_of_the_stage():
    ages = {f"age_{age}": 10**6 for age in (3, 4, 5)} | {f"age_{age}": 10**3 for age in range(6, 12)}
    ages |= {f"age_{age}": 10 for age in (12, 13, 14)} | {f"age_{age}": 1 for age in (15, 16, 17)}
    stages = ("学前", "小学", "初中", "普通高中", "中职", "高中")
    found = verdicts("enrolment", "official_age_equals_ages", "stage", *stages, students_official_age=30, **ages)
    assert found == [(False, 3_000_000), (False, 6_000), (True, 30), (False, 3), (False, 3), (None, None)]


def test_a_part_may_equal_its_whole_and_not_exceed_it():
    found = verdicts("enrolment", "female_within_total", "students_female", 0, 60, 61)
    assert found == [(True, 60), (True, 60), (False, 60)]


def test_months_paid_are_held_against_the_period():
    assert oks("rural_subsidy", "months_within_period", "months", 3, 1, 4) == [True, True, False]


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
    frame = judged("enrolment", rows, levels=False)
    for number, (grades, off) in enumerate(cases):
        readable = 0 <= sum(grades) + off <= 10**7
        assert frame["expected__total_equals_grades"][number] == sum(grades)
        assert frame["ok__total_equals_grades"][number] is ((off == 0) if readable else None)


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
    expected = judged("rural_subsidy", rows)["expected__due_equals_heads_by_standard"].to_list()
    assert expected == [heads * cents * months for heads, cents, months in cases]


def test_the_largest_product_is_compared_exactly():
    largest = {"teachers_entitled": 10**7, "standard_yuan_per_month": 10**11, "months": 12, "due_yuan": 10**11}
    frame = judged("rural_subsidy", [first("rural_subsidy", **largest)], levels=False)
    assert frame["ok__due_equals_heads_by_standard"].to_list() == [False]
    assert frame["expected__due_equals_heads_by_standard"].to_list() == [10**7 * 10**13 * 12]


def test_a_product_agrees_within_five_fen():
    dues = ("9000.05", "9000.06", "8999.95", "8999.94")
    found = verdicts("rural_subsidy", "due_equals_heads_by_standard", "due_yuan", *dues)
    assert found == [(True, 900000), (False, 900000), (True, 900000), (False, 900000)]


# --- keys and completeness --------------------------------------------------------------------------------------------


def test_every_repetition_of_a_key_is_wrong_but_the_first():
    row = first("enrolment")
    frame = judged("enrolment", [row, {**row, "stage": "初中"}, dict(row), dict(row)])
    assert frame["ok__unique_key"].to_list() == [True, True, False, False]


def test_a_key_that_cannot_be_read_is_no_repetition():
    row = first("enrolment", school_code="1409")
    assert judged("enrolment", [row, dict(row)])["ok__unique_key"].to_list() == [None, None]


def test_the_same_key_in_two_files_of_a_batch_is_no_repetition():
    defined = definition("school")
    tables = [table_of("school", faultless_rows("school", "140902")) for _ in range(2)]
    frame = derive(defined, tabulate(defined, list(enumerate(tables))), {0: PERIODS[12], 1: PERIODS[12]})
    assert frame["ok__unique_key"].to_list() == [True] * 4


def test_each_register_lacks_its_own_ages():
    rows = [
        row
        for row in faultless_rows("population", "140902")
        if (row["register"], row["age"]) not in {("常住", 9), ("户籍", 0), ("户籍", 17)}
    ]
    frame = judged("population", rows)
    lacking = frame.filter(pl.col("ok__complete").is_not_null()).select(
        "source_row", "ok__complete", "missing__complete"
    )
    assert lacking.rows() == [(2, False, [9]), (19, False, [0, 17])]


# --- total rows -------------------------------------------------------------------------------------------------------


def test_a_total_row_is_checked_column_by_column():
    rows = faultless_rows("enrolment", "140902")
    total = {"school_code": "合计", "students_total": 120, "boarders": 7, "repeaters": 2}
    frame = judged("enrolment", rows, [total])
    assert frame["ok__total_row"].to_list() == [None, None, False]
    assert frame["wrong__total"][2].to_list() == ["boarders"]
    assert frame["total__boarders"][2] == 6


def test_a_total_row_is_that_of_its_group_or_without_one_of_all():
    rows = faultless_rows("population", "140902")
    sums = {
        register: sum(row["population_total"] for row in rows if row["register"] == register)
        for register in ("常住", "户籍")
    }
    totals: list[Row] = [{"age": "合计", "register": name, "population_total": sums[name]} for name in sums]
    assert judged("population", rows, totals)["ok__total_row"].to_list()[-2:] == [True, True]
    totals[1]["population_total"] = sums["常住"]
    assert judged("population", rows, totals)["ok__total_row"].to_list()[-2:] == [True, False]
    whole = [{"age": "合计", "register": None, "population_total": sum(sums.values())}]
    assert judged("population", rows, whole)["ok__total_row"].to_list()[-1:] == [True]


def test_missing_codes_add_nothing_to_a_total_row_and_an_unread_cell_leaves_it_unjudged():
    row = first("rural_subsidy")
    total = {"school_code": "合计", "teachers_paid": 10}
    rows = [row, {**row, "tier": "二档", "teachers_paid": "缺报"}]
    assert judged("rural_subsidy", rows, [total])["ok__total_row"][2] is True
    rows[1]["teachers_paid"] = "若干"
    assert judged("rural_subsidy", rows, [{**total, "teachers_paid": 99}])["wrong__total"][2].to_list() == []
    pay = faultless_rows("civil_servant_pay", "140902")  # 乡镇工作补贴 is 不适用 in both
    whole = {"staff_category": "合计", "township_allowance_yuan": 0, "basic_salary_yuan": 960000}
    assert judged("civil_servant_pay", pay, [whole])["ok__total_row"][2] is True


def test_a_number_that_no_sum_can_have_is_not_held_against_a_total_row():
    rows = faultless_rows("rural_subsidy", "140902")
    total = {"school_code": "合计", "months": 1, "standard_yuan_per_month": 1, "teachers_paid": 16}
    assert judged("rural_subsidy", rows, [total])["ok__total_row"].to_list() == [None, None, True]


def test_no_rule_but_its_own_looks_at_a_total_row():
    rows = faultless_rows("enrolment", "140902")
    frame = judged("enrolment", rows, [{"school_code": "合计", "students_total": -5, "stage": "所有"}])
    last = frame.row(2, named=True)
    seen = {name for name, value in last.items() if name.startswith("ok__") and value is not None}
    assert seen <= {"ok__total_row", "ok__text_number"}
    assert {value for name, value in last.items() if name.endswith("__state")} == {None}


def test_thousands_and_full_width_digits_are_marked_a_row_at_a_time():
    rows = [first("enrolment", students_total="６０"), first("enrolment", stage="初中")]
    assert judged("enrolment", rows)["ok__text_number"].to_list() == [False, True]


# --- dates ------------------------------------------------------------------------------------------------------------


def told(frame: pl.DataFrame, truth: str) -> list[tuple[bool | None, str]]:
    """(ok, words) of a date check, row by row; no words where nothing is wrong."""
    return [
        (ok, words or "" if ok is False else "")
        for ok, words in frame.select(f"ok__{truth}", f"detail__{truth}").iter_rows()
    ]


def test_a_day_before_the_earliest_or_after_the_period_is_asked_about():
    days = ["1859-12-31", "1860-01-01", "2024-12-31", "2025-01-01", None]
    found = told(judged("school", [first("school", opened_on=day) for day in days], months=12), "opened_on_plausible")
    assert found == [
        (False, "早于 1860-01-01"), (True, ""), (True, ""), (False, "晚于报告期的最后一天 2024-12-31"), (None, "")
    ]  # fmt: skip


def test_years_typed_into_cells_for_dates_are_one_finding_whichever_day_is_counted_from():
    days = ["1905-07-01", "1909-07-02", "1983-09-01", "1905-07-15", "1905-07-18", "1905-02-02"]
    found = told(judged("school", [first("school", opened_on=day) for day in days], months=12), "opened_on_plausible")
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
    frame = judged("school", [first("school", opened_on=opened, closed_on=closed)], months=12)
    assert frame["ok__opened_before_closed"].to_list() == [ok]


def people(*days: str | None, register: str = "常住") -> list[Row]:
    return [first("population", age=age, register=register, vintage_on=day) for age, day in enumerate(days)]


@pytest.mark.parametrize(
    ("day", "ok"),
    [("2024-06-30", True), ("2024-06-29", False), ("2024-11-01", True), ("2024-11-02", False), ("2024-08-31", True)],
)
def test_the_people_are_of_a_day_within_62_of_the_one_that_is_due(day, ok):
    frame = judged("population", people(day), months=12)
    assert frame["ok__vintage_near"].to_list() == [ok]
    assert frame["expected__vintage_near"].to_list() == [date(2024, 8, 31)]


def test_a_day_far_off_is_one_finding_however_many_rows_bear_it_and_is_not_called_mixed():
    rows = [*people("2019-08-31", "2019-08-31", "2018-08-31", "2024-08-31"), *people("2019-08-31", register="户籍")]
    frame = judged("population", rows, months=12)
    assert told(frame, "vintage_near") == [
        (False, "（第 2–6 行，共 3 行）"), (None, ""), (False, ""), (True, ""), (None, "")
    ]  # fmt: skip
    assert False not in frame["ok__vintage_same"].to_list()


def test_days_that_differ_within_a_register_are_one_finding_that_counts_them():
    rows = [
        *people("2024-08-31", "2024-08-31", "2024-06-30", "2024-07-31"),
        *people("2024-06-30", "2024-06-30", register="户籍"),
    ]
    frame = judged("population", rows, months=12)
    words = "常住：2024-08-31（2 行）、2024-06-30（1 行）、2024-07-31（1 行）"
    assert told(frame, "vintage_same") == [(None, ""), (None, ""), (False, words), (None, ""), (True, ""), (None, "")]


def test_without_a_period_no_day_is_far_from_it():
    table = table_of("population", people("2019-08-31"))
    defined = definition("population")
    frame = derive(defined, tabulate(defined, [(0, table)]), {0: None})
    assert frame.select("ok__vintage_near", "ok__vintage_same").rows() == [(None, True)]


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
        assert judged("civil_servant_pay", rows)["ok__nobody"].to_list() == expected


def test_a_register_of_nobody_is_found_by_register():
    rows = faultless_rows("population", "140902")
    for row in rows[:18]:
        row |= {"population_total": 0, "population_male": 0, "population_female": 0}
    found = judged("population", rows)["ok__nobody"].to_list()
    assert [(place, ok) for place, ok in enumerate(found) if ok is not None] == [(0, False), (18, True)]


def test_nothing_may_stand_over_a_zero():
    subsidies = [first("rural_subsidy", due_yuan=due, paid_yuan=100) for due in (0, 9000, "缺报")]
    assert judged("rural_subsidy", subsidies)["ok__paid_of_due_over_zero"].to_list() == [False, True, None]
    pay = [first("teacher_pay", teachers_average=heads, pay_total_yuan=0) for heads in (0, 1)]
    assert judged("teacher_pay", pay)["ok__pay_per_head_over_zero"].to_list() == [True, True]
