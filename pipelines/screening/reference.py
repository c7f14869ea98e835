"""The 2020 census by county as an external reference: what population returns are held against.

Belongs here: telling a census by what stands in it (its headers, what it says of itself, the country's total), holding it against its
own arithmetic, and taking a municipality's counties out of it by their codes. A code that does not match is a finding, never a guess.
The published workbook is a table of 3,358 areas × 153 columns with `NA` for missing, codes stored as floats and total rows among
the counties; in it every sum holds to the person.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pipelines.intake.submission import Submission
from pipelines.municipality import CountyName
from pipelines.returns import normalise_label
from pipelines.screening.findings import Finding, Place, make_finding, signed
from pipelines.screening.rules import Rule, censuses, reference_rules, rule_set_version
from pipelines.screening.screen import Filing, sending_rows
from pipelines.workbooks.bounded import ReadLimits, ReadRequest, read_files
from pipelines.workbooks.workbook import Refusal, Sheet, cell_address

CENSUS = "census_2020"
CENSUS_YEAR = 2020

#: (age from, age to) → label part of the columns 男_… and 女_…
_BANDS = {(0, 0): "0岁", (1, 4): "1到4岁", (5, 9): "5到9岁", (10, 14): "10到14岁", (15, 19): "15到19岁"}
_CODE, _PROVINCE, _CITY, _AREA, _TOTAL = "区划代码", "省", "市", "区县", "人口数_合计"
_SEXES = ("男", "女")
_OF_SEX = {"男": "人口数_男", "女": "人口数_女"}
_SCHOOL_AGES_SHARE, _SEX_RATIO = "人口比重_0-14岁", "性别比(女=100)"
_UNDER_15 = ("0岁", "1到4岁", "5到9岁", "10到14岁")
_BAND = re.compile(r"(?P<sex>男|女)_(?P<band>[0-9]+(?:到[0-9]+)?岁(?:以上|及以上)?)")
_OLDEST = re.compile(r"岁(?:以上|及以上)$")
#: A header stands among the first rows; a title may stand above it.
_HEADER_ROWS = 20
#: National totals differ by whether servicemen and the like are in them; censuses differ by far more.
_NEAR = Decimal("0.005")
_WHOLE = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True)
class CensusRow:
    """People of one area and age band, by sex."""

    area_code: str
    area_name: str
    age_from: int
    age_to: int
    male: int
    female: int
    submission_id: str
    sheet: str
    source_row: int


@dataclass
class ReferenceScreening:
    filing: Filing
    rows: list[CensusRow]
    findings: list[Finding]
    sendings: list[tuple[Any, ...]]


def screen_census(
    submission: Submission, *, city: CountyName, counties: Sequence[CountyName], limits: ReadLimits
) -> ReferenceScreening:
    """Read the census workbook for the given counties; a file that is no census is rejected with a finding."""
    findings: list[Finding] = []
    rows: list[CensusRow] = []
    outcome = next(read_files([ReadRequest(submission.path, submission.file_name)], limits))
    tables = [] if isinstance(outcome, Refusal) else [table for sheet in outcome.sheets for table in _table(sheet)]
    of_2020 = [table for table in tables if table.other is None]
    sheet = next((table.sheet for table in of_2020 or tables), None)
    writer = _Writer(submission, sheet.name if sheet else "", findings)
    if isinstance(outcome, Refusal):
        writer.add("CENSUS-0-unreadable", detail=outcome.detail)
    elif not tables:
        filled = any(text for one in outcome.sheets for row in one.rows for text in row)
        writer.add("CENSUS-0-unreadable", detail=f"没有“{_CODE}”一列和分年龄的人口" if filled else "没有数据")
    elif not of_2020:
        for table in tables:
            writer.add("CENSUS-0-other-census", table.header_row, table.columns[_CODE], _CODE, detail=table.other or "")
    elif len(of_2020) > 1:
        writer.add("CENSUS-0-several-tables", detail="、".join(f"“{table.sheet.name}”" for table in of_2020))
    else:
        rows = _rows(of_2020[0], city, counties, writer)
    errors_n = sum(finding.outcome == "error" for finding in findings)
    queries_n = sum(finding.outcome == "query" for finding in findings)
    verdict = "rejected" if errors_n else "accepted_with_queries" if queries_n else "accepted"
    received_at = min((receipt.received_at for receipt in submission.receipts), default=None)
    filing = Filing(
        submission.submission_id, CENSUS, 1, None, str(CENSUS_YEAR), "calendar_year", sheet.name if sheet else "",
        submission.file_name, received_at, verdict, errors_n, queries_n, len(findings) - errors_n - queries_n, 0,
        len(rows), None, None, None, rule_set_version(),
    )  # fmt: skip
    return ReferenceScreening(
        filing, rows if verdict != "rejected" else [], findings, sending_rows(submission, filing, ())
    )


class _Writer:
    def __init__(self, submission: Submission, sheet: str, findings: list[Finding]) -> None:
        self.submission, self.sheet, self.findings = submission, sheet, findings

    def add(
        self,
        rule_id: str,
        row: int | None = None,
        column: int | None = None,
        label: str = "",
        area: str = "",
        **words: str,
    ) -> None:
        rule: Rule = reference_rules()[rule_id]
        place = Place(
            submission_id=self.submission.submission_id,
            file_name=self.submission.file_name,
            return_code=CENSUS,
            period=str(CENSUS_YEAR),
            form_label="2020 年人口普查分县数据",
            sheet=self.sheet,
            cell=cell_address(row, column) if row is not None and column is not None else "",
            source_row=row + 1 if row is not None else None,
            row_label=area,
            column_label=label,
        )
        self.findings.append(make_finding(rule, place, **words))


@dataclass(frozen=True)
class _Table:
    """A table of a census by county. `columns`: normalised label → column, the first of those that bear it; `repeated`: further columns
    of a label; `other`: why it is not of 2020; `is_dated`: whether anything says that it is."""

    sheet: Sheet
    header_row: int
    columns: dict[str, int]
    repeated: tuple[tuple[str, int], ...]
    other: str | None
    is_dated: bool

    def text(self, row: int, label: str) -> str:
        column = self.columns.get(label)
        return "" if column is None else (self.sheet.cell(row, column) or "").strip()

    @property
    def body(self) -> range:
        return range(self.header_row + 1, len(self.sheet.rows))


def _table(sheet: Sheet) -> Iterator[_Table]:
    """The census table of a sheet, if it holds one: a header with codes and people by sex and age."""
    for row, cells in enumerate(sheet.rows[:_HEADER_ROWS]):
        columns: dict[str, int] = {}
        repeated = []
        for index, text in enumerate(cells):
            if text and columns.setdefault(label := normalise_label(text), index) != index:
                repeated.append((label, index))
        if _CODE in columns and any(_BAND.fullmatch(label) for label in columns):
            found = _Table(sheet, row, columns, tuple(repeated), None, False)
            other, is_dated = _census_of(found)
            yield _Table(sheet, row, columns, tuple(repeated), other, is_dated)
            return


def _census_of(table: _Table) -> tuple[str | None, bool]:
    """(why a table is not of 2020, whether it says that it is): by its name and title, and by the country's total."""
    titles = [table.sheet.name, *(text for row in table.sheet.rows[: table.header_row] for text in row if text)]
    said = {census.year: text for text in titles for census in censuses() if census.is_named_in(normalise_label(text))}
    if total := _national_total(table):
        counted = next((census for census in censuses() if census.counted(total, _NEAR)), None)
        if counted is None:
            return f"全国合计 {total}，不是 {CENSUS_YEAR} 年的数", False
        if counted.year != CENSUS_YEAR:
            return f"全国合计 {total}，是 {counted.year} 年{counted.name}的数", False
        if said and CENSUS_YEAR not in said:
            year, text = next(iter(said.items()))
            return f"写着“{text}”（{year} 年）", False
        return None, True
    if said and CENSUS_YEAR not in said:
        year, text = next(iter(said.items()))
        return f"写着“{text}”（{year} 年）", False
    return None, CENSUS_YEAR in said


