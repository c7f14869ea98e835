"""Periods: codes, neighbours, and what clerks write for them."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.periods import (
    Period,
    PeriodType,
    parse_period,
    periods_between,
    read_period_in_name,
    read_period_label,
)

YEARS = st.integers(min_value=1950, max_value=2197)


@st.composite
def periods(draw: st.DrawFn) -> Period:
    year = draw(YEARS)
    code = draw(
        st.one_of(
            st.just(f"{year}-{year + 1}"),
            st.just(f"{year}"),
            st.integers(1, 2).map(lambda semester: f"{year}-{year + 1}S{semester}"),
            st.integers(1, 4).map(lambda quarter: f"{year}Q{quarter}"),
            st.integers(1, 12).map(lambda month: f"{year}-{month:02d}"),
        )
    )
    return parse_period(code)


@pytest.mark.parametrize(
    ("code", "type_", "start", "end", "label", "months"),
    [
        ("2024-2025", PeriodType.school_year, date(2024, 9, 1), date(2025, 8, 31), "2024-2025学年", 12),
        ("2024", PeriodType.calendar_year, date(2024, 1, 1), date(2024, 12, 31), "2024年", 12),
        ("2024-2025S1", PeriodType.semester, date(2024, 9, 1), date(2025, 2, 28), "2024-2025学年第一学期", 6),
        ("2024-2025S2", PeriodType.semester, date(2025, 3, 1), date(2025, 8, 31), "2024-2025学年第二学期", 6),
        ("2024Q3", PeriodType.quarter, date(2024, 7, 1), date(2024, 9, 30), "2024年第3季度", 3),
        ("2024Q4", PeriodType.quarter, date(2024, 10, 1), date(2024, 12, 31), "2024年第4季度", 3),
        ("2024-02", PeriodType.month, date(2024, 2, 1), date(2024, 2, 29), "2024年2月", 1),
        ("2023-12", PeriodType.month, date(2023, 12, 1), date(2023, 12, 31), "2023年12月", 1),
    ],
)
def test_a_code_gives_the_days_label_and_months_of_its_period(
    code: str, type_: PeriodType, start: date, end: date, label: str, months: int
) -> None:
    period = parse_period(code)
    assert (period.code, period.type, period.start, period.end) == (code, type_, start, end)
    assert (period.label, period.months, period.year, str(period)) == (label, months, start.year, code)


@pytest.mark.parametrize(
    "code",
    [
        "",
        "24",
        "2024-2026",
        "2024-2024",
        "2024-2025S3",
        "2024S1",
        "2024Q5",
        "2024Q0",
        "2024-13",
        "2024-00",
        "2024-3",
        "2024年",
        " 2024",
        "2024\n",
    ]
    + ["1948", "2199-2200", "２０２４", "2024-2025学年", "0000", "9999-12"],
)
def test_what_is_not_a_code_is_refused(code: str) -> None:
    with pytest.raises(ValueError, match="报告期"):
        parse_period(code)


@pytest.mark.parametrize(
    ("code", "previous"),
    [("2024-2025", "2023-2024"), ("2024", "2023"), ("2024Q1", "2023Q4"), ("2024Q3", "2024Q2"), ("2024-01", "2023-12")],
)
def test_the_previous_period_is_of_the_same_type(code: str, previous: str) -> None:
    assert parse_period(code).previous() == parse_period(previous)


def test_there_is_no_period_beyond_the_supported_years() -> None:
    with pytest.raises(ValueError, match="1949"):
        parse_period("1949-01").previous()
    with pytest.raises(ValueError, match="2199"):
        parse_period("2199").next()
    assert parse_period("2199") in periods_between(parse_period("2198"), parse_period("2199"))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("2024-2025学年度第一学期", "2024-2025S1"),
        ("2024—2025学年上学期", "2024-2025S1"),
        ("二〇二四-二〇二五学年第二学期听评课统计表", "2024-2025S2"),
        ("2024-25学年下学期", "2024-2025S2"),
        ("2024年秋季学期", "2024-2025S1"),
        ("2025年春季学期", "2024-2025S2"),
        ("2024-2025S2", "2024-2025S2"),
    ],
)
def test_a_semester_is_read_as_counties_write_it(text: str, code: str) -> None:
    assert read_period_label(text) == parse_period(code)


@given(periods())
def test_previous_and_next_undo_each_other_and_leave_no_gap(period: Period) -> None:
    assert period.previous().next() == period == period.next().previous()
    assert period.previous().end + timedelta(days=1) == period.start
    assert period.previous() < period < period.next()
    assert period.previous().type is period.type


@given(periods())
def test_a_code_and_a_label_read_back_as_the_same_period(period: Period) -> None:
    assert parse_period(period.code) == period
    assert read_period_label(period.label) == period
    assert read_period_label(period.code) == period


@given(
    periods(),
    st.sampled_from(["忻府区{}在校（园）学生统计表", "报告期： {} ", "（{}）\n填报单位：代县", "代县_{}_v2.xlsx"]),
)
def test_a_label_is_found_among_other_words(period: Period, around: str) -> None:
    assert read_period_label(around.format(period.label)) == period


@given(periods())
def test_a_label_in_full_width_digits_with_spaces_is_the_same_label(period: Period) -> None:
    full_width = period.label.translate(str.maketrans("0123456789-", "０１２３４５６７８９－"))
    spaced = full_width.replace("年", " 年 ").replace("第", "第\n").replace("－", "　－　")
    assert read_period_label(spaced) == period


@given(periods(), st.integers(0, 40))
def test_periods_between_runs_from_first_to_last_without_a_gap(first: Period, steps: int) -> None:
    last = first
    for _ in range(min(steps, (2197 - first.year) * 12 // first.months)):
        last = last.next()
    between = periods_between(first, last)
    assert between[0] == first
    assert between[-1] == last
    assert all(later.previous() == earlier for earlier, later in pairwise(between))


def test_periods_between_is_empty_backwards_and_refuses_a_mixture() -> None:
    assert periods_between(parse_period("2024"), parse_period("2023")) == []
    with pytest.raises(ValueError, match="类型不同"):
        periods_between(parse_period("2024"), parse_period("2024Q4"))


def test_periods_sort_by_time_not_by_code() -> None:
    codes = ["2024-2025", "2024-03", "2024Q1", "2023Q4"]
    assert [period.code for period in sorted(map(parse_period, codes))] == ["2023Q4", "2024Q1", "2024-03", "2024-2025"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("2024—2025学年度", "2024-2025"),
        ("2024——2025 学年", "2024-2025"),
        ("2024～2025学年", "2024-2025"),
        ("2024至2025学年", "2024-2025"),
        ("2024/2025学年", "2024-2025"),
        ("2024-25学年", "2024-2025"),
        ("2024学年", "2024-2025"),
        ("2024学年度", "2024-2025"),
        ("２０２４－２０２５学年", "2024-2025"),
        ("二〇二四—二〇二五学年", "2024-2025"),
        ("140902_enrolment_2024-2025.xlsx", "2024-2025"),
        ("2024-2025学年（截至2024年9月1日）", "2024-2025"),
        ("2024年度", "2024"),
        ("2024年末常住人口", "2024"),
        ("二○二四年", "2024"),
        ("2024年1—12月", "2024"),
        ("XB03（2023年修订） 2024年", "2024"),
        ("140902 2024年", "2024"),
        ("population_2024.xlsx", "2024"),
        ("2024年第三季度", "2024Q3"),
        ("2024年三季度", "2024Q3"),
        ("2024年3季度", "2024Q3"),
        ("2024年7-9月", "2024Q3"),
        ("2024年第3季度（2024年7月至9月）", "2024Q3"),
        ("忻府区_2024Q3_补助.xls", "2024Q3"),
        ("2024年03月份", "2024-03"),
        ("2024年十二月", "2024-12"),
        ("代县 2024-03.csv", "2024-03"),
    ],
)
def test_what_clerks_write_is_read(text: str, code: str) -> None:
    assert read_period_label(text) == parse_period(code)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "在校学生统计表",
        "2024年9月1日",
        "截至2024年9月1日",
        "2024年9月1号",
        "2024-09-01 00:00:00",
        "2024/9/1",
        "2024.09.01",
        "2024年9月底",
        "2024年初",
        "20240901",
        "晋教〔2024〕15号",
        "XB03（2024年修订）",
        "2024学年第2学期",
        "2024年上学期",
        "2024年上半年",
        "2024年前三季度",
        "2024年一至三季度",
        "2024年1-6月",
        "2024年13月",
        "2024年第5季度",
        "2024Q5",
        "2022-2024年",
        "2022年至2024年",
        "2024-2026学年",
        "2023年和2024年对比表",
        "2024年（2023-2024学年）",
        "电话 13820242025",
    ],
)
def test_what_is_no_period_or_more_than_one_is_not_guessed(text: str) -> None:
    assert read_period_label(text) is None


@given(st.text(alphabet="2024159年月日学季度第期Q-—至 ０３三一半上/.末", max_size=40))
def test_no_text_makes_the_reader_fail(text: str) -> None:
    period = read_period_label(text)
    assert period is None or parse_period(period.code) == period


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("五台县2023-2024学年在校学生.xlsx", "2023-2024"),
        ("五台县2024年第3季度补助(2).xlsx", "2024Q3"),
        ("二〇二四年工资 - 副本.xlsx", "2024"),
        ("2025年1月报送的2024年工资.xlsx", "2024"),
        ("population_2024.xlsx", None),
        ("工资-2000.xlsx", None),
        ("2023-2024.xlsx", None),
        ("2024-03.xlsx", None),
        ("2024Q3.xlsx", None),
        ("工资20241012.xlsx", None),
        ("工资2025年报送.xlsx", None),
        ("2025年市局.xlsx", "2025"),
        ("工资2024年修订版.xlsx", None),
        ("工资2025年模板.xlsx", None),
        ("2023年和2024年.xlsx", None),
        ("2024年上半年.xlsx", None),
    ],
)
def test_a_file_name_claims_a_period_in_words_or_not_at_all(name, code):
    period = read_period_in_name(name)
    assert (period.code if period else None) == code
