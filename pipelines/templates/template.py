"""The official workbook of a return, written from its definition and its rules.

Belongs here: the layout of a template (cover, header, total, rows, notes, metadata), the checks that a spreadsheet can make
while a clerk types, and the wording of the notes sheet out of the rules. What is asked of a cell is not decided here: rules and
messages are those of the definition and of `expectations/`, so a template never promises what screening refuses.

Three decisions:

* **The spreadsheet's own checks are help, screening is the judge.** What is shown of a rule is the business of its kind
  (`screening.checks`). A column that may hold 缺报, 不适用 or 并入 beside a number
  cannot use Excel's whole-number or decimal validation, which refuses every text; it gets a custom formula that takes either.
  The price: such a formula shows no limits in Excel's dialog, and no validation is asked about pasted cells.
* **Only totals are formulas.** A figure that the county must state (在校生数, 工资总额) is never computed from its parts: total
  and parts are stated separately, and comparing the two is what finds a slip in either. A stated figure that differs is coloured.
* **The total row stands right under the header**, as in the bureau's printed forms, so that any number of rows fits below it and
  it stays in sight. A form whose totals are per group (`total_row.per`) has them under each group, where the rows are known.
"""

import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import xlsxwriter
from xlsxwriter.utility import xl_col_to_name, xl_rowcol_to_cell

from pipelines.municipality import CountyName
from pipelines.periods import Period
from pipelines.returns import Column, ReturnDefinition
from pipelines.returns.definition import MISSING_LABELS, MISSING_MEANINGS
from pipelines.screening.rules import OUTCOMES, Rule, checks_of, file_rules, rule_of, suite
from pipelines.workbooks.workbook import METADATA_SHEET, NOTES_SHEET, runs

if TYPE_CHECKING:
    from pipelines.screening.checks.excel import BlockOfRows

#: A prefilled row: column name → value; what is not there is left for the county.
PrefilledRow = Mapping[str, object]

#: Rows ready for input where the rows are not known in advance; more are inserted between them.
ROOM_ROWS = 600
#: More rows than this are not printed in advance.
_KNOWN_ROWS = 3000
#: The layout itself: another number makes another template hash.
LAYOUT_VERSION = 2
_WRITTEN_AT = datetime(2024, 1, 1)  # noqa: DTZ001 - document properties; the real time would change the bytes
_FONT = {"font_name": "宋体", "font_size": 10}
_WIDTHS = {
    "text": 26, "note": 40, "code": 11, "flag": 8, "ref": 13, "date": 12,
    "count": 9, "headcount": 11, "money": 15, "decimal": 12, "percent": 9,
}  # fmt: skip
_SIGN_OFF = ("填表人", "审核人", "单位负责人", "报出日期")
_OUTCOME_LABELS = {"error": "错误：必须改正", "query": "核实：改正或说明", "info": "提示"}
_PLACEHOLDER = re.compile(r"\{\w+\}")
# Limits of the file format: a prompt's title and text, an inline list or a formula of a validation.
_TITLE_LENGTH, _PROMPT_LENGTH, _LIST_LENGTH = 32, 255, 255
_NOTES_WIDTHS = (30, 16, 66, 56)
#: Wider than this (in characters) a form is printed on two pages side by side, or nobody could read it.
_PAGE_WIDTH = 210


def template_hash(defined: ReturnDefinition) -> str:
    """Sixteen letters that change with the form, any of its rules or the layout: tells an outdated template.

    Letters only, so that no run of digits in it can be taken for somebody's number.
    """
    rules = {**file_rules(), **suite(defined.return_code).rules}
    asked = {check.rule_id: str(check.parameters()) for check in checks_of(defined)}
    said = {rule_id: str(rule) for rule_id, rule in rules.items()}
    content = [LAYOUT_VERSION, defined.model_dump(mode="json", exclude={"analysis"}), said, asked]
    digest = hashlib.sha256(json.dumps(content, ensure_ascii=False, sort_keys=True).encode()).hexdigest()[:16]
    return "".join("abcdefghijklmnop"[int(digit, 16)] for digit in digest)


