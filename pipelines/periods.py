"""Reporting periods (报告期): their codes, their Chinese labels, and what clerks write for them.

Belongs here: the five period types, the one canonical code of each period, its first and last day,
its neighbours, and the reading of a period out of a cover cell, a title or a file name.
Does not belong here: which return is due for which period (`municipality`), and which period type a
return takes (the return's definition).

=============== ============ =====================================
type            code         days
=============== ============ =====================================
school year     2024-2025    2024-09-01 to 2025-08-31
semester        2024-2025S1  2024-09-01 to 2025-02-28 (S2: to 2025-08-31)
calendar year   2024         2024-01-01 to 2024-12-31
quarter         2024Q3       2024-07-01 to 2024-09-30
month           2024-03      2024-03-01 to 2024-03-31
=============== ============ =====================================
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache, total_ordering

from pipelines.characters import LONGEST_LABEL, folded_name

FIRST_YEAR = 1949
LAST_YEAR = 2199
SCHOOL_YEAR_FIRST_MONTH = 9


class PeriodType(StrEnum):
    """The kinds of period a return may report on."""

    school_year = "school_year"
    calendar_year = "calendar_year"
    semester = "semester"
    quarter = "quarter"
    month = "month"

    @property
    def label(self) -> str:
        """The type's Chinese name."""
        return _TYPE_LABELS[self]

    @property
    def months(self) -> int:
        """Months in one period of the type."""
        return _TYPE_MONTHS[self]


_TYPE_LABELS = {
    PeriodType.school_year: "学年",
    PeriodType.calendar_year: "年度",
    PeriodType.semester: "学期",
    PeriodType.quarter: "季度",
    PeriodType.month: "月度",
}
_TYPE_MONTHS = {
    PeriodType.school_year: 12,
    PeriodType.calendar_year: 12,
    PeriodType.semester: 6,
    PeriodType.quarter: 3,
    PeriodType.month: 1,
}


@total_ordering
@dataclass(frozen=True, slots=True)
class Period:
    """One reporting period; make it with ``parse_period``. ``start`` and ``end`` are its first and last day.

    Periods order by start, then by end, so periods of one type stand in the order of time.
    """

    code: str
    type: PeriodType
    start: date
    end: date

    def __str__(self) -> str:
        return self.code

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, Period):
            return NotImplemented
        return (self.start, self.end) < (other.start, other.end)

    @property
    def year(self) -> int:
        """The year in which the period starts: 2024 for the school year 2024-2025."""
        return self.start.year

    @property
    def months(self) -> int:
        """Months in the period: 12, 12, 6, 3 or 1."""
        return self.type.months

    @property
    def label(self) -> str:
        """The Chinese label written on covers and in marts: 2024-2025学年, 2024-2025学年第一学期, 2024年, 2024年第3季度, 2024年3月."""
        if self.type is PeriodType.school_year:
            return f"{self.year}-{self.year + 1}学年"
        if self.type is PeriodType.calendar_year:
            return f"{self.year}年"
        if self.type is PeriodType.semester:
            from_year = self.year - (self.start.month < SCHOOL_YEAR_FIRST_MONTH)
            return f"{from_year}-{from_year + 1}学年第{'一' if from_year == self.year else '二'}学期"
        if self.type is PeriodType.quarter:
            return f"{self.year}年第{(self.start.month + 2) // 3}季度"
        return f"{self.year}年{self.start.month}月"

    def previous(self) -> Period:
        """The period of the same type before this one. Raises ValueError before the first supported year."""
        return self._shifted(-1)

    def next(self) -> Period:
        """The period of the same type after this one. Raises ValueError after the last supported year."""
        return self._shifted(1)

    def _shifted(self, periods_n: int) -> Period:
        start = _first_of_month(self.start.year * 12 + self.start.month - 1 + periods_n * self.months)
        return _period(self.type, start.year, start.month)


