"""What policy knows and a declaration may name: groups of members, and which members each caliber takes.

Belongs here: reading them. What they are is policy.
"""

import csv
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.home import PROJECT

_SEEDS = PROJECT / "dbt_project" / "seeds"


@dataclass(frozen=True)
class KnownPolicy:
    """`groups`: dimension → group → its members. `calibers`: kind → caliber → dimension → members."""

    groups: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    calibers: dict[str, dict[str, dict[str, list[str]]]] = field(default_factory=dict)


def known_policy(seeds: Path = _SEEDS) -> KnownPolicy:
    """What the shipped policy says."""
    groups: dict[str, dict[str, list[str]]] = {"stage": {}, "age": {}}
    reported = [(row["reported_stage"], int(row["level"])) for row in _rows(seeds / "reported_stages.csv")]
    for row in _rows(seeds / "stages.csv"):
        low, high = int(row["level_from"]), int(row["level_to"])
        groups["stage"][row["stage"]] = [stage for stage, level in reported if low <= level <= high]
        groups["stage"][f"{row['stage']}及以上"] = [stage for stage, level in reported if low <= level]
        groups["age"][f"{row['stage']}学龄"] = [
            str(age) for age in range(int(row["age_from"]), int(row["age_to"]) + 1)
        ]
    kinds = {row["caliber_id"]: row["caliber_kind"] for row in _rows(seeds / "calibers.csv")}
    calibers: dict[str, dict[str, dict[str, list[str]]]] = defaultdict(dict)
    for caliber, kind in kinds.items():
        calibers[kind][caliber] = defaultdict(list)
    for row in _rows(seeds / "caliber_members.csv"):
        calibers[kinds[row["caliber_id"]]][row["caliber_id"]][row["dimension"]].append(row["member"])
    for row in _rows(seeds / "pay_components.csv"):
        if row["is_included"] == "true":
            calibers[kinds[row["caliber_id"]]][row["caliber_id"]]["pay_component"].append(row["component"])
    return KnownPolicy(groups, dict(calibers))


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
