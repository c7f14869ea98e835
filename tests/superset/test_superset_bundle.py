"""The committed Superset bundle against the published file; a live Superset is tested by `make test-superset`."""

import sys
from pathlib import Path

import duckdb
import pytest
from ruamel.yaml import YAML

from pipelines.home import PROJECT, Home

sys.path.insert(0, str(PROJECT / "bi" / "superset"))
from bundle import DASHBOARDS, FOLDER, NUMBER_FORMATS, bundle, zip_bundle  # type: ignore[import-not-found]


def committed() -> dict[str, object]:
    yaml = YAML(typ="safe")
    return {path.relative_to(FOLDER).as_posix(): yaml.load(path) for path in FOLDER.rglob("*.yaml")}


def test_the_bundle_is_what_its_script_makes_of_the_published_file(published_home: Path):
    made = bundle(Home(published_home).published)
    assert sorted(committed()) == sorted(made)
    for path, content in committed().items():
        assert content == made[path], (
            f"{path}: run `python bi/superset/bundle.py write` on a published file and commit it"
        )


@pytest.mark.parametrize(
    "chart", [chart for _, rows in DASHBOARDS.values() for row in rows for chart in row], ids=lambda one: one.name
)
def test_every_chart_finds_its_columns_and_rows(published_home: Path, chart):
    dataset = committed()[f"datasets/xianbao/{chart.dataset}.yaml"]
    where = " AND ".join(
        f'"{column}" IS NOT NULL' if value is None
        else f'"{column}" IN ({", ".join(repr(one) for one in (value if isinstance(value, list) else [value]))})'
        for column, value in chart.where.items()
    )  # fmt: skip
    selected = ", ".join([*(f'"{name}"' for name in (*chart.by, *chart.series)), *chart.metrics.values()])
    grouped = " GROUP BY ALL" if chart.metrics else ""
    with duckdb.connect(str(Home(published_home).published), read_only=True) as connection:
        rows = connection.execute(
            f"SELECT {selected} FROM ({dataset['sql']}) WHERE {where or 'true'}{grouped}"
        ).fetchall()
    assert rows
    if chart.metrics:
        # One row of the table is behind every mark, so that max() makes nothing up.
        assert len({row[: -len(chart.metrics)] for row in rows}) == len(rows)


def tables() -> dict[str, list[str]]:
    """Chart that is a table of figures → its columns."""
    return {chart.name: list(chart.by) for _, rows in DASHBOARDS.values() for row in rows for chart in row
            if chart.kind == "table" and chart.dataset != "release"}  # fmt: skip


def test_every_number_of_a_table_has_a_format_and_no_text_has_one(published_home: Path):
    files = committed()
    with duckdb.connect(str(Home(published_home).published), read_only=True) as connection:
        for name, columns in tables().items():
            formats = files[f"charts/{name}.yaml"]["params"]["column_config"]
            sql = files[f"datasets/xianbao/{_chart(name).dataset}.yaml"]["sql"]
            kinds = {row[0]: row[1] for row in connection.execute(f"DESCRIBE {sql}").fetchall()}
            numbers = {column for column in columns if kinds[column].startswith(("DECIMAL", "BIGINT", "INTEGER"))}
            assert set(formats) == numbers, name


def test_every_ending_of_a_number_format_fits_a_column_of_some_table():
    columns = {column for shown in tables().values() for column in shown}
    unused = [end for endings in NUMBER_FORMATS for end in endings if not any(one.endswith(end) for one in columns)]
    assert unused == []


def test_every_table_of_figures_says_how_complete_they_are_and_mixed_units_are_named():
    for name, columns in tables().items():
        assert "数据状态" in columns, name
        assert "指标值" not in columns or "单位" in columns, name


def _chart(name: str):
    return next(chart for _, rows in DASHBOARDS.values() for row in rows for chart in row if chart.name == name)


def test_the_zip_opens_the_given_file_read_only(tmp_path: Path):
    import zipfile

    zip_bundle(Path("/data/x.duckdb"), tmp_path / "bundle.zip")
    with zipfile.ZipFile(tmp_path / "bundle.zip") as archive:
        assert (
            "duckdb:////data/x.duckdb?access_mode=read_only" in archive.read("xianbao/databases/xianbao.yaml").decode()
        )
        assert all(name.isascii() for name in archive.namelist())
