"""Where the declared returns and rules lie, and the remembering of what was read of them.

Belongs here: the folders, and reading others for a while (a county's pre-check reads those of a bundle). Beside what the product
ships lie those of a home, `<home>/returns/*.yaml` and `<home>/expectations/*.yaml`: a city's own returns. What is in the files is read by
`returns` and `screening.rules`, which mark what they keep with `read_once`. Standard library only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import _lru_cache_wrapper, cache
from pathlib import Path
from typing import TypeVar

_PACKAGE = Path(__file__).resolve().parent
SHIPPED_DEFINITIONS = _PACKAGE / "returns" / "definitions"
SHIPPED_EXPECTATIONS = _PACKAGE.parent / "expectations"
_Read = TypeVar("_Read")
_remembered: list[_lru_cache_wrapper[object]] = []
_instead: list[Path] = []
_home: list[Path] = []


def use_home(root: Path) -> None:
    """From now on the returns of this process are those of that home beside the shipped ones; `XIANBAO_HOME` names it else."""
    if _home != [root]:
        _home[:] = [root]
        forget()


def own_home() -> Path | None:
    """The home whose own returns are read; None where it has none, or others are read instead."""
    named = os.environ.get("XIANBAO_HOME")
    root = _home[0] if _home else Path(named) if named else None
    replaced = _instead or os.environ.get("XIANBAO_RETURNS")
    return root if root and not replaced and any((root / "returns").glob("*.yaml")) else None


def definitions_folders() -> tuple[Path, ...]:
    """`returns/definitions/` in the package, then `returns/` of the home; `XIANBAO_RETURNS` names others, as PATH does."""
    return _folders("definitions", "XIANBAO_RETURNS", SHIPPED_DEFINITIONS, "returns")


def expectations_folders() -> tuple[Path, ...]:
    """`expectations/` beside the package, then that of the home; `XIANBAO_EXPECTATIONS` names others, as PATH does."""
    return _folders("expectations", "XIANBAO_EXPECTATIONS", SHIPPED_EXPECTATIONS, "expectations")


def definitions_folder() -> Path:
    """The first of `definitions_folders`: the product's own, or what is read instead."""
    return definitions_folders()[0]


def expectations_folder() -> Path:
    """The first of `expectations_folders`: the product's own, or what is read instead."""
    return expectations_folders()[0]


def _folders(instead: str, variable: str, shipped: Path, own: str) -> tuple[Path, ...]:
    if _instead:
        return (_instead[-1] / instead,)
    if named := os.environ.get(variable):
        return tuple(map(Path, named.split(os.pathsep)))
    root = own_home()
    # The checkout may be a home itself.
    return (shipped,) if root is None or (root / own).resolve() == shipped else (shipped, root / own)


def definition_files() -> list[Path]:
    """Every definition there is: the shipped ones, then the home's."""
    return [path for folder in definitions_folders() for path in sorted(folder.glob("*.yaml"))]


def catalogue_files() -> list[Path]:
    """Every catalogue of rules there is: the shipped ones, then the home's."""
    return [path for folder in expectations_folders() for path in sorted(folder.glob("*.yaml"))]


def catalogue_file(name: str) -> Path:
    """Where the catalogue of that name is; where it should be in the folder read last when there is none."""
    places = [folder / f"{name}.yaml" for folder in expectations_folders()]
    return next((place for place in places if place.exists()), places[-1])


def as_variables() -> dict[str, str]:
    """The environment in which another process reads the same folders."""
    return {
        "XIANBAO_RETURNS": os.pathsep.join(map(str, definitions_folders())),
        "XIANBAO_EXPECTATIONS": os.pathsep.join(map(str, expectations_folders())),
    }


def read_once(read: Callable[..., _Read]) -> _lru_cache_wrapper[_Read]:
    """`functools.cache` for what follows from the folders; it is forgotten when others take their place."""
    remembering = cache(read)
    _remembered.append(remembering)  # type: ignore[arg-type]
    return remembering


def forget() -> None:
    """Read the folders anew when next asked."""
    for remembering in _remembered:
        remembering.cache_clear()


@contextmanager
def rules_from(folder: Path) -> Iterator[None]:
    """Inside, definitions and rules are those in `folder`/definitions and `folder`/expectations, for the whole process."""
    _instead.append(folder)
    forget()
    try:
        yield
    finally:
        _instead.pop()
        forget()
