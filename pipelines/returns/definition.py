"""The shape of a return definition, and the reading of the data files that hold them.

Belongs here: the declared facts of a form and the labels and units it is known by. A definition that
contradicts itself is refused when it is loaded, so that nothing downstream has to ask.
"""

import re
from calendar import monthrange
from collections.abc import Collection, Mapping
from datetime import date
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipelines.characters import folded, normalise_label
from pipelines.periods import Period
from pipelines.rule_files import definitions_folder, read_once
from pipelines.yaml_files import bounded

ColumnType = Literal["text", "code", "count", "headcount", "money", "date"]
MissingCode = Literal["not_applicable", "not_reported", "included_elsewhere"]

#: What a clerk writes in a cell that holds no number, and what it is stored as.
MISSING_CODES: dict[str, MissingCode] = {
    "不适用": "not_applicable",
    "缺报": "not_reported",
    "并入": "included_elsewhere",
}
#: What each of them says, for the one who fills the form.
MISSING_MEANINGS: dict[MissingCode, str] = {
    "not_applicable": "本行没有这一项",
    "not_reported": "有这一项而拿不到数，用到它的指标将缺少本县（市、区）",
    "included_elsewhere": "数已计在本表另一栏里，后面写明是哪一栏",
}
MISSING_LABELS: dict[str, str] = {code: label for label, code in MISSING_CODES.items()}
#: What follows 并入 in a cell that names the column which holds its figure.
_INCLUDED = re.compile(r"^(?:已|均|全部)*并入:?(?P<where>.*)$")
_INTO = re.compile(r"^(?:到|至|于|在|了):?")
_NAMES_A_COLUMN = re.compile(r"(?:这)?一?(?:栏目?|列|中|内|里)$")
_PAIRS = {
    "(": ")",
    "[": "]",
    "<": ">",
    "“": "”",
    "‘": "’",
    '"': '"',
    "'": "'",
    "「": "」",
    "『": "』",
    "《": "》",
    "〈": "〉",
    "【": "】",
}

#: DuckDB type of a landed column, by declared type.
SQL_TYPES: dict[ColumnType, str] = {
    "text": "VARCHAR",
    "code": "VARCHAR",
    "count": "BIGINT",
    "headcount": "DECIMAL(12,1)",
    "money": "DECIMAL(18,2)",
    "date": "DATE",
}

#: Decimal places that a numeric type may carry.
DECIMAL_PLACES: dict[ColumnType, int] = {"count": 0, "headcount": 1, "money": 2}

#: Above these a figure is a slip of the keyboard; they also keep sums and products within 128 bits.
LARGEST: dict[ColumnType, int] = {"count": 10**7, "headcount": 10**6, "money": 10**11}

#: Names that the tables a row passes through have for themselves, and truths that every return has: a column or identity of such a
#: name would be taken for them.
_TAKEN_COLUMNS = frozenset(
    [
        "before", "calendar_year", "county_code", "ends_on", "entry", "is_total", "missing_codes", "months_n", "period",
        "period_months", "row_label", "school_year", "screening_seq", "sheet", "source_row", "starts_on", "subject",
        "submission_id",
    ]
)  # fmt: skip
#: Tables of the build database and rule files that are no return's.
TAKEN_RETURNS = frozenset(
    [
        "cell_column", "cell_states", "context_evaluation", "context_finding", "context_rule_result", "decision", "explanation",
        "file", "filing_digest", "filing_in_force", "filing_version", "finding", "lateness", "reported_number", "reported_school",
        "returned_version", "rule_result", "screened",
        "sending", "sent_last", "source_note", "submission",
    ]
)  # fmt: skip
_UNIT = re.compile(r"^(?P<label>.+?)\((?:(?:计量|金额)?单位:)?(?P<unit>[^()]{1,20})\)$")
#: Units that a county may write into any header; those that a definition declares are known besides.
_UNITS = frozenset(
    [
        "人",
        "元",
        "万元",
        "千元",
        "百元",
        "百万元",
        "千万元",
        "亿元",
        "百人",
        "千人",
        "万人",
        "岁",
        "月",
        "个月",
        "元/人·月",
        "元/月",
        "万元/月",
        "%",
        "所",
    ]
)


