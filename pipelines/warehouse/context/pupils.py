"""Questions about pupils and the people they come from: change, cohorts, enrolment rates, the census."""

from collections.abc import Mapping

import polars as pl

from pipelines.returns import definition
from pipelines.screening.reference import CENSUS, CENSUS_YEAR
from pipelines.screening.rules import Rule
from pipelines.warehouse.build_database import LATEST
from pipelines.warehouse.context.filings import unless_unit_suspected
from pipelines.warehouse.context.scene import (
    Scene,
    counted,
    far_apart,
    judged,
    nearest_bound,
    quotient,
    summed_rows,
    total,
    within,
)

Rules = Mapping[str, Rule]
Judgements = dict[str, pl.DataFrame]

_GRADES = tuple(range(1, 7))
_AGES = tuple(range(18))
_PRIMARY, _JUNIOR = "小学", "初中"
#: Truth → stage of the table of stages.
_GROSS = {"gross_preschool": "学前", "gross_primary": "小学", "gross_junior": "初中", "gross_senior": "高中阶段"}
#: Truth → stage of the table of stages, of those that have a net rate.
_NET = {"net_primary": "小学", "net_junior": "初中", "net_compulsory": "义务教育"}


def change(scene: Scene, rules: Rules) -> Judgements:
    """change_students_total: a school and stage beside itself in the period before."""
    rows = scene.before("enrolment", scene.rows("enrolment"), ["school_code", "stage"], ["students_total"])
    frame = rows.rename({"students_total": "value", "students_total_before": "expected"})
    ok = ~far_apart(rules["change_students_total"].parameters)
    frame, ok = unless_unit_suspected(scene, "enrolment", "students_total", frame, ok)
    return {"change_students_total": judged(frame, ok, places=0)}


def flow(scene: Scene, rules: Rules) -> Judgements:
    """cohort_flow: a county's pupils of a grade beside those of the grade below in the period before, stage by stage. transition: new
    pupils of junior secondary beside the last grade of primary in the period before.

    Judged over the county, where transfers between its schools cancel; the school in which most of the change lies is named.
    """
    rows = scene.rows("enrolment")
    pupils = pl.concat(
        [
            rows.select(
                "entry", "county_code", "period", "before", "stage", "school_code", "school_name", "source_row",
                pl.lit(grade).alias("grade"), counted(f"grade_{grade}").alias("pupils"),
            )
            for grade in _GRADES
        ]
    )  # fmt: skip
    later = pupils.filter(pl.col("grade") > 1).select(
        "entry", "county_code", "before", "stage", "grade", "school_code", "school_name", "source_row", "pupils"
    )
    earlier = pupils.filter(pl.col("grade") < len(_GRADES)).select(
        "county_code", pl.col("period").alias("before"), "stage", (pl.col("grade") + 1).alias("grade"), "school_code",
        pl.col("school_name").alias("name_then"), pl.col("pupils").alias("pupils_then"), pl.lit(True).alias("was_there"),
    )  # fmt: skip
    # Only where the county reported the stage in both periods.
    pairs = later.select("entry", "county_code", "before", "stage", "grade").unique()
    both = pairs.join(
        earlier.select("county_code", "before", "stage").unique(), on=["county_code", "before", "stage"], how="semi"
    )
    here = later.select(
        "entry", "stage", "grade", "school_code", "school_name", "source_row", "pupils", pl.lit(True).alias("is_there")
    )
    there = both.join(earlier, on=["county_code", "before", "stage", "grade"]).select(
        "entry", "stage", "grade", "school_code", "name_then", "pupils_then", "was_there"
    )
    key = ["entry", "stage", "grade", "school_code"]
    joined = here.join(both, on=["entry", "stage", "grade"], how="semi").join(there, on=key, how="full", coalesce=True)
    # A school that was not there had nobody; a cell that was not reported stays missing.
    joined = joined.with_columns(
        pl.when(pl.col("is_there").is_null()).then(0).otherwise(pl.col("pupils")).alias("pupils"),
        pl.when(pl.col("was_there").is_null()).then(0).otherwise(pl.col("pupils_then")).alias("pupils_then"),
        pl.coalesce("school_name", "name_then").alias("school_name"),
    ).with_columns((pl.col("pupils") - pl.col("pupils_then")).alias("moved"))
    same = (
        pupils.select("county_code", "period", "stage", "grade", "pupils")
        .filter(pl.col("pupils") > 0)
        .unique(["county_code", "period", "stage", "grade"])
    )
    grades_there_are = pl.concat(
        [
            both.join(
                same.rename({"period": "before"}), on=["county_code", "before", "stage", "grade"], how="semi"
            ).select("entry", "stage", "grade"),
            pupils.filter(pl.col("pupils") > 0).select("entry", "stage", "grade"),
        ]
    ).unique()
    direction = pl.col("moved").sum().sign()
    summed = (
        joined.sort("school_code")
        .group_by("entry", "stage", "grade", maintain_order=True)
        .agg(
            total(pl.col("pupils")).alias("value"),
            total(pl.col("pupils_then")).alias("expected"),
            *summed_rows(),
            pl.struct("school_name", "moved").sort_by(pl.col("moved") * direction, descending=True, nulls_last=True)
            .first().alias("most"),
        )
        .unnest("most")
        # A grade that the stage does not have is reported as zero, year after year.
        .join(grades_there_are, on=["entry", "stage", "grade"], how="semi")
        .sort("entry", "stage", "grade")
    )  # fmt: skip
    called = {
        f"{stage}{grade}": definition("enrolment").column(f"grade_{grade}").label_in({"stage": stage})
        for stage in definition("enrolment").column("stage").codes
        for grade in _GRADES
    }

    def class_of(grade: pl.Expr) -> pl.Expr:
        return pl.concat_str("stage", grade).replace_strict(called, return_dtype=pl.String)

    signed = pl.when(pl.col("moved") > 0).then(pl.format("+{}", "moved")).otherwise(pl.col("moved").cast(pl.String))
    frame = summed.with_columns(
        pl.format("grade_{}", "grade").alias("column"),
        pl.format("{}/{}年级", "stage", "grade").alias("subject"),
        pl.format("{}各校合计", "stage").alias("row_label"),
        class_of(pl.col("grade")).alias("column_label"),
        pl.format(
            "{}由{}升{}，“{}”变化最大（{}）",
            "stage",
            class_of(pl.col("grade") - 1),
            class_of(pl.col("grade")),
            "school_name",
            signed,
        ).alias("detail"),
    )
    ok = ~far_apart(rules["cohort_flow"].parameters)
    frame, ok = unless_unit_suspected(scene, "enrolment", "students_total", frame, ok)
    return {"cohort_flow": judged(frame, ok, places=0), "transition": _transition(scene, rules["transition"], rows)}


