"""What a kind of check is: how it is computed, where it shows, what it says, and what the workbook shows of it, in one class.

A kind is a Great Expectations expectation with `Check` before GX's base; its parameters are the fields. It is declared in a catalogue
(`expectations/<return>.yaml`) under its `check` and nowhere else. Belongs here: what all kinds have in common. How many at once are run
over a batch is `engine`; what a rule is (id, level, outcome) is `rules`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar

import polars as pl
from great_expectations.execution_engine import ExecutionEngine
from great_expectations.expectations.expectation_configuration import parse_result_format
from great_expectations.validator.metric_configuration import MetricConfiguration
from great_expectations.validator.validator import ValidationDependencies

from pipelines.periods import Period
from pipelines.screening.checks.excel import BlockOfRows
from pipelines.screening.checks.form import ALL, DATA, Form, clause, difference, figure

#: The one metric of every check: which rows it was asked of, and the cells in which it fails.
METRIC = "rows.failing"
#: What is said of a failing cell besides its place.
SAID = ("value", "expected", "difference", "detail", "problem")


@dataclass(frozen=True)
class Cell:
    """A cell at which a broken rule shows: expressions over the row, each a text; a cell is shown `when` that is true."""

    column: str | pl.Expr
    value: pl.Expr | None = None
    expected: pl.Expr | None = None
    difference: pl.Expr | None = None
    detail: pl.Expr | None = None
    problem: pl.Expr | None = None
    when: pl.Expr = ALL


@dataclass(frozen=True)
class Words:
    """A rule in words: what holds (`rule`), what a finding says, and what to do about it. The last two have placeholders."""

    rule: str
    message: str
    remedy: str


class Mistake(ValueError):
    """A parameter that cannot be used: which, what is wrong with it, and what to do (Chinese)."""

    def __init__(self, parameter: str, message: str, remedy: str) -> None:
        super().__init__(f"{parameter}: {message}")
        self.parameter, self.message, self.remedy = parameter, message, remedy


class Check:
    """The common part of every kind; stands before the GX base among a class's bases.

    `check`: its name in a catalogue. `called`: a parameter's name in a catalogue → the field, where GX has a name of its own for it.
    `rows`: of which rows it is asked. `asks_neighbours`: what is said of a failing cell needs the other rows of its filing. `alike`:
    cells of a column below each other that break it in the same way are told as one. `of_the_table`: it speaks of the table as a whole.
    """

    check: ClassVar[str]
    called: ClassVar[Mapping[str, str]] = {}
    rows: ClassVar[pl.Expr] = DATA
    asks_neighbours: ClassVar[bool] = False
    alike: ClassVar[bool] = False
    of_the_table: ClassVar[bool] = False
    #: Parameters that name columns, of what type these must be (None: any), and parameters that name codes of columns.
    numbers: ClassVar[Sequence[str]] = ()
    dates: ClassVar[Sequence[str]] = ()
    others: ClassVar[Sequence[str]] = ()

    # --- what a kind says -----------------------------------------------------------------------------------------------

    def holds(self, form: Form) -> pl.Expr:
        """Of every row: true, false, or null where it is not asked."""
        raise NotImplementedError

    def cells(self, form: Form) -> list[Cell]:
        """Where a broken row shows, and what is said there."""
        raise NotImplementedError

    def words(self, form: Form) -> Words:
        """The rule in words, the message and the remedy, out of the labels of the form."""
        raise NotImplementedError

    def places(self, form: Form, frame: pl.DataFrame) -> pl.DataFrame | None:
        """For a kind that no single row can answer: one row a place at which it is asked, with `entry`, `filing`, `source_row`,
        `holds`, and what `cells` reads. None: `holds` is asked of every row."""
        return None

    def helpers(self, form: Form, frame: pl.DataFrame) -> tuple[Form, pl.DataFrame]:
        """What is made once before anything is asked; by default nothing."""
        return form, frame

    #: What the official workbook shows of it, or None and why.
    def excel(self, sheet: BlockOfRows) -> None:
        raise NotImplementedError

    def in_cells(self, form: Form, period: Period) -> list[str]:
        """How the header of its column puts it, a line a case; by default not at all."""
        return []

    def printed(self, name: str) -> Sequence[Any] | None:
        """The values of a column that are known before the form is filled."""
        return None

    def rests_on(self) -> tuple[str, ...]:
        """The figures by which it is judged: it waits for the answer where the unit of one of them is in doubt."""
        return ()

    def problems(self, form: Form) -> Iterator[Mistake]:
        """What besides unknown columns is wrong with the parameters."""
        return iter(())

    # --- what follows -----------------------------------------------------------------------------------------------------

    @property
    def about(self) -> str | None:
        """The one column that it is about, if there is one."""
        return getattr(self, "column", None) or getattr(self, "column_B", None)

    @property
    def rule_id(self) -> str:
        return str((getattr(self, "meta", None) or {}).get("rule", self.check))

    def __str__(self) -> str:
        """The rule id: by it GX tells one check's metric from another's."""
        return self.rule_id

    def truth(self, form: Form) -> pl.Expr:
        """`holds` in the rows of which the check is asked, null in others."""
        asked = self.rows & form.where(getattr(self, "where", None))
        if condition := getattr(self, "row_condition", None):  # of the classes that GX has itself
            asked = asked & clause(condition)
        if (doubt := form.in_doubt(self.rests_on())) is not None:
            asked = asked & ~doubt
        return pl.when(asked).then(self.holds(form))

    def mistakes(self, form: Form) -> Iterator[Mistake]:
        """Every parameter that cannot be used with this version of the form, columns that it does not have left out."""
        for parameters, what, fits in (
            (self.numbers, "数", lambda column: column.is_number),
            (self.dates, "日期", lambda column: column.type == "date"),
        ):
            for parameter in parameters:
                for name in names_in(getattr(self, parameter)):
                    if name in form.names and not fits(form.column(name)):
                        yield Mistake(parameter, f"“{name}”不是{what}", f"换成一个{what}的列")
        for name, codes in (getattr(self, "where", None) or {}).items():
            if name in form.names and (unknown := sorted(set(codes) - set(form.column(name).codes))):
                yield Mistake(
                    "where", f"{name} 没有代码{'、'.join(unknown)}", f"可用的有：{'、'.join(form.column(name).codes)}"
                )
        yield from self.problems(form)

    @property
    def allowance(self) -> Decimal:
        """By how much a figure may be off."""
        return getattr(self, "tolerance", Decimal(0))

    def parameters(self) -> dict[str, Any]:
        """What the kind was told, as it goes into JSON."""
        return dict(self.configuration.kwargs)  # type: ignore[attr-defined]

    def reads(self) -> dict[str, list[str]]:
        """Parameter → the columns that it names."""
        found = {
            parameter: names_in(getattr(self, parameter)) for parameter in (*self.numbers, *self.dates, *self.others)
        }
        return found | {"where": list(getattr(self, "where", None) or {})}

    # --- what Great Expectations asks -------------------------------------------------------------------------------------

    def get_validation_dependencies(
        self, execution_engine: ExecutionEngine | None = None, runtime_configuration: dict[str, Any] | None = None
    ) -> ValidationDependencies:
        wanted = (runtime_configuration or {}).get("result_format") or "BASIC"
        metric = MetricConfiguration(METRIC, {}, {"check": self})
        return ValidationDependencies(
            metric_configurations={METRIC: metric}, result_format=parse_result_format(result_format=wanted)
        )

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any] | None = None,
        execution_engine: ExecutionEngine | None = None,
    ) -> dict[str, Any]:
        answer = metrics[METRIC]
        asked_n, failing_n = sum(answer.asked.values()), answer.failing_n
        result = {
            "element_count": asked_n,
            "unexpected_count": failing_n,
            "unexpected_percent": 100 * failing_n / asked_n if asked_n else 0.0,
            **answer.details(execution_engine),
        }
        return {"success": not failing_n, "result": result}  # as a result object GX would put it into JSON at once


def names_in(value: Any) -> list[str]:
    """The column names that a parameter holds: one, a list of them, or such by code."""
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return list(dict.fromkeys(name for names in value.values() for name in names_in(names)))
    return list(dict.fromkeys(name for one in value for name in names_in(one)))


def compared(form: Form, name: str, value: pl.Expr, expected: pl.Expr) -> Cell:
    """A figure beside the one that it should be, and the difference."""
    places = form.places(name)
    return Cell(
        name,
        value=figure(value, places),
        expected=figure(expected, places),
        difference=difference(value - expected, places),
    )
