"""Kinds that ask whether the right rows are there: none twice, none lacking."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

import polars as pl
from great_expectations.expectations.expectation import BatchExpectation

from pipelines.screening.checks.check import Cell, Check, Mistake, Words
from pipelines.screening.checks.excel import BlockOfRows
from pipelines.screening.checks.form import Form, all_read

Names = tuple[str, ...]


class ExpectKeyToBeUnique(Check, BatchExpectation):
    """No table holds a row with the same values of `columns` (the form's key, where none are named) twice; the first stands, the others are
    found. Unlike GX's compound key it blames no row that came first, and takes a key of one column."""

    check: ClassVar[str] = "unique_key"
    others: ClassVar[Sequence[str]] = ("columns",)
    columns: Names = ()

    def key(self, form: Form) -> Names:
        return self.columns or form.defined.key

    def holds(self, form: Form) -> pl.Expr:
        key = self.key(form)
        first = pl.struct("entry", "is_total", *key).is_first_distinct()  # rows stand in the order of the sheet
        return pl.when(all_read(key)).then(first)

    def cells(self, form: Form) -> list[Cell]:
        return [Cell(self.key(form)[0], value=form.text(self.key(form)[0]))]

    def words(self, form: Form) -> Words:
        *others, last = (form.label(name) for name in self.key(form))
        key = f"{'、'.join(others)}与{last}" if others else last
        return Words(
            f"{key}不重复",
            f"{key}重复，前面已有相同的一行。",
            "同一单位填了两行的，合并为一行；标识码抄错的，改正标识码；多余的一行请删除。",
        )

    def excel(self, sheet: BlockOfRows) -> None:
        sheet.repeated(self.columns or sheet.defined.key)


class ExpectColumnToBeComplete(Check, BatchExpectation):
    """For every value of `per` that is there, `column` takes each of `values`; `values` may be written 0..17."""

    check: ClassVar[str] = "complete"
    numbers: ClassVar[Sequence[str]] = ("column",)
    others: ClassVar[Sequence[str]] = ("per",)
    column: str
    per: Names = ()
    values: tuple[int, ...]

    def holds(self, form: Form) -> pl.Expr:
        return pl.col("lacking").list.len() == 0

    def places(self, form: Form, frame: pl.DataFrame) -> pl.DataFrame:
        """The first row of each group."""
        # A value or group that could not be read has its own finding; what is missing besides cannot be told.
        read = all_read([*self.per, self.column])
        found = (
            frame.filter(~pl.col("is_total"))
            .filter(read.all().over("filing"))
            .group_by("filing", *self.per, maintain_order=True)
            .agg(
                pl.col(self.column).drop_nulls().unique().alias("found"),
                pl.col("entry").first(),
                pl.col("source_row").first(),
            )
        )
        wanted = pl.Series("wanted", [list(self.values)] * found.height, dtype=pl.List(pl.Int64))
        lacking = pl.lit(wanted).list.set_difference("found").list.sort()
        return found.with_columns(lacking.alias("lacking")).with_columns(self.holds(form).alias("holds"))

    def cells(self, form: Form) -> list[Cell]:
        return [Cell(self.column, detail=pl.col("lacking").list.eval(pl.element().cast(pl.String)).list.join("、"))]

    def words(self, form: Form) -> Words:
        column = form.column(self.column)
        span = f"{min(self.values)}–{max(self.values)}" if len(self.values) > 2 else "、".join(map(str, self.values))
        unit = column.unit or ""
        each = f"每个{form.label(self.per[0])}" if self.per else "全表"
        return Words(
            f"{each}报齐“{form.label(self.column)}” {span} {unit}各行".rstrip(),
            f"缺少 {{detail}} {unit}的数据。" if unit else f"缺少“{form.label(self.column)}”为 {{detail}} 的行。",
            f"{each}须报齐 {span} {unit}各{unit or '行'}。" if self.per else "请补齐所缺的行。",
        )

    def problems(self, form: Form) -> Iterator[Mistake]:
        if self.column in form.names and form.column(self.column).type != "count":
            yield Mistake("column", f"“{self.column}”不是整数的列", "换成一个计数的列")
        if self.column in self.per:
            yield Mistake("per", f"“{self.column}”不能既是分组又是要报齐的列", "从 per 里去掉它")
        if not self.values:
            yield Mistake("values", "没有写明要报齐哪些值", "写成 values: 0..17 或 values: [0, 1, 2]")

    def printed(self, name: str) -> Sequence[int] | None:
        return self.values if name == self.column else None

    excel: ClassVar[None] = None  # type: ignore[assignment]  # the rows are printed: none can be lacking
