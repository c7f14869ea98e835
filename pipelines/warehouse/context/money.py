"""Questions about pay and subsidies: against the period before, against each other, against standards and categories."""

from collections.abc import Mapping

import polars as pl

from pipelines.returns import definition
from pipelines.screening.rules import Rule
from pipelines.warehouse.context.filings import unless_unit_suspected
from pipelines.warehouse.context.scene import (
    Scene,
    counted,
    far_apart,
    holds_what_it_says,
    is_included,
    judged,
    nearest_bound,
    quotient,
    summed_rows,
    total,
    within,
)
from pipelines.warehouse.policy import NO_CATEGORY, PayCaliber

Rules = Mapping[str, Rule]
Judgements = dict[str, pl.DataFrame]

_HEADS = {"teacher_pay": "teachers_average", "civil_servant_pay": "civil_servants_average"}
_HARDSHIP_COLUMN = "hardship_allowance_yuan"
_ALLOWANCES = ("rural_living_allowance_yuan", "township_allowance_yuan", _HARDSHIP_COLUMN)
#: Teachers of this programme stay on the payroll of the school that sends them.
_SENT_BY_OTHERS = "三区人才计划"
_STAGES = {"小学": "primary", "初中": "junior"}


def pay_last_year(return_code: str, scene: Scene, rules: Rules) -> Judgements:
    """change_pay_per_head: yuan a head of a row beside the year before. change_county_pay_per_head: the same of the whole return."""
    heads = _HEADS[return_code]
    key = list(definition(return_code).key)
    rows = scene.before(return_code, scene.rows(return_code), key, ["pay_total_yuan", heads])
    # Cents over tenths of heads: ten times the cents a head, a tenth of the yuan.
    frame = rows.with_columns(
        quotient(pl.col("pay_total_yuan"), pl.col(heads) * 10).alias("value"),
        quotient(pl.col("pay_total_yuan_before"), pl.col(f"{heads}_before") * 10).alias("expected"),
    )
    found: Judgements = {}
    ok = ~far_apart(rules["change_pay_per_head"].parameters)
    frame, ok = unless_unit_suspected(scene, return_code, "pay_total_yuan", frame, ok)
    found["change_pay_per_head"] = judged(frame, ok, places=0, column="pay_total_yuan")
    if rule := rules.get("change_county_pay_per_head"):
        whole = (
            scene.rows(return_code)
            .group_by("entry", "county_code", "period", "before")
            .agg(total(pl.col("pay_total_yuan")).alias("pay"), total(pl.col(heads)).alias("heads"))
            .with_columns(
                quotient(pl.col("pay"), pl.col("heads") * 10).alias("value"),
                quotient(pl.col("heads"), pl.lit(10)).alias("heads"),
            )
            .sort("entry")
        )
        before = whole.select("county_code", pl.col("period").alias("before"), pl.col("value").alias("expected"))
        frame = whole.join(before, on=["county_code", "before"], how="left", maintain_order="left")
        ok = ~far_apart(rule.parameters)
        frame, ok = unless_unit_suspected(scene, return_code, "pay_total_yuan", frame, ok)
        found["change_county_pay_per_head"] = judged(
            frame, ok, places=0, detail=pl.format("{} 人", "heads"), subject=pl.lit("")
        )
    return found


def hardship_pay(return_code: str, scene: Scene, _rules: Rules) -> Judgements:
    """hardship_category: the allowance of a category paid in a county that has none."""
    frame = scene.rows(return_code).join(scene.policy_frame(return_code), on="entry", how="left", maintain_order="left")
    amount = pl.when(holds_what_it_says(_HARDSHIP_COLUMN)).then(counted(_HARDSHIP_COLUMN))
    none = pl.col("hardship_category") == NO_CATEGORY
    return {
        "hardship_category": judged(
            frame, pl.when(none).then(amount == 0).when(none.not_()).then(True), column=_HARDSHIP_COLUMN, value=amount,
            expected=pl.when(none).then(0), places=2,
        )
    }  # fmt: skip


