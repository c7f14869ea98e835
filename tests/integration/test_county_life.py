"""A county that merges in the middle of a year: what it reported stays, what it can no longer report is refused, nobody is lost or
counted twice."""

import io
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from pipelines.home import Home
from pipelines.intake.raw_store import Arrival, RawStore
from pipelines.releases.publish import publish
from pipelines.warehouse.landing import build_marts, land_new
from tests.homes import marts_content, rows, small_home
from tests.integration.test_subsidy_and_successors import _filing
from tests.unit.builders import DINGXIANG, XINFU, Draft

CALENDAR = {
    "enrolment": ("2023-2024", "2024-2025", "start", 45),
    "population": ("2023", "2024", "end", 60),
    "rural_subsidy": ("2024Q1", "2024Q4", "end", 20),
}
QUARTERS = ("2024Q1", "2024Q2", "2024Q3", "2024Q4")
REFUSED = [
    ("enrolment", "2024-2025"),
    ("population", "2024"),
    ("rural_subsidy", "2024Q3"),
    ("rural_subsidy", "2024Q4"),
]


def _home(folder: Path) -> Home:
    """Both counties have sent everything, 定襄县 also what it can no longer send once it is known to have gone."""
    home = small_home(
        folder, [(county.code, county.name, name) for county, name in ((XINFU, "A"), (DINGXIANG, "B"))], CALENDAR
    )
    store = RawStore(home.raw)
    at = datetime(2025, 3, 1, tzinfo=UTC).isoformat()
    for county in (XINFU, DINGXIANG):
        drafts = [Draft("enrolment", county=county, period=period) for period in ("2023-2024", "2024-2025")]
        drafts += [Draft("population", county=county, period=period) for period in ("2023", "2024")]
        drafts += [_filing(county, period, 10, 8 if county is XINFU else 10) for period in QUARTERS]
        for draft in drafts:
            submission_id, size = store.keep(io.BytesIO(draft.csv()), max_bytes=10**8)
            name = f"{draft.return_code}-{draft.period}.csv"
            store.record(submission_id, size, Arrival(county.code, name, f"/{name}", at, at, at))
    return home


def _merge(home: Home, day: str = "2024-07-01") -> Home:
    """The configuration with 定襄县 gone into 忻府区."""
    text = home.configuration.read_text(encoding="utf-8")
    text = text.replace(f'source: "counties/{DINGXIANG.code}"', f'valid_to: {day}, source: "counties/{DINGXIANG.code}"')
    text += f'successors:\n  - {{county: "{DINGXIANG.code}", from: {day}, into: [{{code: "{XINFU.code}"}}]}}\n'
    home.configuration.write_text(text, encoding="utf-8")
    return Home(home.root)


def _update(home: Home) -> None:
    with home.writing():
        land_new(home)
        build_marts(home)
        publish(home)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = _merge(_home(tmp_path_factory.mktemp("merged")))
    _update(home)
    return home


def test_the_school_year_that_a_merged_county_reported_keeps_its_pupils_and_their_population(home: Home) -> None:
    assert rows(
        home,
        """SELECT period, area_code, enrolled_n, official_age_population_n, coverage_n, expected_n, status
           FROM marts.mart_gross_enrolment WHERE stage = '小学' AND caliber_id LIKE '%resident%' ORDER BY ALL""",
    ) == [
        ("2023-2024", "140900", 120, 7302, 2, 2, "complete"),
        ("2023-2024", "140902", 60, 3651, 1, 1, "complete"),
        ("2023-2024", "140921", 60, 3651, 1, 1, "complete"),
        ("2024-2025", "140900", 60, 3651, 1, 1, "complete"),
        ("2024-2025", "140902", 60, 3651, 1, 1, "complete"),
    ]
    assert rows(
        home,
        """SELECT period, made_of, comparability, numerator_sum, denominator_sum, status FROM marts.mart_recast_indicator
           WHERE indicator_code = 'gross_enrolment_primary' AND caliber_id LIKE '%resident%' AND area_code = '140902' ORDER BY 1""",
    ) == [
        ("2023-2024", "忻府区、定襄县", "recast", 120, 7302, "complete"),
        ("2024-2025", "忻府区", "as_reported", 60, 3651, "complete"),
    ]


