"""Kinds that ask whether figures are plausible: of a row, of a group of rows, of a table as a whole.

A table whose figures all stand in another unit is one finding: what else breaks in the same rows because of the same column is not asked.
A single cell that is off stays the business of its row's rules. Proposes a unit; nothing is ever converted.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar

import polars as pl
from great_expectations.compatibility import pydantic
from great_expectations.expectations.core import ExpectColumnValuesToBeBetween
from great_expectations.expectations.expectation import BatchExpectation

from pipelines.screening.checks.cells import OF_ANOTHER_UNIT
from pipelines.screening.checks.check import Cell, Check, Mistake, Words, names_in
from pipelines.screening.checks.excel import BlockOfRows
from pipelines.screening.checks.form import DATA, Doubt, Form, all_read, difference, figure
from pipelines.screening.units import suspected, suspected_within

Names = tuple[str, ...]
#: Rows of a table from which up the one in their middle says what is usual.
_ROWS_TO_TELL = 5


class ExpectColumnToLieBetween(Check, ExpectColumnValuesToBeBetween):
    """`column`, or `column` ÷ `per`, lies between `low` and `high`, both ends in.

    `per` below `least` is too small to tell. `expected`: what the figure is held against where a unit is suspected; else what it is in
    the middle of the table's rows.
    """

    check: ClassVar[str] = "between"
    called: ClassVar[Mapping[str, str]] = {"low": "min_value", "high": "max_value"}
    numbers: ClassVar[Sequence[str]] = ("column", "per")
    asks_neighbours: ClassVar[bool] = True
    per: str | None = None
    least: float = 0
    expected: float | None = None
    where: dict[str, Names] = {}

    def rests_on(self) -> Names:
        return (self.column, *names_in(self.per))

    @property
    def _low(self) -> float:
        return float(self.min_value)

    @property
    def _high(self) -> float:
        return float(self.max_value)

    def _sides(self, form: Form) -> tuple[pl.Expr, pl.Expr]:
        """Figure and divisor, whole and of one scale, the figure in thousandths so that every product with a limit is whole."""
        per = pl.lit(1, dtype=pl.Int128) if self.per is None else pl.col(self.per).cast(pl.Int128)
        places = form.places(self.column) - (form.places(self.per) if self.per else 0)
        left = pl.col(self.column).cast(pl.Int128) * (1000 * 10 ** max(-places, 0))
        return left, per * 10 ** max(places, 0)

    def _judged(self, form: Form) -> pl.Expr:
        if self.per is None:
            return pl.lit(True)
        return pl.col(self.per) >= max(int(self.least * 10 ** form.places(self.per)), 1)

    def holds(self, form: Form) -> pl.Expr:
        left, right = self._sides(form)
        inside = (left >= right * round(self._low * 1000)) & (left <= right * round(self._high * 1000))
        return pl.when(self._judged(form)).then(inside)

    def cells(self, form: Form) -> list[Cell]:
        left, right = self._sides(form)
        exact = left.cast(pl.Float64) / right.cast(pl.Float64) / 1000
        known = pl.when(DATA & self._judged(form) & exact.is_finite()).then(exact)
        usual = known.median().over("filing")
        enough = (known.count().over("filing") >= _ROWS_TO_TELL) & usual.is_between(self._low, self._high)
        said = pl.struct(
            pl.col(self.column).alias("of"),
            (pl.lit(1) if self.per is None else pl.col(self.per)).alias("per"),
            pl.when(enough).then(usual).alias("usual"),
        ).map_elements(lambda row: self._said(form, row), return_dtype=pl.List(pl.String))
        value, difference, hint = (said.list.get(number) for number in range(3))
        range_ = pl.lit(f"{self._low:g}–{self._high:g}")
        return [Cell(self.column, value=value, expected=range_, difference=difference, detail=hint)]

    def _said(self, form: Form, row: Mapping[str, Any]) -> list[str]:
        """The ratio, the distance to the range, and the unit in which the figure may stand."""
        if row["of"] is None or not row["per"]:
            return ["", "", ""]
        value = Decimal(row["of"]).scaleb(-form.places(self.column))
        if self.per:
            value /= Decimal(row["per"]).scaleb(-form.places(self.per))
        rounded = value.quantize(Decimal(1) if self._high >= 100 else Decimal("0.01"))
        bound = Decimal(str(_plain_float(self._low if value < self._low else self._high)))
        unit = (form.column(self.column).unit or "").split("/")[0]
        expected = self.expected if self.expected is not None else row["usual"]
        if expected:
            hint = suspected(float(value), expected, unit)
        else:
            hint = suspected_within(float(value), self._low, self._high, unit)
        return [f"{rounded:f}", f"{rounded - bound:+f}", f"，{hint}" if hint else ""]

    def words(self, form: Form) -> Words:
        label = form.label(self.column)
        what = f"“{label}”除以“{form.label(self.per)}”" if self.per else f"“{label}”"
        small = f"（“{form.label(self.per)}”不足 {self.least:g} 的不问）" if self.per and self.least else ""
        return Words(
            f"{what}在 {self._low:g}–{self._high:g} 之间{small}",
            f"{what}为 {{value}}，不在 {{expected}} 的合理范围内{{detail}}。",
            f"与台账比对“{label}”：填错、单位不对的，请更正后重新报送（系统不作换算）；属实的，请填写核实说明。",
        )

    def problems(self, form: Form) -> Iterator[Mistake]:
        for name, value in (("low", self.min_value), ("high", self.max_value)):
            if not isinstance(value, int | float):
                yield Mistake(name, f"没有写明{'下限' if name == 'low' else '上限'}", f"补上 {name}:，填数字")
        if (
            isinstance(self.min_value, int | float)
            and isinstance(self.max_value, int | float)
            and self._low > self._high
        ):
            yield Mistake("low", "下限大于上限", "把 low 和 high 对调或改正")

    excel: ClassVar[None] = None  # type: ignore[assignment]  # what is unusual may be right, and red says that it is wrong


class ExpectColumnAboveZeroBeside(Check, BatchExpectation):
    """`column` is not 0 where `beside` is at least `least`: over nothing stands nothing."""

    check: ClassVar[str] = "above_zero"
    numbers: ClassVar[Sequence[str]] = ("column", "beside")
    column: str
    beside: str
    least: float = 0

    def holds(self, form: Form) -> pl.Expr:
        least = max(int(self.least * 10 ** form.places(self.beside)), 1)
        column, beside = pl.col(self.column), pl.col(self.beside)
        return pl.when(column.is_not_null() & beside.is_not_null()).then((column > 0) | (beside < least))

    def cells(self, form: Form) -> list[Cell]:
        beside = figure(pl.col(self.beside), form.places(self.beside))
        return [Cell(self.column, value=pl.lit("0"), detail=beside)]

    def words(self, form: Form) -> Words:
        label, beside = form.label(self.column), form.column(self.beside)
        unit = f" {beside.unit}" if beside.unit else ""
        return Words(
            f"“{label}”为 0 时，“{form.label(self.beside)}”也为 0",
            f"“{label}”为 0，而{form.label(self.beside)}为 {{detail}}{unit}。",
            f"看“{label}”是否漏填：漏填的，请更正后重新报送；属实的，请填写核实说明。",
        )

    excel: ClassVar[None] = None  # type: ignore[assignment]  # a question that may be answered, no mistake


class ExpectSomethingToBePresent(Check, BatchExpectation):
    """What no county is without: `column` summed over the rows of each `per` (of the whole return without one) is above 0; `where`
    keeps to the rows of a code, of which there is one at least. Not asked where a cell of the filing could not be read or is not
    reported."""

    check: ClassVar[str] = "present"
    numbers: ClassVar[Sequence[str]] = ("column",)
    others: ClassVar[Sequence[str]] = ("per",)
    column: str
    per: Names = ()
    where: dict[str, Names] = {}

    def holds(self, form: Form) -> pl.Expr:
        """Of the first row of each group (of the rows that are meant, where there are any)."""
        group = ["filing", *self.per]
        meant = DATA & form.where(self.where)
        keyed = DATA & all_read([*self.per, *self.where])
        unread = DATA & (~all_read([*self.per, *self.where]) | (meant & form.summand(self.column).is_null()))
        total = pl.col(self.column).filter(meant).sum().over(group)
        place = pl.col("entry").cast(pl.Int64) * 2**32 + pl.col("source_row")  # by part, and within it by row
        first = place.filter(pl.when(meant.any().over(group)).then(meant).otherwise(keyed)).min().over(group)
        return pl.when(keyed & (place == first) & ~unread.any().over("filing")).then(total > 0)

    def truth(self, form: Form) -> pl.Expr:
        return pl.when(DATA).then(self.holds(form))

    def cells(self, form: Form) -> list[Cell]:
        parts = [
            *(pl.lit(code) for codes in self.where.values() for code in codes),
            *(pl.col(name).cast(pl.String) for name in self.per),
        ]
        group = pl.concat_str(parts, separator="、") if parts else None
        return [Cell(self.column, value=pl.lit("0"), detail=group)]

    def words(self, form: Form) -> Words:
        label = form.label(self.column)
        each = f"每个“{form.label(self.per[0])}”的" if self.per else "" if self.where else "全表"
        group = "{detail}" if self.per or self.where else "全表"
        return Words(
            f"{each}“{label}”合计不为 0",
            f"{group}“{label}”合计为 0。",
            "看是否误报了没有填写的表：误报的，填好后重新报送；确实没有的，请填写核实说明。",
        )

    excel: ClassVar[None] = None  # type: ignore[assignment]  # an empty form has a sum of 0 until it is filled


class ExpectColumnToBeEmptyIn(Check, BatchExpectation):
    """In rows of each code of `by`, `columns` of that code are 0 or hold no figure."""

    check: ClassVar[str] = "zero_in"
    numbers: ClassVar[Sequence[str]] = ("columns",)
    by: str
    columns: dict[str, Names]

    def reads(self) -> dict[str, list[str]]:
        return {"by": [self.by], "columns": names_in(self.columns)}

    def rests_on(self) -> Names:
        return tuple(names_in(self.columns))

    def _filled(self, name: str) -> pl.Expr:
        return pl.col(self.by).is_in([code for code, names in self.columns.items() if name in names]) & (
            pl.col(name) > 0
        ).fill_null(False)

    def holds(self, form: Form) -> pl.Expr:
        asked = pl.col(self.by).is_in(list(self.columns))
        return pl.when(asked).then(~pl.any_horizontal([self._filled(name) for name in names_in(self.columns)]))

    def cells(self, form: Form) -> list[Cell]:
        return [
            Cell(name, value=figure(pl.col(name), form.places(name)), detail=pl.col(self.by), when=self._filled(name))
            for name in names_in(self.columns)
        ]

    def words(self, form: Form) -> Words:
        parts = [f"{code}的{'、'.join(form.label(name) for name in names)}" for code, names in self.columns.items()]
        return Words(
            f"以下各栏为 0：{'；'.join(parts)}",
            "{detail}没有“{column}”，现填 {value}。",
            "填错栏的，移到应填的栏；选错的，改“" + form.label(self.by) + "”。",
        )

    def problems(self, form: Form) -> Iterator[Mistake]:
        if self.by in form.names and (unknown := sorted(set(self.columns) - set(form.column(self.by).codes))):
            yield Mistake(
                "columns",
                f"{self.by} 没有代码{'、'.join(unknown)}",
                f"可用的有：{'、'.join(form.column(self.by).codes)}",
            )

    def excel(self, sheet: BlockOfRows) -> None:
        if (self.meta or {}).get("outcome") != "error":
            return
        for name in names_in(self.columns):
            codes = [code for code, names in self.columns.items() if name in names]
            of_code = ",".join(f'{sheet.cell(self.by)}="{code}"' for code in codes)
            sheet.coloured(name, f"=AND(ISNUMBER({sheet.cell(name)}),OR({of_code}),{sheet.cell(name)}>0)")


class ExpectFiguresToRunSmoothly(Check, BatchExpectation):
    """`column` is no more than `share` above or below both of its neighbours along the whole numbers `along`, one less and one more, of the
    same `per`; where they are below `least`, or one is not there, nothing is asked."""

    check: ClassVar[str] = "smooth"
    numbers: ClassVar[Sequence[str]] = ("column", "along")
    others: ClassVar[Sequence[str]] = ("per",)
    asks_neighbours: ClassVar[bool] = True
    column: str
    along: str
    per: Names = ()
    share: float = pydantic.Field(gt=0)
    least: float = 0

    def rests_on(self) -> Names:
        return (self.column,)

    def _neighbours(self) -> tuple[pl.Expr, pl.Expr]:
        group, order = ["filing", "is_total", *self.per], self.along
        step, own = pl.col(self.along), pl.col(self.column)
        places = [
            (step.shift(by).over(group, order_by=order), own.shift(by).over(group, order_by=order), by)
            for by in (1, -1)
        ]
        before, after = (pl.when(at == step - by).then(figure_) for at, figure_, by in places)
        return before, after

    def holds(self, form: Form) -> pl.Expr:
        before, after = self._neighbours()
        own, least = pl.col(self.column).cast(pl.Float64), self.least * 10 ** form.places(self.column)
        lower, upper = pl.min_horizontal(before, after), pl.max_horizontal(before, after)
        asked = before.is_not_null() & after.is_not_null() & (before + after >= 2 * least)
        return pl.when(asked).then((own <= upper * (1 + self.share)) & (own >= lower * (1 - self.share)))

    def cells(self, form: Form) -> list[Cell]:
        places = form.places(self.column)
        before, after = self._neighbours()
        mean = (before + after) // 2
        return [
            Cell(
                self.column,
                value=figure(pl.col(self.column), places),
                expected=figure(mean, places),
                difference=difference(pl.col(self.column) - mean, places),
                detail=pl.concat_str([pl.col(name).cast(pl.String) for name in (*self.per, self.along)], separator=" "),
            )
        ]

    def words(self, form: Form) -> Words:
        label, along, percent = form.label(self.column), form.label(self.along), f"{self.share * 100:g} %"
        return Words(
            f"“{label}”不比“{along}”上下相邻的两行都多或都少 {percent} 以上",
            f"“{label}”为 {{value}}（{{detail}}），与上下相邻的两行（平均 {{expected}}）都相差 {percent} 以上。",
            "与原始资料比对这一行和相邻的两行：抄错行、按估计填的，请更正后重新报送；属实的，请填写核实说明。",
        )

    excel: ClassVar[None] = None  # type: ignore[assignment]  # a question that may be answered, no mistake


# --- the unit of a table ----------------------------------------------------------------------------------------------


class Figure(pydantic.BaseModel):
    """A figure by which a table is known to stand in another unit, or to be no such table: `column` ÷ the product of `per` in each row,
    or with `mean` the mean of `column` over the rows of each `group`. `label`: what it is called; plausible from `low` to `high`."""

    class Config:
        extra = "forbid"

    label: str
    column: str
    per: Names = ()
    mean: bool = False
    group: Names = ()
    low: float
    high: float


class ExpectTableToStandInItsUnit(Check, BatchExpectation):
    """No table as a whole is absurd: a row is, below the low ÷ `times` or above the high × `times` of a figure; a table, when at least the
    `share` of its rows is and these are `rows` or half of them. Wide enough that no truthful table is refused."""

    check: ClassVar[str] = "unit_of_column"
    of_the_table: ClassVar[bool] = True
    figures: tuple[Figure, ...]
    times: float = 20
    share: float = 0.2
    rows_n: int = 3
    called: ClassVar[Mapping[str, str]] = {"rows": "rows_n"}

    def reads(self) -> dict[str, list[str]]:
        return {"figures": [name for one in self.figures for name in (one.column, *one.per, *one.group)]}

    def helpers(self, form: Form, frame: pl.DataFrame) -> tuple[Form, pl.DataFrame]:
        """The rows in which a unit is in doubt, of the figures of which a table is off as a whole."""
        judged = [self._judged(form, one).alias(f"figure__{number}") for number, one in enumerate(self.figures)]
        measured = frame.select("filing", *judged)
        doubts, columns = [], []
        for number, one in enumerate(self.figures):
            value = measured[f"figure__{number}"]
            off = ((value < one.low / self.times) | (value > one.high * self.times)).fill_null(False)
            if not off.any():
                continue
            counted = (
                measured.select("filing", value.is_not_null().alias("judged"), off.alias("off"))
                .group_by("filing")
                .agg(pl.col("off").sum().alias("rows_n"), pl.col("judged").sum().alias("judged_n"))
            )
            rows_n, judged_n = pl.col("rows_n"), pl.col("judged_n")
            many = (rows_n >= self.share * judged_n) & ((rows_n >= self.rows_n) | (2 * rows_n >= judged_n))
            # The mean of a group is off or it is not: there are no single rows.
            found = counted.filter((rows_n > 0) & (many | one.mean))["filing"]
            helper = f"doubt__{number}"
            own = form.column(one.column)
            alike = frozenset(
                column.name
                for column in form.defined.number_columns
                if (column.type, column.additive) == (own.type, own.additive)
            )
            if not found.is_empty():
                columns.append((off & frame["filing"].is_in(found.implode())).alias(helper))
                doubts.append(Doubt(one.column, alike, helper))
        return form.with_doubts(doubts), frame.with_columns(columns)

    def _magnitude(self, form: Form, name: str) -> pl.Expr:
        """A cell's size: its value, or what its text says where only another unit can explain the number."""
        exact = pl.col(name).cast(pl.Float64) / 10 ** form.places(name)
        text = pl.col(f"{name}__text").str.replace_all(",", "").str.strip_chars().cast(pl.Float64, strict=False)
        return pl.when(pl.col(f"{name}__state").is_in(OF_ANOTHER_UNIT)).then(text).otherwise(exact)

    def _judged(self, form: Form, one: Figure) -> pl.Expr:
        """The figure of each row; null where a term is lacking or nothing."""
        value = self._magnitude(form, one.column)
        if one.mean:
            # A zero is a figure of the mean; a table of nothing but zeros has no level.
            own = pl.when(DATA).then(value)
            mean = own.mean().over("filing", *one.group)
            return pl.when(own.is_not_null() & (mean > 0)).then(mean)
        for name in one.per:
            value = value / (pl.col(name).cast(pl.Float64) / 10 ** form.places(name))
        return pl.when(DATA & value.is_finite() & (value > 0)).then(value)

    def holds(self, form: Form) -> pl.Expr:
        return pl.col("said").is_null()

    def places(self, form: Form, frame: pl.DataFrame) -> pl.DataFrame:
        placed = frame.select("filing", "entry", "source_row", "is_total").with_row_index("position")
        first = placed.filter(~pl.col("is_total")).group_by("filing").agg(pl.all().sort_by("position").first())
        at = first.select("filing", "position").with_columns(
            pl.lit(None, pl.String).alias("column"), pl.lit(None, pl.String).alias("said")
        )
        found: dict[int, tuple[int, str, list[str]]] = {}
        helpers = {doubt.helper for doubt in form.doubts}
        for number, one in enumerate(self.figures):
            if f"doubt__{number}" not in helpers:
                continue
            for filing, position, words in self._absurd(form, one, f"doubt__{number}", frame):
                if filing in found:
                    found[filing][2].append(one.label)
                else:
                    found[filing] = (position, one.column, [words])
        if found:
            told = pl.DataFrame(
                [
                    (filing, position, column, words[0] + ("；同样的还有" + "、".join(words[1:]) if words[1:] else ""))
                    for filing, (position, column, words) in found.items()
                ],
                schema={"filing": pl.Int32, "position": pl.UInt32, "column": pl.String, "said": pl.String},
                orient="row",
            )
            at = pl.concat([told, at.filter(~pl.col("filing").is_in(told["filing"].implode())).select(told.columns)])
        return (
            at.join(placed.select("position", "entry", "source_row"), on="position")
            .with_columns(self.holds(form).alias("holds"))
            .sort("entry", "source_row")
        )

    def _absurd(self, form: Form, one: Figure, helper: str, frame: pl.DataFrame) -> list[tuple[int, int, str]]:
        """(filing, position of the first row that is off, what is said) of each table that is off."""
        filings = frame.filter(helper)["filing"].unique()
        numbered = frame.with_row_index("position").with_columns(self._judged(form, one).alias("figure"))
        off = pl.col(helper)
        counted = (
            numbered.filter(pl.col("filing").is_in(filings.implode()) & pl.col("figure").is_not_null())
            .group_by("filing")
            .agg(
                off.sum().alias("rows_n"),
                pl.len().alias("judged_n"),
                pl.col("figure").filter(off).median().alias("value"),
                pl.col("figure").filter(~off).median().alias("usual"),
                pl.col("position").filter(off).min(),
            )
            .sort("filing")
        )
        return [
            (row["filing"], row["position"], self._in_words(form, one, _Off(**row)))
            for row in counted.iter_rows(named=True)
        ]

    def _in_words(self, form: Form, one: Figure, off: "_Off") -> str:
        """What is off, by how much, and the unit that it looks like."""
        unit = (form.column(one.column).unit or "").split("/")[0]
        if off.judged_n - off.rows_n >= self.rows_n and not one.mean and off.usual is not None:
            hint = suspected(off.value, off.usual, unit)
        else:
            hint = suspected_within(off.value, one.low, one.high, unit, alone=False)
        made_of = " ÷ ".join(form.column(name).label for name in (one.column, *one.per))
        where = "全表" if one.mean else f"{off.judged_n} 行中有 {off.rows_n} 行的"
        named = one.label + (f"（{made_of}）" if one.per else "")
        middle = "为" if one.mean else "远离合理范围，居中的一行为"
        words = f"{where}{named}{middle} {_plain(off.value)} {unit}，合理范围是 {one.low:g}–{one.high:g} {unit}"
        return f"{words}，{hint}" if hint else words

    def cells(self, form: Form) -> list[Cell]:
        return [Cell(pl.col("column"), detail=pl.col("said"))]

    def words(self, form: Form) -> Words:
        named = "、".join(f"{one.label}（{one.low:g}–{one.high:g}）" for one in self.figures)
        return Words(
            f"全表的数不能都是另一单位的，以此为据：{named}；比合理范围还差 {self.times:g} 倍以上的行达到 {self.share * 100:g} % 就算",
            "{detail}。",
            "把一两行与台账比对：单位填错的，全列按表头单位改正后重新报送（系统不作换算）；填错了表的，换成应报的表；"
            "数确实如此的，请与市局联系，由市局豁免这条审核后再报。",
        )

    def problems(self, form: Form) -> Iterator[Mistake]:
        for one in self.figures:
            for name in (one.column, *one.per):
                if name in form.names and not form.column(name).is_number:
                    yield Mistake("figures", f"“{name}”不是数", "换成一个数的列")
            if one.low > one.high:
                yield Mistake("figures", f"“{one.label}”的下限大于上限", "把 low 和 high 对调或改正")

    excel: ClassVar[None] = None  # type: ignore[assignment]  # of a table as a whole no single cell is wrong


@dataclass(frozen=True)
class _Off:
    """A table that is off: in how many of the rows judged, the figure in their middle (or the mean), what is usual in the others."""

    filing: int
    rows_n: int
    judged_n: int
    value: float
    usual: float | None
    position: int


def _plain(value: float) -> str:
    """A figure as it is said: whole from 100 up, else to three significant digits."""
    number = Decimal(repr(value))
    places = 0 if value >= 100 else max(2, 2 - number.adjusted())
    text = f"{number.quantize(Decimal(1).scaleb(-places)):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _plain_float(value: float) -> float | int:
    return int(value) if value == int(value) else value