def staffing(scene: Scene, rules: Rules) -> Judgements:
    """pupils_per_teacher: pupils of the school year that starts in the year ÷ teachers on the payroll, of primary and junior schools
    of the county. parity: teachers' comparable pay ÷ civil servants'. Unjudged when a term is missing."""
    rows = scene.rows("teacher_pay")
    pupils = (
        scene.rows("enrolment")
        .group_by("county_code", pl.col("period").alias("school_year"), "stage")
        .agg(total(counted("students_total")).alias("pupils"))
    )
    teachers = (
        rows.filter(pl.col("stage").is_in(list(_STAGES)))
        .group_by("entry", "county_code", "school_year", "stage")
        .agg(total(pl.col("teachers_average")).alias("tenths"))
        .join(pupils, on=["county_code", "school_year", "stage"])
        .with_columns(
            quotient(pl.col("pupils") * 10, pl.col("tenths"), 1).alias("value"),
            pl.format("{}学生 {} 人，教师 {} 人", "stage", "pupils", quotient(pl.col("tenths"), pl.lit(10))).alias(
                "detail"
            ),
        )
        .sort("entry", "stage")
    )
    rule = rules["pupils_per_teacher"]
    bounds = [
        judged(part, within(limits, 1), expected=nearest_bound(limits, 1), places=1, subject=pl.col("stage"))
        for stage, name in _STAGES.items()
        for part in [teachers.filter(pl.col("stage") == stage)]
        for limits in [{"low": rule.parameters[f"{name}_low"], "high": rule.parameters[f"{name}_high"]}]
    ]
    return {"pupils_per_teacher": pl.concat(bounds), "parity": _parity(scene, rules["parity"])}


def _counted_rows(return_code: str, scene: Scene, caliber: PayCaliber) -> pl.DataFrame:
    """The rows of a pay return that a caliber counts; `organiser` null for a school that stands in no register."""
    rows = scene.rows(return_code)
    if return_code == "civil_servant_pay":
        return rows.filter(pl.col("staff_category").is_in(caliber.members["civil_servant_category"]))
    organisers = scene.registers.select("county_code", "school_year", "school_code", "organiser")
    return (
        rows.filter(pl.col("stage").is_in(caliber.members["teacher_stage"]))
        .join(organisers, on=["county_code", "school_year", "school_code"], how="left", maintain_order="left")
        .filter(pl.col("organiser").is_null() | pl.col("organiser").is_in(caliber.members["teacher_organiser"]))
    )


def _crossing(caliber: PayCaliber) -> dict[tuple[str, str | None], pl.Expr]:
    """(component, the one that holds its figure or None) → whether a row says so; of those that (may) cross the caliber's border."""
    components = sorted(caliber.taken_in | caliber.left_out)
    return {
        (component, holder): is_included(component, holder)
        for component in components
        for holder in (*components, None)
        if component != holder and caliber.may_cross(component, holder)
    }


