"""Kinds that hold a figure against others of its row, and a total row against the rows above or below it."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar

import polars as pl
from great_expectations.compatibility import pydantic
from great_expectations.expectations.core import ExpectColumnPairValuesAToBeGreaterThanB
from great_expectations.expectations.expectation import BatchExpectation

from pipelines.periods import Period
from pipelines.screening.checks.check import Cell, Check, Mistake, Words, compared, names_in
from pipelines.screening.checks.excel import BlockOfRows
from pipelines.screening.checks.form import TOTAL, Form, all_read, plain_words

Names = tuple[str, ...]
#: Digits of a product, scaled: what is added to it still fits into 128 bits.
_MOST_DIGITS = 36
#: As many columns as none can be wrong in: a block that is not there.
_NOWHERE = 1 << 20


class ExpectColumnToEqualSumOfParts(Check, BatchExpectation):
    """`column` = Σ `parts` − Σ `less`, within `tolerance`.

    `parts` may depend on a code: code of `by` → columns; in rows of other codes nothing is asked. A part by which nothing is to be
    added counts 0; one that is unread or not reported leaves the row unasked. `parts_label` names the parts (各年龄), `parts_words`
    all of the right side.
    """

    check: ClassVar[str] = "equals_sum"
    numbers: ClassVar[Sequence[str]] = ("column", "parts", "less")
    column: str
    parts: Names | dict[str, Names] = ()
    less: Names = ()
    by: str | None = None
    tolerance: Decimal = pydantic.Field(default=Decimal(0), ge=0)
    parts_label: str = ""
    parts_words: str = ""

    def reads(self) -> dict[str, list[str]]:
        return {"column": [self.column], "parts": names_in(self.parts), "less": [*self.less], "by": names_in(self.by)}

    def rests_on(self) -> Names:
        return (self.column, *names_in(self.parts), *self.less)

    def _expected(self, form: Form) -> pl.Expr:
        if isinstance(self.parts, Mapping):
            return _by_code(form, self.by or "", self.parts)
        return form.summed(self.parts) - form.summed(self.less)

    def holds(self, form: Form) -> pl.Expr:
        return (form.stated(self.column) - self._expected(form)).abs() <= _scaled(self.tolerance, form, self.column)

    def cells(self, form: Form) -> list[Cell]:
        return [compared(form, self.column, form.stated(self.column), self._expected(form))]

    def _right_side(self, form: Form) -> str:
        if self.parts_words or self.parts_label:
            return plain_words(self.parts_words or f"{self.parts_label}之和")
        if isinstance(self.parts, Mapping):
            return f"“{form.label(self.by or '')}”所定各列之和"
        minus = "".join(f"减去“{form.label(name)}”" for name in self.less)
        return _names(form, self.parts, "之和") + minus

    def words(self, form: Form) -> Words:
        label, right = form.label(self.column), self._right_side(form)
        give = f"（允许相差 {self.tolerance}）" if self.tolerance else ""
        return Words(
            f"“{label}”等于{right}{give}",
            f"“{label}”为 {{value}}，{right}为 {{expected}}，相差 {{difference}}。",
            f"与台账比对“{label}”和{_terms(form, [*names_in(self.parts), *self.less])}：填错的，改那一格后重新报送。",
        )

    def in_cells(self, form: Form, period: Period) -> list[str]:
        left = form.column(self.column).label
        if isinstance(self.parts, Mapping):
            of = form.column(self.by or "").label
            return [f"{of}为“{code}”时：{left} = {_added(form, names)}" for code, names in self.parts.items()]
        less = "".join(f" − {form.column(name).label}" for name in self.less)
        return [f"{left} = {_added(form, self.parts)}{less}"]

    def problems(self, form: Form) -> Iterator[Mistake]:
        if not names_in(self.parts) and not self.less:
            yield Mistake("parts", "没有写明等于哪些列之和", "写成 parts: [列, 列]，或一组列的组名")
        if isinstance(self.parts, Mapping) != (self.by is not None):
            yield Mistake("by", "分代码的 parts 与 by 要一起写", "写成 by: 代码列 和 parts: {代码: [列, 列]}")
        elif isinstance(self.parts, Mapping) and self.by in form.names:
            yield from unknown_codes(form, "parts", self.by or "", self.parts)

    def excel(self, sheet: BlockOfRows) -> None:
        if isinstance(self.parts, Mapping):
            sums = {code: sheet.sum(names) for code, names in self.parts.items()}
            expected = sheet.by_code(self.by or "", sums, otherwise=sheet.cell(self.column))
        else:
            expected = f"{sheet.sum(self.parts)}-{sheet.sum(self.less)}"
        sheet.differing(self.column, expected, [*names_in(self.parts), *self.less], self.tolerance)


class ExpectColumnToEqualProduct(Check, BatchExpectation):
    """`column` = the product of the columns `of`, rounded to its last place as a clerk rounds, within `tolerance`."""

    check: ClassVar[str] = "equals_product"
    numbers: ClassVar[Sequence[str]] = ("column", "of")
    column: str
    of: Names
    where: dict[str, Names] = {}
    tolerance: Decimal = pydantic.Field(default=Decimal(0), ge=0)
    parts_words: str = ""

    def rests_on(self) -> Names:
        return (self.column, *self.of)

    def _expected(self, form: Form) -> pl.Expr:
        expected = pl.lit(1, dtype=pl.Int128)
        for name in self.of:
            expected = expected * form.summand(name)
        extra = sum(form.places(name) for name in self.of) - form.places(self.column)
        return (expected + 10**extra // 2) // 10**extra if extra > 0 else expected * 10**-extra

    def holds(self, form: Form) -> pl.Expr:
        return (form.stated(self.column) - self._expected(form)).abs() <= _scaled(self.tolerance, form, self.column)

    def cells(self, form: Form) -> list[Cell]:
        return [compared(form, self.column, form.stated(self.column), self._expected(form))]

    def words(self, form: Form) -> Words:
        label = form.label(self.column)
        right = plain_words(self.parts_words or "×".join(form.column(name).label for name in self.of))
        give = f"（允许相差 {self.tolerance}）" if self.tolerance else ""
        return Words(
            f"“{label}”等于{right}{give}",
            f"“{label}”为 {{value}}，{right}为 {{expected}}，相差 {{difference}}。",
            f"与台账比对“{label}”和{_terms(form, self.of)}：填错的，改那一格后重新报送。",
        )

    def in_cells(self, form: Form, period: Period) -> list[str]:
        product = " × ".join(form.column(name).label for name in self.of)
        return [f"{_when(form, self.where)}{form.column(self.column).label} = {product}"]

    def problems(self, form: Form) -> Iterator[Mistake]:
        columns = [form.column(name) for name in self.of if name in form.names and form.column(name).is_number]
        if not self.of:
            yield Mistake("of", "没有写明等于哪些列之积", "写成 of: [列, 列]")
        if sum(len(str(one.largest)) - 1 + one.decimal_places for one in columns) > _MOST_DIGITS:
            yield Mistake("of", f"{len(columns)} 个这样的列相乘，数太大", "减少相乘的列")

    def excel(self, sheet: BlockOfRows) -> None:
        expected = "*".join(sheet.cell(name) for name in self.of)
        sheet.differing(self.column, sheet.only_where(self.where, expected, self.column), self.of, self.tolerance)


class ExpectColumnToBeAtMost(Check, ExpectColumnPairValuesAToBeGreaterThanB):
    """`column` ≤ `of`, of the same row. Unlike GX's pair, a missing code by which nothing is to be added counts 0 on the greater side."""

    check: ClassVar[str] = "at_most"
    called: ClassVar[Mapping[str, str]] = {"column": "column_B", "of": "column_A"}
    numbers: ClassVar[Sequence[str]] = ("column_B", "column_A")
    where: dict[str, Names] = {}
    or_equal: bool = True

    def rests_on(self) -> Names:
        return (self.column_B, self.column_A)

    def holds(self, form: Form) -> pl.Expr:
        return form.stated(self.column_B) <= form.summand(self.column_A)

    def cells(self, form: Form) -> list[Cell]:
        return [compared(form, self.column_B, form.stated(self.column_B), form.summand(self.column_A))]

    def words(self, form: Form) -> Words:
        label, most = form.label(self.column_B), form.label(self.column_A)
        return Words(
            f"“{label}”不大于“{most}”",
            f"“{label}”{{value}} 大于{most} {{expected}}，多 {{difference}}。",
            f"与台账比对“{label}”和“{most}”：填错的，改那一格后重新报送。",
        )

    def in_cells(self, form: Form, period: Period) -> list[str]:
        left, most = form.column(self.column_B).label, form.column(self.column_A).label
        return [f"{_when(form, self.where)}{left} ≤ {most}"]

    def problems(self, form: Form) -> Iterator[Mistake]:
        if {self.column_A, self.column_B} <= form.names and form.places(self.column_A) != form.places(self.column_B):
            yield Mistake("of", f"{self.column_B} 与 {self.column_A} 的小数位不同，不能相比", "换成同类的列")

    def excel(self, sheet: BlockOfRows) -> None:
        expected = sheet.sum([self.column_A])
        expected = sheet.only_where(self.where, expected, self.column_B) if self.where else f"{expected}-0"
        sheet.differing(self.column_B, expected, [self.column_A], Decimal(0), above_only=True)


