"""Truth columns: what the cross-column, key and total rules assert, computed once for a whole batch.

For a rule `X` the frame gains `ok__X` (null where the rule does not apply or cannot be judged) and, where there is a number
to compare with, `expected__X` (in the scaled integers of `tabulate`). Great Expectations asserts the truth columns; the
expected values go into the findings. What a broken rule means is said in `expectations/`.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal

import polars as pl

from pipelines.periods import Period
from pipelines.returns import DateCheck, Identity, ReturnDefinition
from pipelines.returns.definition import Present, Ratio, day_of
from pipelines.screening.levels import with_levels
from pipelines.screening.rules import bounds_of
from pipelines.screening.tabulate import READ_STATES, CellState

#: Rows of a table from which up the one in their middle says what is usual.
_ROWS_TO_TELL = 5
#: As many columns as none can be wrong in: a block that is not there.
_NOWHERE = 1 << 20
_NOTHING_TO_ADD = ("not_applicable", "included_elsewhere")


def derive(defined: ReturnDefinition, frame: pl.DataFrame, periods: Mapping[int, Period | None]) -> pl.DataFrame:
    """Add every truth column of a return. `periods`: filing → its period, None where it could not be read."""
    data = ~pl.col("is_total")
    months_of = {filing: period.months if period else 12 for filing, period in periods.items()}
    months = pl.col("filing").replace_strict(months_of, default=None, return_dtype=pl.Int64)
    frame = frame.with_columns(months.alias("period_months"))
    frame = frame.with_columns(
        *(expression for identity in defined.identities for expression in _identity(defined, identity, data)),
        *(expression for ratio in defined.ratios for expression in _ratio(defined, ratio, data)),
        *(_over_zero(defined, ratio, data) for ratio in defined.ratios if ratio.per),
        *(_present(defined, present, data) for present in defined.present),
        _unique_key(defined, data),
        *([_text_numbers(defined), _not_reported(defined, data)] if defined.number_columns else []),
    )
    for check in defined.dates:
        frame = _DATES[check.kind](defined, check, frame, periods)
    if defined.complete:
        frame = _complete(defined, frame)
    if defined.total_row:
        frame = _total_row(defined, frame)
    if defined.levels:
        frame = with_levels(defined, frame)
    # No rule but its own looks at a total row: null passes every expectation.
    return frame.with_columns(
        *(
            pl.when(data).then(pl.col(f"{column.name}__state")).otherwise(None).alias(f"{column.name}__state")
            for column in defined.columns
        )
    )


def _countable(defined: ReturnDefinition, name: str) -> list[str]:
    """The states in which a cell can be added: read, or a missing code that its column allows and that adds nothing."""
    allowed = defined.column(name).missing
    return [*(state.value for state in READ_STATES), *(code for code in _NOTHING_TO_ADD if code in allowed)]


def _summand(defined: ReturnDefinition, name: str) -> pl.Expr:
    """A term of a sum: a missing code that means nothing is to be added counts 0, anything unread is null."""
    countable = pl.col(f"{name}__state").is_in(_countable(defined, name))
    return pl.when(countable).then(pl.col(name).fill_null(0)).otherwise(None)


def _sum(defined: ReturnDefinition, names: tuple[str, ...]) -> pl.Expr:
    total = pl.lit(0, dtype=pl.Int128)
    for name in names:
        total = total + _summand(defined, name).cast(pl.Int128)
    return total


def _identity(defined: ReturnDefinition, identity: Identity, data: pl.Expr) -> list[pl.Expr]:
    places = defined.column(identity.left).decimal_places
    expected: pl.Expr
    if identity.period_months:
        expected = pl.col("period_months").cast(pl.Int128)
    elif identity.product:
        expected = pl.lit(1, dtype=pl.Int128)
        for name in identity.product:
            expected = expected * _summand(defined, name).cast(pl.Int128)
        extra = sum(defined.column(name).decimal_places for name in identity.product) - places
        # To the place of the left side, rounded as a clerk rounds.
        expected = (expected + 10**extra // 2) // 10**extra if extra > 0 else expected * 10**-extra
    elif identity.selector:
        column, sums = identity.selector
        expected = pl.lit(None, dtype=pl.Int128)
        for code, names in sums.items():
            expected = pl.when(pl.col(column) == code).then(_sum(defined, names)).otherwise(expected)
    else:
        expected = _sum(defined, identity.sum) - _sum(defined, identity.minus)
    read = pl.col(f"{identity.left}__state").is_in(_countable(defined, identity.left))
    left = pl.when(read).then(pl.col(identity.left)).otherwise(None)
    tolerance = int(identity.tolerance * Decimal(10) ** places)
    difference = left.cast(pl.Int128) - expected
    holds = difference.abs() <= tolerance if identity.relation == "=" else difference <= tolerance
    return [
        pl.when(data).then(holds).otherwise(None).alias(f"ok__{identity.name}"),
        expected.alias(f"expected__{identity.name}"),
    ]


def _ratio(defined: ReturnDefinition, ratio: Ratio, data: pl.Expr) -> list[pl.Expr]:
    """Whether the ratio lies in its rule's range, both ends in; null where a term is not a number or `per` is too small to tell.

    `usual__<name>`: what the ratio is in the middle of the table's rows, where that lies in the range and there are enough of them to say.
    """
    bounds = bounds_of(defined.return_code, ratio.name)
    of = pl.col(ratio.of).cast(pl.Int128)
    if ratio.per is None:
        per, places, judged = pl.lit(1, dtype=pl.Int128), defined.column(ratio.of).decimal_places, data
    else:
        of_per = defined.column(ratio.per).decimal_places
        per, places = pl.col(ratio.per).cast(pl.Int128), defined.column(ratio.of).decimal_places - of_per
        least = max(int(bounds.get("least", 0) * 10**of_per), 1)
        judged = data & (per >= least)
    # In thousandths, so that every product is a whole number.
    low, high = (round(bounds[name] * 1000) for name in ("low", "high"))
    left = of * 1000 * 10 ** max(-places, 0)
    right = per * 10 ** max(places, 0)
    inside = (left >= right * low) & (left <= right * high)
    figure = left.cast(pl.Float64) / right.cast(pl.Float64) / 1000
    known = pl.when(judged & figure.is_finite()).then(figure)
    usual = known.median().over("filing")
    enough = (known.count().over("filing") >= _ROWS_TO_TELL) & usual.is_between(bounds["low"], bounds["high"])
    return [
        pl.when(judged).then(inside).otherwise(None).alias(f"ok__{ratio.name}"),
        pl.when(enough).then(usual).otherwise(None).alias(f"usual__{ratio.name}"),
    ]


def _over_zero(defined: ReturnDefinition, ratio: Ratio, data: pl.Expr) -> pl.Expr:
    """Over nothing stands nothing: false where `per` is 0 and `of` is not, from the least on that counts for `per`."""
    assert ratio.per
    scale = 10 ** defined.column(ratio.of).decimal_places
    least = max(int(bounds_of(defined.return_code, ratio.name).get("least", 0) * scale), 1)
    of, per = pl.col(ratio.of), pl.col(ratio.per)
    known = data & of.is_not_null() & per.is_not_null()
    return pl.when(known).then((per > 0) | (of < least)).otherwise(None).alias(f"ok__{ratio.over_zero}")


def _present(defined: ReturnDefinition, present: Present, data: pl.Expr) -> pl.Expr:
    """False on the first row of a filing's group (of the rows that are meant, where there are any) that lacks what must be there; null
    on every other row, and where a cell of the filing could not be read or is not reported."""
    group = ["filing", *present.per]
    meant = data & pl.all_horizontal([pl.col(name) == code for name, code in present.where.items()] or [pl.lit(True)])
    keyed = data & _all_read([*present.per, *present.where])
    unread = data & (~_all_read([*present.per, *present.where]) | (meant & _summand(defined, present.column).is_null()))
    total = pl.col(present.column).filter(meant).sum().over(group)
    any_meant = meant.any().over(group)
    place = pl.col("entry").cast(pl.Int64) * 2**32 + pl.col("source_row")  # by part, and within it by row
    first = place.filter(pl.when(any_meant).then(meant).otherwise(keyed)).min().over(group)
    judged = keyed & (place == first) & ~unread.any().over("filing")
    return pl.when(judged).then(total > 0).otherwise(None).alias(f"ok__{present.name}")


def _unique_key(defined: ReturnDefinition, data: pl.Expr) -> pl.Expr:
    keyed = data & pl.all_horizontal(pl.col(name).is_not_null() for name in defined.key)
    first = pl.col("source_row").filter(keyed).min().over("entry", *defined.key)
    return pl.when(keyed).then(pl.col("source_row") == first).otherwise(None).alias("ok__unique_key")


def _text_numbers(defined: ReturnDefinition) -> pl.Expr:
    found = [pl.col(f"{column.name}__state") == CellState.TEXT_NUMBER.value for column in defined.number_columns]
    return (~pl.any_horizontal(found)).alias("ok__text_number")


def _not_reported(defined: ReturnDefinition, data: pl.Expr) -> pl.Expr:
    """False on a row in which a figure is given as not reported, where that is allowed."""
    allowed = [column.name for column in defined.number_columns if "not_reported" in column.missing]
    found = [pl.col(f"{name}__state") == CellState.NOT_REPORTED.value for name in allowed]
    none = ~pl.any_horizontal(found) if found else pl.lit(True)
    return pl.when(data).then(none).otherwise(None).alias("ok__not_reported")


def _all_read(names: Sequence[str]) -> pl.Expr:
    """True where every named column holds a value."""
    return pl.all_horizontal([pl.col(name).is_not_null() for name in names]) if names else pl.lit(True)


def _complete(defined: ReturnDefinition, frame: pl.DataFrame) -> pl.DataFrame:
    """False on the first row of a group that lacks a value; `missing__complete` lists which."""
    complete = defined.complete
    assert complete
    group = ["filing", *complete.per]
    # A value or group that could not be read has its own finding; what is missing besides cannot be told.
    read = _all_read([*complete.per, complete.column])
    judged = frame.filter(~pl.col("is_total")).filter(read.all().over("filing"))
    if judged.is_empty():  # total rows alone: there is no group to be complete
        nothing = [
            pl.lit(None, pl.Boolean).alias("ok__complete"),
            pl.lit(None, pl.List(pl.Int64)).alias("missing__complete"),
        ]
        return frame.with_columns(nothing)
    found = (
        judged.sort("entry", "source_row")
        .group_by(group, maintain_order=True)
        .agg(
            pl.col(complete.column).drop_nulls().unique().alias("found"),
            pl.col("entry").first(),
            pl.col("source_row").first(),
        )
        .with_columns(
            pl.lit(list(complete.values)).list.set_difference(pl.col("found")).list.sort().alias("missing__complete")
        )
        .with_columns((pl.col("missing__complete").list.len() == 0).alias("ok__complete"))
        .drop("found")
    )
    return frame.join(found, on=[*group, "entry", "source_row"], how="left")


def _total_row(defined: ReturnDefinition, frame: pl.DataFrame) -> pl.DataFrame:
    """On total rows: true when each number equals the sum of its column; `wrong__total` lists the columns that do not.

    A total row that names its group (a register, say) stands for the group. One that does not may close the block of rows above it
    or head the one below it, up to the next total; it may stand for its table, or for all parts of its filing: it is held against
    what it is nearest to.
    """
    total = defined.total_row
    assert total
    totals_n = pl.col("is_total").cum_sum().over("entry")
    frame = frame.sort("entry", "source_row").with_columns(
        (totals_n - pl.col("is_total")).alias("_above"), totals_n.alias("_below")
    )
    wide = [_held_against(defined, frame, "entry")]
    if frame.select("entry", "filing").unique()["filing"].is_duplicated().any():
        wide.append(_held_against(defined, frame, "filing"))
    if total.per:
        # Totals close their blocks or head them: a table is read the one way throughout, whichever its totals are nearer to.
        sides = [_nearest([_held_against(defined, frame, "entry", side), *wide]) for side in ("_above", "_below")]
        held = _nearest(sides, together="entry")
    else:
        held = _nearest(wide)  # the total of a block is none of the form: `rows` passes it over
    frame = frame.drop("_above", "_below").with_columns(held.drop("entry", "_wrong_n", "_gap").get_columns())
    return frame.with_columns(
        pl.when("is_total").then(pl.col("wrong__total").list.len() == 0).otherwise(None).alias("ok__total_row")
    )


def _held_against(defined: ReturnDefinition, frame: pl.DataFrame, within: str, *block: str) -> pl.DataFrame:
    """Every total row held against the sums of the rows `within` its table or filing (of its group, where it names one; else of its
    `block`): `total__<column>` and `wrong__total`, and how far off it is in `_wrong_n` columns by `_gap`; a block without rows is none."""
    assert defined.total_row
    per, is_total = defined.total_row.per, pl.col("is_total")
    named = _all_read(per)
    # A row whose group could not be read has its own finding; which total it belongs to is not known.
    astray = (~is_total & ~named).any().over(within)

    def of_its_rows(figure: pl.Expr) -> pl.Expr:
        return pl.when(named).then(figure.over(within, *per)).otherwise(figure.over(within, *block))

    columns, wrong, gaps = [], [], []
    for name in (column.name for column in defined.sum_columns):
        known = [*_countable(defined, name), "not_reported"]
        unread = (~is_total & ~pl.col(f"{name}__state").is_in(known)).any().over(within)
        sums = of_its_rows(pl.col(name).filter(~is_total).sum())
        judged = is_total & pl.col(name).is_not_null() & ~unread & ~astray
        columns.append(pl.when(judged).then(sums).otherwise(None).alias(f"total__{name}"))
        wrong.append(pl.when(judged & (pl.col(name) != sums)).then(pl.lit(name)).otherwise(None))
        gaps.append(pl.when(judged).then((pl.col(name).cast(pl.Float64) - sums.cast(pl.Float64)).abs()).otherwise(0.0))
    listed = pl.concat_list(wrong).list.drop_nulls() if wrong else pl.lit([], dtype=pl.List(pl.String))
    is_there = pl.lit(True) if not block else pl.when(is_total).then(of_its_rows((~is_total).any())).otherwise(True)
    return frame.select("entry", *columns, listed.alias("wrong__total"), is_there.alias("_is_there"),
                        (pl.sum_horizontal(gaps) if gaps else pl.lit(0.0)).alias("_gap")).with_columns(
        pl.when("_is_there").then(pl.col("wrong__total").list.len().fill_null(0)).otherwise(_NOWHERE).alias("_wrong_n")
    ).drop("_is_there")  # fmt: skip


def _nearest(candidates: Sequence[pl.DataFrame], *, together: str | None = None) -> pl.DataFrame:
    """Of each row what is held against in fewest wrong columns, then by the smallest gap; of all rows `together` the same one."""
    best, *others = candidates
    figures = [pl.col(name).sum().over(together) if together else pl.col(name) for name in ("_wrong_n", "_gap")]
    for other in others:
        (wrong_n, gap), (other_wrong_n, other_gap) = (one.select(figures).get_columns() for one in (best, other))
        nearer = (other_wrong_n < wrong_n) | ((other_wrong_n == wrong_n) & (other_gap < gap))
        best = best.select(pl.when(nearer).then(other[name]).otherwise(best[name]).alias(name) for name in best.columns)
    return best


# --- dates ------------------------------------------------------------------------------------------------------------

Periods = Mapping[int, Period | None]

#: The first of the days from which a spreadsheet counts, and the earliest year that a clerk may have meant by one.
_COUNTED_FROM = (date(1899, 12, 30), date(1904, 1, 1))
_EARLIEST_YEAR = 1860


def _plausible_date(_: ReturnDefinition, check: DateCheck, frame: pl.DataFrame, periods: Periods) -> pl.DataFrame:
    """False for a day before the earliest, after the period, or that a year typed into a date cell turns into; `detail__X` says which.
    Years typed are one finding for the column."""
    day, row = pl.col(check.of), pl.col("source_row")
    ends = _by_filing(periods, lambda period: period.end)
    judged = ~pl.col("is_total") & day.is_not_null()
    year = _year_typed(day, periods)
    typed = judged & year.is_not_null()
    rows = row.filter(typed)
    reasons = [
        pl.when(typed).then(pl.format("像是在日期格里只填了年份 {}{}", year, _rows_in_words(rows, ["entry"]))),
        pl.when(day < check.earliest).then(pl.lit(f"早于 {check.earliest}")),
        *(
            [pl.when(day > ends).then(pl.format("晚于报告期的最后一天 {}", ends.dt.to_string("%Y-%m-%d")))]
            if check.within_period
            else []
        ),
    ]
    told = ~typed | (row == rows.min().over("entry"))
    return frame.with_columns(pl.coalesce(reasons).alias(f"detail__{check.name}")).with_columns(
        pl.when(judged & told).then(pl.col(f"detail__{check.name}").is_null()).alias(f"ok__{check.name}")
    )


def _ordered_dates(_: ReturnDefinition, check: DateCheck, frame: pl.DataFrame, periods: Periods) -> pl.DataFrame:
    """False where the other date lies before this one; without the other, or where one is a year typed, nothing is out of order."""
    day, other = pl.col(check.of), pl.col(check.not_after or "")
    unknown = other.is_null() | _year_typed(day, periods).is_not_null() | _year_typed(other, periods).is_not_null()
    judged = ~pl.col("is_total") & day.is_not_null()
    return frame.with_columns(pl.when(judged).then(unknown | (day <= other)).alias(f"ok__{check.name}"))


def _near_date(_: ReturnDefinition, check: DateCheck, frame: pl.DataFrame, periods: Periods) -> pl.DataFrame:
    """False on the first row of each day that lies too far from the one that is due; `expected__X` is that day, `detail__X` the rows."""
    day, row = pl.col(check.of), pl.col("source_row")
    due, far = _far(check, periods)
    judged = ~pl.col("is_total") & day.is_not_null()
    rows, group = row.filter(judged), ["entry", check.of]
    year = _year_typed(day, periods)
    hint = pl.when(year.is_not_null()).then(pl.format("，像是在日期格里只填了年份 {}", year)).otherwise(pl.lit(""))
    return frame.with_columns(
        due.alias(f"expected__{check.name}"),
        pl.when(judged & (~far | (row == rows.min().over(group)))).then(~far).alias(f"ok__{check.name}"),
        pl.concat_str(_rows_in_words(rows, group), hint).alias(f"detail__{check.name}"),
    )


def _same_date(defined: ReturnDefinition, check: DateCheck, frame: pl.DataFrame, periods: Periods) -> pl.DataFrame:
    """False on the first row of a group whose day is not that of the group's first; `detail__X` counts the rows of each day. Days that
    are found too far off are not compared: they have been asked about."""
    per = check.per or ""
    day, group = pl.col(check.of), ["filing", per]
    judged = ~pl.col("is_total") & day.is_not_null() & pl.col(per).is_not_null()
    for other in defined.dates:
        if other.kind == "near" and other.of == check.of:
            judged &= ~_far(other, periods)[1].fill_null(False)
    placed = frame.with_row_index("place")
    days = placed.filter(judged).group_by(*group, check.of).agg(pl.len().alias("rows_n"), pl.col("place").min())
    found = (
        days.sort(*group, "place")
        .group_by(*group)
        .agg(
            (pl.len() == 1).alias(f"ok__{check.name}"),
            # Where all agree, the group's first row; else the first that departs from it.
            pl.col("place").slice(0, 2).last(),
            pl.format("{}（{} 行）", day.dt.to_string("%Y-%m-%d"), "rows_n").alias("days"),
        )
        .select(
            f"ok__{check.name}",
            "place",
            pl.format("{}：{}", per, pl.col("days").list.join("、")).alias(f"detail__{check.name}"),
        )
    )
    return placed.join(found, on="place", how="left", maintain_order="left").drop("place")


_DATES = {"plausible": _plausible_date, "order": _ordered_dates, "near": _near_date, "same": _same_date}


def _by_filing(periods: Periods, of: Callable[[Period], date]) -> pl.Expr:
    """A day of each filing's period; null where the period could not be read."""
    days = {filing: of(period) for filing, period in periods.items() if period}
    if not days:
        return pl.lit(None, pl.Date)
    return pl.col("filing").replace_strict(days, default=None, return_dtype=pl.Date)


def _far(check: DateCheck, periods: Periods) -> tuple[pl.Expr, pl.Expr]:
    """The day that is due of a date, and whether the date lies too far from it."""
    due = _by_filing(periods, lambda period: day_of(period, check.near or "end"))
    return due, (pl.col(check.of) - due).dt.total_days().abs() > check.days


def _year_typed(day: pl.Expr, periods: Periods) -> pl.Expr:
    """The year (of the period or earlier) that becomes this day when it is typed into a cell for dates; null where none does."""
    last = _by_filing(periods, lambda period: period.end).dt.year()
    counted = [(day - pl.lit(first)).dt.total_days() for first in _COUNTED_FROM]
    return pl.coalesce([pl.when(days.is_between(_EARLIEST_YEAR, last)).then(days) for days in counted])


def _rows_in_words(rows: pl.Expr, group: list[str]) -> pl.Expr:
    """（第 5–58 行，共 54 行） of the rows of a group, nothing where there is one."""
    first, last, rows_n = (part.over(group) for part in (rows.min(), rows.max(), rows.len()))
    return pl.when(rows_n > 1).then(pl.format("（第 {}–{} 行，共 {} 行）", first, last, rows_n)).otherwise(pl.lit(""))
