"""A municipality that never was: its schools, pupils, teachers and money, consistent with each other over three years.

Belongs here: what is true in the sample world, as rows keyed by the columns of the return definitions. How a county
writes it down is `layout` and `workbooks`; what goes wrong is `faults`. All follows from the census and the seed.

Pupils are moved in cohorts. A county's birth cohort is split once into pupils of normal age, some who start a year
early, some a year late, and a few who never come; an intake is given to the schools of the county once and stays in its
school to the last grade. So the net rates are at most 100 %, every age and grade adds up, and a grade flows whole into
the next.
Shares are chosen so that the municipal rates of 2024-2025 (pre-school gross, compulsory net, senior secondary gross,
residents) round to the published 96.7, 99.9 and 96.3 %, with somewhat lower rates before.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction

from pipelines.sample.population import Cohorts, apportion, census_cohorts, read_table, registered, rounded

Value = int | Decimal | str | date | None
Row = dict[str, Value]

YEARS = (2022, 2023, 2024)
SCHOOL_YEARS = tuple(f"{year}-{year + 1}" for year in YEARS)
CALENDAR_YEARS = tuple(str(year) for year in YEARS)
SEMESTERS = tuple(f"{year}-{year + 1}S{half}" for year in YEARS for half in (1, 2))
MONTHS = tuple(f"{year}-{month:02}" for year in YEARS for month in range(1, 13))
QUARTERS = tuple(f"{year}Q{quarter}" for year in YEARS for quarter in (1, 2, 3, 4))

#: The returns that `build_world` fills.
RETURNS = ("school", "enrolment", "population", "teacher_pay", "civil_servant_pay", "rural_subsidy")

PRESCHOOL, PRIMARY, JUNIOR, SENIOR, VOCATIONAL = "学前", "小学", "初中", "普通高中", "中职"
STAGES = (PRESCHOOL, PRIMARY, JUNIOR, SENIOR, VOCATIONAL)
COMPULSORY = (PRIMARY, JUNIOR)
ENTRY_AGE = {PRESCHOOL: 3, PRIMARY: 6, JUNIOR: 12, SENIOR: 15, VOCATIONAL: 15}
GRADES_N = {PRESCHOOL: 3, PRIMARY: 6, JUNIOR: 3, SENIOR: 3, VOCATIONAL: 3}
STAGES_OF_TYPE = {
    "幼儿园": (PRESCHOOL,),
    "小学": (PRIMARY,),
    "教学点": (PRIMARY,),
    "初中": (JUNIOR,),
    "九年一贯": (PRIMARY, JUNIOR),
    "完全中学": (JUNIOR, SENIOR),
    "高中": (SENIOR,),
    "十二年一贯": (PRIMARY, JUNIOR, SENIOR),
    "中职": (VOCATIONAL,),
    "特教": (PRIMARY, JUNIOR),
}
COMPULSORY_TYPES = ("小学", "教学点", "初中", "九年一贯", "完全中学", "十二年一贯")
COMPULSORY_SCHOOLS_N = 858  # open on 1 September 2024: 369 schools are 43 % of them
KINDERGARTENS_N = 520
TEACHING_POINTS_CLOSED = {2023: 7, 2024: 7}  # by the year of their closing on 31 August
CLOSING_MONTHS = 8  # months of the calendar year in which a closing school still pays its teachers
URBAN, SEAT_FRINGE, TOWN, TOWN_FRINGE, TOWNSHIP, VILLAGE = "111", "112", "121", "122", "210", "220"
TIERS = ("一档", "二档", "三档")

# Cohort shares. Start a year early or late; never come to school, by birth year (younger cohorts are reached better).
EARLY, LATE = Fraction(4, 1000), Fraction(45, 10000)
SENIOR_SHARE = {2003: 930, 2004: 932, 2005: 936, 2006: 942, 2007: 956, 2008: 963, 2009: 974}  # per mille, by birth year
PRESCHOOL_SHARE = {2014: 943, 2015: 947, 2016: 951, 2017: 956, 2018: 961, 2019: 965, 2020: 969, 2021: 973}
VOCATIONAL_SHARE = Fraction(38, 100)
SPECIAL_SCHOOL_COUNTIES = ("140902", "140921", "140922", "140924", "140981")
URBAN_SEAT, SECOND_SEAT = "140902", "140981"
SENIOR_LEAVING = Fraction(9, 100)  # of a county's senior pupils to the two seats, 7 : 3

# Pay, all 示例. Included components follow the default caliber of the pay parity indicator.
CIVIL_SERVANT_YUAN_2022 = 66_000
PAY_GROWTH = {2022: Fraction(1), 2023: Fraction(103, 100), 2024: Fraction(106, 100)}
PARITY_2022_BELOW_ONE = {"140926": Fraction(984, 1000), "140932": Fraction(991, 1000)}
TEACHER_SHARES = {
    "basic_salary_yuan": 46, "performance_pay_yuan": 34, "allowance_yuan": 8, "year_end_bonus_yuan": 8,
    "local_incentive_yuan": 4,
}  # fmt: skip
CIVIL_SERVANT_SHARES = {
    "basic_salary_yuan": 42, "performance_pay_yuan": 12, "allowance_yuan": 26, "year_end_bonus_yuan": 12,
    "local_incentive_yuan": 8,
}  # fmt: skip
COMPONENTS = (
    *TEACHER_SHARES, "rural_living_allowance_yuan", "township_allowance_yuan", "hardship_allowance_yuan",
    "reform_allowance_yuan", "employer_insurance_yuan", "other_yuan",
)  # fmt: skip
PUPILS_PER_TEACHER: dict[str, int | Fraction] = {
    PRESCHOOL: 14,
    PRIMARY: 15,
    JUNIOR: Fraction(25, 2),
    SENIOR: Fraction(25, 2),
    VOCATIONAL: 16,
}

# Subsidies, 示例: yuan a teacher and month.
LIVING, TOWNSHIP_WORK, HARDSHIP, THREE_AREAS = "乡村教师生活补助", "乡镇工作补贴", "艰苦边远地区津贴", "三区人才计划"
LIVING_STANDARD = {"一档": 300, "二档": 400, "三档": 500}
HARDSHIP_STANDARD = 210
THREE_AREAS_STANDARD = 2000  # 20 000 yuan a school year over ten months
HARDSHIP_COUNTIES = frozenset(
    ("140922", "140923", "140924", "140925", "140926", "140927", "140928", "140929", "140930", "140931", "140932")
)
ARREARS = frozenset((("140926", "2023Q4"), ("140926", "2024Q4"), ("140930", "2024Q3")))  # one month of three unpaid
NOT_APPLICABLE = "不适用"


@dataclass(frozen=True)
class County:
    code: str
    name: str
    townships: tuple[str, ...]


@dataclass(frozen=True)
class School:
    """A school as the register has it; `weights` is its part of the county's intake, by stage."""

    code: str
    name: str
    school_type: str
    organiser: str
    location: str
    boarding: bool
    tier: str | None
    opened_on: date
    closed_on: date | None
    weights: Mapping[str, int]

    @property
    def stages(self) -> tuple[str, ...]:
        return STAGES_OF_TYPE[self.school_type]

    def open_on(self, day: date) -> bool:
        return self.opened_on <= day and (self.closed_on is None or self.closed_on > day)


