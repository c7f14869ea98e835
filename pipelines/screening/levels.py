"""The level of a table's figures: pay a head, an amount a head and month, pupils a school, people an age.

Belongs here: telling that a whole table stands in another unit, or is another table, and making one finding of it: what else breaks
in the same rows because of the same column is not judged. A single cell that is off stays the business of its row's rules. What is
plausible is a rule (`level` in `expectations/`): `<name>_low`, `<name>_high`; a row is absurd below the low ÷ `times` or above the
high × `times`, a table when at least the `share` of its rows is and these are `rows` or half of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import polars as pl

from pipelines.returns import Column, ReturnDefinition
from pipelines.returns.definition import Level
from pipelines.screening.rules import bounds_of
from pipelines.screening.tabulate import CellState
from pipelines.screening.units import suspected, suspected_within

#: States of a cell that holds a number which another unit explains: 0.35 thousand pupils are no whole number.
_OF_ANOTHER_UNIT = [CellState.NOT_INTEGER.value, CellState.TOO_PRECISE.value, CellState.ABOVE_MAXIMUM.value]


@dataclass(frozen=True)
class AbsurdLevel:
    """A level that a table as a whole is off: in how many of the rows judged, the figure in their middle (or the mean), what is usual
    in the other rows (None where there are too few), and where the first of them stands in the frame."""

    level: Level
    rows_n: int
    judged_n: int
    value: float
    usual: float | None
    first_position: int

    def in_words(self, defined: ReturnDefinition, bounds: Mapping[str, float]) -> str:
        """What is off, by how much, and the unit that it looks like."""
        low, high = bounds[f"{self.level.name}_low"], bounds[f"{self.level.name}_high"]
        unit = (defined.column(self.level.of).unit or "").split("/")[0]
        if self.usual is not None:
            hint = suspected(self.value, self.usual, unit)
        else:
            hint = suspected_within(self.value, low, high, unit, alone=False)
        made_of = " ÷ ".join(defined.column(name).label for name in (self.level.of, *self.level.per))
        where = "全表" if self.level.mean else f"{self.judged_n} 行中有 {self.rows_n} 行的"
        named = self.level.label + (f"（{made_of}）" if self.level.per else "")
        middle = "为" if self.level.mean else "远离合理范围，居中的一行为"
        words = f"{where}{named}{middle} {_plain(self.value)} {unit}，合理范围是 {low:g}–{high:g} {unit}"
        return f"{words}，{hint}" if hint else words


def with_levels(defined: ReturnDefinition, frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with `ok__level` on one row an entry, and there `level__column` and `level__words`: where and what is off.

    In the rows that are off, the truths that rest on the same column are null, and cells that only the other unit makes unreadable are
    in the state `unit_in_doubt`: the one finding speaks for them.
    """
    bounds = bounds_of(defined.return_code, "level")
    frame = frame.sort("entry", "source_row").with_row_index("_position")
    found: dict[int, list[AbsurdLevel]] = {}
    for level in defined.levels:
        judged = _judged(defined, level, frame, bounds)
        absurd = _absurd(level, judged, bounds)
        for filing, one in absurd.items():
            found.setdefault(filing, []).append(one)
        if absurd:
            in_doubt = judged["is_absurd"].fill_null(False) & judged["filing"].is_in(list(absurd))
            frame = _silenced(defined, level, frame.with_columns(in_doubt.alias("_in_doubt"))).drop("_in_doubt")
            frame = _without_totals(defined, level, frame, list(absurd))
    rows = {filing: levels[0].first_position for filing, levels in found.items()}
    columns = {filing: levels[0].level.of for filing, levels in found.items()}
    words = {filing: _in_words(defined, levels, bounds) for filing, levels in found.items()}
    whole = pl.col("filing")
    first = pl.col("_position").filter(~pl.col("is_total")).min().over("filing")
    place = pl.coalesce(whole.replace_strict(rows, default=None, return_dtype=pl.UInt32), first)
    here = ~pl.col("is_total") & (pl.col("_position") == place)
    return frame.with_columns(
        pl.when(here).then(~whole.is_in(list(found))).alias("ok__level"),
        pl.when(here).then(whole.replace_strict(columns, default=None, return_dtype=pl.String)).alias("level__column"),
        pl.when(here).then(whole.replace_strict(words, default=None, return_dtype=pl.String)).alias("level__words"),
    ).drop("_position")


def _in_words(defined: ReturnDefinition, levels: list[AbsurdLevel], bounds: Mapping[str, float]) -> str:
    first, *others = levels
    also = "；同样的还有" + "、".join(one.level.label for one in others) if others else ""
    return first.in_words(defined, bounds) + also


def _magnitude(defined: ReturnDefinition, name: str) -> pl.Expr:
    """A cell's size: its value, or what its text says where only another unit can explain the number."""
    exact = pl.col(name).cast(pl.Float64) / 10 ** defined.column(name).decimal_places
    text = pl.col(f"{name}__text").str.replace_all(",", "").str.strip_chars().cast(pl.Float64, strict=False)
    return pl.when(pl.col(f"{name}__state").is_in(_OF_ANOTHER_UNIT)).then(text).otherwise(exact)


