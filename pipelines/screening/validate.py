"""Great Expectations at the boundary: which expectations of a suite hold on a frame, and where they do not.

Belongs here: everything that knows GX. One validation covers a return's whole batch; rows are told apart by the index
columns. GX is imported inside the function: its import takes seconds, and a run without news never needs it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import polars as pl


class ValidationFault(RuntimeError):
    """An expectation could not be evaluated. The fault is ours, never the county's: the run must fail."""


@dataclass(frozen=True)
class Validation:
    """Per rule id: the index tuples of the rows that break it, in the order of the frame."""

    broken: dict[str, list[tuple[Any, ...]]]


@cache
def _context() -> Any:
    import os

    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig
    from great_expectations.execution_engine import pandas_execution_engine

    # GX hashes every frame twice for a fingerprint that only its own stores use: 40 % of the time on a large batch.
    pandas_execution_engine.hash_pandas_dataframe = lambda _frame: "unused"
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return context


def validate(
    frame: pl.DataFrame, expectations: Sequence[dict[str, Any]], *, name: str, index: Sequence[str]
) -> Validation:
    """Evaluate the expectations on the frame.

    `index`: the columns that name a row. Raises ValidationFault when GX reports an exception, a column that is not there, or
    fewer results than expectations: none of these may pass for a file without faults.
    """
    if not expectations or frame.is_empty():
        return Validation({})
    import great_expectations as gx

    context = _context()
    asserted = list(dict.fromkeys(expectation["kwargs"]["column"] for expectation in expectations))
    if absent := [column for column in asserted if column not in frame.columns]:
        raise ValidationFault(f"{name}: expectations on columns that the batch does not have: {absent}")
    batch = frame.select(
        *index,
        *(
            pl.col(column).cast(pl.Categorical) if frame.schema[column] == pl.String else pl.col(column)
            for column in asserted
        ),
    ).to_pandas()
    source = context.data_sources.add_or_update_pandas(name)
    definition = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe(name)
    # Straight on the batch: putting the suite into a store first costs as much again, and nobody asks the store.
    result = definition.get_batch(batch_parameters={"dataframe": batch}).validate(
        gx.ExpectationSuite(name=name, expectations=list(expectations)),
        result_format={
            "result_format": "COMPLETE",
            "unexpected_index_column_names": list(index),
            "return_unexpected_index_query": False,
            "partial_unexpected_count": 0,
        },
    )
    broken: dict[str, list[tuple[Any, ...]]] = {}
    for outcome in result.results:
        rule_id = outcome.expectation_config.meta["rule"]
        if (outcome.exception_info or {}).get("raised_exception") or _nested_exception(outcome.exception_info):
            raise ValidationFault(f"{name}: {rule_id} could not be evaluated: {outcome.exception_info}")
        rows = outcome.result.get("unexpected_index_list") or []
        if bool(outcome.success) == bool(rows):
            raise ValidationFault(f"{name}: {rule_id} succeeded={outcome.success} with {len(rows)} unexpected rows")
        places = [tuple(_plain(row[column]) for column in index) for row in rows]
        broken.setdefault(rule_id, []).extend(places)
    if len(result.results) != len(expectations):
        raise ValidationFault(f"{name}: {len(expectations)} expectations, {len(result.results)} results")
    return Validation(broken)


def _nested_exception(info: Any) -> bool:
    return isinstance(info, dict) and any(
        isinstance(value, dict) and value.get("raised_exception") for value in info.values()
    )


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value
