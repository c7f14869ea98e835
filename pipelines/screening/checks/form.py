"""What every kind of check can ask of a form and of the frame that holds its rows.

Belongs here: what a cell counts as when figures are compared, and which rows of which filings a check is asked of. The frame is that of
`tabulate`; every expression is one over it.
"""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import Any

import polars as pl
from great_expectations.expectations.row_conditions import (
    AndCondition,
    ComparisonCondition,
    Condition,
    NullityCondition,
    Operator,
    OrCondition,
)

from pipelines.periods import Period
from pipelines.returns import Column, ReturnDefinition
from pipelines.returns.definition import day_of
from pipelines.screening.tabulate import READ_STATES

#: Missing codes that mean that nothing is to be added: the figure does not exist, or is counted in another column.
_NOTHING_TO_ADD = ("not_applicable", "included_elsewhere")
#: Where a row stands, in every frame of checks.
PLACE = ("entry", "source_row")
DATA = ~pl.col("is_total")
TOTAL = pl.col("is_total")
ALL = pl.lit(True)


@dataclass(frozen=True)
class Doubt:
    """A unit in doubt: of which figure, which columns share its unit, and the helper column that is true in the rows concerned."""

    column: str
    alike: frozenset[str]
    helper: str


@dataclass(frozen=True)
class Form:
    """One version of a return as its checks see it.

    `checks`: all that are asked of it. `periods`: filing → its period, None where it could not be read. `doubts`: the units that are
    in doubt in some of the rows.
    """

    defined: ReturnDefinition
    checks: tuple[Any, ...] = ()
    periods: Mapping[int, Period | None] | None = None
    doubts: tuple[Doubt, ...] = ()

    def with_doubts(self, doubts: Sequence[Doubt]) -> "Form":
        return replace(self, doubts=(*self.doubts, *doubts))

    @cached_property
    def names(self) -> frozenset[str]:
        return frozenset(column.name for column in self.defined.columns)

    def column(self, name: str) -> Column:
        return self.defined.column(name)

    def label(self, name: str) -> str:
        """A column's label, as it can stand in a message."""
        return plain_words(self.column(name).label)

    def places(self, name: str) -> int:
        return self.column(name).decimal_places

    def group(self, names: Sequence[str]) -> str | None:
        """The group of which these columns are all, where there are more than two."""
        groups = {self.column(name).group for name in names}
        group = groups.pop() if len(groups) == 1 else None
        whole = {column.name for column in self.defined.columns if column.group == group}
        return group if group and whole == set(names) and len(names) > 2 else None

    def code(self, name: str, value: Any) -> str:
        """A code of a column with what it stands for, where it is no word."""
        labels = self.column(name).code_labels
        return plain_words(f"{value}（{labels[value]}）" if value in labels else str(value))

    def of_rows(self, where: Mapping[str, Sequence[str]]) -> str:
        """Of which rows something is said: “学段”为小学、初中的，; without codes those in which the column is filled."""
        parts = [
            f"“{self.label(name)}”" + (f"为{'、'.join(self.code(name, code) for code in codes)}" if codes else "填了")
            for name, codes in where.items()
        ]
        return f"{'、'.join(parts)}的，" if parts else ""

    # --- what a cell counts as ----------------------------------------------------------------------------------------

    def is_countable(self, name: str) -> pl.Expr:
        allowed = self.column(name).missing
        states = [*(state.value for state in READ_STATES), *(code for code in _NOTHING_TO_ADD if code in allowed)]
        return pl.col(f"{name}__state").is_in(states)

    def stated(self, name: str) -> pl.Expr:
        """A figure as it is stated, a scaled integer of 128 bits; null where none is."""
        return pl.when(self.is_countable(name)).then(pl.col(name)).cast(pl.Int128)

    def summand(self, name: str) -> pl.Expr:
        """A term of a sum: a missing code by which nothing is to be added counts 0, what is unread or not reported is null."""
        return pl.when(self.is_countable(name)).then(pl.col(name).fill_null(0)).cast(pl.Int128)

    def summed(self, names: Sequence[str]) -> pl.Expr:
        if not names:
            return pl.lit(0, dtype=pl.Int128)
        return pl.sum_horizontal([self.summand(name) for name in names], ignore_nulls=False)

    def text(self, name: str) -> pl.Expr:
        """What stands in a cell, as it is told."""
        return pl.col(f"{name}__text").fill_null("")

    def where(self, where: Mapping[str, Sequence[str]] | None) -> pl.Expr:
        """The rows of some codes."""
        return pl.all_horizontal([ALL, *(pl.col(name).is_in(list(codes)) for name, codes in (where or {}).items())])

    def in_doubt(self, names: Sequence[str]) -> pl.Expr | None:
        """Where the unit of one of these figures is in doubt: one finding speaks for all that follows from it."""
        helpers = [doubt.helper for doubt in self.doubts if doubt.column in names]
        return pl.any_horizontal(helpers) if helpers else None

    def shares_doubt(self, name: str) -> pl.Expr | None:
        """Where a unit is in doubt that this column shares."""
        helpers = [doubt.helper for doubt in self.doubts if name in doubt.alike]
        return pl.any_horizontal(helpers) if helpers else None

    # --- the period ---------------------------------------------------------------------------------------------------

    def months(self) -> pl.Expr:
        """The months of each filing's period; a year where it could not be read."""
        known = {filing: period.months if period else 12 for filing, period in (self.periods or {}).items()}
        return _by_filing(known, pl.Int64).cast(pl.Int128)

    def last_day(self) -> pl.Expr:
        return _by_filing({filing: period.end for filing, period in self._read_periods.items()}, pl.Date)

    def day(self, day: str) -> pl.Expr:
        """A day that is declared of a period: start, end or MM-DD."""
        days = {filing: day_of(period, day) for filing, period in self._read_periods.items()}
        return _by_filing(days, pl.Date)

    @cached_property
    def _read_periods(self) -> dict[int, Period]:
        return {filing: period for filing, period in (self.periods or {}).items() if period}


