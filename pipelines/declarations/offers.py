"""What indicators may ask of a return: the part `analysis` of its definition, and models that register themselves as a return.

Belongs here: the form of that part, its checks, and the rows of `declared.return_*`. What the columns are says the definition; a file in
`models/` names the relation that a model makes, with columns of its own. Every mistake of all files is told at once, at its line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pipelines.declarations.formulas import FormulaWrong, compiled
from pipelines.declarations.tables import Row
from pipelines.returns import all_definitions
from pipelines.returns.definition import Column
from pipelines.rule_files import definition_files
from pipelines.yaml_mistakes import Location, Problem, YamlMistakes, YamlTree, did_you_mean, listed

_PACKAGE = Path(__file__).resolve().parent
_EXAMPLE = "随附的报表定义"
_MODEL_EXAMPLE = "随附的 school_payroll.yaml"

Link = Literal["same", "calendar_year", "school_year", "school_year_starting", "school_year_ending"]


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Measure(_Form):
    """Columns that are one measure: a list (the member is the column's name), or column → member."""

    dimension: str
    label: str
    columns: list[str] | dict[str, str] = Field(min_length=1)

    @property
    def members(self) -> dict[str, str]:
        """Column → member."""
        return self.columns if isinstance(self.columns, dict) else {name: name for name in self.columns}


class Reference(_Form):
    """How a row finds its row in another return."""

    key: str
    at: list[Link] = Field(min_length=1)
    unmatched: Literal["missing", "not_counted"] = "missing"
    open: bool = False


class Due(_Form):
    by: Literal["register", "policy"]
    dimensions: list[str] = Field(min_length=1)
    words: str


class Absent(_Form):
    """What must be there: each member of a dimension that is asked for (`every`: dimension → words), or rows that others say (`due`)."""

    every: dict[str, str] = {}
    due: Due | None = None


class Exists(_Form):
    until: str


class Computed(_Form):
    formula: str
    label: str
    unit: str | None = None


class Analysis(_Form):
    """The part `analysis` of a definition."""

    unit: str | None = None
    dimensions: dict[str, str] = {}
    labels: dict[str, str] = {}
    measures: dict[str, Measure] = {}
    references: dict[str, Reference] = {}
    absent: Literal["zero", "missing"] | Absent = "zero"
    exists: Exists | None = None
    computed: dict[str, Computed] = {}
    vintage: str | None = None
    source: str | None = None
    weight: str | None = None
    lacking: str | None = None


class ModelColumn(_Form):
    name: str
    label: str
    type: Literal["text", "code", "count", "headcount", "money", "date"]
    unit: str | None = None
    codes: list[str] = []


class Model(_Form):
    """A model that registers itself as a return. Its columns beside these: county_code, period, submission_id, sheet, source_row,
    missing_codes, row_label."""

    model: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    relation: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str
    based_on: str
    as_asked: bool = False
    columns: list[ModelColumn] = Field(min_length=1)
    analysis: Analysis


@dataclass(frozen=True)
class OfferedColumn:
    """A column that a term may sum or count; `expression`: SQL where it is computed."""

    name: str
    label: str
    type: str
    unit: str | None
    decimal_places: int
    codes: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)  # of codes
    limits: tuple[int, int] | None = None  # of a count that can only be so small and so large
    expression: str | None = None
    operands: tuple[str, ...] = ()

    @property
    def is_number(self) -> bool:
        return self.type in _NUMBERS


_NUMBERS = ("count", "headcount", "money", "decimal", "percent", "computed")


@dataclass(frozen=True)
class Dimension:
    """By what rows may be chosen. `members`: those that are known, () where any may be."""

    name: str
    label: str
    kind: Literal["column", "test", "reference", "measure"]
    expression: str
    members: tuple[str, ...] = ()
    operands: tuple[str, ...] = ()
    reference: str | None = None


