"""The models' own unit tests (hand-computed rows), run on a copy of a built home; and what every model must declare."""

import json
import shutil
from pathlib import Path

import duckdb
import pytest

from pipelines.home import Home
from pipelines.warehouse import dbt


@pytest.fixture(scope="module")
def manifest() -> dict:
    return json.loads(dbt.manifest_json().read_bytes())


def test_hand_computed_rows_come_out_of_every_model_that_computes(published_home: Path, tmp_path: Path, manifest: dict):
    home = Home(tmp_path)
    home.private.mkdir(parents=True)
    for name in ("build_database", "marts_database"):
        shutil.copyfile(getattr(Home(published_home), name), getattr(home, name))
    outcome = dbt.run_unit_tests(home)
    failed = {node.unique_id for node in outcome if node.status != "pass"}
    assert failed == set()
    assert {node.unique_id for node in outcome} == set(manifest["unit_tests"])


def test_an_indicator_that_nothing_computes_fails_and_gets_no_numbers(published_home: Path, tmp_path: Path):
    home = Home(tmp_path)
    home.private.mkdir(parents=True)
    for name in ("build_database", "marts_database"):
        shutil.copyfile(getattr(Home(published_home), name), getattr(home, name))
    with duckdb.connect(str(home.build_database)) as connection:
        connection.execute(
            """INSERT INTO declared.indicator SELECT * REPLACE ('per_class' AS indicator_code) FROM declared.indicator
               WHERE indicator_code = 'gross_enrolment_junior'"""
        )
    with pytest.raises(dbt.DbtFault, match=r"every_indicator_is_delivered: Got \d+ results?"):
        dbt._invoke(home, "test", ["--select", "every_indicator_is_delivered"])


def test_the_indicator_models_have_unit_tests_for_every_edge(manifest: dict):
    tested = {test["model"] for test in manifest["unit_tests"].values()}
    assert {"mart_gross_enrolment", "mart_teacher_pay_parity", "mart_rural_subsidies", "fct_indicator"} <= tested
    assert len(manifest["unit_tests"]) >= 20


def test_every_model_has_a_contract_a_grain_test_and_every_column_described(manifest: dict):
    lacking = []
    tested = {
        parent
        for node in manifest["nodes"].values()
        if node.get("test_metadata", {}).get("name") == "unique_grain"
        or node.get("test_metadata", {}).get("kwargs", {}).get("grain")
        for parent in node["depends_on"]["nodes"]
    }
    for unique_id, node in manifest["nodes"].items():
        if node["resource_type"] != "model" or node["fqn"][1] in ("intermediate", "checks"):
            continue
        if not node["config"]["contract"]["enforced"]:
            lacking.append((unique_id, "contract"))
        if unique_id not in tested:
            lacking.append((unique_id, "grain test"))
        if not node["description"] or any(not column["description"] for column in node["columns"].values()):
            lacking.append((unique_id, "description"))
    assert lacking == []


def test_every_model_of_rules_across_filings_has_the_one_contract(manifest: dict):
    models = [node for node in manifest["nodes"].values() if node["name"].startswith("check_")]
    assert len({tuple(node["columns"]) for node in models}) == 1
    assert all(node["description"] for node in models)


def test_the_public_tables_are_an_exposure(manifest: dict):
    assert manifest["exposures"]


def test_touched_returns_select_their_models_and_the_boards():
    assert dbt.selection({"*", "school"}) == []
    assert dbt.selection({"school", dbt.FINDINGS_ONLY}) == [
        "source:landing.school+",
        "stg_filing",
        "int_source",
        "mart_finding",
        "mart_submission_status",
        "mart_filing_version",
        "mart_decision",
        "fct_indicator",
        "mart_overview",
    ]