class ExpectColumnToFitPeriod(Check, BatchExpectation):
    """`column`, a count of months, is no more than the months of the period."""

    check: ClassVar[str] = "within_period"
    numbers: ClassVar[Sequence[str]] = ("column",)
    column: str

    def rests_on(self) -> Names:
        return (self.column,)

    def holds(self, form: Form) -> pl.Expr:
        return form.stated(self.column) <= form.months()

    def cells(self, form: Form) -> list[Cell]:
        return [compared(form, self.column, form.stated(self.column), form.months())]

    def words(self, form: Form) -> Words:
        return Words(
            f"“{form.label(self.column)}”不大于报告期的月数",
            f"“{form.label(self.column)}”为 {{value}}，报告期只有 {{expected}} 个月。",
            "报告期只有 {expected} 个月：补发以前各期的月数不计入本期，请改为本期应发的月数。",
        )

    def in_cells(self, form: Form, period: Period) -> list[str]:
        return [f"{form.column(self.column).label} ≤ 报告期的月数（{period.months}）"]

    def excel(self, sheet: BlockOfRows) -> None:
        sheet.differing(self.column, str(sheet.period.months), [], Decimal(0), above_only=True)


class ExpectExactlyOneColumn(Check, BatchExpectation):
    """Of `columns` exactly one is `value` (text, code) or above 0 (number) in each row."""

    check: ClassVar[str] = "exactly_one"
    others: ClassVar[Sequence[str]] = ("columns",)
    columns: Names
    value: str = "是"

    def _chosen(self, form: Form) -> pl.Expr:
        chosen = [
            form.stated(name) > 0 if form.column(name).is_number else pl.col(name) == self.value
            for name in self.columns
        ]
        return pl.sum_horizontal([one.cast(pl.Int64) for one in chosen], ignore_nulls=False)

    def holds(self, form: Form) -> pl.Expr:
        return self._chosen(form) == 1

    def cells(self, form: Form) -> list[Cell]:
        return [
            Cell(
                self.columns[0],
                value=form.text(self.columns[0]),
                expected=pl.lit("1"),
                detail=self._chosen(form).cast(pl.String),
            )
        ]

    def words(self, form: Form) -> Words:
        among = _quoted(form, self.columns)
        return Words(
            f"{among}中恰有一项为“{plain_words(self.value)}”",
            f"{among}中应恰有一项为“{plain_words(self.value)}”，现有 {{detail}} 项。",
            f"请在{among}中只留一项为“{plain_words(self.value)}”。",
        )

    def problems(self, form: Form) -> Iterator[Mistake]:
        if len(self.columns) < 2:
            yield Mistake("columns", "少于两列", "写明要在其中选一的各列")

    excel: ClassVar[None] = None  # type: ignore[assignment]  # which of the cells is the one too many only the clerk knows


