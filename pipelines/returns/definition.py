"""The shape of a return definition.

Belongs here: the declared facts of a form and the labels and units it is known by. Reading the files that hold them, and refusing
what contradicts itself, is `loading`'s: nothing downstream has to ask.
"""

import re
from calendar import monthrange
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipelines.characters import folded, normalise_label
from pipelines.periods import Period

ColumnType = Literal["text", "note", "code", "flag", "ref", "date", "count", "headcount", "money", "decimal", "percent"]
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

#: DuckDB type of a landed column that is no number, by declared type.
_SQL_TYPES: dict[ColumnType, str] = {
    "text": "VARCHAR", "note": "VARCHAR", "code": "VARCHAR", "flag": "VARCHAR", "ref": "VARCHAR", "date": "DATE",
}  # fmt: skip


@dataclass(frozen=True)
class _Numeric:
    """A numeric type. `places`: decimal places, None where the column says so; above `largest` a figure is a slip of the keyboard, which
    also keeps sums and products within 128 bits."""

    digits: int
    places: int | None
    largest: int


_NUMERIC: dict[ColumnType, _Numeric] = {
    "count": _Numeric(0, 0, 10**7),
    "headcount": _Numeric(12, 1, 10**6),
    "money": _Numeric(18, 2, 10**11),
    "decimal": _Numeric(18, None, 10**11),
    "percent": _Numeric(5, 2, 100),
}
#: What a flag is answered with, and the longest note.
FLAGS = ("是", "否")
LONGEST_NOTE = 500
_MOST_PLACES = 4