def template_name(defined: ReturnDefinition, county: CountyName, period: Period) -> str:
    """The file name of a template; screening reads county and period out of it as it would out of any."""
    title = re.sub(r"[^\w（）()-]", "", defined.title)
    return f"{county.name}_{period.label}_{defined.form}_{title[:40]}.xlsx"


def known_rows(defined: ReturnDefinition) -> list[dict[str, object]] | None:
    """The key values of every row where they are told in advance: by a rule that it be complete (register × age), or by a key
    made of code lists. None where the county knows its own rows, or nobody would fill so many."""
    values: dict[str, Sequence[object]] = {}
    for name in defined.key:
        column = defined.column(name)
        printed = next(filter(None, (check.printed(name) for check in checks_of(defined))), None)
        if printed:
            values[name] = printed
        elif column.is_coded:
            values[name] = column.codes
        else:
            return None
    if prod(map(len, values.values())) > _KNOWN_ROWS:
        return None
    return [dict(zip(values, combination, strict=True)) for combination in product(*values.values())]


def template_workbook(
    defined: ReturnDefinition, county: CountyName, period: Period, *, rows: Sequence[PrefilledRow] | None = None
) -> bytes:
    """The workbook (.xlsx) of one return for a county and period; the same input gives the same bytes.

    `rows`: what is prefilled, in the units of the definition. Where the rows are known in advance, prefilled values are laid on
    the row of the same key, and a row of any other key is left out. Raises ValueError for a period of a type that the return
    does not take.
    """
    if period.type.value not in defined.period_types:
        raise ValueError(f"{defined.form} takes {defined.period_types}, not {period.type.value}")
    return _Template(defined, county, period, rows or ()).write()


@dataclass
class _Block:
    """Rows that one total row sums. Rows count from 0; `labels`: what the total row says in its label columns."""

    first: int
    last: int
    total: int | None
    labels: dict[str, object] = field(default_factory=dict)


