"""The bureau's policy as the rules across filings need it: standards, categories and calibers, each as of a day.

Belongs here: reading the seeds that dbt reads (`dbt_project/seeds/*.csv`), so that a rule and a mart never go by different
standards. What is done with them is a rule (`pipelines/warehouse/context/`) or a model.
"""

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache

from pipelines.warehouse.dbt import DBT_PROJECT

SEEDS = (
    "subsidy_tiers",
    "hardship_categories",
    "calibers",
    "caliber_members",
    "pay_components",
    "stages",
    "reported_stages",
    "school_type_stages",
)
#: In the seed of categories: the county stands on the list of none.
NO_CATEGORY = "无"
#: In the seed of tiers: the programme knows no tiers.
NO_TIER = "不分档"
_HARDSHIP_SCOPE = "hardship:"
_SEEDS_FOLDER = DBT_PROJECT / "seeds"


@dataclass(frozen=True)
class Stage:
    """A stage for which enrolment rates are computed: its official ages, and the stages of the return that belong to it."""

    stage: str
    age_from: int
    age_to: int
    reported: tuple[str, ...]
    under_3_excluded: bool
    has_net_rate: bool
    reported_here_and_above: tuple[str, ...]


@dataclass(frozen=True)
class _Tier:
    scope_code: str
    programme: str
    tier: str
    yuan_per_month: Decimal
    valid_from: date
    valid_to: date | None


@dataclass(frozen=True)
class _Category:
    county_code: str
    category: str
    valid_from: date
    valid_to: date | None


@dataclass(frozen=True)
class PayCaliber:
    """A definition of comparable pay: which components it takes in and leaves out, and whose rows it counts (dimension → members)."""

    caliber_id: str
    name: str
    taken_in: frozenset[str]
    left_out: frozenset[str]
    members: dict[str, frozenset[str]]

    def may_cross(self, component: str, holder: str | None) -> bool:
        """Whether a component's figure that stands in `holder` (None: nobody knows in which) lies, or may lie, on the other side."""
        others = self.left_out if component in self.taken_in else self.taken_in
        return bool(others) if holder is None else holder in others


@dataclass(frozen=True)
class Policy:
    """What the seeds say. Days of validity: the first is in, the last is out, as in the models."""

    tiers: tuple[_Tier, ...]
    categories: tuple[_Category, ...]
    stages: tuple[Stage, ...]
    default_register: str
    pay_components: tuple[str, ...]
    pay_calibers: tuple[PayCaliber, ...]
    members: dict[tuple[str, str], frozenset[str]]
    stages_of_type: tuple[tuple[str, str], ...]

    def hardship_category(self, county_code: str, day: date) -> str | None:
        """The county's category of the hardship allowance on a day; 无 for none, None when the seed does not name the county."""
        found = [one for one in self.categories if one.county_code == county_code and _valid(one, day)]
        return found[-1].category if found else None

    def yuan_per_month(self, county_code: str, programme: str, tier: str, day: date) -> Decimal | None:
        """The monthly standard on a day: the county's own, else that of its hardship category, else the city's; None for none."""
        category = _HARDSHIP_SCOPE + (self.hardship_category(county_code, day) or "")
        for scope in (county_code, category, f"{county_code[:4]}00"):
            for one in self.tiers:
                if (one.scope_code, one.programme, one.tier) == (scope, programme, tier) and _valid(one, day):
                    return one.yuan_per_month
        return None

    def programmes_of_county(self, county_code: str, day: date) -> frozenset[str]:
        """Programmes for which a standard is set for the county itself or its hardship category on a day."""
        scopes = (county_code, _HARDSHIP_SCOPE + (self.hardship_category(county_code, day) or ""))
        return frozenset(one.programme for one in self.tiers if one.scope_code in scopes and _valid(one, day))

    def tiers_of(self, county_code: str, day: date) -> tuple[_Tier, ...]:
        """Every tier of which a standard holds for the county on a day: its own, that of its category, the city's."""
        city = f"{county_code[:4]}00"
        scopes = (county_code, city, _HARDSHIP_SCOPE + (self.hardship_category(county_code, day) or ""))
        return tuple(one for one in self.tiers if one.scope_code in scopes and _valid(one, day))

    @property
    def tiered_programmes(self) -> frozenset[str]:
        """Programmes whose standard depends on the school's tier in the register."""
        return frozenset(one.programme for one in self.tiers if one.tier != NO_TIER)

    @property
    def hardship_programmes(self) -> frozenset[str]:
        """Programmes whose standard depends on the county's category."""
        return frozenset(one.programme for one in self.tiers if one.scope_code.startswith(_HARDSHIP_SCOPE))


