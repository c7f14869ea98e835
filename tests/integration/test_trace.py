"""Every figure goes down to cells that add up to it, and those cells hold what the files hold."""

import json
import shutil
from decimal import Decimal
from io import BytesIO
from pathlib import Path

import duckdb
import openpyxl
import pytest
from typer.testing import CliRunner

from pipelines.cli.main import app
from pipelines.cli.trace import trace_workbook
from pipelines.home import Home
from pipelines.intake.raw_store import RawStore
from pipelines.releases.trace import NoSuchFigure, Trace, TraceMismatch, trace, trace_every_figure
from pipelines.returns import definition


@pytest.fixture(scope="module")
def published(published_home: Path) -> Path:
    return Home(published_home).published


def cells_of(traced: Trace) -> list:
    return [cell for term in traced.terms for county in term.counties for part in county.parts
            for source in part.sources for cell in source.cells]  # fmt: skip


@pytest.mark.parametrize("home_of", ["published_home", "faulty_home"])
def test_every_given_figure_of_the_sample_adds_up_from_its_cells(home_of: str, request: pytest.FixtureRequest):
    target = Home(request.getfixturevalue(home_of)).published
    with duckdb.connect(str(target), read_only=True) as connection:
        ((given_n,),) = connection.execute(
            "SELECT count(*) FROM marts.fct_indicator WHERE status IN ('complete', 'partial')"
        ).fetchall()
    traced_n = 0
    for one in trace_every_figure(target):
        traced_n += 1
        assert [term.total for term in one.terms] == [
            sum(county.total for county in term.counties) for term in one.terms
        ]
        parts = [part for term in one.terms for county in term.counties for part in county.parts]
        assert any(part.made_of or part.sources for part in parts), one.figure
    assert traced_n == given_n > 2000


def test_a_traced_cell_holds_in_the_county_s_own_file_what_the_trace_says(published_home: Path, published: Path):
    traced = trace(published, "gross_enrolment_preschool", "五台县", "2024-2025")
    store = RawStore(Home(published_home).raw)
    looked_n = 0
    for term in traced.terms:
        for source in term.counties[0].parts[0].sources:
            workbook = openpyxl.load_workbook(BytesIO(store.path(source.submission_id).read_bytes()), data_only=True)
            for cell in source.cells:
                if cell.missing_code is None:
                    # As counties write them: 1,234 or a number.
                    assert Decimal(str(workbook[cell.sheet][cell.cell].value).replace(",", "")) == cell.value
                    looked_n += 1
    assert looked_n > 20


def test_children_under_three_are_taken_off_in_cells_of_their_own(published: Path):
    traced = trace(published, "学前教育毛入园率", "140922", "2024-2025")
    numerator = traced.terms[0]
    taken = [cell for cell in cells_of(traced) if cell.sign < 0]
    assert taken
    assert all("2岁" in cell.column_label for cell in taken)
    kept = sum(cell.contribution for cell in cells_of(traced)[: len(numerator.counties[0].parts[0].sources[0].cells)]
               if cell.sign > 0)  # fmt: skip
    assert numerator.total == kept + sum(cell.contribution for cell in taken if cell.contribution is not None)


def test_a_year_of_quarters_goes_down_by_quarter_and_multiplies_heads_by_months(published: Path):
    traced = trace(published, "living_allowance_paid_monthly_average", "忻州市", "2024")
    numerator, denominator = traced.terms
    assert [part.period for part in numerator.counties[0].parts] == ["2024Q1", "2024Q2", "2024Q3", "2024Q4"]
    cells = [cell for cell in cells_of(traced) if cell.multiplier is not None]
    assert cells
    assert all(cell.contribution == cell.value * cell.multiplier for cell in cells)
    assert denominator.total == sum(cell.contribution for cell in cells)


def test_an_average_of_standards_multiplies_the_standard_by_heads_and_months(published: Path):
    traced = trace(published, "living_allowance_standard_monthly_average", "忻州市", "2024")
    numerator, denominator = traced.terms
    standards = [cell for cell in cells_of(traced) if cell.multiplier_cell and "×" in cell.multiplier_cell]
    assert numerator.total == sum(cell.value * cell.multiplier for cell in standards)
    standard = definition("rural_subsidy").column("standard_yuan_per_month")
    assert {cell.column_label.split("（")[0].strip() for cell in standards} <= {standard.label, *standard.aliases}
    assert denominator.total == sum(cell.multiplier for cell in standards)