@dataclass
class Offer:
    """What one return offers."""

    return_code: str
    title: str
    form: str
    period_types: tuple[str, ...]
    columns: dict[str, OfferedColumn]
    analysis: Analysis
    model: Model | None = None
    dimensions: dict[str, Dimension] = field(default_factory=dict)

    @property
    def measures(self) -> dict[str, Measure]:
        return self.analysis.measures

    @property
    def summable(self) -> list[str]:
        """What a term may sum: columns that are numbers, and measures."""
        return [*self.measures, *(name for name, column in self.columns.items() if column.is_number)]


def models_folder() -> Path:
    """The models that ship."""
    return _PACKAGE / "models"


def read_offers(models: Path | None = None) -> tuple[dict[str, Offer], list[Problem]]:
    """What every return and model offers, by its code, and every mistake. Raises DefinitionError where a definition cannot be used."""
    newest = {defined.return_code: defined for defined in all_definitions()}
    offers: dict[str, Offer] = {}
    problems: list[Problem] = []
    parts: list[tuple[Offer, YamlTree, Location]] = []
    for tree in _trees(definition_files(), "报表定义文件", problems):
        defined = newest.get(str(tree.tree.get("return")))
        if defined is None or defined.version != tree.tree.get("version"):
            continue
        read = tree.validated(tree.tree.get("analysis") or {}, Analysis, ("analysis",))
        offer = Offer(
            defined.return_code,
            defined.title,
            defined.form,
            defined.period_types,
            {column.name: _offered(column) for column in defined.columns},
            read or Analysis(),
        )
        offers[offer.return_code] = offer
        parts.append((offer, tree, ("analysis",)))
    for tree in _trees(sorted((models or models_folder()).glob("*.yaml")), "模型登记文件", problems):
        model = tree.validated(tree.tree, Model, ())
        if model is None:
            problems += tree.problems
            continue
        if model.model in offers:
            tree.report(("model",), f"“{model.model}”已是报表或另一个模型的代码", "换一个代码")
        based = offers.get(model.based_on)
        if based is None:
            tree.report(("based_on",), f"没有报表“{model.based_on}”", did_you_mean(model.based_on, newest))
        columns = {
            column.name: OfferedColumn(
                column.name, column.label, column.type, column.unit,
                {"headcount": 1, "money": 2}.get(column.type, 0), tuple(column.codes),
            )
            for column in model.columns
        }  # fmt: skip
        offer = Offer(
            model.model, model.title, based.form if based else "", based.period_types if based else (), columns,
            model.analysis, model,
        )  # fmt: skip
        offers[offer.return_code] = offer
        parts.append((offer, tree, ("analysis",)))
    for offer, tree, at in parts:
        _complete(offer, offers, tree, at)
        problems += tree.problems
    return offers, problems


def _trees(paths: Iterable[Path], called: str, problems: list[Problem]) -> Iterator[YamlTree]:
    for path in paths:
        try:
            yield YamlTree.read(path, called=called, missing="", example=_EXAMPLE)
        except YamlMistakes as error:
            problems += error.problems


def _offered(column: Column) -> OfferedColumn:
    limits = (column.min, column.max) if column.type == "count" and column.max is not None else None
    return OfferedColumn(
        column.name, column.label, column.type, column.unit, column.decimal_places, tuple(column.codes),
        dict(column.code_labels), limits,
    )  # fmt: skip


