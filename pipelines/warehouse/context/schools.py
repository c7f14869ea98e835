"""Questions about schools: does the register know who reports, and do all report whom the register knows?"""

from collections.abc import Mapping

import polars as pl

from pipelines.screening.rules import Rule
from pipelines.warehouse.context.scene import Scene, judged

Rules = Mapping[str, Rule]
Judgements = dict[str, pl.DataFrame]

#: What a school must have some of, to be reporting at all.
_MAIN_FIGURE = {"enrolment": "students_total", "teacher_pay": "teachers_average", "rural_subsidy": "teachers_entitled"}


def last_year(scene: Scene, _rules: Rules) -> Judgements:
    """school_vanished: a school that was open in last year's register and stands in this year's neither open nor closed."""
    registers = scene.rows("school")
    filings = scene.of_return("school").select("entry", "county_code", "period", "before")
    here = registers.select("county_code", "period", "school_code", pl.lit(True).alias("ok"))
    before = registers.filter(pl.col("closed_on").is_null()).select(
        "county_code", pl.col("period").alias("before"), "school_code", "school_name"
    )
    frame = (
        filings.join(before, on=["county_code", "before"])
        .join(here, on=["county_code", "period", "school_code"], how="left")
        .sort("entry", "school_code")
    )
    return {
        "school_vanished": judged(
            frame,
            pl.col("ok").fill_null(False),
            subject=pl.col("school_code"),
            row_label=pl.col("school_name"),
            detail=pl.format("{}（{}）", "school_name", "school_code"),
        )
    }


def known(return_code: str, scene: Scene, _rules: Rules) -> Judgements:
    """not_in_register: a reporting school that the register does not hold. closed: one that was closed before the period began."""
    main = pl.col(_MAIN_FIGURE[return_code])
    in_register = scene.registers.select("county_code", "school_year", "school_code", pl.lit(True).alias("is_known"))
    frame = (
        scene.rows(return_code)
        .with_columns(
            scene.has("school", "school_year").alias("has_register"),
            (main.is_null() | (main > 0)).alias("is_reporting"),
        )
        .join(in_register, on=["county_code", "school_year", "school_code"], how="left", maintain_order="left")
        .join(scene.closings, on=["county_code", "school_code"], how="left", maintain_order="left")
        .with_columns(pl.format("{}（{}）", "school_name", "school_code").alias("detail"))
    )
    closed = pl.col("is_reporting") & (pl.col("closed_on") <= pl.col("starts_on")).fill_null(False)
    there = pl.col("is_known").fill_null(False)
    return {
        "not_in_register": judged(
            frame, pl.when("has_register").then(there), column="school_code", value_text=pl.col("school_code")
        ),
        "closed": judged(
            frame,
            pl.when(pl.col("has_register") & there).then(~closed),
            column="school_code",
            value_text=pl.col("school_code"),
            expected_text=pl.col("closed_on").dt.strftime("%Y-%m-%d"),
        ),
    }


def register(return_code: str, scene: Scene, _rules: Rules) -> Judgements:
    """register: an open school of the register that should report and does not. Who should: every school its enrolment, every public
    school of compulsory education its pay, every school with a tier its subsidies. Schools of a stage that the return leaves out
    altogether are one question (see `stages`), not one each."""
    schools = (
        scene.rows("school")
        .select(pl.col("period").alias("school_year"), "county_code", "school_code", "school_name", "school_type", "organiser",
                "subsidy_tier")
        .join(scene.closings, on=["county_code", "school_code"], how="left", maintain_order="left")
    )  # fmt: skip
    rows = scene.rows(return_code)
    members = scene.policy.members
    if return_code == "teacher_pay":
        schools = schools.filter(
            pl.col("organiser").is_in(members["pay", "teacher_organiser"])
            & pl.col("school_type").is_in(members["rural", "rural_school_type"])
        )
    elif return_code == "rural_subsidy":
        schools = schools.filter(pl.col("subsidy_tier").is_not_null())
        rows = rows.filter(pl.col("programme").is_in(scene.policy.tiered_programmes))
    present = rows.select("entry", "school_code", pl.lit(True).alias("is_present")).unique()
    filings = scene.of_return(return_code).select("entry", "county_code", "school_year", "starts_on", "ends_on")
    # Enrolment is of the first day; pay and subsidies of every month, so a school that closes in the course is left in peace.
    day = pl.col("starts_on") if return_code == "enrolment" else pl.col("ends_on")
    frame = (
        filings.join(schools, on=["county_code", "school_year"])
        .filter(pl.col("closed_on").is_null() | (pl.col("closed_on") > day))
        .join(present, on=["entry", "school_code"], how="left")
        .sort("entry", "school_code")
    )
    if "stage" in rows.columns:
        reported = rows.select("entry", "stage", pl.lit(True).alias("is_reported")).unique()
        left_out = (
            frame.join(_stages_of_types(scene), on="school_type")
            .join(reported, on=["entry", "stage"], how="left")
            .group_by("entry", "school_code")
            .agg(pl.col("is_reported").is_null().all().alias("is_left_out"))
            .filter("is_left_out")
        )
        frame = frame.join(left_out, on=["entry", "school_code"], how="anti", maintain_order="left")
    return {
        "register": judged(
            frame,
            pl.col("is_present").fill_null(False),
            subject=pl.col("school_code"),
            row_label=pl.col("school_name"),
            detail=pl.format("{}（{}）", "school_name", "school_code"),
        )
    }


def _stages_of_types(scene: Scene) -> pl.DataFrame:
    """A row a type of school and stage that it has: school_type, stage."""
    return pl.DataFrame(scene.policy.stages_of_type, schema=["school_type", "stage"], orient="row")


def stages(return_code: str, scene: Scene, _rules: Rules) -> Judgements:
    """stage_missing: a stage that the register of the school year has a school of and the return has no row of. Of pay, the stages and
    organisers that parity counts, and schools that are still open when the year ends."""
    schools = scene.rows("school").join(_stages_of_types(scene), on="school_type").rename({"period": "register_year"})
    if return_code == "teacher_pay":
        members = scene.policy.members
        schools = schools.filter(
            pl.col("organiser").is_in(members["pay", "teacher_organiser"])
            & pl.col("stage").is_in(members["pay", "teacher_stage"])
        )
    day = pl.col("starts_on") if return_code == "enrolment" else pl.col("ends_on")
    filings = scene.of_return(return_code).select(
        "entry", "county_code", pl.col("school_year").alias("register_year"), "starts_on", "ends_on"
    )
    reported = scene.rows(return_code).select("entry", "stage", pl.lit(True).alias("is_reported")).unique()
    frame = (
        filings.join(schools.select("county_code", "register_year", "stage", "school_code", "school_name", "closed_on"),
                     on=["county_code", "register_year"])
        .filter(pl.col("closed_on").is_null() | (pl.col("closed_on") > day))
        .sort("entry", "stage", "school_code")
        .group_by("entry", "stage", maintain_order=True)
        .agg(pl.col("school_name").first(), pl.len().alias("schools_n"))
        .join(reported, on=["entry", "stage"], how="left", maintain_order="left")
    )  # fmt: skip
    more = pl.when(pl.col("schools_n") > 1).then(pl.format("等 {} 所学校", "schools_n")).otherwise(pl.lit(""))
    return {
        "stage_missing": judged(
            frame,
            pl.col("is_reported").fill_null(False),
            subject=pl.col("stage"),
            row_label=pl.col("stage"),
            value_text=pl.col("stage"),
            detail=pl.concat_str([pl.format("“{}”", "school_name"), more]),
        )
    }
