"""Great Expectations at the boundary: what it cannot judge is our fault and stops the run, never a silent pass."""

import ast
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from pipelines.screening.validate import ValidationFault, _context, validate

FRAME = pl.DataFrame(
    {
        "entry": [0, 0, 1],
        "source_row": [4, 5, 4],
        "ok__a": [True, False, None],
        "b__state": ["value", "dash", "blank"],
    },
    schema_overrides={"entry": pl.Int32, "source_row": pl.Int32},
)


def expectation(rule: str, column: str, allowed: list[Any], **more: Any) -> dict[str, Any]:
    kwargs = {"column": column, "value_set": allowed}
    return {"type": "expect_column_values_to_be_in_set", "kwargs": kwargs, "meta": {"rule": rule}, **more}


A, B = expectation("X-1c-a", "ok__a", [True]), expectation("X-1a-b", "b__state", ["value"])


def run(expectations: list[dict[str, Any]], frame: pl.DataFrame = FRAME) -> dict[str, list[tuple[Any, ...]]]:
    return validate(frame, expectations, name="trial", index=("entry", "source_row")).broken


def test_each_rule_names_the_rows_that_break_it_and_null_breaks_nothing():
    assert run([A, B]) == {"X-1c-a": [(0, 5)], "X-1a-b": [(0, 5), (1, 4)]}


def test_a_rule_without_broken_rows_is_there_with_none():
    assert run([A], FRAME.filter(pl.col("source_row") == 4)) == {"X-1c-a": []}


def test_rows_are_named_in_plain_integers():
    assert {type(part) for place in run([B])["X-1a-b"] for part in place} == {int}


def test_the_same_return_can_be_validated_again_with_other_rules():
    assert set(run([A])) == {"X-1c-a"}
    assert set(run([B])) == {"X-1a-b"}


def test_nothing_to_judge_is_no_fault():
    assert run([]) == {}
    assert run([A], FRAME.clear()) == {}


def test_a_column_that_the_batch_lacks_is_a_fault():
    with pytest.raises(ValidationFault, match="ok__gone"):
        run([A, expectation("X-1c-gone", "ok__gone", [True])])


def test_an_exception_inside_an_expectation_is_a_fault():
    text = {
        "type": "expect_column_values_to_be_between",
        "kwargs": {"column": "b__state", "min_value": 1},
        "meta": {"rule": "X-1c-t"},
    }
    with pytest.raises(ValidationFault, match="X-1c-t"):
        run([text])


def test_an_expectation_that_great_expectations_drops_is_a_fault():
    # It logs an unknown expectation and goes on without it.
    unknown = {"type": "expect_the_moon", "kwargs": {"column": "ok__a"}, "meta": {"rule": "X-1c-moon"}}
    with pytest.raises(ValidationFault, match="2 expectations, 1 results"):
        run([A, unknown])


def _outcome(rule: str, *, success: bool, rows: list[dict[str, int]], exception: Any = None) -> Any:
    return SimpleNamespace(
        expectation_config=SimpleNamespace(meta={"rule": rule}),
        success=success,
        result={"unexpected_index_list": rows},
        exception_info=exception,
    )


@pytest.mark.parametrize(
    ("outcomes", "complaint"),
    [
        ([_outcome("X-1c-a", success=True, rows=[])], "2 expectations, 1 results"),
        ([_outcome("X-1c-a", success=False, rows=[])], "succeeded=False with 0"),
        ([_outcome("X-1c-a", success=True, rows=[{"entry": 0, "source_row": 4}])], "succeeded=True with 1"),
        ([_outcome("X-1c-a", success=False, rows=[], exception={"raised_exception": True})], "could not be evaluated"),
        (
            [_outcome("X-1c-a", success=False, rows=[], exception={"('column', 'x')": {"raised_exception": True}})],
            "could not be evaluated",
        ),
    ],
)
def test_an_answer_that_does_not_add_up_is_a_fault(monkeypatch, outcomes, complaint):
    from great_expectations.datasource.fluent.interfaces import Batch

    monkeypatch.setattr(Batch, "validate", lambda *_, **__: SimpleNamespace(results=list(outcomes)))
    with pytest.raises(ValidationFault, match=complaint):
        run([A, B])


# The hook that spares the fingerprint of every frame ------------------------------------------------------------------


def test_the_fingerprint_hook_is_still_called_by_name_in_great_expectations():
    from great_expectations.execution_engine import pandas_execution_engine as engine

    assert engine.__file__
    tree = ast.parse(Path(engine.__file__).read_text(encoding="utf-8"))
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert "hash_pandas_dataframe" in called


def test_a_validation_does_not_hash_its_frame():
    from great_expectations.execution_engine import pandas_execution_engine as engine

    _context()
    assert engine.hash_pandas_dataframe(object()) == "unused"
    assert run([A]) == {"X-1c-a": [(0, 5)]}


def test_no_event_leaves_the_machine():
    import os

    _context()
    assert os.environ["GX_ANALYTICS_ENABLED"] == "false"
