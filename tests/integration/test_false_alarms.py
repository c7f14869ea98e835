"""The faultless sample bothers nobody: no errors, and hardly a question a county and period, with every rule asked."""

from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from pipelines.cli.main import app
from pipelines.home import Home
from pipelines.returns import current_definitions
from pipelines.screening.rules import suite
from tests.homes import CENSUS, rows

QUERIES_PER_COUNTY_AND_PERIOD = 1


@pytest.fixture
def home(published_home: Path) -> Home:
    return Home(published_home)


def test_the_faultless_sample_has_no_errors(home: Home):
    assert (
        rows(home, "SELECT county_code, period, rule_id, message FROM marts.mart_finding WHERE outcome = 'error'") == []
    )


def test_no_county_is_asked_more_than_once_a_period(home: Home):
    asked = rows(
        home,
        """SELECT county_code, period, list(rule_id) FROM marts.mart_finding WHERE outcome = 'query'
           GROUP BY county_code, period HAVING count(*) > ?""",
        QUERIES_PER_COUNTY_AND_PERIOD,
    )
    assert asked == []


def test_the_quiet_is_not_for_want_of_asking(home: Home):
    """Every rule against other filings was judged in every county for which its terms are there."""
    with duckdb.connect(str(home.build_database), read_only=True) as connection:
        judged = dict(
            connection.execute(
                """SELECT rule_id, count(DISTINCT county_code) FROM landing.context_rule_result
                   WHERE checked_n > 0 GROUP BY rule_id"""
            ).fetchall()
        )
    declared = {rule.rule_id for code in current_definitions() for rule in suite(code).rules.values() if rule.is_across}
    if not CENSUS.exists():
        declared -= {"XB03-5-census-2020"}
    # The category's allowance is paid in the eleven counties that have one.
    assert {rule: judged.get(rule, 0) for rule in declared} == {
        rule: 11 if rule == "XB06-5-hardship-category" else 14 for rule in declared
    }


def test_one_command_prints_the_count(home: Home):
    printed = CliRunner().invoke(app, ["--home", str(home.root), "--lang", "en", "findings", "--summary"])
    assert printed.exit_code == 0, printed.output
    assert "378 filings: 0 errors, 0 queries, 0 infos; at most 0 queries a county and period." in printed.output