@dataclass(frozen=True)
class Intake:
    """Pupils who entered one stage of one school in one year: (male, female) by early, normal and late start."""

    early: tuple[int, int]
    normal: tuple[int, int]
    late: tuple[int, int]

    @property
    def total(self) -> int:
        return sum(self.early) + sum(self.normal) + sum(self.late)

    @property
    def female(self) -> int:
        return self.early[1] + self.normal[1] + self.late[1]


@dataclass
class World:
    """All rows of the sample; `rows(return_code, county_code, period)` is what a county would report."""

    counties: tuple[County, ...]
    schools: dict[str, list[School]] = field(default_factory=dict)
    _rows: dict[tuple[str, str, str], list[Row]] = field(default_factory=dict)

    def rows(self, return_code: str, county_code: str, period: str) -> list[Row]:
        return self._rows[return_code, county_code, period]

    def filings(self) -> Iterator[tuple[str, str, str]]:
        """(return, county, period) of everything that is reported, in a fixed order."""
        return iter(sorted(self._rows))

    def put(self, return_code: str, county_code: str, period: str, rows: list[Row]) -> None:
        self._rows[return_code, county_code, period] = rows


def build_world(seed: int) -> World:
    """The whole sample municipality; the same for the same seed, on every machine."""
    counties = tuple(
        County(row["county_code"], row["county_name"], tuple(row["townships"].split()))
        for row in read_table("counties.csv")
    )
    cohorts = census_cohorts()
    world = World(counties)
    pupils = {code: sum(sum(cohorts[code][born]) for born in range(2010, 2019)) for code in cohorts}
    compulsory_n = _spread(COMPULSORY_SCHOOLS_N, [pupils[county.code] for county in counties])
    kindergartens_n = _spread(KINDERGARTENS_N, [pupils[county.code] for county in counties])
    closed = _spread(sum(TEACHING_POINTS_CLOSED.values()), [1] * len(counties))
    statuses = {code: _cohort_statuses(cohorts[code], seed, code) for code in cohorts}
    senior = _senior_intakes([county.code for county in counties], statuses, seed)
    for place, county in enumerate(counties):
        rng = random.Random(f"{seed}/{county.code}/schools")
        schools = _schools(county, compulsory_n[place], kindergartens_n[place], closed[place], place, rng)
        world.schools[county.code] = schools
        intakes = _school_intakes(county.code, schools, statuses[county.code], senior, seed)
        for year in YEARS:
            world.put("school", county.code, f"{year}-{year + 1}", _register_rows(schools, year))
            world.put("enrolment", county.code, f"{year}-{year + 1}", _enrolment_rows(schools, intakes, year))
            world.put("population", county.code, str(year), _population_rows(cohorts[county.code], year, place))
        _put_staff_and_pay(world, county, place, seed)
    return world


