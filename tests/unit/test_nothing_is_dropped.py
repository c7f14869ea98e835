"""What stands in a file is read, refused or asked about: never dropped in silence, and no person's number gets through."""

from pathlib import Path

import openpyxl
import pytest

from pipelines.intake.submission import Submission
from pipelines.municipality import CountyName
from pipelines.screening.screen import Screening, screen
from pipelines.screening.settings import ScreenSettings

SETTINGS = ScreenSettings((CountyName("140902", "忻府区"),), {"population": {"2024"}})
HEADER = ["年龄", "人口口径", "人口数", "其中：男", "其中：女", "数据来源", "数据时点"]


def _lines(last: list[str]) -> str:
    cover = ["表号,XB03", "填报单位,忻府区", "行政区划代码,140902", "报告期,2024年", ",".join(HEADER)]
    rows = [f"{age},常住,100,52,48,统计局,2024-08-31" for age in range(17)]
    return "\n".join([*cover, *rows, ",".join(last), "填表人：甲,审核人：乙,单位负责人：丙"])


def _workbook(path: Path, *, sheet: str = "人口", hide_column: str = "", hide_sheet: bool = False) -> Path:
    workbook = openpyxl.Workbook()
    data = workbook.active
    data.title = sheet
    for line in _lines(["17", "常住", "100", "52", "48", "统计局", "2024-08-31"]).splitlines():
        data.append([int(cell) if cell.isdigit() and len(cell) < 4 else cell for cell in line.split(",")])
    if hide_column:
        data.column_dimensions[hide_column].hidden = True
    if hide_sheet:
        workbook.create_sheet("说明")
        data.sheet_state = "hidden"
    workbook.save(path)
    return path


@pytest.fixture(scope="module")
def screened(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Screening]:
    """File name → what screening made of it; each file is its own submission of one batch."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "逗号.csv").write_text(_lines(["17", "常住", "100", "52", "48", "统计局", "2024-08-31", "234"]))
    _workbook(folder / "隐藏列.xlsx", hide_column="C")
    _workbook(folder / "隐藏表.xlsx", hide_sheet=True)
    _workbook(folder / "人口13912345678.xlsx")
    _workbook(folder / "表名.xlsx", sheet="张三13912345678")
    _workbook(folder / "20241015120000-人口（第2次）.xlsx")
    files = sorted(folder.iterdir())
    result = screen([Submission(file.name, file, file.name) for file in files], SETTINGS)
    return {
        file.name: Screening(
            filings=[filing for filing in result.filings if filing.submission_id == file.name],
            findings=[finding for finding in result.findings if finding.submission_id == file.name],
        )
        for file in files
    }


def _found(screening: Screening) -> list[tuple[str, str, str]]:
    return [(finding.rule_id, finding.outcome, finding.cell) for finding in screening.findings]


def test_a_number_cut_in_two_by_its_comma_is_an_error_and_not_a_smaller_number(screened: dict[str, Screening]):
    assert _found(screened["逗号.csv"]) == [("FILE-0-stray-cell", "error", "H23")]


def test_a_hidden_column_is_asked_about_and_a_hidden_sheet_is_not_read(screened: dict[str, Screening]):
    assert _found(screened["隐藏列.xlsx"]) == [("FILE-1b-hidden-data", "query", "C5")]
    assert _found(screened["隐藏表.xlsx"]) == [("FILE-0-hidden-sheet", "error", "")]
    assert "第 C 列" in screened["隐藏列.xlsx"].findings[0].message
    assert "工作表“人口”" in screened["隐藏表.xlsx"].findings[0].message
    assert (screened["隐藏表.xlsx"].findings[0].sheet, screened["隐藏表.xlsx"].filings[0].period) == ("", "2024")


@pytest.mark.parametrize("name", ["人口13912345678.xlsx", "表名.xlsx"])
def test_a_persons_number_in_a_name_quarantines_the_file_and_is_shown_to_nobody(
    screened: dict[str, Screening], name: str
):
    screening = screened[name]
    assert [rule_id for rule_id, *_ in _found(screening)] == ["FILE-1a-phone-number"]
    assert screening.filings[0].verdict == "rejected"
    shown = repr([*screening.findings, *screening.filings]).replace(repr(name), "")
    assert "13912345678" not in shown
    assert "139******78" in shown


def test_any_other_name_stays_as_it_was_written(screened: dict[str, Screening]):
    screening = screened["20241015120000-人口（第2次）.xlsx"]
    assert (screening.findings, screening.filings[0].file_name) == ([], "20241015120000-人口（第2次）.xlsx")
