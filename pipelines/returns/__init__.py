"""The declared returns: one YAML file a form version under `definitions/`, read once into `ReturnDefinition`.

What belongs here: what a form *is* (columns, labels, units, keys, total rows). What does not: how a file is
read (`screening`), which rules apply to it and what they say (`expectations/`), what is computed from it (dbt).
"""

from pipelines.characters import normalise_label
from pipelines.returns.definition import Column, ReturnDefinition, ReturnVersions, TotalRow, split_unit
from pipelines.returns.loading import (
    DefinitionError,
    all_definitions,
    current_definitions,
    declared_units,
    definition,
    reference_on,
    return_versions,
)

__all__ = [
    "Column",
    "DefinitionError",
    "ReturnDefinition",
    "ReturnVersions",
    "TotalRow",
    "all_definitions",
    "current_definitions",
    "declared_units",
    "definition",
    "normalise_label",
    "reference_on",
    "return_versions",
    "split_unit",
]
