"""Made-up counties in which everything agrees: over two years, between returns, with policy, and with no other county.

Belongs here: the figures of a whole county, small enough to be sent as files, and what each is changed by is said in
`test_context`. Which figures a county has follows from its code, so that no two are alike.
"""

from decimal import Decimal
from functools import cache
from typing import Any

from builders import CountyName, Draft, _pupils

from pipelines.home import Home
from pipelines.policy.in_force import PolicyFiles, lay_over, shipped
from tests.homes import PROJECT

RURAL_N = 16  # rural schools, enough for a share of round numbers to mean something
PRIMARY, JUNIOR, KINDERGARTEN, SENIOR = "0001", "0002", "0003", "0004"
RURAL = tuple(f"{number:04d}" for number in range(5, 5 + RURAL_N))
HEADS = {PRIMARY: 150.5, JUNIOR: 226.5, KINDERGARTEN: 101.5, SENIOR: 121.5, **dict.fromkeys(RURAL, 13)}
STAGE = {PRIMARY: "小学", JUNIOR: "初中", KINDERGARTEN: "学前", SENIOR: "普通高中", **dict.fromkeys(RURAL, "小学")}
HARDSHIP_COUNTY = "140922"
LIVING, HARDSHIP, TOWNSHIP, SENT = "乡村教师生活补助", "艰苦边远地区津贴", "乡镇工作补贴", "三区人才计划"
_SHARES = {"basic_salary_yuan": 0.4137, "performance_pay_yuan": 0.3019, "allowance_yuan": 0.1213,
           "year_end_bonus_yuan": 0.1131, "local_incentive_yuan": 0.05}  # fmt: skip
#: Last digits of county codes with which no figure below becomes round.
_DIGITS = "124578"
_REAL = ("02", "21", "22", "23", "24", "25", "26", "27", "28", "29", "30", "31", "32", "81")
#: Codes to be given to cases; those of real counties have categories and standards of their own.
CODES = tuple(
    f"1409{number:02d}" for number in range(1, 99) if f"{number:02d}" not in _REAL and str(number)[-1] in _DIGITS
)


def town(code: str) -> CountyName:
    return CountyName(code, f"第{code[-2:]}县")


def draft(return_code: str, code: str, period: str) -> Draft:
    """A return of a county in which nothing is wrong."""
    return Draft(return_code, county=town(code), period=period, rows=rows(return_code, code, period))


def rows(return_code: str, code: str, period: str) -> list[dict[str, Any]]:
    number, year = int(code[-2:]), int(period[:4]) - 2023
    pupils = 497 + number + 3 * year
    if return_code == "school":
        return [_registered(code, school) for school in STAGE]
    if return_code == "enrolment":
        return [
            {**_named(code, PRIMARY), "stage": "小学", **_pupils(6, 6, pupils - 7 * RURAL_N)},
            {**_named(code, JUNIOR), "stage": "初中", **_pupils(12, 3, pupils)},
            {**_named(code, KINDERGARTEN), "stage": "学前", **_pupils(3, 3, pupils - 21)},
            {**_named(code, SENIOR), "stage": "普通高中", **_pupils(15, 3, pupils - 61)},
            *({**_named(code, school), "stage": "小学", **_pupils(6, 6, 7)} for school in RURAL),
        ]
    if return_code == "population":
        return [
            _people(register, age, pupils + 4 + more, period)
            for register, more in (("常住", 0), ("户籍", 37))
            for age in range(18)
        ]
    if return_code == "teacher_pay":
        return [
            {**_named(code, school), "stage": stage, **pay(HEADS[school], 70_000 + 11 * number + 2_000 * year,
                                                          allowances(code, school, period))}
            for school, stage in STAGE.items()
        ]  # fmt: skip
    if return_code == "civil_servant_pay":
        return [
            {"staff_category": category, **pay(heads, 69_000 + 7 * number + 2_000 * year, {}, "civil_servants_average")}
            for category, heads in (("公务员", 301.5), ("参公人员", 83))
        ]
    quarter = int(period[-1])
    return [
        *(subsidy(code, school, LIVING, "一档", entitled(code, school, quarter), 300) for school in (JUNIOR, *RURAL)),
        *([subsidy(code, RURAL[0], HARDSHIP, "不分档", 12, 210)] if code == HARDSHIP_COUNTY else []),
        *([subsidy(code, RURAL[0], TOWNSHIP, "不分档", 12, standard)] if (standard := township(code)) else []),
    ]


