"""What changed between two releases, and why: by cause, adding up exactly, down to the cells."""

import hashlib
import json
import shutil
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import duckdb
import openpyxl
import pytest
from builders import DINGXIANG, XINFU, CountyName, Draft

from pipelines.cli.changes import show_changes
from pipelines.cli.terminal import speak
from pipelines.home import Home
from pipelines.releases.changes import Changes, compare_releases, residual
from pipelines.releases.changes_table import keep_changes
from pipelines.releases.release import ReleaseLog
from tests.faults.homes import send, with_more_people
from tests.homes import small_home, update

PRIMARY = ("gross_enrolment_primary", "resident", "2024-2025", "140900")


def with_more_pupils(by: int, county: CountyName = XINFU) -> Draft:
    """An enrolment return with that many more pupils of each age in the primary school."""
    draft = Draft("enrolment", county, "2024-2025")
    row = draft.rows[0]
    for number in range(6):
        row[f"age_{6 + number}"] += by
        row[f"grade_{number + 1}"] += by
    row["students_total"] += 6 * by
    row["students_official_age"] += 6 * by
    return draft


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Three releases: two counties; one of them sends more pupils and more people; the other county is no longer configured."""
    home = small_home(
        tmp_path_factory.mktemp("changes"), [(XINFU.code, "忻府区", "Xinfu"), (DINGXIANG.code, "定襄县", "Dingxiang")]
    )
    for county in (XINFU, DINGXIANG):
        send(home, with_more_pupils(0, county), "学生.xlsx", 1)
        send(home, with_more_people(0, county), "人口.xlsx", 1)
    update(home)
    send(home, with_more_pupils(5), "学生（更正）.xlsx", 5)
    send(home, with_more_people(10), "人口（更正）.xlsx", 5)
    update(home)
    lines = home.configuration.read_text(encoding="utf-8").splitlines(keepends=True)
    home.configuration.write_text("".join(line for line in lines if "定襄县" not in line), encoding="utf-8")
    for path in home.policy.glob("*.csv"):
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join(line for line in lines if DINGXIANG.code not in line), encoding="utf-8")
    home = Home(home.root)
    update(home)
    return home


@pytest.fixture(scope="module")
def all_three(home: Home) -> Changes:
    log = ReleaseLog(home)
    return compare_releases(home, log.find("1"), log.find("3"))


def steps(changes: Changes, key: tuple[str, ...] = PRIMARY) -> list[tuple]:
    (figure,) = [
        one for one in changes.figures if (one.indicator_code, one.caliber_id, one.period, one.area_code) == key
    ]
    return [
        (figure.before.value, figure.after.value),
        *((step.cause, step.contribution) for step in figure.steps),
        residual(figure),
    ]


def test_each_cause_has_its_contribution_and_they_add_up(all_three: Changes):
    """Pupils 120 of 7302, then 150 of 7302, then of 7312; without the other county 90 of 3661."""
    changes = all_three
    assert changes.swapped == ("filings", "population", "calibers", "counties")
    assert steps(changes) == [
        (Decimal("1.6434"), Decimal("2.4583")),
        ("filings", Decimal("0.4108")),
        ("population", Decimal("-0.0028")),
        ("counties", Decimal("0.4069")),
        Decimal("0.0000"),
    ]
    for figure in changes.figures:
        given = residual(figure)
        assert given in (None, 0), figure
    gone = [one for one in changes.figures if one.area_code == DINGXIANG.code]
    assert gone
    assert {one.after.status for one in gone} == {"absent"}


def test_the_cells_that_changed_are_named_with_the_indicators_that_count_them(all_three: Changes):
    changes = all_three
    cells = {(one.return_code, one.cell_after): one for one in changes.inputs}
    total = cells["enrolment", "D4"]
    assert (total.county_code, total.text_before, total.text_after, total.difference) == (XINFU.code, "60", "90", "+30")
    assert "gross_enrolment_primary" in total.indicators.split("、")
    assert "gross_enrolment_junior" not in total.indicators
    people = [one for one in changes.inputs if one.return_code == "population"]
    assert sorted(one.difference for one in people) == ["+10"] * 4  # both sexes' total and the boys, of two registers
    assert {one.county_code for one in changes.inputs} == {XINFU.code}


def test_a_changed_caliber_is_told_from_the_rest_and_what_is_left_is_the_residual(home: Home, tmp_path: Path):
    """Were primary school for the ages 6 to 10: 150 of 6090. The release was not published so: that much is left over."""
    home = Home(Path(shutil.copytree(home.root, tmp_path / "home")))
    log = ReleaseLog(home)
    before, after = log.find("1"), log.find("2")
    held = home.raw / "policy" / "held"
    ages = (held / after.inputs.policy["defaults/member_groups.csv"]).read_text(encoding="utf-8")
    ages = "".join(line for line in ages.splitlines(keepends=True) if not line.startswith("age,小学学龄,11,"))
    sha256 = hashlib.sha256(ages.encode()).hexdigest()
    (held / sha256).write_text(ages, encoding="utf-8")
    policy = {**after.inputs.policy, "defaults/member_groups.csv": sha256}
    other = replace(after, inputs=replace(after.inputs, policy=policy))
    assert steps(compare_releases(home, before, other)) == [
        (Decimal("1.6434"), Decimal("2.0514")),
        ("filings", Decimal("0.4108")),
        ("population", Decimal("-0.0028")),
        ("calibers", Decimal("0.4117")),
        Decimal("-0.4117"),
    ]


def test_a_comparison_is_kept_as_tables_and_written_as_report(home: Home, all_three: Changes, tmp_path: Path, capsys):
    home = Home(Path(shutil.copytree(home.root, tmp_path / "home")))
    keep_changes(home, all_three)
    keep_changes(home, all_three)
    speak("zh")
    show_changes(home, "1", "2", json_file=tmp_path / "报告.json", workbook=tmp_path / "报告.xlsx", progress=None)
    told = capsys.readouterr().out
    assert "依次替换" in told
    assert "两个发布之间没有变的：口径、标准与目录、县区、报送日历与发布门槛。" in told
    assert "小学毛入学率" in told
    assert "+0.4108" in told
    with duckdb.connect(str(home.warehouse / "xianbao_changes.duckdb"), read_only=True) as connection:

        def found(sql: str) -> list[tuple]:
            return connection.execute(sql).fetchall()

        assert len(found("SELECT DISTINCT release_before, release_after FROM marts.mart_change")) == 2
        assert found("SELECT count(*) FROM marts.mart_change_input WHERE text_after = '90' AND cell_after = 'D4'") == [
            (2,)
        ]
        sums = found(
            """SELECT sum(contribution) FILTER (WHERE step_n > 0), any_value(contribution) FILTER (WHERE step_n = 0)
               FROM marts.mart_change
               GROUP BY release_before, release_after, indicator_code, caliber_id, period, area_code
               HAVING bool_and(contribution IS NOT NULL)"""
        )
        assert len(sums) > 20
        assert [one for one in sums if one[0] != one[1]] == []
        assert found("SELECT column_name FROM duckdb_columns() WHERE schema_name = 'marts' AND comment IS NULL") == []
    report = json.loads((tmp_path / "报告.json").read_text(encoding="utf-8"))
    assert report["order"] == ["filings", "population", "calibers", "counties"]
    assert report["swapped"] == ["filings", "population"]
    sheet = openpyxl.load_workbook(tmp_path / "报告.xlsx")["变动的数"]
    lines = [tuple(cell.value for cell in row) for row in sheet.iter_rows()]
    moved = (1.6434, 2.0542, 0.4108, 120, 150, 7302, 7302, "complete", "complete")
    assert ("小学毛入学率", "%", "2024-2025", "resident", "忻州市", "报送数据（人口表以外）", *moved) in lines
