"""The 2020 census by county as an external reference: what population returns are held against.

Belongs here: taking a municipality's counties out of the published workbook by their codes. A code that does not match is a
finding, never a guess. The workbook is a table of 3,358 areas × 153 columns with `NA` for missing, codes stored as floats and
total rows among the counties.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.returns import normalise_label
from pipelines.screening.findings import Finding, Place, make_finding, signed
from pipelines.screening.identify import CountyName
from pipelines.screening.rules import Rule, reference_rules, rule_set_version
from pipelines.screening.screen import Filing, Submission
from pipelines.screening.workbook import Refusal, Sheet, cell_address
from pipelines.screening.worker import ReadLimits, ReadRequest, read_files

CENSUS = "census_2020"
CENSUS_YEAR = 2020

#: (age from, age to) → label part of the columns 男_… and 女_…
_BANDS = {(0, 0): "0岁", (1, 4): "1到4岁", (5, 9): "5到9岁", (10, 14): "10到14岁", (15, 19): "15到19岁"}
_CODE, _CITY, _AREA, _TOTAL = "区划代码", "市", "区县", "人口数_合计"


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


def screen_census(
    submission: Submission, *, city: CountyName, counties: Sequence[CountyName], limits: ReadLimits
) -> ReferenceScreening:
    """Read the census workbook for the given counties; a file that is no census is rejected with a finding."""
    findings: list[Finding] = []
    rows: list[CensusRow] = []
    outcome = next(read_files([ReadRequest(submission.path, submission.file_name)], limits))
    sheet = None if isinstance(outcome, Refusal) else (outcome.sheets or [None])[0]  # type: ignore[list-item]
    writer = _Writer(submission, sheet.name if sheet else "", findings)
    if isinstance(outcome, Refusal):
        writer.add("CENSUS-0-unreadable", detail=outcome.detail)
    elif sheet is None or not sheet.rows:
        writer.add("CENSUS-0-unreadable", detail="没有数据")
    else:
        rows = _rows(sheet, city, counties, writer)
    errors_n = sum(finding.outcome == "error" for finding in findings)
    queries_n = sum(finding.outcome == "query" for finding in findings)
    verdict = "rejected" if errors_n else "accepted_with_queries" if queries_n else "accepted"
    received_at = min((receipt.received_at for receipt in submission.receipts), default=None)
    filing = Filing(
        submission.submission_id, CENSUS, 1, None, str(CENSUS_YEAR), "calendar_year", sheet.name if sheet else "",
        submission.file_name, received_at, verdict, errors_n, queries_n, len(findings) - errors_n - queries_n, 0,
        len(rows), None, None, None, rule_set_version(),
    )  # fmt: skip
    return ReferenceScreening(filing, rows if verdict != "rejected" else [], findings)


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


def _rows(sheet: Sheet, city: CountyName, counties: Sequence[CountyName], writer: _Writer) -> list[CensusRow]:
    header = {normalise_label(text): index for index, text in enumerate(sheet.rows[0]) if text}
    wanted = [_CODE, _CITY, _AREA, _TOTAL, *(f"{sex}_{band}" for band in _BANDS.values() for sex in ("男", "女"))]
    if _CODE not in header:
        writer.add("CENSUS-0-unreadable", detail=f"没有“{_CODE}”一列")
        return []
    if absent := [label for label in wanted if label not in header]:
        for label in absent:
            writer.add("CENSUS-0-missing-column", 0, 0, label, expected=label)
        return []
    by_code = {county.code: county for county in counties}
    found: set[str] = set()
    rows: list[CensusRow] = []
    city_total: tuple[int, int] | None = None
    summed = 0
    for index in range(1, len(sheet.rows)):
        code = (sheet.cell(index, header[_CODE]) or "").strip()
        name = normalise_label(sheet.cell(index, header[_AREA]) or "")
        in_city = normalise_label(sheet.cell(index, header[_CITY]) or "") == normalise_label(city.name)
        total = sheet.cell(index, header[_TOTAL]) or ""
        if code == city.code:
            city_total = (index, int(total)) if total.isdigit() else None
            continue
        if code not in by_code:
            if in_city:
                writer.add("CENSUS-5-code-unmatched", index, header[_CODE], _CODE, name, value=code, detail=name)
            continue
        if name != normalise_label(by_code[code].name):
            writer.add("CENSUS-5-name-conflict", index, header[_AREA], _AREA, name, value=name,
                       expected=by_code[code].name, detail=code)  # fmt: skip
        found.add(code)
        summed += int(total) if total.isdigit() else 0
        for (age_from, age_to), band in _BANDS.items():
            people = {}
            for sex in ("男", "女"):
                label = f"{sex}_{band}"
                text = sheet.cell(index, header[label]) or ""
                if text.isdigit():
                    people[sex] = int(text)
                else:
                    writer.add("CENSUS-1a-number", index, header[label], label, name, value=text)
            if len(people) == 2:
                rows.append(
                    CensusRow(code, by_code[code].name, age_from, age_to, people["男"], people["女"],
                              writer.submission.submission_id, sheet.name, index + 1)
                )  # fmt: skip
    for county in counties:
        if county.code not in found:
            writer.add("CENSUS-5-county-missing", expected=county.code, detail=county.name)
    if city_total and city_total[1] != summed:
        writer.add("CENSUS-5-total-open", city_total[0], header[_TOTAL], _TOTAL, city.name, value=str(city_total[1]),
                   expected=str(summed), difference=signed(city_total[1] - summed, 0))  # fmt: skip
    return rows