def township(code: str) -> int:
    """The standard that policy sets for the county itself; 0 for the made-up ones."""
    return _township_standards().get(code, 0)


@cache
def _township_standards() -> dict[str, int]:
    """Those of the sample's policy over the shipped defaults."""
    files = PolicyFiles(shipped(PROJECT / "pipelines" / "sample" / "policy"), shipped(Home(PROJECT).policy_defaults))
    found = {
        str(row.values["scope_code"]): row.values["yuan_per_month"]
        for row in lay_over(files).rows["subsidy_tiers"]
        if row.values["programme"] == TOWNSHIP
    }
    return {code: int(yuan) for code, yuan in found.items() if isinstance(yuan, Decimal)}


def entitled(code: str, school: str, quarter: int) -> int:
    if school == JUNIOR:
        return 24 + int(code[-2:]) + quarter
    return 11 + (int(school) + quarter) % 2


def allowances(code: str, school: str, year: str) -> dict[str, Any]:
    """What the subsidy returns of a year pay a school."""
    del year  # every year the same
    paid: dict[str, Any] = {"hardship_allowance_yuan": "不适用"}
    if school in (JUNIOR, *RURAL):
        paid["rural_living_allowance_yuan"] = sum(900 * entitled(code, school, quarter) for quarter in (1, 2, 3, 4))
    if standard := township(code):
        paid["township_allowance_yuan"] = 4 * 3 * 12 * standard if school == RURAL[0] else 0
    if code == HARDSHIP_COUNTY:
        paid["hardship_allowance_yuan"] = 4 * 3 * 12 * 210 if school == RURAL[0] else 0
    return paid


def pay(heads: float, average: int, allowed: dict[str, Any], column: str = "teachers_average") -> dict[str, Any]:
    """A row of pay: comparable components of about `average` a head, insurance, and the allowances."""
    parts: dict[str, Any] = {name: round(heads * average * share, 2) for name, share in _SHARES.items()}
    parts |= {"rural_living_allowance_yuan": 0, "township_allowance_yuan": "不适用", "hardship_allowance_yuan": "不适用",
              "reform_allowance_yuan": round(heads * 1203.7, 2), "employer_insurance_yuan": round(heads * average * 0.1873, 2),
              "other_yuan": 0} | allowed  # fmt: skip
    return {column: heads, **parts, "pay_total_yuan": total_of(parts)}


def total_of(parts: dict[str, Any]) -> float:
    return round(sum(value for name, value in parts.items() if name.endswith("_yuan") and not isinstance(value, str)
                     and name != "pay_total_yuan"), 2)  # fmt: skip


def subsidy(
    code: str, school: str, programme: str, tier: str, heads: int, standard: float, months: int = 3
) -> dict[str, Any]:
    due = heads * standard * months
    return {
        **_named(code, school), "programme": programme, "tier": tier, "teachers_entitled": heads, "teachers_paid": heads,
        "standard_yuan_per_month": standard, "months": months, "due_yuan": due, "paid_yuan": due, "arrears_yuan": 0,
    }  # fmt: skip


def _named(code: str, school: str) -> dict[str, Any]:
    return {"school_code": f"{code}{school}", "school_name": f"第{int(school)}学校"}


def _registered(code: str, school: str) -> dict[str, Any]:
    kind = {PRIMARY: "小学", JUNIOR: "初中", KINDERGARTEN: "幼儿园", SENIOR: "高中"}.get(school, "教学点")
    rural = school in (JUNIOR, *RURAL)
    return {
        **_named(code, school), "school_type": kind, "organiser": "公办", "location_code": "220" if rural else "111",
        "boarding": "否", "subsidy_tier": "一档" if rural else "不适用", "opened_on": "1983-09-01", "closed_on": None,
    }  # fmt: skip


def _people(register: str, age: int, people: int, year: str) -> dict[str, Any]:
    return {
        "age": age, "register": register, "population_total": people, "population_male": people // 2 + 5,
        "population_female": people - people // 2 - 5, "source": "统计局", "vintage_on": f"{year}-08-31",
    }  # fmt: skip