# The first or the last day of a period, or a day of the calendar year in which it begins.
_DAY_OF_PERIOD = r"^(start|end|(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01]))$"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Column(_Frozen):
    """One declared column. `unit` is the unit in which the number must stand; nothing is converted."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    label: str
    aliases: tuple[str, ...] = ()
    type: ColumnType
    unit: str | None = None
    group: str | None = None
    required: bool
    codes: tuple[str, ...] = ()
    code_labels: dict[str, str] = {}  # what a code that is no word stands for
    label_by: dict[str, dict[str, str]] = {}  # code column → its code → what this column is called in such a row
    missing: tuple[MissingCode, ...] = ()
    pattern: str | None = None
    pattern_hint: str | None = None
    min: int = 0
    max: int | None = None
    signed: bool = False  # may be negative: an amount owed turns into one settled
    additive: bool = True  # false for a number that no total row can sum: an age, a standard, a count of months

    @property
    def is_number(self) -> bool:
        return self.type in DECIMAL_PLACES

    @property
    def decimal_places(self) -> int:
        """By how many its values are scaled as integers; 0 for what is no number."""
        return DECIMAL_PLACES.get(self.type, 0)

    @property
    def is_name(self) -> bool:
        """Free text: no number, date, choice or code, so that any character may stand in it."""
        return self.type == "text" and self.pattern is None

    @property
    def sql_type(self) -> str:
        return SQL_TYPES[self.type]

    @property
    def heading(self) -> str:
        """The label as a header prints it, with what some rows call the column: 一年级（学前小班）."""
        others = [f"{code}{label}" for labels in self.label_by.values() for code, label in labels.items()]
        return f"{self.label}（{'、'.join(others)}）" if others else self.label

    def label_in(self, codes: Mapping[str, object]) -> str:
        """What the column is called in a row; `codes`: the row's values of code columns, by name."""
        called = (labels.get(str(codes.get(name))) for name, labels in self.label_by.items())
        return next((label for label in called if label), self.label)

    @property
    def choices(self) -> tuple[str, ...]:
        """The codes, each with its words where it is none itself: 111（主城区）."""
        return tuple(f"{code}（{self.code_labels[code]}）" if code in self.code_labels else code for code in self.codes)

    @property
    def labels(self) -> tuple[str, ...]:
        """Every label the column is known by, normalised; a label that ends in a bracketed unit also without it."""
        own = frozenset([normalise_label(self.unit)] if self.unit else [])
        seen: dict[str, None] = {}
        for label in (self.label, self.heading, *self.aliases):
            seen[normalise_label(label)] = None
            seen[split_unit(label, own)[0]] = None
        return tuple(seen)

    @model_validator(mode="after")
    def _can_be_read(self) -> "Column":
        if self.name in _TAKEN_COLUMNS or "__" in self.name:
            raise ValueError(f"{self.name}: the name is taken by the pipeline itself")
        if not all(normalise_label(label) for label in (self.label, *self.aliases)):
            raise ValueError(f"{self.name}: a label is blank")
        if self.type == "code" and not self.codes:
            raise ValueError(f"{self.name}: a code column needs its codes")
        if self.codes and self.type != "code":
            raise ValueError(f"{self.name}: codes are declared, but the type is {self.type}")
        if len(set(map(typed, self.codes))) < len(self.codes):
            raise ValueError(f"{self.name}: a code is declared twice")
        if unreadable := [code for code in self.codes if not typed(code) or typed(code) in MISSING_CODES]:
            raise ValueError(f"{self.name}: no code can be called {unreadable}")
        if self.pattern is not None and self.type != "text":
            raise ValueError(f"{self.name}: only a text column has a pattern")
        if self.pattern is not None:
            _refuse_pattern(self.name, self.pattern)
        if self.unit is not None and not _UNIT.match(f"数({normalise_label(self.unit)})"):
            raise ValueError(f"{self.name}: a unit is 1 to 20 characters without brackets")
        if self.max is not None and self.max < self.min:
            raise ValueError(f"{self.name}: max is below min")
        if self.is_number and max(self.min, self.max or 0) > LARGEST[self.type]:
            raise ValueError(f"{self.name}: no {self.type} above {LARGEST[self.type]} is read")
        return self


class TotalRow(_Frozen):
    """A row that repeats the sums of the rows above it: dropped from the data, and checked."""

    label_columns: tuple[str, ...] = Field(min_length=1)
    labels: tuple[str, ...] = Field(min_length=1)
    per: tuple[str, ...] = ()


