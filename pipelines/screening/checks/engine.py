"""Great Expectations on Polars: every check of a suite in one pass over a batch.

Belongs here: the execution engine, the one metric, and the pass itself. GX bundles the checks of a suite and hands them over in one call
(`resolve_metric_bundle`); the pass asks every check of every row in one query and reads the failing rows once more for what is said of
them. What a check computes is its own business. Whoever runs GX on pandas gets the same cells by way of the same pass.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import polars as pl
from great_expectations.core.batch import Batch, BatchMarkers
from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.core.metric_function_types import MetricPartialFunctionTypes
from great_expectations.execution_engine import ExecutionEngine, PandasExecutionEngine
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
from great_expectations.expectations.metrics.metric_provider import MetricProvider, metric_partial, metric_value
from great_expectations.expectations.row_conditions import (
    AndCondition,
    ComparisonCondition,
    NullityCondition,
    OrCondition,
)
from great_expectations.validator.validator import Validator

from pipelines.periods import Period, parse_period
from pipelines.returns import definition
from pipelines.screening.checks.check import METRIC, SAID, Cell, Check
from pipelines.screening.checks.form import PLACE, Form, clause

#: The cells in which a check fails: where, and what is said of each.
CELLS = pl.Schema(
    {
        "entry": pl.Int32,
        "source_row": pl.Int32,
        "column": pl.String,
        **dict.fromkeys(SAID, pl.String),
        "cause": pl.String,
    }
)


class CheckFault(RuntimeError):
    """A check could not be evaluated. The fault is ours, never the county's: the run must fail."""


@dataclass(frozen=True)
class Rows:
    """A batch: the frame of `tabulate`, in the order of entries and rows, and the form with the periods of its filings."""

    frame: pl.DataFrame
    form: Form


@dataclass(frozen=True)
class Answer:
    """What one check found. `asked`: filing → rows of which it was asked; `failing_n`: rows in which it fails; `cells`: as `CELLS`, by row,
    and within a row in the order in which the check names them. `cause`: what cells that are wrong alike have in common."""

    asked: dict[int, int]
    failing_n: int
    cells: pl.DataFrame

    def details(self, engine: ExecutionEngine | None) -> dict[str, Any]:
        """What a result of GX holds of it: a frame on our engine, which is never stored, else plain values."""
        if isinstance(engine, PolarsExecutionEngine):
            return {"unexpected_rows": self.cells, "asked": self.asked}
        return {"unexpected_index_list": self.cells.to_dicts()}


def failing(rows: Rows, checks: Sequence[Check]) -> list[Answer]:
    """Ask every check of every row, in their order."""
    form, frame = rows.form, rows.frame
    for check in form.checks or checks:
        form, frame = check.helpers(form, frame)
    around = {
        number: places for number, check in enumerate(checks) if (places := check.places(form, frame)) is not None
    }
    by_row = [number for number in range(len(checks)) if number not in around]
    truths = (
        frame.lazy().select("filing", *(checks[number].truth(form).alias(str(number)) for number in by_row)).collect()
    )
    counts = truths.group_by("filing").agg(pl.col(str(number)).count() for number in by_row).to_dict(as_series=False)
    fails = truths.select((~pl.col(str(number))).sum() for number in by_row).row(0) if by_row else ()
    failing_n = dict(zip(by_row, fails, strict=True))
    wanted: list[tuple[int, pl.LazyFrame]] = []
    broken = [number for number in by_row if failing_n[number]]
    few = _few(frame, truths, broken)
    for number in broken:
        wanted += _cells(checks[number], number, form, _of_check(checks[number], number, frame, truths, few))
    asked = {number: _counted(counts["filing"], counts[str(number)]) for number in by_row}
    for number, places in around.items():
        counted = places.filter(pl.col("holds").is_not_null()).group_by("filing").len()
        asked[number] = dict(counted.iter_rows())
        at = places.filter(~pl.col("holds"))
        failing_n[number] = at.height
        if at.height:
            wanted += _cells(checks[number], number, form, at.lazy())
    found: dict[int, list[pl.DataFrame]] = {}
    for (number, _), part in zip(wanted, pl.collect_all([one for _, one in wanted]) if wanted else [], strict=True):
        found.setdefault(number, []).append(part)
    return [
        Answer(
            asked[number],
            failing_n[number],
            _in_order(found[number]) if number in found else pl.DataFrame(schema=CELLS),
        )
        for number in range(len(checks))
    ]


