"""Where the declared returns and rules lie, and the remembering of what was read of them.

Belongs here: the two folders, and reading others for a while (a county's pre-check reads those of a bundle). What is in the files
is read by `returns` and `screening.rules`, which mark what they keep with `read_once`. Standard library only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import _lru_cache_wrapper, cache
from pathlib import Path
from typing import TypeVar

_PACKAGE = Path(__file__).resolve().parent
_Read = TypeVar("_Read")
_remembered: list[_lru_cache_wrapper[object]] = []
_instead: list[Path] = []


def definitions_folder() -> Path:
    """`returns/definitions/` in the package; `XIANBAO_RETURNS` names another."""
    if _instead:
        return _instead[-1] / "definitions"
    return Path(os.environ.get("XIANBAO_RETURNS") or _PACKAGE / "returns" / "definitions")


def expectations_folder() -> Path:
    """`expectations/` beside the package; `XIANBAO_EXPECTATIONS` names another."""
    if _instead:
        return _instead[-1] / "expectations"
    return Path(os.environ.get("XIANBAO_EXPECTATIONS") or _PACKAGE.parent / "expectations")


def read_once(read: Callable[..., _Read]) -> _lru_cache_wrapper[_Read]:
    """`functools.cache` for what follows from the two folders; it is forgotten when others take their place."""
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
