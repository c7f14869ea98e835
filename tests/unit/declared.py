"""Returns that nobody has declared yet: writing a definition and its catalogue into folders of their own, as `docs/adding-a-return.md` says.

Belongs here: what several tests need to try a definition. What is right or wrong of one stands in the tests.
"""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipelines.returns import ReturnDefinition, all_definitions
from pipelines.rule_files import SHIPPED_DEFINITIONS, rules_from
from tests.homes import PROJECT

#: What every return can be asked beside its own rules: question → (level, model, parameters).
_OF_ANY_RETURN: dict[str, tuple[str, str, dict[str, float]]] = {
    "exact_copy": ("2", "copies", {"cells": 1}),
    "copy_of_county": ("3", "copies", {"cells": 1}),
    "round_numbers": ("4", "numbers", {"multiple": 10, "least": 1, "cells": 1, "share": 0.1}),
    "unit": ("4", "numbers", {"rows": 1}),
}


def catalogue(defined: dict[str, Any], rules: Iterable[dict[str, Any]] = ()) -> dict[str, Any]:
    """A return's catalogue: what no return goes without, its own rules, and what any return can be asked."""
    form = defined["form"]
    every: list[dict[str, Any]] = [{"rule": f"{form}-1b-unique-key", "check": "unique_key"}]
    if defined.get("total_row"):
        every.append({"rule": f"{form}-1c-total-row", "check": "total_row"})
    asked = [
        {"rule": f"{form}-{level}-{question.replace('_', '-')}", "check": "across", "model": model, "question": question,
         "say": f"{question}：{{value}}{{detail}}。", "mend": "请改正。", **parameters}
        for question, (level, model, parameters) in _OF_ANY_RETURN.items()
    ]  # fmt: skip
    return {"return": defined["return"], "rules": [*every, *rules, *asked]}


@contextmanager
def declared(
    folder: Path, definitions: Iterable[dict[str, Any]], *, beside: bool = False
) -> Iterator[list[ReturnDefinition]]:
    """Inside, these are the only returns there are (`beside`: beside the shipped ones), each with its catalogue; `rules` in one of them
    are entries of that. Raises DefinitionError."""
    definitions = list(definitions)
    if beside:
        shutil.copytree(SHIPPED_DEFINITIONS, folder / "definitions")
    else:
        (folder / "definitions").mkdir(parents=True)
    shutil.copytree(PROJECT / "expectations", folder / "expectations")
    for one in definitions:
        rules = one.get("rules", ())
        plain = {key: value for key, value in one.items() if key != "rules"}
        _write(folder / "definitions" / f"{one['return']}.v{one['version']}.yaml", plain)
        _write(folder / "expectations" / f"{one['return']}.yaml", catalogue(plain, rules))
    with rules_from(folder):
        own = {one["return"] for one in definitions}
        yield [defined for defined in all_definitions() if defined.return_code in own]


def _write(path: Path, content: dict[str, Any]) -> None:
    with path.open("w", encoding="utf-8") as stream:
        YAML(typ="safe").dump(content, stream)