def _transition(scene: Scene, rule: Rule, rows: pl.DataFrame) -> pl.DataFrame:
    leaving = (
        rows.filter(pl.col("stage") == _PRIMARY)
        .group_by("county_code", pl.col("period").alias("before"))
        .agg(total(counted("grade_6")).alias("leaving"))
    )
    entering = (
        rows.filter(pl.col("stage") == _JUNIOR).group_by("entry").agg(total(counted("new_entrants")).alias("entering"))
    )
    frame = (
        scene.of_return("enrolment")
        .join(entering, on="entry")
        .join(leaving, on=["county_code", "before"])
        .with_columns(
            quotient(pl.col("entering") * 100, pl.col("leaving"), 2).alias("value"),
            pl.format("初中招生 {} 人，上学年小学六年级 {} 人", "entering", "leaving").alias("detail"),
        )
    )
    ok = within(rule.parameters, 2)
    frame, ok = unless_unit_suspected(scene, "enrolment", "students_total", frame.sort("entry"), ok)
    return judged(frame, ok, expected=nearest_bound(rule.parameters, 2), places=2, subject=_JUNIOR)


def rates(scene: Scene, rules: Rules) -> Judgements:
    """Enrolment rates of the county from its own terms, in per cent: gross and net by stage, girls against boys. Unjudged when a term
    is missing. zero_population: pupils of a stage over nobody of its ages, which no rate can be judged by."""
    rows = scene.rows("enrolment")
    people = scene.rows("population").filter(pl.col("register") == scene.policy.default_register)
    population = people.group_by("county_code", pl.col("period").alias("calendar_year"), "age").agg(
        total(counted("population_total")).alias("people"), total(counted("population_female")).alias("women")
    )
    stages = {stage.stage: stage for stage in scene.policy.stages}
    found: Judgements = {}
    parity, over_nobody = [], []
    for truth, name in _GROSS.items():
        stage = stages[name]
        enrolled = (
            rows.filter(pl.col("stage").is_in(stage.reported))
            .group_by("entry")
            .agg(
                total(counted("students_total")).alias("pupils"),
                total(counted("age_2_and_under")).alias("under_3"),
                total(counted("students_female")).alias("girls"),
            )
        )
        frame = _with_population(scene, enrolled, population, stage.age_from, stage.age_to)
        less = pl.col("under_3") if stage.under_3_excluded else pl.lit(0)
        frame = frame.with_columns((pl.col("pupils") - less).alias("numerator"))
        found[truth] = _rate(frame, rules[truth], name, f"{stage.age_from}–{stage.age_to} 岁人口")
        over_nobody.append(
            judged(
                frame,
                (pl.col("people") > 0) | (pl.col("numerator") == 0),
                value=pl.col("numerator"),
                expected_text=pl.lit(f"{stage.age_from}–{stage.age_to} 岁"),
                places=0,
                subject=name,
                detail=pl.lit(name),
            )
        )
        boys, men = pl.col("pupils") - pl.col("girls"), pl.col("people") - pl.col("women")
        parameters = rules["gender_parity"].parameters
        compared = frame.with_columns(
            quotient(pl.col("girls") * men, boys * pl.col("women"), 2).alias("value"),
            pl.format("{}：女生 {}，男生 {}；同龄女 {}，男 {}", pl.lit(name), "girls", boys, "women", men).alias(
                "detail"
            ),
        )
        enough = pl.min_horizontal("girls", boys) >= parameters["persons"]
        parity.append(
            judged(
                compared,
                pl.when(enough).then(within(parameters, 2)),
                expected=nearest_bound(parameters, 2),
                places=2,
                subject=name,
            )
        )
    found["gender_parity"] = pl.concat(parity).sort("entry", "subject")
    found["zero_population"] = pl.concat(over_nobody).sort("entry", "subject")
    for truth, name in _NET.items():
        stage = stages[name]
        of_age = pl.sum_horizontal(
            [counted(f"age_{age}") for age in range(stage.age_from, stage.age_to + 1)], ignore_nulls=False
        )
        # Of these ages in the stage and above. Without a row of each part of the stage the county has not reported it.
        whole = pl.col("stage").filter(pl.col("stage").is_in(stage.reported)).n_unique() == len(stage.reported)
        counts = (
            rows.filter(pl.col("stage").is_in(stage.reported_here_and_above))
            .group_by("entry")
            .agg(pl.when(whole).then(total(of_age)).alias("numerator"))
        )
        frame = _with_population(scene, counts, population, stage.age_from, stage.age_to)
        found[truth] = _rate(frame, rules[truth], name, f"{stage.age_from}–{stage.age_to} 岁人口")
    return found


