"""What the terminal says of codes of the published file, and of periods without a figure."""

from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from pipelines.cli.boards import _COLOURS, worded
from pipelines.cli.main import app
from pipelines.cli.terminal import speak
from pipelines.home import Home
from pipelines.releases.labels import labels

RESIDENT, POLICE = "resident", "public_security"
#: period, caliber, status
FIGURES = (
    ("2022-2023", RESIDENT, "complete"),
    ("2023-2024", RESIDENT, "error"),
    ("2024-2025", RESIDENT, "withheld"),
    ("2023-2024", POLICE, "withheld"),
    ("2024-2025", POLICE, "withheld"),
)


@pytest.mark.parametrize("column", sorted(_COLOURS))
def test_a_code_is_worded_as_in_the_published_file_and_every_one_has_a_colour(column: str):
    speak("zh")  # another test may have asked for English
    words = labels().values[column]
    assert {code: worded(column, code) for code in _COLOURS[column]} == {code: words[code] for code in _COLOURS[column]}
    # Records are hidden in exports for others only; the terminal reads the whole file.
    assert set(words) - set(_COLOURS[column]) <= {"suppressed"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose published file has one indicator of one county."""
    target = Home(tmp_path).published
    target.parent.mkdir(parents=True)
    with duckdb.connect(str(target)) as connection:
        connection.execute(
            """CREATE SCHEMA marts;
               CREATE TABLE marts.release AS SELECT 'r' AS release_id;
               CREATE TABLE marts.dim_indicator AS SELECT 'i' AS indicator_code, '高中毛入学率' AS indicator_name,
                   'Rate' AS indicator_name_en, '在校生' AS numerator_wording, '人口' AS denominator_wording, 100 AS factor, 'ratio' AS shape, 1 AS sort_order;
               CREATE TABLE marts.dim_area AS SELECT * FROM (VALUES
                   ('140902', '忻州县', 'Xinzhou', 'county', '140900', DATE '1950-01-01', 1),
                   ('140902', '忻府区', 'Xinfu', 'county', '140900', DATE '2000-01-01', 1))
                   AS a (area_code, area_name, area_name_en, area_level, parent_area_code, valid_from, sort_order);
               CREATE TABLE marts.dim_caliber AS SELECT * FROM (VALUES ('resident', '常住人口口径', true), ('public_security', '公安人口口径', false))
                   AS c (caliber_id, caliber_name, is_default);
               CREATE TABLE marts.dim_period AS SELECT * FROM (VALUES ('2022-2023', '2022-2023学年', DATE '2022-09-01', DATE '2023-08-31'),
                   ('2023-2024', '2023-2024学年', DATE '2023-09-01', DATE '2024-08-31'),
                   ('2024-2025', '2024-2025学年', DATE '2024-09-01', DATE '2025-08-31')) AS p (period, period_label, period_start, period_end);
               CREATE TABLE marts.mart_filing_version (submission_id VARCHAR, return_code VARCHAR, county_code VARCHAR, period VARCHAR,
                   version_n INTEGER, file_name VARCHAR, is_in_force BOOLEAN);
               CREATE TABLE marts.fct_indicator (indicator_code VARCHAR, area_code VARCHAR, period VARCHAR, caliber_id VARCHAR, status VARCHAR,
                   value DECIMAL(38, 4), formula VARCHAR, missing_areas VARCHAR, implausible_areas VARCHAR, coverage_n INTEGER,
                   expected_n INTEGER, open_queries_n INTEGER, numerator_sum DECIMAL(38, 2), numerator_base_sum DECIMAL(38, 2),
                   denominator_sum DECIMAL(38, 2), denominator_base_sum DECIMAL(38, 2));"""
        )
        for period, caliber, status in FIGURES:
            formula = {"withheld": "不予公布：计入 0/1", "error": "5 ÷ 0 × 100：分母为 0，不能计算"}.get(status, "算式")
            missing = {"withheld": "忻府区（缺报）", "error": "忻府区（分母为 0）"}.get(status, "")
            connection.execute(
                "INSERT INTO marts.fct_indicator VALUES ('i', '140902', $1, $2, $3, null, $4, $5, '', 0, 1, 0, null, null, null, null)",
                [period, caliber, status, formula, missing],
            )
    return tmp_path


def said(home: Path, *words: str) -> str:
    result = CliRunner().invoke(app, ["--home", str(home), "trace", "i", "--area", "忻府区", *words])
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def test_without_a_period_a_withheld_newer_one_is_told_and_one_without_a_quotient_is_shown(home: Path):
    shown = said(home)
    assert "2024-2025学年没有数（不予公布：计入 0/1，缺 忻府区（缺报）），以下是2023-2024学年的数。" in shown
    assert "5 ÷ 0 × 100：分母为 0，不能计算" in shown and "2022-2023" not in shown


def test_where_every_period_is_withheld_the_newest_is_shown_with_the_reason(home: Path):
    shown = said(home, "--caliber", POLICE)
    assert "2024-2025学年 · 公安人口口径" in shown and "不予公布：计入 0/1" in shown and "2023-2024" not in shown


def test_with_a_period_nothing_else_is_told(home: Path):
    shown = said(home, "--period", "2022-2023")
    assert "没有数" not in shown and "2022-2023学年" in shown