def _by_filing(known: Mapping[int, int] | Mapping[int, date], dtype: Any) -> pl.Expr:
    if not known:
        return pl.lit(None, dtype)
    if len(set(known.values())) == 1:  # every filing of a batch: no look-up
        value = next(iter(known.values()))
        return pl.when(pl.col("filing").is_in(list(known))).then(pl.lit(value, dtype))
    return pl.col("filing").replace_strict(dict(known), default=None, return_dtype=dtype)


def all_read(names: Sequence[str]) -> pl.Expr:
    """True where every named column holds a value."""
    return pl.all_horizontal([ALL, *(pl.col(name).is_not_null() for name in names)])


def clause(condition: Condition) -> pl.Expr:
    """A row condition of GX as an expression. Raises TypeError for a string: GX itself has given those up."""
    if isinstance(condition, AndCondition):
        return pl.all_horizontal([clause(one) for one in condition.conditions])
    if isinstance(condition, OrCondition):
        return pl.any_horizontal([clause(one) for one in condition.conditions])
    if isinstance(condition, NullityCondition):
        column = pl.col(condition.column.name)
        return column.is_null() if condition.is_null else column.is_not_null()
    if not isinstance(condition, ComparisonCondition):
        raise TypeError(f"no row condition: {condition!r}")
    column, value = pl.col(condition.column.name), condition.parameter
    if condition.operator in (Operator.IN, Operator.NOT_IN):
        among = column.is_in(list(value))
        return among if condition.operator == Operator.IN else ~among
    compare = {
        Operator.EQUAL: operator.eq, Operator.NOT_EQUAL: operator.ne,
        Operator.LESS_THAN: operator.lt, Operator.LESS_THAN_OR_EQUAL: operator.le,
        Operator.GREATER_THAN: operator.gt, Operator.GREATER_THAN_OR_EQUAL: operator.ge,
    }[Operator(condition.operator)]  # fmt: skip
    found: pl.Expr = compare(column, pl.lit(value))
    return found


def plain_words(text: str) -> str:
    """A text that can stand among placeholders."""
    return text.replace("{", "{{").replace("}", "}}")


# --- figures as they are told -----------------------------------------------------------------------------------------


def figure(scaled: pl.Expr, places: int) -> pl.Expr:
    """A scaled integer as a plain decimal, as `findings.plain_number`: (123450, 2) → 1234.5; null stays null."""
    if places == 0:
        return scaled.cast(pl.Int128).cast(pl.String)
    whole = scaled.cast(pl.Int128)
    size = whole.abs()
    unit = pl.lit(10**places, pl.Int128)
    fraction = (size % unit).cast(pl.String).str.zfill(places).str.strip_chars_end("0")
    point = pl.when(fraction == "").then(pl.lit("")).otherwise(pl.lit("."))
    sign = pl.when(whole < 0).then(pl.lit("-")).otherwise(pl.lit(""))
    return pl.concat_str(sign, (size // unit).cast(pl.String), point, fraction)


def difference(scaled: pl.Expr, places: int) -> pl.Expr:
    """A difference with its sign, as `findings.signed`: +12, -3.5."""
    plus = pl.when(scaled > 0).then(pl.lit("+")).otherwise(pl.lit(""))
    return pl.concat_str(plus, figure(scaled, places))


def iso(day: pl.Expr) -> pl.Expr:
    return day.dt.to_string("%Y-%m-%d")