class ExpectTotalRowToAddUp(Check, BatchExpectation):
    """Each number of a total row is the sum of its column.

    A total row that names its group (a register, say) stands for the group. One that does not may close the block of rows above it
    or head the one below it, up to the next total; it may stand for its table, or for all parts of its filing: it is held against
    what it is nearest to. What a total row is says the definition.
    """

    check: ClassVar[str] = "total_row"
    rows: ClassVar[pl.Expr] = TOTAL

    def holds(self, form: Form) -> pl.Expr:
        return pl.col("wrong__total").list.len() == 0

    def places(self, form: Form, frame: pl.DataFrame) -> pl.DataFrame:
        total = form.defined.total_row
        names = [column.name for column in form.defined.sum_columns]
        totals_n = pl.col("is_total").cum_sum().over("entry")
        if total is None or not frame["is_total"].any():
            return pl.DataFrame(
                schema={"entry": pl.Int32, "filing": pl.Int32, "source_row": pl.Int32, "holds": pl.Boolean}
            )
        numbered = frame.with_columns((totals_n - pl.col("is_total")).alias("_above"), totals_n.alias("_below"))
        parts = numbered.filter(~pl.col("is_total")), numbered.filter("is_total")
        wide = [_held_against(form, *parts, "entry")]
        if frame.select("entry", "filing").unique()["filing"].is_duplicated().any():
            wide.append(_held_against(form, *parts, "filing"))
        if total.per:
            # Totals close their blocks or head them: a table is read the one way throughout, whichever its totals are nearer to.
            sides = [_nearest([_held_against(form, *parts, "entry", side), *wide]) for side in ("_above", "_below")]
            held = _nearest(sides, together="entry")
        else:
            held = _nearest(wide)  # the total of a block is none of the form: `rows` passes it over
        held = held.hstack(parts[1].select("filing", "source_row", *names))
        for doubt in form.doubts:  # figures cut to thousands do not add up
            filings = frame.filter(doubt.helper)["filing"].unique().implode()
            summed = pl.col("wrong__total").list.set_difference(pl.lit([*doubt.alike], pl.List(pl.String)))
            held = held.with_columns(
                pl.when(pl.col("filing").is_in(filings)).then(summed).otherwise(pl.col("wrong__total"))
            )
        return held.with_columns(self.holds(form).alias("holds"))

    def cells(self, form: Form) -> list[Cell]:
        cells = []
        for column in form.defined.sum_columns:
            cell = compared(form, column.name, pl.col(column.name).cast(pl.Int128), pl.col(f"total__{column.name}"))
            wrong = pl.col("wrong__total").list.contains(column.name)
            cells.append(Cell(column.name, cell.value, cell.expected, cell.difference, when=wrong))
        return cells

    def words(self, form: Form) -> Words:
        return Words(
            "合计行各列等于各行之和",
            "合计行“{column}”为 {value}，各行之和为 {expected}，相差 {difference}。",
            "与各行逐一相加比对：漏了行或数字抄错的，改正那一行；各行无误的，把合计改为 {expected}。",
        )

    def problems(self, form: Form) -> Iterator[Mistake]:
        if form.defined.total_row is None:
            yield Mistake("check", "这张表的定义里没有合计行", "在定义里写 total_row，或删去这条规则")

    excel: ClassVar[None] = None  # type: ignore[assignment]  # the total row's formulas are part of the form's layout


