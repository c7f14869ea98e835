"""The sample's documented faults: each found at its exact cell, nobody else bothered, nothing rejected in a mart."""

import json
from collections import defaultdict
from pathlib import Path

import pytest

from pipelines.home import Home
from tests.homes import rows


@pytest.fixture
def home(faulty_home: Path) -> Home:
    return Home(faulty_home)


@pytest.fixture
def faults(faulty_home: Path) -> list[dict]:
    return json.loads((faulty_home / "faults.json").read_text())


def _findings(home: Home) -> dict[tuple[str, str], set[tuple[str, str, str]]]:
    found = defaultdict(set)
    for rule_id, outcome, file_name, cell, county in rows(
        home, "SELECT rule_id, outcome, file_name, cell, county_code FROM marts.mart_finding"
    ):
        found[(county, file_name)].add((rule_id, outcome, cell))
    return found


def test_at_least_25_different_faults_are_seeded(faults: list[dict]):
    assert len({fault["rule"] for fault in faults}) >= 25


def test_every_fault_is_found_at_its_exact_cell(home: Home, faults: list[dict]):
    found = _findings(home)
    missed = []
    for fault in faults:
        here = found[(fault["county_code"], fault["file_name"])]
        for cell in fault["cells"] or [None]:
            if not any(
                rule_id == fault["rule"] and outcome == fault["outcome"] and (cell is None or at == cell)
                for rule_id, outcome, at in here
            ):
                missed.append((fault["fault_id"], fault["rule"], fault["outcome"], cell, sorted(here)))
    assert missed == []


def test_nothing_is_found_that_was_not_seeded(home: Home, faults: list[dict]):
    seeded = {(fault["county_code"], fault["file_name"], fault["rule"]) for fault in faults}
    extra = [
        (county, file_name, rule_id, message)
        for county, file_name, rule_id, message in rows(
            home,
            "SELECT county_code, file_name, rule_id, message FROM marts.mart_finding WHERE county_code IS NOT NULL",
        )
        if (county, file_name, rule_id) not in seeded
    ]
    assert extra == []


def test_faultless_counties_are_not_bothered(home: Home, faults: list[dict]):
    faulty = {fault["county_code"] for fault in faults}
    assert len(faulty) <= 6
    bothered = {row[0] for row in rows(home, "SELECT DISTINCT county_code FROM marts.mart_finding") if row[0]}
    assert bothered <= faulty


def test_messages_name_value_place_and_remedy(home: Home):
    blank = rows(
        home,
        """SELECT rule_id, message, remedy FROM marts.mart_finding
           WHERE message = '' OR remedy = '' OR message LIKE '%{%' OR remedy LIKE '%{%'
              OR (level IN ('1a', '1c') AND (cell = '' OR form_label = ''))""",
    )
    assert blank == []


def test_a_rejected_version_reaches_no_mart_and_the_one_before_stays_in_force(home: Home):
    assert rows(
        home,
        """SELECT verdict, versions_n, in_force_version_n, in_force_file_name, newest_file_name
           FROM marts.mart_submission_status
           WHERE return_code = 'enrolment' AND county_code = '140902' AND period = '2024-2025'""",
    ) == [
        (
            "rejected",
            2,
            1,
            "忻府区_2024-2025学年_在校学生.xlsx",
            "忻府区_2024-2025学年_在校学生（第2次报送）.xlsx",
        )
    ]
    ((status, coverage_n, missing),) = rows(
        home,
        """SELECT status, coverage_n, missing_areas FROM marts.mart_gross_enrolment
           WHERE period = '2024-2025' AND area_code = '140900' AND stage = '小学' AND caliber_id = 'resident'""",
    )
    assert (status, coverage_n) == ("partial", 11)
    assert missing == "五台县、宁武县、原平市"


def test_personal_data_is_masked_in_findings_and_never_landed(home: Home):
    found = rows(
        home,
        """SELECT value, message FROM marts.mart_finding
           WHERE rule_id IN ('FILE-1a-identity-number', 'FILE-1a-phone-number')""",
    )
    assert len(found) == 2
    assert all("*" in value and value in message for value, message in found)
    assert rows(
        home,
        r"""SELECT count(*) FROM marts.mart_finding
            WHERE regexp_matches(concat_ws(' ', value, message, row_label, expected), '\d{17}[\dXx]|1[3-9]\d{9}')""",
    ) == [(0,)]