#: Names that the tables a row passes through have for themselves, and truths that every return has: a column or identity of such a
#: name would be taken for them.
TAKEN_COLUMNS = frozenset(
    [
        "before", "calendar_year", "county_code", "ends_on", "entry", "is_total", "missing_codes", "months_n", "period",
        "period_months", "return_version", "row_label", "school_year", "screening_seq", "sheet", "source_row", "starts_on", "subject",
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
_MULTIPLE = re.compile(r"^(?:[十百千]?[万亿]|[百千])(?=.)")
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


NAME_OF_COLUMN = r"^[a-z][a-z0-9_]*$"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Column(_Frozen):
    """One declared column. `unit` is the unit in which the number must stand; nothing is converted."""

    name: str = Field(pattern=NAME_OF_COLUMN)
    label: str
    aliases: tuple[str, ...] = ()
    type: ColumnType
    unit: str | None = None
    group: str | None = None
    required: bool
    codes: tuple[str, ...] = ()
    code_labels: dict[str, str] = {}  # what a code that is no word stands for
    label_by: dict[str, dict[str, str]] = {}  # code column → its code → what this column is called in such a row
    #: code column → its codes: only rows that hold one of them in each are asked for the column; others leave it blank or say 不适用.
    applies_when: dict[str, tuple[str, ...]] = {}
    missing: tuple[MissingCode, ...] = ()
    pattern: str | None = None
    pattern_hint: str | None = None
    min: int = 0
    max: int | None = None
    signed: bool = False  # may be negative: an amount owed turns into one settled
    places: int | None = Field(default=None, ge=0, le=_MOST_PLACES)  # decimal places, of a decimal
    ref: str | None = Field(
        default=None, pattern=r"^[a-z][a-z_]*\.[a-z][a-z0-9_]*$"
    )  # return.column whose values it names
    privacy: Literal["sensitive"] | None = None  # counts under `exports.public.SENSITIVE_THRESHOLD` stay inside
    additive: bool = True  # false for a number that no total row can sum: an age, a standard, a count of months

    @property
    def is_number(self) -> bool:
        return self.type in _NUMERIC

    @property
    def is_sensitive(self) -> bool:
        """What it says of a person is nobody's business: a disability, poverty, a parent's absence."""
        return self.privacy == "sensitive"

    @property
    def is_coded(self) -> bool:
        """One of the words of a list: a code, or 是 and 否."""
        return bool(self.codes)

    @property
    def decimal_places(self) -> int:
        """By how many its values are scaled as integers; 0 for what is no number."""
        if not (numeric := _NUMERIC.get(self.type)):
            return 0
        return numeric.places if numeric.places is not None else self.places or 0

    @property
    def largest(self) -> int:
        """The largest figure that can be read; KeyError for what is no number."""
        return _NUMERIC[self.type].largest

    @property
    def is_name(self) -> bool:
        """Free text: no number, date, choice or code, so that any character may stand in it."""
        return self.type == "note" or (self.type == "text" and self.pattern is None)

    @property
    def longest(self) -> int | None:
        """How many characters a text may have; None where only the bounds of every cell hold."""
        return LONGEST_NOTE if self.type == "note" else None

    @property
    def sql_type(self) -> str:
        if not (numeric := _NUMERIC.get(self.type)):
            return _SQL_TYPES[self.type]
        return f"DECIMAL({numeric.digits},{self.decimal_places})" if numeric.digits else "BIGINT"

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

    @model_validator(mode="before")
    @classmethod
    def _of_its_type(cls, written: Any) -> Any:
        """What a type says by itself."""
        if not isinstance(written, dict):
            return written
        if written.get("type") == "flag":
            return {"codes": FLAGS, **written}
        if written.get("type") == "percent":
            written = {"unit": "%", "max": 100, "additive": False, **written}
        said = written.get("missing", ())
        if written.get("applies_when") and isinstance(said, list | tuple) and "not_applicable" not in said:
            written = {**written, "missing": ["not_applicable", *said]}
        return written


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
    period_types: tuple[Literal["school_year", "calendar_year", "semester", "quarter", "month"], ...] = Field(
        min_length=1
    )
    #: `ledger`: each filing is the full list as of the reference day; a row that is gone from the next one is asked about.
    kind: Literal["table", "ledger"] = "table"
    #: The day of the period whose counties file the return: that of a stock, the last day of what is summed over the period.
    reference_day: str = Field(default="end", pattern=_DAY_OF_PERIOD)
    key: tuple[str, ...] = Field(min_length=1)
    row_label: str
    total_row: TotalRow | None = None
    columns: tuple[Column, ...]
    #: 指标解释 of each column: who counts, as of when. It changes nothing that is read.
    explanations: dict[str, str] = {}
    #: What indicators may ask of the return; `declarations.offers` reads it. It changes nothing that is read.
    analysis: dict[str, Any] = Field(default={}, repr=False)

    def reference_on(self, period: Period) -> date:
        """The day on which a county must exist to file the return for a period."""
        return day_of(period, self.reference_day)

    def column(self, name: str) -> Column:
        return self._by_name[name]

    @property
    def names(self) -> Collection[str]:
        """The names of its columns, in order."""
        return self._by_name.keys()

    @cached_property
    def _by_name(self) -> dict[str, Column]:
        return {column.name: column for column in self.columns}

    @cached_property
    def label_owner(self) -> dict[str, str]:
        """Normalised label → column name, over labels and aliases."""
        return {label: column.name for column in self.columns for label in column.labels}

    def applies_in(self, name: str) -> str:
        """Which rows are asked for a column, in words: “身份”为教研员; nothing where all are."""
        rows = []
        for by, codes in self.column(name).applies_when.items():
            labels = self.column(by).code_labels
            rows.append(f"“{self.column(by).label}”为{'、'.join(labels.get(code, code) for code in codes)}")
        return "、".join(rows)

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


@dataclass(frozen=True)
class ReturnVersions:
    """Every version of one return, oldest first: what its landing table, its staging and the dictionary hold."""

    versions: tuple[ReturnDefinition, ...]

    @property
    def newest(self) -> ReturnDefinition:
        return self.versions[-1]

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """Those of the newest version in its order, then what only older ones have; each as the newest that has it declares it."""
        found = {column.name: column for defined in self.versions for column in defined.columns}
        own = [column.name for column in self.newest.columns]
        others = [column.name for defined in reversed(self.versions) for column in defined.columns]
        return tuple(found[name] for name in dict.fromkeys([*own, *others]))

    @cached_property
    def key(self) -> tuple[str, ...]:
        """The columns of the key of any version."""
        return tuple(dict.fromkeys(name for defined in reversed(self.versions) for name in defined.key))

    def newest_with(self, name: str) -> ReturnDefinition:
        """The newest version that has a column."""
        return next(defined for defined in reversed(self.versions) if name in defined.names)

    def lacking(self, name: str) -> tuple[int, ...]:
        """The versions that have no such column: their rows hold null, which says nothing of the county."""
        return tuple(defined.version for defined in self.versions if name not in defined.names)


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
    if match is None:
        return label, None
    unit = match["unit"]
    # Ten thousand books are books: a multiple of a known unit is one, though it may be the wrong one.
    known = unit in _UNITS or unit in units or _MULTIPLE.sub("", unit) in units
    return (match["label"], unit) if known else (label, None)


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