def _held_against(form: Form, data: pl.DataFrame, totals: pl.DataFrame, within: str, *block: str) -> pl.DataFrame:
    """Every total row held against the sums of the rows `within` its table or filing (of its group, where it names one; else of its
    `block`): `total__<column>` and `wrong__total`, and how far off it is in `_wrong_n` columns by `_gap`; a block without rows is none."""
    assert form.defined.total_row
    per, names = form.defined.total_row.per, [column.name for column in form.defined.sum_columns]
    # A row whose group could not be read has its own finding; which total it belongs to is not known.
    known = data.group_by(within).agg(
        (~all_read(per)).any().alias("_astray"),
        *((~_known(form, name)).any().alias(f"_unread__{name}") for name in names),
    )
    held = totals.join(known, on=within, how="left", maintain_order="left")
    for kind, keys in (("named", [within, *per]), ("block", [within, *block])):
        of_group = data.group_by(keys).agg(
            *(pl.col(name).sum().cast(pl.Int128).alias(f"_{kind}__{name}") for name in names),
            pl.lit(True).alias(f"_{kind}"),
        )
        held = held.join(of_group, on=keys, how="left", maintain_order="left")
    named = all_read(per)
    columns, wrong, gaps = [], [], []
    for name in names:
        sums = pl.when(named).then(f"_named__{name}").otherwise(f"_block__{name}").fill_null(0)
        judged = (
            pl.col(name).is_not_null()
            & ~pl.col(f"_unread__{name}").fill_null(False)
            & ~pl.col("_astray").fill_null(False)
        )
        columns.append(pl.when(judged).then(sums).alias(f"total__{name}"))
        wrong.append(pl.when(judged & (pl.col(name) != sums)).then(pl.lit(name)))
        gaps.append(pl.when(judged).then((pl.col(name).cast(pl.Float64) - sums.cast(pl.Float64)).abs()).otherwise(0.0))
    listed = pl.concat_list(wrong).list.drop_nulls() if wrong else pl.lit([], dtype=pl.List(pl.String))
    is_there = pl.when(named).then("_named").otherwise("_block").fill_null(False) if block else pl.lit(True)
    return held.select(
        "entry", *columns, listed.alias("wrong__total"), is_there.alias("_is_there"),
        (pl.sum_horizontal(gaps) if gaps else pl.lit(0.0)).alias("_gap"),
    ).with_columns(
        pl.when("_is_there").then(pl.col("wrong__total").list.len().cast(pl.Int64)).otherwise(_NOWHERE).alias("_wrong_n")
    ).drop("_is_there")  # fmt: skip


