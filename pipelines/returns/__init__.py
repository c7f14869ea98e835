"""The declared returns: one YAML file a form version under `definitions/`, read once into `ReturnDefinition`.

What belongs here: what a form *is* (columns, labels, units, keys, total rows). What does not: how a file is
read (`screening`), which rules apply to it and what they say (`expectations/`), what is computed from it (dbt).
"""

from pipelines.characters import normalise_label
from pipelines.returns.definition import (
    Column,
    DefinitionError,
    ReturnDefinition,
    TotalRow,
    all_definitions,
    current_definitions,
    declared_units,
    definition,
    reference_on,
    split_unit,
)

__all__ = [
    "Column",
    "DefinitionError",
    "ReturnDefinition",
    "TotalRow",
    "all_definitions",
    "current_definitions",
    "declared_units",
    "definition",
    "normalise_label",
    "reference_on",
    "split_unit",
]