def _national_total(table: _Table) -> int | None:
    """The country's people, where the table tells: its row, or all provinces (codes that end in four zeros)."""
    provinces = {}
    for row in table.body:
        total = table.text(row, _TOTAL)
        if not _WHOLE.fullmatch(total):
            continue
        if "全国" in (table.text(row, _PROVINCE), table.text(row, _AREA)):
            return int(total)
        if re.fullmatch(r"[1-9][0-9]0000", code := table.text(row, _CODE)):
            provinces[code] = int(total)
    return sum(provinces.values()) if len(provinces) >= _PROVINCES else None


#: Provinces, autonomous regions and municipalities that a census counts.
_PROVINCES = 31


def _rows(table: _Table, city: CountyName, counties: Sequence[CountyName], writer: _Writer) -> list[CensusRow]:
    columns = table.columns
    bands = [label for label in columns if _BAND.fullmatch(label)]
    wanted = [_CODE, _CITY, _AREA, _TOTAL, *(f"{sex}_{band}" for band in _BANDS.values() for sex in _SEXES)]
    if absent := [label for label in wanted if label not in columns]:
        for label in absent:
            writer.add("CENSUS-0-missing-column", table.header_row, 0, label, expected=label)
        return []
    used = [*wanted, *_OF_SEX.values(), *bands]
    for label, index in table.repeated:
        if label in used:
            writer.add("CENSUS-0-column-repeated", table.header_row, index, label)
    if not table.is_dated:
        writer.add("CENSUS-5-undated", table.header_row, columns[_CODE], _CODE)
    by_code = {county.code: county for county in counties}
    by_name = {normalise_label(county.name): county for county in counties}
    first: dict[str, int] = {}
    rows: list[CensusRow] = []
    people: dict[str, dict[str, int]] = {}  # code → label → people, of every unit of the city and of the city itself
    for row in table.body:
        code, name = table.text(row, _CODE), normalise_label(table.text(row, _AREA))
        in_city = normalise_label(table.text(row, _CITY)) == normalise_label(city.name) or code[:4] == city.code[:4]
        if code not in by_code and not in_city:
            continue
        if code in first:
            writer.add(
                "CENSUS-1b-area-repeated", row, columns[_CODE], _CODE, name, value=code, expected=str(first[code] + 1)
            )
            continue
        first[code] = row
        if code not in by_code and code != city.code:
            writer.add("CENSUS-5-code-unmatched", row, columns[_CODE], _CODE, name, value=code, detail=name)
        people[code] = _people(table, row, name, [_TOTAL, *_OF_SEX.values(), *bands], writer)
        _check_sums(table, row, name, bands, people[code], writer)
        if code not in by_code:
            continue
        if name != normalise_label(by_code[code].name):
            rule = "CENSUS-1b-code-of-another" if name in by_name else "CENSUS-5-name-conflict"
            writer.add(rule, row, columns[_AREA], _AREA, name, value=name, expected=by_code[code].name, detail=code)
        for (age_from, age_to), band in _BANDS.items():
            male, female = (people[code].get(f"{sex}_{band}") for sex in _SEXES)
            if male is not None and female is not None:
                rows.append(
                    CensusRow(code, by_code[code].name, age_from, age_to, male, female, writer.submission.submission_id,
                              table.sheet.name, row + 1)
                )  # fmt: skip
    for county in counties:
        if county.code not in first:
            writer.add("CENSUS-5-county-missing", expected=county.code, detail=county.name)
    if city.code in first:
        _check_city(table, first[city.code], city, by_code, people, writer)
    return rows


