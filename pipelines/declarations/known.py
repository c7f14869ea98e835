"""What policy knows and a declaration may name: groups of members, and which members each caliber takes.

Belongs here: picking them from the policy in force. What they are is policy.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from pipelines.policy.in_force import InForce

#: The dimension whose members a caliber takes by the table of pay components.
PAY_COMPONENT = "pay_component"


@dataclass(frozen=True)
class KnownPolicy:
    """`groups`: dimension → names of its groups. `calibers`: kind → caliber → the dimensions that it says members of."""

    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)
    calibers: Mapping[str, Mapping[str, frozenset[str]]] = field(default_factory=dict)


def known_policy(in_force: InForce) -> KnownPolicy:
    """What the policy in force offers to declarations."""
    groups: dict[str, set[str]] = defaultdict(set)
    for row in in_force.rows["member_groups"]:
        groups[str(row.values["dimension"])].add(str(row.values["member_group"]))
    kinds = {str(row.values["caliber_id"]): str(row.values["caliber_kind"]) for row in in_force.rows["calibers"]}
    calibers: dict[str, dict[str, set[str]]] = defaultdict(dict)
    for caliber, kind in kinds.items():
        calibers[kind][caliber] = set()
    for row in in_force.rows["caliber_members"]:
        caliber = str(row.values["caliber_id"])
        calibers[kinds[caliber]][caliber].add(str(row.values["dimension"]))
    for row in in_force.rows["pay_components"]:
        caliber = str(row.values["caliber_id"])
        calibers[kinds[caliber]][caliber].add(PAY_COMPONENT)
    return KnownPolicy(
        {dimension: frozenset(names) for dimension, names in groups.items()},
        {kind: {caliber: frozenset(names) for caliber, names in found.items()} for kind, found in calibers.items()},
    )
