"""The models that follow from the definitions: their columns over all versions, their descriptions, and where they are written."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines import rule_files
from pipelines.returns import return_versions
from pipelines.warehouse import dbt
from pipelines.warehouse.generated_models import generated_files, is_written, write_generated
from tests.unit.declared import declared

_CODE = {"name": "school_code", "label": "学校标识码", "type": "text", "required": True}
_STAFF = {
    "name": "staff",
    "label": "教职工数",
    "type": "count",
    "unit": "人",
    "required": True,
    "missing": ["not_reported"],
}
_POST = {"name": "post", "label": "岗位", "type": "code", "codes": ["专任", "工勤"], "required": True}
_GONE = {"name": "rooms", "label": "教室数", "type": "count", "unit": "间", "required": True}


def _form(version: int, key: list[str], *columns: dict[str, Any]) -> dict[str, Any]:
    return {
        "return": "staffing", "form": "XB90", "version": version, "title": "教职工统计表", "title_en": "Staff",
        "period_types": ["school_year"], "key": key, "row_label": "school_code", "columns": list(columns),
    }  # fmt: skip


@pytest.fixture
def two_versions(tmp_path: Path):
    forms = [_form(1, ["school_code"], _CODE, _STAFF, _GONE), _form(2, ["school_code", "post"], _CODE, _POST, _STAFF)]
    with declared(tmp_path / "declared", forms):
        yield


def _documents(name: str) -> Any:
    text = generated_files(dbt.DBT_PROJECT)[f"models/staging/generated/{name}"]
    return json.loads(text.partition("\n")[2])


def test_a_landing_table_has_the_columns_of_every_version(two_versions: None):
    versions = return_versions()["staffing"]
    assert [column.name for column in versions.columns] == ["school_code", "post", "staff", "rooms"]
    assert versions.key == ("school_code", "post")
    assert versions.lacking("post") == (1,) and versions.lacking("rooms") == (2,) and not versions.lacking("staff")
    (source,) = _documents("landing.yml")["sources"]
    (table,) = source["tables"]
    assert [column["name"] for column in table["columns"]] == [
        "submission_id", "screening_seq", "county_code", "period", "sheet", "source_row",
        "school_code", "post", "staff", "rooms", "missing_codes",
    ]  # fmt: skip


def test_staging_says_what_a_column_holds_and_whose_rows_lack_it(two_versions: None):
    (model,) = _documents("staging.yml")["models"]
    said = {column["name"]: (column["data_type"], column["description"]) for column in model["columns"]}
    assert said["staff"] == ("bigint", "教职工数（人）；空值的原因见 missing_codes")
    assert said["rooms"] == ("bigint", "教室数（间）；第 2 版报表没有这一列，其行为空")
    assert model["description"].startswith("粒度：county_code × period × school_code × post。XB90 教职工统计表")
    grain = model["data_tests"][0]["unique_grain"]["arguments"]["columns"]
    assert grain == ["county_code", "period", "school_code", "coalesce(cast(post as string), '')"]
    sql = generated_files(dbt.DBT_PROJECT)["models/staging/generated/stg_staffing.sql"]
    assert "    landed.post,\n    landed.staff,\n    landed.rooms,\n" in sql and "rows_in_force('staffing')" in sql


def test_what_no_longer_follows_is_removed_and_nothing_else_is_touched(two_versions: None, tmp_path: Path):
    project = tmp_path / "project"
    for name in ("models/staging/generated/stg_old.sql", "models/staging/stg_by_hand.sql"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("select 1")
    template = project / "per_return" / "intermediate" / "int_of_RETURN.sql"
    template.parent.mkdir(parents=True)
    template.write_text("{{ of('$return') }}\n")
    write_generated(project)
    assert is_written(project)
    assert not (project / "models/staging/generated/stg_old.sql").exists()
    assert (project / "models/staging/stg_by_hand.sql").exists()
    made = project / "models/intermediate/generated/int_of_staffing.sql"
    assert made.read_text().endswith("{{ of('staffing') }}\n")
    before = made.stat().st_mtime_ns
    write_generated(project)
    assert made.stat().st_mtime_ns == before


def test_the_digest_of_the_project_follows_the_definitions(two_versions: None):
    with_staff = dbt.project_digest()
    rule_files._instead.clear()
    rule_files.forget()
    try:
        assert dbt.project_digest() != with_staff
        assert "stg_school.sql" in " ".join(generated_files(dbt.DBT_PROJECT))
    finally:
        rule_files._instead.append(Path("gone"))  # the fixture takes it off


def test_a_home_with_a_return_of_its_own_has_the_project_for_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("XIANBAO_RETURNS", raising=False)
    before = {path: path.stat().st_mtime_ns for path in dbt.DBT_PROJECT.rglob("generated/*")}
    home = tmp_path / "home"
    (home / "returns").mkdir(parents=True)
    (home / "expectations").mkdir()
    (home / "returns" / "staffing.v1.yaml").write_text(json.dumps(_form(1, ["school_code"], _CODE, _STAFF)))
    (home / "expectations" / "staffing.yaml").write_text("rules: []\n")
    monkeypatch.setattr(rule_files, "_home", [])
    monkeypatch.setenv("XIANBAO_HOME", str(home))
    rule_files.forget()
    try:
        assert {"school", "staffing"} <= set(return_versions())
        project = dbt.project_folder()
        assert project.is_relative_to(home / "warehouse" / "private")
        assert is_written(project)
        assert (project / "models/staging/generated/stg_staffing.sql").exists()
        assert (project / "models/staging/stg_filing.sql").read_bytes() == (
            dbt.DBT_PROJECT / "models/staging/stg_filing.sql"
        ).read_bytes()
    finally:
        monkeypatch.delenv("XIANBAO_HOME")
        rule_files.forget()
    assert "staffing" not in return_versions()
    assert {path: path.stat().st_mtime_ns for path in dbt.DBT_PROJECT.rglob("generated/*")} == before