def _complete(offer: Offer, offers: Mapping[str, Offer], tree: YamlTree, at: Location) -> None:
    """Check what the part says and give the offer its computed columns and dimensions."""
    analysis, columns = offer.analysis, offer.columns

    def known(name: str, place: Location, choices: Any = None) -> bool:
        choices = columns if choices is None else choices
        if name not in choices:
            tree.report((*at, *place), f"报表 {offer.return_code} 没有列“{name}”", did_you_mean(name, choices))
        return name in choices

    kinds = {
        name: "date" if column.type == "date" else "number"
        for name, column in columns.items()
        if column.is_number or column.type == "date"
    }
    for name, computed in analysis.computed.items():
        if name in columns:
            tree.report((*at, "computed", name), f"“{name}”已是报表的列", "给计算列换一个名字")
            continue
        try:
            formula = compiled(computed.formula, kinds)
        except FormulaWrong as wrong:
            tree.report((*at, "computed", name), wrong.reason, wrong.remedy)
            continue
        if formula.is_test:
            tree.report((*at, "computed", name), f"“{computed.formula}”是条件，不是数", "条件写在 dimensions 里")
            continue
        places = sum(columns[operand].decimal_places for operand in formula.operands) if "*" in formula.sql else max(
            columns[operand].decimal_places for operand in formula.operands
        )  # fmt: skip
        columns[name] = OfferedColumn(
            name, computed.label, "computed", computed.unit, places, expression=formula.sql, operands=formula.operands
        )
    for key in ("unit", "vintage", "source", "weight"):
        if (said_column := getattr(analysis, key)) is not None:
            known(said_column, (key,))
    if (
        analysis.exists
        and known(analysis.exists.until, ("exists", "until"))
        and columns[analysis.exists.until].type != "date"
    ):
        tree.report((*at, "exists", "until"), f"“{analysis.exists.until}”不是日期列", "填终止（撤并）日期的列")
    for name, measure in analysis.measures.items():
        for column in measure.members:
            known(column, ("measures", name, "columns"))
        if measure.dimension not in analysis.dimensions:
            tree.report(
                (*at, "measures", name),
                f"指标项“{name}”的“{measure.dimension}”没有列在 dimensions 中",
                f"在 dimensions 中写 {measure.dimension}: {name}",
            )
    for name, reference in analysis.references.items():
        if name not in offers:
            tree.report((*at, "references", name), f"没有报表“{name}”", did_you_mean(name, offers))
        elif known(reference.key, ("references", name)) and reference.key not in offers[name].columns:
            tree.report((*at, "references", name), f"报表 {name} 没有列“{reference.key}”", "用两张表都有的列")
    for name, said in analysis.dimensions.items():
        place: Location = (*at, "dimensions", name)
        dimension = _dimension(name, said, offer, offers, kinds, tree, place)
        if dimension is not None:
            offer.dimensions[name] = dimension
    absent = analysis.absent
    if isinstance(absent, Absent):
        for key, named in (("every", list(absent.every)), ("due", absent.due.dimensions if absent.due else [])):
            for name in named:
                if name not in analysis.dimensions:
                    tree.report(
                        (*at, "absent", key),
                        f"报表 {offer.return_code} 不能按“{name}”筛选",
                        f"可按：{listed(analysis.dimensions)}",
                    )
    for name in analysis.labels:
        if name not in analysis.dimensions:
            tree.report((*at, "labels", name), f"dimensions 里没有“{name}”", did_you_mean(name, analysis.dimensions))


def _dimension(
    name: str, said: str, offer: Offer, offers: Mapping[str, Offer], kinds: Mapping[str, str], tree: YamlTree, at: Location
) -> Dimension | None:  # fmt: skip
    analysis, columns = offer.analysis, offer.columns
    if said in analysis.measures:
        measure = analysis.measures[said]
        if measure.dimension != name:
            tree.report(at, f"“{said}”是按“{measure.dimension}”分的", f"写成 {measure.dimension}: {said}")
        label = analysis.labels.get(name, measure.label)
        return Dimension(name, label, "measure", said, tuple(measure.members.values()))
    if said in columns:
        return _of_column(name, analysis.labels.get(name), columns[said], None)
    other, _, column = said.partition(".")
    if column and other.isidentifier() and column.isidentifier():
        if other not in analysis.references:
            tree.report(at, f"没有说怎样在“{other}”中找到本行", f"在 references 中写 {other}:（key、at、unmatched）")
        elif other in offers and column not in offers[other].columns:
            tree.report(at, f"报表 {other} 没有列“{column}”", did_you_mean(column, offers[other].columns))
        elif other in offers:
            return _of_column(name, analysis.labels.get(name), offers[other].columns[column], other)
        return None
    try:
        formula = compiled(said, kinds)
    except FormulaWrong as wrong:
        choices = [*columns, *analysis.measures]
        is_name = said.isidentifier()
        tree.report(
            at,
            f"报表 {offer.return_code} 没有列“{said}”" if is_name else wrong.reason,
            did_you_mean(said, choices) if is_name else wrong.remedy,
        )
        return None
    if not formula.is_test:
        tree.report(at, f"“{said}”是数，不是条件", "写成比较，如 teachers_paid > 0")
        return None
    return Dimension(name, analysis.labels.get(name, name), "test", formula.sql, ("是", "否"), formula.operands)