class _Template:
    """One workbook on its way: the parts are written from top to bottom."""

    def __init__(
        self, defined: ReturnDefinition, county: CountyName, period: Period, rows: Sequence[PrefilledRow]
    ) -> None:
        from pipelines.screening.checks.form import Form  # imports Great Expectations, which takes seconds

        self.defined, self.county, self.period = defined, county, period
        self.places = {column.name: place for place, column in enumerate(defined.columns)}
        self.last_column = len(defined.columns) - 1
        self.width = sum(_width(column) for column in defined.columns)
        self.checks = checks_of(defined)
        self.form = Form(defined, self.checks, {0: period})
        self.known = known_rows(defined)
        self.rows = self._laid_on_known(rows) if self.known is not None else [dict(row) for row in rows]
        self.target = io.BytesIO()
        self.book = xlsxwriter.Workbook(self.target, {"in_memory": True})
        self.book.set_properties({"title": f"{defined.form} {defined.title}", "created": _WRITTEN_AT})
        self.sheet: Any = None
        self.lists_n = 0
        self._formats: dict[str, Any] = {}

    def _laid_on_known(self, rows: Sequence[PrefilledRow]) -> list[dict[str, object]]:
        given = {tuple(row.get(name) for name in self.defined.key): row for row in rows}
        return [{**given.get(tuple(known.values()), {}), **known} for known in self.known or ()]

    def _format(self, **properties: Any) -> Any:
        """One format of the workbook a set of properties."""
        name = repr(sorted(properties.items()))
        if name not in self._formats:
            self._formats[name] = self.book.add_format({**_FONT, "valign": "vcenter", **properties})
        return self._formats[name]

    def write(self) -> bytes:
        title = re.sub(r"[\[\]:*?/\\]", "", f"{self.defined.form} {self.defined.title}")
        self.sheet = self.book.add_worksheet(title[:31])
        self.notes = self.book.add_worksheet(NOTES_SHEET)
        self.hidden = self.book.add_worksheet(METADATA_SHEET)
        header = self._cover()
        first = self._header(header)
        blocks = self._body(first)
        self._checks(blocks)
        self._page(header, first, blocks)
        self._notes()
        self._metadata()
        self.sheet.activate()
        self.book.close()
        return self.target.getvalue()

    # --- the form ---------------------------------------------------------------------------------------------------

    def _cover(self) -> int:
        """Title, cover and sign-off; returns the row at which the header begins."""
        title = f"{self.county.name}{self.period.label}{self.defined.title}"
        align = "center" if self.width <= _PAGE_WIDTH else "left"
        self._merge(0, 0, self.last_column, title, self._format(bold=True, font_size=16, align=align))
        self.sheet.set_row(0, 30)
        stated = [("表号", self.defined.form), ("填报单位", self.county.name),
                  ("行政区划代码", self.county.code), ("报告期", self.period.label)]  # fmt: skip
        row = self._pairs(1, stated, self._format(align="left"), None)
        signed = self._format(align="left", bottom=1, bg_color="#FFF9E5", locked=False)
        row = self._pairs(row, [(label, None) for label in _SIGN_OFF], signed, "请填写姓名")
        codes = sorted({code for column in self.defined.columns for code in column.missing})
        missing = "、".join(f"“{MISSING_LABELS[code]}”" for code in codes)
        hint = "请只在空白格内填写，不要改动表头；没有的数填 0" + (
            f"；没有数据时按该列说明填{missing}" if codes else ""
        )
        hint += f"。各列怎么填、怎么审核，见工作表“{NOTES_SHEET}”。"
        self._merge(row, 0, self.last_column, hint, self._format(font_color="#7F7F7F", align="left", text_wrap=True))
        self.sheet.set_row(row, 28)
        return row + 1

    def _pairs(self, row: int, pairs: Sequence[tuple[str, str | None]], form: Any, prompt: str | None) -> int:
        """Label and value cells across the columns as they are wide enough; returns the next free row."""
        label_form = self._format(align="right", bold=True)
        column = 0
        for label, value in pairs:
            wanted = (_shown_width(label) + 3, max(14, _shown_width(value or "") + 2))
            spans = self._spans(column, wanted)
            if spans is None:
                row, spans = row + 1, self._spans(0, wanted) or [(0, 0), (1, self.last_column)]
            (left, right), (value_left, value_right) = spans
            self._merge(row, left, right, f"{label}：", label_form)
            self._merge(row, value_left, value_right, value, form)
            if prompt:
                text = "请填写报出日期，如 2024-10-08" if label == "报出日期" else prompt
                self.sheet.data_validation(
                    row, value_left, row, value_left,
                    {"validate": "any", "input_title": label, "input_message": text},
                )  # fmt: skip
            column = value_right + 1
        return row + 1

    def _spans(self, column: int, widths: Sequence[int]) -> list[tuple[int, int]] | None:
        """Neighbouring ranges of columns at least so wide, from `column` on; None when they do not fit."""
        spans = []
        for wanted in widths:
            first, width = column, 0.0
            while width < wanted and column <= self.last_column:
                width += _width(self.defined.columns[column])
                column += 1
            if width < wanted:
                return None
            spans.append((first, column - 1))
        return spans

    def _merge(self, row: int, left: int, right: int, text: str | None, form: Any) -> None:
        if left < right:
            self.sheet.merge_range(row, left, row, right, text or "", form)
        if text is None:
            self.sheet.write_blank(row, left, None, form)
        else:
            self.sheet.write_string(row, left, text, form)

    def _header(self, top: int) -> int:
        """One header row, or two with groups above their columns; returns the row under it."""
        columns = self.defined.columns
        depth = 2 if any(column.group for column in columns) else 1
        place = 0
        while place <= self.last_column:
            column = columns[place]
            last = place
            if column.group:
                while last < self.last_column and columns[last + 1].group == column.group:
                    last += 1
                self._merge(top, place, last, column.group, self._header_format(True))
                for index in range(place, last + 1):
                    self._head(top + 1, index)
            else:
                if depth == 2:
                    self.sheet.merge_range(top, place, top + 1, place, "", self._header_format(column.required))
                self._head(top, place)
            place = last + 1
        self.sheet.set_row(top + depth - 1, 34 if depth == 2 else 40)
        for index, column in enumerate(columns):
            self.sheet.set_column(index, index, _width(column))
        return top + depth

    def _header_format(self, required: bool) -> Any:
        return self._format(
            bold=True, border=1, text_wrap=True, align="center", bg_color="#DDEBF7" if required else "#EDEDED"
        )

    def _head(self, row: int, place: int) -> None:
        column = self.defined.columns[place]
        self.sheet.write_string(row, place, _header_text(column), self._header_format(column.required))
        note = "\n".join(
            [
                f"{column.heading}（{'必填' if column.required else '选填'}）",
                *self._explained(column),
                *self._asked(column),
            ]
        )
        lines = sum(1 + len(line) // 18 for line in note.split("\n"))
        self.sheet.write_comment(
            row, place, note,
            {"author": "县报", "width": 260, "height": 24 + 17 * lines, "font_name": "宋体", "font_size": 9},
        )  # fmt: skip

    def _asked(self, column: Column) -> list[str]:
        """What is asked of a column, in the words of its rules."""
        asked = [self._cell_rule(column).remedy]
        return asked + [words for check in self.checks if check.about == column.name
                        for words in check.in_cells(self.form, self.period)]  # fmt: skip

    def _explained(self, column: Column) -> list[str]:
        """What a column holds, where its definition says so."""
        explanation = self.defined.explanations.get(column.name)
        return [f"{explanation}。"] if explanation else []

    def _gaps(self, column: Column) -> str:
        """What 0 and the codes for a missing figure mean in a column."""
        if not column.missing:
            return "不能空着" if column.required else "空着"
        zero = "0：有这一项，数为零；" if column.is_number and column.min == 0 else ""
        return zero + "；".join(f"{MISSING_LABELS[code]}：{MISSING_MEANINGS[code]}" for code in column.missing)

    def _cell_rule(self, column: Column) -> Rule:
        return next(rule_of(check) for check in self.checks if check.check == "reads_as" and check.about == column.name)

    def _body(self, first: int) -> list[_Block]:
        """Total rows and rows; returns the blocks that they make up."""
        total = self.defined.total_row
        blocks: list[_Block] = []
        row = first
        if self.known is not None and total and total.per and set(total.per) <= set(self.defined.key):
            groups: dict[tuple[object, ...], list[dict[str, object]]] = {}
            for values in self.rows:
                groups.setdefault(tuple(values[name] for name in total.per), []).append(values)
            for group, members in groups.items():
                labels = {**dict(zip(total.per, group, strict=True)), total.label_columns[0]: total.labels[0]}
                blocks.append(_Block(row, row + len(members) - 1, row + len(members), labels))
                row += len(members) + 1
        else:
            at = row if total and not total.per else None
            begin = row if at is None else row + 1
            room = len(self.rows) if self.known is not None else max(ROOM_ROWS, len(self.rows) + 100)
            labels = {total.label_columns[0]: total.labels[0]} if total else {}
            blocks.append(_Block(begin, begin + room - 1, at, labels))
        remaining = iter(self.rows)
        for block in blocks:
            for at in range(block.first, block.last + 1):
                self._row(at, next(remaining, {}))
            if block.total is not None:
                self._total(block)
        return blocks

    def _row(self, row: int, values: Mapping[str, object]) -> None:
        for place, column in enumerate(self.defined.columns):
            # Labels that the form itself prints are not the county's to change; what is prefilled from the past is.
            printed = self.known is not None and column.name in self.defined.key
            form = self._format(
                num_format="0" if printed and column.type == "count" else _number_format(column),
                locked=printed,
                text_wrap=column.type == "note",
                align="left"
                if column.type in ("text", "note")
                else "right"
                if column.is_number and not printed
                else "center",
                **({"bg_color": "#F2F2F2", "border": 1} if printed else {}),
            )
            self._value(row, place, values.get(column.name), form)

    def _value(self, row: int, place: int, value: object, form: Any) -> None:
        if value is None:
            self.sheet.write_blank(row, place, None, form)
        elif isinstance(value, date):
            self.sheet.write_datetime(row, place, datetime(value.year, value.month, value.day), form)  # noqa: DTZ001
        elif isinstance(value, int | float | Decimal):
            self.sheet.write_number(row, place, value if isinstance(value, int) else float(value), form)
        else:
            self.sheet.write_string(row, place, str(value), form)

    def _total(self, block: _Block) -> None:
        assert block.total is not None
        for place, column in enumerate(self.defined.columns):
            form = self._format(
                num_format=_number_format(column), bold=True, border=1, bg_color="#F2F2F2",
                align="right" if column.is_number and column.name not in block.labels else "center",
            )  # fmt: skip
            if column.name in block.labels:
                self.sheet.write_string(block.total, place, str(block.labels[column.name]), form)
            elif column.is_number and column.additive:
                cells = f"{xl_rowcol_to_cell(block.first, place)}:{xl_rowcol_to_cell(block.last, place)}"
                numbers = [row.get(column.name) for row in self.rows]
                known = sum(Decimal(str(number)) for number in numbers if isinstance(number, int | float | Decimal))
                # A result goes with the formula, or a program that never calculates leaves the cell without any.
                cached = float(known) if known % 1 else int(known)
                self.sheet.write_formula(block.total, place, f"=SUM({cells})", form, cached)
            else:
                self.sheet.write_blank(block.total, place, None, form)

    # --- checks while typing ----------------------------------------------------------------------------------------

    def _checks(self, blocks: Sequence[_Block]) -> None:
        from pipelines.screening.checks.excel import BlockOfRows, show

        for block in blocks:
            printed = self.known is not None
            rows = BlockOfRows(self.defined, self.period, block.first, block.last, self._list, printed)
            show(self.checks, rows)
            for name, validation in rows.validations.items():
                place, words = self.places[name], self._prompt(self.defined.column(name))
                self.sheet.data_validation(block.first, place, block.last, place, words | validation)
            self._colours(rows)

    def _prompt(self, column: Column) -> dict[str, Any]:
        """What is said while a cell of a column is filled, and when what is typed is refused."""
        asked = [*self._asked(column), *self._explained(column)]
        title = column.label[:_TITLE_LENGTH]
        wrong = f"“{column.label}”不合要求。{self._cell_rule(column).remedy}"
        return {
            "input_title": title, "input_message": _cut("\n".join(asked), _PROMPT_LENGTH),
            "error_title": title, "error_message": _cut(wrong, _PROMPT_LENGTH), "error_type": "stop",
        }  # fmt: skip

    def _list(self, choices: Sequence[str]) -> Any:
        """The choices in the cell itself, or in a hidden column of the notes where they are too long or hold a comma."""
        if len(",".join(choices)) <= _LIST_LENGTH and not any("," in choice for choice in choices):
            return list(choices)
        place = len(_NOTES_WIDTHS) + 1 + self.lists_n
        self.lists_n += 1
        for row, choice in enumerate(choices):
            self.notes.write_string(row, place, choice)
        self.notes.set_column(place, place, None, None, {"hidden": True})
        letter = xl_col_to_name(place)
        return f"='{NOTES_SHEET}'!${letter}$1:${letter}${len(choices)}"

    def _colours(self, rows: "BlockOfRows") -> None:
        """Colours that come and go with what is typed: what kinds of checks show, what is lacking, and lines around rows in use."""
        first, last = rows.first, rows.last
        wrong = self.book.add_format({"bg_color": "#FFC7CE", "font_color": "#9C0006"})
        lacking = self.book.add_format({"bg_color": "#FFF2CC", "border": 1, "border_color": "#BFBFBF"})
        written = self.book.add_format({"border": 1, "border_color": "#BFBFBF"})
        for name, formula, is_lacking in rows.colours:
            place, form = self.places[name], lacking if is_lacking else wrong
            self.sheet.conditional_format(
                first, place, last, place, {"type": "formula", "criteria": formula, "format": form}
            )
        row_cells = f"$A{first + 1}:${xl_col_to_name(self.last_column)}{first + 1}"
        for left, right in runs(
            [place for place, column in enumerate(self.defined.columns) if column.required and not column.applies_when]
        ):
            empty = f'=AND(COUNTA({row_cells})>0,{xl_col_to_name(left)}{first + 1}="")'
            self.sheet.conditional_format(
                first, left, last, right, {"type": "formula", "criteria": empty, "format": lacking}
            )
        # Lines only around rows in use: a county prints its schools, not six hundred empty rows.
        self.sheet.conditional_format(
            first, 0, last, self.last_column,
            {"type": "formula", "criteria": f"=COUNTA({row_cells})>0", "format": written},
        )  # fmt: skip

    # --- the page -----------------------------------------------------------------------------------------------------

    def _page(self, header: int, first: int, blocks: Sequence[_Block]) -> None:
        """Frozen panes, print set-up, protection without a password: it keeps slips away, not people."""
        last_label = max((self.places[name] for name in (*self.defined.key, self.defined.row_label)), default=0)
        top_total = next(
            (block.total for block in blocks if block.total is not None and block.total < block.first), None
        )
        self.sheet.freeze_panes(first if top_total is None else top_total + 1, min(last_label + 1, 3))
        self.sheet.set_landscape()
        self.sheet.set_paper(9)
        self.sheet.fit_to_pages(1 if self.width <= _PAGE_WIDTH else 2, 0)
        if self.width > _PAGE_WIDTH:
            self.sheet.repeat_columns(0, min(last_label, 2))
        self.sheet.repeat_rows(header, first - 1)
        self.sheet.set_margins(left=0.4, right=0.4, top=0.6, bottom=0.6)
        self.sheet.set_footer(f"&L{self.defined.form} {self.county.name} {self.period.label}&R第 &P 页 共 &N 页")
        self.sheet.center_horizontally()
        self.sheet.set_default_row(18)
        coded = [place for place, column in enumerate(self.defined.columns) if _number_format(column) == "@"]
        cells = (
            f"{xl_col_to_name(left)}{first + 1}:{xl_col_to_name(right)}{blocks[-1].last + 1}"
            for left, right in runs(coded)
        )
        # A school code is text made of digits: not a mistake that Excel need flag in every row.
        self.sheet.ignore_errors({"number_stored_as_text": " ".join(cells)})
        self.sheet.protect(
            "", {"insert_rows": True, "delete_rows": True, "sort": True, "autofilter": True, "format_cells": True,
                 "format_columns": True, "format_rows": True}
        )  # fmt: skip

    # --- the notes ------------------------------------------------------------------------------------------------------

    def _notes(self) -> None:
        sheet = self.notes
        heading = self._format(bold=True, font_size=12)
        head = self._format(bold=True, border=1, bg_color="#DDEBF7", align="center")
        text = self._format(border=1, text_wrap=True, align="left")
        for place, wide in enumerate(_NOTES_WIDTHS):
            sheet.set_column(place, place, wide)
        sheet.merge_range(0, 0, 0, 3, f"{self.defined.form} {self.defined.title}：填表说明",
                          self._format(bold=True, font_size=14, align="center"))  # fmt: skip
        row = 1
        plain = self._format(text_wrap=True, align="left")
        for line in self._advice():
            sheet.merge_range(row, 0, row, 3, line, plain)
            sheet.set_row(row, 4 + 14 * -(-_shown_width(line) // (sum(_NOTES_WIDTHS) - 4)))
            row += 1
        for caption, labels, table in self._tables():
            if not table:
                continue
            row += 1
            sheet.write_string(row, 0, caption, heading)
            row += 1
            for place, label in enumerate(labels):
                sheet.write_string(row, place, label, head)
            for cells in table:
                row += 1
                for place, cell in enumerate(cells):
                    sheet.write_string(row, place, cell, text)
                lines = (-(-_shown_width(cell) // (wide - 2)) for cell, wide in zip(cells, _NOTES_WIDTHS, strict=True))
                sheet.set_row(row, 4 + 14 * max(1, *lines))
            row += 1
        sheet.set_landscape()
        sheet.set_paper(9)
        sheet.fit_to_pages(1, 0)
        sheet.print_area(0, 0, row, len(_NOTES_WIDTHS) - 1)
        sheet.protect()

    def _advice(self) -> Iterator[str]:
        yield "一、封面各项由市局填好，不要改动；填表人、审核人、单位负责人请填姓名，报出日期填报出当天。"
        if self.known is None:
            yield (
                f"二、表中留有 {ROOM_ROWS} 行。行数不够时，在已有的行之间插入行；用不着的行空着即可，不要的行清除内容即可。"
            )
        else:
            per = self.defined.total_row.per if self.defined.total_row else ()
            skip = f"；不报的{self.defined.column(per[0]).label}整段空着即可" if per else ""
            yield f"二、各行已经列好，灰色格不能改动{skip}。"
        yield "三、合计行由公式自动计算，不用填。其余各数由县区据实填报，系统不代算、不换算、不改动。"
        yield "四、黄底的格还没有填；红底的格与表内关系不符或者重复。粘贴进来的内容不经过下拉和提示，请以审核结果为准。"
        yield (
            "五、没有的数填 0。不适用：本单位没有这一项；缺报：有这一项而拿不到数；"
            "并入：数已计在本表另一栏里，后面写明是哪一栏。只有写明可填的列才能填。"
        )

    def _tables(self) -> Iterator[tuple[str, tuple[str, str, str, str], list[tuple[str, str, str, str]]]]:
        """Caption, headings and rows of each table: columns, relations between them, rules of the return, rules of files."""
        rules = list(suite(self.defined.return_code).rules.values())
        yield (
            "各列怎么填",
            ("列", "单位", "指标解释与填法", "没有数据时"),
            [
                (
                    column.heading,
                    column.unit or "",
                    ("" if column.required else "选填。")
                    + "".join([*self._explained(column), self._cell_rule(column).remedy]),
                    self._gaps(column),
                )
                for column in self.defined.columns
            ],
        )
        yield (
            "表内关系",
            ("列", "允许相差", "关系", "不符时"),
            [
                (
                    self.defined.column(check.about).label,
                    f"{check.allowance}{self.defined.column(check.about).unit or ''}" if check.allowance else "无",
                    words,
                    _PLACEHOLDER.sub("××", rule_of(check).remedy),
                )
                for check in self.checks
                if check.about
                for words in check.in_cells(self.form, self.period)
            ],
        )
        yield "本表怎么审核", ("规则", "等级", "审核内容", "怎么改"), list(self._rules(rules))
        yield "文件怎么审核", ("规则", "等级", "审核内容", "怎么改"), list(self._rules(list(file_rules().values())))

    def _rules(self, rules: Sequence[Rule]) -> Iterator[tuple[str, str, str, str]]:
        """The rules in force for the period, gravest first; what is asked of a single cell stands among the columns."""
        of_columns = {check.rule_id for check in self.checks if check.check == "reads_as"}
        for outcome in OUTCOMES:
            for rule in rules:
                if rule.outcome == outcome and rule.rule_id not in of_columns and rule.is_valid_for(self.period):
                    message, remedy = _PLACEHOLDER.sub("××", rule.message), _PLACEHOLDER.sub("××", rule.remedy)
                    yield rule.rule_id, _OUTCOME_LABELS[outcome], message, remedy

    def _metadata(self) -> None:
        stated = {
            "form": self.defined.form,
            "return": self.defined.return_code,
            "return_version": str(self.defined.version),
            "county_code": self.county.code,
            "period": self.period.code,
            "template_hash": template_hash(self.defined),
        }
        for row, (key, value) in enumerate(stated.items()):
            self.hidden.write_string(row, 0, key)
            self.hidden.write_string(row, 1, value)
        self.hidden.very_hidden()


def _header_text(column: Column) -> str:
    return f"{column.heading}\n（{column.unit}）" if column.unit else column.heading


def _number_format(column: Column) -> str:
    if column.type == "date":
        return "yyyy-mm-dd"
    if not column.is_number:
        return "@"
    whole = "#,##0" if column.type in ("money", "decimal") else "0"
    return whole + ("." + "0" * column.decimal_places if column.decimal_places else "")


def _width(column: Column) -> float:
    if column.pattern:
        return 13
    longest = max((len(code) for code in column.codes), default=0)
    unit = f"（{column.unit}）" if column.unit else ""
    return max(_WIDTHS[column.type], 2 * longest + 3, 2 * min(len(column.label), 6) + 1, 2 * len(unit))


def _shown_width(text: str) -> int:
    """Columns that a text takes: two a Chinese character, one any other."""
    return sum(2 if ord(character) > 0x2E7F or character in "“”…—×−≤" else 1 for character in text)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
