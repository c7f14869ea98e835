"""The census as an external reference: by code alone, nothing guessed, every rule broken by a file of its own."""

from pathlib import Path
from typing import Any

import pytest
from builders import COUNTIES, RECEIVED_AT, SHARED_DATA, XINFU, CountyName, submission, xlsx

from pipelines.intake.submission import Receipt, Submission
from pipelines.screening.reference import ReferenceScreening, screen_census
from pipelines.screening.rules import reference_rules
from pipelines.workbooks.bounded import ReadLimits
from pipelines.workbooks.workbook import cell_address

CITY = CountyName("140900", "忻州市")
BANDS = ("0岁", "1到4岁", "5到9岁", "10到14岁", "15到19岁", "20岁以上")
SEXES = ("男", "女")
HEADER = [
    "区划代码", "省", "市", "区县", "人口数_合计", "人口数_男", "人口数_女", "性别比（女=100）",
    *(f"{sex}_{band}" for band in BANDS for sex in SEXES), "人口比重_0-14岁",
]  # fmt: skip
COUNTRY = 1_409_778_724
Grid = list[list[Any]]


def area(code: int, city: str, name: str, *people: int) -> list[Any]:
    """A row whose sums hold: people by band, males first."""
    male, female = sum(people[0::2]), sum(people[1::2])
    share, ratio = round(100 * sum(people[:8]) / (male + female), 2), round(100 * male / female, 2)
    return [float(code), "山西省", city, name, male + female, male, female, ratio, *people, share]


def census(country: int | None = COUNTRY) -> Grid:
    """Three counties and their city, which is theirs; the country above, and a county of another city below."""
    counties = [
        area(int(county.code), "忻州市", county.name, *range(10 + i, 20 + i), 400, 415)
        for i, county in enumerate(COUNTIES)
    ]
    city = area(140900, "忻州市", "忻州市", *(sum(row[8 + i] for row in counties) for i in range(12)))
    whole = [["NA", "全国", "全国", "全国", country, *["NA"] * 16]] if country else []
    return [HEADER, *whole, city, *counties, area(141002, "临汾市", "尧都区", *range(12, 22), 300, 301)]


#: Rows of the grid.
CITY_ROW, XINFU_ROW, DINGXIANG_ROW = 2, 3, 4


def changed(row: int, label: str, value: Any) -> Grid:
    grid = census()
    grid[row] = list(grid[row])
    grid[row][HEADER.index(label)] = value
    return grid


def cell(row: int, label: str) -> str:
    return cell_address(row, HEADER.index(label))


def without(label: str) -> Grid:
    place = HEADER.index(label)
    return [[value for index, value in enumerate(row) if index != place] for row in census()]


def swapped(row: int, one: str, other: str) -> Grid:
    grid = changed(row, one, census()[row][HEADER.index(other)])
    grid[row][HEADER.index(other)] = census()[row][HEADER.index(one)]
    return grid


def screened(folder: Path, content: bytes, name: str = "census.xlsx") -> ReferenceScreening:
    one = submission(folder, name, content, "census_2020")
    return screen_census(one, city=CITY, counties=COUNTIES, limits=ReadLimits())


def seen(screening: ReferenceScreening) -> list[tuple[str, str]]:
    return [(finding.rule_id, finding.cell) for finding in screening.findings]


def book(grid: Grid, sheet: str = "普查") -> bytes:
    return xlsx(others={sheet: grid})


def without_county() -> Grid:
    """As if 定襄县 were a unit of its own since: the city closes without it."""
    grid = [row for row in census() if row[0] != 140921.0]
    grid[CITY_ROW] = area(140900, "忻州市", "忻州市", *(grid[3][8 + i] + grid[4][8 + i] for i in range(12)))
    return grid


def with_unit(code: int) -> Grid:
    """With a unit that is no county of the list, and without which the city does not close."""
    grid = [*census(), area(code, "忻州市", "五台山风景名胜区", *range(1, 13))]
    grid[CITY_ROW] = area(140900, "忻州市", "忻州市", *(census()[CITY_ROW][8 + i] + grid[-1][8 + i] for i in range(12)))
    return grid


