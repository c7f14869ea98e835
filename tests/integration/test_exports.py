"""Exported files: what stands in them, that nothing in them runs, that the same release gives the same bytes."""

import csv
import hashlib
import io
import json
import shutil
from pathlib import Path

import duckdb
import openpyxl
import pyarrow.parquet
import pytest
from typer.testing import CliRunner

from pipelines.cli.main import app
from pipelines.exports.files import export, plain_text
from pipelines.exports.public import declared, public_copy, records_to_hide, undeclared
from pipelines.home import Home
from tests.homes import small_home

INTERNAL_ONLY = ("submission_id", "file_name", "finding", "receipt", "known_at", "school_name", "unmatched_schools")


@pytest.fixture(scope="module")
def published(published_home: Path) -> Path:
    return Home(published_home).published


@pytest.fixture(scope="module")
def internal(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("internal")
    export(published, folder)
    return folder


@pytest.fixture(scope="module")
def public(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("public")
    export(published, folder, profile="public")
    return folder


def tables(published: Path) -> list[str]:
    with duckdb.connect(str(published), read_only=True) as connection:
        return [
            str(name) for (name,) in connection.execute("SELECT table_name FROM duckdb_tables() ORDER BY 1").fetchall()
        ]


def release_of(published: Path) -> str:
    with duckdb.connect(str(published), read_only=True) as connection:
        return str(connection.execute("SELECT release_id FROM marts.release").fetchall()[0][0])


def csv_rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))