def _people(table: _Table, row: int, name: str, labels: Sequence[str], writer: _Writer) -> dict[str, int]:
    """The counts of a row by label; what is no whole number is told and left out."""
    found = {}
    for label in labels:
        if label not in table.columns:
            continue
        text = table.text(row, label)
        if _WHOLE.fullmatch(text):
            found[label] = int(text)
        else:
            writer.add("CENSUS-1a-number", row, table.columns[label], label, name, value=text)
    return found


def _check_sums(
    table: _Table, row: int, name: str, bands: Sequence[str], people: dict[str, int], writer: _Writer
) -> None:
    """A row against its own parts, as far as the table has them: sexes, ages, the share of the young and the ratio of the sexes."""

    def compare(rule: str, label: str, parts: Sequence[str], *, is_whole: bool = True) -> None:
        if label not in people or not parts or not all(part in people for part in parts):
            return
        stated, summed = people[label], sum(people[part] for part in parts)
        if stated != summed if is_whole else stated < summed:
            writer.add(rule, row, table.columns[label], label, name, value=str(stated), expected=str(summed),
                       difference=signed(stated - summed, 0))  # fmt: skip

    compare("CENSUS-1c-sexes", _TOTAL, [*_OF_SEX.values()])
    for sex, label in _OF_SEX.items():
        # Without the oldest the ages are no whole.
        mine = [band for band in bands if band.startswith(sex)]
        compare("CENSUS-1c-ages", label, mine, is_whole=any(_OLDEST.search(band) for band in mine))
    if not set(_OF_SEX.values()) <= set(table.columns):
        compare("CENSUS-1c-ages", _TOTAL, bands, is_whole=any(_OLDEST.search(band) for band in bands))
    young = [people.get(f"{sex}_{band}") for sex in _SEXES for band in _UNDER_15]
    if _SCHOOL_AGES_SHARE in table.columns and None not in young and people.get(_TOTAL):
        _compare_rate(table, row, name, _SCHOOL_AGES_SHARE, sum(filter(None, young)), people[_TOTAL], writer)
    if _SEX_RATIO in table.columns and _OF_SEX["男"] in people and people.get(_OF_SEX["女"]):
        _compare_rate(table, row, name, _SEX_RATIO, people[_OF_SEX["男"]], people[_OF_SEX["女"]], writer)