def _valid(one: _Tier | _Category, day: date) -> bool:
    return one.valid_from <= day and (one.valid_to is None or day < one.valid_to)


def _rows(name: str) -> Iterator[dict[str, str]]:
    with (_SEEDS_FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as stream:
        yield from csv.DictReader(stream)


def _day(text: str) -> date | None:
    return date.fromisoformat(text) if text else None


@cache
def load_policy() -> Policy:
    """The seeds as they are in this checkout. Raises KeyError, ValueError for a seed that lacks a column or a day."""
    tiers = [
        _Tier(row["scope_code"], row["programme"], row["tier"], Decimal(row["yuan_per_month"]),
              date.fromisoformat(row["valid_from"]), _day(row["valid_to"]))
        for row in _rows("subsidy_tiers")
    ]  # fmt: skip
    categories = [
        _Category(row["county_code"], row["category"], date.fromisoformat(row["valid_from"]), _day(row["valid_to"]))
        for row in _rows("hardship_categories")
    ]
    kinds = {row["caliber_id"]: row["caliber_kind"] for row in _rows("calibers") if row["is_default"] == "true"}
    members: dict[tuple[str, str], set[str]] = {}
    for row in _rows("caliber_members"):
        if kind := kinds.get(row["caliber_id"]):
            members.setdefault((kind, row["dimension"]), set()).add(row["member"])
    every_member: dict[str, dict[str, set[str]]] = {}
    for row in _rows("caliber_members"):
        every_member.setdefault(row["caliber_id"], {}).setdefault(row["dimension"], set()).add(row["member"])
    sides: dict[tuple[str, bool], set[str]] = {}
    for row in _rows("pay_components"):
        sides.setdefault((row["caliber_id"], row["is_included"] == "true"), set()).add(row["component"])
    pay_calibers = [
        PayCaliber(
            row["caliber_id"],
            row["caliber_name"],
            frozenset(sides.get((row["caliber_id"], True), ())),
            frozenset(sides.get((row["caliber_id"], False), ())),
            {name: frozenset(members) for name, members in every_member.get(row["caliber_id"], {}).items()},
        )
        for row in sorted(_rows("calibers"), key=lambda row: (row["is_default"] != "true", row["caliber_id"]))
        if row["caliber_kind"] == "pay"
    ]
    levels = {row["reported_stage"]: int(row["level"]) for row in _rows("reported_stages")}
    stages = [
        Stage(
            row["stage"],
            int(row["age_from"]),
            int(row["age_to"]),
            tuple(name for name, at in levels.items() if int(row["level_from"]) <= at <= int(row["level_to"])),
            row["under_3_excluded"] == "true",
            row["has_net_rate"] == "true",
            tuple(name for name, at in levels.items() if int(row["level_from"]) <= at),
        )
        for row in _rows("stages")
    ]
    return Policy(
        tiers=tuple(sorted(tiers, key=lambda one: one.valid_from, reverse=True)),
        categories=tuple(sorted(categories, key=lambda one: one.valid_from)),
        stages=tuple(stages),
        default_register=next(iter(members["population", "population_register"])),
        pay_components=tuple(
            row["component"]
            for row in _rows("pay_components")
            if kinds.get(row["caliber_id"]) == "pay" and row["is_included"] == "true"
        ),
        pay_calibers=tuple(pay_calibers),
        members={key: frozenset(values) for key, values in members.items()},
        stages_of_type=tuple((row["school_type"], row["reported_stage"]) for row in _rows("school_type_stages")),
    )


@cache
def policy_version() -> str:
    """Twelve hex digits that change whenever a seed does that the rules go by."""
    digest = hashlib.sha256()
    for name in SEEDS:
        digest.update(name.encode())
        digest.update((_SEEDS_FOLDER / f"{name}.csv").read_bytes())
    return digest.hexdigest()[:12]
