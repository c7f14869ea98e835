"""Whatever screening accepts, the models build, their tests hold and a release is published.

Each case is a home of three counties whose files are oddly shaped but accepted: real files, through screening, so that no case
can drift away from what counties may send. A rule that is to stop one of them belongs into screening, not into a model.
"""

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pipelines.home import Home
from pipelines.intake.raw_store import Arrival, RawStore
from pipelines.releases.publish import publish
from pipelines.returns import current_definitions
from pipelines.warehouse.landing import build_marts, land_new
from tests.homes import rows, small_home
from tests.unit.builders import DINGXIANG, PAY, XINFU, YUANPING, CountyName, Draft

NAMES = {XINFU: "Xinfu", DINGXIANG: "Dingxiang", YUANPING: "Yuanping"}
CALENDAR = {
    "school": ("2023-2024", "2024-2025", "start", 45),
    "enrolment": ("2024-2025", "2024-2025", "start", 45),
    "population": ("2024", "2024", "end", 60),
    "teacher_pay": ("2024", "2024", "end", 60),
    "civil_servant_pay": ("2024", "2024", "end", 60),
    "rural_subsidy": ("2024Q3", "2024Q4", "end", 20),
}
MISSING = {"not_applicable": "不适用", "not_reported": "缺报", "included_elsewhere": "并入"}
#: The most that screening lets a cell hold.
MOST = {"count": 10**7, "headcount": 10**6, "money": 10**11}
PAY_PARTS = [name for name in PAY if name != "pay_total_yuan"]


def _school_code(county: CountyName, number: int) -> str:
    return f"{county.code}{number:04d}"


def _faultless(county: CountyName) -> Iterator[Draft]:
    for return_code in CALENDAR:
        draft = Draft(return_code, county=county)
        if return_code == "school":
            for row, school_type in zip(draft.rows, ("小学", "初中"), strict=True):
                row |= {"school_type": school_type, "closed_on": None}
        yield draft
    yield Draft("rural_subsidy", county=county, period="2024Q4")