#: rule → (bytes, every finding the file leads to, verdict)
BAD: dict[str, tuple[bytes, list[tuple[str, str]], str]] = {
    "CENSUS-0-unreadable": (b"PK\x03\x04 cut", [("CENSUS-0-unreadable", "")], "rejected"),
    "CENSUS-0-other-census": (book(census(1_332_810_869)), [("CENSUS-0-other-census", "A1")], "rejected"),
    "CENSUS-0-several-tables": (
        xlsx(others={"七普": census(), "七普（2）": census()}),
        [("CENSUS-0-several-tables", "")],
        "rejected",
    ),
    "CENSUS-0-missing-column": (book(without("女_5到9岁")), [("CENSUS-0-missing-column", "A1")], "rejected"),
    "CENSUS-0-column-repeated": (
        book([[*row, row[HEADER.index("男_0岁")]] for row in census()]),
        [("CENSUS-0-column-repeated", cell(0, "人口比重_0-14岁").replace("U", "V"))],
        "rejected",
    ),
    "CENSUS-1a-number": (
        book(changed(XINFU_ROW, "男_0岁", "NA")),
        [("CENSUS-1a-number", cell(XINFU_ROW, "男_0岁"))],
        "rejected",
    ),
    "CENSUS-1b-area-repeated": (
        book([*census(), census()[XINFU_ROW]]),
        [("CENSUS-1b-area-repeated", "A8")],
        "rejected",
    ),
    "CENSUS-1b-code-of-another": (
        book(changed(XINFU_ROW, "区县", "定襄县")),
        [("CENSUS-1b-code-of-another", cell(XINFU_ROW, "区县"))],
        "rejected",
    ),
    "CENSUS-1c-sexes": (
        book(changed(XINFU_ROW, "人口数_合计", census()[XINFU_ROW][4] + 1)),
        [("CENSUS-1c-sexes", cell(XINFU_ROW, "人口数_合计")), ("CENSUS-1c-share", cell(XINFU_ROW, "人口比重_0-14岁")),
         ("CENSUS-1c-city-total", cell(CITY_ROW, "人口数_合计"))],
        "rejected",
    ),
    "CENSUS-1c-ages": (
        book(changed(XINFU_ROW, "男_5到9岁", 15)),
        [("CENSUS-1c-ages", cell(XINFU_ROW, "人口数_男")), ("CENSUS-1c-share", cell(XINFU_ROW, "人口比重_0-14岁")),
         ("CENSUS-1c-city-total", cell(CITY_ROW, "男_5到9岁"))],
        "rejected",
    ),
    "CENSUS-1c-share": (
        book(changed(XINFU_ROW, "性别比（女=100）", 104.06)),
        [("CENSUS-1c-share", cell(XINFU_ROW, "性别比（女=100）"))],
        "rejected",
    ),
    "CENSUS-1c-city-total": (
        # Two ages of one county changed places: its own sums hold.
        book(swapped(XINFU_ROW, "男_5到9岁", "男_10到14岁")),
        [("CENSUS-1c-city-total", cell(CITY_ROW, "男_5到9岁")), ("CENSUS-1c-city-total", cell(CITY_ROW, "男_10到14岁"))],
        "rejected",
    ),
    "CENSUS-5-undated": (book(census(None)), [("CENSUS-5-undated", "A1")], "accepted_with_queries"),
    "CENSUS-5-county-missing": (
        book(without_county()),
        [("CENSUS-5-county-missing", "")],
        "accepted_with_queries",
    ),
    "CENSUS-5-code-unmatched": (
        book(with_unit(170971)),
        [("CENSUS-5-code-unmatched", "A8"), ("CENSUS-5-total-open", cell(CITY_ROW, "人口数_合计"))],
        "accepted_with_queries",
    ),
    "CENSUS-5-name-conflict": (
        book(changed(DINGXIANG_ROW, "区县", "定襄市")),
        [("CENSUS-5-name-conflict", cell(DINGXIANG_ROW, "区县"))],
        "accepted_with_queries",
    ),
    "CENSUS-5-total-open": (
        book(with_unit(140971)),
        [("CENSUS-5-code-unmatched", "A8"), ("CENSUS-5-total-open", cell(CITY_ROW, "人口数_合计"))],
        "accepted_with_queries",
    ),
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
    assert {row.source_row for row in xinfu} == {XINFU_ROW + 1}
    assert screening.filing.received_at == RECEIVED_AT


def test_a_workbook_of_something_else_is_refused(tmp_path):
    screening = screened(tmp_path, xlsx(others={"表": [["装备名称", "数量"], ["显微镜", 3]]}))
    assert seen(screening) == [("CENSUS-0-unreadable", "")]
    assert "区划代码" in screening.findings[0].message


def values(screening: ReferenceScreening) -> set[tuple[str, int, int, int]]:
    return {(row.area_code, row.age_from, row.male, row.female) for row in screening.rows}


def test_the_order_of_columns_and_rows_and_a_title_above_change_nothing(tmp_path):
    plain = screened(tmp_path, book(census()))
    turned = [list(reversed(row)) for row in [HEADER, *reversed(census()[1:])]]
    other = screened(tmp_path, book([["全国第七次人口普查分县数据（2020 年）"], [], *turned]))
    assert values(other) == values(plain) and other.findings == []


@pytest.mark.parametrize(
    ("sheet", "title", "country"),
    [
        ("六普（年鉴）", None, None),
        ("普查", "2010年第六次全国人口普查分县资料", None),
        ("五普", None, None),
        ("2015年1%抽样调查", None, None),
        ("普查", None, 1_339_724_852),
        ("七普（年鉴）", None, 1_332_810_869),  # what it is called is no proof against the total
        ("六普（年鉴）", None, COUNTRY),
        ("普查", None, 900_000_000),
    ],
)
def test_another_census_of_the_same_shape_is_refused_as_what_it_is(tmp_path, sheet, title, country):
    grid = ([[title]] if title else []) + census(country)
    screening = screened(tmp_path, book(grid, sheet), "census_county_2020_v1.xlsx")
    assert {rule for rule, _ in seen(screening)} == {"CENSUS-0-other-census"}
    assert screening.filing.verdict == "rejected" and screening.rows == []


@pytest.mark.parametrize("sheet", ["七普（年鉴）", "2020", "第七次人口普查"])
def test_a_part_of_the_census_is_known_by_what_it_is_called(tmp_path, sheet):
    assert screened(tmp_path, book(census(None), sheet)).findings == []


def test_the_census_of_2020_is_found_beside_that_of_2010(tmp_path):
    content = xlsx(others={"六普": census(None), "七普": census()})
    screening = screened(tmp_path, content)
    assert screening.findings == [] and screening.filing.sheet == "七普"


@pytest.mark.parametrize("text", ["1,010", "１０", "①", "10人", "10.5", "-10", "", "约10"])
def test_what_is_no_plain_number_is_told_at_its_cell(tmp_path, text):
    for label in ("男_0岁", "人口数_合计"):
        screening = screened(tmp_path, book(changed(XINFU_ROW, label, text)))
        assert (("CENSUS-1a-number", cell(XINFU_ROW, label))) in seen(screening)
        assert screening.filing.verdict == "rejected"


def test_a_table_that_was_cut_off_is_refused(tmp_path):
    screening = screened(tmp_path, book(census()[:DINGXIANG_ROW]))
    assert "CENSUS-1c-city-total" in {rule for rule, _ in seen(screening)}
    assert screening.filing.verdict == "rejected"


def test_another_publishers_table_is_refused_in_words(tmp_path):
    grid = census()
    grid[0] = ["行政区划代码" if label == "区划代码" else label for label in HEADER]
    assert seen(screened(tmp_path, book(grid))) == [("CENSUS-0-unreadable", "")]


CENSUS_FILE = SHARED_DATA / "census" / "census_county_2020_v1.xlsx"


@pytest.mark.skipif(not CENSUS_FILE.exists(), reason="the published census workbook is not beside the project")
def test_the_published_census_gives_its_counties_and_asks_about_the_misprinted_code():
    one = Submission("f" * 64, CENSUS_FILE, CENSUS_FILE.name, (Receipt("census_2020", CENSUS_FILE.name, RECEIVED_AT),))
    screening = screen_census(one, city=CITY, counties=COUNTIES, limits=ReadLimits())
    assert screening.filing.verdict == "accepted_with_queries"
    assert {row.area_code for row in screening.rows} == {county.code for county in COUNTIES}
    assert "170971" in {finding.value for finding in screening.findings if finding.rule_id == "CENSUS-5-code-unmatched"}
