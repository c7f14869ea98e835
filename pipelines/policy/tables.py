"""What the tables of policy are: `tables.yaml`, read once into `PolicyTable`.

Belongs here: columns, types, codes and the rules between rows as they are declared, and what a code may be. What stands in the
tables is read by `rows`, laid over the defaults and checked by `in_force`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from ruamel.yaml import YAML

from pipelines.returns import current_definitions

_DECLARED = Path(__file__).with_name("tables.yaml")
ColumnType = Literal["text", "code", "integer", "year", "decimal", "date", "flag", "period"]
Interval = Literal["days", "years", "none"]
#: The columns that bound an interval.
BOUNDS: Mapping[Interval, tuple[str, str] | None] = {
    "days": ("valid_from", "valid_to"),
    "years": ("year_from", "year_to"),
    "none": None,
}
_SQL_TYPES: Mapping[ColumnType, str] = {
    "text": "varchar", "code": "varchar", "period": "varchar", "integer": "integer", "year": "integer", "date": "date",
    "flag": "boolean",
}  # fmt: skip


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ColumnsOf(_Frozen):
    """The names of a return's columns of a type."""

    of_return: str = Field(alias="return")
    type: str
    excepted: tuple[str, ...] = Field(default=(), alias="except")


class Also(_Frozen):
    """Codes that may stand in a column besides: a prefix and one of some values."""

    prefix: str
    values: tuple[str, ...]


class PolicyColumn(_Frozen):
    """One column. What may stand in a `code` is said by one of the keys from `values` on."""

    label: str
    en: str
    type: ColumnType
    required: bool = False
    places: int = 0
    min: int | None = None
    max: int | None = None
    pattern: str | None = None
    hint: str = ""
    values: tuple[str, ...] = ()
    value_labels: dict[str, str] = {}
    spellings: dict[str, str] = {}
    code_of: str | None = None
    columns_of: ColumnsOf | None = None
    ref: str | None = None
    known: str | None = None
    member_of: str | None = None
    dimension: bool = False
    also: Also | None = None

    @property
    def sql_type(self) -> str:
        return f"decimal(18,{self.places})" if self.type == "decimal" else _SQL_TYPES[self.type]


class RowRule(_Frozen):
    """A rule between the rows of a table in force; see the head of `tables.yaml`. `say`, `mend`: Chinese, with the row's columns."""

    one: str | None = None
    same: str | None = None
    per: tuple[str, ...] = ()
    ordered: tuple[str, ...] = ()
    differ: tuple[str, ...] = ()
    every: str | None = None
    of_table: str | None = Field(default=None, alias="for")
    has: str | None = None
    on: tuple[str, ...] = ()
    where: dict[str, str] = {}
    when: dict[str, str] = {}
    exactly: int | None = None
    at_least: int | None = None
    say: str
    mend: str


class Dimension(_Frozen):
    """A dimension of which calibers and groups name members."""

    label: str
    code_of: str | None = None
    values: tuple[str, ...] = ()


class PolicyTable(_Frozen):
    """One table. `name` is that of its file and of its table in schema `policy`."""

    name: str
    title: str
    description: str
    en: str
    filled_by: Literal["city", "nation"]
    series: tuple[str, ...]
    replaced: tuple[str, ...] = ()
    interval: Interval
    gaps: Literal["refused", "allowed"] = "allowed"
    documented: bool = True
    columns: dict[str, PolicyColumn]
    rules: tuple[RowRule, ...] = ()

    @property
    def subject(self) -> tuple[str, ...]:
        """What a home speaks of as a whole: its rows on it take the place of all that the defaults say of it."""
        return self.replaced or self.series

    @property
    def bounds(self) -> tuple[str, str] | None:
        return BOUNDS[self.interval]

    @property
    def grain(self) -> tuple[str, ...]:
        """What no two rows in force share."""
        return (*self.series, *((self.bounds[0],) if self.bounds else ()))


@dataclass(frozen=True)
class Known:
    """Codes that are known from elsewhere, by the name that a column's `known` gives: code → what it is called. A name that is not
    there is not asked: the shipped defaults speak of places that no home has."""

    codes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


NOTHING_KNOWN = Known()


@cache
def policy_tables() -> dict[str, PolicyTable]:
    """Name → table, in the order in which they are declared."""
    declared = _declared()
    return {
        name: PolicyTable(
            name=name, **{**table, "columns": {**table["columns"], **_every_row(table)}}
        )
        for name, table in declared["tables"].items()
    }  # fmt: skip


def _every_row(table: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that every row ends with; where rows are told apart by days, each must have a first."""
    columns: dict[str, Any] = _declared()["every_row"]
    if table["interval"] != "days":
        return columns
    return {**columns, "valid_from": {**columns["valid_from"], "required": True}}


@cache
def dimensions() -> dict[str, Dimension]:
    """Name → dimension."""
    return {name: Dimension(**one) for name, one in _declared()["dimensions"].items()}


def members_of(dimension: str) -> tuple[str, ...] | None:
    """The members that a dimension has; None where they are codes of a return that is not declared: then nobody asks for them."""
    declared = dimensions()[dimension]
    return _codes_of(declared.code_of) if declared.code_of else declared.values


def allowed_codes(column: PolicyColumn) -> tuple[str, ...] | None:
    """What may stand in a column as it is declared; None where that depends on other rows, on the home, on a return that is
    not declared, or on nothing."""
    if column.values:
        return column.values
    if column.dimension:
        return tuple(dimensions())
    if column.code_of:
        return _codes_of(column.code_of)
    if column.columns_of:
        asked = column.columns_of
        if (defined := current_definitions().get(asked.of_return)) is None:
            return None
        return tuple(one.name for one in defined.columns if one.type == asked.type and one.name not in asked.excepted)
    return None


def _codes_of(place: str) -> tuple[str, ...] | None:
    return_code, _, name = place.partition(".")
    defined = current_definitions().get(return_code)
    return None if defined is None else defined.column(name).codes


@cache
def _declared() -> dict[str, Any]:
    read: dict[str, Any] = YAML(typ="safe").load(_DECLARED.read_text(encoding="utf-8"))
    return read