def _known(form: Form, name: str) -> pl.Expr:
    """Whether a cell says what it adds to a total: a figure, nothing, or that it is not reported."""
    return form.is_countable(name) | (pl.col(f"{name}__state") == "not_reported")


def _nearest(candidates: Sequence[pl.DataFrame], *, together: str | None = None) -> pl.DataFrame:
    """Of each row what is held against in fewest wrong columns, then by the smallest gap; of all rows `together` the same one."""
    best, *others = candidates
    figures = [pl.col(name).sum().over(together) if together else pl.col(name) for name in ("_wrong_n", "_gap")]
    for other in others:
        (wrong_n, gap), (other_wrong_n, other_gap) = (one.select(figures).get_columns() for one in (best, other))
        nearer = (other_wrong_n < wrong_n) | ((other_wrong_n == wrong_n) & (other_gap < gap))
        best = best.select(pl.when(nearer).then(other[name]).otherwise(best[name]).alias(name) for name in best.columns)
    return best


# --- terms ------------------------------------------------------------------------------------------------------------


def _by_code(form: Form, by: str, sums: Mapping[str, Names]) -> pl.Expr:
    expected = pl.lit(None, dtype=pl.Int128)
    for code, names in sums.items():
        expected = pl.when(pl.col(by) == code).then(form.summed(names)).otherwise(expected)
    return expected


def _scaled(tolerance: Decimal, form: Form, name: str) -> int:
    return int(tolerance * Decimal(10) ** form.places(name))


def unknown_codes(form: Form, parameter: str, by: str, codes: Mapping[str, Any]) -> Iterator[Mistake]:
    """The codes that a column does not have."""
    if by in form.names and (unknown := sorted(set(codes) - set(form.column(by).codes))):
        yield Mistake(parameter, f"{by} 没有代码{'、'.join(unknown)}", f"可用的有：{'、'.join(form.column(by).codes)}")


def _when(form: Form, where: Mapping[str, Names]) -> str:
    """学段为“小学”、“初中”时：, blank where nothing is said of rows."""
    parts = [f"{form.column(name).label}为{'、'.join(f'“{code}”' for code in codes)}" for name, codes in where.items()]
    return f"{'，'.join(parts)}时：" if parts else ""


def _quoted(form: Form, names: Sequence[str]) -> str:
    return "、".join(f"“{form.label(name)}”" for name in names)


def _terms(form: Form, names: Sequence[str]) -> str:
    group = form.group(names)
    return f"“{plain_words(group)}”各列" if group else _quoted(form, list(dict.fromkeys(names)))


def _names(form: Form, names: Sequence[str], kind: str) -> str:
    """“一年级”与“二年级”之和; one name as it is."""
    if group := form.group(names):
        return f"“{plain_words(group)}”各列{kind}"
    return "与".join(f"“{form.label(name)}”" for name in names) + (kind if len(names) > 1 else "")


def _added(form: Form, names: Sequence[str]) -> str:
    group = form.group(names)
    return f"“{group}”各列之和" if group else " + ".join(form.column(name).label for name in names)
