"""Rules that need other periods, other returns or the census: landed into a home, judged over what is in force."""

import io
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import towns
from builders import DINGXIANG, XINFU, CountyName, Draft, _pupils, xlsx

from pipelines.home import Home
from pipelines.intake.raw_store import Arrival, RawStore
from pipelines.returns import current_definitions
from pipelines.sample import write_sample_municipality
from pipelines.screening.rules import suite
from pipelines.warehouse import dbt
from pipelines.warehouse.build_database import open_build_database
from pipelines.warehouse.checks import rules_across
from pipelines.warehouse.dbt import compiled_checks
from pipelines.warehouse.landing import Landed, Scope, land_new
from tests.homes import small_home

NOON = datetime(2024, 10, 8, 4, tzinfo=UTC)
#: The rule with which the tests of the machinery are made; what else is asked of such small schools is left aside.
CHANGE = "XB02-2-change-students-total"
Found = list[tuple[str, str, str, str, str, str, str]]


@dataclass
class Desk:
    """A home into which files arrive one after the other."""

    home: Home
    sent_n: int = field(default=0)

    def send(self, content: bytes, *, county: str = XINFU.code, name: str = "报表.xlsx", hours: int = 0) -> str:
        self.sent_n += 1
        at = (NOON + timedelta(hours=hours, seconds=self.sent_n)).isoformat()
        store = RawStore(self.home.raw)
        submission_id, size = store.keep(io.BytesIO(content), max_bytes=10**8)
        store.record(submission_id, size, Arrival(county, name, f"/{county}/{name}", at, at, at))
        return submission_id

    def land(self, **more: Any) -> Landed:
        with self.home.writing():
            return land_new(self.home, **more)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with open_build_database(self.home) as connection:
            return connection.execute(sql).fetchall()

    def findings(self, like: str = "%") -> Found:
        """County, period, rule, cell, value, expected and difference of the context findings that stand now."""
        return self.query(
            f"""SELECT county_code, period, rule_id, cell, value, expected, difference FROM landing.context_finding
               SEMI JOIN (SELECT submission_id, return_code, county_code, period, max(evaluation_seq) AS evaluation_seq
                          FROM landing.context_evaluation GROUP BY ALL) AS newest
                   USING (evaluation_seq, submission_id, return_code, county_code, period)
               SEMI JOIN landing.filing_in_force USING (submission_id, return_code, county_code, period)
               WHERE rule_id LIKE '{like}' ORDER BY ALL"""
        )


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    references = {"census_2020": "references"}
    write_sample_municipality(tmp_path / "municipality.yaml", references=references)
    yield Desk(Home(tmp_path))


def enrolment(period: str, pupils: int = 10, county: CountyName = XINFU) -> Draft:
    """The first school has `pupils` in each of its six grades."""
    draft = Draft("enrolment", county=county, period=period)
    ages = {f"age_{age}": pupils for age in range(6, 12)} | {f"grade_{grade}": pupils for grade in range(1, 7)}
    draft.rows[0] |= ages | {"students_total": 6 * pupils, "students_official_age": 6 * pupils}
    return draft


def _census_of(*people: tuple[str, int]) -> bytes:
    """(County code, people of each sex and age); the bands hold 1, 4, 5, 5 and 5 ages."""
    bands = {"0岁": 1, "1到4岁": 4, "5到9岁": 5, "10到14岁": 5, "15到19岁": 5}
    header = ["区划代码", "市", "区县", "人口数_合计", *(f"{sex}_{band}" for band in bands for sex in ("男", "女"))]
    rows = [
        [int(code), "忻州市", towns.town(code).name, sum(bands.values()) * 2 * each,
         *(ages * each for ages in bands.values() for _ in range(2))]
        for code, each in people
    ]  # fmt: skip
    return xlsx(others={"七普": [header, *rows]})


def test_a_finding_names_the_sheet_on_which_its_row_stands(desk):
    """The sheets of one filing have rows of the same number; their columns may differ."""
    desk.send(enrolment("2023-2024", 10).xlsx())
    draft = enrolment("2024-2025", 40)
    upper = Draft("enrolment", rows=draft.rows[1:], sheet="初中")
    lower = Draft("enrolment", rows=draft.rows[:1], sheet="小学", columns=list(reversed(draft.columns)))
    desk.send(xlsx(upper, lower))
    desk.land()
    places = desk.query(f"SELECT sheet, cell FROM landing.context_finding WHERE rule_id = '{CHANGE}'")
    assert places == [("小学", lower.cell(0, "students_total"))]


def test_a_change_counts_only_when_large_in_share_and_in_pupils(desk):
    pupils_a_grade = {
        XINFU: (10, 20, True),
        DINGXIANG: (20, 10, True),
        CountyName("140922", "五台县"): (100, 120, False),  # 120 pupils more, a fifth exactly
        CountyName("140923", "代县"): (100, 121, True),
        CountyName("140924", "繁峙县"): (8, 16, False),  # doubled, by 48 pupils
        CountyName("140925", "宁武县"): (11, 11, False),
    }
    for county, (before, after, _) in pupils_a_grade.items():
        desk.send(enrolment("2023-2024", before, county).xlsx(), county=county.code)
        desk.send(enrolment("2024-2025", after, county).xlsx(), county=county.code)
    # A year between two reports: there is nothing to compare with.
    gap = CountyName("140926", "静乐县")
    desk.send(enrolment("2022-2023", 5, gap).xlsx(), county=gap.code)
    desk.send(enrolment("2024-2025", 50, gap).xlsx(), county=gap.code)
    desk.land()
    asked = {county.code for county, (_, _, asked) in pupils_a_grade.items() if asked}
    assert {finding[0] for finding in desk.findings(CHANGE)} == asked