@lru_cache(maxsize=4096)
def parse_period(code: str) -> Period:
    """Return the period of a canonical code such as ``2024-2025``, ``2024``, ``2024Q3`` or ``2024-03``.

    Raises ValueError, with a Chinese message, for any other text: labels are for ``read_period_label``.
    """
    match = _CODE.fullmatch(code)
    if match:
        year = int(match["year"])
        if match["quarter"]:
            return _period(PeriodType.quarter, year, int(match["quarter"]) * 3 - 2)
        if match["month"]:
            return _period(PeriodType.month, year, int(match["month"]))
        if not match["until"]:
            return _period(PeriodType.calendar_year, year, 1)
        if int(match["until"]) == year + 1 and match["semester"]:
            return _semester(year, int(match["semester"]))
        if int(match["until"]) == year + 1:
            return _period(PeriodType.school_year, year, SCHOOL_YEAR_FIRST_MONTH)
    raise ValueError(
        f"“{code}”不是报告期代码，应写成 2024-2025（学年）、2024-2025S1（学期）、2024（年度）、2024Q3（季度）或 2024-03（月度）"
    )


def periods_between(first: Period, last: Period) -> list[Period]:
    """Return all periods from ``first`` to ``last``, both included, in order; empty when last is before first.

    Raises ValueError when the two are of different types.
    """
    if first.type is not last.type:
        raise ValueError(
            f"“{first.code}”是{first.type.label}，“{last.code}”是{last.type.label}，类型不同，无法连成一段"
        )
    periods = []
    period = first
    while period <= last:
        periods.append(period)
        if period == last:
            break
        period = period.next()
    return periods


def read_period_label(text: str) -> Period | None:
    """Return the one period that a cover cell, title or file name speaks of, or None.

    Reads full-width and Chinese digits, any dash, spaces and line breaks, with other words around. Dates
    (2024年9月1日) and editions of a form (2024年修订) are passed over. None also when the text names two
    different periods, or a span that no return reports on (half a year, several years, a term that may be either): which
    period is meant is then the county's to say, and never guessed.
    """
    text = _tidy(text)
    if _CODE.fullmatch(text):
        try:
            return parse_period(text)
        except ValueError:
            return None
    found: set[Period] = set()
    for match in _WRITTEN.finditer(text):
        if match["passed_over"]:
            continue
        period = _written_period(match)
        if period is None:
            return None
        found.add(period)
    return found.pop() if len(found) == 1 else None


def read_period_in_name(file_name: str) -> Period | None:
    """Return the one period that a file's name claims in words (2023-2024学年, 2024年第3季度), or None.

    A bare number in a name may be a date of sending, a version or a count (…-2000.xlsx, 20241012, v2024): it claims nothing. No more
    does the year in which a form was issued or is sent in (2025年报送). None also when the name claims two periods.
    """
    text = _tidy(file_name)
    found: set[Period | None] = set()
    for match in _WRITTEN.finditer(text):
        is_in_words = re.search("[年季月]", match[0])
        if match["passed_over"] or not is_in_words or _NOT_OF_THE_DATA.match(text, match.end()):
            continue
        found.add(_written_period(match))
    return found.pop() if len(found) == 1 else None


def _period(type_: PeriodType, year: int, month: int) -> Period:
    first_month = year * 12 + month - 1
    last_month = first_month + type_.months - 1
    if year < FIRST_YEAR or last_month // 12 > LAST_YEAR:
        raise ValueError(f"报告期应在 {FIRST_YEAR} 年至 {LAST_YEAR} 年之间")
    start = _first_of_month(first_month)
    end = _first_of_month(last_month + 1) - timedelta(days=1)
    of_school_year = year - (month < SCHOOL_YEAR_FIRST_MONTH)
    code = {
        PeriodType.school_year: f"{year}-{year + 1}",
        PeriodType.semester: f"{of_school_year}-{of_school_year + 1}S{1 if month >= SCHOOL_YEAR_FIRST_MONTH else 2}",
        PeriodType.calendar_year: f"{year}",
        PeriodType.quarter: f"{year}Q{(month + 2) // 3}",
        PeriodType.month: f"{year}-{month:02d}",
    }[type_]
    return Period(code, type_, start, end)