class ReturnDefinition(_Frozen):
    """One version of a statistical form."""

    return_code: str = Field(alias="return", pattern=r"^[a-z][a-z_]*$")
    form: str = Field(pattern=r"^XB\d{2}$")
    version: int = Field(ge=1)
    title: str
    title_en: str
    aliases: tuple[str, ...] = ()
    period_types: tuple[Literal["school_year", "calendar_year", "quarter", "month"], ...] = Field(min_length=1)
    #: The day of the period whose counties file the return: that of a stock, the last day of what is summed over the period.
    reference_day: str = Field(default="end", pattern=_DAY_OF_PERIOD)
    key: tuple[str, ...] = Field(min_length=1)
    row_label: str
    total_row: TotalRow | None = None
    columns: tuple[Column, ...]
    #: 指标解释 of each column: who counts, as of when. It changes nothing that is read.
    explanations: dict[str, str] = {}

    @model_validator(mode="after")
    def _hangs_together(self) -> "ReturnDefinition":
        names = [column.name for column in self.columns]
        if len(names) != len(set(names)):
            raise ValueError(f"{self.return_code}: a column is declared twice")
        if self.return_code in TAKEN_RETURNS:
            raise ValueError(f"{self.return_code}: the name is taken by the pipeline itself")
        if not normalise_label(self.title):
            raise ValueError(f"{self.return_code}: the title is blank")
        used: set[str] = {*self.key, self.row_label}
        if self.total_row:
            used |= {*self.total_row.label_columns, *self.total_row.per}
        used |= {*self.explanations, *(name for column in self.columns for name in column.label_by)}
        if unknown := used - set(names):
            raise ValueError(f"{self.return_code}: undeclared columns are used: {sorted(unknown)}")
        if self.total_row and set(self.total_row.label_columns) & set(self.total_row.per):
            raise ValueError(f"{self.return_code}: a total's label cannot stand in a column of its per")
        owner: dict[str, str] = {}
        for column in self.columns:
            for label in column.labels:
                if owner.setdefault(label, column.name) != column.name:
                    raise ValueError(f"{self.return_code}: label {label} names both {owner[label]} and {column.name}")
        return self

    def reference_on(self, period: Period) -> date:
        """The day on which a county must exist to file the return for a period."""
        return day_of(period, self.reference_day)

    def column(self, name: str) -> Column:
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, Column]:
        return {column.name: column for column in self.columns}

    @cached_property
    def label_owner(self) -> dict[str, str]:
        """Normalised label → column name, over labels and aliases."""
        return {label: column.name for column in self.columns for label in column.labels}

    def may_hold(self, name: str) -> tuple[str, ...]:
        """The columns that can hold the figure of a cell answered 并入: numbers of the same group, kind and unit."""
        own = self.column(name)
        return tuple(
            column.name
            for column in self.number_columns
            if column.name != name
            and (column.group, column.type, column.unit, column.additive)
            == (own.group, own.type, own.unit, own.additive)
        )

    def included_in(self, text: str) -> str | None:
        """The column that a cell answered 并入 names: its name, "" where the cell is a bare 并入, None where it says anything else.

        Brackets and quotation marks around the whole or around the name are seen through, as are 栏 and 列.
        Raises LookupError where what follows 并入 is no label or alias of this return.
        """
        match = _INCLUDED.match(_unwrapped(normalise_label(text), frozenset()))
        if match is None:
            return None
        where = match["where"].rstrip("。.;,:、")
        if not where:
            return ""
        # A label may itself begin with 在 or end with a bracket: what is nearest to what was written comes first.
        for name in (where, _INTO.sub("", where)):
            for one in (name, _NAMES_A_COLUMN.sub("", name)):
                for label in (normalise_label(one), split_unit(_unwrapped(one, self.label_owner))[0]):
                    if owner := self.label_owner.get(label):
                        return owner
        raise LookupError(where)

    @cached_property
    def number_columns(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.is_number)

    @cached_property
    def sum_columns(self) -> tuple[Column, ...]:
        """The columns of which a total row can state the sum."""
        return tuple(column for column in self.number_columns if column.additive)

    @cached_property
    def titles(self) -> tuple[str, ...]:
        return tuple(normalise_label(title) for title in (self.title, *self.aliases))


