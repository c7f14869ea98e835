"""Tables that stand in another unit or are another table: one error names the unit and speaks for what follows; and when a hint of a
unit is given at all."""

from fractions import Fraction

import pytest
from builders import faultless_rows
from checked import Asked, Row, asked
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.periods import parse_period
from pipelines.returns import definition
from pipelines.screening.units import FACTORS, NEAR, off_by, suspected, suspected_within

PAY_COLUMNS = [column.name for column in definition("teacher_pay").number_columns if column.type == "money"]


def judged(return_code: str, rows: list[Row]) -> Asked:
    return asked(return_code, rows, period=parse_period("2024Q1"))


def said(found: Asked) -> list[tuple[int, str, str]]:
    """(row, column, words) of the findings about the unit of the table."""
    cells = found.cells(f"{found.defined.form}-1c-level")
    return cells.select("source_row", "column", "detail").rows()


def many(return_code: str, rows_n: int) -> list[Row]:
    row = faultless_rows(return_code, "140902")[0]
    return [row | {"school_code": f"140902{number:04d}"} for number in range(rows_n)]


def divided(row: Row, by: int, *names: str) -> Row:
    """The row in another unit, to two decimals as a clerk types it."""
    return row | {name: round(float(row[name] / by), 2) for name in names if not isinstance(row[name], str)}


@pytest.mark.parametrize(("off_n", "is_off"), [(0, False), (1, False), (2, False), (3, True), (10, True)])
def test_a_table_is_off_when_a_fifth_of_its_rows_is(off_n, is_off):
    rows = many("teacher_pay", 10)
    frame = judged("teacher_pay", [*(divided(row, 10_000, *PAY_COLUMNS) for row in rows[:off_n]), *rows[off_n:]])
    found = said(frame)
    assert bool(found) is is_off
    if is_off:
        ((row, column, words),) = found
        assert (row, column) == (2, "pay_total_yuan")
        assert f"10 行中有 {off_n} 行的人均年工资（工资总额 ÷ 年平均人数）" in words
        assert "疑似以万元填报（相差约 10000 倍）" in words
    # Single rows are asked about each; those of a table that is off are not.
    assert frame.holds("XB04-4-pay-per-head").count(False) == (0 if is_off else off_n)


def test_one_of_two_rows_that_is_off_is_an_error_and_a_truthful_extreme_is_none():
    rows = faultless_rows("civil_servant_pay", "140902")
    assert len(said(judged("civil_servant_pay", [divided(rows[0], 10_000, *PAY_COLUMNS), rows[1]]))) == 1
    # A tenth of what is plausible, or ten times as much: asked about, not refused.
    for factor in (10, Fraction(1, 10)):
        frame = judged("civil_servant_pay", [divided(row, factor, *PAY_COLUMNS) for row in rows])
        assert said(frame) == [] and set(frame.holds("XB05-4-pay-per-head")) == {False}


def test_a_table_of_nothing_is_off_no_level():
    zeros = dict.fromkeys(PAY_COLUMNS, 0)
    assert (
        said(judged("civil_servant_pay", [row | zeros for row in faultless_rows("civil_servant_pay", "140902")])) == []
    )
    none = [row | {"students_total": 0} for row in faultless_rows("enrolment", "140902")]
    assert said(judged("enrolment", none)) == []


def test_what_follows_from_the_unit_of_one_column_is_not_said_row_by_row():
    rows = many("rural_subsidy", 6)
    amounts = [divided(row, 10_000, "due_yuan", "paid_yuan") for row in rows]
    frame = judged("rural_subsidy", amounts)
    ((_, column, words),) = said(frame)
    assert column == "due_yuan" and "每人每月应发金额" in words and "每人每月实发金额" in words and "万元" in words
    for rule in ("1c-due-equals-heads-by-standard", "1c-arrears-equal-due-less-paid", "4-paid-of-due"):
        assert frame.holds(f"XB06-{rule}") == [None] * 6, rule
    assert frame.holds("XB06-1c-paid-within-entitled") == [True] * 6


def test_people_in_thousands_are_one_error_though_no_cell_is_a_whole_number():
    for return_code, unit in (("enrolment", "千人"), ("population", "千人")):
        names = [column.name for column in definition(return_code).number_columns if column.unit == "人"]
        frame = judged(return_code, [divided(row, 1_000, *names) for row in faultless_rows(return_code, "140902")])
        ((_, _, words),) = said(frame)
        assert unit in words and "相差约 1000" in words
        assert {held for name in names for held in frame.holds(f"{frame.defined.form}-1a-{name}")} == {True}


def test_a_table_is_held_to_the_bounds_of_its_rows():
    for return_code in ("teacher_pay", "civil_servant_pay"):
        kinds = {check.check: check for check in asked(return_code, faultless_rows(return_code, "140902")).form.checks}
        (figure,), row = kinds["unit_of_column"].figures, kinds["between"]
        assert (figure.low, figure.high) == (row.min_value, row.max_value)
        assert kinds["unit_of_column"].times == 20


# --- hints ------------------------------------------------------------------------------------------------------------

figures = st.floats(min_value=1e-6, max_value=1e12, allow_nan=False)


@settings(deadline=None)
@given(figures, figures)
def test_a_hint_is_given_only_near_a_power_of_ten_and_names_it(value, expected):
    ratio = value / expected
    near = [factor for factor in (*FACTORS, *(1 / factor for factor in FACTORS)) if abs(ratio / factor - 1) <= NEAR]
    words = suspected(value, expected, "元")
    assert bool(words) is bool(near)
    if near:
        assert off_by(value, expected) == pytest.approx(near[0])
        assert f"{round(near[0] if near[0] > 1 else 1 / near[0])}" in words


@settings(deadline=None)
@given(figures, figures, st.floats(min_value=1, max_value=1e4))
def test_beside_a_range_a_hint_brings_the_figure_inside_by_one_factor_alone(value, low, width):
    high = low * width
    words = suspected_within(value, low, high, "元")
    fits = [factor for one in FACTORS for factor in (one, 1 / one) if low <= value * factor <= high]
    assert bool(words) <= (len(fits) == 1 and (value * 10 < low or value > high * 10))
    assert bool(words) <= bool(suspected_within(value, low, high, "元", alone=False))


@pytest.mark.parametrize(
    ("paid", "hint"),
    [
        (9_720, ""),
        (90_000, ""),
        (270_000, ""),
        (900_000, "，疑似以分填报（相差约 100 倍）"),
        (90_000_000, "，疑似放大了约 10000 倍"),
    ],
)
def test_more_paid_than_due_is_another_unit_only_where_it_is_a_power_of_ten(paid, hint):
    row = faultless_rows("rural_subsidy", "140902")[0]
    assert row["due_yuan"] == 9_000
    rows = many("rural_subsidy", 9)
    rows[0] |= {"paid_yuan": paid, "arrears_yuan": 9_000 - paid}
    found = judged("rural_subsidy", rows)
    assert found.holds("XB06-4-paid-of-due") == [False] + [True] * 8
    assert found.cells("XB06-4-paid-of-due")["detail"].to_list() == [hint]