def _semester(school_year: int, number: int) -> Period:
    """The first semester begins with the school year, the second on 1 March: together they are the school year."""
    if number == 1:
        return _period(PeriodType.semester, school_year, SCHOOL_YEAR_FIRST_MONTH)
    return _period(PeriodType.semester, school_year + 1, SCHOOL_YEAR_FIRST_MONTH - 6)


def _first_of_month(months_since_year_0: int) -> date:
    return date(months_since_year_0 // 12, months_since_year_0 % 12 + 1, 1)


_CODE = re.compile(
    r"(?P<year>[0-9]{4})(?:Q(?P<quarter>[1-4])|-(?P<until>[0-9]{4})(?:S(?P<semester>[12]))?|-(?P<month>0[1-9]|1[0-2]))?",
)

_CHINESE_NUMBERS = {character: number for number, character in enumerate("一二三四五六七八九十", start=1)}
_CHINESE_NUMBERS |= {"十一": 11, "十二": 12}
_YEAR_DIGITS = str.maketrans("〇○零Oo一二三四五六七八九", "00000123456789")

_NUMBER = r"(?:[0-9]{1,2}|十[一二]?|[一二三四五六七八九])"
_YEAR = r"(?<![0-9])(?:19|20|21)[0-9]{2}"
_TERM = r"(?:(?:第?[一二12]|[上下春秋]季?)学?期|学期)"
#: A term that is one of the two beyond doubt: 上学期 of a calendar year is either, by the custom of the place.
_FIRST_TERM = r"(?:第?[一1]|[上秋]季?)学?期"
_SECOND_TERM = r"(?:第?[二2]|[下春]季?)学?期"

# At each place the first alternative that fits is taken, so the longer reading stands before the shorter.
# Numbers out of range (2024年13月) match all the same and are refused after, or the year alone would be read.
_WRITTEN = re.compile(
    rf"""
    (?P<passed_over>
        {_YEAR}年{_NUMBER}月[0-9]{{1,2}}(?:-[0-9]{{1,2}})?[日号]      # a date, or days of one month
      | {_YEAR}年{_NUMBER}月[初底末]                                  # a point in time
      | {_YEAR}年初
      | {_YEAR}([-./])[0-9]{{1,2}}\2[0-9]{{1,2}}(?![0-9])
      | {_YEAR}年(?:{_NUMBER}月)?(?:第[0-9一二三四五六七八九十]+)?(?:版|制|修订|印发|印制|颁布)
    )
  | (?P<term_from>{_YEAR})(?:[-/](?P<term_until>[0-9]{{4}}|[0-9]{{2}}))学年度?(?:(?P<first>{_FIRST_TERM})|(?P<second>{_SECOND_TERM}))
  | (?P<term_year>{_YEAR})年度?(?:(?P<autumn>秋季?学期)|(?P<spring>春季?学期))
  | (?P<code_from>{_YEAR})-(?P<code_until>[0-9]{{4}})S(?P<code_term>[12])(?![0-9A-Za-z])
  | (?P<no_period>
        {_YEAR}(?:[-/](?:[0-9]{{4}}|[0-9]{{2}}))?学年度?{_TERM}
      | {_YEAR}年度?(?:[上下]半年|[春夏秋冬]季|{_TERM})
      | {_YEAR}年度?(?:前{_NUMBER}个?(?:季|月)|第?{_NUMBER}(?:季度?)?-第?{_NUMBER}季)
      | {_YEAR}年度?-{_YEAR}年                                       # several years
      | {_YEAR}-{_YEAR}年
      | {_YEAR}年度?{_NUMBER}月-{_YEAR}年
    )
  | (?P<school_from>{_YEAR})(?:学年)?[-/](?P<school_until>[0-9]{{4}}|[0-9]{{2}})学年
  | (?P<school_single>{_YEAR})学年
  | (?P<quarter_year>{_YEAR})(?:年度?)?-?(?:第?(?P<quarter>{_NUMBER})季|Q(?P<q>[0-9]+))
  | (?P<span_year>{_YEAR})年度?(?P<month_from>{_NUMBER})月?-(?P<month_until>{_NUMBER})月
  | (?P<month_year>{_YEAR})年度?(?P<month>{_NUMBER})月
  | (?P<pair_from>{_YEAR})-(?P<pair_until>{_YEAR})(?![0-9])
  | (?P<code_year>{_YEAR})-(?P<code_month>0[1-9]|1[0-2])(?![0-9])
  | (?P<year>{_YEAR})年
  | (?:^|(?<=[_-]))(?P<file_year>{_YEAR})(?=_|$|\.[A-Za-z])             # population_2024.xlsx
    """,
    re.VERBOSE,
)

#: What follows upon the time of an act, not upon the period of the data.
_NOT_OF_THE_DATA = re.compile(
    r"度?(?:底|末|初)?(?:再次|重新|补充?)?(?:报送|上报|填报|报出|报来|提交|发来|收到|下发|印发|布置|模板|表样|样表|新版|改版|修改|更新)"
)


def _tidy(text: str) -> str:
    """Folded, one kind of dash, Chinese year digits as digits, and spaces only where they part two numbers."""
    text = folded_name(text[:LONGEST_LABEL])
    text = re.sub(r"[‐‒–—―−─━~至到-]+", "-", re.sub(r"\s+", " ", text).strip())
    text = re.sub(r"(?<![0-9]) | (?![0-9])", "", text)
    return re.sub(
        r"[一二][〇○零Oo一二三四五六七八九]{3}(?=年|学年|-)", lambda match: match[0].translate(_YEAR_DIGITS), text
    )


def _number(text: str) -> int:
    return _CHINESE_NUMBERS[text] if text in _CHINESE_NUMBERS else int(text)


def _written_period(match: re.Match[str]) -> Period | None:
    """The period that one match of ``_WRITTEN`` names; None when it is not one a return can report on."""
    group = match.groupdict()
    try:
        if group["no_period"]:
            return None
        if group["code_from"]:
            return parse_period(f"{group['code_from']}-{group['code_until']}S{group['code_term']}")
        if group["term_from"]:
            until = group["term_until"]
            century = group["term_from"][:2] if len(until) == 2 else ""
            return parse_period(f"{group['term_from']}-{century}{until}S{1 if group['first'] else 2}")
        if group["term_year"]:
            year = int(group["term_year"])
            return _semester(year, 1) if group["autumn"] else _semester(year - 1, 2)
        if school_from := group["school_from"] or group["pair_from"]:
            until = group["school_until"] or group["pair_until"]
            century = school_from[:2] if len(until) == 2 else ""
            return parse_period(f"{school_from}-{century}{until}")
        if group["school_single"]:
            return _period(PeriodType.school_year, int(group["school_single"]), SCHOOL_YEAR_FIRST_MONTH)
        if group["quarter_year"]:
            return parse_period(f"{group['quarter_year']}Q{_number(group['quarter'] or group['q'])}")
        if group["span_year"]:
            first, last = _number(group["month_from"]), _number(group["month_until"])
            if (first, last) == (1, 12):
                return parse_period(group["span_year"])
            if first % 3 == 1 and last == first + 2:
                return parse_period(f"{group['span_year']}Q{last // 3}")
            return None
        if group["month_year"]:
            return parse_period(f"{group['month_year']}-{_number(group['month']):02d}")
        if group["code_year"]:
            return parse_period(f"{group['code_year']}-{group['code_month']}")
        return parse_period(group["year"] or group["file_year"])
    except ValueError:
        return None
