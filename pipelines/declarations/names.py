"""Codes and names of the indicators that are declared, for those who only name them; nothing is checked here.

Belongs here: what a family expands to, as far as codes and names go, and putting the words of a row in place of `$name`.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipelines.declarations.grammar import FamilyForm
from pipelines.yaml_files import bounded

SHIPPED = Path(__file__).resolve().parent / "indicators"
#: $name or ${name}; the letters of a name are ASCII, so that Chinese may follow it.
PLACEHOLDER = re.compile(r"\$(?:\{([a-z][a-z0-9_]*)\}|([a-z][a-z0-9_]*))")


def filled(value: Any, row: Mapping[str, str], unknown: Callable[[str], object]) -> Any:
    """A value with the row's words in place of $names; `unknown` is called with a name that the row does not have."""
    if isinstance(value, dict):
        return {filled(key, row, unknown): filled(item, row, unknown) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, row, unknown) for item in value]
    if not isinstance(value, str):
        return value

    def word(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name not in row:
            unknown(name)
        return row.get(name, "")

    return PLACEHOLDER.sub(word, value)


def indicator_names(own: Iterable[bytes] = ()) -> dict[str, str] | None:
    """Code → Chinese name of the shipped indicators and those of a home's `own` families; None where one of these cannot be read."""
    found: dict[str, str] = {}
    for content in (*(path.read_bytes() for path in sorted(SHIPPED.glob("*.yaml"))), *own):
        names = _names(content)
        if names is None:
            return None
        found |= names
    return found


@cache
def _names(content: bytes) -> dict[str, str] | None:
    try:
        family = FamilyForm.model_validate(YAML(typ="safe").load(bounded(content.decode("utf-8-sig"))))
    except (ValidationError, YAMLError, ValueError, RecursionError):
        return None
    found = {}
    for row in family.for_ or [{}]:
        for template, said in family.indicators.items():
            if not isinstance(said, dict):
                return None
            own = said | ((said.get("except") or {}).get(row.get("key")) or {})
            if not said.get("only") or row.get("key") in said["only"]:
                found[filled(template, row, str)] = str(filled(own.get("name", ""), row, str))
    return found