def _with_population(
    scene: Scene, counts: pl.DataFrame, population: pl.DataFrame, age_from: int, age_to: int
) -> pl.DataFrame:
    """The counts with people and women of these ages; null unless every age is reported."""
    ages = population.filter(pl.col("age").is_between(age_from, age_to))
    people = (
        ages.group_by("county_code", "calendar_year")
        .agg(total(pl.col("people")).alias("people"), total(pl.col("women")).alias("women"), pl.len().alias("ages_n"))
        .filter(pl.col("ages_n") == age_to - age_from + 1)
    )
    return (
        scene.of_return("enrolment")
        .join(counts, on="entry", maintain_order="left")
        .join(people, on=["county_code", "calendar_year"], how="left", maintain_order="left")
    )


def _rate(frame: pl.DataFrame, rule: Rule, stage: str, people: str) -> pl.DataFrame:
    frame = frame.with_columns(
        quotient(pl.col("numerator") * 100, pl.col("people"), 2).alias("value"),
        pl.format("{} 人 ÷ {} {} 人", "numerator", pl.lit(people), "people").alias("detail"),
    )
    return judged(
        frame, within(rule.parameters, 2), expected=nearest_bound(rule.parameters, 2), places=2, subject=stage
    )


def people_last_year(scene: Scene, rules: Rules) -> Judgements:
    """cohort: the people of an age beside those a year younger in the year before. change_register: all ages of a register beside the
    year before."""
    rows = scene.rows("population")
    younger = rows.select(
        "county_code", pl.col("period").alias("before"), "register", (pl.col("age") + 1).alias("age"),
        pl.col("population_total").alias("expected"),
    )  # fmt: skip
    cohorts = rows.join(
        younger, on=["county_code", "before", "register", "age"], how="left", maintain_order="left"
    ).with_columns(
        pl.col("population_total").alias("value"),
        pl.format("{}人口 {} 岁，上年 {} 岁", "register", "age", pl.col("age") - 1).alias("detail"),
    )
    whole = _by_register(rows)
    before = whole.select(
        "county_code", pl.col("period").alias("before"), "register", pl.col("value").alias("expected")
    )
    registers = whole.join(
        before, on=["county_code", "before", "register"], how="left", maintain_order="left"
    ).with_columns(
        pl.col("register").alias("subject"),
        pl.format("{}人口合计", "register").alias("row_label"),
        pl.format("{}人口合计", "register").alias("detail"),
    )
    found: Judgements = {}
    for truth, frame in (("cohort", cohorts), ("change_register", registers)):
        ok = ~far_apart(rules[truth].parameters)
        frame, ok = unless_unit_suspected(scene, "population", "population_total", frame, ok)
        found[truth] = judged(frame, ok, places=0, column="population_total")
    return found