def test_half_a_year_says_so_and_the_citys_year_is_whole(home: Home) -> None:
    share = "indicator_code = 'living_allowance_paid_share' AND caliber_id = 'rural_village' AND period = '2024'"
    assert rows(
        home, f"SELECT area_code, numerator_sum, denominator_sum, coverage_n, expected_n, status, formula "
              f"FROM marts.fct_indicator WHERE {share} ORDER BY 1"
    ) == [
        ("140900", 46800, 54000, 2, 2, "complete", "46800 ÷ 54000 × 100 = 86.6667 %"),
        ("140902", 28800, 36000, 1, 1, "complete", "28800 ÷ 36000 × 100 = 80.0000 %"),
        ("140921", 18000, 18000, 1, 1, "partial", "18000 ÷ 18000 × 100 = 100.0000 %；只含 2024Q1、2024Q2，不是全年"),
    ]  # fmt: skip
    assert rows(
        home, f"SELECT area_code, made_of, value, status FROM marts.mart_recast_indicator WHERE {share} ORDER BY 1"
    ) == [("140900", "", Decimal("86.6667"), "complete"), ("140902", "忻府区、定襄县", Decimal("86.6667"), "complete")]
    assert rows(
        home,
        """SELECT area_code, paid_yuan, status FROM marts.mart_rural_subsidies
           WHERE programme = '乡村教师生活补助' AND is_total AND period = '2024' ORDER BY 1""",
    ) == [("140900", 46800, "complete"), ("140902", 28800, "complete"), ("140921", 18000, "partial")]


def test_what_a_merged_county_sends_for_a_later_day_is_refused_in_words_and_never_in_force(home: Home) -> None:
    refused = rows(
        home,
        """SELECT return_code, period, cell, message FROM marts.mart_finding WHERE rule_id = 'FILE-0-county-ended'
           ORDER BY return_code, period""",
    )
    assert [(return_code, period) for return_code, period, *_ in refused] == REFUSED
    assert refused[-1][2:] == (
        "H2",
        "定襄县自 2024-07-01 起撤销，2024年第4季度的本表以 2024-12-31 的县区为准，应由忻府区报送。",
    )
    assert rows(
        home,
        """SELECT return_code, period, is_expected, state FROM marts.mart_submission_status
           WHERE county_code = '140921' ORDER BY 1, 2""",
    ) == [
        ("enrolment", "2023-2024", True, "in_force"),
        ("enrolment", "2024-2025", False, "rejected"),
        ("population", "2023", True, "in_force"),
        ("population", "2024", False, "rejected"),
        ("rural_subsidy", "2024Q1", True, "in_force"),
        ("rural_subsidy", "2024Q2", True, "in_force"),
        ("rural_subsidy", "2024Q3", False, "rejected"),
        ("rural_subsidy", "2024Q4", False, "rejected"),
    ]


def test_a_merger_that_is_written_down_later_gives_the_same_as_one_known_from_the_beginning(
    home: Home, tmp_path: Path
) -> None:
    late = _home(tmp_path)
    _update(late)
    assert rows(late, "SELECT count(*) FROM marts.mart_submission_status WHERE state = 'in_force' AND is_expected") == [
        (16,)
    ]
    late = _merge(late)
    _update(late)
    known, told = marts_content(home), marts_content(late)
    assert {table for table in known if known[table] != told[table]} <= {"release", "release_input"}
    with late.writing():
        assert land_new(late).submissions_n == 0  # and it comes to an end


def test_a_merger_on_the_first_day_of_a_school_year_leaves_both_terms_to_the_same_county(tmp_path: Path) -> None:
    home = _merge(_home(tmp_path), "2024-09-01")
    _update(home)
    assert rows(
        home,
        """SELECT return_code, period FROM marts.mart_submission_status
           WHERE county_code = '140921' AND is_expected AND state = 'in_force' ORDER BY 1, 2""",
    ) == [
        ("enrolment", "2023-2024"),
        ("population", "2023"),
        ("rural_subsidy", "2024Q1"),
        ("rural_subsidy", "2024Q2"),
    ]