def test_every_table_is_there_in_every_format_with_all_its_rows_and_the_release(published: Path, internal: Path):
    release_id = release_of(published)
    manifest = json.loads((internal / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["release_id"] == release_id
    for name, said in manifest["files"].items():
        assert hashlib.sha256((internal / name).read_bytes()).hexdigest() == said["sha256"]
    with duckdb.connect(str(published), read_only=True) as connection:
        for table in tables(published):
            ((rows_n,),) = connection.execute(f"SELECT count(*) FROM marts.{table}").fetchall()
            parquet = pyarrow.parquet.read_table(internal / f"{table}.parquet")
            assert parquet.num_rows == rows_n
            assert parquet.schema.metadata[b"xianbao.release_id"].decode() == release_id
            assert all(field.metadata[b"description"] for field in parquet.schema)
            assert len(csv_rows(internal / f"{table}.csv")) == rows_n == manifest["files"][f"{table}.xlsx"]["rows_n"]
    assert {row["发布编号"] for row in csv_rows(internal / "mart_overview.csv")} == {release_id}


def test_csv_says_what_the_table_says(published: Path, internal: Path):
    assert (internal / "mart_gross_enrolment.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    with duckdb.connect(str(published), read_only=True) as connection:
        expected = {
            (period, area, stage, caliber): ("" if pupils is None else str(pupils), "" if rate is None else f"{rate:f}")
            for period, area, stage, caliber, pupils, rate in connection.execute(
                """SELECT period, area_code, stage, caliber_id, enrolled_n, gross_rate_percent
                   FROM marts.mart_gross_enrolment"""
            ).fetchall()
        }
    rows = csv_rows(internal / "mart_gross_enrolment.csv")
    found = {
        (row["报告期代码"], row["地区代码"], row["学段"], row["口径代码"]): (row["在校学生数"], row["毛入学率"])
        for row in rows
    }
    assert found == expected


def test_a_workbook_has_title_frozen_header_number_formats_notes_and_the_release(published: Path, internal: Path):
    book = openpyxl.load_workbook(internal / "mart_teacher_pay_parity.xlsx")
    assert book.sheetnames == ["数据", "说明"]
    sheet = book["数据"]
    release_id = release_of(published)
    assert sheet["A1"].value == "教师工资比较"
    assert release_id in sheet["A2"].value
    assert sheet.freeze_panes == "C4"
    head = {cell.value: cell.column for cell in sheet[3]}
    money = sheet.cell(4, head["教师工资收入（元）"])
    assert (money.number_format, money.data_type) == ("#,##0.00", "n")
    assert sheet.cell(4, head["地区"]).value == "忻州市"
    notes = [[cell.value for cell in row] for row in book["说明"].iter_rows()]
    assert ["发布编号", None, release_id] in [[row[0], row[1] or None, row[2]] for row in notes]
    assert ["教师工资收入", "元"] in [row[:2] for row in notes]
    wide = openpyxl.load_workbook(internal / "overview_wide.xlsx")["数据"]
    assert (wide.max_row, wide["A4"].value) == (3 + 15, "忻州市")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_text_that_would_start_a_formula_is_quoted(start: str):
    assert plain_text(f"{start}1+1") == f"'{start}1+1"


def test_other_text_and_numbers_are_left_as_they_are():
    assert [plain_text(text) for text in ("五台县", "1-2", "", "a=b")] == ["五台县", "1-2", "", "a=b"]


def test_a_hostile_file_name_runs_in_neither_csv_nor_workbook(published: Path, tmp_path: Path):
    hostile = '=HYPERLINK("http://example.invalid","x")'
    copy = tmp_path / "xianbao.duckdb"
    copy.write_bytes(published.read_bytes())
    with duckdb.connect(str(copy)) as connection:
        connection.execute("UPDATE marts.release_input SET file_name = ?", [hostile])
        connection.execute("DELETE FROM marts.mart_lineage_cell")  # a hundred thousand rows that say nothing here
        connection.execute("UPDATE marts.mart_teacher_pay_parity SET gap_total_yuan = -12.5")
    export(copy, tmp_path / "out", formats=["csv", "xlsx"])
    assert {row["文件名"] for row in csv_rows(tmp_path / "out" / "release_input.csv")} == {"'" + hostile}
    assert {row["差额合计"] for row in csv_rows(tmp_path / "out" / "mart_teacher_pay_parity.csv")} == {"-12.50"}
    sheet = openpyxl.load_workbook(tmp_path / "out" / "release_input.xlsx")["数据"]
    cells = [cell for row in sheet.iter_rows(min_row=4) for cell in row if cell.value == hostile]
    assert cells and all(cell.data_type == "s" and cell.hyperlink is None for cell in cells)


@pytest.mark.long
def test_the_same_release_gives_the_same_bytes(published: Path, internal: Path, tmp_path: Path):
    export(published, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        path.name: path.read_bytes() for path in internal.iterdir()
    }


def test_the_public_export_tells_of_no_file_submission_finding_or_school(published: Path, public: Path):
    assert {path.stem for path in public.glob("*.parquet")} == {*declared().tables, "data_dictionary"}
    for path in public.glob("*.parquet"):
        names = pyarrow.parquet.read_schema(path).names
        assert [name for name in names if any(word in name for word in INTERNAL_ONLY)] == []
    with duckdb.connect(str(published), read_only=True) as connection:
        secrets = [str(value) for (value,) in connection.execute(
            "SELECT DISTINCT submission_id FROM marts.release_input UNION SELECT DISTINCT file_name FROM marts.release_input"
        ).fetchall()]  # fmt: skip
    everything = "".join(path.read_text(encoding="utf-8-sig") for path in public.glob("*.csv"))
    assert secrets
    assert [secret for secret in secrets if secret in everything] == []


def test_everything_published_is_declared_public_or_internal(published: Path):
    assert undeclared(published) == []


def test_a_table_column_or_indicator_without_a_declaration_is_left_out_and_named(published: Path, tmp_path: Path):
    """As after a new return with an indicator, a mart and a column of its own: of three boarders nothing is told."""
    home = small_home(tmp_path / "home", [("140926", "静乐县", "Jingle")])
    home.warehouse.mkdir()
    shutil.copyfile(published, home.published)
    home.published.chmod(0o644)
    with duckdb.connect(str(home.published)) as connection:
        connection.execute(
            "DELETE FROM marts.mart_lineage_cell; DELETE FROM marts.mart_lineage_term; DELETE FROM marts.mart_finding"
        )
        connection.execute("CREATE TABLE marts.mart_boarders AS SELECT area_code, 3 AS boarders_n FROM marts.dim_area")
        connection.execute("ALTER TABLE marts.fct_indicator ADD COLUMN boarders_n INTEGER")
        connection.execute("UPDATE marts.fct_indicator SET boarders_n = 3")
        for table, value in (
            ("fct_indicator", "value"),
            ("mart_overview", "value"),
            ("mart_published_comparison", "computed_value"),
        ):
            # Of a new return, and of a declared one whose record nobody looked at.
            columns = f"REPLACE ('boarders_rate' AS indicator_code, 33333.3 AS {value})"
            connection.execute(
                f"INSERT INTO marts.{table} SELECT * {columns} FROM marts.{table} WHERE indicator_code = 'gross_enrolment_senior'"
            )
        for code, stage in (("boarders_rate", "高中阶段"), ("gross_enrolment_junior", "特殊教育")):
            connection.execute("DELETE FROM marts.dim_indicator WHERE indicator_code = ?", [code])
            connection.execute(
                """INSERT INTO marts.dim_indicator SELECT * REPLACE (? AS indicator_code, ? AS stage) FROM marts.dim_indicator
                   WHERE indicator_code = 'gross_enrolment_senior'""",
                [code, stage],
            )
    out = tmp_path / "out"
    call = ["--home", str(home.root), "export", "--out", str(out), "--format", "parquet", "--profile", "public"]
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 0, result.output
    named = ["mart_boarders", "fct_indicator.boarders_n", "boarders_rate"]
    assert json.loads((out / "manifest.json").read_text(encoding="utf-8"))["left_out"] == named
    assert "、".join(named) in result.output and "public.yaml" in result.output
    assert not (out / "mart_boarders.parquet").exists()
    for path in out.glob("*.parquet"):
        table = pyarrow.parquet.read_table(path)
        assert "boarders_n" not in table.column_names
        codes = set(table.column("indicator_code").to_pylist()) if "indicator_code" in table.column_names else set()
        assert "boarders_rate" not in codes
        assert path.stem == "dim_indicator" or "gross_enrolment_junior" not in codes
        assert "33333.3" not in str(table.to_pydict())


@pytest.mark.parametrize("threshold", [5, 60])
def test_no_small_count_is_shown_and_none_follows_from_a_total(published: Path, threshold: int):
    with public_copy(published, threshold) as connection:
        rows = connection.execute(
            """SELECT period, area_code, programme, tier, is_suppressed, teachers_entitled_n, teachers_paid_n, paid_yuan,
                      paid_teacher_months_n FROM marts.mart_rural_subsidies"""
        ).fetchall()
    assert not any(0 < value < threshold for row in rows for value in row[5:7] if value is not None)
    hidden = {row[:4] for row in rows if row[4]}
    assert hidden
    assert all(row[5:] == (None, None, None, None) for row in rows if row[4])
    # Along each sum a reader knows (areas to the city, tiers to the programme), one hidden record alone would follow.
    with duckdb.connect(str(published), read_only=True) as connection:
        real = {row[:4]: row[4] for row in connection.execute(
            "SELECT period, area_code, programme, tier, paid_yuan FROM marts.mart_rural_subsidies WHERE paid_yuan IS NOT NULL"
        ).fetchall()}  # fmt: skip
    areas: dict[tuple[str, str, str], int] = {}
    tiers: dict[tuple[str, str, str], int] = {}
    for period, area, programme, tier in hidden & set(real):
        areas[period, programme, tier] = areas.get((period, programme, tier), 0) + 1
        tiers[period, area, programme] = tiers.get((period, area, programme), 0) + 1
    assert areas and min(areas.values()) >= 2
    assert tiers and min(tiers.values()) >= 2


def test_indicators_of_a_hidden_record_are_hidden_in_every_table(published: Path):
    # 10,000 pupils: several stages of several counties lie below.
    with public_copy(published, 10_000) as connection:
        connection.execute(
            "CREATE TEMP TABLE gone AS SELECT DISTINCT period, area_code, stage FROM marts.mart_gross_enrolment WHERE is_suppressed"
        )
        ((gone_n, facts_n, shown_n),) = connection.execute(
            """SELECT (SELECT count(*) FROM gone), count(*), count(*) FILTER (WHERE value IS NOT NULL OR formula IS NOT NULL
                          OR numerator_sum IS NOT NULL OR status <> 'suppressed')
               FROM marts.fct_indicator JOIN marts.dim_indicator USING (indicator_code)
               JOIN gone USING (period, area_code, stage)"""
        ).fetchall()
        assert gone_n > 0 and facts_n > gone_n and shown_n == 0
        assert connection.execute(
            """SELECT count(*) FROM marts.mart_overview JOIN marts.dim_indicator USING (indicator_code)
               JOIN gone ON gone.area_code = mart_overview.area_code AND gone.stage = dim_indicator.stage
                        AND gone.period = mart_overview.previous_period
               WHERE previous_value IS NOT NULL OR change IS NOT NULL"""
        ).fetchall() == [(0,)]


def test_a_small_count_in_one_quarter_hides_the_year_that_would_tell_it(published: Path):
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{published}' AS source (READ_ONLY)")
        hidden = records_to_hide(connection, 5)
        small = connection.execute(
            """SELECT DISTINCT left(period, 4), area_code, programme, tier FROM source.marts.mart_rural_subsidies
               WHERE teachers_paid_n BETWEEN 1 AND 4"""
        ).fetchall()
    assert small
    assert {("subsidy", *row) for row in small} <= hidden


def test_a_reserved_symbol_stands_where_a_figure_is_hidden(public: Path):
    rows = [row for row in csv_rows(public / "mart_rural_subsidies.csv") if row["是否隐去"] == "是"]
    assert rows
    assert {row["实发人数"] for row in rows} == {row["实发金额"] for row in rows} == {"*"}
    assert {row["数据状态"] for row in rows} == {"为保护个人信息隐去"}


def test_a_folder_never_mixes_profiles_or_releases(published: Path, tmp_path: Path):
    mine = tmp_path / "说明.txt"
    mine.write_text("mine")
    export(published, tmp_path, formats=["parquet"])
    assert (tmp_path / "mart_finding.parquet").exists()
    export(published, tmp_path, formats=["parquet"], profile="public")
    assert not (tmp_path / "mart_finding.parquet").exists()
    assert mine.exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [(["--format", "pdf"], "--format"), (["--profile", "press"], "--profile"), (["--suppress-below", "1"], "至少为 2")],
)
def test_wrong_options_are_refused_in_words(published_home: Path, tmp_path: Path, options: list[str], told: str):
    result = CliRunner().invoke(
        app, ["--home", str(published_home), "export", "--out", str(tmp_path / "out"), *options]
    )
    assert (result.exit_code, (tmp_path / "out").exists()) == (2, False)
    assert told in result.output


def test_the_command_writes_and_warns_of_what_is_internal(published_home: Path, tmp_path: Path):
    call = ["--home", str(published_home), "export", "--out", str(tmp_path), "--format", "csv"]
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 0
    assert "不得外传" in result.output
    assert (tmp_path / "overview_wide.csv").exists()


def test_without_a_published_file_the_command_says_what_to_do(tmp_path: Path):
    result = CliRunner().invoke(app, ["--home", str(tmp_path), "export", "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert "xianbao run" in result.output