def _by_register(rows: pl.DataFrame) -> pl.DataFrame:
    """All ages of each register: entry, county_code, period, before, register, value, first_row, last_row."""
    return (
        rows.group_by("entry", "county_code", "period", "before", "register")
        .agg(
            total(pl.col("population_total")).alias("value"),
            pl.col("age").n_unique().alias("ages_n"),
            *summed_rows(adjacent=True),
        )
        .filter(pl.col("ages_n") == len(_AGES))
        .sort("entry", "register")
    )


def registers(scene: Scene, rules: Rules) -> Judgements:
    """registers: people of a register against the residents of the same year, in per cent. register_missing: a register that is
    needed, or was there last year, and is not there."""
    whole = _by_register(scene.rows("population"))
    default = scene.policy.default_register
    residents = whole.filter(pl.col("register") == default).select("entry", pl.col("value").alias("residents"))
    frame = (
        whole.filter(pl.col("register") != default)
        .join(residents, on="entry", maintain_order="left")
        .with_columns(
            pl.format("{}人口 {} 人，{}人口 {} 人", "register", "value", pl.lit(default), "residents").alias("detail"),
            quotient(pl.col("value") * 100, pl.col("residents"), 1).alias("value"),
            pl.col("register").alias("subject"),
            pl.format("{}人口合计", "register").alias("row_label"),
        )
    )
    parameters = rules["registers"].parameters
    return {
        "registers": judged(
            frame, within(parameters, 1), expected=nearest_bound(parameters, 1), places=1, column="population_total"
        ),
        "register_missing": _register_missing(scene),
    }


def _register_missing(scene: Scene) -> pl.DataFrame:
    """The register that rates go by, and every register of the year before, is there."""
    there = scene.rows("population").select("entry", "county_code", "period", "register").unique()
    filings = scene.of_return("population").select("entry", "county_code", "before")
    default = scene.policy.default_register
    last_year = there.select("county_code", pl.col("period").alias("before"), "register")
    wanted = pl.concat(
        [
            filings.select("entry", pl.lit(default).alias("register")),
            filings.join(last_year, on=["county_code", "before"]).select("entry", "register"),
        ]
    ).unique()
    frame = wanted.join(
        there.select("entry", "register", pl.lit(True).alias("is_there")), on=["entry", "register"], how="left"
    ).sort("entry", "register")
    word = pl.format("{}人口", "register")
    return judged(frame, pl.col("is_there").fill_null(False), subject=pl.col("register"), row_label=word, detail=word)


def census_cohorts(scene: Scene, rules: Rules) -> Judgements:
    """census_2020: age bands of the census, aged to the return's year, beside the resident population reported for those ages."""
    census = (
        scene.connection.sql(
            f"""SELECT area_code AS county_code, age_from, age_to, male + female AS expected
            FROM landing.census_2020
            SEMI JOIN (SELECT submission_id FROM landing.filing_version AS filing
                       SEMI JOIN ({LATEST}) AS latest USING (submission_id, screening_seq)
                       LEFT JOIN landing.sent_last AS sent USING (submission_id, screening_seq)
                       WHERE filing.return_code = '{CENSUS}' AND verdict <> 'rejected'
                       ORDER BY coalesce(sent_at, received_at) DESC, submission_id DESC LIMIT 1) USING (submission_id)"""
        )
        .pl()
        .unique()
    )
    people = scene.rows("population").filter(pl.col("register") == "常住")
    years = pl.col("period").cast(pl.Int64) - CENSUS_YEAR
    bands = (
        people.select("entry", "county_code", "period")
        .unique()
        .join(census, on="county_code")
        .with_columns((pl.col("age_from") + years).alias("from"), (pl.col("age_to") + years).alias("to"))
        .filter((years > 0) & (pl.col("to") <= 17))
    )
    compared = (
        bands.join(people, on=["entry", "county_code", "period"])
        .filter(pl.col("age").is_between(pl.col("from"), pl.col("to")))
        .group_by("entry", "from", "to", "expected")
        .agg(
            pl.col("population_total").sum().alias("value"),
            pl.col("population_total").is_not_null().sum().alias("ages_n"),
            *summed_rows(adjacent=True),
            pl.col("subject").sort_by("age").first(),
        )
        .sort("entry", "from")
    )
    whole = pl.col("ages_n") == pl.col("to") - pl.col("from") + 1
    frame = compared.with_columns(
        pl.format("{}–{}", pl.col("from"), pl.col("to")).alias("detail"),
        pl.format("{}–{} 岁合计", pl.col("from"), pl.col("to")).alias("row_label"),
    )
    ok = pl.when(whole).then(~far_apart(rules["census_2020"].parameters))
    return {"census_2020": judged(frame, ok, places=0)}
