"""The Chinese names of what is published and the wordings of its codes, as `labels.yaml` has them.

Belongs here: reading that file. Whoever shows a code of the published file to people words it from here: the schema 指标, exported
files, the terminal. Imports no database: files are checked where none is installed.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ruamel.yaml import YAML

from pipelines.returns import current_definitions


@dataclass(frozen=True)
class Labels:
    """What `labels.yaml` says."""

    tables: dict[str, str]
    columns: dict[str, str]
    in_table: dict[str, dict[str, str]]
    values: dict[str, dict[str, str]]
    reported: dict[str, dict[str, str]]
    wide: str
    narrow: str

    def table(self, name: str) -> str:
        """Chinese name of a table; its own name when it has none yet, which a test does not let pass."""
        return self.tables.get(name, name)

    def column(self, table: str, name: str) -> str:
        """Chinese name of a column of that table."""
        return self.in_table.get(table, {}).get(name) or self.columns.get(name, name)

    def words(self, table: str, name: str) -> dict[str, str]:
        """Code → wording of a coded column; empty when its values are words already."""
        return self.values.get(f"{table}.{name}") or self.values.get(name, {})

    def explanation(self, table: str, name: str) -> str | None:
        """指标解释 of the column of a return that this column shows; None when it shows something else. KeyError when that column
        has none, which a test does not let pass."""
        if (shown := self.reported.get(table, {}).get(name)) is None:
            return None
        return_code, _, column = shown.partition(".")
        return current_definitions()[return_code].explanations[column]


@cache
def labels() -> Labels:
    """The names of everything that is published."""
    said = YAML(typ="safe").load(Path(__file__).with_name("labels.yaml").read_text(encoding="utf-8"))
    return Labels(**said)