def _unwrapped(text: str, known: Collection[str]) -> str:
    """A text without the pairs of brackets and quotation marks around it; a known one as it is."""
    while len(text) > 1 and text not in known and _PAIRS.get(text[0]) == text[-1]:
        text = text[1:-1]
    return text


@lru_cache(maxsize=65_536)
def split_unit(text: str, units: frozenset[str] = frozenset()) -> tuple[str, str | None]:
    """A header text as (normalised label, unit in its trailing brackets or None); brackets that hold neither a common unit nor one
    of `units` (normalised) stay in the label."""
    label = normalise_label(text)
    match = _UNIT.match(label)
    if match and (match["unit"] in _UNITS or match["unit"] in units):
        return match["label"], match["unit"]
    return label, None


def day_of(period: Period, day: str) -> date:
    """A day that is declared of a period: its first (`start`), its last (`end`), or MM-DD of the year in which it begins.

    29 February stands for the last of February.
    """
    if day in ("start", "end"):
        return period.start if day == "start" else period.end
    month, number = map(int, day.split("-"))
    return date(period.year, month, min(number, monthrange(period.year, month)[1]))


def typed(code: str) -> str:
    """A code as the cell that holds it is read."""
    return folded(code)


def _refuse_pattern(name: str, pattern: str) -> None:
    """Raise ValueError for what is no regular expression to the engine that reads the cells, which knows no look-around."""
    import polars as pl

    try:
        pl.Series(["1"]).str.contains(pattern)
    except pl.exceptions.ComputeError as error:
        raise ValueError(f"{name}: the pattern cannot be used: {error}") from None


class DefinitionError(ValueError):
    """A declared return that cannot be used; the message names the file and what is wrong in it."""


@read_once
def all_definitions() -> tuple[ReturnDefinition, ...]:
    """Every version of every return, by form and version.

    Raises DefinitionError for a file that cannot be read or contradicts itself, and for files that contradict each other.
    """
    found = [_read(path) for path in sorted(definitions_folder().glob("*.yaml"))]
    found.sort(key=lambda defined: (defined.form, defined.version))
    by_version: dict[tuple[str, int], ReturnDefinition] = {}
    forms: dict[str, str] = {}
    columns: dict[tuple[str, str], Column] = {}
    for defined in found:
        if by_version.setdefault((defined.return_code, defined.version), defined) is not defined:
            raise DefinitionError(f"{defined.return_code} v{defined.version} is declared twice")
        if forms.setdefault(defined.form, defined.return_code) != defined.return_code:
            raise DefinitionError(f"{defined.form} is the form of both {forms[defined.form]} and {defined.return_code}")
        for column in defined.columns:
            other = columns.setdefault((defined.return_code, column.name), column)
            # One landing table holds all versions: under one name a figure means the same in each.
            if (other.type, other.unit) != (column.type, column.unit):
                raise DefinitionError(
                    f"{defined.return_code} v{defined.version}: {column.name} has another type or unit than in an earlier version; "
                    "give it another name"
                )
    return tuple(found)


def _read(path: Path) -> ReturnDefinition:
    try:
        return ReturnDefinition.model_validate(YAML(typ="safe").load(bounded(path.read_text(encoding="utf-8-sig"))))
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, one['loc']))} {one['msg']}".strip() for one in error.errors())
        raise DefinitionError(f"{path.name}: {told}") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise DefinitionError(f"{path.name}: {' '.join(str(error).split())}") from None


@read_once
def declared_units() -> frozenset[str]:
    """Every unit that a definition declares, normalised."""
    return frozenset(
        normalise_label(column.unit) for defined in all_definitions() for column in defined.columns if column.unit
    )


def current_definitions() -> dict[str, ReturnDefinition]:
    """The newest version of each return, by return code; its columns are those of the landing table."""
    return {defined.return_code: defined for defined in all_definitions()}


def reference_on(return_code: str, period: Period) -> date:
    """The day on which a county must exist to file a return for a period, by the return's newest version."""
    return current_definitions()[return_code].reference_on(period)


def definition(return_code: str, version: int | None = None) -> ReturnDefinition:
    """The named version, or the newest. Raises KeyError when there is none."""
    if version is None:
        return current_definitions()[return_code]
    for defined in all_definitions():
        if (defined.return_code, defined.version) == (return_code, version):
            return defined
    raise KeyError(f"{return_code} v{version}")