def _counted(filings: Sequence[int], counts: Sequence[int]) -> dict[int, int]:
    return {filing: asked_n for filing, asked_n in zip(filings, counts, strict=True) if asked_n}


def _few(frame: pl.DataFrame, truths: pl.DataFrame, broken: Sequence[int]) -> pl.DataFrame:
    """The rows in which anything fails, with what each check found."""
    if not broken:
        return frame.clear()
    found = truths.select((~pl.col(str(number))).fill_null(False).alias(f"__{number}") for number in broken)
    return frame.hstack(found).filter(pl.any_horizontal(found.columns))


def _of_check(check: Check, number: int, frame: pl.DataFrame, truths: pl.DataFrame, few: pl.DataFrame) -> pl.LazyFrame:
    """The rows from which a check says what is wrong: those that fail, or all of their filings, marked."""
    if not check.asks_neighbours:
        return few.lazy().filter(pl.col(f"__{number}"))
    marked = frame.with_columns((~truths[str(number)]).fill_null(False).alias(f"__{number}"))
    return marked.lazy().filter(pl.col(f"__{number}").any().over("filing"))


def _cells(check: Check, number: int, form: Form, rows: pl.LazyFrame) -> Iterable[tuple[int, pl.LazyFrame]]:
    fails = pl.col(f"__{number}") if check.asks_neighbours else pl.lit(True)
    for place, cell in enumerate(check.cells(form)):
        said = {name: getattr(cell, name) for name in SAID}
        yield number, rows.select(
            *PLACE,
            pl.lit(cell.column).alias("column") if isinstance(cell.column, str) else cell.column.alias("column"),
            *(pl.lit("").alias(n) if e is None else e.fill_null("").cast(pl.String).alias(n) for n, e in said.items()),
            _cause(check, cell).alias("cause"),
            pl.lit(place).alias("order"),
            (fails & cell.when).alias("shown"),
        ).filter("shown").drop("shown")  # fmt: skip


def _cause(check: Check, cell: Cell) -> pl.Expr:
    if not check.alike or not isinstance(cell.column, str):
        return pl.lit(None, pl.String)
    text = pl.col(f"{cell.column}__text").fill_null("").str.strip_chars()
    return pl.concat_str(pl.col(f"{cell.column}__state"), pl.lit("\x1f"), text)