def test_rural_teachers_are_traced_to_the_payroll(published: Path):
    traced = trace(published, "乡村教师生活补助乡村教师覆盖率", "140922", "2024Q4")
    numerator, denominator = traced.terms
    (paid,), (payroll,) = (term.counties[0].parts[0].sources for term in (numerator, denominator))
    assert (paid.return_code, payroll.return_code) == ("rural_subsidy", "teacher_pay")
    assert payroll.total == sum(cell.contribution for cell in payroll.cells) == denominator.total


def test_counties_that_comply_go_down_to_the_ratio_each_was_judged_by(published: Path):
    traced = trace(published, "teacher_pay_compliant_counties", "忻州市", "2022")
    numerator, denominator = traced.terms
    assert len(denominator.counties) == 14
    failing = [county for county in numerator.counties if county.total == 0]
    assert len(failing) == 14 - numerator.total > 0
    judged = denominator.counties[0].parts[0].made_of[0]
    assert judged is not None
    assert judged.figure["indicator_code"] == "teacher_pay_ratio"
    assert cells_of(judged)


def test_a_withheld_figure_shows_nothing_below_it_either(faulty_home: Path):
    target = Home(faulty_home).published
    with duckdb.connect(str(target), read_only=True) as connection:
        withheld = connection.execute(
            """SELECT indicator_code, area_code, period, caliber_id FROM marts.fct_indicator
               WHERE status = 'withheld' ORDER BY ALL LIMIT 1"""
        ).fetchall()
    assert withheld
    assert trace(target, *withheld[0]).terms == ()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE marts.mart_lineage_cell SET contribution = contribution + 1 WHERE term = 'enrolment.students_total|学前'",
        "DELETE FROM marts.mart_lineage_term WHERE term = 'population.population_total|常住|4'",
        "UPDATE marts.fct_indicator SET numerator_sum = numerator_sum + 1 WHERE area_code = '140900'",
        "UPDATE marts.fct_indicator SET value = value + 0.0001",
    ],
)
def test_what_does_not_add_up_is_a_system_fault(published: Path, published_home: Path, tmp_path: Path, change: str):
    home = Home(tmp_path)
    home.published.parent.mkdir(parents=True)
    shutil.copyfile(published, home.published)
    home.published.chmod(0o644)
    with duckdb.connect(str(home.published)) as connection:
        connection.execute(change)
    with pytest.raises(TraceMismatch):
        trace(home.published, "gross_enrolment_preschool", "140900", "2024-2025")
    words = ["--home", str(tmp_path), "trace", "gross_enrolment_preschool", "--area", "140900", "--period", "2024-2025"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    assert "系统故障" in result.output


def test_the_command_prints_figure_formula_file_hash_and_cell(published_home: Path):
    words = ["--home", str(published_home), "trace", "gross_enrolment_preschool", "--area", "五台县", "--period",
             "2024-2025", "--cells", "2"]  # fmt: skip
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    for expected in ("× 100 =", "分子", "XB02", "XB03", "SHA-256", "第 1 版", "另 "):
        assert expected in result.output


def test_json_and_workbook_hold_every_cell(published_home: Path, published: Path, tmp_path: Path):
    words = [
        "--home",
        str(published_home),
        "trace",
        "gross_enrolment_preschool",
        "--area",
        "五台县",
        "--period",
        "2024-2025",
    ]
    result = CliRunner().invoke(app, [*words, "--json", str(tmp_path / "t.json"), "--xlsx", str(tmp_path / "t.xlsx")])
    assert result.exit_code == 0, result.output
    traced = trace(published, "gross_enrolment_preschool", "五台县", "2024-2025")
    written = json.loads((tmp_path / "t.json").read_text(encoding="utf-8"))
    assert Decimal(written["terms"][0]["total"]) == traced.terms[0].total
    sheet = openpyxl.load_workbook(BytesIO(trace_workbook(traced)))["单元格"]
    assert sheet.max_row - 1 == len(cells_of(traced))
    column = [cell.value for cell in sheet[1]].index("计入")
    total = sum(
        Decimal(str(row[column])) for row in sheet.iter_rows(min_row=2, values_only=True) if row[column] is not None
    )
    assert total == sum(term.total for term in traced.terms)


def test_a_figure_that_is_not_there_is_refused_in_words(published_home: Path, published: Path):
    with pytest.raises(NoSuchFigure):
        trace(published, "gross_enrolment_preschool", "五台县", "2031")
    for words, said in (
        (["nothing"], "gross_enrolment_preschool"),
        (["gross_enrolment_primary", "--area", "某县"], "五台县"),
    ):
        call = ["--home", str(published_home), "trace", *words]
        call += ["--area", "五台县"] * ("--area" not in words) + ["--period", "2024-2025"]
        result = CliRunner().invoke(app, call)
        assert result.exit_code == 2
        assert said in result.output
