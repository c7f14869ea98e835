"""Mistakes in a configuration that a person wrote.

Belongs here: what is told when a configuration cannot be used. What counts as a mistake is said by `model` and `loading`;
how any file's mistakes are told, by `yaml_mistakes`.
"""

from __future__ import annotations

from pydantic_core import PydanticCustomError

from pipelines.yaml_mistakes import YamlMistakes


class ConfigurationError(YamlMistakes):
    """The configuration cannot be used."""


def refused(message: str, remedy: str) -> PydanticCustomError:
    """What fails a validation of pydantic in our own words."""
    return PydanticCustomError("refused", "{message}", {"message": message, "remedy": remedy})


def shown_value(value: object) -> str:
    return "空值" if value is None else f"“{value}”"
