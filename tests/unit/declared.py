"""Returns that nobody has declared yet: writing a definition and its suite into folders of their own, as `docs/adding-a-return.md` says.

Belongs here: what several tests need to try a definition. What is right or wrong of one stands in the tests.
"""

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipelines.returns import ReturnDefinition
from pipelines.rule_files import rules_from
from pipelines.screening.rules import write_suites
from tests.homes import PROJECT

#: What every return can be asked beside its own rules: question → (level, model, parameters).
_OF_ANY_RETURN: dict[str, tuple[str, str, dict[str, float]]] = {
    "exact_copy": ("2", "check_copies", {"cells": 1}),
    "copy_of_county": ("3", "check_copies", {"cells": 1}),
    "round_numbers": ("4", "check_numbers", {"multiple": 10, "least": 1, "cells": 1, "share": 0.1}),
    "unit": ("4", "check_numbers", {"rows": 1}),
}


def expectation(form: str, truth: str, level: str, outcome: str, **meta: Any) -> dict[str, Any]:
    """A rule on a truth, worded anyhow."""
    return {
        "type": "expect_column_values_to_be_in_set",
        "kwargs": {"column": f"ok__{truth}", "value_set": [True]},
        "severity": {"error": "critical", "query": "warning"}[outcome],
        "meta": {
            "rule": f"{form}-{level}-{truth.replace('_', '-')}",
            "level": level,
            "outcome": outcome,
            "truth": truth,
            "message": f"{truth}：{{value}}，应为{{expected}}{{detail}}。",
            "remedy": "请改正。",
            **meta,
        },
    }


def by_hand(defined: ReturnDefinition) -> list[dict[str, Any]]:
    """The rules of a suite that nothing writes by itself: ranges, what must be there, and what any return can be asked."""
    form = defined.form
    rules = [
        expectation(form, one.name, "4", "query", column=one.of, parameters={"low": 1, "high": 100, "least": 1})
        for one in defined.ratios
    ]
    rules += [expectation(form, one.over_zero, "4", "query", column=one.per) for one in defined.ratios if one.per]
    rules += [expectation(form, one.name, "4", "query", column=one.column) for one in defined.present]
    return rules + [
        expectation(form, truth, level, "query", scope="context", frame=frame, parameters=parameters)
        for truth, (level, frame, parameters) in _OF_ANY_RETURN.items()
    ]


@contextmanager
def declared(folder: Path, definitions: Iterable[dict[str, Any]]) -> Iterator[list[ReturnDefinition]]:
    """Inside, these are the only returns there are, each with its suite. Raises DefinitionError."""
    from pipelines.returns import all_definitions

    (folder / "definitions").mkdir(parents=True)
    shutil.copytree(PROJECT / "expectations", folder / "expectations")
    for one in definitions:
        with (folder / "definitions" / f"{one['return']}.v{one['version']}.yaml").open("w", encoding="utf-8") as stream:
            YAML(typ="safe").dump(one, stream)
    with rules_from(folder):
        found = list(all_definitions())
        for defined in found:
            path = folder / "expectations" / f"{defined.return_code}.json"
            content = {"name": defined.return_code, "expectations": by_hand(defined)}
            path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        write_suites()
        yield found