def _judged(defined: ReturnDefinition, level: Level, frame: pl.DataFrame, bounds: Mapping[str, float]) -> pl.DataFrame:
    """filing, _position, figure (null where a term is lacking or nothing), is_absurd; the rows of `frame` in their order."""
    figure = _magnitude(defined, level.of)
    for name in level.per:
        figure = figure / (pl.col(name).cast(pl.Float64) / 10 ** defined.column(name).decimal_places)
    figure = pl.when(~pl.col("is_total") & figure.is_finite() & (figure > 0)).then(figure)
    if level.mean:
        # A zero is a figure of the mean; a table of nothing but zeros has no level.
        own = pl.when(~pl.col("is_total")).then(_magnitude(defined, level.of))
        mean = own.mean().over("filing", *level.group)
        figure = pl.when(own.is_not_null() & (mean > 0)).then(mean)
    low, high = bounds[f"{level.name}_low"] / bounds["times"], bounds[f"{level.name}_high"] * bounds["times"]
    return frame.select("filing", "_position", figure.alias("figure")).with_columns(
        ((pl.col("figure") < low) | (pl.col("figure") > high)).alias("is_absurd")
    )


def _absurd(level: Level, judged: pl.DataFrame, bounds: Mapping[str, float]) -> dict[int, AbsurdLevel]:
    """Filing → what is off, of the tables that are off as a whole."""
    is_absurd = pl.col("is_absurd")
    counted = (
        judged.filter(pl.col("figure").is_not_null())
        .group_by("filing")
        .agg(
            is_absurd.sum().alias("rows_n"),
            pl.len().alias("judged_n"),
            pl.col("figure").filter(is_absurd).median().alias("value"),
            pl.col("figure").filter(~is_absurd).median().alias("usual"),
            pl.col("_position").filter(is_absurd).min().alias("first_position"),
        )
        .filter(pl.col("rows_n") > 0)
    )
    found = {}
    for row in counted.iter_rows(named=True):
        rows_n, judged_n = row["rows_n"], row["judged_n"]
        many = rows_n >= bounds["share"] * judged_n and (rows_n >= bounds["rows"] or 2 * rows_n >= judged_n)
        # The mean of a group is off or it is not: there are no single rows.
        if many or level.mean:
            usual = row["usual"] if judged_n - rows_n >= bounds["rows"] and not level.mean else None
            found[row["filing"]] = AbsurdLevel(level, rows_n, judged_n, row["value"], usual, row["first_position"])
    return found


def _silenced(defined: ReturnDefinition, level: Level, frame: pl.DataFrame) -> pl.DataFrame:
    """The rows in doubt without what follows from the column's unit."""
    truths = [one.name for one in defined.identities if level.of in (one.left, *one.terms)]
    truths += [one.name for one in defined.ratios if level.of in one.terms]
    alike = _alike(defined, level)
    in_doubt = pl.col("_in_doubt")
    return frame.with_columns(
        *(pl.when(~in_doubt).then(pl.col(f"ok__{name}")).alias(f"ok__{name}") for name in truths),
        *(
            pl.when(in_doubt & pl.col(f"{column.name}__state").is_in(_OF_ANOTHER_UNIT))
            .then(pl.lit(CellState.UNIT_IN_DOUBT.value))
            .otherwise(pl.col(f"{column.name}__state"))
            .alias(f"{column.name}__state")
            for column in alike
        ),
    )


def _alike(defined: ReturnDefinition, level: Level) -> list[Column]:
    """The columns that share the level's unit."""
    own = defined.column(level.of)
    return [column for column in defined.number_columns if (column.type, column.additive) == (own.type, own.additive)]


def _without_totals(defined: ReturnDefinition, level: Level, frame: pl.DataFrame, filings: list[int]) -> pl.DataFrame:
    """Total rows of the tables that are off, without the columns of that unit: figures cut to thousands do not add up."""
    if "wrong__total" not in frame.columns:
        return frame
    names = [column.name for column in _alike(defined, level)]
    wrong = pl.when(pl.col("filing").is_in(filings)).then(
        pl.col("wrong__total").list.eval(pl.element().filter(~pl.element().is_in(names)))
    )
    frame = frame.with_columns(wrong.otherwise(pl.col("wrong__total")).alias("wrong__total"))
    holds = pl.when(pl.col("is_total")).then(pl.col("wrong__total").list.len() == 0)
    return frame.with_columns(holds.alias("ok__total_row"))


def _plain(value: float) -> str:
    """A figure as it is said: whole from 100 up, else to three significant digits."""
    number = Decimal(repr(value))
    places = 0 if value >= 100 else max(2, 2 - number.adjusted())
    text = f"{number.quantize(Decimal(1).scaleb(-places)):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
