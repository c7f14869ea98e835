"""Questions asked of any return as a whole: is it a copy, are its numbers made up, does it stand in another unit?"""

from collections.abc import Mapping

import polars as pl

from pipelines.periods import parse_period
from pipelines.returns import definition
from pipelines.screening.rules import Rule, across_rules
from pipelines.screening.units import FACTORS, NEAR, too_large, too_small
from pipelines.warehouse.context.between import Between
from pipelines.warehouse.context.scene import Scene, judged, summed_rows

Rules = Mapping[str, Rule]
Judgements = dict[str, pl.DataFrame]

#: Amounts that are heads × a round rate by regulation: round in every honest return.
_BY_RATE = {
    "rural_living_allowance_yuan", "township_allowance_yuan", "hardship_allowance_yuan", "reform_allowance_yuan",
    "standard_yuan_per_month", "due_yuan", "paid_yuan", "arrears_yuan",
}  # fmt: skip
_LOOSELY = 3
_ROWS_THAT_AGREE = 0.8


def copied(between: Between, return_code: str, scene: Scene, rules: Rules) -> Judgements:
    """exact_copy: all figures as in the period before. copy_of_county: all figures as another county's in the same period."""
    filings = scene.of_return(return_code)
    digests = between.digests[return_code]
    own = digests.select("county_code", "period", "rows_n", "cells_n", "own")
    before = own.select(
        "county_code",
        pl.col("period").alias("before"),
        pl.col("rows_n").alias("rows_then"),
        pl.col("own").alias("then"),
    )
    others = between.others(between.copies[return_code])
    frame = (
        filings.join(own, on=["county_code", "period"], how="left", maintain_order="left")
        .join(before, on=["county_code", "before"], how="left", maintain_order="left")
        .join(others, on=["county_code", "period"], how="left", maintain_order="left")
    )
    labels = {code: parse_period(code).label for code in frame["before"].drop_nulls().unique()}
    label = pl.col("before").replace_strict(labels, default=None, return_dtype=pl.String)
    found: Judgements = {}
    if rule := rules.get("exact_copy"):
        same = (pl.col("own") == pl.col("then")) & (pl.col("rows_n") == pl.col("rows_then"))
        enough = pl.col("cells_n") >= rule.parameters["cells"]
        found["exact_copy"] = judged(frame, pl.when(enough).then(~same), detail=label)
    if rule := rules.get("copy_of_county"):
        enough = pl.col("cells_n") >= rule.parameters["cells"]
        found["copy_of_county"] = judged(
            frame, pl.when(enough).then(pl.col("others").is_null()), detail=pl.col("others")
        )
    return found


def elsewhere(between: Between, return_code: str, scene: Scene, _rules: Rules) -> Judgements:
    """code_elsewhere: a school that another county reports for the same period."""
    others = between.others(between.shared[return_code])
    frame = scene.rows(return_code).join(
        others, on=["county_code", "period", "school_code"], how="left", maintain_order="left"
    )
    return {"code_elsewhere": judged(frame, pl.col("others").is_null(), column="school_code",
                                     value_text=pl.col("school_code"), detail=pl.col("others"))}  # fmt: skip


def round_numbers(return_code: str, scene: Scene, rules: Rules) -> Judgements:
    """round_numbers: more numbers end in zeros than chance allows."""
    defined = definition(return_code)
    parameters = rules["round_numbers"].parameters
    money = [column.name for column in defined.number_columns if column.type == "money" and column.name not in _BY_RATE]
    counts = [column.name for column in defined.number_columns if column.type == "count" and column.additive]
    names, places = (money, 2) if money else (counts, 0)
    multiple, least = (int(parameters[name] * 10**places) for name in ("multiple", "least"))
    if not names:  # a form without such figures
        return {"round_numbers": judged(scene.of_return(return_code), pl.lit(None))}
    cells = (
        scene.rows(return_code)
        .select("entry", *(pl.col(name).cast(pl.Int64) for name in names))
        .unpivot(index="entry", value_name="cell")
        .filter(pl.col("cell") >= least)
        .group_by("entry")
        .agg(pl.len().alias("cells_n"), (pl.col("cell") % multiple == 0).sum().alias("round_n"))
    )
    suspected = unit_suspected(scene, return_code)
    frame = (
        scene.of_return(return_code)
        .join(cells, on="entry", how="left", maintain_order="left")
        .join(suspected, on="entry", how="anti", maintain_order="left")
    )
    few = pl.col("round_n") <= parameters["share"] * pl.col("cells_n")
    return {
        "round_numbers": judged(
            frame,
            pl.when(pl.col("cells_n") >= parameters["cells"]).then(few),
            value=(pl.col("round_n") * 1000) // pl.col("cells_n"),
            expected=1000 // int(parameters["multiple"]),
            places=1,
            detail=pl.format("{} 个数中有 {} 个", "cells_n", "round_n"),
        )
    }


