"""Rows of a template that are known from the last accepted register of schools.

Belongs here: which columns of which return a register tells, and which rows follow from it. What is prefilled is a proposal: the
cells stay open, the county files them as its own, and nothing is computed from what is said here.
"""

from collections.abc import Mapping, Sequence
from datetime import date

from pipelines.periods import Period
from pipelines.returns import ReturnDefinition
from pipelines.returns.definition import MISSING_LABELS

#: One school of a register, by the columns of the register.
School = Mapping[str, object]

#: Stages that a kind of school teaches: a row each in returns by stage. 特教 teaches what it teaches: one row, stage left open.
STAGES: dict[str, tuple[str, ...]] = {
    "幼儿园": ("学前",),
    "小学": ("小学",),
    "教学点": ("小学",),
    "初中": ("初中",),
    "九年一贯": ("小学", "初中"),
    "完全中学": ("初中", "普通高中"),
    "高中": ("普通高中",),
    "十二年一贯": ("小学", "初中", "普通高中"),
    "中职": ("中职",),
}
#: The programme that is paid by the tier of the register (乡村教师生活补助); others go by rules that the register does not tell.
TIER_PROGRAMME = "乡村教师生活补助"


def prefilled(defined: ReturnDefinition, schools: Sequence[School], period: Period) -> list[dict[str, object]]:
    """Rows for a return out of the last register, in the order of the register; none where a return does not go by school.

    The register itself: every declared column. A return by school: code and name, for schools open in the period; a row a stage
    where the return has stages, a row a school with a tier where it has tiers. Codes that the form does not declare stay blank.
    """
    names = {column.name for column in defined.columns}
    if "school_code" not in names:
        return []
    if defined.key == ("school_code",):
        return [_declared(defined, school) for school in schools]
    rows: list[dict[str, object]] = []
    for school in schools:
        closed = school.get("closed_on")
        if isinstance(closed, date) and closed < period.start:
            continue
        known: dict[str, object] = {"school_code": school["school_code"], "school_name": school["school_name"]}
        if "stage" in names:
            rows += [{**known, "stage": stage} for stage in STAGES.get(str(school["school_type"]), (None,))]
        elif "tier" in names:
            if school.get("subsidy_tier") in defined.column("tier").codes:
                rows.append({**known, "programme": TIER_PROGRAMME, "tier": school["subsidy_tier"]})
        else:
            rows.append(known)
    return [_declared(defined, row) for row in rows]


def _declared(defined: ReturnDefinition, row: School) -> dict[str, object]:
    """The declared columns of a row; a code that is not in the form's list left out."""
    return {
        column.name: row.get(column.name)
        for column in defined.columns
        if not column.is_coded
        or row.get(column.name) in (*column.codes, *(MISSING_LABELS[code] for code in column.missing))
    }
