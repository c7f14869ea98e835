"""Kinds that look at one cell: what it may hold, and that it is filled."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

import polars as pl
from great_expectations.expectations.core import (
    ExpectColumnValuesToBeInSet,
    ExpectColumnValuesToMatchRegex,
    ExpectColumnValuesToNotBeNull,
)
from great_expectations.expectations.expectation import BatchExpectation

from pipelines.characters import strange, unseen
from pipelines.returns import Column, ReturnDefinition
from pipelines.returns.definition import MISSING_LABELS
from pipelines.screening.checks.check import Cell, Check, Mistake, Words
from pipelines.screening.checks.excel import BlockOfRows
from pipelines.screening.checks.form import ALL, Form, figure, plain_words
from pipelines.screening.rules import cell_states
from pipelines.screening.tabulate import READ_STATES, REPORTED_ELSEWHERE, UNREAD_STATES, CellState

#: States of a cell that holds a number which another unit explains: 0.35 thousand pupils are no whole number.
OF_ANOTHER_UNIT = (CellState.NOT_INTEGER.value, CellState.TOO_PRECISE.value, CellState.ABOVE_MAXIMUM.value)


class ExpectCellsToReadAsDeclared(Check, BatchExpectation):
    """Each cell of `column` reads as its definition says: type, unit, limits, codes, pattern, and what may stand for a number.

    One for each column follows from the definition; none stands in a catalogue.
    """

    check: ClassVar[str] = "reads_as"
    others: ClassVar[Sequence[str]] = ("column",)
    alike: ClassVar[bool] = True
    column: str

    def holds(self, form: Form) -> pl.Expr:
        state = pl.col(f"{self.column}__state")
        holds = state.is_in(self._allowed(form.column(self.column)))
        # In a row whose unit is in doubt, what only the other unit makes unreadable is no mistake of its own.
        if (doubt := form.shares_doubt(self.column)) is not None:
            holds = holds | (doubt & state.is_in(OF_ANOTHER_UNIT))
        return holds

    def _allowed(self, column: Column) -> list[str]:
        allowed = [state.value for state in (*READ_STATES, *REPORTED_ELSEWHERE)] + list(column.missing)
        if not column.required:
            allowed += ["blank", "not_applicable"]
        return allowed

    def cells(self, form: Form) -> list[Cell]:
        state, text = pl.col(f"{self.column}__state"), form.text(self.column)
        said = state.replace_strict(cell_states(), default=state)
        # A mark that passes for a digit or cannot be seen is named: the clerk does not find it by looking.
        odd = text.map_elements(strange, return_dtype=pl.String)
        unread = state.is_in([one.value for one in UNREAD_STATES]) & (odd != "")
        return [
            Cell(
                self.column,
                value=text,
                problem=pl.when(unread).then(pl.concat_str(said, pl.lit("，其中有"), odd)).otherwise(said),
            )
        ]

    def words(self, form: Form) -> Words:
        column = form.column(self.column)
        wanted = plain_words(_wanted(column))
        rows = plain_words(form.defined.applies_in(column.name))
        codes = plain_words("、".join(missing_in_words(form.defined, column)))
        gap = " " if wanted[0].isdigit() else ""
        remedy = f"请填写{gap}{wanted}" + (f"；没有数据时填{codes}。" if codes else "。")
        if column.type == "date":
            remedy = f"请填写{wanted}；只知道年、月的，写成 2024-09 或 2024年9月，按该月 1 日读取。"
        if rows:
            remedy = f"{rows}的，{remedy.removesuffix('。')}；其余各行空着，或填“不适用”。"
        asked = f"只由{rows}的行填，" if rows else ""
        filled = "" if column.required else "可以空着；填的话，"
        said = "文字" if column.is_name and not column.pattern_hint else wanted
        rule = f"“{form.label(self.column)}”{asked}{filled}填{gap}{said}" + (f"，或{codes}" if codes else "")
        return Words(rule, "“{column}”{stated}{problem}。", remedy)

    def excel(self, sheet: BlockOfRows) -> None:
        sheet.typed(self.column)
        sheet.asked(self.column)


class ExpectNumbersToBeTyped(Check, BatchExpectation):
    """No number is typed with thousands separators, full-width digits or characters that cannot be seen; it is read all the same."""

    check: ClassVar[str] = "text_number"
    rows: ClassVar[pl.Expr] = ALL
    alike: ClassVar[bool] = True

    def holds(self, form: Form) -> pl.Expr:
        return ~pl.any_horizontal([_is(column, CellState.TEXT_NUMBER) for column in form.defined.number_columns])

    def cells(self, form: Form) -> list[Cell]:
        return [
            Cell(
                column.name,
                value=form.text(column.name),
                expected=figure(pl.col(column.name), column.decimal_places),
                detail=form.text(column.name).map_elements(_how_typed, return_dtype=pl.String),
                when=_is(column, CellState.TEXT_NUMBER),
            )
            for column in form.defined.number_columns
        ]

    def words(self, form: Form) -> Words:
        return Words(
            "数字不带千分位、全角字符和看不见的字符",
            "数字{detail}（“{value}”已按 {expected} 读取）。",
            "无需处理；下次请填纯数字。",
        )

    excel: ClassVar[None] = None  # type: ignore[assignment]  # a cell that refuses texts refuses these already


class ExpectFiguresToBeReported(Check, BatchExpectation):
    """No figure is answered 缺报, where its column allows that answer."""

    check: ClassVar[str] = "not_reported"

    def _columns(self, form: Form) -> list[Column]:
        return [column for column in form.defined.number_columns if "not_reported" in column.missing]

    def holds(self, form: Form) -> pl.Expr:
        return ~pl.any_horizontal(
            [pl.lit(False), *(_is(column, CellState.NOT_REPORTED) for column in self._columns(form))]
        )

    def cells(self, form: Form) -> list[Cell]:
        return [
            Cell(column.name, value=form.text(column.name), when=_is(column, CellState.NOT_REPORTED))
            for column in self._columns(form)
        ]

    def words(self, form: Form) -> Words:
        return Words(
            "取不到的数填“缺报”，不算错",
            "“{column}”填的是“{value}”：用到它的指标缺少本县区，不按 0 计。",
            "如能取得数据，请补填后重新报送。",
        )

    excel: ClassVar[None] = None  # type: ignore[assignment]  # an answer that is allowed


class ExpectColumnToHoldOneOf(Check, ExpectColumnValuesToBeInSet):
    """`column` is one of `values`; a cell that could not be read has its own finding."""

    check: ClassVar[str] = "in_set"
    called: ClassVar[dict[str, str]] = {"values": "value_set"}
    others: ClassVar[Sequence[str]] = ("column",)
    where: dict[str, tuple[str, ...]] = {}

    def holds(self, form: Form) -> pl.Expr:
        return pl.col(self.column).cast(pl.String).is_in([str(value) for value in self.value_set or ()])

    def cells(self, form: Form) -> list[Cell]:
        return [Cell(self.column, value=form.text(self.column))]

    def words(self, form: Form) -> Words:
        label, among = (
            form.label(self.column),
            "、".join(form.code(self.column, value) for value in self.value_set or ()),
        )
        return Words(
            f"“{label}”是以下之一：{among}",
            f"“{label}”为“{{value}}”，不在以下之内：{among}。",
            f"请改为以下之一：{among}。",
        )

    def excel(self, sheet: BlockOfRows) -> None:
        if not self.where:
            sheet.choices(self.column, [str(value) for value in self.value_set or ()])


class ExpectColumnToMatchPattern(Check, ExpectColumnValuesToMatchRegex):
    """`column` matches `regex`, of the engine that reads cells (no look-around); `hint` says it in words."""

    check: ClassVar[str] = "matches"
    others: ClassVar[Sequence[str]] = ("column",)
    where: dict[str, tuple[str, ...]] = {}
    hint: str = ""

    def holds(self, form: Form) -> pl.Expr:
        return pl.col(self.column).cast(pl.String).str.contains(str(self.regex))

    def cells(self, form: Form) -> list[Cell]:
        return [Cell(self.column, value=form.text(self.column))]

    def words(self, form: Form) -> Words:
        label, wanted = form.label(self.column), plain_words(self.hint or str(self.regex))
        rule = f"“{label}”应为{wanted}"
        return Words(rule, f"“{label}”为“{{value}}”，应为{wanted}。", f"请把“{label}”改为{wanted}。")

    def problems(self, form: Form) -> Iterator[Mistake]:
        try:
            pl.Series(["1"]).str.contains(str(self.regex))
        except pl.exceptions.ComputeError:
            yield Mistake("regex", f"“{self.regex}”不是可用的正则表达式", "改正写法；不支持前后查找（(?=、(?<=）")

    excel: ClassVar[None] = None  # type: ignore[assignment]  # a spreadsheet has no regular expressions


class ExpectColumnToBeFilled(Check, ExpectColumnValuesToNotBeNull):
    """`column` is filled; a cell that is filled and could not be read has its own finding."""

    check: ClassVar[str] = "not_null"
    others: ClassVar[Sequence[str]] = ("column",)
    where: dict[str, tuple[str, ...]] = {}

    def holds(self, form: Form) -> pl.Expr:
        return pl.col(f"{self.column}__state") != CellState.BLANK.value

    def cells(self, form: Form) -> list[Cell]:
        return [Cell(self.column)]

    def words(self, form: Form) -> Words:
        label, of_rows = form.label(self.column), form.of_rows(self.where)
        return Words(f"须填“{label}”", f"{of_rows or '这一行'}没有填“{label}”。", f"请填写“{label}”。")

    def excel(self, sheet: BlockOfRows) -> None:
        sheet.required(self.column, self.where)


class ExpectColumnToBeFilledWhen(Check, BatchExpectation):
    """`column` is filled in rows in which each column of `when` holds one of its codes, or, without codes, anything at all."""

    check: ClassVar[str] = "required_when"
    others: ClassVar[Sequence[str]] = ("column", "when")
    column: str
    when: dict[str, tuple[str, ...]]

    def reads(self) -> dict[str, list[str]]:
        return {"column": [self.column], "when": list(self.when)}

    def holds(self, form: Form) -> pl.Expr:
        asked = pl.all_horizontal(
            pl.col(name).is_in(list(codes)) if codes else pl.col(name).is_not_null()
            for name, codes in self.when.items()
        )
        return pl.when(asked).then(pl.col(f"{self.column}__state") != CellState.BLANK.value)

    def cells(self, form: Form) -> list[Cell]:
        return [Cell(self.column)]

    def words(self, form: Form) -> Words:
        label, of_rows = form.label(self.column), form.of_rows(self.when)
        return Words(f"{of_rows}须填“{label}”", f"{of_rows}没有填“{label}”。", f"请填写“{label}”。")

    def problems(self, form: Form) -> Iterator[Mistake]:
        for name, codes in self.when.items():
            if name in form.names and (unknown := sorted(set(codes) - set(form.column(name).codes))):
                yield Mistake(
                    "when", f"{name} 没有代码{'、'.join(unknown)}", f"可用的有：{'、'.join(form.column(name).codes)}"
                )
        if not self.when:
            yield Mistake(
                "when", "没有写明什么时候须填", "写成 when: {列: [代码]}；不看代码、只要填了的，写 when: {列: []}"
            )

    def excel(self, sheet: BlockOfRows) -> None:
        sheet.required(self.column, self.when)


def _is(column: Column, state: CellState) -> pl.Expr:
    return pl.col(f"{column.name}__state") == state.value


def _how_typed(text: str) -> str:
    hidden = unseen(text)
    if hidden:
        return f"里有{hidden}"
    return "带有百分号" if text.rstrip().endswith(("%", "％")) else "带有千分位或全角字符"


# --- what a column takes, in words -----------------------------------------------------------------------------------


def missing_in_words(defined: ReturnDefinition, column: Column) -> list[str]:
    """What may stand for a number in a column, as a clerk is told it; not what says that a row has no such thing, where the codes of a
    row tell that."""
    example = next((defined.column(name).label for name in defined.may_hold(column.name)), "")
    return [
        f"“{MISSING_LABELS[code]}”" + (f"加栏目名（如“并入{example}”）" if code == "included_elsewhere" else "")
        for code in column.missing
        if not (column.applies_when and code == "not_applicable")
    ]


def _wanted(column: Column) -> str:
    unit = f"（{column.unit}）" if column.unit else ""
    if column.type == "count":
        top = f" 至 {column.max}" if column.max is not None else ""
        return f"不小于 {column.min} 的整数{unit}" if not top else f"{column.min}{top} 的整数{unit}"
    if column.type == "headcount":
        return f"不小于 0、至多一位小数的人数{unit}"
    if column.type == "money":
        return f"至多两位小数的金额{unit}，可为负" if column.signed else f"不小于 0、至多两位小数的金额{unit}"
    if column.type == "decimal":
        kind = f"至多 {column.decimal_places} 位小数的数" if column.decimal_places else "整数"
        least = "可为负" if column.signed else f"不小于 {column.min}"
        return f"{kind}{unit}，{least}" + (f"，不大于 {column.max}" if column.max is not None else "")
    if column.type == "percent":
        return f"{column.min} 至 {column.max}、至多两位小数的百分数，85% 填 85"
    if column.type == "date":
        return "日期（如 2024-09-01）"
    if column.type == "note":
        return f"文字，至多 {column.longest} 个字"
    if column.is_coded:
        return "以下之一：" + "、".join(column.choices)
    return column.pattern_hint or f"{column.label}（文字）"