def _compare_rate(table: _Table, row: int, name: str, label: str, part: int, whole: int, writer: _Writer) -> None:
    """A percentage that the table states, against its terms; to the second decimal, in which it is published."""
    text = table.text(row, label)
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]+)?", text):
        return
    computed = Decimal(part * 100) / whole
    if abs(Decimal(text) - computed) > Decimal("0.01"):
        writer.add("CENSUS-1c-share", row, table.columns[label], label, name, value=text, expected=f"{computed:.2f}")


def _check_city(
    table: _Table,
    row: int,
    city: CountyName,
    by_code: dict[str, CountyName],
    people: dict[str, dict[str, int]],
    writer: _Writer,
) -> None:
    """The city against its units, column by column. What units outside the list hold is told: the counties then do not make the city."""
    units = {code: counts for code, counts in people.items() if code != city.code}
    for label, stated in people[city.code].items():
        if not all(label in counts for counts in units.values()):
            continue
        summed = sum(counts[label] for counts in units.values())
        listed = sum(counts[label] for code, counts in units.items() if code in by_code)
        rule, expected = ("CENSUS-1c-city-total", summed) if stated != summed else ("CENSUS-5-total-open", listed)
        if stated != expected and (rule != "CENSUS-5-total-open" or label == _TOTAL):
            writer.add(rule, row, table.columns[label], label, city.name, value=str(stated), expected=str(expected),
                       difference=signed(stated - expected, 0))  # fmt: skip