def units(return_code: str, scene: Scene, _rules: Rules) -> Judgements:
    """unit: most figures of a column are a hundred, a thousand or ten thousand times what they were, or that part of it."""
    if return_code not in scene.units:
        least = across_rules(return_code)["units"]["unit"].parameters["rows"]
        scene.units[return_code] = _units(scene, return_code, least)
    return {"unit": scene.units[return_code]}


def _units(scene: Scene, return_code: str, least: float) -> pl.DataFrame:
    defined = definition(return_code)
    columns = [
        column for column in defined.number_columns if column.additive or column.name == "standard_yuan_per_month"
    ]
    if not columns:
        return judged(scene.of_return(return_code), pl.lit(None))
    rows = scene.before(return_code, scene.rows(return_code), list(defined.key), [column.name for column in columns])
    names = [column.name for column in columns]
    index = ["entry", "source_row"]
    now = rows.select(*index, *(pl.col(name).cast(pl.Int64) for name in names)).unpivot(
        names, index=index, variable_name="column", value_name="value"
    )
    then = rows.select(pl.col(f"{name}_before").cast(pl.Int64).alias(name) for name in names).unpivot(
        names, variable_name="column", value_name="expected"
    )
    pairs = now.with_columns(then["expected"]).filter((pl.col("value") > 0) & (pl.col("expected") > 0))
    # A power of ten by which the figures have grown or shrunk: the one in their middle nearly so, most within a factor of about three.
    ratio = pl.col("value") / pl.col("expected")
    middle = ratio.median()
    powers = {
        **{f"small_{factor}": 1 / factor for factor in FACTORS},
        **{f"large_{factor}": float(factor) for factor in FACTORS},
    }
    near = {name: (ratio / power).is_between(1 / _LOOSELY, _LOOSELY) for name, power in powers.items()}
    nearly = {name: (middle / power - 1).abs() <= NEAR for name, power in powers.items()}
    summed = pairs.group_by("entry", "column").agg(
        pl.len().alias("pairs_n"),
        *summed_rows(),
        pl.col("value").sum(),
        pl.col("expected").sum(),
        *(pl.when(nearly[name]).then(agrees.sum()).otherwise(0).alias(name) for name, agrees in near.items()),
    )
    unit = {column.name: column.unit.split("/")[0] if column.unit else "" for column in columns}
    places = {column.name: column.decimal_places for column in columns}
    words = {
        **{f"small_{factor}": {name: too_small(factor, unit[name]) for name in names} for factor in FACTORS},
        **{f"large_{factor}": {name: too_large(factor, unit[name]) for name in names} for factor in FACTORS},
    }
    detail = pl.coalesce(
        [
            pl.when(pl.col(name) >= _ROWS_THAT_AGREE * pl.col("pairs_n")).then(
                pl.col("column").replace_strict(words[name], return_dtype=pl.String)
            )
            for name in near
        ]
    )
    return judged(
        summed.with_columns(detail.alias("detail"), pl.lit("各行合计").alias("row_label")).sort("entry", "column"),
        pl.when(pl.col("pairs_n") >= least).then(pl.col("detail").is_null()),
        places=pl.col("column").replace_strict(places, return_dtype=pl.Int8),
        subject="",
    )


def unit_suspected(scene: Scene, return_code: str, column: str | None = None) -> pl.DataFrame:
    """entry, is_unit_suspected: filings of which the column (any, when none is named) seems to stand in another unit; what else could
    be asked of it waits for that answer."""
    suspected = units(return_code, scene, {})["unit"].filter(pl.col("ok").not_())
    if column:
        suspected = suspected.filter(pl.col("column") == column)
    return suspected.select("entry", pl.lit(True).alias("is_unit_suspected")).unique()


def unless_unit_suspected(
    scene: Scene, return_code: str, column: str, frame: pl.DataFrame, ok: pl.Expr
) -> tuple[pl.DataFrame, pl.Expr]:
    """A comparison with the period before, left unjudged where the unit is in doubt: one question instead of hundreds."""
    marked = frame.join(unit_suspected(scene, return_code, column), on="entry", how="left", maintain_order="left")
    return marked, pl.when(pl.col("is_unit_suspected").is_null()).then(ok)