# Pupils ------------------------------------------------------------------------------------------------------------

Statuses = dict[int, Intake]
"""Birth year → pupils of the cohort by start."""


def _cohort_statuses(cohorts: Cohorts, seed: int, county_code: str) -> Statuses:
    rng = random.Random(f"{seed}/{county_code}/cohorts")
    statuses: Statuses = {}
    for born in sorted(cohorts):
        never = Fraction(max(2019 - born, 1), 9000)
        by_sex = []
        for people in cohorts[born]:
            out, early, late = (rounded(people * share, rng) for share in (never, EARLY, LATE))
            by_sex.append((early, people - out - early - late, late))
        male, female = by_sex
        statuses[born] = Intake(*zip(male, female, strict=True))
    return statuses


def _entering(statuses: Statuses, age: int, year: int) -> Intake:
    """Who enters a stage of this entry age in this year, were everyone to come."""
    return Intake(statuses[year - age + 1].early, statuses[year - age].normal, statuses[year - age - 1].late)


def _share(intake: Intake, share: Fraction, rng: random.Random) -> Intake:
    return Intake(
        *(
            (rounded(pair[0] * share, rng), rounded(pair[1] * share, rng))
            for pair in (intake.early, intake.normal, intake.late)
        )
    )


def _less(whole: Intake, part: Intake) -> Intake:
    return Intake(
        *(
            (a[0] - b[0], a[1] - b[1])
            for a, b in ((whole.early, part.early), (whole.normal, part.normal), (whole.late, part.late))
        )
    )


def _plus(one: Intake, other: Intake) -> Intake:
    return Intake(
        *(
            (a[0] + b[0], a[1] + b[1])
            for a, b in ((one.early, other.early), (one.normal, other.normal), (one.late, other.late))
        )
    )


def _senior_intakes(
    codes: list[str], statuses: Mapping[str, Statuses], seed: int
) -> dict[tuple[str, str, int], Intake]:
    """(county of the school, stage, entry year) → intake, after part of each county's pupils went to the two seats."""
    found: dict[tuple[str, str, int], Intake] = {}
    nobody = Intake((0, 0), (0, 0), (0, 0))
    for year in range(YEARS[0] - 3, YEARS[-1] + 1):
        here = dict.fromkeys(codes, nobody)
        for code in codes:
            rng = random.Random(f"{seed}/{code}/senior/{year}")
            born = min(max(year - ENTRY_AGE[SENIOR], min(SENIOR_SHARE)), max(SENIOR_SHARE))
            going = _share(_entering(statuses[code], ENTRY_AGE[SENIOR], year), Fraction(SENIOR_SHARE[born], 1000), rng)
            if code not in (URBAN_SEAT, SECOND_SEAT):
                leaving = _share(going, SENIOR_LEAVING, rng)
                to_first = _share(leaving, Fraction(7, 10), rng)
                here[URBAN_SEAT] = _plus(here[URBAN_SEAT], to_first)
                here[SECOND_SEAT] = _plus(here[SECOND_SEAT], _less(leaving, to_first))
                going = _less(going, leaving)
            here[code] = _plus(here[code], going)
        for code in codes:
            vocational = _share(here[code], VOCATIONAL_SHARE, random.Random(f"{seed}/{code}/vocational/{year}"))
            found[code, VOCATIONAL, year] = vocational
            found[code, SENIOR, year] = _less(here[code], vocational)
    return found


def _school_intakes(
    county_code: str,
    schools: list[School],
    statuses: Statuses,
    senior: Mapping[tuple[str, str, int], Intake],
    seed: int,
) -> dict[tuple[str, str, int], Intake]:
    """(school code, stage, entry year) → intake."""
    found: dict[tuple[str, str, int], Intake] = {}
    lean = random.Random(f"{seed}/{county_code}/pre-school").randint(-6, 6)
    for stage in STAGES:
        for year in range(YEARS[0] - GRADES_N[stage], YEARS[-1] + 1):
            rng = random.Random(f"{seed}/{county_code}/{stage}/{year}")
            if stage in COMPULSORY:
                intake = _entering(statuses, ENTRY_AGE[stage], year)
            elif stage == PRESCHOOL:
                born = min(max(year - ENTRY_AGE[stage], min(PRESCHOOL_SHARE)), max(PRESCHOOL_SHARE))
                share = Fraction(PRESCHOOL_SHARE[born] + lean, 1000)
                intake = _share(_entering(statuses, ENTRY_AGE[stage], year), share, rng)
            else:
                intake = senior[county_code, stage, year]
            taking = [school for school in schools if stage in school.stages and _takes(school, stage, year)]
            for school, part in zip(taking, _divide(intake, [s.weights[stage] for s in taking], rng), strict=True):
                found[school.code, stage, year] = part
    return found


