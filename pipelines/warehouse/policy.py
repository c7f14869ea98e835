"""The bureau's policy as the rules across filings need it: standards, categories and calibers, each as of a day.

Belongs here: the tables of schema `policy` that the models read, so that a rule and a mart never go by different standards. What is
done with them is a rule (`pipelines/warehouse/context/`) or a model.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import duckdb

#: In the table of categories: the county stands on the list of none.
NO_CATEGORY = "无"
#: In the table of tiers: the programme knows no tiers.
NO_TIER = "不分档"
_HARDSHIP_SCOPE = "hardship:"


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
    """What the tables say. Days of validity: the first is in, the last is out, as in the models."""

    tiers: tuple[_Tier, ...]
    categories: tuple[_Category, ...]
    stages: tuple[Stage, ...]
    default_register: str
    pay_components: tuple[str, ...]
    pay_calibers: tuple[PayCaliber, ...]
    members: dict[tuple[str, str], frozenset[str]]
    stages_of_type: tuple[tuple[str, str], ...]

    def hardship_category(self, county_code: str, day: date) -> str | None:
        """The county's category of the hardship allowance on a day; 无 for none, None when the table does not name the county."""
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


def landed_policy(connection: duckdb.DuckDBPyConnection) -> Policy:
    """What the tables of schema `policy` say."""

    def rows(name: str) -> list[dict[str, Any]]:
        found = connection.execute(f"SELECT * FROM policy.{name} ORDER BY ALL")
        columns = [column[0] for column in found.description or ()]
        return [dict(zip(columns, row, strict=True)) for row in found.fetchall()]

    return read_policy(rows)


def read_policy(rows: Callable[[str], Iterable[Mapping[str, Any]]]) -> Policy:
    """What tables of policy say; `rows`: name of a table → its typed rows."""
    tiers = [
        _Tier(
            row["scope_code"], row["programme"], row["tier"], row["yuan_per_month"], row["valid_from"], row["valid_to"]
        )
        for row in rows("subsidy_tiers")
    ]
    categories = [
        _Category(row["county_code"], row["category"], row["valid_from"], row["valid_to"])
        for row in rows("hardship_categories")
    ]
    calibers = sorted(rows("calibers"), key=lambda row: (not row["is_default"], row["caliber_id"]))
    kinds = {row["caliber_id"]: row["caliber_kind"] for row in calibers if row["is_default"]}
    members: dict[tuple[str, str], set[str]] = {}
    every_member: dict[str, dict[str, set[str]]] = {}
    for row in rows("caliber_members"):
        if kind := kinds.get(row["caliber_id"]):
            members.setdefault((kind, row["dimension"]), set()).add(row["member"])
        every_member.setdefault(row["caliber_id"], {}).setdefault(row["dimension"], set()).add(row["member"])
    components = list(rows("pay_components"))
    sides: dict[tuple[str, bool], set[str]] = {}
    for row in components:
        sides.setdefault((row["caliber_id"], row["is_included"]), set()).add(row["component"])
    pay_calibers = [
        PayCaliber(
            row["caliber_id"],
            row["caliber_name"],
            frozenset(sides.get((row["caliber_id"], True), ())),
            frozenset(sides.get((row["caliber_id"], False), ())),
            {name: frozenset(members) for name, members in every_member.get(row["caliber_id"], {}).items()},
        )
        for row in calibers
        if row["caliber_kind"] == "pay"
    ]
    levels = {row["reported_stage"]: row["level"] for row in rows("reported_stages")}
    stages = [
        Stage(
            row["stage"],
            row["age_from"],
            row["age_to"],
            tuple(name for name, at in levels.items() if row["level_from"] <= at <= row["level_to"]),
            row["under_3_excluded"],
            row["has_net_rate"],
            tuple(name for name, at in levels.items() if row["level_from"] <= at),
        )
        for row in sorted(rows("stages"), key=lambda row: row["sort_order"])
    ]
    return Policy(
        tiers=tuple(sorted(tiers, key=lambda one: one.valid_from, reverse=True)),
        categories=tuple(sorted(categories, key=lambda one: one.valid_from)),
        stages=tuple(stages),
        default_register=next(iter(members["population", "population_register"])),
        pay_components=tuple(
            row["component"] for row in components if kinds.get(row["caliber_id"]) == "pay" and row["is_included"]
        ),
        pay_calibers=tuple(pay_calibers),
        members={key: frozenset(values) for key, values in members.items()},
        stages_of_type=tuple((row["school_type"], row["reported_stage"]) for row in rows("school_type_stages")),
    )
