"""What a declaration may name of policy: groups of members, and what each caliber says members of.

Belongs here: its form. Who lies above (`policy`) fills it, so that declarations rest on no policy.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

#: The dimension whose members a caliber takes by the table of pay components.
PAY_COMPONENT = "pay_component"


@dataclass(frozen=True)
class KnownPolicy:
    """`groups`: dimension → group → members, those of the whole country. `calibers`: kind → caliber → the dimensions that it says members of."""

    groups: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    calibers: Mapping[str, Mapping[str, frozenset[str]]] = field(default_factory=dict)
