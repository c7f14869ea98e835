"""Attacks, faults and slips of operation: each tried through the product's own entry points, and what came of it.

A case makes its own input in a folder of its own, does the thing, and says in a few words what came of it and whether that is right.
`python -m tests.faults` prints them as a table; `test_cases.py` runs them as tests (those marked slow with `make test-all`).
Belongs here: what somebody may do to a home, a file or a source. What a function returns for an argument is a unit test's business.
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Outcome:
    """What came of a case, in words, and whether it is what has to come of it."""

    words: str
    right: bool


@dataclass(frozen=True)
class Case:
    """`kind` is the kind of attack, fault or slip; `tried` what is done, in one line; `run` does it in an empty folder."""

    kind: str
    tried: str
    run: Callable[[Path], Outcome]
    is_slow: bool

    @property
    def name(self) -> str:
        return f"{self.kind}: {self.tried}"


_CASES: list[Case] = []


def case(
    kind: str, tried: str, *, slow: bool = False
) -> Callable[[Callable[[Path], Outcome]], Callable[[Path], Outcome]]:
    """Register a case. Slow is what takes more than some ten seconds."""

    def registered(run: Callable[[Path], Outcome]) -> Callable[[Path], Outcome]:
        _CASES.append(Case(kind, tried, run, slow))
        return run

    return registered


def cases() -> list[Case]:
    """Every case of this package's modules, by kind, in the order in which they are written."""
    for module in pkgutil.iter_modules(__path__):
        if not module.name.startswith(("test_", "__")):
            importlib.import_module(f"{__name__}.{module.name}")
    names = [one.name for one in _CASES]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two cases of one name: {twice}")
    return sorted(_CASES, key=lambda one: one.kind)