def included_elsewhere(return_code: str, scene: Scene, _rules: Rules) -> Judgements:
    """included_elsewhere: components answered 并入 whose figure stands, or may stand, on the other side of a caliber's border. One
    judgement a filing, for all its rows, columns and calibers."""
    defined = definition(return_code)
    labels = {column.name: column.label for column in defined.columns}
    order = {column.name: place for place, column in enumerate(defined.columns)}
    found: dict[int, dict[tuple[str, str | None], set[int]]] = {}
    touched: dict[int, list[str]] = {}
    answered = scene.rows(return_code).filter(pl.col("missing_codes").str.contains("included_elsewhere", literal=True))
    for caliber in scene.policy.pay_calibers if not answered.is_empty() else ():
        counted_rows = _counted_rows(return_code, scene, caliber).select("entry", "source_row")
        for pair, says_so in _crossing(caliber).items():
            rows = answered.filter(says_so).select("entry", "source_row")
            # A filing is touched by a row that counts; its other rows that say the same are to be mended with it.
            for entry in rows.join(counted_rows, on=["entry", "source_row"], how="semi")["entry"].unique():
                found.setdefault(entry, {})[pair] = set(rows.filter(pl.col("entry") == entry)["source_row"])
                if caliber.name not in touched.setdefault(entry, []):
                    touched[entry].append(caliber.name)
    judgements = []
    for entry in scene.of_return(return_code)["entry"]:
        pairs = sorted(found.get(entry, {}).items(), key=lambda one: (order[one[0][0]], order.get(one[0][1] or "", 0)))
        words = "，".join(
            f"“{labels[component]}”并入{f'“{labels[holder]}”' if holder else '而没有写明栏目'}（{len(rows)} 行）"
            for (component, holder), rows in pairs
        )
        names = "、".join(touched.get(entry, []))
        first = min(((min(rows), component) for (component, _), rows in pairs), default=(None, None))
        judgements.append((entry, not pairs, *first, f"{words}，{names}" if pairs else None))
    frame = pl.DataFrame(
        judgements,
        schema={
            "entry": pl.UInt32,
            "holds": pl.Boolean,
            "source_row": pl.Int32,
            "column": pl.String,
            "detail": pl.String,
        },
        orient="row",
    )
    return {"included_elsewhere": judged(frame, pl.col("holds"), subject="")}


def _parity(scene: Scene, rule: Rule) -> pl.DataFrame:
    caliber = scene.policy.pay_calibers[0]
    crosses = pl.any_horizontal(_crossing(caliber).values())
    included = pl.sum_horizontal([counted(name) for name in scene.policy.pay_components], ignore_nulls=False)
    pay = pl.when(~crosses).then(included).alias("pay")
    teachers = (
        _counted_rows("teacher_pay", scene, caliber)
        .with_columns(pay)
        .group_by("entry", "county_code", "period")
        .agg(
            # A school that stands in no register: nobody can say whether it is public.
            pl.col("organiser").is_not_null().all().alias("is_known"),
            total(pl.col("pay")).alias("teacher_cents"),
            total(pl.col("teachers_average")).alias("teacher_tenths"),
        )
        .filter("is_known")
    )
    civil = (
        _counted_rows("civil_servant_pay", scene, caliber)
        .with_columns(pay)
        .group_by("county_code", "period")
        .agg(total(pl.col("pay")).alias("civil_cents"), total(pl.col("civil_servants_average")).alias("civil_tenths"))
    )
    teacher, servant = (
        quotient(pl.col(f"{side}_cents"), pl.col(f"{side}_tenths") * 10) for side in ("teacher", "civil")
    )
    frame = (
        teachers.join(civil, on=["county_code", "period"])
        .with_columns(teacher.alias("teacher"), servant.alias("servant"))
        .with_columns(
            quotient(pl.col("teacher"), pl.col("servant"), 2).alias("value"),
            pl.format("教师人均 {} 元，公务员人均 {} 元", "teacher", "servant").alias("detail"),
        )
        .sort("entry")
    )
    return judged(
        frame, within(rule.parameters, 2), expected=nearest_bound(rule.parameters, 2), places=2, subject=pl.lit("")
    )


def allowances_paid(scene: Scene, rules: Rules) -> Judgements:
    """subsidies: an allowance in a school's pay of the year beside what the year's subsidy returns say was paid to it."""
    subsidies = scene.rows("rural_subsidy")
    whole_years = (
        scene.of_return("rural_subsidy")
        .group_by("county_code", "calendar_year")
        .agg(pl.col("months_n").sum())
        .filter(pl.col("months_n") == 12)
    )
    paid = (
        subsidies.join(whole_years, on=["county_code", "calendar_year"], how="semi")
        .group_by("county_code", pl.col("calendar_year").alias("period"), "school_code", "programme")
        .agg(total(pl.col("paid_yuan")).alias("expected"))
    )
    rows = scene.rows("teacher_pay")
    found = []
    for column in _ALLOWANCES:
        programme = definition("teacher_pay").column(column).label
        schools = (
            rows.group_by("entry", "county_code", "period", "school_code", maintain_order=True)
            .agg(
                # What is included elsewhere is asked about once, by the return, and not of every school.
                total(pl.when(holds_what_it_says(column)).then(counted(column))).alias("value"),
                *summed_rows(adjacent=True), pl.col("school_name").first(),
                pl.col("subject").first(),
            )
            .join(paid.filter(pl.col("programme") == programme), on=["county_code", "period", "school_code"], maintain_order="left")
            .with_columns(pl.col("school_name").alias("row_label"), pl.lit(programme).alias("detail"))
        )  # fmt: skip
        found.append(judged(schools, ~far_apart(rules["subsidies"].parameters, 2), places=2, column=column))
    return {"subsidies": pl.concat(found)}


