"""Rules that need other periods, other returns or the census: landed into a home, judged over what is in force."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from builders import DINGXIANG, XINFU, CountyName, Draft, xlsx

from pipelines.home import Home
from pipelines.intake.raw_store import Arrival, RawStore
from pipelines.municipality import write_template
from pipelines.returns import current_definitions
from pipelines.screening.rules import suite
from pipelines.warehouse.build_database import open_build_database
from pipelines.warehouse.update import Landed, Scope, land_new, standing

NOON = datetime(2024, 10, 8, 4, tzinfo=UTC)
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

    def findings(self) -> Found:
        """County, period, rule, cell, value, expected and difference of the context findings that stand now."""
        return self.query(
            """SELECT county_code, period, rule_id, cell, value, expected, difference FROM landing.context_finding
               SEMI JOIN (SELECT submission_id, return_code, county_code, period, max(evaluation_seq) AS evaluation_seq
                          FROM landing.context_evaluation GROUP BY ALL) AS newest
                   USING (evaluation_seq, submission_id, return_code, county_code, period)
               SEMI JOIN landing.filing_in_force USING (submission_id, return_code, county_code, period)
               ORDER BY ALL"""
        )


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    references = {"census_2020": "references"}
    write_template(tmp_path / "municipality.yaml", references=references)
    yield Desk(Home(tmp_path))


def enrolment(period: str, pupils: int = 10, county: CountyName = XINFU) -> Draft:
    """The first school has `pupils` in each of its six grades."""
    draft = Draft("enrolment", county=county, period=period)
    ages = {f"age_{age}": pupils for age in range(6, 12)} | {f"grade_{grade}": pupils for grade in range(1, 7)}
    draft.rows[0] |= ages | {"students_total": 6 * pupils, "students_official_age": 6 * pupils}
    return draft


def census(xinfu: int, dingxiang: int) -> bytes:
    """People of each sex and age; the bands hold 1, 4, 5, 5 and 5 ages."""
    bands = {"0岁": 1, "1到4岁": 4, "5到9岁": 5, "10到14岁": 5, "15到19岁": 5}
    header = ["区划代码", "市", "区县", "人口数_合计", *(f"{sex}_{band}" for band in bands for sex in ("男", "女"))]
    rows = [
        [code, "忻州市", name, 0, *(ages * people for ages in bands.values() for _ in range(2))]
        for code, name, people in ((140902, "忻府区", xinfu), (140921, "定襄县", dingxiang))
    ]
    return xlsx(others={"普查": [header, *rows]})


def population(county: CountyName, people: int, period: str = "2024") -> Draft:
    draft = Draft("population", county=county, period=period)
    for row in draft.rows:
        row |= {"population_total": 2 * people, "population_male": people, "population_female": people}
    return draft


def test_every_context_rule_is_broken_by_a_file_at_its_cell_and_no_faultless_county_is_asked(desk):
    changed, counted = enrolment("2024-2025", 20), population(XINFU, 300)
    # One county: a school missing, pupils doubled, residents unlike the census. The other: nothing.
    register = Draft("school")
    register.rows.append({**register.rows[0], "school_code": "1409020003", "school_name": "西关小学"})
    register.rows.append({**register.rows[2], "school_code": "1409020004", "closed_on": "2023-07-01"})
    for draft in (register, enrolment("2023-2024"), changed, counted):
        desk.send(draft.xlsx())
    other = DINGXIANG
    sound = (
        Draft("school", county=other),
        enrolment("2023-2024", 10, other),
        enrolment("2024-2025", 11, other),
        population(other, 310),
    )
    for draft in sound:
        desk.send(draft.xlsx(), county=other.code)
    desk.send(census(200, 300), county="census_2020", name="census.xlsx")
    desk.land()
    judged = standing(desk.home)
    rows = {age: counted.cell(age, "population_total") for age in (5, 9)}
    assert desk.findings() == [
        # Ages of 2024: 0 in 2020 is 4 (600 beside 400: 200 are not above 200), 1–4 is 5–8, 5–9 is 9–13.
        ("140902", "2024", "XB03-5-census-2020", rows[9], "3000", "2000", "+1000"),
        ("140902", "2024", "XB03-5-census-2020", rows[5], "2400", "1600", "+800"),
        ("140902", "2024-2025", "XB02-1b-register", "", "", "", ""),
        ("140902", "2024-2025", "XB02-2-change-students-total", changed.cell(0, "students_total"), "120", "60", "+60"),
    ]
    broken = {rule for *_, rule, _, _, _, _ in desk.findings()}
    declared = {
        rule.rule_id for code in current_definitions() for rule in suite(code).rules.values() if rule.scope == "context"
    }
    assert broken == declared
    assert {outcome for (outcome,) in desk.query("SELECT outcome FROM landing.context_finding")} == {"query"}
    for (message,) in desk.query("SELECT message FROM landing.context_finding"):
        assert "“”" not in message and "{" not in message
    assert [
        message
        for (message,) in desk.query("SELECT message FROM landing.context_finding WHERE rule_id LIKE '%register'")
    ] == ["名录中在办的“西关小学（1409020003）”没有出现在本表。"]
    # Passes are counted: 2 rows and 3 open schools of one county, 2 and 2 of the other, three bands of each.
    assert judged["enrolment"]["XB02-2-change-students-total"][0] == 4
    assert judged["enrolment"]["XB02-1b-register"][0] == 5
    assert judged["population"]["XB03-5-census-2020"][0] == 6


def test_a_change_counts_only_when_large_in_share_and_in_pupils(desk):
    pupils_a_grade = {
        XINFU: (10, 20, True),
        DINGXIANG: (20, 10, True),
        CountyName("140922", "五台县"): (100, 120, False),  # 120 pupils more, a fifth exactly
        CountyName("140923", "代县"): (100, 121, True),
        CountyName("140924", "繁峙县"): (8, 16, False),  # doubled, by 48 pupils
        CountyName("140925", "宁武县"): (10, 10, False),
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
    assert {finding[0] for finding in desk.findings()} == asked


def test_the_period_after_is_judged_again_when_the_one_before_comes_late(desk):
    draft = enrolment("2024-2025", 20)
    desk.send(draft.xlsx())
    desk.land()
    assert desk.findings() == []
    desk.send(enrolment("2023-2024").xlsx())
    desk.land()
    cell = draft.cell(0, "students_total")
    assert desk.findings() == [("140902", "2024-2025", "XB02-2-change-students-total", cell, "120", "60", "+60")]
    # It asks, and changes nothing of the verdict that the file alone has earned.
    assert desk.query("SELECT DISTINCT verdict FROM landing.filing_version") == [("accepted",)]


def test_a_corrected_version_takes_its_findings_with_it_and_a_rejected_one_changes_nothing(desk):
    desk.send(enrolment("2023-2024").xlsx())
    desk.send(enrolment("2024-2025", 20).xlsx())
    desk.land()
    assert len(desk.findings()) == 1
    desk.send(enrolment("2024-2025", 11).xlsx(), hours=1)
    desk.land()
    assert desk.findings() == []
    bad = enrolment("2024-2025", 30)
    bad.rows[0]["boarders"] = "若干"
    desk.send(bad.xlsx(), hours=2)
    desk.land()
    assert desk.findings() == []
    assert desk.query("SELECT max(students_total) FROM landing.enrolment") == [(120,)]


def test_nothing_new_is_screened_twice_and_a_renewed_screening_gives_the_same(desk):
    desk.send(enrolment("2023-2024").xlsx())
    desk.send(enrolment("2024-2025", 20).xlsx())
    assert desk.land().submissions_n == 2
    before = desk.findings()
    assert desk.land().submissions_n == 0
    assert desk.land(again=Scope(county_code="140902")).submissions_n == 2
    assert desk.findings() == before


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
        "pipelines.warehouse.update.evaluate_context", lambda *_: (_ for _ in ()).throw(RuntimeError("stop"))
    )
    with pytest.raises(RuntimeError, match="stop"):
        desk.land()
    assert desk.query("SELECT count(*) FROM landing.filing_version") == [(0,)]
    monkeypatch.undo()
    assert desk.land().submissions_n == 1
    with duckdb.connect(str(desk.home.build_database), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM landing.school").fetchall() == [(2,)]
