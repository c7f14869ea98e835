"""Great Expectations on Polars: one call for all checks, the same cells wherever a suite is read, and no silent pass."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import great_expectations as gx
import polars as pl
import pytest
from builders import faultless_rows, table_of
from checked import PERIODS, asked
from great_expectations.expectations.row_conditions import Column

from pipelines.returns import current_definitions, definition
from pipelines.screening.checks import engine
from pipelines.screening.checks.engine import Answer, CheckFault, PolarsExecutionEngine, Rows, failing, judge
from pipelines.screening.checks.form import Form, clause
from pipelines.screening.checks.suites import as_pandas, gx_suite, read_suite
from pipelines.screening.rules import checks_of, configurations
from pipelines.screening.tabulate import tabulate
from tests.homes import PROJECT

RETURNS = sorted(current_definitions())


def spoilt(return_code: str) -> pl.DataFrame:
    """Two tables of a return in which something of everything is wrong."""
    rows = faultless_rows(return_code, "140902")
    wrong = [dict(row) for row in rows]
    defined = definition(return_code)
    for place, column in enumerate(defined.columns):
        wrong[place % len(wrong)][column.name] = ["约三十", None, "１２", "缺报", "并入", 999_999, -5][place % 7]
    wrong.append(dict(wrong[-1]))
    return tabulate(defined, [(0, table_of(return_code, wrong)), (1, table_of(return_code, [*rows, rows[0]]))])


def rows_of(return_code: str, frame: pl.DataFrame | None = None) -> Rows:
    defined = definition(return_code)
    period = PERIODS[3] if return_code == "rural_subsidy" else PERIODS[12]
    form = Form(defined, checks_of(defined), {0: period, 1: period})
    return Rows(spoilt(return_code) if frame is None else frame, form)


def told(answers: dict[str, Answer]) -> dict[str, Any]:
    return {rule: (one.asked, one.failing_n, one.cells.rows()) for rule, one in answers.items()}


@pytest.mark.parametrize("return_code", RETURNS)
def test_what_great_expectations_finds_is_what_the_pass_finds(return_code: str):
    rows = rows_of(return_code)
    through = judge(rows, configurations(return_code, 1))
    alone = {check.rule_id: one for check, one in zip(rows.form.checks, failing(rows, rows.form.checks), strict=True)}
    assert told(through) == told(alone)
    assert sum(one.failing_n for one in alone.values()) > 3


def test_all_checks_of_a_suite_come_in_one_call(monkeypatch: pytest.MonkeyPatch):
    bundles: list[int] = []
    original = PolarsExecutionEngine.resolve_metric_bundle

    def counted(self: PolarsExecutionEngine, metric_fn_bundle: Any) -> dict[Any, Any]:
        bundle = list(metric_fn_bundle)
        bundles.append(len(bundle))
        return original(self, bundle)

    monkeypatch.setattr(PolarsExecutionEngine, "resolve_metric_bundle", counted)
    judge(rows_of("enrolment"), configurations("enrolment", 1))
    assert [one for one in bundles if one] == [len(checks_of(definition("enrolment")))]


def test_nothing_to_judge_is_no_fault():
    rows = rows_of("school")
    assert judge(rows, []) == {}
    assert judge(Rows(rows.frame.clear(), rows.form), configurations("school", 1)) == {}


def test_a_column_that_the_batch_lacks_is_a_fault():
    rows = rows_of("school")
    with pytest.raises(CheckFault, match="school could not be judged"):
        judge(Rows(rows.frame.drop("opened_on"), rows.form), configurations("school", 1))


def test_an_answer_that_is_lacking_is_a_fault(monkeypatch: pytest.MonkeyPatch):
    original = engine.Validator.graph_validate
    monkeypatch.setattr(engine.Validator, "graph_validate", lambda self, **given: original(self, **given)[:-1])
    with pytest.raises(CheckFault, match=r"\d+ checks, \d+ answers; lacking: "):
        judge(rows_of("school"), configurations("school", 1))


def test_an_answer_that_does_not_add_up_is_a_fault(monkeypatch: pytest.MonkeyPatch):
    original = engine.Validator.graph_validate

    def turned(self: Any, **given: Any) -> list[Any]:
        results = original(self, **given)
        results[0].success = not results[0].success
        return results

    monkeypatch.setattr(engine.Validator, "graph_validate", turned)
    with pytest.raises(CheckFault, match="success="):
        judge(rows_of("school"), configurations("school", 1))


def test_great_expectations_adds_little_to_the_pass():
    """Sixty checks on fifty rows take no more than three times the pass without it, the best of a few."""
    found = asked(
        "enrolment",
        [{**faultless_rows("enrolment", "140902")[0], "school_code": f"14090200{n:02d}"} for n in range(50)],
    )
    rows = Rows(found.frame, Form(found.defined, found.form.checks, found.form.periods))
    known = configurations("enrolment", 1)

    def best(work: Any) -> float:
        took = []
        for _ in range(5):
            start = time.process_time()
            work()
            took.append(time.process_time() - start)
        return min(took)

    judge(rows, known)
    assert best(lambda: judge(rows, known)) <= 3 * best(lambda: failing(rows, rows.form.checks)) + 0.02


def test_no_event_leaves_the_machine():
    judge(rows_of("school"), configurations("school", 1))
    assert os.environ["GX_ANALYTICS_ENABLED"] == "false"


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (Column("c").is_in(["a", "b"]), [True, True, False, None]),
        (Column("c").is_not_in(["a"]), [False, True, True, None]),
        (Column("c").is_null(), [False, False, False, True]),
        ((Column("c") == "a") | (Column("n") > 2), [True, False, True, None]),
        ((Column("n") >= 2) & (Column("n") < 3), [False, True, False, False]),
    ],
)
def test_a_row_condition_of_great_expectations_becomes_an_expression(condition: Any, expected: list[bool | None]):
    frame = pl.DataFrame({"c": ["a", "b", "z", None], "n": [1, 2, 3, 1]})
    assert frame.select(clause(condition)).to_series().to_list() == expected
    assert PolarsExecutionEngine().condition_to_filter_clause(condition) is not None


def test_a_condition_in_a_string_is_no_condition():
    with pytest.raises(TypeError):
        clause('col("c") == 1')  # type: ignore[arg-type]


# --- suites of others -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("return_code", RETURNS)
def test_a_suite_that_was_written_and_read_finds_the_same_cells(return_code: str):
    rows = rows_of(return_code)
    written = json.loads(json.dumps(gx_suite(definition(return_code)).to_json_dict(), ensure_ascii=False))
    read = read_suite(written)
    assert len(read.expectations) == len(rows.form.checks)
    assert told(judge(rows, read.expectation_configurations)) == told(judge(rows, configurations(return_code, 1)))


def test_a_suite_with_an_expectation_that_nobody_knows_is_refused():
    # GX itself logs it and goes on without it.
    written = gx_suite(definition("school")).to_json_dict()
    written["expectations"][0]["type"] = "expect_the_moon"
    with pytest.raises(ValueError, match=r"\d+ expectations, \d+ known"):
        read_suite(written)


#: An ordinary project: its own context on disk, a pandas data source, a validation definition, a checkpoint. Of ours, one import.
_PROJECT = """
import json, os, sys
os.environ["GX_ANALYTICS_ENABLED"] = "false"
import great_expectations as gx, pandas
import pipelines.screening.checks.engine
folder, suite, rows = sys.argv[1:]
context = gx.get_context(mode="file", project_root_dir=folder)
suite = context.suites.add(gx.ExpectationSuite(**json.load(open(suite, encoding="utf-8"))))
asset = context.data_sources.add_pandas("ours").add_dataframe_asset("rows")
batch = asset.add_batch_definition_whole_dataframe("all")
checked = context.validation_definitions.add(gx.ValidationDefinition(name="checked", data=batch, suite=suite))
checkpoint = context.checkpoints.add(gx.Checkpoint(name="all", validation_definitions=[checked], result_format="COMPLETE"))
(result,) = checkpoint.run(batch_parameters={"dataframe": pandas.read_pickle(rows)}).run_results.values()
print(json.dumps({one.expectation_config.meta["rule"]: one.result.get("unexpected_index_list", one.exception_info)
                  for one in result.results if not one.success}))
"""


def test_a_suite_runs_in_an_ordinary_project_of_great_expectations(tmp_path: Path):
    rows = rows_of("rural_subsidy")
    suite, frame = tmp_path / "suite.json", tmp_path / "rows.pickle"
    suite.write_text(json.dumps(gx_suite(definition("rural_subsidy")).to_json_dict(), ensure_ascii=False), "utf-8")
    as_pandas(rows.frame, {0: "2024Q3", 1: "2024Q3"}).to_pickle(frame)
    done = subprocess.run(
        [sys.executable, "-c", _PROJECT, str(tmp_path / "project"), str(suite), str(frame)],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(PROJECT)}, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.strip().splitlines()[-1])
    own = {
        rule: one.cells.to_dicts()
        for rule, one in judge(rows, configurations("rural_subsidy", 1)).items()
        if one.failing_n
    }
    assert found == own


def test_great_expectations_is_the_version_whose_ways_are_known():
    # The engine leans on `graph_validate`, `metric_partial` and the bundle, which are public in practice, not by promise.
    assert gx.__version__.startswith("1.24.")