def subsidies_last_period(scene: Scene, rules: Rules) -> Judgements:
    """change_heads, change_due: teachers entitled and yuan due by programme beside the period before."""
    found: Judgements = {}
    for truth, column, places in (("change_heads", "teachers_entitled", 0), ("change_due", "due_yuan", 2)):
        whole = (
            scene.rows("rural_subsidy")
            .group_by("entry", "county_code", "period", "before", "programme")
            .agg(total(pl.col(column)).alias("value"))
            .sort("entry", "programme")
        )
        before = whole.select(
            "county_code", pl.col("period").alias("before"), "programme", pl.col("value").alias("expected")
        )
        frame = whole.join(before, on=["county_code", "before", "programme"], how="left", maintain_order="left")
        ok = ~far_apart(rules[truth].parameters, places)
        frame, ok = unless_unit_suspected(scene, "rural_subsidy", column, frame, ok)
        found[truth] = judged(frame, ok, places=places, subject=pl.col("programme"), detail=pl.col("programme"))
    return found


def payroll(scene: Scene, rules: Rules) -> Judgements:
    """heads: teachers entitled to a programme beside all teachers on the school's payroll of the year."""
    staff = (
        scene.rows("teacher_pay")
        .group_by("county_code", pl.col("period").alias("calendar_year"), "school_code")
        .agg(total(pl.col("teachers_average")).alias("tenths"))
    )
    frame = (
        scene.rows("rural_subsidy")
        .filter(pl.col("programme") != _SENT_BY_OTHERS)
        .with_columns(pl.coalesce("teachers_entitled", "teachers_paid").alias("heads"))
        .group_by("entry", "county_code", "calendar_year", "school_code", "programme", maintain_order=True)
        .agg(
            total(pl.col("heads")).alias("value"),
            *summed_rows(adjacent=True),
            pl.col("row_label").first(),
            pl.col("subject").first(),
        )
        .join(staff, on=["county_code", "calendar_year", "school_code"], maintain_order="left")
        .with_columns((pl.col("value") * 10).alias("value"), pl.col("tenths").alias("expected"))
    )
    parameters = rules["heads"].parameters
    most = pl.col("expected") * (1 + parameters["share"]) + parameters["persons"] * 10
    return {"heads": judged(frame, pl.col("value") <= most, places=1, column="teachers_entitled")}


def tiers(scene: Scene, _rules: Rules) -> Judgements:
    """tier: the tier under which a school is paid beside its tier in the register."""
    register = scene.registers.select(
        "county_code", "school_year", "school_code", pl.col("subsidy_tier").alias("registered")
    )
    frame = (
        scene.rows("rural_subsidy")
        .filter(pl.col("programme").is_in(scene.policy.tiered_programmes))
        .join(register.with_columns(pl.lit(True).alias("is_known")), on=["county_code", "school_year", "school_code"],
              how="left", maintain_order="left")
    )  # fmt: skip
    same = (pl.col("tier") == pl.col("registered")).fill_null(False)
    return {
        "tier": judged(
            frame,
            pl.when("is_known").then(same),
            value_text=pl.col("tier"),
            expected_text=pl.col("registered").fill_null("不适用"),
            column="tier",
        )
    }


