"""The committed Superset bundle against the published file; a live Superset is tested by `make test-superset`."""

import sys
from pathlib import Path

import duckdb
import pytest
from ruamel.yaml import YAML

from pipelines.home import PROJECT, Home

sys.path.insert(0, str(PROJECT / "bi" / "superset"))
from bundle import DASHBOARDS, FOLDER, bundle, zip_bundle  # type: ignore[import-not-found]


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


def test_the_zip_opens_the_given_file_read_only(tmp_path: Path):
    import zipfile

    zip_bundle(Path("/data/x.duckdb"), tmp_path / "bundle.zip")
    with zipfile.ZipFile(tmp_path / "bundle.zip") as archive:
        assert (
            "duckdb:////data/x.duckdb?access_mode=read_only" in archive.read("xianbao/databases/xianbao.yaml").decode()
        )
        assert all(name.isascii() for name in archive.namelist())