def _in_order(parts: list[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(parts).sort(*PLACE, "order").drop("order").cast(CELLS)


# --- Great Expectations -------------------------------------------------------------------------------------------------


class PolarsExecutionEngine(ExecutionEngine[pl.Expr]):
    """GX's engine over a `Rows` batch. It knows one metric and resolves all checks of a suite together."""

    def get_batch_data_and_markers(self, batch_spec: Any) -> tuple[Any, BatchMarkers]:
        """No data source: a batch is handed over as it is. Raises NotImplementedError."""
        raise NotImplementedError

    def get_domain_records(self, domain_kwargs: dict[str, Any]) -> Any:
        return self.batch_manager.active_batch_data

    def get_compute_domain(
        self, domain_kwargs: dict[str, Any], domain_type: Any, accessor_keys: Iterable[str] | None = None
    ) -> tuple[Any, dict[str, Any], dict[str, Any]]:
        return self.batch_manager.active_batch_data, dict(domain_kwargs), {}

    def resolve_metric_bundle(self, metric_fn_bundle: Iterable[Any]) -> dict[Any, Any]:
        """Called by GX with every check of the suite."""
        bundle = list(metric_fn_bundle)
        if not bundle:
            return {}
        answers = failing(self.batch_manager.active_batch_data, [one.metric_fn for one in bundle])
        return {one.metric_configuration.id: answer for one, answer in zip(bundle, answers, strict=True)}

    def _comparison_condition_to_filter_clause(self, condition: ComparisonCondition) -> pl.Expr:
        return clause(condition)

    def _nullity_condition_to_filter_clause(self, condition: NullityCondition) -> pl.Expr:
        return clause(condition)

    def _and_condition_to_filter_clause(self, condition: AndCondition) -> pl.Expr:
        return clause(condition)

    def _or_condition_to_filter_clause(self, condition: OrCondition) -> pl.Expr:
        return clause(condition)


class FailingCells(MetricProvider):
    """The one metric. On our engine a partial, so that GX bundles all of a suite; on pandas the same pass, a check at a time."""

    metric_name, domain_keys, value_keys = METRIC, ("batch_id",), ("check",)

    @metric_partial(
        engine=PolarsExecutionEngine,
        partial_fn_type=MetricPartialFunctionTypes.AGGREGATE_FN,
        domain_type=MetricDomainTypes.TABLE,
    )
    def _partial(cls, metric_value_kwargs: Mapping[str, Any], **_: Any) -> tuple[Check, dict[str, Any], dict[str, Any]]:
        return metric_value_kwargs["check"], {}, {}

    @metric_value(engine=PandasExecutionEngine)
    def _pandas(cls, execution_engine: Any, metric_value_kwargs: Mapping[str, Any], **_: Any) -> Answer:
        check = metric_value_kwargs["check"]
        frame = pl.from_pandas(execution_engine.get_domain_records({}))
        return failing(rows_of(frame, check.meta), [check])[0]


def rows_of(frame: pl.DataFrame, meta: Mapping[str, Any]) -> Rows:
    """A frame from elsewhere as a batch: the return and version are those that a rule's `meta` names; a column `period`, where there is
    one, holds the period code of each filing."""
    from pipelines.screening.rules import checks_of

    defined = definition(meta["return"], meta["version"])
    kept = {"entry": pl.Int32, "filing": pl.Int32, "source_row": pl.Int32, "is_total": pl.Boolean}
    frame = frame.with_columns(pl.col(name).cast(dtype) for name, dtype in kept.items())
    frame = frame.with_columns(
        pl.col(column.name).cast(pl.Int64 if column.is_number else pl.Date if column.type == "date" else pl.String)
        for column in defined.columns
    ).sort(*PLACE)
    periods: dict[int, Period | None] = dict.fromkeys(frame["filing"].unique().to_list())
    if "period" in frame.columns:
        periods = {filing: parse_period(code) for filing, code in frame.select("filing", "period").unique().iter_rows()}
    return Rows(frame, Form(defined, checks_of(defined), periods))


# --- the boundary -------------------------------------------------------------------------------------------------------


@cache
def _context() -> Any:
    """Only so that no progress bar is shown."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return context


def judge(rows: Rows, configurations: Sequence[ExpectationConfiguration]) -> dict[str, Answer]:
    """Rule id → what was found, by one validation of GX over the batch.

    Raises CheckFault when a check cannot be evaluated or an answer is lacking: neither may pass for a file without faults.
    """
    if not configurations or rows.frame.is_empty():
        return {}
    engine = PolarsExecutionEngine()
    try:
        validator = Validator(execution_engine=engine, batches=[Batch(data=rows)], data_context=_context())
        results = validator.graph_validate(
            configurations=list(configurations),
            runtime_configuration={"catch_exceptions": False, "result_format": {"result_format": "COMPLETE"}},
        )
    except Exception as error:
        raise CheckFault(f"{rows.form.defined.return_code} could not be judged: {error}") from error
    found = {}
    for result in results:
        rule_id = result.expectation_config.meta["rule"]
        told = result.result
        if (result.exception_info or {}).get("raised_exception") or bool(result.success) == bool(
            told["unexpected_count"]
        ):
            raise CheckFault(f"{rule_id}: success={result.success}, {told.get('unexpected_count')} failing")
        found[rule_id] = Answer(told["asked"], told["unexpected_count"], told["unexpected_rows"])
    wanted = {one.meta["rule"] for one in configurations}
    if set(found) != wanted:
        raise CheckFault(
            f"{len(configurations)} checks, {len(results)} answers; lacking: {sorted(wanted - set(found))}"
        )
    return found