def _takes(school: School, stage: str, year: int) -> bool:
    """A school that is to close takes nobody who would still be there on the day."""
    return school.closed_on is None or year + GRADES_N[stage] <= school.closed_on.year


def _divide(intake: Intake, weights: list[int], rng: random.Random) -> list[Intake]:
    """Split an intake among schools; every school gets somebody, early and late starters come down at random."""
    base = [1] * len(weights)
    jittered = [weight * rng.randint(960, 1040) for weight in weights]
    sizes = [one + more for one, more in zip(base, apportion(intake.total - len(weights), jittered), strict=True)]
    exceptional: list[list[list[int]]] = [[[0, 0], [0, 0]] for _ in weights]
    left = sizes.copy()
    places = list(range(len(weights)))
    for kind, pair in enumerate((intake.early, intake.late)):
        for sex in (0, 1):
            for place in rng.choices(places, weights=sizes, k=pair[sex]):
                if left[place] == 0:
                    place = max(places, key=lambda i: (left[i], -i))
                exceptional[place][kind][sex] += 1
                left[place] -= 1
    girls = apportion(intake.normal[1], left)
    for one, other in zip(places[::2], places[1::2], strict=False):
        moved = rng.randint(-1, 1) * max(1, min(left[one], left[other]) // 25)
        if 0 <= girls[one] + moved <= left[one] and 0 <= girls[other] - moved <= left[other]:
            girls[one] += moved
            girls[other] -= moved
    return [
        Intake(
            (exceptional[i][0][0], exceptional[i][0][1]),
            (left[i] - girls[i], girls[i]),
            (exceptional[i][1][0], exceptional[i][1][1]),
        )
        for i in places
    ]


# Schools -----------------------------------------------------------------------------------------------------------


def _spread(total: int, sizes: list[int]) -> list[int]:
    """Schools a county: three fifths by its pupils, the rest evenly, for small counties keep small schools."""
    whole = sum(sizes)
    return apportion(total, [Fraction(3, 5) * size / whole + Fraction(2, 5) / len(sizes) for size in sizes])


_VILLAGE_FIRST = "东西南北上下前后大小石杨柳王李张刘马高新"
# 㙍 is in GB18030 but not in GBK, which is how county files are often misread.
_VILLAGE_LAST = (*"庄沟坪村峪梁塔湾岭㙍", "家庄", "家沟", "家坪", *"河寨窑坡营")
_NUMERALS = (*"一二三四五六七八九十", *(f"十{digit}" for digit in "一二三四五六七八九"), "二十")


def _schools(
    county: County, compulsory_n: int, kindergartens_n: int, closed_n: int, place: int, rng: random.Random
) -> list[School]:
    """All schools of a county, in the order of their codes."""
    seat = county.code == URBAN_SEAT
    through_12 = 2 if seat else int(county.code in ("140924", "140931", SECOND_SEAT))
    full_middle = 3 if seat else 1
    junior_n = max(compulsory_n * 13 // 100, 3)
    through_9 = max(compulsory_n * 9 // 100, 2)
    points_n = compulsory_n * 27 // 100
    primary_n = compulsory_n - junior_n - through_9 - points_n - through_12 - full_middle
    plan = [
        *["完全中学"] * full_middle,
        *["高中"] * (5 if seat else 3 if county.code == SECOND_SEAT else 1),
        *["十二年一贯"] * through_12,
        *["初中"] * junior_n,
        *["九年一贯"] * through_9,
        *["小学"] * primary_n,
        *["教学点"] * (points_n + closed_n),
        *["特教"] * int(county.code in SPECIAL_SCHOOL_COUNTIES),
        *["中职"] * (4 if seat else 2 if county.code == SECOND_SEAT else 1),
        *["幼儿园"] * kindergartens_n,
    ]
    of_type = {school_type: plan.count(school_type) for school_type in plan}
    rank = dict.fromkeys(of_type, 0)
    closing_years = [year for year, n in TEACHING_POINTS_CLOSED.items() for _ in range(n)]
    villages = [first + last for first in _VILLAGE_FIRST for last in _VILLAGE_LAST]
    rng.shuffle(villages)
    short = county.name[:-1] if len(county.name) > 2 else county.name
    schools = []
    for number, school_type in enumerate(plan, start=1):
        nth, n = rank[school_type], of_type[school_type]
        rank[school_type] += 1
        closes = school_type == "教学点" and nth >= n - closed_n
        location = _location(school_type, nth, n, rng)
        rural = location in (TOWN_FRINGE, TOWNSHIP, VILLAGE)
        organiser = _organiser(school_type, nth, n, rural, rng)
        township = county.townships[rng.randrange(len(county.townships))]
        tier = None
        if rural and organiser == "公办" and school_type in COMPULSORY_TYPES:
            remote = {TOWN_FRINGE: 0, TOWNSHIP: 0, VILLAGE: 1}[location] + (school_type == "教学点")
            tier = TIERS[remote]
        schools.append(
            School(
                code=f"{county.code}{number:04d}",
                name=_school_name(short, township, villages, school_type, location, organiser, nth, number),
                school_type=school_type,
                organiser=organiser,
                location=location,
                boarding=school_type in ("高中", "完全中学", "十二年一贯", "中职", "特教")
                or (school_type in ("初中", "九年一贯") and location != URBAN)
                or (school_type == "小学" and location == TOWNSHIP and rng.random() < 0.4),
                tier=tier,
                opened_on=date(rng.randint(1952, 2016), 9, 1),
                closed_on=date(closing_years[place % len(closing_years)], 8, 31) if closes else None,
                weights={stage: _weight(school_type, stage, location, rng) for stage in STAGES_OF_TYPE[school_type]},
            )
        )
    return schools


def _location(school_type: str, nth: int, n: int, rng: random.Random) -> str:
    if school_type in ("完全中学", "高中", "十二年一贯", "特教", "中职"):
        return URBAN if nth % 2 == 0 else SEAT_FRINGE
    if school_type == "教学点":
        return VILLAGE
    position = Fraction(nth, max(n, 1))
    if position < Fraction(1, 5):
        return URBAN
    if position < Fraction(3, 10):
        return SEAT_FRINGE
    if position < Fraction(1, 2):
        return TOWN
    if school_type in ("初中", "九年一贯"):
        return TOWNSHIP if rng.random() < 0.7 else TOWN_FRINGE
    return rng.choice((TOWN_FRINGE, TOWNSHIP, VILLAGE, VILLAGE))


def _organiser(school_type: str, nth: int, n: int, rural: bool, rng: random.Random) -> str:
    if school_type == "幼儿园":
        if rural:
            return "公办" if rng.random() < 0.8 else "普惠性民办"
        return ("公办", "普惠性民办", "普惠性民办", "公办", "民办")[nth % 5]
    if school_type == "十二年一贯":
        return "民办"
    if school_type == "九年一贯" and nth == 0:
        return "民办"
    if school_type in ("高中", "初中") and nth == 1 and n > 2:
        return "民办"
    return "公办"


def _school_name(
    short: str,
    township: str,
    villages: list[str],
    school_type: str,
    location: str,
    organiser: str,
    nth: int,
    number: int,
) -> str:
    ordinal = _NUMERALS[nth % len(_NUMERALS)]
    private = {"九年一贯": "育英学校", "十二年一贯": f"{('启航', '博文', '明德')[nth % 3]}学校", "初中": "新华初级中学",
               "高中": "新星高级中学"}  # fmt: skip
    if organiser == "民办" and school_type in private:
        return short + private[school_type]
    if school_type == "特教":
        return short + "特殊教育学校"
    if school_type == "中职":
        return short + ("职业技术学校", "农业机械学校", "现代职业学校", "卫生职业学校")[nth % 4]
    if school_type == "十二年一贯":
        return short + "实验学校"
    if school_type == "完全中学":
        return f"{short}第{ordinal}中学校"
    if school_type == "高中":
        return f"{short}高级中学" if nth == 0 else f"{short}第{ordinal}高级中学"
    village = villages[number % len(villages)]
    kind = {"幼儿园": "幼儿园", "小学": "小学校", "初中": "初级中学校", "九年一贯": "九年制学校", "教学点": "教学点"}[
        school_type
    ]
    if location in (URBAN, SEAT_FRINGE):
        if school_type == "幼儿园" and organiser != "公办":
            return f"{short}{village}双语幼儿园" if organiser == "民办" else f"{short}{village}社区幼儿园"
        return f"{short}第{ordinal}{kind}" if nth < len(_NUMERALS) else f"{short}{village}{kind}"
    if location == TOWN:
        return f"{township}镇{village}{kind}"
    return f"{township}{'镇' if location == TOWN_FRINGE else '乡'}{village}{kind}"


def _weight(school_type: str, stage: str, location: str, rng: random.Random) -> int:
    if school_type == "教学点":
        return rng.randint(8, 45)
    if school_type == "特教":
        return 30
    if stage in (SENIOR, VOCATIONAL):
        return {"高中": 1500, "完全中学": 700, "十二年一贯": 350}.get(school_type, 1200) * rng.randint(70, 130) // 100
    low, high = {
        URBAN: (800, 1600), SEAT_FRINGE: (400, 900), TOWN: (250, 550), TOWN_FRINGE: (120, 300), TOWNSHIP: (90, 260),
        VILLAGE: (40, 140),
    }[location]  # fmt: skip
    return rng.randint(low, high)


def _register_rows(schools: list[School], year: int) -> list[Row]:
    """The register as of 1 September: open schools, and those that closed in the twelve months before."""
    day = date(year, 9, 1)
    return [
        {
            "school_code": school.code,
            "school_name": school.name,
            "school_type": school.school_type,
            "organiser": school.organiser,
            "location_code": school.location,
            "boarding": "是" if school.boarding else "否",
            "subsidy_tier": school.tier or NOT_APPLICABLE,
            "opened_on": school.opened_on,
            "closed_on": school.closed_on if not school.open_on(day) else None,
        }
        for school in schools
        if school.open_on(day) or school.closed_on == date(year, 8, 31)
    ]


AGE_COLUMNS = ("age_2_and_under", *(f"age_{age}" for age in range(3, 18)), "age_18_and_over")
GRADE_COLUMNS = tuple(f"grade_{grade}" for grade in range(1, 7))


def _enrolment_rows(schools: list[School], intakes: Mapping[tuple[str, str, int], Intake], year: int) -> list[Row]:
    nobody = Intake((0, 0), (0, 0), (0, 0))
    rows: list[Row] = []
    for school in schools:
        if not school.open_on(date(year, 9, 1)):
            continue
        for stage in school.stages:
            ages = dict.fromkeys(AGE_COLUMNS, 0)
            grades = dict.fromkeys(GRADE_COLUMNS, 0)
            total = female = 0
            for grade in range(1, GRADES_N[stage] + 1):
                intake = intakes.get((school.code, stage, year - grade + 1), nobody)
                age = ENTRY_AGE[stage] + grade - 1
                for offset, pair in ((-1, intake.early), (0, intake.normal), (1, intake.late)):
                    ages[AGE_COLUMNS[min(max(age + offset, 2), 18) - 2]] += sum(pair)
                grades[f"grade_{grade}"] = intake.total
                total += intake.total
                female += intake.female
            if total == 0:
                continue
            official = range(ENTRY_AGE[stage], ENTRY_AGE[stage] + GRADES_N[stage])
            rows.append(
                {
                    "school_code": school.code,
                    "school_name": school.name,
                    "stage": stage,
                    "students_total": total,
                    "students_female": female,
                    "students_official_age": sum(ages[f"age_{age}"] for age in official),
                    **ages,
                    **grades,
                    "new_entrants": grades["grade_1"],
                    "repeaters": 0,
                    "graduates_last_year": intakes.get((school.code, stage, year - GRADES_N[stage]), nobody).total,
                    "boarders": _boarders(school, stage, total),
                }
            )
    return rows


def _boarders(school: School, stage: str, total: int) -> int:
    if not school.boarding or stage == PRESCHOOL:
        return 0
    per_cent = {PRIMARY: 25, JUNIOR: 60, SENIOR: 75, VOCATIONAL: 70}[stage] - int(school.code[-1])
    return total * per_cent // 100


def _population_rows(cohorts: Cohorts, year: int, place: int) -> list[Row]:
    """Residents and the household register by single age, as of 31 August; 公安 is not reported in the sample."""
    # Counties that people leave have more names in the register than residents; the urban seat has fewer.
    share = Fraction(97, 100) if place == 0 else Fraction(1040 + 17 * place % 90, 1000)
    rows: list[Row] = []
    for register, source in (("常住", "市统计局常住人口推算"), ("户籍", "县公安局户籍统计")):
        for age in range(18):
            male, female = cohorts[year - age]
            if register == "户籍":
                male, female = registered(male, share), registered(female, share)
            rows.append(
                {
                    "age": age,
                    "register": register,
                    "population_total": male + female,
                    "population_male": male,
                    "population_female": female,
                    "source": source,
                    "vintage_on": date(year, 8, 31),
                }
            )
    return rows


# Staff, pay and subsidies --------------------------------------------------------------------------------------------


def _put_staff_and_pay(world: World, county: County, place: int, seed: int) -> None:
    schools = {school.code: school for school in world.schools[county.code]}
    for year in YEARS:
        rng = random.Random(f"{seed}/{county.code}/pay/{year}")
        # Each teacher counts with the school year that begins in the calendar year.
        staff = {
            (str(row["school_code"]), str(row["stage"])): _teachers(schools[str(row["school_code"])], row)
            for row in world.rows("enrolment", county.code, f"{year}-{year + 1}")
        }
        entitled = _entitled(county, schools, staff, rng)
        moves = random.Random(f"{seed}/{county.code}/moves/{year}")
        closing = _closing_staff(world, county, schools, year)
        entitled_until_closing = _entitled(county, schools, closing, moves)
        posts_vacant = _posts_vacant(entitled, staff, moves)
        paid_yuan: dict[tuple[str, str, str], int] = {}
        for quarter in (1, 2, 3, 4):
            period = f"{year}Q{quarter}"
            unpaid = int((county.code, period) in ARREARS)
            posts = {
                key: (heads - int(key[1:] in posts_vacant[quarter] and heads > 1), standard, 3)
                for key, (heads, standard) in entitled.items()
            }
            months = max(min(3, CLOSING_MONTHS - 3 * (quarter - 1)), 0)
            if months:
                posts |= {key: (*more, months) for key, more in entitled_until_closing.items()}
            for key, (heads, standard, months_due) in posts.items():
                paid_yuan[key] = paid_yuan.get(key, 0) + heads * standard * (months_due - unpaid)
            world.put(
                "rural_subsidy", county.code, period, _subsidy_rows(county, place, schools, posts, quarter, unpaid)
            )
        civil = _civil_servant_yuan(county, place, year)
        world.put("civil_servant_pay", county.code, str(year), _civil_servant_rows(county, place, civil, schools))
        parity = _parity(county, place, year)
        world.put(
            "teacher_pay",
            county.code,
            str(year),
            sorted(
                (
                    _teacher_pay_row(county, schools[code], stage, heads, civil * parity, paid_yuan, rng)
                    for (code, stage), heads in (staff | _year_average(closing)).items()
                ),
                key=lambda row: str(row["school_code"]),
            ),
        )


def _closing_staff(
    world: World, county: County, schools: Mapping[str, School], year: int
) -> dict[tuple[str, str], Decimal]:
    """Teachers of the schools that close on 31 August of a year, by school and stage: those of the school year that ends."""
    if year == YEARS[0]:
        return {}
    return {
        (str(row["school_code"]), str(row["stage"])): _teachers(schools[str(row["school_code"])], row)
        for row in world.rows("enrolment", county.code, f"{year - 1}-{year}")
        if schools[str(row["school_code"])].closed_on == date(year, CLOSING_MONTHS, 31)
    }


def _year_average(closing: Mapping[tuple[str, str], Decimal]) -> dict[tuple[str, str], Decimal]:
    """Average over twelve months of teachers who are there until the school closes, in tenths."""
    return {key: (heads * CLOSING_MONTHS / 12).quantize(Decimal("0.1")) for key, heads in closing.items()}


def _posts_vacant(
    entitled: Entitled, staff: Mapping[tuple[str, str], Decimal], rng: random.Random
) -> dict[int, set[tuple[str, str]]]:
    """Quarter → (school code, stage) where one post stands empty in it: teachers retire and are replaced all year round."""
    keys = sorted({(code, stage) for _, code, stage in entitled if staff[code, stage] >= 3})
    rng.shuffle(keys)
    each = max(len(keys) // 25, 1)
    return {quarter: set(keys[each * (quarter - 1) : each * quarter]) for quarter in (1, 2, 3, 4)}


def _teachers(school: School, row: Row) -> Decimal:
    """Average headcount on the payroll, in halves."""
    pupils = _pupils(row)
    least = 1 if school.school_type == "教学点" else 3 if school.school_type == "幼儿园" else 6
    heads = max(round(Fraction(pupils) / PUPILS_PER_TEACHER[str(row["stage"])]), least)
    return Decimal(heads) - (Decimal("0.5") if heads > 4 and (pupils + heads) % 4 == 0 else Decimal(0))


def _pupils(row: Row) -> int:
    total = row["students_total"]
    if not isinstance(total, int):
        raise TypeError(f"students_total is not a count: {total!r}")
    return total


Entitled = dict[tuple[str, str, str], tuple[int, int]]
"""(programme, school code, stage) → (teachers entitled, yuan a month)."""
Posts = dict[tuple[str, str, str], tuple[int, int, int]]
"""The same of a quarter, with the months that are due."""


def _entitled(
    county: County, schools: Mapping[str, School], staff: Mapping[tuple[str, str], Decimal], rng: random.Random
) -> Entitled:
    found: Entitled = {}
    township_standard = 200 + 10 * (int(county.code[-2:]) % 10)
    for (code, stage), heads in staff.items():
        school = schools[code]
        if school.organiser != "公办" or stage not in COMPULSORY:
            continue
        whole = int(heads)
        if school.tier:
            found[LIVING, code, stage] = (
                max(whole - int(rng.random() < 0.3 and whole > 2), 1),
                LIVING_STANDARD[school.tier],
            )
        if school.location in (TOWN, TOWN_FRINGE, TOWNSHIP, VILLAGE):
            found[TOWNSHIP_WORK, code, stage] = (whole, township_standard)
        if county.code in HARDSHIP_COUNTIES:
            found[HARDSHIP, code, stage] = (whole, HARDSHIP_STANDARD)
    return found


def _subsidy_rows(
    county: County, place: int, schools: Mapping[str, School], posts: Posts, quarter: int, unpaid: int
) -> list[Row]:
    """One row a school, programme and tier, over the school's stages. `unpaid`: months in arrears."""
    heads_of: dict[tuple[str, str], tuple[int, int, int]] = {}
    for (programme, code, _), (heads, standard, months) in posts.items():
        heads_of[programme, code] = (heads_of.get((programme, code), (0, 0, 0))[0] + heads, standard, months)
    rows = []
    for (programme, code), (heads, standard, months) in heads_of.items():
        tier = schools[code].tier if programme == LIVING else None
        rows.append(_subsidy_row(schools[code], programme, tier or "不分档", heads, standard, months, months - unpaid))
    if county.code in HARDSHIP_COUNTIES:
        hosts = [school for school in schools.values() if school.tier == "一档" and school.closed_on is None][
            : 2 + place % 3
        ]
        for school in hosts:
            months = 1 if quarter == 3 else 3  # ten months: not July and August
            rows.append(_subsidy_row(school, THREE_AREAS, "不分档", 1, THREE_AREAS_STANDARD, months, months))
    return sorted(rows, key=lambda row: (str(row["school_code"]), str(row["programme"])))


def _subsidy_row(
    school: School, programme: str, tier: str, heads: int, standard: int, months: int, months_paid: int
) -> Row:
    due, paid = heads * standard * months, heads * standard * months_paid
    return {
        "school_code": school.code,
        "school_name": school.name,
        "programme": programme,
        "tier": tier,
        "teachers_entitled": heads,
        "teachers_paid": heads,
        "standard_yuan_per_month": Decimal(standard),
        "months": months,
        "due_yuan": Decimal(due),
        "paid_yuan": Decimal(paid),
        "arrears_yuan": Decimal(due - paid),
    }


def _civil_servant_yuan(county: County, place: int, year: int) -> Fraction:
    """Average included pay of a civil servant, yuan a year."""
    return CIVIL_SERVANT_YUAN_2022 * PAY_GROWTH[year] * Fraction(970 + place * 37 % 70, 1000)


def _parity(county: County, place: int, year: int) -> Fraction:
    """Included pay of a compulsory teacher ÷ that of a civil servant, before the scatter between schools."""
    if year == 2022 and county.code in PARITY_2022_BELOW_ONE:
        return PARITY_2022_BELOW_ONE[county.code]
    return Fraction(1012 + place * 11 % 26, 1000) + Fraction(year - 2022, 400)


def _cents(exact: Fraction) -> Decimal:
    return Decimal(round(exact * 100)) / 100


def _pay_row(parts: dict[str, Value]) -> Row:
    total = sum((value for value in parts.values() if isinstance(value, Decimal)), Decimal(0))
    return {**{name: parts[name] for name in COMPONENTS}, "pay_total_yuan": total}


def _teacher_pay_row(
    county: County,
    school: School,
    stage: str,
    heads: Decimal,
    average: Fraction,
    paid_yuan: Mapping[tuple[str, str, str], int],
    rng: random.Random,
) -> Row:
    average *= {PRESCHOOL: Fraction(92, 100), SENIOR: Fraction(103, 100)}.get(stage, Fraction(1))
    average *= Fraction(rng.randint(975, 1025), 1000)
    insurance = Fraction(20, 100)
    if school.organiser != "公办":
        average *= Fraction(92, 100)
        insurance = Fraction(14, 100)
    included = average * Fraction(heads)
    parts: dict[str, Value] = {name: _cents(included * share / 100) for name, share in TEACHER_SHARES.items()}
    for name, programme in (
        ("rural_living_allowance_yuan", LIVING),
        ("township_allowance_yuan", TOWNSHIP_WORK),
        ("hardship_allowance_yuan", HARDSHIP),
    ):
        parts[name] = Decimal(paid_yuan.get((programme, school.code, stage), 0))
    if county.code not in HARDSHIP_COUNTIES:
        parts["hardship_allowance_yuan"] = NOT_APPLICABLE
    parts["reform_allowance_yuan"] = _cents(Fraction(heads) * 1200)
    parts["employer_insurance_yuan"] = _cents(included * insurance)
    parts["other_yuan"] = Decimal(0)
    return {
        "school_code": school.code,
        "school_name": school.name,
        "stage": stage,
        "teachers_average": heads,
        **_pay_row(parts),
    }


def _civil_servant_rows(county: County, place: int, average: Fraction, schools: Mapping[str, School]) -> list[Row]:
    rows: list[Row] = []
    scale = len(schools)
    for category, heads, share in (
        ("公务员", Decimal(scale * 11) + Decimal("0.5"), Fraction(1005, 1000)),
        ("参公人员", Decimal(scale * 3), Fraction(98, 100)),
    ):
        included = average * share * Fraction(heads)
        parts: dict[str, Value] = {name: _cents(included * part / 100) for name, part in CIVIL_SERVANT_SHARES.items()}
        parts["rural_living_allowance_yuan"] = NOT_APPLICABLE
        parts["township_allowance_yuan"] = _cents(Fraction(heads) * 1500)
        hardship = county.code in HARDSHIP_COUNTIES
        parts["hardship_allowance_yuan"] = (
            _cents(Fraction(heads) * HARDSHIP_STANDARD * 12) if hardship else NOT_APPLICABLE
        )
        parts["reform_allowance_yuan"] = _cents(Fraction(heads) * 6000)
        parts["employer_insurance_yuan"] = _cents(included / 5)
        parts["other_yuan"] = Decimal(0)
        rows.append({"staff_category": category, "civil_servants_average": heads, **_pay_row(parts)})
    return rows