def _as_schools(county: CountyName, changed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows as of one school each."""
    return [
        {**row, "school_code": _school_code(county, number), "school_name": f"第{number}小学"}
        for number, row in enumerate(changed, start=1)
    ]


def every_missing_code() -> Iterator[Draft]:
    """忻府区 uses every missing code that a column allows, each in a row of its own; 原平市 lacks its girls.

    The totals beside a code are 缺报, so that no sum can object: 定襄县 has more children under 3 than children.
    """
    totals = {"students_total", "students_official_age", "new_entrants", "pay_total_yuan"}
    for draft in _faultless(XINFU):
        cells = [(column.name, code) for column in draft.definition.columns for code in column.missing]
        unsummed = {column.name: "缺报" for column in draft.definition.columns if column.name in totals}
        if draft.return_code in ("population", "civil_servant_pay"):
            for number, (name, code) in enumerate(cells):
                draft.rows[number % len(draft.rows)] |= {name: MISSING[code], **unsummed}
        else:
            one = draft.rows[0]
            draft.rows = _as_schools(XINFU, [{**one, **unsummed, name: MISSING[code]} for name, code in cells])
        yield draft
    for county in (DINGXIANG, YUANPING):
        for draft in _faultless(county):
            if draft.return_code == "enrolment" and county == YUANPING:
                draft.rows[0]["students_female"] = "缺报"
            elif draft.return_code == "enrolment":
                infants = {"age_2_and_under": 70, "age_3": "缺报", "students_official_age": "缺报"}
                infants |= {"grade_3": "缺报", "grade_4": 0, "grade_5": 0, "grade_6": 0}
                draft.rows.append({**draft.rows[0], **infants, "stage": "学前"})
            yield draft


def zeros_everywhere() -> Iterator[Draft]:
    """Numbers of 0 in every cell that may hold 0, for all three counties."""
    for county in NAMES:
        for draft in _faultless(county):
            for row in draft.rows:
                for column in draft.definition.columns:
                    if column.is_number and column.name not in ("age", "months"):
                        row[column.name] = 0
            yield draft


def rounded_rows() -> Iterator[Draft]:
    """Each row is 0.04 yuan off its identities, as they allow, in the same direction: 60 rows make 2.40 yuan."""
    for county in NAMES:
        for draft in _faultless(county):
            if draft.return_code == "rural_subsidy":
                row = draft.rows[0]
                row |= {"due_yuan": row["due_yuan"] + 0.04, "arrears_yuan": 0.08, "paid_yuan": row["due_yuan"]}
                draft.rows = _as_schools(county, [row] * 60)
            if draft.return_code in ("teacher_pay", "civil_servant_pay"):
                for row in draft.rows:
                    row["pay_total_yuan"] = row["pay_total_yuan"] + 0.04
            yield draft


def extreme_numbers() -> Iterator[Draft]:
    """The most yuan over a tenth of a head, nobody paid a fortune, and as many pupils and as few people as a table may hold:
    whatever no level speaks of, because the total or the heads that it would be told by are not reported."""
    pupils, people, fewest = 60_000, 400_000, 10
    fortune = dict.fromkeys(PAY_PARTS, MOST["money"]) | {"pay_total_yuan": "缺报"}
    pittance = dict.fromkeys(PAY_PARTS, 0) | {"basic_salary_yuan": "0.01", "pay_total_yuan": "缺报"}
    for county, teachers, officials in (
        (XINFU, {"teachers_average": "0.1", **fortune}, {"civil_servants_average": MOST["headcount"], **pittance}),
        (DINGXIANG, {"teachers_average": MOST["headcount"], **pittance}, {"civil_servants_average": "0.1", **fortune}),
        (YUANPING, {"teachers_average": 0, **fortune}, {"civil_servants_average": 0, **fortune}),
    ):
        for draft in _faultless(county):
            match draft.return_code:
                case "teacher_pay":
                    nobody = {**draft.rows[0], **fortune, "teachers_average": 0}
                    draft.rows = _as_schools(county, [{**draft.rows[0], **teachers}, *[nobody] * 40])
                case "school":
                    draft.rows = _as_schools(county, [draft.rows[0]] * 41)
                case "civil_servant_pay":
                    draft.rows = [{**row, **officials} for row in draft.rows]
                case "enrolment":
                    most = {"age_6": pupils, "students_total": pupils}
                    for row in draft.rows:
                        row |= {name: "缺报" for name in row if name.startswith(("age_1", "grade_"))}
                        row |= {"students_official_age": "缺报", "students_female": 0, **most}
                case "population" if county == XINFU:
                    for row in draft.rows:
                        row |= {"population_total": fewest, "population_male": fewest, "population_female": 0}
                case "population":
                    for row in draft.rows:
                        row |= {"population_total": people, "population_male": 0}
                        row["population_female"] = people
                case "rural_subsidy":
                    row = draft.rows[0]
                    row |= {
                        "teachers_entitled": MOST["count"],
                        "teachers_paid": "缺报" if county == XINFU else MOST["count"],
                    }
                    if draft.period == "2024Q4":
                        row |= {"standard_yuan_per_month": "99999.99", "due_yuan": "缺报", "arrears_yuan": "缺报"}
                        row["paid_yuan"] = MOST["money"]
                    else:
                        due = Decimal("3333.33") * 3 * MOST["count"]
                        row |= {
                            "standard_yuan_per_month": "3333.33",
                            "due_yuan": due,
                            "arrears_yuan": 0,
                            "paid_yuan": due,
                        }
            yield draft


def schools_astray() -> Iterator[Draft]:
    """忻府区 pays 12 schools that no register has, 定襄县 has a register of other schools, 原平市 sends one return only."""
    for draft in _faultless(XINFU):
        if draft.return_code in ("teacher_pay", "enrolment", "rural_subsidy"):
            draft.rows = [
                {**row, "school_code": _school_code(XINFU, 900 + number), "school_name": f"新{number}校"}
                for number, row in enumerate(draft.rows[:1] * 12)
            ]
        yield draft
    for draft in _faultless(DINGXIANG):
        if draft.return_code == "school":
            for number, row in enumerate(draft.rows):
                row["school_code"] = _school_code(DINGXIANG, 500 + number)
            draft.rows[0]["closed_on"] = "2024-09-02"
        yield draft
    yield Draft("rural_subsidy", county=YUANPING)


def unknown_tiers() -> Iterator[Draft]:
    """Every programme in every tier, most of which no standard knows; nothing of the programme the indicators are of."""
    programmes, tiers = (current_definitions()["rural_subsidy"].column(name).codes for name in ("programme", "tier"))
    for county in NAMES:
        for draft in _faultless(county):
            if draft.return_code == "rural_subsidy":
                draft.rows = [
                    {**draft.rows[0], "programme": programme, "tier": tier}
                    for programme in programmes
                    for tier in tiers
                    if county != DINGXIANG or programme != "乡村教师生活补助"
                ]
            yield draft


@dataclass(frozen=True)
class Case:
    """What three counties send, how the city is configured, and what the release must say to a question about it."""

    drafts: Callable[[], Iterable[Draft]]
    question: str
    answer: list[tuple[object, ...]]
    withhold_below: str = "0.5"


def over_a_zero() -> Iterator[Draft]:
    """忻府区 has junior pupils and nobody of their ages, 定襄县 no civil servants; 原平市 pays in the last quarter though nothing is due."""
    for county in NAMES:
        for draft in _faultless(county):
            if draft.return_code == "population" and county == XINFU:
                for row in draft.rows:
                    if row["age"] in (12, 13, 14):
                        row |= {"population_total": 0, "population_male": 0, "population_female": 0}
            if draft.return_code == "civil_servant_pay" and county == DINGXIANG:
                draft.rows[0] |= dict.fromkeys(PAY, 0) | {"civil_servants_average": 0}
            if draft.return_code == "rural_subsidy" and county == YUANPING and draft.period == "2024Q4":
                draft.rows[0] |= {
                    "teachers_entitled": 0,
                    "teachers_paid": 0,
                    "due_yuan": 0,
                    "paid_yuan": 900,
                    "arrears_yuan": -900,
                }
            yield draft


def left_out() -> Iterator[Draft]:
    """忻府区 leaves the junior pupils out, 定襄县 the junior teachers, 原平市 the programme that its register has a school for."""
    lacking = {("enrolment", XINFU): 1, ("teacher_pay", DINGXIANG): 1, ("rural_subsidy", YUANPING): 0}
    for county in NAMES:
        for draft in _faultless(county):
            if (number := lacking.get((draft.return_code, county))) is not None:
                del draft.rows[number]
            yield draft


def more_than_everybody() -> Iterator[Draft]:
    """All children of 忻府区 are at school, and a few more: 105 primary pupils of each age for 100 people."""
    for county in NAMES:
        for draft in _faultless(county):
            if draft.return_code == "population":
                for row in draft.rows:
                    row |= {"population_total": 100, "population_male": 50, "population_female": 50}
            if draft.return_code == "enrolment":
                for row, ages in zip(draft.rows, (range(6, 12), range(12, 15)), strict=True):
                    pupils = 105 if county == XINFU and ages[0] == 6 else 99
                    row |= {f"age_{age}": pupils for age in ages} | {
                        f"grade_{n}": pupils for n, _ in enumerate(ages, 1)
                    }
                    row |= {"students_total": pupils * len(ages), "students_official_age": pupils * len(ages)}
            yield draft


ZERO, NOTHING_DUE = "分母为 0", "应发为 0"
_FIGURE = """SELECT indicator_code, area_code, coverage_n, missing_areas, status, value IS NULL FROM marts.fct_indicator
             JOIN marts.dim_caliber USING (caliber_id) WHERE is_default AND """
NO_SUCH = "（名录中没有该学段的学校）"
CASES = {
    "every missing code": Case(
        every_missing_code,
        """SELECT stage, coverage_n, missing_areas, sex_coverage_n, sex_missing_areas, sex_status, enrolled_female_n
           FROM marts.mart_gross_enrolment
           WHERE area_code = '140900' AND caliber_id = 'registered' AND stage IN ('学前', '小学') ORDER BY stage""",
        [
            (
                "学前",
                0,
                f"忻府区{NO_SUCH}、定襄县、原平市{NO_SUCH}",
                1,
                f"忻府区{NO_SUCH}、原平市{NO_SUCH}",
                "withheld",
                None,
            ),
            ("小学", 2, "忻府区", 1, "忻府区、原平市", "withheld", None),
        ],
    ),
    "zeros everywhere": Case(
        zeros_everywhere,
        "SELECT DISTINCT status, value, coverage_n FROM marts.fct_indicator WHERE denominator_sum = 0",
        [("not_applicable", None, 0)],
    ),
    "over a zero": Case(
        over_a_zero,
        f"""{_FIGURE} ((indicator_code IN ('gross_enrolment_junior', 'teacher_pay_ratio') AND area_code <> '140981')
            OR (indicator_code = 'living_allowance_paid_share' AND period = '2024Q4' AND area_code IN ('140900', '140981')))
            ORDER BY ALL""",
        [
            ("gross_enrolment_junior", "140900", 2, f"忻府区（{ZERO}）", "partial", False),
            ("gross_enrolment_junior", "140902", 0, f"忻府区（{ZERO}）", "error", True),
            ("gross_enrolment_junior", "140921", 1, "", "complete", False),
            ("living_allowance_paid_share", "140900", 2, f"原平市（{ZERO}）", "partial", False),
            ("living_allowance_paid_share", "140981", 0, f"原平市（{ZERO}）", "error", True),
            ("teacher_pay_ratio", "140900", 2, f"定襄县（{ZERO}）", "partial", False),
            ("teacher_pay_ratio", "140902", 1, "", "complete", False),
            ("teacher_pay_ratio", "140921", 0, f"定襄县（{ZERO}）", "not_applicable", True),
        ],
    ),
    "left out": Case(
        left_out,
        f"""{_FIGURE} area_code = '140900' AND (indicator_code IN ('gross_enrolment_junior', 'gross_enrolment_primary',
            'gross_enrolment_senior', 'net_enrolment_primary', 'teacher_average_pay')
            OR (indicator_code = 'living_allowance_paid_share' AND period = '2024Q4')) ORDER BY ALL""",
        [
            ("gross_enrolment_junior", "140900", 2, "忻府区（未报初中）", "partial", False),
            ("gross_enrolment_primary", "140900", 3, "", "complete", False),
            (
                "gross_enrolment_senior",
                "140900",
                0,
                f"忻府区{NO_SUCH}、定襄县{NO_SUCH}、原平市{NO_SUCH}",
                "not_applicable",
                True,
            ),
            ("living_allowance_paid_share", "140900", 2, "原平市（未报乡村教师生活补助）", "partial", False),
            ("net_enrolment_primary", "140900", 2, "忻府区（未报初中）", "partial", False),
            ("teacher_average_pay", "140900", 2, "定襄县（未报初中教师）", "partial", False),
        ],
    ),
    "more than everybody": Case(
        more_than_everybody,
        """SELECT area_code, fact.value, fact.status, fact.implausible_areas, fact.is_standard_met, fact.open_queries_n > 0,
                  overview.verdict, gap.gap_wording, recast.status
           FROM marts.fct_indicator AS fact
           JOIN marts.mart_overview AS overview USING (indicator_code, caliber_id, period, area_code)
           JOIN marts.mart_gap AS gap USING (indicator_code, caliber_id, period, area_code)
           JOIN marts.mart_recast_indicator AS recast USING (indicator_code, caliber_id, period, area_code)
           WHERE indicator_code = 'net_enrolment_primary' AND area_code <> '140981' ORDER BY ALL""",
        [
            ("140900", 101, "implausible", "忻府区", None, True, "不判定", "数值不合理，不作达标判定", "implausible"),
            ("140902", 105, "implausible", "忻府区", None, True, "不判定", "数值不合理，不作达标判定", "implausible"),
            ("140921", 99, "complete", "", True, True, "达标", "已达标", "complete"),
        ],
    ),
    "rounded rows": Case(
        rounded_rows,
        """SELECT due_yuan - paid_yuan - arrears_yuan < -1, status FROM marts.mart_rural_subsidies
           WHERE area_code = '140900' AND period = '2024' AND programme = '乡村教师生活补助' AND is_total""",
        [(True, "partial")],
    ),
    "extreme numbers": Case(
        extreme_numbers,
        """SELECT area_code, status, ratio > 1000000000, is_compliant FROM marts.mart_teacher_pay_parity
           WHERE caliber_id = 'pay_comparable' ORDER BY area_code""",
        [
            ("140900", "partial", False, False),
            ("140902", "complete", True, True),
            ("140921", "complete", False, False),
            ("140981", "not_applicable", None, None),
        ],
        withhold_below="0.65",
    ),
    "schools astray": Case(
        schools_astray,
        """SELECT area_code, unmatched_schools_n, unmatched_schools LIKE '新0校（1409020900）、%、新9校（1409020909）等 12 所', status
           FROM marts.mart_teacher_pay_parity WHERE caliber_id = 'pay_comparable' ORDER BY area_code""",
        [
            ("140900", None, None, "withheld"),
            ("140902", 12, True, "withheld"),
            ("140921", 2, False, "withheld"),
            ("140981", None, None, "withheld"),
        ],
        withhold_below="0",
    ),
    "unknown tiers": Case(
        unknown_tiers,
        """SELECT DISTINCT standard_yuan_per_month, is_standard_agreed FROM marts.mart_rural_subsidies
           WHERE programme = '乡镇工作补贴' AND tier = '三档'""",
        [(None, False)],
    ),
}


def _accepted_home(folder: Path, case: Case) -> Home:
    """A home that has screened and landed the case's files, all of which are accepted."""
    home = small_home(folder, [(county.code, county.name, name) for county, name in NAMES.items()], CALENDAR)
    with (folder / "municipality.yaml").open("a", encoding="utf-8") as stream:
        stream.write(f"publish: {{withhold_below: {case.withhold_below}}}\n")
    home = Home(folder)
    store = RawStore(home.raw)
    for number, draft in enumerate(case.drafts()):
        content = draft.csv()
        at = (datetime(2025, 3, 1, tzinfo=UTC) + timedelta(minutes=number)).isoformat()
        submission_id, size = store.keep(io.BytesIO(content), max_bytes=10**8)
        name = f"{draft.return_code}-{draft.period}.csv"
        store.record(submission_id, size, Arrival(draft.county.code, name, f"/{name}", at, at, at))
    with home.writing():
        landed = land_new(home)
    rejected = [(filing.return_code, filing.county_code) for filing in landed.filings if filing.verdict == "rejected"]
    assert landed.filings and not rejected
    return home


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_whatever_is_accepted_is_built_and_published(tmp_path: Path, case: Case):
    home = _accepted_home(tmp_path, case)
    with home.writing():
        build_marts(home)
        publish(home)
    assert rows(home, case.question) == case.answer


def test_a_year_of_subsidies_has_no_heads_and_no_coverage_and_names_what_it_lacks(tmp_path: Path):
    """Afterwards the calendar is cut, so that accepted filings stand outside it, and a county is abolished within a year."""

    def without_one_quarter() -> Iterator[Draft]:
        for county in NAMES:
            yield from (
                draft for draft in _faultless(county) if county != YUANPING or draft.period not in ("2024Q4", "2024")
            )

    home = _accepted_home(tmp_path, Case(without_one_quarter, "", []))
    with home.writing():
        build_marts(home)
        publish(home)
    assert rows(
        home,
        """SELECT area_code, period, coverage_n, expected_n, missing_areas, status, teachers_paid_n, rural_schools_n,
                  schools_paid_n, CAST(paid_yuan AS INTEGER), paid_monthly_average_yuan
           FROM marts.mart_rural_subsidies WHERE programme = '乡村教师生活补助' AND is_total
               AND area_code IN ('140900', '140902') AND period IN ('2024', '2024Q3') ORDER BY ALL""",
    ) == [
        ("140900", "2024", 2, 3, "原平市（2024Q4）", "partial", None, None, None, 36000, 300),
        ("140900", "2024Q3", 3, 3, "", "complete", 30, 3, 3, 27000, 300),
        ("140902", "2024", 1, 1, "", "partial", None, None, None, 18000, 300),
        ("140902", "2024Q3", 1, 1, "", "complete", 10, 1, 1, 9000, 300),
    ]
    assert rows(
        home,
        """SELECT indicator_code, period, coverage_n, expected_n, missing_areas, status FROM marts.fct_indicator
           WHERE indicator_code LIKE 'living_allowance%' AND area_code = '140900' AND period != '2024Q3' ORDER BY ALL""",
    ) == [
        ("living_allowance_paid_monthly_average", "2024", 2, 3, "原平市（2024Q4）", "partial"),
        ("living_allowance_paid_monthly_average", "2024Q4", 2, 3, "原平市", "partial"),
        ("living_allowance_paid_share", "2024", 2, 3, "原平市（2024Q4）", "partial"),
        ("living_allowance_paid_share", "2024Q4", 2, 3, "原平市", "partial"),
        ("living_allowance_rural_teacher_coverage", "2024Q4", 2, 3, "原平市", "partial"),
        ("living_allowance_school_coverage", "2024Q4", 2, 3, "原平市", "partial"),
        ("living_allowance_standard_monthly_average", "2024", 2, 3, "原平市（2024Q4）", "partial"),
        ("living_allowance_standard_monthly_average", "2024Q4", 2, 3, "原平市", "partial"),
        ("living_allowance_teachers_paid_share", "2024Q4", 2, 3, "原平市", "partial"),
    ]
    registers = rows(
        home,
        """SELECT DISTINCT fact.denominator_submission_id = school.submission_id, fact.known_at >= '2025-03-01'
           FROM marts.fct_indicator AS fact JOIN marts.dim_school AS school ON fact.area_code = school.county_code
           WHERE fact.indicator_code = 'living_allowance_school_coverage' AND fact.status = 'complete'""",
    )
    assert registers == [(True, True)]

    configuration = tmp_path / "municipality.yaml"
    text = configuration.read_text(encoding="utf-8")
    text = text.replace('first_period: "2024Q3"', 'first_period: "2024Q4"').replace(
        'code: "140981", name: 原平市, name_en: Yuanping, valid_from: 1983-01-01',
        'code: "140981", name: 原平市, name_en: Yuanping, valid_from: 1993-01-01, valid_to: 2024-10-31',
    )
    configuration.write_text(text, encoding="utf-8")
    home = Home(tmp_path)
    with home.writing():
        land_new(home)
        build_marts(home)
        publish(home)
    assert rows(
        home,
        """SELECT period, coverage_n, expected_n, status FROM marts.fct_indicator
           WHERE indicator_code = 'living_allowance_paid_share' AND area_code = '140900' ORDER BY ALL""",
    ) == [("2024", 2, 2, "partial"), ("2024Q4", 2, 2, "complete")]
    assert rows(home, "SELECT area_code, valid_from::VARCHAR, valid_to::VARCHAR FROM marts.dim_area ORDER BY ALL") == [
        ("140900", "1983-01-01", None),
        ("140902", "1983-01-01", None),
        ("140921", "1983-01-01", None),
        ("140981", "1993-01-01", "2024-10-31"),
    ]