def test_the_period_after_is_judged_again_when_the_one_before_comes_late(desk):
    draft = enrolment("2024-2025", 20)
    desk.send(draft.xlsx())
    desk.land()
    assert desk.findings(CHANGE) == []
    desk.send(enrolment("2023-2024").xlsx())
    desk.land()
    cell = draft.cell(0, "students_total")
    assert desk.findings(CHANGE) == [("140902", "2024-2025", "XB02-2-change-students-total", cell, "120", "60", "+60")]
    # It asks, and changes nothing of the verdict that the file alone has earned.
    assert desk.query("SELECT DISTINCT verdict FROM landing.filing_version") == [("accepted",)]


def test_a_corrected_version_takes_its_findings_with_it_and_a_rejected_one_changes_nothing(desk):
    desk.send(enrolment("2023-2024").xlsx())
    desk.send(enrolment("2024-2025", 20).xlsx())
    desk.land()
    assert len(desk.findings(CHANGE)) == 1
    desk.send(enrolment("2024-2025", 11).xlsx(), hours=1)
    desk.land()
    assert desk.findings(CHANGE) == []
    bad = enrolment("2024-2025", 30)
    bad.rows[0]["boarders"] = "若干"
    desk.send(bad.xlsx(), hours=2)
    desk.land()
    assert desk.findings(CHANGE) == []
    assert desk.query("SELECT max(students_total) FROM landing.enrolment") == [(120,)]


def test_nothing_new_is_screened_twice_and_a_renewed_screening_gives_the_same(desk):
    desk.send(enrolment("2023-2024").xlsx())
    desk.send(enrolment("2024-2025", 20).xlsx())
    assert desk.land().submissions_n == 2
    before = desk.findings(CHANGE)
    assert desk.land().submissions_n == 0
    assert desk.land(again=Scope(county_code="140902")).submissions_n == 2
    assert desk.findings(CHANGE) == before


def test_landed_numbers_are_exact_decimals_with_their_missing_codes(desk):
    draft = Draft("teacher_pay")
    draft.rows[0] |= {"basic_salary_yuan": 0.1 + 0.2, "pay_total_yuan": 0.3 + 448000.75}
    desk.send(draft.xlsx())
    desk.land()
    rows = desk.query(
        """SELECT teachers_average::VARCHAR, basic_salary_yuan::VARCHAR, pay_total_yuan::VARCHAR,
                  township_allowance_yuan, missing_codes FROM landing.teacher_pay ORDER BY source_row"""
    )
    assert rows == [
        ("9.5", "0.30", "448001.05", None, '{"township_allowance_yuan":"not_applicable"}'),
        ("10.0", "480000.00", "928000.75", None, '{"township_allowance_yuan":"not_applicable"}'),
    ]