def policy(scene: Scene, _rules: Rules) -> Judgements:
    """hardship_category: subsidies of a category in a county that has none. standard: the monthly amount beside the one that policy
    sets for the county, programme and tier."""
    rows = scene.rows("rural_subsidy")
    frame = (
        rows.join(scene.policy_frame("rural_subsidy"), on="entry", how="left", maintain_order="left")
        .join(scene.standards(), on=["entry", "programme", "tier"], how="left", maintain_order="left")
    )  # fmt: skip
    hardship = pl.col("programme").is_in(scene.policy.hardship_programmes)
    none = pl.col("hardship_category") == NO_CATEGORY
    heads = pl.coalesce("teachers_entitled", "teachers_paid")
    standard = pl.col("standard_cents")
    return {
        "hardship_category": judged(
            frame.filter(hardship), pl.when(none).then(heads == 0).when(none.not_()).then(True), column="programme",
            value_text=pl.col("programme"), expected_text=pl.col("hardship_category"),
        ),
        "standard": judged(
            frame,
            pl.when(standard.is_not_null() & (heads > 0)).then(pl.col("standard_yuan_per_month") == standard),
            column="standard_yuan_per_month", value=pl.col("standard_yuan_per_month"), expected=standard, places=2,
            detail=pl.format("{}（{}）", "programme", "tier"),
        ),
    }  # fmt: skip


def programmes(scene: Scene, _rules: Rules) -> Judgements:
    """programme_missing: a programme that the county has and the return has no row of: a standard is set for the county or its
    category, its register has schools of a tier that is paid by, or the period before had teachers entitled to it."""
    filings = scene.of_return("rural_subsidy").select(
        "entry", "county_code", "period", "before", "school_year", "starts_on", "ends_on"
    )
    rows = scene.rows("rural_subsidy")
    by_policy = [
        (row["entry"], programme)
        for row in filings.iter_rows(named=True)
        for programme in sorted(scene.policy.programmes_of_county(row["county_code"], row["ends_on"]))
    ]
    schema = {"entry": pl.UInt32, "programme": pl.String}
    tiers = pl.DataFrame(
        [
            (row["entry"], tier.programme, tier.tier)
            for row in filings.iter_rows(named=True)
            for tier in scene.policy.tiers_of(row["county_code"], row["ends_on"])
        ],
        schema=schema | {"subsidy_tier": pl.String},
        orient="row",
    )
    registered = (
        filings.join(scene.rows("school").select("county_code", pl.col("period").alias("school_year"), "subsidy_tier", "closed_on"),
                     on=["county_code", "school_year"])
        .filter(pl.col("closed_on").is_null() | (pl.col("closed_on") > pl.col("ends_on")))
        .join(tiers, on=["entry", "subsidy_tier"])
    )  # fmt: skip
    earlier = rows.filter(pl.col("teachers_entitled") > 0).select(
        "county_code", pl.col("period").alias("before"), "programme"
    )
    reasons = [
        (pl.DataFrame(by_policy, schema=schema, orient="row"), "文件规定了本县（市、区）该项目的标准"),
        (registered.select("entry", "programme"), "名录中有按档次享受该项目的学校"),
        (filings.join(earlier, on=["county_code", "before"]).select("entry", "programme"), "上期有应发人员"),
    ]
    expected = pl.concat(
        [frame.unique().with_columns(pl.lit(reason).alias("reason")) for frame, reason in reasons]
    ).unique(["entry", "programme"], keep="first", maintain_order=True)
    reported = rows.select("entry", "programme", pl.lit(True).alias("is_reported")).unique()
    frame = expected.join(reported, on=["entry", "programme"], how="left").sort("entry", "programme")
    return {
        "programme_missing": judged(
            frame,
            pl.col("is_reported").fill_null(False),
            subject=pl.col("programme"),
            row_label=pl.col("programme"),
            value_text=pl.col("reason"),
            detail=pl.col("programme"),
        )
    }
