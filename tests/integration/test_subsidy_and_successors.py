"""Subsidies reconciled, and figures recast to today's counties, out of files that counties sent."""

import io
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from pipelines.home import Home
from pipelines.intake.raw_store import Arrival, RawStore
from pipelines.municipality import CountyName
from pipelines.releases.publish import publish
from pipelines.warehouse.landing import build_marts, land_new
from tests.homes import rows, small_home
from tests.unit.builders import DINGXIANG, XINFU, YUANPING, Draft

YUANPING_DISTRICT = CountyName("140982", "原平区")
CALENDAR = {"rural_subsidy": ("2024Q3", "2024Q4", "end", 20)}


def _filing(county: CountyName, period: str, entitled: int, paid: int) -> Draft:
    """The living allowance of one school: 300 yuan a month, three months."""
    draft = Draft("rural_subsidy", county=county, period=period)
    draft.rows = [
        draft.rows[0]
        | {
            "programme": "乡村教师生活补助",
            "tier": "一档",
            "teachers_entitled": entitled,
            "teachers_paid": paid,
            "standard_yuan_per_month": 300,
            "months": 3,
            "due_yuan": entitled * 900,
            "paid_yuan": paid * 900,
            "arrears_yuan": (entitled - paid) * 900,
        }
    ]
    return draft


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """定襄县 went into 忻府区 and 原平市 became 原平区, both on 1 October 2024."""
    folder: Path = tmp_path_factory.mktemp("successors")
    counties = [(XINFU, "Xinfu"), (DINGXIANG, "Dingxiang"), (YUANPING, "Yuanping"), (YUANPING_DISTRICT, "Yuanping D")]
    small_home(folder, [(county.code, county.name, name) for county, name in counties], CALENDAR)
    configuration = folder / "municipality.yaml"
    text = configuration.read_text(encoding="utf-8")
    for code in (DINGXIANG.code, YUANPING.code):
        text = text.replace(f'source: "counties/{code}"', f'valid_to: 2024-10-01, source: "counties/{code}"')
    text = text.replace("name_en: Yuanping D, valid_from: 1983-01-01", "name_en: Yuanping D, valid_from: 2024-10-01")
    text += "successors:\n" + "".join(
        f'  - {{county: "{old.code}", from: 2024-10-01, into: [{{code: "{new.code}"}}]}}\n'
        for old, new in ((DINGXIANG, XINFU), (YUANPING, YUANPING_DISTRICT))
    )
    configuration.write_text(text, encoding="utf-8")
    home = Home(folder)
    store = RawStore(home.raw)
    at = datetime(2025, 3, 1, tzinfo=UTC).isoformat()
    for draft in (
        _filing(XINFU, "2024Q3", 10, 8), _filing(DINGXIANG, "2024Q3", 10, 10), _filing(YUANPING, "2024Q3", 20, 19),
        _filing(XINFU, "2024Q4", 20, 20), _filing(YUANPING_DISTRICT, "2024Q4", 20, 20),
    ):  # fmt: skip
        submission_id, size = store.keep(io.BytesIO(draft.csv()), max_bytes=10**8)
        name = f"{draft.county.code}-{draft.period}.csv"
        store.record(submission_id, size, Arrival(draft.county.code, name, f"/{name}", at, at, at))
    with home.writing():
        landed = land_new(home)
        assert [filing.verdict for filing in landed.filings if filing.verdict == "rejected"] == []
        build_marts(home)
        publish(home)
    return home


def test_figures_of_former_counties_are_there_as_reported_and_by_todays_counties(home: Home) -> None:
    share = "indicator_code = 'living_allowance_paid_share' AND caliber_id = 'rural_village'"
    assert rows(
        home,
        f"SELECT period, area_code, value FROM marts.fct_indicator WHERE {share} AND period != '2024' ORDER BY ALL",
    ) == [
        ("2024Q3", "140900", Decimal("92.5")),
        ("2024Q3", "140902", Decimal(80)),
        ("2024Q3", "140921", Decimal(100)),
        ("2024Q3", "140981", Decimal(95)),
        ("2024Q4", "140900", Decimal(100)),
        ("2024Q4", "140902", Decimal(100)),
        ("2024Q4", "140982", Decimal(100)),
    ]
    assert rows(
        home,
        f"""SELECT period, area_code, comparability, made_of, value, reported_value, numerator_sum, denominator_sum, status
            FROM marts.mart_recast_indicator WHERE {share} AND area_code != '140900' ORDER BY ALL""",
    ) == [
        # The year: two quarters of 忻府区 and one of 定襄县; the calendar's quarters are no whole year.
        ("2024", "140902", "recast", "忻府区、定襄县", Decimal(95), Decimal("93.3333"), 34200, 36000, "partial"),
        ("2024", "140982", "recast", "原平市、原平区", Decimal("97.5"), Decimal(100), 35100, 36000, "partial"),
        ("2024Q3", "140902", "recast", "忻府区、定襄县", Decimal(90), Decimal(80), 16200, 18000, "complete"),
        ("2024Q3", "140982", "recast", "原平市", Decimal(95), None, 17100, 18000, "complete"),
        ("2024Q4", "140902", "as_reported", "忻府区", Decimal(100), Decimal(100), 18000, 18000, "complete"),
        ("2024Q4", "140982", "as_reported", "原平区", Decimal(100), Decimal(100), 18000, 18000, "complete"),
    ]
    (differing,) = rows(
        home,
        """SELECT count(*) FILTER (WHERE recast.value IS DISTINCT FROM fact.value), count(*)
           FROM marts.mart_recast_indicator AS recast JOIN marts.fct_indicator AS fact
               USING (indicator_code, caliber_id, period, area_code) WHERE area_code = '140900'""",
    )
    assert differing[0] == 0
    assert differing[1] > 0


def test_subsidies_are_reconciled_from_the_document_to_the_payment(home: Home) -> None:
    reconciled = rows(
        home,
        """SELECT area_code, entitled_yuan, due_yuan, paid_yuan, unpaid_teachers_yuan, arrears_recomputed_yuan,
                  arrears_unexplained_yuan, reconciliation_wording
           FROM marts.mart_subsidy_reconciliation
           WHERE programme = '乡村教师生活补助' AND is_total AND period = '2024Q3' ORDER BY 1""",
    )
    unknown = "累计数不全（本年以前各月不在报送日历；以前年度不在报送日历）"
    assert reconciled == [
        ("140900", 36000, 36000, 33300, 2700, 2700, 0,
         f"应发 3.60 万元，实发 3.33 万元，本期欠发 2700 元；{unknown}"),
        ("140902", 9000, 9000, 7200, 1800, 1800, 0, f"应发 9000 元，实发 7200 元，本期欠发 1800 元；{unknown}"),
        ("140921", 9000, 9000, 9000, 0, 0, 0, f"应发 9000 元，实发 9000 元，本期无欠发；{unknown}"),
        ("140981", 18000, 18000, 17100, 900, 900, 0, f"应发 1.80 万元，实发 1.71 万元，本期欠发 900 元；{unknown}"),
    ]  # fmt: skip