def _of_column(name: str, label: str | None, column: OfferedColumn, reference: str | None) -> Dimension:
    members = column.codes
    if column.limits and column.limits[1] - column.limits[0] <= 200:
        members = tuple(str(number) for number in range(column.limits[0], column.limits[1] + 1))
    kind: Literal["reference", "column"] = "reference" if reference else "column"
    return Dimension(name, label or column.label, kind, column.name, members, (), reference)


def offer_rows(offers: Mapping[str, Offer]) -> dict[str, list[Row]]:
    """The rows of `declared.return_*`."""
    rows: dict[str, list[Row]] = {
        name: []
        for name in (
            "return_dimension", "return_member", "return_measure", "return_column", "return_reference", "return_rule"
        )
    }  # fmt: skip
    for code, offer in offers.items():
        for ordinal, dimension in enumerate(offer.dimensions.values(), 1):
            rows["return_dimension"].append({
                "return_code": code, "ordinal": ordinal, "dimension": dimension.name, "label": dimension.label,
                "kind": dimension.kind, "expression": dimension.expression if dimension.kind != "measure" else None,
                "operands": ",".join(dimension.operands) or None, "reference": dimension.reference,
            })  # fmt: skip
            rows["return_member"] += [
                {"return_code": code, "dimension": dimension.name, "member": member, "ordinal": place}
                for place, member in enumerate(dimension.members, 1)
            ]
        for name, measure in offer.measures.items():
            rows["return_measure"] += [
                {"return_code": code, "measure": name, "dimension": measure.dimension, "column_name": column,
                 "member": member, "ordinal": place}
                for place, (column, member) in enumerate(measure.members.items(), 1)
            ]  # fmt: skip
        rows["return_column"] += [
            {"return_code": code, "column_name": column.name, "label": column.label, "type": column.type,
             "unit": column.unit, "decimal_places": column.decimal_places, "expression": column.expression,
             "operands": ",".join(column.operands) or None, "ordinal": place}
            for place, column in enumerate(offer.columns.values(), 1)
        ]  # fmt: skip
        rows["return_reference"] += [
            {"return_code": code, "reference": name, "key_column": reference.key, "periods": ",".join(reference.at),
             "unmatched": reference.unmatched, "is_open": reference.open}
            for name, reference in offer.analysis.references.items()
        ]  # fmt: skip
        rows["return_rule"] += [
            dict(zip(("return_code", "rule", "dimension", "value", "words"), (code, *rule), strict=True))
            for rule in _rules(offer)
        ]
    return rows


def _rules(offer: Offer) -> Iterator[tuple[str, str | None, str | None, str | None]]:
    """(rule, dimension, value, words) of a return."""
    analysis = offer.analysis
    for rule in ("unit", "vintage", "source", "weight"):
        if (column := getattr(analysis, rule)) is not None:
            yield rule, None, column, None
    if analysis.exists:
        yield "exists", None, analysis.exists.until, None
    if isinstance(analysis.absent, Absent):
        for dimension, words in analysis.absent.every.items():
            yield "every", dimension, None, words or None
        if due := analysis.absent.due:
            yield "due", ",".join(due.dimensions), due.by, due.words
    if analysis.lacking:
        yield "lacking", None, None, analysis.lacking
    if offer.model:
        yield "model", None, offer.model.relation, None
        yield "based_on", None, offer.model.based_on, None
        if offer.model.as_asked:
            yield "as_asked", None, None, None
