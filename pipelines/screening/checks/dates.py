"""Kinds that look at dates: plausible, in order, near a day of the period, the same throughout a group."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import ClassVar

import polars as pl
from great_expectations.compatibility import pydantic
from great_expectations.expectations.core import ExpectColumnPairValuesAToBeGreaterThanB
from great_expectations.expectations.expectation import BatchExpectation

from pipelines.screening.checks.check import Cell, Check, Mistake, Words
from pipelines.screening.checks.excel import BlockOfRows
from pipelines.screening.checks.form import DATA, Form, difference, iso

#: The first of the days from which a spreadsheet counts, and the earliest year that a clerk may have meant by one.
_COUNTED_FROM = (date(1899, 12, 30), date(1904, 1, 1))
_EARLIEST_YEAR = 1860


class ExpectDateToBePlausible(Check, BatchExpectation):
    """`column` is no day before `earliest`, after the period (`within_period`), or that a year typed into a date cell turns into; years
    typed are one finding for the column."""

    check: ClassVar[str] = "date_between"
    dates: ClassVar[Sequence[str]] = ("column",)
    asks_neighbours: ClassVar[bool] = True
    column: str
    earliest: date | None = None
    within_period: bool = False

    def _typed(self, form: Form) -> pl.Expr:
        return DATA & pl.col(self.column).is_not_null() & _year_typed(pl.col(self.column), form).is_not_null()

    def _reason(self, form: Form) -> pl.Expr:
        day, typed, ends = pl.col(self.column), self._typed(form), form.last_day()
        year, rows = _year_typed(day, form), pl.col("source_row").filter(typed)
        reasons = [
            pl.when(typed).then(pl.format("像是在日期格里只填了年份 {}{}", year, _rows_in_words(rows, ["entry"]))),
            *([pl.when(day < self.earliest).then(pl.lit(f"早于 {self.earliest}"))] if self.earliest else []),
        ]
        if self.within_period:
            reasons.append(pl.when(day > ends).then(pl.format("晚于报告期的最后一天 {}", iso(ends))))
        return pl.coalesce(reasons)

    def holds(self, form: Form) -> pl.Expr:
        typed, row = self._typed(form), pl.col("source_row")
        told = ~typed | (row == row.filter(typed).min().over("entry"))
        return pl.when(pl.col(self.column).is_not_null() & told).then(self._reason(form).is_null())

    def cells(self, form: Form) -> list[Cell]:
        return [Cell(self.column, value=iso(pl.col(self.column)), detail=self._reason(form))]

    def words(self, form: Form) -> Words:
        label = form.label(self.column)
        limits = [f"不早于 {self.earliest}"] if self.earliest else []
        limits += ["不晚于报告期的最后一天"] if self.within_period else []
        return Words(
            f"“{label}”{'，'.join(limits)}",
            f"“{label}”读作 {{value}}，{{detail}}。",
            "请改正：按“2009-09-01”的样子写明日期，只知道年、月的写“2009年9月”；确实如此的，请填写核实说明。",
        )

    def problems(self, form: Form) -> Iterator[Mistake]:
        if self.earliest is None and not self.within_period:
            yield Mistake("earliest", "没有写明日期的范围", "写 earliest: 年-月-日，或 within_period: true")

    excel: ClassVar[None] = None  # type: ignore[assignment]  # a question that may be answered, no mistake


class ExpectDatesToBeInOrder(Check, ExpectColumnPairValuesAToBeGreaterThanB):
    """`column` is not after `not_after`; without the other, or where one is a year typed, nothing is out of order."""

    check: ClassVar[str] = "date_order"
    called: ClassVar[Mapping[str, str]] = {"column": "column_B", "not_after": "column_A"}
    dates: ClassVar[Sequence[str]] = ("column_B", "column_A")
    or_equal: bool = True

    def holds(self, form: Form) -> pl.Expr:
        day, other = pl.col(self.column_B), pl.col(self.column_A)
        unknown = other.is_null() | _year_typed(day, form).is_not_null() | _year_typed(other, form).is_not_null()
        return pl.when(day.is_not_null()).then(unknown | (day <= other))

    def cells(self, form: Form) -> list[Cell]:
        day, other = pl.col(self.column_B), pl.col(self.column_A)
        days = difference((day - other).dt.total_days(), 0)
        return [Cell(self.column_B, value=iso(day), expected=iso(other), difference=days)]

    def words(self, form: Form) -> Words:
        label, other = form.label(self.column_B), form.label(self.column_A)
        return Words(
            f"“{label}”不晚于“{other}”", f"“{label}”{{value}} 晚于{other} {{expected}}。", "请改正填错的日期。"
        )

    def excel(self, sheet: BlockOfRows) -> None:
        day, other = sheet.cell(self.column_B), sheet.cell(self.column_A)
        sheet.coloured(self.column_B, f"=AND(ISNUMBER({day}),ISNUMBER({other}),{day}>{other})")


class ExpectDateToBeNear(Check, BatchExpectation):
    """`column` lies no more than `days` from the day `near` (start, end or MM-DD) of the period; rows that share a date off that day are
    one finding."""

    check: ClassVar[str] = "date_near"
    dates: ClassVar[Sequence[str]] = ("column",)
    asks_neighbours: ClassVar[bool] = True
    column: str
    near: str = pydantic.Field(regex=r"^(start|end|(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01]))$")
    days: int = pydantic.Field(ge=0)

    def is_far(self, form: Form) -> pl.Expr:
        return (pl.col(self.column) - form.day(self.near)).dt.total_days().abs() > self.days

    def _judged(self) -> pl.Expr:
        return DATA & pl.col(self.column).is_not_null()

    def holds(self, form: Form) -> pl.Expr:
        row, far = pl.col("source_row"), self.is_far(form)
        first = row == row.filter(self._judged()).min().over("entry", self.column)
        return pl.when(self._judged() & (~far | first)).then(~far)

    def cells(self, form: Form) -> list[Cell]:
        day, due = pl.col(self.column), form.day(self.near)
        year, rows = _year_typed(day, form), pl.col("source_row").filter(self._judged())
        hint = pl.when(year.is_not_null()).then(pl.format("，像是在日期格里只填了年份 {}", year)).otherwise(pl.lit(""))
        return [
            Cell(
                self.column,
                value=iso(day),
                expected=iso(due),
                difference=difference((day - due).dt.total_days(), 0),
                detail=pl.concat_str(_rows_in_words(rows, ["entry", self.column]), hint),
                problem=pl.lit(str(self.days)),
            )
        ]

    def words(self, form: Form) -> Words:
        label = form.label(self.column)
        day = {"start": "报告期的第一天", "end": "报告期的最后一天"}.get(self.near)
        day = day or "报告期的 {} 月 {} 日".format(*map(int, self.near.split("-")))
        return Words(
            f"“{label}”与{day}相差不超过 {self.days} 天",
            f"“{label}”为 {{value}}{{detail}}，与 {{expected}} 相差 {{difference}} 天，超过 {{problem}} 天。",
            f"“{label}”填错的，请改正；只有这一时点的数的，请填写核实说明。",
        )

    excel: ClassVar[None] = None  # type: ignore[assignment]  # a question that may be answered, no mistake


class ExpectDatesToAgree(Check, BatchExpectation):
    """`column` is the same in all rows of each `per`. Days that another rule finds too far off are not compared: they have been asked
    about."""

    check: ClassVar[str] = "date_same"
    dates: ClassVar[Sequence[str]] = ("column",)
    others: ClassVar[Sequence[str]] = ("per",)
    column: str
    per: str

    def holds(self, form: Form) -> pl.Expr:
        return pl.col("days_n") == 1

    def places(self, form: Form, frame: pl.DataFrame) -> pl.DataFrame:
        judged = DATA & pl.col(self.column).is_not_null() & pl.col(self.per).is_not_null()
        for other in form.checks:
            if isinstance(other, ExpectDateToBeNear) and other.column == self.column:
                judged = judged & ~other.is_far(form).fill_null(False)
        group = ["filing", self.per]
        placed = frame.with_row_index("place")
        days = placed.filter(judged).group_by(*group, self.column).agg(pl.len().alias("rows_n"), pl.col("place").min())
        found = (
            days.sort(*group, "place")
            .group_by(*group)
            .agg(
                pl.len().alias("days_n"),
                # Where all agree, the group's first row; else the first that departs from it.
                pl.col("place").slice(0, 2).last(),
                pl.format("{}（{} 行）", iso(pl.col(self.column)), "rows_n").alias("days"),
            )
            .select("place", "days_n", pl.format("{}：{}", self.per, pl.col("days").list.join("、")).alias("said"))
        )
        return placed.select("place", "entry", "filing", "source_row", self.column).join(found, on="place").with_columns(
            self.holds(form).alias("holds")
        ).sort("place")  # fmt: skip

    def cells(self, form: Form) -> list[Cell]:
        return [Cell(self.column, value=iso(pl.col(self.column)), detail=pl.col("said"))]

    def words(self, form: Form) -> Words:
        label, per = form.label(self.column), form.label(self.per)
        return Words(
            f"同一“{per}”各行的“{label}”相同",
            f"同一{per}各行的“{label}”不一致：{{detail}}。",
            f"填错的，请改正“{label}”；确实不同的，请填写核实说明。",
        )

    excel: ClassVar[None] = None  # type: ignore[assignment]  # a question that may be answered, no mistake


def _year_typed(day: pl.Expr, form: Form) -> pl.Expr:
    """The year (of the period or earlier) that becomes this day when it is typed into a cell for dates; null where none does."""
    last = form.last_day().dt.year()
    counted = [(day - pl.lit(first)).dt.total_days() for first in _COUNTED_FROM]
    return pl.coalesce([pl.when(days.is_between(_EARLIEST_YEAR, last)).then(days) for days in counted])


def _rows_in_words(rows: pl.Expr, group: list[str]) -> pl.Expr:
    """（第 5–58 行，共 54 行） of the rows of a group, nothing where there is one."""
    first, last, rows_n = (part.over(group) for part in (rows.min(), rows.max(), rows.len()))
    return pl.when(rows_n > 1).then(pl.format("（第 {}–{} 行，共 {} 行）", first, last, rows_n)).otherwise(pl.lit(""))
