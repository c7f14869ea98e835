"""What a family of indicators may say, as it stands in its YAML file: the keys, and what a value may look like.

Belongs here: the form alone. What the names in it mean is checked by `families`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from pipelines.municipality.problems import refused

Shape = Literal[
    "ratio", "ratio_of_averages", "count", "share_of_areas", "share_of_units", "change", "dispersion", "quantile", "mean_of"
]  # fmt: skip
SHAPES: tuple[str, ...] = get_args(Shape)
Direction = Literal["higher", "lower", "parity", "none"]
#: value = quotient × factor, by unit, where an indicator does not say another.
FACTORS = {"%": 100, "‰": 1000}
#: The caliber of what has nothing to choose.
AS_REPORTED = "as_reported"
#: Roles whose terms add up to something, in the order of a formula.
SIDES = ("numerator", "numerator_base", "denominator", "denominator_base")
ROLES = (*SIDES, "needs", "exists")
#: Which roles each shape must have; others it must not have, `needs` and `exists` aside.
NEEDED: dict[str, tuple[str, ...]] = {
    "ratio": ("numerator", "denominator"),
    "ratio_of_averages": SIDES,
    "count": ("numerator",),
    "share_of_units": ("numerator",),
    "dispersion": ("numerator", "denominator"),
    "quantile": ("numerator",),
    "share_of_areas": (),
    "change": (),
    "mean_of": (),
}
#: What a shape may have besides.
ALLOWED: dict[str, tuple[str, ...]] = {"share_of_units": ("denominator",), "quantile": ("denominator",)}


def _terms(value: object) -> object:
    """A role as {wording or '': [terms]}; one term, a list of terms, or wording → either."""
    if isinstance(value, str):
        return {"": [value]}
    if isinstance(value, list):
        return {"": value}
    if isinstance(value, dict):
        return {str(words): [terms] if isinstance(terms, str) else terms for words, terms in value.items()}
    raise refused("不是项", "写成 项名、[项, -项]，或 措辞: 项名")


Role = Annotated[dict[str, list[str]], BeforeValidator(_terms)]


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _weights(value: object) -> object:
    """Indicators with weights; a list weighs all alike."""
    if isinstance(value, list):
        return dict.fromkeys(map(str, value), 1)
    return value


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Gap(_Form):
    """What one more of the numerator is, and how the distance to a standard is said; # stands for the amount."""

    counted: str
    below: str
    above: str


class TermForm(_Form):
    """One of `sum`, `rows`, `distinct`, of which rows."""

    return_code: str = Field(alias="return")
    sum: str | None = None
    rows: Literal[True] | None = None
    distinct: str | None = None
    where: dict[str, Any] = {}
    at: str | None = None
    absent: Literal["zero", "missing"] | None = None
    shown: str | None = None
    label: str | None = None
    unit: str | None = None


class IndicatorForm(_Form):
    """An indicator; what it does not say is said by its family."""

    name: str
    name_en: str
    shape: Shape
    anchor: str | None = None
    caliber: str | None = None
    unit: str | None = None
    factor: int | None = Field(ge=1, le=1_000_000, default=None)
    direction: Direction | None = None
    zero_denominator: Literal["error", "not_applicable"] = "error"
    side_factor: int = Field(ge=1, default=1)
    over_year: Literal["sum"] | None = None
    source: str | None = None
    gap: Gap | None = None
    ceiling: Decimal | None = None
    numerator: Role | None = None
    numerator_base: Role | None = None
    denominator: Role | None = None
    denominator_base: Role | None = None
    needs: Role | None = None
    exists: Role | None = None
    words: dict[Literal["numerator", "denominator"], str] = {}
    per: str | None = None
    weighting: Literal["units", "equal", "caliber"] | None = None
    quantile: Decimal | None = Field(gt=0, lt=1, default=None)
    of: Annotated[dict[str, Decimal], BeforeValidator(lambda value: _weights(_listed(value)))] = {}
    since: str | None = None
    as_: Literal["difference", "reduction_percent"] | None = Field(alias="as", default=None)
    same: str | None = None
    meets: Annotated[list[str], BeforeValidator(_listed)] = []
    among: str | None = None
    at_least: int | None = Field(ge=1, default=None)  # of `meets`, how many must meet their standard
    others: Decimal | None = Field(gt=0, le=1, default=None)  # which share of its standard each of the rest must reach
    only: list[str] = []
    about: dict[str, str] | None = None
    except_: dict[str, dict[str, Any]] = Field(alias="except", default={})

    def role(self, name: str) -> dict[str, list[str]] | None:
        found: dict[str, list[str]] | None = getattr(self, name)
        return found


class FamilyForm(_Form):
    """One file."""

    family: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    order: int = 1000
    anchor: str | None = None
    caliber: str | None = None
    source: str = ""
    direction: Direction = "none"
    unit: str = ""
    gap: Gap | None = None
    about: dict[str, str] = {}
    nothing: Literal["counts", "is_missing"] = "is_missing"
    for_: list[dict[str, str]] = Field(alias="for", default=[])
    terms: dict[str, Any] = {}
    indicators: dict[str, Any] = Field(min_length=1)
