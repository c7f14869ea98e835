"""The whole main job on the faultless sample: county workbooks in, published file out."""

from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from pipelines.home import Home
from pipelines.releases.publish import STORAGE_VERSION
from pipelines.returns import current_definitions, reference_on
from tests.homes import marts_content, rows, run_in_own_instance

PROMISED = [
    "dim_area",
    "dim_caliber",
    "dim_indicator",
    "dim_period",
    "dim_school",
    "fct_indicator",
    "mart_finding",
    "mart_filing_version",
    "mart_decision",
    "mart_gross_enrolment",
    "mart_rural_subsidies",
    "mart_submission_status",
    "mart_teacher_pay_parity",
    "release",
]


@pytest.fixture
def home(published_home: Path) -> Home:
    return Home(published_home)


@pytest.mark.parametrize(
    ("indicator", "published"),
    [
        ("gross_enrolment_preschool", "96.7"),
        ("net_enrolment_compulsory", "99.9"),
        ("gross_enrolment_senior", "96.3"),
    ],
)
def test_municipal_figures_of_2024_reconcile_with_the_published_ones(home: Home, indicator: str, published: str):
    found = rows(
        home,
        """SELECT round(value, 1), status, coverage_n, expected_n FROM marts.fct_indicator
           WHERE indicator_code = ? AND caliber_id = 'resident' AND period = '2024-2025' AND area_code = '140900'""",
        indicator,
    )
    assert found == [(Decimal(published), "complete", 14, 14)]


def test_the_city_is_the_sum_of_its_counties_and_never_a_mean_of_rates(home: Home):
    differing = rows(
        home,
        """SELECT city.period, city.stage, city.enrolled_n, sum(county.enrolled_n)
           FROM marts.mart_gross_enrolment AS city
           JOIN marts.mart_gross_enrolment AS county USING (period, stage, caliber_id)
           WHERE city.area_code = '140900' AND county.area_code <> '140900'
           GROUP BY city.period, city.stage, city.caliber_id, city.enrolled_n, city.official_age_population_n
           HAVING city.enrolled_n <> sum(county.enrolled_n)
               OR city.official_age_population_n <> sum(county.official_age_population_n)""",
    )
    assert differing == []
    assert rows(home, "SELECT count(DISTINCT area_code) FROM marts.mart_gross_enrolment") == [(15,)]


def test_a_faultless_municipality_gets_no_finding(home: Home):
    found = rows(home, "SELECT rule_id, message FROM marts.mart_finding WHERE return_code <> 'census_2020'")
    assert found == []
    assert rows(home, "SELECT DISTINCT verdict FROM marts.mart_submission_status") == [("accepted",)]


def test_every_expected_filing_is_on_the_board_and_in_force(home: Home):
    expected = len(home.municipality.expected_filings(reference_on))
    assert rows(
        home,
        """SELECT count(*), count(in_force_submission_id), count(DISTINCT (return_code, county_code, period))
           FROM marts.mart_submission_status WHERE is_expected""",
    ) == [(expected, expected, expected)]


def test_late_filings_are_counted_in_days(home: Home):
    late = rows(home, "SELECT DISTINCT county_name, days_late FROM marts.mart_submission_status WHERE days_late > 0")
    assert {name for name, _ in late} == {"宁武县", "保德县"}
    assert all(0 < days < 10 for _, days in late)


def test_a_failing_county_stands_beside_a_passing_average(home: Home):
    assert rows(
        home,
        """SELECT is_average_compliant, is_compliant, counties_compliant_n, counties_judged_n, failing_areas
           FROM marts.mart_teacher_pay_parity
           WHERE period = '2022' AND area_code = '140900'
             AND caliber_id = (SELECT caliber_id FROM marts.dim_caliber WHERE caliber_kind = 'pay' AND is_default)""",
    ) == [(True, False, 12, 14, "静乐县、偏关县")]


def test_the_published_file_is_fit_for_any_client(home: Home):
    with duckdb.connect(str(home.published), read_only=True) as connection:
        tables = [row[0] for row in connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'marts'"
        ).fetchall()]  # fmt: skip
        assert set(PROMISED) <= set(tables)
        tags = connection.execute("SELECT tags FROM duckdb_databases() WHERE database_name = 'xianbao'").fetchall()
        assert STORAGE_VERSION in str(tags)
        uncommented = connection.execute(
            "SELECT table_name, column_name FROM duckdb_columns() WHERE schema_name = 'marts' AND comment IS NULL"
        ).fetchall()
        assert uncommented == []
        floats = connection.execute(
            """SELECT table_name, column_name FROM duckdb_columns()
               WHERE schema_name = 'marts' AND data_type IN ('DOUBLE', 'FLOAT')"""
        ).fetchall()
        assert floats == []
        assert connection.execute("SELECT count(*) FROM duckdb_indexes()").fetchall() == [(0,)]
        schemas = connection.execute("SELECT DISTINCT schema_name FROM duckdb_views() WHERE NOT internal").fetchall()
        assert schemas == [("指标",)]
    assert not home.published.with_name("xianbao.duckdb.wal").exists()
    assert home.published.stat().st_mode & 0o222 == 0


def test_the_release_names_what_it_was_built_from(home: Home):
    ((release_id, submissions_n, built_from),) = rows(
        home, "SELECT release_id, submissions_n, built_from FROM marts.release"
    )
    assert len(release_id) == 16 and len(built_from) == 64
    assert rows(home, "SELECT count(DISTINCT submission_id) FROM marts.release_input") == [(submissions_n,)]


def test_a_second_run_with_nothing_new_does_nothing_and_says_so(home: Home):
    before = home.published.stat()
    ran = run_in_own_instance(home)
    assert (ran.failure, ran.collected_n, ran.screened_n, ran.nodes_n, ran.is_changed) == (None, 0, 0, 0, False)
    after = home.published.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_every_submission_has_its_receipt(home: Home):
    stored = list((home.raw / "submissions").glob("??/*.json"))
    for suffix in ("json", "html"):
        receipts = list(home.outbox.rglob(f"*_回执.{suffix}"))
        assert len(receipts) == len(stored) > 0


def test_zero_and_missing_stay_apart_from_intake_to_mart(home: Home):
    with duckdb.connect(str(home.build_database), read_only=True) as connection:
        codes = connection.execute(
            """SELECT DISTINCT json_extract_string(missing_codes, '$.subsidy_tier'), subsidy_tier FROM landing.school
               WHERE school_type = '幼儿园'"""
        ).fetchall()
        assert codes == [("not_applicable", None)]
        zeros = connection.execute("SELECT count(*) FROM landing.enrolment WHERE repeaters = 0").fetchall()
        assert zeros[0][0] > 0


def test_census_is_a_reference_whose_stray_code_is_a_finding_and_not_a_guess(home: Home, census_workbook: Path):
    found = rows(
        home,
        """SELECT rule_id, outcome, value, cell FROM marts.mart_finding WHERE return_code = 'census_2020' ORDER BY 1""",
    )
    assert found == [
        ("CENSUS-5-code-unmatched", "query", "170971", "A340"),
        ("CENSUS-5-total-open", "info", "2689668", "E326"),
    ]
    with duckdb.connect(str(home.build_database), read_only=True) as connection:
        assert connection.execute("SELECT count(DISTINCT area_code) FROM landing.census_2020").fetchall() == [(14,)]


def test_all_returns_are_in_the_release(home: Home):
    assert len(marts_content(home)) >= len(PROMISED)
    assert set(current_definitions()) == {row[0] for row in rows(home, "SELECT return_code FROM marts.release_input")}
