"""A new version of a form is a new data file; files of the old version are still read, by its own columns."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import openpyxl
import pytest

from pipelines.intake.submission import Submission
from pipelines.municipality import CountyName
from pipelines.rule_files import forget
from pipelines.screening.screen import screen
from pipelines.screening.settings import ScreenSettings
from tests.homes import PROJECT

SETTINGS = ScreenSettings((CountyName("140902", "忻府区"),), {"population": {"2023", "2024"}})


@pytest.fixture
def second_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """XB03 version 2: `source` is gone, `migrants` is new, with a rule of its own."""
    returns, expectations = tmp_path / "definitions", tmp_path / "expectations"
    shutil.copytree(PROJECT / "pipelines" / "returns" / "definitions", returns)
    shutil.copytree(PROJECT / "expectations", expectations)
    text = (returns / "population.v1.yaml").read_text()
    text = text.replace("version: 1", "version: 2")
    text = "\n".join(line for line in text.splitlines() if not line.strip().startswith(("- {name: source,", "source:")))
    text = text.replace(
        "# What indicators",
        "  - {name: migrants, label: 其中随迁, type: count, unit: 人, required: true, missing: [not_reported]}\n# What indicators",
    )
    (returns / "population.v2.yaml").write_text(text)
    with (expectations / "population.yaml").open("a") as stream:
        stream.write(
            "  - {rule: XB03-1c-migrants-within-total, check: at_most, column: migrants, of: population_total}\n"
        )
    monkeypatch.setenv("XIANBAO_RETURNS", str(returns))
    monkeypatch.setenv("XIANBAO_EXPECTATIONS", str(expectations))
    forget()
    yield
    monkeypatch.undo()
    forget()


def _workbook(path: Path, period: str, header: list[str], tail: list) -> Path:
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    sheet.append([f"忻府区{period}学龄人口统计表"])
    sheet.append(["表号：XB03", "填报单位：忻府区", "行政区划代码：140902", f"报告期：{period}"])
    sheet.append(header)
    for age in range(18):
        sheet.append([age, "常住", 100, 52, 48, *tail])
    sheet.append(["填表人：甲", "审核人：乙", "单位负责人：丙"])
    workbook.save(path)
    return path


def test_both_versions_are_read_by_their_own_columns(second_version: None, tmp_path: Path):
    common = ["年龄", "人口口径", "人口数", "其中：男", "其中：女"]
    old = _workbook(tmp_path / "old.xlsx", "2023年", [*common, "数据来源", "数据时点"], ["统计局", "2023-08-31"])
    new = _workbook(tmp_path / "new.xlsx", "2024年", [*common, "数据时点", "其中随迁"], ["2024-08-31", 7])
    bad = _workbook(tmp_path / "bad.xlsx", "2024年", [*common, "数据时点", "其中随迁"], ["2024-08-31", 107])
    result = screen([Submission(file.stem, file, file.name) for file in (old, new, bad)], SETTINGS)
    verdicts = {filing.submission_id: (filing.return_version, filing.verdict) for filing in result.filings}
    assert verdicts == {"old": (1, "accepted"), "new": (2, "accepted"), "bad": (2, "rejected")}
    assert {finding.rule_id for finding in result.findings} == {"XB03-1c-migrants-within-total"}
    landed = result.rows["population"]
    assert landed.columns[-3:] == ["migrants", "source", "missing_codes"]
    by_submission = {
        key[0]: [*zip(*(group[name].to_list() for name in ("migrants", "source")), strict=True)]
        for key, group in landed.group_by(["submission_id"], maintain_order=True)
    }
    assert by_submission == {"new": [(7, None)] * 18, "old": [(None, "统计局")] * 18}