def test_a_batch_that_fails_lands_nothing(desk, monkeypatch):
    desk.send(Draft("school").xlsx())
    monkeypatch.setattr(
        "pipelines.warehouse.landing.evaluate_context", lambda *_: (_ for _ in ()).throw(RuntimeError("stop"))
    )
    with pytest.raises(RuntimeError, match="stop"):
        desk.land()
    assert desk.query("SELECT count(*) FROM landing.filing_version") == [(0,)]
    monkeypatch.undo()
    assert desk.land().submissions_n == 1
    with duckdb.connect(str(desk.home.build_database), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM landing.school").fetchall() == [(2,)]


# Every rule, broken --------------------------------------------------------------------------------------------------

FILED = {
    "school": ("2023-2024", "2024-2025"),
    "enrolment": ("2023-2024", "2024-2025"),
    "population": ("2023", "2024"),
    "teacher_pay": ("2023", "2024"),
    "civil_servant_pay": ("2023", "2024"),
    "rural_subsidy": ("2023Q4", "2024Q1", "2024Q2", "2024Q3", "2024Q4"),
}
Expected = list[tuple[str, str]]
"""(rule, cell) of every finding of the case's county."""


@dataclass
class Case:
    """Files of one county that break one rule, and all that is found in them. `also`: files and findings of another county."""

    drafts: list[Draft]
    found: Expected
    also: "Case | None" = None


def _changed(draft: Draft, row: int, **values: Any) -> Draft:
    draft.rows[row].update(values)
    return draft


def _without(draft: Draft, school: str) -> Draft:
    draft.rows = [row for row in draft.rows if not row["school_code"].endswith(school)]
    return draft


def _without_register(draft: Draft, register: str) -> Draft:
    draft.rows = [row for row in draft.rows if row["register"] != register]
    return draft


def _another_programme(draft: Draft) -> Draft:
    draft.rows = [towns.subsidy(draft.county.code, towns.RURAL[0], towns.SENT, "不分档", 12, 2000)]
    return draft


def _scaled(draft: Draft, factor: float, *columns: str, rows: slice = slice(None)) -> Draft:
    """The numbers of some columns (of all that add up, when none is named) times a factor."""
    counts = {column.name for column in draft.definition.columns if column.type == "count"}
    names = columns or tuple(column.name for column in draft.definition.number_columns if column.additive)
    for row in draft.rows[rows]:
        for name in names:
            if not isinstance(row[name], str):
                row[name] = round(row[name] * factor) if name in counts else round(row[name] * factor, 2)
        if "pay_total_yuan" in row:
            row["pay_total_yuan"] = towns.total_of(row)
    return draft


def _closed(draft: Draft, row: int, day: str) -> Draft:
    return _changed(draft, row, closed_on=day)


def _lent(draft: Draft, code: str, row: int = -1) -> Draft:
    """A row under the code of a school of another county."""
    return _changed(draft, row, school_code=f"{code}{draft.rows[row]['school_code'][-4:]}")


def _copied(return_code: str, code: str, period: str, of: str) -> Draft:
    """Another county's figures under one's own codes and names."""
    draft = towns.draft(return_code, code, period)
    for row, other in zip(draft.rows, towns.rows(return_code, of, period), strict=True):
        row |= {name: value for name, value in other.items() if name not in ("school_code", "school_name")}
    return draft


def _without_register(draft: Draft, register: str) -> Draft:
    draft.rows = [row for row in draft.rows if row["register"] != register]
    return draft


def _people(draft: Draft, ages: range, factor: float, register: str = "常住") -> Draft:
    for row in draft.rows:
        if row["register"] == register and row["age"] in ages:
            male, female = (round(row[name] * factor) for name in ("population_male", "population_female"))
            row |= {"population_total": male + female, "population_male": male, "population_female": female}
    return draft


def _round(draft: Draft) -> Draft:
    """Every figure an estimate."""
    if draft.return_code == "enrolment":
        for row, (first_age, grades) in zip(draft.rows, ((6, 6), (12, 3), (3, 3), (15, 3)), strict=False):
            row |= _pupils(first_age, grades, 400) | {
                "students_female": 60 * grades,
                "new_entrants": 390,
                "boarders": 30,
            }
    elif draft.return_code == "population":
        for row in draft.rows:
            row |= {"population_total": 520, "population_male": 270, "population_female": 250}
    elif draft.return_code == "rural_subsidy":
        draft.rows = [
            towns.subsidy(draft.county.code, row["school_code"][-4:], row["programme"], row["tier"], 20, 300)
            for row in draft.rows
        ]
    else:
        for row in draft.rows:
            for name in ("basic_salary_yuan", "performance_pay_yuan", "allowance_yuan", "year_end_bonus_yuan",
                         "local_incentive_yuan", "employer_insurance_yuan"):  # fmt: skip
                row[name] = round(row[name], -3)
            row["pay_total_yuan"] = towns.total_of(row)
    return draft


def _grades_shifted(draft: Draft, pupils: int) -> Draft:
    row = draft.rows[0]
    return _changed(draft, 0, grade_3=row["grade_3"] - pupils, grade_4=row["grade_4"] + pupils)


def _as_of(draft: Draft, period: str) -> Draft:
    """The same figures once more for another period."""
    return Draft(draft.return_code, county=draft.county, period=period, rows=draft.rows)


def _pay(draft: Draft, row: int, heads: float, average: int, column: str = "teachers_average") -> Draft:
    return _changed(draft, row, **towns.pay(heads, average, {}, column))


_COMPONENTS = ("basic_salary_yuan", "performance_pay_yuan", "allowance_yuan", "year_end_bonus_yuan", "local_incentive_yuan",
               "reform_allowance_yuan", "employer_insurance_yuan", "pay_total_yuan")  # fmt: skip
#: Return → the columns whose unit is mistaken, where it is not all of them.
_SCALED = {
    # All of the pay would be no question but an error of the file.
    "teacher_pay": ("reform_allowance_yuan", "rural_living_allowance_yuan"),
    "civil_servant_pay": ("reform_allowance_yuan",),
    "rural_subsidy": ("teachers_entitled", "teachers_paid", "due_yuan", "paid_yuan"),
}


#: Row of the first rural school of a town in its returns by school.
_RURAL = 4


def _any_return(code: str, form: str, return_code: str, kind: str, other: str) -> Case:
    """The cases that every return has alike."""
    *_, before, now = FILED[return_code]
    then, draft = towns.draft(return_code, code, before), towns.draft(return_code, code, now)
    if kind == "exact-copy":
        paid = []
        if return_code == "teacher_pay":
            # What its schools are held against waits for the one answer.
            paid = [towns.draft("rural_subsidy", code, period) for period in FILED["rural_subsidy"][1:]]
            then = _more_allowance(then, _RURAL)
        return Case([*paid, then, _as_of(then, now)], [(f"{form}-2-exact-copy", "")])
    if kind == "copy-of-county":
        theirs = Case([towns.draft(return_code, other, now)], [(f"{form}-3-copy-of-county", "")])
        return Case([_copied(return_code, code, now, other)], [(f"{form}-3-copy-of-county", "")], theirs)
    if kind == "code-elsewhere":
        theirs_draft = towns.draft(return_code, other, now)
        rule, at = f"{form}-3-code-elsewhere", draft.cell(len(draft.rows) - 1, "school_code")
        theirs = Case([theirs_draft], [(rule, theirs_draft.cell(len(theirs_draft.rows) - 1, "school_code"))])
        return Case([_lent(draft, other)], [(rule, at)], theirs)
    if kind == "round-numbers":
        return Case([_round(draft)], [(f"{form}-4-round-numbers", "")])
    # As in 万元; as if every head were a hundred.
    changed = _scaled(draft, 1 / 10_000 if "pay" in return_code else 100, *_SCALED.get(return_code, ()))
    names = _SCALED.get(return_code) or [column.name for column in draft.definition.number_columns if column.additive]
    filled = {
        name: [number for number, row in enumerate(changed.rows) if row[name] not in (0, "不适用")] for name in names
    }
    asked = [(f"{form}-4-unit", f"{changed.cell(rows[0], name)}:{changed.cell(rows[-1], name)}")
             for name, rows in filled.items() if len(rows) > 1]  # fmt: skip
    return Case([then, changed], asked)


def _cases() -> dict[str, Callable[[str, str], Case]]:
    """Rule → its case, given the codes of two counties."""
    d = towns.draft
    last = len(towns.STAGE) - 1  # row of the last rural school, in every return by school
    school, year = "2024-2025", ("2023-2024", "2024-2025")
    missing = towns.RURAL[-1]

    def cell(return_code: str, row: int, column: str) -> str:
        return d(return_code, "140934", FILED[return_code][-1]).cell(row, column)

    def cells(return_code: str, first: int, last: int, column: str) -> str:
        """What is said of a sum points at all of its cells."""
        return f"{cell(return_code, first, column)}:{cell(return_code, last, column)}"

    found: dict[str, Callable[[str, str], Case]] = {
        "XB01-2-school-vanished": lambda a, _: Case(
            [d("school", a, year[0]), _without(d("school", a, school), missing)], [("XB01-2-school-vanished", "")]
        ),
        "XB02-1b-register": lambda a, _: Case(
            [d("school", a, school), _without(d("enrolment", a, school), missing)], [("XB02-1b-register", "")]
        ),
        "XB02-2b-not-in-register": lambda a, _: Case(
            [_without(d("school", a, school), missing), d("enrolment", a, school)],
            [("XB02-2b-not-in-register", cell("enrolment", last, "school_code"))],
        ),
        "XB02-2b-closed": lambda a, _: Case(
            [_closed(d("school", a, school), last, "2024-08-31"), d("enrolment", a, school)],
            [("XB02-2b-closed", cell("enrolment", last, "school_code"))],
        ),
        "XB02-2-change-students-total": lambda a, _: Case(
            [d("enrolment", a, year[0]), _scaled(d("enrolment", a, school), 3, rows=slice(_RURAL, _RURAL + 1))],
            [("XB02-2-change-students-total", cell("enrolment", _RURAL, "students_total"))],
        ),
        "XB02-2-cohort-flow": lambda a, _: Case(
            [d("enrolment", a, year[0]), _grades_shifted(d("enrolment", a, school), 80)],
            [("XB02-2-cohort-flow", cells("enrolment", 0, last, "grade_3")), ("XB02-2-cohort-flow", cells("enrolment", 0, last, "grade_4"))],
        ),
        "XB02-4-transition": lambda a, _: Case(
            [d("enrolment", a, year[0]), _changed(d("enrolment", a, school), 1, new_entrants=300)], [("XB02-4-transition", "")]
        ),
        "XB02-4-gross-preschool": lambda a, _: Case(
            [d("enrolment", a, school), _people(d("population", a, "2024"), range(3, 6), 0.6)], [("XB02-4-gross-preschool", "")]
        ),
        "XB02-4-gross-primary": lambda a, _: Case(
            [d("enrolment", a, school), _people(d("population", a, "2024"), range(6, 12), 0.8)],
            [("XB02-4-gross-primary", ""), ("XB02-4-net-compulsory", ""), ("XB02-4-net-primary", "")],
        ),
        "XB02-4-gross-junior": lambda a, _: Case(
            [d("enrolment", a, school), _people(d("population", a, "2024"), range(12, 15), 0.8)],
            [("XB02-4-gross-junior", ""), ("XB02-4-net-compulsory", ""), ("XB02-4-net-junior", "")],
        ),
        "XB01-2b-reopened": lambda a, _: Case(
            [_closed(d("school", a, year[0]), last, "2023-08-31"), d("school", a, school)],
            [("XB01-2b-reopened", cell("school", last, "school_code"))],
        ),
        "XB02-2-graduates": lambda a, _: Case(
            [d("enrolment", a, year[0]), _changed(d("enrolment", a, school), 1, graduates_last_year=700)],
            [("XB02-2-graduates", cell("enrolment", 1, "graduates_last_year"))],
        ),
        "XB02-2b-boarders": lambda a, _: Case(
            [d("school", a, school), _changed(d("enrolment", a, school), 1, boarders=60)],
            [("XB02-2b-boarders", cell("enrolment", 1, "boarders"))],
        ),
        "XB04-4-school-staffing": lambda a, _: Case(
            [d("enrolment", a, school), _pay(d("teacher_pay", a, "2024"), _RURAL, 0.5, 71_234)],
            [("XB04-4-school-staffing", cell("teacher_pay", _RURAL, "teachers_average"))],
        ),
        "XB02-4-net-compulsory": lambda a, _: Case(
            [d("enrolment", a, school), _people(d("population", a, "2024"), range(6, 15), 0.98)],
            [("XB02-4-net-compulsory", ""), ("XB02-4-net-junior", ""), ("XB02-4-net-primary", "")],
        ),
        "XB02-4-net-primary": lambda a, _: Case(
            [d("enrolment", a, school), _people(d("population", a, "2024"), range(6, 12), 0.99)], [("XB02-4-net-primary", "")]
        ),
        "XB02-4-net-junior": lambda a, _: Case(
            [d("enrolment", a, school), _people(d("population", a, "2024"), range(12, 15), 0.99)], [("XB02-4-net-junior", "")]
        ),
        "XB02-4-zero-population": lambda a, _: Case(
            [d("enrolment", a, school), _people(d("population", a, "2024"), range(15, 18), 0)], [("XB02-4-zero-population", "")]
        ),
        "XB02-2b-stage-missing": lambda a, _: Case(
            [d("school", a, school), _without(d("enrolment", a, school), towns.JUNIOR)],
            [("XB02-2b-stage-missing", "")],
        ),
        "XB03-2-register-missing": lambda a, _: Case(
            [d("population", a, "2023"), _without_register(d("population", a, "2024"), "户籍")], [("XB03-2-register-missing", "")]
        ),
        "XB04-2b-stage-missing": lambda a, _: Case(
            [d("school", a, school), _without(d("teacher_pay", a, "2024"), towns.JUNIOR)],
            [("XB04-2b-stage-missing", "")],
        ),
        "XB06-2b-programme-missing": lambda a, _: Case(
            [d("rural_subsidy", a, "2024Q3"), _another_programme(d("rural_subsidy", a, "2024Q4"))],
            [("XB06-2b-programme-missing", "")],
        ),
        "XB02-4-gender-parity": lambda a, _: Case(
            [d("population", a, "2024"), _changed(d("enrolment", a, school), 0, students_female=900)],
            [("XB02-4-gender-parity", "")],
        ),
        "XB03-2-cohort": lambda a, _: Case(
            [d("population", a, "2023"), _people(d("population", a, "2024"), range(9, 10), 1.24)],
            [("XB03-2-cohort", cell("population", 9, "population_total"))],
        ),
        "XB03-2-change-register": lambda a, _: Case(
            [d("population", a, "2023"), _people(d("population", a, "2024"), range(18), 1.15, "户籍")],
            [("XB03-2-change-register", cells("population", 18, 35, "population_total"))],
        ),
        "XB03-4-registers": lambda a, _: Case(
            [_people(d("population", a, "2024"), range(18), 3, "户籍")],
            [("XB03-4-registers", cells("population", 18, 35, "population_total"))],
        ),
        "XB04-2b-register": lambda a, _: Case(
            [d("school", a, school), _without(d("teacher_pay", a, "2024"), towns.PRIMARY)], [("XB04-2b-register", "")]
        ),
        "XB04-2b-not-in-register": lambda a, _: Case(
            [_without(d("school", a, school), missing), d("teacher_pay", a, "2024")],
            [("XB04-2b-not-in-register", cell("teacher_pay", last, "school_code"))],
        ),
        "XB04-2b-closed": lambda a, _: Case(
            [_closed(d("school", a, school), last, "2023-08-31"), d("teacher_pay", a, "2024")],
            [("XB04-2b-closed", cell("teacher_pay", last, "school_code"))],
        ),
        "XB04-2-change-pay-per-head": lambda a, _: Case(
            [d("teacher_pay", a, "2023"), _pay(d("teacher_pay", a, "2024"), _RURAL, 13, 104_321)],
            [("XB04-2-change-pay-per-head", cell("teacher_pay", _RURAL, "pay_total_yuan"))],
        ),
        "XB04-2-change-county-pay-per-head": lambda a, _: Case(
            [d("teacher_pay", a, "2023"), _scaled(d("teacher_pay", a, "2024"), 1.17, *_COMPONENTS)],
            [("XB04-2-change-county-pay-per-head", "")],
        ),
        "XB04-2b-subsidies": lambda a, _: Case(
            [*(d("rural_subsidy", a, period) for period in FILED["rural_subsidy"][1:]), _more_allowance(d("teacher_pay", a, "2024"), _RURAL)],
            [("XB04-2b-subsidies", cell("teacher_pay", _RURAL, "rural_living_allowance_yuan"))],
        ),
        "XB04-4-pupils-per-teacher": lambda a, _: Case(
            [d("enrolment", a, school), _pay(d("teacher_pay", a, "2024"), 0, 400.5, 71_234)], [("XB04-4-pupils-per-teacher", "")]
        ),
        "XB04-4-parity": lambda a, _: Case(
            [d("school", a, school), d("teacher_pay", a, "2024"),
             _pay(d("civil_servant_pay", a, "2024"), 0, 301.5, 43_210, "civil_servants_average")],
            [("XB04-4-parity", "")],
        ),
        "XB04-5-included-elsewhere": lambda a, _: Case(
            [d("school", a, school), _included(d("teacher_pay", a, "2024"), "reform_allowance_yuan", "allowance_yuan", "并入津贴补贴")],
            [("XB04-5-included-elsewhere", cell("teacher_pay", 0, "reform_allowance_yuan"))],
        ),
        "XB05-5-included-elsewhere": lambda a, _: Case(
            [_included(d("civil_servant_pay", a, "2024"), "reform_allowance_yuan", "allowance_yuan", "（并入）")],
            [("XB05-5-included-elsewhere", cell("civil_servant_pay", 0, "reform_allowance_yuan"))],
        ),
        "XB05-2-change-pay-per-head": lambda a, _: Case(
            [d("civil_servant_pay", a, "2023"),
             _pay(d("civil_servant_pay", a, "2024"), 1, 83, 92_345, "civil_servants_average")],
            [("XB05-2-change-pay-per-head", cell("civil_servant_pay", 1, "pay_total_yuan"))],
        ),
        "XB06-2b-register": lambda a, _: Case(
            [d("school", a, school), _without(d("rural_subsidy", a, "2024Q4"), missing)], [("XB06-2b-register", "")]
        ),
        "XB06-2b-not-in-register": lambda a, _: Case(
            [_without(d("school", a, school), missing), d("rural_subsidy", a, "2024Q4")],
            [("XB06-2b-not-in-register", cell("rural_subsidy", towns.RURAL_N, "school_code"))],
        ),
        "XB06-2b-closed": lambda a, _: Case(
            [_closed(d("school", a, school), last, "2024-08-31"), d("rural_subsidy", a, "2024Q4")],
            [("XB06-2b-closed", cell("rural_subsidy", towns.RURAL_N, "school_code"))],
        ),
        "XB06-2-change-heads": lambda a, _: Case(
            [d("rural_subsidy", a, "2024Q3"), _paid(d("rural_subsidy", a, "2024Q4"), 0, 211, 300)],
            [("XB06-2-change-heads", ""), ("XB06-2-change-due", "")],
        ),
        "XB06-2-change-due": lambda a, _: Case(
            [d("rural_subsidy", a, "2024Q3"), _two_months(d("rural_subsidy", a, "2024Q4"))], [("XB06-2-change-due", "")]
        ),
        "XB06-2b-heads": lambda a, _: Case(
            [d("teacher_pay", a, "2024"), _paid(d("rural_subsidy", a, "2024Q4"), 1, 25, 300)],
            [("XB06-2b-heads", cell("rural_subsidy", 1, "teachers_entitled"))],
        ),
        "XB06-2b-tier": lambda a, _: Case(
            [d("school", a, school), _paid(d("rural_subsidy", a, "2024Q4"), 1, 12, 400, tier="二档")],
            [("XB06-2b-tier", cell("rural_subsidy", 1, "tier"))],
        ),
        "XB06-5-standard": lambda a, _: Case(
            [_paid(d("rural_subsidy", a, "2024Q4"), 1, 12, 320)],
            [("XB06-5-standard", cell("rural_subsidy", 1, "standard_yuan_per_month"))],
        ),
    }  # fmt: skip
    for return_code, defined in current_definitions().items():
        form = defined.form
        kinds = ["exact-copy", "copy-of-county", "round-numbers", "unit"] if return_code != "school" else []
        kinds += ["code-elsewhere"] if "school_code" in defined.key else []
        for kind in kinds:
            level = {"exact-copy": "2", "copy-of-county": "3", "code-elsewhere": "3"}.get(kind, "4")
            found[f"{form}-{level}-{kind}"] = lambda a, b, form=form, code=return_code, kind=kind: _any_return(
                a, form, code, kind, b
            )
    return found


def _paid(draft: Draft, row: int, heads: int, standard: int, tier: str = "一档") -> Draft:
    school = draft.rows[row]["school_code"][-4:]
    return _changed(draft, row, **towns.subsidy(draft.county.code, school, towns.LIVING, tier, heads, standard))


def _two_months(draft: Draft) -> Draft:
    for row in draft.rows:
        due = row["teachers_entitled"] * row["standard_yuan_per_month"] * 2
        row |= {"months": 2, "due_yuan": due, "paid_yuan": due}
    return draft


def _more_allowance(draft: Draft, row: int) -> Draft:
    allowance = draft.rows[row]["rural_living_allowance_yuan"] + 5000
    _changed(draft, row, rural_living_allowance_yuan=allowance)
    return _changed(draft, row, pay_total_yuan=towns.total_of(draft.rows[row]))


def _included(draft: Draft, source: str, target: str, words: str) -> Draft:
    """A component's figures added to another's, and the cells answered with words."""
    for row in draft.rows:
        row |= {target: round(row[target] + row[source], 2), source: words}
        row["pay_total_yuan"] = towns.total_of(row)
    return draft


def _hardship_cases() -> dict[str, Case]:
    """In counties that policy names as having no category: county → what is found."""
    pay, servants = towns.draft("teacher_pay", "140921", "2024"), towns.draft("civil_servant_pay", "140921", "2024")
    for draft in (pay, servants):
        _changed(draft, 0, hardship_allowance_yuan=5000)
        _changed(draft, 0, pay_total_yuan=towns.total_of(draft.rows[0]))
    subsidies = towns.draft("rural_subsidy", "140981", "2024Q4")
    subsidies.rows.append(towns.subsidy("140981", towns.RURAL[0], towns.HARDSHIP, "不分档", 12, 210))
    return {
        "140921": Case(
            [pay, servants, towns.draft("population", "140921", "2024")],
            [
                ("XB04-5-hardship-category", pay.cell(0, "hardship_allowance_yuan")),
                ("XB05-5-hardship-category", servants.cell(0, "hardship_allowance_yuan")),
                ("XB03-5-census-2020", pay_free_cell("population", 4, "population_total")),
                ("XB03-5-census-2020", pay_free_cells("population", 5, 8, "population_total")),
                ("XB03-5-census-2020", pay_free_cells("population", 9, 13, "population_total")),
            ],
        ),
        "140981": Case(
            [subsidies], [("XB06-5-hardship-category", subsidies.cell(len(subsidies.rows) - 1, "programme"))]
        ),
    }


def pay_free_cell(return_code: str, row: int, column: str) -> str:
    return towns.draft(return_code, "140921", "2024").cell(row, column)


def pay_free_cells(return_code: str, first: int, last: int, column: str) -> str:
    return f"{pay_free_cell(return_code, first, column)}:{pay_free_cell(return_code, last, column)}"


@dataclass
class Played:
    """All cases landed at once, each in counties of its own; in two homes, for there are not codes enough for one."""

    desks: list[Desk] = field(default_factory=list)
    expected: dict[tuple[int, str], Expected] = field(default_factory=dict)
    rule_of: dict[tuple[int, str], str] = field(default_factory=dict)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return [row for desk in self.desks for row in desk.query(sql)]


SOUND = ("140902", towns.HARDSHIP_COUNTY)
CALENDAR = {
    "school": ("2023-2024", "2024-2025", "start", 45),
    "enrolment": ("2023-2024", "2024-2025", "start", 45),
    **dict.fromkeys(("population", "teacher_pay", "civil_servant_pay"), ("2023", "2024", "end", 60)),
    "rural_subsidy": ("2023Q4", "2024Q4", "end", 20),
}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    cases = list(_cases().items())
    result = Played()
    for half, part in enumerate((cases[::2], cases[1::2])):
        codes = iter(towns.CODES)
        drafts: list[Draft] = []
        placed: dict[str, Case] = {}
        for rule, make in part:
            one, other = next(codes), next(codes) if "-3-" in rule else ""
            placed[one] = case = make(one, other)
            if case.also:
                placed[other] = case.also
            result.rule_of |= {(half, one): rule, (half, other): rule}
        if half == 0:
            placed |= _hardship_cases()
            drafts += [towns.draft(code, county, at) for county in SOUND for code, ats in FILED.items() for at in ats]
        drafts += [draft for case in placed.values() for draft in case.drafts]
        result.expected |= {(half, code): sorted(case.found) for code, case in placed.items()}
        result.desks.append(_landed(tmp_path_factory.mktemp("towns"), drafts))
    return result


def _landed(folder: Path, drafts: list[Draft]) -> Desk:
    counties = [
        (code, towns.town(code).name, f"Town {code}") for code in sorted({draft.county.code for draft in drafts})
    ]
    desk = Desk(small_home(folder, counties, CALENDAR, references={"census_2020": "references"}))
    for draft in drafts:
        desk.send(draft.csv(), county=draft.county.code, name=f"{draft.return_code}_{draft.period}.csv")
    desk.send(_census_of(("140902", 253), ("140921", 100)), county="census_2020", name="census.xlsx")
    desk.land()
    return desk


def test_every_context_rule_has_a_bad_file_and_a_good_one(played):
    declared = {rule.rule_id for code in current_definitions() for rule in suite(code).rules.values() if rule.is_across}
    assert {rule for found in played.expected.values() for rule, _ in found} == declared
    # Good: judged in counties in which nothing is wrong, and found to hold.
    held = played.query(
        f"""SELECT DISTINCT rule_id FROM landing.context_rule_result
            WHERE checked_n > 0 AND failed_n = 0 AND county_code IN {SOUND}"""
    )
    assert {rule for (rule,) in held} == declared


def test_every_question_of_a_model_has_its_rule_and_every_rule_its_question():
    asked = {
        (model.name, question)
        for model in compiled_checks()
        for question in re.findall(r"cast\('(\w+)' as string\) as question", model.sql)
        # Which question is asked depends on the stage.
        + re.findall(r"then '((?:gross|net)_\w+)'", model.sql)
    }
    declared = {
        (f"check_{rule.model}", question)
        for code in current_definitions()
        for question, rule in rules_across(code).items()
    }
    # What names another return's entry, or is a ledger, is asked by these; what a city declares itself is (see test_documents).
    of_any_return = {(model, question) for model, question in asked if model == "check_entries"}
    assert {question for _, question in of_any_return} == {"unknown_reference", "ended_reference", "vanished"}
    assert asked - of_any_return == declared - of_any_return


def test_a_question_of_many_rows_with_one_cause_is_asked_once(desk):
    draft = Draft("rural_subsidy", county=XINFU, period="2024Q4", rows=towns.rows("rural_subsidy", "140902", "2024Q4"))
    for row in draft.rows[:12]:
        row |= towns.subsidy("140902", row["school_code"][-4:], row["programme"], row["tier"], 12, 320)
    desk.send(draft.csv(), name="报表.csv")
    desk.land()
    assert [finding[3] for finding in desk.findings("XB06-5-standard")] == [draft.cell(0, "standard_yuan_per_month")]
    rows = desk.query(
        "SELECT message, subject, failed_n FROM landing.context_finding JOIN landing.context_rule_result USING (rule_id) "
        "WHERE rule_id = 'XB06-5-standard'"
    )
    assert rows == [
        (
            "乡村教师生活补助（一档）月标准为 320 元，政策标准为 300 元，相差 +20 元。本栏另有 11 行有同样的问题，一并按此处理。",
            "",
            1,
        )
    ]


def test_a_school_that_takes_in_a_closed_one_is_not_asked_about_its_growth(desk):
    """The first school has 60 pupils more; the second, which had 60, was closed in between."""
    before, now = enrolment("2023-2024"), enrolment("2024-2025", 20)
    before.rows[1] |= {key: value for key, value in before.rows[0].items() if not key.startswith("school")}
    desk.send(before.xlsx())
    now.rows = now.rows[:1]
    desk.send(now.xlsx())
    desk.land()
    assert len(desk.findings(CHANGE)) == 1
    register = Draft("school", period="2024-2025")
    register.rows[1]["closed_on"] = "2024-08-01"
    desk.send(register.xlsx())
    desk.land()
    assert desk.findings(CHANGE) == []


def test_children_who_join_a_kindergarten_late_are_no_question(desk):
    for period, middle in (("2023-2024", 100), ("2024-2025", 300)):
        draft = enrolment(period)
        ages = {"age_3": 100, "age_4": middle, "age_5": 100, "grade_1": 100, "grade_2": middle, "grade_3": 100}
        draft.rows[0] |= (
            {f"age_{age}": 0 for age in range(6, 12)} | {f"grade_{grade}": 0 for grade in range(1, 7)} | ages
        )
        draft.rows[0] |= {"stage": "学前", "students_total": 200 + middle, "students_official_age": 200 + middle}
        desk.send(draft.xlsx())
    desk.land()
    assert desk.findings("XB02-2-cohort-flow") == []


def test_a_failure_of_what_every_question_rests_on_is_told_and_the_file_lands(desk, monkeypatch: pytest.MonkeyPatch):
    broken = [
        replace(model, sql="SELECT * FROM gone") if model.name == "int_shared_by_counties" else model
        for model in compiled_checks()
    ]
    monkeypatch.setattr(dbt, "compiled_checks", lambda _home=None: broken)
    desk.send(enrolment("2023-2024").xlsx())
    faults = desk.land().faults
    assert set(faults) == set(current_definitions()) and all("gone" in what for what in faults.values())
    assert desk.query("SELECT count(*) FROM landing.enrolment") == [(2,)]


def test_no_file_of_the_cases_is_rejected(played):
    assert played.query("SELECT county_code, rule_id, message FROM landing.finding WHERE outcome = 'error'") == []


def test_a_bad_file_leads_to_its_findings_at_their_cells_and_a_good_one_to_none(played):
    found: dict[tuple[int, str], Expected] = {place: [] for place in played.expected}
    for half, desk in enumerate(played.desks):
        for county, _, rule, cell, *_ in desk.findings():
            found.setdefault((half, county), []).append((rule, cell))
    wrong = {
        (played.rule_of.get(place, ""), place): (sorted(rules), played.expected.get(place, []))
        for place, rules in found.items()
        if sorted(rules) != played.expected.get(place, [])
    }
    assert wrong == {}


def test_messages_are_whole_and_outcomes_only_ask(played):
    rows = played.query("SELECT rule_id, outcome, message, remedy FROM landing.context_finding")
    assert {outcome for _, outcome, _, _ in rows} <= {"query", "info"}
    for rule, _, message, remedy in rows:
        assert not any(gap in message + remedy for gap in ("{", "“”", "（）", "  ", "为 ，", "为 元")), (rule, message)
    for desk in played.desks:
        ids = desk.query("SELECT finding_id FROM landing.context_finding")
        assert len(set(ids)) == len(ids)


# The order in which files come -----------------------------------------------------------------------------------------


def _two_towns(folder: Path) -> Desk:
    counties = [(code, towns.town(code).name, f"Town {code}") for code in ("140934", "140935")]
    return Desk(small_home(folder, counties, CALENDAR))


@pytest.mark.parametrize("kind", ["code-elsewhere", "copy-of-county"])
@pytest.mark.parametrize("order", [1, -1])
def test_what_two_counties_share_is_asked_of_both_whichever_came_first_and_of_neither_once_mended(
    tmp_path, kind, order
):
    case = _any_return("140934", "XB02", "enrolment", kind, "140935")
    assert case.also
    desk = _two_towns(tmp_path)
    for draft in [*case.drafts, *case.also.drafts][::order]:
        desk.send(draft.csv(), county=draft.county.code, name="报表.csv")
        desk.land()
    found = [(county, rule) for county, _, rule, *_ in desk.findings()]
    assert found == [("140934", f"XB02-3-{kind}"), ("140935", f"XB02-3-{kind}")]
    mended = towns.draft("enrolment", "140934", "2024-2025")
    desk.send(mended.csv(), county="140934", name="报表.csv", hours=1)
    desk.land()
    assert desk.findings() == []


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_findings_are_a_function_of_what_is_in_force_not_of_the_order_in_which_it_came(tmp_path, seed):
    rules = ("XB01-3-code-elsewhere", "XB02-2b-closed", "XB02-2-cohort-flow", "XB03-3-copy-of-county", "XB04-2b-subsidies",
             "XB06-2b-heads")  # fmt: skip
    codes = iter(towns.CODES)
    drafts: list[Draft] = []
    for rule in rules:
        case = _cases()[rule](next(codes), next(codes))
        drafts += [*case.drafts, *(case.also.drafts if case.also else ())]
    shuffled = random.Random(seed).sample(drafts, len(drafts))
    at_once, bit_by_bit = (_empty(tmp_path / name, drafts) for name in ("at_once", "bit_by_bit"))
    for batch, desk in (
        (drafts, at_once),
        (shuffled[:5], bit_by_bit),
        (shuffled[5:11], bit_by_bit),
        (shuffled[11:], bit_by_bit),
    ):
        for draft in batch:
            desk.send(draft.csv(), county=draft.county.code, name=f"{draft.return_code}_{draft.period}.csv")
        desk.land()
    assert at_once.findings() == bit_by_bit.findings()
    assert {rule for _, _, rule, *_ in at_once.findings()} == {*rules}


def _empty(folder: Path, drafts: list[Draft]) -> Desk:
    counties = [
        (code, towns.town(code).name, f"Town {code}") for code in sorted({draft.county.code for draft in drafts})
    ]
    return Desk(small_home(folder, counties, CALENDAR))
