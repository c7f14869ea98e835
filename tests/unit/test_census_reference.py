"""The census as an external reference: by code alone, nothing guessed, every rule broken by a file of its own."""

from pathlib import Path
from typing import Any

import pytest
from builders import COUNTIES, RECEIVED_AT, SHARED_DATA, XINFU, CountyName, submission, xlsx

from pipelines.screening.reference import ReferenceScreening, screen_census
from pipelines.screening.rules import reference_rules
from pipelines.screening.screen import Receipt, Submission
from pipelines.screening.worker import ReadLimits

CITY = CountyName("140900", "忻州市")
BANDS = ("0岁", "1到4岁", "5到9岁", "10到14岁", "15到19岁")
HEADER = ["区划代码", "省", "市", "区县", "人口数_合计", *(f"{sex}_{band}" for band in BANDS for sex in ("男", "女"))]
Grid = list[list[Any]]


def census() -> Grid:
    """Three counties and their city; its total is theirs."""
    areas = [(county.code, county.name, 1000) for county in COUNTIES]
    rows = [[float(code), "山西省", "忻州市", name, total, *range(10, 20)] for code, name, total in areas]
    return [HEADER, [140900.0, "山西省", "忻州市", "合计", 3000, *range(10, 20)], *rows]


def changed(row: int, label: str, value: Any) -> Grid:
    grid = census()
    grid[row] = list(grid[row])
    grid[row][HEADER.index(label)] = value
    return grid


def without(label: str) -> Grid:
    place = HEADER.index(label)
    return [[value for index, value in enumerate(row) if index != place] for row in census()]


def screened(folder: Path, content: bytes) -> ReferenceScreening:
    one = submission(folder, "census.xlsx", content, "census_2020")
    return screen_census(one, city=CITY, counties=COUNTIES, limits=ReadLimits())


def seen(screening: ReferenceScreening) -> list[tuple[str, str]]:
    return [(finding.rule_id, finding.cell) for finding in screening.findings]


def book(grid: Grid) -> bytes:
    return xlsx(others={"普查": grid})


#: rule → (bytes, every finding the file leads to, verdict)
BAD: dict[str, tuple[bytes, list[tuple[str, str]], str]] = {
    "CENSUS-0-unreadable": (b"PK\x03\x04 cut", [("CENSUS-0-unreadable", "")], "rejected"),
    "CENSUS-0-missing-column": (book(without("女_5到9岁")), [("CENSUS-0-missing-column", "A1")], "rejected"),
    "CENSUS-1a-number": (book(changed(2, "男_0岁", "NA")), [("CENSUS-1a-number", "F3")], "rejected"),
    "CENSUS-5-county-missing": (
        book([row for row in changed(1, "人口数_合计", 2000) if row[0] != 140921.0]),
        [("CENSUS-5-county-missing", "")],
        "accepted_with_queries",
    ),
    "CENSUS-5-code-unmatched": (
        book([*census(), [170971.0, "山西省", "忻州市", "忻州经济开发区", 0, *range(10, 20)]]),
        [("CENSUS-5-code-unmatched", "A6")],
        "accepted_with_queries",
    ),
    "CENSUS-5-name-conflict": (
        book(changed(3, "区县", "定襄市")), [("CENSUS-5-name-conflict", "D4")], "accepted_with_queries"
    ),
    "CENSUS-5-total-open": (book(changed(1, "人口数_合计", 3007)), [("CENSUS-5-total-open", "E2")], "accepted"),
}  # fmt: skip


def test_every_census_rule_has_a_bad_file():
    assert set(BAD) == set(reference_rules())


@pytest.mark.parametrize("rule", BAD)
def test_a_bad_census_leads_to_its_findings_at_their_cells(tmp_path, rule):
    content, expected, verdict = BAD[rule]
    screening = screened(tmp_path, content)
    assert rule in {found for found, _ in expected}
    assert seen(screening) == expected
    assert screening.filing.verdict == verdict
    assert bool(screening.rows) == (verdict != "rejected")
    for finding in screening.findings:
        assert "“”" not in finding.message and "{" not in finding.message and "（）" not in finding.message


def test_a_faultless_census_gives_each_county_its_age_bands(tmp_path):
    screening = screened(tmp_path, book(census()))
    assert screening.findings == [] and screening.filing.verdict == "accepted"
    assert len(screening.rows) == 5 * len(COUNTIES) == screening.filing.rows_n
    xinfu = [row for row in screening.rows if row.area_code == XINFU.code]
    assert [(row.age_from, row.age_to, row.male, row.female) for row in xinfu] == [
        (0, 0, 10, 11), (1, 4, 12, 13), (5, 9, 14, 15), (10, 14, 16, 17), (15, 19, 18, 19)
    ]  # fmt: skip
    assert {row.source_row for row in xinfu} == {3}
    assert screening.filing.received_at == RECEIVED_AT


def test_a_workbook_of_something_else_is_refused(tmp_path):
    screening = screened(tmp_path, xlsx(others={"表": [["装备名称", "数量"], ["显微镜", 3]]}))
    assert seen(screening) == [("CENSUS-0-unreadable", "")]
    assert "区划代码" in screening.findings[0].message


CENSUS_FILE = SHARED_DATA / "census" / "census_county_2020_v1.xlsx"


@pytest.mark.skipif(not CENSUS_FILE.exists(), reason="the published census workbook is not beside the project")
def test_the_published_census_gives_its_counties_and_asks_about_the_misprinted_code():
    one = Submission("f" * 64, CENSUS_FILE, CENSUS_FILE.name, (Receipt("census_2020", CENSUS_FILE.name, RECEIVED_AT),))
    screening = screen_census(one, city=CITY, counties=COUNTIES, limits=ReadLimits())
    assert screening.filing.verdict == "accepted_with_queries"
    assert {row.area_code for row in screening.rows} == {county.code for county in COUNTIES}
    assert "170971" in {finding.value for finding in screening.findings if finding.rule_id == "CENSUS-5-code-unmatched"}
